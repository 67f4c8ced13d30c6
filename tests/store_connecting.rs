//! What a Redis has to be before it is believed, found out when a server connects; and in which words
//! it is refused.

mod support;

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use paxos_banking::bank::effects::Write as Change;
use paxos_banking::play::guard::Guarded;
use paxos_banking::store::redis::{Options, RedisStore};
use paxos_banking::store::{Store, StoreError};
use redis::Connection;
use serde_json::json;
use support::cluster::{Client, free_address, wait_until};
use support::disk::{Disk, commit, use_all_of_it};
use support::redis::{TestRedis, say};
use support::samples::*;

/// The line of doc/OPERATING.md that gives the user of server A what it needs.
const USER: &str = "on >secret resetkeys ~SERVER-*-A resetchannels -@all +@read +@write \
                    +@transaction +@connection -@dangerous +config|get +info";

fn open(url: &str, id: &str) -> RedisStore {
    RedisStore::new(url, &server(id), Options::default()).unwrap()
}

fn refused(url: &str) -> StoreError {
    open(url, "A").load().expect_err("it has to be refused")
}

/// The commands that were carried out there, in capitals, but for those of the test itself.
fn carried_out(connection: &mut Connection) -> BTreeSet<String> {
    let info: String = say(connection, &["INFO", "commandstats"]);
    let name =
        |line: &str| Some(line.strip_prefix("cmdstat_")?.split([':', '|']).next()?.to_owned());
    let names: BTreeSet<String> = info.lines().filter_map(name).collect();
    names.iter().map(|name| name.to_uppercase()).collect()
}

fn key_count(connection: &mut Connection) -> u64 {
    say(connection, &["DBSIZE"])
}

/// Bug: a Redis without `LMOVE` (6.0, or one whose user may not use it) founded a bank, paid from the
/// log, and failed for ever at the first block. Cause: nobody looked. Fix: all commands are queued, and
/// discarded, when a server connects.
#[test]
fn a_redis_that_lacks_any_command_is_refused_before_anything_is_written() {
    let whole = TestRedis::start();
    use_all_of_it(&mut whole.open());
    let mut used = carried_out(&mut whole.connect());
    // How a test, and Redis's own client, find out who answers; and what settings are asked by.
    for other in ["PING", "INFO", "SELECT", "CONFIG", "CLIENT", "HELLO"] {
        used.remove(other);
    }
    assert!(used.contains("LMOVE") && used.len() > 15, "{used:?}");
    for name in used {
        let redis = TestRedis::start_with(&["--rename-command", &name, ""]);
        let error = refused(&redis.url());
        let text = error.to_string();
        assert!(matches!(error, StoreError::Unfit(_)), "{name}: {text}");
        let named = text.contains(&format!("it lacks the command {name};"));
        assert!(named && text.contains("needs Redis 6.2 or later"), "{name}: {text}");
        assert_eq!(key_count(&mut redis.connect()), 0, "{name}");
    }
}

/// A Redis with a user `bank`, who has `rights`.
fn with_user(redis: &TestRedis, rights: &str) -> String {
    let mut words = vec!["ACL", "SETUSER", "bank", "reset"];
    words.extend(rights.split_whitespace());
    say::<()>(&mut redis.connect(), &words);
    format!("redis://bank:secret@127.0.0.1:{}/", redis.port())
}

#[test]
fn the_documented_user_can_do_all_that_its_server_does_and_nothing_with_another_s_keys() {
    let redis = TestRedis::start();
    let url = with_user(&redis, USER);
    use_all_of_it(&mut open(&url, "A"));
    let text = open(&url, "B").load().unwrap_err().to_string();
    assert!(text.contains("NOPERM") && text.contains("SERVER-"), "{text}");
    let keys: Vec<String> = say(&mut redis.connect(), &["KEYS", "SERVER-*-B"]);
    assert_eq!(keys, Vec::<String>::new());
    let readme = fs::read_to_string("doc/OPERATING.md").unwrap();
    let line = USER.replace("secret", "PASSWORD").replace("-A ", "-B ");
    assert!(readme.contains(&line), "doc/OPERATING.md lacks: {line}");
}

