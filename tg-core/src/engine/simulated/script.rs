//! How a simulated world behaves. Changes when a fault is added.

use tg_model::time::Nanos;

/// What one peer does with one connection. `after` counts bytes received from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Echoes.
    Echo,
    /// Refuses the connection.
    Refuse,
    /// Never answers the attempt.
    Ignore,
    /// Resets the attempt.
    ResetConnect,
    /// A router says that the peer cannot be reached.
    Unreachable,
    /// Echoes until `after`, then resets.
    Reset {
        /// Bytes.
        after: u64,
    },
    /// Echoes until `after`, then closes its side.
    Close {
        /// Bytes.
        after: u64,
    },
    /// Echoes until `after`, then says nothing any more.
    Stall {
        /// Bytes.
        after: u64,
    },
    /// Echoes until `after`, then something else.
    Garbage {
        /// Bytes.
        after: u64,
    },
    /// Echoes until `after`, then some bytes of its own besides.
    TooMuch {
        /// Bytes.
        after: u64,
    },
    /// Resets at a moment of its own.
    ResetLater {
        /// Time from the connect.
        delay: Nanos,
    },
    /// Closes its side at a moment of its own.
    CloseLater {
        /// Time from the connect.
        delay: Nanos,
    },
}

/// How the world behaves. Percentages are drawn for each case.
#[derive(Clone, Debug)]
pub struct Script {
    /// Seeds every choice.
    pub seed: u64,
    /// What connections do, each drawn with the same chance.
    pub behaviours: Vec<Behaviour>,
    /// The longest delay of anything.
    pub delay_max: Nanos,
    /// Echoes come in pieces.
    pub split: bool,
    /// Sends of which the kernel takes a part first, percent.
    pub short_sends: u64,
    /// Sends of which it takes nothing, percent.
    pub full_buffers: u64,
    /// Datagrams lost, percent.
    pub lost: u64,
    /// Datagrams echoed twice, percent.
    pub doubled: u64,
    /// Datagrams whose echo takes up to this long instead, a tenth of them.
    pub slow: Nanos,
    /// Datagrams answered by the other host, percent.
    pub moved: u64,
    /// The client's response time-out: what comes later is late.
    pub response_timeout: Nanos,
    /// Sends that the kernel refuses with an error, percent.
    pub refused_sends: u64,
    /// Names that the resolver does not know when it is asked, percent.
    pub unresolved: u64,
    /// The process stands still from one point of the clock to another (SIGSTOP): what happens in between
    /// is seen at the end of it.
    pub stopped: Option<(Nanos, Nanos)>,
}

impl Script {
    /// Every connection does `behaviour`, nothing else goes wrong.
    pub fn always(seed: u64, behaviour: Behaviour) -> Script {
        Script {
            seed,
            behaviours: vec![behaviour],
            delay_max: Nanos(1_000_000),
            split: false,
            short_sends: 0,
            full_buffers: 0,
            lost: 0,
            doubled: 0,
            slow: Nanos::ZERO,
            moved: 0,
            response_timeout: Nanos::from_secs(1),
            refused_sends: 0,
            unresolved: 0,
            stopped: None,
        }
    }

    /// When the process sees what happens at `at`.
    pub(super) fn seen(&self, at: Nanos) -> Nanos {
        self.stopped.filter(|(from, to)| (*from..*to).contains(&at)).map_or(at, |(_, to)| to)
    }
}
