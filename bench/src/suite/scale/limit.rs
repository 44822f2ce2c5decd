//! How many connections this machine lets one client have. Changes when something else limits them.

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit};

/// Descriptors that a client needs for itself.
const OWN_FILES: u64 = 100;
/// Ports that others may use meanwhile.
const OTHER_PORTS: u64 = 1000;

/// The most, and what limits them.
///
/// # Errors
/// The kernel does not say.
pub fn connections() -> anyhow::Result<(u32, String)> {
    let (_, files) = getrlimit(Resource::RLIMIT_NOFILE).context("asking for the file limit")?;
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").context("reading the port range")?;
    let ports = ports(&range).context("the kernel's port range is no range")?;
    Ok(most(files, ports))
}

fn ports(range: &str) -> Option<u64> {
    let mut ends = range.split_whitespace().map(str::parse::<u64>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    (last + 1).checked_sub(first)
}

fn most(files: u64, ports: u64) -> (u32, String) {
    let (by_files, by_ports) = (files.saturating_sub(OWN_FILES), ports.saturating_sub(OTHER_PORTS));
    let of = |count: u64| u32::try_from(count).unwrap_or(u32::MAX).max(1);
    if by_files <= by_ports {
        (of(by_files), format!("the file limit, {files}"))
    } else {
        (of(by_ports), format!("the {ports} local ports"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_one_limits() {
        assert_eq!(ports("32768\t60999\n"), Some(28_232));
        assert_eq!((ports("7"), ports("9 3"), ports("a b")), (None, None, None));
        assert_eq!(most(20_000, 28_232), (19_900, "the file limit, 20000".to_owned()));
        assert_eq!(most(1 << 30, 28_232), (27_232, "the 28232 local ports".to_owned()));
        assert_eq!(most(50, 28_232).0, 1);
    }
}
