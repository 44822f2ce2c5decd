//! The bytes that client and server agree on beyond the echo: the host name (ctraffic's), and tg's
//! request and identity. `../ARCHITECTURE.md` draws the layout.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The server writes its name over the start of these bytes of a connection (UDP: of a datagram).
pub const NAME_LEN: usize = 64;
/// Packets of at least this size carry a request at byte [`NAME_LEN`].
pub const REQUEST_MIN_SIZE: usize = 128;
/// The identity ends here at the latest, or where the first packet ends.
pub const IDENTITY_END_MAX: usize = 512;
/// The sequence number of a UDP packet: its last bytes, big-endian.
pub const SEQUENCE_LEN: usize = 8;

/// Starts a request. The first byte is none that text or zeros would have.
pub const REQUEST_MAGIC: [u8; 8] = [0xf7, b't', b'g', b'-', b'w', b'h', b'o', b'?'];
/// Starts an identity.
pub const IDENTITY_MAGIC: [u8; 8] = [0xf7, b't', b'g', b'-', b'i', b'a', b'm', b'!'];
const VERSION: u8 = 1;
/// Magic, version, three bytes of padding, packet size.
pub const REQUEST_LEN: usize = 16;

/// Where the identity ends in a packet of `size` bytes; `NAME_LEN` where such packets carry no
/// request. `datagram`: the sequence number stays free.
pub fn identity_end(size: usize, datagram: bool) -> usize {
    if size < REQUEST_MIN_SIZE {
        return NAME_LEN;
    }
    let free = if datagram { size - SEQUENCE_LEN } else { size };
    free.min(IDENTITY_END_MAX)
}

/// The request of a client whose packets have `size` bytes.
pub fn encode_request(size: u32) -> [u8; REQUEST_LEN] {
    let mut out = [0; REQUEST_LEN];
    out[..8].copy_from_slice(&REQUEST_MAGIC);
    out[8] = VERSION;
    out[12..].copy_from_slice(&size.to_be_bytes());
    out
}

/// The packet size in a request; `None` where the bytes are no request of a known version.
pub fn decode_request(bytes: &[u8]) -> Option<u32> {
    let bytes = bytes.get(..REQUEST_LEN)?;
    if bytes[..8] != REQUEST_MAGIC || bytes[8] != VERSION || bytes[9..12] != [0; 3] {
        return None;
    }
    Some(u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]))
}

/// What a tg server says of itself, beyond its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Identity {
    /// The client's address as the server sees it: what NAT made of it.
    #[cfg_attr(test, schemars(with = "String"))]
    pub peer: SocketAddr,
    /// Pod name (environment: `POD_NAME`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pod: String,
    /// Pod UID (`POD_UID`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pod_uid: String,
    /// Node name (`NODE_NAME`).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    /// Version of the server's tg.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
}

impl Identity {
    /// Writes the identity over `region` (byte [`NAME_LEN`] to [`identity_end`] of the first packet).
    /// Strings that do not fit are cut, the last ones first; a region with no room is left alone.
    pub fn encode(&self, region: &mut [u8]) {
        const FIXED: usize = 8 + 1 + 16 + 2;
        if region.len() < FIXED + 4 {
            return;
        }
        region.fill(0);
        region[..8].copy_from_slice(&IDENTITY_MAGIC);
        region[8] = VERSION;
        let ip = match self.peer.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        region[9..25].copy_from_slice(&ip.octets());
        region[25..27].copy_from_slice(&self.peer.port().to_be_bytes());
        let mut at = FIXED;
        let strings = [&self.pod, &self.pod_uid, &self.node, &self.version];
        for (i, s) in strings.iter().enumerate() {
            let later_lengths = strings.len() - 1 - i;
            let room = (region.len() - at - 1).saturating_sub(later_lengths).min(255);
            let cut = (0..=s.len().min(room)).rev().find(|n| s.is_char_boundary(*n)).unwrap_or(0);
            region[at] = cut as u8;
            region[at + 1..at + 1 + cut].copy_from_slice(&s.as_bytes()[..cut]);
            at += 1 + cut;
        }
    }

