//! The time of day: by this machine's clock, and as people read it, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::bank::wall_time::WallTime;

/// The seconds of a day.
const DAY: u64 = 86_400;

/// Returns the microseconds since 1970; 0 before it.
pub fn micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

/// Returns the present time.
pub fn now() -> WallTime {
    WallTime::new(micros() / 1_000).unwrap_or(WallTime::MAX)
}

/// Returns a time as people and `date -d` read it, to the second: 2026-02-28T23:59:59Z.
pub fn text_of(time: WallTime) -> String {
    let seconds = time.millis() / 1_000;
    let (hour, minute, second) = (seconds % DAY / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}:{minute:02}:{second:02}Z", date_of(time))
}

/// Returns the date of a time: 2026-02-28.
pub fn date_of(time: WallTime) -> String {
    let (year, month, day) = civil((time.millis() / 1_000 / DAY) as i64);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Reads a date, or a date and a time of day, in UTC: 2026-02-28, 2026-02-28T23:59 or 2026-02-28T23:59:59, each also
/// with Z at its end, and with a space in place of the T. None if it is none, or there is no such day.
pub fn read(text: &str) -> Option<WallTime> {
    let text = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00"));
    let [year, month, day] = parts(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = match time.len() {
        5 => {
            let [hour, minute] = parts(time, ':', [2, 2])?;
            [hour, minute, 0]
        }
        _ => parts(time, ':', [2, 2, 2])?,
    };
    let days = u64::try_from(days(year as i64, month as i64, day as i64)).ok()?;
    let is_day = civil(days as i64) == (year as i64, month as i64, day as i64);
    let is_time = hour < 24 && minute < 60 && second < 60;
    let seconds = days * DAY + hour * 3_600 + minute * 60 + second;
    WallTime::new(seconds * 1_000).filter(|_| is_day && is_time)
}

/// Reads numbers of so many digits each.
fn parts<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let is_number =
            |part: &&str| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        *number = parts.next().filter(is_number)?.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
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

/// Returns the days from 1970-01-01 to a date (from the same source).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        for (number, (year, month, day)) in [
            (0, (1970, 1, 1)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (20_786, (2026, 11, 29)),
            (20_818, (2026, 12, 31)),
            (20_819, (2027, 1, 1)),
        ] {
            assert_eq!(civil(number), (year, month, day));
            assert_eq!(days(year, month, day), number);
        }
    }

    #[test]
    fn a_date_is_the_one_of_the_whole_day() {
        let date = |seconds: u64| date_of(WallTime::new(seconds * 1_000).unwrap());
        assert_eq!([date(0), date(DAY - 1), date(DAY)], ["1970-01-01", "1970-01-01", "1970-01-02"]);
        assert_eq!(date_of(WallTime::MAX), "9999-12-31");
    }

    #[test]
    fn what_is_written_is_read_and_what_is_no_time_is_not() {
        let written = ["2026-11-30T03:46:26Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"];
        for text in written {
            assert_eq!(text_of(read(text).unwrap()), text);
        }
        let short = ["2026-11-30", "2026-11-30T00:00", "2026-11-30 00:00:00Z"];
        assert!(short.iter().all(|text| read(text) == read("2026-11-30T00:00:00Z")));
        for wrong in [
            "",
            "now",
            "2026",
            "2026-11",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "26-11-30",
            "2026-11-30T24:00",
            "2026-11-30T03:60",
            "2026-11-30T03:46:60",
            "2026-11-30T3:46",
            "2026-11-30T03",
            "2026-11-30T03:46:26.5",
            "+026-11-30",
            "1969-12-31",
            "2026-11-30T03:46:26+01:00",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
