//! The server against clients that send anything, in any pieces: it never answers more than it was
//! sent, holds back no more than the first packet's region, answers the same however the bytes come,
//! and changes nothing but the name and the region that was asked for.
//!
//! The first eight bytes of the input say how long the pieces are, in turn.

#![no_main]

#[path = "../../tg-core/src/server/datagram.rs"]
mod datagram;
#[path = "../../tg-core/src/server/introduction.rs"]
mod introduction;
#[path = "../../tg-core/src/server/session.rs"]
mod session;

use introduction::Introduction;
use libfuzzer_sys::fuzz_target;
use session::Session;
use std::net::SocketAddr;
// As the modules above find it.
use tg_core::server::{Config, IdentityFields};
use tg_model::wire;

const NAME: &str = "pod-1";

fuzz_target!(|data: &[u8]| {
    let Some((cuts, input)) = data.split_at_checked(8) else { return };
    let mut introduction = introduction();
    let whole = answer([input], &mut introduction);
    assert_eq!(answer(pieces(input, cuts), &mut introduction), whole);
    if input.len() < wire::NAME_LEN {
        return assert!(whole.is_empty());
    }
    assert_eq!(whole.len(), input.len());
    assert_eq!(&whole[..NAME.len()], NAME.as_bytes());
    assert_eq!(whole[NAME.len()..wire::NAME_LEN], input[NAME.len()..wire::NAME_LEN]);
    let asked =
        wire::decode_request(&input[wire::NAME_LEN..]).map_or(0, |size| wire::identity_end(size as usize, false));
    let rest = asked.max(wire::NAME_LEN).min(input.len());
    assert_eq!(whole[rest..], input[rest..]);
    datagram_answer(input, &mut introduction);
});

fn introduction() -> Introduction {
    let identity = IdentityFields { pod: "p".repeat(250), pod_uid: "u".repeat(36), node: "n".repeat(250) };
    Introduction::new(&Config { name: NAME.into(), identity, ..Config::default() })
}

fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 4711))
}

fn pieces<'a>(input: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = input;
    cuts.iter().cycle().map_while(move |cut| {
        let (piece, later) = rest.split_at(rest.len().min(1 + usize::from(*cut)));
        rest = later;
        (!piece.is_empty()).then_some(piece)
    })
}

/// All that the pieces are answered with.
fn answer<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, introduction: &mut Introduction) -> Vec<u8> {
    let mut session = Session::new(peer());
    let (mut out, mut came) = (Vec::new(), 0);
    for piece in pieces {
        let answer = session.receive(piece, introduction);
        came += piece.len();
        assert!(answer.rest <= piece.len());
        out.extend(answer.head);
        out.extend(&piece[answer.rest..]);
        assert!(out.len() <= came, "more than came");
        assert!(came - out.len() < wire::IDENTITY_END_MAX, "held back: {}", came - out.len());
    }
    out.extend(session.finish());
    assert!(out.len() <= came);
    assert!(session.finish().is_empty());
    out
}

fn datagram_answer(input: &[u8], introduction: &mut Introduction) {
    let mut out = input.to_vec();
    datagram::answer(&mut out, peer(), introduction);
    let end = wire::identity_end(input.len(), true);
    assert_eq!(out[end..], input[end..], "beyond the region");
}
