//! Measures tg side by side with floors and peers, from outside: by captures on the wire and the kernel's
//! accounts. Changes when a suite comes, or an option of all suites.

mod capture;
mod cores;
mod echo;
mod floor;
mod load;
mod machine;
mod observer;
mod peers;
mod process;
mod programs;
mod quiet;
mod report;
mod server;
mod stats;
mod suite;
mod tg;

use clap::{Args, Parser, Subcommand};
use process::CannotMeasure;
use report::Page;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use suite::Options;

const FAILED: u8 = 1;
const DOES_NOT_HOLD: u8 = 3;
const CANNOT_MEASURE: u8 = 4;

const EXIT_CODES: &str = "\
Exit codes: 0 in order, 1 a program failed, 2 the command line is at fault,
3 a check does not hold, 4 this machine does not allow to measure (tcpdump
missing, or no right to capture).";

/// Measure tg side by side with floors and peers, all from outside
#[derive(Debug, Parser)]
#[command(name = "bench", version, max_term_width = 80, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// How exactly packets keep their times, and what that costs
    Accuracy {
        #[command(flatten)]
        common: Common,
        /// SCHED_FIFO, for tg and the floors; without the peers
        #[arg(long)]
        realtime: bool,
    },
    /// How many round trips a client makes when nothing limits it, and what
    /// one costs
    Capacity {
        #[command(flatten)]
        common: Common,
    },
    /// What many connections do to precision, cost and memory
    Scale {
        #[command(flatten)]
        common: Common,
    },
    /// Whether a server that stands still for half a second is seen
    Stall {
        #[command(flatten)]
        common: Common,
    },
    /// How long a client is without a connection that its server ended
    Reconnect {
        #[command(flatten)]
        common: Common,
    },
    /// What `tg-cli observe` costs, and whether it accounts for a flood
    Observer {
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Debug, Args)]
struct Common {
    /// Rounds in which each client has its turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Seconds of load in each turn [default: accuracy 6, capacity 2, scale 3,
    /// stall 4, reconnect 3, observer 2]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: Option<u32>,
    /// How many seconds each round may wait for a quiet machine
    #[arg(long, value_name = "S", default_value_t = 60)]
    quiet_wait: u64,
    /// One round of one second, no waiting, no judgement on figures: does
    /// it all work?
    #[arg(long, conflicts_with_all = ["rounds", "seconds", "write", "quiet_wait"])]
    smoke: bool,
    /// Write the suite's section of bench/RESULTS.md
    #[arg(long)]
    write: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(DOES_NOT_HOLD),
        Err(error) => {
            eprintln!("error: {error:#}");
            let cannot = error.chain().any(|cause| cause.is::<CannotMeasure>());
            ExitCode::from(if cannot { CANNOT_MEASURE } else { FAILED })
        }
    }
}

/// Whether every check holds.
fn run(cli: &Cli) -> anyhow::Result<bool> {
    let (common, page) = match &cli.suite {
        Suite::Accuracy { common, realtime } => (common, suite::accuracy::run(&common.options(6)?, *realtime)?),
        Suite::Capacity { common } => (common, suite::capacity::run(&common.options(2)?)?),
        Suite::Scale { common } => (common, suite::scale::run(&common.options(3)?)?),
        Suite::Stall { common } => (common, suite::stall::run(&common.options(4)?)?),
        Suite::Reconnect { common } => (common, suite::reconnect::run(&common.options(3)?)?),
        Suite::Observer { common } => (common, suite::observer::run(&common.options(2)?)?),
    };
    tell(common, &page)?;
    Ok(common.smoke || page.failures.is_empty())
}

fn tell(common: &Common, page: &Page) -> anyhow::Result<()> {
    print!("{}", page.text());
    if common.write {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md");
        report::results::write(&path, page)?;
        eprintln!("written: {}", path.display());
    }
    Ok(())
}

impl Common {
    fn options(&self, default_seconds: u32) -> anyhow::Result<Options> {
        let (rounds, seconds, quiet_wait) = if self.smoke {
            (1, 1, 0)
        } else {
            (self.rounds, self.seconds.unwrap_or(default_seconds), self.quiet_wait)
        };
        let programs = programs::build()?;
        Ok(Options { rounds, seconds, smoke: self.smoke, quiet_wait: Duration::from_secs(quiet_wait), programs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["bench", "accuracy", "--smoke"]).is_ok());
        assert!(Cli::try_parse_from(["bench", "accuracy", "--smoke", "--write"]).is_err());
        assert!(Cli::try_parse_from(["bench", "reconnect", "--seconds", "0"]).is_err());
    }
}
