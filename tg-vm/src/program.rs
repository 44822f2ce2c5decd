//! Programs of the host, which end with this process. Changes when their failures are told in another way.

use crate::error::{Error, Result};
use crate::host;
use std::process::{Command, Stdio};

/// `name`, killed when the calling thread ends, however it does. `realtime`: it runs before everything else.
pub(crate) fn tied(name: &'static str, realtime: bool) -> Command {
    let mut command = Command::new(host::program("setpriv"));
    command.args(["--pdeathsig", "KILL", "--"]);
    if realtime {
        command.arg(host::program("chrt")).args(["--rr", "1"]);
    }
    command.arg(host::program(name));
    command
}

/// Runs `name` to its end with what `prepare` gives it; its standard output.
pub(crate) fn run(name: &'static str, prepare: impl FnOnce(&mut Command)) -> Result<String> {
    let mut command = tied(name, false);
    prepare(&mut command);
    let output = command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Start { program: name, source })?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        return Err(Error::Program { program: name, status: output.status, stderr });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
