//! Entries into a Redis Stream.

use std::thread;
use std::time::Duration;

use super::{End, Options, Sink, follow};
use crate::bank::blockchain::bank_name::BankName;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::request::Place;
use crate::client::patience::spread;
use crate::store::redis::outlet::{Outlet, OutletError, Standing};

/// The most entries that go into the stream at once.
const MANY: usize = 1_000;
/// The pauses before Redis is tried again: the first one, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Relays into the stream of this Redis and key, from where the stream is on.
pub(super) fn relay(options: &Options, redis: (&str, &str, Duration)) -> End {
    let mut pause = PAUSES.0;
    loop {
        let mut has_added = false;
        let why = match attempt(options, redis, &mut has_added) {
            Ok(end) => return end,
            Err(OutletError::Wrong(why)) => return End::Failed(why),
            Err(OutletError::Away(why)) => why,
        };
        if has_added {
            pause = PAUSES.0;
        }
        log::warn!("{why}; trying again");
        thread::sleep(spread(pause));
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Relays until Redis fails.
fn attempt(
    options: &Options,
    (url, key, timeout): (&str, &str, Duration),
    has_added: &mut bool,
) -> Result<End, OutletError> {
    let mut outlet = Outlet::open(url, key, timeout)?;
    let Standing { last, bank } = outlet.standing()?;
    let from = last.map_or(Place::first_of(0), Place::next);
    let mut filler = Filler {
        outlet,
        key,
        there: bank,
        bank: String::new(),
        batch: Vec::new(),
        has_added,
        failed: None,
    };
    let end = follow(options, from, &mut filler);
    match filler.failed {
        Some(error) => Err(error),
        None => Ok(end),
    }
}

/// Puts entries into the stream, many at a time.
struct Filler<'a> {
    outlet: Outlet,
    key: &'a str,
    /// The bank whose entries are in the stream, if there are any.
    there: Option<String>,
    /// The bank whose entries come.
    bank: String,
    batch: Vec<(Place, String)>,
    has_added: &'a mut bool,
    /// Why entries could not be put there.
    failed: Option<OutletError>,
}

impl Sink for Filler<'_> {
    fn bank(&mut self, bank: BlockHash) -> Result<(), End> {
        self.bank = BankName::of(&bank).to_string();
        match &self.there {
            Some(other) if *other != self.bank => Err(End::Failed(format!(
                "the stream {} is of another bank, {other}, and the server is of {}; name another key",
                self.key, self.bank
            ))),
            _ => Ok(()),
        }
    }

    fn entry(&mut self, place: Place, _: &str, entry: &str) -> Result<(), End> {
        self.batch.push((place, format!("{{{entry}")));
        if self.batch.len() < MANY { Ok(()) } else { self.pause() }
    }

    fn pause(&mut self) -> Result<(), End> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let added = self.outlet.add(&self.bank, &self.batch);
        self.batch.clear();
        self.failed = match added {
            Ok(true) => {
                *self.has_added = true;
                return Ok(());
            }
            // How far it has come is looked up anew.
            Ok(false) => Some(OutletError::Away("another relay fills the stream as well".into())),
            Err(error) => Some(error),
        };
        Err(End::Done)
    }
}
