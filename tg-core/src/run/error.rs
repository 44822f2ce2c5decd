//! What can go wrong with a run as a whole, and what to do about it.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// A run that could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A name did not resolve to an address of the plan's family.
    #[error("`{target}`: {why}; give another name, or an address")]
    Resolve {
        /// The name and port.
        target: String,
        /// Why not.
        why: String,
    },
    /// A source address is not one of this host.
    #[error(
        "source address {address} (the {nth}. source) is not one of this host: {error}; add it with `ip address add`, or give another"
    )]
    Source {
        /// The address.
        address: IpAddr,
        /// Its place in the list, from 1.
        nth: usize,
        /// What binding to it gave.
        error: io::Error,
    },
    /// A source's family is not the target's.
    #[error("source address {address} cannot reach {target}: one is IPv4, the other IPv6")]
    SourceFamily {
        /// The source.
        address: IpAddr,
        /// What the slot connects to.
        target: String,
    },
    /// Too few file descriptors.
    #[error(
        "{need} file descriptors are needed and {have} may be had: run `ulimit -n {need}` first (as root, or after raising the hard limit), or take fewer connections"
    )]
    Descriptors {
        /// What the plan needs, with what is open already.
        need: u64,
        /// The limit.
        have: u64,
    },
    /// The engine asked for cannot be had.
    #[error("engine {engine}: {why}; --engine auto takes the best one that can be had")]
    Engine {
        /// Which.
        engine: &'static str,
        /// Why not.
        why: String,
    },
    /// SCHED_FIFO was refused.
    #[error(
        "real-time scheduling: {0}; run as root, or give the binary CAP_SYS_NICE (`setcap cap_sys_nice+ep`), or raise RLIMIT_RTPRIO to 10"
    )]
    Realtime(io::Error),
    /// The journal could not be created.
    #[error("creating the journal {path}: {error}; choose another place with --output (without it: TMPDIR)")]
    Journal {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// A thread could not be started.
    #[error("starting a thread: {0}")]
    Thread(io::Error),
}

impl StartError {
    /// Whether the plan is to blame, and not this machine's state.
    pub fn is_usage(&self) -> bool {
        match self {
            StartError::Source { .. } | StartError::SourceFamily { .. } | StartError::Descriptors { .. } => true,
            StartError::Resolve { .. }
            | StartError::Engine { .. }
            | StartError::Realtime(_)
            | StartError::Journal { .. }
            | StartError::Thread(_) => false,
        }
    }
}

/// A run that could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A thread panicked: a defect of tg.
    #[error("a thread of the run panicked; this is a defect of tg")]
    Panicked,
    /// The journal could not be read back.
    #[error("reading the journal back: {0}")]
    Journal(io::Error),
}
