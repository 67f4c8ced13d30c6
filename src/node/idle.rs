//! What the event loop does while there is nothing to take in.
//!
//! Waking a thread that sleeps costs tens of microseconds where its processor has been halted. In a run,
//! every message would pay that. So at first the event loop stays awake and yields the processor to others
//! (`sched_yield`), as the "yielding" and "backoff" idle strategies of message queues do. It sleeps when
//! nothing has come for as long as a small durable write takes.

use std::thread;
use std::time::{Duration, Instant};

use crate::bank::effects::{Batch, Write};

/// How long it stays awake: what it waits for is mostly one durable write away.
const AWAKE: Duration = Duration::from_micros(200);
/// The bytes of entries and blocks beyond which a turn counts as load.
const LITTLE: usize = 8 << 10;
/// How long load lasts after such a turn. Under load the processors have better things to do than to wait
/// quickly: settling under full load lost a third by it.
const LOAD: Duration = Duration::from_millis(20);

/// How the event loop waits for what comes next.
///
/// Where the present is given, no clock is read.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    loaded_until: Option<Instant>,
}

impl Idle {
    /// Notes that a turn is durable since `now`.
    pub(crate) fn turn(&mut self, batch: &Batch, now: Instant) {
        let bytes = |write: &Write| match write {
            Write::Log(element) => element.text().len(),
            Write::Accept { block, .. } | Write::Append { block, .. } => block.text().len(),
            Write::Promise(_) | Write::Activate => 0,
        };
        if batch.writes.iter().map(bytes).sum::<usize>() > LITTLE {
            self.loaded_until = Some(now + LOAD);
        }
    }

    /// Returns until when to stay awake, if at all.
    fn awake_until(&self, now: Instant) -> Option<Instant> {
        let loaded = self.loaded_until.is_some_and(|until| now < until);
        (!loaded).then(|| now + AWAKE)
    }

    /// Waits awake for a while. True as soon as `has_come`.
    pub(crate) fn wait_awake(&self, has_come: impl Fn() -> bool) -> bool {
        let mut now = Instant::now();
        let Some(until) = self.awake_until(now) else { return false };
        loop {
            if has_come() {
                return true;
            }
            if now >= until {
                return false;
            }
            thread::yield_now();
            now = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::ids::TurnNumber;
    use crate::bank::ledger::element::Element;
    use crate::bank::ledger::entry::{Action, Position, Record};

    fn logs(entries: usize) -> Batch {
        let action = Action::open("A/savings".parse().unwrap());
        let record = Record::plain(action);
        let element = Element::seal(Position { epoch: 1, seq: 1 }, vec![record; entries]);
        Batch { number: TurnNumber(1), writes: vec![Write::Log(element)] }
    }

    #[test]
    fn it_goes_to_sleep_at_once_only_under_load() {
        let (mut idle, now) = (Idle::default(), Instant::now());
        idle.turn(&logs(1), now);
        assert_eq!(idle.awake_until(now), Some(now + AWAKE), "one entry is no load");
        idle.turn(&logs(4_000), now);
        assert_eq!(idle.awake_until(now), None);
        idle.turn(&logs(1), now + LOAD / 2);
        assert_eq!(idle.awake_until(now + LOAD / 2), None, "a small turn doesn't end it");
        assert_eq!(idle.awake_until(now + LOAD), Some(now + LOAD + AWAKE));
    }

    #[test]
    fn it_stays_awake_for_a_little_while_and_says_what_has_come() {
        let idle = Idle::default();
        assert!(idle.wait_awake(|| true));
        let begun = Instant::now();
        assert!(!idle.wait_awake(|| false));
        assert!(begun.elapsed() >= AWAKE);
        let looks = std::cell::Cell::new(0);
        assert!(idle.wait_awake(|| looks.replace(looks.get() + 1) == 1), "looks more than once");
    }
}
