//! Times for people: UTC, to the second.

use jiff::Timestamp;

/// Returns `2026-11-21 09:40:07 UTC` for milliseconds since 1970. Times after the year 9999 are shown as its end.
pub(crate) fn utc(millis: u64) -> String {
    let millis = i64::try_from(millis).ok();
    let at = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok()).unwrap_or(Timestamp::MAX);
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn known_times_are_shown_right() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_795_254_007_999), "2026-11-21 09:40:07 UTC");
    }

    #[test]
    fn the_largest_number_is_no_panic() {
        assert!(utc(u64::MAX).ends_with("UTC"));
    }
}
