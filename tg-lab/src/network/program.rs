//! Programs of the host (`nft`, `ipvsadm`, `conntrack`, `ss`), run in a namespace, and how long one may take. Changes
//! when how they are called does.

use super::error::{NetworkError, Result};
use super::netns::{Netns, within};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// No program takes so long on a machine that works, however slow: it waits for something that does not come.
const LIMIT: Duration = Duration::from_secs(60);
/// A killed one is gone by then, or it stands in the kernel.
const KILLED: Duration = Duration::from_secs(5);

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
///
/// # Errors
/// It could not be started, it failed, or it did not end and was killed.
pub(crate) fn run_in(netns: Option<&Netns>, program: &'static str, words: &[&str], input: Input<'_>) -> Result<String> {
    run_within(LIMIT, netns, program, words, input)
}

fn run_within(
    limit: Duration,
    netns: Option<&Netns>,
    program: &'static str,
    words: &[&str],
    input: Input<'_>,
) -> Result<String> {
    let started = match netns {
        None => output(limit, program, words, input),
        // A process begins in the namespace of the thread that starts it.
        Some(netns) => within(netns, || output(limit, program, words, input))?,
    };
    let name = || netns.map(|n| n.name().to_owned()).unwrap_or_default();
    let output = match started {
        Err(e) if e.kind() == ErrorKind::TimedOut => {
            return Err(NetworkError::Stuck { program, netns: name(), seconds: limit.as_secs() });
        }
        started => started.map_err(|source| NetworkError::Start { program, source })?,
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if !output.status.success() {
        let said = text(&output.stderr);
        return Err(NetworkError::Program { program, netns: name(), status: output.status, said });
    }
    Ok(text(&output.stdout))
}

/// Runs it; one that takes longer is killed, with whatever it started: [`ErrorKind::TimedOut`].
fn output(limit: Duration, program: &'static str, words: &[&str], input: Input<'_>) -> io::Result<Output> {
    let until = Instant::now() + limit;
    let mut command = Command::new(find(program).unwrap_or_else(|| program.into()));
    command.args(words).env("LC_ALL", "C").stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(match input {
        Input::None => Stdio::null(),
        Input::Text(_) => Stdio::piped(),
    });
    // A terminal's Ctrl-C is the lab's, which ends in good order.
    command.process_group(0);
    let mut child = command.spawn()?;
    if let (Input::Text(text), Some(stdin)) = (input, child.stdin.take()) {
        give(text, stdin);
    }
    let (stdout, stderr) = (whole(child.stdout.take()), whole(child.stderr.take()));
    let ended = stdout.await_it(until).and_then(|stdout| {
        let stderr = stderr.await_it(until)?;
        // It has closed what it writes to: it ends, most often at once.
        let status = wait(&mut child, until)?;
        Ok(Output { status, stdout, stderr })
    });
    if ended.is_err() {
        // It was not waited for: the number is still its own, and its group's.
        let _ = i32::try_from(child.id()).map(|pid| killpg(Pid::from_raw(pid), Signal::SIGKILL));
        let _ = wait(&mut child, Instant::now() + KILLED);
    }
    ended
}

/// On a thread of its own: it may read late, or never.
fn give(text: &str, mut stdin: ChildStdin) {
    let text = text.to_owned();
    // What it does not read it has no use for: it tells why by its exit code.
    std::thread::spawn(move || stdin.write_all(text.as_bytes()));
}

/// What comes from a program, on its way.
struct Whole(Receiver<io::Result<Vec<u8>>>);

/// Reads it to its end, on a thread of its own.
fn whole(stream: Option<impl Read + Send + 'static>) -> Whole {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stream.map_or(Ok(0), |mut stream| stream.read_to_end(&mut bytes));
        // Who waited may have given up.
        let _ = tell.send(read.map(|_| bytes));
    });
    Whole(told)
}

impl Whole {
    fn await_it(&self, until: Instant) -> io::Result<Vec<u8>> {
        let left = until.saturating_duration_since(Instant::now());
        self.0.recv_timeout(left).unwrap_or(Err(ErrorKind::TimedOut.into()))
    }
}

fn wait(child: &mut Child, until: Instant) -> io::Result<ExitStatus> {
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(status),
            None if Instant::now() >= until => return Err(ErrorKind::TimedOut.into()),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than a pipe holds.
    fn long() -> String {
        "x".repeat(1 << 20)
    }

    fn stuck(limit_ms: u64, script: &str, input: Input<'_>) {
        let error = run_within(Duration::from_millis(limit_ms), None, "sh", &["-c", script], input).unwrap_err();
        assert!(matches!(&error, NetworkError::Stuck { program: "sh", netns, .. } if netns.is_empty()), "{error}");
        assert!(error.to_string().contains("sh did not end"), "{error}");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pids");
        let mut pids = String::new();
        // A busy machine may come to nothing within the first.
        for limit_ms in [100, 1_000, 20_000] {
            stuck(limit_ms, &format!("sleep 1000 & echo $$ $! >{}; wait", path.display()), Input::None);
            pids = std::fs::read_to_string(&path).unwrap_or_default();
            if pids.ends_with('\n') {
                break;
            }
        }
        // It does not read, it does not end with what it writes to.
        stuck(100, "sleep 1000", Input::Text(&long()));
        stuck(100, "exec >&- 2>&-; sleep 1000", Input::None);
        let until = Instant::now() + Duration::from_secs(20);
        for pid in pids.split_whitespace() {
            // One that nobody has waited for yet has no command line.
            while std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()) {
                assert!(Instant::now() < until, "{pid} is still there");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        assert_eq!(pids.split_whitespace().count(), 2);
    }

    #[test]
    fn long_input_and_output_do_not_wait_for_each_other() {
        let script = "tee /dev/stderr";
        assert_eq!(run_in(None, "sh", &["-c", script], Input::Text(&long())).unwrap(), long());
        let failed = run_in(None, "sh", &["-c", "echo why >&2; exit 3"], Input::None).unwrap_err();
        assert!(matches!(&failed, NetworkError::Program { said, .. } if said == "why"), "{failed}");
    }
}
