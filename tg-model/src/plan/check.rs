//! The limits of a plan. Changes when a limit does.

use super::{Family, Host, Mode, PlanSpec, Rate, Spin, Transport};
use crate::wire;
use std::time::Duration;

/// Slots at most.
pub const CONNS_MAX: u32 = 1_000_000;
/// Packets a second at most, over all slots.
pub const TOTAL_RATE_MAX: f64 = 10_000_000.0;
/// Bytes a TCP packet at most.
pub const SIZE_MAX: u32 = 1 << 20;
/// Bytes a UDP packet at most: what an IPv4 datagram holds.
pub const DATAGRAM_MAX: u32 = 65_507;
/// Echoes out at most, over all slots: what the tables for them may take.
pub const OUTSTANDING_MAX: u64 = 1 << 26;
const IN_FLIGHT_MAX: u32 = 1 << 16;
const THREADS_MAX: u32 = 256;
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);
const SPIN_MAX_NS: u64 = 10_000_000;

/// A plan that cannot be carried out, and what to change.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Nothing to connect to.
    #[error("no server: give at least one address")]
    NoTarget,
    /// A number out of its limits.
    #[error("{what} is {got}: want {want}")]
    Limit {
        /// The option.
        what: &'static str,
        /// As given.
        got: String,
        /// The limits, in words.
        want: String,
    },
    /// A target's address is of the other family.
    #[error("address {target} is not {family}: give one that is, or drop the family option")]
    WrongFamily {
        /// The address.
        target: String,
        /// The family asked for.
        family: &'static str,
    },
    /// A source's family is not that of the address its slot connects to.
    #[error("source {source_address} cannot reach {target}: one is IPv4, the other IPv6")]
    SourceFamily {
        /// The source.
        source_address: String,
        /// The target.
        target: String,
    },
    /// Fewer sources than slots.
    #[error("{have} source addresses for {conns} connections: give one for each, or fewer connections")]
    TooFewSources {
        /// Sources given.
        have: usize,
        /// Slots.
        conns: u32,
    },
    /// Options that exclude each other.
    #[error("{0}")]
    Contradiction(&'static str),
}

fn limit(ok: bool, what: &'static str, got: impl ToString, want: impl ToString) -> Result<(), PlanError> {
    if ok { Ok(()) } else { Err(PlanError::Limit { what, got: got.to_string(), want: want.to_string() }) }
}

fn span(what: &'static str, got: Duration, min: Duration, max: Duration) -> Result<(), PlanError> {
    limit(got >= min && got <= max, what, format!("{got:?}"), format!("{min:?} to {max:?}"))
}

pub(super) fn check(spec: &PlanSpec) -> Result<(), PlanError> {
    if spec.targets.is_empty() {
        return Err(PlanError::NoTarget);
    }
    numbers(spec)?;
    rate(spec)?;
    spans(spec)?;
    families(spec)
}

fn numbers(spec: &PlanSpec) -> Result<(), PlanError> {
    limit((1..=CONNS_MAX).contains(&spec.conns), "the number of connections", spec.conns, format!("1 to {CONNS_MAX}"))?;
    let size_max = if spec.transport == Transport::Udp { DATAGRAM_MAX } else { SIZE_MAX };
    let size_min = wire::NAME_LEN as u32 + if spec.transport == Transport::Udp { wire::SEQUENCE_LEN as u32 } else { 0 };
    limit(
        (size_min..=size_max).contains(&spec.size),
        "the packet size",
        spec.size,
        format!("{size_min} to {size_max} bytes"),
    )?;
    limit(
        (1..=IN_FLIGHT_MAX).contains(&spec.in_flight),
        "the in-flight limit",
        spec.in_flight,
        format!("1 to {IN_FLIGHT_MAX}"),
    )?;
    let out = u64::from(spec.conns) * u64::from(spec.in_flight);
    limit(out <= OUTSTANDING_MAX, "connections × in-flight limit", out, format!("at most {OUTSTANDING_MAX}"))?;
    let threads_max = THREADS_MAX.min(spec.conns);
    limit(
        (1..=threads_max).contains(&spec.threads),
        "the number of threads",
        spec.threads,
        format!("1 to {threads_max}"),
    )?;
    if let Spin::WindowNs(ns) = spec.spin {
        limit(ns <= SPIN_MAX_NS, "the spin window", format!("{ns} ns"), "0 to 10 ms")?;
    }
    Ok(())
}

