//! The lab on the command line. Changes when what `lab` does in which order does.

mod args;

pub use args::LabArgs;
