//! IPv4 and IPv6 apart, where a service has both. Changes when what is told of each does.

use crate::report::Page;
use anyhow::Context;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use tg_model::journal::{Line, Reader};

/// Connections of one IP version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    lost: u64,
    lasting: u64,
    failed_attempts: u64,
}

/// A line for each, from a run's journal.
pub fn section(page: &mut Page, run: &Path) -> anyhow::Result<()> {
    let what = || format!("reading {}", run.display());
    let file = File::open(run).with_context(what)?;
    let mut reader = Reader::new(BufReader::new(file)).with_context(what)?;
    let mut families = [Counts::default(); 2];
    while let Some(line) = reader.next_line().with_context(what)? {
        count(&line, &mut families);
    }
    page.line("");
    for (name, c) in ["IPv4", "IPv6"].iter().zip(families) {
        page.line(&format!("{name}: {} lost, {} lasting, {} failed attempts", c.lost, c.lasting, c.failed_attempts));
    }
    Ok(())
}

fn count(line: &Line, families: &mut [Counts; 2]) {
    match line {
        Line::Closed(closed) => {
            let of = &mut families[usize::from(closed.established.remote.is_ipv6())];
            if closed.reason.is_lost() { of.lost += 1 } else { of.lasting += 1 }
        }
        Line::AttemptFailed(failed) => {
            if let Some(remote) = failed.remote {
                families[usize::from(remote.is_ipv6())].failed_attempts += 1;
            }
        }
        _ => {}
    }
}