fn rate(spec: &PlanSpec) -> Result<(), PlanError> {
    let per_conn = match spec.rate {
        Rate::Unlimited if spec.mode == Mode::ClosedLoop => return Ok(()),
        Rate::Unlimited => {
            return Err(PlanError::Contradiction(
                "an unlimited rate needs the closed loop: give a rate, or --closed-loop",
            ));
        }
        Rate::PerConnection(r) => r,
        Rate::Total(r) => r / f64::from(spec.conns),
    };
    let total = per_conn * f64::from(spec.conns);
    limit(
        per_conn.is_finite() && per_conn >= 0.001,
        "the rate",
        // `{:?}` has an exponent where there would be hundreds of digits.
        format!("{per_conn:?} packets/s a connection"),
        format!("0.001 or more, and at most {TOTAL_RATE_MAX} over all connections"),
    )?;
    limit(
        total <= TOTAL_RATE_MAX,
        "the rate",
        format!("{total:?} packets/s over all connections"),
        format!("at most {TOTAL_RATE_MAX}"),
    )
}

fn spans(spec: &PlanSpec) -> Result<(), PlanError> {
    let ms = Duration::from_millis(1);
    if let Some(d) = spec.duration {
        span("the duration", d, ms, DURATION_MAX)?;
    }
    span("the connect time-out", spec.connect_timeout, ms, TIMEOUT_MAX)?;
    span("the response time-out", spec.response_timeout, ms, TIMEOUT_MAX)?;
    if let Some(d) = spec.user_timeout {
        span("the user time-out", d, ms, TIMEOUT_MAX)?;
        if spec.transport == Transport::Udp {
            return Err(PlanError::Contradiction("a user time-out is TCP's: drop it, or --udp"));
        }
    }
    span("the shortest back-off", spec.backoff.min, Duration::from_micros(100), spec.backoff.max.max(ms))?;
    span("the longest back-off", spec.backoff.max, spec.backoff.min, TIMEOUT_MAX)?;
    batch(spec)?;
    span("the ramp", spec.ramp, Duration::ZERO, TIMEOUT_MAX)
}

/// At most one packet of a connection leaves at a time.
fn batch(spec: &PlanSpec) -> Result<(), PlanError> {
    if spec.batch.is_zero() {
        return Ok(());
    }
    let per_conn = match spec.rate {
        Rate::PerConnection(r) => r,
        Rate::Total(r) => r / f64::from(spec.conns),
        Rate::Unlimited => {
            return Err(PlanError::Contradiction(
                "packets that leave as fast as echoes return are never due together: drop the batch, or give a rate",
            ));
        }
    };
    // The rate was found to be in its limits.
    let period = Duration::from_secs_f64(1.0 / per_conn);
    span(
        "the batch, at most the time between two packets of a connection,",
        spec.batch,
        Duration::from_micros(1),
        period,
    )
}

