//! Waiting for a Redis that isn't ready yet.

use std::thread;
use std::time::Duration;

use crate::store::StoreError;
use crate::store::waiting::Waiting;

/// Asks until `is_so` says yes, and logs from time to time what it waits for.
pub(super) fn patiently(
    mut why: String,
    mut is_so: impl FnMut() -> Result<Result<(), String>, StoreError>,
) -> Result<(), StoreError> {
    const PAUSE: Duration = Duration::from_millis(100);
    let mut waiting = Waiting::default();
    loop {
        waiting.say(&format!("waiting for Redis: {why}"));
        thread::sleep(PAUSE);
        match is_so()? {
            Ok(()) => return Ok(()),
            Err(now) => why = now,
        }
    }
}
