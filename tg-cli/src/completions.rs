//! `completions`: a shell's completion script on stdout.

use crate::cli::Cli;
use crate::exit::Problem;
use crate::output;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  tg-cli completions bash > /etc/bash_completion.d/tg-cli
  tg-cli completions zsh  > ~/.zfunc/_tg-cli
  tg-cli completions fish > ~/.config/fish/completions/tg-cli.fish";

/// Print a shell's completion script
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub fn completions(args: &CompletionsArgs) -> Result<(), Problem> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tg-cli", &mut script);
    output::stdout(&script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shell_has_a_script_that_knows_the_commands() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tg-cli", &mut script);
            let script = String::from_utf8(script).unwrap();
            for word in ["doctor", "expect", "listen"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
