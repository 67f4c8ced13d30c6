//! Transfers that wait for money are asked again.

use std::io::Write;

use super::{Player, Stop};
use crate::play::short::Waiting;

impl<O: Write> Player<'_, O> {
    /// Asks again what waits for money, if there is a new block or a server was started.
    pub(super) fn look_again(&mut self) -> Result<(), Stop> {
        while let Some(waiting) = self.short.next(&mut self.stage) {
            self.ask_again(waiting)?;
        }
        Ok(())
    }

    /// Asks again everything that waits for money, whatever has changed: where the home's own money doesn't cover
    /// it, asking starts a run, which finds the money that is in others' logs. What is accepted may bring money to
    /// those that were asked before it.
    pub(super) fn look_at_all_again(&mut self) -> Result<(), Stop> {
        loop {
            let all = self.short.take_all(&self.stage);
            let before = all.len();
            for waiting in all {
                self.ask_again(waiting)?;
            }
            self.look_again()?;
            let left = self.short.left().iter().filter(|one| self.stage.runs(&one.server)).count();
            if left == 0 || left >= before {
                return Ok(());
            }
        }
    }

    fn ask_again(&mut self, waiting: Waiting) -> Result<(), Stop> {
        let ticket = self.say(&waiting.step, &waiting.server, waiting.command, true)?;
        match ticket {
            Some(ticket) => self.wait_for(|other| other == ticket),
            None => Ok(()),
        }
    }
}
