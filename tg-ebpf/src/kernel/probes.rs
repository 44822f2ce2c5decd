//! Programs at functions of ip_vs, by kprobes, attached whenever the module is there. Changes when such a program,
//! or when a module is looked for, does.

use super::error::ObserveError;
use super::maps;
use super::module_fields::Ipvs;
use super::programs::{load_once, reason};
use crate::name;
use aya::Ebpf;
use aya::maps::{Array, MapData};
use aya::programs::KProbe;
use aya::programs::kprobe::KProbeLinkId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tg_ebpf_common::IpvsFields;
use tg_model::node_event::{ProgramStatus, TimeSource};
use zerocopy::IntoBytes;

const FIELDS_SIZE: usize = size_of::<IpvsFields>();
/// The kernel's part that knows kprobes, as perf has them.
const KPROBES: &str = "/sys/bus/event_source/devices/kprobe/type";
const MODULES: &str = "/sys/module";
const MODULE: &str = "ip_vs";
/// Modules of ip_vs that are no schedulers.
const NO_SCHEDULERS: [&str; 2] = ["ftp", "pe_sip"];

/// How often what is refused is tried.
const TRIES: u8 = 4;

/// A program of the object and the kernel's function that it is for.
type At = (&'static str, &'static str);

/// What is attached together, or not at all.
struct Probe {
    name: &'static str,
    /// Empty: `choosing` and `chosen`, of each scheduler.
    at: &'static [At],
    reads: &'static [&'static str],
    cost: &'static str,
}

const PROBES: [Probe; 3] = [
    Probe {
        name: name::IPVS_DECISION,
        at: &[],
        reads: &["ip_vs_service", "ip_vs_scheduler", "ip_vs_dest", "netns_ipvs"],
        cost: "decisions of IPVS are not seen: verdicts name no candidates",
    },
    Probe {
        name: name::IPVS_CONN,
        at: &[
            ("conn_made", "ip_vs_conn_new"),
            ("conn_expired", "ip_vs_conn_expire"),
            ("conn_expiring", "ip_vs_conn_expire"),
        ],
        reads: &["ip_vs_conn", "netns_ipvs"],
        cost: "which destination IPVS sends a connection to is not seen",
    },
    Probe {
        name: name::IPVS_DEST,
        at: &[("dest_updated", "__ip_vs_update_dest"), ("dest_deleted", "__ip_vs_del_dest")],
        reads: &["ip_vs_service", "ip_vs_scheduler", "ip_vs_dest", "netns_ipvs", "ip_vs_dest_user_kern"],
        cost: "destinations that are added, edited or deleted are not seen",
    },
];
/// The return first: a call that was entered and whose return is not seen would stay in the table.
const OF_A_SCHEDULER: [&str; 2] = ["chosen", "choosing"];

