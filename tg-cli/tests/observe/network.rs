//! Three network namespaces in a row (a client, a node that balances, a pod), and an observer of them. Changes
//! when what a test needs of them does.

use crate::faults_support::{Running, eventually, lines_of, shell, start, start_with, tg};
use nix::sched::{CloneFlags, setns};
use serde_json::Value;
use std::fs::File;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The service's port, and the pod's.
pub const SERVICE: u16 = 80;
pub const POD: u16 = 8080;

/// How packets are translated, and which IP.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub v6: bool,
    pub masquerade: bool,
}

pub const KINDS: [Kind; 4] = [
    Kind { v6: false, masquerade: false },
    Kind { v6: false, masquerade: true },
    Kind { v6: true, masquerade: false },
    Kind { v6: true, masquerade: true },
];

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.v6 { "v6" } else { "v4" }, if self.masquerade { "_masquerade" } else { "" })
    }
}

/// Gone with the test.
pub struct Network {
    kind: Kind,
    /// What tells this network's namespaces from others'.
    id: String,
    /// In its addresses: observers see the whole host, so no two networks have the same.
    number: u8,
    /// Keeps the number from every other process of tests on this host.
    _reserved: UnixListener,
    _turn: Turn,
    dir: tempfile::TempDir,
}

/// A number that no other network on this host has, and what keeps it. Tests of two processes that share addresses
/// would take each other's events for their own.
fn reserve() -> (u8, UnixListener) {
    // No number twice: what a network leaves behind may still be heard of when the next begins.
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let keep = |number: u8| {
        let name = UnixAddress::from_abstract_name(format!("tg-observe-network-{number}")).unwrap();
        Some((number, UnixListener::bind_addr(&name).ok()?))
    };
    let mut numbers = (0..NUMBERS).map(|_| NEXT.fetch_add(1, Ordering::Relaxed) % NUMBERS + 1);
    numbers.find_map(keep).expect("every number is in use")
}

const NUMBERS: u8 = 250;

/// Tests that flood the kernel's listeners run alone: the others hold that nothing is lost.
static MACHINE: RwLock<()> = RwLock::new(());

