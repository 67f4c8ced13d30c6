//! How the event loop looks after its store while nobody asks for anything.

use std::time::{Duration, Instant};

use crate::node::event_loop::{Broken, EventLoop};
use crate::node::load::LoadError;

impl EventLoop {
    /// How often a server checks that its store is there, still its own, and keeps what it confirms.
    pub(super) const LOOK_IN: Duration = Duration::from_secs(2);

    /// Checks now and then that the store is still there and keeps what it confirms: nobody should have to pay
    /// to find out that it is gone, nor lose a payment because somebody has changed a setting. If the store
    /// took no writes, checks whether it does now.
    pub(super) fn look_in(&mut self, now: Instant) -> Result<(), Broken> {
        match &mut self.waiting.nap {
            Some(nap) if now >= nap.until => {
                nap.until = now + self.pauses.pause(&self.timings);
                match nap.read_only.try_to_begin(&self.config, &mut *self.store) {
                    Ok(None) => {}
                    Ok(Some(loaded)) => return Err(Broken::Awake(Box::new(loaded))),
                    Err(LoadError::Store(error)) => return Err(Broken::Store(error)),
                    Err(error) => return Err(Broken::Node(error.into())),
                }
            }
            None if now.saturating_duration_since(self.waiting.looked_in) >= Self::LOOK_IN => {
                self.store.look_in().map_err(Broken::Store)?;
                self.waiting.looked_in = Instant::now();
            }
            _ => {}
        }
        Ok(())
    }
}
