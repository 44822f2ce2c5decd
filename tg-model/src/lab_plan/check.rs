//! The limits of a lab's plan. Changes when a limit does.

use super::{Amount, DirectorKind, Fault, FaultKind, LabSpec};
use crate::plan::{CONNS_MAX, TOTAL_RATE_MAX};
use std::time::Duration;

/// Replicas at most.
pub const REPLICAS_MAX: u32 = 5_000;
/// Nodes at most.
pub const NODES_MAX: u32 = 1_000;
/// Faults at most.
const FAULTS_MAX: usize = 64;
const SPAN_MAX: Duration = Duration::from_secs(3600);

/// A lab that cannot be, and what to change.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LabPlanError {
    /// A number out of its limits.
    #[error("{option} is {got}: want {want}")]
    Limit {
        /// The option, as on the command line.
        option: &'static str,
        /// As given.
        got: String,
        /// The limits, in words.
        want: String,
    },
    /// The director has no such scheduler.
    #[error("--scheduler {scheduler} is not there with --director {director}: it has {have}")]
    Scheduler {
        /// As given.
        scheduler: &'static str,
        /// As given.
        director: &'static str,
        /// Those that it has.
        have: String,
    },
    /// Options that exclude each other.
    #[error("{0}")]
    Contradiction(String),
}

fn limit(ok: bool, option: &'static str, got: impl ToString, want: impl ToString) -> Result<(), LabPlanError> {
    if ok { Ok(()) } else { Err(LabPlanError::Limit { option, got: got.to_string(), want: want.to_string() }) }
}

fn contradiction(there: bool, words: impl Into<String>) -> Result<(), LabPlanError> {
    if there { Err(LabPlanError::Contradiction(words.into())) } else { Ok(()) }
}

fn span(option: &'static str, got: Duration) -> Result<(), LabPlanError> {
    limit(got <= SPAN_MAX, option, format!("{got:?}"), "at most 1 h")
}

pub(super) fn check(spec: &LabSpec) -> Result<(), LabPlanError> {
    director(spec)?;
    pods(spec)?;
    spans(spec)?;
    traffic(spec)?;
    nodes(spec)?;
    limit(
        spec.faults.len() <= FAULTS_MAX,
        "the number of --fault",
        spec.faults.len(),
        format!("at most {FAULTS_MAX}"),
    )?;
    spec.faults.iter().try_for_each(|f| fault(spec, f))
}

fn director(spec: &LabSpec) -> Result<(), LabPlanError> {
    let have = spec.director.schedulers();
    if !have.contains(&spec.scheduler) {
        return Err(LabPlanError::Scheduler {
            scheduler: spec.scheduler.name(),
            director: spec.director.name(),
            have: have.iter().map(|s| s.name()).collect::<Vec<_>>().join(", "),
        });
    }
    contradiction(
        !spec.expire_nodest && spec.director != DirectorKind::Ipvs,
        "--expire-nodest is IPVS's: give --director ipvs, or drop it",
    )?;
    contradiction(
        spec.masquerade && spec.director == DirectorKind::Userspace,
        "--masquerade needs a director that forwards packets: give --director nft or ipvs, or drop it",
    )
}

fn pods(spec: &LabSpec) -> Result<(), LabPlanError> {
    limit((1..=REPLICAS_MAX).contains(&spec.replicas), "--replicas", spec.replicas, format!("1 to {REPLICAS_MAX}"))?;
    let surge_max = spec.replicas.saturating_mul(10).min(REPLICAS_MAX);
    limit(
        spec.max_surge.of_rounded_up(spec.replicas) <= surge_max,
        "--max-surge",
        spec.max_surge,
        format!("at most {surge_max} pods"),
    )?;
    limit(
        spec.max_unavailable.of_rounded_down(spec.replicas) <= spec.replicas,
        "--max-unavailable",
        spec.max_unavailable,
        "at most all replicas",
    )?;
    let none = |a: Amount| matches!(a, Amount::Count(0) | Amount::Percent(0));
    contradiction(
        none(spec.max_surge) && none(spec.max_unavailable),
        "--max-surge and --max-unavailable are both 0: no pod could be replaced; give one of them",
    )
}

