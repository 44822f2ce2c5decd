//! Writing to stdout and stderr so that neither a reader who left (`| head`) nor a full disk makes it
//! panic.

use crate::exit::Problem;
use anyhow::Context;
use std::io::{self, ErrorKind, Write};
use tg_model::wire::printable;

/// Writes all of it to stdout; see [`forgive_closed`].
pub fn stdout(text: &[u8]) -> Result<(), Problem> {
    stdout_with(|out| out.write_all(text))
}

/// As [`stdout`], for what is written piece by piece.
pub fn stdout_with(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Problem> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    forgive_closed(write(&mut out).and_then(|()| out.flush()))
}

/// What writing to stdout gave. A reader who left is no error: there is nobody to tell.
pub fn forgive_closed(written: io::Result<()>) -> Result<(), Problem> {
    match written {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing to stdout").map_err(Problem::Failed),
    }
}

/// Writes a line (or several) to stderr, without what would steer a terminal; where that fails there is
/// no place left to say so.
pub fn stderr(text: &str) {
    let mut err = io::stderr().lock();
    for line in text.split('\n') {
        let _ = writeln!(err, "{}", printable(line.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_who_left_is_forgiven_and_a_full_disk_is_not() {
        let err = |kind: ErrorKind| Err(io::Error::from(kind));
        assert!(forgive_closed(err(ErrorKind::BrokenPipe)).is_ok());
        assert!(forgive_closed(Ok(())).is_ok());
        assert!(matches!(forgive_closed(err(ErrorKind::StorageFull)), Err(Problem::Failed(_))));
    }
}