enum Turn {
    WithOthers { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

impl Network {
    pub fn new(kind: Kind) -> Network {
        Network::build(kind, Turn::WithOthers { _guard: MACHINE.read().unwrap_or_else(PoisonError::into_inner) })
    }

    /// While no other test of this process has a network.
    pub fn alone(kind: Kind) -> Network {
        Network::build(kind, Turn::Alone { _guard: MACHINE.write().unwrap_or_else(PoisonError::into_inner) })
    }

    fn build(kind: Kind, turn: Turn) -> Network {
        let (number, reserved) = reserve();
        let id = format!("tg{}x{number}", std::process::id());
        let network = Network { kind, id, number, _reserved: reserved, _turn: turn, dir: tempfile::tempdir().unwrap() };
        let [c, n, p] = ["c", "n", "p"].map(|role| network.name(role));
        let (length, any) = if kind.v6 { ("64 nodad", "-6") } else { ("24", "-4") };
        let of = |link, host| network.address(link, host);
        // Without duplicate address detection: it keeps a new link from answering for a second, and a SYN would be
        // sent again meanwhile.
        let detection = "sysctl -qw net.ipv6.conf.default.accept_dad=0";
        for name in [&c, &n, &p] {
            shell(&format!("ip netns add {name} && ip -n {name} link set lo up && ip netns exec {name} {detection}"));
        }
        for (far, link, far_if, near_if) in [(&c, 1, "c0", "n0"), (&p, 2, "p0", "n1")] {
            shell(&format!("ip link add {far_if} netns {far} type veth peer name {near_if} netns {n}"));
            shell(&format!("ip -n {far} addr add {}/{length} dev {far_if}", of(link, 2)));
            shell(&format!("ip -n {n} addr add {}/{length} dev {near_if}", of(link, 1)));
            shell(&format!("ip -n {far} link set {far_if} up && ip -n {n} link set {near_if} up"));
            shell(&format!("ip -n {far} {any} route add default via {}", of(link, 1)));
        }
        shell(&format!("ip netns exec {n} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"));
        network.nft(&network.rules());
        network
    }

    fn rules(&self) -> String {
        let (family, ip) = if self.kind.v6 { ("ip6", "ip6") } else { ("ip", "ip") };
        let (vip, pod) = (self.vip().ip(), self.pod());
        let masquerade =
            if self.kind.masquerade { format!("{ip} daddr {} masquerade", pod.ip()) } else { String::new() };
        format!(
            "table {family} tg {{\n chain pre {{\n type nat hook prerouting priority -100\n \
             {ip} daddr {vip} tcp dport {SERVICE} dnat to {pod}\n }}\n \
             chain post {{\n type nat hook postrouting priority 100\n {masquerade}\n }}\n \
             chain forward {{\n type filter hook forward priority 0\n }}\n}}\n"
        )
    }

    /// Of a host on a link: the client's is 1, the pod's 2; the node is host 1, the others are host 2.
    pub fn address(&self, link: u8, host: u8) -> IpAddr {
        let n = self.number;
        let text = if self.kind.v6 { format!("fd00:{n:x}:{link}::{host}") } else { format!("10.{n}.{link}.{host}") };
        text.parse().unwrap()
    }

    /// Changes the node's rules.
    pub fn nft(&self, rules: &str) {
        let file = self.dir.path().join("rules");
        std::fs::write(&file, rules).unwrap();
        shell(&format!("ip netns exec {} nft -f {}", self.node(), file.display()));
    }

    fn family(&self) -> &'static str {
        if self.kind.v6 { "ip6" } else { "ip" }
    }

    /// Drops these segments in the node from now on, until [`Network::pass`].
    pub fn lose(&self, segments: &str) {
        self.nft(&format!("add rule {} tg forward {segments} drop\n", self.family()));
    }

    /// Drops and refuses nothing any more.
    pub fn pass(&self) {
        self.nft(&format!("flush chain {} tg forward\n", self.family()));
    }

    /// Refuses what comes to the pod from now on.
    pub fn reject(&self) {
        let family = self.family();
        self.nft(&format!("add rule {family} tg forward tcp dport {POD} reject with tcp reset\n"));
    }

    fn name(&self, role: &str) -> String {
        format!("{}{role}", self.id)
    }

    pub fn client(&self) -> String {
        self.name("c")
    }

    pub fn node(&self) -> String {
        self.name("n")
    }

    pub fn pod_netns(&self) -> String {
        self.name("p")
    }

    pub fn vip(&self) -> SocketAddr {
        let n = self.number;
        let ip = if self.kind.v6 { format!("2001:db8::{n:x}") } else { format!("192.0.2.{n}") };
        let ip: IpAddr = ip.parse().unwrap();
        SocketAddr::new(ip, SERVICE)
    }

    pub fn pod(&self) -> SocketAddr {
        SocketAddr::new(self.address(2, 2), POD)
    }

    /// Listens on the pod's port.
    pub fn listener(&self) -> TcpListener {
        within(&self.pod_netns(), || TcpListener::bind(self.pod()).unwrap())
    }

    /// An observer of this network's service, once it is observing.
    pub fn observe(&self, options: &str) -> Observer {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let journal = self.dir.path().join(format!("{}.jsonl", NEXT.fetch_add(1, Ordering::Relaxed)));
        let line = format!("observe --vip {} --output {} {options}", self.vip(), journal.display());
        let running = start(&mut tg(&line));
        running.says("observing");
        Observer { running, journal }
    }

    /// A capture on an interface of the node, once it is capturing.
    pub fn capture(&self, interface: &str, flags: &str) -> Capture {
        // Bytes 13 of TCP's header, right after IPv6's 40.
        let filter = if self.kind.v6 {
            let bits: u8 = flags
                .split('|')
                .map(|f| match f {
                    "tcp-fin" => 1,
                    "tcp-syn" => 2,
                    _ => 4,
                })
                .sum();
            format!("ip6[6] == 6 and ip6[53] & {bits} != 0")
        } else {
            format!("tcp[tcpflags] & ({flags}) != 0")
        };
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &self.node(),
            "tcpdump",
            "--immediate-mode",
            "-l",
            "-nn",
            "-i",
            interface,
            &filter,
        ]);
        let running = start_with(&mut command, Stdio::piped(), Stdio::piped());
        running.says("listening on");
        Capture { running }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for role in ["c", "n", "p"] {
            let _ = Command::new("ip").args(["netns", "del", &self.name(role)]).status();
        }
    }
}

