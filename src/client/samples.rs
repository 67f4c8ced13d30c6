//! Responses to print, for tests.

use std::collections::BTreeMap;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::{AccountId, InstanceId, LifeId, RequestId, ServerId, TurnNumber};
use crate::bank::ledger::entry::{Action, Entry, Position, Record, Via};
use crate::bank::paxos::ballot::Ballot;
use crate::bank::reason::{Code, Reason};
use crate::bank::request::{
    Cursor, Listed, Measured, Outcome, PeerStatus, Percentiles, RedisStatus, Reply, Request, Start,
    StatementLine, Status,
};
use crate::bank::status::Handshakes;
use crate::client::commands::{List, Page, Response};
use crate::client::session::{Ending, Failure};
use crate::wire::link::{Fault, LinkFault, LinkFaults};
use crate::wire::{Answer, parse_reply};

pub(super) fn server(id: &str) -> ServerId {
    id.parse().unwrap()
}

fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

fn units(units: u64) -> Amount {
    Amount::new(units).unwrap()
}

pub(super) fn request() -> RequestId {
    "A.1.0.00000000000000ff.1#3".parse().unwrap()
}

pub(super) fn accepted(via: Via, repeated: bool, settled: Option<bool>) -> Ending {
    let (server, balance) = (server("A"), units(70));
    Ending::Decided(Outcome::Accepted { server, epoch: 1, seq: 5, balance, via, repeated, settled })
}

pub(super) fn refused() -> Ending {
    Ending::Decided(Outcome::Refused {
        reason: Reason::new(Code::InsufficientFunds, "A has 20, of which 30 can't be paid"),
        balance: units(20),
        consulted: vec![server("A"), server("B")],
        not_consulted: vec![server("C")],
    })
}

pub(super) fn linked_failed() -> Ending {
    let words = "number 2 of its linked group has not happened";
    let reason = Reason::new(Code::LinkedFailed, words);
    Ending::Decided(Outcome::LinkedFailed { reason })
}

pub(super) fn wrong_server() -> Ending {
    let reason = Reason::new(Code::WrongServer, "B/x is at home at B");
    let address = "127.0.0.1:8002".into();
    Ending::Decided(Outcome::WrongServer { reason, server: server("B"), address })
}

pub(super) fn unknown_ending() -> Ending {
    Ending::Unknown { request: request(), reason: "no reply in time".into() }
}

pub(super) fn not_done(failure: Failure) -> Response {
    Response::One(Ending::NotDone(failure))
}

pub(super) fn entries() -> Vec<Entry> {
    let transfer = Action::Transfer { from: account("A"), to: account("B"), amount: units(30) };
    let open = Action::open(account("A/alice"));
    let entry = |seq, action, via, linked| {
        let record = Record { request: Some(request()), via, linked, ..Record::plain(action) };
        Entry { server: server("A"), epoch: 1, seq, time: None, record }
    };
    vec![
        entry(5, transfer.clone(), Via::Paxos, false),
        entry(6, open, Via::Local, true),
        entry(7, transfer, Via::Local, false),
    ]
}

pub(super) fn log() -> Response {
    Response::Reply(Reply::Log { server: server("A"), entries: entries(), more: false })
}

pub(super) fn blocks() -> Response {
    let line = r#"{"id":1,"blocks":[
        {"height":0,"hash":"1111111111111111111111111111111111111111111111111111111111111111",
         "previous":"0000000000000000000000000000000000000000000000000000000000000000",
         "genesis":{"format":7,"opening_balance":100,"servers":{"A":"0000000000000001"}},"entries":[]},
        {"height":1,"hash":"2222222222222222222222222222222222222222222222222222222222222222",
         "previous":"1111111111111111111111111111111111111111111111111111111111111111",
         "proposer":"B","entries":[{"server":"A","epoch":1,"seq":1,"from":"A","to":"B","amount":30}]}
        ],"more":false}"#;
    match parse_reply(line.as_bytes(), 1, &Request::Chain { from: 0, to: None }) {
        Ok(Some(Answer::Chain(piece))) => Response::Chain(piece.blocks),
        other => panic!("{other:?}"),
    }
}

pub(super) fn balance(committed: Option<u64>) -> Response {
    let committed = committed.map(units);
    let account = account("A/alice");
    Response::Reply(Reply::Balance { account, balance: units(70), committed, height: 3 })
}

