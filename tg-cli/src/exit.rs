//! What went wrong as an exit code and words on stderr. Changes when an exit code does.

use crate::output;
use std::io::Write;
use std::process::ExitCode;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const EXPECTATION: u8 = 3;

/// What went wrong, by exit code.
#[derive(Debug)]
pub enum Problem {
    /// 1: it was asked for in order, and failed.
    Failed(anyhow::Error),
    /// 2: what was asked for cannot be.
    Usage(anyhow::Error),
    /// 3: these expectations do not hold.
    Expectations(Vec<String>),
    /// 1: what failed was told already.
    Told,
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Problem {
        Problem::Failed(error)
    }
}

impl Problem {
    pub fn failed(error: impl Into<anyhow::Error>) -> Problem {
        Problem::Failed(error.into())
    }

    pub fn usage(error: impl Into<anyhow::Error>) -> Problem {
        Problem::Usage(error.into())
    }

    /// A usage error in words.
    pub fn usage_words(words: impl std::fmt::Display) -> Problem {
        Problem::Usage(anyhow::anyhow!("{words}"))
    }
}

/// Tells a command's outcome.
pub fn of(outcome: Result<(), Problem>) -> ExitCode {
    let Err(problem) = outcome else { return ExitCode::SUCCESS };
    ExitCode::from(match problem {
        Problem::Failed(error) => {
            output::stderr(&format!("error: {error:#}"));
            FAILED
        }
        Problem::Usage(error) => {
            output::stderr(&format!("error: {error:#}\nFor more, try `--help`."));
            USAGE
        }
        Problem::Expectations(failed) => {
            failed.iter().for_each(|f| output::stderr(f));
            EXPECTATION
        }
        Problem::Told => FAILED,
    })
}

/// Tells what clap found: an error on stderr, or the help that was asked for on stdout.
pub fn of_arguments(error: &clap::Error) -> ExitCode {
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    // Where nobody reads an error, nothing is to be told.
    if error.use_stderr() { ExitCode::from(USAGE) } else { of(output::forgive_closed(printed)) }
}
