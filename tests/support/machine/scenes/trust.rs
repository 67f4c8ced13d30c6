//! One peer's word: what it can bring about, and what takes two.

use crate::bank::effects::{Bound, Event, Timer, Write};
use crate::bank::ids::{ConnectionId, InstanceId, LifeId, TurnNumber};
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::{Configuration, Hello, Message, Sighting, Vote};
use crate::bank::request::{Outcome, Reply};
use crate::bank::server::Config;

use crate::machine::stage::*;

/// A stranger, or a peer, greets in a peer's name on a new connection.
const STRANGE: ConnectionId = ConnectionId(40);

/// A peer that knows A by another store.
fn knows_another(of: &str) -> Hello {
    Hello { knows_you_as: Some(InstanceId(11)), ..hello(of) }
}

/// A peer that has seen A where A never was.
fn saw_more(of: &str) -> Hello {
    let seen = Sighting {
        instance: instance("A"),
        life: LifeId(77),
        turn: TurnNumber(1 << 50),
        position: Position { epoch: 1, seq: 9 },
    };
    Hello { saw_you_at: Some(seen), ..hello(of) }
}

fn greet(stage: &mut Stage, hello: Hello) -> Said {
    stage.handle(Event::Greeted(STRANGE, hello))
}

/// Whether A accepts a payment.
fn pays_now(stage: &mut Stage, number: u64) -> bool {
    let outcomes = stage.pay(1, number).outcomes();
    matches!(outcomes[..], [Outcome::Accepted { .. }])
}

pub fn one_accuser_stops_nobody_whom_another_has_welcomed() {
    for lie in [knows_another, saw_more] {
        let mut stage = Stage::open();
        let said = greet(&mut stage, lie("B"));
        assert!(said.stop.is_none() && said.notes("B alone says so, and others"), "{said:?}");
        let refused =
            |bound: &Bound| matches!(bound, Bound::Answer(STRANGE, Message::Reject { .. }));
        assert!(said.bound.iter().any(refused), "it isn't spoken to: {said:?}");
        assert!(pays_now(&mut stage, 1), "A goes on");
        assert!(!greet(&mut stage, lie("B")).notes("alone"), "it is said once");
        assert!(stage.hear(OF_C, prepare("C", 1, &genesis())).writes.len() == 1, "A votes");
        assert!(greet(&mut stage, lie("C")).stop.is_some(), "two say so");
    }
}

pub fn whom_one_accuses_and_none_has_welcomed_waits_for_another_s_word() {
    for lie in [knows_another, saw_more] {
        let mut stage = Stage::alone();
        let said = greet(&mut stage, lie("B"));
        assert!(said.stop.is_none() && said.notes("nothing is served here until"), "{said:?}");
        assert!(stage.server.is_in_doubt());
        let said = stage.pay(1, 1);
        assert_eq!(said.writes, []);
        let [Reply::Error { message, .. }] = &said.replies()[..] else { panic!("{said:?}") };
        assert!(message.contains("B says that the store of A is not the one"), "{message}");
        stage.meet("C");
        assert!(pays_now(&mut stage, 2), "C knows nothing against A");
    }
}

pub fn nor_does_it_vote_or_propose_until_then() {
    let mut stage = Stage::alone();
    greet(&mut stage, saw_more("B"));
    // As if B had been welcomed before: what it says of A's store is its last word on that.
    stage.handle(Event::Greeted(ConnectionId(41), hello("B")));
    greet(&mut stage, saw_more("B"));
    assert!(!stage.server.is_in_doubt(), "the connection was replaced by a newer one");
    let later = ConnectionId(42);
    stage.handle(Event::Greeted(later, saw_more("B")));
    assert!(stage.server.is_in_doubt());
    let said = stage.hear(ConnectionId(41), prepare("B", 1, &genesis()));
    assert_eq!((said.told(), said.writes), (vec![], vec![]), "no promise");
    assert!(
        stage.handle(Event::Greeted(later, hello("B"))).notes("so it goes on"),
        "it was mistaken"
    );
    assert!(pays_now(&mut stage, 1));
}

