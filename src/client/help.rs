//! The help: what the commands are. Pure.

use std::fmt::Write;

/// A command, as the help explains it.
#[derive(Debug, PartialEq, Eq)]
pub struct Topic {
    /// The command's first word.
    pub word: &'static str,
    /// The whole line.
    pub(super) usage: &'static str,
    /// What it does, in a few words.
    does: &'static str,
    /// What else there is to know.
    more: &'static str,
    /// Lines that can be typed.
    examples: &'static [&'static str],
}

impl Topic {
    /// Says what is expected of a line that begins with this command and goes on wrongly.
    pub(super) fn expected(&self) -> String {
        match self.examples {
            _ if self.usage == self.word => format!("expected: {}, alone", self.word),
            examples => {
                format!("expected: {}, such as: {}", self.usage, examples[examples.len() - 1])
            }
        }
    }
}

const fn topic(
    usage: [&'static str; 2],
    does: &'static str,
    more: &'static str,
    examples: &'static [&'static str],
) -> Topic {
    Topic { word: usage[0], usage: usage[1], does, more, examples }
}

/// All commands, in the order of the help.
pub const TOPICS: [Topic; 33] = [
    topic(
        ["transfer", "transfer [FROM] TO AMOUNT [--for TEXT] [--settled] [--wait TIME]"],
        "pay, from this server's own account or from another one",
        "(FROM, TO, AMOUNT) does the same. --for TEXT: what it is for, up to 64 characters, which the statements \
         show;\nin quotes, unless it is one word at the end. --settled: answer when it is in a block that a \
         majority holds.\n--wait TIME: if the money is missing, wait up to TIME for it before refusing.",
        &[
            "transfer B 30",
            "t A/alice B 30 --for \"invoice 17\" --settled",
            "transfer B 500 --wait 10s",
            "(A, B, 30)",
        ],
    ),
    topic(
        ["open", "open ACCOUNT [--key KEY] [--for TEXT] [--settled]"],
        "open an account, at home here",
        "At server A its name is A/NAME. It begins with a balance of 0.\n--key: the key of its owner, \
         who alone debits it in a bank with keys: its fingerprint, or a file\nwith the public key. \
         Without a key it is the operators'.",
        &["open A/alice", "open A/alice --key SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0"],
    ),
    topic(
        ["rekey", "rekey ACCOUNT KEY [--for TEXT] [--settled]"],
        "give an account another owner's key",
        "KEY is a fingerprint, or a file with the public key. The present key may do that, and an \
         operator.",
        &["rekey A/alice SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0"],
    ),
    topic(
        ["linked", "linked FROM TO AMOUNT, FROM TO AMOUNT, …"],
        "all of these or none",
        "open ACCOUNT and mint ACCOUNT AMOUNT may be among them; --settled and --wait TIME are for all,\n\
         --for TEXT for the part that it stands in.",
        &["linked open A/bob, A A/bob 20, A/bob B 5", "linked (A, B, 30), (A, C, 5)"],
    ),
    topic(
        ["batch", "batch FROM TO AMOUNT, FROM TO AMOUNT, …"],
        "each for itself, in one request",
        "open ACCOUNT and mint ACCOUNT AMOUNT may be among them; --settled and --wait TIME are for all,\n\
         --for TEXT for the part that it stands in.",
        &["batch A B 1, A C 2, open A/carol", "batch A B 1 --for \"May, June\", A C 2 --for rent"],
    ),
    topic(
        ["mint", "mint [ACCOUNT] AMOUNT [--for TEXT] [--settled]"],
        "issue money to an account, as an operator, in a bank founded with --issuing",
        "The account, or the server's own, then holds so much more, and so do all accounts together. One that has an\n\
         owner's key gets nothing so.",
        &["mint 500", "mint A/alice 30 --for \"cash desk\""],
    ),
    topic(
        ["burn", "burn [ACCOUNT] AMOUNT [--for TEXT] [--settled] [--wait TIME]"],
        "take money back from an account, as an operator, in a bank founded with --issuing",
        "The account, or the server's own, then holds so much less, and so do all accounts together. From one that has\n\
         an owner's key nothing is taken so.",
        &["burn 500", "burn A/alice 30 --for \"paid out\""],
    ),
    topic(
        ["again", "again"],
        "ask again for what ended as unknown",
        "The same request under the same name: if it has happened, it doesn't happen twice.",
        &["again"],
    ),
    topic(
        ["balance", "balance [ACCOUNT]"],
        "what an account holds, as this server knows it",
        "Another server's account may hold less: what it has paid since the last block\nis \
         known only at its home.",
        &["balance", "balance A/alice"],
    ),
    topic(
        ["balances", "balances [PREFIX] [LIMIT] [--after NAME], balances --all [PREFIX]"],
        "every account: in the chain, and with this server's log; --all: with every server's log",
        "--all asks every server of the bank and adds up the longest chain and all logs, without \
         consensus:\nwhat changes meanwhile may be missing, and it says who did not answer.",
        &["balances", "balances A/ 100", "balances --all"],
    ),
    topic(
        ["history", "history [ACCOUNT] [LIMIT] [--since TIME] [--before H.P.B]"],
        "an account's statement: what it got and paid, the newest first",
        "Each entry with its block, or \"in the log\", and the balance after it. --before goes on where a page \
         ended,\nas more does; the page says where that is: height, place in the block, balance.\n\
         --since shows what is not older: a date, a time in UTC, or an age, by the homes' clocks. It ends at a page\n\
         of nothing but older entries.",
        &[
            "history",
            "history A/alice 20",
            "history A --since 7d",
            "history A --since 2026-11-30T03:46",
            "history A 20 --before 7.3.50",
        ],
    ),
    topic(
        ["accounts", "accounts [PREFIX] [LIMIT] [--after NAME]"],
        "the accounts whose names begin with PREFIX",
        "--after goes on behind a name, as more does.",
        &["accounts", "accounts A/ 100", "accounts A/ 100 --after A/bob"],
    ),
    topic(["more", "more"], "the next page of history, accounts or balances", "", &["more"]),
    topic(
        ["log", "log [SERVER]"],
        "the entries that are in no block yet, of this server or of another one",
        "",
        &["log", "log B"],
    ),
    topic(
        ["chain", "chain [FROM [TO]]"],
        "the blockchain, or its blocks from one height to another",
        "",
        &["chain", "chain 3", "chain 1 5"],
    ),
    topic(
        ["block", "block HEIGHT"],
        "all of one block: its hash, the previous one's, who built it, its entries",
        "",
        &["block 1"],
    ),
    topic(
        ["follow", "follow [ACCOUNT…] [--prefix PREFIX] [--from PLACE] [--to HEIGHT] [--log]"],
        "each entry of the chain as it comes, until Ctrl-C",
        "Of these accounts and those that begin with PREFIX; else of all. PLACE is a block's height, or 7-3:\n\
         its entry 3. Without --from, what comes from now on. --to: until all of this block was shown.\n--log: the \
         entries of the local log too, marked; they come again in their block.",
        &[
            "follow",
            "follow A/alice --prefix B/ --log",
            "follow --from 7-3",
            "follow A --from 0 --to 7",
        ],
    ),
    topic(
        ["status", "status"],
        "how the server is",
        "Its part in the round for the next block, its log, what it counted and measured, its \
         Redis, its peers.",
        &["status"],
    ),
    topic(
        ["health", "health"],
        "whether the server serves its accounts, in a line",
        "Of a client with -c health the exit status tells: 0 it serves; 1 it doesn't; 3 it gives no answer.",
        &["health"],
    ),
    topic(
        ["watch", "watch [TIMES]"],
        "status once a second, until a key is pressed, or TIMES times",
        "",
        &["watch", "watch 5"],
    ),
    topic(
        ["settle", "settle"],
        "run Paxos until what the servers' local logs hold now is in the chain",
        "",
        &["settle"],
    ),
    topic(
        ["rejoin", "rejoin [SERVER KEY]"],
        "who asks to rejoin with a new store; or confirm one, as an operator",
        "Compare the key with what the server's own operator reads there (paxos-banking key FILE) \
         before you\nconfirm: whoever holds that key is the server from then on.",
        &["rejoin", "rejoin C SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0"],
    ),
    topic(
        ["members", "members"],
        "who takes part and votes, where each is found, and who asks to be admitted",
        "What follows from the chain so far: a change holds from the height after its block on.",
        &["members"],
    ),
    topic(
        ["admit", "admit SERVER HOST:PORT [KEY] [--branch]"],
        "make a server a member, as an operator; it is started with --join",
        "In a bank with keys KEY is the one that its own operator reads there (paxos-banking key FILE). \
         --branch:\nit holds accounts, but has no vote.",
        &[
            "admit D 127.0.0.1:8004",
            "admit E host:8005 SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0",
        ],
    ),
    topic(
        ["dismiss", "dismiss SERVER"],
        "make this server a member no more, as an operator, when its accounts hold nothing",
        "Only the server itself can know that nothing is left of it, so it is asked there.",
        &["dismiss D"],
    ),
    topic(
        ["move", "move SERVER HOST:PORT"],
        "tell where a server is found from now on, as an operator",
        "",
        &["move D 127.0.0.1:8014"],
    ),
    topic(
        ["promote", "promote SERVER"],
        "give a branch a vote, as an operator",
        "At most 9 members have one.",
        &["promote D"],
    ),
    topic(["demote", "demote SERVER"], "take a member's vote, as an operator", "", &["demote D"]),
    topic(
        [
            "link",
            "link [cut PEER | delay PEER TIME | drop PEER PERCENT | lose MESSAGE… PEER | heal [PEER]]",
        ],
        "break or mend this server's links to others, or show how they are",
        "delay makes each message late; drop loses PERCENT of the messages at random; lose loses \
         all\nmessages of these names. heal without PEER mends all links. The way back is the other \
         server's link.\nThe server has to allow it: --allow-fault-injection.",
        &[
            "link",
            "link cut B",
            "link drop B 30%",
            "link lose accept commit B",
            "link heal",
            "link delay B 200ms",
        ],
    ),
    topic(
        ["help", "help [COMMAND | all]"],
        "which commands there are; what one takes, with examples; what each does",
        "",
        &["help", "help all", "help transfer"],
    ),
    topic(["quit", "quit"], "leave (also: exit, \\q, Ctrl-D)", "", &["quit"]),
    topic(["exit", "exit"], "the same", "", &["exit"]),
    topic(["t", "t [FROM] TO AMOUNT …"], "short for transfer", "", &["t B 30"]),
];

