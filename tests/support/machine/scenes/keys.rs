//! A bank with keys: who is believed, and who may ask for what.

use std::collections::BTreeMap;

use super::keyed_stage::*;
use crate::bank::asker::{Asker, Role};
use crate::bank::effects::Event;
use crate::bank::ids::{ConnectionId, InstanceId, RequestId, SessionId};
use crate::bank::ledger::entry::Action;
use crate::bank::paxos::message::{Hello, Message, Vote};
use crate::bank::reason::Code;
use crate::bank::request::{ErrorCode, Instruction, Outcome, Reply, Request};
use crate::bank::server::Config;
use crate::bank::stored::Stored;
use crate::machine::cluster::Cluster;
use crate::machine::disk::Disk;
use crate::machine::scenes::rejoining::lose;
use crate::machine::stage::*;

pub const OPERATOR: ConnectionId = ConnectionId(50);
pub const AUDITOR: ConnectionId = ConnectionId(51);
pub const ALICE: ConnectionId = ConnectionId(52);
pub const BOB: ConnectionId = ConnectionId(53);
/// It proved a key that owns nothing.
pub const NOBODY: ConnectionId = ConnectionId(54);
/// It proved none.
pub const PLAIN: ConnectionId = ConnectionId(55);

/// An open bank with keys, whose clients have proved theirs. Alice and Bob have an account each, with 100.
pub fn keyed_bank() -> Stage {
    keyed_bank_of(false)
}

/// The same of one that issues money, perhaps.
pub fn keyed_bank_of(issuing: bool) -> Stage {
    let mut config = keyed_config();
    config.configuration.issuing = issuing;
    let mut stage = Stage::alone_on(config, &keyed_genesis_of(issuing));
    for peer in ["B", "C"] {
        meets_as(&mut stage, peer, keyed_hello_of(peer, issuing));
    }
    let askers = [
        (OPERATOR, "operator", Some(Role::Operator)),
        (AUDITOR, "auditor", Some(Role::Auditor)),
        (ALICE, "alice", None),
        (BOB, "bob", None),
        (NOBODY, "nobody", None),
    ];
    for (connection, name, role) in askers {
        stage.handle(Event::Proved(connection, Asker { key: key(name), role }));
    }
    for name in ["alice", "bob"] {
        let account = account(&format!("A/{name}"));
        let open = Action::Open { account: account.clone(), key: Some(Box::new(key(name))) };
        assert_eq!(asks(&mut stage, OPERATOR, open), None);
        assert_eq!(asks(&mut stage, OPERATOR, pays("A", account.as_str(), 100)), None);
    }
    stage
}

fn request(stage: &mut Stage, of: ConnectionId, request: Request) -> Said {
    stage.handle(Event::Request(of, Some(1), request))
}

/// The code of the reason why an action doesn't happen.
pub fn asks(stage: &mut Stage, of: ConnectionId, action: Action) -> Option<Code> {
    code_of(&request(stage, of, Request::One(Instruction::plain(action))))
}

fn code_of(said: &Said) -> Option<Code> {
    match &said.replies()[..] {
        [Reply::One(Outcome::Accepted { .. })] => None,
        [Reply::One(Outcome::Invalid { reason })] => Some(reason.code),
        [Reply::Error { error: ErrorCode::Forbidden, .. }] => Some(Code::Forbidden),
        other => panic!("neither accepted nor forbidden: {other:?}"),
    }
}

fn rekeys(account_name: &str, name: &str) -> Action {
    Action::Rekey { account: account(account_name), key: Box::new(key(name)) }
}

