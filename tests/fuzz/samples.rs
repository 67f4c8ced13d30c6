//! Valid lines, to be changed.

use std::collections::{BTreeMap, BTreeSet};

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::{Accounts, Block, SealedBlock};
use paxos_banking::bank::fingerprint::Fingerprint;
use paxos_banking::bank::ids::InstanceId;
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Position, Record, Via};
use paxos_banking::bank::paxos::ballot::Ballot;
use paxos_banking::bank::paxos::message::{Hello, Message, Standing, Vote, Whole};

use crate::machine::bank_of_three::*;

/// What clients say; several lines in one are one client's.
pub const REQUESTS: [&str; 28] = [
    r#"{"kind":"link","fault":"delay","peer":"B","ms":200}"#,
    r#"{"id":1,"kind":"link","fault":"drop","peer":"B","percent":30}"#,
    r#"{"id":1,"version":2,"kind":"trace"}"#,
    r#"{"id":1,"transfer":{"to":"C","amount":20}}"#,
    r#"{"id":1,"transfer":{"from":"A","to":"B","amount":50000,"wait_ms":100}}"#,
    r#"{"id":2,"version":2,"transfer":{"to":"B","amount":5,"settled":true}}"#,
    r#"{"id":5,"transfer":{"to":"B","amount":5,"session":"A.1.2.0000000000000005.2","number":1}}"#,
    r#"{"id":4,"session":{}}"#,
    r#"{"id":4,"session":{"name":"invoices","last":17}}"#,
    r#"{"id":4,"session":{"last":17}}"#,
    r#"{"id":5,"transfer":{"to":"B","amount":5,"session":"A.1.named.invoices","number":18}}"#,
    r#"{"id":2,"balance":{}}"#,
    r#"{"id":2,"balance":{"account":"B"}}"#,
    r#"{"open":{"account":"A/alice"}}"#,
    r#"{"open":{"account":"A/alice","session":"A.1.2.0000000000000005.2","number":7,"settled":true}}"#,
    r#"{"id":6,"batch":{"items":[["A","B",5],{"open":"A/alice"},["A","Z",5],["A","B",50000]]}}"#,
    r#"{"batch":{"items":[{"open":"A/bob","linked":true},["A","A/bob",5,"linked"],["A/bob","B",5]],"session":"A.1.2.0000000000000005.2","number":9}}"#,
    r#"{"batch":{"items":[{"from":"A","to":"B","amount":1,"wait_ms":5,"linked":false}],"settled":true}}"#,
    r#"{"id":7,"log":{}}"#,
    r#"{"id":7,"log":{"after":{"epoch":1,"seq":3}}}"#,
    r#"{"id":8,"chain":{"from":1,"to":1}}"#,
    r#"{"id":9,"settle":{}}"#,
    r#"{"id":10,"history":{"account":"A/alice","limit":20}}"#,
    r#"{"history":{"account":"A","before":{"height":7,"place":3,"balance":50}}}"#,
    r#"{"id":11,"accounts":{"prefix":"A/","after":"A/alice","limit":100}}"#,
    r#"{"id":12,"status":{}}"#,
    "{\"id\":1,\"transfer\":{\"to\":\"B\",\"amount\":6000}}\n{\"id\":2,\"transfer\":{\"to\":\"C\",\"amount\":6000}}\n{\"id\":3,\"status\":{}}",
    "{\"id\":1,\"open\":{\"account\":\"A/x\"}}\n{\"transfer\":{\"to\":\"A/x\",\"amount\":9}}\n{\"log\":{}}\n{\"balance\":{\"account\":\"A/x\"}}",
];

/// What B has in its log.
fn log_of_b() -> Vec<Element> {
    vec![
        element_of(1, [opens("B/x"), pays("B", "B/x", 60), pays("B", "A", 3)]),
        element_of(4, [pays("B/x", "A", 60)]),
    ]
}

fn block_with(previous: &SealedBlock, log: Vec<Element>) -> SealedBlock {
    let logs = BTreeMap::from([(id("B"), log)]);
    SealedBlock::seal(Block { logs, ..block_of(previous, []).block().clone() })
}

/// What A has in its log.
pub fn log_of_a() -> Vec<Element> {
    let request = Some("A.1.0.0000000000000005.1#4".parse().expect("a request's name"));
    let paid = Record { request, via: Via::Paxos, ..record(pays("A", "B", 90)) };
    let paid = Element::seal(Position { epoch: 1, seq: 3 }, vec![paid]);
    vec![element_of(1, [opens("A/alice"), pays("A", "A/alice", 5)]), paid]
}

