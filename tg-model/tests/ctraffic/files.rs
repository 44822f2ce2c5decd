//! Files: read, written, damaged.

use super::{LOSSY, OUTPUTS, lossy, printed, written};
use proptest::prelude::*;
use tg_model::ctraffic::{Analysis, ConnStat, ReadError, Sample, Statistics, analyze};

#[test]
fn the_real_file_is_written_again_byte_for_byte() {
    assert_eq!(written(&lossy()), LOSSY);
}

#[test]
fn analyses_print_what_ctraffic_prints_byte_for_byte() {
    for (analysis, output) in OUTPUTS {
        assert_eq!(printed(&lossy(), analysis), output, "{analysis:?}");
    }
}

fn with(fields: &str) -> Result<Statistics, ReadError> {
    let text = format!(
        r#"{{"Started":"2026-11-23T02:05:22.77Z","Duration":1,"Connections":1,"PacketSize":64{}{fields}}}"#,
        if fields.is_empty() { "" } else { "," }
    );
    Statistics::read(text.as_bytes())
}

#[test]
fn what_may_be_missing_null_or_unknown_is_no_error() {
    let stats = with("").unwrap();
    let nothing = r#","FailedConnections":0,"Sent":0,"Received":0,"Dropped":0,"Retransmits":0,"FailedConnects":0}"#;
    let head = r#"{"Started":"2026-11-23T02:05:22.77Z","Duration":1,"Rate":0,"Connections":1,"PacketSize":64"#;
    assert_eq!(written(&stats), format!("{head}{nothing}\n"));
    assert_eq!(with(r#""ConnStats":null,"Samples":null,"Rate":null,"New":{"a":[1]}"#).unwrap(), stats);
    let entry = with(r#""ConnStats":[{"Ended":5,"Unknown":[]}],"Samples":[{}]"#).unwrap();
    assert_eq!(entry.conn_stats, [ConnStat { ended_ns: 5, ..ConnStat::default() }]);
    assert_eq!(entry.samples, [Sample::default()]);
}

#[test]
fn a_start_in_local_time_is_the_same_instant_in_utc() {
    let local = LOSSY.replace("02:05:22.770350151Z", "04:05:22.770350151+02:00");
    assert_ne!(local, LOSSY);
    assert_eq!(written(&Statistics::read(local.as_bytes()).unwrap()), LOSSY);
}

#[test]
fn fractions_of_a_second_are_trimmed_as_go_does() {
    for start in ["2026-11-23T02:05:22Z", "2026-11-23T02:05:22.5Z", "2026-11-23T02:05:22.000000001Z"] {
        let mut stats = lossy();
        stats.started = start.parse().unwrap();
        assert!(written(&stats).starts_with(&format!(r#"{{"Started":"{start}","#)));
    }
}

#[test]
fn strings_are_escaped_as_go_does() {
    let mut stats = lossy();
    stats.samples.clear();
    stats.conn_stats.truncate(1);
    stats.conn_stats[0].err = "a<b>&\u{2028}\u{2029}\"\\\n\t\u{1}é".into();
    let text = written(&stats);
    assert!(text.contains(r#""Err":"a\u003cb\u003e\u0026\u2028\u2029\"\\\n\t\u0001é","#), "{text}");
    assert_eq!(Statistics::read(text.as_bytes()).unwrap(), stats);
}

#[test]
fn hostile_values_are_errors_that_say_where() {
    for (fields, says) in [
        (r#""Sent":-1"#, "-1"),
        (r#""Sent":99999999999999999999999"#, "floating point"),
        (r#""Sent":1.5"#, "1.5"),
        (r#""Sent":"7""#, "string"),
        (r#""Rate":-80"#, "Rate is -80"),
        (r#""Rate":1e999"#, "out of range"),
        (r#""ConnStats":[{"Ended":-5}]"#, "-5"),
        (r#""ConnStats":[7]"#, "7"),
        (r#""Samples":{}"#, "map"),
        (r#""Duration":2"#, "duplicate"),
    ] {
        let error = with(fields).expect_err(fields).to_string();
        assert!(error.starts_with("not ctraffic's statistics: "), "{error}");
        assert!(error.contains("line 1 column"), "{error}");
        assert!(error.contains(says), "{fields}: {error}");
    }
}

#[test]
fn another_file_is_not_taken_for_a_run_of_nothing() {
    for other in ["{}", "[]", "null", "7", r#"{"v":1,"kind":"header"}"#, "Time Active\n", "{}{}", "\u{feff}{}"] {
        let error = Statistics::read(other.as_bytes()).expect_err(other);
        assert!(matches!(error, ReadError::Other(_)), "{other}: {error}");
    }
    let twice = [LOSSY, LOSSY].concat();
    assert!(matches!(Statistics::read(twice.as_bytes()), Err(ReadError::Other(_))));
    assert!(matches!(Statistics::read(b" \n"), Err(ReadError::Empty)));
    let deep = "[".repeat(100_000);
    assert!(matches!(Statistics::read(deep.as_bytes()), Err(ReadError::Other(_))));
}

#[test]
fn a_file_cut_anywhere_says_that_it_is_cut() {
    let whole = LOSSY.trim_end().len();
    for end in (1..whole).step_by(7).chain([whole - 1]) {
        let error = Statistics::read(&LOSSY.as_bytes()[..end]).unwrap_err();
        assert!(matches!(error, ReadError::Cut { line: 1, .. }), "cut at {end}: {error}");
    }
}

fn entry() -> impl Strategy<Value = ConnStat> {
    let numbers = [any::<u64>(); 7];
    (numbers, "\\PC{0,9}", "[ -~]{0,30}", "[a-z<&\u{2028}]{0,9}").prop_map(|(n, err, local, host)| ConnStat {
        started_ns: n[0],
        connect_ns: n[1],
        ended_ns: n[2],
        sent: n[3],
        received: n[4],
        dropped: n[5],
        retransmits: n[6],
        err,
        remote: local.clone(),
        local,
        host,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        ns in 0u64..=u64::MAX, numbers in [any::<u64>(); 9],
        rate in prop::num::f64::POSITIVE | prop::num::f64::ZERO,
        conn_stats in prop::collection::vec(entry(), 0..4),
        samples in prop::collection::vec([any::<u64>(); 4], 0..4),
    ) {
        let stats = Statistics {
            started: jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap(),
            duration_ns: numbers[0], rate, connections: numbers[1], packet_size: numbers[2],
            failed_connections: numbers[3], sent: numbers[4], received: numbers[5], dropped: numbers[6],
            retransmits: numbers[7], failed_connects: numbers[8], conn_stats,
            samples: samples.into_iter().map(|[time_ns, sent, received, dropped]| Sample { time_ns, sent, received, dropped }).collect(),
        };
        let text = written(&stats);
        prop_assert_eq!(text.matches('\n').count(), 1);
        prop_assert_eq!(Statistics::read(text.as_bytes()).unwrap(), stats);
    }

    #[test]
    fn a_damaged_file_is_an_error_or_other_statistics_but_no_panic(at in 0..LOSSY.len(), byte: u8, len in 0usize..40) {
        let mut text = LOSSY.as_bytes().to_vec();
        let end = (at + len).min(text.len());
        text.splice(at..end, [byte]);
        if let Ok(stats) = Statistics::read(&text) {
            for analysis in Analysis::ALL {
                let _ = analyze(&stats, analysis).map(|table| table.to_string());
            }
        }
    }
}
