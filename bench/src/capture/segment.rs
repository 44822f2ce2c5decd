//! From a pcap file to TCP segments. Changes when something else is wanted of a captured frame.

use anyhow::{Context, bail};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{LegacyPcapReader, Linktype, PcapBlockOwned, PcapError, PcapHeader};
use std::io::Read;

const BUFFER: usize = 1 << 16;

/// One captured TCP segment. All of a capture is on one host: ports tell its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// CLOCK_REALTIME, nanoseconds since the Unix epoch.
    pub at_ns: u64,
    pub from: u16,
    pub to: u16,
    pub syn: bool,
    pub ack: bool,
    pub fin: bool,
    pub rst: bool,
    /// Sequence number of its first byte, or of its SYN.
    pub seq: u32,
    /// Bytes of payload.
    pub len: u32,
}

/// Reads a capture of Ethernet frames (as those on `lo` are). What is no TCP is passed over.
///
/// # Errors
/// It is no such capture, or it ends within a frame.
pub fn read(file: impl Read) -> anyhow::Result<Vec<Segment>> {
    let mut reader = LegacyPcapReader::new(BUFFER, file).context("reading the capture's header")?;
    let mut fraction_ns = 1;
    let mut segments = Vec::new();
    loop {
        let offset = match reader.next() {
            Ok((offset, PcapBlockOwned::LegacyHeader(header))) => {
                fraction_ns = check(&header)?;
                offset
            }
            Ok((offset, PcapBlockOwned::Legacy(frame))) => {
                let at_ns = u64::from(frame.ts_sec) * 1_000_000_000 + u64::from(frame.ts_usec) * fraction_ns;
                segments.extend(segment(at_ns, frame.data));
                offset
            }
            Ok((_, PcapBlockOwned::NG(_))) => bail!("the capture is pcapng, not pcap"),
            Err(PcapError::Eof) => return Ok(segments),
            Err(PcapError::UnexpectedEof) => bail!("the capture is cut within a frame"),
            Err(PcapError::Incomplete(_)) => {
                reader.refill().map_err(|e| anyhow::anyhow!("reading the capture: {e:?}"))?;
                continue;
            }
            Err(e) => bail!("reading the capture: {e:?}"),
        };
        reader.consume(offset);
    }
}

/// Nanoseconds in a unit of the times' fractions.
fn check(header: &PcapHeader) -> anyhow::Result<u64> {
    if header.network != Linktype::ETHERNET {
        bail!("the capture has frames of type {}, not Ethernet", header.network);
    }
    Ok(if header.is_nanosecond_precision() { 1 } else { 1000 })
}

/// Lax, because only the frame's beginning was captured: lengths are those that the headers tell.
fn segment(at_ns: u64, frame: &[u8]) -> Option<Segment> {
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let Some(TransportSlice::Tcp(tcp)) = &packet.transport else { return None };
    let ip_payload = match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => usize::from(ip.header().total_len()).checked_sub(ip.header().slice().len())?,
        LaxNetSlice::Ipv6(ip) => {
            usize::from(ip.header().payload_length()).checked_sub(ip.extensions().slice().len())?
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let len = ip_payload.checked_sub(tcp.header_slice().len())?;
    Some(Segment {
        at_ns,
        from: tcp.source_port(),
        to: tcp.destination_port(),
        syn: tcp.syn(),
        ack: tcp.ack(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        seq: tcp.sequence_number(),
        len: u32::try_from(len).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    const SNAP: usize = 96;

    fn header(nanoseconds: bool, network: u32) -> Vec<u8> {
        let magic: u32 = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut bytes = magic.to_le_bytes().to_vec();
        bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend((SNAP as u32).to_le_bytes());
        bytes.extend(network.to_le_bytes());
        bytes
    }

    fn record(seconds: u32, fraction: u32, frame: &[u8]) -> Vec<u8> {
        let kept = frame.len().min(SNAP);
        let mut bytes = Vec::new();
        for word in [seconds, fraction, kept as u32, frame.len() as u32] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(&frame[..kept]);
        bytes
    }

    fn frame(v6: bool, payload: &[u8]) -> Vec<u8> {
        let link = PacketBuilder::ethernet2([0; 6], [0; 6]);
        let ip = if v6 {
            let one = std::net::Ipv6Addr::LOCALHOST.octets();
            link.ipv6(one, one, 64)
        } else {
            link.ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64)
        };
        // As TCP on Linux writes them: with a timestamp.
        let options = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
        let tcp = ip.tcp(40_000, 5003, 0xffff_fff0, 512).ack(7).psh().options_raw(&options).unwrap();
        let mut bytes = Vec::new();
        tcp.write(&mut bytes, payload).unwrap();
        bytes
    }

    fn udp() -> Vec<u8> {
        let mut bytes = Vec::new();
        let udp = PacketBuilder::ethernet2([0; 6], [0; 6]).ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64).udp(1, 2);
        udp.write(&mut bytes, b"datagram").unwrap();
        bytes
    }

    #[test]
    fn lengths_and_times_of_cut_frames() {
        let mut file = header(true, 1);
        file.extend(record(10, 123_456_789, &frame(false, &[1; 1024])));
        file.extend(record(10, 123_456_790, &udp()));
        file.extend(record(11, 1, &frame(true, &[])));
        let first = Segment {
            at_ns: 10_123_456_789,
            from: 40_000,
            to: 5003,
            syn: false,
            ack: true,
            fin: false,
            rst: false,
            seq: 0xffff_fff0,
            len: 1024,
        };
        let second = Segment { at_ns: 11_000_000_001, len: 0, ..first };
        assert_eq!(read(file.as_slice()).unwrap(), [first, second]);
    }

    #[test]
    fn microseconds_are_told_from_nanoseconds() {
        let mut file = header(false, 1);
        file.extend(record(10, 5, &frame(false, b"x")));
        assert_eq!(read(file.as_slice()).unwrap()[0].at_ns, 10_000_005_000);
    }

    #[test]
    fn what_is_no_such_capture_is_told() {
        let error = |bytes: &[u8]| format!("{:#}", read(bytes).unwrap_err());
        assert!(error(&header(true, 113)).contains("not Ethernet"));
        assert!(error(b"").contains("header"));
        assert!(error(b"something else that is long enough").contains("header"));
        let mut cut = header(true, 1);
        cut.extend(record(1, 1, &frame(false, &[0; 9])));
        cut.pop();
        assert!(error(&cut).contains("cut"), "{}", error(&cut));
    }

    proptest! {
        #[test]
        fn damage_never_panics(at in 0usize..400, value: u8, keep in 0usize..400) {
            let mut file = header(true, 1);
            file.extend(record(1, 1, &frame(true, &[0; 200])));
            file.extend(record(1, 2, &frame(false, &[0; 200])));
            let at = at % file.len();
            file[at] = value;
            file.truncate(keep);
            let _ = read(file.as_slice());
        }
    }
}
