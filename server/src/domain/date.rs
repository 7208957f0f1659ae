//! Times in the forms that people and logs read.

use jiff::Timestamp;
use sealpost_crypto::UnixMillis;

const SECONDS_A_DAY: u64 = 86_400;

/// Formats a time in UTC, to the second, by RFC 3339: `2026-11-21T12:00:00Z`. A time after the year 9999 is shown as its end.
#[must_use]
pub fn rfc3339(at: UnixMillis) -> String {
    let seconds = i64::try_from(at.0 / 1_000).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    seconds.unwrap_or(Timestamp::MAX).strftime("%FT%TZ").to_string()
}

/// Returns a duration in the form that people read: `3 d`, `5 h`, `12 min`, `40 s`.
#[must_use]
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / SECONDS_A_DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (1_800_000_000, "2027-01-15T08:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u64::MAX / 1_000, "9999-12-30T22:00:00Z"),
        ] {
            assert_eq!(rfc3339(UnixMillis(seconds * 1_000)), text);
        }
    }

    #[test]
    fn durations_are_told_in_one_unit() {
        let told = [0, 119_000, 120_000, 7_200_000, 172_800_000].map(duration);
        assert_eq!(told, ["0 s", "119 s", "2 min", "2 h", "2 d"]);
    }
}
