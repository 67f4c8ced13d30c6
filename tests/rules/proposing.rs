//! What a proposer asks, waits for and concludes.

use std::collections::BTreeMap;

use paxos_banking::bank::effects::{Bound, Event, Timer, Write};
use paxos_banking::bank::ids::{InstanceId, LifeId};
use paxos_banking::bank::paxos::ballot::Ballot;
use paxos_banking::bank::paxos::message::{Message, Vote};
use paxos_banking::bank::request::{Outcome, Reply, Request};

use crate::stage::*;

const SHORT: Timer = Timer::Gather { covered: false };
const VERY_SHORT: Timer = Timer::Gather { covered: true };

/// A, with a transfer of so much more than it has that waits; B and C are connected.
fn waiting_for(more: u64) -> Stage {
    let mut stage = Stage::open();
    let said = stage.pay(OPENING + more, 1);
    assert_eq!(said.asked(), [id("B"), id("C")]);
    assert!(said.sets(Timer::Repeat) && said.writes == [Write::Promise(ballot(1, "A"))]);
    stage
}

fn nack(of: &str, round: u64, promised: u64, waiting: bool) -> Message {
    let (ballot, promised) = (ballot(round, "A"), ballot(promised, of));
    Message::Nack { height: 1, ballot, promised, waiting }
}

fn waits_too(promise: Message) -> Message {
    let Message::Promise { height, ballot, instance, vote, .. } = promise else { unreachable!() };
    Message::Promise { height, ballot, instance, waiting: true, vote }
}

#[test]
fn it_waits_a_short_time_for_others_and_a_very_short_one_if_the_money_is_there() {
    let mut stage = waiting_for(5);
    let said = stage.hear(OF_B, promise("B", 1, vec![element("B", 5)]));
    assert!(said.sets(VERY_SHORT) && said.proposal().is_none(), "{said:?}");
    let block = stage.time_out(VERY_SHORT).proposal().unwrap();
    assert_eq!(block.block().logs, [(id("B"), vec![element("B", 5)])].into());

    let mut stage = waiting_for(6);
    let said = stage.hear(OF_B, promise("B", 1, vec![element("B", 5)]));
    assert!(said.sets(SHORT) && !said.sets(VERY_SHORT), "{said:?}");
    let said = stage.hear(OF_C, promise("C", 1, vec![element("C", 1)]));
    assert!(said.proposal().is_some() && said.cancels(SHORT) && !said.cancels(VERY_SHORT));
}

#[test]
fn only_the_gather_timer_that_is_set_is_cancelled() {
    let mut stage = waiting_for(5);
    let said = stage.hear(OF_B, nack("B", 1, 2, false));
    assert!(!said.cancels(SHORT) && !said.cancels(VERY_SHORT) && said.cancels(Timer::Repeat));
    let mut stage = waiting_for(5);
    stage.hear(OF_B, promise("B", 1, vec![element("B", 5)]));
    let said = stage.hear(OF_C, nack("C", 1, 2, false));
    assert!(!said.cancels(SHORT) && said.cancels(VERY_SHORT));
}

#[test]
fn a_gather_timer_without_a_majority_proposes_nothing() {
    let mut stage = waiting_for(5);
    assert!(stage.time_out(SHORT).proposal().is_none());
    assert!(stage.time_out(VERY_SHORT).replies().is_empty());
}

#[test]
fn an_accepted_block_is_proposed_at_once_and_unchanged() {
    let mut stage = waiting_for(5);
    let block = block_after(&genesis(), &[("C", 3)]);
    let before = Vote::Accepted { ballot: ballot(0, "C"), block: block.clone() };
    let said = stage.hear(OF_B, vote("B", 1, before));
    assert_eq!(said.proposal(), Some(block.clone()));
    let said = stage.hear(OF_B, accepted("B", 1, &block));
    assert!(said.appends() && said.outcomes().is_empty(), "it shows nothing of what A asked for");
    assert_eq!(said.asked(), [id("B"), id("C")], "so A asks again");
}

