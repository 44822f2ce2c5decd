//! Pods over time: names and addresses are used again, UIDs are not. Changes when what is known of a pod does.

use crate::source::Source;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use tg_model::cluster_event::{Pod, PodChange, PodPhase};
use tg_model::verdict::PodRef;

/// A pod's life, as far as it was seen.
#[derive(Debug)]
pub struct Life<'a> {
    /// As it was told last: addresses and node come after its making.
    pub pod: &'a Pod,
    /// The first that was seen of it.
    pub seen: Source,
    pub created: Option<Source>,
    /// Ready for the first time.
    pub ready: Option<Source>,
    /// Each time that it was no longer ready without being asked to end.
    pub unready: Vec<Source>,
    pub terminating: Option<Source>,
    /// Each time that a process of it ended, or that it was gone: where nobody asked it to end it is started anew.
    pub ends: Vec<Source>,
    over: Option<Source>,
}

/// All pods, in the order in which they were seen.
#[derive(Debug, Default)]
pub struct Pods<'a> {
    pub all: Vec<Life<'a>>,
    by_uid: HashMap<&'a str, usize>,
    by_name: HashMap<&'a str, Vec<usize>>,
    by_ip: HashMap<IpAddr, Vec<usize>>,
    /// Those that were never asked to end, in the same order; once all events are in.
    lasting: Vec<usize>,
    /// ReplicaSets of those.
    sets: HashSet<&'a str>,
}

impl Life<'_> {
    /// The end of its last process, by what was told first of it; `None` also where it was ready again after that.
    pub fn ended(&self) -> Option<Source> {
        self.over
    }

    pub fn to_ref(&self, doomed: Option<bool>) -> PodRef {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (uid, node, replica_set) = (some(&self.pod.uid), some(&self.pod.node), some(&self.pod.replica_set));
        PodRef { name: self.pod.name.clone(), uid, node, replica_set, doomed }
    }
}

impl<'a> Pods<'a> {
    pub(super) fn take(&mut self, source: Source, change: &'a PodChange) {
        let pod = &change.pod;
        let at = match self.by_uid.get(pod.uid.as_str()) {
            Some(at) => *at,
            None => self.add(source, pod),
        };
        let Some(life) = self.all.get_mut(at) else { return };
        life.pod = pod;
        let first = |slot: &mut Option<Source>| {
            slot.get_or_insert(source);
        };
        match change.phase {
            PodPhase::Created => first(&mut life.created),
            PodPhase::Ready => {
                first(&mut life.ready);
                life.over = None;
            }
            PodPhase::Unready => life.unready.push(source),
            PodPhase::Terminating => first(&mut life.terminating),
            PodPhase::Stopped | PodPhase::Gone => {
                first(&mut life.over);
                life.ends.push(source);
            }
        }
        for ip in &pod.addresses {
            let list = self.by_ip.entry(ip.to_canonical()).or_default();
            if list.last() != Some(&at) && !list.contains(&at) {
                list.push(at);
            }
        }
    }

    fn add(&mut self, seen: Source, pod: &'a Pod) -> usize {
        let at = self.all.len();
        let (created, ready, terminating, over) = (None, None, None, None);
        let (unready, ends) = (Vec::new(), Vec::new());
        self.all.push(Life { pod, seen, created, ready, unready, terminating, ends, over });
        self.by_uid.insert(&pod.uid, at);
        self.by_name.entry(&pod.name).or_default().push(at);
        at
    }

    /// All events are in.
    pub(super) fn finish(&mut self) {
        let lasting = self.all.iter().enumerate().filter(|(_, life)| life.terminating.is_none());
        self.lasting = lasting.map(|(at, _)| at).collect();
        self.sets = self.lasting.iter().map(|at| self.all[*at].pod.replica_set.as_str()).collect();
    }

    /// A pod of another ReplicaSet that came after this one, was there by then, and was never asked to end.
    pub fn replaced_by_then(&self, life: &Life, ns: i64) -> bool {
        let set = life.pod.replica_set.as_str();
        if self.sets.iter().all(|other| *other == set) {
            return false;
        }
        let after = self.lasting.partition_point(|at| self.all[*at].seen.at.ns <= life.seen.at.ns);
        let others = self.lasting[after..].iter().map(|at| &self.all[*at]);
        others.take_while(|other| other.seen.at.ns <= ns).any(|other| other.pod.replica_set != set)
    }

    pub fn by_uid(&self, uid: &str) -> Option<usize> {
        self.by_uid.get(uid).copied()
    }

    pub fn life(&self, uid: &str) -> Option<&Life<'a>> {
        self.all.get(self.by_uid(uid)?)
    }

    /// The pod that had this name at a time of the run's clock.
    pub fn by_name(&self, name: &str, ns: i64) -> Option<usize> {
        self.at_time(self.by_name.get(name)?, ns)
    }

    /// The pod that had this address, where only one had it.
    pub fn by_ip(&self, ip: IpAddr, ns: i64) -> Option<usize> {
        let list = self.by_ip.get(&ip)?;
        // Pods on loopback share an address: then only endpoints tell them apart.
        let overlap = list.windows(2).any(|pair| match (self.all[pair[0]].ended(), self.all[pair[1]].seen) {
            (Some(ended), next) => ended.at.ns > next.at.ns,
            (None, _) => true,
        });
        if overlap { None } else { self.at_time(list, ns) }
    }

    /// The last of them that was there by then; the first where none was yet: clocks are not that exact.
    fn at_time(&self, list: &[usize], ns: i64) -> Option<usize> {
        let after = list.partition_point(|at| self.all[*at].seen.at.ns <= ns);
        list.get(after.saturating_sub(1)).copied()
    }
}
