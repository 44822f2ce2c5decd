//! What can go wrong with a server. Changes when an operation is added that can fail.

use super::listen::Protocol;
use std::io;
use std::net::SocketAddr;
use thiserror::Error;

/// Why a server did not start, or ended without having been stopped.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Clients take an empty name for none.
    #[error("the server's name is empty")]
    EmptyName,
    /// tokio-uring has no control messages, without which a datagram cannot be answered from the
    /// address that it was sent to.
    #[error("UDP needs the epoll engine: tokio-uring cannot answer from the address that a datagram was sent to")]
    UdpNeedsEpoll,
    /// The same address and port twice, or an IPv4 one that a `[::]` takes already.
    #[error("{first} and {second} overlap: {}", if first == second { "it is given twice" } else { "[::] takes IPv4 too" })]
    Overlap {
        /// The address that came first.
        first: SocketAddr,
        /// The one that it leaves nothing for.
        second: SocketAddr,
    },
    /// Somebody else has the port.
    #[error("listen on {protocol} {address}: the address is in use")]
    AddressInUse {
        /// TCP or UDP.
        protocol: Protocol,
        /// The address.
        address: SocketAddr,
    },
    /// An address does not bind for another reason: not this host's, a privileged port …
    #[error("listen on {protocol} {address}: {error}")]
    Listen {
        /// TCP or UDP.
        protocol: Protocol,
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        error: io::Error,
    },
    /// The kernel, a seccomp filter or a sysctl refuses io_uring.
    #[error("io_uring cannot be used here: {0}")]
    RingRefused(io::Error),
    /// The engine lacks something else.
    #[error("{what}: {error}")]
    Setup {
        /// The operation.
        what: &'static str,
        /// The system's reason.
        error: io::Error,
    },
    /// The wait for events failed.
    #[error("wait for events: {0}")]
    Wait(io::Error),
    /// A bug: the server's thread is gone.
    #[error("the server's thread panicked")]
    Panicked,
}

impl ServerError {
    /// Whether the configuration is at fault, whatever the system would say.
    pub fn is_usage(&self) -> bool {
        matches!(self, ServerError::EmptyName | ServerError::UdpNeedsEpoll | ServerError::Overlap { .. })
    }
}
