//! A node's journal, as the userspace director writes it. Changes when what it says beside its events does.

use crate::lab::{LabError, node_file};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tg_core::sys::{clock, host};
use tg_model::node_event::{
    NodeEvent, NodeFooter, NodeHeader, NodeLine, Numbered, Observed, ProgramLoss, ProgramStatus, TimeSource,
    encode_node_line,
};
use tg_model::time::Nanos;

/// Name of the proxy among an observer's programs.
const PROGRAM: &str = "userspace-director";

/// Writes a node's journal until writing fails once.
#[derive(Debug)]
pub struct Journal {
    out: BufWriter<File>,
    path: PathBuf,
    origin: Nanos,
    seq: u64,
    events: u64,
    lost: u64,
    error: Option<io::Error>,
    buffer: Vec<u8>,
}

impl Journal {
    /// Begins a node's journal in a folder.
    pub fn create(
        folder: &Path,
        node: &str,
        vips: &[std::net::SocketAddr],
        command: &[String],
    ) -> Result<Journal, LabError> {
        let path = folder.join(node_file(node));
        let file = File::create(&path).map_err(LabError::io(format!("creating {}", path.display())))?;
        let (monotonic, realtime) = clock::both();
        let out = BufWriter::new(file);
        let (seq, events, lost) = (0, 0, 0);
        let mut journal = Journal { out, path, origin: monotonic, seq, events, lost, error: None, buffer: Vec::new() };
        journal.line(NodeLine::Header(Box::new(NodeHeader {
            tg_version: env!("CARGO_PKG_VERSION").into(),
            command: command.to_vec(),
            machine: node.into(),
            kernel: host::kernel(),
            boot_id: host::boot_id(),
            monotonic_ns: monotonic.0,
            realtime_ns: realtime.0,
            vips: vips.to_vec(),
            namespaces: Vec::new(),
        })));
        journal.line(NodeLine::Program(ProgramStatus {
            program: PROGRAM.into(),
            way: Some("the proxy tells of itself".into()),
            refused: Vec::new(),
            cost: None,
            times: TimeSource::Reader,
        }));
        Ok(journal)
    }

    /// Something happened now.
    pub fn event(&mut self, event: NodeEvent) {
        let at_ns = clock::monotonic().since(self.origin).0;
        self.line(NodeLine::Event(Box::new(Observed { at_ns, program: PROGRAM.into(), event })));
        match self.error {
            None => self.events += 1,
            Some(_) => self.lost += 1,
        }
    }

    fn line(&mut self, line: NodeLine) {
        self.buffer.clear();
        encode_node_line(&Numbered { seq: self.seq, line }, &mut self.buffer);
        self.seq += 1;
        if self.error.is_none() {
            self.error = self.out.write_all(&self.buffer).err();
        }
    }

    /// What was told so far is in the file: a lab that is killed loses nothing of it.
    pub fn flush(&mut self) {
        if self.error.is_none() {
            self.error = self.out.flush().err();
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// It could not be written to its end.
    pub fn finish(mut self) -> Result<(), LabError> {
        let ended_ns = clock::monotonic().since(self.origin).0;
        let programs = vec![ProgramLoss { program: PROGRAM.into(), events: self.events, lost: self.lost }];
        self.line(NodeLine::Footer(NodeFooter { ended_ns, programs }));
        self.flush();
        let what = format!("writing {}", self.path.display());
        self.error.map_or(Ok(()), |error| Err(LabError::Io { what, error }))
    }
}
