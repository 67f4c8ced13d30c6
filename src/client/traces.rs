//! Looking on: a server's trace, line by line, as it is written.

use std::time::{Duration, Instant};

use crate::client::caller::Caller;
use crate::client::connection::Question;
use crate::client::ending::{Failure, out_of_place};
use crate::client::follow::Wish;
use crate::wire::Answer;
use crate::wire::traces::{Noted, parse_noted};

/// The silence after which a server counts as gone. It says something every five seconds.
const SILENCE: Duration = Duration::from_secs(20);

/// A client that is told a server's trace.
#[derive(Debug)]
pub struct Onlooker {
    caller: Caller,
}

impl Onlooker {
    /// Creates one, which connects when it runs.
    pub(super) fn new(caller: Caller) -> Onlooker {
        Onlooker { caller }
    }

    /// Looks on over one connection, until no more is wanted. The first record is of the beginning of the server's
    /// life, whenever that was; those after it are of what happens from now on.
    ///
    /// # Errors
    /// If the server doesn't let it look on, ends it, or is gone; or by the user's interrupt.
    pub fn run(&mut self, take: &mut dyn FnMut(Noted) -> Wish) -> Result<(), Failure> {
        let until = Instant::now() + self.caller.timeout();
        let Answer::Trace(first) = self.caller.ask(Question::Trace, until)? else {
            return Err(out_of_place());
        };
        let id = self.caller.last_id();
        let interrupt = self.caller.interrupt();
        let _watched = self.caller.watched(&interrupt);
        let mut wish = take(Noted::Record(first));
        while wish.is_continue() {
            let line = self.caller.next_line(Instant::now() + SILENCE)?;
            wish = match parse_noted(line, id).map_err(Failure::NotUnderstood)? {
                Some(Noted::Ended(error, message)) => return Err(Failure::Said(error, message)),
                Some(noted) => take(noted),
                None => wish,
            };
        }
        self.caller.hang_up();
        Ok(())
    }
}
