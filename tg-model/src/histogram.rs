//! A histogram with a fixed range, allocated once, and its text form (HdrHistogram V2, base64).

use base64::Engine as _;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use serde::{Deserialize, Serialize};

/// The largest value told apart: 10 minutes in nanoseconds.
pub const VALUE_MAX_NS: u64 = 600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Counts of nanosecond values from 1 to [`VALUE_MAX_NS`], three significant digits each. A value
/// outside is counted at the border, and in [`Histogram::clamped`].
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    counts: hdrhistogram::Histogram<u32>,
    clamped: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        #[expect(clippy::expect_used, reason = "the bounds are constants that the library accepts")]
        let counts =
            hdrhistogram::Histogram::new_with_bounds(1, VALUE_MAX_NS, SIGNIFICANT_DIGITS).expect("constant bounds");
        Histogram { counts, clamped: 0 }
    }
}

/// A histogram could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// Not base64.
    #[error("the histogram is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not a V2 histogram.
    #[error("the histogram is not in HdrHistogram's V2 form: {0:?}")]
    Format(hdrhistogram::serialization::DeserializeError),
    /// Its length or range is not tg's.
    #[error("the histogram's length is not what it says, or its range is not 1 ns to {VALUE_MAX_NS} ns with 3 digits")]
    Range,
    /// It counts values of 0, which are below the range: HdrHistogram's form has a place for them.
    #[error("the histogram counts {0} values of 0 ns, below its range")]
    BelowRange(u32),
    /// A run of 2⁶³ zeros.
    #[error("the histogram has a run of zeros longer than any table")]
    Zeros,
}

/// A run of 2⁶³ zeros, as encoded: hdrhistogram 7.6 negates it and overflows (`on_decoded_num` in
/// deserializer.rs). A valid form has no more than four bytes of ones in a row.
const TOO_MANY_ZEROS: [u8; 9] = [0xff; 9];

impl Histogram {
    /// Records one value. Allocates nothing.
    pub fn record(&mut self, value_ns: u64) {
        if value_ns > VALUE_MAX_NS {
            self.clamped += 1;
        }
        // In range after clamping, so recording cannot fail; 0 counts as 1 ns.
        self.counts.saturating_record(value_ns.clamp(1, VALUE_MAX_NS));
    }

    /// Values recorded.
    pub fn len(&self) -> u64 {
        self.counts.len()
    }

    /// No value recorded.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Values above the range.
    pub fn clamped(&self) -> u64 {
        self.clamped
    }

    /// The value below or at which `quantile` (0 to 1) of the values lie; 0 where there is none.
    pub fn quantile(&self, quantile: f64) -> u64 {
        if self.is_empty() { 0 } else { self.counts.value_at_quantile(quantile).min(self.counts.max()) }
    }

    /// The largest value, to three digits.
    pub fn max(&self) -> u64 {
        self.counts.max()
    }

    /// Adds the values of `other`.
    pub fn add(&mut self, other: &Histogram) {
        // Equal ranges (the type has one range), so adding cannot fail.
        let _ = self.counts.add(&other.counts);
        self.clamped = self.clamped.saturating_add(other.clamped);
    }

    /// Forgets every value.
    pub fn clear(&mut self) {
        self.counts.reset();
        self.clamped = 0;
    }

    /// The text form.
    pub fn encode(&self) -> EncodedHistogram {
        let mut bytes = Vec::new();
        // Writing to a Vec cannot fail.
        let _ = V2Serializer::new().serialize(&self.counts, &mut bytes);
        let v2 = base64::engine::general_purpose::STANDARD.encode(bytes);
        EncodedHistogram { clamped: self.clamped, v2 }
    }

    /// Reads a text form back.
    pub fn decode(text: &EncodedHistogram) -> Result<Histogram, HistogramError> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(&text.v2)?;
        check_range(&bytes)?;
        if bytes.windows(TOO_MANY_ZEROS.len()).any(|w| w == TOO_MANY_ZEROS) {
            return Err(HistogramError::Zeros);
        }
        let read: hdrhistogram::Histogram<u32> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(HistogramError::Format)?;
        if let below @ 1.. = read.count_at(0) {
            return Err(HistogramError::BelowRange(below));
        }
        let mut counts = Histogram::default().counts;
        counts.add(&read).map_err(|_| HistogramError::Range)?;
        Ok(Histogram { counts, clamped: text.clamped })
    }
}

