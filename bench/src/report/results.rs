//! `bench/RESULTS.md`: a section a suite, each written anew when its suite is run. Changes when the file's
//! form does.

use super::Page;
use anyhow::Context;
use std::io::ErrorKind;
use std::path::Path;

const HEAD: &str = "\
# Results

Written by `cargo run --release -p bench -- SUITE --write`. Compare within a section: all of it was
measured in turn, in one run on one machine.
";
const SECTION: &str = "## ";

/// Writes the page's section into the file, and leaves the others as they are; and its picture beside it.
///
/// # Errors
/// The files cannot be read or written.
pub fn write(path: &Path, page: &Page) -> anyhow::Result<()> {
    let existing = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).with_context(|| format!("reading {}", path.display())),
    };
    let text = replaced(&existing, page.suite, &page.markdown());
    if let Some(picture) = &page.picture {
        let file = path.with_file_name(page.picture_path());
        if let Some(directory) = file.parent() {
            std::fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        }
        std::fs::write(&file, picture.svg()?).with_context(|| format!("writing {}", file.display()))?;
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// `existing` with the section of this suite replaced, or added at its end.
fn replaced(existing: &str, suite: &str, section: &str) -> String {
    let mut sections: Vec<String> = Vec::new();
    for line in existing.lines() {
        match sections.last_mut() {
            Some(section) if !line.starts_with(SECTION) => {
                section.push('\n');
                section.push_str(line);
            }
            Some(_) => sections.push(line.to_owned()),
            // What stands before the first section is written anew.
            None if line.starts_with(SECTION) => sections.push(line.to_owned()),
            None => {}
        }
    }
    let heading = format!("{SECTION}{suite}");
    let place = sections.iter().position(|s| s.lines().next() == Some(heading.as_str()));
    match place {
        Some(index) => section.clone_into(&mut sections[index]),
        None => sections.push(section.to_owned()),
    }
    let body: Vec<&str> = sections.iter().map(|s| s.trim_end()).collect();
    format!("{HEAD}\n{}\n", body.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_suites_own_section_changes() {
        let first = replaced("", "accuracy", "## accuracy\n\nold\n");
        assert_eq!(first, format!("{HEAD}\n## accuracy\n\nold\n"));
        let both = replaced(&first, "reconnect", "## reconnect\n\nr\n");
        let again = replaced(&both, "accuracy", "## accuracy\n\nnew\n\n### more\n");
        assert_eq!(again, format!("{HEAD}\n## accuracy\n\nnew\n\n### more\n\n## reconnect\n\nr\n"));
        assert_eq!(replaced(&again, "accuracy", "## accuracy\n\nnew\n\n### more\n"), again);
    }

    #[test]
    fn a_suite_whose_name_begins_like_another_is_another() {
        let text = replaced(&replaced("", "scale", "## scale\n"), "scale-udp", "## scale-udp\n");
        assert_eq!(text, format!("{HEAD}\n## scale\n\n## scale-udp\n"));
    }

    #[test]
    fn the_file_is_made_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("RESULTS.md");
        let picture = || Some(crate::report::picture::Picture { title: "T".into(), panels: Vec::new() });
        for (suite, picture) in [("a", None), ("b", picture()), ("a", None)] {
            write(&path, &Page { suite, picture, ..Page::default() }).unwrap();
        }
        assert!(directory.path().join("pictures/b.svg").is_file() && !directory.path().join("pictures/a.svg").exists());
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(SECTION).count(), 2, "{text}");
    }
}
