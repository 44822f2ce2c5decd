//! A prediction for people, in 80 columns. Changes when its form does.

use crate::report::{Page, some};
use crate::span;
use tg_lab::predict::Steps;
use tg_model::lab_plan::{Expectation, LabPlan, PodReplacement, SchedulerKind, Spread};
use tg_model::plan::Transport;

/// Pods shown at each end of a table; those between are summed up.
const SHOWN: usize = 10;

pub fn text(plan: &LabPlan, e: &Expectation) -> String {
    let mut page = Page::default();
    page.line(&row("Expected", "mean", ["5 %", "95 %", "least", "most"]));
    figure(&mut page, "Lost connections", &e.lost);
    page.line(&row("  perfect is", &e.perfect.to_string(), [""; 4]));
    figure(&mut page, "  avoidable", &e.avoidable);
    figure(&mut page, "Reconnects to old pods", &e.to_doomed);
    for (name, spread) in [
        ("Failed attempts to connect", &e.failed_attempts),
        ("Lost connections of new pods", &e.lost_by_new_pods),
        ("Without a connection at the end", &e.without_connection),
    ] {
        if spread.max > 0 {
            figure(&mut page, name, spread);
        }
    }
    pods(&mut page, "Lost, by old pod, in the order in which they end", &e.lost_by_old_pod);
    pods(&mut page, "Lasting, by new pod, in the order in which they are made", &e.lasting_by_new_pod);
    page.line("");
    about(&mut page, plan, e);
    why(&mut page, plan);
    if e.avoidable.max > 0 {
        page.wrapped("", "Avoidable: a reconnect went to an old pod, while a new one would have taken it.");
    }
    if plan.transport == Transport::Udp {
        page.wrapped("", "Simulated as TCP: a flow of datagrams is not lost with its pod, another one answers it.");
    }
    for kind in &e.not_simulated {
        page.wrapped("", &format!("Not simulated: the fault {kind}. What it costs comes on top."));
    }
    page.finish()
}

/// A million connections take 9 columns with their decimal.
fn row(name: &str, mean: &str, others: [&str; 4]) -> String {
    let [p5, p95, least, most] = others;
    format!("{name:<33} {mean:>10} {p5:>8} {p95:>8} {least:>8} {most:>8}")
}

fn figure(page: &mut Page, name: &str, s: &Spread) {
    let [p5, p95, least, most] = [s.p5, s.p95, s.min, s.max].map(|n| n.to_string());
    page.line(&row(name, &format!("{:.1}", s.mean), [&p5, &p95, &least, &most]));
}

fn pods(page: &mut Page, title: &str, pods: &[Spread]) {
    page.line("");
    page.line(title);
    for (n, spread) in pods.iter().enumerate() {
        if n < SHOWN || n + SHOWN >= pods.len() {
            figure(page, &format!("  {}", n + 1), spread);
        } else if n == SHOWN {
            let between = &pods[SHOWN..pods.len() - SHOWN];
            let mean = between.iter().map(|s| s.mean).sum::<f64>() / between.len() as f64;
            page.line(&row(&format!("  … {} more, each", between.len()), &format!("{mean:.1}"), [""; 4]));
        }
    }
}

/// What was simulated.
fn about(page: &mut Page, plan: &LabPlan, e: &Expectation) {
    let nodes = match (plan.nodes, plan.ecmp) {
        (1, _) => "one node".to_owned(),
        (n, true) => format!("{n} nodes, traffic to all"),
        (n, false) => format!("{n} nodes, traffic to the first"),
    };
    page.wrapped(
        "",
        &format!(
            "Simulated: {}, {}, maxSurge {}, maxUnavailable {}, {} by {}, {nodes}; the upgrade takes {}, until the last old pod is gone; {} from seed {}",
            some(plan.conns.into(), "connection"),
            some(plan.replicas.into(), "pod"),
            plan.max_surge,
            plan.max_unavailable,
            plan.scheduler,
            plan.director,
            span::show(e.upgrade_ns.mean as u64),
            some(e.runs.into(), "run"),
            e.seed,
        ),
    );
}

/// What makes it so many, where that is simple enough to be said.
fn why(page: &mut Page, plan: &LabPlan) {
    let turns = matches!(plan.scheduler, SchedulerKind::Rr | SchedulerKind::Random | SchedulerKind::Wrr);
    let Some(steps) = Steps::of(plan).filter(|_| turns) else { return };
    let begins = match plan.pod_replacement {
        PodReplacement::TerminationStarted => format!("A step takes {}", span::show(steps.step.0)),
        PodReplacement::TerminationComplete => "A step waits until the last old pod is gone".to_owned(),
    };
    page.wrapped(
        "",
        &format!(
            "{begins}; an old pod ends {} after it was asked to. By then {} asked to end too, and its connections are \
             dealt over {}: the old ones of these lose them again.",
            span::show(plan.prestop.min(plan.grace).as_nanos() as u64),
            match steps.draining {
                0 => "no other one was".to_owned(),
                1 => "1 more was".to_owned(),
                n => format!("{n} more were"),
            },
            some(steps.taking, "pod"),
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use tg_lab::predict::expected;
    use tg_model::lab_plan::{Amount, DirectorKind, Fault, FaultKind, LabSpec};

    fn page(change: impl FnOnce(&mut LabSpec)) -> String {
        let mut spec = LabSpec::default();
        change(&mut spec);
        let plan = LabPlan::try_from(spec).unwrap();
        let text = text(&plan, &expected(&plan, 3).unwrap());
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
        }
        text
    }

    #[test]
    fn the_seeds_case() {
        let text = page(|_| {});
        for part in [
            "  perfect is                              80\n",
            "\n  8                                     21.0       21       21       21       21\n",
            "8 pods, maxSurge 1, maxUnavailable 0, rr by\n",
            "A step takes 2.25 s; an old pod ends 2 s after it was asked to. By then no other\n",
            "dealt over 9 pods",
            "Avoidable: ",
        ] {
            assert!(text.contains(part), "no {part:?} in:\n{text}");
        }
        assert!(!text.contains("Failed attempts"), "{text}");
    }

    #[test]
    fn what_is_not_there_is_not_told() {
        let text = page(|s| s.scheduler = SchedulerKind::Lc);
        assert!(!text.contains("Avoidable:") && !text.contains("A step takes"), "{text}");
    }

    #[test]
    fn long_tables_are_cut_and_rare_figures_are_told() {
        let faults = vec![
            Fault { kind: FaultKind::PodKill, lasting: None, at: None },
            Fault { kind: FaultKind::NodeLoss, lasting: None, at: None },
        ];
        let text = page(|s| {
            (s.director, s.replicas, s.conns, s.nodes, s.ecmp) = (DirectorKind::Nft, 100, 3000, 2, true);
            (s.max_surge, s.transport, s.faults) = (Amount::Percent(25), Transport::Udp, faults);
        });
        for part in ["  … 80 more, each", "  100 ", "Failed attempts", "Simulated as TCP", "fault node-loss"] {
            assert!(text.contains(part), "no {part:?} in:\n{text}");
        }
    }

    #[test]
    fn steps_are_told_as_they_overlap() {
        let text = page(|s| s.ready = std::time::Duration::from_millis(500));
        assert!(text.contains("By then 1 more\n  was asked to end too"), "{text}");
        let text = page(|s| s.pod_replacement = PodReplacement::TerminationComplete);
        assert!(text.contains("A step waits until") && text.contains("over 8 pods"), "{text}");
    }
}
