//! One TCP connection without IO: bytes in, bytes out. Changes with the wire format of TCP.
//!
//! ```text
//! name ──64 bytes──▶ request ──is one──▶ identity ──region complete──▶ echo
//!                       └──────a byte that differs──────────────────────▲
//! ```

use super::introduction::Introduction;
use std::mem;
use std::net::SocketAddr;
use tg_model::wire::{NAME_LEN, REQUEST_LEN, decode_request, encode_request, identity_end};

/// The bytes of a request that are always the same: all but the packet size.
const REQUEST_FIXED: usize = REQUEST_LEN - 4;

/// What one connection has come to.
#[derive(Debug)]
pub(super) struct Session {
    peer: SocketAddr,
    phase: Phase,
}

/// Each but the last holds bytes back; none more than the identity's region is long.
#[derive(Debug)]
enum Phase {
    /// The first bytes, until there is room for the name.
    Name(Vec<u8>),
    /// Bytes that may become a request.
    Request(Vec<u8>),
    /// The region that a request asked to have overwritten, until it is complete.
    Identity { held: Vec<u8>, region: usize },
    /// All that comes goes back.
    Echo,
}

/// What to send for some input: `head`, then the input from `rest` on as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub head: Vec<u8>,
    pub rest: usize,
}

impl Session {
    /// A connection that `peer` has just made.
    pub fn new(peer: SocketAddr) -> Session {
        Session { peer, phase: Phase::Name(Vec::new()) }
    }

    /// Takes the next bytes of the connection.
    pub fn receive(&mut self, input: &[u8], introduction: &mut Introduction) -> Answer {
        let mut answer = Answer { head: Vec::new(), rest: 0 };
        while answer.rest < input.len() && !matches!(self.phase, Phase::Echo) {
            let left = &input[answer.rest..];
            answer.rest += self.hold(left, introduction, &mut answer.head);
        }
        answer
    }

    /// Takes of `left` what the phase wants, releases to `head` what is ready. Gives how much it took.
    fn hold(&mut self, left: &[u8], introduction: &mut Introduction, head: &mut Vec<u8>) -> usize {
        match &mut self.phase {
            Phase::Name(held) => {
                let took = take(held, left, NAME_LEN);
                if held.len() == NAME_LEN {
                    introduction.write_name(held);
                    head.append(held);
                    self.phase = Phase::Request(Vec::new());
                }
                took
            }
            Phase::Request(held) => {
                let took = take(held, left, REQUEST_LEN);
                let fixed = held.len().min(REQUEST_FIXED);
                if held[..fixed] != encode_request(0)[..fixed] {
                    head.append(held);
                    self.phase = Phase::Echo;
                } else if held.len() == REQUEST_LEN {
                    let region = requested_region(held);
                    if region < REQUEST_LEN {
                        head.append(held);
                        self.phase = Phase::Echo;
                    } else {
                        self.phase = Phase::Identity { held: mem::take(held), region };
                    }
                }
                took
            }
            Phase::Identity { held, region } => {
                let took = take(held, left, *region);
                if held.len() == *region {
                    introduction.write_identity(self.peer, held);
                    head.append(held);
                    self.phase = Phase::Echo;
                }
                took
            }
            Phase::Echo => 0,
        }
    }

    /// The client sends no more. Gives what was held back and is owed to it: an unfinished request as it
    /// came; nothing of an unfinished name space, as ctraffic's server.
    pub fn finish(&mut self) -> Vec<u8> {
        match mem::replace(&mut self.phase, Phase::Echo) {
            Phase::Request(held) | Phase::Identity { held, .. } => held,
            Phase::Name(_) | Phase::Echo => Vec::new(),
        }
    }
}

/// Moves bytes from the start of `left` to `held` until that has `len`. Gives how many.
fn take(held: &mut Vec<u8>, left: &[u8], len: usize) -> usize {
    let took = left.len().min(len - held.len());
    held.extend_from_slice(&left[..took]);
    took
}