#[test]
fn what_can_not_be_promised_does_not_count() {
    let mut stage = waiting_for(6);
    let wrong_log = vec![element_of(2, [pays("B", "A", 1)])];
    let unlinked = block_after(&block_after(&genesis(), &[]), &[("C", 1)]);
    let unlinked = Vote::Accepted { ballot: ballot(0, "C"), block: unlinked };
    let stranger = Message::Promise {
        height: 1,
        ballot: ballot(1, "A"),
        instance: InstanceId(22),
        waiting: false,
        vote: Vote::Log { elements: vec![], cut: false, whole: None },
    };
    let other_ballot = promise("B", 2, vec![]);
    for message in [promise("B", 1, wrong_log), vote("B", 1, unlinked), stranger, other_ballot] {
        let said = stage.hear(OF_B, message);
        assert!(said.timers.is_empty(), "no majority of promises: {said:?}");
    }
    assert!(stage.hear(OF_B, promise("B", 1, vec![])).sets(SHORT));
    // A second one of the same server's changes nothing.
    assert!(stage.hear(OF_B, promise("B", 1, vec![element("B", 1)])).timers.is_empty());
    let block = stage.hear(OF_C, promise("C", 1, vec![element("C", 1)])).proposal().unwrap();
    assert_eq!(block.block().logs, [(id("C"), vec![element("C", 1)])].into());
}

#[test]
fn the_others_have_a_block_before_it_is_looked_at_here() {
    let mut stage = waiting_for(6);
    stage.hear(OF_B, promise("B", 1, vec![element("B", 1)]));
    stage.server.handle(Event::Received(OF_C, promise("C", 1, vec![element("C", 1)])));
    let turn = stage.server.end_turn();
    let asked = turn.free.iter().filter(|(_, message)| matches!(message, Message::Accept { .. }));
    assert_eq!(asked.map(|(to, _)| to.as_str()).collect::<Vec<_>>(), ["B", "C"]);
    assert!(turn.batch.writes.is_empty(), "{:?}", turn.batch);
    let bound = turn.bound.release(&turn.batch.nothing_to_write().unwrap());
    let [Bound::Own(own @ Message::Accept { .. })] = &bound[..] else { panic!("{bound:?}") };
    stage.server.handle(Event::Own(own.clone()));
    assert!(matches!(stage.turn().writes[..], [Write::Accept { .. }]));
}

#[test]
fn a_promised_log_that_can_not_be_in_a_block_is_dropped_and_the_run_goes_on() {
    let mut stage = waiting_for(6);
    stage.hear(OF_B, promise("B", 1, vec![element("C", 1)]));
    let said = stage.time_out(SHORT);
    assert!(said.proposal().is_some() && said.notes("not accepted: entry 1 of B"), "{said:?}");
    assert!(said.writes.is_empty() && said.sets(Timer::BackOff { attempt: 1 }), "{said:?}");
    // Once bitten, it looks before it asks.
    assert_eq!(stage.time_out(Timer::BackOff { attempt: 1 }).asked(), [id("B"), id("C")]);
    stage.hear(OF_B, promise("B", 2, vec![]));
    let said = stage.time_out(SHORT);
    assert!(said.proposal().is_none() && said.notes("a promise of B is wrong"), "{said:?}");
    // Without it there is no majority; B is asked again, for all of its log.
    assert_eq!(stage.time_out(Timer::Repeat).asked(), [id("B"), id("C")]);
    let said = stage.hear(OF_C, promise("C", 2, vec![element("C", 1)]));
    assert!(said.sets(SHORT) && said.proposal().is_none(), "B may still answer: {said:?}");
    let overdraft = element_of(1, [pays("B", "A", 1), pays("B", "C", OPENING)]);
    let said = stage.hear(OF_B, promise("B", 2, vec![overdraft]));
    assert!(said.notes("entry 2 of B: B holds only 9999"), "{said:?}");
    assert!(said.proposal().is_none() && said.sets(SHORT), "A and C are a majority: {said:?}");
    let block = stage.time_out(SHORT).proposal().unwrap();
    assert_eq!(block.block().logs, [(id("C"), vec![element("C", 1)])].into());
    let said = stage.hear(OF_C, accepted("C", 2, &block));
    assert!(said.appends() && said.told().contains(&(id("B"), commit(&block))));
    // A good one, and it trusts them again.
    let log = Vote::Log { elements: vec![element("C", 1)], cut: false, whole: None };
    let (ballot, instance) = (ballot(2, "A"), instance("B"));
    let promise = Message::Promise { height: 2, ballot, instance, waiting: false, vote: log };
    stage.hear(OF_B, promise);
    let said = stage.time_out(SHORT);
    assert!(said.proposal().is_some() && said.notes("not accepted: entry 1 of B"), "{said:?}");
}