fn spans(spec: &LabSpec) -> Result<(), LabPlanError> {
    span("--prestop", spec.prestop)?;
    span("--grace", spec.grace)?;
    span("--ready", spec.ready)?;
    span("--min-ready", spec.min_ready)?;
    span("--settle", spec.settle)?;
    span("--node-grace", spec.node_grace)
}

fn traffic(spec: &LabSpec) -> Result<(), LabPlanError> {
    limit((1..=CONNS_MAX).contains(&spec.conns), "--conns", spec.conns, format!("1 to {CONNS_MAX}"))?;
    let total = spec.rate * f64::from(spec.conns);
    limit(
        spec.rate.is_finite() && spec.rate >= 0.001 && total <= TOTAL_RATE_MAX,
        "--rate",
        // `{:?}` has an exponent where there would be hundreds of digits.
        format!("{:?} packets/s a connection", spec.rate),
        format!("0.001 or more, and at most {TOTAL_RATE_MAX} over all connections"),
    )
}

fn nodes(spec: &LabSpec) -> Result<(), LabPlanError> {
    limit((1..=NODES_MAX).contains(&spec.nodes), "--nodes", spec.nodes, format!("1 to {NODES_MAX}"))?;
    contradiction(spec.ecmp && spec.nodes == 1, "--ecmp needs several nodes: give --nodes 2 or more")
}

