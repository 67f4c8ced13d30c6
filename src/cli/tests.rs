//! The command line as a whole; single values are tested beside their parsers.

use super::*;
use paxos_banking::bank::amount::Amount;

fn parse_words(line: &str) -> Result<Config, clap::Error> {
    parse(std::iter::once("paxos-banking").chain(line.split_whitespace()), Environment::default())
}

fn server(line: &str) -> Server {
    match parse_words(&format!("server {line}")) {
        Ok(Config::Server(server)) => *server,
        other => panic!("{line}: {other:?}"),
    }
}

fn client(line: &str) -> Options {
    match parse_words(&format!("client {line}")) {
        Ok(Config::Client(client, _)) => client,
        other => panic!("{line}: {other:?}"),
    }
}

fn error(line: &str) -> String {
    let error = parse_words(line).expect_err(line);
    assert_eq!(error.exit_code(), 2, "{line}");
    error.to_string()
}

#[test]
fn the_definition_of_the_flags_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn an_id_is_all_that_a_server_needs() {
    let server = server("--id B");
    assert_eq!(server.node.id.as_str(), "B");
    assert_eq!(
        server.node.cluster.values().collect::<Vec<_>>(),
        ["127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"]
    );
    assert_eq!(server.node.listen, "127.0.0.1:8002");
    assert_eq!(server.redis, "redis://127.0.0.1:6379");
    assert_eq!(server.node.opening_balance.units(), 100);
    assert!(!server.redis_options.allow_weak && server.redis_options.copies == 0);
    assert_eq!((server.node.timings.settle_every, server.node.settle_at), (None, None));
    assert!(!server.node.always_paxos && !server.node.allow_fault_injection);
    assert!(!server.node.issuing);
}

/// Compares the help's defaults with the library's, which are written down separately.
#[test]
fn the_default_times_are_those_of_the_library() {
    let server = server("--id A");
    assert_eq!(server.node.timings, Timings::default());
    assert_eq!(client("--id A").timeout, client::DEFAULT_TIMEOUT);
    assert_eq!(client("--id A").give_up_after, client::DEFAULT_GIVE_UP_AFTER);
}

#[test]
fn an_id_is_all_that_a_client_needs() {
    let client = client("--id C");
    assert_eq!(client.address, "127.0.0.1:8003");
    assert!(client.commands.is_empty() && !client.json);
    assert_eq!(client.give_up_after, Duration::from_secs(15));
}

#[test]
fn a_client_may_name_its_session() {
    assert_eq!(client("--id A").session, None);
    let named = client("--id A --session invoices --last 17").session.expect("it is named");
    assert_eq!((named.name.to_string().as_str(), named.last), ("invoices", Some(17)));
    assert_eq!(client("--id A --session x").session.expect("it is named").last, None);
}

#[test]
fn one_time_alone_stretches_or_shortens_the_other() {
    let seconds = |line: &str| {
        let client = client(line);
        (client.timeout.as_secs(), client.give_up_after.as_secs())
    };
    assert_eq!(seconds("--id A --give-up-after 1s"), (1, 1));
    assert_eq!(seconds("--id A --timeout 20s"), (20, 20));
    assert_eq!(seconds("--id A --give-up-after 3s"), (2, 3));
    assert_eq!(seconds("--id A --give-up-after 7s --timeout 7s"), (7, 7));
}

#[test]
fn a_command_may_be_typed_in_plain_words() {
    let whole = client("--id A transfer B 30 --settled --json");
    assert_eq!((whole.commands, whole.json), (vec!["transfer B 30 --settled".to_owned()], true));
    assert_eq!(client("--id A --json balance").commands, ["balance"]);
}

