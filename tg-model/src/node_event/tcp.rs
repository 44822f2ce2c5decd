//! States of TCP, as sockets and as conntrack name them. Changes when the kernel's lists do.

use crate::named::named;

named! {
    /// A socket's state (`include/net/tcp_states.h`), in the kernel's order from 1.
    TcpState {
        /// Data may go both ways.
        Established = "established",
        /// A SYN was sent.
        SynSent = "syn-sent",
        /// A SYN came.
        SynRecv = "syn-recv",
        /// Closed here, FIN not acknowledged yet.
        FinWait1 = "fin-wait-1",
        /// Closed here, and acknowledged.
        FinWait2 = "fin-wait-2",
        /// Both closed; late packets are awaited.
        TimeWait = "time-wait",
        /// No connection.
        Close = "close",
        /// The peer closed.
        CloseWait = "close-wait",
        /// The peer closed first, the FIN of this side is not acknowledged yet.
        LastAck = "last-ack",
        /// Awaits connections.
        Listen = "listen",
        /// Both closed at once.
        Closing = "closing",
        /// A request that is no whole socket yet.
        NewSynRecv = "new-syn-recv",
    }
}

impl TcpState {
    /// The state of this number in the kernel.
    pub fn from_kernel(number: u8) -> Option<TcpState> {
        TcpState::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

named! {
    /// What conntrack takes a connection's state to be (`enum tcp_conntrack`), in the kernel's order from 0.
    ConntrackTcpState {
        /// Nothing seen.
        None = "none",
        /// A SYN was seen.
        SynSent = "syn-sent",
        /// A SYN and its answer.
        SynRecv = "syn-recv",
        /// Data may go both ways.
        Established = "established",
        /// A FIN was seen.
        FinWait = "fin-wait",
        /// It was acknowledged.
        CloseWait = "close-wait",
        /// A FIN of the other side, too.
        LastAck = "last-ack",
        /// Both acknowledged.
        TimeWait = "time-wait",
        /// A reset was seen.
        Close = "close",
        /// SYNs both ways.
        SynSent2 = "syn-sent-2",
    }
}

impl ConntrackTcpState {
    /// The state of this number in the kernel.
    pub fn from_kernel(number: u8) -> Option<ConntrackTcpState> {
        ConntrackTcpState::ALL.get(usize::from(number)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_numbers() {
        assert_eq!(TcpState::from_kernel(0), None);
        assert_eq!(TcpState::from_kernel(1), Some(TcpState::Established));
        assert_eq!(TcpState::from_kernel(7), Some(TcpState::Close));
        assert_eq!(TcpState::from_kernel(12), Some(TcpState::NewSynRecv));
        assert_eq!(TcpState::from_kernel(13), None);
        assert_eq!(ConntrackTcpState::from_kernel(3), Some(ConntrackTcpState::Established));
        assert_eq!(ConntrackTcpState::from_kernel(8), Some(ConntrackTcpState::Close));
        assert_eq!(ConntrackTcpState::from_kernel(255), None);
    }
}
