//! The options of `run`. Changes when one is added; each default is the plan's own.

use super::expect::Expectation;
use crate::span;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tg_model::plan::{self, EngineChoice, Rate, Spin, Target};

const EXAMPLES: &str = "\
Examples:
  tg-cli run
      80 connections, 5 packets/s each, for 10 s, to a server of its own
  tg-cli run --address [2001:db8::1]:5003 --until-signal --output run.jsonl
      through an upgrade, until Ctrl-C; its journal is kept for `report`
  tg-cli run --address mserver:5003 --resolve each --total-rate 400 --udp
      datagrams, the name resolved for each attempt
  tg-cli run --address 192.0.2.1:5003 --source 10.0.0.0/24 --conns 200
      one source address a connection
  tg-cli run --expect 'lost<=80' --expect never_connected==0 \
             --expect 'latency.p99_ns<5ms'
      for CI: exit code 3 where one does not hold
  tg-cli run --closed-loop --rate max --conns 1
      as fast as echoes return

Exit codes: 0 in order, 1 the run failed, 2 the command line is at fault,
3 an expectation does not hold.";

/// Keep connections at a precise packet rate and report what became of them
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// Server to connect to; several are taken in turn. Without one, a server
    /// is started on a free loopback port for the run
    #[arg(short, long = "address", value_name = "HOST:PORT", value_parser = Target::from_str)]
    #[arg(help_heading = "Traffic")]
    pub addresses: Vec<Target>,
    /// Connections to keep up
    #[arg(short, long, value_name = "N", default_value_t = 80, help_heading = "Traffic")]
    pub conns: u32,
    /// Packets/s on each connection, fractions allowed; `max`: as fast as
    /// echoes return (with --closed-loop)
    #[arg(short, long, value_name = "RATE", default_value = "5", value_parser = rate, help_heading = "Traffic")]
    pub rate: Rate,
    /// Packets/s over all connections, instead of --rate
    #[arg(long, value_name = "RATE", conflicts_with = "rate", help_heading = "Traffic")]
    pub total_rate: Option<f64>,
    /// Bytes a packet
    #[arg(short, long, value_name = "BYTES", default_value_t = 1024, help_heading = "Traffic")]
    pub size: u32,
    /// How long to send, from the moment that every connection was tried
    #[arg(short, long, value_name = "TIME", default_value = "10s", value_parser = span::parse)]
    #[arg(help_heading = "Traffic")]
    pub duration: Duration,
    /// Send until SIGINT (Ctrl-C), SIGTERM or SIGHUP
    #[arg(long, conflicts_with = "duration", help_heading = "Traffic")]
    pub until_signal: bool,
    /// Datagrams instead of TCP connections
    #[arg(short, long, help_heading = "Traffic")]
    pub udp: bool,
    /// Wait for each echo before the next packet, as ctraffic does; the
    /// default is open loop: packets leave at their times
    #[arg(long, help_heading = "Traffic")]
    pub closed_loop: bool,
    /// Packets due within windows of this length leave together, at its end:
    /// less CPU a packet at high rates, for up to so much lateness; 0s: each
    /// packet leaves at its own time
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = span::parse, help_heading = "Traffic")]
    pub batch: Duration,
    /// Echoes that may be out on one connection
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Traffic")]
    pub in_flight: u32,
    /// Seeds the payload and the spread of back-off
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Traffic")]
    pub seed: u64,

    /// Which of a name's addresses are used
    #[arg(long, value_enum, default_value_t = Family::Any, help_heading = "Connections")]
    pub family: Family,
    /// When a name is resolved: at the start, or for each attempt
    #[arg(long, value_enum, default_value_t = Resolve::Start, help_heading = "Connections")]
    pub resolve: Resolve,
    /// Local addresses, one a connection in turn: a prefix such as 10.0.0.0/24,
    /// or a file with one ADDRESS or ADDRESS:PORT a line
    #[arg(long, value_name = "CIDR|FILE", help_heading = "Connections")]
    pub source: Option<String>,
    /// Spread the first attempts over this time
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = span::parse)]
    #[arg(help_heading = "Connections")]
    pub ramp: Duration,
    /// An attempt that takes longer has failed
    #[arg(long, value_name = "TIME", default_value = "1.5s", value_parser = span::parse)]
    #[arg(help_heading = "Connections")]
    pub connect_timeout: Duration,
    /// A connection whose echo is out longer is lost
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = span::parse)]
    #[arg(help_heading = "Connections")]
    pub response_timeout: Duration,
    /// TCP_USER_TIMEOUT [default: the kernel's]
    #[arg(long, value_name = "TIME", value_parser = span::parse, help_heading = "Connections")]
    pub user_timeout: Option<Duration>,
    /// Do not replace lost connections
    #[arg(long, help_heading = "Connections")]
    pub no_reconnect: bool,
    /// Wait after a failed attempt: the first one, doubled up to the last
    #[arg(long, value_name = "MIN..MAX", default_value = "100ms..1s", value_parser = backoff)]
    #[arg(help_heading = "Connections")]
    pub backoff: plan::Backoff,

    /// How sockets are driven; `auto` takes io_uring where it may be used
    #[arg(long, value_enum, default_value_t = Engine::Auto, help_heading = "This machine")]
    pub engine: Engine,
    /// Threads that share the connections
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "This machine")]
    pub threads: u32,
    /// Busy waiting before a packet is due: a time, 0 for none, or `auto`: as
    /// long as this machine wakes up late. With `auto`, where a thread's packets
    /// are 1 ms or more apart, the last sleep is a short one: that wakes up
    /// less late, for about 20 µs of CPU a packet more
    #[arg(long, value_name = "TIME|auto", default_value = "auto", value_parser = spin, help_heading = "This machine")]
    pub spin: Spin,
    /// SCHED_FIFO for the packet threads; an error where it is not allowed
    #[arg(long, help_heading = "This machine")]
    pub realtime: bool,

    /// Keep the journal here
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Form of the report on stdout
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub format: Format,
    /// A line a second on stderr
    #[arg(long, help_heading = "Output")]
    pub monitor: bool,
    /// FIELD OP VALUE over the JSON report, such as 'lost<=80'; exit code 3
    /// where it does not hold. May be given several times
    #[arg(long = "expect", value_name = "EXPR", value_parser = Expectation::from_str, help_heading = "Output")]
    pub expectations: Vec<Expectation>,
}

