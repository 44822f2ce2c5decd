//! What an io_uring engine is made for, and how large its queues and buffers are for that.

use std::sync::Arc;

/// What the engine is made for.
#[derive(Clone, Debug)]
pub struct Config {
    /// Slots of the shard; tokens have slots below it.
    pub slots: usize,
    /// The buffer that messages are pieces of.
    pub payload: Arc<[u8]>,
    /// Bytes a packet.
    pub packet_size: usize,
    /// UDP: one buffer must hold a datagram, and show one that is too long.
    pub datagram: bool,
}

/// Receive buffers together, bytes. They are filled in turn, so all of it becomes resident.
const BUFFERS_BYTES_MAX: usize = 2 << 20;
/// A stream's receive buffer, bytes.
const STREAM_BUFFER: std::ops::RangeInclusive<usize> = 1024..=16384;
/// Entries of the largest completion queue (IORING_MAX_CQ_ENTRIES in io_uring/io_uring.h).
const CQ_MAX: usize = 65536;

/// Entries of the queues; number and size of the receive buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub sq: u32,
    pub cq: u32,
    /// A power of two.
    pub buffers: u16,
    /// Bytes of each.
    pub buffer: usize,
}

impl Sizes {
    pub fn of(config: &Config) -> Sizes {
        let buffer = if config.datagram {
            // One byte more than a packet: a longer datagram is cut off, not taken for ours.
            (config.packet_size + 1).next_multiple_of(64)
        } else {
            config.packet_size.clamp(*STREAM_BUFFER.start(), *STREAM_BUFFER.end()).next_power_of_two()
        };
        let slots = config.slots.clamp(1, 1 << 20);
        // Half as many again as slots: some echoes come in two pieces. More would only cost cache.
        let mut buffers = (slots + slots / 2).next_power_of_two().clamp(64, 4096);
        while buffers > 16 && buffers * buffer > BUFFERS_BYTES_MAX {
            buffers /= 2;
        }
        // Between two reapings each buffer is filled once, and each socket may send, end its receive,
        // and be closing with two cancellations.
        let cq = (buffers + 4 * slots + 64).next_power_of_two().min(CQ_MAX);
        Sizes { sq: slots.next_power_of_two().clamp(64, 1024) as u32, cq: cq as u32, buffers: buffers as u16, buffer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes(slots: usize, packet_size: usize, datagram: bool) -> Sizes {
        Sizes::of(&Config { slots, payload: Arc::from([0; 0]), packet_size, datagram })
    }

    #[test]
    fn the_seeds_load_takes_little() {
        assert_eq!(sizes(80, 1024, false), Sizes { sq: 128, cq: 512, buffers: 128, buffer: 1024 });
    }

    proptest! {
        #[test]
        fn sizes_are_what_the_kernel_takes(slots in 0usize..2_000_000, packet in 64usize..=65507, datagram: bool) {
            let s = sizes(slots, packet, datagram);
            prop_assert!(s.sq.is_power_of_two() && s.cq.is_power_of_two() && s.buffers.is_power_of_two());
            prop_assert!(s.sq <= s.cq && s.cq <= 65536 && s.buffers <= 32768);
            prop_assert!(usize::from(s.buffers) * s.buffer <= BUFFERS_BYTES_MAX);
            prop_assert!(!datagram || s.buffer > packet);
        }
    }
}