fn families(spec: &PlanSpec) -> Result<(), PlanError> {
    let family = match spec.family {
        Family::Any => "of any family",
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    };
    for target in &spec.targets {
        match &target.host {
            Host::Ip(ip) if !spec.family.admits(*ip) => {
                return Err(PlanError::WrongFamily { target: target.to_string(), family });
            }
            _ => {}
        }
    }
    if spec.sources.is_empty() {
        return Ok(());
    }
    if spec.sources.len() < spec.conns as usize {
        return Err(PlanError::TooFewSources { have: spec.sources.len(), conns: spec.conns });
    }
    for (slot, source) in spec.sources.iter().take(spec.conns as usize).enumerate() {
        let target = &spec.targets[slot % spec.targets.len()];
        if let Host::Ip(ip) = &target.host
            && ip.is_ipv4() != source.0.is_ipv4()
        {
            return Err(PlanError::SourceFamily {
                source_address: source.0.ip().to_string(),
                target: target.to_string(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Plan, Source, Target};
    use super::*;

    fn plan(change: impl FnOnce(&mut PlanSpec)) -> Result<Plan, PlanError> {
        let mut spec = PlanSpec::new(["127.0.0.1:5003".parse::<Target>().unwrap()]);
        change(&mut spec);
        Plan::try_from(spec)
    }

    #[test]
    fn the_defaults_are_valid_and_survive_json() {
        let p = plan(|_| {}).unwrap();
        let text = serde_json::to_string(&p).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), p);
        assert_eq!(p.total_rate(), Some(400.0));
    }

    #[test]
    fn datagrams_have_a_place_each_for_the_response_timeout() {
        let places = |change: fn(&mut PlanSpec)| plan(change).unwrap().places();
        assert_eq!(places(|s| s.rate = Rate::PerConnection(1000.0)), 64, "a stream: the in-flight limit");
        assert_eq!(places(|s| s.transport = Transport::Udp), 64);
        let fast: fn(&mut PlanSpec) = |s| (s.transport, s.rate) = (Transport::Udp, Rate::Total(80_000.0));
        assert_eq!(places(fast), 1001);
        let huge: fn(&mut PlanSpec) =
            |s| (s.transport, s.rate, s.response_timeout) = (Transport::Udp, Rate::Total(1e7), TIMEOUT_MAX);
        assert_eq!(u64::from(places(huge)), OUTSTANDING_MAX / 80);
    }

    #[test]
    fn absurd_numbers_are_refused_by_name() {
        type Spoil = fn(&mut PlanSpec);
        let bad: [(&str, Spoil); 19] = [
            ("connections", |s| s.conns = 0),
            ("connections", |s| s.conns = u32::MAX),
            ("packet size", |s| s.size = 63),
            ("packet size", |s| s.size = u32::MAX),
            ("packet size", |s| (s.transport, s.size) = (Transport::Udp, 65_508)),
            ("rate", |s| s.rate = Rate::PerConnection(0.0)),
            ("rate", |s| s.rate = Rate::PerConnection(f64::NAN)),
            ("rate", |s| s.rate = Rate::Total(-1.0)),
            ("rate", |s| s.rate = Rate::Total(1e300)),
            ("duration", |s| s.duration = Some(Duration::ZERO)),
            ("connect time-out", |s| s.connect_timeout = Duration::ZERO),
            ("response time-out", |s| s.response_timeout = Duration::from_secs(1_000_000)),
            ("back-off", |s| s.backoff.min = Duration::from_secs(2)),
            ("in-flight", |s| s.in_flight = 0),
            ("batch", |s| s.batch = Duration::from_nanos(1)),
            ("batch", |s| s.batch = Duration::from_micros(200_001)),
            ("batch", |s| (s.batch, s.mode, s.rate) = (Duration::from_millis(1), Mode::ClosedLoop, Rate::Unlimited)),
            ("threads", |s| s.threads = 81),
            ("spin", |s| s.spin = Spin::WindowNs(u64::MAX)),
        ];
        for (word, change) in bad {
            let error = plan(change).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn families_must_agree() {
        assert!(matches!(plan(|s| s.family = Family::Ipv6), Err(PlanError::WrongFamily { .. })));
        let source = Source("[::1]:0".parse().unwrap());
        assert!(matches!(plan(|s| s.sources = vec![source; 80]), Err(PlanError::SourceFamily { .. })));
        assert!(matches!(
            plan(|s| s.sources = vec![source; 79]),
            Err(PlanError::TooFewSources { have: 79, conns: 80 })
        ));
    }

    #[test]
    fn targets_are_parsed_or_refused_with_the_form_wanted() {
        for good in ["127.0.0.1:5003", "[::1]:5003", "mserver.default.svc:5003"] {
            assert_eq!(good.parse::<Target>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "x",
            "::1",
            ":5003",
            "x:0",
            "127.0.0.1:0",
            "x:65536",
            "a b:1",
            "\u{1b}[2J:1",
            "x:+1",
            "127.0.0.1:+1",
            "[fe80::1%2]:1",
        ] {
            assert!(bad.parse::<Target>().unwrap_err().contains("want ADDRESS:PORT"), "{bad}");
        }
    }
}
