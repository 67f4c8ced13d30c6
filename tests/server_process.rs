//! A server as a process that others start, order about and end: signals, its log, and a Redis that comes later.
#![cfg(all(feature = "signals", target_os = "linux"))]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use paxos_banking::play::guard::Guarded;
use serde_json::{Value, json};
use support::cluster::{Client, PATIENCE, free_address, wait_until};
use support::process::{Bank, Setup, signal};
use support::redis::TestRedis;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_paxos-banking");

/// A bank of one server, with its log at hand.
struct Alone {
    bank: Bank,
    _folder: TempDir,
}

impl Alone {
    fn start(flags: &[&str]) -> Alone {
        let folder = tempfile::tempdir().unwrap();
        let mut setup = Setup { logs: Some(folder.path().to_owned()), ..Setup::default() };
        setup.flags.extend(flags.iter().map(|flag| flag.to_string()));
        let mut bank = Bank::set_up(&["A"], setup);
        bank.start_server("A");
        let mut alone = Alone { bank, _folder: folder };
        alone.wait_until_open();
        alone
    }

    /// One that waits for a Redis that hangs.
    fn hanging() -> Alone {
        let mut alone = Alone::start(&["--redis-timeout", "60s"]);
        alone.bank.redis("A").process().unwrap().signal("STOP").unwrap();
        alone.client().send(b"{\"id\": 1, \"open\": {\"account\": \"A/x\"}}\n");
        wait_until("it answers nobody", || {
            let client = alone.client();
            client.socket().set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            client.send(b"{\"balance\": {}}\n");
            client.socket().peek(&mut [0]).is_err()
        });
        alone
    }

    fn wait_until_open(&mut self) {
        wait_until("A is open", || {
            let status = self.bank.ask("A", &json!({"status": {}}));
            status.is_some_and(|status| status["active"] == json!(true))
        });
    }

    fn log(&self) -> String {
        fs::read_to_string(self.bank.log_file("A").unwrap()).unwrap()
    }

    fn signal(&mut self, name: &str) {
        signal(self.bank.process("A"), name);
    }

    /// How it ended: the exit status, and the log's last line.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut status = None;
        wait_until("A ends", || {
            status = self.bank.process("A").and_then(Guarded::ended);
            status.is_some()
        });
        let last = self.log().lines().last().unwrap_or_default().to_owned();
        (status.unwrap().code(), last)
    }

    fn client(&self) -> Client {
        Client::connect(self.bank.address("A"))
    }
}

/// Bug: SIGTERM ended a server without a word, with a status that said it was killed. Fix: it is handled.
#[test]
fn sigterm_ends_a_server_with_a_last_line_and_status_0() {
    let mut alone = Alone::start(&[]);
    let mut client = alone.client();
    assert_eq!(client.ask(&json!({"open": {"account": "A/x"}}))["outcome"], "accepted");
    alone.signal("TERM");
    let (status, last) = alone.end();
    assert_eq!(status, Some(0));
    let says = "A INFO  SIGTERM: ended at height 0, with 1 entry in the local log";
    assert!(last.ends_with(says), "{last}");
    // What was acknowledged is there in the next life.
    alone.bank.has_ended("A");
    alone.bank.start_server("A");
    alone.wait_until_open();
    let known = alone.client().ask(&json!({"balance": {"account": "A/x"}}));
    assert_eq!(known["balance"], json!(0), "{known}");
}

/// A shell has what it starts in the background ignore SIGINT; that stays so.
#[test]
fn sigint_ends_it_like_sigterm_unless_it_is_to_be_ignored() {
    let mut alone = Alone::start(&[]);
    alone.signal("INT");
    let mut client = alone.client();
    assert_eq!(client.ask(&json!({"balance": {}}))["balance"], json!(100));
    alone.signal("TERM");
    assert_eq!(alone.end().0, Some(0));

    let mut minding = Command::new("env");
    minding.args(["--default-signal=INT", PROGRAM]);
    minding.args(alone.bank.server_command("A").get_args());
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    minding.args(["--log-file"]).arg(&log);
    let mut server = Guarded::start(&minding, Stdio::null()).unwrap();
    wait_until("A is open", || alone.bank.ask("A", &json!({"balance": {}})).is_some());
    server.signal("INT").unwrap();
    wait_until("A ends", || server.ended().is_some());
    assert_eq!(server.ended().unwrap().code(), Some(0));
    let log = fs::read_to_string(log).unwrap();
    assert!(log.lines().last().unwrap().contains("SIGINT: ended at height 0"), "{log}");
}

/// Many requests at once: those that were answered are whole lines, and the answers to all that are durable come
/// before the end of the connection.
#[test]
fn what_is_durable_is_answered_before_the_connection_ends() {
    let mut alone = Alone::start(&[]);
    let mut stream = TcpStream::connect(alone.bank.address("A")).unwrap();
    for seq in 1..=200 {
        let ask = json!({"id": seq, "open": {"account": format!("A/x{seq}")}});
        writeln!(stream, "{ask}").unwrap();
    }
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["outcome"], "accepted", "{first}");
    alone.signal("TERM");
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let answered = 1 + rest.len();
    rest.iter().for_each(|line| drop(serde_json::from_str::<Value>(line).expect("whole lines")));
    let (status, last) = alone.end();
    assert_eq!(status, Some(0));
    assert!(
        last.contains(&format!("with {answered} entries in the local log")),
        "{answered}: {last}"
    );
}

