//! What this machine does not grant: file descriptors, real-time scheduling.

use crate::faults_support::{Journal, TG, after, eventually, run, start, tg};
use crate::standin::behaviour::Behaviour;
use crate::standin::server::{Counts, Options, Server};
use crate::support::{Capability, Suite};
use std::fs;
use std::os::unix::fs::PermissionsExt;

pub fn add(suite: &mut Suite) {
    suite.test("limits::descriptors_before_the_first_attempt".into(), &[], descriptors_before_the_first_attempt);
    suite.test("limits::descriptors_of_the_own_server_too".into(), &[], descriptors_of_the_own_server_too);
    for engine in ["epoll", "uring"] {
        let needs: &[Capability] = if engine == "uring" { &[Capability::Uring] } else { &[] };
        suite.test(format!("limits::{engine}::a_replacement_needs_none_more"), needs, move || replaced(engine));
    }
    suite.test("limits::a_soft_limit_is_raised".into(), &[], a_soft_limit_is_raised);
    suite.test("limits::hardly_any_descriptor_at_all".into(), &[], hardly_any_descriptor_at_all);
    suite.test("limits::realtime_refused".into(), &[Capability::Root], realtime_refused);
    suite.test("limits::realtime_granted".into(), &[Capability::Realtime], realtime_granted);
}

fn limited(descriptors: u64, line: &str) -> std::process::Command {
    after(&format!("ulimit -Sn {descriptors} && ulimit -Hn {descriptors}"), line)
}

/// The number in "`ulimit -n N`".
fn number_told(stderr: &str) -> u64 {
    let rest = stderr.split_once("`ulimit -n ").unwrap().1;
    rest.split_once('`').unwrap().0.parse().unwrap()
}

fn descriptors_before_the_first_attempt() {
    for engine in ["epoll", "auto"] {
        let server = Server::start(Options::new("pod-1", "127.0.0.1:0".parse().unwrap())).unwrap();
        let line = format!("run --address {} --conns 100 --duration 50ms --engine {engine}", server.addr());
        let refused = run(&mut limited(64, &line)).exits(2).prints_nothing();
        let refused = refused.tells(&["64 may be had", "take fewer connections"]);
        assert_eq!(server.counts(), Counts::default(), "no attempt yet");
        // What is told to be enough is enough, and not more than enough.
        let enough = number_told(&refused.stderr);
        assert!(refused.stderr.contains(&format!("{enough} file descriptors are needed")), "{refused}");
        run(&mut limited(enough - 1, &line)).exits(2);
        run(&mut limited(enough, &line)).exits(0).prints(&["Lasting connections: 100\n"]);
        assert_eq!(server.counts().connections, 100);
    }
}

/// With no descriptor to spare each connection is lost, and replaced at once.
fn replaced(engine: &str) {
    let silent = Options { behaviour: Behaviour::Silent, ..Options::new("pod-1", "127.0.0.1:0".parse().unwrap()) };
    let server = Server::start(silent).unwrap();
    // Batched: they are lost in one go.
    let plan = "--conns 100 --rate 20 --batch 50ms --until-signal --response-timeout 100ms --format json";
    let journal = Journal::new();
    let line = format!("run --address {} {plan} --engine {engine} {}", server.addr(), journal.option());
    let enough = number_told(&run(&mut limited(30, &line)).exits(2).stderr);
    let running = start(&mut limited(enough, &line));
    journal.awaits(200, "established");
    running.signal("TERM");
    let report = running.end().exits(0).report();
    assert!(report["lost"].as_u64().unwrap() >= 100, "{report}");
    assert_eq!(report["failed_attempts"]["local_error"], 0, "{report}");
}

fn descriptors_of_the_own_server_too() {
    let line = "run --conns 40 --duration 50ms";
    let refused = run(&mut limited(64, line)).exits(2).prints_nothing();
    let refused = refused.tells(&["64 may be had", "take fewer connections"]);
    run(&mut limited(number_told(&refused.stderr), line)).exits(0).prints(&["Lasting connections: 40\n"]);
}

fn a_soft_limit_is_raised() {
    let line = "run --conns 40 --duration 50ms";
    run(&mut after("ulimit -Sn 64", line)).exits(0).prints(&["Lasting connections: 40\n"]);
}

/// From what the binary's own libraries need up to what nearly does.
fn hardly_any_descriptor_at_all() {
    for descriptors in 5..20 {
        let done = run(&mut limited(descriptors, "run --conns 1 --duration 50ms")).prints_nothing();
        let done = if done.stderr.contains("ulimit -n ") { done.exits(2) } else { done.exits(1) };
        assert!(done.stderr.matches("os error 24").count() <= 1, "told twice: {done}");

        let mut server = start(&mut limited(descriptors, "serve --listen 127.0.0.1:0 --udp"));
        let listens = eventually("it fails, or listens", || match server.has_ended() {
            true => Some(false),
            false => server.said().contains(" listens on udp").then_some(true),
        });
        if listens {
            server.signal("TERM");
            server.end().exits(0).tells(&[" served "]);
        } else {
            let done = server.end().exits(1).tells(&["error: ", "os error 24"]);
            assert_eq!(done.stderr.matches("os error 24").count(), 1, "told twice: {done}");
        }
    }
}

/// The binary where any user may run it.
fn readable_copy() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("tg-cli");
    fs::copy(TG, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let copy = copy.to_str().unwrap().to_owned();
    (dir, copy)
}

fn realtime_refused() {
    let (_dir, copy) = readable_copy();
    let nobody = ["prlimit", "--rtprio=0:0", "setpriv", "--reuid=65534", "--clear-groups", &copy];
    let nobody = |line: &str| {
        let mut command = std::process::Command::new(nobody[0]);
        command.args(&nobody[1..]).args(line.split(' '));
        command
    };
    let words = ["real-time scheduling: Operation not permitted", "CAP_SYS_NICE", "RLIMIT_RTPRIO"];
    for engine in ["auto", "epoll"] {
        let line = format!("run --conns 1 --duration 50ms --realtime --engine {engine}");
        run(&mut nobody(&line)).exits(1).prints_nothing().tells(&words);
    }
    run(&mut nobody("run --conns 1 --duration 50ms")).exits(0).prints(&["Lasting connections: 1\n"]);
    run(&mut nobody("doctor")).exits(0).prints(&["--realtime     is refused", "`ulimit -r`"]);
}

fn realtime_granted() {
    let journal = Journal::new();
    let line =
        format!("run --conns 2 --threads 2 --until-signal --realtime --monitor --format json {}", journal.option());
    let running = start(&mut tg(&line));
    running.is_watched();
    journal.awaits(2, "identified");
    let stats = fs::read_dir(format!("/proc/{}/task", running.id())).unwrap().map(|task| {
        let task = task.unwrap().path();
        fs::read_to_string(task.join("stat")).unwrap()
    });
    // proc_pid_stat(5): the policy is the 41st field, the 39th after the name.
    let policy = |stat: &String| stat.rsplit(") ").next()?.split(' ').nth(38)?.parse::<i32>().ok();
    let (shards, others): (Vec<_>, Vec<_>) = stats.partition(|stat| stat.contains("(tg-shard-"));
    assert_eq!(shards.iter().filter_map(policy).collect::<Vec<_>>(), [libc::SCHED_FIFO; 2]);
    assert!(others.iter().all(|stat| policy(stat) == Some(libc::SCHED_OTHER)), "{others:?}");
    running.signal("TERM");
    assert_eq!(running.end().exits(0).report()["lasting"], 2);
}
