//! What really happened in a lab, for tests of the verdicts: `truth.jsonl`. Changes when a test asks for more.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use tg_model::lab_plan::FaultKind;

/// A line: times are those of the cluster's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruthLine {
    /// When, since the start of the cluster's journal.
    pub at_ns: u64,
    /// What.
    #[serde(flatten)]
    pub truth: Truth,
}

/// See [`TruthLine`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "truth", rename_all = "kebab-case")]
pub enum Truth {
    /// A pod's process was started.
    Started {
        /// The pod.
        pod: String,
        /// Where it listens.
        listen: Vec<SocketAddr>,
        /// Its ReplicaSet is the old one.
        doomed: bool,
    },
    /// A pod's process takes connections.
    Listens {
        /// The pod.
        pod: String,
    },
    /// A pod's process was sent SIGTERM, because the upgrade ends it.
    Term {
        /// The pod.
        pod: String,
    },
    /// A pod's process was sent SIGKILL, because its grace period was over.
    Kill {
        /// The pod.
        pod: String,
    },
    /// A pod's process ended.
    Ended {
        /// The pod.
        pod: String,
        /// Its exit code; `None`: a signal ended it.
        code: Option<i32>,
        /// Because the upgrade asked it to; else by itself, or by a fault.
        asked: bool,
    },
    /// A fault begins.
    Fault {
        /// Which.
        fault: FaultKind,
        /// The pod that it hits; `None`: all, or the network.
        pod: Option<String>,
        /// The node that it hits.
        node: Option<String>,
    },
    /// A fault that lasted is over.
    Healed {
        /// Which.
        fault: FaultKind,
    },
}
