//! What a completion is of, in the 64 bits that the kernel hands back with it. Changes when another
//! kind of operation comes.

/// Kinds of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Connecting.
    Connect,
    /// The receive that is always pending.
    Receive,
    /// Sending a message, as much as fits now.
    Send,
    /// Sending a message's rest, as room comes.
    Rest,
    /// Cancelling one of the others.
    Cancel,
}

const KINDS: [Kind; 5] = [Kind::Connect, Kind::Receive, Kind::Send, Kind::Rest, Kind::Cancel];

/// An operation of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub kind: Kind,
    /// Where the socket is in the table.
    pub index: u32,
    /// Which of the sockets that were there one after the other.
    pub epoch: u32,
}

/// Places in the table that a key can name.
pub(super) const INDEX_END: u32 = 1 << 24;

impl Key {
    /// Not 0, which belongs to operations of no socket.
    pub fn pack(self) -> u64 {
        (self.kind as u64 + 1) << 56 | u64::from(self.index) << 32 | u64::from(self.epoch)
    }

    /// `None`: of no socket.
    pub fn unpack(packed: u64) -> Option<Key> {
        let kind = *KINDS.get(((packed >> 56) as usize).checked_sub(1)?)?;
        Some(Key { kind, index: (packed >> 32) as u32 & (INDEX_END - 1), epoch: packed as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_comes_back_as_it_was(kind in prop::sample::select(&KINDS[..]), index in 0..INDEX_END, epoch: u32) {
            let key = Key { kind, index, epoch };
            prop_assert_eq!(Key::unpack(key.pack()), Some(key));
        }
    }

    #[test]
    fn zero_is_no_key() {
        assert_eq!(Key::unpack(0), None);
        assert_eq!(Key::unpack(u64::MAX), None);
    }
}
