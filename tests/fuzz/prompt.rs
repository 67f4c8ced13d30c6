//! What people type at the prompt.

use paxos_banking::bank::ids::AccountId;
use paxos_banking::bank::request::Request;
use paxos_banking::client::commands::Command;
use paxos_banking::client::parse::parse;
use paxos_banking::wire::{Tag, encode_request, parse_request};

use crate::machine::bank_of_three::id;
use crate::samples::COMMANDS;
use crate::target::{Heard, Target};

pub struct Prompt;

impl Target for Prompt {
    fn name(&self) -> &'static str {
        "prompt"
    }

    fn executions(&self) -> usize {
        30_000
    }

    fn samples(&self) -> Vec<Vec<u8>> {
        COMMANDS.iter().map(|command| command.as_bytes().to_vec()).collect()
    }

    fn read(&self, input: &[u8], heard: &Heard) {
        let home = AccountId::of(&id("A"));
        let text = String::from_utf8_lossy(input);
        for line in text.lines() {
            let request = match parse(line, &home) {
                Err(error) => {
                    heard.refused(&error);
                    assert!(!error.contains(char::is_control), "an error for one line: {error:?}");
                    continue;
                }
                Ok(None) => continue,
                Ok(Some(Command::Page(page))) => {
                    let again = parse(&page.to_string(), &home);
                    assert_eq!(again, Ok(Some(Command::Page(page))), "typed again");
                    heard.accepted("a page");
                    continue;
                }
                Ok(Some(Command::One(instruction))) => Request::One(instruction),
                Ok(Some(Command::Batch(all))) => Request::Batch(all),
                Ok(Some(Command::Chain { from, to })) => Request::Chain { from, to },
                Ok(Some(other)) => {
                    heard.accepted(
                        format!("{other:?}").split(['(', ' ']).next().unwrap_or_default(),
                    );
                    continue;
                }
            };
            heard.accepted(if matches!(request, Request::Batch(_)) { "several" } else { "one" });
            let line = encode_request(7, &request);
            let read = parse_request(line.trim_end().as_bytes(), &home);
            assert_eq!(read, Ok((Some(Tag::Number(7)), request)), "as a request: {line}");
        }
    }

    fn marks(&self) -> &'static [&'static str] {
        &[
            "a page",
            "several",
            "one",
            "Balance",
            "More",
            "Log",
            "Status",
            "Settle",
            "Help",
            "Quit",
            "Block",
            "AllBalances",
            "Watch",
            "Again",
            "could be",
            "TIMES is",
            "unknown command ; did you mean",
            "unknown command ; the commands are",
            "expected: (FROM",
            "expected: transfer",
            "expected: open",
            "part :",
            "is not known here",
            "--wait:",
            "a limit is a whole number",
            "a height is a whole number",
            "must not be below",
            ", alone",
            "--before takes",
            "an amount to pay is",
        ]
    }
}
