//! Typed lines into commands. Pure: nothing is done here.

use std::str::FromStr;

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;

/// What the commands are, for who asks.
pub const HELP: &str = "\
transfer TO AMOUNT      pay from this server's own account (short: t)
(FROM, TO, AMOUNT)      the same, with the paying account named
balance [ACCOUNT]       what an account holds, as this server knows it
log                     the transfers that are in no block yet
chain [FROM [TO]]       the blockchain, or its blocks from one height to another
status                  how the server is
settle                  run Paxos until the servers' local logs are in the chain
help                    this
quit                    leave (also: exit, or the end of the input)
Blank lines and what follows a # do nothing.";

/// The words that lines begin with, for suggestions.
const WORDS: [&str; 9] =
    ["transfer", "balance", "log", "chain", "status", "settle", "help", "quit", "exit"];

/// A command of a user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Moves money.
    Transfer {
        /// Who pays; the server's own account if none is named.
        from: Option<AccountId>,
        /// Who is paid.
        to: AccountId,
        /// How much.
        amount: Amount,
    },
    /// Shows a balance; of the server's own account if none is named.
    Balance(Option<AccountId>),
    /// Shows the local log.
    Log,
    /// Shows blocks.
    Chain {
        /// The first height.
        from: u64,
        /// The last height; the head if none is named.
        to: Option<u64>,
    },
    /// Shows how the server is.
    Status,
    /// Empties the local logs into the chain.
    Settle,
    /// Shows the commands.
    Help,
    /// Ends the client.
    Quit,
}