#[test]
fn an_accepted_of_another_block_or_instance_does_not_count() {
    let mut stage = waiting_for(5);
    stage.hear(OF_B, promise("B", 1, vec![element("B", 5)]));
    let early = block_after(&genesis(), &[]);
    assert!(!stage.hear(OF_B, accepted("B", 1, &early)).appends(), "nothing is proposed yet");
    let block = stage.time_out(VERY_SHORT).proposal().unwrap();
    assert!(!stage.hear(OF_B, accepted("B", 1, &early)).appends());
    let said = stage.hear(OF_B, accepted("B", 1, &block));
    assert!(said.appends() && said.told().contains(&(id("C"), commit(&block))));
    let [Outcome::Accepted { balance, repeated: false, .. }] = said.outcomes()[..] else {
        panic!("{said:?}")
    };
    assert_eq!(balance, units(0));
}

#[test]
fn it_asks_again_those_that_have_not_answered() {
    let mut stage = waiting_for(6);
    stage.hear(OF_B, promise("B", 1, vec![element("B", 5)]));
    let said = stage.time_out(Timer::Repeat);
    assert_eq!(said.asked(), [id("C")]);
    assert!(said.sets(Timer::Repeat));
    stage.handle(Event::LinkDown(id("C")));
    assert_eq!(stage.time_out(Timer::Repeat).asked(), []);
    assert_eq!(stage.meet("C").asked(), [id("C")], "as soon as it can be reached");
    let mut idle = Stage::open();
    assert!(idle.time_out(Timer::Repeat).timers.is_empty());
}

#[test]
fn it_knows_what_was_promised_before_and_asks_for_what_follows() {
    let mut stage = waiting_for(6);
    stage.hear(OF_B, promise("B", 1, vec![element("B", 2)]));
    stage.hear(OF_C, nack("C", 1, 4, false));
    let said = stage.time_out(Timer::BackOff { attempt: 1 });
    let known = said.free.iter().find_map(|(_, message)| match message {
        Message::Prepare { ballot, known, .. } => Some((ballot.clone(), known.clone())),
        _ => None,
    });
    let expected = BTreeMap::from([(id("A"), 0), (id("B"), 1), (id("C"), 0)]);
    assert_eq!(known, Some((ballot(5, "A"), expected)));
    let next = element_of(2, [pays("B", "A", 7)]);
    stage.hear(OF_B, promise("B", 5, vec![next.clone()]));
    let block = stage.hear(OF_C, promise("C", 5, vec![])).proposal().unwrap();
    assert_eq!(block.block().log(&id("B")), [element("B", 2), next]);
}

#[test]
fn a_loser_backs_off_longer_each_time_and_an_older_timer_is_nothing_to_it() {
    let mut stage = waiting_for(5);
    let said = stage.hear(OF_B, nack("B", 1, 2, true));
    assert!(said.sets(Timer::BackOff { attempt: 1 }) && said.cancels(Timer::Repeat));
    assert_eq!(stage.status().run, "backing off");
    assert_eq!(stage.time_out(Timer::BackOff { attempt: 9 }).asked(), []);
    assert_eq!(stage.time_out(Timer::BackOff { attempt: 1 }).asked().len(), 2);
    assert_eq!(stage.status().run, "preparing");
    let late = stage.hear(OF_C, nack("C", 1, 7, true));
    assert!(late.timers.is_empty(), "it answers the run before");
    assert!(stage.hear(OF_B, nack("B", 3, 8, true)).sets(Timer::BackOff { attempt: 2 }));
    let said = stage.time_out(Timer::BackOff { attempt: 2 });
    assert!(said.writes.contains(&Write::Promise(ballot(9, "A"))), "above all that was heard of");
}

