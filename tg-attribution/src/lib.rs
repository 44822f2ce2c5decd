//! Why each connection of a run was lost: the run's records, what observers saw on nodes and what the cluster
//! did, joined into verdicts. Pure: journals in, [`RunVerdict`] out; the same journals give the same verdict.
//!
//! | step | module |
//! |---|---|
//! | journals, read | [`Inputs`] |
//! | every time on the run's clock, with its error | `clock`, `bounds`, `source` |
//! | pods, endpoints, upgrades over time | `cluster` |
//! | whose connection an event belongs to, through NAT | `join` |
//! | the decision behind a connection | `decisions` |
//! | what ended it | `causes`, from a `case` |
//! | what had put it there, and whether that was avoidable | `placed`, `lag`, `reuse`, `doom` |
//! | what lost evidence costs | `doubt` |
//! | of the whole run | `totals`, `shares`, `conformance`, `service`, `effects`, `troubles`, `sentences` |

mod bounds;
mod case;
mod causes;
mod clock;
mod cluster;
mod conformance;
mod decisions;
mod doom;
mod doubt;
mod draft;
mod effects;
mod hosts;
mod input;
mod join;
mod lag;
mod moment;
mod nodes;
mod placed;
mod reuse;
mod run;
mod sentences;
mod service;
mod shares;
mod source;
mod spans;
mod totals;
mod troubles;
mod verdicts;
mod words;
mod world;

pub use input::{Inputs, Journal};

use doubt::Doubts;
use tg_model::verdict::{InputKind, RunVerdict, TROUBLES_MAX};
use world::World;

/// The verdict of a run, from whatever there is beside its own journal.
pub fn attribute(inputs: &Inputs) -> RunVerdict {
    let world = World::new(inputs);
    let mut doubts = Doubts::new(&world);
    let verdicts = verdicts::all(&world, &mut doubts);
    let totals = totals::of(&world.run, &verdicts);
    let ended_by = totals::tally(verdicts.iter().map(|v| &v.ended_by));
    let placed_by = totals::tally(verdicts.iter().map(|v| &v.placed_by));
    let mut troubles = troubles::of(&world);
    troubles.iter_mut().for_each(|t| doubts.lower_trouble(t, &world.sources));
    let troubles_by = totals::tally(troubles.iter().map(|t| &t.finding));
    troubles.truncate(TROUBLES_MAX);
    let pods = shares::of(&world, &verdicts);
    let conformance = conformance::of(&world);
    let facts = sentences::Facts {
        totals: &totals,
        ended_by: &ended_by,
        pods: &pods,
        conformance: &conformance,
        verdicts: &verdicts,
    };
    RunVerdict {
        sentences: sentences::of(&world, &facts),
        service: service::of(&world.run),
        effects: effects::of(&world, &verdicts),
        evidence_lost: doubts.told(&world.sources),
        not_covered: causes::not_covered(&world),
        notes: notes(&world),
        inputs: world.sources.states.clone(),
        totals,
        ended_by,
        placed_by,
        troubles_by,
        troubles,
        pods,
        conformance,
        verdicts,
    }
}

/// What a reader must know before the verdicts.
fn notes(world: &World) -> Vec<String> {
    let mut notes: Vec<String> =
        world.sources.states.iter().filter_map(|s| doubt::of_clock(&s.machine, s.clock)).collect();
    if world.nodes.all.is_empty() {
        notes.push("No node's journal: who sent a FIN or a RST, and what the balancer decided, is not known.".into());
    }
    if !world.cluster.watched {
        notes.push("No cluster's journal: what became of pods is guessed from the names that servers gave.".into());
    }
    if world.joined.doubtful > 0 {
        notes.push(format!(
            "{} events of nodes may belong to another connection that used the same port: they prove nothing.",
            world.joined.doubtful
        ));
    }
    if let Some(footer) = world.run.footer.filter(|f| f.records_lost > 0) {
        notes.push(format!("The run's journal lacks {} lines: its writer could not keep up.", footer.records_lost));
    }
    for state in &world.sources.states {
        if state.kind == InputKind::Cluster && state.cut {
            notes.push(format!(
                "{} breaks off: of pods that went after that, and of what is perfect, too little is told.",
                state.file
            ));
        }
        if state.unreadable_lines > 0 {
            notes.push(format!("{}: {} lines cannot be read.", state.file, state.unreadable_lines));
        }
    }
    notes
}