/// How long the region is that a request asks for; 0 where its packet size makes no sense.
fn requested_region(request: &[u8]) -> usize {
    let size = decode_request(request).unwrap_or(0);
    identity_end(usize::try_from(size).unwrap_or(usize::MAX), false) - NAME_LEN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Config;
    use proptest::prelude::*;
    use tg_model::wire::Identity;

    const PEER: &str = "192.0.2.7:4711";
    const NAME: &[u8] = b"pod-1";

    fn introduction() -> Introduction {
        Introduction::new(&Config { name: "pod-1".into(), ..Config::default() })
    }

    /// All that the pieces are answered with, and how much was out after each.
    fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<usize>) {
        let mut session = Session::new(PEER.parse().unwrap());
        let mut introduction = introduction();
        let (mut out, mut after) = (Vec::new(), Vec::new());
        for piece in pieces {
            let answer = session.receive(piece, &mut introduction);
            out.extend(answer.head);
            out.extend(&piece[answer.rest..]);
            after.push(out.len());
        }
        out.extend(session.finish());
        (out, after)
    }

    /// The region that `input` asks for, where it is complete.
    fn region(input: &[u8]) -> Option<std::ops::Range<usize>> {
        let size = decode_request(input.get(NAME_LEN..)?)?;
        let end = identity_end(size as usize, false);
        (end > NAME_LEN).then_some(NAME_LEN..end)
    }

    /// The whole answer, said in another way than the session does it.
    fn expected(input: &[u8]) -> Vec<u8> {
        if input.len() < NAME_LEN {
            return Vec::new();
        }
        let mut out = input.to_vec();
        out[..NAME.len()].copy_from_slice(NAME);
        if let Some(region) = region(input).and_then(|r| out.get_mut(r)) {
            introduction().write_identity(PEER.parse().unwrap(), region);
        }
        out
    }

    /// How much must be out, neither less nor more, once `input` has come.
    fn owed(input: &[u8]) -> usize {
        let may_be_request = |bytes: &[u8]| encode_request(0)[..12].starts_with(&bytes[..bytes.len().min(12)]);
        match input.len() {
            0..64 => 0,
            64..80 if may_be_request(&input[64..]) => 64,
            len => region(input).filter(|r| r.end > len).map_or(len, |r| r.start),
        }
    }

    fn input() -> impl Strategy<Value = Vec<u8>> {
        let bytes = |len| prop::collection::vec(any::<u8>(), len);
        let size = prop_oneof![any::<u32>(), 100u32..700, Just(0), Just(u32::MAX)];
        let request = size.prop_map(|s| encode_request(s).to_vec());
        let damaged = (request.clone(), 0usize..16, any::<u8>()).prop_map(|(mut r, at, byte)| {
            r[at] = byte;
            r
        });
        let second = prop_oneof![request, damaged, bytes(0..20)];
        prop_oneof![(bytes(64..65), second, bytes(0..600)).prop_map(|(a, b, c)| [a, b, c].concat()), bytes(0..200),]
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_answer(input in input(), cuts in prop::collection::vec(1usize..300, 1..40)) {
            let mut rest = &input[..];
            let mut pieces = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, later) = rest.split_at(rest.len().min(*cut));
                pieces.push(piece);
                rest = later;
            }
            prop_assert_eq!(run(pieces).0, expected(&input));
        }

        #[test]
        fn each_byte_is_answered_as_soon_as_it_can_be(input in input()) {
            let (out, after) = run(input.chunks(1));
            prop_assert_eq!(out, expected(&input));
            for (i, got) in after.into_iter().enumerate() {
                prop_assert_eq!(got, owed(&input[..=i]), "after {} bytes", i + 1);
            }
        }

        #[test]
        fn without_a_request_only_the_name_is_new(first in 0u8..0xf7, len in 64usize..3000) {
            let input = vec![first; len];
            let (out, _) = run([&input[..]]);
            prop_assert_eq!(&out[..NAME.len()], NAME);
            prop_assert_eq!(&out[NAME.len()..], &input[NAME.len()..]);
        }
    }

    #[test]
    fn a_request_in_a_whole_packet_is_answered_at_once() {
        let mut packet = vec![0; 1024];
        packet[64..80].copy_from_slice(&encode_request(1024));
        let (out, after) = run([&packet[..]]);
        assert_eq!(after, [1024]);
        assert_eq!(Identity::decode(&out[64..512]).unwrap().peer, PEER.parse().unwrap());
        assert_eq!(out[512..], packet[512..]);
    }

    #[test]
    fn a_hostile_size_holds_back_little() {
        let mut packet = vec![7; 64 + 448];
        packet[64..80].copy_from_slice(&encode_request(u32::MAX));
        let (_, after) = run(packet.chunks(1));
        assert_eq!(after.last(), Some(&packet.len()));
        packet[64..80].copy_from_slice(&encode_request(0));
        assert_eq!(run([&packet[..81]]).1, [81]);
    }

    #[test]
    fn what_was_echoed_is_no_longer_held() {
        let mut session = Session::new(PEER.parse().unwrap());
        session.receive(&[0; 65], &mut introduction());
        assert!(matches!(session.phase, Phase::Echo));
        assert!(session.finish().is_empty());
    }
}
