//! A journal's histograms: what decodes has figures that fit each other, and survives another round.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use tg_model::histogram::{EncodedHistogram, Histogram};

/// The header of HdrHistogram's V2 form, the length left out: cookie, length, offset 0, 3 digits,
/// 1 to 600 000 000 000, ratio 1.
const HEADER: [u8; 40] = [
    0x1c, 0x84, 0x93, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x8b, 0xb2, 0xc9,
    0x70, 0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0,
];

fuzz_target!(|data: &[u8]| {
    // As text, as bytes, and as counts with the right header before them.
    if let Ok(text) = std::str::from_utf8(data) {
        check(text.to_owned());
    }
    check(STANDARD.encode(data));
    let mut bytes = HEADER.to_vec();
    bytes[4..8].copy_from_slice(&(data.len() as u32).to_be_bytes());
    bytes.extend_from_slice(data);
    check(STANDARD.encode(bytes));
});

fn check(v2: String) {
    let Ok(histogram) = Histogram::decode(&EncodedHistogram { clamped: 7, v2 }) else { return };
    let quantiles: Vec<u64> = [0.0, 0.5, 0.9, 0.99, 0.999, 1.0].iter().map(|q| histogram.quantile(*q)).collect();
    assert!(quantiles.is_sorted() && quantiles.iter().all(|q| *q <= histogram.max()), "{quantiles:?}");
    assert_eq!(histogram.is_empty(), histogram.max() == 0);
    let again = Histogram::decode(&histogram.encode()).expect("its own text");
    assert_eq!(again, histogram);
    let mut sum = histogram.clone();
    sum.add(&again);
    assert_eq!(sum.clamped(), 14);
    assert!(sum.len() >= histogram.len() && sum.max() == histogram.max());
}
