//! The text form of a histogram: HdrHistogram V2 in base64. Changes when that form does.
//!
//! A header of 40 bytes (cookie, length, offset, digits, lowest, highest, ratio: big-endian), then the
//! counters from 0 to the largest value's, each as a number, two or more zeros in a row as minus their
//! number. Numbers are zigzag-coded and written in groups of seven bits (LEB128), the ninth byte whole.

use super::{Histogram, SIGNIFICANT_DIGITS, TABLE_LEN, VALUE_MAX_NS};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

const COOKIE: u32 = 0x1c84_9313;
const HEADER_LEN: usize = 40;

/// A histogram as a journal holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EncodedHistogram {
    /// Values above the range.
    pub clamped: u64,
    /// HdrHistogram V2 in base64: nanoseconds, 1 to [`VALUE_MAX_NS`], three digits.
    pub v2: String,
}

/// A histogram could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// Not base64.
    #[error("the histogram is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not a V2 histogram.
    #[error("the histogram is not in HdrHistogram's V2 form: {0}")]
    Format(&'static str),
    /// Its length or range is not tg's.
    #[error("the histogram's length is not what it says, or its range is not 1 ns to {VALUE_MAX_NS} ns with 3 digits")]
    Range,
    /// It counts values of 0, which are below the range: HdrHistogram's form has a place for them.
    #[error("the histogram counts {0} values of 0 ns, below its range")]
    BelowRange(u32),
}

impl Histogram {
    /// The text form.
    pub fn encode(&self) -> EncodedHistogram {
        let mut bytes = header(0).to_vec();
        let mut zeros = if self.is_empty() { 1 } else { self.used.start };
        for count in self.counts.get(self.used.clone()).unwrap_or_default() {
            if *count == 0 {
                zeros += 1;
            } else {
                put_zeros(zeros, &mut bytes);
                zeros = 0;
                put(i64::from(*count), &mut bytes);
            }
        }
        put_zeros(zeros, &mut bytes);
        let header = header((bytes.len() - HEADER_LEN) as u32);
        bytes[..HEADER_LEN].copy_from_slice(&header);
        EncodedHistogram { clamped: self.clamped, v2: STANDARD.encode(bytes) }
    }

    /// Reads a text form back.
    ///
    /// # Errors
    /// It is not one, or not of this range.
    pub fn decode(text: &EncodedHistogram) -> Result<Histogram, HistogramError> {
        let bytes = STANDARD.decode(&text.v2)?;
        let mut numbers = numbers(&bytes)?;
        let mut histogram = Histogram { clamped: text.clamped, ..Histogram::default() };
        let mut index = 0usize;
        while !numbers.is_empty() {
            let number = take(&mut numbers).ok_or(HistogramError::Format("a number is cut off"))?;
            let many = HistogramError::Format("it has more counters than its range");
            if number < 0 {
                let zeros = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
                index = index.saturating_add(zeros);
                if index > TABLE_LEN {
                    return Err(many);
                }
                continue;
            }
            if index >= TABLE_LEN {
                return Err(many);
            }
            let count = u32::try_from(number).map_err(|_| HistogramError::Format("a count is above 2^32"))?;
            match (index, count) {
                (_, 0) => {}
                (0, _) => return Err(HistogramError::BelowRange(count)),
                _ => histogram.count(index, count),
            }
            index += 1;
        }
        Ok(histogram)
    }
}

fn header(payload_len: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&COOKIE.to_be_bytes());
    header[4..8].copy_from_slice(&payload_len.to_be_bytes());
    header[15] = SIGNIFICANT_DIGITS;
    header[16..24].copy_from_slice(&1u64.to_be_bytes());
    header[24..32].copy_from_slice(&VALUE_MAX_NS.to_be_bytes());
    header[32..].copy_from_slice(&1f64.to_be_bytes());
    header
}

/// What follows the header, if that is tg's.
fn numbers(bytes: &[u8]) -> Result<&[u8], HistogramError> {
    let (found, numbers) = bytes.split_at_checked(HEADER_LEN).ok_or(HistogramError::Range)?;
    let wanted = header(u32::try_from(numbers.len()).map_err(|_| HistogramError::Range)?);
    if found[..4] != wanted[..4] {
        return Err(HistogramError::Format("it does not begin with that form's cookie"));
    }
    if found[4..8] != wanted[4..8] || found[12..32] != wanted[12..32] {
        return Err(HistogramError::Range);
    }
    if found != wanted {
        return Err(HistogramError::Format("its values are shifted or scaled"));
    }
    Ok(numbers)
}

fn put_zeros(zeros: usize, bytes: &mut Vec<u8>) {
    match zeros {
        0 => {}
        1 => put(0, bytes),
        _ => put(-(zeros as i64), bytes),
    }
}

fn put(number: i64, bytes: &mut Vec<u8>) {
    let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
    // Counts and lengths of tables are far from needing the ninth byte.
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
}

