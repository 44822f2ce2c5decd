//! The journals that verdicts are made from. Changes when a kind of journal is added.

use std::io::BufRead;
use tg_model::cluster_event::ClusterLine;
use tg_model::journal::{JournalError, JournalLine, Line, Notes, Reader};
use tg_model::node_event::Numbered;

/// A journal, read.
#[derive(Clone, Debug)]
pub struct Journal<L: JournalLine> {
    /// The name that evidence refers to it by: its file's, most often.
    pub file: String,
    /// Its header.
    pub header: L::Header,
    /// The lines after the header, each with its number from 1.
    pub lines: Vec<(u64, L)>,
    /// What was wrong with it.
    pub notes: Notes,
}

impl<L: JournalLine> Journal<L> {
    /// Reads a journal to its end. Errors: see [`Reader::next_line`].
    pub fn read<R: BufRead>(file: &str, mut reader: Reader<R, L>) -> Result<Journal<L>, JournalError>
    where
        L::Header: Clone,
    {
        let header = reader.header().clone();
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line()? {
            lines.push((reader.line(), line));
        }
        let notes = reader.notes().clone();
        Ok(Journal { file: file.to_owned(), header, lines, notes })
    }
}

/// What there is to make verdicts from.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The run's journal.
    pub run: Journal<Line>,
    /// The journals of nodes: observers', and userspace directors'.
    pub nodes: Vec<Journal<Numbered>>,
    /// The cluster's journal.
    pub cluster: Option<Journal<ClusterLine>>,
}
