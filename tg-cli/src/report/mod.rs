//! `report`: from files to a report. Changes when a kind of file or a form of report is added.

mod ctraffic;
mod input;
mod json;
mod text;

pub use ctraffic::ctraffic_of_journal;
pub use json::json;
pub use text::{Kept, Page, hosts, some, text};

use crate::exit::Problem;
use crate::output;
use crate::run::Format;
use anyhow::Context;
use clap::{Args, ValueEnum};
use input::Input;
use std::path::{Path, PathBuf};
use tg_model::summary::Summary;

const EXAMPLES: &str = "\
Examples:
  tg-cli report run.jsonl                          as `run` printed it
  tg-cli report run.jsonl --format json | jq .outages
  tg-cli report run.jsonl --analyze connections    second by second
  tg-cli report out --analyze hosts                ctraffic's file, too
  tg-cli report run.jsonl --format ctraffic > out
  ... | tg-cli report -                            from stdin

A journal that was cut (the run was killed, or still goes on) is reported as far
as it goes. Exit codes: 0 in order, 1 a file could not be read, 2 the command
line is at fault.";

/// Report from journals and from ctraffic's files
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// Journals of tg or statistics of ctraffic; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
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

pub fn report(args: &ReportArgs) -> Result<(), Problem> {
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

fn one(args: &ReportArgs, path: &Path, several: bool) -> Result<(), Problem> {
    let name = path.display().to_string();
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
