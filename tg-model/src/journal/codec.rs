//! A line to text and back. Changes when the form of a line as such does.

use super::line::Line;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version that each line carries as `v`. Raised when a reader of the old one would err.
pub const LINE_VERSION: u32 = 1;

/// Longer lines are taken for damage.
pub(super) const LINE_MAX: usize = 4 << 20;

/// A line that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// A newer tg wrote it.
    #[error("written by a newer tg (line version {found}, this tg reads {LINE_VERSION}): use that version or later")]
    Newer {
        /// The version found.
        found: u32,
    },
    /// No JSON object of a known kind.
    #[error("not a line of a journal: {0}")]
    Garbage(String),
}

#[derive(Serialize)]
struct Versioned<'a, L> {
    v: u32,
    #[serde(flatten)]
    line: &'a L,
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

/// Appends the line's text and a newline.
pub fn encode_line(line: &Line, out: &mut Vec<u8>) {
    encode(line, out);
}

/// Reads one line, with or without its newline.
pub fn decode_line(text: &[u8]) -> Result<Line, LineError> {
    decode(text)
}

/// As [`encode_line`], for the lines of any journal.
pub(crate) fn encode(line: &impl Serialize, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail, and no kind of line has a map with keys that are not text.
    let _ = serde_json::to_writer(&mut *out, &Versioned { v: LINE_VERSION, line });
    out.push(b'\n');
}

/// As [`decode_line`], for the lines of any journal.
pub(crate) fn decode<L: DeserializeOwned>(text: &[u8]) -> Result<L, LineError> {
    let garbage = |e: serde_json::Error| LineError::Garbage(e.to_string());
    if text.len() > LINE_MAX {
        return Err(LineError::Garbage(format!("longer than {} MiB", LINE_MAX >> 20)));
    }
    let VersionOnly { v } = serde_json::from_slice(text).map_err(garbage)?;
    if v > LINE_VERSION {
        return Err(LineError::Newer { found: v });
    }
    serde_json::from_slice(text).map_err(garbage)
}
