//! Help, completions and `doctor`: they go well anywhere, in 80 columns.

use crate::faults_support::{Done, run, tg};
use crate::support::Suite;

const COMMANDS: [&str; 9] = ["", "run", "serve", "predict", "report", "lab", "observe", "doctor", "completions"];

pub fn add(suite: &mut Suite) {
    for command in COMMANDS {
        suite
            .test(format!("help::{}", if command.is_empty() { "tg-cli" } else { command }), &[], move || help(command));
    }
    suite.test("help::version".into(), &[], version);
    suite.test("help::completions".into(), &[], completions);
    suite.test("help::doctor".into(), &[], doctor);
}

#[track_caller]
fn fits(done: &Done) {
    for line in done.stdout.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
}

fn help(command: &str) {
    for columns in ["80", "200"] {
        for asked in [format!("{command} --help"), format!("{command} -h"), format!("help {command}")] {
            let done = run(tg(&asked).env("COLUMNS", columns)).exits(0);
            assert_eq!(done.stderr, "", "{done}");
            fits(&done);
            let done = done.prints(&["Usage: tg-cli", "Examples:\n  tg-cli "]);
            // Every default is shown.
            if command == "run" {
                done.prints(&["[default: 80]", "[default: 5]", "[default: 1024]", "[default: 10s]", "Exit codes: 0"]);
            }
        }
    }
}

fn version() {
    run(&mut tg("--version")).exits(0).prints(&[concat!("tg-cli ", env!("CARGO_PKG_VERSION"), "\n")]);
}

fn completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = run(&mut tg(&format!("completions {shell}"))).exits(0);
        assert_eq!(done.stderr, "", "{done}");
        done.prints(&["tg-cli", "until-signal", "completions", "response-timeout"]);
    }
}

fn doctor() {
    let done = run(&mut tg("doctor --conns 50")).exits(0);
    fits(&done);
    done.prints(&["io_uring ", "epoll ", "open files ", "82 are needed for 50", "clock ", "waking up ", "--realtime "]);
    let json = run(&mut tg("doctor --conns 50 --format json")).exits(0).json();
    assert_eq!(json["descriptors"]["needed"], 82);
    assert!(json["uring_refused"].is_null() == (json["engine"] == "uring"), "{json}");
}
