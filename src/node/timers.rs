//! Timers by name: the state machine asks for them, and here they get jittered deadlines.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::bank::effects::{Timer, TimerCommand};
use crate::node::config::Timings;

/// The running timers.
///
/// Reads no clock: the present is always given.
#[derive(Debug)]
pub struct Timers {
    timings: Timings,
    deadlines: BTreeMap<Timer, Instant>,
    queue: BTreeSet<(Instant, Timer)>,
}

impl Timers {
    /// Starts with no timer running.
    pub fn new(timings: Timings) -> Timers {
        Timers { timings, deadlines: BTreeMap::new(), queue: BTreeSet::new() }
    }

    /// Does what the state machine asks.
    pub fn apply(&mut self, command: TimerCommand, now: Instant) {
        match command {
            TimerCommand::Set(timer) => {
                self.cancel(timer);
                let deadline = now + jittered(self.timings.of(timer), spread(timer));
                self.deadlines.insert(timer, deadline);
                self.queue.insert((deadline, timer));
            }
            TimerCommand::Cancel(timer) => self.cancel(timer),
        }
    }

    fn cancel(&mut self, timer: Timer) {
        if let Some(deadline) = self.deadlines.remove(&timer) {
            self.queue.remove(&(deadline, timer));
        }
    }

    /// Returns when the next timer runs out, if any runs.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out a timer that has run out, the one with the earliest deadline first.
    pub fn due(&mut self, now: Instant) -> Option<Timer> {
        let (deadline, timer) = *self.queue.first()?;
        if deadline > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }
}

/// The spread around 1 that keeps servers started by one script from acting in step.
const LITTLE: Range<f64> = 0.75..1.25;
/// The wider spread where two servers that act at once are in each other's way.
const MUCH: Range<f64> = 0.5..1.5;
/// The spread where the time is an upper bound that somebody was told: never later.
const EARLIER: Range<f64> = 0.5..1.0;
/// The spread where the time is a lower bound: never earlier.
const LATER: Range<f64> = 1.0..1.05;

fn spread(timer: Timer) -> Range<f64> {
    match timer {
        Timer::BackOff { .. } | Timer::FinishRound | Timer::Rest => MUCH,
        Timer::Heartbeat
        | Timer::Gather { .. }
        | Timer::Repeat
        | Timer::Comeback
        | Timer::Reconcile => LITTLE,
        Timer::Settle => EARLIER,
        Timer::Patience { .. } | Timer::Deadline(_) | Timer::LookUp => LATER,
    }
}

fn jittered(base: Duration, spread: Range<f64>) -> Duration {
    base.mul_f64(spread.start + (spread.end - spread.start) * fastrand::f64())
}

/// Returns a pause before another try, spread so that servers don't retry in step.
pub(crate) fn jittered_pause(base: Duration) -> Duration {
    jittered(base, MUCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::ids::WaitId;

    const GATHER: Timer = Timer::Gather { covered: false };

    const SECOND: Duration = Duration::from_secs(1);

    fn running(timers: &[Timer], now: Instant) -> Timers {
        let mut all = Timers::new(Timings::default());
        timers.iter().for_each(|timer| all.apply(TimerCommand::Set(*timer), now));
        all
    }

    #[test]
    fn a_timer_runs_out_once_and_not_before_its_time() {
        let now = Instant::now();
        let mut timers = running(&[Timer::Heartbeat], now);
        assert_eq!(timers.due(now + Duration::from_millis(374)), None);
        assert_eq!(timers.due(now + Duration::from_millis(625)), Some(Timer::Heartbeat));
        assert_eq!(timers.due(now + 60 * SECOND), None);
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn setting_a_timer_anew_replaces_it() {
        let now = Instant::now();
        let mut timers = running(&[GATHER], now);
        timers.apply(TimerCommand::Set(GATHER), now + 10 * SECOND);
        assert!(timers.next_deadline() > Some(now + 10 * SECOND));
        assert_eq!(timers.due(now + 20 * SECOND), Some(GATHER));
        assert_eq!(timers.due(now + 20 * SECOND), None);
    }

    #[test]
    fn a_cancelled_timer_is_forgotten_and_the_others_are_not() {
        let now = Instant::now();
        let waits = [Timer::Deadline(WaitId(1)), Timer::Deadline(WaitId(2))];
        let mut timers = running(&waits, now);
        timers.apply(TimerCommand::Cancel(waits[0]), now);
        timers.apply(TimerCommand::Cancel(Timer::Repeat), now);
        assert_eq!(timers.due(now + 60 * SECOND), Some(waits[1]));
        assert_eq!(timers.due(now + 60 * SECOND), None);
    }

    #[test]
    fn timers_come_in_the_order_of_their_deadlines() {
        let now = Instant::now();
        let mut timers = running(&[Timer::Reconcile, Timer::Heartbeat, GATHER], now);
        let late = now + 60 * SECOND;
        let order: Vec<_> = std::iter::from_fn(|| timers.due(late)).collect();
        assert_eq!(order, [GATHER, Timer::Heartbeat, Timer::Reconcile]);
    }

    #[test]
    fn what_must_not_be_called_too_early_is_not() {
        let now = Instant::now();
        for (timer, ms) in [
            (Timer::Patience { wait: WaitId(1), ms: 2_000 }, 2_000),
            (Timer::LookUp, Timings::default().look_up.as_millis() as u64),
            (Timer::Deadline(WaitId(1)), Timings::default().deadline.as_millis() as u64),
        ] {
            let time = Duration::from_millis(ms);
            // By chance a wrong spread would do now and then.
            for _ in 0..100 {
                let mut timers = running(&[timer], now);
                assert_eq!(timers.due(now + time - Duration::from_micros(1)), None);
                assert_eq!(timers.due(now + 2 * time), Some(timer));
            }
        }
    }

    /// Bug: one deadline in ten came after more than 6 s, when the client had hung up, and never heard that it had
    /// waited in vain.
    #[test]
    fn a_deadline_passes_before_the_client_that_waits_for_it_asks_again() {
        // As `client::caller::UNTIL_SETTLED`.
        const HANGS_UP_AFTER: Duration = Duration::from_secs(6);
        let now = Instant::now();
        let deadline = Timer::Deadline(WaitId(1));
        for _ in 0..100 {
            let mut timers = running(&[deadline], now);
            assert_eq!(timers.due(now + HANGS_UP_AFTER - SECOND / 2), Some(deadline));
        }
    }

    #[test]
    fn jitter_stays_within_its_spread() {
        for _ in 0..1000 {
            let pause = jittered(SECOND, MUCH);
            assert!((SECOND / 2..SECOND * 3 / 2).contains(&pause), "{pause:?}");
        }
    }
}
