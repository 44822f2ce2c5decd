//! The server as its clients see it: real sockets on loopback, each engine by the same tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the clients are real sockets")]

mod drain;
mod limits;
#[path = "../support/mod.rs"]
mod support;
mod tcp;
mod udp;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};
use tg_core::server::{Config, IdentityFields, ServerEngine, ServerHandle, Stats, start};

/// How long a test waits for what must happen, before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process that is started has copies of all sockets until it runs, and their ports are taken for so long: who
/// starts one holds this alone meanwhile, every other test holds it.
static SOCKETS: RwLock<()> = RwLock::new(());

fn beside_others(body: impl FnOnce()) {
    let _held = SOCKETS.read().unwrap_or_else(PoisonError::into_inner);
    body();
}

/// Registers each function as a test of either engine.
macro_rules! on_both_engines {
    ($suite:expr, $($name:ident),* $(,)?) => {$(
        let name = |engine| format!("{}::{engine}::{}", module_path!(), stringify!($name));
        let test = |engine| move || crate::beside_others(|| $name(engine));
        $suite.test(name("epoll"), &[], test(tg_core::server::ServerEngine::Epoll));
        $suite.test(name("uring"), &[crate::support::Capability::Uring], test(tg_core::server::ServerEngine::Uring));
    )*};
}
pub(crate) use on_both_engines;

/// Registers each function as a test.
macro_rules! once {
    ($suite:expr, $($name:ident),* $(,)?) => {$(
        let test = || crate::beside_others($name);
        $suite.test(format!("{}::{}", module_path!(), stringify!($name)), &[], test);
    )*};
}
pub(crate) use once;

fn main() -> std::process::ExitCode {
    let mut suite = support::Suite::default();
    drain::register(&mut suite);
    limits::register(&mut suite);
    tcp::register(&mut suite);
    udp::register(&mut suite);
    suite.run()
}

/// A free port of a loopback address that no other test has: what a test gives back stays free.
fn config() -> Config {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    listening(&format!("127.1.{high}.{low}:0"))
}

fn listening(listen: &str) -> Config {
    Config {
        listen: vec![listen.parse().unwrap()],
        name: "pod-1".into(),
        identity: IdentityFields { pod: "pod-1".into(), pod_uid: "u-1".into(), node: "node-1".into() },
        ..Config::default()
    }
}

fn serve(engine: ServerEngine) -> ServerHandle {
    start(Config { engine, ..config() }).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends `bytes` and reads as many.
fn round_trip(stream: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    stream.write_all(bytes).unwrap();
    let mut echo = vec![0; bytes.len()];
    stream.read_exact(&mut echo).unwrap();
    echo
}

/// A connection that the server has accepted and answered.
fn connected(server: &ServerHandle) -> TcpStream {
    let mut stream = connect(server.addresses()[0]);
    round_trip(&mut stream, &[0; 64]);
    stream
}

/// Waits until the server's figures are as wanted.
fn await_stats(server: &ServerHandle, what: &str, wanted: impl Fn(&Stats) -> bool) -> Stats {
    await_that(what, || Some(server.stats()).filter(|stats| wanted(stats)))
}

/// Waits until the server has ended; its last figures.
fn await_end(server: ServerHandle) -> Stats {
    await_that("the server's end", || server.is_finished().then_some(()));
    server.wait().unwrap()
}

/// Asks again and again until there is an answer.
fn await_that<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "never came: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
