//! The tables by host, as the k8s-app-upgrade test prints them. Changes when that form does.

use super::page::{Page, WIDTH, cut, some};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Hosts shown at most; the rest is summed up.
const SHOWN: usize = 40;

/// `Lost connections: N`, then a line a host, sorted by name. Of too many hosts those with the most
/// connections are shown.
pub fn hosts(page: &mut Page, which: &str, total: u64, hosts: &BTreeMap<String, u64>) {
    page.line(&format!("{which} connections: {total}"));
    let mut shown: Vec<(&String, u64)> = hosts.iter().map(|(host, n)| (host, *n)).collect();
    shown.sort_by_key(|(_, n)| Reverse(*n));
    let rest = shown.split_off(shown.len().min(SHOWN));
    shown.sort();
    for (host, n) in shown {
        let n = n.to_string();
        page.line(&format!("  {} {n}", cut(host, WIDTH - 3 - n.len())));
    }
    if !rest.is_empty() {
        let connections: u64 = rest.iter().map(|(_, n)| n).sum();
        let (hosts, connections) = (some(rest.len() as u64, "more host"), some(connections, "connection"));
        page.line(&format!("  … and {hosts} with {connections}"));
    }
}
