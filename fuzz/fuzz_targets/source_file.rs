//! `--source`: a prefix gives addresses of it, in order; a file gives sources, or the number of a bad line,
//! or says that it has none.

#![no_main]

#[path = "../../tg-cli/src/run/source.rs"]
mod source;

use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;

const COUNT: u32 = 7;

fuzz_target!(|data: &[u8]| {
    match source::lines(data, COUNT) {
        Ok(sources) => {
            assert!(sources.len() <= COUNT as usize);
            let text: String = sources.iter().map(|s| format!("{}\n", s.0)).collect();
            assert_eq!(source::lines(text.as_bytes(), COUNT).as_ref(), Ok(&sources));
        }
        Err(error) if error.starts_with("there is no source in it") => {
            assert!(data.split(|b| *b == b'\n').all(is_idle))
        }
        Err(error) => assert!(error.starts_with("line ") && !error.contains(char::is_control), "{error:?}"),
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Some((Ok(address), length)) = text.split_once('/').map(|(a, l)| (a.parse::<IpAddr>(), l))
        && let Ok(sources) = source::sources(text, COUNT)
    {
        let length: u32 = length.parse().expect("a length");
        assert!(!sources.is_empty() && sources.len() <= COUNT as usize);
        assert!(sources.windows(2).all(|pair| pair[0].0.ip() < pair[1].0.ip()));
        assert!(sources.iter().all(|s| is_in(s.0.ip(), address, length)), "{sources:?}");
    }
});

/// Whether a line has nothing before a comment.
fn is_idle(line: &[u8]) -> bool {
    let before = line.split(|b| *b == b'#').next().unwrap_or_default();
    String::from_utf8_lossy(before).trim().is_empty()
}

/// Whether both begin with the same `length` bits.
fn is_in(ip: IpAddr, network: IpAddr, length: u32) -> bool {
    match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).checked_shr(32 - length).unwrap_or(0) == 0,
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).checked_shr(128 - length).unwrap_or(0) == 0,
        _ => false,
    }
}
