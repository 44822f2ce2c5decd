//! The commands there are. Changes when one is added.

use crate::completions::CompletionsArgs;
use crate::doctor::DoctorArgs;
use crate::lab::LabCommand;
use crate::observe::ObserveArgs;
use crate::predict::PredictArgs;
use crate::report::ReportArgs;
use crate::run::RunArgs;
use crate::serve::ServeArgs;
use clap::{Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  tg-cli run                          try it: a server of its own on loopback
  tg-cli serve                        a server, on loopback port 5003
  tg-cli run --address [::1]:5003 --conns 80 --rate 5 --duration 1m \\
             --output run.jsonl       the main job, its journal kept
  tg-cli lab --scheduler lc           a rolling upgrade on this machine
  tg-cli observe --vip 192.0.2.1:80   on a node: who resets connections, and why
  tg-cli predict --scheduler lc       what an upgrade is expected to lose
  tg-cli report run.jsonl             the report again, from the journal
  tg-cli doctor                       what this machine can do";

/// Keeps connections to a service at a precise packet rate through whatever happens to the service, and
/// says what was lost, for how long, and why.
#[derive(Debug, Parser)]
#[command(name = "tg-cli", version, max_term_width = 80, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Generate traffic and report what became of it
    Run(Box<RunArgs>),
    /// Answer traffic: ctraffic's clients and tg's
    Serve(ServeArgs),
    /// Upgrade a service on this machine under traffic, and tell what that loses
    Lab(Box<LabCommand>),
    /// Tell what this node does to a service's connections
    Observe(ObserveArgs),
    /// Tell what a rolling upgrade is expected to lose
    Predict(PredictArgs),
    /// Report from journals and from ctraffic's files
    Report(ReportArgs),
    /// Tell what this machine can do, and what to change
    Doctor(DoctorArgs),
    /// Print a shell's completion script
    Completions(CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_has_examples_and_fits_80_columns() {
        let mut cli = Cli::command();
        cli.build();
        let commands = cli.get_subcommands().cloned().chain([cli.clone()]).filter(|c| c.get_name() != "help");
        for mut command in commands {
            let help = command.render_long_help().to_string();
            assert!(help.contains("Examples:\n  tg-cli "), "{}", command.get_name());
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{}: {line}", command.get_name());
            }
        }
    }
}