/// Who joins was told of one member, and doesn't know how many there are.
pub fn who_joins_is_not_ended_by_the_only_member_it_knows() {
    let configuration = Configuration { servers: Vec::new(), ..configuration() };
    let addresses = ["A", "B"].map(|name| (id(name), format!("{name}:7000"))).into();
    let mut stage = Stage::baby_as(Config { join: true, configuration, addresses, ..config() });
    let said = greet(&mut stage, saw_more("B"));
    assert!(said.stop.is_none() && stage.server.is_in_doubt(), "{said:?}");
    assert!(greet(&mut stage, hello("B")).notes("so it goes on"), "it was mistaken");
}

pub fn in_a_bank_of_two_one_word_is_enough() {
    let servers = ["A", "B"].map(id).to_vec();
    let two = Configuration { servers, ..configuration() };
    let mut stage = Stage::baby_as(Config { configuration: two.clone(), ..config() });
    let lie = Hello { configuration: two, ..knows_another("B") };
    assert!(greet(&mut stage, lie).stop.is_some());
}

pub fn who_answers_in_another_s_name_speaks_for_nobody() {
    let mut stage = Stage::alone();
    for of in ["B", "C"] {
        stage.handle(Event::LinkUp(id("B")));
        let reject = Message::Reject {
            reason: "no".into(),
            hello: Some(Box::new(knows_another(of))),
            over: false,
        };
        assert_eq!(
            stage.handle(Event::LinkAnswered(id("B"), reject)).stop,
            None,
            "B spoke, as {of}"
        );
    }
}

pub fn a_block_that_ends_a_server_takes_two_who_hold_it() {
    let record = crate::bank::ledger::entry::Action::Rejoin {
        server: id("A"),
        old: instance("A"),
        new: InstanceId(11),
        key: None,
    };
    let deposes = block_of(&genesis(), [("B", element_of(1, [record]))]);
    let contradicts = block_after(&genesis(), &[("A", 1)]);
    for block in [deposes, contradicts] {
        let mut stage = Stage::open();
        let said = stage.hear(OF_B, Message::BlocksResponse { blocks: vec![block.clone()] });
        assert!(
            said.stop.is_none() && !said.appends() && !said.notes("alone"),
            "unasked: {said:?}"
        );
        let said = stage.fetch("B", std::slice::from_ref(&block));
        assert!(
            said.stop.is_none() && !said.appends() && said.notes("B alone says so"),
            "{said:?}"
        );
        assert!(pays_now(&mut stage, 1), "A goes on");
        assert_eq!(
            stage.hear(OF_B, Message::Heartbeat(standing(9))).free,
            [],
            "B isn't asked again"
        );
        assert!(stage.fetch("C", &[block]).stop.is_some(), "two hold it");
    }
}

pub fn only_the_blocks_that_were_asked_for_are_taken_from_whom_they_were_asked_of() {
    let one = block_after(&genesis(), &[("B", 1)]);
    let two = block_of(&one, [("B", element_of(2, [pays("B", "A", 1)]))]);
    let both = Message::BlocksResponse { blocks: vec![one.clone(), two.clone()] };
    let mut stage = Stage::open();
    let said = stage.hear(OF_B, both.clone());
    assert!(!said.appends() && said.free.is_empty(), "nobody asked: {said:?}");
    stage.hear(OF_B, commit(&one));
    assert!(!stage.hear(OF_C, both.clone()).appends(), "B was asked, not C");
    stage.hear(OF_B, both);
    assert_eq!(stage.status().height, Some(1), "only block 1 was asked for");
}

