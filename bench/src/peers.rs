//! The peers: how each is asked for the load, and the yardstick's figures where it is not installed.
//! Changes when a peer's command line does, or a peer comes.

use crate::load::Load;
use crate::process::Guard;
use crate::programs::on_path;
use anyhow::Context;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A generator that can be asked for the same load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Ctraffic,
    Wrk2,
    Tcpkali,
    Sockperf,
    Iperf3,
}

/// A peer that is ready to be run.
pub struct Prepared {
    pub command: Command,
    /// The ports that its server listens on.
    pub ports: RangeInclusive<u16>,
    /// The peer's own server, where it cannot talk to tg's.
    pub server: Option<Guard>,
    /// From its start to its first packet.
    pub lead: Duration,
}

impl Prepared {
    /// A client of this server that sends from its start on.
    pub fn plain(command: Command, server: SocketAddr) -> Prepared {
        Prepared { command, ports: server.port()..=server.port(), server: None, lead: Duration::ZERO }
    }
}

/// It connects, then sleeps.
const SOCKPERF_LEAD: Duration = Duration::from_secs(2);
const SERVER_START_LIMIT: Duration = Duration::from_secs(5);

/// ctraffic makes no connection in the last 2 s of its time, and wrk2 may not send in its first half second: with less
/// than this they do nothing.
const LEAST_S: u32 = 3;

impl Peer {
    pub const ALL: [Peer; 5] = [Peer::Ctraffic, Peer::Wrk2, Peer::Tcpkali, Peer::Sockperf, Peer::Iperf3];

    /// Also the name of its program.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Ctraffic => "ctraffic",
            Peer::Wrk2 => "wrk2",
            Peer::Tcpkali => "tcpkali",
            Peer::Sockperf => "sockperf",
            Peer::Iperf3 => "iperf3",
        }
    }

    /// How long it sends, where the load is so long.
    pub fn seconds(self, load_s: u32) -> u32 {
        match self {
            Peer::Ctraffic | Peer::Wrk2 => load_s.max(LEAST_S),
            Peer::Tcpkali | Peer::Sockperf | Peer::Iperf3 => load_s,
        }
    }

    pub fn is_installed(self) -> bool {
        on_path(self.name()).is_some()
    }

    /// One run of the accuracy load (10 s) on another machine of 2 cores: |interval − 200 ms| p50, p90,
    /// p99, p99.9 and max in µs, CPU µs/packet, MiB. `None` where nobody has measured it.
    pub fn yardstick(self) -> Option<[f64; 7]> {
        Some(match self {
            Peer::Ctraffic => [297.0, 753.0, 1010.0, 2487.0, 4823.0, 200.0, 8.3],
            Peer::Wrk2 => [359.0, 883.0, 1254.0, 3587.0, 4456.0, 64.0, 5.4],
            Peer::Tcpkali => [331.0, 782.0, 1091.0, 3547.0, 5313.0, 113.0, 4.6],
            Peer::Sockperf => [3.5, 12.0, 41.0, 979.0, 3491.0, 2512.0, 5.5],
            Peer::Iperf3 => return None,
        })
    }

    /// `directory` is for files that it needs.
    ///
    /// # Errors
    /// They cannot be written, or the peer's own server does not start.
    pub fn prepare(self, load: &Load, server: SocketAddr, directory: &Path) -> anyhow::Result<Prepared> {
        let mut command = Command::new(self.name());
        let (conns, size, time) =
            (load.conns.to_string(), load.size.to_string(), format!("{}s", self.seconds(load.seconds)));
        let total = load.total_rate().to_string();
        let address = server.to_string();
        match self {
            Peer::Ctraffic => {
                command.args(["-address", &address, "-nconn", &conns, "-rate", &total, "-psize", &size]);
                command.args(["-timeout", &time]);
            }
            Peer::Wrk2 => {
                let script = directory.join("packets.lua");
                std::fs::write(&script, http_script(load.size)).context("writing wrk2's script")?;
                command.args(["-t1", "-c", &conns, "-R", &total, "-d", &time, "-s"]).arg(script);
                command.arg(format!("http://{address}/"));
            }
            Peer::Tcpkali => {
                command.args(["--connections", &conns, "--message-rate", &load.rate.to_string(), "--duration", &time]);
                command.args(["--nagle", "off", "--message", &"x".repeat(load.size as usize), &address]);
            }
            Peer::Sockperf => return sockperf(load, directory),
            Peer::Iperf3 => return iperf3(load),
        }
        Ok(Prepared::plain(command, server))
    }
}

/// For wrk and wrk2: requests that come back as responses: so an HTTP client can be run against an echo. The server writes
/// its name over each connection's first bytes: it is named as they are. The first request is only looked
/// at by them, and must be one.
pub fn http_script(size: u32) -> String {
    format!(
        "local head = 'HTTP/1.1 200 OK\\r\\nContent-Length: %04d\\r\\n\\r\\n'\n\
         local body = {size} - #head:format(0)\n\
         local packet = head:format(body) .. string.rep('x', body)\n\
         local checked = false\n\
         request = function()\n\
         \x20 if checked then return packet end\n\
         \x20 checked = true\n\
         \x20 return 'GET / HTTP/1.1\\r\\n\\r\\n'\n\
         end\n"
    )
}

