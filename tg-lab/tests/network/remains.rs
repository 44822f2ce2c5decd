//! What stays of a network: nothing.

use crate::reach::network;
use crate::support::alone;
use crate::support::{Capability, Suite};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const NEEDS: [Capability; 2] = [Capability::Netns, Capability::Root];
/// Set in a process of this binary that only builds a network, says its number, and waits.
const CHILD: &str = "TG_LAB_NETWORK_CHILD";

pub fn add(suite: &mut Suite) {
    let tests: [(&str, fn()); 3] = [
        ("nothing_is_left_of_one_that_ended", nothing_is_left_of_one_that_ended),
        ("two_side_by_side_have_nothing_in_common", two_side_by_side_have_nothing_in_common),
        ("the_next_start_removes_what_a_killed_one_left", the_next_start_removes_what_a_killed_one_left),
    ];
    for (name, body) in tests {
        suite.test(format!("remains::{name}"), &NEEDS, alone(body));
    }
}

/// The whole life of such a process; `None` in others.
pub fn as_child() -> Option<ExitCode> {
    std::env::var_os(CHILD)?;
    let mut network = network(1);
    let pod = network.add_pod("pod", 1).unwrap();
    // It would outlive the lab: only the namespace tells whose it is.
    let sleeper = tg_lab::network::within(&pod.netns, || Command::new("sleep").arg("1000000").spawn().unwrap());
    println!("{} {}", network.number(), sleeper.unwrap().id());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().lines().next();
    Some(ExitCode::SUCCESS)
}

/// A lab's network in a process of its own.
struct Other {
    child: Child,
    number: u8,
    sleeper: u32,
}

impl Other {
    fn start() -> Other {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.env(CHILD, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (number, sleeper) = line.trim().split_once(' ').unwrap();
        Other { child, number: number.parse().unwrap(), sleeper: sleeper.parse().unwrap() }
    }
}

/// Namespaces of a lab of this number.
fn namespaces(number: u8) -> Vec<String> {
    let prefix = format!("tg-lab-{number}-");
    let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = names.map(|e| e.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(&prefix)).collect()
}

fn lives(pid: u32) -> bool {
    // A killed process that nobody waited for is not there any more, but for its number.
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// It has no namespace any more, so no sockets; what the kernel does after that until it is a zombie may take it a
/// moment.
fn is_gone(pid: u32) -> bool {
    assert!(std::fs::read_link(format!("/proc/{pid}/ns/net")).is_err(), "{pid} is in its namespace");
    let until = Instant::now() + Duration::from_secs(10);
    while lives(pid) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    !lives(pid)
}

fn nothing_is_left_of_one_that_ended() {
    let mut other = Other::start();
    assert_eq!(namespaces(other.number).len(), 4, "client, router, node, pod");
    assert!(lives(other.sleeper));
    drop(other.child.stdin.take());
    assert!(other.child.wait().unwrap().success());
    assert_eq!(namespaces(other.number), [""; 0]);
    assert!(is_gone(other.sleeper));
}

fn two_side_by_side_have_nothing_in_common() {
    let (a, b) = (network(1), network(1));
    assert_ne!(a.number(), b.number());
    let number = a.number();
    drop(a);
    assert_eq!(namespaces(number), [""; 0]);
    assert_eq!(namespaces(b.number()).len(), 3, "client, router, node");
}

fn the_next_start_removes_what_a_killed_one_left() {
    let mut other = Other::start();
    other.child.kill().unwrap();
    other.child.wait().unwrap();
    assert_eq!(namespaces(other.number).len(), 4);
    assert!(lives(other.sleeper));
    let new = network(1);
    assert!(Path::new("/run/netns").join(new.client().name()).exists());
    assert_eq!(new.number(), other.number, "the number is free again");
    assert_eq!(namespaces(other.number).len(), 3, "client, router, node");
    assert!(is_gone(other.sleeper));
}