/// See [`plan::Family`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Family {
    Any,
    Ipv4,
    Ipv6,
}

impl From<Family> for plan::Family {
    fn from(family: Family) -> plan::Family {
        match family {
            Family::Any => plan::Family::Any,
            Family::Ipv4 => plan::Family::Ipv4,
            Family::Ipv6 => plan::Family::Ipv6,
        }
    }
}

/// See [`plan::Resolve`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Resolve {
    Start,
    Each,
}

/// See [`EngineChoice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    Auto,
    Uring,
    Epoll,
}

impl From<Engine> for EngineChoice {
    fn from(engine: Engine) -> EngineChoice {
        match engine {
            Engine::Auto => EngineChoice::Auto,
            Engine::Uring => EngineChoice::Uring,
            Engine::Epoll => EngineChoice::Epoll,
        }
    }
}

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, 80 columns
    Text,
    /// Every figure, as one JSON object
    Json,
    /// ctraffic's JSON, to the letter
    Ctraffic,
}

fn rate(text: &str) -> Result<Rate, String> {
    match text {
        "max" => Ok(Rate::Unlimited),
        number => {
            number.parse().map(Rate::PerConnection).map_err(|_| "want packets/s, such as 5 or 0.5, or max".into())
        }
    }
}

fn backoff(text: &str) -> Result<plan::Backoff, String> {
    span::parse_range(text).map(|(min, max)| plan::Backoff { min, max })
}

fn spin(text: &str) -> Result<Spin, String> {
    if text == "auto" {
        return Ok(Spin::Auto);
    }
    let window = span::parse(text).map_err(|e| format!("{e}, 0 or auto"))?;
    Ok(Spin::WindowNs(u64::try_from(window.as_nanos()).unwrap_or(u64::MAX)))
}