fn fault(spec: &LabSpec, fault: &Fault) -> Result<(), LabPlanError> {
    let name = fault.kind.name();
    contradiction(
        fault.kind.needs_namespaces() && spec.director == DirectorKind::Userspace,
        format!("--fault {name} needs network namespaces: give --director nft or ipvs"),
    )?;
    contradiction(
        fault.lasting.is_some() && !fault.kind.may_last(),
        format!("--fault {name} takes no time that it lasts: it is over at once"),
    )?;
    contradiction(
        fault.lasting.is_none() && fault.kind == FaultKind::EndpointLag,
        "--fault endpoint-lag needs the lag, such as endpoint-lag=500ms",
    )?;
    contradiction(
        fault.kind == FaultKind::EcmpChange && !spec.ecmp,
        "--fault ecmp-change needs traffic to several nodes: give --ecmp and --nodes 2 or more",
    )?;
    contradiction(
        fault.kind == FaultKind::NodeLoss && spec.nodes == 1,
        "--fault node-loss needs a node that remains: give --nodes 2 or more",
    )?;
    span("the time of --fault", fault.at.unwrap_or_default())?;
    span("how long a --fault lasts", fault.lasting.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::{LabPlan, SchedulerKind};
    use super::*;

    fn plan(change: impl FnOnce(&mut LabSpec)) -> Result<LabPlan, LabPlanError> {
        let mut spec = LabSpec::default();
        change(&mut spec);
        LabPlan::try_from(spec)
    }

    fn fault(kind: FaultKind) -> Fault {
        Fault { kind, lasting: None, at: None }
    }

    #[test]
    fn the_defaults_are_the_seeds_test_and_survive_json() {
        let p = plan(|_| {}).unwrap();
        assert_eq!((p.replicas, p.surge(), p.unavailable(), p.conns), (8, 1, 0, 80));
        let text = serde_json::to_string(&p).unwrap();
        assert_eq!(serde_json::from_str::<LabPlan>(&text).unwrap(), p);
        assert_eq!(serde_json::from_str::<LabPlan>("{}").unwrap(), p);
    }

    #[test]
    fn every_option_survives_json() {
        let lag = Fault { kind: FaultKind::EndpointLag, lasting: Some(Duration::from_millis(500)), at: None };
        let kill = Fault { kind: FaultKind::PodKill, lasting: None, at: Some(Duration::from_secs(3)) };
        let p = plan(|s| {
            (s.director, s.scheduler, s.expire_nodest) = (DirectorKind::Ipvs, SchedulerKind::Wlc, false);
            (s.max_surge, s.max_unavailable) = (Amount::Percent(25), Amount::Count(2));
            (s.nodes, s.ecmp, s.masquerade) = (3, true, true);
            s.faults = vec![lag, kill, fault(FaultKind::EcmpChange)];
        })
        .unwrap();
        let text = serde_json::to_string(&p).unwrap();
        assert!(text.contains(r#""max_surge":"25%","max_unavailable":2"#), "{text}");
        assert_eq!(serde_json::from_str::<LabPlan>(&text).unwrap(), p);
        assert_eq!((p.fault_at(&lag), p.fault_at(&kill)), (Duration::from_secs(6), Duration::from_secs(3)));
    }

    #[test]
    fn percentages_are_rounded_as_kubernetes_does() {
        let amounts = |replicas, surge: &str, unavailable: &str| {
            let (max_surge, max_unavailable) = (surge.parse().unwrap(), unavailable.parse().unwrap());
            let p = plan(|s| (s.replicas, s.max_surge, s.max_unavailable) = (replicas, max_surge, max_unavailable));
            p.map(|p| (p.surge(), p.unavailable())).unwrap()
        };
        assert_eq!(amounts(10, "25%", "25%"), (3, 2));
        assert_eq!(amounts(3, "25%", "25%"), (1, 0));
        assert_eq!(amounts(3, "0", "25%"), (0, 1), "else nothing could move");
        assert_eq!(amounts(8, "100%", "100%"), (8, 8));
        for text in ["", "%", "-1", "+1", "1.5", "25 %", "4294967296", "x"] {
            assert!(text.parse::<Amount>().unwrap_err().contains("25%"), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_options_name() {
        type Spoil = fn(&mut LabSpec);
        let bad: [(&str, Spoil); 24] = [
            ("--replicas", |s| s.replicas = 0),
            ("--replicas", |s| s.replicas = u32::MAX),
            ("--max-surge", |s| s.max_surge = Amount::Count(81)),
            ("--max-surge", |s| s.max_surge = Amount::Percent(u32::MAX)),
            ("--max-unavailable", |s| s.max_unavailable = Amount::Count(9)),
            ("--max-unavailable", |s| s.max_unavailable = Amount::Percent(101 + 12)),
            ("both 0", |s| s.max_surge = Amount::Percent(0)),
            ("--conns", |s| s.conns = 0),
            ("--rate", |s| s.rate = f64::NAN),
            ("--rate", |s| s.rate = 1e300),
            ("--prestop", |s| s.prestop = Duration::MAX),
            ("--grace", |s| s.grace = Duration::MAX),
            ("--ready", |s| s.ready = Duration::MAX),
            ("--min-ready", |s| s.min_ready = Duration::MAX),
            ("--settle", |s| s.settle = Duration::MAX),
            ("--nodes", |s| s.nodes = 0),
            ("--nodes", |s| s.ecmp = true),
            ("--masquerade", |s| s.masquerade = true),
            ("--expire-nodest", |s| s.expire_nodest = false),
            ("it has rr, random", |s| (s.director, s.scheduler) = (DirectorKind::Nft, SchedulerKind::Lc)),
            ("--scheduler random", |s| (s.director, s.scheduler) = (DirectorKind::Ipvs, SchedulerKind::Random)),
            ("namespaces", |s| s.faults = vec![fault(FaultKind::ConntrackFlush)]),
            ("needs the lag", |s| s.faults = vec![fault(FaultKind::EndpointLag)]),
            ("--fault", |s| s.faults = vec![fault(FaultKind::PodKill); 65]),
        ];
        for (word, change) in bad {
            let error = plan(change).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn faults_need_what_they_are_made_of() {
        let with = |f: Fault, nodes, ecmp| {
            plan(|s| (s.director, s.nodes, s.ecmp, s.faults) = (DirectorKind::Nft, nodes, ecmp, vec![f]))
        };
        assert!(with(fault(FaultKind::NodeLoss), 1, false).is_err());
        assert!(with(fault(FaultKind::NodeLoss), 2, false).is_ok());
        assert!(with(fault(FaultKind::EcmpChange), 2, false).is_err());
        assert!(with(fault(FaultKind::EcmpChange), 2, true).is_ok());
        assert!(with(Fault { lasting: Some(Duration::ZERO), ..fault(FaultKind::PodKill) }, 1, false).is_err());
        assert!(with(Fault { at: Some(Duration::MAX), ..fault(FaultKind::PodKill) }, 1, false).is_err());
    }

    #[test]
    fn every_director_has_rr() {
        for d in DirectorKind::ALL {
            assert!(plan(|s| s.director = *d).is_ok());
            assert!(d.schedulers().contains(&SchedulerKind::Rr));
        }
    }
}
