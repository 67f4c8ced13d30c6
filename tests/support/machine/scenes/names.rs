//! Sessions that their clients named: found again by the name alone, and never paid twice.

use crate::bank::effects::{Bound, Event};
use crate::bank::ids::{ConnectionId, NamedSession, RequestId, SessionId};
use crate::bank::limits::Limits;
use crate::bank::reason::Code;
use crate::bank::request::{ErrorCode, Instruction, Outcome, Reply, Request};
use crate::bank::server::Config;
use crate::machine::cluster::{Cluster, Name, pays as pays_to, position};
use crate::machine::scenes::keys::{ALICE, BOB, OPERATOR, keyed_bank};
use crate::machine::scenes::rejoining::lose;
use crate::machine::stage::*;

const OLDER: ConnectionId = ConnectionId(71);
const NEWER: ConnectionId = ConnectionId(72);

fn by_name(name: &str, last: Option<u64>) -> Request {
    Request::Session(Some(NamedSession { name: name.parse().unwrap(), last }))
}

/// The session and its highest number, or the words of the refusal.
fn opened(replies: &[Reply]) -> Result<(SessionId, u64), String> {
    match replies {
        [Reply::Session { session, highest: Some(highest) }] => Ok((session.clone(), *highest)),
        [Reply::Error { error: ErrorCode::NameRefused, message }] => Err(message.clone()),
        other => panic!("no session by name: {other:?}"),
    }
}

fn opens_name(stage: &mut Stage, on: ConnectionId, name: &str) -> Result<(SessionId, u64), String> {
    opened(&stage.handle(Event::Request(on, None, by_name(name, None))).replies())
}

/// 1 to B, from this account; whether it was repeated, or why not.
fn pays_from(
    stage: &mut Stage,
    on: ConnectionId,
    from: &str,
    (session, number): (&SessionId, u64),
) -> Result<bool, Code> {
    let request = Some(RequestId { session: session.clone(), number });
    let asked = Instruction { request, ..Instruction::plain(pays(from, "B", 1)) };
    let said = stage.handle(Event::Request(on, None, Request::One(asked)));
    match &said.outcomes()[..] {
        [Outcome::Accepted { repeated, .. }] => Ok(*repeated),
        [Outcome::Invalid { reason } | Outcome::Expired { reason }] => Err(reason.code),
        other => panic!("{other:?}"),
    }
}

fn pay(
    stage: &mut Stage,
    on: ConnectionId,
    session: &SessionId,
    number: u64,
) -> Result<bool, Code> {
    pays_from(stage, on, "A", (session, number))
}

/// Whoever opens the name has the session and hears how far it is; the connection before is told.
pub fn a_name_is_found_again() {
    let mut stage = Stage::open();
    let (session, highest) = opens_name(&mut stage, OLDER, "invoices").unwrap();
    assert_eq!((session.to_string().as_str(), highest), ("A.1.named.invoices", 0));
    for number in [1, 2, 17] {
        assert_eq!(pay(&mut stage, OLDER, &session, number), Ok(false));
    }
    let said = stage.handle(Event::Request(NEWER, None, by_name("invoices", Some(17))));
    assert_eq!(opened(&said.replies()), Ok((session.clone(), 17)));
    let told = |bound: &Bound| matches!(bound, Bound::Tell(OLDER, Reply::TakenOver { .. }));
    assert!(said.bound.iter().any(told), "{said:?}");
    assert_eq!(pay(&mut stage, NEWER, &session, 17), Ok(true), "the retry of its last");
    // The older connection neither has it nor takes it back.
    let said = stage.handle(Event::Request(OLDER, None, by_name("invoices", None)));
    assert!(matches!(said.replies()[..], [Reply::TakenOver { .. }]), "{said:?}");
    assert_eq!(pay(&mut stage, NEWER, &session, 18), Ok(false));
    let other = opens_name(&mut stage, NEWER, "wages").unwrap();
    assert_eq!((other.0.to_string().as_str(), other.1), ("A.1.named.wages", 0));
}

/// However many sessions come after it, on its own connection and on others; and not by a restart.
pub fn a_used_name_is_never_forgotten() {
    let limits = Limits { sessions: 3, sessions_of_one: 2, ..Limits::default() };
    let limits = Limits { remembered: 4, remembered_in_all: 8, ..limits };
    let mut stage = Stage::open_as(Config { limits, ..config() });
    let (session, _) = opens_name(&mut stage, OLDER, "invoices").unwrap();
    (1..=6).for_each(|number| assert_eq!(pay(&mut stage, OLDER, &session, number), Ok(false)));
    for on in (0..40).map(|count| ConnectionId(100 + count / 4)).chain([OLDER, OLDER, OLDER]) {
        let replies = stage.handle(Event::Request(on, None, Request::Session(None))).replies();
        let [Reply::Session { session, .. }] = &replies[..] else { panic!("{replies:?}") };
        pay(&mut stage, on, session, 1).unwrap();
    }
    stage.handle(Event::Closed(OLDER));
    assert_eq!(opens_name(&mut stage, NEWER, "invoices").unwrap(), (session.clone(), 6));
    for number in 1..=6 {
        let told = pay(&mut stage, NEWER, &session, number);
        assert!(matches!(told, Ok(true) | Err(Code::TooLate)), "{number}: {told:?}");
    }
    assert_eq!(pay(&mut stage, NEWER, &session, 7), Ok(false));
    stage.crash();
    assert_eq!(opens_name(&mut stage, NEWER, "invoices").unwrap(), (session, 7));
}