/// The command that a line is; none if the line is blank or a comment.
///
/// # Errors
/// Says what is wrong and what was expected.
pub fn parse(line: &str) -> Result<Option<Command>, String> {
    let line = line.split_once('#').map_or(line, |(before, _)| before).trim();
    if line.starts_with('(') {
        return triplet(line).map(Some);
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some((&word, arguments)) = words.split_first() else { return Ok(None) };
    let command = match (word, arguments) {
        ("transfer" | "t", [to, amount]) => {
            Command::Transfer { from: None, to: value(to)?, amount: value(amount)? }
        }
        ("transfer" | "t", _) => {
            return Err("expected: transfer TO AMOUNT, such as: transfer B 30; \
                 or, to name who pays: (A, B, 30)"
                .into());
        }
        ("balance", []) => Command::Balance(None),
        ("balance", [account]) => Command::Balance(Some(value(account)?)),
        ("balance", _) => return Err("expected: balance [ACCOUNT]".into()),
        ("chain", []) => Command::Chain { from: 0, to: None },
        ("chain", [from]) => Command::Chain { from: height(from)?, to: None },
        ("chain", [from, to]) => span(height(from)?, height(to)?)?,
        ("chain", _) => return Err("expected: chain [FROM [TO]]".into()),
        ("log", []) => Command::Log,
        ("status", []) => Command::Status,
        ("settle", []) => Command::Settle,
        ("help", []) => Command::Help,
        ("quit" | "exit", []) => Command::Quit,
        (known, _) if WORDS.contains(&known) => return Err(format!("expected: {known}, alone")),
        (unknown, _) => return Err(suggest(unknown)),
    };
    Ok(Some(command))
}

/// `(A, B, 30)`: A pays B 30.
fn triplet(line: &str) -> Result<Command, String> {
    const EXPECTED: &str = "expected: (FROM, TO, AMOUNT), such as: (A, B, 30)";
    let inside = line.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or(EXPECTED)?;
    let parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    let [from, to, amount] = parts[..] else { return Err(EXPECTED.into()) };
    Ok(Command::Transfer { from: Some(value(from)?), to: value(to)?, amount: value(amount)? })
}

/// A value whose own error says what is expected, but perhaps not what was found.
fn value<T: FromStr<Err: ToString>>(word: &str) -> Result<T, String> {
    word.parse().map_err(|error: T::Err| {
        let error = error.to_string();
        if error.contains(word) { error } else { format!("{}: {error}", cut(word)) }
    })
}

fn height(word: &str) -> Result<u64, String> {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    let number = word.parse().ok().filter(|&number| digits && number <= Amount::MAX.units());
    number.ok_or_else(|| format!("{}: a height is a whole number from 0", cut(word)))
}

fn span(from: u64, to: u64) -> Result<Command, String> {
    if to < from {
        return Err(format!("chain goes up: {to} is below {from}"));
    }
    Ok(Command::Chain { from, to: Some(to) })
}

fn cut(word: &str) -> String {
    format!("{:?}", word.chars().take(80).collect::<String>())
}

fn suggest(unknown: &str) -> String {
    const CLOSE: usize = 2;
    let typed = unknown.to_lowercase();
    let near = WORDS.map(|word| (distance(&typed, word), word)).into_iter().min();
    let unknown = cut(unknown);
    match near {
        Some((steps, word)) if steps <= CLOSE => {
            format!("unknown command {unknown}; did you mean {word}?")
        }
        _ => format!("unknown command {unknown}; the commands are {}", WORDS.join(", ")),
    }
}

/// How many letters to insert, leave out or change to get from one word to the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.chars().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good(line: &str) -> Option<Command> {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn transfer(from: Option<&str>, to: &str, amount: u64) -> Option<Command> {
        let from = from.map(|from| from.parse().unwrap());
        let (to, amount) = (to.parse().unwrap(), Amount::new(amount).unwrap());
        Some(Command::Transfer { from, to, amount })
    }

    #[test]
    fn a_transfer_is_typed_in_three_ways() {
        for line in ["transfer B 30", "t B 30", "  t\tB   30 \r", "t B 30 # rent", "transfer B 030"]
        {
            assert_eq!(good(line), transfer(None, "B", 30), "{line}");
        }
        for line in ["(A, B, 30)", "(A,B,30)", " ( A , B , 30 ) # rent"] {
            assert_eq!(good(line), transfer(Some("A"), "B", 30), "{line}");
        }
        // These are well formed; the server says that they make no sense.
        assert_eq!(good("t B 0"), transfer(None, "B", 0));
        assert_eq!(good("(A, A, 1)"), transfer(Some("A"), "A", 1));
        assert_eq!(good("t A/alice 1"), transfer(None, "A/alice", 1));
    }

    #[test]
    fn each_other_command_is_understood() {
        let b = Some("B".parse().unwrap());
        for (line, command) in [
            ("balance", Command::Balance(None)),
            ("balance B", Command::Balance(b)),
            ("log", Command::Log),
            ("chain", Command::Chain { from: 0, to: None }),
            ("chain 3", Command::Chain { from: 3, to: None }),
            ("chain 3 5", Command::Chain { from: 3, to: Some(5) }),
            ("status", Command::Status),
            ("settle", Command::Settle),
            ("help", Command::Help),
            ("quit", Command::Quit),
            ("exit", Command::Quit),
        ] {
            assert_eq!(good(line), Some(command), "{line}");
        }
        for nothing in ["", "   ", "\r", "# balance", "  #", "\t# ("] {
            assert_eq!(good(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_was_expected() {
        for (line, expected) in [
            ("transfer", "transfer TO AMOUNT"),
            ("transfer B", "transfer TO AMOUNT"),
            ("transfer A B 30", "(A, B, 30)"),
            ("transfer B 1.5", "\"1.5\": an amount is a whole number"),
            ("transfer B -1", "\"-1\": an amount is a whole number"),
            ("transfer B 1e99", "an amount is a whole number"),
            ("transfer B 18446744073709551616", "an amount is a whole number"),
            ("transfer B 9007199254740992", "an amount is a whole number"),
            ("transfer B/ 1", "\"B/\" is not an account"),
            ("(A, B)", "(FROM, TO, AMOUNT)"),
            ("(A, B, 30", "(FROM, TO, AMOUNT)"),
            ("(A, B, 30, 40)", "(FROM, TO, AMOUNT)"),
            ("(A, B, )", "an amount is a whole number"),
            ("(, B, 1)", "is not an account"),
            ("balance A B", "balance [ACCOUNT]"),
            ("balance é", "is not an account"),
            ("chain x", "a height is a whole number"),
            ("chain +1", "a height is a whole number"),
            ("chain 5 1", "1 is below 5"),
            ("chain 1 2 3", "chain [FROM [TO]]"),
            ("log B", "expected: log, alone"),
            ("blance", "did you mean balance?"),
            ("STATUS", "did you mean status?"),
            ("teleport", "the commands are transfer, balance, log"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
        assert!(parse(&"x".repeat(1 << 20)).unwrap_err().len() < 1_000);
    }

    #[test]
    fn the_help_names_every_command() {
        for word in WORDS {
            assert!(HELP.contains(word), "{word}");
        }
    }
}
