//! What was found, for people: each line with what to change. Changes when advice does.

use super::{Descriptors, Findings};
use crate::report::Page;
use crate::span::show;

pub(super) fn text(f: &Findings) -> String {
    let mut page = Page::default();
    let mut tell = |name: &str, said: String| page.hanging(&format!("{name:<14} "), 15, &said);
    tell(
        "io_uring",
        match &f.uring_refused {
            None => "may be used: --engine auto takes it".into(),
            Some(why) => format!(
                "cannot be used here: {why}. --engine auto takes epoll. In a container, its seccomp profile must \
                 admit io_uring; on the host, `sysctl kernel.io_uring_disabled` must be 0"
            ),
        },
    );
    tell("epoll", "may be used".into());
    tell("open files", descriptors(&f.descriptors));
    tell(
        "clock",
        match (&f.clock.source, f.clock.fast) {
            (None, _) => "the kernel does not say which it uses".into(),
            (Some(source), true) => format!("{source}: read without a system call"),
            (Some(source), false) => format!(
                "{source}: each reading is a system call, which costs precision at high rates; `tsc`, where the \
                 machine has it, is faster (/sys/devices/system/clocksource/clocksource0)"
            ),
        },
    );
    tell(
        "waking up",
        match (&f.wake_up, &f.wake_up_error) {
            (Some(w), _) => format!(
                "late by {} (median), {} (p90), {} (max) with {}: with packets 1 ms or more apart, \
                 --spin auto waits busily for {} before each, after a short sleep",
                show(w.p50_ns),
                show(w.p90_ns),
                show(w.max_ns),
                w.engine,
                show(w.suggested_spin_ns)
            ),
            (None, why) => format!("could not be measured: {}", why.as_deref().unwrap_or("no reason")),
        },
    );
    tell(
        "--realtime",
        match &f.realtime_refused {
            None => "is allowed".into(),
            Some(why) => format!(
                "is refused: {why}. It needs root, or CAP_SYS_NICE (`setcap cap_sys_nice+ep` on the binary), or an \
                 RLIMIT_RTPRIO of 10 or more (`ulimit -r`)"
            ),
        },
    );
    page.finish()
}

fn descriptors(d: &Descriptors) -> String {
    let (needed, conns) = (d.needed, d.conns);
    let need = format!("{needed} are needed for {conns} connections");
    match (d.soft, d.hard) {
        (Some(soft), Some(hard)) if d.enough => {
            let raised = if needed > soft { "; a run raises the soft limit itself" } else { "" };
            format!("{soft} may be open, {hard} at most; {need}{raised}")
        }
        (_, Some(hard)) => format!(
            "{hard} may be open at most; {need}: run `ulimit -n {needed}` first (as root, or after raising the hard \
             limit), or take fewer connections"
        ),
        _ => format!("the kernel does not tell the limit; {need}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Clock, WakeUp};
    use super::*;

    fn findings() -> Findings {
        Findings {
            engine: "uring",
            uring_refused: None,
            descriptors: Descriptors { conns: 80, needed: 192, soft: Some(1024), hard: Some(4096), enough: true },
            clock: Clock { source: Some("tsc".into()), fast: true },
            wake_up: Some(WakeUp {
                engine: "uring",
                p50_ns: 4_000,
                p90_ns: 9_000,
                max_ns: 60_000,
                suggested_spin_ns: 9_000,
            }),
            wake_up_error: None,
            realtime_refused: None,
        }
    }

    #[test]
    fn a_good_machine() {
        let want = "\
io_uring       may be used: --engine auto takes it
epoll          may be used
open files     1024 may be open, 4096 at most; 192 are needed for 80 connections
clock          tsc: read without a system call
waking up      late by 4 µs (median), 9 µs (p90), 60 µs (max) with uring: with
               packets 1 ms or more apart, --spin auto waits busily for 9 µs
               before each, after a short sleep
--realtime     is allowed
";
        assert_eq!(text(&findings()), want);
    }

    #[test]
    fn what_is_not_to_be_had_comes_with_what_to_change() {
        let f = Findings {
            uring_refused: Some("io_uring_setup: Operation not permitted".into()),
            descriptors: Descriptors { needed: 9000, enough: false, ..findings().descriptors },
            clock: Clock { source: Some("hpet".into()), fast: false },
            wake_up: None,
            wake_up_error: Some("no timer".into()),
            realtime_refused: Some("Operation not permitted (os error 1)".into()),
            ..findings()
        };
        let text = text(&f);
        for word in ["seccomp", "ulimit -n 9000", "hpet", "no timer", "cap_sys_nice"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    }
}
