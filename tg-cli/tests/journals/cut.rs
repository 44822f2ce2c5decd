//! A journal that breaks off: at each byte of it, in each form of a report.

use crate::faults_support::{header_end, lines_of, run, tg};
use crate::support::Suite;
use crate::{FORMS, Files, objects, real};
use serde_json::Value;

pub fn add(suite: &mut Suite) {
    suite.test("cut::within_its_header".into(), &[], within_its_header);
    suite.test("cut::after_its_header".into(), &[], after_its_header);
    suite.test("cut::before_its_last_line_end".into(), &[], before_its_last_line_end);
    suite.test("cut::alone".into(), &[], alone);
}

/// The beginnings of a journal with these lengths, as files, for one command line.
fn beginnings(files: &Files, journal: &[u8], lengths: impl Iterator<Item = usize>) -> Vec<String> {
    lengths.map(|length| files.write(&format!("{length:05}"), &journal[..length])).collect()
}

/// A form of a report does not matter where there is none.
fn within_its_header() {
    let [journal, _] = real();
    let files = Files::new();
    let cut = beginnings(&files, &journal, 0..header_end(&journal));
    let done = run(tg("report --format json").args(&cut)).exits(1).prints_nothing();
    let errors: Vec<&str> = done.stderr.lines().collect();
    assert_eq!(errors.len(), cut.len());
    for (error, name) in errors.iter().zip(&cut) {
        let why = error.strip_prefix(&format!("error: {name}: ")).unwrap_or_else(|| panic!("{error}"));
        assert!(why == "the journal is empty" || why.starts_with("neither a journal of tg nor"), "{error}");
    }
}

/// At each byte as JSON; in the other forms here and there: they are read in the same way.
fn after_its_header() {
    let [journal, vain] = real();
    for (journal, step) in [(journal, 1), (vain, 29)] {
        for form in FORMS {
            let step = if form == "--format json" { step } else { step * 13 };
            let files = Files::new();
            // The last byte is a line end: without it all is still there.
            let lengths = (header_end(&journal)..journal.len() - 1).step_by(step);
            let cut = beginnings(&files, &journal, lengths);
            let done = run(tg(&format!("report {form}")).args(&cut)).exits(0);
            let note = |name: &String| format!("note: {name}: cut: the run was killed, or still goes on");
            let notes: Vec<String> = cut.iter().map(note).collect();
            assert_eq!(done.stderr.lines().collect::<Vec<_>>(), notes);
            if form == "--format json" {
                each_tells_what_is_there(&objects(&done.stdout), &cut, &journal);
            }
        }
    }
}

fn each_tells_what_is_there(reports: &[Value], cut: &[String], journal: &[u8]) {
    assert_eq!(reports.len(), cut.len());
    for (report, name) in reports.iter().zip(cut) {
        let length: usize = name.rsplit('/').next().unwrap().parse().unwrap();
        let lines = lines_of(&journal[..length]);
        let count = |kind: &str| Value::from(lines.iter().filter(|l| l["kind"] == kind).count());
        assert_eq!((&report["file"], &report["ending"]), (&name.as_str().into(), &"cut".into()));
        assert_eq!(report["journal"]["complete"], false, "{name}");
        assert_eq!(report["accounting"]["ok"], true, "{name}: {}", report["accounting"]);
        assert_eq!(report["journal"]["unreadable_lines"], 0, "{name}");
        // A line that is whole but for its end is read as well.
        let between = journal[length - 1] != b'\n' && journal[length] != b'\n';
        assert_eq!(report["journal"]["cut"], between && length > lines_end(journal, length), "{name}");
        if between {
            assert_eq!(report["established"], count("established"), "{name}");
            assert_eq!(report["failed_attempts"]["total"], count("attempt-failed"), "{name}");
            assert_eq!(report["ended"]["completed"], count("closed"), "{name}");
        }
    }
}

/// Where the last whole line before `length` ends.
fn lines_end(journal: &[u8], length: usize) -> usize {
    journal[..length].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1)
}

/// Nothing is missing but the line end.
fn before_its_last_line_end() {
    for journal in real() {
        let files = Files::new();
        let [whole, cut] = [journal.len(), journal.len() - 1].map(|n| files.write(&n.to_string(), &journal[..n]));
        for form in FORMS {
            let report = |name: &str| run(&mut tg(&format!("report {name} {form}"))).exits(0);
            let (whole, cut) = (report(&whole), report(&cut));
            assert_eq!((&whole.stderr, &cut.stderr), (&String::new(), &String::new()));
            if form != "--format text" {
                assert_eq!(whole.stdout, cut.stdout);
            }
        }
    }
}

/// Each kind of cut by itself: the exit code is that file's.
fn alone() {
    let [journal, _] = real();
    let files = Files::new();
    for (length, code, words) in [
        (0, 1, "error: "),
        (1, 1, "give what `run --output` wrote"),
        (header_end(&journal) - 1, 1, "give what `run --output` wrote"),
        (header_end(&journal), 0, "cut: the run was killed"),
        (header_end(&journal) + 1, 0, "cut: the run was killed"),
        (journal.len() - 2, 0, "cut: the run was killed"),
        (journal.len(), 0, ""),
    ] {
        let name = files.write("cut", &journal[..length]);
        let done = run(&mut tg(&format!("report {name}"))).exits(code).tells(&[words]);
        assert_eq!(done.stdout.is_empty(), code == 1, "{done}");
        assert_eq!(done.stdout.starts_with("! The journal has no end"), words.starts_with("cut"), "{done}");
        assert!(done.stdout.lines().all(|l| l.chars().count() <= 80), "{done}");
    }
}