/// Unused ones take no room. Beyond the bound a name is refused, opened or made up; those that are used go on.
pub fn names_are_bounded() {
    let limits = Limits { names: 2, ..Limits::default() };
    let mut stage = Stage::open_as(Config { limits, ..config() });
    let names = ["a", "b", "c", "d"];
    let opened = names.map(|name| opens_name(&mut stage, OLDER, name).unwrap().0);
    for used in &opened[..2] {
        assert_eq!(pay(&mut stage, OLDER, used, 1), Ok(false));
    }
    for beyond in [&opened[2], &named_session("made-up").into()] {
        assert_eq!(pay(&mut stage, OLDER, beyond, 1), Err(Code::WrongSession));
    }
    let refused = opens_name(&mut stage, NEWER, "c").unwrap_err();
    assert!(refused.contains("2 names are used, the most there can be"), "{refused}");
    assert_eq!(pay(&mut stage, OLDER, &opened[1], 1), Ok(true));
    assert_eq!(pay(&mut stage, OLDER, &opened[1], 2), Ok(false));
    assert_eq!(opens_name(&mut stage, NEWER, "b").unwrap().1, 2);
    // Who needs no name is served as ever.
    let said = stage.handle(Event::Request(NEWER, None, Request::Session(None)));
    assert!(matches!(said.replies()[..], [Reply::Session { highest: None, .. }]));
}

/// Another key has another session under the same name, and none can use the other's.
pub fn a_name_belongs_to_its_key() {
    let mut stage = keyed_bank();
    let (of_alice, _) = opens_name(&mut stage, ALICE, "invoices").unwrap();
    assert_eq!(pays_from(&mut stage, ALICE, "A/alice", (&of_alice, 1)), Ok(false));
    let (of_bob, highest) = opens_name(&mut stage, BOB, "invoices").unwrap();
    assert!(of_alice != of_bob && highest == 0, "{of_alice}, {of_bob}: {highest}");
    let stolen = pays_from(&mut stage, BOB, "A/bob", (&of_alice, 2));
    assert_eq!(stolen, Err(Code::WrongSession));
    assert_eq!(pays_from(&mut stage, BOB, "A/bob", (&of_bob, 1)), Ok(false), "the same number");
    assert_eq!(opens_name(&mut stage, ALICE, "invoices").unwrap(), (of_alice, 1));
    let made_up = pays_from(&mut stage, OPERATOR, "A", (&named_session("x").into(), 1));
    assert_eq!(made_up, Err(Code::WrongSession), "a session that is nobody's");
}

fn ask_by_name(
    cluster: &mut Cluster,
    of: Name,
    last: Option<u64>,
) -> Result<(SessionId, u64), String> {
    opened(&[cluster.ask(of, by_name("invoices", last)).expect("it is there")])
}

/// Its home lost its store: what is in the chain is known, and what is not never counts, and is done now.
pub fn a_name_outlives_a_lost_store() {
    let mut cluster = Cluster::open(&["A", "B", "C"]);
    let (session, _) = ask_by_name(&mut cluster, "C", None).unwrap();
    let asked = |number, amount| {
        let request = RequestId { session: session.clone(), number };
        pays_to("C", "B", amount, Some(request))
    };
    let (kept, lost) = (asked(1, 10), asked(2, 5));
    assert_eq!(position(&cluster.instruct("C", &kept).unwrap()), Some((1, 1)));
    assert!(cluster.settle("A"));
    assert_eq!(position(&cluster.instruct("C", &lost).unwrap()), Some((1, 2)));
    lose(&mut cluster);
    cluster.run(4_000);
    let mut resumes = false;
    // The last start is from the chain's end.
    for tail in [None, Some(1), None] {
        assert_eq!(ask_by_name(&mut cluster, "C2", Some(2)).unwrap().0, session);
        for (asked, first) in [(&kept, (1, 1)), (&lost, (2, 1))] {
            let told = cluster.instruct("C2", asked).expect("it is there");
            let is_forgotten = matches!(told, Outcome::Expired { .. }) && resumes;
            assert!(position(&told) == Some(first) || is_forgotten, "{told:?}");
        }
        assert_eq!(cluster.balance("C2"), 85, "each once");
        assert!(cluster.settle("A"));
        cluster.nodes.get_mut("C2").unwrap().disk.tail = tail;
        cluster.restart("C2", true);
        cluster.run(1_000);
        resumes = tail.is_some();
    }
    assert_eq!(ask_by_name(&mut cluster, "C2", None).unwrap(), (session, 2));
}
