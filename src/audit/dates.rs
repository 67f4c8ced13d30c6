//! Dates and times of day, in UTC, as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

/// The seconds of a day.
const DAY: u64 = 86_400;

/// Returns the present time as people and `date -d` read it.
pub fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (hour, minute, second) = (since % DAY / 3_600, since / 60 % 60, since % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", date(since))
}

/// Returns the date of a time in seconds since 1970, as in 2026-02-28.
pub fn date(seconds: u64) -> String {
    let (year, month, day) = civil((seconds / DAY) as i64);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Returns the date, by the days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (20_786, (2026, 11, 29)),
            (20_818, (2026, 12, 31)),
            (20_819, (2027, 1, 1)),
        ] {
            assert_eq!(civil(days), date);
        }
    }

    #[test]
    fn a_date_is_the_one_of_the_whole_day() {
        assert_eq!(
            (date(0), date(DAY - 1), date(DAY)),
            ("1970-01-01".into(), "1970-01-01".into(), "1970-01-02".into())
        );
    }
}