pub fn block_0_is_taken_only_from_whom_it_was_asked_of() {
    let mut stage = Stage::baby();
    stage.turn();
    let founded = Hello { knows_you_as: None, ..hello("B") };
    stage.handle(Event::Greeted(OF_B, founded));
    stage.handle(Event::Greeted(OF_C, baby("C")));
    let block_0 = || Message::BlocksResponse { blocks: vec![genesis()] };
    assert!(!stage.hear(OF_C, block_0()).appends(), "C was not asked");
    assert!(!stage.hear(OF_B, block_0()).appends(), "nor was B, for blocks");
    stage.time_out(Timer::Reconcile);
}

pub fn a_round_too_far_ahead_is_ignored_and_said_once() {
    let mut stage = Stage::open();
    let last = Ballot::MAX_LEAP;
    let one = block_after(&genesis(), &[("B", 1)]);
    let vote_of = |round| Vote::Accepted { ballot: ballot(round, "B"), block: one.clone() };
    let hash = one.hash();
    let far = ballot(Ballot::MAX_ROUND, "B");
    let leaps = [
        prepare("B", Ballot::MAX_ROUND, &genesis()),
        prepare("B", last + 1, &genesis()),
        accept("B", Ballot::MAX_ROUND, &one),
        Message::Nack { height: 1, ballot: ballot(1, "A"), promised: far.clone(), waiting: false },
        vote("B", Ballot::MAX_ROUND, vote_of(Ballot::MAX_ROUND)),
        Message::Accepted {
            height: 1,
            ballot: far,
            hash,
            instance: instance("B"),
            waiting: false,
            beyond: None,
        },
    ];
    for (place, leap) in leaps.into_iter().enumerate() {
        let name = leap.name();
        let said = stage.hear(OF_B, leap);
        assert_eq!((said.writes, said.bound), (vec![], vec![]), "a {name}");
        assert_eq!(said.notes.iter().any(|note| note.contains("round")), place == 0, "a {name}");
    }
    let rounds = |said: Said| said.free.iter().filter_map(|(_, m)| m.highest_round()).max();
    assert_eq!(
        rounds(stage.pay(TOO_MUCH, 1)),
        Some(1),
        "A's own go on as if nothing had been said"
    );
    let promised = stage.hear(OF_C, prepare("C", last, &genesis()));
    assert_eq!(promised.writes, [Write::Promise(ballot(last, "C"))], "so far ahead it may be");
    let promised = stage.hear(OF_B, prepare("B", 2 * last, &genesis()));
    assert_eq!(promised.writes, [Write::Promise(ballot(2 * last, "B"))], "counted from there");
    stage.meet("B");
    assert!(stage.hear(OF_B, prepare("B", 4 * last, &genesis())).notes("round"), "it greeted anew");
}

pub fn many_rounds_begin_anew_with_a_height() {
    for (round, next) in [(7, 8), (Ballot::MAX_LEAP / 2 + 1, 1)] {
        let mut stage = Stage::open();
        let one = block_after(&genesis(), &[("B", 1)]);
        stage.hear(OF_B, accept("B", round, &one));
        stage.hear(OF_B, commit(&one));
        let said = stage.pay(TOO_MUCH, 1);
        let rounds: Vec<u64> = said.free.iter().filter_map(|(_, m)| m.highest_round()).collect();
        assert_eq!(rounds, [next, next]);
    }
}

pub fn no_run_waits_for_blocks_that_one_says_it_has_and_does_not_send() {
    let mut stage = Stage::open();
    let far = || Message::Heartbeat(standing(1 << 40));
    let begin = |stage: &mut Stage| {
        stage.hear(OF_B, far());
        stage.hear(OF_C, Message::ReconcileAck { height: 0 });
        stage.hear(OF_B, Message::ReconcileAck { height: 1 << 40 });
    };
    begin(&mut stage);
    assert_eq!(stage.pay(TOO_MUCH, 1).asked(), [], "the blocks may bring the money");
    assert_eq!(stage.time_out(Timer::Reconcile).asked().len(), 2, "they don't come");
    let mut stage = Stage::open();
    begin(&mut stage);
    stage.time_out(Timer::Reconcile);
    begin(&mut stage);
    assert_eq!(stage.pay(TOO_MUCH, 1).asked().len(), 2, "that was said before");
    // It does have some.
    let one = block_after(&genesis(), &[("B", 1)]);
    let mut stage = Stage::open();
    begin(&mut stage);
    stage.time_out(Timer::Reconcile);
    begin(&mut stage);
    stage.hear(OF_B, Message::BlocksResponse { blocks: vec![one] });
    assert_eq!(stage.pay(TOO_MUCH, 1).asked(), []);
}

