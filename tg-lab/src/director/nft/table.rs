//! Reads `/proc/net/nf_conntrack` (`ct_seq_show` of net/netfilter/nf_conntrack_standalone.c): how many connections
//! of a service each pod has. Pure. Changes when that form does.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Connections to `vip` that are up, by the pod that they were sent to. Lines of another form are passed over.
#[must_use]
pub fn connections(table: &str, vip: SocketAddr) -> BTreeMap<SocketAddr, u64> {
    let mut connections = BTreeMap::new();
    for pod in table.lines().filter_map(|line| pod(line, vip)) {
        *connections.entry(pod).or_default() += 1;
    }
    connections
}

/// `ipv4 2 tcp 6 86398 ESTABLISHED src=CLIENT dst=VIP sport=P dport=P src=POD dst=CLIENT sport=P dport=P …`; a flow
/// of datagrams has no state.
fn pod(line: &str, vip: SocketAddr) -> Option<SocketAddr> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let up = match *words.get(2)? {
        "tcp" => words.get(5) == Some(&"ESTABLISHED"),
        "udp" => true,
        _ => false,
    };
    let nth = |key: &str, nth: usize| words.iter().filter_map(|word| word.strip_prefix(key)).nth(nth);
    let address = |ip: &str, port: &str, which| -> Option<SocketAddr> {
        let ip: IpAddr = nth(ip, which)?.parse().ok()?;
        Some(SocketAddr::new(ip, nth(port, which)?.parse().ok()?))
    };
    (up && address("dst=", "dport=", 0)? == vip).then(|| address("src=", "sport=", 1))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn connections_of_the_service_that_are_up_are_counted_by_pod() {
        let table = "\
ipv4     2 tcp      6 86398 ESTABLISHED src=10.128.0.2 dst=192.0.2.1 sport=4 dport=5003 src=10.128.65.1 dst=10.128.0.2 sport=5003 dport=4 [ASSURED] mark=0 use=2
ipv4     2 tcp      6 86398 ESTABLISHED src=10.128.0.2 dst=192.0.2.1 sport=5 dport=5003 src=10.128.65.1 dst=10.128.1.2 sport=5003 dport=5 [ASSURED] mark=0 use=2
ipv4     2 tcp      6 117 TIME_WAIT src=10.128.0.2 dst=192.0.2.1 sport=6 dport=5003 src=10.128.65.1 dst=10.128.0.2 sport=5003 dport=6 [ASSURED] mark=0 use=2
ipv4     2 udp      17 29 src=10.128.0.2 dst=192.0.2.1 sport=7 dport=5003 src=10.128.65.2 dst=10.128.0.2 sport=5003 dport=7 mark=0 use=2
ipv4     2 tcp      6 86398 ESTABLISHED src=10.128.0.2 dst=192.0.2.1 sport=8 dport=80 src=10.128.65.1 dst=10.128.0.2 sport=80 dport=8 [ASSURED] mark=0 use=2
ipv6     10 tcp      6 9 ESTABLISHED src=fd74::2 dst=2001:db8::1 sport=9 dport=5003 src=fd74::9 dst=fd74::2 sport=5003 dport=9 mark=0 use=2
";
        let of = |vip: &str| -> Vec<(String, u64)> {
            connections(table, vip.parse().unwrap()).into_iter().map(|(pod, n)| (pod.to_string(), n)).collect()
        };
        assert_eq!(of("192.0.2.1:5003"), [("10.128.65.1:5003".into(), 2), ("10.128.65.2:5003".into(), 1)]);
        assert_eq!(of("[2001:db8::1]:5003"), [("[fd74::9]:5003".into(), 1)]);
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(ipv4 2 (tcp|udp) 6 9 ESTABLISHED )?((src|dst|sport|dport)=[0-9a-f:.]{0,9} ){0,9}\\PC{0,9}") {
            let _ = connections(&text, SocketAddr::from(([192, 0, 2, 1], 1)));
        }
    }
}
