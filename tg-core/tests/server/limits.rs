//! A server that runs out of descriptors: in a process of its own, with a low limit.

use crate::support::Capability;
use crate::{SOCKETS, await_that, config, connect, round_trip};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;
use tg_core::server::{Config, ServerEngine, start};

pub fn register(suite: &mut crate::support::Suite) {
    for (name, engine, needs) in
        [("epoll", ServerEngine::Epoll, &[][..]), ("uring", ServerEngine::Uring, &[Capability::Uring])]
    {
        let test = move || without_descriptors_it_neither_spins_nor_ends(engine);
        suite.test(test_name(name), needs, test);
    }
}

fn test_name(engine: &str) -> String {
    format!("{}::{engine}::without_descriptors_it_neither_spins_nor_ends", module_path!())
}

const DESCRIPTORS: usize = 40;
const CLIENTS: usize = 60;
/// Set in the process that is to be the server.
const CHILD: &str = "TG_TEST_SERVER_WITHOUT_DESCRIPTORS";

/// The test runs itself again under a lower limit; there it is the server.
fn without_descriptors_it_neither_spins_nor_ends(engine: ServerEngine) {
    match std::env::var_os(CHILD) {
        Some(_) => be_the_server(engine),
        None => test_the_server(engine),
    }
}

/// Tells its address, then its figures for each line that it is asked with.
fn be_the_server(engine: ServerEngine) {
    let server = start(Config { engine, ..config() }).unwrap();
    eprintln!("address {}", server.addresses()[0]);
    for _ in std::io::stdin().lines() {
        let stats = server.stats();
        eprintln!("stats {} {}", stats.accept_errors, stats.connections);
    }
}

fn test_the_server(engine: ServerEngine) {
    let mut server = OtherProcess::start(engine);
    let address: SocketAddr = server.line("address ").parse().unwrap();
    let mut streams: Vec<_> = (0..CLIENTS).map(|_| connect(address)).collect();
    let (_, accepted) = await_that("an error of accept", || Some(server.stats()).filter(|(errors, _)| *errors > 0));
    assert!((1..=DESCRIPTORS).contains(&accepted), "{accepted}");
    // Those that it has are served.
    round_trip(&mut streams[0], &[0; 64]);
    // The others have their turn as descriptors come back.
    streams.drain(..CLIENTS / 2);
    for stream in &mut streams {
        round_trip(stream, &[0; 64]);
    }
    // One error a pause, not as many as the processor can make.
    let (errors, _) = server.stats();
    assert!(errors < 1000, "{errors} errors");
    server.end();
}

struct OtherProcess {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
}

impl OtherProcess {
    fn start(engine: ServerEngine) -> OtherProcess {
        let test = test_name(&format!("{engine:?}").to_lowercase());
        let _alone = SOCKETS.write().unwrap_or_else(PoisonError::into_inner);
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$@\"")])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", &test, "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        OtherProcess { child, lines }
    }

    /// The rest of the next line, which starts so.
    fn line(&mut self, start: &str) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim().strip_prefix(start).unwrap_or_else(|| panic!("{line:?}")).to_owned()
    }

    /// Errors of accept, connections now.
    fn stats(&mut self) -> (usize, usize) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let line = self.line("stats ");
        let (errors, connections) = line.split_once(' ').unwrap();
        (errors.parse().unwrap(), connections.parse().unwrap())
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}