pub fn a_founding_that_a_lost_store_cut_short_goes_on() {
    let mut stage = Stage::baby();
    stage.turn();
    stage.handle(Event::Greeted(OF_B, Hello { knows_you_as: None, ..hello("B") }));
    // Its store was lost before it could be asked for block 0.
    stage.handle(Event::Closed(OF_B));
    let anew = Hello { instance: InstanceId(22), ..baby("B") };
    stage.handle(Event::Greeted(ConnectionId(41), anew));
    let said = stage.handle(Event::Greeted(OF_C, baby("C")));
    assert!(said.appends(), "A knows all instances, and nobody has block 0: {said:?}");
}

pub fn a_rejoiner_replaces_none_but_the_store_that_its_operator_spoke_of() {
    let mut stage = Stage::baby_as(Config { rejoin: true, ..config() });
    let knows = |name: &str, height| Hello {
        knows_you_as: Some(InstanceId(7)),
        standing: standing(height),
        ..hello(name)
    };
    let mut block_0 = genesis().block().genesis.clone().expect("it is block 0");
    block_0.servers.insert(id("A"), InstanceId(7));
    let block_0 = crate::bank::blockchain::block::SealedBlock::genesis(block_0);
    let genesis = Some(block_0.hash());
    let knows = |name: &str, height| {
        let mut hello = knows(name, height);
        hello.standing.genesis = genesis;
        hello
    };
    for (name, connection) in [("B", OF_B), ("C", OF_C)] {
        stage.handle(Event::Greeted(connection, knows(name, 0)));
        stage.handle(Event::LinkUp(id(name)));
        stage.handle(Event::LinkAnswered(id(name), Message::Hello(knows(name, 0))));
    }
    stage.hear(OF_B, Message::ReconcileAck { height: 0 });
    stage.hear(OF_C, Message::ReconcileAck { height: 0 });
    for connection in [OF_B, OF_C] {
        stage.hear(connection, Message::BlocksResponse { blocks: vec![block_0.clone()] });
        stage.hear(connection, Message::Heartbeat(knows("B", 0).standing));
    }
    let asked = stage.time_out(Timer::Heartbeat).free;
    let asks = |old| (id("B"), Message::Rejoin { old: InstanceId(old), new: instance("A") });
    assert!(asked.contains(&asks(7)), "in the place of the store that was lost: {asked:?}");
    // Another store comes in that place first.
    let action = crate::bank::ledger::entry::Action::Rejoin {
        server: id("A"),
        old: InstanceId(7),
        new: InstanceId(8),
        key: None,
    };
    let one = block_of(&block_0, [("B", element_of(1, [action]))]);
    for (connection, name) in [(OF_B, "B"), (OF_C, "C")] {
        stage.hear(connection, Message::Heartbeat(knows(name, 1).standing));
    }
    for connection in [OF_B, OF_C] {
        stage.hear(connection, Message::ReconcileAck { height: 1 });
    }
    for connection in [OF_B, OF_C] {
        stage.hear(connection, Message::BlocksResponse { blocks: vec![one.clone()] });
    }
    assert_eq!(stage.status().height, Some(1));
    let said = stage.time_out(Timer::Heartbeat);
    assert!(!said.free.contains(&asks(8)), "of that one nobody spoke");
    assert!(said.stop.expect("it stops").to_string().contains("not to be used any more"));
}
