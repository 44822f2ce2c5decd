//! `--expect 'FIELD OP VALUE'` over the JSON summary.

mod check;
mod parse;
mod shape;

pub use check::failures;
pub use parse::Expectation;
