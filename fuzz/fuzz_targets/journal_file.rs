//! A journal, as it may lie on a disk: cut, damaged, of another version. Whatever it holds, summary,
//! ctraffic's statistics and every analysis come out of it, and the summary is JSON. How the file comes
//! in (in one piece, a few bytes at a time) makes no difference.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::io::{BufRead, BufReader};
use tg_fuzz::print_analyses;
use tg_model::ctraffic::{FromJournal, Statistics};
use tg_model::journal::{JournalError, Line, Reader};
use tg_model::summary::SummaryBuilder;

/// Put before what is no journal, so that lines alone are tried, too.
const HEADER: &[u8] = include_bytes!("../seeds/journal_line/header");

fuzz_target!(|data: &[u8]| {
    match Reader::new(data) {
        Ok(reader) => whole(reader, data),
        Err(JournalError::NoHeader(_)) => {
            let data = [HEADER, data].concat();
            whole(Reader::new(data.as_slice()).expect("a header"), &data);
        }
        Err(_) => {}
    }
});

fn whole(mut reader: Reader<&[u8]>, data: &[u8]) {
    let lines = lines(&mut reader);
    let mut in_pieces = Reader::new(BufReader::with_capacity(7, data)).expect("as before");
    assert_eq!(in_pieces.header(), reader.header());
    assert_eq!(self::lines(&mut in_pieces), lines);
    assert_eq!(in_pieces.notes(), reader.notes());
    let mut summary = SummaryBuilder::new(reader.header());
    let mut statistics = FromJournal::new(reader.header());
    for line in &lines {
        summary.push(line);
        statistics.push(line);
    }
    serde_json::to_string(&summary.finish(reader.notes())).expect("a summary is JSON");
    let statistics = statistics.finish();
    let mut text = Vec::new();
    statistics.write(&mut text).expect("writing to a Vec");
    assert_eq!(Statistics::read(&text).expect("its own text"), statistics);
    print_analyses(&statistics);
}

/// Up to the end, or to a line of a newer version.
fn lines(reader: &mut Reader<impl BufRead>) -> Vec<Line> {
    std::iter::from_fn(|| reader.next_line().ok().flatten()).collect()
}
