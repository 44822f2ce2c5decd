//! `serve`: the server, until a signal ends it. Changes when an option of it does.

use crate::exit::Problem;
use crate::output;
use crate::report::some;
use crate::run::{Stop, StopSignals};
use crate::span;
use clap::{Args, ValueEnum};
use std::io::ErrorKind;
use std::net::SocketAddr;
use tg_core::server::{self, Config, Drain, IdentityFields, ServerEngine, ServerError, ServerHandle, Stats};
use tg_core::sys::limits;

const EXAMPLES: &str = "\
Examples:
  tg-cli serve                          127.0.0.1:5003 and [::1]:5003
  tg-cli serve --listen [::]:5003 --udp every address of this host, UDP too
  tg-cli serve --listen 127.0.0.1:5101 --name pod-1 --drain wait 5
      as a pod that is given time to go

The names of pod and node are taken from POD_NAME, POD_UID and NODE_NAME.
A second SIGINT or SIGTERM ends it at once.";

/// Answer traffic: ctraffic's clients and tg's
#[allow(rustdoc::broken_intra_doc_links, reason = "what is in brackets is an address, shown by --help")]
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// Addresses to listen on; port 0 is a free one
    /// [default: 127.0.0.1:5003 [::1]:5003]
    #[arg(short, long, value_name = "ADDR:PORT", num_args = 1.., value_parser = address)]
    listen: Vec<SocketAddr>,
    /// Answer datagrams, too
    #[arg(short, long)]
    udp: bool,
    /// What the server calls itself [default: the host's name]
    #[arg(long)]
    name: Option<String>,
    /// What SIGTERM does with connections: `close` them as a process that dies,
    /// `reset` them, or `wait SECONDS` for them to go
    #[arg(long, value_name = "HOW", default_value = "close", num_args = 1..=2)]
    drain: Vec<String>,
    /// What does the IO; `uring` is TCP only
    #[arg(long, value_enum, default_value_t = Engine::Epoll)]
    engine: Engine,
    /// End with the process that started this one, however that ends; PID is
    /// that process
    #[arg(long, value_name = "PID")]
    with_parent: Option<u32>,
}

/// What does the server's IO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    Epoll,
    Uring,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "want ADDRESS:PORT, as 127.0.0.1:5003 or [::]:5003 (every address)".to_owned())
}

/// `close`, `reset`, or `wait` and a number of seconds or a time.
fn drain(words: &[String]) -> Result<Drain, String> {
    let words: Vec<&str> = words.iter().flat_map(|w| w.split([' ', '='])).filter(|w| !w.is_empty()).collect();
    match words.as_slice() {
        ["close"] => Ok(Drain::Close),
        ["reset"] => Ok(Drain::Reset),
        ["wait", time] => {
            let time =
                if time.ends_with(|c: char| c.is_ascii_digit()) { format!("{time}s") } else { (*time).to_owned() };
            span::parse(&time).map(Drain::Wait)
        }
        _ => Err(format!("--drain {}: want close, reset or wait SECONDS", words.join(" "))),
    }
}

fn config(args: &ServeArgs, environment: impl Fn(&str) -> Option<String>) -> Result<Config, Problem> {
    let known = |name| environment(name).unwrap_or_default();
    let config = Config {
        listen: args.listen.clone(),
        udp: args.udp,
        drain: drain(&args.drain).map_err(Problem::usage_words)?,
        engine: match args.engine {
            Engine::Epoll => ServerEngine::Epoll,
            Engine::Uring => ServerEngine::Uring,
        },
        identity: IdentityFields { pod: known("POD_NAME"), pod_uid: known("POD_UID"), node: known("NODE_NAME") },
        ..Config::default()
    };
    Ok(match &args.name {
        Some(name) => Config { name: name.clone(), ..config },
        None => config,
    })
}

pub fn serve(args: &ServeArgs) -> Result<(), Problem> {
    args.with_parent.map_or(Ok(()), end_with_parent)?;
    let mut signals = StopSignals::catch()?;
    let config = config(args, |name| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned()))?;
    let name = config.name.clone();
    // Each connection takes a descriptor. Where more cannot be had, the last line will tell.
    let _ = limits::raise_descriptors(u64::MAX);
    // Not after the start: from its first connection on a server drains.
    signals.prepared();
    let server = server::start(config).map_err(problem)?;
    announce(&name, &server);
    let stopper = server.stopper();
    let (handle, waiting) = (signals.handle(), std::thread::Builder::new().name("tg-signals".into()));
    let waiting = waiting
        .spawn(move || {
            while let Some(stop) = signals.wait() {
                match stop {
                    Stop::InOrder => stopper.stop(),
                    Stop::AtOnce => stopper.close_now(),
                }
            }
        })
        .map_err(|e| Problem::Failed(anyhow::Error::new(e).context("starting the thread that waits for signals")))?;
    let stats = server.wait().map_err(problem);
    handle.close();
    // It ends by `close`, and has nothing to tell.
    let _ = waiting.join();
    output::stderr(&summary(&name, &stats?));
    Ok(())
}

