//! What a summary must say of made-up runs (`story`), of damaged ones, and of one told line by line.

mod examples;
mod properties;
pub mod story;
