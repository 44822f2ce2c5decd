//! The binary as a process, and places on loopback for it to connect to.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

pub fn tg() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tg-cli"))
}

pub fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)))
}

/// A process whose stderr is read line by line: what it says is what tests wait for.
pub struct Process {
    pub child: Child,
    lines: BufReader<std::process::ChildStderr>,
}

impl Process {
    pub fn start(args: &[&str]) -> Process {
        Process::of(tg().args(args))
    }

    pub fn of(command: &mut Command) -> Process {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Process { child, lines }
    }

    /// The next line of stderr for which `wanted` holds.
    pub fn line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let mut said = String::new();
        loop {
            let start = said.len();
            assert!(self.lines.read_line(&mut said).unwrap() > 0, "it ended without saying so:\n{said}");
            if wanted(&said[start..]) {
                return said[start..].to_owned();
            }
        }
    }

    /// Waits for a line of `--monitor` with so many active connections.
    pub fn active(&mut self, n: u64) {
        self.line(|l| l.split_whitespace().nth(1) == Some(&n.to_string()));
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    pub fn wait(mut self) -> Output {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        self.lines.read_to_end(&mut stderr).unwrap();
        Output { status: self.child.wait().unwrap(), stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server on its address, or on a free one of loopback.
pub fn serve(name: &str, listen: &str) -> (Process, String) {
    let mut server = Process::start(&["serve", "--listen", listen, "--name", name]);
    let said = server.line(|l| l.contains(" listens on "));
    let address = said.trim().rsplit(' ').next().unwrap().to_owned();
    (server, address)
}

/// A port of loopback that refuses: bound, so that nobody else gets it, and not listening.
pub fn refusing() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}
