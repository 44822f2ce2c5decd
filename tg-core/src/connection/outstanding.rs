//! The packets in flight of all connections of a shard: one table, allocated once.
//!
//! Cell i of all slots lie side by side, so memory is touched only as deep as the deepest queue was:
//! usually one cell a slot.

use tg_model::time::Nanos;

/// A packet in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// When it was due.
    pub intended: Nanos,
    /// When the kernel took its first byte.
    pub sent: Nanos,
}

impl Packet {
    const ANSWERED: Nanos = Nanos::MAX;

    fn to_cell(self) -> Cell {
        [self.intended.0, self.sent.0]
    }

    fn of_cell([intended, sent]: Cell) -> Packet {
        Packet { intended: Nanos(intended), sent: Nanos(sent) }
    }

    /// A datagram in the middle of the queue whose echo has come.
    pub fn is_answered(self) -> bool {
        self.sent == Packet::ANSWERED
    }
}

/// The place of one connection's packets in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    head: u32,
    len: u32,
    answered: u32,
}

impl Queue {
    /// Packets in it whose echoes are out.
    pub fn waiting(&self) -> u32 {
        self.len - self.answered
    }

    /// Places taken: answered datagrams in the middle keep theirs.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// No packet in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A packet's two times, in nanoseconds.
type Cell = [u64; 2];

/// The table.
#[derive(Debug)]
pub struct Outstanding {
    cells: Vec<Cell>,
    slots: usize,
    depth: u32,
}

impl Outstanding {
    /// Room for `depth` packets of each of `slots` slots.
    pub fn new(slots: u32, depth: u32) -> Outstanding {
        let slots = slots as usize;
        // Zeroed numbers come from the allocator as untouched pages; a struct of ours would be written.
        Outstanding { cells: vec![Cell::default(); slots * depth as usize], slots, depth }
    }

    fn index(&self, slot: u32, queue: &Queue, nth: u32) -> usize {
        ((queue.head + nth) % self.depth) as usize * self.slots + slot as usize
    }

    /// Adds the newest packet. The caller keeps the limit.
    pub fn push(&mut self, slot: u32, queue: &mut Queue, packet: Packet) {
        debug_assert!(queue.len < self.depth);
        let at = self.index(slot, queue, queue.len);
        self.cells[at] = packet.to_cell();
        queue.len += 1;
    }

    /// Reads the place of the next packet; what is there means nothing.
    pub fn warm(&self, slot: u32, queue: &Queue) -> u64 {
        self.cells[self.index(slot, queue, queue.len)][0]
    }

    /// The oldest packet.
    pub fn front(&self, slot: u32, queue: &Queue) -> Option<Packet> {
        self.get(slot, queue, 0)
    }

    /// The packet `nth` after the oldest.
    pub fn get(&self, slot: u32, queue: &Queue, nth: u32) -> Option<Packet> {
        (nth < queue.len).then(|| Packet::of_cell(self.cells[self.index(slot, queue, nth)]))
    }

    /// Takes the oldest packet out.
    pub fn pop(&mut self, slot: u32, queue: &mut Queue) -> Option<Packet> {
        let packet = self.front(slot, queue)?;
        queue.head = (queue.head + 1) % self.depth;
        queue.len -= 1;
        queue.answered -= u32::from(packet.is_answered());
        if queue.len == 0 {
            queue.head = 0;
        }
        Some(packet)
    }

    /// Marks the packet `nth` after the oldest as answered; gives it as it was. `None` where it was already.
    pub fn answer(&mut self, slot: u32, queue: &mut Queue, nth: u32) -> Option<Packet> {
        let packet = self.get(slot, queue, nth).filter(|p| !p.is_answered())?;
        let at = self.index(slot, queue, nth);
        self.cells[at] = Packet { sent: Packet::ANSWERED, ..packet }.to_cell();
        queue.answered += 1;
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_was_empty_begins_at_the_first_cell_again() {
        let mut outstanding = Outstanding::new(1, 8);
        let mut queue = Queue::default();
        for _ in 0..3 {
            outstanding.push(0, &mut queue, Packet::default());
            outstanding.pop(0, &mut queue);
            assert_eq!(queue, Queue::default());
        }
    }

    #[test]
    fn a_queue_that_is_never_empty_stays_in_the_table_and_in_order() {
        let packet = |n: u64| Packet { intended: Nanos(n), sent: Nanos(n) };
        let mut outstanding = Outstanding::new(2, 3);
        let mut queues = [Queue::default(); 2];
        for n in 0..100 {
            for slot in [0, 1] {
                let queue = &mut queues[slot as usize];
                outstanding.push(slot, queue, packet(2 * n + u64::from(slot)));
                if n > 0 {
                    assert_eq!(outstanding.pop(slot, queue), Some(packet(2 * (n - 1) + u64::from(slot))));
                    assert_eq!(*queue, Queue { head: (n % 3) as u32, len: 1, answered: 0 });
                }
            }
        }
    }
}
