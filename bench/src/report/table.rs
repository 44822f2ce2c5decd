//! A table as text of 80 columns and as Markdown. Changes when tables are to look otherwise.

use std::iter;

/// Columns that a line of text may have.
pub const WIDTH: usize = 80;

/// A table: the first column names a row, the others hold figures.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub title: String,
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Names to the left, figures to the right, two spaces between.
    pub fn text(&self) -> String {
        let lines = || iter::once(&self.header).chain(&self.rows);
        let columns = lines().map(Vec::len).max().unwrap_or(0);
        let cells = |column: usize| lines().filter_map(move |line| line.get(column));
        let width = |column| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = format!("{}\n", wrapped(&self.title, ""));
        for line in lines() {
            let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                0 => format!("{cell:<width$}"),
                _ => format!("  {cell:>width$}"),
            });
            text.push_str(cells.collect::<String>().trim_end());
            text.push('\n');
        }
        text
    }

    pub fn markdown(&self) -> String {
        let row = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|c| c.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = iter::once("---").chain(iter::repeat("---:")).take(self.header.len());
        let rule: Vec<String> = rule.map(str::to_owned).collect();
        let rows: String = self.rows.iter().map(|r| row(r)).collect();
        format!("{}\n\n{}{}{rows}", self.title, row(&self.header), row(&rule))
    }
}

/// Words on lines of at most [`WIDTH`] columns, those after the first with an indent. A longer word has a
/// line of its own.
pub fn wrapped(words: &str, indent: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{indent}{word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    fn table() -> Table {
        Table {
            title: "Times, µs".into(),
            header: cells(&["client", "p50", "p99"]),
            rows: vec![cells(&["tg epoll", "3.5", "108"]), cells(&["a|b", "1297", "–"])],
        }
    }

    #[test]
    fn text_is_aligned() {
        let want = "Times, µs\nclient     p50  p99\ntg epoll   3.5  108\na|b       1297    –\n";
        assert_eq!(table().text(), want);
    }

    #[test]
    fn markdown_is_a_table() {
        let want = "Times, µs\n\n| client | p50 | p99 |\n| --- | ---: | ---: |\n\
                    | tg epoll | 3.5 | 108 |\n| a\\|b | 1297 | – |\n";
        assert_eq!(table().markdown(), want);
    }

    #[test]
    fn an_empty_table_is_its_title() {
        assert_eq!(Table { title: "Nothing".into(), ..Table::default() }.text(), "Nothing\n\n");
    }

    proptest! {
        #[test]
        fn no_wrapped_line_is_too_long(words in prop::collection::vec("[a-zµ]{1,30}", 0..60)) {
            let text = wrapped(&words.join(" "), "    ");
            prop_assert!(text.lines().all(|l| l.chars().count() <= WIDTH));
            prop_assert_eq!(text.split_whitespace().collect::<Vec<_>>(), words);
        }
    }
}