#[test]
fn a_second_signal_ends_at_once_what_hangs() {
    let mut alone = Alone::hanging();
    alone.signal("TERM");
    wait_until("the first signal is taken", || {
        let status = format!("/proc/{}/task", alone.bank.process("A").unwrap().pid());
        fs::read_dir(&status).is_ok_and(|mut tasks| {
            tasks.any(|task| {
                let name =
                    task.ok().and_then(|task| fs::read_to_string(task.path().join("comm")).ok());
                name.is_some_and(|name| name.trim() == "last-patience")
            })
        })
    });
    alone.signal("TERM");
    assert_eq!(alone.end().0, Some(128 + 15));
    alone.bank.redis("A").process().unwrap().signal("CONT").unwrap();
}

/// Without a second one it ends too, after a while, whatever hangs.
#[test]
fn a_store_that_hangs_holds_up_no_end() {
    let mut alone = Alone::hanging();
    alone.signal("TERM");
    let (status, last) = alone.end();
    assert_eq!(status, Some(0));
    assert!(last.contains("SIGTERM: ended in the midst of what took longer"), "{last}");
    alone.bank.redis("A").process().unwrap().signal("CONT").unwrap();
}

/// Bug: as the first process of a container a server ignored SIGTERM and SIGINT, since such a process has no default
/// actions. Fix: they are handled.
#[test]
fn the_first_process_of_a_container_is_ended_by_signals_too() {
    let is_possible = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "true"])
        .stderr(Stdio::null())
        .status();
    if !is_possible.is_ok_and(|status| status.success()) {
        return eprintln!("not tried: this user may not make a namespace of processes");
    }
    for name in ["TERM", "INT"] {
        let mut alone = Alone::start(&[]);
        alone.signal("TERM");
        assert_eq!(alone.end().0, Some(0));
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "env", "--default-signal=INT", PROGRAM]);
        command.args(alone.bank.server_command("A").get_args());
        let mut contained = Guarded::start(&command, Stdio::null()).unwrap();
        wait_until("A is open", || alone.bank.ask("A", &json!({"balance": {}})).is_some());
        let children = format!("/proc/{0}/task/{0}/children", contained.pid());
        let first = fs::read_to_string(children).unwrap();
        let inside = fs::read_to_string(format!("/proc/{}/status", first.trim())).unwrap();
        let numbers = inside.lines().find(|line| line.starts_with("NSpid:")).unwrap();
        assert!(numbers.trim_end().ends_with("\t1"), "{numbers}");
        let kill = Command::new("kill").args([&format!("-{name}"), first.trim()]).status();
        assert!(kill.unwrap().success());
        wait_until("the first process ends", || contained.ended().is_some());
        assert_eq!(contained.ended().unwrap().code(), Some(0), "{name}");
    }
}

/// Bug: without keys SIGHUP ended a server. Fix: it is always handled.
#[test]
fn sighup_has_the_log_go_on_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (log, kept) = (folder.path().join("A.log"), folder.path().join("A.log.1"));
    fs::write(&log, "what was there\n").unwrap();
    let mut alone = Alone::start(&["--log-file", log.to_str().unwrap()]);
    fs::rename(&log, &kept).unwrap();
    alone.signal("HUP");
    wait_until("there is a new log", || log.exists());
    alone.signal("TERM");
    wait_until("A ends", || alone.bank.process("A").unwrap().ended().is_some());
    let (old, new) = (fs::read_to_string(&kept).unwrap(), fs::read_to_string(&log).unwrap());
    assert!(old.starts_with("what was there\n") && old.contains("listening on"), "{old}");
    assert!(new.contains("the log goes on in") && new.contains("SIGTERM: ended"), "{new}");
    assert_eq!(alone.log(), "", "nothing of it goes to stderr");
}

