//! The parts of a lab's plan, each with how it is written as text. Changes when an option's form does.

use crate::named::named;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

named! {
    /// What balances connections over pods.
    DirectorKind {
        /// A proxy that ends connections itself: no privileges.
        Userspace = "userspace",
        /// nftables and conntrack, as kube-proxy has it in its nftables mode.
        Nft = "nft",
        /// IPVS, as kube-proxy has it.
        Ipvs = "ipvs",
    }
}

named! {
    /// How a balancer chooses, by IPVS' names.
    SchedulerKind {
        /// Each in turn.
        Rr = "rr",
        /// The one with the fewest connections.
        Lc = "lc",
        /// Each in turn, by weight.
        Wrr = "wrr",
        /// The one with the fewest connections for its weight.
        Wlc = "wlc",
        /// By a hash of the client's address.
        Sh = "sh",
        /// At random.
        Random = "random",
        /// By a hash of the service's address.
        Dh = "dh",
        /// By a consistent hash of the client's address (Maglev).
        Mh = "mh",
        /// The one with the shortest expected delay.
        Sed = "sed",
        /// An idle one, else as sed.
        Nq = "nq",
        /// The one with the highest weight.
        Fo = "fo",
        /// The one with the highest weight that has room.
        Ovf = "ovf",
        /// Least connections with locality.
        Lblc = "lblc",
        /// Least connections with locality, over sets.
        Lblcr = "lblcr",
        /// The better of two taken at random.
        Twos = "twos",
    }
}

impl DirectorKind {
    /// The schedulers that it has.
    pub fn schedulers(self) -> &'static [SchedulerKind] {
        use SchedulerKind::*;
        match self {
            DirectorKind::Userspace => &[Rr, Lc, Wrr, Wlc, Sh, Random],
            DirectorKind::Nft => &[Rr, Random],
            DirectorKind::Ipvs => &[Rr, Lc, Wrr, Wlc, Sh, Dh, Mh, Sed, Nq, Fo, Ovf, Lblc, Lblcr, Twos],
        }
    }
}

named! {
    /// When a pod that was asked to end makes room for another (a Deployment's `podReplacementPolicy`).
    PodReplacement {
        /// At once: a terminating pod does not count. What Kubernetes does.
        TerminationStarted = "termination-started",
        /// When it is gone: strictly one after the other.
        TerminationComplete = "termination-complete",
    }
}

named! {
    /// IP versions of the service.
    LabFamily {
        /// IPv4.
        Ipv4 = "4",
        /// IPv6.
        Ipv6 = "6",
        /// Both.
        Both = "both",
    }
}

impl LabFamily {
    /// How many services there are: one an IP version.
    pub fn count(self) -> u32 {
        if self == LabFamily::Both { 2 } else { 1 }
    }
}

/// A number of pods, or a share of the replicas: Kubernetes' `IntOrString`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "NumberOrText", into = "NumberOrText")]
#[cfg_attr(test, schemars(with = "NumberOrText"))]
pub enum Amount {
    /// So many.
    Count(u32),
    /// So many of a hundred.
    Percent(u32),
}

impl Amount {
    /// Pods of `replicas`, a part of a pod counted as one.
    pub fn of_rounded_up(self, replicas: u32) -> u32 {
        self.of(replicas, u64::div_ceil)
    }

    /// Pods of `replicas`, a part of a pod not counted.
    pub fn of_rounded_down(self, replicas: u32) -> u32 {
        self.of(replicas, |a, b| a / b)
    }

    fn of(self, replicas: u32, divide: fn(u64, u64) -> u64) -> u32 {
        match self {
            Amount::Count(n) => n,
            Amount::Percent(p) => u32::try_from(divide(u64::from(p) * u64::from(replicas), 100)).unwrap_or(u32::MAX),
        }
    }
}

impl FromStr for Amount {
    type Err = String;
    fn from_str(text: &str) -> Result<Amount, String> {
        let (digits, percent) = text.strip_suffix('%').map_or((text, false), |d| (d, true));
        let number = Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse().ok());
        let number = number.ok_or_else(|| format!("`{text}` is no number of pods: want one such as 2, or 25%"))?;
        Ok(if percent { Amount::Percent(number) } else { Amount::Count(number) })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Count(n) => write!(f, "{n}"),
            Amount::Percent(p) => write!(f, "{p}%"),
        }
    }
}

/// An [`Amount`] in JSON.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
enum NumberOrText {
    Number(u32),
    Text(String),
}

impl TryFrom<NumberOrText> for Amount {
    type Error = String;
    fn try_from(value: NumberOrText) -> Result<Amount, String> {
        match value {
            NumberOrText::Number(n) => Ok(Amount::Count(n)),
            NumberOrText::Text(text) => text.parse(),
        }
    }
}

impl From<Amount> for NumberOrText {
    fn from(amount: Amount) -> NumberOrText {
        match amount {
            Amount::Count(n) => NumberOrText::Number(n),
            percent => NumberOrText::Text(percent.to_string()),
        }
    }
}
