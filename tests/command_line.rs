//! The command line of the binary: its help, its errors, its exit statuses. No server is needed.

mod support;

use std::net::TcpListener;
use std::path::Path;

use assert_cmd::Command;
use assert_cmd::assert::Assert;

fn paxos_banking(arguments: &[&str]) -> Assert {
    Command::new(env!("CARGO_BIN_EXE_paxos-banking")).args(arguments).assert()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn help_is_asked_for_and_so_goes_to_stdout_with_status_0() {
    for (arguments, parts) in [
        (vec!["--help"], vec!["server", "client", "Usage"]),
        (vec!["help", "client"], vec!["--id", "--json", "-c", "Exit status"]),
        (vec!["help", "server"], vec!["--settle-every <TIME>", "--settle-at <ENTRIES>"]),
        (vec!["help", "audit"], vec!["--redis <URL>", "--server <ID=HOST:PORT>", "Exit status"]),
        (vec!["help", "export"], vec!["--csv", "--output <FILE>", "Exit status"]),
        (vec!["--version"], vec![env!("CARGO_PKG_VERSION"), "commit ", "store format 7"]),
    ] {
        let assert = paxos_banking(&arguments).success().stderr("");
        for part in parts {
            assert!(stdout(&assert).contains(part), "{arguments:?}: {part}");
        }
    }
}

/// Every flag is explained, and those that may be left away say what holds then.
#[test]
fn help_tells_each_flags_default() {
    for command in ["server", "client"] {
        let help = stdout(&paxos_banking(&[command, "--help"]).success());
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in words.split(" --").skip(1) {
            let optional_value = part.contains('<') && !part.starts_with("id ");
            let repeatable = part.starts_with("command ");
            if optional_value && !repeatable && !part.starts_with("help") {
                assert!(part.contains("[default: "), "{command}: --{part}");
            }
        }
    }
}

#[test]
fn wrong_usage_goes_to_stderr_with_status_2() {
    for (arguments, part) in [
        (vec![], "Usage"),
        (vec!["serve", "--id", "A"], "similar subcommand exists: 'server'"),
        (vec!["server"], "--id <ID>"),
        (vec!["server", "--id", "Z"], "server Z is not in the cluster, which has A, B, C"),
        (vec!["server", "--id", "A", "--cluster", "A=h:1,B=h:1"], "have the same address"),
        (vec!["server", "--id", "A", "--redial", "0s"], "at least 1ms"),
        (vec!["server", "--id", "A", "--redis", "localhost"], "redis://HOST:PORT"),
        (vec!["server", "--id", "A", "--opening-balance", "9007199254740991"], "each is the most"),
        (vec!["server", "--id", "A", "--settle-every", "5"], "unit is missing"),
        (vec!["server", "--id", "A", "--settle-at", "0"], "from 1 to 4000000"),
        (
            vec!["server", "--id", "A", "--cluster", "A=h:1,B=h:2", "--rejoin"],
            "--rejoin is refused: in a bank of 2 the others are 1, and 2 have to agree",
        ),
        (vec!["client", "--id", "A", "--timeout", "1"], "unit is missing"),
        (
            vec!["server", "--id", "A", "--trace", "/no/where/A.jsonl"],
            "--trace /no/where/A.jsonl: it",
        ),
        (vec!["server", "--id", "A", "--trace", "/"], "--trace /: it can't be written"),
        (
            vec!["client", "--id", "b"],
            "use one of these as --id, or set --cluster; did you mean B?",
        ),
        (vec!["server", "--id", "b"], "did you mean B?"),
        (vec!["audit"], "there is nothing to audit: name a Redis by --redis URL"),
        (vec!["audit", "--redis", "localhost"], "redis://HOST:PORT"),
        (vec!["audit", "redis://h:1"], "it goes with --redis"),
        (vec!["audit", "--redis", "redis://h:1?db=3"], "?db= would be ignored"),
        (vec!["export", "--redis", "redis://h/one"], "a database's number"),
        (vec!["play", "f", "--redis", "rediss://h"], "rediss:// is TLS"),
        (vec!["server", "--id", "A", "--redis", "redis://u@h"], "names a user and no password"),
        (
            vec!["server", "--id", "A", "--redis-password-file", "/no/where"],
            "/no/where: it can't be read",
        ),
        (vec!["audit", "--server", "A"], "is not ID=HOST:PORT"),
        (vec!["audit", "--server", "127.0.0.1:8001"], "is not ID=HOST:PORT"),
        (vec!["audit", "--id", "A"], "--redis <URL>"),
        (vec!["audit", "--redis", "redis://h:1", "--id", "A/x"], "is not a server id"),
        (vec!["audit", "f", "--timeout", "5"], "unit is missing"),
        (vec!["audit", "f", "--jsn"], "a similar argument exists: '--json'"),
        (vec!["export"], "--redis <URL>"),
        (vec!["export", "--redis", "redis://h:1", "--id", "A,B"], "is not a server id"),
        (vec!["export", "--redis", "redis://h:1", "--json"], "unexpected argument '--json'"),
        (vec!["client", "--id", "A", "blance"], "did you mean balance?"),
        (vec!["server", "--id", "A", "--opening-balance", "-5"], "a whole number of units"),
        (vec!["server", "--id", "A", "--settle-at", "-5"], "from 1 to 4000000"),
    ] {
        let assert = paxos_banking(&arguments).code(2).stdout("");
        assert!(stderr(&assert).contains(part), "{arguments:?}: {}", stderr(&assert));
    }
}

#[test]
fn a_server_whose_store_is_not_fit_says_so_and_ends_with_status_1() {
    let weak = support::redis::TestRedis::start_with(&["--appendonly", "no"]);
    let cluster = format!("A={}", nobody());
    let start = ["server", "--id", "A", "--cluster", &cluster, "--redis", &weak.url()];
    let assert = paxos_banking(&start).code(1).stdout("");
    let said = stderr(&assert);
    assert!(said.contains("stopped: ") && said.contains("appendonly"), "{said}");
}

#[test]
fn what_cannot_be_read_is_said_and_ends_with_status_3() {
    let (redis, server) = (format!("redis://{}", nobody()), format!("A={}", nobody()));
    let patience = ["--timeout", "300ms"];
    for arguments in [vec!["--redis", &redis], vec!["--server", &server], vec!["/nowhere/at/all"]] {
        let assert = paxos_banking(&[&["audit"], &patience[..], &arguments].concat()).code(3);
        let said = stdout(&assert);
        let named = arguments.last().unwrap().trim_start_matches("redis://").replace("A=", "");
        assert!(said.contains(&named) && said.contains("not all could be read"), "{said}");
    }
    let assert = paxos_banking(&["export", "--redis", &redis, "--timeout", "300ms"]).code(3);
    assert!(stderr(&assert.stdout("")).contains("Redis at 127.0.0.1"));
}

/// Whatever is wrong with it, a Redis's password isn't repeated.
#[test]
fn a_password_is_never_shown() {
    let at = format!("127.0.0.1:{}", nobody().rsplit(':').next().unwrap());
    let urls = [
        format!("redis://:secret@{at}"),
        format!("redis://:secret@{at}?db=3"),
        format!("redis://:secret@{at}/x"),
        format!("rediss://:secret@{at}"),
        format!("http://:secret@{at}"),
        format!("redis://:secret@{at}#x"),
        "redis://:secret@:1".to_owned(),
        "redis://:secret@h:99999".to_owned(),
        ":secret@h:1".to_owned(),
    ];
    let file = "tests/scenarios/demo.txt";
    let commands: [&[&str]; 4] =
        [&["server", "--id", "A"], &["audit"], &["export"], &["play", file]];
    for url in &urls {
        for command in commands {
            // A server waits for a Redis that may come.
            if command[0] == "server" && *url == urls[0] {
                continue;
            }
            let by_flag = paxos_banking(&[command, &["--redis", url]].concat()).failure();
            let mut program = Command::new(env!("CARGO_BIN_EXE_paxos-banking"));
            let by_variable =
                program.args(command).env("PAXOS_BANKING_REDIS", url).assert().failure();
            for assert in [by_flag, by_variable] {
                let said = stdout(&assert) + &stderr(&assert);
                assert!(!said.contains("secret") && !said.is_empty(), "{command:?} {url}: {said}");
                let sentences = said.replace("]...", "").replace(">...", "");
                assert!(!sentences.contains("..") && !said.contains("os error"), "{said}");
            }
        }
        let assert = paxos_banking(&["audit", url]).failure();
        assert!(!stderr(&assert).contains("secret") || url.starts_with(':'), "{}", stderr(&assert));
    }
}

#[test]
fn a_server_whose_address_is_taken_says_so_and_ends_with_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let assert = paxos_banking(&["server", "--id", "A", "--cluster", &format!("A={address}")]);
    assert!(stderr(&assert.code(1)).contains(&address));
}

