//! What an error number means for an attempt or a connection. The numbers are Linux'
//! (include/uapi/asm-generic/errno.h), here so that the driver needs no libc.

use tg_model::outcome::{AttemptFailure, EndReason};
use tg_model::plan::Transport;

pub const EPIPE: i32 = 32;
pub const ENETDOWN: i32 = 100;
pub const ENETUNREACH: i32 = 101;
pub const ECONNABORTED: i32 = 103;
pub const ECONNRESET: i32 = 104;
pub const ETIMEDOUT: i32 = 110;
pub const ECONNREFUSED: i32 = 111;
pub const EHOSTDOWN: i32 = 112;
pub const EHOSTUNREACH: i32 = 113;

/// Why an attempt failed with `errno`.
pub fn attempt_failure(errno: i32) -> AttemptFailure {
    match errno {
        ECONNREFUSED => AttemptFailure::Refused,
        ETIMEDOUT => AttemptFailure::Timeout,
        ENETDOWN | ENETUNREACH | EHOSTDOWN | EHOSTUNREACH => AttemptFailure::Unreachable,
        ECONNRESET | ECONNABORTED | EPIPE => AttemptFailure::Reset,
        _ => AttemptFailure::LocalError,
    }
}

/// Why a connection that failed with `errno` ended; `None` where it goes on (a datagram that this host
/// would not send).
pub fn end_reason(transport: Transport, errno: i32) -> Option<EndReason> {
    match (transport, errno) {
        (_, ENETDOWN | ENETUNREACH | EHOSTDOWN | EHOSTUNREACH) => Some(EndReason::Unreachable),
        // ICMP port unreachable.
        (Transport::Udp, ECONNREFUSED) => Some(EndReason::Unreachable),
        (Transport::Udp, _) => None,
        (Transport::Tcp, ECONNRESET | ECONNABORTED | EPIPE | ECONNREFUSED) => Some(EndReason::Reset),
        (Transport::Tcp, ETIMEDOUT) => Some(EndReason::UserTimeout),
        (Transport::Tcp, _) => Some(EndReason::LocalError),
    }
}