#[test]
fn a_user_who_may_not_use_a_command_or_a_key_is_refused_before_anything_is_written() {
    let redis = TestRedis::start();
    let commands = [
        "LMOVE", "GET", "SET", "INCR", "RPUSH", "LRANGE", "LTRIM", "LLEN", "HSET", "HDEL",
        "HGETALL", "HLEN", "HMGET", "MULTI", "EXEC", "DISCARD", "WATCH",
    ];
    for name in commands {
        let url = with_user(&redis, &format!("{USER} -{}", name.to_lowercase()));
        let text = refused(&url).to_string();
        assert!(text.contains(&format!("may not use {name}")), "{name}: {text}");
        assert!(text.contains("doc/OPERATING.md") && !text.contains("secret"), "{name}: {text}");
    }
    let keys = [
        "BLOCKCHAIN",
        "GENESIS",
        "LOG",
        "ACCEPTED",
        "BALANCES",
        "SESSIONS",
        "STATE",
        "LIVES",
        "OWNER",
        "TURN",
    ];
    for missing in keys {
        let others = keys.iter().filter(|key| **key != missing);
        let others: String = others.map(|key| format!("~SERVER-{key}-A ")).collect();
        let url = with_user(&redis, &USER.replace("~SERVER-*-A", &others));
        let text = refused(&url).to_string();
        assert!(text.contains(&format!("SERVER-{missing}-A")), "{missing}: {text}");
    }
    assert_eq!(key_count(&mut redis.connect()), 0);
    // What the settings are seen by.
    let url = with_user(&redis, &USER.replace("+config|get", ""));
    let text = refused(&url).to_string();
    assert!(text.contains("can't be seen") && text.contains("config"), "{text}");
    let url = with_user(&redis, &USER.replace("+info", ""));
    let text = refused(&url).to_string();
    assert!(text.contains("can't be seen (INFO"), "{text}");
    assert_eq!(key_count(&mut redis.connect()), 0);
}

/// Switches `appendonly` off and on; the first rewrite since then takes so many seconds.
fn just_switched_on(redis: &TestRedis, seconds: u64) {
    let c = &mut redis.connect();
    say::<()>(c, &["SET", "somebody's", "x"]);
    // In microseconds for each key. The process that rewrites takes it over as it is then.
    let delay = (seconds * 1_000_000).to_string();
    say::<()>(c, &["CONFIG", "SET", "rdb-key-save-delay", &delay]);
    say::<()>(c, &["CONFIG", "SET", "appendonly", "no"]);
    say::<()>(c, &["CONFIG", "SET", "appendonly", "yes"]);
}

fn is_rewriting(connection: &mut Connection) -> bool {
    let info: redis::InfoDict = say(connection, &["INFO", "persistence"]);
    info.get::<u32>("aof_rewrite_in_progress") == Some(1)
}

/// Bug: a bank was founded, paid and settled, and a kill -9 left an empty Redis. Cause: with `appendonly`
/// just switched on, Redis says `yes` and `always`, confirms, and keeps nothing until its first rewrite is
/// done. Fix: a server waits for that.
#[test]
fn a_redis_that_keeps_nothing_yet_is_waited_for() {
    let mut redis = TestRedis::start();
    just_switched_on(&redis, 2);
    let mut store = redis.open();
    let mut last = store.load().unwrap().turn.0;
    assert!(!is_rewriting(&mut redis.connect()), "it was believed before it kept anything");
    commit(&mut store, &mut last, vec![Change::Promise(ballot(5))]);
    redis.kill();
    redis.restart();
    assert_eq!(redis.open().load().unwrap().promised, Some(ballot(5)));
}

/// One that connects again doesn't wait in the middle of its work, and doesn't give up either.
#[test]
fn a_redis_that_keeps_nothing_yet_is_tried_again_by_a_server_that_runs() {
    let redis = TestRedis::start();
    let mut store = redis.open();
    store.load().unwrap();
    just_switched_on(&redis, 1);
    let c = &mut redis.connect();
    let error = store.load().unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("rewriting"), "{error}");
    for _ in 0..600 {
        match store.load() {
            Ok(_) => return assert!(!is_rewriting(c)),
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("it was never taken back");
}

/// What answers every connection with `text`, whatever is said to it; nothing if that is empty.
fn answering(text: &'static str) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            if !text.is_empty() {
                let _ = stream.read(&mut [0; 64]);
                let _ = stream.write_all(text.as_bytes());
            }
            open.push(stream);
        }
    });
    url
}

/// Words that are of no use to who reads an error.
fn is_plain(text: &str) {
    for inner in ["os error", "InvalidClientConfig", "..", ". .", "secret", "ErrorKind", "IoError"]
    {
        assert!(!text.contains(inner), "{inner}: {text}");
    }
}

