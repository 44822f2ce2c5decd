//! Capabilities: which are wanted for what, and giving up those that are not wanted any more. Changes when an
//! operation that needs one does.

use super::error::ObserveError;
use caps::{CapSet, Capability};

/// Each with what it is wanted for.
const WANTED: [(Capability, &str); 5] = [
    (Capability::CAP_BPF, "loading programs"),
    (Capability::CAP_PERFMON, "programs that read the kernel's memory"),
    (Capability::CAP_NET_ADMIN, "conntrack, and programs on interfaces"),
    (Capability::CAP_SYS_ADMIN, "entering other network namespaces, attaching to modules that come"),
    (Capability::CAP_SYS_PTRACE, "finding the pod of a namespace by its processes"),
];

/// Without these nothing can be observed.
const NEEDED: [Capability; 2] = [Capability::CAP_BPF, Capability::CAP_PERFMON];

/// Still wanted once everything is attached: new pods' namespaces come during a run.
const KEPT: [Capability; 3] = [Capability::CAP_NET_ADMIN, Capability::CAP_SYS_ADMIN, Capability::CAP_SYS_PTRACE];

/// Those of the wanted ones that this thread lacks, with what each is wanted for.
pub fn missing() -> Vec<(Capability, &'static str)> {
    let has = |c| caps::has_cap(None, CapSet::Effective, c).unwrap_or(false);
    WANTED.into_iter().filter(|(c, _)| !has(*c)).collect()
}

/// Nothing can be observed without it.
pub fn is_needed(capability: Capability) -> bool {
    NEEDED.contains(&capability)
}

/// The wanted ones, as `setcap` takes them.
pub fn names() -> String {
    let names: Vec<String> = WANTED.iter().map(|(c, _)| c.to_string().to_lowercase()).collect();
    format!("{}+ep", names.join(","))
}

/// Gives up all but what new pods' namespaces need, in every set, on this thread and those that it starts from here on. Gives those
/// that it still has, each with its reason.
pub fn drop_unneeded() -> Result<Vec<(String, &'static str)>, ObserveError> {
    let wrong = ObserveError::Capabilities;
    // The bounding set first: narrowing it needs a capability itself.
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(wrong)? {
        for capability in caps::read(None, CapSet::Bounding).map_err(wrong)? {
            if !KEPT.contains(&capability) {
                caps::drop(None, CapSet::Bounding, capability).map_err(wrong)?;
            }
        }
    }
    caps::clear(None, CapSet::Ambient).map_err(wrong)?;
    caps::clear(None, CapSet::Inheritable).map_err(wrong)?;
    let has = caps::read(None, CapSet::Permitted).map_err(wrong)?;
    let keep = has.into_iter().filter(|c| KEPT.contains(c)).collect();
    caps::set(None, CapSet::Effective, &keep).map_err(wrong)?;
    caps::set(None, CapSet::Permitted, &keep).map_err(wrong)?;
    let why = WANTED.iter().filter(|(c, _)| keep.contains(c));
    Ok(why.map(|(c, why)| (c.to_string(), *why)).collect())
}
