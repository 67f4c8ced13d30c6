//! The scenes of a server, in a bank with keys, that has accepted a block and doesn't hear that it was chosen from
//! anybody whom its chain names. Each panics if something is wrong.

use std::collections::BTreeMap;

use super::keyed_stage::*;
use super::members::at;
use crate::bank::blockchain::block::{Block, SealedBlock};
use crate::bank::effects::{Bound, Event, Timer};
use crate::bank::ids::{ConnectionId, LifeId, TurnNumber};
use crate::bank::ledger::entry::{Action, Position};
use crate::bank::ledger::member_change::{Admission, MemberChange};
use crate::bank::paxos::message::{Hello, Message, Sighting, Standing};
use crate::machine::stage::*;

const OF_D: ConnectionId = ConnectionId(4);

fn admission_of_d() -> Action {
    let (server, instance, at, key) = (id("D"), instance("D"), at(7_000), Some(key("D")));
    let admission = Admission { server, instance, at, key, branch: false };
    Action::Member(Box::new(MemberChange::Admit(admission)))
}

/// B admits D, and perhaps pays A in the same block.
fn admits_d(pays_a: u64) -> SealedBlock {
    let paid = (pays_a > 0).then(|| pays("B", "A", pays_a));
    let logged = element_of(1, [admission_of_d()].into_iter().chain(paid));
    block_of(&keyed_genesis(), [("B", logged)])
}

fn goes(stage: &mut Stage, peer: &str, connection: ConnectionId) {
    stage.handle(Event::LinkDown(id(peer)));
    stage.handle(Event::Closed(connection));
}

/// A, which has accepted this block in B's ballot, and hears nobody any more.
fn has_accepted(block: &SealedBlock) -> Stage {
    let mut stage = Stage::alone_on(keyed_config(), &keyed_genesis());
    for peer in ["B", "C"] {
        meets(&mut stage, peer);
    }
    assert!(!stage.hear(OF_B, accept("B", 5, block)).writes.is_empty(), "it accepts");
    goes(&mut stage, "B", OF_B);
    goes(&mut stage, "C", OF_C);
    stage
}

/// D holds this many blocks after block 0, as it says.
fn hello_of_d(height: u64) -> Hello {
    let hello = keyed_hello("D");
    let standing = Standing { height, ..hello.standing };
    let addresses = BTreeMap::from([(id("D"), at(7_000))]);
    Hello { standing, rejoins: true, addresses, ..hello }
}

/// What it says to a server; the first is whom it says it to.
fn says(said: &Said) -> Vec<(String, &'static str)> {
    let told = said.told();
    let all = said.free.iter().chain(&told);
    all.map(|(to, message)| (to.to_string(), message.name())).collect()
}

/// It is asked for blocks, and sends this one.
fn hands_over(
    stage: &mut Stage,
    of: &str,
    proved: &str,
    hello: Hello,
    block: &SealedBlock,
) -> Said {
    let connection = connection(&id(of));
    stage.handle(Event::LinkProved(id(of), key(proved)));
    stage.handle(Event::LinkUp(id(of)));
    let said = stage.handle(Event::LinkAnswered(id(of), Message::Hello(hello)));
    assert_eq!(
        says(&said),
        [(of.to_owned(), "reconcile_request")],
        "it is asked, and told nothing"
    );
    let said = stage.hear(connection, Message::ReconcileAck { height: block.height() });
    assert_eq!(says(&said), [(of.to_owned(), "blocks_request")]);
    stage.hear(connection, Message::BlocksResponse { blocks: vec![block.clone()] })
}

pub fn whom_an_accepted_block_admits_says_that_it_was_chosen() {
    let block = admits_d(0);
    let mut stage = has_accepted(&block);
    let said = greets(&mut stage, OF_D, hello_of_d(1), Some("D"));
    assert!(is_welcome(&said), "{said:?}");
    let dials =
        |bound: &Bound| matches!(bound, Bound::Dial(to, at) if *to == id("D") && at == "host:7000");
    assert!(said.bound.iter().any(dials), "it is dialled where it says that it is: {said:?}");
    assert!(hands_over(&mut stage, "D", "D", hello_of_d(1), &block).appends());
    // It is a member now like any other.
    let said = stage.time_out(Timer::Heartbeat);
    assert!(says(&said).contains(&("D".to_owned(), "heartbeat")), "{said:?}");
    let next = block_after(&block, &[]);
    let said = stage.hear(OF_D, prepare("D", 9, &next));
    assert!(
        says(&said).contains(&("D".to_owned(), "reconcile_request")),
        "D holds block 2: {said:?}"
    );
    // Also after a crash; and by a commit it goes without asking.
    let mut stage = has_accepted(&block);
    stage.server = stage.disk.load(keyed_config(), 2);
    stage.turn();
    greets(&mut stage, OF_D, hello_of_d(1), Some("D"));
    assert!(stage.hear(OF_D, commit(&block)).appends());
}

