//! Waiting for a Redis that isn't ready yet.

use std::thread;
use std::time::Duration;

use crate::store::StoreError;

/// Asks until `is_so` says yes, and logs from time to time what it waits for.
pub(super) fn patiently(
    mut why: String,
    mut is_so: impl FnMut() -> Result<Result<(), String>, StoreError>,
) -> Result<(), StoreError> {
    const PAUSE: Duration = Duration::from_millis(100);
    const PAUSES_UNTIL_SAID: u32 = 100;
    for pauses in 0.. {
        if pauses % PAUSES_UNTIL_SAID == 0 {
            log::warn!("waiting for Redis: {why}");
        }
        thread::sleep(PAUSE);
        match is_so()? {
            Ok(()) => break,
            Err(now) => why = now,
        }
    }
    Ok(())
}
