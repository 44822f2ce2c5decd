//! The options of a lab, which `lab` and `predict` share. Changes when one is added; each default is the plan's own.

use crate::exit::Problem;
use crate::span;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::str::FromStr;
use std::time::Duration;
use tg_model::lab_plan::{
    Amount, DirectorKind, Fault, FaultKind, LabFamily, LabPlan, LabSpec, PodReplacement, SchedulerKind,
};
use tg_model::plan::Transport;

/// A rolling upgrade behind a balancer, under traffic.
#[allow(rustdoc::broken_intra_doc_links, reason = "what is in brackets may be left out, shown by --help")]
#[derive(Clone, Debug, Args)]
pub struct LabArgs {
    /// What balances: a `userspace` proxy (no privileges), `nft` (nftables,
    /// conntrack) or `ipvs`, each as kube-proxy has it
    #[arg(long, value_name = "KIND", default_value = "userspace", help_heading = "Balancer")]
    #[arg(value_parser = named(DirectorKind::ALL, DirectorKind::name), hide_possible_values = true)]
    pub director: DirectorKind,
    /// How it chooses: rr, lc, wrr, wlc, sh or random; nft has rr and random,
    /// ipvs what the kernel has
    #[arg(long, value_name = "NAME", default_value = "rr", help_heading = "Balancer")]
    #[arg(value_parser = named(SchedulerKind::ALL, SchedulerKind::name), hide_possible_values = true)]
    pub scheduler: SchedulerKind,
    /// Nodes; pods are spread over them, and each balances on its own
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Balancer")]
    pub nodes: u32,
    /// Traffic goes to all nodes, by a hash of addresses and ports; else to
    /// the first
    #[arg(long, help_heading = "Balancer")]
    pub ecmp: bool,
    /// From a node's loss to the cluster's taking it for not ready: clusters wait
    /// for 40 or 50 s
    #[arg(long, value_name = "TIME", default_value = "4s", value_parser = span::parse, help_heading = "Balancer")]
    pub node_grace: Duration,
    /// IP versions of the service; with both, connections take them in turn
    #[arg(long, value_name = "4|6|both", default_value = "4", help_heading = "Balancer")]
    #[arg(value_parser = named(LabFamily::ALL, LabFamily::name), hide_possible_values = true)]
    pub family: LabFamily,
    /// Whether IPVS ends the connections of a destination that was deleted;
    /// kube-proxy has it on
    #[arg(long, value_name = "on|off", default_value = "on", help_heading = "Balancer")]
    #[arg(value_parser = PossibleValuesParser::new(["on", "off"]).map(|v| v == "on"), hide_possible_values = true)]
    #[arg(action = clap::ArgAction::Set)]
    pub expire_nodest: bool,
    /// Nodes put an address of their own in place of the client's
    #[arg(long, help_heading = "Balancer")]
    pub masquerade: bool,

    /// Pods
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = "Pods")]
    pub replicas: u32,
    /// Pods above the replicas during the upgrade, such as 1 or 25%; one that
    /// terminates does not count
    #[arg(long, value_name = "PODS", default_value = "1", value_parser = Amount::from_str, help_heading = "Pods")]
    pub max_surge: Amount,
    /// Replicas that may be unavailable during the upgrade, such as 1 or 25%
    #[arg(long, value_name = "PODS", default_value = "0", value_parser = Amount::from_str, help_heading = "Pods")]
    pub max_unavailable: Amount,
    /// When a pod that was asked to end makes room for another: when its
    /// termination-started (as Kubernetes does it), or termination-complete
    #[arg(long, value_name = "WHEN", default_value = "termination-started", help_heading = "Pods")]
    #[arg(value_parser = named(PodReplacement::ALL, PodReplacement::name), hide_possible_values = true)]
    pub pod_replacement: PodReplacement,
    /// From a pod's creation to its being ready
    #[arg(long, value_name = "TIME", default_value = "1.5s", value_parser = span::parse, help_heading = "Pods")]
    pub ready: Duration,
    /// From there to the next deletion: minReadySeconds, or what a cluster
    /// takes for it
    #[arg(long, value_name = "TIME", default_value = "750ms", value_parser = span::parse, help_heading = "Pods")]
    pub min_ready: Duration,
    /// From a pod's deletion to SIGTERM: the preStop hook
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = span::parse, help_heading = "Pods")]
    pub prestop: Duration,
    /// From a pod's deletion to SIGKILL
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = span::parse, help_heading = "Pods")]
    pub grace: Duration,

    /// Connections to keep up
    #[arg(short, long, value_name = "N", default_value_t = 80, help_heading = "Traffic")]
    pub conns: u32,
    /// Packets/s on each connection, fractions allowed
    #[arg(short, long, value_name = "RATE", default_value_t = 5.0, help_heading = "Traffic")]
    pub rate: f64,
    /// Datagrams instead of TCP connections
    #[arg(short, long, help_heading = "Traffic")]
    pub udp: bool,
    /// Traffic before the upgrade, and after the last old pod is gone: later
    /// than `kubectl rollout status` takes the upgrade for complete
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = span::parse, help_heading = "Traffic")]
    pub settle: Duration,

    /// What else goes wrong, such as pod-kill@3s: KIND[=HOW LONG][@WHEN], from
    /// the start of traffic, else with the upgrade. KIND: pod-kill, pod-freeze,
    /// pod-blackhole, node-loss, reset-storm, endpoint-lag, conntrack-flush,
    /// ecmp-change. May be given several times
    #[arg(long = "fault", value_name = "FAULT", value_parser = fault)]
    pub faults: Vec<Fault>,
    /// Seeds every choice that is made
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

