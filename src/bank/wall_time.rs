//! The time of day, for people. Nothing is decided by it.

use serde::{Deserialize, Deserializer, Serialize, de};

/// A time by a server's own clock: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct WallTime(u64);

impl WallTime {
    /// The latest time: the end of the year 9999, the last that has four digits.
    pub const MAX: WallTime = WallTime(253_402_300_799_999);

    /// Makes the time that is so many milliseconds after 1970, unless it is after [`WallTime::MAX`].
    pub const fn new(millis: u64) -> Option<WallTime> {
        if millis <= WallTime::MAX.0 { Some(WallTime(millis)) } else { None }
    }

    /// Returns the milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for WallTime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let millis = u64::deserialize(from)?;
        WallTime::new(millis).ok_or_else(|| {
            let most = WallTime::MAX.0;
            de::Error::custom(format_args!(
                "a time is a whole number of milliseconds since 1970, at most {most}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_number_of_milliseconds_up_to_the_end_of_the_year_9999() {
        let read = |text: &str| serde_json::from_str::<WallTime>(text).ok();
        assert_eq!(read("1796009637123"), Some(WallTime(1_796_009_637_123)));
        assert_eq!(read("253402300799999"), Some(WallTime::MAX));
        assert_eq!([read("253402300800000"), read("-1"), read("\"1\"")], [None; 3]);
        assert_eq!(serde_json::to_string(&WallTime::MAX).unwrap(), "253402300799999");
    }
}
