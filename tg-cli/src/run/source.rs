//! `--source`: local addresses from a prefix or a file. Changes when the form of either does.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use tg_model::plan::Source;

/// A source file is read to this length at most.
const FILE_MAX: u64 = 64 << 20;
const FORM: &str = "want ADDRESS, ADDRESS:PORT or [IPV6]:PORT";

/// At most `count` sources from a prefix such as `10.0.0.0/24`, or else from the file of that name.
pub fn sources(text: &str, count: u32) -> Result<Vec<Source>, String> {
    if let Some((address, length)) = text.split_once('/')
        && let Ok(address) = address.parse::<IpAddr>()
    {
        return prefix(address, length, count);
    }
    if let Some(source) = source(text) {
        return Ok(vec![source]);
    }
    let path = Path::new(text);
    let file =
        File::open(path).map_err(|e| format!("source file {text}: {e} (and it is no prefix: want 10.0.0.0/24)"))?;
    lines(BufReader::new(file), count).map_err(|e| format!("source file {text}: {e}"))
}

/// The addresses of a prefix that a host may have, from the lowest: of IPv4 without the network's and
/// the broadcast address, of IPv6 without the routers' anycast address (RFC 4291, 2.6.1), where the
/// prefix is long enough to have them.
fn prefix(address: IpAddr, length: &str, count: u32) -> Result<Vec<Source>, String> {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length: u32 = length
        .parse()
        .ok()
        .filter(|n| *n <= bits)
        .ok_or_else(|| format!("`{address}/{length}`: want a prefix length from 0 to {bits}"))?;
    let host_bits = bits - length;
    let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
    let network = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    } & mask;
    let last = network | !mask & (u128::MAX >> (128 - bits));
    let (first, last) = match address {
        _ if host_bits < 2 => (network, last),
        IpAddr::V4(_) => (network + 1, last - 1),
        IpAddr::V6(_) => (network + 1, last),
    };
    let ip = |n: u128| match address {
        // In range: the mask leaves 32 bits.
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(n as u32)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(n)),
    };
    Ok((first..=last).take(count as usize).map(|n| Source(SocketAddr::new(ip(n), 0))).collect())
}

/// The sources of a file; every line is looked at, the first `count` sources are kept.
pub(super) fn lines(input: impl BufRead, count: u32) -> Result<Vec<Source>, String> {
    let mut sources = Vec::new();
    let mut any = false;
    let mut input = input.take(FILE_MAX + 1);
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let read = input.read_until(b'\n', &mut line).map_err(|e| format!("after line {}: {e}", number - 1))?;
        if read == 0 {
            break;
        }
        if input.limit() == 0 {
            return Err(format!("longer than {} MiB", FILE_MAX >> 20));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        let source = source(text)
            .ok_or_else(|| format!("line {number} is `{}`: {FORM}", tg_model::wire::printable(text.as_bytes())))?;
        any = true;
        if sources.len() < count as usize {
            sources.push(source);
        }
    }
    // A plan without sources leaves the choice to the kernel, which is not what was asked for.
    if any { Ok(sources) } else { Err(format!("there is no source in it: {FORM}, one a line")) }
}

fn source(text: &str) -> Option<Source> {
    let alone = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 0));
    alone.or_else(|_| text.parse()).ok().map(Source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn shown(text: &str, count: u32) -> Result<Vec<String>, String> {
        Ok(sources(text, count)?.iter().map(|s| s.0.ip().to_string()).collect())
    }

    #[test]
    fn prefixes_give_the_addresses_that_hosts_have() {
        assert_eq!(shown("10.0.0.0/30", 9).unwrap(), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(shown("10.0.0.77/24", 2).unwrap(), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(shown("10.0.0.2/31", 9).unwrap(), ["10.0.0.2", "10.0.0.3"]);
        assert_eq!(shown("10.0.0.9/32", 9).unwrap(), ["10.0.0.9"]);
        assert_eq!(shown("0.0.0.0/0", 2).unwrap(), ["0.0.0.1", "0.0.0.2"]);
        assert_eq!(shown("fd00::/126", 9).unwrap(), ["fd00::1", "fd00::2", "fd00::3"]);
        assert_eq!(shown("fd00::8/127", 9).unwrap(), ["fd00::8", "fd00::9"]);
        assert_eq!(shown("::1/128", 9).unwrap(), ["::1"]);
        assert_eq!(shown("::/0", 2).unwrap(), ["::1", "::2"], "a huge prefix is not expanded whole");
        assert_eq!(shown("192.0.2.7", 9).unwrap(), ["192.0.2.7"]);
        assert!(shown("10.0.0.0/33", 1).unwrap_err().contains("prefix length from 0 to 32"));
        assert!(shown("fd00::/", 1).unwrap_err().contains("0 to 128"));
    }

    #[test]
    fn a_file_has_one_source_a_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "# ours\n\n10.0.0.1\r\n  10.0.0.2:4000  # with a port\n[fd00::1]:5\nfd00::2").unwrap();
        let path = file.path().to_str().unwrap();
        let got = sources(path, 9).unwrap();
        let got: Vec<String> = got.iter().map(|s| s.0.to_string()).collect();
        assert_eq!(got, ["10.0.0.1:0", "10.0.0.2:4000", "[fd00::1]:5", "[fd00::2]:0"]);
        assert_eq!(sources(path, 2).unwrap().len(), 2);
    }

    #[test]
    fn a_bad_line_is_told_by_its_number_wherever_it_is() {
        let error = lines("10.0.0.1\n\nten\n".as_bytes(), 1).unwrap_err();
        assert_eq!(error, format!("line 3 is `ten`: {FORM}"));
        let error = lines(&b"\xff\x1b[2J\n"[..], 1).unwrap_err();
        assert!(error.contains("line 1") && !error.contains('\x1b'), "{error}");
        assert!(sources("/nowhere/at all", 1).unwrap_err().contains("/nowhere/at all"));
        for nothing in ["", "\n\n", "# none yet"] {
            assert!(lines(nothing.as_bytes(), 1).unwrap_err().starts_with("there is no source in it"));
        }
        assert!(lines(BufReader::new(std::io::repeat(b'x')), 1).unwrap_err().contains("longer than 64 MiB"));
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes: Vec<u8>, text in "[0-9a-f.:/]{0,50}") {
            let _ = lines(bytes.as_slice(), 5);
            if let Some((address, length)) = text.split_once('/') && let Ok(address) = address.parse() {
                let _ = prefix(address, length, 5);
            }
        }

        #[test]
        fn addresses_lie_in_their_prefix(bits: u128, length in 0u32..=128, count in 0u32..40) {
            let address = Ipv6Addr::from_bits(bits);
            let got = prefix(address.into(), &length.to_string(), count).unwrap();
            let same = |s: &Source| match s.0.ip() {
                IpAddr::V6(v6) => length == 0 || (v6.to_bits() ^ bits) >> (128 - length) == 0,
                IpAddr::V4(_) => false,
            };
            prop_assert!(got.iter().all(same));
            prop_assert!(got.windows(2).all(|w| w[0].0.ip() < w[1].0.ip()));
            let there_are = if length > 120 { (1u64 << (128 - length)) - u64::from(length < 127) } else { 255 };
            prop_assert_eq!(got.len() as u64, there_are.min(count.into()));
        }
    }
}
