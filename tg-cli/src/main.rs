//! tg on the command line. This file only finds the command and gives the exit code: 0 it went well,
//! 1 it failed, 2 the command line is at fault, 3 an `--expect` does not hold.

mod cli;
mod completions;
mod doctor;
mod exit;
mod lab;
mod observe;
mod output;
mod predict;
mod report;
mod run;
mod serve;
mod span;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::of_arguments(&error),
    };
    let outcome = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Lab(args) => lab::lab(&args),
        Command::Observe(args) => observe::observe(&args),
        Command::Predict(args) => predict::predict(&args),
        Command::Report(args) => report::report(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Completions(args) => completions::completions(&args),
    };
    exit::of(outcome)
}