pub fn nobody_debits_another_s_account() {
    let mut stage = keyed_bank();
    for of in [BOB, OPERATOR, AUDITOR, NOBODY, PLAIN] {
        let code = asks(&mut stage, of, pays("A/alice", "B", 1));
        assert_eq!(code, Some(Code::Forbidden), "{of:?}");
    }
    for of in [ALICE, BOB, AUDITOR, NOBODY, PLAIN] {
        assert_eq!(
            asks(&mut stage, of, pays("A", "B", 1)),
            Some(Code::Forbidden),
            "the till, {of:?}"
        );
        assert_eq!(asks(&mut stage, of, opens("A/new")), Some(Code::Forbidden), "{of:?}");
    }
    // Whether an account is there isn't said.
    assert_eq!(asks(&mut stage, BOB, pays("A/nobody", "B", 1)), Some(Code::Forbidden));
    assert_eq!(asks(&mut stage, ALICE, pays("A/alice", "B", 1)), None);
    assert_eq!(stage.status_for(OPERATOR).accounts, 5);
}

pub fn an_owner_reads_its_own_and_nobody_else_s() {
    let mut stage = keyed_bank();
    let balance = |name: &str| Request::Balance(Some(account(name)));
    let history = |name: &str| Request::History { account: account(name), before: None, limit: 10 };
    let forbidden = |said: Said| {
        matches!(&said.replies()[..], [Reply::Error { error: ErrorCode::Forbidden, .. }])
    };
    for asked in [balance("A/alice"), history("A/alice"), balance("A"), balance("A/x")] {
        for of in [BOB, NOBODY, PLAIN] {
            assert!(forbidden(request(&mut stage, of, asked.clone())), "{of:?} {asked:?}");
        }
        assert!(!forbidden(request(&mut stage, AUDITOR, asked)));
    }
    assert!(!forbidden(request(&mut stage, ALICE, balance("A/alice"))));
    for asked in [Request::Settle, Request::Log { after: None }, Request::Rejoin(None)] {
        assert!(forbidden(request(&mut stage, ALICE, asked.clone())), "{asked:?}");
    }
    for of in [NOBODY, PLAIN] {
        assert!(forbidden(request(&mut stage, of, Request::Status)), "{of:?}");
        assert!(forbidden(request(&mut stage, of, Request::Session(None))), "{of:?}");
    }
    match &request(&mut stage, ALICE, Request::Status).replies()[..] {
        [Reply::Short(status)] => assert_eq!(status.yours, [account("A/alice")]),
        other => panic!("{other:?}"),
    }
    let all = Request::Accounts { prefix: String::new(), after: None, limit: 10 };
    match &request(&mut stage, ALICE, all).replies()[..] {
        [Reply::Accounts { accounts, more: false }] => assert_eq!(accounts.len(), 1),
        other => panic!("{other:?}"),
    }
}

pub fn a_rekey_takes_effect_at_its_place_and_not_before() {
    let mut stage = keyed_bank();
    let linked = |action| Instruction { linked: true, ..Instruction::plain(action) };
    let group =
        vec![linked(pays("A/alice", "B", 1)), Instruction::plain(rekeys("A/alice", "operator"))];
    let said = request(&mut stage, OPERATOR, Request::Batch(group.clone()));
    let first = &said.outcomes()[0];
    assert!(
        matches!(first, Outcome::Invalid { reason } if reason.code == Code::Forbidden),
        "{first:?}"
    );
    let group: Vec<Instruction> =
        vec![linked(group[1].action.clone()), Instruction::plain(group[0].action.clone())];
    let said = request(&mut stage, OPERATOR, Request::Batch(group));
    assert!(matches!(said.outcomes()[1], Outcome::Accepted { .. }), "{said:?}");
    assert_eq!(asks(&mut stage, ALICE, pays("A/alice", "B", 1)), Some(Code::Forbidden));
    // By its key, too.
    assert_eq!(asks(&mut stage, ALICE, rekeys("A/bob", "alice")), Some(Code::Forbidden));
    assert_eq!(asks(&mut stage, BOB, rekeys("A/bob", "alice")), None);
    assert_eq!(asks(&mut stage, BOB, pays("A/bob", "B", 1)), Some(Code::Forbidden));
    assert_eq!(asks(&mut stage, ALICE, pays("A/bob", "B", 1)), None);
}

