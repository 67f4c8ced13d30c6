//! When this server's next run may begin (DESIGN.md, "A Paxos run" and "Runs in vain").
//!
//! A server that loses a run waits, longer each time. A server that wins while others wait lets them go
//! first. Runs that bring nothing rest in between. Each method returns the timer that has to be set or
//! cancelled.

use crate::bank::ids::ServerId;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::timer::Timer;

/// When the next run may begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Next {
    /// As soon as a run is wanted.
    #[default]
    AtOnce,
    /// After a back-off: the last run was won while others waited.
    AfterOthers,
    /// When the timer of this attempt has run out.
    BackingOff,
}

/// Whether runs of one kind rest, for the length of a timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Pause {
    /// They may begin.
    #[default]
    Over,
    /// They wait for the timer.
    Lasts,
}

/// The effect of a run on those who waited for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Harvest {
    /// The groups that were served, and would not have been without it.
    pub served: usize,
    /// The groups that were refused or wait for no further run, and the clients that heard that logs are
    /// settled.
    pub turned_away: usize,
    /// The groups that go on waiting for what the next runs bring.
    pub kept: usize,
}

impl Harvest {
    /// True if the run brought nothing to anybody. If nobody was turned away and nobody waits on, nobody
    /// needed the run any more.
    fn is_vain(self) -> bool {
        self.served == 0 && (self.turned_away > 0 || self.kept == 0)
    }
}

/// Settling by habit: when the local log is old enough, and up to where it has to be settled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Settling {
    /// True if [`Timer::Settle`] is set.
    is_timed: bool,
    /// The seq up to which the log has to be settled.
    up_to: Option<u64>,
}

/// Decides when this server's next run may begin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pace {
    next: Next,
    /// The runs in a row that did not get through.
    attempt: u32,
    /// The runs in a row that brought nothing to those who waited.
    vain_runs: u32,
    /// The rest of runs from which those who want them would hardly get anything.
    vain: Pause,
    /// The rest of runs that look for unknown payees.
    lookups: Pause,
    settling: Settling,
    /// The height and the other server's ballot to which a settling run of this server last yielded.
    yielded_to: Option<(u64, Ballot)>,
    /// The server that proposed the last block, and whether it had proposed the one before.
    winner: (Option<ServerId>, bool),
    /// True if it is this server's turn after the block that was appended just now.
    is_next: bool,
    /// True if a block was accepted and nobody commits it: a run is needed for that alone.
    pub finishing: bool,
}

impl Pace {
    /// True if the next run waits for a timer.
    pub fn is_backing_off(&self) -> bool {
        self.next == Next::BackingOff
    }

    /// Has the next run wait, longer with each attempt. The timer has to be set.
    pub fn back_off(&mut self) -> Timer {
        self.attempt = self.attempt.saturating_add(1);
        self.next = Next::BackingOff;
        Timer::BackOff { attempt: self.attempt }
    }

    /// Has the next run wait a little, so that another server's goes first. No run was lost, so it doesn't wait longer for
    /// those that were. The timer has to be set.
    pub fn stand_aside(&mut self) -> Timer {
        self.attempt = 0;
        self.back_off()
    }

    /// Makes the next back-off longer: others need a run more than this server.
    pub fn stand_back(&mut self) {
        self.attempt = self.attempt.saturating_add(2);
    }

    /// Notes that the timer of an attempt has run out.
    pub fn on_back_off_over(&mut self, attempt: u32) {
        if attempt == self.attempt && self.is_backing_off() {
            self.next = Next::AtOnce;
        }
    }

    /// Ends a back-off because a peer is gone, which may have been the usual winner. The timer has to be
    /// cancelled.
    pub fn hurry(&mut self) -> Option<Timer> {
        let timer = Timer::BackOff { attempt: self.attempt };
        self.attempt = 0;
        let was_set = self.is_backing_off();
        if was_set {
            self.next = Next::AtOnce;
        }
        was_set.then_some(timer)
    }

    /// Notes that a run of this server got through. If others wait, they go first.
    pub fn on_won(&mut self, others_wait: bool) {
        self.attempt = 0;
        self.next = if others_wait { Next::AfterOthers } else { Next::AtOnce };
    }

    /// Notes that nobody needs a run. This server is then in nobody's way, and its next run begins at once.
    pub fn on_idle(&mut self) {
        if self.next == Next::AfterOthers {
            self.next = Next::AtOnce;
        }
    }

