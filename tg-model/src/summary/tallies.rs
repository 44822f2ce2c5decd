//! Tallies of a summary: ends, failed attempts and packets, by reason. Changes when a list of reasons does.

use crate::counts::{self, Counts};
use crate::outcome::{AttemptFailure, EndReason};
use serde::Serialize;

/// Attempts that failed, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FailedAttempts {
    /// All of them.
    pub total: u64,
    /// See [`AttemptFailure::Refused`].
    pub refused: u64,
    /// See [`AttemptFailure::Timeout`].
    pub timeout: u64,
    /// See [`AttemptFailure::Unreachable`].
    pub unreachable: u64,
    /// See [`AttemptFailure::Reset`].
    pub reset: u64,
    /// See [`AttemptFailure::LocalError`].
    pub local_error: u64,
}

impl FailedAttempts {
    /// The counter of one failure.
    pub fn by(mut self, failure: AttemptFailure) -> u64 {
        *self.counter(failure)
    }

    pub(super) fn counter(&mut self, failure: AttemptFailure) -> &mut u64 {
        match failure {
            AttemptFailure::Refused => &mut self.refused,
            AttemptFailure::Timeout => &mut self.timeout,
            AttemptFailure::Unreachable => &mut self.unreachable,
            AttemptFailure::Reset => &mut self.reset,
            AttemptFailure::LocalError => &mut self.local_error,
        }
    }
}

/// Connections by the reason that ended them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ended {
    /// See [`EndReason::Completed`].
    pub completed: u64,
    /// See [`EndReason::Reset`].
    pub reset: u64,
    /// See [`EndReason::ClosedByPeer`].
    pub closed_by_peer: u64,
    /// See [`EndReason::ResponseTimeout`].
    pub response_timeout: u64,
    /// See [`EndReason::UserTimeout`].
    pub user_timeout: u64,
    /// See [`EndReason::Unreachable`].
    pub unreachable: u64,
    /// See [`EndReason::Protocol`].
    pub protocol: u64,
    /// See [`EndReason::LocalError`].
    pub local_error: u64,
}

impl Ended {
    /// The counter of one reason.
    pub fn by(mut self, reason: EndReason) -> u64 {
        *self.counter(reason)
    }

    pub(super) fn counter(&mut self, reason: EndReason) -> &mut u64 {
        match reason {
            EndReason::Completed => &mut self.completed,
            EndReason::Reset => &mut self.reset,
            EndReason::ClosedByPeer => &mut self.closed_by_peer,
            EndReason::ResponseTimeout => &mut self.response_timeout,
            EndReason::UserTimeout => &mut self.user_timeout,
            EndReason::Unreachable => &mut self.unreachable,
            EndReason::Protocol => &mut self.protocol,
            EndReason::LocalError => &mut self.local_error,
        }
    }
}

/// The packets of a run; the names are those of [`Counts`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Packets {
    /// Packets that were due.
    pub intended: u64,
    /// Packets whose first byte the kernel accepted.
    pub sent: u64,
    /// Packets whose echo came back whole, in time.
    pub received: u64,
    /// Packets that were due and not sent.
    pub dropped: Dropped,
    /// Packets sent whose echo never counted as received.
    pub lost_in_flight: u64,
    /// UDP: echoes of packets already counted as lost in flight.
    pub late: u64,
    /// UDP: echoes of packets already received.
    pub duplicate: u64,
    /// UDP: echoes that came after that of a later packet.
    pub reordered: u64,
    /// UDP: echoes that named another host than the one before.
    pub other_host: u64,
}

/// Packets that were due and not sent, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Dropped {
    /// All of them.
    pub total: u64,
    /// By reason.
    #[serde(flatten)]
    pub by: counts::Dropped,
}

impl From<Counts> for Packets {
    fn from(c: Counts) -> Packets {
        Packets {
            intended: c.intended,
            sent: c.sent,
            received: c.received,
            dropped: Dropped { total: c.dropped.total(), by: c.dropped },
            lost_in_flight: c.lost_in_flight,
            late: c.late,
            duplicate: c.duplicate,
            reordered: c.reordered,
            other_host: c.other_host,
        }
    }
}