/// Has the kernel kill this process when the thread that started it ends.
fn end_with_parent(pid: u32) -> Result<(), Problem> {
    let set = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL);
    set.map_err(|e| Problem::Failed(anyhow::Error::new(e).context("asking to end with the parent")))?;
    // Where it ended before that was asked for, nothing would ever come.
    if std::os::unix::process::parent_id() != pid {
        return Err(Problem::Failed(anyhow::anyhow!("process {pid} is not the parent, or it has ended")));
    }
    Ok(())
}

fn announce(name: &str, server: &ServerHandle) {
    for (protocol, address) in server.sockets() {
        output::stderr(&format!("{name} listens on {protocol} {address}"));
    }
    if let Some(left_out) = server.left_out() {
        output::stderr(&format!("note: not on {}: {}", left_out.address, left_out.reason));
    }
}

fn summary(name: &str, stats: &Stats) -> String {
    let mut text = format!("{name} served {}", some(stats.connections_total, "connection"));
    if stats.datagrams_received > 0 {
        text += &format!(", {}", some(stats.datagrams_received, "datagram"));
    }
    let unanswered = stats.datagrams_failed + stats.datagrams_truncated;
    if unanswered > 0 {
        text += &format!(", {unanswered} of them not answered");
    }
    if stats.accept_errors > 0 {
        text += &format!("; {} of accept: see `ulimit -n`", some(stats.accept_errors, "error"));
    }
    text
}

/// The error with what to do about it.
fn problem(error: ServerError) -> Problem {
    let advice = match &error {
        e if e.is_usage() => return Problem::usage(error),
        ServerError::AddressInUse { .. } => "end what has it (`ss -ltunp` shows it), or choose another with --listen",
        ServerError::Listen { error, .. } if error.kind() == ErrorKind::PermissionDenied => {
            "ports below 1024 need CAP_NET_BIND_SERVICE: choose another with --listen"
        }
        ServerError::Listen { error, .. } if error.kind() == ErrorKind::AddrNotAvailable => {
            "this host does not have it: `ip address` shows those that it has"
        }
        ServerError::RingRefused(_) => "take --engine epoll; `tg-cli doctor` tells more",
        _ => return Problem::failed(error),
    };
    Problem::Failed(anyhow::anyhow!("{error}; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;
    use std::time::Duration;

    fn of(line: &str) -> Result<Config, Problem> {
        let words = ["tg-cli", "serve"].into_iter().chain(line.split_whitespace());
        match Cli::try_parse_from(words).unwrap().command {
            Command::Serve(args) => config(&args, |name| (name == "POD_NAME").then(|| "pod-7".into())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_option_reaches_the_server() {
        let got = of("--listen [::]:5003 127.0.0.1:0 --listen [::1]:1 --udp --name pod-1 --engine uring").unwrap();
        let listen: Vec<String> = got.listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["[::]:5003", "127.0.0.1:0", "[::1]:1"]);
        assert!(got.udp);
        assert_eq!((got.name.as_str(), got.engine, got.drain), ("pod-1", ServerEngine::Uring, Drain::Close));
        assert_eq!(got.identity, IdentityFields { pod: "pod-7".into(), ..IdentityFields::default() });
        assert_eq!(of("").unwrap().name, Config::default().name);
    }

    #[test]
    fn the_drain_may_be_written_in_one_word_or_two() {
        let second = Duration::from_secs(1);
        for (line, want) in [
            ("close", Drain::Close),
            ("reset --udp", Drain::Reset),
            ("wait 5", Drain::Wait(5 * second)),
            ("wait=5", Drain::Wait(5 * second)),
            ("wait 1.5s --udp", Drain::Wait(second * 3 / 2)),
        ] {
            assert_eq!(of(&format!("--drain {line}")).unwrap().drain, want, "{line}");
        }
        for line in ["wait", "wait -5", "close 5", "drop", "wait often", "wait 1x", "wait ."] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert!(drain(&words).unwrap_err().contains("want"), "{line}");
        }
    }

    #[test]
    fn an_error_says_which_address_and_what_to_do() {
        let address = "127.0.0.1:5003".parse().unwrap();
        let taken = problem(ServerError::AddressInUse { protocol: server::Protocol::Tcp, address });
        let Problem::Failed(error) = taken else { panic!("{taken:?}") };
        assert!(error.to_string().contains("127.0.0.1:5003") && error.to_string().contains("--listen"), "{error}");
        assert!(matches!(problem(ServerError::UdpNeedsEpoll), Problem::Usage(_)));
    }

    #[test]
    fn the_last_line_tells_what_went_wrong_only_where_something_did() {
        let mut stats = Stats { connections_total: 1, ..Stats::default() };
        assert_eq!(summary("pod-1", &stats), "pod-1 served 1 connection");
        stats = Stats { datagrams_received: 5, datagrams_failed: 2, accept_errors: 3, ..stats };
        let want =
            "pod-1 served 1 connection, 5 datagrams, 2 of them not answered; 3 errors of accept: see `ulimit -n`";
        assert_eq!(summary("pod-1", &stats), want);
    }
}
