//! A point of the realtime clock as text. Changes when its form does.

use jiff::Timestamp;

/// Nanoseconds since the Unix epoch as RFC 3339 text, UTC, with nine decimals:
/// `2026-11-23T02:05:22.770350151Z`.
pub(super) fn rfc3339(realtime_ns: u64) -> String {
    // 64 bits of nanoseconds end in the year 2554: always in range.
    let timestamp = Timestamp::from_nanosecond(i128::from(realtime_ns)).unwrap_or_default();
    format!("{timestamp:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(951_782_400_000_000_000), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(rfc3339(1_795_399_522_770_350_151), "2026-11-23T02:05:22.770350151Z");
        assert_eq!(rfc3339(u64::MAX), "2554-07-21T23:34:33.709551615Z");
    }
}
