//! Followers in a bank with keys: who may read all is told all. Who may not is refused, also after it has begun.

use std::fs::{self, File};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::keyed::Keyed;
use crate::sealed::{random, with_keys};
use crate::support::cluster::{Client, PATIENCE, server, wait_until};
use crate::support::doors::Sealed;
use crate::support::process::signal;
use crate::support::redis::{TestRedis, say};
use crate::support::tunnel::User;

const REFUSED: &str = "only operators and auditors may ask for this";

/// Pays a unit and waits until a block holds it. Returns the block's height.
fn pay(bank: &Keyed) -> u64 {
    let mut operator = bank.client("operator", "A");
    wait_until("a payment is in a block", || {
        let pay = json!({"transfer": {"to": "A/alice", "amount": 1, "settled": true}});
        operator.ask(&pay)["settled"] == json!(true)
    });
    operator.ask(&json!({"status": {}}))["height"].as_u64().expect("a height")
}

/// All entries of the chain, each with its place, as they are told to who follows.
fn chain(bank: &Keyed) -> Vec<Value> {
    let blocks = bank.ask("operator", &json!({"chain": {"from": 0}}));
    let mut all = Vec::new();
    for block in blocks["blocks"].as_array().expect("blocks") {
        for (number, entry) in block["entries"].as_array().expect("entries").iter().enumerate() {
            let mut told = entry.clone();
            (told["height"], told["number"]) = (block["height"].clone(), json!(number));
            all.push(told);
        }
    }
    all
}

/// The next line of which this is true. What comes meanwhile is to be no end of lines.
fn line_of(mut read: impl FnMut() -> Option<Value>, is_it: impl Fn(&Value) -> bool) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let line = read().expect("a line");
        if is_it(&line) {
            return line;
        }
        assert!(Instant::now() < until, "only such lines come: {line}");
    }
}

/// Somebody who follows A.
struct Follower(Sealed);

impl Follower {
    /// Asks; returns what is said.
    fn ask(&mut self, follow: &Value) -> Value {
        self.0.ask(&json!({"id": "f", "follow": follow}))
    }

    fn begin(bank: &Keyed, name: &str, follow: &Value) -> Follower {
        let mut follower = Follower(bank.client(name, "A"));
        let reply = follower.ask(follow);
        assert_eq!(reply["server"], json!("A"), "{reply}");
        follower
    }

    /// The next line that is no mark, without the request's id.
    fn next(&mut self) -> Value {
        let mut line = line_of(|| self.0.read(), |line| line["next"].is_null());
        assert_eq!(line.as_object_mut().expect("an object").remove("id"), Some(json!("f")));
        line
    }

    /// What is told until it is ended for want of a right.
    fn until_it_ends(&mut self) -> (Vec<Value>, String) {
        let mut told = Vec::new();
        loop {
            let line = self.next();
            if line["error"] == json!("forbidden") {
                return (told, line["message"].as_str().expect("words").to_owned());
            }
            told.push(line);
        }
    }
}

#[test]
fn who_may_read_all_is_told_all_and_who_may_not_hears_why() {
    let bank = Keyed::start();
    for _ in 0..3 {
        pay(&bank);
    }
    let expected = chain(&bank);
    assert!(expected.len() >= 7, "openings and payments: {expected:?}");
    let from_0 = json!({"from": {"height": 0}});
    for name in ["auditor", "operator"] {
        let mut follower = Follower::begin(&bank, name, &from_0);
        let told: Vec<Value> = expected.iter().map(|_| follower.next()).collect();
        assert_eq!(told, expected, "{name}");
    }
    let mut auditor = Follower::begin(&bank, "auditor", &json!({"log": true}));
    let pay = json!({"transfer": {"to": "A/alice", "amount": 1}});
    assert_eq!(bank.ask("operator", &pay)["outcome"], json!("accepted"));
    assert_eq!(auditor.next()["log"], json!(true), "the log too");
    // An owner, also of the accounts that it owns; and who owns nothing, a server's key among them.
    let own = json!({"from": {"height": 0}, "accounts": ["A/alice"]});
    let nobodys = json!({"accounts": ["A/nobody"], "log": true});
    for (name, follow) in [("alice", &from_0), ("alice", &own), ("alice", &nobodys), ("B", &from_0)]
    {
        let mut follower = Follower(bank.client(name, "A"));
        let reply = follower.ask(follow);
        let words = format!("not with the key {}: {REFUSED}", bank.fingerprint(name));
        assert_eq!(reply, json!({"id": "f", "error": "forbidden", "message": words}));
        // The connection goes on, and nothing but answers comes over it.
        let reply = follower.0.ask(&json!({"id": "b", "balance": {"account": "A/alice"}}));
        assert_eq!(reply["id"], json!("b"), "{reply}");
        assert_eq!(reply["balance"].is_u64(), name == "alice", "{reply}");
    }
    let reply = Client::connect(bank.bank.address("A")).ask(&json!({"follow": from_0}));
    assert_eq!(reply["error"], json!("forbidden"), "{reply}");
    assert!(reply["message"].as_str().is_some_and(|words| words.contains("--key")), "{reply}");
}

