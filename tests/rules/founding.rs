//! Greetings, heartbeats, and how the bank is founded.

use std::collections::BTreeMap;

use paxos_banking::bank::blockchain::block::{BlockHash, FORMAT, Genesis, SealedBlock};
use paxos_banking::bank::effects::{Bound, Event, Timer, Write};
use paxos_banking::bank::fingerprint::Fingerprint;
use paxos_banking::bank::ids::{ConnectionId, InstanceId};
use paxos_banking::bank::paxos::message::{Configuration, Hello, Message, Standing};

use crate::stage::*;

/// Why a greeting is refused, if it is, and whether the server then stops.
fn refused(stage: &mut Stage, hello: Hello) -> (Option<String>, bool) {
    let said = stage.handle(Event::Greeted(ConnectionId(4), hello));
    let reason = said.bound.iter().find_map(|bound| match bound {
        Bound::Answer(ConnectionId(4), Message::Reject { reason, .. }) => Some(reason.clone()),
        _ => None,
    });
    (reason, said.stop.is_some())
}

#[test]
fn who_is_not_of_this_bank_is_refused_with_the_reason() {
    let configuration = Configuration { opening_balance: units(1), ..configuration() };
    let elsewhere = Standing { genesis: Some(BlockHash::of("other")), ..standing(0) };
    let cases = [
        (Hello { version: FORMAT + 1, ..hello("B") }, "it speaks format 8, this server 7"),
        (Hello { id: id("A"), ..hello("B") }, "it calls itself A, as this server does"),
        (Hello { id: id("Z"), ..hello("B") }, "Z is not a server of this bank"),
        (Hello { configuration, ..hello("B") }, "servers A, B, C with opening balance 1,"),
        (Hello { standing: elsewhere, ..hello("B") }, "B belongs to another bank"),
        (Hello { instance: InstanceId(22), ..hello("B") }, "its store was lost or swapped"),
    ];
    for (hello, words) in cases {
        let mut stage = Stage::alone();
        let (reason, stops) = refused(&mut stage, hello);
        let reason = reason.unwrap_or_default();
        assert!(reason.contains(words), "{reason}");
        assert!(!stops && !stage.status().peers[0].connected);
    }
    let mut stage = Stage::alone();
    assert_eq!(refused(&mut stage, hello("B")), (None, false));
    assert!(stage.status().peers[0].connected);
    let again = stage.handle(Event::Greeted(ConnectionId(4), hello("B"))).bound;
    let [Bound::Answer(_, Message::Hello(_))] = again[..] else { panic!("{again:?}") };
}

#[test]
fn a_server_whose_store_was_lost_stops_unless_it_holds_more_than_who_says_so() {
    let says_lost = |of: &str, height| Hello {
        knows_you_as: Some(InstanceId(11)),
        standing: standing(height),
        ..hello(of)
    };
    let lost = |height| says_lost("B", height);
    let mut stage = Stage::alone();
    assert!(!refused(&mut stage, lost(0)).1 && refused(&mut stage, says_lost("C", 0)).1);
    let mut stage = Stage::open();
    let one = block_after(&genesis(), &[("B", 1)]);
    stage.hear(OF_B, accept("B", 1, &one));
    stage.hear(OF_B, commit(&one));
    let (reason, stops) = refused(&mut stage, lost(0));
    assert!(!stops && reason.unwrap().contains("knows this server as instance"));
    assert!(!refused(&mut stage, lost(1)).1 && refused(&mut stage, says_lost("C", 1)).1);

    for (active, words) in [(true, "Start it on the store"), (false, "not open yet")] {
        let standing = Standing { active, ..standing(0) };
        let mut stage = Stage::alone();
        let mut refuse = |of: &str| {
            let hello = Hello { standing: standing.clone(), ..says_lost(of, 0) };
            stage.handle(Event::LinkUp(id(of)));
            let answer =
                Message::Reject { reason: "no".into(), hello: Some(Box::new(hello)), over: false };
            stage.handle(Event::LinkAnswered(id(of), answer)).stop
        };
        assert_eq!(refuse("B"), None);
        let stop = refuse("C").expect("it stops");
        assert!(stop.to_string().contains("was lost or swapped"), "{stop}");
        assert!(stop.to_string().contains(words), "{stop}");
    }
}