pub fn what_waits_is_not_paid_by_the_key_before() {
    let mut stage = keyed_bank();
    let pays_much = Instruction::plain(pays("A/alice", "B", 500));
    assert_eq!(request(&mut stage, ALICE, Request::One(pays_much)).replies(), []);
    assert_eq!(asks(&mut stage, OPERATOR, rekeys("A/alice", "bob")), None);
    let said =
        request(&mut stage, OPERATOR, Request::One(Instruction::plain(pays("A", "A/alice", 600))));
    let outcomes = said.outcomes();
    let forbidden = |outcome: &&Outcome| matches!(outcome, Outcome::Invalid { reason } if reason.code == Code::Forbidden);
    assert_eq!((outcomes.len(), outcomes.iter().filter(forbidden).count()), (2, 1), "{outcomes:?}");
}

pub fn a_session_belongs_to_the_key_that_opened_it() {
    let mut stage = keyed_bank();
    let session: SessionId = match &request(&mut stage, ALICE, Request::Session(None)).replies()[..]
    {
        [Reply::Session { session, .. }] => session.clone(),
        other => panic!("{other:?}"),
    };
    let first = |action| {
        let request = RequestId { session: session.clone(), number: 1 };
        Request::One(Instruction { request: Some(request), ..Instruction::plain(action) })
    };
    assert_eq!(code_of(&request(&mut stage, ALICE, first(pays("A/alice", "B", 1)))), None);
    let stolen = request(&mut stage, BOB, first(pays("A/bob", "B", 1)));
    assert_eq!(code_of(&stolen), Some(Code::WrongSession));
}

pub fn a_hello_counts_only_with_the_key_that_the_chain_names() {
    let mut stage = Stage::alone_on(keyed_config(), &keyed_genesis());
    for proved in [None, Some("C"), Some("alice")] {
        let said = greets(&mut stage, ConnectionId(40), keyed_hello("B"), proved);
        let (reason, tells) = rejection(&said);
        assert!(reason.contains("key"), "{reason}");
        // A member hears why its store can't take part.
        assert_eq!(tells, proved == Some("C"), "{proved:?}");
        stage.handle(Event::Closed(ConnectionId(40)));
    }
    // Nor is a stranger greeted who answers at the peer's address.
    stage.handle(Event::LinkProved(id("B"), key("alice")));
    assert_eq!(stage.handle(Event::LinkUp(id("B"))).told(), []);
    meets(&mut stage, "B");
}

pub fn no_vote_counts_without_the_key_of_its_server() {
    let mut stage = Stage::alone_on(keyed_config(), &keyed_genesis());
    meets(&mut stage, "B");
    meets(&mut stage, "C");
    stage.handle(Event::Proved(OPERATOR, operator()));
    let block = c_rejoins();
    assert!(stage.fetch("B", std::slice::from_ref(&block)).appends());
    let large = Instruction::plain(pays("A", "B", TOO_MUCH));
    assert!(!request(&mut stage, OPERATOR, Request::One(large)).asked().is_empty(), "a run begins");
    let prepared = stage.status_for(OPERATOR).ballot.expect("a run");
    let vote = Vote::Log { elements: Vec::new(), cut: false, whole: None };
    let (height, instance) = (2, InstanceId(33));
    let promise = Message::Promise { height, ballot: prepared, instance, waiting: false, vote };
    stage.hear(OF_C, promise);
    let answered = stage.status_for(OPERATOR).answered;
    assert_eq!(answered, [id("A")], "C spoke over the connection of its old key");
}

fn operator() -> Asker {
    Asker { key: key("operator"), role: Some(Role::Operator) }
}

pub fn after_a_rejoin_the_old_key_speaks_for_nobody() {
    let mut stage = Stage::alone_on(keyed_config(), &keyed_genesis());
    meets(&mut stage, "B");
    assert!(stage.fetch("B", &[c_rejoins()]).appends());
    let old = greets(&mut stage, ConnectionId(40), hello_of_the_new_c(), Some("C"));
    let (reason, tells) = rejection(&old);
    assert!(reason.contains("no server's any more"), "{reason}");
    assert!(tells, "a store that was replaced is told so");
    assert!(!is_told_that_it_is_over(&old), "the store itself is the new one");
    let replaced = greets(&mut stage, ConnectionId(42), keyed_hello("C"), Some("C"));
    assert!(is_told_that_it_is_over(&replaced), "{replaced:?}");
    let stranger = greets(&mut stage, ConnectionId(43), keyed_hello("C"), Some("stranger"));
    assert!(!is_told_that_it_is_over(&stranger), "a stranger learns nothing");
    let new = greets(&mut stage, ConnectionId(41), hello_of_the_new_c(), Some("C2"));
    assert!(is_welcome(&new), "{new:?}");
}

