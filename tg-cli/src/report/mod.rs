//! `report`: from files to a report. Changes when a kind of file or a form of report is added.

mod attribution;
mod ctraffic;
mod input;
mod json;
mod text;

pub use ctraffic::ctraffic_of_journal;
pub use json::json;
pub use text::{Kept, Page, hosts, some, text};

pub use attribution::{Journals, brief};

use crate::exit::Problem;
use crate::output;
use crate::run::Format;
use anyhow::Context;
use clap::{Args, ValueEnum};
use input::Input;
use std::path::{Path, PathBuf};
use tg_model::id::{ConnId, SlotId};
use tg_model::summary::Summary;

const EXAMPLES: &str = "\
Examples:
  tg-cli report run.jsonl                          as `run` printed it
  tg-cli report run.jsonl --format json | jq .outages
  tg-cli report run.jsonl --analyze connections    second by second
  tg-cli report out --analyze hosts                ctraffic's file, too
  tg-cli report run.jsonl --format ctraffic > out
  ... | tg-cli report -                            from stdin
  tg-cli report lab-rr                             a lab's folder: why, too
  tg-cli report lab-rr --explain 12.1              one lost connection
  tg-cli report --compare lab-rr lab-lc            two of them side by side
  tg-cli report --run run.jsonl --events node-1.jsonl --events node-2.jsonl \
                --cluster cluster.jsonl            why, from these journals

A journal that was cut (the run was killed, or still goes on) is reported as far
as it goes. Exit codes: 0 in order, 1 a file could not be read, 2 the command
line is at fault.";

/// Report from journals and from ctraffic's files
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// Journals of tg, folders of a lab, or statistics of ctraffic; `-` is stdin
    #[arg(required_unless_present_any = ["run", "compare"], value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A run's journal: tell why its connections were lost
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    run: Option<PathBuf>,
    /// With --run: what a node's observer wrote; once for each node
    #[arg(long, value_name = "FILE", requires = "run", conflicts_with_all = ["files", "compare"])]
    events: Vec<PathBuf>,
    /// With --run: what the cluster did
    #[arg(long, value_name = "FILE", requires = "run", conflicts_with_all = ["files", "compare"])]
    cluster: Option<PathBuf>,
    /// Two folders of a lab side by side
    #[arg(long, num_args = 2, value_name = "DIR", conflicts_with_all = ["files", "run", "analyze", "explain"])]
    compare: Vec<PathBuf>,
    /// With a folder or --run: one lost connection, as SLOT.NTH, and all that its verdict rests on
    #[arg(long, value_name = "CONN", value_parser = conn_id, conflicts_with = "analyze")]
    explain: Option<ConnId>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print what ctraffic's analyser prints, instead of a report
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "format")]
    analyze: Option<Analysis>,
}

/// What is said of a journal that has no footer.
const CUT: &str = "cut: the run was killed, or still goes on";

/// See [`tg_model::ctraffic::Analysis`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Analysis {
    /// Lost and lasting connections by host
    Hosts,
    /// Active, new, failed and connecting, each second
    Connections,
    /// Received KiB/s
    Throughput,
}

impl From<Analysis> for tg_model::ctraffic::Analysis {
    fn from(analysis: Analysis) -> tg_model::ctraffic::Analysis {
        match analysis {
            Analysis::Hosts => tg_model::ctraffic::Analysis::Hosts,
            Analysis::Connections => tg_model::ctraffic::Analysis::Connections,
            Analysis::Throughput => tg_model::ctraffic::Analysis::Throughput,
        }
    }
}

/// `12.1`, as reports print a connection.
fn conn_id(text: &str) -> Result<ConnId, String> {
    let parsed = text.split_once('.').and_then(|(slot, nth)| Some((slot.parse().ok()?, nth.parse().ok()?)));
    let (slot, nth) = parsed.ok_or("give a connection as reports name it: SLOT.NTH, such as 12.1")?;
    Ok(ConnId { slot: SlotId(slot), nth })
}

pub fn report(args: &ReportArgs) -> Result<(), Problem> {
    if let [left, right] = args.compare.as_slice() {
        return compared(args, left, right);
    }
    if let Some(run) = &args.run {
        let journals =
            Journals { run: run.clone(), nodes: args.events.clone(), cluster: args.cluster.clone(), lab: None };
        // As of a folder: the forms that know a run alone show the run.
        let of_run = args.analyze.is_some() || args.format == Format::Ctraffic;
        return if of_run {
            one(args, run, false)
        } else {
            attributed(args, &run.display().to_string(), &journals, false)
        };
    }
    let several = args.files.len() > 1;
    let mut failed = false;
    for (nth, path) in args.files.iter().enumerate() {
        // Names stand between texts for people; between JSON objects they would be garbage.
        if several && (args.analyze.is_some() || args.format == Format::Text) {
            let space = if nth == 0 { "" } else { "\n" };
            output::stdout(format!("{space}== {}\n", path.display()).as_bytes())?;
        }
        match one(args, path, several) {
            Ok(()) => {}
            Err(Problem::Failed(error)) => {
                output::stderr(&format!("error: {error:#}"));
                failed = true;
            }
            Err(other) => return Err(other),
        }
    }
    if failed { Err(Problem::Told) } else { Ok(()) }
}

