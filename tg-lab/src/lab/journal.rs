//! The files of a lab's folder that the lab itself writes: the plan, the cluster's journal, the truth. Changes when
//! a file is added.

use super::error::LabError;
use super::truth::{Truth, TruthLine};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use tg_core::sys::{clock, host};
use tg_model::cluster_event::{
    ClusterEvent, ClusterFooter, ClusterHeader, ClusterLine, ClusterSeen, ClusterSource, Service, TrafficPolicy,
    encode_cluster_line,
};
use tg_model::lab_plan::LabPlan;
use tg_model::time::Nanos;

/// The plan's file.
pub const PLAN: &str = "lab.json";
/// The run's journal.
pub const RUN: &str = "run.jsonl";
/// The cluster's journal.
pub const CLUSTER: &str = "cluster.jsonl";
/// What really happened: only tests open it.
pub const TRUTH: &str = "truth.jsonl";

/// A node's journal: the observer's, or the userspace director's. `node`: its name, such as `node-1`.
pub fn node_file(node: &str) -> String {
    format!("{node}.jsonl")
}

/// Writes what happened in the cluster, and the truth.
#[derive(Debug)]
pub struct Journals {
    cluster: BufWriter<File>,
    truth: BufWriter<File>,
    /// On the monotonic clock.
    origin: Nanos,
}

fn create(folder: &Path, name: &str) -> Result<File, LabError> {
    let path = folder.join(name);
    File::create(&path).map_err(LabError::io(format!("creating {}", path.display())))
}

impl Journals {
    /// Begins them in a folder, beside the plan.
    ///
    /// # Errors
    /// A file cannot be made.
    pub fn create(
        folder: &Path,
        plan: &LabPlan,
        service: &str,
        vips: &[SocketAddr],
        command: &[String],
    ) -> Result<Journals, LabError> {
        let mut lab = create(folder, PLAN)?;
        let text = serde_json::to_vec_pretty(plan).map_err(|e| LabError::Failed(format!("writing the plan: {e}")))?;
        lab.write_all(&text).and_then(|()| lab.write_all(b"\n")).map_err(LabError::io("writing lab.json"))?;
        let (cluster, truth) = (create(folder, CLUSTER)?, create(folder, TRUTH)?);
        let (monotonic, realtime) = clock::both();
        let (cluster, truth) = (BufWriter::new(cluster), BufWriter::new(truth));
        let mut journals = Journals { cluster, truth, origin: monotonic };
        journals.line(&ClusterLine::Header(Box::new(ClusterHeader {
            tg_version: env!("CARGO_PKG_VERSION").into(),
            command: command.to_vec(),
            source: ClusterSource::Lab,
            machine: host::name(),
            boot_id: host::boot_id(),
            monotonic_ns: monotonic.0,
            realtime_ns: realtime.0,
            // Its directors lead to every ready endpoint.
            services: vec![Service {
                name: service.into(),
                vips: vips.to_vec(),
                external_traffic: Some(TrafficPolicy::Cluster),
            }],
        })))?;
        Ok(journals)
    }

    /// Something happened in the cluster.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn event(&mut self, now: Nanos, event: ClusterEvent) -> Result<(), LabError> {
        self.seen(now, event, false)
    }

    /// Something was so from the beginning on.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn snapshot(&mut self, now: Nanos, event: ClusterEvent) -> Result<(), LabError> {
        self.seen(now, event, true)
    }

    fn seen(&mut self, now: Nanos, event: ClusterEvent, snapshot: bool) -> Result<(), LabError> {
        let at_ns = now.since(self.origin).0;
        self.line(&ClusterLine::Event(Box::new(ClusterSeen { at_ns, snapshot, event })))
    }

    /// Something really happened that a cluster would not tell.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn truth(&mut self, now: Nanos, truth: Truth) -> Result<(), LabError> {
        let line = TruthLine { at_ns: now.since(self.origin).0, truth };
        let mut text = serde_json::to_vec(&line).map_err(|e| LabError::Failed(format!("writing the truth: {e}")))?;
        text.push(b'\n');
        self.truth.write_all(&text).and_then(|()| self.truth.flush()).map_err(LabError::io("writing truth.jsonl"))
    }

    /// Ends them.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn finish(&mut self, now: Nanos) -> Result<(), LabError> {
        self.line(&ClusterLine::Footer(ClusterFooter { ended_ns: now.since(self.origin).0 }))
    }

    /// One line, at once in the file: a lab that is killed loses nothing of it.
    fn line(&mut self, line: &ClusterLine) -> Result<(), LabError> {
        let mut text = Vec::new();
        encode_cluster_line(line, &mut text);
        self.cluster.write_all(&text).and_then(|()| self.cluster.flush()).map_err(LabError::io("writing cluster.jsonl"))
    }
}
