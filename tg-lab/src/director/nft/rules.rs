//! Rules as text for `nft -f`, after those of kube-proxy's nftables mode (pkg/proxy/nftables/README.md of
//! kubernetes/kubernetes): verdict maps for services, a chain each for a service and its endpoints. Pure. Changes
//! when kube-proxy's way does.

use crate::director::protocol;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use tg_model::plan::Transport;

/// How a connection's endpoint is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// At random: what kube-proxy does.
    Random,
    /// Each in turn (`numgen inc`). The turn starts anew with each change of the endpoints.
    RoundRobin,
}

/// A service on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its address.
    pub vip: SocketAddr,
    /// TCP or UDP.
    pub transport: Transport,
    /// How endpoints are chosen.
    pub spread: Spread,
    /// The node puts its own address in place of the client's.
    pub masquerade: bool,
}

const TABLE: &str = "tg-lab";

/// Words of nft that differ by IP version.
struct Words {
    family: &'static str,
    address: &'static str,
}

impl Service {
    fn words(&self) -> Words {
        match self.vip.ip() {
            IpAddr::V4(_) => Words { family: "ip", address: "ipv4_addr" },
            IpAddr::V6(_) => Words { family: "ip6", address: "ipv6_addr" },
        }
    }

    fn protocol(&self) -> &'static str {
        protocol(self.transport)
    }

    fn chain(&self) -> String {
        format!("service-{}-{}", self.protocol(), self.vip.port())
    }

    /// In a map of services.
    fn key(&self) -> String {
        format!("{} . {} . {}", self.vip.ip(), self.protocol(), self.vip.port())
    }
}

/// Names have no colons.
fn endpoint_chain(endpoint: SocketAddr) -> String {
    format!("endpoint-{}-{}", endpoint.ip().to_string().replace(':', "."), endpoint.port())
}

/// A node's table with a service that has no endpoints yet.
#[must_use]
pub fn set_up(service: &Service) -> String {
    let Words { family, address } = service.words();
    let (key, chain) = (service.key(), service.chain());
    format!(
        "table {family} {TABLE} {{
  map service-ips {{
    type {address} . inet_proto . inet_service : verdict
    elements = {{ {key} : goto {chain} }}
  }}
  map no-endpoint-services {{
    type {address} . inet_proto . inet_service : verdict
    elements = {{ {key} : goto reject-chain }}
  }}
  chain filter-forward {{
    type filter hook forward priority filter; policy accept;
    ct state new {family} daddr . meta l4proto . th dport vmap @no-endpoint-services
  }}
  chain reject-chain {{
    reject
  }}
  chain nat-prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    {family} daddr . meta l4proto . th dport vmap @service-ips
  }}
  chain nat-postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    jump masquerading
  }}
  chain mark-for-masquerade {{
    meta mark set meta mark | 0x4000
  }}
  chain masquerading {{
    meta mark & 0x4000 == 0 return
    meta mark set meta mark ^ 0x4000
    masquerade fully-random
  }}
  chain {chain} {{
  }}
}}
"
    )
}

/// The service's endpoints are these from now on, in one transaction. Connections that are there stay as they
/// are: only the first packet of a connection comes by. Chains of endpoints that are gone stay; nothing leads there.
#[must_use]
pub fn spread_over(service: &Service, endpoints: &[SocketAddr]) -> String {
    let (Words { family, .. }, chain) = (service.words(), service.chain());
    let mut text = String::new();
    let mut line = |what: &str, of: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{what} {family} {TABLE} {of}");
    };
    for endpoint in endpoints {
        let name = endpoint_chain(*endpoint);
        line("add chain", &name);
        line("flush chain", &name);
        line("add rule", &format!("{name} meta l4proto {} dnat to {endpoint}", service.protocol()));
    }
    line("flush chain", &chain);
    line("flush map", "no-endpoint-services");
    if endpoints.is_empty() {
        line("add element", &format!("no-endpoint-services {{ {} : goto reject-chain }}", service.key()));
        return text;
    }
    if service.masquerade {
        line("add rule", &format!("{chain} jump mark-for-masquerade"));
    }
    let generator = match service.spread {
        Spread::Random => "random",
        Spread::RoundRobin => "inc",
    };
    let targets: Vec<String> =
        endpoints.iter().enumerate().map(|(nth, e)| format!("{nth} : goto {}", endpoint_chain(*e))).collect();
    let count = endpoints.len();
    line("add rule", &format!("{chain} numgen {generator} mod {count} vmap {{ {} }}", targets.join(", ")));
    text
}

