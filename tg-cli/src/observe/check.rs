//! `--check`, and what to do where the observer cannot start. Changes when that advice does.

use crate::exit::Problem;
use crate::output;
use crate::report::Page;
use tg_ebpf::kernel::{Finding, ObserveError, findings};

/// Tells what this host gives; an error where nothing could be observed.
pub fn check() -> Result<(), Problem> {
    let findings = findings();
    output::stdout(page(&findings).as_bytes())?;
    if findings.iter().any(|f| f.needed) { Err(Problem::Told) } else { Ok(()) }
}

fn page(findings: &[Finding]) -> String {
    let mut page = Page::default();
    for f in findings {
        let said = match &f.change {
            None => f.found.clone(),
            Some(change) if f.needed => format!("{}. NEEDED: {change}", f.found),
            Some(change) => format!("{}. Better: {change}", f.found),
        };
        page.hanging(&format!("{:<16} ", f.about), 17, &said);
    }
    page.finish()
}

/// The error, with what this host lacks.
pub fn explain(error: &ObserveError) -> Problem {
    let lacks: Vec<String> = findings().into_iter().filter(|f| f.needed).filter_map(|f| f.change).collect();
    match lacks.as_slice() {
        [] => Problem::Failed(anyhow::anyhow!("{error}")),
        lacks => {
            Problem::Failed(anyhow::anyhow!("{error}; {} (`tg-cli observe --check` tells more)", lacks.join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_stands_out() {
        let of = |needed| Finding { about: "BTF", found: "none".into(), change: Some("rebuild".into()), needed };
        assert_eq!(page(&[of(true)]), "BTF              none. NEEDED: rebuild\n");
        assert_eq!(page(&[of(false)]), "BTF              none. Better: rebuild\n");
    }
}
