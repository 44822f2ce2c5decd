//! tg against stand-ins for ctraffic's server and client, which were written from ctraffic's description
//! alone: what the two sides say of the same traffic must be the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod client;
mod server;

#[path = "../cli/mod.rs"]
mod cli;
#[path = "../standin/mod.rs"]
mod standin;
#[path = "../../../tg-core/tests/support/mod.rs"]
mod support;

use cli::case::{Case, Engine};
use standin::server::Stop;
use std::process::ExitCode;
use support::Suite;

type Test = (&'static str, fn(Case));

/// Of either protocol.
const CLIENT: [Test; 2] =
    [("all_is_echoed", client::all_is_echoed), ("closed_loop_as_fast_as_it_goes", client::closed_loop)];
const CLIENT_TCP: [Test; 4] = [
    ("server_restarted_after_fins", |case| client::restarted(case, Stop::Fin)),
    ("server_restarted_after_resets", |case| client::restarted(case, Stop::Reset)),
    ("reset_again_and_again", client::reset_again_and_again),
    ("closed_again_and_again", client::closed_again_and_again),
];
const CLIENT_UDP: [Test; 1] = [("server_restarted", client::flows_restarted)];

/// Of either protocol.
const SERVER: [Test; 4] = [
    ("each_echo_is_right", server::each_echo_is_right),
    ("ends_as_a_process_that_dies", server::close),
    ("restarted_at_its_port", server::restarted),
    ("waits_no_longer_after_a_second_signal", server::wait_is_cut_short),
];
const SERVER_TCP: [Test; 3] = [
    ("ends_by_resets", server::reset),
    ("serves_those_who_are_there", server::wait),
    ("waits_no_longer_than_it_was_told_to", server::wait_is_over),
];

fn main() -> ExitCode {
    let mut suite = Suite::default();
    for case in Case::all() {
        let of_protocol = if case.udp { &CLIENT_UDP[..] } else { &CLIENT_TCP[..] };
        for (name, test) in CLIENT.iter().chain(of_protocol).copied() {
            suite.test(format!("client::{case}::{name}"), &case.needs(), move || test(case));
        }
        if case.udp && case.engine == Engine::Uring {
            // `serve` has no such engine.
            continue;
        }
        let of_protocol = if case.udp { &[][..] } else { &SERVER_TCP[..] };
        for (name, test) in SERVER.iter().chain(of_protocol).copied() {
            suite.test(format!("server::{case}::{name}"), &case.needs(), move || test(case));
        }
    }
    suite.run()
}