#[test]
fn what_a_shell_has_taken_the_quotes_off_is_quoted_again() {
    let words =
        ["paxos-banking", "client", "--id", "A", "transfer", "B", "30", "--for", "invoice 17"];
    match parse(words, Environment::default()) {
        Ok(Config::Client(client, _)) => {
            assert_eq!(client.commands, ["transfer B 30 --for \"invoice 17\""]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_can_be_set() {
    let server = server(
        "--id north --cluster north=n:1,south=s:2 --listen 0.0.0.0:1 --redis redis://r:1/2 \
         --opening-balance 7 --allow-weak-redis --back-off 1ms --redis-timeout 1m \
         --settle-every 30s --settle-at 1000 --always-paxos --allow-fault-injection \
         --access open --let-everybody-debit --issuing",
    );
    assert_eq!(server.node.listen, "0.0.0.0:1");
    assert_eq!((server.redis.as_str(), server.node.opening_balance.units()), ("redis://r:1/2", 7));
    assert!(server.redis_options.allow_weak);
    assert_eq!(server.node.timings.back_off, Duration::from_millis(1));
    assert_eq!(server.redis_options.timeout, Duration::from_secs(60));
    assert_eq!(server.node.timings.settle_every, Some(Duration::from_secs(30)));
    assert_eq!(server.node.settle_at, Some(1_000));
    assert!(server.node.always_paxos && server.node.allow_fault_injection && server.node.issuing);
}

#[test]
fn a_client_that_is_told_where_to_connect_needs_no_cluster() {
    assert_eq!(client("--id north --connect bank:1 -c log -c chain").commands, ["log", "chain"]);
    assert!(error("client --id north").contains("not in the cluster"));
}

#[test]
fn errors_say_what_was_wrong_and_what_is_right() {
    for (line, parts) in [
        ("server", vec!["--id"]),
        ("server --id D", vec!["server D is not in the cluster", "A, B, C", "--cluster"]),
        ("server --id A/x", vec!["--id", "1 to 16 letters"]),
        ("client --id A --last 3", vec!["--session <NAME>"]),
        ("client --id A --session a.b", vec!["--session", "1 to 64 letters"]),
        ("client --id A --session a --last -1", vec!["--last", "from 0 to 9007199254740991"]),
        ("server --id A --cluster A=h:1,A=h:2", vec!["server A is there twice"]),
        ("server --id A --listen h:0", vec!["port 0"]),
        ("server --id A --redis r:1", vec!["--redis", "redis://HOST:PORT"]),
        ("server --id A --heartbeat 0s", vec!["--heartbeat", "at least 1ms"]),
        ("server --id A --repeat 5", vec!["--repeat", "unit is missing"]),
        ("server --id A --gather 5s", vec!["--gather", "shorter than --unavailable-after"]),
        ("server --id A --silence 500ms", vec!["--heartbeat", "shorter than --silence"]),
        ("server --id A --settle-every 0s", vec!["--settle-every", "at least 1ms"]),
        ("server --id A --settle-every 30", vec!["--settle-every", "unit is missing"]),
        ("server --id A --settle-at 0", vec!["--settle-at", "from 1 to 4000000"]),
        ("server --id A --settle-at 1s", vec!["--settle-at", "from 1 to 4000000"]),
        ("server --id A --opening-balance -1", vec!["-1", "whole number of units from 0"]),
        ("server --id A --opening-balance 1.5", vec!["whole number"]),
        ("play demo.txt --opening-balance -1", vec!["-1", "whole number of units from 0"]),
        (
            "client --id A --timeout 1m --give-up-after 1s",
            vec!["--timeout", "not be longer than --give-up-after"],
        ),
        ("client --id A -c log balance", vec!["--command", "cannot be used with"]),
        ("client --id A --jsn balance", vec!["--json"]),
    ] {
        let message = error(line);
        for part in parts {
            assert!(message.contains(part), "{line}: {message}");
        }
    }
}

#[test]
fn all_opening_balances_together_fit_into_one_amount() {
    let third = Amount::MAX.units() / 3;
    let fits = server(&format!("--id A --opening-balance {third}"));
    assert_eq!(fits.node.opening_balance.units(), third);
    let message = error(&format!("server --id A --opening-balance {}", third + 1));
    assert!(message.contains(&format!("{third} each is the most")), "{message}");
    // What may be issued needs room, too.
    let message = error(&format!("server --id A --issuing --opening-balance {third}"));
    assert!(message.contains("each is the most"), "{message}");
}

#[test]
fn copies_are_not_for_a_redis_that_need_not_keep_anything() {
    assert_eq!(server("--id A --redis-copies 2").redis_options.copies, 2);
    assert_eq!(server("--id A --redis-copies 0 --allow-weak-redis").redis_options.copies, 0);
    let error = error("server --id A --redis-copies 1 --allow-weak-redis");
    assert!(error.contains("waits for 2 disks"), "{error}");
}

#[cfg(feature = "manual")]
#[test]
fn each_command_has_a_page_and_its_flags_are_completed() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    write_pages(&pages).unwrap();
    for command in Arguments::command().get_subcommands() {
        let page = pages.join(format!("paxos-banking-{}.1", command.get_name()));
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{text}");
    }
    assert!(!pages.join("paxos-banking-help.1").exists());
    for shell in ["bash", "fish", "zsh"] {
        match parse_words(&format!("completions {shell}")) {
            Ok(Config::Print(text)) => {
                assert!(
                    ["settle-every", "upgrade", "issuing"].iter().all(|flag| text.contains(flag)),
                    "{shell}: {text}"
                );
            }
            other => panic!("{shell}: {other:?}"),
        }
    }
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(write_pages(&file.join("below")).unwrap_err().contains("below"));
}
