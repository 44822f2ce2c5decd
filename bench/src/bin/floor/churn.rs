//! Connections on loopback made and ended at once, as many as go through one thread, in a network namespace of
//! their own: what an observer costs shows there, and what it told can be held against the kernel's counters.
//! Changes when that load does.

use crate::sys;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

/// How long, or how many.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    Time(Duration),
    Count(u64),
}

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A connection is made, then closed by the server and by the client.
    Close,
    /// Nobody listens: a SYN, and a reset.
    Refused,
}

/// What came of it.
#[derive(Debug)]
pub struct Churned {
    connects: u64,
    seconds: f64,
    cpu_ns: u64,
    /// What the namespace's TCP counted: `/proc/net/snmp`.
    resets_sent: u64,
    attempts_failed: u64,
}

impl fmt::Display for Churned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Churned { connects, seconds, cpu_ns, resets_sent, attempts_failed } = self;
        write!(
            f,
            "{{\"connects\":{connects},\"seconds\":{seconds},\"cpu_ns\":{cpu_ns},\"resets_sent\":{resets_sent},\
             \"attempts_failed\":{attempts_failed}}}"
        )
    }
}

/// `rate`: a second; as many as go without one.
pub fn run(kind: Kind, port: u16, until: Until, rate: Option<f64>) -> Result<Churned, Box<dyn Error>> {
    sys::enter_own_network()?;
    sys::set_timer_slack_1ns();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = if kind == Kind::Close { Some(listen(address)?) } else { None };
    let (began, cpu) = (Instant::now(), sys::cpu_ns());
    let mut connects = 0;
    loop {
        let over = match until {
            Until::Time(time) => began.elapsed() >= time,
            Until::Count(count) => connects >= count,
        };
        if over {
            break;
        }
        if let Some(rate) = rate {
            thread::sleep(Duration::from_secs_f64(connects as f64 / rate).saturating_sub(began.elapsed()));
        }
        match &listener {
            Some(listener) => close(listener, address)?,
            None => refused(address)?,
        }
        connects += 1;
    }
    let (seconds, cpu_ns) = (began.elapsed().as_secs_f64(), sys::cpu_ns() - cpu);
    let snmp = fs::read_to_string("/proc/thread-self/net/snmp")?;
    let counted = |name| tcp_counter(&snmp, name).ok_or_else(|| format!("/proc/net/snmp has no {name}"));
    Ok(Churned {
        connects,
        seconds,
        cpu_ns,
        resets_sent: counted("OutRsts")?,
        attempts_failed: counted("AttemptFails")?,
    })
}

fn socket() -> io::Result<Socket> {
    Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))
}

fn listen(address: SocketAddr) -> io::Result<Socket> {
    let listener = socket()?;
    listener.set_reuse_address(true)?;
    listener.bind(&SockAddr::from(address))?;
    listener.listen(16)?;
    Ok(listener)
}

/// The server closes first: the wait for what may come late is at its end, and the client's port is free again.
fn close(listener: &Socket, address: SocketAddr) -> io::Result<()> {
    let client = socket()?;
    client.connect(&SockAddr::from(address))?;
    drop(listener.accept()?);
    drop(client);
    Ok(())
}

fn refused(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    match socket()?.connect(&SockAddr::from(address)) {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(e) => Err(e.into()),
        Ok(()) => Err("somebody listens there".into()),
    }
}

/// Of the two lines that begin with `Tcp:`, the first has the names and the second the values.
fn tcp_counter(snmp: &str, name: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Tcp:"));
    let place = lines.next()?.split_whitespace().position(|n| n == name)?;
    lines.next()?.split_whitespace().nth(place)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_counters() {
        let snmp = "Ip: Forwarding\nIp: 1\nTcp: RtoMin AttemptFails OutRsts\nTcp: 200 3 4\nUdp: In\nUdp: 9\n";
        assert_eq!(tcp_counter(snmp, "OutRsts"), Some(4));
        assert_eq!(tcp_counter(snmp, "AttemptFails"), Some(3));
        assert_eq!(tcp_counter(snmp, "Other"), None);
        assert_eq!(tcp_counter("Tcp: OutRsts\n", "OutRsts"), None);
    }
}