/// Two folders.
fn compared(args: &ReportArgs, left: &Path, right: &Path) -> Result<(), Problem> {
    let names = [left, right].map(|p| p.display().to_string());
    let read = |folder: &Path| {
        let journals = Journals::of_folder(folder).with_context(|| folder.display().to_string())?;
        journals.attributed()
    };
    let sides = [read(left)?, read(right)?];
    match args.format {
        Format::Text => {
            let [a, b] = &sides;
            output::stdout(attribution::compare([&names[0], &names[1]], [a, b]).as_bytes())
        }
        Format::Json => {
            let sides = sides.iter().map(attribution::Json::from).collect::<Vec<_>>();
            output::stdout(&json(&sides))
        }
        Format::Ctraffic => Err(Problem::usage_words("--compare has no form of ctraffic's: leave --format out")),
    }
}

/// A run with what is beside it.
fn attributed(args: &ReportArgs, name: &str, journals: &Journals, several: bool) -> Result<(), Problem> {
    let attributed = journals.attributed()?;
    warn(name, &attributed.summary);
    if let Some(conn) = args.explain {
        let verdict = attributed.verdict.verdicts.iter().find(|v| v.conn == conn);
        let verdict =
            verdict.ok_or_else(|| anyhow::anyhow!("{name}: connection {conn} was not lost, or there is none such"))?;
        return match args.format {
            Format::Json => output::stdout(&json(verdict)),
            Format::Text => output::stdout(attribution::explain(verdict).as_bytes()),
            Format::Ctraffic => Err(Problem::usage_words("--explain has no form of ctraffic's: leave --format out")),
        };
    }
    match args.format {
        Format::Json if several => output::stdout(&json::json_named(name, &attribution::Json::from(&attributed))),
        Format::Json => output::stdout(&json(&attribution::Json::from(&attributed))),
        Format::Text | Format::Ctraffic => {
            let kept = journals.lab.as_ref().unwrap_or(&journals.run);
            output::stdout(attribution::text(&attributed, kept).as_bytes())
        }
    }
}

fn one(args: &ReportArgs, path: &Path, several: bool) -> Result<(), Problem> {
    let name = path.display().to_string();
    // Of a folder the forms that know a run alone show its run.
    let of_run = args.analyze.is_some() || args.format == Format::Ctraffic;
    if path.is_dir() {
        let journals = Journals::of_folder(path).with_context(|| name.clone())?;
        return if of_run { one(args, &journals.run, several) } else { attributed(args, &name, &journals, several) };
    }
    if args.explain.is_some() {
        return Err(Problem::usage_words("--explain needs a lab's folder, or --run"));
    }
    let input = input::open(path).with_context(|| name.clone())?;
    let named = |error: Problem| match error {
        Problem::Failed(error) => Problem::Failed(error.context(name.clone())),
        other => other,
    };
    match (args.analyze, input) {
        (Some(analysis), input) => ctraffic::analyze(&name, input, analysis.into()).map_err(named),
        (None, Input::Journal(journal)) if args.format == Format::Ctraffic => {
            ctraffic::print_journal(&name, *journal).map_err(named)
        }
        (None, Input::Journal(journal)) => {
            let summary = Summary::read(*journal).with_context(|| name.clone())?;
            warn(&name, &summary);
            match args.format {
                Format::Json if several => output::stdout(&json::json_named(&name, &summary)),
                Format::Json => output::stdout(&json(&summary)),
                Format::Text | Format::Ctraffic => output::stdout(text(&summary, &Kept::At(path)).as_bytes()),
            }
        }
        (None, Input::Ctraffic(statistics)) => match args.format {
            Format::Text => output::stdout(ctraffic::text(&statistics).as_bytes()),
            Format::Json if several => output::stdout(&json::json_named(&name, &ctraffic::Totals::of(&statistics))),
            Format::Json => output::stdout(&json(&ctraffic::Totals::of(&statistics))),
            Format::Ctraffic => output::stdout_with(|out| statistics.write(out)),
        },
    }
}

/// What is wrong with the file itself, so that a JSON report on stdout is not read without it.
fn warn(name: &str, summary: &Summary) {
    let journal = &summary.journal;
    if journal.unreadable_lines > 0 {
        let lines = some(journal.unreadable_lines, "line");
        output::stderr(&format!("note: {name}: {lines} of it cannot be read:"));
        for line in &journal.unreadable {
            output::stderr(&format!("  line {}: {}", line.line, line.reason));
        }
    }
    if summary.ending == tg_model::summary::RunEnding::Cut {
        output::stderr(&format!("note: {name}: {CUT}"));
    }
}
