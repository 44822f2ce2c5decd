//! Runs a command in a virtual machine with one of Debian's kernels, and brings back its output and exit
//! code: for tests that need what the host's kernel lacks. Changes when what is public does.
//!
//! The guest sees the host's files read-only below a tmpfs, so a test binary runs from where it was built.
//! It has no network but loopback, and it is emulated: counts hold there, times do not.

mod apt;
pub mod bzimage;
mod cache;
mod error;
mod host;
pub mod initramfs;
mod kernels;
mod machine;
mod modules;
mod program;

pub use cache::{Cache, Installed};
pub use error::{Error, Result};
pub use host::check;
pub use kernels::{KERNELS, Kernel, kernel};
pub use machine::{Job, Outcome, run};