/// The block after [`blocks`].
pub fn later_block() -> SealedBlock {
    let [_, second] = blocks();
    block_with(&second, vec![element_of(6, [pays("B", "C", 1)])])
}

/// Two blocks that follow block 0.
pub fn blocks() -> [SealedBlock; 2] {
    let first = block_with(&genesis(), log_of_b());
    let second = block_with(&first, vec![element_of(5, [pays("B", "C", 7)])]);
    [first, second]
}

/// How a server greets A that says it is this instance.
fn hello_as(of: &str, number: u64) -> Hello {
    Hello { instance: InstanceId(number), ..hello(of) }
}

/// What B says on its connection to A, or C if the first line is `C`; several lines make a story.
pub fn stories() -> Vec<Vec<Message>> {
    // Of A's first run, which it is in if its client overdraws.
    let own = ballot(1, "A");
    let ballot = |round| ballot(round, "B");
    let ([first, second], instance) = (blocks(), instance("B"));
    let (height, previous, hash) = (1, genesis().hash(), first.hash());
    let known = BTreeMap::from([(id("A"), 0), (id("B"), 0)]);
    let promise =
        |vote| Message::Promise { height, ballot: own.clone(), instance, waiting: true, vote };
    let asks = BTreeSet::from(["B", "C/carol"].map(account));
    let prepare = |round| {
        let (known, asks) = (known.clone(), asks.clone());
        Message::Prepare { height, ballot: ballot(round), previous, known, asks }
    };
    let accept = |round, block: &SealedBlock| {
        let height = block.height();
        Message::Accept { height, ballot: ballot(round), block: block.clone() }
    };
    let standing = standing(2);
    let logs = promise(Vote::Log { elements: log_of_b(), cut: false, whole: None });
    let brings = BTreeMap::from([(account("A"), Amount::MAX)]);
    let whole = Some(Whole { last: Position { epoch: 1, seq: 9 }, brings });
    let cut = promise(Vote::Log { elements: log_of_b(), cut: true, whole });
    let accepted = |ballot: &Ballot, hash| Message::Accepted {
        height,
        ballot: ballot.clone(),
        hash,
        instance,
        waiting: true,
        beyond: Some(log_of_b()),
    };
    let both = Message::BlocksResponse { blocks: vec![first.clone(), second.clone()] };
    // What A proposes when it got B's log.
    let proposed = SealedBlock::seal(Block { proposer: Some(id("A")), ..first.block().clone() });
    let foreign = Standing { genesis: Some(hash), ..standing.clone() };
    let (old, new) = (InstanceId(3), InstanceId(33));
    let rejoin = vec![element_of(1, [Action::Rejoin { server: id("C"), old, new, key: None }])];
    let of_rejoin = block_with(&genesis(), rejoin);
    let accounts = Accounts {
        balances: vec![(account("A/alice"), Amount::ZERO), (account("B"), Amount::MAX)],
        keys: BTreeMap::from([(account("A/alice"), Fingerprint([7; 32]))]),
        sessions: BTreeMap::from([("A.1000001.named.invoices".parse().unwrap(), 7)]),
    };
    let (proposer, opening, none) = (None, Some(accounts), BTreeMap::new());
    // Of a bank that goes on from another one.
    let opens = SealedBlock::seal(Block { proposer, opening, logs: none, ..first.block().clone() });
    let goes_on = Hello { origin: Some(hash), ..hello("B") };
    let of_c = Hello { rejoins: true, instance: new, ..hello("C") };
    vec![
        vec![Message::Hello(goes_on), Message::BlocksResponse { blocks: vec![opens] }],
        vec![Message::Hello(of_c), Message::Rejoin { old, new }],
        vec![prepare(3), accept(3, &of_rejoin), Message::Commit { height, hash: of_rejoin.hash() }],
        vec![Message::Hello(hello("B")), Message::Heartbeat(standing.clone())],
        vec![
            Message::Hello(hello_as("Z", 2)),
            Message::Hello(hello("A")),
            Message::Hello(hello_as("C", 2)),
        ],
        vec![Message::Hello(Hello { standing: foreign, ..hello("B") })],
        vec![Message::Reject {
            reason: "another bank".into(),
            hello: Some(Box::new(hello("B"))),
            over: false,
        }],
        vec![prepare(3), accept(3, &first), Message::Commit { height, hash }, accept(4, &second)],
        vec![
            prepare(3),
            prepare(2),
            accept(5, &first),
            accept(6, &first),
            Message::Commit { height, hash },
        ],
        vec![logs.clone(), accepted(&own, proposed.hash())],
        vec![promise(Vote::Accepted {
            ballot: Ballot { round: 0, ..ballot(0) },
            block: first.clone(),
        })],
        vec![
            logs,
            cut,
            Message::Nack { height, ballot: own.clone(), promised: ballot(8), waiting: false },
        ],
        vec![Message::Heartbeat(standing), both.clone()],
        vec![Message::ReconcileAck { height: 2 }, both],
        vec![Message::ReconcileRequest, Message::BlocksRequest { from: 0, to: 0 }],
        vec![accepted(&ballot(3), hash), Message::Commit { height: 2, hash: second.hash() }],
    ]
}

