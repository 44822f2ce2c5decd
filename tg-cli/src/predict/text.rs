//! A prediction for people, in 80 columns. Changes when its form does.

use crate::report::{Page, some};
use crate::span;
use tg_lab::predict::Steps;
use tg_model::lab_plan::{Expectation, LabPlan, PodReplacement, SchedulerKind, Spread};

/// Pods shown at each end of a table; those between are summed up.
const SHOWN: usize = 10;

pub fn text(plan: &LabPlan, e: &Expectation) -> String {
    let mut page = Page::default();
    page.line(&row("", "mean", ["5 %", "95 %", "least", "most"]));
    figure(&mut page, "Lost connections", &e.lost);
    page.line(&row("  perfect is", &e.perfect.to_string(), [""; 4]));
    figure(&mut page, "  avoidable: an old pod got them, a new one was there", &e.avoidable);
    figure(&mut page, "Reconnects that landed on old pods", &e.to_doomed);
    if e.failed_attempts.max > 0 {
        figure(&mut page, "Failed attempts to connect", &e.failed_attempts);
    }
    if e.lost_by_new_pods.max > 0 {
        figure(&mut page, "Lost connections of new pods", &e.lost_by_new_pods);
    }
    if e.without_connection.max > 0 {
        figure(&mut page, "Without a connection at the end", &e.without_connection);
    }
    pods(&mut page, "Lost, by old pod, in the order in which they end", &e.lost_by_old_pod);
    pods(&mut page, "Lasting, by new pod, in the order in which they are made", &e.lasting_by_new_pod);
    page.line("");
    about(&mut page, plan, e);
    why(&mut page, plan);
    for kind in &e.not_simulated {
        page.wrapped("", &format!("Not simulated: the fault {kind}. What it costs comes on top."));
    }
    page.finish()
}

fn row(name: &str, mean: &str, others: [&str; 4]) -> String {
    let [p5, p95, least, most] = others;
    // A million connections take 7 columns.
    if name.chars().count() <= 34 {
        format!("{name:<34} {mean:>10} {p5:>8} {p95:>8} {least:>8} {most:>8}")
    } else {
        format!("{name}\n{:<34} {mean:>10} {p5:>8} {p95:>8} {least:>8} {most:>8}", "")
    }
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
            "Simulated: {}, {}, maxSurge {}, maxUnavailable {}, {} by {}, {nodes}; the upgrade takes {}; {} from seed {}",
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
        PodReplacement::TerminationComplete => "The next step waits until an old pod is gone".to_owned(),
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
