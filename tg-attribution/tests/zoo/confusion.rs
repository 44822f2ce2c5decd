//! What the verdicts say against what really happened: the confusion table.

use super::sim::{Happened, Truth, Zoo, simulate};
use super::{every_setup, sim};
use std::collections::BTreeMap;
use tg_attribution::attribute;
use tg_model::id::ConnId;
use tg_model::verdict::{Cause, Finding, Grade, RunVerdict};

/// True cause against the one found, with its grade.
#[derive(Default)]
struct Table(BTreeMap<(Cause, Cause, Grade), u64>);

impl Table {
    fn count(&mut self, truth: Cause, finding: &Finding) {
        *self.0.entry((truth, finding.cause, finding.grade)).or_default() += 1;
    }

    fn sum(&self, test: impl Fn(Cause, Cause, Grade) -> bool) -> u64 {
        self.0.iter().filter(|((t, f, g), _)| test(*t, *f, *g)).map(|(_, n)| n).sum()
    }

    fn print(&self, title: &str) {
        println!("\n{title}");
        println!("{:<32} {:<32} {:>9} {:>9} {:>6}", "truth", "verdict", "confirmed", "suspected", "none");
        let mut rows: BTreeMap<(Cause, Cause), [u64; 3]> = BTreeMap::new();
        for ((truth, found, grade), n) in &self.0 {
            rows.entry((*truth, *found)).or_default()[*grade as usize] += n;
        }
        for ((truth, found), n) in rows {
            let mark = if truth == found { ' ' } else { '!' };
            println!("{:<32}{mark}{:<32} {:>9} {:>9} {:>6}", truth.name(), found.name(), n[0], n[1], n[2]);
        }
    }
}

/// Every loss that the verdicts know, with its truth.
pub fn pairs<'a>(zoo: &'a Zoo, run: &'a RunVerdict) -> Vec<(ConnId, Truth, &'a tg_model::verdict::Verdict)> {
    assert_eq!(zoo.truth.len(), run.verdicts.len());
    run.verdicts.iter().map(|v| (v.conn, zoo.truth[&v.conn], v)).collect()
}

/// Everything that went wrong without a loss, with its truth. What the verdicts do not name, nothing explains.
pub fn troubles(zoo: &Zoo, run: &RunVerdict) -> Vec<(Happened, Cause, Finding)> {
    let mut found: BTreeMap<Happened, Finding> =
        run.troubles.iter().map(|t| ((t.kind, t.slot, t.started_ns), t.finding.clone())).collect();
    let of = zoo.troubles.iter().map(|(happened, truth)| {
        let finding = found.remove(happened).unwrap_or_else(|| Finding::unattributed(Vec::new()));
        (*happened, *truth, finding)
    });
    let of = of.collect();
    assert!(found.is_empty(), "never happened: {found:#?}");
    of
}

/// Confirmed, and not so.
pub fn lies(truth: Cause, finding: &Finding) -> bool {
    finding.grade == Grade::Confirmed && finding.cause != truth
}

/// The tables of one kind of clocks.
#[derive(Default)]
struct Tables {
    ended: Table,
    placed: Table,
    troubles: Table,
}

#[test]
fn the_zoo() {
    let mut by_clocks = [Tables::default(), Tables::default(), Tables::default()];
    let mut wrong = Vec::new();
    for setup in every_setup(6) {
        let zoo = simulate(setup);
        let run = attribute(&zoo.inputs);
        let tables = &mut by_clocks[setup.clocks as usize];
        for (conn, truth, v) in pairs(&zoo, &run) {
            tables.ended.count(truth.ended_by, &v.ended_by);
            tables.placed.count(truth.placed_by, &v.placed_by);
            if lies(truth.ended_by, &v.ended_by) || lies(truth.placed_by, &v.placed_by) {
                wrong.push(format!("{setup:?} {conn}: {truth:?}, found {:#?} {:#?}", v.ended_by, v.placed_by));
            }
        }
        for (happened, truth, finding) in troubles(&zoo, &run) {
            tables.troubles.count(truth, &finding);
            if lies(truth, &finding) {
                wrong.push(format!("{setup:?} {happened:?}: {truth:?}, found {finding:#?}"));
            }
        }
    }
    for (tables, clocks) in by_clocks.iter().zip(["one clock", "nodes' clocks apart", "all clocks apart"]) {
        tables.ended.print(&format!("What ended them, {clocks}"));
        tables.placed.print(&format!("What had put them there, {clocks}"));
        tables.troubles.print(&format!("What went wrong without a loss, {clocks}"));
    }
    assert!(wrong.is_empty(), "{} confirmed and wrong, such as\n{}", wrong.len(), wrong[0]);
    // Of a cluster whose clock is only bounded by its pods' lives few pods' ends are sure to have come first.
    for (tables, least) in by_clocks.iter().zip([[95, 90, 75], [95, 85, 55], [45, 70, 15]]) {
        for (table, least) in [&tables.ended, &tables.placed, &tables.troubles].into_iter().zip(least) {
            let all = table.sum(|truth, _, _| truth != Cause::Unattributed);
            let confirmed = table.sum(|truth, found, grade| truth == found && grade == Grade::Confirmed);
            assert!(all > 300 && confirmed * 100 >= all * least, "{confirmed} of {all} confirmed, not {least} %");
        }
    }
}

#[test]
fn the_seed_s_upgrade_is_told_in_its_words() {
    let setup = sim::Setup { slots: 80, replicas: 8, ..super::plain(sim::Scenario::Upgrade, sim::Director::Ipvs) };
    let zoo = simulate(setup);
    let run = attribute(&zoo.inputs);
    let avoidable = zoo.truth.values().filter(|t| t.avoidable).count() as u64;
    let t = run.totals;
    assert_eq!((t.perfect, t.more, t.avoidable), (Some(80), Some(t.lost - 80), avoidable));
    assert!(t.lost > 100 && avoidable > 20, "{t:?}");
    assert!(
        run.sentences[0]
            .contains("landed on pods of the old ReplicaSet, because rr takes each pod in turn, old or new"),
        "{:?}",
        run.sentences
    );
    // Each avoidable loss is tied to the decision that caused it.
    for v in run.verdicts.iter().filter(|v| v.avoidable == Some(true)) {
        let decision = v.decision.as_ref().unwrap();
        assert!(decision.candidates.iter().any(|c| c.doomed == Some(false) && c.ready == Some(true)));
        assert!(decision.candidates.iter().any(|c| c.address == decision.chosen && c.doomed == Some(true)));
    }
    let c = &run.conformance[0];
    assert_eq!((c.scheduler.as_str(), c.judged, c.conform), ("rr", c.decisions - 1, c.decisions - 1));

    let perfect = attribute(&simulate(sim::Setup { scheduler: sim::Scheduler::Lc, ..setup }).inputs);
    assert_eq!((perfect.totals.lost, perfect.totals.perfect, perfect.totals.more), (80, Some(80), Some(0)));
    assert_eq!(perfect.conformance[0].conform, perfect.conformance[0].decisions);
}
