//! The report for people: 80 columns, first the tables that the k8s-app-upgrade test knows, then why,
//! how long, how fast, and what one would ask next. Changes when the order of its parts does.

mod hosts;
mod next;
mod page;
mod tables;
mod warnings;

#[cfg(test)]
mod tests;

pub use hosts::hosts;
pub use next::Kept;
pub use page::{Page, cut, some};

use crate::span;
use tg_model::plan::{Mode, Transport};
use tg_model::summary::Summary;

/// The report. `kept`: where its journal is.
pub fn text(summary: &Summary, kept: &Kept) -> String {
    text_with(summary, kept, |_| {})
}

/// As [`text`], with more after the tables by host.
pub fn text_with(summary: &Summary, kept: &Kept, more: impl FnOnce(&mut Page)) -> String {
    let mut page = Page::default();
    warnings::warnings(&mut page, summary);
    hosts(&mut page, "Lost", summary.lost, &summary.hosts.lost);
    hosts(&mut page, "Lasting", summary.lasting, &summary.hosts.lasting);
    more(&mut page);
    tables::ends(&mut page, summary);
    tables::attempts(&mut page, summary);
    tables::outages(&mut page, summary);
    tables::spreads(&mut page, summary);
    tables::packets(&mut page, summary);
    page.line("");
    about(&mut page, summary);
    next::next(&mut page, summary, kept);
    page.finish()
}

/// What ran.
fn about(page: &mut Page, s: &Summary) {
    let plan = &s.plan;
    let rate = match (plan.rate_per_connection, plan.rate_total) {
        (Some(each), Some(all)) => format!("{} packets/s each ({} in all)", number(each), number(all)),
        _ => "as fast as echoes return".to_owned(),
    };
    let transport = match plan.transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    };
    let mode = match plan.mode {
        Mode::OpenLoop => "open loop",
        Mode::ClosedLoop => "closed loop",
    };
    let note = s.engine_note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
    let cpu = s.cpu_us_per_packet.map_or(String::new(), |us| format!(", {us:.1} µs of CPU a packet"));
    page.wrapped(
        "",
        &format!(
            "Run: {}, {rate}, {} bytes, {transport}, {mode}, {}, engine {}{note}{cpu}, from {}, tg {}",
            some(plan.conns.into(), "connection"),
            plan.size,
            span::show(s.duration_ns),
            s.engine,
            s.started.get(..19).map_or_else(|| s.started.clone(), |t| format!("{t}Z")),
            s.tg_version,
        ),
    );
    match plan.targets.as_slice() {
        [] => {}
        [one] => page.wrapped("", &format!("To {one}")),
        [first, others @ ..] => page.wrapped("", &format!("To {first} and {} more, in turn", others.len())),
    }
}

/// A rate without decimals that say nothing.
fn number(rate: f64) -> String {
    let text = format!("{rate:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
