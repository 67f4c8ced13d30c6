//! How long a client keeps trying.

use std::time::{Duration, Instant};

use crate::client::ending::Failure;
use crate::client::interrupt::Interrupt;

/// The pause before the first retry. It doubles with each retry.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The time that a client spends on one command before it gives up.
pub(super) struct Patience {
    pub until: Instant,
    pause: Duration,
    interrupt: Interrupt,
}

impl Patience {
    /// Starts a patience of `total`, which an interrupt ends.
    pub fn new(total: Duration, interrupt: Interrupt) -> Self {
        Patience { until: after(total), pause: FIRST_PAUSE, interrupt }
    }

    /// Waits before the next try. False if there is no time for one.
    pub fn wait(&mut self, because: &Failure) -> bool {
        let pause = spread(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        if Instant::now() + pause >= self.until {
            return false;
        }
        log::info!("{because}; trying again");
        self.interrupt.sleep(pause);
        true
    }
}

/// Returns a pause at random between half of this one and all of it.
///
/// So those who lost one server together don't come back to it together.
pub(crate) fn spread(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Returns the moment after this time, or a very late one if no clock can hold it.
pub(super) fn after(time: Duration) -> Instant {
    const A_WEEK: Duration = Duration::from_secs(7 * 86_400);
    Instant::now() + time.min(A_WEEK)
}