/// The header of the V2 form (cookie, length, offset, digits, lowest, highest, ratio: big-endian) is
/// looked at first, so that a file cannot ask for a huge table or, by the length, for a huge buffer.
fn check_range(bytes: &[u8]) -> Result<(), HistogramError> {
    const HEADER_LEN: usize = 40;
    let payload_len = bytes.len().checked_sub(HEADER_LEN).and_then(|n| u32::try_from(n).ok());
    if bytes.get(4..8) != payload_len.map(u32::to_be_bytes).as_ref().map(|b| b.as_slice()) {
        return Err(HistogramError::Range);
    }
    let field = |at: usize| bytes.get(at..at + 8).map(|b| b.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)));
    let digits = bytes.get(12..16).ok_or(HistogramError::Range)?;
    if digits != [0, 0, 0, SIGNIFICANT_DIGITS] || field(16) != Some(1) || field(24) != Some(VALUE_MAX_NS) {
        return Err(HistogramError::Range);
    }
    Ok(())
}

/// A histogram as a journal holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EncodedHistogram {
    /// Values above the range.
    pub clamped: u64,
    /// HdrHistogram V2 in base64: nanoseconds, 1 to [`VALUE_MAX_NS`], three digits.
    pub v2: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_form_round_trips(values in prop::collection::vec(0u64..2 * VALUE_MAX_NS, 0..200)) {
            let mut h = Histogram::default();
            values.iter().for_each(|v| h.record(*v));
            prop_assert_eq!(h.len(), values.len() as u64);
            prop_assert_eq!(h.clamped(), values.iter().filter(|v| **v > VALUE_MAX_NS).count() as u64);
            prop_assert_eq!(Histogram::decode(&h.encode()).unwrap(), h);
        }

        #[test]
        fn damage_is_an_error_or_another_histogram_but_no_panic(
            value: u32, at in 0usize..60, flip in 1u8..255,
        ) {
            let mut h = Histogram::default();
            h.record(u64::from(value));
            let mut bytes = base64::engine::general_purpose::STANDARD.decode(h.encode().v2).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let v2 = base64::engine::general_purpose::STANDARD.encode(&bytes);
            let _ = Histogram::decode(&EncodedHistogram { clamped: 0, v2 });
        }
    }

    #[test]
    fn adding_adds_what_is_in_range_and_what_was_clamped() {
        let [mut sum, mut other] = [Histogram::default(), Histogram::default()];
        sum.record(VALUE_MAX_NS + 1);
        [5, VALUE_MAX_NS + 1, u64::MAX].iter().for_each(|ns| other.record(*ns));
        sum.add(&other);
        assert_eq!((sum.len(), sum.clamped(), sum.quantile(0.0)), (4, 3, 5));
    }

    #[test]
    fn the_longest_run_of_zeros_is_an_error() {
        let mut bytes = base64::engine::general_purpose::STANDARD.decode(Histogram::default().encode().v2).unwrap();
        bytes.truncate(40);
        bytes.extend(TOO_MANY_ZEROS);
        bytes[7] = TOO_MANY_ZEROS.len() as u8;
        let v2 = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let error = Histogram::decode(&EncodedHistogram { clamped: 0, v2 }).unwrap_err();
        assert!(matches!(error, HistogramError::Zeros), "{error}");
    }

    #[test]
    fn values_below_the_range_are_an_error() {
        // What fuzzing found: a histogram of 36 values whose largest is 0, as an empty one's is.
        let mut bytes = base64::engine::general_purpose::STANDARD.decode(Histogram::default().encode().v2).unwrap();
        bytes.truncate(40);
        bytes.extend(b"HISAAI");
        bytes[7] = 6;
        let v2 = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let error = Histogram::decode(&EncodedHistogram { clamped: 0, v2 }).unwrap_err();
        assert!(matches!(error, HistogramError::BelowRange(36)), "{error}");
    }

    #[test]
    fn quantiles_keep_three_digits() {
        let mut h = Histogram::default();
        (1..=1000).for_each(|i| h.record(i * 1_000_000));
        let p50 = h.quantile(0.5) as f64;
        assert!((p50 - 500e6).abs() / 500e6 < 0.001, "{p50}");
        assert_eq!(Histogram::default().quantile(0.5), 0);
    }
}
