//! What a datagram is answered with. Changes with the wire format of UDP.

use super::introduction::Introduction;
use std::net::SocketAddr;
use tg_model::wire::{NAME_LEN, decode_request, identity_end};

/// Makes the answer of a datagram from `peer`, in place: the name over its start and, where it carries a
/// request, the identity.
pub(super) fn answer(datagram: &mut [u8], peer: SocketAddr, introduction: &mut Introduction) {
    introduction.write_name(datagram);
    let Some(size) = datagram.get(NAME_LEN..).and_then(decode_request) else { return };
    // A datagram is a packet: a size that is not its length is no request of ours.
    if size as usize == datagram.len() {
        let end = identity_end(datagram.len(), true);
        introduction.write_identity(peer, &mut datagram[NAME_LEN..end]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Config;
    use proptest::prelude::*;
    use tg_model::wire::{Identity, encode_request};

    const PEER: &str = "192.0.2.7:4711";

    fn answered(datagram: &[u8]) -> Vec<u8> {
        let mut introduction = Introduction::new(&Config { name: "pod-1".into(), ..Config::default() });
        let mut out = datagram.to_vec();
        answer(&mut out, PEER.parse().unwrap(), &mut introduction);
        out
    }

    fn with_request(len: usize, size: u32) -> Vec<u8> {
        let mut datagram = vec![0xab; len];
        datagram[NAME_LEN..NAME_LEN + 16].copy_from_slice(&encode_request(size));
        datagram
    }

    #[test]
    fn a_request_is_answered_and_the_sequence_number_stays() {
        for len in [128, 200, 1024] {
            let got = answered(&with_request(len, len as u32));
            let end = identity_end(len, true);
            assert_eq!(Identity::decode(&got[NAME_LEN..end]).unwrap().peer, PEER.parse().unwrap());
            assert_eq!(got[end..], vec![0xab; len - end]);
        }
    }

    proptest! {
        #[test]
        fn anything_else_changes_by_the_name_only(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let got = answered(&bytes);
            let name = bytes.len().min(5);
            prop_assert_eq!(&got[..name], &b"pod-1"[..name]);
            prop_assert_eq!(&got[name..], &bytes[name..]);
        }

        #[test]
        fn a_size_that_lies_is_no_request(len in 80usize..700, size: u32) {
            prop_assume!(size as usize != len);
            let sent = with_request(len, size);
            prop_assert_eq!(&answered(&sent)[5..], &sent[5..]);
        }
    }
}
