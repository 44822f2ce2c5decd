//! The paced load that every client of a suite is asked for. Changes when loads get another dimension.

use crate::tg::Engine;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// A load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub conns: u32,
    /// Packets/s on each connection.
    pub rate: f64,
    /// Bytes a packet.
    pub size: u32,
    pub seconds: u32,
}

impl Load {
    /// Packets/s over all connections.
    pub fn total_rate(&self) -> f64 {
        f64::from(self.conns) * self.rate
    }

    /// From one packet of a connection to its next.
    pub fn period_ns(&self) -> u64 {
        (1e9 / self.rate) as u64
    }

    /// The floor program under this load.
    pub fn floor(&self, floor: &Path, engine: Engine, server: SocketAddr, spin_ns: u64, fifo: bool) -> Command {
        let mut command = Command::new(floor);
        command.args([&engine.to_string(), &server.to_string(), &self.conns.to_string()]);
        command.args([self.total_rate(), f64::from(self.size), f64::from(self.seconds)].map(|v| v.to_string()));
        command.arg((spin_ns as f64 / 1e3).to_string()).args(fifo.then_some("fifo"));
        command
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Load { conns, rate, size, seconds } = self;
        write!(f, "{conns} connections, {rate} packets/s each, {size} bytes, {seconds} s")
    }
}
