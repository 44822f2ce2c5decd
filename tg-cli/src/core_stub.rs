//! Stands in for tg-core until it is merged.
#![allow(dead_code, reason = "a stand-in")]

pub mod run {
    use std::io::{self, BufReader};
    use std::path::PathBuf;
    use std::time::Duration;
    use tg_model::journal::{Header, Totals};
    use tg_model::plan::Plan;
    use tg_model::summary::Summary;

    #[derive(Debug)]
    pub struct StartError;
    impl std::fmt::Display for StartError {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("no core")
        }
    }
    impl std::error::Error for StartError {}
    impl StartError {
        pub fn is_usage(&self) -> bool {
            false
        }
    }
    pub type RunError = StartError;
    #[derive(Clone, Debug, Default)]
    pub struct Options {
        pub command: Vec<String>,
        pub journal: Option<PathBuf>,
    }
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub struct Snapshot {
        pub elapsed: Duration,
        pub active: u64,
        pub connecting: u64,
        pub totals: Totals,
        pub latency_p50_ns: u64,
        pub latency_p99_ns: u64,
        pub lateness_p99_ns: u64,
    }
    #[derive(Debug)]
    pub struct JournalFile {
        file: std::fs::File,
    }
    impl JournalFile {
        pub fn reader(&mut self) -> io::Result<BufReader<&std::fs::File>> {
            Ok(BufReader::new(&self.file))
        }
    }
    #[derive(Debug)]
    pub struct Outcome {
        pub summary: Summary,
        pub journal_error: Option<String>,
        pub journal: JournalFile,
    }
    #[derive(Debug)]
    pub struct RunHandle {
        header: Header,
    }
    pub fn start(_plan: Plan, _options: Options) -> Result<RunHandle, StartError> {
        Err(StartError)
    }
    impl RunHandle {
        pub fn header(&self) -> &Header {
            &self.header
        }
        pub fn snapshot(&self) -> Snapshot {
            Snapshot::default()
        }
        pub fn stop(&self) {}
        pub fn abort(&self) {}
        pub fn is_finished(&self) -> bool {
            true
        }
        pub fn wait(self) -> Result<Outcome, RunError> {
            Err(StartError)
        }
    }
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct WakeUp {
        pub p50_ns: u64,
        pub p90_ns: u64,
        pub max_ns: u64,
        pub suggested_spin_ns: u64,
    }
}

pub mod doctor {
    use super::run::WakeUp;
    use std::io;
    use tg_model::plan::EngineChoice;

    pub fn probe_uring() -> Result<(), String> {
        Err("no core".into())
    }
    pub fn descriptor_limit() -> io::Result<(u64, u64)> {
        Ok((1024, 4096))
    }
    pub fn clock_source() -> String {
        "tsc".into()
    }
    pub fn wake_up_error(_choice: EngineChoice) -> io::Result<(&'static str, WakeUp)> {
        Ok(("epoll", WakeUp { p50_ns: 1000, p90_ns: 2000, max_ns: 3000, suggested_spin_ns: 2000 }))
    }
    pub fn realtime() -> io::Result<()> {
        Err(io::Error::from_raw_os_error(1))
    }
}

pub mod server {
    use std::net::SocketAddr;
    use std::time::Duration;

    pub const DEFAULT_PORT: u16 = 5003;
    pub type ServerError = super::run::StartError;
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct Config {
        pub listen: Vec<SocketAddr>,
        pub udp: bool,
        pub name: String,
        pub drain: Drain,
        pub engine: ServerEngine,
        pub identity: IdentityFields,
    }
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct IdentityFields {
        pub pod: String,
        pub pod_uid: String,
        pub node: String,
    }
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum Drain {
        #[default]
        Close,
        Reset,
        Wait(Duration),
    }
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub enum ServerEngine {
        #[default]
        Epoll,
        Uring,
    }
    #[derive(Debug)]
    pub struct LeftOut {
        pub address: SocketAddr,
        pub reason: std::io::Error,
    }
    #[derive(Debug)]
    pub struct ServerHandle {
        addresses: Vec<SocketAddr>,
    }
    #[derive(Debug)]
    pub struct Stopper;
    impl Stopper {
        pub fn stop(&self) {}
        pub fn close_now(&self) {}
    }
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Stats {
        pub connections_total: u64,
        pub datagrams_received: u64,
        pub datagrams_sent: u64,
        pub accept_errors: u64,
    }
    pub fn start(_config: Config) -> Result<ServerHandle, ServerError> {
        Err(super::run::StartError)
    }
    impl ServerHandle {
        pub fn addresses(&self) -> &[SocketAddr] {
            &self.addresses
        }
        pub fn left_out(&self) -> Option<&LeftOut> {
            None
        }
        pub fn stop(&self) {}
        pub fn stopper(&self) -> Stopper {
            Stopper
        }
        pub fn is_finished(&self) -> bool {
            true
        }
        pub fn wait(self) -> Result<Stats, ServerError> {
            Ok(Stats::default())
        }
    }
}