#[test]
fn of_servers_of_two_banks_the_one_that_most_are_not_of_stops() {
    let stranger = |name: &str, bank: &str| Hello {
        instance: InstanceId(44),
        knows_you_as: Some(InstanceId(55)),
        standing: Standing { genesis: Some(BlockHash::of(bank)), ..standing(9) },
        ..hello(name)
    };
    let mut stage = Stage::alone();
    for (hello, stops) in [
        (stranger("B", "other"), false),
        (stranger("C", "third"), false),
        (hello("B"), false),
        (stranger("C", "other"), false),
        (stranger("B", "other"), true),
    ] {
        let is_known = hello == self::hello("B");
        let (reason, stopped) = refused(&mut stage, hello);
        assert_eq!((reason.is_none(), stopped), (is_known, stops), "{reason:?}");
    }
}

#[test]
fn only_a_good_hello_of_the_very_peer_opens_a_link() {
    let mut stage = Stage::alone();
    let said = stage.handle(Event::LinkAnswered(id("B"), Message::Hello(hello("B"))));
    assert!(said.notes.is_empty(), "it was not greeted");
    stage.handle(Event::LinkUp(id("B")));
    let wrong = [
        Message::Hello(hello("C")),
        Message::Hello(Hello { version: FORMAT + 1, ..hello("B") }),
        Message::ReconcileRequest,
    ];
    for answer in wrong {
        stage.handle(Event::LinkAnswered(id("B"), answer));
        assert_eq!(stage.pay(TOO_MUCH, 1).free, [], "nobody is connected");
    }
    stage.handle(Event::LinkAnswered(id("B"), Message::Hello(hello("B"))));
    assert_eq!(stage.time_out(Timer::Repeat).asked(), [id("B")]);
    assert!(stage.handle(Event::LinkDown(id("B"))).notes("lost the connection to B"));
    assert!(stage.handle(Event::LinkDown(id("B"))).notes.is_empty(), "it is lost already");
    assert_eq!(stage.time_out(Timer::Repeat).asked(), []);
}

#[test]
fn only_the_newest_connection_of_a_peer_is_heard() {
    let mut stage = Stage::open();
    let newer = ConnectionId(12);
    stage.handle(Event::Greeted(newer, hello("B")));
    assert_eq!(stage.hear(OF_B, Message::ReconcileRequest).bound, []);
    assert_eq!(stage.hear(newer, Message::ReconcileRequest).bound.len(), 1);
    stage.handle(Event::Closed(OF_B));
    assert!(stage.status().peers[0].connected);
    stage.handle(Event::Closed(newer));
    assert!(!stage.status().peers[0].connected);
    assert_eq!(stage.hear(newer, Message::ReconcileRequest).bound, []);
}

#[test]
fn a_silent_peer_counts_as_gone_after_three_heartbeats() {
    let mut stage = Stage::open();
    for connected in [true, true, false] {
        let said = stage.time_out(Timer::Heartbeat);
        assert!(said.sets(Timer::Heartbeat));
        let told = said.told();
        assert!(told.iter().any(|(to, m)| *to == id("B") && m.name() == "heartbeat"), "{told:?}");
        assert_eq!(stage.status().peers[0].connected, connected);
    }
    stage.hear(OF_B, Message::Heartbeat(standing(0)));
    assert!(stage.status().peers[0].connected);
    assert!(!stage.status().peers[1].connected);
}

#[test]
fn a_server_that_hears_of_a_higher_chain_reconciles() {
    let mut stage = Stage::open();
    assert_eq!(stage.hear(OF_B, Message::Heartbeat(standing(0))).free, []);
    let said = stage.hear(OF_B, Message::Heartbeat(standing(2)));
    assert_eq!(said.free, ["B", "C"].map(|name| (id(name), Message::ReconcileRequest)));
    assert!(said.sets(Timer::Reconcile));
    assert_eq!(stage.status().peers[0].height, Some(2));
    let elsewhere = Standing { genesis: Some(BlockHash::of("other")), ..standing(9) };
    let said = stage.hear(OF_C, Message::Heartbeat(elsewhere.clone()));
    assert!(said.notes("has founded another bank"));
    assert!(!stage.hear(OF_C, Message::Heartbeat(elsewhere)).notes("another bank"), "once");
}

#[test]
fn the_bank_opens_when_every_server_has_confirmed_block_0_or_one_says_so() {
    let founded = || {
        let mut stage = Stage::baby();
        stage.turn();
        assert_eq!(stage.status().waiting_for, [id("B"), id("C")]);
        let said = stage.handle(Event::Greeted(OF_B, baby("B")));
        assert!(!said.appends() && stage.status().waiting_for == [id("C")]);
        let said = stage.handle(Event::Greeted(OF_C, baby("C")));
        assert!(said.appends() && !said.writes.contains(&Write::Activate));
        stage
    };
    let confirms = |active| Message::Heartbeat(Standing { active, ..standing(0) });
    let opens = |said: Said| said.writes.contains(&Write::Activate);
    let mut stage = founded();
    assert!(!opens(stage.hear(OF_B, confirms(false))));
    assert_eq!(stage.status().waiting_for, [id("C")]);
    assert!(opens(stage.hear(OF_C, confirms(false))));
    assert!(stage.status().active && stage.status().waiting_for.is_empty());
    assert!(opens(founded().hear(OF_B, confirms(true))));
}

