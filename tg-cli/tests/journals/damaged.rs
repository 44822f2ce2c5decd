//! Lines that are not what tg wrote: garbage, of a newer version, far too long, out of place.

use crate::faults_support::{after, lines_of, run, tg};
use crate::support::Suite;
use crate::{FORMS, Files, real};

pub fn add(suite: &mut Suite) {
    suite.test("damaged::a_line_of_garbage".into(), &[], a_line_of_garbage);
    suite.test("damaged::many_lines_of_garbage".into(), &[], many_lines_of_garbage);
    suite.test("damaged::a_newer_version".into(), &[], a_newer_version);
    suite.test("damaged::a_line_without_end".into(), &[], a_line_without_end);
    suite.test("damaged::a_flipped_bit_anywhere".into(), &[], a_flipped_bit_anywhere);
    suite.test("damaged::a_line_missing_or_twice".into(), &[], a_line_missing_or_twice);
    suite.test("damaged::absurd_numbers".into(), &[], absurd_numbers);
}

fn split(journal: &[u8]) -> Vec<Vec<u8>> {
    journal.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

/// It is shown by its number, with the reason, and without what would steer a terminal.
fn a_line_of_garbage() {
    let [journal, _] = real();
    let files = Files::new();
    for garbage in
        [&b"garbage\n"[..], b"\n", b"{}\n", b"{\"v\":1}\n", b"{\"v\":1,\"kind\":\"x\x1b[2J\"}\n", b"\xff\0\n"]
    {
        let mut lines = split(&journal);
        lines.insert(3, garbage.to_vec());
        let name = files.write("garbage", &lines.concat());
        for form in FORMS {
            let done = run(&mut tg(&format!("report {name} {form}"))).exits(0);
            let done = done.tells(&[&format!("note: {name}: 1 line of it cannot be read")]).keeps_from(&["\x1b"]);
            assert!(!done.stdout.is_empty() && !done.stdout.contains('\x1b'), "{done}");
        }
        let text = run(&mut tg(&format!("report {name}"))).exits(0).tells(&["\n  line 4: "]);
        let text = text.prints(&["! 1 line of the journal cannot be read: 4\n", "Lasting connections: 1\n"]);
        assert!(text.stdout.lines().all(|l| l.chars().count() <= 80), "{text}");
        let json = run(&mut tg(&format!("report {name} --format json"))).exits(0).json();
        assert_eq!((&json["lasting"], &json["ending"]), (&1.into(), &"planned".into()));
        assert_eq!(
            (&json["journal"]["complete"], &json["journal"]["unreadable"][0]["line"]),
            (&false.into(), &4.into())
        );
    }
}

/// Ten are shown, all are counted.
fn many_lines_of_garbage() {
    let [journal, _] = real();
    let files = Files::new();
    let mut lines = split(&journal);
    (0..5000).for_each(|_| lines.insert(2, b"garbage\n".to_vec()));
    let name = files.write("garbage", &lines.concat());
    let done = run(&mut tg(&format!("report {name}"))).exits(0);
    let done = done.tells(&["5000 lines of it cannot be read:\n  line 3: ", "\n  line 12: "]).keeps_from(&["line 13"]);
    done.prints(&["! 5000 lines of the journal cannot be read: 3, 4, 5", "Lasting connections: 1\n"]);
}

/// Of the header or of any line: half of it would be guessed.
fn a_newer_version() {
    let [journal, _] = real();
    let files = Files::new();
    for at in [0, 2, split(&journal).len() - 1] {
        let mut lines = split(&journal);
        let text = String::from_utf8(lines[at].clone()).unwrap();
        lines[at] = text.replacen("{\"v\":1,", "{\"v\":2,", 1).into_bytes();
        let name = files.write("newer", &lines.concat());
        let number = format!("line {}", at + 1);
        for form in FORMS {
            run(&mut tg(&format!("report {name} {form}"))).exits(1).prints_nothing().tells(&[
                &name,
                &number,
                "written by a newer tg (line version 2, this tg reads 1): use that version or later",
            ]);
        }
    }
}

/// 100 MiB in one line: read past with little memory, and known for no journal where it comes first.
fn a_line_without_end() {
    const LONG: usize = 100 << 20;
    let [journal, _] = real();
    let files = Files::new();
    let small = "ulimit -v 65536";
    let mut lines = split(&journal);
    lines.insert(3, [vec![b'x'; LONG], b"\n".to_vec()].concat());
    let name = files.write("long", &lines.concat());
    let done = run(&mut after(small, &format!("report {name}"))).exits(0);
    done.tells(&["  line 4: longer than 4 MiB"]).prints(&["Lasting connections: 1\n"]);

    let last = files.write("last", &lines[..4].concat()[..LONG]);
    let done = run(&mut after(small, &format!("report {last} --format json"))).exits(0).tells(&["cut: "]);
    assert_eq!(done.json()["alive_at_cut"], 1);

    for first in [files.write("first", &vec![b'{'; LONG]), "/dev/zero".to_owned()] {
        let done = run(&mut after(small, &format!("report {first}"))).exits(1).prints_nothing();
        done.tells(&[&first, "neither a journal of tg nor statistics of ctraffic", "longer than 4 MiB"]);
    }
}

/// Whatever one bit makes of the file, the reader stands.
fn a_flipped_bit_anywhere() {
    let [journal, _] = real();
    let files = Files::new();
    let flipped = |at: usize| {
        let mut bytes = journal.clone();
        bytes[at] ^= 1 << (at % 8);
        files.write(&at.to_string(), &bytes)
    };
    // Steps that have no divisor in common with 8: each bit has its turn.
    for (form, step) in [("--format text", 17), ("--format json", 15), ("--format ctraffic", 3), ("--analyze hosts", 5)]
    {
        let names: Vec<String> = (0..journal.len()).step_by(step).map(flipped).collect();
        // Some are no journals any more.
        let done = run(tg(&format!("report {form}")).args(&names)).exits(1);
        assert!(!done.stdout.is_empty() && !done.stdout.contains('\x1b'), "{form}");
        assert!(!done.stderr.contains('\x1b'), "{form}");
    }
}

/// Numbers that do not add up are told as such, and are no reason not to show them.
fn a_line_missing_or_twice() {
    let [journal, _] = real();
    let files = Files::new();
    let count = split(&journal).len();
    for at in 1..count {
        let kind = lines_of(&journal)[at]["kind"].clone();
        for twice in [false, true] {
            let mut lines = split(&journal);
            if twice {
                lines.insert(at, lines[at].clone());
            } else {
                lines.remove(at);
            }
            let name = files.write("line", &lines.concat());
            let done = run(&mut tg(&format!("report {name} --format json"))).exits(0);
            let json = done.json();
            let tells_nothing = kind == "event" || kind == "identified" || (kind == "footer" && !twice);
            assert_eq!(json["accounting"]["ok"], tells_nothing, "{kind}, twice: {twice}: {done}");
            assert_eq!(json["ending"] == "cut", kind == "footer" && !twice, "{kind}");
            let text = run(&mut tg(&format!("report {name}"))).exits(0);
            assert_eq!(text.stdout.contains("! The numbers do not add up"), !tells_nothing, "{kind}: {text}");
        }
    }
}

/// Each number, one at a time, as no run would have it.
fn absurd_numbers() {
    let [journal, _] = real();
    let files = Files::new();
    for (absurd, form) in [
        ("18446744073709551615", "--format json"),
        ("18446744073709551615", "--format text"),
        ("18446744073709551615", "--format ctraffic"),
        ("18446744073709551615", "--analyze connections"),
        ("4294967296", "--format json"),
        ("-1", "--format json"),
        ("1e300", "--format ctraffic"),
        ("0", "--analyze throughput"),
    ] {
        let changed = |number: std::ops::Range<usize>| {
            let bytes = [&journal[..number.start], absurd.as_bytes(), &journal[number.end..]].concat();
            files.write(&number.start.to_string(), &bytes)
        };
        let names: Vec<String> = numbers(&journal).into_iter().map(changed).collect();
        // Some are in the header, which makes it none.
        let done = run(tg(&format!("report {form}")).args(&names)).exits(1);
        assert!(!done.stdout.is_empty(), "{form}");
    }
}

/// Where the numbers of a journal stand.
fn numbers(journal: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < journal.len() {
        let digits = journal[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        // A number stands after a colon, outside of text.
        if digits > 0 && at > 0 && journal[at - 1] == b':' && matches!(journal[at + digits], b',' | b'}') {
            found.push(at..at + digits);
        }
        at += digits.max(1);
    }
    assert!(found.len() > 50, "{}", found.len());
    found
}
