//! What the programs count of themselves: events, losses, time. Changes when that does.

use super::error::ObserveError;
use super::{maps, programs};
use crate::fdinfo::{self, ProgramFigures};
use crate::name;
use aya::Ebpf;
use aya::maps::{MapData, PerCpuArray};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};
use tg_ebpf_common::Stats;
use tg_model::node_event::{Gap, LossCause};
use zerocopy::FromBytes;

const STATS_SIZE: usize = size_of::<Stats>();

/// A program's figures since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Events recorded.
    pub events: u64,
    /// Events lost: no room in the ring buffer or a table, or not run.
    pub lost: u64,
    /// What the kernel says of it.
    pub kernel: ProgramFigures,
}

/// Reads the counters, and tells what was lost since the last time.
pub struct Losses {
    stats: PerCpuArray<MapData, [u8; STATS_SIZE]>,
    last: Vec<Vec<Stats>>,
    missed: BTreeMap<&'static str, u64>,
    /// When the counters were read last.
    since_ns: u64,
    pub figures: BTreeMap<&'static str, Figures>,
}

const NONE: Stats = Stats { events: 0, ring_full: 0, table_full: 0, missed: 0 };

impl Losses {
    pub fn new(bpf: &mut Ebpf, at_ns: u64) -> Result<Losses, ObserveError> {
        let last = vec![Vec::new(); programs::STATS.len()];
        let (missed, figures) = (BTreeMap::new(), BTreeMap::new());
        Ok(Losses { stats: maps::take(bpf, "STATS")?, last, missed, since_ns: at_ns, figures })
    }

    /// Reads all of them.
    pub fn read(&mut self, bpf: &Ebpf, at_ns: u64) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let from_ns = self.since_ns;
        let gap = |program: &str, cpu, lost, cause| Gap {
            program: program.into(),
            cpu,
            from_ns,
            to_ns: at_ns,
            lost: Some(lost),
            cause,
        };
        for (index, program) in programs::STATS.iter().enumerate() {
            let Ok(values) = self.stats.get(&(index as u32), 0) else { continue };
            let now: Vec<Stats> = values.iter().map(|v| Stats::read_from_bytes(v).unwrap_or(NONE)).collect();
            let last = std::mem::replace(&mut self.last[index], now.clone());
            for (cpu, now) in now.iter().enumerate() {
                let last = last.get(cpu).unwrap_or(&NONE);
                let lost = [
                    (now.ring_full.saturating_sub(last.ring_full), LossCause::RingFull),
                    (now.table_full.saturating_sub(last.table_full), LossCause::TableFull),
                    (now.missed.saturating_sub(last.missed), LossCause::Missed),
                ];
                let lost = lost.into_iter().filter(|(lost, _)| *lost > 0);
                gaps.extend(lost.map(|(lost, cause)| gap(program, u32::try_from(cpu).ok(), lost, cause)));
            }
            let figures = self.figures.entry(program).or_default();
            figures.events = now.iter().map(|s| s.events).sum();
            figures.lost = now.iter().map(|s| s.ring_full + s.table_full + s.missed).sum();
        }
        for (program, kernel) in kernel_figures(bpf) {
            let last = self.missed.insert(program, kernel.missed).unwrap_or(0);
            if kernel.missed > last {
                gaps.push(gap(program, None, kernel.missed - last, LossCause::Missed));
            }
            let figures = self.figures.entry(program).or_default();
            figures.lost += kernel.missed;
            figures.kernel = kernel;
        }
        self.since_ns = at_ns;
        gaps
    }
}

/// What the kernel says of each loaded program; those of one name together.
fn kernel_figures(bpf: &Ebpf) -> BTreeMap<&'static str, ProgramFigures> {
    let mut all: BTreeMap<&'static str, ProgramFigures> = BTreeMap::new();
    for (function, program) in bpf.programs() {
        let Ok(fd) = program.fd() else { continue };
        let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        let its = fdinfo::parse(&text);
        let sum = all.entry(name_of(function)).or_default();
        sum.run_time_ns += its.run_time_ns;
        sum.run_count += its.run_count;
        sum.missed += its.missed;
    }
    all
}

fn name_of(function: &str) -> &'static str {
    match function {
        "send_reset" => name::SEND_RESET,
        "receive_reset" => name::RECEIVE_RESET,
        "set_state" => name::TCP_STATE,
        "binding" => name::BINDING,
        "drop" => name::DROP,
        "ct_confirming" | "ct_confirmed" | "ct_confirmed_exit" | "ct_deleted" | "ct_deleted_entry" => name::CONNTRACK,
        "choosing" | "chosen" => name::IPVS_DECISION,
        "conn_made" | "conn_expiring" | "conn_expired" => name::IPVS_CONN,
        "dest_updated" | "dest_deleted" => name::IPVS_DEST,
        _ => name::SEGMENTS,
    }
}