/// What the help is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Help {
    /// Which commands there are.
    Short,
    /// What each of them does.
    Each,
    /// One of them.
    About(&'static Topic),
}

impl Help {
    /// Returns what the help says.
    pub fn text(self) -> String {
        match self {
            Help::Short => format!("{SHORT}{KEYS}"),
            Help::Each => each(),
            Help::About(topic) => about(topic),
        }
    }
}

/// All commands by what they are for. It fits into a pane of a divided terminal.
const SHORT: &str = "\
pay          transfer [FROM] TO AMOUNT, or t B 30; linked, batch; again
accounts     open, rekey; balance, balances, accounts, history; more
look inside  log, chain, block, follow, status, health, watch, members
the bank     settle; mint, burn; admit, dismiss, move, promote, demote, rejoin
links        link cut, link delay, link drop, link lose, link heal
leave        quit, exit
help COMMAND tells what a command takes, with examples; help all tells of each.
A command may be shortened: tr B 30, bal, hist. From # on, a line is a comment.
";

/// How to go on, and how to leave.
const KEYS: &str = if cfg!(feature = "line-editing") {
    "Tab completes. Ctrl-C ends a wait; quit or Ctrl-D ends the client."
} else {
    "quit or Ctrl-D ends the client."
};

/// Tells of each command in a few words.
fn each() -> String {
    let mut text = String::new();
    for Topic { usage, does, .. } in &TOPICS {
        // Writing to a text can't fail.
        let _ = match usage.chars().count() {
            0..=18 => writeln!(text, "{usage:<18}  {does}"),
            _ => writeln!(text, "{usage}\n{:18}  {does}", ""),
        };
    }
    text.push_str("help COMMAND shows examples.");
    text
}

