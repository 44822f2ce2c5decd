//! `doctor`: what this machine gives a run. Changes when something else is measured.

mod text;

use crate::exit::Problem;
use crate::output;
use crate::report::json;
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
        Format::Text => output::stdout(text::text(&findings).as_bytes()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_clock_is_told_from_a_fast_one() {
        assert!(is_fast("tsc") && is_fast("kvm-clock") && is_fast("arch_sys_counter"));
        assert!(!is_fast("hpet") && !is_fast("acpi_pm") && !is_fast("xen"));
    }
}
