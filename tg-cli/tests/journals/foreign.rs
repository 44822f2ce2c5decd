//! Files that are no journals.

use crate::faults_support::{Journal, TG, run, tg};
use crate::support::{Capability, Suite};
use crate::{FORMS, Files, real};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub fn add(suite: &mut Suite) {
    suite.test("foreign::empty".into(), &[], empty);
    suite.test("foreign::not_there_or_a_directory".into(), &[], not_there_or_a_directory);
    suite.test("foreign::not_readable".into(), &[Capability::Root], not_readable);
    suite.test("foreign::something_else".into(), &[], something_else);
    suite.test("foreign::ctraffics_statistics".into(), &[], ctraffics_statistics);
    suite.test("foreign::ctraffics_statistics_cut".into(), &[], ctraffics_statistics_cut);
    suite.test("foreign::a_bad_one_among_good_ones".into(), &[], a_bad_one_among_good_ones);
    suite.test("foreign::a_run_that_still_goes_on".into(), &[], a_run_that_still_goes_on);
}

const NEITHER: &str = "neither a journal of tg nor statistics of ctraffic: give what `run --output` wrote";

fn empty() {
    let files = Files::new();
    let name = files.write("empty", b"");
    for file in [name.as_str(), "/dev/null", "-"] {
        for form in FORMS {
            let done = run(&mut tg(&format!("report {file} {form}"))).exits(1).prints_nothing();
            done.tells(&[&format!("error: {file}: the journal is empty")]);
        }
    }
}

fn not_there_or_a_directory() {
    let files = Files::new();
    let directory = files.0.path().to_str().unwrap();
    for (file, words) in [
        (directory, "it is a directory without run.jsonl: give what `lab --output` wrote, or a journal"),
        ("/nowhere/run.jsonl", "No such file or directory"),
        (&format!("{TG}/run.jsonl"), "Not a directory"),
    ] {
        run(&mut tg(&format!("report {file}"))).exits(1).prints_nothing().tells(&[&format!("error: {file}: "), words]);
    }
}

/// Root may read anything: read by somebody else.
fn not_readable() {
    let files = Files::new();
    let allow = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    allow(files.0.path(), 0o755);
    std::fs::copy(TG, files.path("tg-cli")).unwrap();
    let journal = files.write("journal", &real()[0]);
    let nobody = || {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid=65534", "--clear-groups"]).arg(files.path("tg-cli")).args(["report", &journal]);
        command
    };
    allow(Path::new(&journal), 0o600);
    run(&mut nobody()).exits(1).prints_nothing().tells(&[&journal, "Permission denied"]);
    allow(Path::new(&journal), 0o644);
    run(&mut nobody()).exits(0).prints(&["Lasting connections: 1\n"]);
}

fn something_else() {
    let files = Files::new();
    for bytes in
        [&b"hello\n"[..], b"\n\n\n", b"{}\n", b"[]", b"null", b"{\"v\":1,\"kind\":\"footer\"}\n", b"\x1f\x8b\0"]
    {
        let name = files.write("else", bytes);
        for form in FORMS {
            run(&mut tg(&format!("report {name} {form}"))).exits(1).prints_nothing().tells(&[&name, NEITHER]);
        }
    }
    run(&mut tg(&format!("report {TG}"))).exits(1).prints_nothing().tells(&[TG, NEITHER]);
    // Deep nesting must not exhaust the stack.
    let deep = files.write("deep", &[b'['; 100_000]);
    run(&mut tg(&format!("report {deep}"))).exits(1).prints_nothing().tells(&[NEITHER]);
    let deep = files.write("deep", &[&b"{\"Started\":"[..], &[b'['; 100_000]].concat());
    run(&mut tg(&format!("report {deep}"))).exits(1).prints_nothing().tells(&[&deep]);
}

fn lossy() -> Vec<u8> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tg-model/tests/fixtures/ctraffic");
    std::fs::read(fixtures.join("lossy.json")).unwrap()
}

fn ctraffics_statistics() {
    let files = Files::new();
    let name = files.write("statistics", &lossy());
    run(&mut tg(&format!("report {name}"))).exits(0).prints(&["Lost connections: 16\n", "Lasting connections: 16\n"]);
    for form in FORMS {
        let done = run(&mut tg(&format!("report {name} {form}"))).exits(0);
        assert_eq!(done.stderr, "", "{done}");
    }
}

fn ctraffics_statistics_cut() {
    let whole = lossy();
    let files = Files::new();
    // A byte in 97 of many: each is another place of its grammar.
    let lengths = (1..whole.trim_ascii_end().len()).step_by(97);
    let names: Vec<String> = lengths.map(|n| files.write(&n.to_string(), &whole[..n])).collect();
    let done = run(tg("report --format json").args(&names)).exits(1).prints_nothing();
    for name in &names {
        assert!(done.stderr.contains(&format!("error: {name}: ")), "{name}");
    }
}

fn a_bad_one_among_good_ones() {
    let files = Files::new();
    let good = files.write("good", &real()[0]);
    let bad = files.write("bad", b"hello\n");
    let done = run(&mut tg(&format!("report {good} {bad} {good}"))).exits(1).tells(&[&bad, NEITHER]);
    assert_eq!(done.stdout.matches("Lasting connections: 1\n").count(), 2, "{done}");
}

/// As far as it goes; the run does not mind.
fn a_run_that_still_goes_on() {
    let journal = Journal::new();
    let line = format!("run --conns 2 --rate 50 --until-signal --monitor --format json {}", journal.option());
    let running = crate::faults_support::start(&mut tg(&line));
    running.is_watched();
    journal.awaits(1, "sample");
    let so_far =
        journal.report("--format json").exits(0).tells(&["cut: the run was killed, or still goes on"]).report();
    assert_eq!((&so_far["ending"], &so_far["alive_at_cut"]), (&"cut".into(), &2.into()));
    running.signal("TERM");
    let whole = running.end().exits(0).report();
    assert_eq!((&whole["ending"], &whole["lost"]), (&"stopped".into(), &0.into()));
    assert_eq!(journal.report("--format json").exits(0).report(), whole);
}
