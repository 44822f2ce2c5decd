//! `sh`: by a hash of the client's address. Changes when the kernel's ip_vs_sh.c does.

use super::Backend;
use std::net::{IpAddr, SocketAddr};

const BUCKETS: usize = 256;
/// GOLDEN_RATIO_32 of include/linux/hash.h.
const GOLDEN_RATIO: u32 = 0x61c8_8647;

/// The table: each bucket is one destination's, by its place in the list.
#[derive(Clone, Debug)]
pub(super) struct Buckets([Option<u32>; BUCKETS]);

impl Default for Buckets {
    fn default() -> Buckets {
        Buckets([None; BUCKETS])
    }
}

impl Buckets {
    /// `ip_vs_sh_reassign`: destinations in turn, each as many buckets as it weighs; one of weight 0 gets one,
    /// whose clients are then refused.
    pub(super) fn assign(&mut self, backends: &[Backend]) {
        let (mut at, mut given) = (0, 0);
        for bucket in &mut self.0 {
            *bucket = u32::try_from(at).ok().filter(|_| !backends.is_empty());
            given += 1;
            if backends.get(at).is_none_or(|b| given >= b.weight) {
                (at, given) = ((at + 1) % backends.len().max(1), 0);
            }
        }
    }

    /// Without `sh-fallback` and `sh-port`, which kube-proxy does not set.
    pub(super) fn choose(&self, backends: &[Backend], client: SocketAddr) -> Option<usize> {
        let at = self.0[bucket_of(client.ip())]? as usize;
        backends.get(at).filter(|b| b.weight > 0).map(|_| at)
    }
}

/// `ip_vs_sh_hashkey` with port 0.
fn bucket_of(client: IpAddr) -> usize {
    let folded = match client {
        IpAddr::V4(ip) => u32::from(ip),
        IpAddr::V6(ip) => {
            let bits = u128::from(ip);
            (bits >> 96) as u32 ^ (bits >> 64) as u32 ^ (bits >> 32) as u32 ^ bits as u32
        }
    };
    (folded.wrapping_mul(GOLDEN_RATIO) >> 24) as usize
}