    /// Returns true, once, if other servers have to go first.
    pub fn lets_others_go(&mut self) -> bool {
        let lets = self.next == Next::AfterOthers;
        self.on_idle();
        lets
    }

    /// Returns true, once, if a run has to let another server's run go first: one run brings the logs of all. `other` is
    /// that server's ballot for this height. A run that only settles yields to each such ballot once. An `urgent` one
    /// yields once for each height, so that one who runs on and on can't hold it up.
    pub fn yields_to(&mut self, height: u64, other: Option<&Ballot>, urgent: bool) -> bool {
        let Some(other) = other else { return false };
        let once = urgent && !planted!(UrgentYieldsOn);
        let is_it = |(at, ballot): &(u64, Ballot)| *at == height && (once || ballot == other);
        if self.yielded_to.as_ref().is_some_and(is_it) && !planted!(YieldsAgain) {
            return false;
        }
        self.yielded_to = Some((height, other.clone()));
        true
    }

    /// Notes who proposed a block that was appended, and whether it is this server's turn after that one.
    pub fn on_block(&mut self, proposer: Option<&ServerId>, is_next: bool) {
        let again = self.winner.0.as_ref() == proposer;
        self.winner = (proposer.cloned(), again);
        self.is_next = is_next;
    }

    /// Ends a back-off if it is this server's turn, and transfers still wait that the last block didn't serve. The timer
    /// has to be cancelled.
    pub fn take_turn(&mut self, still_wait: bool) -> Option<Timer> {
        let is_next = std::mem::take(&mut self.is_next);
        if is_next && still_wait { self.hurry() } else { None }
    }

    /// True if a server proposed the last two blocks.
    pub fn usually_wins(&self, server: &ServerId) -> bool {
        self.winner.0.as_ref() == Some(server) && self.winner.1
    }

    /// True if runs in vain rest: transfers that they would mostly turn away have to wait.
    pub fn rests(&self) -> bool {
        self.vain == Pause::Lasts
    }

    /// Notes that a run for somebody was concluded. After `limit` runs in vain in a row they rest, and the
    /// timer has to be set.
    pub fn on_harvest(&mut self, harvest: Harvest, limit: u32) -> Option<Timer> {
        if harvest.served > 0 {
            self.vain_runs = 0;
        }
        if harvest.is_vain() { self.on_vain_run(limit) } else { None }
    }

    /// Notes that a run brought nothing to anybody.
    pub fn on_vain_run(&mut self, limit: u32) -> Option<Timer> {
        self.vain_runs = self.vain_runs.saturating_add(1).min(limit);
        let rests = self.vain_runs == limit && !planted!(VainRunsWithoutRest);
        rests.then(|| {
            self.vain = Pause::Lasts;
            Timer::Rest
        })
    }

    /// Notes that runs in vain have rested.
    pub fn on_rest_over(&mut self) {
        self.vain = Pause::Over;
    }

    /// True if a run may begin that looks for unknown payees.
    pub fn may_look_up(&self) -> bool {
        self.lookups == Pause::Over
    }

    /// Notes that a run begins that looks for a payee. The next one has to wait; the timer has to be set.
    pub fn on_look_up(&mut self) -> Option<Timer> {
        let begins = self.may_look_up() && !planted!(LookUpsWithoutRest);
        begins.then(|| {
            self.lookups = Pause::Lasts;
            Timer::LookUp
        })
    }

    /// Notes that unknown payees may be looked for again.
    pub fn on_look_up_over(&mut self) {
        self.lookups = Pause::Over;
    }

    /// Notes that the log holds something, which must not stay there for ever. The timer has to be set.
    pub fn begin_to_settle(&mut self) -> Option<Timer> {
        let begins = !std::mem::replace(&mut self.settling.is_timed, true);
        begins.then_some(Timer::Settle)
    }

    /// Notes that the oldest entry of the log is old enough.
    pub fn on_old_log(&mut self) {
        self.settling.is_timed = false;
    }

    /// Notes that the log has to be settled up to this seq.
    pub fn settle_up_to(&mut self, seq: u64) {
        self.settling.up_to = Some(seq);
    }

    /// True if the log has to be settled by habit.
    pub fn settles(&self) -> bool {
        self.settling.up_to.is_some()
    }

