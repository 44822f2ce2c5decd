//! tg's word on its lateness under many packets against the wire's. Apart from the rounds, as capturing so
//! many costs the machine much. Changes when that comparison does.

use super::client::{Client, Who};
use super::{Found, Setting, judged};
use crate::capture::{Capture, pacing};
use crate::load::Load;
use crate::quiet::Diary;
use crate::suite::turn::Turn;
use crate::tg::{Agreement, Engine, Journal, Summary};
use anyhow::Context;

/// Seconds of load: a capture of more does not become better.
const SECONDS: u32 = 3;

/// What one client's word is worth; or why that is not known.
pub type Compared = (String, Result<Agreement, String>);

/// Of each tg that can be had.
pub fn compare(setting: &Setting, diary: &mut Diary, load: &Load, found: &[Found]) -> Vec<Compared> {
    let load = Load { seconds: load.seconds.min(SECONDS), ..*load };
    let plain = found.iter().filter(|f| f.client.who == Who::Tg && !f.client.batch && f.skipped.is_none());
    let mut compared = Vec::new();
    for client in plain.map(|f| f.client) {
        eprintln!("apart, with a capture: {}", client.name());
        let agreement = one(setting, diary, client, &load).map_err(|why| format!("{why:#}"));
        compared.push((client.name(), agreement));
    }
    compared
}

fn one(setting: &Setting, diary: &mut Diary, client: Client, load: &Load) -> anyhow::Result<Agreement> {
    let turn = Turn {
        floor: &setting.programs.floor,
        server: Engine::Epoll,
        span: judged(load),
        seconds: load.seconds,
        conns: load.conns,
        cores: setting.cores,
    };
    let mut begun = None;
    let taken = turn.take(diary, |server| {
        begun = Some((Capture::start(&format!("tcp dst port {}", server.port()))?, server.port()));
        Ok(client.command(setting, load, server))
    })?;
    let (capture, port) = begun.context("no capture was begun")?;
    let segments = capture.finish()?;
    let sends = pacing::sends(&segments, &(port..=port), load.size);
    let journal = Journal::open(&setting.journal())?;
    Agreement::of(&Summary::parse(&taken.finished.stdout)?, &journal.lateness_on_wire(&sends)?)
}
