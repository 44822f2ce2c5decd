//! What a server counts. Changes when a figure is added.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a server has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// TCP connections open now.
    pub connections: u64,
    /// TCP connections accepted since the start.
    pub connections_total: u64,
    /// Connections that are not read from now, because their client has not taken what it was sent.
    pub connections_paused: u64,
    /// Bytes received over TCP.
    pub bytes_received: u64,
    /// Bytes that the kernel took to send over TCP.
    pub bytes_sent: u64,
    /// Bytes in memory that the kernel has not taken yet: what clients that do not read cost.
    pub bytes_pending: u64,
    /// Datagrams received, those that were not answered included.
    pub datagrams_received: u64,
    /// Datagrams answered.
    pub datagrams_sent: u64,
    /// Datagrams that did not fit the buffer, not answered.
    pub datagrams_truncated: u64,
    /// Datagrams that could not be received or answered, by an error of the system or a full buffer.
    pub datagrams_failed: u64,
    /// Connections that could not be accepted: no descriptors left, aborted by the client …
    pub accept_errors: u64,
}

/// The figures while the server runs: written by its thread alone, read by anybody.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub connections: Figure,
    pub connections_total: Figure,
    pub connections_paused: Figure,
    pub bytes_received: Figure,
    pub bytes_sent: Figure,
    pub bytes_pending: Figure,
    pub datagrams_received: Figure,
    pub datagrams_sent: Figure,
    pub datagrams_truncated: Figure,
    pub datagrams_failed: Figure,
    pub accept_errors: Figure,
}

impl Counters {
    pub fn read(&self) -> Stats {
        Stats {
            connections: self.connections.get(),
            connections_total: self.connections_total.get(),
            connections_paused: self.connections_paused.get(),
            bytes_received: self.bytes_received.get(),
            bytes_sent: self.bytes_sent.get(),
            bytes_pending: self.bytes_pending.get(),
            datagrams_received: self.datagrams_received.get(),
            datagrams_sent: self.datagrams_sent.get(),
            datagrams_truncated: self.datagrams_truncated.get(),
            datagrams_failed: self.datagrams_failed.get(),
            accept_errors: self.accept_errors.get(),
        }
    }
}

/// One counter or gauge.
#[derive(Debug, Default)]
pub(super) struct Figure(AtomicU64);

impl Figure {
    pub fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Relaxed);
    }

    pub fn sub(&self, n: usize) {
        self.0.fetch_sub(n as u64, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
