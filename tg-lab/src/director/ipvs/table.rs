//! Reads `/proc/net/ip_vs`, in which the kernel tells how many connections each destination has
//! (`ip_vs_info_seq_show` of net/netfilter/ipvs/ip_vs_ctl.c). Pure. Changes when that form does.

use std::net::{IpAddr, SocketAddr};

/// What a destination has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its address.
    pub destination: SocketAddr,
    /// Its weight.
    pub weight: i64,
    /// Established connections.
    pub active: u64,
    /// Others that it still knows.
    pub inactive: u64,
}

/// Every destination of every service. Lines of another form are passed over.
#[must_use]
pub fn held(table: &str) -> Vec<Held> {
    table.lines().filter_map(destination).collect()
}

/// `  -> 0A804101:138B      Masq    1      10         0`, or `  -> [fd74:…]:138B      Masq …`.
fn destination(line: &str) -> Option<Held> {
    let mut words = line.trim_start().strip_prefix("-> ")?.split_ascii_whitespace();
    let destination = address(words.next()?)?;
    let (weight, active, inactive) = (words.nth(1)?, words.next()?, words.next()?);
    Some(Held {
        destination,
        weight: weight.parse().ok()?,
        active: active.parse().ok()?,
        inactive: inactive.parse().ok()?,
    })
}

fn address(word: &str) -> Option<SocketAddr> {
    let (ip, port) = word.rsplit_once(':')?;
    let ip = match ip.strip_prefix('[') {
        Some(v6) => IpAddr::V6(v6.strip_suffix(']')?.parse().ok()?),
        None if ip.len() == 8 => IpAddr::V4(u32::from_str_radix(ip, 16).ok()?.into()),
        None => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_kernels_table_is_read() {
        let table = "\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0000201:138B rr
  -> 0A804102:138B      Masq    1      10         0
  -> 0A804101:138B      Masq    0      0          12
TCP  [2001:0db8:0000:0000:0000:0000:0000:0001]:138B lc
  -> [fd74:6700:0000:0041:0000:0000:0000:0001]:138B      Masq    1      3          4
";
        let of = |destination: &str, weight, active, inactive| Held {
            destination: destination.parse().unwrap(),
            weight,
            active,
            inactive,
        };
        assert_eq!(
            held(table),
            [
                of("10.128.65.2:5003", 1, 10, 0),
                of("10.128.65.1:5003", 0, 0, 12),
                of("[fd74:6700:0:41::1]:5003", 1, 3, 4)
            ]
        );
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(  -> )?[0-9A-F:\\[\\]]{0,12}[ \\PC]{0,40}") {
            let _ = held(&text);
        }
    }
}