    /// Notes that the chain holds the log up to this seq. True if that is all that had to be settled.
    pub fn on_settled(&mut self, included: u64) -> bool {
        self.settling.up_to = self.settling.up_to.filter(|seq| *seq > included);
        !self.settles()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: Option<Timer> = Some(Timer::Rest);

    #[test]
    fn each_lost_run_makes_the_next_wait_and_an_old_timer_ends_nothing() {
        let mut pace = Pace::default();
        assert_eq!(pace.back_off(), Timer::BackOff { attempt: 1 });
        pace.on_back_off_over(1);
        assert!(!pace.is_backing_off());
        assert_eq!(pace.back_off(), Timer::BackOff { attempt: 2 });
        pace.on_back_off_over(1);
        assert!(pace.is_backing_off(), "the timer of an earlier attempt");
        assert_eq!(pace.hurry(), Some(Timer::BackOff { attempt: 2 }));
        assert_eq!((pace.hurry(), pace.back_off()), (None, Timer::BackOff { attempt: 1 }));
    }

    #[test]
    fn who_is_needed_less_waits_longer_and_who_wins_begins_anew() {
        let mut pace = Pace::default();
        pace.stand_back();
        assert_eq!(pace.back_off(), Timer::BackOff { attempt: 3 });
        pace.on_won(false);
        assert!(!pace.is_backing_off() && !pace.lets_others_go());
        assert_eq!(pace.back_off(), Timer::BackOff { attempt: 1 });
    }

    #[test]
    fn unknown_payees_are_looked_for_once_in_a_while() {
        let mut pace = Pace::default();
        assert!(pace.may_look_up());
        assert_eq!([pace.on_look_up(), pace.on_look_up()], [Some(Timer::LookUp), None]);
        assert!(!pace.may_look_up());
        pace.on_look_up_over();
        assert!(pace.may_look_up());
        assert_eq!(pace.on_look_up(), Some(Timer::LookUp));
    }

    #[test]
    fn who_wins_while_others_wait_lets_them_go_first_once() {
        let mut pace = Pace::default();
        pace.back_off();
        pace.on_won(true);
        assert!(pace.lets_others_go() && !pace.lets_others_go());
        pace.on_won(true);
        pace.on_idle();
        assert!(!pace.lets_others_go(), "nobody is in anybody's way");
        pace.back_off();
        pace.on_idle();
        assert!(pace.is_backing_off(), "a back-off goes on");
    }

    #[test]
    fn runs_in_vain_rest_until_one_serves_somebody() {
        let mut pace = Pace::default();
        let vain = Harvest { turned_away: 1, ..Harvest::default() };
        let kept = Harvest { kept: 1, ..Harvest::default() };
        let good = Harvest { served: 1, turned_away: 1, ..Harvest::default() };
        let mut all = |of: [Harvest; 3]| of.map(|harvest| pace.on_harvest(harvest, 2));
        assert_eq!(all([vain, kept, vain]), [None, None, SET]);
        assert_eq!(all([vain, good, vain]), [SET, None, None]);
        assert!(pace.rests());
        pace.on_rest_over();
        assert!(!pace.rests());
    }

    #[test]
    fn a_settling_run_yields_once_to_each_ballot() {
        let ballot = |round, server: &str| {
            let server: ServerId = server.parse().unwrap();
            Ballot { round, server, life: crate::bank::ids::LifeId(1) }
        };
        let mut pace = Pace::default();
        let mut yields = |height, of: Option<Ballot>| pace.yields_to(height, of.as_ref(), false);
        assert!(!yields(7, None));
        assert!(yields(7, Some(ballot(3, "B"))) && !yields(7, Some(ballot(3, "B"))));
        assert!(yields(7, Some(ballot(4, "B"))));
        assert!(yields(8, Some(ballot(4, "B"))), "the same ballot is of another run there");
    }

    #[test]
    fn the_habit_ends_when_the_chain_has_what_was_to_be_settled() {
        let mut pace = Pace::default();
        assert_eq!([pace.begin_to_settle(), pace.begin_to_settle()], [Some(Timer::Settle), None]);
        pace.on_old_log();
        assert_eq!(pace.begin_to_settle(), Some(Timer::Settle), "of what comes after");
        pace.settle_up_to(5);
        assert!(pace.settles() && !pace.on_settled(4) && pace.on_settled(5));
    }
}
