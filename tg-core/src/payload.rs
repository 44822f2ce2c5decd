//! The bytes that are sent, and the check that an echo is what was sent. Changes when the content of a
//! packet does.
//!
//! All connections share one read-only buffer, so sending copies nothing and a packet in flight costs no
//! memory. It holds the first packet of a connection (name space, request, pattern), then a pattern
//! that repeats after a prime number of bytes: byte o of a connection is `pattern[o mod prime]`, so an
//! echo that lost, repeated or swapped bytes is found out.

use crate::random::Random;
use std::sync::Arc;
use tg_model::wire;

/// Repeat lengths, both prime: one of them does not divide the packet size.
const PRIMES: [usize; 2] = [4093, 4099];

/// A piece of the payload's buffer: one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it starts in [`Payload::bytes`].
    pub start: u32,
    /// Its length.
    pub len: u32,
    /// A number for its last bytes ([`wire::SEQUENCE_LEN`], big-endian), in place of the buffer's.
    pub sequence: Option<u64>,
}

/// What the packets of a run are made of.
#[derive(Clone, Debug)]
pub struct Payload {
    bytes: Arc<[u8]>,
    size: usize,
    identity_end: usize,
    repeat: usize,
    datagram: bool,
}

impl Payload {
    /// For packets of `size` bytes (as a valid plan has), streams or datagrams, from a seed.
    pub fn new(size: u32, datagram: bool, seed: u64) -> Payload {
        let size = size as usize;
        let repeat = if size.is_multiple_of(PRIMES[0]) { PRIMES[1] } else { PRIMES[0] };
        let mut random = Random::new(seed);
        let pattern: Vec<u8> = (0..repeat).map(|_| random.bits() as u8).collect();
        let mut bytes: Vec<u8> = pattern.iter().copied().cycle().take(size).collect();
        let identity_end = wire::identity_end(size, datagram);
        bytes[..identity_end].fill(0);
        if identity_end > wire::NAME_LEN {
            let request = wire::encode_request(size as u32);
            bytes[wire::NAME_LEN..wire::NAME_LEN + request.len()].copy_from_slice(&request);
        }
        if !datagram {
            bytes.extend(pattern.iter().copied().cycle().take(repeat + size));
        }
        Payload { bytes: bytes.into(), size, identity_end, repeat, datagram }
    }

    /// The buffer that messages are pieces of.
    pub fn bytes(&self) -> Arc<[u8]> {
        self.bytes.clone()
    }

    /// Bytes a packet.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The first bytes of a connection (UDP: of a datagram) that the server may change.
    pub fn identity_end(&self) -> usize {
        self.identity_end
    }

    /// The packet that starts at byte `offset` of a stream.
    pub fn stream_message(&self, offset: u64) -> Message {
        let start = if offset == 0 { 0 } else { self.size + (offset % self.repeat as u64) as usize };
        Message { start: start as u32, len: self.size as u32, sequence: None }
    }

    /// The datagram with this number.
    pub fn datagram(&self, sequence: u64) -> Message {
        Message { start: 0, len: self.size as u32, sequence: Some(sequence) }
    }

    /// Whether `echo` is what a stream sent from byte `offset` on, or in the part that the server may
    /// change.
    pub fn is_stream_echo(&self, offset: u64, echo: &[u8]) -> bool {
        debug_assert!(!self.datagram);
        let (mut offset, mut echo) = (offset, echo);
        if offset < self.identity_end as u64 {
            let exempt = (self.identity_end - offset as usize).min(echo.len());
            offset += exempt as u64;
            echo = &echo[exempt..];
        }
        while !echo.is_empty() {
            let at = self.size + (offset % self.repeat as u64) as usize;
            let n = echo.len().min(self.bytes.len() - at);
            if echo[..n] != self.bytes[at..at + n] {
                return false;
            }
            offset += n as u64;
            echo = &echo[n..];
        }
        true
    }

    /// The number of a datagram's echo; `None` where it is no echo of one of ours.
    pub fn datagram_echo(&self, echo: &[u8]) -> Option<u64> {
        debug_assert!(self.datagram);
        let (body, sequence) = echo.split_at_checked(self.size - wire::SEQUENCE_LEN)?;
        if body[self.identity_end..] != self.bytes[self.identity_end..self.size - wire::SEQUENCE_LEN] {
            return None;
        }
        Some(u64::from_be_bytes(sequence.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stream(payload: &Payload, packets: u64) -> Vec<u8> {
        let bytes = payload.bytes();
        let mut out = Vec::new();
        for k in 0..packets {
            let m = payload.stream_message(k * payload.size() as u64);
            out.extend(&bytes[m.start as usize..(m.start + m.len) as usize]);
        }
        out
    }

    proptest! {
        #[test]
        fn any_split_of_the_stream_is_its_echo(size in 64u32..9000, cuts in prop::collection::vec(1usize..5000, 1..40)) {
            let payload = Payload::new(size, false, 3);
            let sent = stream(&payload, 8);
            let mut at = 0;
            for cut in cuts {
                let end = (at + cut).min(sent.len());
                prop_assert!(payload.is_stream_echo(at as u64, &sent[at..end]));
                at = end;
            }
        }

        #[test]
        fn a_changed_byte_is_found_outside_the_servers_part(size in 64u32..3000, at: u32, flip in 1u8..) {
            let payload = Payload::new(size, false, 3);
            let mut echo = stream(&payload, 4);
            let at = at as usize % echo.len();
            echo[at] ^= flip;
            prop_assert_eq!(payload.is_stream_echo(0, &echo), at < payload.identity_end());
        }

        #[test]
        fn swapped_packets_are_found(size in 128u32..9000) {
            let payload = Payload::new(size, false, 3);
            let sent = stream(&payload, 3);
            let n = size as usize;
            prop_assert!(!payload.is_stream_echo(u64::from(size), &sent[2 * n..3 * n]));
        }

        #[test]
        fn datagrams_carry_their_number(size in 72u32..2000, sequence: u64, name in prop::collection::vec(1u8.., 0..64)) {
            let payload = Payload::new(size, true, 3);
            let m = payload.datagram(sequence);
            let mut echo = payload.bytes()[..m.len as usize].to_vec();
            let tail = echo.len() - wire::SEQUENCE_LEN;
            echo[tail..].copy_from_slice(&sequence.to_be_bytes());
            echo[..name.len()].copy_from_slice(&name);
            prop_assert_eq!(payload.datagram_echo(&echo), Some(sequence));
            prop_assert_eq!(payload.datagram_echo(&echo[1..]), None);
            echo.push(0);
            prop_assert_eq!(payload.datagram_echo(&echo), None);
        }
    }
}
