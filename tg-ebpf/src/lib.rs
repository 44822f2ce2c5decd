//! tg's observer: what a node's kernel does to the connections of a test. Programs in the kernel (`prog/`)
//! record; this crate loads them, reads their records and gives them as [`tg_model::node_event`]'s lines.
//!
//! | module | what it does | |
//! |---|---|---|
//! | [`decode`] | a record of the ring buffer to an event | pure |
//! | [`conntrack`] | a netlink message to conntrack entries | pure |
//! | [`conntrack_table`] | netlink messages to how full conntrack's table is | pure |
//! | [`ipvs`] | netlink messages and `/proc/net/ip_vs_conn` to services, destinations, connections | pure |
//! | [`nat`] | which client's connection a tuple belongs to | pure |
//! | [`place`] | a process's cgroup to its pod; `--vip` and `--interface` as words | pure |
//! | [`refused`] | namespaces that could not be asked, and when each is asked again | pure |
//! | [`fdinfo`] | what the kernel says of a loaded program | pure |
//! | [`kernel`] | loading, attaching, reading; behind the feature `kernel` | |

pub mod conntrack;
pub mod conntrack_table;
pub mod decode;
pub mod fdinfo;
pub mod ipvs;
#[cfg(feature = "kernel")]
pub mod kernel;
pub mod nat;
mod netlink;
pub mod place;
pub mod refused;

/// Names of programs, as in the journal.
pub mod name {
    /// Resets that this host's TCP sends.
    pub const SEND_RESET: &str = "send-reset";
    /// Resets that reach a socket.
    pub const RECEIVE_RESET: &str = "receive-reset";
    /// State changes.
    pub const TCP_STATE: &str = "tcp-state";
    /// Bindings of connections to pods, as their SYN leaves.
    pub const BINDING: &str = "binding";
    /// Drops.
    pub const DROP: &str = "drop";
    /// SYN, FIN and RST on interfaces.
    pub const SEGMENTS: &str = "segments";
    /// Decisions of IPVS.
    pub const IPVS_DECISION: &str = "ipvs-decision";
    /// Connections of IPVS, made and expired.
    pub const IPVS_CONN: &str = "ipvs-conn";
    /// Destinations of IPVS, added, edited and deleted.
    pub const IPVS_DEST: &str = "ipvs-dest";
    /// Conntrack entries, confirmed and destroyed.
    pub const CONNTRACK: &str = "conntrack";
    /// What conntrack's tables could not take in.
    pub const CONNTRACK_TABLE: &str = "conntrack-table";
    /// Of all the programs that share the ring buffer.
    pub const RECORDS: &str = "records";
}