#[test]
fn who_loses_its_role_is_told_no_more_and_others_go_on() {
    let bank = Keyed::not_started();
    let mallory = bank.fingerprint("mallory");
    bank.authorize(&format!("auditor {mallory} Mallory, for today\n"));
    let mut bank = bank.started();
    let from_0 = json!({"from": {"height": 0}, "log": true});
    let mut dismissed = Follower::begin(&bank, "mallory", &from_0);
    let mut stays = Follower::begin(&bank, "auditor", &json!({"from": {"height": 0}}));
    pay(&bank);
    let before = chain(&bank);
    before.iter().for_each(|entry| assert_eq!(stays.next(), *entry));
    bank.authorize("");
    signal(bank.bank.process("A"), "HUP");
    let (told, why) = dismissed.until_it_ends();
    let in_blocks: Vec<&Value> = told.iter().filter(|line| line["height"].is_u64()).collect();
    assert!(in_blocks.iter().zip(&before).all(|(told, entry)| *told == entry), "{told:?}");
    assert!(why.starts_with("what keys may do has changed: ask again; go on from "), "{why}");
    // What comes after is told to others alone.
    pay(&bank);
    let after = chain(&bank);
    after[before.len()..].iter().for_each(|entry| assert_eq!(stays.next(), *entry));
    let reply = dismissed.ask(&from_0);
    assert_eq!(reply["error"], json!("forbidden"), "the next line that comes: {reply}");
    // Another role is another right: it is asked again, and granted.
    bank.authorize(&format!("operator {mallory} Mallory\n"));
    signal(bank.bank.process("A"), "HUP");
    wait_until("mallory may follow again", || dismissed.ask(&from_0)["server"] == json!("A"));
    bank.authorize(&format!("auditor {mallory} Mallory\n"));
    signal(bank.bank.process("A"), "HUP");
    dismissed.until_it_ends();
    assert_eq!(dismissed.ask(&from_0)["server"], json!("A"), "an auditor may, too");
}

#[test]
fn who_may_read_all_is_told_the_trace_until_it_may_no_more() {
    let bank = Keyed::not_started();
    let mallory = bank.fingerprint("mallory");
    bank.authorize(&format!("auditor {mallory} Mallory, for today\n"));
    let mut bank = bank.started();
    let order = json!({"id": "t", "kind": "trace"});
    for name in ["alice", "B"] {
        let reply = bank.ask(name, &order);
        assert_eq!(reply["error"], json!("forbidden"), "{reply}");
        assert!(reply["message"].as_str().is_some_and(|words| words.contains("auditors")));
    }
    let reply = Client::connect(bank.bank.address("A")).ask(&order);
    assert_eq!(reply["error"], json!("forbidden"), "{reply}");
    for name in ["auditor", "operator"] {
        assert_eq!(bank.ask(name, &order)["event"], json!("start"), "{name}");
    }
    let mut looks_on = bank.client("mallory", "A");
    assert_eq!(looks_on.ask(&order)["event"], json!("start"));
    bank.authorize("");
    signal(bank.bank.process("A"), "HUP");
    let ended = line_of(|| looks_on.read(), |line| line["error"].is_string());
    assert_eq!((&ended["id"], &ended["error"]), (&json!("t"), &json!("forbidden")), "{ended}");
    assert_eq!(looks_on.ask(&order)["error"], json!("forbidden"), "and nothing comes after it");
}

/// A bank to which keys come while a client without one follows.
#[test]
fn who_has_no_key_is_told_no_more_once_the_bank_has_keys() {
    let mut cluster = with_keys(&["A", "B"]);
    cluster.start_all();
    cluster.wait_until_open();
    let mut plain = None;
    for id in ["A", "B"] {
        cluster.kill(id);
        cluster.configs.get_mut(&server(id)).unwrap().doors.keys = true;
        cluster.start(id);
        plain.get_or_insert_with(|| {
            wait_until("A serves those without a key", || {
                cluster.client("A").ask(&json!({"follow": {}}))["server"] == json!("A")
            });
            let mut plain = cluster.client("A");
            let reply = plain.ask(&json!({"id": "f", "follow": {}}));
            assert_eq!(reply["server"], json!("A"), "{reply}");
            plain
        });
    }
    let mut plain = plain.expect("somebody follows");
    let line = line_of(|| plain.read(), |line| line["error"].is_string());
    assert_eq!((&line["id"], &line["error"]), (&json!("f"), &json!("forbidden")), "{line}");
    let reply = plain.ask(&json!({"id": "g", "follow": {}}));
    assert_eq!(reply["error"], json!("forbidden"), "{reply}");
    let mut nobody = Sealed::connect(&cluster.configs[&server("A")].listen, &random());
    assert_eq!(nobody.ask(&json!({"follow": {}}))["error"], json!("forbidden"));
}