pub fn a_rejoin_takes_an_operator_s_word_for_its_very_key() {
    let mut stage = keyed_bank();
    stage.handle(Event::Closed(OF_C));
    // Whoever has the old key as well: its store is another.
    for (number, proved) in [(40, "C"), (41, "C2"), (42, "stranger")] {
        let said = greets(&mut stage, ConnectionId(number), hello_of_the_new_c(), Some(proved));
        let (reason, _) = rejection(&said);
        assert!(reason.contains("an operator has to confirm this key"), "{reason}");
    }
    let confirm = |name| Request::Rejoin(Some((id("C"), key(name))));
    let wrong = request(&mut stage, OPERATOR, confirm("nobody"));
    assert!(matches!(&wrong.replies()[..], [Reply::Error { .. }]) && !wrong.logs(), "{wrong:?}");
    let forbidden = request(&mut stage, ALICE, confirm("C2"));
    assert!(matches!(&forbidden.replies()[..], [Reply::Error { .. }]) && !forbidden.logs());
    let said = request(&mut stage, OPERATOR, confirm("C2"));
    assert!(said.logs(), "{said:?}");
    assert!(matches!(&said.replies()[..], [Reply::Rejoins { rejoins }] if rejoins.len() == 3));
    // It is let in to fetch the chain; the others are not.
    let other = greets(&mut stage, ConnectionId(43), hello_of_the_new_c(), Some("stranger"));
    assert!(!is_welcome(&other));
    let new = greets(&mut stage, ConnectionId(44), hello_of_the_new_c(), Some("C2"));
    assert!(is_welcome(&new), "{new:?}");
}

/// A's second store, which is to rejoin and holds no block after 0. Its operator knows the keys of the others, both of
/// whom have rejoined since.
fn rejoins_after_the_others() -> Stage {
    let expect = [("B", "B2"), ("C", "C2")].map(|(of, name)| (id(of), key(name))).into();
    let config = Config { key: Some(key("A2")), rejoin: true, expect, ..keyed_config() };
    let mut disk =
        Disk { stored: Stored::empty(InstanceId(11)), ..Disk::founded(11, &keyed_genesis()) };
    disk.stored.derived = Disk::founded(11, &keyed_genesis()).stored.derived;
    let server = disk.load(config, 1);
    let mut stage = Stage { disk, server };
    stage.turn();
    stage
}

fn newer(of: &str, instance: u64) -> Hello {
    Hello {
        instance: InstanceId(instance),
        rejoins: true,
        knows_you_as: Some(InstanceId(1)),
        ..keyed_hello(of)
    }
}

pub fn who_rejoins_hears_those_whose_keys_its_operator_knows() {
    let mut stage = rejoins_after_the_others();
    let stranger = greets(&mut stage, ConnectionId(40), newer("B", 22), Some("stranger"));
    assert!(!is_welcome(&stranger), "{stranger:?}");
    // Its operator may have been told an older key than B has now.
    assert!(format!("{stranger:?}").contains("another is expected (--expect)"), "{stranger:?}");
    for (of, connection, instance, name) in [("B", OF_B, 22, "B2"), ("C", OF_C, 33, "C2")] {
        let said = greets(&mut stage, connection, newer(of, instance), Some(name));
        assert!(is_welcome(&said), "{said:?}");
    }
}

