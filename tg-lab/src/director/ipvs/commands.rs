//! What a node's IPVS is told, as text for `ipvsadm -R`, `ip -batch` and `nft -f`, after kube-proxy's
//! (pkg/proxy/ipvs/proxier.go of kubernetes/kubernetes). Pure. Changes when kube-proxy's way does.

use crate::director::protocol;
use std::fmt::Write;
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

/// For `ip -batch`: the device that makes the services' addresses the node's own. Up, other than kube-proxy's:
/// addresses of IPv6 come with it only then.
#[must_use]
pub fn device(vips: &[SocketAddr]) -> String {
    let mut text = format!("link add {DEVICE} type dummy\n");
    for vip in vips {
        // Writing to a string cannot fail.
        let _ = match vip.is_ipv4() {
            true => writeln!(text, "addr add {}/32 dev {DEVICE}", vip.ip()),
            false => writeln!(text, "addr add {}/128 dev {DEVICE} nodad", vip.ip()),
        };
    }
    text + &format!("link set {DEVICE} up\n")
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
        assert_eq!(
            device(&vips),
            "link add kube-ipvs0 type dummy
addr add 192.0.2.1/32 dev kube-ipvs0
addr add 2001:db8::1/128 dev kube-ipvs0 nodad
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
