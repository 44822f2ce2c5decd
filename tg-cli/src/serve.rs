//! `tg-cli serve`: the server until a signal ends it. Changes with its arguments and with what it says.

use anyhow::Context as _;
use clap::error::ErrorKind;
use clap::{Args, Command, ValueEnum};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::env;
use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;
use tg_core::server::{self, Config, Drain, IdentityFields, ServerEngine, ServerError, ServerHandle, Stats, Stopper};
use tg_core::sys::limits;

const EXAMPLES: &str = "\
Examples:
  tg-cli serve                                    on loopback, port 5003
  tg-cli serve --listen '[::]:5003' --udp         on all addresses, IPv4 and IPv6, TCP and UDP
  tg-cli serve --name pod-1 --drain wait 10s      as a pod that drains for 10 s when it is ended

SIGTERM and SIGINT do what --drain says; a second one ends a drain at once.";

/// Answer runs: echo what clients send, with this server's name in each connection's first packet.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ServeArgs {
    /// Where to listen [default: 127.0.0.1:5003 and [::1]:5003]. `[::]:PORT` takes IPv4 too; port 0 is a
    /// free one.
    #[arg(long, value_name = "ADDR:PORT", num_args = 1.., value_parser = address)]
    pub listen: Vec<SocketAddr>,

    /// Answer UDP too, on the same addresses and ports.
    #[arg(long)]
    pub udp: bool,

    /// What clients see as this host, 63 bytes at most [default: the host name].
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub name: Option<String>,

    /// What SIGTERM does: `close` everything at once, as a process that dies; `reset` each connection;
    /// `wait TIME` for connections to end, accepting no more, and close the rest then.
    #[arg(long, value_names = ["HOW", "TIME"], num_args = 1..=2, default_value = "close")]
    pub drain: Vec<String>,

    /// What does the IO. `uring` (tokio-uring) knows TCP only.
    #[arg(long, value_enum, default_value_t = Engine::Epoll)]
    pub engine: Engine,
}

/// What does the server's IO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// epoll.
    Epoll,
    /// io_uring.
    Uring,
}

/// Serves until a signal ends it.
///
/// # Errors
/// A [`clap::Error`] where the arguments contradict each other; else what the server could not do.
pub fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let config = config(args)?;
    // Each connection takes a descriptor. Where the limit cannot be raised, accepting will tell.
    let _ = limits::raise_descriptors(u64::MAX);
    // Before anybody learns that the server is there and may end it.
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("install the signal handlers")?;
    let server = server::start(config).map_err(explain)?;
    announce(&server);
    let stopper = server.stopper();
    // It waits for signals until the process ends.
    std::thread::Builder::new()
        .name("tg-signals".into())
        .spawn(move || obey(signals.forever(), &stopper))
        .context("start the thread for signals")?;
    let stats = server.wait()?;
    say(&summary(&stats));
    Ok(())
}

fn config(args: ServeArgs) -> Result<Config, clap::Error> {
    let drain = drain(&args.drain.join(" "))
        .map_err(|reason| usage(ErrorKind::ValueValidation, format!("invalid value for '--drain': {reason}")))?;
    let mut config = Config {
        listen: args.listen,
        udp: args.udp,
        drain,
        engine: match args.engine {
            Engine::Epoll => ServerEngine::Epoll,
            Engine::Uring => ServerEngine::Uring,
        },
        identity: IdentityFields {
            pod: variable("POD_NAME"),
            pod_uid: variable("POD_UID"),
            node: variable("NODE_NAME"),
        },
        ..Config::default()
    };
    if let Some(name) = args.name {
        config.name = name;
    }
    Ok(config)
}

/// An environment variable of Kubernetes' downward API; empty where it is not set.
fn variable(name: &str) -> String {
    env::var_os(name).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
}

fn usage(kind: ErrorKind, message: impl std::fmt::Display) -> clap::Error {
    ServeArgs::augment_args(Command::new("tg-cli serve")).error(kind, message)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address and a port are wanted, as 127.0.0.1:5003 or [::]:5003".to_owned())
}

/// `close`, `reset`, `wait 10s`, `wait=10s`; without a unit, seconds.
fn drain(text: &str) -> Result<Drain, String> {
    let (how, time) = match text.split_once([' ', '=']) {
        Some((how, time)) => (how, Some(time.trim())),
        None => (text, None),
    };
    match (how, time) {
        ("close", None) => Ok(Drain::Close),
        ("reset", None) => Ok(Drain::Reset),
        ("wait", Some(time)) => Ok(Drain::Wait(duration(time)?)),
        ("wait", None) => Err("'wait' needs a time, as in 'wait 10s'".into()),
        _ => Err(format!("'{text}' is none of 'close', 'reset', 'wait TIME'")),
    }
}

/// A number with `ms`, `s`, `m` or `h`; without a unit, seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("'{text}' is not a time, as 10s, 1.5s, 500ms or 2m");
    let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(bad()),
    };
    let number: f64 = number.parse().map_err(|_| bad())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| bad())
}

