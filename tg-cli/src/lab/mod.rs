//! `lab`: a rolling upgrade on this machine, under traffic, and what it lost. Changes when the order of these steps,
//! or an option of the command itself, does.

mod args;
mod expected;
mod families;
mod progress;
mod report;

pub use args::LabArgs;
pub use expected::Expected;

use crate::exit::Problem;
use crate::output;
use crate::report::some;
use crate::run::{Expectation, Stop, StopSignals, failures};
use crate::span;
use anyhow::Context;
use clap::Args;
use progress::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tg_lab::lab::{self, LabError, Options, Outcome};
use tg_model::lab_plan::{DirectorKind, LabPlan};
use tg_model::plan::Transport;

const EXAMPLES: &str = "\
Examples:
  tg-cli lab                            the k8s-app-upgrade test, scheduler rr
  tg-cli lab --scheduler lc             the same with least connections
  tg-cli lab --max-surge 4 --conns 800 --output lab-surge-4
  tg-cli lab --nodes 3 --ecmp --scheduler lc   lc counts on each node alone
  tg-cli lab --fault pod-freeze=3s@4s   a pod stands still before the upgrade
  sudo tg-cli lab --director nft        by nftables, as kube-proxy programs it
  sudo tg-cli lab --director ipvs --scheduler lc     where there is no ip_vs it
      says how to run the same in a virtual machine

The userspace director is a proxy of this process on loopback: each pod is a
process (`tg-cli serve`) with an address of 127.0.0.0/8 of its own, or a port of
::1 for IPv6, since an ordinary user has no further address of it. One decision
a connection, as IPVS makes it; a FIN goes on as a FIN, a reset as a reset. What
differs: the client's handshake is with the proxy, so that a pod that refuses is
seen as a connection reset 0.1 s later, not as a failed attempt. Bytes for a pod
in a black hole wait, and come once it is healed; but the proxy acknowledges
them, so that TCP shows nothing sent again: for that take nft or ipvs. With
--nodes each node is a balancer of its own in the proxy; --ecmp spreads
connections over them by a hash of the client's address and port, as a router's
multipath does.

The directors nft and ipvs are the kernel's own, set up as kube-proxy does it,
in network namespaces: a client, a router, nodes, and one for each pod, with
addresses of 192.0.2.0/24, 10.128.0.0/10, 2001:db8::/32 and fd74:6700::/32. An
observer (`tg-cli observe`) writes a journal of each node. nftables has no rr:
it is `numgen inc`, which begins anew with each change of the endpoints. With
several nodes the one that chose the pod puts its own address in place of the
client's, as kube-proxy does: replies would go another way. A destination of
IPVS that ends has weight 0 until its connections are gone; with UDP it is
deleted at once.

Nothing is left behind: what one left that was killed, or stopped at once, the
next one that makes namespaces (nft, ipvs) removes. SIGINT, SIGTERM or SIGHUP
ends it early and in good order, a second one at once. Exit codes: 0 the upgrade
was carried out, 1 it failed or was broken off, 2 the command line is at fault,
3 an expectation does not hold.";

/// Upgrade a service on this machine under traffic, and tell what that loses
///
/// The k8s-app-upgrade test: connections to a service of several pods, the pods replaced one after the other as
/// Kubernetes replaces a Deployment's, and for each pod how many connections it lost.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct LabCommand {
    #[command(flatten)]
    lab: LabArgs,
    /// Keep the journals in this folder, which is empty or not there yet
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Exit with 3 where this does not hold, such as 'lost<=80'; as of `run`
    #[arg(long = "expect", value_name = "EXPR", value_parser = Expectation::from_str)]
    expectations: Vec<Expectation>,
    /// A connection whose echo is out longer is lost
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = span::parse, help_heading = "Traffic")]
    response_timeout: Duration,
}

