//! What kind of file it is. Changes when a kind is added.

use anyhow::{Context, bail};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use tg_model::ctraffic::Statistics;
use tg_model::journal::{JournalError, Reader};

type Source = Box<dyn BufRead>;

/// A file that can be reported on.
pub enum Input {
    /// A journal of tg, its header read.
    Journal(Box<Reader<Source>>),
    /// Statistics of ctraffic.
    Ctraffic(Box<Statistics>),
}

/// ctraffic's file is one object and read whole: no longer one than this.
const CTRAFFIC_MAX: u64 = 1 << 30;
/// So much of a file is looked at to tell its kind.
const PEEK: usize = 4096;

/// Opens a file, or stdin for `-`.
pub fn open(path: &Path) -> anyhow::Result<Input> {
    if path.as_os_str() == "-" {
        return read(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path)?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        bail!("it is a directory: give a journal, or ctraffic's statistics");
    }
    read(Box::new(BufReader::new(file)))
}

/// Tells the kind by the file's beginning.
pub fn read(mut source: Source) -> anyhow::Result<Input> {
    let mut start = Vec::new();
    source.by_ref().take(PEEK as u64).read_to_end(&mut start)?;
    let is_ctraffic = is_ctraffic(&start);
    let mut source: Source = Box::new(io::Cursor::new(start).chain(source));
    if is_ctraffic {
        let mut text = Vec::new();
        source.by_ref().take(CTRAFFIC_MAX + 1).read_to_end(&mut text)?;
        if text.len() as u64 > CTRAFFIC_MAX {
            bail!("longer than {} GiB: not ctraffic's statistics", CTRAFFIC_MAX >> 30);
        }
        return Ok(Input::Ctraffic(Box::new(Statistics::read(&text)?)));
    }
    match Reader::new(source) {
        Ok(reader) => Ok(Input::Journal(Box::new(reader))),
        Err(e @ JournalError::NoHeader(_)) => {
            Err(e).context("neither a journal of tg nor statistics of ctraffic: give what `run --output` wrote")
        }
        Err(e) => Err(e.into()),
    }
}

/// ctraffic's statistics are an object, on one line or laid out, with these names in it and without a
/// journal line's `kind`.
fn is_ctraffic(start: &[u8]) -> bool {
    let has = |name: &str| start.windows(name.len()).any(|w| w == name.as_bytes());
    start.trim_ascii_start().starts_with(b"{")
        && !has("\"kind\"")
        && ["\"Started\"", "\"FailedConnections\"", "\"ConnStats\""].iter().any(|name| has(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(bytes: &[u8]) -> anyhow::Result<Input> {
        read(Box::new(io::Cursor::new(bytes.to_vec())))
    }

    fn error(bytes: &[u8]) -> String {
        match of(bytes) {
            Ok(_) => panic!("taken"),
            Err(e) => format!("{e:#}"),
        }
    }

    #[test]
    fn ctraffics_file_is_known_on_one_line_and_laid_out() {
        let text = include_str!("../../../tg-model/tests/fixtures/ctraffic/lossy.json");
        assert!(matches!(of(text.as_bytes()).unwrap(), Input::Ctraffic(s) if s.conn_stats.len() == 32));
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let laid_out = serde_json::to_string_pretty(&value).unwrap();
        assert!(matches!(of(laid_out.as_bytes()).unwrap(), Input::Ctraffic(_)));
    }

    #[test]
    fn what_is_neither_is_told_what_to_give() {
        assert_eq!(error(b""), "the journal is empty");
        for bytes in [&b"hello\n"[..], b"{}", b"{\"a\":1}\n", b"\x7fELF\x00\xff", b"\n\n"] {
            assert!(error(bytes).contains("neither a journal of tg nor statistics of ctraffic"), "{}", error(bytes));
        }
        assert!(error(b"{\"v\":2,\"kind\":\"header\"}\n").contains("newer tg"));
        assert!(error(b"{\"Started\":\"2026-").contains("cut"));
        assert!(open(Path::new("/")).err().unwrap().to_string().contains("directory"));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes: Vec<u8>, tail in "[\\PC\n]{0,200}") {
            let _ = of(&bytes);
            let _ = of(format!("{{\"Started\":{tail}").as_bytes());
            let _ = of(format!("{{\"v\":1,\"kind\":\"header\",{tail}").as_bytes());
        }
    }
}