/// Does it in a named network namespace.
pub fn within<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    within_file(&Path::new("/run/netns").join(name), work)
}

/// As [`within`], in that of this file.
pub fn within_file<T: Send>(file: &Path, work: impl FnOnce() -> T + Send) -> T {
    let file = File::open(file).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

/// An observer under way.
pub struct Observer {
    pub running: Running,
    pub journal: PathBuf,
}

impl Observer {
    /// Its journal so far.
    pub fn lines(&self) -> Vec<Value> {
        lines_of(&std::fs::read(&self.journal).unwrap_or_default())
    }

    /// Waits until it told of such an event.
    pub fn awaits(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        eventually(Awaited { what, observer: self }, || self.lines().into_iter().find(&is_it))
    }

    /// Ends it; its whole journal.
    pub fn end(self) -> Vec<Value> {
        self.running.signal("TERM");
        self.running.end().exits(0);
        let lines = lines_of(&std::fs::read(&self.journal).unwrap());
        assert_eq!(lines.last().unwrap()["kind"], "node-footer");
        lines
    }
}

/// What is awaited of an observer; shown with what it told instead.
struct Awaited<'a> {
    what: &'a str,
    observer: &'a Observer,
}

impl std::fmt::Display for Awaited<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let journal = std::fs::read_to_string(&self.observer.journal).unwrap_or_default();
        write!(f, "{}; the observer said:\n{}\nand told:\n{journal}", self.what, self.observer.running.said())
    }
}

/// A tuple as the journal writes it.
pub fn tuple(src: SocketAddr, dst: SocketAddr) -> Value {
    serde_json::json!({ "src": src.to_string(), "dst": dst.to_string() })
}

/// A capture under way.
pub struct Capture {
    running: Running,
}

/// A segment that was captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    pub src: SocketAddr,
    pub dst: SocketAddr,
    /// As tcpdump writes them: `S`, `F`, `R`, with `.` for ACK.
    pub flags: String,
}

impl Capture {
    /// Waits until so many segments are captured that `is_it` accepts, ends it and gives all of them.
    pub fn end(self, count: usize, is_it: impl Fn(&Captured) -> bool) -> Vec<Captured> {
        eventually(format_args!("{count} segments are captured"), || {
            let all: Vec<Captured> = self.running.printed().lines().filter_map(captured).collect();
            (all.iter().filter(|c| is_it(c)).count() >= count).then_some(())
        });
        self.running.signal("INT");
        let done = self.running.end().exits(0);
        assert!(done.stderr.contains("0 packets dropped by kernel"), "{done}");
        done.stdout.lines().filter_map(captured).collect()
    }
}

/// `TIME IP6 fd00::1.80 > fd00::2.4711: Flags [R.], …`
fn captured(line: &str) -> Option<Captured> {
    let (_, rest) = line.split_once(" IP").map(|(a, b)| (a, b.trim_start_matches('6').trim_start()))?;
    let (src, rest) = rest.split_once(" > ")?;
    let (dst, rest) = rest.split_once(": Flags [")?;
    let (flags, _) = rest.split_once(']')?;
    let address = |text: &str| {
        let (ip, port) = text.rsplit_once('.')?;
        Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
    };
    Some(Captured { src: address(src)?, dst: address(dst)?, flags: flags.into() })
}
