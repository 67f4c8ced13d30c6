//! What only the store in Redis has: keys and texts that people read, settings to insist on, and
//! content that anybody can damage.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use paxos_banking::bank::blockchain::block::FORMAT;
use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::effects::Write;
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::store::redis::{Options, RedisStore};
use paxos_banking::store::{BlockSource, Store, StoreError};
use redis::Connection;
use support::disk::{Disk, commit, texts};
use support::redis::{TestRedis, say};
use support::samples::*;

/// All keys with their contents, as Redis serializes them.
fn dump(connection: &mut Connection) -> BTreeMap<String, Vec<u8>> {
    let keys: BTreeSet<String> = say(connection, &["KEYS", "*"]);
    keys.into_iter().map(|key| (key.clone(), say(connection, &["DUMP", &key]))).collect()
}

fn options(allow_weak: bool) -> Options {
    Options { allow_weak, ..Options::default() }
}

fn moved(block: &SealedBlock, trim: usize) -> Write {
    append_with(block, true, trim, &[("A", 70), ("B", 130)])
}

/// The elements of the local log.
fn log() -> [Element; 2] {
    [element_of(5, vec![record(5), opening("A/alice")]), element(7..=7)]
}

/// A store in which every key is there, and the last turn.
fn full(redis: &TestRedis) -> (RedisStore, u64) {
    let mut store = redis.open();
    let mut last = store.load().unwrap().turn.0;
    let blocks = chain(3, 2);
    let writes = vec![accept(1, &blocks[0]), moved(&blocks[0], 0), Write::Activate];
    commit(&mut store, &mut last, writes);
    commit(&mut store, &mut last, vec![accept(1, &blocks[1]), moved(&blocks[1], 0)]);
    let [first, second] = log();
    commit(&mut store, &mut last, vec![Write::Log(first)]);
    commit(&mut store, &mut last, vec![Write::Log(second), accept(2, &blocks[2])]);
    commit(&mut store, &mut last, vec![Write::Promise(ballot(3))]);
    (store, last)
}

