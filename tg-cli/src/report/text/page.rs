//! A page of 80 columns. Changes when how lines are broken does.

use tg_model::wire::printable;

/// Columns.
pub const WIDTH: usize = 80;

/// Text under construction. Whatever is put on it, no control character gets to the terminal.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// One line as it is (or several, where it has line ends).
    pub fn line(&mut self, text: &str) {
        for line in text.split('\n') {
            self.0 += printable(line.as_bytes()).trim_end();
            self.0.push('\n');
        }
    }

    /// A paragraph, broken between words; its further lines are indented by `indent` and two more.
    pub fn wrapped(&mut self, indent: &str, text: &str) {
        self.hanging(indent, indent.len() + 2, text);
    }

    /// A paragraph after `lead`, broken between words; its further lines begin at column `indent`. A
    /// word longer than a line stays whole: it may be a path.
    pub fn hanging(&mut self, lead: &str, indent: usize, text: &str) {
        let mut line = lead.to_owned();
        let mut empty = true;
        for word in text.split(' ') {
            if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                line = " ".repeat(indent);
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line += word;
            empty = false;
        }
        self.line(&line);
    }

    pub fn finish(self) -> String {
        self.0
    }
}

/// `1 time`, `2 times`.
pub fn some(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// `text` in at most `width` columns.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let head: String = text.chars().take(width.saturating_sub(1)).collect();
    head + "…"
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_characters_do_not_get_through() {
        let mut page = Page::default();
        page.line("a\x1b[2Jb  ");
        page.wrapped("", "c\rd");
        assert_eq!(page.finish(), "a?[2Jb\nc?d\n");
    }

    proptest! {
        #[test]
        fn paragraphs_keep_their_words_and_the_width(words in prop::collection::vec("[a-zé]{1,70}", 1..40)) {
            let mut page = Page::default();
            page.wrapped("  ", &words.join(" "));
            let text = page.finish();
            prop_assert!(text.lines().all(|l| l.chars().count() <= WIDTH && l.starts_with("  ")));
            prop_assert_eq!(text.split_whitespace().collect::<Vec<_>>(), words);
        }

        #[test]
        fn what_is_cut_fits(text in "\\PC{0,90}", width in 1usize..90) {
            let short = cut(&text, width);
            prop_assert!(short.chars().count() <= width);
            prop_assert!(short == text || short.ends_with('…'));
        }
    }
}
