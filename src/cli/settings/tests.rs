//! What the environment and a file say, as the program is started.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::cli::{Config, Environment, Server, parse};

/// A file's text, and variables.
struct Setting {
    folder: TempDir,
    variables: BTreeMap<String, String>,
}

impl Setting {
    fn new(text: &str, variables: &[(&str, &str)]) -> Setting {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), text).unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| (format!("PAXOS_BANKING_{name}"), value.to_string()));
        Setting { folder, variables: variables.collect() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("config.toml")
    }

    /// Starts the program; FILE stands for the file.
    fn parse(&self, line: &str) -> Result<Config, clap::Error> {
        let line = line.replace("FILE", &self.file().display().to_string());
        let environment = Environment {
            keys: Some(self.folder.path().to_owned()),
            variables: self.variables.clone(),
            ..Environment::default()
        };
        let words = line.split_whitespace().map(str::to_owned);
        parse(std::iter::once("paxos-banking".to_owned()).chain(words), environment)
    }

    fn server(&self, line: &str) -> Server {
        match self.parse(line) {
            Ok(Config::Server(server)) => *server,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error(&self, line: &str) -> String {
        let error = self.parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        error.to_string()
    }

    fn checked(&self) -> (bool, String) {
        match self.parse("config check --config FILE") {
            Ok(Config::Checked(checked)) => (checked.good, checked.text),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_command_line_comes_before_the_environment() {
    let set = [("SETTLE_AT", "7"), ("ID", "B"), ("UPGRADE", "yes"), ("ISSUING", "yes")];
    let setting = Setting::new("", &set);
    let server = setting.server("server");
    assert_eq!((server.node.id.as_str(), server.node.settle_at), ("B", Some(7)));
    assert!(server.redis_options.upgrade && server.node.issuing);
    let server = setting.server("server --id C --settle-at=8");
    assert_eq!((server.node.id.as_str(), server.node.settle_at), ("C", Some(8)));
    // An empty variable is as good as none.
    let none = Setting::new("", &[("SETTLE_AT", ""), ("UPGRADE", "0")]).server("server --id A");
    assert_eq!((none.node.settle_at, none.redis_options.upgrade), (None, false));
}

#[test]
fn words_of_a_command_are_no_flags() {
    // What stands behind -- is no flag.
    let setting = Setting::new("", &[("ID", "A"), ("TIMEOUT", "1s")]);
    match setting.parse("client -- balance --timeout") {
        Ok(Config::Client(options, _)) => {
            assert_eq!(options.timeout, std::time::Duration::from_secs(1));
        }
        other => panic!("{other:?}"),
    }
}

/// Which of several stores, or files, is meant differs from one call to the next.
#[test]
fn what_holds_for_all_commands_is_not_for_flags_that_may_be_repeated() {
    let setting = Setting::new("", &[("ID", "A"), ("ARCHIVE", "x")]);
    match setting.parse("audit blocks.jsonl") {
        Ok(Config::Audit(options)) => {
            assert!(options.ids.is_empty() && options.archives.is_empty())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_variable_gives_way_to_a_flag_that_it_can_not_stand_beside() {
    let cluster = "A=127.0.0.1:1,B=127.0.0.1:2";
    let setting = Setting::new("", &[("CLUSTER", cluster)]);
    let joins = "server --id D --join A=127.0.0.1:1 --listen 127.0.0.1:4";
    assert!(setting.server(joins).node.join);
    let setting = Setting::new("", &[("KEY", "k")]);
    assert!(setting.parse("client --id A --plain balance").is_ok());
}

#[cfg(feature = "config-file")]
#[test]
fn the_environment_comes_before_the_file() {
    let text = "settle-at = 5\n[server]\nid = 'B'\nheartbeat = '100ms'\nupgrade = true\n";
    let setting = Setting::new(text, &[("HEARTBEAT", "200ms")]);
    let server = setting.server("server --config FILE");
    assert_eq!((server.node.id.as_str(), server.node.settle_at), ("B", Some(5)));
    assert_eq!(server.node.timings.heartbeat.as_millis(), 200);
    assert!(server.redis_options.upgrade);
    // What holds for one command comes before what holds for all.
    let text = "settle-at = 5\n[server]\nsettle-at = 6\n";
    let server = Setting::new(text, &[]).server("--config=FILE server --id A");
    assert_eq!(server.node.settle_at, Some(6));
}

#[cfg(feature = "config-file")]
#[test]
fn the_user_s_own_file_is_for_clients() {
    let setting = Setting::new("cluster = 'Q=127.0.0.1:1'\n", &[]);
    assert!(matches!(setting.parse("client --id Q balance"), Ok(Config::Client(..))));
    let error = setting.error("server --id Q");
    assert!(error.contains("server Q is not in the cluster"), "{error}");
    // An empty name is no file.
    let none = Setting::new("cluster = 'Q=127.0.0.1:1'\n", &[("CONFIG", "")]);
    assert!(none.error("client --id Q balance").contains("not in the cluster"));
}

#[cfg(feature = "config-file")]
#[test]
fn what_is_wrong_in_a_file_is_said_with_its_name() {
    let cases = [
        ("settle-evry = 1", "settle-evry is no flag; did you mean settle-every?"),
        ("[server]\nsettle_at = 1", "[server] settle_at is no flag; did you mean settle-at?"),
        ("[client]\nsettle-at = 1", "[client] settle-at is no flag"),
        ("[srver]\nid = 'A'", "srver is no command: server, client"),
        ("[server]\nrejoin = true", "rejoin is said on the command line only"),
        ("[server]\nsettle-at = 1.5", "[server] settle-at is a float"),
        ("a = [1\n", "line 1: "),
        ("[server]\nupgrade = 'maybe'", "upgrade is true or false, not \"maybe\""),
        (
            "[server]\nheartbeat = 'soon'",
            "sets this: invalid value 'soon' for '--heartbeat <TIME>'",
        ),
    ];
    for (text, says) in cases {
        let setting = Setting::new(text, &[]);
        let error = setting.error("server --id A --config FILE");
        assert!(error.contains(says) && error.contains("config.toml"), "{text}: {error}");
    }
    let setting = Setting::new("", &[("HEARTBEAT", "soon")]);
    let error = setting.error("server --id A");
    assert!(error.contains("PAXOS_BANKING_HEARTBEAT sets this: invalid value 'soon'"), "{error}");
    let error = setting.error("server --config FILE.none --id A");
    assert!(error.contains("config.toml.none: "), "{error}");
}

#[cfg(feature = "config-file")]
#[test]
fn a_check_lists_what_is_set_by_what() {
    let text = "cluster = 'A=127.0.0.1:1'\n[server]\nsettle-at = 5\nredis = 'redis://:secret@h'\n";
    let setting = Setting::new(text, &[("ID", "A"), ("SETLE_AT", "1")]);
    let (good, said) = setting.checked();
    assert!(good, "{said}");
    for line in ["--settle-at=5 (by ", "--id=A (by PAXOS_BANKING_ID)", "SETLE_AT sets no flag"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(said.contains("--redis (by ") && !said.contains("secret"), "{said}");
    let (good, said) = Setting::new("[server]\nsettle-at = 5\n", &[]).checked();
    assert!(good && said.contains("and on the command line: --id <ID>"), "{said}");
    // What only the flags together get wrong, too.
    let text = "[server]\nid = 'A'\nheartbeat = '20s'\n";
    let (good, said) = Setting::new(text, &[]).checked();
    assert!(!good && said.contains("--heartbeat (20s) must be shorter"), "{said}");
}
