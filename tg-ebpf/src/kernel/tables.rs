//! How full conntrack's table is in each namespace that is listened to: asked by netlink. Changes when how it is
//! asked does.

use super::enter;
use super::question::{self, DATAGRAM_MAX};
use super::trackers::LISTENERS_MAX;
use crate::conntrack_table::{Counters, Table, counters_request, parse, room_request};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use tg_model::node_event::{ConntrackTable, Netns};

struct Asked {
    socket: Socket,
    counters: Counters,
    at_ns: u64,
}

/// The tables, by their namespaces' inodes.
#[derive(Default)]
pub struct Tables(HashMap<u32, Asked>);

impl Tables {
    /// Asks a namespace from now on. `file`: `None` for the observer's own.
    pub fn listen(&mut self, inode: u32, file: Option<&Path>, at_ns: u64) -> io::Result<()> {
        let socket = match file {
            None => question::open(NETLINK_NETFILTER),
            Some(file) => enter::within(file, || question::open(NETLINK_NETFILTER))?,
        }?;
        let counters = ask(&socket)?.counters;
        self.0.insert(inode, Asked { socket, counters, at_ns });
        Ok(())
    }

    /// Whether a namespace is to be asked that is not yet. Each takes a descriptor.
    pub fn wants(&self, inode: u32) -> bool {
        !self.0.contains_key(&inode) && self.0.len() < LISTENERS_MAX
    }

    /// Whether any is asked.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Asks a namespace no longer. A socket keeps it alive otherwise.
    pub fn leave(&mut self, inode: u32) {
        self.0.remove(&inode);
    }

    /// Asks all of them. Gives those that are nearly full, or could not take something in since the last time. One
    /// that does not answer is not asked again before it is listened to anew.
    pub fn look(&mut self, now: u64, mut silent: impl FnMut(u32, io::Error)) -> Vec<ConntrackTable> {
        let mut told = Vec::new();
        self.0.retain(|inode, asked| match asked.look(*inode, now) {
            Ok(table) => {
                told.extend(table);
                true
            }
            Err(e) => {
                silent(*inode, e);
                false
            }
        });
        told
    }
}

impl Asked {
    fn look(&mut self, inode: u32, now: u64) -> io::Result<Option<ConntrackTable>> {
        let table = ask(&self.socket)?;
        let came = table.counters.since(self.counters);
        let since_ns = std::mem::replace(&mut self.at_ns, now);
        self.counters = table.counters;
        let Some((entries, max)) = table.room.filter(|_| table.nearly_full() || came != Counters::default()) else {
            return Ok(None);
        };
        Ok(Some(ConntrackTable {
            netns: Netns { inode, ..Netns::default() },
            since_ns,
            entries: entries.into(),
            max: max.into(),
            dropped: came.dropped.into(),
            insert_failed: came.insert_failed.into(),
            early_dropped: came.early_dropped.into(),
        }))
    }
}

fn ask(socket: &Socket) -> io::Result<Table> {
    let mut table = Table::default();
    let mut buffer = Vec::with_capacity(DATAGRAM_MAX);
    // What is left of an answer that was not waited for.
    while socket.recv(&mut buffer, libc::MSG_DONTWAIT).is_ok() {
        buffer.clear();
    }
    socket.send(&counters_request(), 0)?;
    receive(socket, &mut buffer, &mut table, |t| t.done)?;
    socket.send(&room_request(), 0)?;
    receive(socket, &mut buffer, &mut table, |t| t.room.is_some())?;
    Ok(table)
}

fn receive(socket: &Socket, buffer: &mut Vec<u8>, table: &mut Table, over: impl Fn(&Table) -> bool) -> io::Result<()> {
    while !over(table) {
        buffer.clear();
        socket.recv(buffer, 0)?;
        parse(buffer, table);
        match table.error {
            Some(errno) => return Err(io::Error::from_raw_os_error(errno)),
            None if buffer.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    }
    Ok(())
}
