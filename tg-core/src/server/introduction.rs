//! What the server writes into the packets of its clients: its name, its identity. Changes when it has
//! more to say.

use super::Config;
use std::net::SocketAddr;
use tg_model::wire::{Identity, NAME_LEN};

/// The name, and the identity with the peer of the last one that was written.
#[derive(Clone, Debug)]
pub(super) struct Introduction {
    name: String,
    identity: Identity,
}

impl Introduction {
    pub fn new(config: &Config) -> Introduction {
        // One byte short of the space, so that a NUL of the client's stays behind it.
        let end = (0..NAME_LEN).rev().find(|n| config.name.is_char_boundary(*n) && *n <= config.name.len());
        Introduction {
            name: config.name[..end.unwrap_or(0)].to_owned(),
            identity: Identity {
                peer: SocketAddr::from(([0, 0, 0, 0], 0)),
                pod: config.identity.pod.clone(),
                pod_uid: config.identity.pod_uid.clone(),
                node: config.identity.node.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
        }
    }

    /// Writes the name over the start of `bytes`, as much of it as there is room for.
    pub fn write_name(&self, bytes: &mut [u8]) {
        let len = self.name.len().min(bytes.len());
        bytes[..len].copy_from_slice(&self.name.as_bytes()[..len]);
    }

    /// Writes the identity over `region`, for the client at `peer`.
    pub fn write_identity(&mut self, peer: SocketAddr, region: &mut [u8]) {
        self.identity.peer = peer;
        self.identity.encode(region);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Introduction {
        Introduction::new(&Config { name: name.into(), ..Config::default() })
    }

    #[test]
    fn only_the_names_length_is_overwritten() {
        let mut bytes = [b'.'; 64];
        named("pod-1").write_name(&mut bytes);
        assert_eq!(&bytes[..6], b"pod-1.");
        let mut short = [b'.'; 3];
        named("pod-1").write_name(&mut short);
        assert_eq!(&short, b"pod");
    }

    #[test]
    fn a_long_name_is_cut_so_that_a_nul_stays() {
        let mut bytes = [0; 64];
        named(&"x".repeat(64)).write_name(&mut bytes);
        assert_eq!(tg_model::wire::host_name(&bytes), Some("x".repeat(63)));
        // 'ä' is two bytes: the 32nd one does not fit.
        let mut bytes = [0; 64];
        named(&"ä".repeat(40)).write_name(&mut bytes);
        assert_eq!(tg_model::wire::host_name(&bytes), Some("ä".repeat(31)));
    }
}
