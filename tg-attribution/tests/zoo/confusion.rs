//! What the verdicts say against what really happened: the confusion table.

use super::sim::{Clocks, Truth, Zoo, simulate};
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

#[test]
fn the_zoo() {
    let (mut ended, mut placed) = (Table::default(), Table::default());
    let (mut ended_apart, mut placed_apart) = (Table::default(), Table::default());
    let mut wrong = Vec::new();
    for setup in every_setup(6) {
        let zoo = simulate(setup);
        let run = attribute(&zoo.inputs);
        for (conn, truth, verdict) in pairs(&zoo, &run) {
            let (by, at) = match setup.clocks {
                Clocks::One => (&mut ended, &mut placed),
                _ => (&mut ended_apart, &mut placed_apart),
            };
            by.count(truth.ended_by, &verdict.ended_by);
            at.count(truth.placed_by, &verdict.placed_by);
            let lies = |truth: Cause, f: &Finding| f.grade == Grade::Confirmed && f.cause != truth;
            if lies(truth.ended_by, &verdict.ended_by) || lies(truth.placed_by, &verdict.placed_by) {
                wrong.push(format!(
                    "{setup:?} {conn}: {truth:?}, found {:#?} {:#?}",
                    verdict.ended_by, verdict.placed_by
                ));
            }
        }
    }
    ended.print("What ended them, one clock");
    placed.print("What had put them there, one clock");
    ended_apart.print("What ended them, clocks apart");
    placed_apart.print("What had put them there, clocks apart");
    assert!(wrong.is_empty(), "{} confirmed and wrong, such as\n{}", wrong.len(), wrong[0]);
    for (table, least) in [(&ended, 95), (&placed, 95), (&ended_apart, 80), (&placed_apart, 80)] {
        let all = table.sum(|_, _, _| true);
        let confirmed = table.sum(|truth, found, grade| truth == found && grade == Grade::Confirmed);
        assert!(all > 300 && confirmed * 100 >= all * least, "{confirmed} of {all} confirmed");
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