#[test]
fn a_log_that_cannot_be_written_ends_the_start_and_one_that_fills_up_ends_nothing() {
    let output = Command::new(PROGRAM)
        .args(["server", "--id", "A", "--log-file", "/nowhere/at/all"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("--log-file /nowhere/at/all: it can't be written: No such file"),
        "{said}"
    );
    if !Path::new("/dev/full").exists() {
        return;
    }
    let mut alone = Alone::start(&["--log-file", "/dev/full"]);
    let mut client = alone.client();
    assert_eq!(client.ask(&json!({"open": {"account": "A/x"}}))["outcome"], "accepted");
    assert_eq!(alone.log(), "/dev/full can't be written; the server goes on\n");
    alone.signal("TERM");
    assert_eq!(alone.end().0, Some(0));
}

/// As systemd asks for it in a unit of `Type=notify`.
#[test]
fn whoever_asks_for_it_is_told_when_a_server_serves_and_when_it_ends() {
    let (redis, folder) = (TestRedis::start(), tempfile::tempdir().unwrap());
    let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = free_address();
    let mut command = Command::new(PROGRAM);
    command.args(["server", "--id", "A", "--cluster", &format!("A={address}")]);
    command.args(["--redis", &redis.url()]);
    command.env("NOTIFY_SOCKET", folder.path().join("notify"));
    let mut server = Guarded::start(&command, Stdio::null()).unwrap();
    let told = || {
        let mut text = [0; 64];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    assert_eq!(told(), "READY=1");
    assert!(TcpStream::connect(&address).is_ok());
    server.signal("TERM").unwrap();
    assert_eq!(told(), "STOPPING=1");
    wait_until("it ends", || server.ended().is_some());
}

#[test]
fn a_log_for_programs_is_an_object_a_line() {
    let mut alone = Alone::start(&["--log-format", "json"]);
    alone.signal("TERM");
    assert_eq!(alone.end().0, Some(0));
    let log = alone.log();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    for line in &lines {
        let fields: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["level", "message", "server", "target", "time"], "{line}");
        assert_eq!(line["server"], "A");
        let time = line["time"].as_str().unwrap();
        assert!(time.len() == "2026-01-31T12:00:00.000Z".len() && time.ends_with('Z'), "{time}");
    }
    let last = lines.last().unwrap();
    assert_eq!(last["level"], "INFO");
    assert!(last["message"].as_str().unwrap().starts_with("SIGTERM: ended at height 0"), "{last}");
}

/// A server on its own that says what it does into a file, with this Redis.
fn start_with(redis: &str, address: &str, log: &Path) -> Guarded {
    let mut command = Command::new(PROGRAM);
    command.args(["server", "--id", "A", "--cluster", &format!("A={address}"), "--redis", redis]);
    command.args(["--redis-timeout", "300ms", "--log-file"]).arg(log);
    Guarded::start(&command, Stdio::null()).unwrap()
}

/// Bug: a server whose Redis started after it ended with status 1. Fix: it waits, and says so.
#[test]
fn a_server_waits_for_a_redis_that_is_not_there_yet() {
    let (mut redis, folder) = (TestRedis::start(), tempfile::tempdir().unwrap());
    let (log, address) = (folder.path().join("log"), free_address());
    redis.kill();
    let mut server = start_with(&redis.url(), &address, &log);
    let said = || fs::read_to_string(&log).unwrap_or_default();
    wait_until("it says that it waits", || said().contains("This server waits for it"));
    let mut told = String::new();
    TcpStream::connect(&address).unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("A waits for its store"), "{told}");
    redis.restart();
    wait_until("it serves", || {
        Client::try_connect(&address)
            .and_then(|mut client| client.try_ask(&json!({"balance": {}})))
            .is_some_and(|reply| reply["balance"] == json!(100))
    });
    assert!(server.ended().is_none());
    let words = "nothing listens there (connection refused). Does Redis run there?";
    assert_eq!(said().matches(words).count(), 1, "{}", said());
    assert!(said().contains("the store that was waited for is there"), "{}", said());
}

#[test]
fn a_name_that_nobody_knows_yet_and_a_redis_that_hangs_are_waited_for_until_a_signal_comes() {
    let folder = tempfile::tempdir().unwrap();
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("redis://{}", silent.local_addr().unwrap());
    for (redis, says) in [
        ("redis://no-such-host.invalid", "can't be reached: Redis at no-such-host.invalid:6379"),
        (silent.as_str(), "no answer within 300 ms"),
    ] {
        let log = folder.path().join("log");
        let mut server = start_with(redis, &free_address(), &log);
        let said = || fs::read_to_string(&log).unwrap_or_default();
        wait_until("it says that it waits", || said().contains("This server waits for it"));
        assert!(said().contains(says) && server.ended().is_none(), "{}", said());
        server.signal("TERM").unwrap();
        wait_until("it ends", || server.ended().is_some());
        assert_eq!(server.ended().unwrap().code(), Some(0));
        assert!(said().ends_with("SIGTERM: ended before it served\n"), "{}", said());
        fs::remove_file(&log).unwrap();
    }
}

/// What waiting can't mend ends a server, whether or not it has waited before.
#[test]
fn a_wrong_password_ends_a_server_that_has_waited() {
    let (mut redis, folder) = (TestRedis::start(), tempfile::tempdir().unwrap());
    let log = folder.path().join("log");
    redis.kill();
    let url = format!("redis://:wrong@127.0.0.1:{}", redis.port());
    let mut server = start_with(&url, &free_address(), &log);
    let said = || fs::read_to_string(&log).unwrap_or_default();
    wait_until("it says that it waits", || said().contains("This server waits for it"));
    redis.restart_with(&["--requirepass", "right"], 0);
    wait_until("it ends", || server.ended().is_some());
    assert_eq!(server.ended().unwrap().code(), Some(1));
    assert!(said().contains("stopped: ") && said().contains("the password is wrong"), "{}", said());
}