#[test]
fn there_are_only_the_documented_keys_and_people_can_read_them() {
    let redis = TestRedis::start();
    let (store, last) = full(&redis);
    drop(store);
    let c = &mut redis.connect();
    let keys: BTreeSet<String> = say(c, &["KEYS", "*"]);
    let lists = ["BLOCKCHAIN", "LOG", "ACCEPTED", "LIVES"];
    let others = ["BALANCES", "STATE", "OWNER", "TURN"];
    let names = lists.iter().chain(&others);
    assert_eq!(keys, names.map(|name| format!("SERVER-{name}-A")).collect());

    let blocks = chain(3, 2);
    let list = |c: &mut _, key: &str| -> Vec<String> { say(c, &["LRANGE", key, "0", "-1"]) };
    assert_eq!(list(c, "SERVER-BLOCKCHAIN-A"), texts(&blocks[..2]));
    assert_eq!(list(c, "SERVER-ACCEPTED-A"), texts(&blocks[2..]));
    assert_eq!(list(c, "SERVER-LOG-A"), log().map(|element| element.text().to_owned()));
    assert_eq!(say::<u64>(c, &["GET", "SERVER-TURN-A"]), last);
    let pages: BTreeMap<String, String> = say(c, &["HGETALL", "SERVER-BALANCES-A"]);
    let first = r#"{"height":1,"balances":[["A",70],["B",130]]}"#;
    assert_eq!(pages, BTreeMap::from([("0".to_owned(), first.to_owned())]));

    let stored = redis.open().load().unwrap();
    let (life, _) = stored.lives[0];
    assert_eq!(list(c, "SERVER-LIVES-A")[0], format!(r#"{{"life":"{life}","turn":1}}"#));
    let state: BTreeMap<String, String> = say(c, &["HGETALL", "SERVER-STATE-A"]);
    let ballot = |round| format!(r#"{{"round":{round},"server":"B","life":"000000000000000b"}}"#);
    let expected = [
        ("accepted", ballot(2)),
        ("active", "1".to_owned()),
        ("checkpoint", "1".to_owned()),
        ("deposed", "[]".to_owned()),
        ("format", FORMAT.to_string()),
        ("included", r#"{"A":{"epoch":1,"seq":2},"B":{"epoch":1,"seq":0}}"#.to_owned()),
        ("instance", stored.instance.to_string()),
        ("instances", r#"{"A":"0000000000000001","B":"0000000000000002"}"#.to_owned()),
        ("promised", ballot(3)),
    ];
    assert_eq!(state, expected.map(|(field, value)| (field.to_owned(), value)).into());
    assert_eq!(stored.accepted, Some((support::samples::ballot(2), blocks[2].clone())));
}

#[test]
fn servers_may_share_a_redis() {
    let redis = TestRedis::start();
    let (mut a, last) = full(&redis);
    let open = || RedisStore::new(&redis.url(), &server("B"), options(false)).unwrap();
    let mut b = open();
    let mut turn = b.load().unwrap().turn.0;
    commit(&mut b, &mut turn, vec![Write::Promise(ballot(9))]);
    commit(&mut a, &mut { last }, vec![Write::Promise(ballot(8))]);
    let (a, b) = (redis.open().load().unwrap(), open().load().unwrap());
    assert_eq!((a.promised, a.blocks), (Some(ballot(8)), 2));
    assert_eq!((b.promised, b.blocks), (Some(ballot(9)), 0));
    assert_ne!(a.instance, b.instance);
}

#[test]
fn a_weak_redis_is_refused_unless_allowed() {
    let weak: [(&[&str], &str); 7] = [
        (&["--appendonly", "no"], r#"appendonly is "no" and must be "yes""#),
        (&["--appendfsync", "everysec"], r#"appendfsync is "everysec" and must be "always""#),
        (
            &["--no-appendfsync-on-rewrite", "yes"],
            r#"no-appendfsync-on-rewrite is "yes" and must be "no""#,
        ),
        (
            &["--maxmemory-policy", "allkeys-lru"],
            r#"maxmemory-policy is "allkeys-lru" and must be "noeviction""#,
        ),
        (&["--aof-load-truncated", "yes"], r#"aof-load-truncated is "yes" and must be "no""#),
        (&["--replica-read-only", "no"], r#"replica-read-only is "no" and must be "yes""#),
        (&["--rename-command", "CONFIG", ""], r#"appendonly must be "yes" and can't be seen"#),
    ];
    for (arguments, message) in weak {
        let redis = TestRedis::start_with(arguments);
        let open = |allow| RedisStore::new(&redis.url(), &server("A"), options(allow)).unwrap();
        let error = open(false).load().unwrap_err();
        assert!(matches!(error, StoreError::Unfit(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains(message) && text.contains("--allow-weak-redis"), "{text}");
        assert_eq!(dump(&mut redis.connect()), BTreeMap::new());
        assert_eq!(open(true).load().unwrap().lives.len(), 1);
    }
}

#[test]
fn a_store_of_another_format_is_refused() {
    let redis = TestRedis::start();
    drop(full(&redis));
    let c = &mut redis.connect();
    // In another format the rest may mean anything: this is what there was in the first one.
    say::<()>(c, &["HDEL", "SERVER-STATE-A", "included"]);
    say::<()>(c, &["HDEL", "SERVER-STATE-A", "checkpoint"]);
    let entry = r#"[{"server":"A","epoch":1,"seq":5,"from":"A","to":"B","amount":5}]"#;
    say::<()>(c, &["LSET", "SERVER-LOG-A", "0", entry]);
    for other in ["1", "2", "3", "8", "two"] {
        say::<()>(c, &["HSET", "SERVER-STATE-A", "format", other, "colour", "blue"]);
        let before = dump(c);
        let error = redis.open().load().unwrap_err();
        assert!(matches!(error, StoreError::Unfit(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains(&format!("SERVER-STATE-A[format] is {other:?}")), "{text}");
        assert!(
            text.contains("only formats 4 to 7") && text.contains("start the version"),
            "{text}"
        );
        assert_eq!(dump(c), before);
    }
}

#[test]
fn what_is_damaged_is_named_and_left_as_it_is() {
    let empty = r#"{"epoch":1,"seq":7,"entries":[]}"#;
    let two_in_one = log().map(|element| element.text().to_owned()).concat();
    let lives = r#"{"life":"00000000000000ff","turn":999}"#;
    let lower = r#"{"round":1,"server":"B","life":"000000000000000b"}"#;
    let damages: &[(&[&str], &str)] = &[
        (&["HDEL", "SERVER-STATE-A", "format"], "SERVER-STATE-A[format]"),
        (&["HDEL", "SERVER-STATE-A", "instance"], "SERVER-STATE-A[instance]"),
        (&["HSET", "SERVER-STATE-A", "instance", "x"], "SERVER-STATE-A[instance]"),
        (&["HSET", "SERVER-STATE-A", "promised", "{}"], "SERVER-STATE-A[promised]"),
        (&["HDEL", "SERVER-STATE-A", "promised"], "SERVER-STATE-A[promised]"),
        (&["HSET", "SERVER-STATE-A", "promised", lower], "SERVER-STATE-A[promised]"),
        (&["HDEL", "SERVER-STATE-A", "accepted"], "SERVER-STATE-A[accepted]"),
        (&["HDEL", "SERVER-STATE-A", "included"], "SERVER-STATE-A[included]"),
        (&["HSET", "SERVER-STATE-A", "included", r#"{"A":7}"#], "SERVER-STATE-A[included]"),
        (&["HDEL", "SERVER-STATE-A", "instances"], "SERVER-STATE-A[instances]"),
        (&["HSET", "SERVER-STATE-A", "instances", "[]"], "SERVER-STATE-A[instances]"),
        (&["HDEL", "SERVER-STATE-A", "deposed"], "SERVER-STATE-A[deposed]"),
        (&["HSET", "SERVER-STATE-A", "deposed", "x"], "SERVER-STATE-A[deposed]"),
        (&["HSET", "SERVER-STATE-A", "horizon", "7"], "SERVER-STATE-A[horizon]"),
        (&["HDEL", "SERVER-STATE-A", "checkpoint"], "SERVER-STATE-A[checkpoint]"),
        (&["HSET", "SERVER-STATE-A", "checkpoint", "x"], "SERVER-STATE-A[checkpoint]"),
        (&["HSET", "SERVER-STATE-A", "checkpoint", "-1"], "SERVER-STATE-A[checkpoint]"),
        (&["HSET", "SERVER-STATE-A", "checkpoint", "1.0"], "SERVER-STATE-A[checkpoint]"),
        (&["SET", "SERVER-SESSIONS-A", "x"], "SERVER-SESSIONS-A"),
        (&["HSET", "SERVER-SESSIONS-A", "nobody", "1"], "SERVER-SESSIONS-A[nobody]"),
        (
            &["HSET", "SERVER-SESSIONS-A", "A.1.0.00000000000000aa.1", "-1"],
            "SERVER-SESSIONS-A[A.1.0.00000000000000aa.1]",
        ),
        (&["HSET", "SERVER-STATE-A", "active", "no"], "SERVER-STATE-A[active]"),
        (&["HSET", "SERVER-STATE-A", "colour", "blue"], "SERVER-STATE-A[colour]"),
        (&["DEL", "SERVER-STATE-A"], "SERVER-STATE-A"),
        (&["SET", "SERVER-STATE-A", "x"], "SERVER-STATE-A"),
        (&["DEL", "SERVER-LIVES-A"], "SERVER-LIVES-A"),
        (&["LSET", "SERVER-LIVES-A", "0", "[]"], "SERVER-LIVES-A[0]"),
        (&["RPUSH", "SERVER-LIVES-A", lives], "SERVER-LIVES-A[1]"),
        (&["DEL", "SERVER-TURN-A"], "SERVER-TURN-A"),
        (&["SET", "SERVER-TURN-A", "many"], "SERVER-TURN-A"),
        (&["SET", "SERVER-TURN-A", "18446744073709551615"], "SERVER-TURN-A"),
        (&["SET", "SERVER-TURN-A", "9223372036854775807"], "SERVER-TURN-A"),
        (&["SET", "SERVER-TURN-A", "07"], "SERVER-TURN-A"),
        (&["SET", "SERVER-TURN-A", "+7"], "SERVER-TURN-A"),
        (&["DEL", "SERVER-OWNER-A"], "SERVER-OWNER-A"),
        (&["LPUSH", "SERVER-OWNER-A", "x"], "SERVER-OWNER-A"),
        (&["LPUSH", "SERVER-BALANCES-A", "x"], "SERVER-BALANCES-A"),
        (&["LSET", "SERVER-LOG-A", "1", "[{}]"], "SERVER-LOG-A[1]"),
        (&["LSET", "SERVER-LOG-A", "1", empty], "SERVER-LOG-A[1]"),
        (&["LSET", "SERVER-LOG-A", "0", &two_in_one], "SERVER-LOG-A[0]"),
        (&["LSET", "SERVER-LOG-A", "0", "\u{fffd}"], "SERVER-LOG-A[0]"),
        (&["SET", "SERVER-LOG-A", "x"], "SERVER-LOG-A"),
        (&["LSET", "SERVER-ACCEPTED-A", "0", "{}"], "SERVER-ACCEPTED-A[0]"),
        (&["RPUSH", "SERVER-ACCEPTED-A", "{}"], "SERVER-ACCEPTED-A"),
        (&["DEL", "SERVER-ACCEPTED-A"], "SERVER-ACCEPTED-A"),
        (&["RPUSH", "SERVER-BLOCKCHAIN-A", "{}"], "SERVER-ACCEPTED-A[0]"),
        (&["DEL", "SERVER-BLOCKCHAIN-A"], "SERVER-BLOCKCHAIN-A"),
        (&["SET", "SERVER-BLOCKCHAIN-A", "x"], "SERVER-BLOCKCHAIN-A"),
    ];
    let redis = TestRedis::start();
    drop(full(&redis));
    let c = &mut redis.connect();
    let whole = dump(c);
    for (damage, place) in damages {
        if matches!(damage[0], "SET" | "LPUSH") {
            say::<()>(c, &["DEL", damage[1]]);
        }
        say::<()>(c, damage);
        let before = dump(c);
        match redis.open().load() {
            Err(StoreError::Corrupt { key, what }) => assert_eq!(key, *place, "{what}"),
            other => panic!("{damage:?}: {other:?}"),
        }
        assert_eq!(dump(c), before, "{damage:?}");
        restore(c, &whole);
    }
    redis.open().load().unwrap();
}

#[test]
fn what_is_said_of_a_long_damage_is_short() {
    let redis = TestRedis::start();
    drop(full(&redis));
    let c = &mut redis.connect();
    let whole = dump(c);
    let long = "x".repeat(1 << 20);
    let unknown = format!(r#"{{"{long}":1}}"#);
    let damages: [&[&str]; 5] = [
        &["HSET", "SERVER-STATE-A", &long, "1"],
        &["HSET", "SERVER-STATE-A", "active", &long],
        &["HSET", "SERVER-STATE-A", "promised", &unknown],
        &["LSET", "SERVER-LOG-A", "0", &unknown],
        &["SET", "SERVER-TURN-A", &long],
    ];
    for damage in damages {
        say::<()>(c, damage);
        let error = redis.open().load().unwrap_err().to_string();
        assert!(error.len() < 1_000 && error.contains(damage[1]), "{} bytes", error.len());
        restore(c, &whole);
    }
}

/// Makes the content what it was.
fn restore(connection: &mut Connection, whole: &BTreeMap<String, Vec<u8>>) {
    say::<()>(connection, &["FLUSHALL"]);
    for (key, content) in whole {
        redis::cmd("RESTORE").arg(key).arg(0).arg(content).exec(connection).unwrap();
    }
}

#[test]
fn a_damaged_block_is_named() {
    let redis = TestRedis::start();
    drop(full(&redis));
    let c = &mut redis.connect();
    let mut reader = redis.open().reader();
    let first: String = say(c, &["LINDEX", "SERVER-BLOCKCHAIN-A", "0"]);
    for damage in ["{", "null", "{}", first.as_str()] {
        say::<()>(c, &["LSET", "SERVER-BLOCKCHAIN-A", "1", damage]);
        let mut store = redis.open();
        store.load().unwrap();
        for found in [store.blocks(0, 1, 1 << 20), reader.blocks(1, 1, 1)] {
            match found {
                Err(StoreError::Corrupt { key, .. }) => assert_eq!(key, "SERVER-BLOCKCHAIN-A[1]"),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(reader.blocks(0, 0, 1).unwrap().len(), 1);
}

/// What a block reader reads is the chain alone.
#[test]
fn what_a_reader_finds_damaged_is_named() {
    let redis = TestRedis::start();
    let (store, _) = full(&redis);
    let c = &mut redis.connect();
    let mut reader = store.reader();
    let place = "SERVER-BLOCKCHAIN-A";
    let whole = dump(c);
    say::<()>(c, &["DEL", place]);
    say::<()>(c, &["SET", place, "x"]);
    match reader.blocks(0, 9, 1 << 20) {
        Err(StoreError::Corrupt { key, what }) => {
            assert!(key == place && what.contains("WRONGTYPE"), "{key}: {what}");
        }
        other => panic!("{other:?}"),
    }
    restore(c, &whole);
    say::<()>(c, &["DEL", "SERVER-BALANCES-A", "SERVER-LOG-A"]);
    assert_eq!(texts(&reader.blocks(0, 9, 1 << 20).unwrap()), texts(&chain(2, 2)));
}

/// Pages are read in pieces after the rest, as blocks are.
#[test]
fn a_damaged_page_is_named_when_it_is_read() {
    let redis = TestRedis::start();
    drop(full(&redis));
    let c = &mut redis.connect();
    let page = |balances: &str| format!(r#"{{"height":1,"balances":{balances}}}"#);
    let unfit = [
        String::new(),
        "x".to_owned(),
        "\u{0}".to_owned(),
        "70".to_owned(),
        "{}".to_owned(),
        r#"{"height":1}"#.to_owned(),
        r#"{"balances":[]}"#.to_owned(),
        r#"{"height":-1,"balances":[]}"#.to_owned(),
        r#"{"height":1,"balances":[],"colour":"blue"}"#.to_owned(),
        page(r#"{"A":70}"#),
        page(r#"[["A"]]"#),
        page(r#"[["A",70,1]]"#),
        page(r#"[["A",-1]]"#),
        page(r#"[["A",1.5]]"#),
        page(r#"[["A","70"]]"#),
        page(r#"[["A",9007199254740992]]"#),
        page(r#"[["/a",70]]"#),
        page(r#"[["A b",70]]"#),
        page("[]") + "x",
    ];
    for text in unfit {
        say::<()>(c, &["HSET", "SERVER-BALANCES-A", "0", &text]);
        let mut store = redis.open();
        store.look().unwrap();
        match store.pages(0, 1) {
            Err(StoreError::Corrupt { key, .. }) => assert_eq!(key, "SERVER-BALANCES-A[0]"),
            other => panic!("{text}: {other:?}"),
        }
        let kept: String = say(c, &["HGET", "SERVER-BALANCES-A", "0"]);
        assert_eq!(kept, text);
    }
    // A page that is there under another name is missing.
    say::<()>(c, &["DEL", "SERVER-BALANCES-A"]);
    say::<()>(c, &["HSET", "SERVER-BALANCES-A", "00", &page("[]")]);
    let mut store = redis.open();
    assert_eq!(store.look().unwrap().pages, 1);
    match store.pages(0, 1) {
        Err(StoreError::Corrupt { key, what }) => {
            assert_eq!((key.as_str(), what.as_str()), ("SERVER-BALANCES-A[0]", "missing"));
        }
        other => panic!("{other:?}"),
    }
}
