//! The paced load that every client of a suite is asked for. Changes when loads get another dimension.

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
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Load { conns, rate, size, seconds } = self;
        write!(f, "{conns} connections, {rate} packets/s each, {size} bytes, {seconds} s")
    }
}
