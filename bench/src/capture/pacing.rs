//! When packets left, and at what distances, as a capture saw it. Changes when pacing is judged otherwise.

use super::segment::Segment;
use std::collections::HashMap;
use std::ops::RangeInclusive;

/// The packets of one connection towards the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sends {
    /// The client's port.
    pub port: u16,
    /// Number of each packet on the connection, and when its first byte left (ns since the Unix epoch).
    pub packets: Vec<(u64, u64)>,
}

/// The packets of `size` bytes that left for a server, by connection, in the order of their beginnings.
/// Retransmitted bytes count when they were first sent.
pub fn sends(segments: &[Segment], servers: &RangeInclusive<u16>, size: u32) -> Vec<Sends> {
    let mut streams: Vec<Stream> = Vec::new();
    let mut newest: HashMap<(u16, u16), usize> = HashMap::new();
    for segment in segments.iter().filter(|s| servers.contains(&s.to) && (s.syn || s.len > 0)) {
        let ends = (segment.from, segment.to);
        // A SYN that is sent again has its number again.
        let known = newest.get(&ends).copied().filter(|i| !segment.syn || streams[*i].begin == segment.seq);
        let index = known.unwrap_or_else(|| {
            streams.push(Stream::begun_by(segment));
            streams.len() - 1
        });
        newest.insert(ends, index);
        streams[index].take(segment, u64::from(size.max(1)));
    }
    streams.into_iter().map(|s| s.sends).collect()
}

/// One connection's bytes.
struct Stream {
    /// Sequence number that it began with.
    begin: u32,
    /// Bytes seen so far.
    seen: u64,
    sends: Sends,
}

impl Stream {
    fn begun_by(segment: &Segment) -> Stream {
        // The SYN takes a number itself. Without it, the first segment seen begins the stream.
        let begin = if segment.syn { segment.seq } else { segment.seq.wrapping_sub(1) };
        Stream { begin, seen: 0, sends: Sends { port: segment.from, packets: Vec::new() } }
    }

    fn take(&mut self, segment: &Segment, size: u64) {
        let expected = self.begin.wrapping_add(1).wrapping_add(self.seen as u32);
        // Numbers wrap: what lies within half of their range is ahead, the other half was seen.
        let ahead = segment.seq.wrapping_sub(expected).cast_signed();
        let Some(from) = self.seen.checked_add_signed(i64::from(ahead)) else { return };
        let to = from + u64::from(segment.len);
        let (from, to) = (from.max(self.seen), to.max(self.seen));
        for number in from.div_ceil(size)..to.div_ceil(size) {
            self.sends.packets.push((number, segment.at_ns));
        }
        self.seen = to;
    }
}

/// |interval − period| of packets that follow one another on a connection, both sent within `window`
/// (ns since the Unix epoch). In nanoseconds, sorted.
pub fn deviations(sends: &[Sends], period_ns: u64, window: &RangeInclusive<u64>) -> Vec<u64> {
    let mut deviations: Vec<u64> = sends
        .iter()
        .flat_map(|s| s.packets.windows(2))
        .filter_map(|pair| match pair {
            [(a, from), (b, to)] if *b == a + 1 && window.contains(from) && window.contains(to) => {
                Some(to.saturating_sub(*from).abs_diff(period_ns))
            }
            _ => None,
        })
        .collect();
    deviations.sort_unstable();
    deviations
}

/// Packets that left within `window`.
pub fn count(sends: &[Sends], window: &RangeInclusive<u64>) -> u64 {
    sends.iter().flat_map(|s| &s.packets).filter(|(_, at)| window.contains(at)).count() as u64
}

