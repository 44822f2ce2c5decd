//! Where the lines go: the journal's file, the readers of /events, the text on stdout. Changes when a place is
//! added.

use super::backlog::Backlog;
use super::ending::{Ending, Patient};
use super::text;
use crate::exit::Problem;
use crate::output;
use anyhow::Context;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tg_model::node_event::{NodeLine, Numbered, encode_node_line};

/// A place for bytes, until writing there fails.
struct Sink {
    to: Option<Box<dyn Write>>,
    error: Option<io::Error>,
}

impl Sink {
    fn new(to: Option<Box<dyn Write>>) -> Sink {
        Sink { to, error: None }
    }

    fn with(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
        if let Some(to) = &mut self.to
            && let Err(error) = write(to)
        {
            (self.to, self.error) = (None, Some(error));
        }
    }
}

/// What an observer before wrote is evidence, and whoever restarts one that was killed wants it, too: it stays, under
/// the first name FILE.1, FILE.2 and so on that is free.
fn keep_earlier(path: &Path) -> anyhow::Result<()> {
    if !path.metadata().is_ok_and(|found| found.is_file() && found.len() > 0) {
        return Ok(());
    }
    let numbered = |nth: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{nth}"));
        PathBuf::from(name)
    };
    let free = (1..).map(numbered).find(|path| path.symlink_metadata().is_err()).context("no name is free")?;
    std::fs::rename(path, &free).with_context(|| format!("keeping the earlier {}", path.display()))?;
    output::stderr(&format!("the earlier {} is kept as {}", path.display(), free.display()));
    Ok(())
}

/// Numbers the lines and hands them on.
pub struct Recorder {
    next: u64,
    backlog: Arc<Backlog>,
    journal: Sink,
    path: PathBuf,
    said: Sink,
    buffer: Vec<u8>,
    told: bool,
    /// Somebody reads stdout at a terminal.
    wrap: bool,
    ending: Ending,
}

impl Recorder {
    /// `path`: `-` is stdout, which then has no text.
    pub fn new(path: Option<&Path>, backlog: Arc<Backlog>, ending: &Ending) -> Result<Recorder, Problem> {
        let patient = |to: &dyn AsFd| -> io::Result<Option<Box<dyn Write>>> {
            Ok(Some(Box::new(BufWriter::new(Patient::new(to, ending.clone())?))))
        };
        let open = || -> anyhow::Result<_> {
            let said = patient(&io::stdout()).context("opening stdout")?;
            Ok(match path {
                None => (None, said),
                Some(path) if path == Path::new("-") => (said, None),
                Some(path) => {
                    keep_earlier(path)?;
                    let file = File::create(path).and_then(|file| patient(&file));
                    (file.with_context(|| format!("creating {}", path.display()))?, said)
                }
            })
        };
        let (journal, said) = open().map_err(Problem::Failed)?;
        let path = path.unwrap_or(Path::new("-")).to_owned();
        let (journal, said) = (Sink::new(journal), Sink::new(said));
        Ok(Recorder {
            next: 0,
            backlog,
            journal,
            path,
            said,
            buffer: Vec::new(),
            told: false,
            wrap: io::stdout().is_terminal(),
            ending: ending.clone(),
        })
    }

    /// Takes a line.
    pub fn line(&mut self, line: NodeLine) {
        self.buffer.clear();
        let numbered = Numbered { seq: self.next, line };
        self.next += 1;
        encode_node_line(&numbered, &mut self.buffer);
        let bytes = &self.buffer;
        self.journal.with(|to| to.write_all(bytes));
        if self.said.to.is_some()
            && let Some(text) = text::told(&numbered.line, self.wrap)
        {
            self.said.with(|to| to.write_all(text.as_bytes()));
        }
        self.backlog.push(numbered.seq, bytes);
    }

    /// Takes several.
    pub fn lines(&mut self, lines: impl IntoIterator<Item = NodeLine>) {
        lines.into_iter().for_each(|l| self.line(l));
    }

    /// What was taken is where it belongs: a killed observer loses nothing of it.
    pub fn flush(&mut self) {
        self.journal.with(|to| to.flush());
        self.said.with(|to| to.flush());
        if let (Some(error), false) = (&self.journal.error, self.told) {
            self.told = true;
            self.ending.stderr(&format!("error: writing {}: {error}; going on without it", self.path.display()));
        }
    }

    /// The end: an error where the journal is not whole.
    pub fn finish(mut self) -> Result<(), Problem> {
        self.flush();
        match self.journal.error {
            Some(e) if e.kind() == ErrorKind::BrokenPipe && self.path == Path::new("-") => Ok(()),
            Some(_) => Err(Problem::Told),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::keep_earlier;
    use std::fs;
    use std::path::Path;

    #[test]
    fn each_earlier_journal_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [path, first, second] = ["n.jsonl", "n.jsonl.1", "n.jsonl.2"].map(|name| folder.path().join(name));
        keep_earlier(&path).unwrap();
        fs::write(&path, "").unwrap();
        keep_earlier(&path).unwrap();
        assert!(path.exists() && !first.exists(), "an empty one is none");
        for text in ["one", "two"] {
            fs::write(&path, text).unwrap();
            keep_earlier(&path).unwrap();
        }
        let kept = [&first, &second].map(|path| fs::read_to_string(path).unwrap());
        assert!(kept == ["one", "two"] && !path.exists());
        keep_earlier(Path::new("/dev/null")).unwrap();
    }
}
