//! How long a client keeps trying.

use std::time::{Duration, Instant};

use crate::client::ending::Failure;
use crate::client::interrupt::Interrupt;

/// The pause before the first retry; doubled with each one…
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// …up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a client has to spend on one command before it gives up.
pub(super) struct Patience {
    pub until: Instant,
    pause: Duration,
    interrupt: Interrupt,
}

impl Patience {
    /// For so long in all, unless it is interrupted.
    pub fn new(total: Duration, interrupt: Interrupt) -> Self {
        Patience { until: after(total), pause: FIRST_PAUSE, interrupt }
    }

    /// Waits before the next try; false if there is no time for one.
    ///
    /// The wait is random within its bound, so that clients who lost one server together don't
    /// come back to it together.
    pub fn wait(&mut self, because: &Failure) -> bool {
        let pause = self.pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        if Instant::now() + pause >= self.until {
            return false;
        }
        log::info!("{because}; trying again");
        self.interrupt.sleep(pause);
        true
    }
}

/// So much later, but for times that no clock can hold.
pub(super) fn after(time: Duration) -> Instant {
    const A_WEEK: Duration = Duration::from_secs(7 * 86_400);
    Instant::now() + time.min(A_WEEK)
}
