//! A store that is not as its server left it, in all ways that one damage each can make it so.

use std::collections::BTreeMap;

use redis::Connection;
use serde_json::{Value, json};

use super::cluster::Client;
use super::process::Bank;
use super::redis::say;

/// What is done to A's store, by these commands of Redis.
pub struct Damage {
    pub what: &'static str,
    pub commands: Vec<Vec<String>>,
    /// What has to be said: the place and what is wrong there.
    pub says: Vec<&'static str>,
}

pub fn damage<const N: usize>(
    what: &'static str,
    commands: impl IntoIterator<Item = Vec<String>>,
    says: [&'static str; N],
) -> Damage {
    Damage { what, commands: commands.into_iter().collect(), says: says.into() }
}

/// A command about a key of A's.
pub fn command(name: &str, key: &str, arguments: &[&str]) -> Vec<String> {
    let key = format!("SERVER-{key}-A");
    let words = [name, &key].into_iter().chain(arguments.iter().copied());
    words.map(str::to_owned).collect()
}

/// All keys of A's with their contents, as Redis serializes them; and what there is of others.
pub fn dump(connection: &mut Connection) -> BTreeMap<String, Vec<u8>> {
    let keys: Vec<String> = say(connection, &["KEYS", "*"]);
    keys.into_iter().map(|key| (key.clone(), say(connection, &["DUMP", &key]))).collect()
}

/// How much has been written to this Redis, whoever wrote it. (Two dumps of a hash may differ in their order.)
pub fn written(c: &mut Connection) -> u64 {
    let info: redis::InfoDict = say(c, &["INFO", "persistence"]);
    info.get("rdb_changes_since_last_save").expect("Redis counts its writes")
}

pub fn restore(connection: &mut Connection, whole: &BTreeMap<String, Vec<u8>>) {
    say::<()>(connection, &["FLUSHALL"]);
    for (key, content) in whole {
        redis::cmd("RESTORE").arg(key).arg(0).arg(content).exec(connection).unwrap();
    }
}

/// Lets Redis do what the commands say.
pub fn do_all(connection: &mut Connection, commands: &[Vec<String>]) {
    for words in commands {
        redis::cmd(&words[0]).arg(&words[1..]).exec(connection).unwrap();
    }
}

/// An element of a list of A's.
pub fn element(connection: &mut Connection, key: &str, index: i64) -> String {
    let key = format!("SERVER-{key}-A");
    say(connection, &["LINDEX", &key, &index.to_string()])
}

/// A bank of which A's store has three blocks, two elements in its log and three accounts; killed.
pub fn bank_with_a_history() -> Bank {
    let mut bank = Bank::start(&["A", "B"]);
    let mut client = Client::connect(bank.address("A"));
    let mut accepted = |request: Value| {
        let reply = client.ask(&request);
        assert_eq!(reply["outcome"], json!("accepted"), "{reply}");
    };
    accepted(json!({"open": {"account": "A/alice"}}));
    accepted(json!({"transfer": {"to": "A/alice", "amount": 50}}));
    bank.settle();
    accepted(json!({"transfer": {"to": "B", "amount": 5}}));
    bank.settle();
    accepted(json!({"transfer": {"to": "B", "amount": 7}}));
    accepted(json!({"transfer": {"from": "A/alice", "to": "B", "amount": 20}}));
    assert_eq!(bank.chain("A").len(), 3);
    bank.kill("A");
    bank.kill("B");
    bank
}

/// What may be wrong with the chain.
pub fn of_chain(c: &mut Connection) -> Vec<Damage> {
    let [first, second, third] = [0, 1, 2].map(|height| element(c, "BLOCKCHAIN", height));
    let set = |height: &str, text: &str| [command("LSET", "BLOCKCHAIN", &[height, text])];
    let place = "SERVER-BLOCKCHAIN-A[1]";
    let last = "SERVER-BLOCKCHAIN-A[2]";
    let other_bank = first.replace(r#""opening_balance":100"#, r#""opening_balance":101"#);
    let other_store = first.replacen(r#""A":""#, r#""A":"f"#, 1);
    // So that what else there is fits the fewer blocks.
    let as_founded = r#"{"height":0,"balances":[["A",100],["B",100]]}"#;
    let without = |texts: [&str; 2]| {
        let again = texts.map(|text| command("RPUSH", "BLOCKCHAIN", &[text]));
        let first = vec![
            command("HSET", "STATE", &["checkpoint", "0"]),
            command("HSET", "BALANCES", &["0", as_founded]),
            command("DEL", "BLOCKCHAIN", &[]),
        ];
        [first, again.into()].concat()
    };
    let cut = &second[..second.len() / 2];
    let wrong = |from: &str, to: &str| {
        assert!(third.contains(from), "{third}");
        set("2", &third.replacen(from, to, 1))
    };
    vec![
        damage("a block cut short", set("1", cut), [place, "the text ends"]),
        damage("an empty block", set("1", ""), [place, "the text ends"]),
        damage("no block", set("1", "7"), [place, "found "]),
        damage("not even text", set("1", "\u{0}\u{1}"), [place]),
        damage("another block in the place of one", set("1", &third), [place, "has the height 2"]),
        damage(
            "a block changed by one byte, which breaks the next one's link",
            set("1", &second.replacen(r#""seq":1"#, r#""seq": 1"#, 1)),
            [last, "does not link to the block before by its hash"],
        ),
        damage("a gap in the heights", without([&first, &third]), [place, "has the height 2"]),
        damage(
            "no block 0",
            without([&second, &third]),
            ["SERVER-BLOCKCHAIN-A[0]", "has the height 1"],
        ),
        damage("no chain", [command("DEL", "BLOCKCHAIN", &[])], ["SERVER-BLOCKCHAIN-A", "missing"]),
        damage("its last block is gone", [command("RPOP", "BLOCKCHAIN", &[])], ["SERVER-"]),
        damage(
            "a block of another bank",
            set("0", &other_bank),
            ["opening balance 101", "configured"],
        ),
        damage("a block 0 for another store", set("0", &other_store), ["SERVER-BLOCKCHAIN-A[0]"]),
        damage("an overdraft in a block", wrong(",5]", ",5000]"), [last, "A holds only 50"]),
        damage("a payment of nothing", wrong(",5]", ",0]"), [last, "at least 1"]),
        damage("a payment below zero", wrong(",5]", ",-5]"), [last, "an amount is"]),
        damage("an amount that no number holds", wrong(",5]", ",1e99]"), [last, "an amount is"]),
        damage(
            "a payee that there isn't",
            wrong(r#""B",5]"#, r#""B/x",5]"#),
            [last, "no account B/x"],
        ),
        damage("a gap in the sequence", wrong(r#""seq":3"#, r#""seq":4"#), [last, "entry 4"]),
        damage("an entry twice", wrong(r#""seq":3"#, r#""seq":2"#), [last, "entry 2"]),
        damage("another epoch", wrong(r#""epoch":1"#, r#""epoch":2"#), [last, "epoch 2"]),
        damage("a server that is none", wrong(r#"{"A":["#, r#"{"Z":["#), [last, "Z"]),
        damage(
            "an unknown field",
            wrong(r#"{"height""#, r#"{"x":1,"height""#),
            [last, "unknown field"],
        ),
        damage(
            "a type that a chain has not",
            retyped("BLOCKCHAIN"),
            ["SERVER-BLOCKCHAIN-A", "WRONGTYPE"],
        ),
    ]
}

/// A text in the place of whatever there was.
pub fn retyped(key: &str) -> [Vec<String>; 2] {
    [command("DEL", key, &[]), command("SET", key, &["x"])]
}

/// What may be wrong with what else there is.
pub fn of_the_rest(c: &mut Connection) -> Vec<Damage> {
    let set = |index: &str, text: &str| [command("LSET", "LOG", &[index, text])];
    let second = element(c, "LOG", 1);
    let state = |field: &str, value: &str| [command("HSET", "STATE", &[field, value])];
    let wrong = |from: &str, to: &str| {
        assert!(second.contains(from), "{second}");
        set("1", &second.replacen(from, to, 1))
    };
    let last = "SERVER-LOG-A[1]";
    let ballot = r#"{"round":18446744073709551615,"server":"B","life":"0000000000000001"}"#;
    vec![
        damage("a log cut short", set("1", &second[..20]), [last, "the text ends"]),
        damage(
            "a log's first element is gone",
            [command("LPOP", "LOG", &[])],
            ["SERVER-LOG-A[0]", "entry 4"],
        ),
        damage(
            "a gap in the log",
            wrong(r#""seq":5"#, r#""seq":6"#),
            [last, "entry 5 (epoch 1) is missing"],
        ),
        damage(
            "a number that can't be counted on from",
            set(
                "0",
                r#"{"epoch":1,"seq":18446744073709551615,"entries":[["A","B",1],["A","B",1]]}"#,
            ),
            ["SERVER-LOG-A[0]", "entry 4 (epoch 1) is missing"],
        ),
        damage("an overdraft in the log", wrong(",20]", ",51]"), [last, "A/alice holds only 50"]),
        damage(
            "another home's account",
            wrong(r#"["A/alice""#, r#"["B""#),
            [last, "B is not of A"],
        ),
        damage("a log of another type", retyped("LOG"), ["SERVER-LOG-A", "WRONGTYPE"]),
        damage(
            "another format",
            state("format", "3"),
            ["SERVER-STATE-A[format]", "only formats 4 to 7"],
        ),
        damage(
            "no format",
            [command("HDEL", "STATE", &["format"])],
            ["SERVER-STATE-A[format]", "missing"],
        ),
        damage("no ballot", state("promised", "{}"), ["SERVER-STATE-A[promised]", "missing field"]),
        damage(
            "a ballot that can't be",
            state("promised", ballot),
            ["STATE-A[promised]", "there is no ballot"],
        ),
        damage(
            "other entries in the chain",
            state("included", "{}"),
            ["STATE-A[included]", "not what follows"],
        ),
        damage(
            "no instances",
            [command("HDEL", "STATE", &["instances"])],
            ["[instances]", "missing"],
        ),
        damage(
            "another instance that counts",
            state("instances", r#"{"A":"00000000000000aa","B":"00000000000000bb"}"#),
            ["STATE-A[instances]", "not what follows"],
        ),
        damage(
            "an instance that was never deposed",
            state("deposed", r#"["00000000000000ff"]"#),
            ["STATE-A[deposed]", "not what follows"],
        ),
        damage(
            "a horizon beyond all entries",
            state("horizon", r#"{"epoch":1,"seq":99}"#),
            ["STATE-A[horizon]", "beyond the entries"],
        ),
        damage(
            "garbage for a horizon",
            state("horizon", "x"),
            ["STATE-A[horizon]", "expected value"],
        ),
        damage(
            "a session that is not in the chain",
            [command("HSET", "SESSIONS", &["A.1.0.00000000000000aa.9", "1"])],
            ["SERVER-SESSIONS-A[A.1.0.00000000000000aa.9]", "knows no such session"],
        ),
        damage(
            "no number of a session's",
            [command("HSET", "SESSIONS", &["A.1.0.00000000000000aa.9", "many"])],
            ["SERVER-SESSIONS-A[A.1.0.00000000000000aa.9]"],
        ),
        damage("sessions of another type", retyped("SESSIONS"), ["SERVER-SESSIONS-A", "WRONGTYPE"]),
        damage(
            "another instance",
            state("instance", "00000000000000aa"),
            ["00000000000000aa", "instance"],
        ),
        damage("garbage for an instance", state("instance", "A"), ["SERVER-STATE-A[instance]"]),
        damage(
            "a vote for no block",
            state("accepted", ballot),
            ["SERVER-ACCEPTED-A", "0 elements"],
        ),
        damage("no lives", [command("DEL", "LIVES", &[])], ["SERVER-LIVES-A", "missing"]),
        damage("garbage in a life", [command("LSET", "LIVES", &["0", "x"])], ["SERVER-LIVES-A[0]"]),
        damage("no owner", [command("DEL", "OWNER", &[])], ["SERVER-OWNER-A", "missing"]),
        damage("no turn", [command("DEL", "TURN", &[])], ["SERVER-TURN-A", "missing"]),
        damage("garbage for a turn", [command("SET", "TURN", &["1.5"])], ["SERVER-TURN-A", "1.5"]),
        damage(
            "a turn beyond all turns",
            [command("SET", "TURN", &["18446744073709551615"])],
            ["SERVER-TURN-A", "18446744073709551615"],
        ),
        damage(
            "a turn before the last life's",
            [command("SET", "TURN", &["0"])],
            ["SERVER-LIVES-A[0]"],
        ),
    ]
}
