//! tg-vm on the command line. Exit codes: of `run` the command's own; 125 where it has none, 1 where the
//! machine could not be started, 2 where the command line is at fault.

mod cli;

use clap::Parser;
use cli::{Cli, Command, RunArgs};
use std::io::{self, Write};
use std::process::ExitCode;
use tg_vm::{Cache, Error, Job, KERNELS, Outcome};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NO_EXIT_CODE: u8 = 125;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    let Some(directory) = cli.cache.or_else(Cache::default_directory) else {
        eprintln!("tg-vm: neither XDG_CACHE_HOME nor HOME is set: say --cache DIR");
        return USAGE.into();
    };
    let cache = Cache::new(directory);
    let code = match cli.command {
        Command::Run(args) => run(&cache, &args),
        Command::Kernels => kernels(&cache),
    };
    code.unwrap_or_else(|error| {
        eprintln!("tg-vm: {error}");
        FAILED.into()
    })
}

fn run(cache: &Cache, args: &RunArgs) -> Result<ExitCode, Error> {
    let kernel = args.kernel();
    tg_vm::check(cache.installed(kernel)?.is_none())?;
    let directory =
        std::env::current_dir().map_err(|source| Error::File { operation: "find", path: ".".into(), source })?;
    if let Some(output) = &args.output {
        std::fs::create_dir_all(output).map_err(|source| Error::File {
            operation: "make",
            path: output.clone(),
            source,
        })?;
    }
    let installed = cache.get(kernel, |what| eprintln!("tg-vm: {what}"))?;
    let job = Job {
        command: &args.command,
        directory: &directory,
        output: args.output.as_deref(),
        memory_mib: args.memory,
        processors: args.processors,
        timeout: args.timeout(),
        realtime: args.realtime,
    };
    match tg_vm::run(&installed, &job, &mut io::stdout(), &mut io::stderr())? {
        Outcome::Exited(code) => Ok(code.into()),
        Outcome::Lost { why, console } => {
            let console = if console.is_empty() { "nothing" } else { &console };
            eprintln!("tg-vm: {why}; the last that its console said:\n{console}");
            Ok(NO_EXIT_CODE.into())
        }
    }
}

fn kernels(cache: &Cache) -> Result<ExitCode, Error> {
    let mut table = format!("{:<12}{:<42}{}\n", "KERNEL", "CACHED", "FROM");
    for kernel in &KERNELS {
        let cached = cache.installed(kernel)?;
        let cached = cached.map_or("no".to_owned(), |c| format!("{} ({})", c.release(), c.version()));
        for (n, source) in kernel.sources.iter().enumerate() {
            let (name, cached) = if n == 0 { (kernel.name, cached.as_str()) } else { ("", "") };
            table += &format!("{name:<12}{cached:<42}{source}\n");
        }
    }
    // Nobody reads it: not a failure.
    let _ = io::stdout().write_all(table.as_bytes());
    Ok(ExitCode::SUCCESS)
}
