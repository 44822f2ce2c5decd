//! Why connections were lost, for people: perfect against observed, sentences, then the tables. Changes when the
//! order of these parts does.

use super::tables;
use crate::report::text::Page;
use tg_model::verdict::{Grade, LossTotals, RunVerdict};

/// Puts the section on a page.
pub fn section(page: &mut Page, v: &RunVerdict) {
    brief(page, v);
    tables::causes(page, "What went wrong without a loss", &v.troubles_by);
    tables::example(page, v);
    tables::pods(page, &v.pods);
    tables::conformance(page, &v.conformance);
    tables::service(page, &v.service);
    tables::effects(page, &v.effects);
    tables::evidence(page, v);
}

/// What there is to know first.
pub fn brief(page: &mut Page, v: &RunVerdict) {
    page.line("");
    page.wrapped("", &against_perfect(&v.totals));
    v.sentences.iter().for_each(|s| page.wrapped("", s));
    v.notes.iter().for_each(|n| page.wrapped("", &format!("! {n}")));
    tables::causes(page, "What ended them", &v.ended_by);
    tables::causes(page, "What had put them there", &v.placed_by);
}

/// `80 lost is perfect; 118 were; 38 more, of which 36 avoidable`, and how sure that is.
pub fn against_perfect(t: &LossTotals) -> String {
    let observed = match (t.perfect, t.more) {
        (Some(perfect), Some(0)) if perfect == t.lost => format!("{perfect} lost is perfect; {} were", t.lost),
        (Some(perfect), Some(more)) => {
            let unknown = if t.not_known > 0 { format!(", {} not known", t.not_known) } else { String::new() };
            format!(
                "{perfect} lost is perfect; {} were; {more} more, of which {} avoidable{unknown}",
                t.lost, t.avoidable
            )
        }
        _ => format!("{} lost; how many of them were perfect is not known", t.lost),
    };
    if t.lost == 0 {
        return observed + ".";
    }
    let graded =
        [(Grade::Confirmed, t.confirmed), (Grade::Suspected, t.suspected), (Grade::Unattributed, t.unattributed)];
    let graded = graded.iter().filter(|(_, n)| *n > 0).map(|(grade, n)| format!("{n} {grade}"));
    format!("{observed}. What ended them: {}.", graded.collect::<Vec<_>>().join(", "))
}
