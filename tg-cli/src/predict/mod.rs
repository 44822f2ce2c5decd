//! `predict`: what a lab's plan is expected to lose. Changes when an option of it does.

mod text;

use crate::exit::Problem;
use crate::lab::LabArgs;
use crate::output;
use crate::report::json;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tg_lab::predict::{expected, runs_for};
use tg_model::lab_plan::{Expectation, LabPlan};

const EXAMPLES: &str = "\
Examples:
  tg-cli predict
      8 pods, 80 connections, round robin, one pod at a time
  tg-cli predict --scheduler lc --nodes 4 --ecmp
      least connections, when each of four nodes counts on its own
  tg-cli predict --replicas 100 --max-surge 25% --max-unavailable 25% \\
      --conns 10000 --ready 20s --prestop 15s
      before a real upgrade
  tg-cli predict --format json | jq .expected.lost
  tg-cli predict --pod-replacement termination-complete --runs 1000

No traffic is sent and nothing is started. What it is asked, `tg-cli lab` does.
Exit codes: 0 in order, 2 the command line is at fault.";

/// Tell what a rolling upgrade is expected to lose: connections, pods, balancers
/// and their timing are simulated, many times over
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct PredictArgs {
    #[command(flatten)]
    lab: LabArgs,
    /// Simulated upgrades, which differ by seed [default: as many as a few
    /// seconds allow, at most 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Output")]
    runs: Option<u32>,
    /// Form of the prediction on stdout
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    format: Format,
}

/// Form of a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, 80 columns
    Text,
    /// Every figure, as one JSON object
    Json,
}

#[derive(Serialize)]
struct Prediction<'a> {
    tg_version: &'static str,
    plan: &'a LabPlan,
    expected: &'a Expectation,
}

pub fn predict(args: &PredictArgs) -> Result<(), Problem> {
    let plan = args.lab.plan()?;
    let expected = expected(&plan, args.runs.unwrap_or_else(|| runs_for(&plan))).map_err(Problem::usage)?;
    match args.format {
        Format::Text => output::stdout(text::text(&plan, &expected).as_bytes()),
        Format::Json => {
            let tg_version = env!("CARGO_PKG_VERSION");
            output::stdout(&json(&Prediction { tg_version, plan: &plan, expected: &expected }))
        }
    }
}
