use super::*;
use crate::netlink::test::{NESTED, message};
use proptest::prelude::*;

const FAMILY: u16 = 0x1d;

fn generic(command: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
    [vec![command, 1, 0, 0], attributes.concat()].concat()
}

fn service_message(address: SocketAddr, scheduler: &str) -> Vec<u8> {
    let (family, mut octets) = match address.ip() {
        IpAddr::V4(a) => (AF_INET, a.octets().to_vec()),
        IpAddr::V6(a) => (AF_INET6, a.octets().to_vec()),
    };
    octets.resize(16, 0);
    let attributes = [
        nla(service::AF, &family.to_ne_bytes()),
        nla(service::PROTOCOL, &6u16.to_ne_bytes()),
        nla(service::ADDR, &octets),
        nla(service::PORT, &address.port().to_be_bytes()),
        nla(service::SCHED_NAME, format!("{scheduler}\0").as_bytes()),
    ];
    message(FAMILY, 2, &generic(NEW_SERVICE, &[nla(NESTED | SERVICE, &attributes.concat())]))
}

fn destination_message() -> Vec<u8> {
    let mut octets = vec![10, 1, 0, 7];
    octets.resize(16, 0);
    let attributes = [
        nla(dest::ADDR, &octets),
        nla(dest::PORT, &8080u16.to_be_bytes()),
        nla(dest::WEIGHT, &3u32.to_ne_bytes()),
        nla(dest::ACTIVE_CONNS, &5u32.to_ne_bytes()),
        nla(dest::INACT_CONNS, &7u32.to_ne_bytes()),
        nla(dest::ADDR_FAMILY, &AF_INET.to_ne_bytes()),
    ];
    message(FAMILY, 2, &generic(NEW_DEST, &[nla(NESTED | DEST, &attributes.concat())]))
}

#[test]
fn services_destinations_and_the_end() {
    let addresses: [SocketAddr; 2] = ["192.0.2.1:80", "[2001:db8::1]:443"].map(|a| a.parse().unwrap());
    let mut datagram = addresses.map(|a| service_message(a, "lc")).concat();
    datagram.extend(destination_message());
    datagram.extend(message(netlink::NLMSG_DONE, 2, &[0; 4]));
    let got = parse(&datagram, Some(FAMILY));
    let service = |a| IpvsService { protocol: 6, address: Some(a), fwmark: 0, scheduler: "lc".into() };
    assert_eq!(got.services, addresses.map(service));
    let want = Candidate { address: "10.1.0.7:8080".parse().unwrap(), weight: 3, active: 5, inactive: 7 };
    assert_eq!((got.destinations, got.done, got.undecodable), (vec![want], true, 0));
}

#[test]
fn a_mark_stands_for_an_address() {
    let attributes = [nla(service::FWMARK, &9u32.to_ne_bytes()), nla(service::SCHED_NAME, b"rr\0")].concat();
    let datagram = message(FAMILY, 2, &generic(NEW_SERVICE, &[nla(SERVICE, &attributes)]));
    let want = IpvsService { protocol: 0, address: None, fwmark: 9, scheduler: "rr".into() };
    assert_eq!(parse(&datagram, Some(FAMILY)).services, [want]);
}

#[test]
fn the_number_of_the_family() {
    let answer = message(GENL_ID_CTRL, 0, &generic(1, &[nla(CTRL_ATTR_FAMILY_ID, &FAMILY.to_ne_bytes())]));
    assert_eq!(parse(&answer, None).family, Some(FAMILY));
    let refused = message(netlink::NLMSG_ERROR, 0, &(-2i32).to_ne_bytes());
    assert_eq!(parse(&refused, None).error, Some(2));
}

/// What is asked is understood by the same reader.
#[test]
fn requests_are_whole() {
    let service = IpvsService {
        protocol: 6,
        address: Some("[2001:db8::1]:80".parse().unwrap()),
        fwmark: 0,
        scheduler: "rr".into(),
    };
    for request in [family_request(), services_request(FAMILY), destinations_request(FAMILY, &service).unwrap()] {
        assert_eq!(request.len() % 4, 0);
        assert_eq!(u32::from_ne_bytes(*request.first_chunk().unwrap()) as usize, request.len());
    }
    assert_eq!(destinations_request(FAMILY, &IpvsService { address: None, ..service }), None);
}

#[test]
fn lines_as_6_1_writes_them() {
    let of = |line| conn(line, &Netns::default());
    let got = of("TCP C0000202 A70C 0A000034 138B 0A010003 138B ESTABLISHED     899").unwrap();
    let ends = [got.client, got.service, got.destination].map(|a| a.to_string());
    assert_eq!(ends, ["192.0.2.2:42764", "10.0.0.52:5003", "10.1.0.3:5003"]);
    let six = "TCP fd00:000c:0000:0000:0000:0000:0000:0002 C496 fd00:0000:0000:0000:0000:0000:0000:0052 138B \
               fd00:0001:0000:0000:0000:0000:0000:0003 138B FIN_WAIT        117";
    assert_eq!(of(six).unwrap().destination.to_string(), "[fd00:1::3]:5003");
    for line in [
        "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData",
        "TCP C0000202 0000 0A000034 138B 0A010003 138B NONE     299",
        "SCT C0000202 A70C 0A000034 138B 0A010003 138B ESTABLISHED     899",
        "TCP C0000202 A70C 0A000034",
        "TCP +0000202 A70C 0A000034 138B 0A010003 138B ESTABLISHED     899",
        "",
    ] {
        assert_eq!(of(line), None, "{line}");
    }
}

#[test]
fn what_is_cut_is_counted() {
    let whole = destination_message();
    let got = parse(&[&whole[..], &whole[..whole.len() - 4]].concat(), Some(FAMILY));
    assert_eq!((got.destinations.len(), got.undecodable), (1, 1));
    assert_eq!(parse(&message(FAMILY, 0, &[NEW_DEST]), Some(FAMILY)).undecodable, 1);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(damage in proptest::collection::vec((0usize..200, any::<u8>()), 0..8), cut in 0usize..200) {
        let mut datagram = [service_message("192.0.2.1:80".parse().unwrap(), "rr"), destination_message()].concat();
        for (at, byte) in damage {
            let at = at % datagram.len();
            datagram[at] = byte;
        }
        datagram.truncate(cut.max(4));
        parse(&datagram, Some(FAMILY));
    }

    #[test]
    fn no_line_makes_it_panic(line in "TCP [0-9A-F:]{0,40} [0-9A-F]{0,5} [0-9A-F:]{0,9} [0-9A-F]{4} .{0,40}", any: String) {
        conn(&line, &Netns::default());
        conn(&any, &Netns::default());
    }
}