/// What people type.
pub const COMMANDS: [&str; 41] = [
    "transfer B 30",
    "t A/alice B 30 --settled",
    "transfer B 500 --wait 10s",
    "(A, B, 30)",
    "open A/alice --settled",
    "linked open A/bob, A A/bob 20, A/bob B 5",
    "batch A B 1, A C 2, open A/carol",
    "linked A B 1, B 2 --wait 1m --settled",
    "balance",
    "balance A/alice # mine",
    "history A/alice 20",
    "history A 50 --before 7.3.50",
    "accounts A/ 100",
    "accounts 7 --after A/alice",
    "accounts",
    "more",
    "log",
    "log B",
    "block 3",
    "balances A/ 100",
    "balances --all A/",
    "watch 5",
    "again",
    "help transfer",
    "bal A/alice",
    "chain",
    "chain 1",
    "chain 1 5",
    "status",
    "settle",
    "open A/x --key SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
    "rekey A/x SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
    "rejoin C SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
    "rejoin",
    "link cut B",
    "link delay B 200ms",
    "link drop B 30%",
    "link lose accept commit B",
    "link heal",
    "help",
    "quit",
];

/// Command lines, one word a line.
pub const COMMAND_LINES: [&str; 28] = [
    "relay\n--id\nA\n--stream\nredis://127.0.0.1:6379/2/ledger\n--to\n7",
    "relay\n--id\nB\n--csv\n--after\n7-3\n--plain",
    "web\n--listen\n127.0.0.1:0\n--trace\nx.jsonl\n--allow-orders\n--plain",
    "web\n--listen\n0.0.0.0:8080\n--cluster\nA=127.0.0.1:8001",
    "config\ncheck\n--config\nbank.toml",
    "completions\nbash",
    "man\nfolder",
    "upgrade\n--redis\nredis://127.0.0.1:6379/2\n--id\nA\n--timeout\n3s",
    "diagram\na.jsonl\nb.jsonl\n--from\n1s\n--to\n2s\n--height\n3\n--output\nx.svg",
    "mend\n./data\n--yes\n--zeros",
    "server\n--id\nA",
    "server\n--id\nS1\n--cluster\nS1=127.0.0.1:8001,S2=[::1]:8002\n--opening-balance\n7",
    "server\n--id\nA\n--redis\nredis://:secret@127.0.0.1:6379/3\n--allow-weak-redis",
    "server\n--id\nB\n--settle-every\n5s\n--settle-at\n1000\n--listen\n0.0.0.0:9",
    "server\n--id\nC\n--heartbeat\n500ms\n--gather\n1m\n--gather-covered=1ms\n--repeat\n2s",
    "server\n--id\nA\n--back-off\n20ms\n--back-off-most\n1s\n--redial\n50ms\n--redial-most\n1s",
    "client\n--id\nA\n-c\nbalance\n--json\n-c\ntransfer B 30",
    "client\n--id\nA\n--connect\nlocalhost:8001\n--timeout\n2s\n--give-up-after\n15s",
    "client\n--id\nnorth\n--cluster\nnorth=h:1,south=h:2",
    "play\nsets.csv\n--short\nwait\n--concurrent\n--opening-balance\n10\n--patience\n5s\n--traces\ndir\n--json",
    "audit\n--redis\nredis://h:1\n--redis\nredis://h:2/3\n--id\nA\n--id\nB\n--timeout\n2s",
    "audit\n--server\nA=h:1,B=h:2\n--server\nC=[::1]:3\nbank.jsonl\n--json",
    "export\n--redis\nredis://h:1\n--id\nA\n--csv\n--output\nbank.csv",
    "backup\n--redis\nredis://h:1\n--id\nA\n--archive\n/a/A\n--quick\n/backup/A",
    "backup\n--verify\n/backup/A",
    "key\nnowhere/key.pub",
    "client\n--id\nA\n--plain\n--server-key\nSHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
    "help\nserver",
];
