//! From when on a statement is wanted: a time of day, or an age. Pure.

use std::fmt;
use std::str::FromStr;

use crate::bank::wall_time::WallTime;
use crate::client::text::cut;
use crate::clock;

/// The oldest that is wanted of a statement. It is displayed as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// What is not before this time.
    At(WallTime),
    /// What is not older than so many seconds.
    Ago(u64),
}

impl Since {
    /// Returns the time from which on it is wanted. Of an age it is a whole second, so that it can be typed.
    pub fn time(self, now: WallTime) -> WallTime {
        match self {
            Since::At(time) => time,
            Since::Ago(seconds) => {
                let second = (now.millis() / 1_000).saturating_sub(seconds);
                WallTime::new(second * 1_000).unwrap_or(now)
            }
        }
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Since::At(time) => f.write_str(&clock::text_of(*time)),
            Since::Ago(seconds) => write!(f, "{seconds}s"),
        }
    }
}

impl FromStr for Since {
    type Err = String;
    fn from_str(text: &str) -> Result<Since, String> {
        let read = age(text).map(Since::Ago).or_else(|| clock::read(text).map(Since::At));
        read.ok_or_else(|| {
            format!(
                "--since {}: TIME is a date such as 2026-11-30, a time of day in UTC such as 2026-11-30T03:46, or an \
                 age: 90m, 12h, 7d",
                cut(text)
            )
        })
    }
}

/// Reads an age in seconds.
fn age(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Since, String> {
        text.parse()
    }

    #[test]
    fn a_time_is_a_date_a_time_of_day_or_an_age() {
        let at = |text| Ok(Since::At(clock::read(text).unwrap()));
        for (text, since) in [
            ("2026-11-30", at("2026-11-30T00:00:00Z")),
            ("2026-11-30T03:46", at("2026-11-30T03:46:00Z")),
            ("2026-11-30T03:46:26Z", at("2026-11-30T03:46:26Z")),
            ("2026-11-30 03:46", at("2026-11-30T03:46:00Z")),
            ("45s", Ok(Since::Ago(45))),
            ("90m", Ok(Since::Ago(5_400))),
            ("12h", Ok(Since::Ago(43_200))),
            ("7d", Ok(Since::Ago(604_800))),
        ] {
            assert_eq!(read(text), since, "{text}");
            let shown = since.unwrap().to_string();
            assert_eq!(read(&shown).unwrap().to_string(), shown);
        }
        for wrong in ["", "7", "d", "1w", "1.5h", "-7d", "yesterday", "2026-11-31", "7 d"] {
            let said = read(wrong).unwrap_err();
            assert!(said.contains("or an age: 90m, 12h, 7d"), "{said}");
        }
        assert!(read("213503982334602d").is_err(), "more seconds than can be counted");
        assert!(read(&"x".repeat(1 << 20)).unwrap_err().len() < 400);
    }

    #[test]
    fn an_age_is_counted_back_from_now_to_a_whole_second() {
        let at = |text, more| WallTime::new(clock::read(text).unwrap().millis() + more).unwrap();
        let now = at("2026-11-30T03:46:26Z", 789);
        assert_eq!(Since::Ago(26).time(now), at("2026-11-30T03:46:00Z", 0));
        assert_eq!(Since::Ago(7 * 86_400).time(now), at("2026-11-23T03:46:26Z", 0));
        assert_eq!(Since::Ago(u64::MAX).time(now), at("1970-01-01", 0));
        assert_eq!(Since::At(now).time(WallTime::MAX), now);
    }
}
