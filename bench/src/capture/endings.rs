//! What a client did once the server had ended its connections, as a capture saw it. Changes when
//! reconnecting is judged otherwise.

use super::segment::Segment;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// How the server ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// RST.
    Reset,
    /// FIN.
    Close,
}

/// What a segment means to the connections with one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The client asks for a connection.
    Asked,
    /// The server grants one to this port.
    Granted(u16),
    /// The server ends it.
    Ended(u16, How),
    /// The client ends it.
    Left(u16),
}

fn step(segment: &Segment, server: u16) -> Option<Step> {
    let Segment { from, to, syn, ack, fin, rst, .. } = *segment;
    match () {
        () if from == server && rst => Some(Step::Ended(to, How::Reset)),
        () if from == server && fin => Some(Step::Ended(to, How::Close)),
        () if from == server && syn && ack => Some(Step::Granted(to)),
        () if to == server && syn => Some(Step::Asked),
        () if to == server && (fin || rst) => Some(Step::Left(from)),
        () => None,
    }
}

/// One connection kept up: how the server ended it, and nanoseconds from there to the client's next SYN.
/// An end that no SYN followed is left out: the run's own end may be the reason.
pub fn reactions(segments: &[Segment], server: u16) -> Vec<(How, u64)> {
    let mut established = HashSet::new();
    let mut pending: Option<(How, u64)> = None;
    let mut reactions = Vec::new();
    for segment in segments {
        match step(segment, server) {
            Some(Step::Granted(port)) => {
                established.insert(port);
            }
            Some(Step::Left(port)) => {
                established.remove(&port);
            }
            // What is not established is an attempt that was refused.
            Some(Step::Ended(port, how)) if established.remove(&port) => pending = Some((how, segment.at_ns)),
            Some(Step::Asked) => {
                reactions.extend(pending.take().map(|(how, at_ns)| (how, segment.at_ns.saturating_sub(at_ns))));
            }
            Some(Step::Ended(..)) | None => {}
        }
    }
    reactions
}

/// What became of many connections when the server was ended and started again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Connections that the server's end ended.
    pub ended: usize,
    /// When each connection that was there to stay was granted, ns after the first of those ends; sorted.
    pub back_ns: Vec<u64>,
}

/// The same of what happened within `window` (ns since the Unix epoch). A connection that ended again
/// within it (a server that is about to die still grants some) was not there to stay.
pub fn recovery(segments: &[Segment], server: u16, window: &Range<u64>) -> Recovery {
    let mut granted: HashMap<u16, u64> = HashMap::new();
    let mut ended = 0;
    let mut first_end = None;
    for segment in segments.iter().take_while(|s| s.at_ns < window.end) {
        let within = segment.at_ns >= window.start;
        match step(segment, server) {
            Some(Step::Granted(port)) => {
                granted.entry(port).or_insert(segment.at_ns);
            }
            Some(Step::Left(port)) => {
                granted.remove(&port);
            }
            Some(Step::Ended(port, _)) => {
                let older = granted.remove(&port).is_some_and(|since| since < window.start);
                if older && within {
                    ended += 1;
                    first_end.get_or_insert(segment.at_ns);
                }
            }
            Some(Step::Asked) | None => {}
        }
    }
    let zero = first_end.unwrap_or(window.start);
    let mut back_ns: Vec<u64> =
        granted.into_values().filter(|at| *at >= window.start).map(|at| at.saturating_sub(zero)).collect();
    back_ns.sort_unstable();
    Recovery { ended, back_ns }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: u16 = 5003;

    fn none(at_ns: u64) -> Segment {
        Segment { at_ns, from: 0, to: 0, syn: false, ack: true, fin: false, rst: false, seq: 0, len: 0 }
    }

    fn asked(at_ns: u64, port: u16) -> Segment {
        Segment { from: port, to: SERVER, syn: true, ack: false, ..none(at_ns) }
    }

    fn granted(at_ns: u64, port: u16) -> Segment {
        Segment { from: SERVER, to: port, syn: true, ..none(at_ns) }
    }

    fn closed(at_ns: u64, port: u16) -> Segment {
        Segment { from: SERVER, to: port, fin: true, ..none(at_ns) }
    }

    fn reset(at_ns: u64, port: u16) -> Segment {
        Segment { from: SERVER, to: port, rst: true, ..none(at_ns) }
    }

    fn left(at_ns: u64, port: u16) -> Segment {
        Segment { from: port, to: SERVER, fin: true, ..none(at_ns) }
    }

    #[test]
    fn the_time_runs_from_the_servers_end_to_the_next_syn() {
        let segments = [
            asked(1, 50),
            granted(2, 50),
            closed(100, 50),
            // The client answers the FIN, and the server's kernel what comes after it.
            left(110, 50),
            reset(112, 50),
            asked(130, 51),
            granted(131, 51),
            reset(200, 51),
            asked(205, 52),
            granted(206, 52),
            left(300, 52),
            closed(301, 52),
        ];
        assert_eq!(reactions(&segments, SERVER), [(How::Close, 30), (How::Reset, 5)]);
    }

    #[test]
    fn a_refused_attempt_is_no_end() {
        let segments = [
            asked(1, 50),
            granted(2, 50),
            closed(10, 50),
            asked(12, 51),
            reset(13, 51),
            asked(20, 52),
            granted(21, 52),
        ];
        assert_eq!(reactions(&segments, SERVER), [(How::Close, 2)]);
    }

    #[test]
    fn other_servers_are_not_looked_at() {
        assert!(reactions(&[asked(1, 50), granted(2, 50), closed(10, 50), asked(12, 51)], 80).is_empty());
    }

    #[test]
    fn only_connections_there_to_stay_are_back() {
        let segments = [
            granted(1, 50),
            granted(2, 51),
            granted(3, 52),
            // Over before the window.
            closed(9, 52),
            reset(100, 50),
            closed(105, 51),
            // Granted by the dying server, refused, then granted by the new one.
            asked(110, 60),
            granted(111, 60),
            reset(120, 60),
            asked(121, 61),
            reset(122, 61),
            asked(140, 62),
            granted(141, 62),
            granted(142, 62),
            granted(150, 63),
            // After the window.
            granted(900, 64),
        ];
        let got = recovery(&segments, SERVER, &(90..800));
        assert_eq!(got, Recovery { ended: 2, back_ns: vec![41, 50] });
        assert_eq!(recovery(&segments, SERVER, &(800..801)).back_ns, Vec::<u64>::new());
    }
}
