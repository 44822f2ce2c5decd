//! `doctor`: what this machine gives a run, and what to change. Changes when something else is measured.

use crate::exit::Problem;
use crate::output;
use crate::report::{Page, json};
use crate::span::show;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tg_core::doctor as core;
use tg_model::plan::{EngineChoice, Plan, PlanSpec, Target};

const EXAMPLES: &str = "\
Examples:
  tg-cli doctor
  tg-cli doctor --conns 50000           is there room for so many?
  tg-cli doctor --format json | jq .wake_up";

/// Tell what this machine can do, and what to change
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Connections of the plan in mind
    #[arg(short, long, value_name = "N", default_value_t = 80)]
    conns: u32,
    /// Its threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: u32,
    /// Form of the report on stdout
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, 80 columns
    Text,
    /// One JSON object
    Json,
}

/// What was found. A part that could not be found out holds the reason instead.
#[derive(Debug, Serialize)]
struct Findings {
    /// What `--engine auto` takes.
    engine: &'static str,
    /// Why it is not io_uring.
    uring_refused: Option<String>,
    descriptors: Descriptors,
    clock: Clock,
    wake_up: Option<WakeUp>,
    wake_up_error: Option<String>,
    /// Why `--realtime` would be refused.
    realtime_refused: Option<String>,
}

#[derive(Debug, Serialize)]
struct Descriptors {
    conns: u32,
    needed: u64,
    soft: Option<u64>,
    hard: Option<u64>,
    enough: bool,
}

#[derive(Debug, Serialize)]
struct Clock {
    source: Option<String>,
    /// Read without a system call.
    fast: bool,
}

#[derive(Debug, Serialize)]
struct WakeUp {
    engine: &'static str,
    p50_ns: u64,
    p90_ns: u64,
    max_ns: u64,
    suggested_spin_ns: u64,
}

pub fn doctor(args: &DoctorArgs) -> Result<(), Problem> {
    let findings = find(args)?;
    match args.format {
        Format::Text => output::stdout(text(&findings).as_bytes()),
        Format::Json => output::stdout(&json(&findings)),
    }
}

fn find(args: &DoctorArgs) -> Result<Findings, Problem> {
    let target: Target = std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into();
    let spec = PlanSpec { conns: args.conns, threads: args.threads, in_flight: 1, ..PlanSpec::new([target]) };
    let spec = PlanSpec { rate: tg_model::plan::Rate::Total(f64::from(args.conns)), ..spec };
    let plan = Plan::try_from(spec).map_err(Problem::usage)?;
    let limits = core::descriptor_limit().ok();
    let needed = plan.descriptors();
    let source = Some(core::clock_source()).filter(|s| !s.is_empty());
    let (wake_up, wake_up_error) = match core::wake_up_error(EngineChoice::Auto) {
        Ok((engine, w)) => {
            let (p50_ns, p90_ns, max_ns) = (w.p50_ns, w.p90_ns, w.max_ns);
            (Some(WakeUp { engine, p50_ns, p90_ns, max_ns, suggested_spin_ns: w.suggested_spin_ns }), None)
        }
        Err(error) => (None, Some(error.to_string())),
    };
    let uring_refused = core::probe_uring().err();
    Ok(Findings {
        engine: if uring_refused.is_none() { "uring" } else { "epoll" },
        uring_refused,
        descriptors: Descriptors {
            conns: args.conns,
            needed,
            soft: limits.map(|l| l.0),
            hard: limits.map(|l| l.1),
            enough: limits.is_none_or(|(_, hard)| hard >= needed),
        },
        clock: Clock { fast: source.as_deref().is_none_or(is_fast), source },
        wake_up,
        wake_up_error,
        realtime_refused: core::realtime().err().map(|e| e.to_string()),
    })
}

/// Clock sources that the vDSO reads (arch/x86/include/asm/vdso/clocksource.h; arm64's counter).
fn is_fast(source: &str) -> bool {
    matches!(source, "tsc" | "kvm-clock" | "hyperv_clocksource_tsc_page" | "arch_sys_counter")
}

fn text(f: &Findings) -> String {
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
                "late by {} (median), {} (p90), {} (max) with {}: --spin auto waits busily for {} before a packet is \
                 due",
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
waking up      late by 4 µs (median), 9 µs (p90), 60 µs (max) with uring: --spin
               auto waits busily for 9 µs before a packet is due
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

    #[test]
    fn a_slow_clock_is_told_from_a_fast_one() {
        assert!(is_fast("tsc") && is_fast("kvm-clock") && is_fast("arch_sys_counter"));
        assert!(!is_fast("hpet") && !is_fast("acpi_pm") && !is_fast("xen"));
    }
}
