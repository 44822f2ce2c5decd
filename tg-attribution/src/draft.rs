//! A finding while it is being made: confirmed unless something is missing. Changes when how a grade comes about
//! does.

use crate::source::{Source, Sources};
use tg_model::verdict::{Cause, Finding, Grade};

/// A finding under construction.
#[derive(Debug)]
pub struct Draft<'a> {
    sources: &'a Sources,
    finding: Finding,
}

impl<'a> Draft<'a> {
    pub fn new(sources: &'a Sources, cause: Cause) -> Draft<'a> {
        let finding = Finding { cause, grade: Grade::Confirmed, evidence: Vec::new(), missing: Vec::new() };
        Draft { sources, finding }
    }

    /// Rests on this line.
    pub fn proof(mut self, source: Source, words: impl Into<String>) -> Draft<'a> {
        self.finding.evidence.push(self.sources.evidence(source, words.into()));
        self
    }

    /// Would need this to be confirmed.
    pub fn lacks(mut self, words: impl Into<String>) -> Draft<'a> {
        self.finding.missing.push(words.into());
        self
    }

    /// Rests on the line, where there is one; else it lacks it.
    pub fn needs(self, proof: Option<(Source, String)>, else_lacks: &str) -> Draft<'a> {
        match proof {
            Some((source, words)) => self.proof(source, words),
            None => self.lacks(else_lacks),
        }
    }

    /// As [`Draft::lacks`], where it does.
    pub fn lacks_if(self, lacking: bool, words: &str) -> Draft<'a> {
        if lacking { self.lacks(words) } else { self }
    }

    pub fn finish(mut self) -> Finding {
        self.finding.evidence.sort_by_key(|e| e.at_ns);
        if !self.finding.missing.is_empty() {
            self.finding.grade = Grade::Suspected;
        }
        self.finding
    }
}