pub fn lab(command: &LabCommand) -> Result<(), Problem> {
    let plan = command.lab.plan()?;
    let signals = StopSignals::catch()?;
    let program = std::env::current_exe().context("finding this program, which pods run").map_err(Problem::Failed)?;
    output::stderr(&needs(&plan));
    let stop = Arc::new(AtomicBool::new(false));
    let mut display = Display::new();
    let options = Options {
        output: command.output.clone(),
        command: std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect(),
        response_timeout: command.response_timeout,
        stop: Arc::clone(&stop),
        watch: Box::new(move |progress| display.show(progress)),
        ..Options::new(program)
    };
    signals.prepared();
    let handle = signals.handle();
    let waiting = wait_for_signals(signals, stop)?;
    let outcome = lab::run(&plan, options);
    handle.close();
    // It ends by `close`, and has nothing to tell.
    let _ = waiting.join();
    progress::erase();
    finish(command, &plan, &outcome.map_err(problem)?)
}

fn wait_for_signals(mut signals: StopSignals, stop: Arc<AtomicBool>) -> Result<std::thread::JoinHandle<()>, Problem> {
    let body = move || {
        while let Some(asked) = signals.wait() {
            if asked == Stop::AtOnce {
                // As a shell tells a process that a signal ended. Pods go with the process.
                std::process::exit(130);
            }
            stop.store(true, Ordering::SeqCst);
            progress::erase();
            output::stderr("Stopping. Once more to stop at once.");
        }
    };
    let thread = std::thread::Builder::new().name("tg-signals".into()).spawn(body);
    thread.context("starting the thread that waits for signals").map_err(Problem::Failed)
}

/// What the lab makes and needs, and how long it takes.
fn needs(plan: &LabPlan) -> String {
    let what = match plan.director {
        DirectorKind::Userspace => "pods are processes behind a proxy on loopback: no privileges needed",
        DirectorKind::Nft => {
            "pods are network namespaces behind nftables: needs root,\n  nft, conntrack, ss, nsenter, setpriv"
        }
        DirectorKind::Ipvs => {
            "pods are network namespaces behind IPVS: needs root, ip_vs,\n  ipvsadm, nft, conntrack, ss, nsenter, setpriv"
        }
    };
    let connections = if plan.transport == Transport::Tcp { "connection" } else { "UDP flow" };
    let (pods, connections) = (some(plan.replicas.into(), "pod"), some(plan.conns.into(), connections));
    format!("lab: {pods}, {connections}, {}; takes about {} s\n{what}", plan.scheduler, duration_s(plan))
}

/// Until the end, faults aside.
fn duration_s(plan: &LabPlan) -> u64 {
    let at_once = (plan.surge() + plan.unavailable()).max(1);
    let steps = plan.replicas.div_ceil(at_once);
    (plan.ready + plan.settle * 2 + (plan.ready + plan.min_ready) * steps + plan.prestop.min(plan.grace)).as_secs() + 1
}

fn problem(error: LabError) -> Problem {
    if error.is_usage() { Problem::usage(error) } else { Problem::failed(error) }
}

/// The report, whatever else there is to complain about; then that.
fn finish(command: &LabCommand, plan: &LabPlan, outcome: &Outcome) -> Result<(), Problem> {
    let shown = report::text(plan, outcome).and_then(|text| output::stdout(text.as_bytes()));
    outcome.notes.iter().for_each(|note| output::stderr(&format!("note: {note}")));
    let mut failed = false;
    if let Some(error) = &outcome.journal_error {
        output::stderr(&format!("error: writing the run's journal: {error}; the tables are whole all the same"));
        failed = true;
    }
    if let Some(error) = &outcome.end_error {
        output::stderr(&format!("error: ending the lab: {error}; what the run counted is whole all the same"));
        failed = true;
    }
    if outcome.interrupted {
        output::stderr("error: the upgrade was broken off: the tables tell of what had happened by then");
        failed = true;
    }
    let expectations = failures(&command.expectations, &outcome.summary);
    shown?;
    match (failed, expectations.is_empty()) {
        (false, true) => Ok(()),
        (false, false) => Err(Problem::Expectations(expectations)),
        (true, _) => {
            expectations.iter().for_each(|e| output::stderr(e));
            Err(Problem::Told)
        }
    }
}