/// Takes a number off the front; `None` where it is cut off.
fn take(bytes: &mut &[u8]) -> Option<i64> {
    let mut zigzag = 0u64;
    for nth in 0..9 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let last = nth == 8 || *byte < 0x80;
        zigzag |= u64::from(if nth == 8 { *byte } else { *byte & 0x7f }) << (7 * nth);
        if last {
            break;
        }
    }
    Some((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
    use proptest::prelude::*;

    fn theirs() -> hdrhistogram::Histogram<u32> {
        hdrhistogram::Histogram::new_with_bounds(1, VALUE_MAX_NS, SIGNIFICANT_DIGITS).unwrap()
    }

    fn of_numbers(numbers: &[u8]) -> EncodedHistogram {
        let mut bytes = header(numbers.len() as u32).to_vec();
        bytes.extend_from_slice(numbers);
        EncodedHistogram { clamped: 0, v2: STANDARD.encode(bytes) }
    }

    /// Values of any size, many of them close together.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value = (0u32..40, any::<u64>()).prop_map(|(bits, n)| (n % (2 << bits)).clamp(1, VALUE_MAX_NS));
        prop::collection::vec(prop_oneof![value, 1_000_000u64..1_010_000], 0..200)
    }

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
        fn text_and_figures_are_hdrhistograms(one in values(), other in values(), rank in 0.0..1.0) {
            let (mut ours, mut more, mut reference) = (Histogram::default(), Histogram::default(), theirs());
            one.iter().for_each(|v| ours.record(*v));
            other.iter().for_each(|v| more.record(*v));
            one.iter().chain(&other).for_each(|v| reference.record(*v).unwrap());
            ours.add(&more);
            let mut bytes = Vec::new();
            V2Serializer::new().serialize(&reference, &mut bytes).unwrap();
            prop_assert_eq!(ours.encode().v2, STANDARD.encode(&bytes));
            prop_assert_eq!((ours.len(), ours.max()), (reference.len(), reference.max()));
            for rank in [rank, 0.0, 0.5, 0.99, 1.0] {
                prop_assert_eq!(ours.quantile(rank), reference.value_at_quantile(rank), "rank {}", rank);
            }
            ours.clear();
            prop_assert_eq!(ours, Histogram::default());
        }

        /// Both readers take the same numbers for the same histogram.
        #[test]
        fn numbers_are_read_as_hdrhistogram_reads_them(numbers in prop::collection::vec(-2000i64..2000, 0..80)) {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|n| put(*n, &mut bytes));
            let text = of_numbers(&bytes);
            let ours = Histogram::decode(&text);
            if numbers.iter().map(|n| n.min(&-1).unsigned_abs()).sum::<u64>() > TABLE_LEN as u64 {
                // It passes over zeros there.
                prop_assert!(ours.is_err());
                return Ok(());
            }
            let bytes = STANDARD.decode(&text.v2).unwrap();
            let reference: hdrhistogram::Histogram<u32> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            match ours {
                Ok(ours) => prop_assert_eq!((ours.len(), ours.max()), (reference.len(), reference.max())),
                Err(HistogramError::BelowRange(n)) => prop_assert_eq!(n, reference.count_at(0)),
                Err(error) => prop_assert!(false, "{}", error),
            }
        }

        #[test]
        fn damage_is_an_error_or_another_histogram_but_no_panic(
            value: u32, at in 0usize..60, flip in 1u8..255,
        ) {
            let mut h = Histogram::default();
            h.record(u64::from(value));
            let mut bytes = STANDARD.decode(h.encode().v2).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let _ = Histogram::decode(&EncodedHistogram { clamped: 0, v2: STANDARD.encode(&bytes) });
        }
    }

    #[test]
    fn a_run_of_zeros_beyond_the_table_is_an_error() {
        // The longest one, of 2⁶³; on its own, and after others.
        for numbers in [vec![0xff; 9], [vec![0x03], vec![0xff; 9]].concat()] {
            let error = Histogram::decode(&of_numbers(&numbers)).unwrap_err();
            assert!(error.to_string().contains("more counters than its range"), "{error}");
        }
    }

    #[test]
    fn numbers_that_are_cut_off_or_too_large_are_errors() {
        // 2^32 after a zero: its zigzag is 2^33.
        for (numbers, want) in [(&[0x80][..], "cut off"), (&[0, 0x80, 0x80, 0x80, 0x80, 0x20], "2^32")] {
            let error = Histogram::decode(&of_numbers(numbers)).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        }
    }

    #[test]
    fn values_below_the_range_are_an_error() {
        // What fuzzing found: a histogram of 36 values whose largest is 0, as an empty one's is.
        let error = Histogram::decode(&of_numbers(b"HISAAI")).unwrap_err();
        assert!(matches!(error, HistogramError::BelowRange(36)), "{error}");
    }

    #[test]
    fn another_form_or_range_is_an_error() {
        let good = header(1);
        for at in [0, 3, 7, 11, 15, 23, 31, 39] {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1;
            bytes.push(0);
            assert!(Histogram::decode(&EncodedHistogram { clamped: 0, v2: STANDARD.encode(bytes) }).is_err(), "{at}");
        }
    }
}
