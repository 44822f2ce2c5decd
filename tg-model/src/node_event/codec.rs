//! A line of an observer's journal to text and back. Changes when the form of such a line as such does.

use super::line::{NodeHeader, NodeLine, Numbered};
use crate::journal::{JournalLine, LineError, Reader, decode, encode};

/// Reads an observer's journal, cut or damaged or not.
pub type NodeReader<R> = Reader<R, Numbered>;

impl JournalLine for Numbered {
    type Header = NodeHeader;

    fn into_header(self) -> Option<NodeHeader> {
        match self.line {
            NodeLine::Header(header) => Some(*header),
            _ => None,
        }
    }
}

/// Appends the line's text and a newline.
pub fn encode_node_line(line: &Numbered, out: &mut Vec<u8>) {
    encode(line, out);
}

/// Reads one line, with or without its newline.
pub fn decode_node_line(text: &[u8]) -> Result<Numbered, LineError> {
    decode(text)
}

#[cfg(test)]
mod tests {
    use super::super::schema::every_kind;
    use super::*;
    use crate::journal::JournalError;
    use std::io::BufReader;

    fn text(lines: &[Numbered]) -> Vec<u8> {
        let mut text = Vec::new();
        lines.iter().for_each(|l| encode_node_line(l, &mut text));
        text
    }

    #[test]
    fn every_kind_survives_being_written() {
        for line in every_kind() {
            assert_eq!(decode_node_line(&text(std::slice::from_ref(&line))).unwrap(), line);
        }
    }

    #[test]
    fn a_journal_is_read_line_by_line_also_when_it_is_cut() {
        let lines = every_kind();
        let whole = text(&lines);
        let mut reader = NodeReader::open(BufReader::new(&whole[..whole.len() - 3])).unwrap();
        assert_eq!(NodeLine::Header(Box::new(reader.header().clone())), lines[0].line);
        let mut read = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            read.push(line);
        }
        assert_eq!(read, lines[1..lines.len() - 1]);
        assert!(reader.notes().cut);
    }

    #[test]
    fn a_run_s_journal_is_not_taken_for_it() {
        let mut run = Vec::new();
        let header = crate::summary::tests::story::header(1);
        crate::journal::encode_line(&crate::journal::Line::Header(Box::new(header)), &mut run);
        assert!(matches!(NodeReader::open(&run[..]), Err(JournalError::NoHeader(_))));
        let node = text(&every_kind());
        assert!(matches!(Reader::new(&node[..]), Err(JournalError::NoHeader(_))));
    }
}
