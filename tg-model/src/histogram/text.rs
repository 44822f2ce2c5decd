//! The text form of a histogram: HdrHistogram V2 in base64. Changes when that form does.
//!
//! A header of 40 bytes (cookie, length, offset, digits, lowest, highest, ratio: big-endian), then the
//! counters from 0 to the largest value's, each as a number, two or more zeros in a row as minus their
//! number. Numbers are zigzag-coded and written in groups of seven bits (LEB128), the ninth byte whole.

use super::{Histogram, SIGNIFICANT_DIGITS, TABLE_MAX, VALUE_MAX_NS, index_of};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::Deserializer;
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
    /// Another form.
    #[error("the histogram is not in HdrHistogram's V2 form: it does not begin with that form's cookie")]
    Form,
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
        check_header(&bytes)?;
        if bytes.windows(TOO_MANY_ZEROS.len()).any(|w| w == TOO_MANY_ZEROS) {
            return Err(HistogramError::Zeros);
        }
        let read: hdrhistogram::Histogram<u32> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(HistogramError::Format)?;
        if let below @ 1.. = read.count_at(0) {
            return Err(HistogramError::BelowRange(below));
        }
        let mut histogram = Histogram { clamped: text.clamped, ..Histogram::default() };
        for counter in read.iter_recorded() {
            let index = index_of(counter.value_iterated_to().min(TABLE_MAX));
            histogram.count(index, counter.count_at_value());
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

/// The header is looked at first, so that a file cannot ask for a huge table or, by the length, for a huge buffer.
fn check_header(bytes: &[u8]) -> Result<(), HistogramError> {
    let (found, numbers) = bytes.split_at_checked(HEADER_LEN).ok_or(HistogramError::Range)?;
    let wanted = header(u32::try_from(numbers.len()).map_err(|_| HistogramError::Range)?);
    if found[..4] != wanted[..4] {
        return Err(HistogramError::Form);
    }
    if found != wanted {
        return Err(HistogramError::Range);
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::{Serializer, V2Serializer};
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

        #[test]
        fn numbers_of_any_kind_are_a_histogram_or_an_error(numbers in prop::collection::vec(any::<i64>(), 0..80)) {
            let mut bytes = Vec::new();
            numbers.iter().for_each(|n| put(n / 4, &mut bytes));
            if let Ok(read) = Histogram::decode(&of_numbers(&bytes)) {
                prop_assert_eq!(Histogram::decode(&read.encode()).unwrap(), read);
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
            assert!(matches!(error, HistogramError::Zeros), "{error}");
        }
    }

    #[test]
    fn numbers_that_are_cut_off_or_too_large_are_errors() {
        // 2^32 after a zero: its zigzag is 2^33.
        for numbers in [&[0x80][..], &[0, 0x80, 0x80, 0x80, 0x80, 0x20]] {
            let error = Histogram::decode(&of_numbers(numbers)).unwrap_err();
            assert!(matches!(error, HistogramError::Format(_)), "{error}");
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
