//! Places to write to that fail: a full disk, a reader who has left or does not read.

use crate::faults_support::{Done, Journal, TG, closed_pipe, eventually, run, run_with, start_with, tg, through};
use crate::support::{Capability, Suite};
use serde_json::Value;
use std::fs::File;
use std::io::Write;
use std::process::Stdio;

const RUN: &str = "run --conns 4 --rate 50 --duration 200ms";

pub fn add(suite: &mut Suite) {
    let full = &[Capability::Devfull];
    suite.test("output::a_full_disk_under_the_journal".into(), full, a_full_disk_under_the_journal);
    suite.test("output::a_full_disk_under_ctraffics_form".into(), full, a_full_disk_under_ctraffics_form);
    suite.test("output::a_full_disk_under_stdout".into(), full, a_full_disk_under_stdout);
    suite.test("output::a_full_disk_under_stderr".into(), full, a_full_disk_under_stderr);
    let tmpfs = &[Capability::Tmpfs];
    suite.test("output::a_disk_that_fills_up".into(), tmpfs, a_disk_that_fills_up);
    suite.test("output::a_full_disk_for_temporary_files".into(), tmpfs, a_full_disk_for_temporary_files);
    suite.test("output::a_reader_of_stdout_who_left".into(), &[], a_reader_of_stdout_who_left);
    suite.test("output::a_reader_of_stderr_who_left".into(), &[], a_reader_of_stderr_who_left);
    suite.test("output::nobody_there_at_all".into(), &[], nobody_there_at_all);
    suite.test("output::a_reader_who_does_not_read".into(), &[], a_reader_who_does_not_read);
}

/// Everything that was due in [`RUN`] is told.
#[track_caller]
fn whole(s: &Value) {
    assert_eq!((&s["ending"], &s["lost"], &s["lasting"]), (&"planned".into(), &0.into(), &4.into()));
    assert_eq!(s["packets"]["intended"], 40);
    assert_eq!(s["latency"]["count"], s["packets"]["received"]);
}

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

const NO_SPACE: &str = "No space left on device";

fn a_full_disk_under_the_journal() {
    let words =
        ["error: writing the journal /dev/full: after about", NO_SPACE, "the report is whole all the same", "--output"];
    let done = run(&mut tg(&format!("{RUN} --output /dev/full --format json"))).exits(1).tells(&words);
    whole(&done.report());
    assert_eq!(done.stderr.matches(NO_SPACE).count(), 1, "told once: {done}");
    let text = run(&mut tg(&format!("{RUN} --output /dev/full"))).exits(1).tells(&words);
    text.prints(&["Lost connections: 0\nLasting connections: 4\n", "Packets due                40 ="]);
    // An expectation that fails beside it is told, too.
    let line = format!("{RUN} --output /dev/full --expect lasting==3");
    run(&mut tg(&line)).exits(1).tells(&words).tells(&["expectation failed: lasting==3: lasting is 4"]);
}

/// ctraffic's statistics need every connection's record, which is in the journal alone.
fn a_full_disk_under_ctraffics_form() {
    let done = run(&mut tg(&format!("{RUN} --output /dev/full --format ctraffic"))).exits(1).prints_nothing();
    let done = done.tells(&["error: writing the journal /dev/full: after about", NO_SPACE, "lack what it lacks"]);
    done.tells(&["error: reading the journal back: "]).keeps_from(&["whole all the same"]);
}

fn a_full_disk_under_stdout() {
    let journal = Journal::new();
    run_with(&mut tg(&format!("{RUN} {}", journal.option())), full(), Stdio::piped())
        .exits(1)
        .tells(&["error: writing to stdout: ", NO_SPACE]);
    // Nothing is lost by it.
    whole(&journal.report("--format json").exits(0).report());
    let report = format!("report {}", journal.path().display());
    let ctraffic = format!("{report} --format ctraffic");
    for line in [&report, &ctraffic, "doctor", "completions bash", "--help", "run --help", "--version"] {
        let done = run_with(&mut tg(line), full(), Stdio::piped()).exits(1);
        assert_eq!(done.stderr.matches(NO_SPACE).count(), 1, "{done}");
    }
}

fn a_full_disk_under_stderr() {
    let done = run_with(&mut tg(&format!("{RUN} --format json --monitor")), Stdio::piped(), full()).exits(0);
    whole(&done.report());
    run_with(&mut tg("run --conns 0"), Stdio::piped(), full()).exits(2);
}

/// A shell's script in a mount namespace, where $DISK has room for 16 KiB. A test's own `dir` holds it.
fn with_small_disk(dir: &Journal, script: &str, line: &str) -> Done {
    let disk = dir.path().with_file_name("disk");
    std::fs::create_dir(&disk).unwrap();
    let script = format!("DISK={0} && mount -t tmpfs -o size=16k none {0} && {script}", disk.display());
    run(&mut through(&["unshare", "-m", "sh", "-c", &script, "sh"], line))
}

