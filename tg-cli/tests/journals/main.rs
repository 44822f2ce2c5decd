//! Journals that are not as a run in good order leaves them: what can be read is reported, what cannot is
//! told, and no file makes the reader panic.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod cut;
mod damaged;
mod foreign;

#[path = "../faults_support/mod.rs"]
mod faults_support;
#[path = "../../../tg-core/tests/support/mod.rs"]
mod support;

use faults_support::{Journal, run, tg};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;
use support::Suite;
use tempfile::TempDir;

fn main() -> ExitCode {
    let mut suite = Suite::default();
    cut::add(&mut suite);
    damaged::add(&mut suite);
    foreign::add(&mut suite);
    suite.run()
}

/// Every form of a report.
const FORMS: [&str; 6] = [
    "--format text",
    "--format json",
    "--format ctraffic",
    "--analyze hosts",
    "--analyze connections",
    "--analyze throughput",
];

/// A small real journal, of a run that lost nothing and of one that never had a connection. Made once.
fn real() -> [Vec<u8>; 2] {
    static REAL: LazyLock<[Vec<u8>; 2]> = LazyLock::new(make);
    REAL.clone()
}

fn make() -> [Vec<u8>; 2] {
    // Has the port and does not listen.
    let refusing = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    refusing.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = refusing.local_addr().unwrap().as_socket().unwrap();
    // The first has echoes: longer than a starved machine sends nothing, and over before the second sample.
    ["--rate 4 --duration 700ms".to_owned(), format!("--rate 50 --duration 50ms --address {address} --backoff 20ms")]
        .map(|options| {
            let journal = Journal::new();
            let line = format!("run --conns 1 {options} {}", journal.option());
            run(&mut tg(&line)).exits(0);
            std::fs::read(journal.path()).unwrap()
        })
}

/// Files, gone with the test.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }
}

/// The objects that stand one after the other.
fn objects(text: &str) -> Vec<Value> {
    serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().unwrap()
}
