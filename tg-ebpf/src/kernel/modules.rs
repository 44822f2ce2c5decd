//! Attaching what a module must be there for, whenever it comes, and letting go of it when it goes. Changes when
//! how a module is looked for does.

use super::error::ObserveError;
use super::maps;
use super::module_fields::{self, ModuleFields};
use super::probes::{self, At, By, Link, OF_A_SCHEDULER, Probe};
use aya::maps::{Array, MapData};
use aya::util::KernelVersion;
use aya::{Ebpf, Pod};
use std::collections::{BTreeMap, BTreeSet};
use tg_ebpf_common::{ConntrackFields, IpvsFields};
use tg_model::node_event::{ProgramStatus, TimeSource};

const DIRECTORY: &str = "/sys/module";
/// How often what is refused is tried: a module that is being loaded shows before it is whole.
const TRIES: u8 = 4;
/// Modules of ip_vs that are no schedulers.
const NO_SCHEDULERS: [&str; 2] = ["ftp", "pe_sip"];

type KernelTypes = btf_rs::Btf;

/// A module with its programs.
struct Module<const SIZE: usize>
where
    [u8; SIZE]: Pod,
{
    name: &'static str,
    probes: &'static [Probe],
    read: fn(&KernelTypes) -> ModuleFields,
    map: Array<MapData, [u8; SIZE]>,
    fields: Option<ModuleFields>,
    /// By what each is attached to: a scheduler's module, or a program's name; with the way.
    links: BTreeMap<String, (&'static [At], Vec<Link>)>,
    /// Why a way, or a scheduler, was refused.
    refusals: BTreeMap<String, Vec<String>>,
}

/// What is attached.
pub struct Modules {
    conntrack: Module<{ size_of::<ConntrackFields>() }>,
    ipvs: Module<{ size_of::<IpvsFields>() }>,
    /// Modules that are there, as of the last look; `None` before the first.
    there: Option<BTreeSet<String>>,
    again: u8,
    /// What was refused when it was loaded, by the object's program.
    unloaded: BTreeMap<&'static str, String>,
}

impl Modules {
    /// Loads the programs; attaching them is [`Modules::look`]'s.
    pub fn load(bpf: &mut Ebpf, btf: &aya::Btf) -> Result<Modules, ObserveError> {
        let conntrack =
            Module::new(bpf, "nf_conntrack", "CONNTRACK_FIELDS", &probes::CONNTRACK, module_fields::conntrack)?;
        let ipvs = Module::new(bpf, "ip_vs", "IPVS_FIELDS", &probes::IPVS, module_fields::ipvs)?;
        let mut unloaded = BTreeMap::new();
        let of_a_scheduler = OF_A_SCHEDULER.map(|function| At { by: By::Kprobe, function, target: "" });
        let all = conntrack.probes.iter().chain(ipvs.probes).flat_map(|p| p.ways).copied().flatten();
        for at in all.chain(&of_a_scheduler) {
            if let Err(why) = probes::load(bpf, btf, at) {
                unloaded.insert(at.function, why);
            }
        }
        Ok(Modules { conntrack, ipvs, there: None, again: 0, unloaded })
    }

    /// Attaches to modules that came, and lets go of those that went. Gives each program's status, where one
    /// may have changed. `types`: the kernel's, where they were read already.
    pub fn look(&mut self, bpf: &mut Ebpf, types: Option<&KernelTypes>) -> Vec<ProgramStatus> {
        let now = there();
        if self.there.as_ref() != Some(&now) {
            self.again = TRIES;
        } else if self.again == 0 || !(self.conntrack.lacks() || self.ipvs.lacks()) {
            return Vec::new();
        }
        self.again -= 1;
        let mut types = Types(types, None);
        self.conntrack.sync(bpf, &now, &self.unloaded, &mut types);
        self.ipvs.sync(bpf, &now, &self.unloaded, &mut types);
        let mut status = self.conntrack.status(&now);
        status.extend(self.ipvs.status(&now));
        self.there = Some(now);
        status
    }

    /// As [`Programs::detach`](super::programs::Programs::detach).
    pub fn detach(&mut self) {
        for (_, links) in self.conntrack.links.values_mut().chain(self.ipvs.links.values_mut()) {
            // Backwards: what sees a call's return goes last, else that call would be taken for missed.
            while links.pop().is_some() {}
        }
        self.conntrack.links.clear();
        self.ipvs.links.clear();
    }

    /// Whether ip_vs is there.
    pub fn has_ipvs(&self) -> bool {
        self.there.as_ref().is_some_and(|there| there.contains(self.ipvs.name))
    }

    /// Whether a program is attached.
    pub fn has(&self, program: &str) -> bool {
        self.conntrack.links.contains_key(program) || self.ipvs.links.contains_key(program)
    }
}

/// The kernel's types: lent, or read when they are wanted.
struct Types<'a>(Option<&'a KernelTypes>, Option<KernelTypes>);

