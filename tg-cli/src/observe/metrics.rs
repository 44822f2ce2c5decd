//! `/metrics`, in Prometheus' text form. Changes when a figure is added.

use std::collections::BTreeMap;
use std::fmt::Write;
use tg_ebpf::kernel::Figures;

/// All of it.
pub fn text(figures: &BTreeMap<&'static str, Figures>, lines: u64) -> String {
    let mut out = String::new();
    let mut family = |name: &str, help: &str, value: &dyn Fn(&Figures) -> String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter");
        for (program, its) in figures {
            let _ = writeln!(out, "{name}{{program=\"{program}\"}} {}", value(its));
        }
    };
    family("tg_observer_events_total", "Events recorded.", &|f| f.events.to_string());
    family("tg_observer_lost_total", "Events known to be lost.", &|f| f.lost.to_string());
    family(
        "tg_observer_missed_total",
        "Runs that the kernel left out: the program was running. Of kprobes it counts them from Linux 6.7 on.",
        &|f| f.kernel.missed.to_string(),
    );
    family("tg_observer_runs_total", "Runs; with --run-time.", &|f| f.kernel.run_count.to_string());
    family("tg_observer_run_seconds_total", "Time in the program; with --run-time.", &|f| {
        format!("{:.9}", f.kernel.run_time_ns as f64 / 1e9)
    });
    let name = "tg_observer_lines_total";
    let _ = writeln!(out, "# HELP {name} Lines of the journal.\n# TYPE {name} counter\n{name} {lines}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_of_each_program() {
        let figures = [("drop", Figures { events: 3, lost: 1, ..Figures::default() })].into();
        let text = text(&figures, 9);
        for line in [
            "tg_observer_events_total{program=\"drop\"} 3",
            "tg_observer_lost_total{program=\"drop\"} 1",
            "tg_observer_run_seconds_total{program=\"drop\"} 0.000000000",
            "# TYPE tg_observer_lost_total counter",
            "tg_observer_lines_total 9",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
    }
}
