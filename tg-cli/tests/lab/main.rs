//! `tg-cli lab` as a user has it, without privileges: real pods, a real upgrade, in small. What is asserted is what was
//! lost and told, never how long it took.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cleanup;
mod embedded;
mod faults;
mod journals;
mod tables;
mod truth;
mod usage;

#[path = "../cli/mod.rs"]
mod cli;
#[path = "../../../tg-core/tests/support/mod.rs"]
mod support;

use cli::process::{Finished, Process};
use std::process::ExitCode;
use support::{Capability, Suite};

/// Pods that are ready soon and gone soon, a time-out that no busy machine reaches, and time enough for an echo on
/// each connection before the upgrade and after it, or nobody knows which pod it had.
const SMALL: [&str; 16] = [
    "--replicas",
    "4",
    "--conns",
    "16",
    "--ready",
    "400ms",
    "--min-ready",
    "0",
    "--prestop",
    "300ms",
    "--settle",
    "2s",
    "--response-timeout",
    "1h",
    "--seed",
    "7",
];

/// `lab`, small, with more options; they stand in place of its own.
fn words<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let small = SMALL.chunks(2).filter(|pair| !more.contains(&pair[0])).flatten();
    ["lab"].iter().chain(small).chain(more).copied().collect()
}

fn start(more: &[&str]) -> Process {
    Process::start(&words(more))
}

/// The same, to its end in good order.
fn lab(more: &[&str]) -> Finished {
    start(more).finish().with(0)
}

/// Of a table of the report: the total, and each host's number.
fn table(text: &str, which: &str) -> (u64, Vec<(String, u64)>) {
    let title = format!("{which} connections: ");
    let mut lines = text.lines().skip_while(|l| !l.starts_with(&title));
    let total = lines.next().unwrap_or_else(|| panic!("no `{title}` in {text}"))[title.len()..].parse().unwrap();
    let host = |line: &str| {
        let (host, number) = line.trim().rsplit_once(' ').unwrap();
        (host.to_owned(), number.parse().unwrap())
    };
    (total, lines.take_while(|l| l.starts_with("  ")).map(host).collect())
}

fn main() -> ExitCode {
    // They wait more than they work.
    let mut suite = Suite::waiting(4);
    let mut add = |name: &str, needs: &[Capability], test: fn()| suite.test(name.into(), needs, test);
    add("lc_loses_each_connection_once", &[], tables::lc);
    add("rr_loses_more_and_the_last_pod_the_most", &[], tables::rr);
    add("ipv6_is_the_same", &[Capability::Ipv6], tables::ipv6);
    add("both_families_are_told_apart_and_together", &[Capability::Ipv6], tables::both);
    add("udp_flows_move_to_the_new_pods", &[], tables::udp);
    add("each_node_counts_on_its_own", &[], tables::nodes);
    add("max_unavailable_and_max_surge", &[], tables::several_at_once);
    add("what_pods_lose_after_the_upgrade_is_complete_is_expected", &[], tables::last_hook);
    add("an_expectation_that_does_not_hold_is_exit_code_3", &[], tables::expectation);
    add("journals_hang_together", &[], journals::hang_together);
    add("every_lost_connection_has_its_decision", &[], journals::decisions);
    add("a_killed_pod_is_started_again", &[], faults::pod_kill);
    add("a_frozen_pod_is_killed_after_its_grace", &[], faults::pod_freeze);
    add("a_reset_storm_hits_one_pod", &[], faults::reset_storm);
    add("a_blackhole_is_found_by_the_response_timeout", &[], faults::pod_blackhole);
    add("a_director_that_hears_late_sends_to_pods_that_are_gone", &[], faults::endpoint_lag);
    add("what_is_confirmed_is_the_truth", &[], truth::verdicts_agree);
    add("nothing_is_left_after_it", &[], cleanup::after_success);
    add("sigint_ends_it_in_good_order_and_leaves_nothing", &[], cleanup::after_signal);
    add("kill_9_leaves_no_process_and_the_next_start_no_folder", &[], cleanup::after_kill);
    add("labs_run_beside_each_other", &[], cleanup::beside_each_other);
    add("a_pod_that_cannot_start_fails_the_lab", &[], embedded::broken_program);
    add("the_library_runs_it_and_tells_how_it_goes", &[], embedded::library);
    add("what_cannot_be_is_a_usage_error", &[], usage::refused);
    suite.run()
}