#[test]
fn each_thing_that_can_be_wrong_with_a_redis_has_its_name_and_the_way_out() {
    let open = TestRedis::start();
    let locked = TestRedis::start();
    say::<()>(&mut locked.connect(), &["CONFIG", "SET", "requirepass", "secret"]);
    let replica = TestRedis::start();
    say::<()>(&mut replica.connect(), &["REPLICAOF", "127.0.0.1", "1"]);
    let writable = TestRedis::start_with(&["--replica-read-only", "no"]);
    say::<()>(&mut writable.connect(), &["REPLICAOF", "127.0.0.1", "1"]);
    let cluster = TestRedis::start_with(&["--cluster-enabled", "yes"]);
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let at = |redis: &TestRedis, user: &str, rest: &str| {
        format!("redis://{user}127.0.0.1:{}/{rest}", redis.port())
    };
    let cases = [
        (format!("redis://{nobody}/"), vec!["nothing listens there"]),
        (answering(""), vec!["no answer within 400 ms"]),
        (answering("HTTP/1.1 400 Bad Request\r\n\r\n"), vec!["doesn't speak Redis's protocol"]),
        (
            answering("-DENIED Redis is running in protected mode. Long.\r\n"),
            vec!["protected mode"],
        ),
        (at(&locked, "", ""), vec!["asks for a password", "--redis-password-file"]),
        (at(&locked, ":secret-no@", ""), vec!["password is wrong"]),
        (at(&locked, "who:secret@", ""), vec!["no such user"]),
        (at(&open, ":secret@", ""), vec!["asks for no password"]),
        (at(&open, "", "99"), vec!["no database of that number", "databases", "/99"]),
        (at(&replica, "", ""), vec!["a replica", "REPLICAOF NO ONE"]),
        (at(&writable, "", ""), vec!["a replica of 127.0.0.1 1"]),
        (at(&cluster, "", ""), vec!["cluster mode", "cluster-enabled no"]),
        (at(&cluster, "", "1"), vec!["cluster mode"]),
    ];
    for (url, parts) in cases {
        let patience = Duration::from_millis(400);
        let options =
            Options { connect_timeout: patience, timeout: patience, ..Options::default() };
        let mut store = RedisStore::new(&url, &server("A"), options).unwrap();
        let text = store.load().unwrap_err().to_string();
        for part in parts {
            assert!(text.contains(part), "{url}: {part:?} is not in: {text}");
        }
        let silent = text.contains("nothing listens") || text.contains("no answer");
        assert_eq!(text.contains("can't be reached"), silent, "{text}");
        is_plain(&text);
    }
}

/// The secret of a Redis stands on no command line and in no log, from the server to its audit.
#[test]
fn a_server_s_password_comes_from_a_file_and_is_not_shown() {
    const PROGRAM: &str = env!("CARGO_BIN_EXE_paxos-banking");
    let redis = TestRedis::start();
    with_user(&redis, &USER.replace(">secret", ">top%40secret/?#"));
    let folder = tempfile::tempdir().unwrap();
    let (password, log) = (folder.path().join("password"), folder.path().join("log"));
    fs::write(&password, "top%40secret/?#\n").unwrap();
    fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
    let program = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--redis-password-file").arg(&password);
        command.env("PAXOS_BANKING_REDIS", format!("redis://bank@127.0.0.1:{}", redis.port()));
        command.env("RUST_LOG", "trace");
        command
    };
    let address = free_address();
    let cluster = format!("A={address}");
    let command = program(&["server", "--id", "A", "--cluster", &cluster]);
    let server = Guarded::start(&command, File::create(&log).unwrap().into()).unwrap();
    wait_until("the bank is open", || {
        let status =
            Client::try_connect(&address).and_then(|mut c| c.try_ask(&json!({"status": {}})));
        status.is_some_and(|status| status["active"] == json!(true))
    });
    let mut shown =
        fs::read_to_string(format!("/proc/{}/cmdline", server.pid())).unwrap_or_default();
    shown += &fs::read_to_string(&log).unwrap();
    for arguments in [vec!["audit", "--id", "A"], vec!["export", "--id", "A"]] {
        let output = program(&arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        shown += &said;
    }
    assert!(shown.contains("listening on") && !shown.contains("secret"), "{shown}");
}
