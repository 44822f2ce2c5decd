//! What becomes of pods: started, ready, asked to end, ended. Changes when Kubernetes' kubelet does, or what of it
//! the lab has. Pure: `now` goes in, effects come out.
//!
//! Call [`Kubelet::poll`] until it gives nothing, after each call of another method and at [`Kubelet::wake_at`].

use crate::deployment::PodId;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tg_model::cluster_event::PodPhase;
use tg_model::time::Nanos;

/// A preStop hook that takes longer than the grace period gets so much more
/// (`minimumGracePeriodInSeconds`, `pkg/kubelet/kuberuntime/kuberuntime_container.go`).
const LAST_GRACE: Duration = Duration::from_secs(2);

/// What is to be done, or was brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The pod's process is to be started.
    Start(PodId),
    /// It is to be asked to end (SIGTERM).
    Term(PodId),
    /// It is to be killed.
    Kill(PodId),
    /// The pod is in that phase from now on.
    Changed(PodId, PodPhase),
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// From a process's start to readiness, if it listens by then.
    pub ready: Duration,
    /// From a pod's deletion to SIGTERM.
    pub prestop: Duration,
    /// From a pod's deletion to SIGKILL.
    pub grace: Duration,
}

#[derive(Debug)]
struct Pod {
    started: Nanos,
    runs: bool,
    listens: bool,
    ready: bool,
    deleted: Option<Nanos>,
    termed: bool,
    killed: bool,
}

/// The pods of the lab.
#[derive(Debug)]
pub struct Kubelet {
    times: Times,
    pods: BTreeMap<PodId, Pod>,
    effects: VecDeque<Effect>,
}

impl Kubelet {
    /// Without pods.
    pub fn new(times: Times) -> Kubelet {
        Kubelet { times, pods: BTreeMap::new(), effects: VecDeque::new() }
    }

    /// A pod is made.
    pub fn create(&mut self, now: Nanos, id: PodId) {
        let (runs, listens, ready, termed, killed) = (true, false, false, false, false);
        self.pods.insert(id, Pod { started: now, runs, listens, ready, deleted: None, termed, killed });
        self.effects.extend([Effect::Changed(id, PodPhase::Created), Effect::Start(id)]);
    }

    /// A pod is asked to end.
    pub fn delete(&mut self, now: Nanos, id: PodId) {
        let Some(pod) = self.pods.get_mut(&id).filter(|p| p.deleted.is_none()) else { return };
        pod.deleted = Some(now);
        self.effects.push_back(Effect::Changed(id, PodPhase::Terminating));
        if !pod.runs {
            self.end(id);
        }
    }

    /// The pod's process accepts connections.
    pub fn listens(&mut self, id: PodId) {
        if let Some(pod) = self.pods.get_mut(&id) {
            pod.listens = true;
        }
    }

    /// The pod's process has ended. Where nobody asked it to, it is started again.
    pub fn ended(&mut self, now: Nanos, id: PodId) {
        let Some(pod) = self.pods.get_mut(&id) else { return };
        pod.runs = false;
        if pod.deleted.is_some() {
            self.end(id);
            return;
        }
        (pod.started, pod.runs, pod.listens, pod.ready) = (now, true, false, false);
        self.effects.extend([Effect::Changed(id, PodPhase::Stopped), Effect::Start(id)]);
    }

    fn end(&mut self, id: PodId) {
        self.pods.remove(&id);
        self.effects.extend([Effect::Changed(id, PodPhase::Stopped), Effect::Changed(id, PodPhase::Gone)]);
    }

    /// The next effect; `None`: none until something happens or [`Kubelet::wake_at`].
    pub fn poll(&mut self, now: Nanos) -> Option<Effect> {
        if self.effects.is_empty() {
            let Kubelet { times, pods, effects } = self;
            for (id, pod) in pods.iter_mut() {
                if times.ready_at(pod).is_some_and(|at| at <= now) {
                    pod.ready = true;
                    effects.push_back(Effect::Changed(*id, PodPhase::Ready));
                }
                if times.term_at(pod).is_some_and(|at| at <= now) {
                    pod.termed = true;
                    effects.push_back(Effect::Term(*id));
                }
                if times.kill_at(pod).is_some_and(|at| at <= now) {
                    pod.killed = true;
                    effects.push_back(Effect::Kill(*id));
                }
            }
        }
        self.effects.pop_front()
    }

    /// When time alone brings the next effect.
    pub fn wake_at(&self) -> Option<Nanos> {
        let times = &self.times;
        let of = |p: &Pod| [times.ready_at(p), times.term_at(p), times.kill_at(p)];
        self.pods.values().flat_map(of).flatten().min()
    }

