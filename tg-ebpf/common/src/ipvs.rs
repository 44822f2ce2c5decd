//! Records of what IPVS decided and did, and the offsets that they are read by. Changes when one of these does.

use crate::Head;
use core::mem::{offset_of, size_of};

/// Candidates that a decision has room for.
pub const CANDIDATES_MAX: usize = 64;
/// `IP_VS_SCHEDNAME_MAXLEN` (`include/uapi/linux/ip_vs.h`).
pub const SCHEDULER_NAME: usize = 16;

shared! {
    /// A virtual service.
    pub struct Service {
        /// Its address; zeros where a firewall mark stands for it.
        pub address: [u8; 16],
        /// Its scheduler's name, zeros after it; empty where it is gone.
        pub scheduler: [u8; SCHEDULER_NAME],
        /// The firewall mark; 0 where its address stands for it.
        pub fwmark: u32,
        /// Its port; 0 is every port.
        pub port: u16,
        /// IP protocol.
        pub protocol: u8,
        /// Zero.
        pub pad: u8,
    }
}

shared! {
    /// A destination of a service.
    pub struct Destination {
        /// Its address.
        pub address: [u8; 16],
        /// Its weight.
        pub weight: i32,
        /// Active connections.
        pub active: u32,
        /// Inactive ones.
        pub inactive: u32,
        /// Its port; 0 is the service's.
        pub port: u16,
        /// Zero.
        pub pad: u16,
    }
}

shared! {
    /// A scheduler's choice; `count` [`Destination`]s come after it.
    pub struct Decision {
        /// Head; its time is that of the function's begin.
        pub head: Head,
        /// The service.
        pub service: Service,
        /// The client's address, with `HAS_CLIENT`.
        pub client: [u8; 16],
        /// The destination's address, with `HAS_CHOSEN`.
        pub chosen: [u8; 16],
        /// The client's port.
        pub client_port: u16,
        /// The destination's.
        pub chosen_port: u16,
        /// How many destinations the service has.
        pub total: u32,
        /// How many come after this.
        pub count: u32,
        /// Zero.
        pub pad: u32,
    }
}

shared! {
    /// A connection of IPVS.
    pub struct Connection {
        /// Head.
        pub head: Head,
        /// The service's address.
        pub service: [u8; 16],
        /// The client's.
        pub client: [u8; 16],
        /// The destination's.
        pub destination: [u8; 16],
        /// The service's port.
        pub service_port: u16,
        /// The client's.
        pub client_port: u16,
        /// The destination's.
        pub destination_port: u16,
        /// IP protocol.
        pub protocol: u8,
        /// Zero.
        pub pad: u8,
    }
}

shared! {
    /// A destination was added, edited or deleted.
    pub struct DestinationChange {
        /// Head.
        pub head: Head,
        /// The service.
        pub service: Service,
        /// The destination after that, or as it was when it was deleted.
        pub destination: Destination,
    }
}

shared! {
    /// Value of the map `IPVS_FIELDS`: offsets in bytes of fields of `ip_vs`, `include/net/ip_vs.h`. They are in a
    /// map as the module may be loaded after the programs.
    pub struct IpvsFields {
        /// `ip_vs_service`.
        pub svc_af: u32,
        /// As above.
        pub svc_protocol: u32,
        /// As above.
        pub svc_addr: u32,
        /// As above.
        pub svc_port: u32,
        /// As above.
        pub svc_fwmark: u32,
        /// As above.
        pub svc_ipvs: u32,
        /// As above.
        pub svc_destinations: u32,
        /// As above.
        pub svc_num_dests: u32,
        /// As above.
        pub svc_scheduler: u32,
        /// `ip_vs_scheduler.name`.
        pub scheduler_name: u32,
        /// `netns_ipvs.net`.
        pub ipvs_net: u32,
        /// `ip_vs_dest`.
        pub dest_list: u32,
        /// As above.
        pub dest_af: u32,
        /// As above.
        pub dest_port: u32,
        /// As above.
        pub dest_addr: u32,
        /// As above.
        pub dest_weight: u32,
        /// As above.
        pub dest_active: u32,
        /// `inactconns`, or `totalconns` where `counts_all` is 1.
        pub dest_inactive: u32,
        /// 1: the kernel counts all connections of a destination in place of the inactive ones.
        pub counts_all: u32,
        /// As above.
        pub dest_svc: u32,
        /// As above.
        pub dest_protocol: u32,
        /// As above.
        pub dest_vport: u32,
        /// As above.
        pub dest_vaddr: u32,
        /// As above.
        pub dest_vfwmark: u32,
        /// `ip_vs_dest_user_kern.weight`.
        pub user_weight: u32,
        /// `ip_vs_conn`.
        pub conn_af: u32,
        /// As above.
        pub conn_daf: u32,
        /// As above.
        pub conn_protocol: u32,
        /// As above.
        pub conn_caddr: u32,
        /// As above.
        pub conn_cport: u32,
        /// As above.
        pub conn_vaddr: u32,
        /// As above.
        pub conn_vport: u32,
        /// As above.
        pub conn_daddr: u32,
        /// As above.
        pub conn_dport: u32,
        /// As above.
        pub conn_flags: u32,
        /// As above.
        pub conn_ipvs: u32,
        /// As above.
        pub conn_refcnt: u32,
        /// As above.
        pub conn_timer: u32,
    }
}

const _: () = {
    assert!(size_of::<Service>() == 40 && offset_of!(Service, fwmark) == 32 && offset_of!(Service, protocol) == 38);
    assert!(size_of::<Destination>() == 32 && offset_of!(Destination, weight) == 16);
    assert!(size_of::<Decision>() == 112 && offset_of!(Decision, client) == 64 && offset_of!(Decision, total) == 100);
    assert!(size_of::<Connection>() == 80 && offset_of!(Connection, service_port) == 72);
    assert!(size_of::<DestinationChange>() == 96 && offset_of!(DestinationChange, destination) == 64);
    assert!(size_of::<IpvsFields>() == 38 * 4);
};