/// sockperf marks its packets as a client's or a server's, so it needs its own server; and it keeps one
/// connection for each port of that.
fn sockperf(load: &Load, directory: &Path) -> anyhow::Result<Prepared> {
    let ports = free_ports(load.conns)?;
    let feed = directory.join("sockperf.feed");
    let lines: String = ports.clone().map(|port| format!("T:127.0.0.1:{port}\n")).collect();
    std::fs::write(&feed, lines).context("writing sockperf's list of connections")?;
    let mut server = Command::new("sockperf");
    server.args(["server", "-F", "epoll", "-f"]).arg(&feed);
    let server = server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let server = Guard(server.context("starting sockperf's server")?);
    await_listeners(&ports).context("starting sockperf's server")?;
    let mut command = Command::new("sockperf");
    command.args(["under-load", "-F", "epoll", "--reply-every", "1", "-f"]).arg(&feed);
    command.args(["--mps", &load.total_rate().to_string(), "-m", &load.size.to_string()]);
    command.args(["-t", &load.seconds.to_string()]);
    Ok(Prepared { command, ports, server: Some(server), lead: SOCKPERF_LEAD })
}

/// iperf3 asks its server for a test, so it needs its own; nobody answers its packets.
fn iperf3(load: &Load) -> anyhow::Result<Prepared> {
    let ports = free_ports(1)?;
    let port = ports.start().to_string();
    let mut server = Command::new("iperf3");
    server.args(["-s", "-4", "-1", "-p", &port]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Guard(server.spawn().context("starting iperf3's server")?);
    await_listeners(&ports).context("starting iperf3's server")?;
    let bits = load.rate * f64::from(load.size) * 8.0;
    let mut command = Command::new("iperf3");
    command.args(["-c", "127.0.0.1", "-p", &port, "-N", "-P", &load.conns.to_string(), "-b", &bits.to_string()]);
    command.args(["-l", &load.size.to_string(), "-t", &load.seconds.to_string()]);
    Ok(Prepared { command, ports, server: Some(server), lead: Duration::ZERO })
}

fn free_ports(count: u32) -> anyhow::Result<RangeInclusive<u16>> {
    let count = u16::try_from(count).context("too many ports")?;
    // Below those that clients are given.
    let mut ranges = (10_000..20_000u16).step_by(usize::from(count.max(1))).map(|first| first..=first + count - 1);
    ranges.find(|range| range.clone().all(is_free)).context("no range of ports is free")
}

/// Whether a server may listen there that does not ask to share its port with connections that are over:
/// std's listeners do.
fn is_free(port: u16) -> bool {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP));
    let address = SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    socket.and_then(|socket| socket.bind(&address)).is_ok()
}

/// Waits until every port is taken: without a connection, which the server would count.
fn await_listeners(ports: &RangeInclusive<u16>) -> anyhow::Result<()> {
    let until = Instant::now() + SERVER_START_LIMIT;
    let wanted: Vec<u16> = ports.clone().collect();
    loop {
        let table = std::fs::read_to_string("/proc/net/tcp").context("reading /proc/net/tcp")?;
        let listening = listening(&table);
        if wanted.iter().all(|port| listening.contains(port)) {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < until, "it does not listen on {}..={}", ports.start(), ports.end());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Local ports of the sockets that listen, of the kernel's table.
fn listening(table: &str) -> Vec<u16> {
    let port = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let (_, port) = local.split_once(':')?;
        (state == "0A").then(|| u16::from_str_radix(port, 16).ok()).flatten()
    };
    table.lines().filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const LOAD: Load = Load { conns: 80, rate: 5.0, size: 1024, seconds: 10 };

    fn words(command: &Command) -> String {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|w| w.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_is_asked_for_the_same_load() {
        let directory = tempfile::tempdir().unwrap();
        let server = SocketAddr::from(([127, 0, 0, 1], 5003));
        let words = |peer: Peer| words(&peer.prepare(&LOAD, server, directory.path()).unwrap().command);
        let want = "ctraffic -address 127.0.0.1:5003 -nconn 80 -rate 400 -psize 1024 -timeout 10s";
        assert_eq!(words(Peer::Ctraffic), want);
        let script = directory.path().join("packets.lua");
        let want = format!("wrk2 -t1 -c 80 -R 400 -d 10s -s {} http://127.0.0.1:5003/", script.display());
        assert_eq!(words(Peer::Wrk2), want);
        assert!(words(Peer::Tcpkali).starts_with("tcpkali --connections 80 --message-rate 5 --duration 10s "));
        assert!(words(Peer::Tcpkali).ends_with(" 127.0.0.1:5003"));
    }

    #[test]
    fn listening_ports_are_found_in_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n\
             \x20  0: 0100007F:138B 00000000:0000 0A 00000000:00000000 00:00000000\n\
             \x20  1: 0100007F:138C 0100007F:9C40 01 00000000:00000000 00:00000000\n";
        assert_eq!(listening(table), [5003]);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        await_listeners(&(port..=port)).unwrap();
        assert!(!is_free(port));
    }
}
