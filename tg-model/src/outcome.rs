//! Why a connection ended, why an attempt failed, why a packet was dropped: closed lists, each with
//! its name in files and reports.

use crate::named::named;

named! {
    /// Why a connection ended.
    EndReason {
        /// Alive at the plan's end and closed in good order: lasting.
        Completed = "completed",
        /// The peer, or somebody on the way, reset it (ECONNRESET, EPIPE).
        Reset = "reset",
        /// The peer closed its side (FIN).
        ClosedByPeer = "closed-by-peer",
        /// An echo was out longer than the response time-out.
        ResponseTimeout = "response-timeout",
        /// The kernel gave up (ETIMEDOUT): TCP_USER_TIMEOUT or its retransmission limit.
        UserTimeout = "user-timeout",
        /// The network said that the peer cannot be reached (ICMP).
        Unreachable = "unreachable",
        /// What came back is not what was sent.
        Protocol = "protocol",
        /// This host refused an operation.
        LocalError = "local-error",
    }
}

named! {
    /// Why an attempt to connect failed.
    AttemptFailure {
        /// ECONNREFUSED: nobody listens there.
        Refused = "refused",
        /// No answer within the connect time-out.
        Timeout = "timeout",
        /// The network said that the peer cannot be reached.
        Unreachable = "unreachable",
        /// Reset while connecting.
        Reset = "reset",
        /// This host refused an operation, or could not resolve the name.
        LocalError = "local-error",
    }
}

named! {
    /// Why a packet that was intended was not sent.
    DropReason {
        /// Its slot had no connection (back-off included).
        NoConnection = "no-connection",
        /// As many echoes were out as the plan allows.
        InFlightLimit = "in-flight-limit",
        /// The kernel took no byte, or the packet before was not taken whole yet.
        BufferFull = "buffer-full",
        /// More than one period behind its time.
        Late = "late",
        /// The kernel refused it with an error.
        SendFailed = "send-failed",
    }
}

impl EndReason {
    /// Ended by anything but the plan's end.
    pub fn is_lost(self) -> bool {
        self != EndReason::Completed
    }
}
