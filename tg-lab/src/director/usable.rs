//! Which endpoints take new connections. Changes when Kubernetes' rule does.

use std::net::SocketAddr;
use tg_model::cluster_event::Endpoint;

/// Those that are ready; where none is, those that end but still serve (`ProxyTerminatingEndpoints`), so that a
/// service whose last pods go is not without one. Only of `vip`'s IP version, in their order.
#[must_use]
pub fn usable(endpoints: &[Endpoint], vip: SocketAddr) -> Vec<SocketAddr> {
    let of = |take: fn(&Endpoint) -> bool| -> Vec<SocketAddr> {
        let ours = endpoints.iter().filter(|e| e.address.is_ipv4() == vip.is_ipv4());
        ours.filter(|e| take(e)).map(|e| e.address).collect()
    };
    let ready = of(|e| e.ready);
    if ready.is_empty() { of(|e| e.serving && e.terminating) } else { ready }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(address: &str, ready: bool, serving: bool, terminating: bool) -> Endpoint {
        Endpoint { address: address.parse().unwrap(), pod_uid: address.into(), ready, serving, terminating }
    }

    #[test]
    fn ready_ones_of_the_services_ip_version() {
        let all = [
            endpoint("10.0.0.1:1", false, true, true),
            endpoint("10.0.0.2:1", true, true, false),
            endpoint("[fd00::2]:1", true, true, false),
            endpoint("10.0.0.3:1", false, false, false),
        ];
        let addresses = |endpoints: &[Endpoint], vip: &str| -> Vec<String> {
            usable(endpoints, vip.parse().unwrap()).iter().map(ToString::to_string).collect()
        };
        assert_eq!(addresses(&all, "192.0.2.1:1"), ["10.0.0.2:1"]);
        assert_eq!(addresses(&all, "[2001:db8::1]:1"), ["[fd00::2]:1"]);
        assert_eq!(addresses(&all[..1], "192.0.2.1:1"), ["10.0.0.1:1"], "the last one, though it ends");
        assert_eq!(addresses(&all[3..], "192.0.2.1:1"), [""; 0]);
    }
}