impl Types<'_> {
    fn get(&mut self) -> Result<&KernelTypes, String> {
        if let Some(lent) = self.0 {
            return Ok(lent);
        }
        let own = match self.1.take() {
            Some(own) => own,
            None => super::fields::kernel_types().map_err(|e| e.to_string())?,
        };
        Ok(self.1.insert(own))
    }
}

impl<const SIZE: usize> Module<SIZE>
where
    [u8; SIZE]: Pod,
{
    fn new(
        bpf: &mut Ebpf,
        name: &'static str,
        map: &'static str,
        probes: &'static [Probe],
        read: fn(&KernelTypes) -> ModuleFields,
    ) -> Result<Self, ObserveError> {
        let (links, refusals) = (BTreeMap::new(), BTreeMap::new());
        Ok(Module { name, probes, read, map: maps::take(bpf, map)?, fields: None, links, refusals })
    }

    /// Something was refused, and is not attached in another way.
    fn lacks(&self) -> bool {
        self.refusals.keys().any(|key| !self.links.contains_key(key))
    }

    fn sync(&mut self, bpf: &mut Ebpf, now: &BTreeSet<String>, unloaded: &Unloaded, types: &mut Types<'_>) {
        self.refusals.retain(|key, _| self.links.contains_key(key));
        if !now.contains(self.name) {
            self.links.clear();
            self.refusals.clear();
            self.fields = None;
            return;
        }
        self.links.retain(|key, _| scheduler(key).is_none() || now.contains(key));
        let fields = match self.fields.take().map_or_else(|| self.learn(types), Ok) {
            Ok(fields) => fields,
            Err(why) => {
                self.refusals = self.probes.iter().map(|p| (p.name.into(), vec![why.clone()])).collect();
                return;
            }
        };
        for probe in self.probes {
            if let Some(why) = fields.missing(probe.reads) {
                self.refuse(probe.name, why);
            } else if probe.ways.is_empty() {
                self.attach_schedulers(bpf, now, unloaded);
            } else if !self.links.contains_key(probe.name) {
                self.attach(bpf, probe, unloaded);
            }
        }
        self.fields = Some(fields);
    }

    /// Reads the offsets, and hands them to the programs.
    fn learn(&mut self, types: &mut Types<'_>) -> Result<ModuleFields, String> {
        let fields = module_fields::read(self.name, types.get()?, self.read)?;
        let bytes = <[u8; SIZE]>::try_from(fields.bytes.as_slice()).map_err(|_| "its fields have another size")?;
        self.map.set(0, bytes, 0).map_err(|e| format!("handing over its fields: {e}"))?;
        Ok(fields)
    }

    fn refuse(&mut self, key: &str, why: String) {
        self.refusals.entry(key.into()).or_default().push(why);
    }

    /// By the best way that is not refused.
    fn attach(&mut self, bpf: &mut Ebpf, probe: &'static Probe, unloaded: &Unloaded) {
        for way in probe.ways {
            let links: Result<Vec<Link>, String> = way
                .iter()
                .map(|at| {
                    let attached = match unloaded.get(at.function) {
                        Some(why) => Err(why.clone()),
                        None => probes::attach(bpf, at.function, at.target),
                    };
                    attached.map_err(|why| format!("{} {}: {why}", at.by, at.target))
                })
                .collect();
            match links {
                Ok(links) => {
                    self.links.insert(probe.name.into(), (way, links));
                    return;
                }
                Err(why) => self.refuse(probe.name, why),
            }
        }
    }

    fn attach_schedulers(&mut self, bpf: &mut Ebpf, now: &BTreeSet<String>, unloaded: &Unloaded) {
        for module in now {
            let Some(scheduler) = scheduler(module) else { continue };
            if self.links.contains_key(module) {
                continue;
            }
            let target = function_of(scheduler);
            let links: Result<Vec<Link>, String> = OF_A_SCHEDULER
                .iter()
                .map(|function| match unloaded.get(function) {
                    Some(why) => Err(why.clone()),
                    None => probes::attach(bpf, function, &target),
                })
                .collect();
            match links {
                Ok(links) => {
                    self.links.insert(module.clone(), (&[], links));
                }
                Err(why) => self.refuse(module, format!("kprobe {target}: {why}")),
            }
        }
    }

    fn status(&self, now: &BTreeSet<String>) -> Vec<ProgramStatus> {
        let there = now.contains(self.name);
        let kernel = KernelVersion::current().ok();
        let status = |probe: &Probe| {
            let (way, mut refused) = match probe.ways.is_empty() {
                true => self.of_schedulers(probe.name),
                false => (self.way_of(probe), self.refusals.get(probe.name).cloned().unwrap_or_default()),
            };
            if !there {
                refused = vec![format!("{} is not loaded", self.name)];
            } else if way.is_none() && refused.is_empty() {
                refused = vec!["no scheduler is loaded".into()];
            }
            let cost = match way {
                None => Some(probe.cost.into()),
                Some(_) => self.by(probe).and_then(|by| probes::uncounted(by, kernel)).map(str::to_owned),
            };
            ProgramStatus { program: probe.name.into(), way, refused, cost, times: TimeSource::Kernel }
        };
        self.probes.iter().map(status).collect()
    }

    /// What it is attached by.
    fn by(&self, probe: &Probe) -> Option<By> {
        match probe.ways.is_empty() {
            true => Some(By::Kprobe),
            false => Some(self.links.get(probe.name)?.0.first()?.by),
        }
    }

    fn way_of(&self, probe: &Probe) -> Option<String> {
        let (way, _) = self.links.get(probe.name)?;
        let mut targets: Vec<&str> = way.iter().map(|at| at.target).collect();
        targets.dedup();
        Some(format!("{} {}", way.first()?.by, targets.join(", ")))
    }

    fn of_schedulers(&self, probe: &str) -> (Option<String>, Vec<String>) {
        let attached: Vec<String> = self.links.keys().filter_map(|key| Some(function_of(scheduler(key)?))).collect();
        let refused = self.refusals.iter().filter(|(key, _)| *key == probe || scheduler(key).is_some());
        let refused = refused.flat_map(|(_, why)| why.clone()).collect();
        ((!attached.is_empty()).then(|| format!("kprobe {}", attached.join(", "))), refused)
    }
}

type Unloaded = BTreeMap<&'static str, String>;

/// Modules that matter here and are there, or built in.
fn there() -> BTreeSet<String> {
    let entries = std::fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
    let names = entries.filter_map(|e| e.file_name().into_string().ok());
    names.filter(|n| n == "nf_conntrack" || n == "ip_vs" || scheduler(n).is_some()).collect()
}

/// The scheduler that is a module's.
fn scheduler(module: &str) -> Option<&str> {
    let name = module.strip_prefix("ip_vs_")?;
    (!NO_SCHEDULERS.contains(&name)).then_some(name)
}

/// `net/netfilter/ipvs/ip_vs_NAME.c`: all of them are named alike.
fn function_of(scheduler: &str) -> String {
    format!("ip_vs_{scheduler}_schedule")
}
