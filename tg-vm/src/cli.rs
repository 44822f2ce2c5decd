//! The command line. Changes when an option does.

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;
use tg_vm::{KERNELS, Kernel};

const EXAMPLES: &str = "\
Examples:
  tg-vm run -- uname -r
  tg-vm run --kernel backports --output out -- sh -c 'dmesg >/out/dmesg'
  tg-vm run -- env RUST_BACKTRACE=1 target/debug/deps/test-0123456789abcdef
  tg-vm kernels                       what there is, and what is cached

A kernel is downloaded once. To get a newer one, remove its directory from the
cache.";

/// Runs a command in a virtual machine with one of Debian's kernels.
#[derive(Debug, Parser)]
#[command(name = "tg-vm", version, max_term_width = 80, after_help = EXAMPLES)]
pub struct Cli {
    /// Where kernels are kept; by default $XDG_CACHE_HOME/tg-vm, or
    /// ~/.cache/tg-vm where that is not set
    #[arg(long, global = true, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boot a kernel, run a command as root in it, exit with its exit code
    #[command(after_help = EXIT_CODES)]
    Run(RunArgs),
    /// List the kernels, and which are cached
    Kernels,
}

const EXIT_CODES: &str = "\
The guest sees the host's files; what it writes is gone when it ends, but in
/out. The command starts in the current directory, with a fresh environment, no
standard input and no network but loopback.

Exit codes: the command's own; 125 when it has none (the kernel panicked, or
time was up), 1 when the machine cannot be started, 2 for a wrong command line.

Examples:
  tg-vm run -- uname -r
  tg-vm run --kernel backports --output out -- sh -c 'dmesg >/out/dmesg'";

#[derive(Args, Debug)]
pub struct RunArgs {
    /// The kernel to boot
    #[arg(long, value_name = "NAME", default_value = KERNELS[0].name)]
    #[arg(value_parser = PossibleValuesParser::new(KERNELS.map(|kernel| kernel.name)))]
    kernel: String,
    /// The guest's memory in MiB
    #[arg(long, value_name = "MB", default_value_t = 1024)]
    #[arg(value_parser = clap::value_parser!(u32).range(256..=65_536))]
    pub memory: u32,
    /// The guest's processors; rarely, a guest with more than one hangs
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=8))]
    pub processors: u32,
    /// Seconds until the guest is stopped
    #[arg(long, value_name = "S", default_value_t = 600)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    timeout: u32,
    /// Run the guest before everything else on this machine (SCHED_RR, as
    /// root): one that has to wait for a processor is late
    #[arg(long)]
    pub realtime: bool,
    /// A directory to share with the guest, as /out; made where it is not there
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl RunArgs {
    pub fn kernel(&self) -> &'static Kernel {
        tg_vm::kernel(&self.kernel).unwrap_or(&KERNELS[0])
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    fn parsed(line: &str) -> Result<RunArgs, ErrorKind> {
        match Cli::try_parse_from(line.split(' ')).map_err(|error| error.kind())?.command {
            Command::Run(args) => Ok(args),
            Command::Kernels => panic!("not a run: {line}"),
        }
    }

    #[test]
    fn the_commands_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_run_has_defaults() {
        let args = parsed("tg-vm run -- uname -r").unwrap();
        assert_eq!(args.kernel().name, "6.1");
        assert_eq!((args.memory, args.processors), (1024, 1));
        assert_eq!((args.timeout(), args.output), (Duration::from_secs(600), None));
        assert_eq!(args.command, ["uname", "-r"]);
    }

    #[test]
    fn options_of_the_command_are_the_commands() {
        let line = "tg-vm run --kernel backports --memory 512 --timeout 9 --output o -- ls --memory -- x";
        let args = parsed(line).unwrap();
        assert_eq!(args.kernel().name, "backports");
        assert_eq!((args.memory, args.timeout(), args.output), (512, Duration::from_secs(9), Some("o".into())));
        assert_eq!(args.command, ["ls", "--memory", "--", "x"]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (line, kind) in [
            ("tg-vm run", ErrorKind::MissingRequiredArgument),
            ("tg-vm run uname", ErrorKind::UnknownArgument),
            ("tg-vm run --kernel 2.4 -- uname", ErrorKind::InvalidValue),
            ("tg-vm run --memory 0 -- uname", ErrorKind::ValueValidation),
            ("tg-vm run --processors 0 -- uname", ErrorKind::ValueValidation),
            ("tg-vm run --timeout 0 -- uname", ErrorKind::ValueValidation),
        ] {
            assert_eq!(parsed(line).unwrap_err(), kind, "{line}");
        }
    }

    #[test]
    fn help_says_where_the_cache_is() {
        let help = Cli::command().render_long_help().to_string();
        assert!(help.contains("$XDG_CACHE_HOME/tg-vm") && help.contains("~/.cache/tg-vm"), "{help}");
    }
}
