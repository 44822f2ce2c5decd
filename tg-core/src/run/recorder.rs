//! The recorder: takes what the shards hand over, writes the journal, and folds the same lines into the
//! summary, so that a full disk loses the file's end and not the result.

use super::Outcome;
use super::crew::Crew;
use super::error::{RunError, StartError};
use super::live::Live;
use super::orders::Orders;
use super::shard::{Report, ShardEnd};
use crate::driver::Metrics;
use crate::record::{self, End, State};
use crate::sys::clock;
use crossbeam::channel::RecvTimeoutError;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tg_model::journal::{self, Ending, Header, Line, Notes};
use tg_model::summary::SummaryBuilder;
use tg_model::time::Nanos;

/// The journal is written and flushed so often: what a killed run loses at most.
const TICK: Duration = Duration::from_millis(500);
/// As long as connections are being made, two lines each: what waits would take more memory than they do.
const STARTING_TICK: Duration = Duration::from_millis(5);

/// A journal's file.
#[derive(Debug)]
pub struct JournalFile {
    file: Arc<File>,
}

impl JournalFile {
    /// Creates the file, or an unlinked temporary one.
    pub(super) fn create(path: Option<&Path>) -> Result<JournalFile, StartError> {
        let file = match path {
            Some(path) => OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path),
            None => tempfile::tempfile(),
        };
        let path = path.map_or_else(std::env::temp_dir, Path::to_path_buf);
        let file = file.map_err(|error| StartError::Journal { path, error })?;
        Ok(JournalFile { file: Arc::new(file) })
    }

    /// The journal from its start.
    ///
    /// # Errors
    /// The file cannot be read from the start: it is a pipe, say.
    pub fn reader(&mut self) -> io::Result<BufReader<&File>> {
        let mut file: &File = &self.file;
        file.rewind()?;
        Ok(BufReader::new(file))
    }
}

/// Writes lines until writing fails once.
struct Writer {
    out: BufWriter<Arc<File>>,
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
        self.error = Some(format!("after about {} bytes: {e}", self.written));
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
        let out = BufWriter::new(journal.file.clone());
        Recorder {
            summary: SummaryBuilder::new(&header),
            states: vec![(origin, State::default()); crew.fresh.len()],
            ends: Vec::new(),
            interval: Box::default(),
            sampled: origin,
            writer: Writer { out, text: Vec::new(), error: None, written: 0 },
            header,
            crew,
            live,
            orders,
            journal,
        }
    }

    /// Lets the shards go, and records until the last of them has ended. `first`: what there is to
    /// record before.
    pub fn run(mut self, first: Vec<Line>) -> Result<Outcome, RunError> {
        self.writer.line(&Line::Header(Box::new(self.header.clone())));
        first.iter().for_each(|line| self.record(line));
        self.crew.go(Nanos(self.header.monotonic_ns));
        while self.ends.len() < self.states.len() {
            let tick = if self.orders.zero().is_none() { STARTING_TICK } else { TICK };
            match self.crew.reports.recv_timeout(tick) {
                Ok(report) => self.take(report),
                Err(RecvTimeoutError::Timeout) => {}
                // A shard panicked: its report will not come.
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.take_lines();
            self.writer.flush();
        }
        let whole = self.crew.join();
        self.take_lines();
        self.finish();
        let outcome = Outcome {
            summary: self.summary.finish(&Notes::default()),
            journal_error: self.writer.error.take(),
            journal: self.journal,
        };
        if whole { Ok(outcome) } else { Err(RunError::Panicked) }
    }

    fn record(&mut self, line: &Line) {
        self.summary.push(line);
        self.writer.line(line);
    }

    fn take_lines(&mut self) {
        while let Some(line) = self.crew.lines.pop() {
            self.record(&line);
        }
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Interval { shard, at, state, mut metrics } => {
                self.states[shard] = (at, state);
                self.interval.add(&mut metrics);
                metrics.clear();
                // The channel has room for both of the shard's; without a shard it needs none.
                let _ = self.crew.fresh[shard].try_send(metrics);
            }
            Report::End(mut end) => {
                self.states[end.shard] = (Nanos::MAX, end.state);
                self.interval.add(&mut end.metrics);
                self.ends.push(*end);
            }
        }
        let at = self.states.iter().map(|(at, _)| *at).min().unwrap_or(Nanos::MAX);
        if at > self.sampled && at != Nanos::MAX {
            self.sample(at);
        }
    }

    /// Each shard has told its figures up to `at`.
    fn sample(&mut self, at: Nanos) {
        let m = &self.interval;
        let quantiles = [m.latency.quantile(0.5), m.latency.quantile(0.99), m.lateness.quantile(0.99)];
        self.live.publish_quantiles(quantiles);
        let mut state = State::default();
        self.states.iter().for_each(|(_, s)| state.add(s));
        let sample = record::sample(self.rel(self.sampled), self.rel(at), clock::realtime(), &state, &self.interval);
        let m = &self.interval;
        self.summary.push_sample(&sample, [&m.latency, &m.service_time, &m.lateness]);
        self.writer.line(&Line::Sample(Box::new(sample)));
        self.interval.clear();
        self.sampled = at;
    }

    fn finish(&mut self) {
        let ended = self.ends.iter().map(|e| e.ended).max().unwrap_or(self.sampled);
        self.sample(ended.max(self.sampled + Nanos(1)));
        let mut slots: Vec<_> = self.ends.iter_mut().flat_map(|e| std::mem::take(&mut e.slots)).collect();
        slots.sort_unstable_by_key(|s| s.slot);
        slots.into_iter().for_each(|s| self.record(&Line::Slot(s)));
        let mut state = State::default();
        self.ends.iter().for_each(|e| state.add(&e.state));
        let footer = record::footer(self.end(ended), state.totals);
        self.record(&footer);
        self.writer.flush();
    }

    fn end(&self, ended: Nanos) -> End {
        let lost_shard = self.ends.len() < self.states.len();
        let panicked = lost_shard.then(|| "a packet thread panicked".to_owned());
        let error = self.ends.iter().find_map(|e| e.error.clone()).or(panicked);
        let ending = match (&error, self.orders.is_aborted(), self.orders.is_stopped()) {
            (Some(_), ..) => Ending::Failed,
            (None, true, _) => Ending::Aborted,
            (None, false, true) => Ending::Stopped,
            (None, false, false) => Ending::Planned,
        };
        let stopped = self.ends.iter().map(|e| e.stopped).max().unwrap_or(ended);
        End {
            ending,
            error,
            zero_ns: self.orders.zero().map(|zero| self.rel(zero)),
            stopped_ns: self.rel(stopped),
            ended_ns: self.rel(ended),
            records_lost: self.crew.lines.lost(),
            cpu: Nanos(self.ends.iter().map(|e| e.cpu.0).sum()),
        }
    }

    fn rel(&self, at: Nanos) -> u64 {
        at.since(Nanos(self.header.monotonic_ns)).0
    }
}
