//! The latest lines, for readers of /events: each reads at its own pace, and none waits for another. Changes
//! when what is kept for them does.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tg_model::node_event::{Gap, LossCause, NodeLine, Numbered, encode_node_line};
use tokio::sync::watch;

/// Bytes that are kept: an older line makes room.
const KEPT: usize = 16 << 20;
/// Bytes that a reader gets at once.
const CHUNK: usize = 64 << 10;

/// See the module.
pub struct Backlog {
    lines: Mutex<Lines>,
    /// The number that the next line will have.
    next: watch::Sender<u64>,
    kept: usize,
}

#[derive(Default)]
struct Lines {
    /// The first one's number.
    first: u64,
    lines: VecDeque<Arc<[u8]>>,
    bytes: usize,
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Whole lines; none where there is nothing new.
    pub bytes: Vec<u8>,
    /// Where it reads on.
    pub next: u64,
}

impl Backlog {
    pub fn new() -> Backlog {
        Backlog::keeping(KEPT)
    }

    fn keeping(kept: usize) -> Backlog {
        Backlog { lines: Mutex::default(), next: watch::Sender::new(0), kept }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Nothing under the lock leaves it half done.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the line of this number, the one after the last.
    pub fn push(&self, seq: u64, line: &[u8]) {
        let mut lines = self.lines();
        lines.bytes += line.len();
        lines.lines.push_back(line.into());
        while lines.bytes > self.kept {
            let Some(oldest) = lines.lines.pop_front() else { break };
            lines.bytes -= oldest.len();
            lines.first += 1;
        }
        drop(lines);
        self.next.send_replace(seq + 1);
    }

    /// The number that the next line will have, and word of each.
    pub fn next(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// What there is from this number on. Lines that are no longer kept are told as a gap, which has the
    /// number of the last of them.
    pub fn read(&self, from: u64) -> Chunk {
        let lines = self.lines();
        let mut bytes = Vec::new();
        if from < lines.first {
            encode_node_line(&gap(from, lines.first), &mut bytes);
        }
        let mut next = from.max(lines.first);
        let skipped = usize::try_from(next - lines.first).unwrap_or(usize::MAX);
        for line in lines.lines.iter().skip(skipped) {
            if bytes.len() + line.len() > CHUNK && !bytes.is_empty() {
                break;
            }
            bytes.extend_from_slice(line);
            next += 1;
        }
        Chunk { bytes, next }
    }
}

/// Its times are those of nothing: the lines that would tell are gone. The numbers around it tell.
fn gap(from: u64, first: u64) -> Numbered {
    let (program, cause) = ("events".into(), LossCause::SlowReader);
    let gap = Gap { program, cpu: None, from_ns: 0, to_ns: 0, lost: Some(first - from), cause };
    Numbered { seq: first - 1, line: NodeLine::Gap(gap) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tg_model::node_event::decode_node_line;

    #[test]
    fn a_reader_gets_each_line_once_and_in_order() {
        let backlog = Backlog::new();
        assert_eq!(backlog.read(0), Chunk { bytes: Vec::new(), next: 0 });
        (0..3).for_each(|seq| backlog.push(seq, format!("{seq}\n").as_bytes()));
        assert_eq!(backlog.read(0), Chunk { bytes: b"0\n1\n2\n".to_vec(), next: 3 });
        assert_eq!(backlog.read(2), Chunk { bytes: b"2\n".to_vec(), next: 3 });
        assert_eq!(backlog.read(3), Chunk { bytes: Vec::new(), next: 3 });
        assert_eq!(backlog.read(99), Chunk { bytes: Vec::new(), next: 99 }, "what is not there yet");
        assert_eq!(*backlog.next().borrow(), 3);
    }

    #[test]
    fn a_slow_reader_is_told_how_many_lines_it_missed() {
        let backlog = Backlog::keeping(6);
        (0..10).for_each(|seq| backlog.push(seq, b"x\n"));
        let chunk = backlog.read(4);
        let text = String::from_utf8(chunk.bytes).unwrap();
        let (gap, rest) = text.split_once('\n').unwrap();
        let Numbered { seq, line: NodeLine::Gap(gap) } = decode_node_line(gap.as_bytes()).unwrap() else { panic!() };
        assert_eq!((seq, gap.lost, gap.cause), (6, Some(3), LossCause::SlowReader));
        assert_eq!((rest, chunk.next), ("x\nx\nx\n", 10));
    }

    #[test]
    fn a_large_backlog_comes_in_pieces() {
        let backlog = Backlog::new();
        let line = [b'x'; 1000];
        (0..200).for_each(|seq| backlog.push(seq, &line));
        let (mut next, mut bytes) = (0, 0);
        while next < 200 {
            let chunk = backlog.read(next);
            assert!(!chunk.bytes.is_empty() && chunk.bytes.len() <= CHUNK);
            (next, bytes) = (chunk.next, bytes + chunk.bytes.len());
        }
        assert_eq!(bytes, 200_000);
    }
}