/// Makes a page of a statement, the last one or not.
pub(super) fn history(last: bool) -> Response {
    let line = |height, balance, entry| StatementLine { height, balance: units(balance), entry };
    let all = entries();
    let lines = vec![line(None, 70, all[2].clone()), line(Some(12), 100, all[0].clone())];
    let next = (!last).then_some(Cursor { height: 12, place: 3, balance: units(130) });
    let account = account("A");
    let page = |next| Page::History {
        account: account.clone(),
        limit: 2,
        before: Some(next),
        since: None,
    };
    let reply = Reply::History { account: account.clone(), lines, next };
    Response::Page { reply, next: next.map(page), since: None }
}

pub(super) fn accounts() -> Response {
    let listed = |name, committed: Option<u64>| {
        let committed = committed.map(units);
        Listed { account: account(name), committed }
    };
    let accounts = vec![listed("A/alice", Some(70)), listed("A/bob", None)];
    let after = Some(account("A/bob"));
    Response::Page {
        reply: Reply::Accounts { accounts, more: true },
        next: Some(Page::Accounts(List { prefix: "A/".into(), limit: 2, after })),
        since: None,
    }
}

/// Makes the status of a server that tells no more than it must.
pub(super) fn status() -> Status {
    Status {
        server: server("A"),
        keyed: false,
        keys: BTreeMap::new(),
        start: Start::Zombie,
        instance: InstanceId(1),
        life: LifeId(2),
        turn: TurnNumber(3),
        active: true,
        waiting_for: vec![],
        bank: None,
        not_serving: None,
        hears_majority: None,
        total: None,
        issued: None,
        no_writes: None,
        height: Some(4),
        head: BlockHash::NONE,
        included: [(server("A"), Position { epoch: 1, seq: 4 })].into(),
        log_length: 2,
        waiting: 0,
        accounts: 5,
        promised: None,
        accepted: None,
        run: "idle".into(),
        ballot: None,
        answered: vec![],
        unanswered: vec![],
        peers: vec![
            PeerStatus {
                id: server("B"),
                address: "127.0.0.1:8002".into(),
                connected: true,
                height: Some(4),
                turn: Some(TurnNumber(7)),
                heard_ms: None,
                entries_per_second: None,
            },
            PeerStatus {
                id: server("C"),
                address: String::new(),
                connected: false,
                height: None,
                turn: None,
                heard_ms: None,
                entries_per_second: None,
            },
        ],
        measured: None,
    }
}

/// Makes the status of a server that tells everything.
pub(super) fn full_status() -> Status {
    let mut status = status();
    let ballot = |round, id| Ballot { round, server: server(id), life: LifeId(1) };
    status.run = "preparing".into();
    status.bank = Some(BlockHash::NONE);
    status.ballot = Some(ballot(7, "A"));
    status.promised = Some(ballot(7, "A"));
    (status.answered, status.unanswered) = (vec![server("A"), server("B")], vec![server("C")]);
    status.peers[0].heard_ms = Some(180);
    status.peers[0].entries_per_second = Some(1_200);
    let times = |p50_us, p99_us, count| Some(Percentiles { p50_us, p99_us, count });
    status.measured = Some(Measured {
        uptime_ms: 3_725_000,
        oldest_entry_ms: Some(2_500),
        entries_per_second: 40,
        accepted: 12,
        refused: 3,
        unavailable: 1,
        runs_started: 5,
        runs_won: 3,
        runs_lost: 1,
        local: times(640, 1_279, 11),
        paxos: None,
        redis: RedisStatus {
            round_trip: times(447, 895, 20),
            last_us: Some(512),
            last_error: Some("the store failed: it hangs".into()),
            last_error_ms: Some(61_000),
        },
        handshakes: Handshakes { done: 7, failed: [("forged".into(), 2)].into() },
        archive: None,
        index: Default::default(),
    });
    status
}

pub(super) fn of_status(status: Status) -> Response {
    Response::Reply(Reply::Status(Box::new(status)))
}

pub(super) fn links() -> Response {
    let link = |peer, fault| LinkFault { peer: server(peer), fault };
    let (delay, drop) = (Fault::Delay { ms: 200 }, Fault::Drop { percent: 30 });
    let faults = vec![link("B", Fault::Cut), link("C", delay), link("C", drop)];
    Response::Links(LinkFaults { faults, lost: BTreeMap::new() })
}