/// Only with its key and its store, and only if it is ahead and knows this server.
pub fn nobody_else_speaks_for_it() {
    let block = admits_d(0);
    let wrong = [
        (hello_of_d(1), None),
        (hello_of_d(1), Some("stranger")),
        (hello_of_d(1), Some("B")),
        (Hello { instance: instance("C"), ..hello_of_d(1) }, Some("D")),
        (Hello { knows_you_as: None, ..hello_of_d(1) }, Some("D")),
        (Hello { knows_you_as: Some(instance("B")), ..hello_of_d(1) }, Some("D")),
        (hello_of_d(0), Some("D")),
        (Hello { id: id("E"), ..hello_of_d(1) }, Some("D")),
    ];
    for (number, (hello, proved)) in (60..).zip(wrong) {
        let mut stage = has_accepted(&block);
        let said = greets(&mut stage, ConnectionId(number), hello.clone(), proved);
        let (reason, _) = rejection(&said);
        assert!(reason.contains("is not a server of this bank"), "{reason}");
        // Nor after it has come itself.
        assert!(is_welcome(&greets(&mut stage, OF_D, hello_of_d(1), Some("D"))));
        rejection(&greets(&mut stage, ConnectionId(number + 1), hello, proved));
        assert!(stage.hear(OF_D, commit(&block)).appends(), "its own word still counts");
    }
    // Nor at a server that has accepted nothing, or something else.
    let mut stage = Stage::alone_on(keyed_config(), &keyed_genesis());
    rejection(&greets(&mut stage, OF_D, hello_of_d(1), Some("D")));
    let mut stage = has_accepted(&block_after(&keyed_genesis(), &[("B", 1)]));
    rejection(&greets(&mut stage, OF_D, hello_of_d(1), Some("D")));
}

/// Until the block is known to be chosen, only that it was chosen is believed.
pub fn nothing_else_is_believed_of_it() {
    let (block, other) = (admits_d(0), admits_d(7));
    let mut stage = has_accepted(&block);
    greets(&mut stage, OF_D, hello_of_d(1), Some("D"));
    let votes = [prepare("D", 9, &keyed_genesis()), accept("D", 9, &other)];
    let asks = [Message::ReconcileRequest, Message::BlocksRequest { from: 0, to: 0 }];
    for message in votes.into_iter().chain(asks) {
        let said = stage.hear(OF_D, message);
        assert_eq!((says(&said), said.writes), (vec![], vec![]));
        assert!(!said.bound.iter().any(|bound| matches!(bound, Bound::SendBlocks { .. })));
    }
    assert!(!stage.hear(OF_D, commit(&other)).appends());
    // Another block than the one that was accepted, though it admits D, too.
    assert!(!hands_over(&mut stage, "D", "D", hello_of_d(1), &other).appends());
    let said = stage.time_out(Timer::Heartbeat);
    assert!(!says(&said).iter().any(|(to, what)| to == "D" && *what == "heartbeat"), "{said:?}");
    // Nor does it say that this server's store was rolled back.
    let (instance, position) = (instance("A"), Position { epoch: 1, seq: 1_000 });
    let seen = Sighting { instance, life: LifeId(77), turn: TurnNumber(1_000_000), position };
    let accuses = Hello { saw_you_at: Some(seen), ..hello_of_d(1) };
    let said = greets(&mut stage, OF_D, accuses, Some("D"));
    assert!(said.stop.is_none() && !stage.server.is_in_doubt(), "{said:?}");
    // Another block is accepted, in a higher ballot: D's word is worth nothing any more.
    meets(&mut stage, "C");
    let third = block_after(&keyed_genesis(), &[("B", 3)]);
    assert!(!stage.hear(OF_C, accept("C", 8, &as_c_s(&third))).writes.is_empty());
    assert!(!stage.hear(OF_D, commit(&block)).appends());
}

fn as_c_s(block: &SealedBlock) -> SealedBlock {
    let block = Block { proposer: Some(id("C")), ..block.block().clone() };
    SealedBlock::seal(block)
}

