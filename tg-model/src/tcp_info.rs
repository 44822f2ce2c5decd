//! What the kernel knew of a TCP connection, as recorded.

use serde::{Deserialize, Serialize};

/// Fields of the kernel's `struct tcp_info` (include/uapi/linux/tcp.h), read when a connection failed
/// or just before it was closed. A field that the running kernel does not have is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TcpInfo {
    /// TCP state by the kernel's number (1 = ESTABLISHED, 7 = CLOSE, 8 = CLOSE_WAIT).
    pub state: u8,
    /// Smoothed round-trip time, µs.
    pub rtt_us: u32,
    /// Its mean deviation, µs.
    pub rttvar_us: u32,
    /// Retransmission time-out in force, µs.
    pub rto_us: u32,
    /// Back-to-back time-outs of the segment at the head of the queue.
    pub backoff: u8,
    /// Segments retransmitted over the connection's life.
    pub total_retrans: u32,
    /// Congestion window, segments.
    pub snd_cwnd: u32,
    /// Time since data was last received, ms.
    pub last_data_recv_ms: u32,
    /// Time since an acknowledgement was last received, ms.
    pub last_ack_recv_ms: u32,
    /// Payload bytes sent, retransmissions included.
    pub bytes_sent: u64,
    /// Payload bytes retransmitted.
    pub bytes_retrans: u64,
    /// Payload bytes acknowledged.
    pub bytes_acked: u64,
    /// Payload bytes received.
    pub bytes_received: u64,
}

impl TcpInfo {
    /// Payload bytes that were sent and not acknowledged. (`tcpi_unacked` is 0 already after a reset:
    /// `tcp_write_queue_purge` in net/ipv4/tcp.c clears it. `bytes_acked` counts the connecting side's SYN
    /// as one byte: `tcp_snd_una_update` in net/ipv4/tcp_input.c.)
    pub fn unacknowledged(&self) -> u64 {
        self.bytes_sent.saturating_sub(self.bytes_retrans).saturating_sub(self.bytes_acked.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_syn_is_no_payload() {
        // As read from a 6.18 kernel: seven packets of 1024 bytes, all acknowledged; then the last of them not.
        let all = TcpInfo { bytes_sent: 7168, bytes_acked: 7169, ..TcpInfo::default() };
        assert_eq!(all.unacknowledged(), 0);
        assert_eq!(TcpInfo { bytes_acked: 6145, ..all }.unacknowledged(), 1024);
        assert_eq!(TcpInfo { bytes_acked: 6145, bytes_sent: 8192, bytes_retrans: 1024, ..all }.unacknowledged(), 1024);
    }
}
