//! What the kernel told, made into lines: records of the ring buffer, conntrack's netlink events. Changes when what an
//! event is completed with does.

use super::{Observer, since};
use crate::decode;
use crate::kernel::trackers::Heard;
use crate::name;
use tg_model::node_event::{Conntrack, Gap, LossCause, Netns, NodeEvent, NodeLine, Observed};

/// Records that are taken at once: what is beside them must not wait for a flood's end.
const RECORDS_AT_ONCE: usize = 8192;

impl Observer {
    pub(super) fn take_records(&mut self, lines: &mut Vec<NodeLine>) -> bool {
        for _ in 0..RECORDS_AT_ONCE {
            let decoded = match self.ring.next() {
                Some(record) => decode::decode(&record, &self.names),
                None => return false,
            };
            match decoded {
                Ok(decoded) => {
                    let at_ns = decoded.at_ns.saturating_sub(self.settings.origin_ns);
                    self.tell(at_ns, decoded.program, decoded.event, lines);
                }
                Err(_) => self.undecodable += 1,
            }
        }
        true
    }

    pub(super) fn take_heard(&mut self, lines: &mut Vec<NodeLine>) -> bool {
        let mut heard = Vec::new();
        let more = self.trackers.take_all(|inode, what| heard.push((inode, what)));
        let now = since(self.settings.origin_ns);
        for (inode, what) in heard {
            match what {
                Heard::Entry(mut entry) if self.concerns(&entry) => {
                    entry.netns.inode = inode;
                    self.heard += 1;
                    self.tell(now, name::CONNTRACK, NodeEvent::Conntrack(entry), lines);
                }
                Heard::Entry(_) => {}
                Heard::Undecodable(lost) => {
                    lines.push(self.gap(name::CONNTRACK, Some(lost), LossCause::Undecodable, now));
                }
                Heard::Lost => lines.push(self.gap(name::CONNTRACK, None, LossCause::SocketFull, now)),
            }
        }
        more
    }

    /// Completes an event and tells it, after what follows from it.
    pub(super) fn tell(&mut self, at_ns: u64, program: &str, mut event: NodeEvent, lines: &mut Vec<NodeLine>) {
        lines.extend(self.filter.learn(&event, at_ns).map(NodeLine::Watched));
        if let Some(netns) = netns_of(&mut event) {
            self.namespaces.name(netns);
        }
        self.translations.complete(&mut event, &self.filter.vips);
        lines.push(NodeLine::Event(Box::new(Observed { at_ns, program: program.into(), event })));
    }

    pub(super) fn concerns(&self, entry: &Conntrack) -> bool {
        self.filter.service_of(entry.original.dst).is_some()
    }

    pub(super) fn gap(&self, program: &str, lost: Option<u64>, cause: LossCause, now: u64) -> NodeLine {
        NodeLine::Gap(Gap { program: program.into(), cpu: None, from_ns: self.last_tick_ns, to_ns: now, lost, cause })
    }
}

fn netns_of(event: &mut NodeEvent) -> Option<&mut Netns> {
    Some(match event {
        NodeEvent::ResetSent(e) | NodeEvent::ResetReceived(e) => &mut e.netns,
        NodeEvent::TcpState(e) => &mut e.netns,
        NodeEvent::Conntrack(e) => &mut e.netns,
        NodeEvent::IpvsDecision(e) => &mut e.netns,
        NodeEvent::IpvsConn(e) => &mut e.netns,
        NodeEvent::IpvsDest(e) => &mut e.netns,
        NodeEvent::Segments(e) => &mut e.flow.netns,
        NodeEvent::Drop(e) => &mut e.netns,
        NodeEvent::ConntrackTable(e) => &mut e.netns,
        // A proxy tells of itself, in the namespace that it runs in.
        NodeEvent::ProxyDecision(_) | NodeEvent::ProxyConn(_) => return None,
    })
}