/// A store that rejoins by the accepted block has another key than the chain names for its server.
pub fn who_rejoins_by_an_accepted_block_says_that_it_was_chosen() {
    let block = c_rejoins();
    let mut stage = has_accepted(&block);
    let hello = hello_of_the_new_c();
    let hello = Hello { standing: Standing { height: 1, ..hello.standing.clone() }, ..hello };
    rejection(&greets(&mut stage, ConnectionId(60), hello.clone(), Some("C")));
    rejection(&greets(&mut stage, ConnectionId(61), hello.clone(), Some("stranger")));
    let said = greets(&mut stage, OF_C, hello.clone(), Some("C2"));
    assert!(is_welcome(&said), "{said:?}");
    let vote = prepare("C", 9, &keyed_genesis());
    assert_eq!(stage.hear(OF_C, vote).writes, [], "it has no vote yet");
    assert!(hands_over(&mut stage, "C", "C2", hello, &block).appends());
}

/// Who has no vote was only shown the block.
pub fn a_branch_that_was_shown_the_block_hears_it_too() {
    let demotes = Action::Member(Box::new(MemberChange::Demote { server: id("A") }));
    let one = block_of(&keyed_genesis(), [("B", element_of(1, [demotes]))]);
    let two = block_of(&one, [("B", element_of(2, [admission_of_d()]))]);
    let mut stage = Stage::alone_on(keyed_config(), &keyed_genesis());
    meets(&mut stage, "B");
    assert!(stage.fetch("B", &[one]).appends());
    assert_eq!(stage.hear(OF_B, accept("B", 5, &two)).writes, [], "it has no vote");
    goes(&mut stage, "B", OF_B);
    let said = greets(&mut stage, OF_D, hello_of_d(2), Some("D"));
    assert!(is_welcome(&said), "{said:?}");
    assert!(stage.hear(OF_D, commit(&two)).appends());
}

/// A block that this server lacks may have moved the only member from which it can have the block.
pub fn a_member_that_is_ahead_says_where_it_is_found() {
    let moves = |at| Action::Member(Box::new(MemberChange::Move { server: id("B"), at }));
    let one = block_of(&keyed_genesis(), [("B", element_of(1, [moves(at(8_001))]))]);
    let two = block_of(&one, [("B", element_of(2, [admission_of_d()]))]);
    let three = block_of(&two, [("B", element_of(3, [moves(at(8_003))]))]);
    let dialled = |said: &Said| -> Vec<String> {
        let of_b = said.bound.iter().filter_map(|bound| match bound {
            Bound::Dial(to, at) if *to == id("B") => Some(at.clone()),
            _ => None,
        });
        of_b.collect()
    };
    let mut stage = Stage::alone_on(keyed_config(), &keyed_genesis());
    meets(&mut stage, "B");
    assert_eq!(dialled(&stage.fetch("B", std::slice::from_ref(&one))), ["host:8001"]);
    let hello = |height, port| {
        let hello = keyed_hello("B");
        let standing = Standing { height, ..hello.standing };
        Hello { standing, addresses: BTreeMap::from([(id("B"), at(port))]), ..hello }
    };
    assert_eq!(
        dialled(&greets(&mut stage, OF_B, hello(1, 9_999), Some("B"))),
        [""; 0],
        "not ahead"
    );
    rejection(&greets(&mut stage, ConnectionId(60), hello(3, 9_999), Some("stranger")));
    let mut greets_at = |height, port| greets(&mut stage, OF_B, hello(height, port), Some("B"));
    assert_eq!(dialled(&greets_at(9, 7_777)), ["host:7777"]);
    assert_eq!(dialled(&greets_at(1, 8_001)), ["host:8001"], "it takes that back");
    assert_eq!(dialled(&greets_at(3, 8_003)), ["host:8003"]);
    assert_eq!(dialled(&greets_at(3, 8_003)), [""; 0], "it is dialled there already");
    // Until the chain says so, it stays there, whatever else the blocks before change.
    stage.hear(OF_B, Message::ReconcileAck { height: 3 });
    let said = stage.hear(OF_B, Message::BlocksResponse { blocks: vec![two] });
    assert!(said.appends() && dialled(&said).is_empty(), "{said:?}");
    let said = stage.hear(OF_B, Message::BlocksResponse { blocks: vec![three] });
    assert!(said.appends() && dialled(&said).is_empty(), "{said:?}");
}