    /// Reads what [`Identity::encode`] wrote. `None` where the bytes are something else: a ctraffic
    /// server's echo of the request, a newer version, or damage.
    pub fn decode(region: &[u8]) -> Option<Identity> {
        if region.get(..8)? != IDENTITY_MAGIC || *region.get(8)? != VERSION {
            return None;
        }
        let ip = Ipv6Addr::from(<[u8; 16]>::try_from(region.get(9..25)?).ok()?).to_canonical();
        let port = u16::from_be_bytes(<[u8; 2]>::try_from(region.get(25..27)?).ok()?);
        let mut at = 27;
        let mut string = || -> Option<String> {
            let len = usize::from(*region.get(at)?);
            let bytes = region.get(at + 1..at + 1 + len)?;
            at += 1 + len;
            Some(printable(bytes))
        };
        Some(Identity {
            peer: SocketAddr::new(ip, port),
            pod: string()?,
            pod_uid: string()?,
            node: string()?,
            version: string()?,
        })
    }
}

/// The host name in the first bytes of an echo: up to the first NUL, if there is one after at least
/// one byte; `None` otherwise.
pub fn host_name(first: &[u8]) -> Option<String> {
    let end = first.iter().take(NAME_LEN).position(|b| *b == 0)?;
    (end > 0).then(|| printable(&first[..end]))
}

/// Text from the network as it may be shown on a terminal: what is not printable becomes `?`.
pub fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn identity_round_trips_where_there_is_room(
            pod in "[a-z0-9-]{0,63}", uid in "[a-f0-9-]{0,36}", node in "\\PC{0,40}", port: u16, ip: u128,
        ) {
            let peer = SocketAddr::new(IpAddr::V6(ip.into()).to_canonical(), port);
            let identity = Identity { peer, pod, pod_uid: uid, node: printable(node.as_bytes()), version: "0.1.0".into() };
            let mut region = [0xaa; IDENTITY_END_MAX - NAME_LEN];
            identity.encode(&mut region);
            prop_assert_eq!(Identity::decode(&region), Some(identity));
        }

        #[test]
        fn a_short_region_cuts_strings_and_keeps_the_peer(len in 31usize..120, pod in "[a-z]{0,90}") {
            let peer: SocketAddr = "192.0.2.1:4711".parse().unwrap();
            let identity = Identity { peer, pod: pod.clone(), pod_uid: "u".repeat(36), node: "n".into(), version: "v".into() };
            let mut region = vec![0; len];
            identity.encode(&mut region);
            let got = Identity::decode(&region).unwrap();
            prop_assert_eq!(got.peer, peer);
            prop_assert!(pod.starts_with(&got.pod));
            prop_assert_eq!(got.pod.len(), pod.len().min(len - 27 - 4));
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = Identity::decode(&bytes);
            let _ = decode_request(&bytes);
            let _ = host_name(&bytes);
            let mut magic = IDENTITY_MAGIC.to_vec();
            magic.push(1);
            magic.extend(&bytes);
            let _ = Identity::decode(&magic);
        }
    }

    #[test]
    fn request_round_trips_and_anything_else_is_none() {
        assert_eq!(decode_request(&encode_request(1024)), Some(1024));
        assert_eq!(decode_request(&[0; 64]), None);
        let mut newer = encode_request(1024);
        newer[8] = 2;
        assert_eq!(decode_request(&newer), None);
    }

    #[test]
    fn host_name_ends_at_the_first_nul_and_needs_one() {
        assert_eq!(host_name(b"pod-1\0\0\0"), Some("pod-1".into()));
        assert_eq!(host_name(b"\0pod"), None);
        assert_eq!(host_name(&[b'x'; 64]), None);
        assert_eq!(host_name(b"a\x1b[2Jb\0"), Some("a?[2Jb".into()));
    }

    #[test]
    fn the_identity_region_leaves_room_for_the_sequence_number() {
        assert_eq!(identity_end(127, false), 64);
        assert_eq!(identity_end(128, false), 128);
        assert_eq!(identity_end(128, true), 120);
        assert_eq!(identity_end(1024, true), 512);
    }
}
