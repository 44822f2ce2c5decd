//! What a run is asked to do. [`PlanSpec`] is what somebody writes down; [`Plan`] is one that was
//! checked, and a `Plan` that exists is valid.

mod check;
mod parts;

pub use check::{CONNS_MAX, PlanError, TOTAL_RATE_MAX};
pub use parts::{Backoff, EngineChoice, Family, Host, Mode, Rate, Resolve, Source, Spin, Target, Transport};

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A plan as written down: every field has the default that `tg-cli run --help` shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PlanSpec {
    /// Servers; slots take them in turn.
    pub targets: Vec<Target>,
    /// TCP or UDP.
    pub transport: Transport,
    /// Which of a name's addresses are used.
    pub family: Family,
    /// When a name is resolved.
    pub resolve: Resolve,
    /// Number of slots.
    pub conns: u32,
    /// Packets a second.
    pub rate: Rate,
    /// Bytes a packet.
    pub size: u32,
    /// From time zero to the plan's end; `None`: until stopped.
    #[serde(rename = "duration_ns", with = "optional_ns")]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub duration: Option<Duration>,
    /// Open or closed loop.
    pub mode: Mode,
    /// Packets due within windows of this length leave together, at the window's end; zero: each at its
    /// own time.
    #[serde(rename = "batch_ns", with = "ns")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub batch: Duration,
    /// Echoes that may be out on one connection.
    pub in_flight: u32,
    /// An attempt that takes longer has failed.
    #[serde(rename = "connect_timeout_ns", with = "ns")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub connect_timeout: Duration,
    /// A connection whose echo is out longer is lost.
    #[serde(rename = "response_timeout_ns", with = "ns")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub response_timeout: Duration,
    /// TCP_USER_TIMEOUT; `None`: the kernel's default.
    #[serde(rename = "user_timeout_ns", with = "optional_ns")]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub user_timeout: Option<Duration>,
    /// A lost connection is replaced.
    pub reconnect: bool,
    /// Wait after a failed attempt.
    pub backoff: Backoff,
    /// First attempts are spread over this time.
    #[serde(rename = "ramp_ns", with = "ns")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub ramp: Duration,
    /// Local addresses, one a slot; empty: the kernel's choice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Source>,
    /// Seeds the payload and the spread of back-off.
    pub seed: u64,
    /// Threads that share the slots.
    pub threads: u32,
    /// Busy waiting before a packet is due.
    pub spin: Spin,
    /// SCHED_FIFO for the packet threads.
    pub realtime: bool,
    /// How sockets are driven.
    pub engine: EngineChoice,
}

impl Default for PlanSpec {
    fn default() -> PlanSpec {
        PlanSpec {
            targets: Vec::new(),
            transport: Transport::Tcp,
            family: Family::Any,
            resolve: Resolve::Start,
            conns: 80,
            rate: Rate::PerConnection(5.0),
            size: 1024,
            duration: Some(Duration::from_secs(10)),
            mode: Mode::OpenLoop,
            batch: Duration::ZERO,
            in_flight: 64,
            connect_timeout: Duration::from_millis(1500),
            response_timeout: Duration::from_secs(1),
            user_timeout: None,
            reconnect: true,
            backoff: Backoff::default(),
            ramp: Duration::ZERO,
            sources: Vec::new(),
            seed: 1,
            threads: 1,
            spin: Spin::Auto,
            realtime: false,
            engine: EngineChoice::Auto,
        }
    }
}

impl PlanSpec {
    /// The defaults against one or several servers.
    pub fn new(targets: impl IntoIterator<Item = Target>) -> PlanSpec {
        PlanSpec { targets: targets.into_iter().collect(), ..PlanSpec::default() }
    }
}

/// A checked plan. `Deref`s to its [`PlanSpec`], which can no longer be changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "PlanSpec", into = "PlanSpec")]
#[cfg_attr(test, schemars(with = "PlanSpec"))]
pub struct Plan(PlanSpec);

impl TryFrom<PlanSpec> for Plan {
    type Error = PlanError;
    fn try_from(spec: PlanSpec) -> Result<Plan, PlanError> {
        check::check(&spec)?;
        Ok(Plan(spec))
    }
}

impl From<Plan> for PlanSpec {
    fn from(plan: Plan) -> PlanSpec {
        plan.0
    }
}

impl std::ops::Deref for Plan {
    type Target = PlanSpec;
    fn deref(&self) -> &PlanSpec {
        &self.0
    }
}

impl Plan {
    /// Packets a second over all slots; `None` where the rate is as fast as echoes return.
    pub fn total_rate(&self) -> Option<f64> {
        match self.rate {
            Rate::PerConnection(r) => Some(r * f64::from(self.conns)),
            Rate::Total(r) => Some(r),
            Rate::Unlimited => None,
        }
    }

    /// Places that a connection needs for its packets in flight. An answered datagram keeps its place until
    /// all before it are answered or given up: so UDP needs one for each that is sent within the response
    /// time-out, as far as memory allows, where that is more than the in-flight limit.
    pub fn places(&self) -> u32 {
        let Some(total) = self.total_rate().filter(|_| self.transport == Transport::Udp) else {
            return self.in_flight;
        };
        let within_timeout = total / f64::from(self.conns) * self.response_timeout.as_secs_f64();
        let room = u32::try_from(check::OUTSTANDING_MAX / u64::from(self.conns)).unwrap_or(u32::MAX);
        // In range: floats are cut to what the type holds.
        (within_timeout.ceil() as u32).saturating_add(1).min(room).max(self.in_flight)
    }

    /// File descriptors that the run needs: a socket a slot, and a few of its own for each thread.
    pub fn descriptors(&self) -> u64 {
        u64::from(self.conns) + u64::from(self.threads) * 8 + 24
    }
}

/// With packets in batches of so many nanoseconds: how much later than it comes an echo may be seen, ns. What
/// comes within that time is taken in together.
pub fn lull_ns(batch_ns: u64) -> u64 {
    (batch_ns / 4).min(250_000)
}

pub(crate) mod ns {
    //! A `Duration` as whole nanoseconds.
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u64(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        u64::deserialize(d).map(Duration::from_nanos)
    }
}

pub(crate) mod optional_ns {
    //! An optional `Duration` as whole nanoseconds or null.
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(d: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        d.map(|d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)).serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_nanos))
    }
}
