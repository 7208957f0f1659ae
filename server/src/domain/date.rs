//! Times in the forms that people and logs read.

use sealpost_crypto::UnixMillis;

const SECONDS_A_DAY: u64 = 86_400;

/// Returns the time in UTC to the second, in the form of RFC 3339: `2026-11-21T12:00:00Z`.
#[must_use]
pub fn rfc3339(at: UnixMillis) -> String {
    let seconds = at.0 / 1_000;
    let (year, month, day) = civil(seconds / SECONDS_A_DAY);
    let of_day = seconds % SECONDS_A_DAY;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", of_day / 3_600, of_day / 60 % 60, of_day % 60)
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

/// Returns year, month and day in the Gregorian calendar for a day counted from 1970. It counts in eras of 400 years
/// that begin in March, so that the leap day is the last day of its year.
fn civil(day: u64) -> (u64, u64, u64) {
    let day = day.saturating_add(719_468);
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day_of_month)
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
