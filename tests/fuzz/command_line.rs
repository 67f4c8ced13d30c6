//! What the program is started with.

use crate::cli::{Config, Environment, parse};
use crate::samples::COMMAND_LINES;
use crate::target::{Heard, LONGEST_ERROR, Target};
use paxos_banking::audit::backup::Order;
use paxos_banking::audit::export::From;
use paxos_banking::relay::Outlet;

pub struct CommandLine;

impl Target for CommandLine {
    fn name(&self) -> &'static str {
        "command-line"
    }

    fn executions(&self) -> usize {
        12_000
    }

    /// A word a line.
    fn samples(&self) -> Vec<Vec<u8>> {
        COMMAND_LINES.iter().map(|line| line.as_bytes().to_vec()).collect()
    }

    fn read(&self, input: &[u8], heard: &Heard) {
        let text = String::from_utf8_lossy(input);
        let words = std::iter::once("paxos-banking").chain(text.split('\n'));
        match parse(words, Environment::default()) {
            Ok(Config::Server(server)) => {
                assert!(server.node.cluster.contains_key(&server.node.id));
                assert!(!server.redis.is_empty() && !server.redis_options.timeout.is_zero());
                heard.accepted("a server");
            }
            Ok(Config::Client(options, _)) => {
                assert!(options.timeout <= options.give_up_after && !options.address.is_empty());
                heard.accepted("a client");
            }
            Ok(Config::Play(options)) => {
                assert!(!options.patience.is_zero() && options.redis != Some(String::new()));
                heard.accepted("a play");
            }
            Ok(Config::Diagram(diagram)) => {
                assert!(!diagram.inputs.is_empty());
                heard.accepted("a diagram");
            }
            Ok(Config::Audit(options)) => {
                let (redis, servers) = (options.redis.len(), options.servers.len());
                assert!(redis + servers + options.files.len() > 0);
                assert!(redis > 0 || options.ids.is_empty());
                heard.accepted("an audit");
            }
            Ok(Config::Export(options)) => {
                if let From::Store { redis, timeout, .. } = options.from {
                    assert!(!redis.is_empty() && !timeout.is_zero());
                }
                heard.accepted("an export");
            }
            Ok(Config::Relay(options)) => {
                assert!(!options.server.address.is_empty());
                if let Outlet::Stream { url, key, .. } = options.to {
                    assert!(!url.is_empty() && !key.is_empty());
                }
                heard.accepted("a relay");
            }
            Ok(Config::Backup(order)) => {
                let folder = match order {
                    Order::Take(options) => {
                        assert!(!options.redis.is_empty() && !options.timeout.is_zero());
                        options.folder
                    }
                    Order::Verify(folder) => folder,
                };
                assert!(!folder.as_os_str().is_empty());
                heard.accepted("a backup");
            }
            #[cfg(feature = "http")]
            Ok(Config::Web(options)) => {
                assert!(!options.listen.is_empty());
                assert!(!options.servers.is_empty() || !options.traces.is_empty());
                heard.accepted("a page");
            }
            Ok(Config::Checked(checked)) => {
                assert!(checked.text.starts_with("file: "));
                heard.accepted("a check of what is set");
            }
            #[cfg(feature = "manual")]
            Ok(Config::Print(text)) => {
                assert!(text.contains("paxos-banking"));
                heard.accepted("completions");
            }
            #[cfg(feature = "manual")]
            Ok(Config::Man(folder)) => {
                assert!(!folder.as_os_str().is_empty());
                heard.accepted("man pages");
            }
            Ok(Config::Mend(options)) => {
                assert!(!options.folder.as_os_str().is_empty());
                heard.accepted("a mending");
            }
            Ok(Config::Upgrade(options)) => {
                assert!(!options.redis.is_empty() && !options.timeout.is_zero());
                heard.accepted("an upgrade");
            }
            Ok(Config::Key(file)) => {
                assert!(!file.as_os_str().is_empty());
                heard.accepted("a key");
            }
            Ok(Config::Tunnel(options)) => {
                assert!(!options.listen.is_empty() && !options.connect.is_empty());
                heard.accepted("a tunnel");
            }
            Err(asked) if !asked.use_stderr() => heard.accepted("help"),
            // It repeats what was typed, which may be long; who typed it has seen that already.
            Err(error) => {
                let error = error.to_string();
                heard.refused(&error.chars().take(LONGEST_ERROR / 4).collect::<String>());
            }
        }
    }

    fn marks(&self) -> &'static [&'static str] {
        &[
            "a server",
            "a client",
            "a play",
            "a diagram",
            "an audit",
            "an export",
            "a backup",
            "a mending",
            "an upgrade",
            "help",
            "unrecognized subcommand",
            "unexpected argument",
            "required arguments were not provided",
            "invalid value",
            "cannot be used multiple times",
            "is not in the cluster",
            "a value is required",
            "is not a server id",
            "is not ID=HOST:PORT",
            "unit is missing",
            "an amount is",
            "have the same address",
            "is not the URL of a Redis",
            "it goes with",
        ]
    }
}
