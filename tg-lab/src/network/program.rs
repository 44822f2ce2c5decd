//! Programs of the host (`ip`, `nft`, `ipvsadm`, `conntrack`), run in a namespace. Changes when how they are
//! called does.

use super::error::{NetworkError, Result};
use super::netns::{Netns, within};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// What a program reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input<'a> {
    /// Nothing.
    None,
    /// This.
    Text(&'a str),
}

/// Where programs are: ordinary users often have no sbin in their path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// Runs a program to its end; its standard output. `netns`: `None` for the caller's own.
pub(crate) fn run_in(netns: Option<&Netns>, program: &'static str, words: &[&str], input: Input<'_>) -> Result<String> {
    let started = match netns {
        None => output(program, words, input),
        // A process begins in the namespace of the thread that starts it.
        Some(netns) => within(netns, || output(program, words, input))?,
    };
    let output = started.map_err(|source| NetworkError::Start { program, source })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if !output.status.success() {
        let netns = netns.map(|n| n.name().to_owned()).unwrap_or_default();
        return Err(NetworkError::Program { program, netns, status: output.status, said: text(&output.stderr) });
    }
    Ok(text(&output.stdout))
}

fn output(program: &'static str, words: &[&str], input: Input<'_>) -> std::io::Result<Output> {
    let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
    command.args(words).env("LC_ALL", "C").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(match input {
        Input::None => Stdio::null(),
        Input::Text(_) => Stdio::piped(),
    });
    // A terminal's Ctrl-C is the lab's, which ends in good order.
    command.process_group(0);
    let mut child = command.spawn()?;
    if let (Input::Text(text), Some(mut stdin)) = (input, child.stdin.take()) {
        // What it does not read it has no use for: it tells why by its exit code.
        let _ = stdin.write_all(text.as_bytes());
    }
    child.wait_with_output()
}
