//! `observe`: what this node does to a service's connections, until a signal ends it. Changes when an option
//! of it, or the order of its start and end, does.

mod backlog;
mod check;
mod ending;
mod http;
mod metrics;
mod recorder;
mod text;

use crate::exit::Problem;
use crate::output;
use crate::run::{Stop, StopSignals};
use anyhow::Context;
use backlog::Backlog;
use clap::Args;
use ending::Ending;
use http::{Listen, Shared};
use recorder::Recorder;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tg_core::sys::{clock, host};
use tg_ebpf::kernel::{self, Observer, Settings};
use tg_ebpf::place::{self, Interface};
use tg_model::node_event::{NodeHeader, NodeLine};

const EXAMPLES: &str = "\
Examples:
  tg-cli observe --vip 192.0.2.1:80 --output node.jsonl
  tg-cli observe --vip 192.0.2.1 --interface eth0 --interface pod-1/eth0=xdp
  tg-cli observe --vip 192.0.2.1:80 --listen 127.0.0.1:9464
      then: curl -N http://127.0.0.1:9464/events, …/status, …/metrics
  tg-cli observe --check                what this host gives, and what to change

SIGINT, SIGTERM or SIGHUP detaches everything and ends it.";

/// Tell what this node does to a service's connections
///
/// Who reset each connection and why, which pod it was on, and what was dropped: seen by programs in the
/// kernel, told on stdout, and kept with --output. Give the services' addresses; the pods behind them are
/// found.
#[allow(rustdoc::broken_intra_doc_links, reason = "what is in brackets may be left out, shown by --help")]
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ObserveArgs {
    /// Address of a service to watch, ADDR[:PORT]; every port without one
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = place::vip, required_unless_present = "check")]
    vip: Vec<SocketAddr>,
    /// Count SYN, FIN and RST on an interface, [NETNS/]IF; =xdp: by XDP
    #[arg(long, value_name = "IF")]
    interface: Vec<Interface>,
    /// Before Linux 6.6: count what leaves an interface, too, by a filter that
    /// stays where this is killed; the next start removes it
    #[arg(long)]
    legacy_tc: bool,
    /// Tell only of sockets and packets in these namespaces of /run/netns,
    /// and of what balances to them in any
    #[arg(long, value_name = "NAME")]
    netns: Vec<String>,
    /// Keep a journal, one JSON object a line; an earlier one stays, as
    /// FILE.1 and so on; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Serve /events, /status, /metrics and /healthz: a loopback address,
    /// or unix:PATH
    #[arg(long, value_name = "ADDR:PORT", value_parser = http::listen)]
    listen: Option<Listen>,
    /// Let the kernel measure its programs' run time, for /metrics; they then
    /// cost some 40 ns more each time
    #[arg(long)]
    run_time: bool,
    /// Only tell what this host gives an observer, and what to change
    #[arg(long)]
    check: bool,
}

/// Where `ip netns` names namespaces.
const NETNS: &str = "/run/netns";
/// How often counters are read and namespaces looked for.
const TICK: Duration = Duration::from_millis(500);

pub fn observe(args: &ObserveArgs) -> Result<(), Problem> {
    if args.check {
        return check::check();
    }
    for name in args.netns.iter().filter(|name| !Path::new(NETNS).join(name).exists()) {
        output::stderr(&format!("note: {NETNS} has no {name} yet: nothing is told of it until it has"));
    }
    let mut signals = StopSignals::catch()?;
    let (monotonic, realtime) = clock::both();
    let backlog = Arc::new(Backlog::new());
    let ending = Ending::default();
    let mut recorder = Recorder::new(args.output.as_deref(), Arc::clone(&backlog), &ending)?;
    recorder.line(NodeLine::Header(Box::new(NodeHeader {
        tg_version: env!("CARGO_PKG_VERSION").into(),
        command: std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect(),
        machine: host::name(),
        kernel: host::kernel(),
        boot_id: host::boot_id(),
        monotonic_ns: monotonic.0,
        realtime_ns: realtime.0,
        vips: args.vip.clone(),
        namespaces: args.netns.clone(),
    })));
    let settings = Settings {
        vips: args.vip.clone(),
        namespaces: args.netns.clone(),
        interfaces: args.interface.clone(),
        run_time: args.run_time,
        legacy_tc: args.legacy_tc,
        origin_ns: monotonic.0,
    };
    let (observer, lines) = Observer::start(settings).map_err(|e| check::explain(&e))?;
    text::status(observer.status()).iter().for_each(|l| output::stderr(l));
    recorder.lines(lines);
    // Before the first thread that lives on: capabilities are each thread's own.
    let kept = kernel::drop_unneeded().map_err(Problem::failed)?;
    signals.prepared();
    let shared = Arc::new(Shared::new(backlog, observer.status(), kept));
    let server = args.listen.as_ref().map(|l| http::serve(l, Arc::clone(&shared))).transpose()?;
    if let Some(server) = &server {
        ending.stderr(&format!("serves /events, /status, /metrics and /healthz at {}", server.place));
    }
    let (handle, waker, asks) = (signals.handle(), observer.waker(), ending.clone());
    let waiting = std::thread::Builder::new().name("tg-signals".into()).spawn(move || {
        while let Some(asked) = signals.wait() {
            if asked == Stop::AtOnce {
                // As a shell tells a process that a signal ended. What is attached goes with the process.
                std::process::exit(130);
            }
            asks.ask();
            // Where it cannot be woken the next tick sees it.
            let _ = waker.wake();
        }
    });
    let waiting = waiting.context("starting the thread that waits for signals").map_err(Problem::Failed)?;
    // Who was told that it observes finds the beginning where it belongs.
    recorder.flush();
    ending.stderr("observing");
    let observed = go_on(observer, &mut recorder, &shared, &ending);
    // Also where it ends by a failure nobody is waited for any longer.
    ending.ask();
    handle.close();
    // It ends by `close`, and has nothing to tell.
    let _ = waiting.join();
    if let Some(server) = server {
        server.stop();
    }
    observed?;
    recorder.finish()
}

/// Programs that were attached, or let go of, as a module came or went.
fn tell_attached(observer: &Observer, lines: &[NodeLine], shared: &Shared, ending: &Ending) {
    let program = |line: &NodeLine| if let NodeLine::Program(p) = line { Some(p.clone()) } else { None };
    let changed: Vec<_> = lines.iter().filter_map(program).collect();
    if !changed.is_empty() {
        text::status(&changed).iter().for_each(|l| ending.stderr(l));
        shared.attached(observer.status());
    }
}

/// Observes until it is asked to stop.
fn go_on(mut observer: Observer, recorder: &mut Recorder, shared: &Shared, ending: &Ending) -> Result<(), Problem> {
    let mut lines = Vec::new();
    let mut due = Instant::now() + TICK;
    let mut more = false;
    while !ending.is_asked() {
        let wait = if more { Duration::ZERO } else { due.saturating_duration_since(Instant::now()) };
        observer.wait(wait).map_err(Problem::failed)?;
        more = observer.poll(&mut lines);
        if Instant::now() >= due {
            observer.tick(&mut lines).map_err(Problem::failed)?;
            shared.update(observer.figures());
            due = Instant::now() + TICK;
        }
        tell_attached(&observer, &lines, shared, ending);
        recorder.lines(lines.drain(..));
        recorder.flush();
    }
    recorder.lines(observer.stop());
    Ok(())
}
