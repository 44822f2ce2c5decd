//! The k8s-app-upgrade test in small: pods end and come back in turn, under traffic, and the report must
//! tell what became of each connection. With what a user does around it: signals, expectations, the
//! journal read again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod reports;
mod roll;
mod signals;

#[path = "../cli/mod.rs"]
mod cli;
#[path = "../standin/mod.rs"]
mod standin;
#[path = "../../../tg-core/tests/support/mod.rs"]
mod support;

use cli::case::Case;
use std::process::ExitCode;
use support::Suite;

type Test = (&'static str, fn(Case));

/// What does not depend on the protocol or family: held for each engine.
const REPORTS: [Test; 8] = [
    ("text", reports::text),
    ("ctraffic", reports::ctraffic),
    ("an_expectation_that_holds", reports::expectation_holds),
    ("an_expectation_that_does_not_hold", reports::expectation_does_not_hold),
    ("monitor", signals::monitor),
    ("each_signal_ends_a_run_in_good_order", signals::in_good_order),
    ("a_second_signal_ends_it_at_once", signals::at_once),
    ("nobody_is_there_and_it_never_connects_to_itself", signals::alone),
];

fn main() -> ExitCode {
    let mut suite = Suite::default();
    for case in Case::all() {
        suite.test(format!("{case}::every_connection_is_told_of"), &case.needs(), move || roll::all_told(case));
    }
    for case in Case::all().filter(|case| !case.udp && !case.ipv6) {
        for (name, test) in REPORTS {
            suite.test(format!("{}::{name}", case.engine.name()), &case.needs(), move || test(case));
        }
    }
    suite.run()
}