#[test]
fn block_0_of_another_bank_is_not_taken() {
    let found = |opening_balance, a| {
        let servers = [("A", a), ("B", 2), ("C", 3)].map(|(name, n)| (id(name), InstanceId(n)));
        let servers = BTreeMap::from(servers);
        let block = SealedBlock::genesis(Genesis {
            format: FORMAT,
            opening_balance,
            servers,
            keys: BTreeMap::new(),
            origin: None,
            issuing: false,
        });
        let mut stage = Stage::baby();
        stage.turn();
        let hello = Hello { knows_you_as: None, ..hello("B") };
        stage.handle(Event::Greeted(OF_B, hello.clone()));
        stage.handle(Event::LinkUp(id("B")));
        stage.handle(Event::LinkAnswered(id("B"), Message::Hello(hello)));
        stage.hear(OF_B, Message::ReconcileAck { height: 0 });
        stage.hear(OF_B, Message::BlocksResponse { blocks: vec![block] }).appends()
    };
    assert!(found(units(OPENING), 1));
    assert!(!found(units(1), 1), "it opens with another balance");
    assert!(!found(units(OPENING), 11), "it knows another instance of this server");
}

#[test]
fn servers_that_were_told_different_things_of_keys_found_nothing() {
    let mut stage = Stage::baby();
    stage.turn();
    let (reason, stops) = refused(&mut stage, Hello { keys: true, ..baby("B") });
    assert!(reason.is_some_and(|reason| reason.contains("start both alike")) && !stops);
    // In a bank that is founded, the chain says it.
    let mut stage = Stage::open();
    assert_eq!(refused(&mut stage, Hello { keys: true, ..hello("B") }), (None, false));
}

/// It was told no keys, and the others founded a bank with keys.
#[test]
fn a_peer_is_asked_once_for_a_block_0_that_is_not_taken() {
    let founded = |key: &str| {
        let servers = [("A", 1), ("B", 2), ("C", 3)].map(|(name, n)| (id(name), InstanceId(n)));
        let keys = ["A", "B", "C"]
            .map(|name| (id(name), Fingerprint::of((key.to_owned() + name).as_bytes())));
        let (opening_balance, keys) = (units(OPENING), keys.into());
        SealedBlock::genesis(Genesis {
            format: FORMAT,
            opening_balance,
            servers: servers.into(),
            keys,
            origin: None,
            issuing: false,
        })
    };
    let block = founded("");
    let mut stage = Stage::baby();
    stage.turn();
    let standing =
        |block: &SealedBlock| Standing { genesis: Some(block.hash()), ..hello("B").standing };
    let hello = Hello { knows_you_as: None, standing: standing(&block), ..hello("B") };
    stage.handle(Event::Greeted(OF_B, hello.clone()));
    stage.handle(Event::LinkUp(id("B")));
    stage.handle(Event::LinkAnswered(id("B"), Message::Hello(hello)));
    stage.hear(OF_B, Message::ReconcileAck { height: 0 });
    let blocks = vec![block.clone()];
    let said = stage.hear(OF_B, Message::BlocksResponse { blocks });
    assert!(!said.appends());
    assert!(said.notes("started without (--access keys"), "{:?}", said.notes);
    let asks = |said: Said| said.free.contains(&(id("B"), Message::ReconcileRequest));
    for _ in 0..3 {
        assert!(!asks(stage.hear(OF_B, Message::Heartbeat(standing(&block)))), "it is the same");
    }
    assert!(asks(stage.hear(OF_B, Message::Heartbeat(standing(&founded("another"))))));
}

#[test]
fn a_configuration_matches_a_bank_of_the_same_servers_and_balance() {
    let founded = genesis().block().genesis.clone().unwrap();
    assert!(configuration().matches(&founded));
    let fewer = Configuration { servers: vec![id("A"), id("B")], ..configuration() };
    let richer = Configuration { opening_balance: units(OPENING + 1), ..configuration() };
    assert!(!fewer.matches(&founded) && !richer.matches(&founded));
}
