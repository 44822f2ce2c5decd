//! Runs without an end of their own: what they say meanwhile, and what ends them.

use super::roll::undisturbed;
use crate::cli::case::Case;
use crate::cli::process::Signal;
use crate::standin::behaviour::Behaviour;
use crate::standin::server::{Options, Server};
use serde_json::json;
use std::io::Write;
use tg_model::journal::{AttemptFailed, RunEvent};

pub fn monitor(case: Case) {
    let (run, _journal, _pod) = undisturbed(case, &["--monitor", "--format", "json"]);
    let figures = |l: &str| l.split_whitespace().map(|w| w.parse().ok()).collect::<Option<Vec<f64>>>();
    run.wait_for_lines(2, |l| figures(l).is_some_and(|l| l[1..3] == [3.0, 0.0]));
    run.signal(Signal::INT);
    let finished = run.finish().with(0);
    let header: Vec<&str> = finished.stderr[0].split_whitespace().collect();
    assert_eq!(header, ["Time", "Active", "Connecting", "New", "Failed", "Sent", "Received", "Dropped"]);
    let lines: Vec<Vec<f64>> = finished.stderr.iter().filter_map(|l| figures(l)).collect();
    assert_eq!(lines.len() + 2, finished.stderr.len(), "one header, one farewell: {:?}", finished.stderr);
    assert!(lines.iter().all(|l| l.len() == header.len()) && lines.is_sorted_by(|a, b| a[0] < b[0]), "{lines:?}");
    let sum = |column: usize| lines.iter().map(|l| l[column]).sum::<f64>();
    assert_eq!((sum(3), sum(4)), (3.0, 0.0), "{lines:?}");
    let sent = finished.json()["packets"]["sent"].as_f64().unwrap();
    assert!(sum(5) > 0.0 && sum(5) <= sent, "{sent}: {lines:?}");
}

pub fn in_good_order(case: Case) {
    for signal in [Signal::INT, Signal::TERM] {
        let (mut run, journal, _pod) = undisturbed(case, &["--format", "json"]);
        journal.wait_until("packets are due", &mut run, |s| s.has_sample());
        run.signal(signal);
        let finished = run.finish().with(0);
        assert_eq!(finished.stderr.len(), 1, "{:?}", finished.stderr);
        assert!(finished.stderr[0].starts_with("Stopping: "), "{:?}", finished.stderr);
        let report = finished.json();
        assert_eq!((&report["ending"], &report["lost"], &report["lasting"]), (&json!("stopped"), &json!(0), &json!(3)));
        // The last echoes were awaited.
        let packets = &report["packets"];
        assert_eq!((&packets["received"], &packets["lost_in_flight"]), (&packets["sent"], &json!(0)));
        assert!(packets["sent"].as_u64().unwrap() > 0);
        assert!(journal.read().has_event(&RunEvent::SendingStopped));
    }
}

pub fn at_once(case: Case) {
    let bind = case.lasting_address();
    let silent = Options { behaviour: Behaviour::Silent, ..Options::new("silent", bind) };
    let server = Server::start(silent).unwrap();
    let plan = ["--conns", "3", "--rate", "20", "--until-signal", "--format", "json"];
    let (mut run, journal) = case.run(&[bind], &plan);
    server.wait_until(|c| c.connections == 3 && c.bytes >= 3 * 1024);
    run.signal(Signal::INT);
    journal.wait_until("sending has stopped", &mut run, |s| s.has_event(&RunEvent::SendingStopped));
    // Echoes that will never come are awaited for an hour.
    assert!(run.is_running());
    run.signal(Signal::INT);
    let report = run.finish().with(0).json();
    assert_eq!((&report["ending"], &report["accounting"]["ok"]), (&json!("aborted"), &json!(true)), "{report}");
    assert_eq!((&report["lost"], &report["lasting"]), (&json!(0), &json!(3)));
    let packets = &report["packets"];
    assert_eq!((&packets["received"], &packets["lost_in_flight"]), (&json!(0), &packets["sent"]));
}

/// A socket whose own port is the one that it connects to finds itself there, if nobody else: the kernel
/// chooses such a port now and then for a client of a server that is down.
pub fn alone(case: Case) {
    for udp in [false, true] {
        let case = Case { udp, ..case };
        let address = case.lasting_address();
        let mut sources = tempfile::NamedTempFile::new().unwrap();
        writeln!(sources, "{address}").unwrap();
        let sources = sources.path().to_str().unwrap();
        let plan = ["--conns", "1", "--duration", "100ms", "--source", sources, "--format", "json"];
        let (run, journal) = case.run(&[address], &plan);
        let report = run.finish().with(0).json();
        assert_eq!((&report["established"], &report["never_connected"]), (&json!(0), &json!(1)), "{report}");
        let story = journal.read();
        let failed = story.failed();
        let to_itself = |a: &&AttemptFailed| a.detail.as_deref().is_some_and(|d| d.contains("to itself"));
        // The one port that there is may still be that of the attempt before: io_uring closes in the background.
        let taken = |a: &&AttemptFailed| a.errno == Some(libc::EADDRINUSE);
        assert!(failed.first().is_some_and(to_itself), "{failed:?}");
        assert!(failed.iter().all(|a| to_itself(a) || taken(a)), "{failed:?}");
        let count = |what: &dyn Fn(&&AttemptFailed) -> bool| failed.iter().filter(|a| what(a)).count();
        assert_eq!(report["failed_attempts"]["refused"], json!(count(&to_itself)), "{report}");
        assert_eq!(report["failed_attempts"]["total"], json!(failed.len()), "{report}");
    }
}