/// The beginning of the journal fits: what is there is a journal that was cut.
fn a_disk_that_fills_up() {
    let kept = Journal::new();
    let script =
        format!("\"$@\" --output $DISK/run.jsonl; code=$?; cp $DISK/run.jsonl {}; exit $code", kept.path().display());
    let line = "run --conns 40 --rate 5 --duration 400ms --format json";
    let done = with_small_disk(&kept, &script, line).exits(1);
    let done =
        done.tells(&["error: writing the journal ", "/disk/run.jsonl: after about", NO_SPACE, "whole all the same"]);
    let s = done.report();
    assert_eq!((&s["lasting"], &s["packets"]["intended"]), (&40.into(), &80.into()));
    assert_eq!(kept.path().metadata().unwrap().len(), 16384);
    let cut = kept.report("--format json").exits(0).tells(&["cut: the run was killed, or still goes on"]);
    let established = kept.lines().iter().filter(|l| l["kind"] == "established").count();
    assert!(established > 0);
    assert_eq!((&cut.json()["ending"], &cut.json()["established"]), (&"cut".into(), &established.into()));
}

/// Without --output the journal is a temporary file.
fn a_full_disk_for_temporary_files() {
    let dir = Journal::new();
    let line = "run --conns 40 --rate 5 --duration 400ms --format json";
    let done = with_small_disk(&dir, "TMPDIR=$DISK exec \"$@\"", line).exits(1);
    let done = done.tells(&["error: writing the journal (temporary): after about", NO_SPACE, "TMPDIR"]);
    assert_eq!(done.report()["packets"]["intended"], 80);
}

fn a_reader_of_stdout_who_left() {
    let journal = Journal::new();
    for form in ["text", "json", "ctraffic"] {
        let line = format!("{RUN} --format {form} {}", journal.option());
        run_with(&mut tg(&line), closed_pipe(), Stdio::piped()).exits(0).keeps_from(&["error", "Broken pipe"]);
        whole(&journal.report("--format json").exits(0).report());
    }
    let report = format!("report {}", journal.path().display());
    let analysis = format!("{report} --analyze connections");
    for line in [&report, &analysis, "doctor", "completions zsh", "--help", "run --help", "help serve", "--version"] {
        let done = run_with(&mut tg(line), closed_pipe(), Stdio::piped()).exits(0);
        assert_eq!(done.stderr, "", "{done}");
    }
    // What failed has failed, whoever listens.
    run_with(&mut tg(&format!("{RUN} --expect lasting==3")), closed_pipe(), Stdio::piped()).exits(3);
    // As people write it.
    let piped = format!("\"$@\" {RUN} | true");
    let done = run(std::process::Command::new("sh").args(["-c", &piped, "sh", TG])).exits(0);
    done.tells(&["was started"]).keeps_from(&["error"]);
}

fn a_reader_of_stderr_who_left() {
    let line = "run --conns 4 --rate 50 --duration 1200ms --format json --monitor";
    let done = run_with(&mut tg(line), Stdio::piped(), closed_pipe()).exits(0);
    assert_eq!(done.report()["lasting"], 4);
    run_with(&mut tg("run --conns 0"), Stdio::piped(), closed_pipe()).exits(2).prints_nothing();
    run_with(&mut tg("run --bogus"), Stdio::piped(), closed_pipe()).exits(2).prints_nothing();
    run_with(&mut tg("report /nowhere"), Stdio::piped(), closed_pipe()).exits(1).prints_nothing();
    run_with(&mut tg(&format!("{RUN} --expect lost>0")), Stdio::piped(), closed_pipe()).exits(3);
    let mut server = start_with(&mut tg("serve --listen 127.0.0.1:0"), Stdio::piped(), closed_pipe());
    // It says nothing that could be heard: it is up when it has its sockets.
    eventually("the server's thread", || {
        let mut tasks = std::fs::read_dir(format!("/proc/{}/task", server.id())).unwrap();
        let is_up = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
        tasks.find_map(|task| is_up(task.ok()?).filter(|name| name.trim() == "tg-signals"))
    });
    assert!(!server.has_ended());
    server.signal("TERM");
    server.end().exits(0);
}

/// With neither stdin nor stdout nor stderr a file that is opened must not take their numbers.
fn nobody_there_at_all() {
    let journal = Journal::new();
    let line = format!("{RUN} {}", journal.option());
    run(&mut through(&["sh", "-c", "exec \"$@\" <&- >&- 2>&-", "sh"], &line)).exits(0);
    whole(&journal.report("--format json").exits(0).report());
}

/// The report waits for room in a pipe; a signal ends that.
fn a_reader_who_does_not_read() {
    let journal = Journal::new();
    let (_reader, mut writer) = std::io::pipe().unwrap();
    // As much as a pipe holds (pipe(7)).
    writer.write_all(&[0; 65536]).unwrap();
    let line = format!("{RUN} {}", journal.option());
    let mut run = start_with(&mut tg(&line), writer, Stdio::piped());
    journal.awaits(1, "footer");
    // Until the run itself is over, a signal is for it.
    eventually("it ends by a signal", || {
        run.signal("TERM");
        run.has_ended().then_some(())
    });
    run.end().exits(128 + libc::SIGTERM);
    whole(&journal.report("--format json").exits(0).report());
}
