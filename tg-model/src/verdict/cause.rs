//! The causes that a lost connection can have. Changes when one is added.

use crate::named::named;

named! {
    /// What ended a connection, or what had put it where it was.
    Cause {
        /// Nothing odd: a first placement, or one on a pod that was to stay.
        Scheduled = "scheduled",
        /// Its pod was asked to end, or its server's process ended.
        PodTerminated = "pod-terminated",
        /// It replaced a lost one, and was put on a pod that was to go as well.
        RescheduledToDoomed = "rescheduled-to-doomed",
        /// The balancer still sent new connections to a pod that no longer took any.
        EndpointLag = "endpoint-lag",
        /// IPVS deleted its destination while it was active and the pod alive.
        IpvsDestinationDeletedEarly = "ipvs-destination-deleted-early",
        /// A node was not ready for a while: its destinations were deleted and added again.
        NodeFlap = "node-flap",
        /// A port was used again and met an old balancer entry, of a destination without weight.
        IpvsPortReuseStale = "ipvs-port-reuse-stale",
        /// A port was used again and IPVS dropped the first SYN.
        IpvsReuseSynDrop = "ipvs-reuse-syn-drop",
        /// IPVS had no destination with a weight, though endpoints were ready.
        IpvsNoDestination = "ipvs-no-destination",
        /// Nothing answered any more, not even with a reset.
        Blackhole = "blackhole",
        /// The server's kernel acknowledged what was sent, and the server did not answer.
        ServerStalled = "server-stalled",
        /// The server closed it or reset it, and its pod lives on.
        ServerClosed = "server-closed",
        /// UDP: a balancer's entry led to a pod that was gone.
        UdpStaleEntry = "udp-stale-entry",
        /// UDP: another server answers, as the balancer's entry was destroyed.
        UdpMoved = "udp-moved",
        /// Conntrack took a packet for invalid and left it untranslated.
        ConntrackInvalid = "conntrack-invalid",
        /// Conntrack lost the entry of a connection that was alive.
        ConntrackEntryLost = "conntrack-entry-lost",
        /// Conntrack's table was full.
        ConntrackFull = "conntrack-full",
        /// A node without ready endpoints of its own drops what comes to it (externalTrafficPolicy Local).
        DrainLocal = "drain-local",
        /// Routing sent it to another node in mid-stream.
        EcmpRehash = "ecmp-rehash",
        /// What programs the node's balancer was started again.
        ProxyRestart = "proxy-restart",
        /// What programs the node's balancer was slow to follow the endpoints.
        ProxyStall = "proxy-stall",
        /// Somebody on the way reset it: neither the pod nor the client.
        ResetByThirdParty = "reset-by-third-party",
        /// Not the network: the generator itself had no time.
        GeneratorStarved = "generator-starved",
        /// Not the network: the name did not resolve.
        NameResolution = "name-resolution",
        /// Not the network: the generator's machine refused an operation.
        LocalError = "local-error",
        /// Evidence was lost, or nothing matches.
        Unattributed = "unattributed",
    }
}

impl Cause {
    /// What it means, for a reader who meets it in a report.
    pub const fn in_words(self) -> &'static str {
        match self {
            Cause::Scheduled => "placed as usual",
            Cause::PodTerminated => "its pod ended",
            Cause::RescheduledToDoomed => "a replacement, put on a pod that was to go as well",
            Cause::EndpointLag => "the balancer still led to a pod that took no more",
            Cause::IpvsDestinationDeletedEarly => "IPVS deleted its destination while the pod was alive",
            Cause::NodeFlap => "its node was not ready for a while",
            Cause::IpvsPortReuseStale => "its port was used again and met an old IPVS entry",
            Cause::IpvsReuseSynDrop => "its port was used again and IPVS dropped its first SYN",
            Cause::IpvsNoDestination => "IPVS had no destination with a weight",
            Cause::Blackhole => "nothing answered any more",
            Cause::ServerStalled => "acknowledged by the server's kernel, not answered by the server",
            Cause::ServerClosed => "the server closed it, and its pod lives on",
            Cause::UdpStaleEntry => "the balancer's entry led to a pod that was gone",
            Cause::UdpMoved => "another server answers: the balancer's entry was destroyed",
            Cause::ConntrackInvalid => "conntrack took a packet for invalid and did not translate it",
            Cause::ConntrackEntryLost => "conntrack lost its entry while it was alive",
            Cause::ConntrackFull => "conntrack's table was full",
            Cause::DrainLocal => "its node has no ready endpoint of its own",
            Cause::EcmpRehash => "routing sent it to another node in mid-stream",
            Cause::ProxyRestart => "the node's proxy was started again",
            Cause::ProxyStall => "the node's proxy was slow to follow the endpoints",
            Cause::ResetByThirdParty => "reset by neither the pod nor the client",
            Cause::GeneratorStarved => "the generator itself had no time (not the network)",
            Cause::NameResolution => "the name did not resolve (not the network)",
            Cause::LocalError => "the generator's machine refused (not the network)",
            Cause::Unattributed => "evidence was lost, or nothing matches",
        }
    }
}