    /// Pods that were asked to end and are there still.
    pub fn terminating(&self) -> usize {
        self.pods.values().filter(|p| p.deleted.is_some()).count()
    }
}

impl Times {
    fn ready_at(&self, pod: &Pod) -> Option<Nanos> {
        let waits = pod.listens && !pod.ready && pod.deleted.is_none();
        waits.then(|| pod.started + self.ready.into())
    }

    fn term_at(&self, pod: &Pod) -> Option<Nanos> {
        let deleted = pod.deleted.filter(|_| !pod.termed)?;
        Some(deleted + self.prestop.min(self.grace).into())
    }

    fn kill_at(&self, pod: &Pod) -> Option<Nanos> {
        let deleted = pod.deleted.filter(|_| !pod.killed)?;
        let more = if self.prestop >= self.grace { LAST_GRACE } else { Duration::ZERO };
        Some(deleted + (self.grace + more).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Nanos = Nanos::from_millis;
    const POD: PodId = PodId(7);

    fn kubelet(prestop_ms: u64, grace_ms: u64) -> Kubelet {
        let ms = Duration::from_millis;
        Kubelet::new(Times { ready: ms(100), prestop: ms(prestop_ms), grace: ms(grace_ms) })
    }

    fn effects(k: &mut Kubelet, now: Nanos) -> Vec<Effect> {
        std::iter::from_fn(|| k.poll(now)).collect()
    }

    fn ready(k: &mut Kubelet) {
        k.create(MS(0), POD);
        assert_eq!(effects(k, MS(0)), [Effect::Changed(POD, PodPhase::Created), Effect::Start(POD)]);
        assert_eq!(k.wake_at(), None, "it does not listen yet");
        k.listens(POD);
        assert_eq!((effects(k, MS(99)), k.wake_at()), (vec![], Some(MS(100))));
        assert_eq!(effects(k, MS(100)), [Effect::Changed(POD, PodPhase::Ready)]);
    }

    #[test]
    fn a_pod_that_was_asked_to_end_has_its_hook_then_a_signal_and_is_killed_after_the_grace() {
        let mut k = kubelet(300, 1000);
        ready(&mut k);
        k.delete(MS(500), POD);
        k.delete(MS(600), POD);
        assert_eq!(effects(&mut k, MS(700)), [Effect::Changed(POD, PodPhase::Terminating)]);
        assert_eq!((k.wake_at(), k.terminating()), (Some(MS(800)), 1));
        assert_eq!(effects(&mut k, MS(800)), [Effect::Term(POD)]);
        assert_eq!(effects(&mut k, MS(1500)), [Effect::Kill(POD)]);
        assert_eq!((effects(&mut k, MS(9000)), k.wake_at()), (vec![], None));
        k.ended(MS(9000), POD);
        let gone = [Effect::Changed(POD, PodPhase::Stopped), Effect::Changed(POD, PodPhase::Gone)];
        assert_eq!(effects(&mut k, MS(9000)), gone);
        assert_eq!((k.pods.len(), k.terminating()), (0, 0));
    }

    #[test]
    fn a_hook_that_takes_longer_than_the_grace_is_cut() {
        let mut k = kubelet(5000, 1000);
        ready(&mut k);
        k.delete(MS(500), POD);
        assert_eq!(effects(&mut k, MS(1499)), [Effect::Changed(POD, PodPhase::Terminating)]);
        assert_eq!(effects(&mut k, MS(1500)), [Effect::Term(POD)]);
        assert_eq!(k.wake_at(), Some(MS(3500)));
    }

    #[test]
    fn a_process_that_ends_by_itself_is_started_again_and_ready_later() {
        let mut k = kubelet(0, 1000);
        ready(&mut k);
        k.ended(MS(300), POD);
        assert_eq!(effects(&mut k, MS(300)), [Effect::Changed(POD, PodPhase::Stopped), Effect::Start(POD)]);
        assert_eq!(effects(&mut k, MS(500)), []);
        k.listens(POD);
        assert_eq!(effects(&mut k, MS(500)), [Effect::Changed(POD, PodPhase::Ready)]);
    }

    #[test]
    fn a_pod_that_is_deleted_before_it_is_ready_never_gets_ready() {
        let mut k = kubelet(0, 1000);
        k.create(MS(0), POD);
        k.listens(POD);
        k.delete(MS(50), POD);
        let all = effects(&mut k, MS(200));
        assert!(!all.contains(&Effect::Changed(POD, PodPhase::Ready)) && all.contains(&Effect::Term(POD)), "{all:?}");
    }
}