#[test]
fn who_settles_lets_those_go_first_who_wait_for_money() {
    for (waiting, attempt) in [(false, 1), (true, 3)] {
        let mut stage = Stage::open();
        assert_eq!(stage.request(Request::Settle).asked().len(), 2);
        let said = stage.hear(OF_B, nack("B", 1, 2, waiting));
        assert!(said.sets(Timer::BackOff { attempt }), "{said:?}");
    }
}

#[test]
fn the_winner_lets_those_go_first_who_said_that_they_wait() {
    for waits in [false, true] {
        let mut stage = waiting_for(9);
        let promised = promise("B", 1, vec![element("B", 5)]);
        stage.hear(OF_B, if waits { waits_too(promised) } else { promised });
        let block = stage.time_out(SHORT).proposal().unwrap();
        let said = stage.hear(OF_B, accepted("B", 1, &block));
        assert!(said.appends());
        assert_eq!(said.sets(Timer::BackOff { attempt: 1 }), waits);
        assert_eq!(said.asked().len(), if waits { 0 } else { 2 }, "C has yet to be heard");
    }
}

#[test]
fn a_winner_after_whom_nothing_waits_is_not_held_up_later() {
    let mut stage = waiting_for(5);
    stage.hear(OF_B, waits_too(promise("B", 1, vec![element("B", 5)])));
    let block = stage.time_out(VERY_SHORT).proposal().unwrap();
    assert_eq!(stage.hear(OF_B, accepted("B", 1, &block)).outcomes().len(), 1);
    assert_eq!(stage.pay(TOO_MUCH, 2).asked().len(), 2, "at once");
}

#[test]
fn a_run_that_nothing_needs_any_more_is_dropped() {
    let mut stage = waiting_for(5);
    let block = block_after(&genesis(), &[("B", 5)]);
    stage.hear(OF_B, accept("B", 2, &block));
    let said = stage.hear(OF_B, commit(&block));
    assert_eq!(said.outcomes().len(), 1, "the winner's block covers it");
    assert_eq!((said.asked().len(), stage.status().run), (0, "idle".into()));
}

#[test]
fn an_own_ballot_is_unlike_those_of_earlier_lives() {
    let stage = waiting_for(5);
    let of_this_life = Ballot { life: LifeId(1), ..ballot(1, "A") };
    assert_eq!(stage.disk.stored.promised, Some(of_this_life));
}

#[test]
fn settling_ends_with_a_block_or_when_all_logs_are_empty() {
    let mut stage = Stage::open();
    stage.request(Request::Settle);
    stage.hear(OF_B, promise("B", 1, vec![]));
    let said = stage.hear(OF_C, promise("C", 1, vec![]));
    let all = ["A", "B", "C"].map(id).to_vec();
    let settled =
        Reply::Settled { settled: true, height: 0, consulted: all, not_consulted: vec![] };
    assert_eq!(said.bound, [Bound::Reply(CLIENT, Some(1), settled)]);
    assert!(said.cancels(Timer::Repeat) && !said.appends());
    assert_eq!(stage.status().run, "idle");
}

#[test]
fn who_has_won_backs_off_as_briefly_as_at_first() {
    let mut stage = waiting_for(5);
    assert!(stage.hear(OF_B, nack("B", 1, 2, true)).sets(Timer::BackOff { attempt: 1 }));
    stage.time_out(Timer::BackOff { attempt: 1 });
    assert!(stage.hear(OF_B, nack("B", 3, 4, true)).sets(Timer::BackOff { attempt: 2 }));
    stage.time_out(Timer::BackOff { attempt: 2 });
    let said = stage.win(5, vec![], vec![]);
    assert!(matches!(said.outcomes()[..], [Outcome::Refused { .. }]), "{said:?}");
    stage.pay(OPENING + 5, 2);
    assert!(stage.hear(OF_B, nack("B", 6, 7, true)).sets(Timer::BackOff { attempt: 1 }));
}
