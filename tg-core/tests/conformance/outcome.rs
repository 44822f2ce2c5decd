//! What a run recorded, in the forms that scenarios ask for.

use crate::peers::Peers;
use std::io::BufRead;
use tg_model::journal::{AttemptFailed, Closed, Footer, Header, Line, Notes, Outage, Reader};
use tg_model::outcome::EndReason;
use tg_model::summary::{Summary, SummaryBuilder};

pub struct Run {
    pub header: Header,
    pub lines: Vec<Line>,
    /// With real sockets: the live summary, and the peers.
    pub real: Option<(Summary, Peers)>,
}

pub fn read(journal: impl BufRead) -> (Header, Vec<Line>) {
    let mut reader = Reader::new(journal).expect("a header");
    let header = reader.header().clone();
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line().expect("lines") {
        lines.push(line);
    }
    assert_eq!(reader.notes(), &Notes::default(), "the journal is whole");
    (header, lines)
}

impl Run {
    pub fn new(header: Header, lines: Vec<Line>, real: Option<(Summary, Peers)>) -> Run {
        Run { header, lines, real }
    }

    /// The summary by the file, equal to the one folded while the run went on.
    pub fn summary(&self) -> Summary {
        let mut builder = SummaryBuilder::new(&self.header);
        self.lines.iter().for_each(|line| builder.push(line));
        builder.finish(&Notes::default())
    }

    pub fn check_accounting(&self) {
        let summary = self.summary();
        assert!(summary.accounting.ok, "{:?}", summary.accounting);
        if let Some((live, _)) = &self.real {
            assert_eq!(live, &summary, "the summary is a function of the journal");
        }
        let footer = self.footer();
        footer.totals.counts.check().expect("the run");
        assert_eq!(footer.records_lost, 0);
    }

    pub fn closed(&self) -> Vec<&Closed> {
        self.lines.iter().filter_map(|l| if let Line::Closed(c) = l { Some(&**c) } else { None }).collect()
    }

    pub fn lost(&self) -> Vec<&Closed> {
        self.closed().into_iter().filter(|c| c.reason.is_lost()).collect()
    }

    pub fn lasting(&self) -> usize {
        self.closed().len() - self.lost().len()
    }

    pub fn failed(&self) -> Vec<&AttemptFailed> {
        self.lines.iter().filter_map(|l| if let Line::AttemptFailed(a) = l { Some(a) } else { None }).collect()
    }

    pub fn outages(&self) -> Vec<&Outage> {
        self.lines.iter().filter_map(|l| if let Line::Outage(o) = l { Some(o) } else { None }).collect()
    }

    pub fn footer(&self) -> &Footer {
        let footer = self.lines.iter().find_map(|l| if let Line::Footer(f) = l { Some(f) } else { None });
        footer.expect("a footer")
    }

    /// At least one connection was lost, and every one for this reason.
    pub fn all_lost_by(&self, reason: EndReason) {
        let lost = self.lost();
        assert!(!lost.is_empty(), "no connection was lost");
        lost.iter().for_each(|c| assert_eq!(c.reason, reason, "{c:?}"));
    }
}
