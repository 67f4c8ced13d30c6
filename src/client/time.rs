//! Lengths of time as people type them.

use std::time::Duration;

/// The longest time that may be typed. A longer one is a slip of the keyboard.
const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a time such as `500ms`, `2s` or `1m`; at least 1 ms, at most a day.
///
/// # Errors
/// Says what is wrong and what is right.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    const RIGHT: &str = "a time is a whole number and a unit: 500ms, 2s or 1m";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(RIGHT.into());
    }
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "" => return Err(format!("the unit is missing; {RIGHT}")),
        _ => {
            // As much of it as shows which unit was meant.
            let unit: String = unit.chars().take(20).collect();
            return Err(format!("{unit:?} is not a unit of time; {RIGHT}"));
        }
    };
    let time = number.parse().ok().and_then(|n: u64| n.checked_mul(millis_per_unit));
    match time.map(Duration::from_millis) {
        Some(Duration::ZERO) => Err("the time must be at least 1ms".into()),
        Some(time) if time <= MAX_TIME => Ok(time),
        _ => Err("the time must not be longer than a day (1440m)".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_time("1m"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_time("1440m"), Ok(MAX_TIME));
    }

    #[test]
    fn what_is_said_of_a_long_text_is_short() {
        let error = parse_time(&format!("1{}", "s".repeat(1 << 20))).unwrap_err();
        assert!(error.len() < 200, "{} bytes", error.len());
    }

    #[test]
    fn what_is_wrong_with_a_time_is_said() {
        for (text, part) in [
            ("2", "unit is missing"),
            ("2h", "\"h\" is not a unit"),
            ("2 s", "\" s\" is not a unit"),
            ("1.5s", "\".5s\" is not a unit"),
            ("", "500ms, 2s or 1m"),
            ("s", "500ms, 2s or 1m"),
            ("-1s", "500ms, 2s or 1m"),
            ("0ms", "at least 1ms"),
            ("0m", "at least 1ms"),
            ("1441m", "not be longer than a day"),
            ("99999999999999999999s", "not be longer than a day"),
            ("18446744073709551615m", "not be longer than a day"),
        ] {
            let error = parse_time(text).unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