/// The words for `conntrack` that make it forget flows of datagrams to an endpoint that is gone: a flow that goes
/// on would keep its entry alive for ever. kube-proxy does so for UDP alone. The endpoint is told by where replies come
/// from: `--dst-nat` is passed over for IPv6 (conntrack 1.4.7), and the flows of all endpoints would go.
#[must_use]
pub fn flows_gone(service: &Service, endpoint: SocketAddr) -> Option<Vec<String>> {
    if service.transport == Transport::Tcp {
        return None;
    }
    let family = if endpoint.is_ipv4() { "ipv4" } else { "ipv6" };
    let words = format!(
        "-D -f {family} -p udp --orig-dst {} --dport {} --reply-src {}",
        service.vip.ip(),
        service.vip.port(),
        endpoint.ip()
    );
    Some(words.split(' ').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(vip: &str, spread: Spread, masquerade: bool) -> Service {
        Service { vip: vip.parse().unwrap(), transport: Transport::Tcp, spread, masquerade }
    }

    fn endpoints(all: &[&str]) -> Vec<SocketAddr> {
        all.iter().map(|e| e.parse().unwrap()).collect()
    }

    #[test]
    fn a_new_service_has_its_chain_and_refuses() {
        let text = set_up(&service("192.0.2.1:5003", Spread::Random, false));
        assert!(text.starts_with("table ip tg-lab {\n"), "{text}");
        for part in [
            "type ipv4_addr . inet_proto . inet_service : verdict\n    elements = { 192.0.2.1 . tcp . 5003 : goto service-tcp-5003 }",
            "elements = { 192.0.2.1 . tcp . 5003 : goto reject-chain }",
            "ct state new ip daddr . meta l4proto . th dport vmap @no-endpoint-services",
            "ip daddr . meta l4proto . th dport vmap @service-ips",
            "chain service-tcp-5003 {\n  }",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn endpoints_are_chosen_at_random_by_a_verdict_map() {
        let text = spread_over(
            &service("192.0.2.1:5003", Spread::Random, false),
            &endpoints(&["10.128.65.1:5003", "10.128.65.2:5003"]),
        );
        assert_eq!(
            text,
            "add chain ip tg-lab endpoint-10.128.65.1-5003
flush chain ip tg-lab endpoint-10.128.65.1-5003
add rule ip tg-lab endpoint-10.128.65.1-5003 meta l4proto tcp dnat to 10.128.65.1:5003
add chain ip tg-lab endpoint-10.128.65.2-5003
flush chain ip tg-lab endpoint-10.128.65.2-5003
add rule ip tg-lab endpoint-10.128.65.2-5003 meta l4proto tcp dnat to 10.128.65.2:5003
flush chain ip tg-lab service-tcp-5003
flush map ip tg-lab no-endpoint-services
add rule ip tg-lab service-tcp-5003 numgen random mod 2 vmap { 0 : goto endpoint-10.128.65.1-5003, 1 : goto endpoint-10.128.65.2-5003 }
"
        );
    }

    #[test]
    fn or_in_turn_and_masqueraded() {
        let text = spread_over(
            &service("[2001:db8::1]:5003", Spread::RoundRobin, true),
            &endpoints(&["[fd74:6700:0:41::1]:5003"]),
        );
        assert_eq!(
            text,
            "add chain ip6 tg-lab endpoint-fd74.6700.0.41..1-5003
flush chain ip6 tg-lab endpoint-fd74.6700.0.41..1-5003
add rule ip6 tg-lab endpoint-fd74.6700.0.41..1-5003 meta l4proto tcp dnat to [fd74:6700:0:41::1]:5003
flush chain ip6 tg-lab service-tcp-5003
flush map ip6 tg-lab no-endpoint-services
add rule ip6 tg-lab service-tcp-5003 jump mark-for-masquerade
add rule ip6 tg-lab service-tcp-5003 numgen inc mod 1 vmap { 0 : goto endpoint-fd74.6700.0.41..1-5003 }
"
        );
    }

    #[test]
    fn without_endpoints_connections_are_refused() {
        let text = spread_over(&service("192.0.2.1:5003", Spread::RoundRobin, true), &[]);
        assert_eq!(
            text,
            "flush chain ip tg-lab service-tcp-5003
flush map ip tg-lab no-endpoint-services
add element ip tg-lab no-endpoint-services { 192.0.2.1 . tcp . 5003 : goto reject-chain }
"
        );
    }

    #[test]
    fn only_flows_of_datagrams_are_forgotten() {
        let tcp = service("192.0.2.1:5003", Spread::Random, false);
        let gone: SocketAddr = "10.128.65.1:5003".parse().unwrap();
        assert_eq!(flows_gone(&tcp, gone), None);
        let words = flows_gone(&Service { transport: Transport::Udp, ..tcp }, gone).unwrap().join(" ");
        assert_eq!(words, "-D -f ipv4 -p udp --orig-dst 192.0.2.1 --dport 5003 --reply-src 10.128.65.1");
        let vip = "[2001:db8::1]:5003".parse().unwrap();
        let gone = "[fd74:6700:0:41::1]:5003".parse().unwrap();
        let words = flows_gone(&Service { vip, transport: Transport::Udp, ..tcp }, gone).unwrap().join(" ");
        assert_eq!(words, "-D -f ipv6 -p udp --orig-dst 2001:db8::1 --dport 5003 --reply-src fd74:6700:0:41::1");
    }
}