/// The shipped programs, with the key of somebody.
struct Programs<'a> {
    bank: &'a Keyed,
    user: User,
}

impl Programs<'_> {
    fn of(&self, name: &str, program: &str, arguments: &[&str]) -> Command {
        let (key, known) = (self.bank.path(name), self.bank.path("A.pub"));
        let [key, known] = [&key, &known].map(|path| path.to_str().expect("a plain path"));
        let at = self.bank.bank.address("A");
        let who = [program, "--id", "A", "--connect", at, "--key", key, "--server-key", known];
        self.user.program(&[&who[..], arguments].concat())
    }

    fn run(&self, name: &str, program: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } =
            self.of(name, program, arguments).output().expect("it runs");
        let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).expect("a text"));
        (status.code(), text.concat())
    }

    /// Starts one that goes on, with what it prints and says in a file.
    fn start(&self, name: &str, program: &str, arguments: &[&str], into: &str) -> Running {
        let file = File::create(self.bank.path(into)).expect("a file");
        let mut command = self.of(name, program, arguments);
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a file")).stderr(file);
        Running(command.spawn().expect("it starts"))
    }
}

/// A process that ends with this value.
struct Running(Child);

impl Running {
    /// Waits until it has ended by itself.
    fn status(&mut self) -> Option<i32> {
        let mut ended = None;
        wait_until("it ends by itself", || {
            ended = self.0.try_wait().expect("it can be asked");
            ended.is_some()
        });
        ended.and_then(|status| status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn the_shipped_client_and_relay_follow_by_their_key_and_end_with_its_right() {
    let bank = Keyed::not_started();
    let mallory = format!("auditor {} Mallory, for today\n", bank.fingerprint("mallory"));
    bank.authorize(&mallory);
    let mut bank = bank.started();
    let pid = bank.bank.process("A").expect("it runs").pid().to_string();
    let height = pay(&bank).to_string();
    let expected = chain(&bank);
    let redis = TestRedis::start();
    let into = format!("redis://127.0.0.1:{}/0/ledger", redis.port());
    let length = || say::<usize>(&mut redis.connect(), &["XLEN", "ledger"]);
    let user = User::new();
    let programs = Programs { bank: &bank, user };
    let follow = format!("follow --from 0 --to {height}");
    let (status, said) = programs.run("auditor", "client", &["--json", "-c", &follow]);
    assert_eq!((status, lines(&said)), (Some(0), expected.clone()));
    let (status, said) = programs.run("auditor", "relay", &["--json", "--to", &height]);
    assert_eq!((status, lines(&said)), (Some(0), expected.clone()));
    let refused = format!("not with the key {}: {REFUSED}", bank.fingerprint("alice"));
    let stream = ["--stream", &into];
    for (program, arguments) in
        [("client", &["-c", "follow"][..]), ("relay", &["--json"]), ("relay", &stream)]
    {
        let (status, said) = programs.run("alice", program, arguments);
        assert_eq!((status, said.contains(&refused)), (Some(1), true), "{program}: {said}");
    }
    assert_eq!(length(), 0);
    // A role that is taken away ends them, and says why; a relay of another key goes on.
    let mut client = programs.start("mallory", "client", &["-c", "follow --from 0"], "followed");
    let mut relay = programs.start("mallory", "relay", &stream, "relayed");
    let other = into.replace("ledger", "other");
    let _goes_on = programs.start("auditor", "relay", &["--stream", &other], "goes-on");
    let followed = || fs::read_to_string(bank.path("followed")).expect("a file");
    wait_until("all has come", || {
        length() == expected.len() && followed().lines().count() == expected.len()
    });
    bank.authorize("");
    assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs").success());
    assert_eq!((client.status(), relay.status()), (Some(1), Some(1)));
    for file in ["followed", "relayed"] {
        let said = fs::read_to_string(bank.path(file)).expect("a file");
        assert!(said.lines().last().is_some_and(|last| last.contains(REFUSED)), "{file}: {said}");
    }
    pay(&bank);
    let all = chain(&bank).len();
    let there = || say::<usize>(&mut redis.connect(), &["XLEN", "other"]);
    wait_until("the other relay has it", || there() == all);
    assert_eq!(length(), expected.len(), "and nobody has carried it into the first stream");
}
