//! A line of a cluster's journal to text and back. Changes when the form of such a line as such does.

use super::line::{ClusterHeader, ClusterLine};
use crate::journal::{JournalLine, LineError, Reader, decode, encode};

/// Reads a cluster's journal, cut or damaged or not.
pub type ClusterReader<R> = Reader<R, ClusterLine>;

impl JournalLine for ClusterLine {
    type Header = ClusterHeader;

    fn into_header(self) -> Option<ClusterHeader> {
        match self {
            ClusterLine::Header(header) => Some(*header),
            _ => None,
        }
    }
}

/// Appends the line's text and a newline.
pub fn encode_cluster_line(line: &ClusterLine, out: &mut Vec<u8>) {
    encode(line, out);
}

/// Reads one line, with or without its newline.
pub fn decode_cluster_line(text: &[u8]) -> Result<ClusterLine, LineError> {
    decode(text)
}

#[cfg(test)]
mod tests {
    use super::super::schema::every_kind;
    use super::*;
    use crate::journal::JournalError;

    #[test]
    fn every_kind_survives_being_written_and_a_journal_is_read_line_by_line() {
        let lines = every_kind();
        let mut text = Vec::new();
        lines.iter().for_each(|l| encode_cluster_line(l, &mut text));
        let mut reader = ClusterReader::open(&text[..]).unwrap();
        let mut read = vec![ClusterLine::Header(Box::new(reader.header().clone()))];
        while let Some(line) = reader.next_line().unwrap() {
            read.push(line);
        }
        assert_eq!(read, lines);
        assert!(!reader.notes().cut);
    }

    #[test]
    fn another_kind_of_journal_is_not_taken_for_it() {
        let mut run = Vec::new();
        let header = crate::summary::tests::story::header(1);
        crate::journal::encode_line(&crate::journal::Line::Header(Box::new(header)), &mut run);
        assert!(matches!(ClusterReader::open(&run[..]), Err(JournalError::NoHeader(_))));
    }
}
