//! What keeps the observer from starting. Changes when a step of the start does.

/// The observer could not be started. A program that is refused is no such error: its status says why.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// There is no committed object for this machine.
    #[error("there are no programs for {0} in this build (tg-ebpf/object)")]
    Architecture(&'static str),
    /// The kernel's description of its own types could not be read.
    #[error("reading the kernel's types from {path}: {error}")]
    Btf {
        /// The file.
        path: &'static str,
        /// The error.
        error: String,
    },
    /// The object's maps were refused.
    #[error("loading the programs into the kernel: {0}")]
    Load(String),
    /// A map of the object is not there, or not of its kind.
    #[error("the object's map {name}: {error}")]
    Map {
        /// Its name.
        name: &'static str,
        /// The error.
        error: String,
    },
    /// An interface that was asked for cannot be watched.
    #[error("interface {interface}: {error}")]
    Interface {
        /// As it was asked for.
        interface: String,
        /// Why.
        error: String,
    },
    /// Filters of another start could not be looked for, or those of this one not noted.
    #[error("--legacy-tc, which notes its filters in /run/tg-observe: {0}")]
    LegacyTc(std::io::Error),
    /// A namespace could not be entered.
    #[error("entering the network namespace {name}: {error}")]
    Namespace {
        /// Its name or file.
        name: String,
        /// The error.
        error: std::io::Error,
    },
    /// The kernel does not measure its programs' run time.
    #[error("letting the kernel measure its programs' run time (it wants CAP_SYS_ADMIN): {0}")]
    RunTime(String),
    /// Events could not be waited for.
    #[error("waiting for events: {0}")]
    Wait(std::io::Error),
    /// Capabilities could not be read or dropped.
    #[error("dropping capabilities: {0}")]
    Capabilities(caps::errors::CapsError),
}
