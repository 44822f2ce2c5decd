//! From files to a run and its verdict. Changes when where the journals are found does.

use crate::lab::Expected;
use crate::output;
use anyhow::{Context, bail};
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use tg_attribution::{Inputs, Journal};
use tg_lab::lab::{CLUSTER, RUN};
use tg_model::journal::{JournalLine, Reader};
use tg_model::summary::{Summary, SummaryBuilder};
use tg_model::verdict::RunVerdict;

/// A node's journal in a lab's folder begins and ends so: `tg_lab::lab::node_file`.
const NODE: &str = "node-";
const JOURNAL: &str = ".jsonl";

/// Where the journals are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journals {
    /// The run's.
    pub run: PathBuf,
    /// The nodes'.
    pub nodes: Vec<PathBuf>,
    /// The cluster's.
    pub cluster: Option<PathBuf>,
    /// The lab's folder that they are from.
    pub lab: Option<PathBuf>,
}

/// A run with its verdict.
#[derive(Debug)]
pub struct Attributed {
    pub summary: Summary,
    pub verdict: RunVerdict,
    /// Of a lab: what it was expected to lose.
    pub expected: Option<Expected>,
}

impl Journals {
    /// Those of a lab's folder: there must be a run's.
    pub fn of_folder(folder: &Path) -> anyhow::Result<Journals> {
        let run = folder.join(RUN);
        fs::metadata(folder)?;
        if !run.is_file() {
            bail!("it is a directory without {RUN}: give what `lab --output` wrote, or a journal");
        }
        let mut nodes = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let text = name.to_string_lossy();
            if text.starts_with(NODE) && text.ends_with(JOURNAL) && has_lines(&folder.join(&name)) {
                nodes.push(folder.join(&name));
            }
        }
        nodes.sort();
        let cluster = Some(folder.join(CLUSTER)).filter(|c| has_lines(c));
        Ok(Journals { run, nodes, cluster, lab: Some(folder.to_owned()) })
    }

    /// Reads them, and attributes the run.
    pub fn attributed(&self) -> anyhow::Result<Attributed> {
        let run = read(&self.run, "a run's")?;
        let mut builder = SummaryBuilder::new(&run.header);
        run.lines.iter().for_each(|(_, line)| builder.push(line));
        let summary = builder.finish(&run.notes);
        let nodes = self.nodes.iter().map(|path| read(path, "a node's")).collect::<anyhow::Result<Vec<_>>>()?;
        let cluster = self.cluster.as_ref().map(|path| read(path, "a cluster's")).transpose()?;
        let verdict = tg_attribution::attribute(&Inputs { run, nodes, cluster });
        let expected = self.lab.as_deref().map(Expected::of_folder).transpose()?.flatten();
        Ok(Attributed { summary, verdict, expected })
    }
}

/// One that is empty was begun by a writer that was killed, or had no room: as if it was not there.
fn has_lines(path: &Path) -> bool {
    let Ok(found) = path.metadata() else { return false };
    if found.is_file() && found.len() == 0 {
        output::stderr(&format!("note: {} is empty: it is left out", path.display()));
    }
    found.is_file() && found.len() > 0
}

/// `what`: what it must be.
fn read<L: JournalLine>(path: &Path, what: &str) -> anyhow::Result<Journal<L>>
where
    L::Header: Clone,
{
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("opening {shown}"))?;
    let reader = Reader::open(BufReader::new(file)).with_context(|| format!("{shown} is not {what} journal"))?;
    // The name alone: the folder is known.
    let name = path.file_name().map_or_else(|| shown.to_string(), |n| n.to_string_lossy().into_owned());
    Journal::read(&name, reader).with_context(|| format!("reading {shown}"))
}