/// The most packets, of all connections, that left within any `span_ns` of `window`.
pub fn most_within(sends: &[Sends], span_ns: u64, window: &RangeInclusive<u64>) -> usize {
    let times = sends.iter().flat_map(|s| &s.packets).map(|(_, at)| *at).filter(|at| window.contains(at));
    let mut times: Vec<u64> = times.collect();
    times.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (last, at) in times.iter().enumerate() {
        while times[first] + span_ns <= *at {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: u16 = 5003;
    const ANY: RangeInclusive<u64> = 0..=u64::MAX;

    fn data(at_ns: u64, from: u16, seq: u32, len: u32) -> Segment {
        Segment { at_ns, from, to: SERVER, syn: false, ack: true, fin: false, rst: false, seq, len }
    }

    fn syn(at_ns: u64, from: u16, seq: u32) -> Segment {
        Segment { syn: true, ack: false, ..data(at_ns, from, seq, 0) }
    }

    fn of(segments: &[Segment], size: u32) -> Vec<Vec<(u64, u64)>> {
        sends(segments, &(SERVER..=SERVER), size).into_iter().map(|s| s.packets).collect()
    }

    #[test]
    fn a_packet_leaves_with_its_first_byte() {
        // Two packets in one segment, then one in two halves, over the wrap of sequence numbers.
        let begin = u32::MAX - 150;
        let segments = [
            syn(1, 9, begin),
            data(10, 9, begin.wrapping_add(1), 200),
            data(20, 9, begin.wrapping_add(201), 60),
            data(30, 9, begin.wrapping_add(261), 40),
            data(40, 9, begin.wrapping_add(301), 100),
        ];
        assert_eq!(of(&segments, 100), [[(0, 10), (1, 10), (2, 20), (3, 40)]]);
    }

    #[test]
    fn bytes_sent_again_count_once() {
        let segments = [
            syn(1, 9, 0),
            syn(2, 9, 0),
            data(10, 9, 1, 100),
            data(15, 9, 1, 100),
            data(20, 9, 1, 200),
            data(25, 9, 51, 60),
            data(30, 9, 201, 100),
        ];
        assert_eq!(of(&segments, 100), [[(0, 10), (1, 20), (2, 30)]]);
    }

    #[test]
    fn a_port_used_again_is_another_connection() {
        let segments = [syn(1, 9, 0), data(10, 9, 1, 100), syn(20, 9, 5000), data(30, 9, 5001, 100)];
        assert_eq!(of(&segments, 100), [[(0, 10)], [(0, 30)]]);
    }

    #[test]
    fn a_connection_older_than_the_capture_begins_with_what_is_seen() {
        assert_eq!(of(&[data(10, 9, 777, 100), data(20, 9, 877, 100)], 100), [[(0, 10), (1, 20)]]);
    }

    #[test]
    fn only_what_goes_to_the_server_is_taken() {
        let back = Segment { from: SERVER, to: 9, ..data(5, 9, 1, 100) };
        assert_eq!(of(&[syn(1, 9, 0), back, data(10, 9, 1, 100)], 100), [[(0, 10)]]);
        assert!(sends(&[data(1, 9, 1, 1)], &(1..=2), 100).is_empty());
    }

    #[test]
    fn deviations_are_of_neighbours_within_the_window() {
        let conn = |packets: &[(u64, u64)]| Sends { port: 1, packets: packets.to_vec() };
        let sends =
            [conn(&[(0, 1000), (1, 1210), (2, 1400), (4, 1900), (5, 2100)]), conn(&[(0, 1003), (1, 1200)]), conn(&[])];
        assert_eq!(deviations(&sends, 200, &ANY), [0, 3, 10, 10]);
        assert_eq!(deviations(&sends, 200, &(1001..=1899)), [3, 10]);
        assert_eq!(count(&sends, &(1001..=1899)), 4);
        assert_eq!(count(&sends, &ANY), 7);
    }

    #[test]
    fn crowds_are_counted_over_all_connections() {
        let conn = |times: &[u64]| Sends { port: 1, packets: times.iter().map(|at| (0, *at)).collect() };
        let sends = [conn(&[100, 205, 299]), conn(&[110, 200, 300])];
        assert_eq!(most_within(&sends, 100, &ANY), 3);
        assert_eq!(most_within(&sends, 5, &ANY), 2);
        assert_eq!(most_within(&sends, 100, &(206..=1000)), 2);
        assert_eq!(most_within(&sends, 1, &(206..=298)), 0);
        assert_eq!(most_within(&[], 100, &ANY), 0);
    }

    #[test]
    fn a_gap_in_the_capture_leaves_packets_out_but_no_numbers_wrong() {
        let segments = [syn(1, 9, 0), data(10, 9, 1, 100), data(30, 9, 201, 100), data(40, 9, 301, 100)];
        assert_eq!(of(&segments, 100), [[(0, 10), (2, 30), (3, 40)]]);
    }
}