type Link = (&'static str, KProbeLinkId);

/// What is attached.
pub struct Probes {
    fields: Array<MapData, [u8; FIELDS_SIZE]>,
    /// Why none can be; `None` where they can.
    refused: Option<String>,
    /// Modules of ip_vs, as of the last look; `None` before the first.
    modules: Option<BTreeSet<String>>,
    /// What BTF said, while the module is there.
    ipvs: Option<Ipvs>,
    /// By what each is attached to: a scheduler's module, or a program's name.
    links: BTreeMap<String, Vec<Link>>,
    refusals: BTreeMap<String, String>,
    /// Looks that are left to try again what was refused: a module that is being loaded shows before it is whole.
    again: u8,
}

impl Probes {
    /// Loads them; attaching is [`Probes::look`]'s.
    pub fn load(bpf: &mut Ebpf) -> Result<Probes, ObserveError> {
        let fields = maps::take(bpf, "IPVS_FIELDS")?;
        let refused = match Path::new(KPROBES).exists() {
            false => Some("this kernel has no kprobes".into()),
            true => {
                let functions = PROBES.iter().flat_map(|p| p.at).map(|(function, _)| *function).chain(OF_A_SCHEDULER);
                functions.map(|f| program(bpf, f).and_then(|p| load_once(p.load()))).find_map(Result::err)
            }
        };
        let (links, refusals) = (BTreeMap::new(), BTreeMap::new());
        Ok(Probes { fields, refused, modules: None, ipvs: None, links, refusals, again: 0 })
    }

    /// Attaches to modules that came, and lets go of those that went. Gives each program's status, where one
    /// changed.
    pub fn look(&mut self, bpf: &mut Ebpf) -> Vec<ProgramStatus> {
        let now = modules();
        if self.modules.as_ref() != Some(&now) {
            self.again = TRIES;
        } else if self.refusals.is_empty() || self.again == 0 {
            return Vec::new();
        }
        self.again -= 1;
        if self.refused.is_none() {
            self.sync(bpf, &now);
        }
        self.modules = Some(now);
        PROBES.iter().map(|p| self.status(p)).collect()
    }

    fn sync(&mut self, bpf: &mut Ebpf, now: &BTreeSet<String>) {
        let there = now.contains(MODULE);
        let gone: Vec<String> =
            self.links.keys().filter(|k| !there || (k.starts_with(MODULE) && !now.contains(*k))).cloned().collect();
        for key in gone {
            let links = self.links.remove(&key).unwrap_or_default();
            detach(bpf, links);
        }
        self.refusals.clear();
        if !there {
            self.ipvs = None;
            return;
        }
        let ipvs = match self.ipvs.take().map_or_else(|| self.learn(), Ok) {
            Ok(ipvs) => ipvs,
            Err(why) => {
                self.refusals = PROBES.iter().map(|p| (p.name.into(), why.clone())).collect();
                return;
            }
        };
        for probe in &PROBES {
            if let Some(why) = ipvs.missing(probe.reads) {
                self.refusals.insert(probe.name.into(), why);
            } else if probe.at.is_empty() {
                for module in now {
                    let Some(scheduler) = scheduler(module) else { continue };
                    let function = format!("{MODULE}_{scheduler}_schedule");
                    self.attach(bpf, module, &OF_A_SCHEDULER.map(|program| (program, &*function)));
                }
            } else {
                self.attach(bpf, probe.name, probe.at);
            }
        }
        self.ipvs = Some(ipvs);
    }

    /// Reads the offsets, and hands them to the programs.
    fn learn(&mut self) -> Result<Ipvs, String> {
        let ipvs = Ipvs::read().map_err(|e| e.to_string())?;
        let mut bytes = [0; FIELDS_SIZE];
        bytes.copy_from_slice(ipvs.offsets.as_bytes());
        self.fields.set(0, bytes, 0).map_err(|e| format!("the map IPVS_FIELDS: {e}"))?;
        Ok(ipvs)
    }

    /// All of them or none, under one key.
    fn attach(&mut self, bpf: &mut Ebpf, key: &str, at: &[(&'static str, &str)]) {
        if self.links.contains_key(key) {
            return;
        }
        let mut links = Vec::new();
        for (function, target) in at {
            let attached = program(bpf, function).and_then(|p| p.attach(target, 0).map_err(|e| reason(&e)));
            match attached {
                Ok(link) => links.push((*function, link)),
                Err(why) => {
                    detach(bpf, links);
                    self.refusals.insert(key.into(), format!("{target}: {why}"));
                    return;
                }
            }
        }
        self.links.insert(key.into(), links);
    }

    fn status(&self, probe: &Probe) -> ProgramStatus {
        let (mut attached, mut refused) = (Vec::new(), Vec::new());
        if probe.at.is_empty() {
            let schedulers = |key: &String| Some(format!("{MODULE}_{}_schedule", scheduler(key)?));
            attached.extend(self.links.keys().filter_map(schedulers));
            refused
                .extend(self.refusals.iter().filter(|(key, _)| scheduler(key).is_some()).map(|(_, why)| why.clone()));
        } else if self.links.contains_key(probe.name) {
            attached.extend(probe.at.iter().map(|(_, target)| (*target).to_owned()));
            attached.dedup();
        }
        let there = self.modules.as_ref().is_some_and(|m| m.contains(MODULE));
        let why = match (&self.refused, self.refusals.get(probe.name)) {
            (Some(why), _) => Some(why.clone()),
            (None, _) if !there => Some(format!("{MODULE} is not loaded yet")),
            (None, Some(why)) => Some(why.clone()),
            (None, None) if attached.is_empty() && refused.is_empty() => Some("no scheduler is loaded yet".into()),
            (None, None) => None,
        };
        refused.extend(why);
        let refused: Vec<String> = refused.iter().map(|why| format!("kprobe: {why}")).collect();
        let way = (!attached.is_empty()).then(|| format!("kprobe {}", attached.join(", ")));
        let cost = (way.is_none() || !refused.is_empty()).then(|| probe.cost.into());
        ProgramStatus { program: probe.name.into(), way, refused, cost, times: TimeSource::Kernel }
    }
}

fn program<'a>(bpf: &'a mut Ebpf, function: &str) -> Result<&'a mut KProbe, String> {
    let program = bpf.program_mut(function).ok_or("it is not in the object")?;
    program.try_into().map_err(|e| reason(&e))
}

/// A link of a module that is gone may be refused: then there is nothing left of it.
fn detach(bpf: &mut Ebpf, links: Vec<Link>) {
    for (function, link) in links {
        let _ = program(bpf, function).map(|p| p.detach(link));
    }
}

/// Modules of ip_vs that are there.
fn modules() -> BTreeSet<String> {
    let entries = std::fs::read_dir(MODULES).into_iter().flatten().flatten();
    let names = entries.filter_map(|e| e.file_name().into_string().ok());
    names.filter(|n| n == MODULE || scheduler(n).is_some()).collect()
}

/// The scheduler that is a module's.
fn scheduler(module: &str) -> Option<&str> {
    let name = module.strip_prefix(MODULE)?.strip_prefix('_')?;
    (!NO_SCHEDULERS.contains(&name)).then_some(name)
}
