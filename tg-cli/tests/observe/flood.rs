//! More events than an observer can take: what it could not record is counted, and told; nobody else waits.

use crate::faults_support::{eventually, start_with, tg};
use crate::network::{KINDS, Network, Observer, within};
use crate::support::{Capability, Suite};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const NEEDS: &[Capability] = &[Capability::Bpf, Capability::Nft, Capability::Netns];

pub fn add(suite: &mut Suite) {
    suite.test("flood::recorded_and_lost_are_all".into(), NEEDS, recorded_and_lost_are_all);
    suite.test("flood::conntrack_s_buffer_is_full".into(), NEEDS, conntrack_s_buffer_is_full);
    suite.test("flood::a_slow_reader".into(), NEEDS, a_slow_reader);
    suite.test("flood::ends_though_nobody_reads_its_events".into(), NEEDS, ends_though_nobody_reads_its_events);
    suite.test("flood::ends_though_nobody_reads_its_stdout".into(), NEEDS, ends_though_nobody_reads_its_stdout);
}

/// So many connects that nobody takes.
fn refused(network: &Network, count: usize) {
    within(&network.client(), || {
        for _ in 0..count {
            let refused = TcpStream::connect(network.vip()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
    });
}

/// A counter of the namespace's own TCP.
fn tcp_counter(netns: &str, name: &str) -> u64 {
    let snmp = within(netns, || std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap());
    let mut tcp = snmp.lines().filter_map(|l| l.strip_prefix("Tcp:")).map(str::split_whitespace);
    let place = tcp.next().unwrap().position(|n| n == name).unwrap();
    tcp.next().unwrap().nth(place).unwrap().parse().unwrap()
}

/// While the observer stands still its ring buffer overflows. Recorded and lost are together what the kernel's own
/// counters say, and each event that was recorded is in the journal.
fn recorded_and_lost_are_all() {
    const ATTEMPTS: usize = 5000;
    let network = Network::alone(KINDS[1]);
    let observer = network.observe("");
    observer.running.stand_still();
    refused(&network, ATTEMPTS);
    let sent = tcp_counter(&network.pod_netns(), "OutRsts");
    let failed = tcp_counter(&network.client(), "AttemptFails");
    assert_eq!((sent, failed), (ATTEMPTS as u64, ATTEMPTS as u64));
    observer.running.signal("CONT");
    let lines = observer.end();
    let (mut told, mut lost) = (BTreeMap::<&str, u64>::new(), BTreeMap::<&str, u64>::new());
    for line in &lines {
        let Some(program) = line["program"].as_str() else { continue };
        match line["kind"].as_str().unwrap() {
            // Netlink's may be lost, too, but how many the kernel does not say.
            _ if program == "conntrack" => {}
            "node-event" => *told.entry(program).or_default() += 1,
            "node-gap" => {
                assert_eq!(line["cause"], "ring-full", "{line}");
                assert!(line["from_ns"].as_u64() < line["to_ns"].as_u64(), "{line}");
                *lost.entry(program).or_default() += line["lost"].as_u64().unwrap();
            }
            _ => {}
        }
    }
    // A SYN leaves the node bound, is dropped in the pod and answered by a reset, which arrives; the client's socket
    // changes to SYN_SENT and back.
    let made =
        [("send-reset", sent), ("receive-reset", failed), ("tcp-state", 2 * failed), ("drop", sent), ("binding", sent)];
    for (program, made) in made {
        let footer = lines.last().unwrap()["programs"].as_array().unwrap();
        let figures = footer.iter().find(|p| p["program"] == program).unwrap();
        let of = |map: &BTreeMap<&str, u64>| map.get(program).copied().unwrap_or(0);
        assert_eq!((&figures["events"], &figures["lost"]), (&of(&told).into(), &of(&lost).into()), "{program}");
        assert_eq!(of(&told) + of(&lost), made, "{program}");
        assert!(of(&lost) > 0, "{program}: the ring buffer was never full");
    }
}

/// nfnetlink's ENOBUFS is told, and the listener goes on.
fn conntrack_s_buffer_is_full() {
    const FLOWS: u16 = 40_000;
    let network = Network::alone(KINDS[0]);
    let observer = network.observe("");
    observer.running.stand_still();
    within(&network.client(), || {
        let socket = UdpSocket::bind((network.address(1, 2), 0)).unwrap();
        for port in 1..=FLOWS {
            // The pod's refusals come back as errors of a later send.
            while socket.send_to(b"x", (network.pod().ip(), port)).is_err() {}
        }
    });
    observer.running.signal("CONT");
    let gap = observer.awaits("the gap is told", |l| l["kind"] == "node-gap" && l["program"] == "conntrack");
    assert_eq!((&gap["cause"], &gap["lost"]), (&"socket-full".into(), &Value::Null));
    refused(&network, 1);
    observer.awaits("conntrack is heard again", |l| l["kind"] == "node-event" && l["program"] == "conntrack");
    observer.end();
}

/// A reader of /events.
fn events(place: SocketAddr) -> impl BufRead + Send {
    let mut stream = TcpStream::connect(place).unwrap();
    write!(stream, "GET /events?from=0 HTTP/1.0\r\n\r\n").unwrap();
    BufReader::new(stream)
}

/// The lines of an answer, without its head.
fn lines(reader: impl BufRead) -> impl Iterator<Item = Value> {
    let lines = reader.lines().map_while(Result::ok).filter(|l| l.starts_with('{'));
    // The last one may be cut where the observer ended.
    lines.map_while(|l| serde_json::from_str(&l).ok())
}

/// One who reads nothing for a while is told how many lines it missed; another one gets each line meanwhile.
fn a_slow_reader() {
    /// More than is kept for readers, and than sockets hold.
    const ENOUGH: u64 = 28 << 20;
    let network = Network::alone(KINDS[0]);
    let observer = network.observe("--listen 127.0.0.1:0");
    let place: SocketAddr = observer.running.says("/healthz at http://").parse().unwrap();
    let (slow, quick) = (events(place), events(place));
    let has_read = Arc::new(AtomicU64::new(0));
    let reads = Arc::clone(&has_read);
    let quick = std::thread::spawn(move || {
        let lines = quick.lines().map_while(Result::ok).filter(|l| l.starts_with('{'));
        let count = |(lines, gaps), line: String| {
            reads.fetch_add(line.len() as u64, Ordering::Relaxed);
            (lines + 1, gaps + u64::from(line.contains("slow-reader")))
        };
        lines.fold((0u64, 0u64), count)
    });
    let written = || std::fs::metadata(&observer.journal).unwrap().len();
    while written() < ENOUGH {
        refused(&network, 500);
        // It must not be slow itself, however starved it is.
        eventually("the quick one has most of it", || {
            (written().saturating_sub(has_read.load(Ordering::Relaxed)) < ENOUGH / 8).then_some(())
        });
    }
    let (mut last, mut missed) = (None, None);
    for line in lines(slow) {
        let seq = line["seq"].as_u64().unwrap();
        if line["cause"] == "slow-reader" {
            missed = Some((last.unwrap(), line["lost"].as_u64().unwrap(), seq));
        } else if let Some((before, lost, gap)) = missed {
            // The gap has the number of the last line that is missing.
            assert_eq!((before + lost, gap + 1), (gap, seq));
            break;
        } else {
            assert_eq!(seq, last.map_or(0, |l| l + 1));
        }
        last = Some(seq);
    }
    assert!(missed.is_some());
    let all = Observer::end(observer);
    let (got, gaps) = quick.join().unwrap();
    assert_eq!(gaps, 0);
    // The lines of the observer's very end may come after the server's.
    assert!(got as usize <= all.len() && got > all.len() as u64 / 2, "{got} of {}", all.len());
}

/// Each connect gives lines of some hundred bytes: all of them are more than sockets and pipes hold.
const UNREAD: usize = 2000;

/// Neither a reader of /events who never reads, nor traffic that goes on, keeps it from its end.
fn ends_though_nobody_reads_its_events() {
    let network = Network::alone(KINDS[0]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tg.sock");
    let observer = network.observe(&format!("--listen unix:{}", path.display()));
    let mut reader = UnixStream::connect(&path).unwrap();
    write!(reader, "GET /events?from=0 HTTP/1.0\r\n\r\n").unwrap();
    refused(&network, UNREAD);
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                refused(&network, 10);
            }
        });
        // Its journal is whole.
        let ending = std::panic::catch_unwind(AssertUnwindSafe(|| observer.end()));
        ended.store(true, Ordering::Relaxed);
        assert!(ending.unwrap_or_else(|e| std::panic::resume_unwind(e)).len() > UNREAD);
    });
    drop(reader);
}

/// Who reads the pipe that it writes to may stand still: it says that its journal is not whole, and ends.
fn ends_though_nobody_reads_its_stdout() {
    let network = Network::alone(KINDS[0]);
    for (option, code) in [("--output -", 1), ("", 0)] {
        let (reader, writer) = std::io::pipe().unwrap();
        let line = format!("observe --vip {} {option}", network.vip());
        let observer = start_with(&mut tg(&line), writer, Stdio::piped());
        observer.says("observing");
        refused(&network, UNREAD);
        observer.signal("TERM");
        let done = observer.end().exits(code);
        if code != 0 {
            done.tells(&["writing -: nobody reads it"]);
        }
        drop(reader);
    }
    // It cannot even say so.
    let (mut reader, writer) = std::io::pipe().unwrap();
    let line = format!("observe --vip {} --output -", network.vip());
    let observer = start_with(&mut tg(&line), writer.try_clone().unwrap(), writer);
    let mut said = Vec::new();
    while !said.ends_with(b"\nobserving\n") {
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        said.extend(byte);
    }
    refused(&network, UNREAD);
    observer.signal("TERM");
    observer.end().exits(1);
    drop(reader);
}