#[test]
fn a_client_that_nobody_answers_ends_with_status_3() {
    let patience = ["--timeout", "50ms", "--give-up-after", "200ms"];
    let arguments =
        [&["client", "--id", "A", "--connect", &nobody(), "-c", "balance"], &patience[..]];
    paxos_banking(&arguments.concat()).code(3);
}

/// Runs a script of the repository's.
fn script(name: &str, arguments: &[&str]) -> Assert {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).args(arguments).assert()
}

#[test]
fn run_sh_explains_itself_and_refuses_what_it_does_not_know() {
    let help = stdout(&script("run.sh", &["help"]).success());
    for command in ["demo", "start ID", "kill ID", "client ID", "status", "down", "clean", "test"] {
        assert!(help.contains(&format!("./run.sh {command}")), "{command}");
    }
    assert!(stderr(&script("run.sh", &["dance"]).code(2)).contains("'dance' is not a command"));
    assert!(stderr(&script("run.sh", &["start"]).code(2)).contains("A B C"));
}

#[test]
fn run_sh_tells_of_dev_sh_and_passes_on_what_is_its() {
    let help = stdout(&script("run.sh", &["help"]).success());
    let of_developers = stdout(&script("dev.sh", &["help"]).success());
    assert!(help.contains("in ./dev.sh"), "{help}");
    for command in ["bench", "simulate", "chaos", "fuzz", "stores"] {
        assert!(help.contains(command), "{command}");
        assert!(of_developers.contains(&format!("./dev.sh {command} ")), "{command}");
    }
    assert!(stderr(&script("dev.sh", &["dance"]).code(2)).contains("'dance' is not a command"));
    for (arguments, says) in [
        (&["simulate", "--seeds", "many"][..], "simulate --seeds takes a number"),
        (&["chaos", "soon"], "chaos --minutes N [--seed S]"),
        (&["fuzz"], "fuzz TARGET|all --minutes N"),
    ] {
        for name in ["run.sh", "dev.sh"] {
            let said = stderr(&script(name, arguments).code(2));
            assert!(said.contains(says), "{name} {arguments:?}: {said}");
        }
    }
}
