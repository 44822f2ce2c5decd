//! What a suite found, as text and as a section of `bench/RESULTS.md`. Changes when either is to look
//! otherwise.

pub mod results;
pub mod series;
pub mod table;

use table::{Table, wrapped};

/// What a suite found.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The suite's name.
    pub suite: &'static str,
    /// What was done, where.
    pub intro: Vec<String>,
    pub tables: Vec<Table>,
    /// What must be known to read the tables.
    pub notes: Vec<String>,
    /// Checks that do not hold.
    pub failures: Vec<String>,
}

impl Page {
    pub fn text(&self) -> String {
        let intro = self.intro.iter().map(|line| wrapped(line, "  "));
        let tables = self.tables.iter().map(|t| format!("\n{}", t.text().trim_end()));
        let points = self.points().map(|point| wrapped(&format!("- {point}"), "  "));
        let lines: Vec<String> = intro.chain(tables).chain([String::new()]).chain(points).collect();
        format!("{}\n", lines.join("\n").trim_end())
    }

    pub fn markdown(&self) -> String {
        let intro = self.intro.join("  \n");
        let tables: Vec<String> = self.tables.iter().map(Table::markdown).collect();
        let points: Vec<String> = self.points().map(|point| format!("- {point}\n")).collect();
        format!("## {}\n\n{intro}\n\n{}\n{}", self.suite, tables.join("\n"), points.concat())
    }

    fn points(&self) -> impl Iterator<Item = String> + '_ {
        self.failures.iter().map(|f| format!("Does not hold: {f}")).chain(self.notes.iter().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Page {
        let table = Table {
            title: "Times".into(),
            header: vec!["client".into(), "p50".into()],
            rows: vec![vec!["tg".into(), "5".into()]],
        };
        Page {
            suite: "accuracy",
            intro: vec!["80 connections".into(), "on this machine".into()],
            tables: vec![table],
            notes: vec!["a note ".repeat(14).trim_end().to_owned()],
            failures: vec!["1 <= 0".into()],
        }
    }

    #[test]
    fn text_fits_80_columns() {
        let text = page().text();
        assert!(
            text.starts_with("80 connections\non this machine\n\nTimes\nclient  p50\ntg        5\n\n- Does not hold")
        );
        assert!(text.contains("\n- a note a note") && text.contains("\n  note a") && text.ends_with("a note\n"));
        assert!(text.lines().all(|l| l.chars().count() <= table::WIDTH));
    }

    #[test]
    fn markdown_has_the_same() {
        let markdown = page().markdown();
        assert!(
            markdown.starts_with("## accuracy\n\n80 connections  \non this machine\n\nTimes\n\n| client | p50 |\n")
        );
        assert!(markdown.contains("| tg | 5 |\n\n- Does not hold: 1 <= 0\n- a note"), "{markdown}");
    }
}