/// Adds what to do about it.
fn explain(error: ServerError) -> anyhow::Error {
    let advice = match &error {
        e if e.is_usage() => return usage(ErrorKind::ArgumentConflict, e).into(),
        ServerError::AddressInUse { address, .. } => {
            format!(
                "end the server that has port {} (`ss -ltunp` shows it), or choose another with --listen",
                address.port()
            )
        }
        ServerError::Listen { source, .. } => match source.kind() {
            std::io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE: choose another".into(),
            std::io::ErrorKind::AddrNotAvailable => {
                "this host does not have the address: `ip address` shows those it has".into()
            }
            _ => return error.into(),
        },
        ServerError::RingRefused(_) => {
            "take --engine epoll, or allow io_uring (sysctl kernel.io_uring_disabled, seccomp)".into()
        }
        _ => return error.into(),
    };
    anyhow::anyhow!("{error}; {advice}")
}

fn announce(server: &ServerHandle) {
    if let Some(left_out) = server.left_out() {
        say(&format!("not listening on {}: {}", left_out.address, left_out.reason));
    }
    for (protocol, address) in server.sockets() {
        say(&format!("listening on {protocol} {address}"));
    }
}

fn obey(mut signals: impl Iterator<Item = i32>, stopper: &Stopper) {
    if signals.next().is_some() {
        stopper.stop();
    }
    if signals.next().is_some() {
        stopper.close_now();
    }
}

fn summary(stats: &Stats) -> String {
    let mut text = format!("served {} connections, {} bytes", stats.connections_total, stats.bytes_sent);
    let more = [
        (stats.datagrams_received, "datagrams"),
        (stats.datagrams_failed + stats.datagrams_truncated, "datagrams not answered"),
        (stats.accept_errors, "errors of accept (out of descriptors? see `ulimit -n`)"),
    ];
    for (count, what) in more.into_iter().filter(|(count, _)| *count > 0) {
        text += &format!(", {count} {what}");
    }
    text
}

/// A line on stderr. A stderr that is closed is no reason to end.
fn say(line: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "tg-cli: {line}").and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        serve: ServeArgs,
    }

    fn parse(args: &[&str]) -> Result<Config, clap::Error> {
        Cli::try_parse_from([&["serve"], args].concat()).and_then(|cli| config(cli.serve))
    }

    #[test]
    fn defaults_are_loopback_tcp_and_close() {
        let config = parse(&[]).unwrap();
        assert_eq!((config.listen.len(), config.udp, config.drain), (0, false, Drain::Close));
        assert_eq!((config.engine, config.name), (ServerEngine::Epoll, Config::default().name));
    }

    #[test]
    fn addresses_come_one_by_one_or_together() {
        let want: Vec<SocketAddr> = vec!["127.0.0.1:1".parse().unwrap(), "[::]:2".parse().unwrap()];
        assert_eq!(parse(&["--listen", "127.0.0.1:1", "[::]:2", "--udp"]).unwrap().listen, want);
        assert_eq!(parse(&["--listen", "127.0.0.1:1", "--listen", "[::]:2"]).unwrap().listen, want);
        for bad in ["localhost:1", "127.0.0.1", "::1:x", "127.0.0.1:70000", ""] {
            assert!(parse(&["--listen", bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn drain_is_understood_in_each_form() {
        let wait = |ms| Drain::Wait(Duration::from_millis(ms));
        for (args, want) in [
            (&["close"][..], Drain::Close),
            (&["reset"], Drain::Reset),
            (&["wait", "10s"], wait(10_000)),
            (&["wait 1.5s"], wait(1500)),
            (&["wait=250ms"], wait(250)),
            (&["wait", "2"], wait(2000)),
            (&["wait=2m"], wait(120_000)),
            (&["wait=0"], wait(0)),
        ] {
            assert_eq!(parse(&[&["--drain"], args].concat()).unwrap().drain, want, "{args:?}");
        }
    }

    #[test]
    fn a_bad_drain_is_a_usage_error_that_says_why() {
        for bad in ["", "wait", "wait=", "wait=x", "wait=-1s", "wait=1e400h", "wait=1d", "wait=.", "close=1s", "later"]
        {
            let error = parse(&["--drain", bad]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{bad:?}");
            assert!(error.to_string().contains("--drain"), "{error}");
        }
    }

    #[test]
    fn an_empty_name_is_a_usage_error() {
        assert_eq!(parse(&["--name", ""]).unwrap_err().exit_code(), 2);
        assert_eq!(parse(&["--name", "pod-1"]).unwrap().name, "pod-1");
    }

    #[test]
    fn udp_on_tokio_uring_is_a_usage_error() {
        let args = Cli::try_parse_from(["serve", "--udp", "--engine", "uring"]).unwrap().serve;
        let error = serve(args).unwrap_err();
        assert_eq!(error.downcast_ref::<clap::Error>().unwrap().exit_code(), 2);
    }

    #[test]
    fn each_error_says_what_to_do() {
        let address = "127.0.0.1:5003".parse().unwrap();
        let error = explain(ServerError::AddressInUse { protocol: server::Protocol::Tcp, address });
        let text = error.to_string();
        assert!(text.contains("127.0.0.1:5003") && text.contains("--listen"), "{text}");
    }
}
