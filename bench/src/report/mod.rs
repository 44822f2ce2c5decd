//! What a suite found, as text and as a section of `bench/RESULTS.md`. Changes when either is to look
//! otherwise.

pub mod picture;
pub mod results;
pub mod series;
pub mod table;
pub mod target;

use picture::Picture;
use table::{Table, wrapped};
use target::Target;

/// What a suite found.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The suite's name.
    pub suite: &'static str,
    /// What was done, where.
    pub intro: Vec<String>,
    pub tables: Vec<Table>,
    /// What is aimed at.
    pub targets: Vec<Target>,
    /// For the file only.
    pub picture: Option<Picture>,
    /// What must be known to read the tables.
    pub notes: Vec<String>,
    /// Checks that do not hold.
    pub failures: Vec<String>,
}

impl Page {
    pub fn text(&self) -> String {
        let intro = self.intro.iter().map(|line| wrapped(line, "  "));
        let tables = self.tables.iter().map(|t| format!("\n{}", t.text().trim_end()));
        let blocks = [("\nTargets", self.target_lines()), ("", self.points())];
        let blocks = blocks.into_iter().filter(|(_, lines)| !lines.is_empty()).flat_map(|(head, lines)| {
            let lines = lines.into_iter().map(|line| wrapped(&format!("- {line}"), "  "));
            std::iter::once(head.to_owned()).chain(lines)
        });
        let lines: Vec<String> = intro.chain(tables).chain(blocks).collect();
        format!("{}\n", lines.join("\n").trim_end())
    }

    pub fn markdown(&self) -> String {
        let intro = self.intro.join("  \n");
        let picture =
            self.picture.as_ref().map_or_else(String::new, |p| format!("![{}]({})\n\n", p.title, self.picture_path()));
        let tables: Vec<String> = self.tables.iter().map(Table::markdown).collect();
        let list = |lines: Vec<String>| lines.iter().map(|line| format!("- {line}\n")).collect::<String>();
        let targets =
            if self.targets.is_empty() { String::new() } else { format!("Targets\n\n{}\n", list(self.target_lines())) };
        format!("## {}\n\n{intro}\n\n{picture}{}\n{targets}{}", self.suite, tables.join("\n"), list(self.points()))
    }

    /// Where the picture is, seen from the results.
    fn picture_path(&self) -> String {
        format!("pictures/{}.svg", self.suite)
    }

    fn target_lines(&self) -> Vec<String> {
        self.targets.iter().map(Target::line).collect()
    }

    fn points(&self) -> Vec<String> {
        self.failures.iter().map(|f| format!("Does not hold: {f}")).chain(self.notes.iter().cloned()).collect()
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
            targets: vec![Target::at_most("p50", Some(5.0), 10.0, " µs")],
            picture: None,
            notes: vec!["a note ".repeat(14).trim_end().to_owned()],
            failures: vec!["1 <= 0".into()],
        }
    }

    #[test]
    fn text_fits_80_columns() {
        let text = page().text();
        assert!(
            text.starts_with(
                "80 connections\non this machine\n\nTimes\nclient  p50\ntg        5\n\nTargets\n- met: p50"
            )
        );
        assert!(text.contains("(target: at most 10 µs)\n\n- Does not hold: 1 <= 0\n"), "{text}");
        assert!(text.contains("\n- a note a note") && text.contains("\n  note a") && text.ends_with("a note\n"));
        assert!(text.lines().all(|l| l.chars().count() <= table::WIDTH));
    }

    #[test]
    fn markdown_has_the_same() {
        let markdown = page().markdown();
        assert!(
            markdown.starts_with("## accuracy\n\n80 connections  \non this machine\n\nTimes\n\n| client | p50 |\n")
        );
        assert!(markdown.contains("| tg | 5 |\n\nTargets\n\n- met: p50"), "{markdown}");
        assert!(markdown.contains("\n\n- Does not hold: 1 <= 0\n- a note"), "{markdown}");
        assert!(!markdown.contains("!["));
        let panels = Vec::new();
        let page = Page { picture: Some(Picture { title: "Times".into(), panels }), ..page() };
        assert!(page.markdown().contains("\n\n![Times](pictures/accuracy.svg)\n\nTimes\n"));
    }
}
