//! Reading a journal that may be cut, damaged or newer. Changes when what is forgiven does.

use super::codec::{LINE_MAX, LineError, decode};
use super::line::{Header, Line};
use serde::de::DeserializeOwned;
use std::io::{BufRead, Read};

/// A journal that cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Nothing in it.
    #[error("the journal is empty")]
    Empty,
    /// It does not begin with a header.
    #[error("not a journal: line 1 is no header ({0})")]
    NoHeader(String),
    /// A newer tg wrote it.
    #[error("line {line} was {error}")]
    Newer {
        /// Line number from 1.
        line: u64,
        /// What was found.
        error: LineError,
    },
    /// It could not be read from.
    #[error("reading the journal after line {line}: {error}")]
    Read {
        /// The last line read.
        line: u64,
        /// The error.
        error: std::io::Error,
    },
}

/// What was wrong with a journal that could be read all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Lines that could not be read: number and reason, the first [`Notes::SHOWN`].
    pub unreadable: Vec<(u64, String)>,
    /// How many there are.
    pub unreadable_count: u64,
    /// The last line has no end: the writer was killed, or its disk was full.
    pub cut: bool,
}

impl Notes {
    /// How many unreadable lines are kept with their reasons.
    pub const SHOWN: usize = 10;
}

/// The lines of a journal after its header, in order. Lines that cannot be read are passed over and
/// noted; a line of a newer version is an error.
#[derive(Debug)]
pub struct Reader<R, L: JournalLine = Line> {
    input: R,
    header: L::Header,
    line: u64,
    notes: Notes,
    /// A line without an end was read: whatever the input has by now belongs to that line.
    over: bool,
    buffer: Vec<u8>,
}

/// What a line of some journal is.
pub trait JournalLine: DeserializeOwned {
    /// What such a journal begins with.
    type Header;
    /// The header where the line is one.
    fn into_header(self) -> Option<Self::Header>;
}

impl JournalLine for Line {
    type Header = Header;

    fn into_header(self) -> Option<Header> {
        match self {
            Line::Header(header) => Some(*header),
            _ => None,
        }
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads the header of a run's journal.
    pub fn new(input: R) -> Result<Reader<R>, JournalError> {
        Reader::open(input)
    }
}

impl<R: BufRead, L: JournalLine> Reader<R, L> {
    /// Reads the header.
    pub fn open(input: R) -> Result<Reader<R, L>, JournalError> {
        let mut input = input;
        let mut buffer = Vec::new();
        // Only so much: what has no line end may have no end at all (/dev/zero, /dev/full).
        let mut start = input.by_ref().take(LINE_MAX as u64 + 1);
        let more = next_line(&mut start, &mut buffer).map_err(|error| JournalError::Read { line: 0, error })?;
        if !more {
            return Err(JournalError::Empty);
        }
        match decode::<L>(&buffer).map(L::into_header) {
            Ok(Some(header)) => {
                let over = !is_whole(&buffer);
                Ok(Reader { input, header, line: 1, notes: Notes::default(), over, buffer })
            }
            Ok(None) => Err(JournalError::NoHeader("it is another line".into())),
            Err(error @ LineError::Newer { .. }) => Err(JournalError::Newer { line: 1, error }),
            Err(LineError::Garbage(why)) => Err(JournalError::NoHeader(why)),
        }
    }

    /// The header.
    pub fn header(&self) -> &L::Header {
        &self.header
    }

    /// Number of the line that was read last, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// What was wrong so far; complete once [`Reader::next_line`] gave `None`.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// The next line that can be read; `None` at the end. Of a journal that is still being written that is
    /// the end that was met first.
    pub fn next_line(&mut self) -> Result<Option<L>, JournalError> {
        while !self.over {
            let more = next_line(&mut self.input, &mut self.buffer)
                .map_err(|error| JournalError::Read { line: self.line, error })?;
            if !more {
                break;
            }
            self.line += 1;
            let whole = is_whole(&self.buffer);
            self.over = !whole;
            match decode(&self.buffer) {
                Ok(line) => return Ok(Some(line)),
                Err(error @ LineError::Newer { .. }) => {
                    return Err(JournalError::Newer { line: self.line, error });
                }
                Err(LineError::Garbage(_)) if !whole => self.notes.cut = true,
                Err(LineError::Garbage(why)) => {
                    self.notes.unreadable_count += 1;
                    if self.notes.unreadable.len() < Notes::SHOWN {
                        self.notes.unreadable.push((self.line, why));
                    }
                }
            }
        }
        self.over = true;
        Ok(None)
    }
}

fn is_whole(line: &[u8]) -> bool {
    line.last() == Some(&b'\n')
}

/// Reads up to a newline into `buffer`, at most a little more than [`LINE_MAX`] of it (the rest is
/// passed over, so that a file without newlines cannot fill the memory). False at the end.
fn next_line(input: &mut impl BufRead, buffer: &mut Vec<u8>) -> std::io::Result<bool> {
    buffer.clear();
    let mut any = false;
    loop {
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if chunk.is_empty() {
            return Ok(any);
        }
        any = true;
        let newline = chunk.iter().position(|b| *b == b'\n');
        let taken = newline.map_or(chunk.len(), |at| at + 1);
        if buffer.len() <= LINE_MAX {
            buffer.extend_from_slice(&chunk[..taken]);
        } else if newline.is_some() {
            buffer.push(b'\n');
        }
        input.consume(taken);
        if newline.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Event, RunEvent, encode_line};
    use super::*;
    use crate::summary::tests::story::header;
    use std::io::{BufReader, Read};

    /// A file that is read while it grows: its end is met once before the rest is there.
    struct Growing<'a> {
        now: &'a [u8],
        later: Option<&'a [u8]>,
    }

    impl Read for Growing<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            match (self.now.read(out)?, self.later) {
                (0, Some(later)) => {
                    (self.now, self.later) = (later, None);
                    Ok(0)
                }
                (n, _) => Ok(n),
            }
        }
    }

    #[test]
    fn what_is_written_after_the_end_was_met_is_no_damage() {
        let event = Line::Event(Event { at_ns: 1, event: RunEvent::StopRequested });
        let mut text = Vec::new();
        encode_line(&Line::Header(Box::new(header(1))), &mut text);
        let header_len = text.len();
        (0..3).for_each(|_| encode_line(&event, &mut text));
        for at in header_len - 1..=text.len() {
            let (now, later) = text.split_at(at);
            let mut reader = Reader::new(BufReader::new(Growing { now, later: Some(later) })).unwrap();
            let mut lines = 0;
            while let Some(line) = reader.next_line().unwrap() {
                assert_eq!(line, event);
                lines += 1;
            }
            assert!(lines >= now.iter().filter(|b| **b == b'\n').count().saturating_sub(1), "{at}");
            assert_eq!(reader.notes().unreadable, [], "{at}");
            assert_eq!(reader.next_line().unwrap(), None, "the end stays the end");
        }
    }
}