/// Bug: a store whose rejoin was void waited for ever. One peer had sent it the block that ends it, and the others, who
/// held that block, refused it before it could ask them.
pub fn who_can_not_come_in_any_more_hears_so_from_those_who_refuse_it() {
    let refuses = |stage: &mut Stage, of: &str, instance, proved: &str, over| {
        stage.handle(Event::LinkProved(id(of), key(proved)));
        stage.handle(Event::LinkUp(id(of)));
        let hello = Some(Box::new(newer(of, instance)));
        let reject = Message::Reject { reason: "no".into(), hello, over };
        let stop = stage.handle(Event::LinkAnswered(id(of), reject)).stop;
        stage.handle(Event::LinkDown(id(of)));
        stop
    };
    let mut stage = rejoins_after_the_others();
    for (of, instance, proved, over) in [
        ("B", 22, "B2", true),
        ("B", 22, "B2", true),
        ("C", 33, "stranger", true),
        ("C", 33, "C2", false),
    ] {
        assert_eq!(refuses(&mut stage, of, instance, proved, over), None, "{of}, {proved}, {over}");
    }
    let stop = refuses(&mut stage, "C", 33, "C2", true).expect("two have said so");
    assert!(stop.to_string().contains("not to be used any more"), "{stop}");
    // Whoever is named by its own chain knows better.
    let mut stage = keyed_bank();
    for of in ["B", "C"] {
        let Hello { instance, .. } = keyed_hello(of);
        assert_eq!(refuses(&mut stage, of, instance.0, of, true), None);
    }
}

pub fn a_server_tells_only_its_own_key() {
    let pin = |of: &str, name: &str| Action::Pin {
        server: id(of),
        instance: instance(of),
        key: Box::new(key(name)),
    };
    let mut stage = Stage::open();
    let block = block_of(&genesis(), [("B", element_of(1, [pin("C", "thief"), pin("B", "B")]))]);
    assert!(stage.fetch("B", &[block]).appends());
    let keys = stage.status().keys;
    assert_eq!(keys, BTreeMap::from([(id("B"), key("B"))]));
}

pub fn a_server_without_its_key_does_not_start() {
    let mut stage = keyed_bank();
    for (key, words) in [(None, "without one"), (Some(key("stolen")), "is known by the key")] {
        let refused = stage.disk.try_load(Config { key, ..keyed_config() }, 9).unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
    }
    stage.disk.load(keyed_config(), 9);
}

/// All of it together: founded with keys, one store lost, its successor confirmed at one server.
pub fn a_bank_with_keys_is_founded_and_lets_a_confirmed_store_in() {
    let mut cluster = Cluster::open_with_keys(&["A", "B", "C"]);
    assert_eq!(cluster.pay_as_operator("C", "A", 10), Some((1, 1)));
    assert!(cluster.settle_as_operator("A"));
    cluster.give_key("C2");
    lose(&mut cluster);
    cluster.run(3_000);
    assert!(!cluster.is_named("A", "C2"), "nobody has confirmed it");
    assert_eq!(cluster.nodes["C2"].disk.chain.len(), 0, "so it was told nothing");
    assert!(cluster.confirm("B", "C2"));
    cluster.run(5_000);
    assert!(cluster.is_named("A", "C2"));
    assert!(cluster.nodes["C2"].done.is_some(), "its operator is told");
    assert_eq!(cluster.pay_as_operator("C2", "B", 7), Some((2, 1)));
}

/// Keys come to a bank that has none by one restart of each server.
pub fn a_bank_without_keys_gets_them_one_by_one() {
    let mut cluster = Cluster::open(&["A", "B", "C"]);
    assert_eq!(cluster.pay("A", "B", 1), Some((1, 1)));
    for name in ["A", "B", "C"] {
        assert!(!cluster.is_keyed(name));
        cluster.give_key(name);
        cluster.restart(name, false);
        cluster.run(3_000);
    }
    for name in ["A", "B", "C"] {
        assert!(cluster.is_keyed(name), "{name}");
    }
    assert_eq!(cluster.pay("A", "B", 1), None, "a client without a key is not served");
    assert!(cluster.pay_as_operator("A", "B", 1).is_some());
    cluster.restart("B", false);
    cluster.run(2_000);
    assert!(cluster.settle_as_operator("B"));
}
