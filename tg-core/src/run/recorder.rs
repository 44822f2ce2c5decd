//! The recorder: takes what the shards hand over, writes the journal, and folds the same lines into the
//! summary, so that a full disk loses the file's end and not the result.

use super::crew::Crew;
use super::error::{RunError, StartError};
use super::live::Live;
use super::orders::Orders;
use super::shard::{Report, ShardEnd};
use super::Outcome;
use crate::driver::Metrics;
use crate::record::{self, End, State};
use crate::sys::clock;
use crossbeam::channel::RecvTimeoutError;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tg_model::journal::{self, Ending, Header, Line, Notes, RunEvent};
use tg_model::summary::SummaryBuilder;
use tg_model::time::Nanos;

/// The journal is written and flushed so often: what a killed run loses at most.
const TICK: Duration = Duration::from_millis(100);

/// A journal's file.
#[derive(Debug)]
pub struct JournalFile {
    file: File,
}

impl JournalFile {
    /// Creates the file, or an unlinked temporary one.
    pub(super) fn create(path: Option<&Path>) -> Result<JournalFile, StartError> {
        let file = match path {
            Some(path) => OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path),
            None => tempfile::tempfile(),
        };
        let path = path.map_or_else(std::env::temp_dir, Path::to_path_buf);
        Ok(JournalFile { file: file.map_err(|error| StartError::Journal { path, error })? })
    }

    /// The journal from its start.
    ///
    /// # Errors
    /// The file cannot be read from the start: it is a pipe, say.
    pub fn reader(&mut self) -> io::Result<BufReader<&File>> {
        self.file.rewind()?;
        Ok(BufReader::new(&self.file))
    }
}

/// Writes lines until writing fails once.
struct Writer {
    out: BufWriter<File>,
    text: Vec<u8>,
    error: Option<String>,
    written: u64,
}

impl Writer {
    fn line(&mut self, line: &Line) {
        if self.error.is_some() {
            return;
        }
        self.text.clear();
        journal::encode_line(line, &mut self.text);
        match self.out.write_all(&self.text) {
            Ok(()) => self.written += self.text.len() as u64,
            Err(e) => self.fail(&e),
        }
    }

    fn flush(&mut self) {
        if self.error.is_none()
            && let Err(e) = self.out.flush()
        {
            self.fail(&e);
        }
    }

    fn fail(&mut self, e: &io::Error) {
        self.error = Some(format!("writing the journal after about {} bytes: {e}", self.written));
    }
}

pub(super) struct Recorder {
    header: Header,
    crew: Crew,
    live: Arc<Live>,
    orders: Arc<Orders>,
    writer: Writer,
    journal: JournalFile,
    summary: SummaryBuilder,
    /// Each shard's last figures, and when they were taken.
    states: Vec<(Nanos, State)>,
    ends: Vec<ShardEnd>,
    /// The histograms of the interval under way.
    interval: Box<Metrics>,
    sampled: Nanos,
}

impl Recorder {
    pub fn new(journal: JournalFile, header: Header, crew: Crew, live: Arc<Live>, orders: Arc<Orders>) -> Recorder {
        let origin = Nanos(header.monotonic_ns);
        let out = journal.file.try_clone();
        let error = out.as_ref().err().map(|e| format!("writing the journal: {e}"));
        // Without a second descriptor there is nothing to write to; the error says so.
        let file = out.or_else(|_| tempfile::tempfile());
        Recorder {
            summary: SummaryBuilder::new(&header),
            states: vec![(origin, State::default()); crew.fresh.len()],
            ends: Vec::new(),
            interval: Box::default(),
            sampled: origin,
            writer: Writer { out: BufWriter::new(file.unwrap_or_else(|_| unreachable!())), text: Vec::new(), error, written: 0 },
            header,
            crew,
            live,
            orders,
            journal,
        }
    }
}