impl LabArgs {
    /// The plan that they ask for.
    ///
    /// # Errors
    /// Options that are out of their limits, or contradict each other: a usage error that names them.
    pub fn plan(&self) -> Result<LabPlan, Problem> {
        LabPlan::try_from(self.spec()).map_err(Problem::usage)
    }

    fn spec(&self) -> LabSpec {
        LabSpec {
            director: self.director,
            scheduler: self.scheduler,
            replicas: self.replicas,
            max_surge: self.max_surge,
            max_unavailable: self.max_unavailable,
            pod_replacement: self.pod_replacement,
            prestop: self.prestop,
            grace: self.grace,
            ready: self.ready,
            min_ready: self.min_ready,
            conns: self.conns,
            rate: self.rate,
            transport: if self.udp { Transport::Udp } else { Transport::Tcp },
            settle: self.settle,
            nodes: self.nodes,
            ecmp: self.ecmp,
            node_grace: self.node_grace,
            family: self.family,
            expire_nodest: self.expire_nodest,
            masquerade: self.masquerade,
            seed: self.seed,
            faults: self.faults.clone(),
        }
    }
}

/// A parser for the names of a closed list.
fn named<T>(all: &'static [T], name: fn(T) -> &'static str) -> impl TypedValueParser<Value = T>
where
    T: Copy + Send + Sync + 'static,
{
    PossibleValuesParser::new(all.iter().map(move |v| name(*v))).try_map(move |text| {
        // What was parsed is one of them.
        all.iter().copied().find(|v| name(*v) == text).ok_or("no such name")
    })
}

/// `KIND[=HOW LONG][@WHEN]`.
fn fault(text: &str) -> Result<Fault, String> {
    let (what, at) = text.split_once('@').map_or((text, None), |(what, at)| (what, Some(at)));
    let (kind, lasting) = what.split_once('=').map_or((what, None), |(kind, lasting)| (kind, Some(lasting)));
    let known = || FaultKind::ALL.iter().map(|k| k.name()).collect::<Vec<_>>().join(", ");
    let kind = FaultKind::ALL.iter().copied().find(|k| k.name() == kind);
    let kind = kind.ok_or_else(|| format!("want KIND[=HOW LONG][@WHEN], where KIND is one of {}", known()))?;
    Ok(Fault { kind, lasting: lasting.map(span::parse).transpose()?, at: at.map(span::parse).transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        lab: LabArgs,
    }

    fn plan(words: &[&str]) -> Result<LabPlan, String> {
        let parsed = Alone::try_parse_from([&["lab"], words].concat()).map_err(|e| e.to_string())?;
        parsed.lab.plan().map_err(|e| format!("{e:?}"))
    }

    #[test]
    fn defaults_are_the_plans_own() {
        assert_eq!(plan(&[]).unwrap(), LabPlan::try_from(LabSpec::default()).unwrap());
    }

    #[test]
    fn every_option_reaches_the_plan() {
        let line = "--director ipvs --scheduler wlc --nodes 3 --ecmp --node-grace 6s --family both --expire-nodest off --masquerade \
                    --replicas 10 --max-surge 25% --max-unavailable 2 --pod-replacement termination-complete \
                    --ready 1s --min-ready 0 --prestop 3s --grace 4s --conns 90 --rate 2.5 --udp --settle 5s \
                    --fault pod-freeze=2s@7s --fault endpoint-lag=500ms --fault pod-kill@3s --seed 9";
        let p = plan(&line.split_whitespace().collect::<Vec<_>>()).unwrap();
        let seconds = Duration::from_secs;
        let fault = |kind, lasting, at| Fault { kind, lasting, at };
        let want = LabSpec {
            director: DirectorKind::Ipvs,
            scheduler: SchedulerKind::Wlc,
            replicas: 10,
            max_surge: Amount::Percent(25),
            max_unavailable: Amount::Count(2),
            pod_replacement: PodReplacement::TerminationComplete,
            prestop: seconds(3),
            grace: seconds(4),
            ready: seconds(1),
            min_ready: Duration::ZERO,
            conns: 90,
            rate: 2.5,
            transport: Transport::Udp,
            settle: seconds(5),
            nodes: 3,
            ecmp: true,
            node_grace: seconds(6),
            family: LabFamily::Both,
            expire_nodest: false,
            masquerade: true,
            seed: 9,
            faults: vec![
                fault(FaultKind::PodFreeze, Some(seconds(2)), Some(seconds(7))),
                fault(FaultKind::EndpointLag, Some(Duration::from_millis(500)), None),
                fault(FaultKind::PodKill, None, Some(seconds(3))),
            ],
        };
        assert_eq!(LabSpec::from(p), want);
    }

    #[test]
    fn what_cannot_be_is_told_by_the_options_name() {
        for (words, want) in [
            (&["--director", "nft", "--scheduler", "lc"][..], "--scheduler lc is not there with --director nft"),
            (&["--max-surge", "x"], "25%"),
            (&["--fault", "flood"], "pod-kill"),
            (&["--fault", "pod-kill@soon"], "want a number and a unit"),
            (&["--ready", "1"], "want a number and a unit"),
            (&["--replicas", "0"], "--replicas is 0"),
            (&["--expire-nodest", "maybe"], "--expire-nodest"),
        ] {
            let error = plan(words).unwrap_err();
            assert!(error.contains(want), "{words:?}: {error}");
        }
    }
}
