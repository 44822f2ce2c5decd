//! What can go wrong with namespaces and the programs that fill them. Changes when a new operation can fail.

use crate::lab::LabError;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// A failure, with the operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// As many labs run here as can.
    #[error("{labs} labs run here already; as many as can")]
    Busy {
        /// How many.
        labs: u8,
    },
    /// A node has no address left for a pod.
    #[error("node {node} has no address left for a pod: it has {pods}")]
    Full {
        /// The node, from 1.
        node: u8,
        /// How many pods it has.
        pods: usize,
    },
    /// There is no such pod.
    #[error("there is no pod {0}")]
    NoPod(String),
    /// There is no such node.
    #[error("there is no node {node}: there are {nodes}")]
    NoNode {
        /// The node asked for, from 1.
        node: u8,
        /// How many there are.
        nodes: u8,
    },
    /// Something with a file.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// What was tried: a verb.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The kernel refused a change to links, addresses or routes.
    #[error("{step}: {source}, in namespace {netns}")]
    Step {
        /// As `ip` would be told.
        step: String,
        /// Where.
        netns: String,
        /// Why not.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Its name.
        program: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed in namespace {netns} ({status}): {said}")]
    Program {
        /// Its name.
        program: &'static str,
        /// In which namespace; empty for the caller's own.
        netns: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        said: String,
    },
    /// A program did not end.
    #[error(
        "{program} did not end within {seconds} s{}, and was killed: look at `dmesg` and for others that change the same \
         tables, then start the lab again",
        place(netns)
    )]
    Stuck {
        /// Its name.
        program: &'static str,
        /// In which namespace; empty for the caller's own.
        netns: String,
        /// So long it had.
        seconds: u64,
    },
}

/// Where a program ran, in words.
fn place(netns: &str) -> String {
    if netns.is_empty() { String::new() } else { format!(" in namespace {netns}") }
}

impl From<NetworkError> for LabError {
    fn from(error: NetworkError) -> LabError {
        match error {
            NetworkError::File { operation, path, source } => {
                LabError::Io { what: format!("cannot {operation} {}", path.display()), error: source }
            }
            NetworkError::Step { step, netns, source } => {
                LabError::Io { what: format!("`{step}` in namespace {netns}"), error: source }
            }
            NetworkError::Start { program, source } => {
                LabError::Io { what: format!("cannot start {program}"), error: source }
            }
            NetworkError::Program { program, netns, status, said } => {
                LabError::Command { command: format!("{program}{}", place(&netns)), why: format!("{said} ({status})") }
            }
            other => LabError::Failed(other.to_string()),
        }
    }
}

/// What each function here gives.
pub type Result<T> = std::result::Result<T, NetworkError>;

/// For `map_err`: what was tried with which file.
pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> NetworkError {
    let path = path.into();
    move |source| NetworkError::File { operation, path, source }
}