/// Explains one command.
fn about(topic: &Topic) -> String {
    let Topic { usage, does, more, examples, .. } = topic;
    let more = if more.is_empty() { String::new() } else { format!("\n{more}") };
    let examples: String = examples.iter().map(|example| format!("\n    {example}")).collect();
    format!("{usage}\n{does}{more}\nfor example:{examples}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::find::find;
    use crate::client::parse::parse;

    #[test]
    fn each_example_can_be_typed() {
        let home = "A".parse().unwrap();
        for topic in &TOPICS {
            assert!(!topic.examples.is_empty(), "{}", topic.word);
            for example in topic.examples {
                let command = parse(example, &home);
                assert!(matches!(command, Ok(Some(_))), "{example}: {command:?}");
            }
            assert_eq!(find(topic.word), Ok(topic), "the whole word is the command");
        }
    }

    #[test]
    fn help_fits_into_a_pane_and_names_each_command() {
        assert!(SHORT.lines().count() <= 10);
        assert!(SHORT.lines().all(|line| line.chars().count() <= 82), "{SHORT}");
        let words: Vec<&str> = SHORT.split(|c: char| !c.is_ascii_alphabetic()).collect();
        for topic in &TOPICS {
            assert!(words.contains(&topic.word), "{}", topic.word);
        }
        let whole = TOPICS.iter().map(about).chain([each()]).collect::<Vec<_>>().join("\n");
        for line in whole.lines() {
            assert!(line.chars().count() <= 110, "{line}");
        }
        let log = find("log").unwrap();
        assert_eq!(Help::About(log).text().lines().last(), Some("    log B"));
    }

    #[test]
    fn each_flag_of_a_usage_is_in_the_help() {
        for (word, flag) in [
            ("history", "--before"),
            ("history", "--since"),
            ("accounts", "--after"),
            ("balances", "--after"),
            ("follow", "--log"),
        ] {
            assert!(find(word).unwrap().usage.contains(flag), "{word}");
        }
    }
}
