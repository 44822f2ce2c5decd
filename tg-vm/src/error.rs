//! What can go wrong before a command runs in the guest. Changes when a new operation can fail.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// A failure, with the operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host lacks programs or files.
    #[error("{0}")]
    Missing(String),
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
    /// A program could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Its name.
        program: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed ({status}): {stderr}")]
    Program {
        /// Its name.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it said.
        stderr: String,
    },
    /// apt's answer has no such thing.
    #[error("apt does not say {what} of {package}")]
    Apt {
        /// What was looked for.
        what: &'static str,
        /// In the description of which package.
        package: String,
    },
    /// A download is not what the archive's index says.
    #[error("{file} was downloaded wrong: {what}")]
    Download {
        /// The file.
        file: String,
        /// What differs.
        what: String,
    },
    /// A kernel image cannot be read.
    #[error("cannot take the kernel out of {}: {source}", path.display())]
    Image {
        /// The image.
        path: PathBuf,
        /// Why not.
        source: crate::bzimage::ImageError,
    },
    /// A kernel lacks a module.
    #[error("{package} has no module {module}")]
    Module {
        /// The kernel's package.
        package: String,
        /// The module.
        module: String,
    },
    /// A package is not laid out as kernels are.
    #[error("{package} has no {what}")]
    Layout {
        /// The kernel's package.
        package: String,
        /// What is missing in it.
        what: &'static str,
    },
}

/// What each function here gives.
pub type Result<T> = std::result::Result<T, Error>;

/// For `map_err`: what was tried with which file.
pub(crate) fn file(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { operation, path, source }
}
