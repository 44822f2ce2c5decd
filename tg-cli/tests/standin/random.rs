//! Seeded choices. Changes when how bytes are split and joined does.

use std::ops::RangeInclusive;

/// SplitMix64: a seed gives the same choices each time.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// `stream` tells connections of one seed apart.
    pub fn new(seed: u64, stream: u64) -> Random {
        Random(seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        let span = (range.end() - range.start()) as u64 + 1;
        range.start() + (self.number() % span) as usize
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.number().is_multiple_of(n)
    }

    /// Bytes, none of them 0.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| (self.number() % 255) as u8 + 1);
    }

    /// The lengths of the writes that `len` bytes leave in: often one, else odd ones, of one byte too.
    pub fn pieces(&mut self, len: usize) -> Vec<usize> {
        if self.once_in(3) {
            return vec![len];
        }
        let mut pieces = Vec::new();
        let mut left = len;
        while left > 0 {
            let most = if self.once_in(4) { 3 } else { left };
            let piece = self.within(1..=most.min(left));
            pieces.push(piece);
            left -= piece;
        }
        pieces
    }
}
