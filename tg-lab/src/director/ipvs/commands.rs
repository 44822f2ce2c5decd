//! What a node's IPVS is told, as steps, and as text for `ipvsadm -R` and `nft -f`, after kube-proxy's
//! (pkg/proxy/ipvs/proxier.go of kubernetes/kubernetes). Pure. Changes when kube-proxy's way does.

use crate::director::protocol;
use crate::network::{Scope, Step};
use std::net::SocketAddr;
use tg_model::plan::Transport;

/// A virtual service on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its address.
    pub vip: SocketAddr,
    /// TCP or UDP.
    pub transport: Transport,
    /// As the kernel calls it: `rr`, `lc` …
    pub scheduler: &'static str,
}

impl Service {
    /// As ipvsadm has it.
    fn words(&self) -> String {
        let flag = match self.transport {
            Transport::Tcp => "-t",
            Transport::Udp => "-u",
        };
        format!("{flag} {}", self.vip)
    }
}

/// A change to a service's destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A new one takes connections.
    Add(SocketAddr),
    /// It has this weight from now on: 0 takes no new connection, those that it has stay.
    Weigh(SocketAddr, u32),
    /// It is gone.
    Delete(SocketAddr),
}

/// Where kube-proxy puts the services' addresses.
pub const DEVICE: &str = "kube-ipvs0";

/// The device that makes the services' addresses the node's own. Up, other than kube-proxy's: addresses of IPv6
/// come with it only then.
pub(crate) fn device(vips: &[SocketAddr]) -> Vec<Step> {
    let address = |vip: &SocketAddr| Step::Address {
        address: vip.ip(),
        bits: if vip.is_ipv4() { 32 } else { 128 },
        link: DEVICE.into(),
        scope: Scope::Global,
    };
    let mut steps = vec![Step::Dummy { link: DEVICE.into() }];
    steps.extend(vips.iter().map(address));
    steps.push(Step::Set { link: DEVICE.into(), up: true });
    steps
}

/// Below `/proc/sys`. kube-proxy leaves `conn_reuse_mode` at the kernel's 1 since 5.9.
#[must_use]
pub fn kernel_settings(expire_nodest: bool) -> [(&'static str, &'static str); 4] {
    [
        ("net/ipv4/vs/conntrack", "1"),
        ("net/ipv4/vs/conn_reuse_mode", "1"),
        ("net/ipv4/vs/expire_nodest_conn", if expire_nodest { "1" } else { "0" }),
        ("net/ipv4/vs/expire_quiescent_template", "1"),
    ]
}

/// For `nft -f`: the node's address in place of the client's, where that is wanted. A chain is there in any case:
/// without a rule of NAT conntrack tracks nothing, and kube-proxy always has some.
#[must_use]
pub fn masquerading(service: &Service, masquerade: bool) -> String {
    let family = if service.vip.is_ipv4() { "ip" } else { "ip6" };
    let protocol = protocol(service.transport);
    let (address, port) = (service.vip.ip(), service.vip.port());
    let mark = if masquerade {
        format!("{family} daddr {address} {protocol} dport {port} meta mark set 0x4000")
    } else {
        String::new()
    };
    format!(
        "table {family} tg-lab {{
  chain nat-prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    {mark}
  }}
  chain nat-postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & 0x4000 == 0 return
    meta mark set meta mark ^ 0x4000
    masquerade fully-random
  }}
}}
"
    )
}

/// For `ipvsadm -R`: the service, without destinations.
#[must_use]
pub fn set_up(service: &Service) -> String {
    format!("-A {} -s {}\n", service.words(), service.scheduler)
}

/// For `ipvsadm -R`: these changes.
#[must_use]
pub fn text(service: &Service, commands: &[Command]) -> String {
    let of = service.words();
    let lines = commands.iter().map(|command| match command {
        Command::Add(to) => format!("-a {of} -r {to} -m -w 1\n"),
        Command::Weigh(to, weight) => format!("-e {of} -r {to} -m -w {weight}\n"),
        Command::Delete(to) => format!("-d {of} -r {to}\n"),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(vip: &str) -> Service {
        Service { vip: vip.parse().unwrap(), transport: Transport::Tcp, scheduler: "lc" }
    }

    #[test]
    fn destinations_are_reached_by_nat() {
        let to = "10.128.65.1:5003".parse().unwrap();
        let v4 = service("192.0.2.1:5003");
        let commands = [Command::Add(to), Command::Weigh(to, 0), Command::Delete(to)];
        assert_eq!(
            set_up(&v4) + &text(&v4, &commands),
            "-A -t 192.0.2.1:5003 -s lc
-a -t 192.0.2.1:5003 -r 10.128.65.1:5003 -m -w 1
-e -t 192.0.2.1:5003 -r 10.128.65.1:5003 -m -w 0
-d -t 192.0.2.1:5003 -r 10.128.65.1:5003
"
        );
        let to = "[fd74:6700:0:41::1]:5003".parse().unwrap();
        let v6 = Service { transport: Transport::Udp, ..service("[2001:db8::1]:5003") };
        assert_eq!(text(&v6, &[Command::Add(to)]), "-a -u [2001:db8::1]:5003 -r [fd74:6700:0:41::1]:5003 -m -w 1\n");
    }

    #[test]
    fn the_addresses_are_the_nodes_own() {
        let vips = ["192.0.2.1:5003", "[2001:db8::1]:5003"].map(|vip| vip.parse().unwrap());
        let told: String = device(&vips).iter().map(|step| format!("{step}\n")).collect();
        assert_eq!(
            told,
            "link add kube-ipvs0 type dummy
addr replace 192.0.2.1/32 dev kube-ipvs0
addr replace 2001:db8::1/128 dev kube-ipvs0 nodad
link set kube-ipvs0 up
"
        );
    }

    #[test]
    fn masquerading_is_by_a_mark() {
        let rule = "ip6 daddr 2001:db8::1 tcp dport 5003 meta mark set 0x4000";
        assert!(masquerading(&service("[2001:db8::1]:5003"), true).contains(rule));
        let without = masquerading(&service("192.0.2.1:5003"), false);
        assert!(without.starts_with("table ip tg-lab {") && !without.contains("daddr"), "{without}");
        assert_eq!(kernel_settings(false)[2], ("net/ipv4/vs/expire_nodest_conn", "0"));
    }
}
