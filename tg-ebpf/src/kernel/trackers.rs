//! Conntrack by netlink, in each namespace that has a name and in the observer's own: what there was at the
//! start, then events. Changes when how conntrack is listened to does.

use super::enter;
use super::question::{self, DATAGRAM_MAX};
use crate::conntrack::{self, Datagram};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use tg_model::node_event::Conntrack;

const NEW: u32 = libc::NFNLGRP_CONNTRACK_NEW as u32;
const DESTROY: u32 = libc::NFNLGRP_CONNTRACK_DESTROY as u32;
/// Room for events that were not read yet; the kernel gives `net.core.rmem_max` at most.
const ROOM: libc::c_int = 8 << 20;
/// Datagrams that are taken at once from a listener: what is beside it must not wait for a flood's end.
const DATAGRAMS_AT_ONCE: usize = 1024;
/// More namespaces than this are not listened to.
pub const LISTENERS_MAX: usize = 512;
/// Tokens of the listeners begin here.
pub const FIRST_TOKEN: usize = 16;

struct Listener {
    inode: u32,
    socket: Socket,
}

/// What came out of a listener.
pub enum Heard {
    /// An entry.
    Entry(Conntrack),
    /// Messages that could not be understood.
    Undecodable(u64),
    /// The socket's buffer was full: an unknown number of events is lost.
    Lost,
}

/// The listeners there are.
#[derive(Default)]
pub struct Trackers {
    listeners: HashMap<Token, Listener>,
    next: usize,
    /// Namespaces whose snapshot was taken.
    known: HashSet<u32>,
    /// Programs tell of events: only snapshots are wanted.
    snapshots_only: bool,
}

/// What a namespace had when it was first looked at.
pub struct Snapshot {
    pub entries: Vec<Conntrack>,
    /// Why it is not whole.
    pub error: Option<String>,
}

impl Trackers {
    /// Whether events are wanted beside snapshots. Where they are again, each namespace is new.
    pub fn set_events(&mut self, wanted: bool) {
        if wanted && self.snapshots_only {
            self.known.clear();
        }
        self.snapshots_only = !wanted;
        if !wanted {
            self.listeners.clear();
        }
    }

    /// Listens to a namespace, and gives what it has. `file`: `None` for the observer's own.
    pub fn listen(&mut self, inode: u32, file: Option<&Path>, registry: &Registry) -> io::Result<Snapshot> {
        let events = !self.snapshots_only;
        let (socket, snapshot) = match file {
            None => open(events),
            Some(file) => enter::within(file, || open(events))?,
        }?;
        if let Some(socket) = socket {
            let token = Token(FIRST_TOKEN + self.next);
            registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)?;
            self.next += 1;
            self.listeners.insert(token, Listener { inode, socket });
        }
        self.known.insert(inode);
        Ok(snapshot)
    }

    /// Whether a namespace is to be listened to that was not yet.
    pub fn wants(&self, inode: u32) -> bool {
        !self.known.contains(&inode) && self.listeners.len() < LISTENERS_MAX
    }

    /// Stops listening to a namespace. A socket keeps it alive otherwise.
    pub fn leave(&mut self, inode: u32) {
        self.listeners.retain(|_, l| l.inode != inode);
        self.known.remove(&inode);
    }

    /// Nothing more comes; what did can still be taken.
    pub fn mute(&mut self) {
        for listener in self.listeners.values() {
            // Where the kernel refuses that, what comes ends with the socket.
            let _ = listener.socket.drop_membership(NEW).and_then(|()| listener.socket.drop_membership(DESTROY));
        }
    }

    /// Takes what came, from the listener of this token, so many at most. True where there may be more.
    fn take(&self, token: Token, mut heard: impl FnMut(u32, Heard)) -> bool {
        let Some(listener) = self.listeners.get(&token) else { return false };
        let mut buffer = Vec::with_capacity(DATAGRAM_MAX);
        for _ in 0..DATAGRAMS_AT_ONCE {
            buffer.clear();
            match listener.socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {
                    let datagram = conntrack::parse(&buffer);
                    datagram.entries.into_iter().for_each(|e| heard(listener.inode, Heard::Entry(e)));
                    if datagram.undecodable > 0 {
                        heard(listener.inode, Heard::Undecodable(datagram.undecodable));
                    }
                }
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => heard(listener.inode, Heard::Lost),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // Nothing more, or nothing that reading again would change.
                Err(_) => return false,
            }
        }
        true
    }

    /// As [`Trackers::take`], from all of them.
    pub fn take_all(&self, mut heard: impl FnMut(u32, Heard)) -> bool {
        // None is left out where another has more.
        self.listeners.keys().filter(|token| self.take(**token, &mut heard)).count() > 0
    }
}

/// First the listener, then the snapshot: an entry may be told twice, but none is missed.
fn open(events: bool) -> io::Result<(Option<Socket>, Snapshot)> {
    let socket = if events { Some(listener()?) } else { None };
    let snapshot = match dump() {
        Ok(entries) => Snapshot { entries, error: None },
        Err((entries, e)) => Snapshot { entries, error: Some(e.to_string()) },
    };
    Ok((socket, snapshot))
}

fn listener() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.set_rx_buf_sz(ROOM)?;
    socket.add_membership(NEW)?;
    socket.add_membership(DESTROY)?;
    Ok(socket)
}

type Broken = (Vec<Conntrack>, io::Error);

/// Every entry of the namespace of this thread. An error comes with what was read before it.
fn dump() -> Result<Vec<Conntrack>, Broken> {
    let mut entries = Vec::new();
    match dump_into(&mut entries) {
        Ok(()) => Ok(entries),
        Err(e) => Err((entries, e)),
    }
}

fn dump_into(entries: &mut Vec<Conntrack>) -> io::Result<()> {
    let socket = question::open(NETLINK_NETFILTER)?;
    socket.send(&conntrack::dump_request(), 0)?;
    let mut buffer = Vec::with_capacity(DATAGRAM_MAX);
    loop {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        let Datagram { entries: found, done, error, .. } = conntrack::parse(&buffer);
        entries.extend(found);
        match error {
            Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
            None if done || buffer.is_empty() => return Ok(()),
            None => {}
        }
    }
}
