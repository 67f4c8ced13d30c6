//! What a course's files let happen: transfers as their lines and cells write them, failures, and what is to be
//! printed. Pure.

use std::time::Duration;

use crate::bank::amount::{Amount, BadAmount};
use crate::client::time::parse_time;
use crate::play::course::table::Places;
use crate::play::words::found;
use crate::play::wrong::{Place, Wrong};

/// A name as a file writes it, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::play) struct Name {
    pub text: String,
    pub place: Place,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::play) enum Item {
    /// An account pays another.
    Pays { from: Name, to: Name, amount: Amount },
    /// The leader of the last round fails.
    LeaderFails,
    /// A server fails.
    Fails(Name),
    /// A server that failed comes back.
    Recovers(Name),
    /// An account's balance is printed.
    Balance(Name),
    /// A server's log is printed.
    Log(Name),
    /// A server's chain is printed.
    Chain(Name),
    /// Everything is printed.
    All,
    /// A link carries nothing any more, either way.
    Cuts(Name, Name),
    /// A link is whole again; all links, if none is named.
    Mends(Option<(Name, Name)>),
    /// Time passes.
    Waits(Duration),
    /// The file ends.
    Ends,
}

/// How a transfer is written, for whoever wrote it otherwise.
pub(in crate::play) const TRANSFER: &str = "expected: (FROM, TO, AMOUNT), such as: (A, B, 30)";

const CELL: &str = "expected: (FROM, TO, AMOUNT), such as: (A, B, 30); or LF, F(n3), R(n3)";
/// How a pause is written, for whoever wrote it otherwise.
const SLEEP: &str = "expected: a time, in seconds or with a unit, such as: sleep 2, sleep 500ms";

/// Why something that other assignments of the family have can't be played.
pub(super) mod reasons {
    pub const BYZANTINE: &str = "byzantine servers lie, and Paxos is for servers that only stop: nobody lies here, \
        so this can't be played";
    pub const SHARDS: &str = "shards can't be played: here each server holds the whole chain, and nothing is \
        divided among clusters of servers";
    pub const VIEWS: &str = "views and their changes can't be played: here no server leads for longer than a \
        run, and each run has its own ballot";
}

/// The words for each kind of item, without `_`, `-` and regard to capitals.
const PAYS: [&str; 8] =
    ["transfer", "moneytransfer", "transfermoney", "send", "pay", "transaction", "tx", "t"];
const FAILS: [&str; 11] = [
    "f",
    "fail",
    "failprocess",
    "failnode",
    "failserver",
    "crash",
    "crashnode",
    "stop",
    "stopnode",
    "killnode",
    "killserver",
];
const RECOVERS: [&str; 13] = [
    "r",
    "recover",
    "fixprocess",
    "recoverprocess",
    "recovernode",
    "recoverserver",
    "restart",
    "restartnode",
    "resumeprocess",
    "fixnode",
    "fixserver",
    "startnode",
    "revive",
];
const CUTS: [&str; 7] = [
    "faillink",
    "cutlink",
    "breaklink",
    "downlink",
    "disconnect",
    "disconnectlink",
    "failconnection",
];
const MENDS: [&str; 9] = [
    "fixlink",
    "heallink",
    "mendlink",
    "restorelink",
    "recoverlink",
    "uplink",
    "connect",
    "reconnect",
    "fixconnection",
];
const SLEEPS: [&str; 1] = ["sleep"];
const ENDS: [&str; 3] = ["quit", "exit", "done"];
const BALANCES: [&str; 3] = ["printbalance", "balance", "printbal"];
const LOGS: [&str; 3] = ["printlog", "log", "printlocallog"];
const CHAINS: [&str; 5] =
    ["printblockchain", "printchain", "blockchain", "chain", "printdatastore"];
const EVERYTHING: [&str; 10] = [
    "printdb",
    "printset",
    "printqueue",
    "printall",
    "printstatus",
    "print",
    "performance",
    "printperformance",
    "printbalances",
    "printlogs",
];
const LEADER_FAILS: [&str; 5] = ["lf", "leaderfail", "leaderfails", "leaderfailure", "failleader"];
/// Words that may stand between names and amounts, and say nothing.
const BETWEEN: [&str; 8] = ["to", "from", "pays", "sends", "gives", "transfers", "units", "=>"];
const LIES: [&str; 6] = ["b", "byzantine", "malicious", "attack", "crashattack", "equivocate"];
const VIEWS: [&str; 5] = ["vc", "viewchange", "printview", "newview", "view"];
const SHARDS: [&str; 4] = ["printreshard", "reshard", "shard", "printshard"];

/// Reads all items of a cell: on one line, or on several.
pub(super) fn of_cell(
    cell: &str,
    places: &Places<'_>,
) -> Result<Vec<(String, Place, Item)>, Wrong> {
    let mut items = Vec::new();
    for part in parts(cell) {
        let place = places.of_part(part);
        let item = of_part(part, places)?;
        let item = item.ok_or_else(|| Wrong { place, what: found(part, CELL) })?;
        items.push((part.split_whitespace().collect::<Vec<_>>().join(" "), place, item));
    }
    Ok(items)
}

/// Cuts a cell into items: at line breaks, semicolons and bars, behind a closing parenthesis, and at the comma behind a
/// word that stands alone.
fn parts(cell: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, character) in cell.char_indices().chain([(cell.len(), '\n')]) {
        let end = match character {
            '\n' | ';' | '|' if depth == 0 || at == cell.len() => at,
            ',' if depth == 0 && is_lone(&cell[start..at]) => at,
            ')' if depth == 1 => at + 1,
            _ => {
                depth += usize::from(character == '(');
                continue;
            }
        };
        let is_around = |c: char| {
            c.is_whitespace() || is_quote(c) || matches!(c, ',' | ';' | '|' | '&' | '[' | ']')
        };
        parts.push(cell[start..end].trim_matches(is_around));
        (start, depth) = ((at + 1).min(cell.len()), 0);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// True if a word is an item by itself.
fn is_lone(text: &str) -> bool {
    let word = plain(text.trim());
    LEADER_FAILS.contains(&&*word) || EVERYTHING.contains(&&*word)
}

/// Reads one item; none if it is of no kind that is known.
///
/// # Errors
/// Says what is wrong with it, or why it can't be played.
pub(in crate::play) fn of_part(part: &str, places: &Places<'_>) -> Result<Option<Item>, Wrong> {
    let part = part.trim_end_matches([';', ' ']);
    if is_in(part, &LEADER_FAILS) {
        return Ok(Some(Item::LeaderFails));
    }
    if let Some((head, rest)) = part.split_once('(') {
        let is_known = head.trim().is_empty() || is_in(head, &PAYS);
        let Some(inside) = rest.trim_end().strip_suffix(')') else {
            if !is_known {
                return Ok(None);
            }
            let what = format!("{}; {TRANSFER}", found(part, "no parenthesis closes it"));
            return Err(Wrong { place: places.of_part(part), what });
        };
        return match head.trim() {
            "" => bracketed(part, &words(inside), places).map(Some),
            head => call(part, head, &words(inside), places),
        };
    }
    let mut words = words(part);
    if words.len() > 3 {
        // A sends 5 to B; transfer 5 from A to B. Of three words each may be a name.
        words.retain(|word| !is_in(word, &BETWEEN));
    }
    match &words[..] {
        [verb, _, _] if is_in(verb, &PAYS) && verb.len() > 1 => {
            let what = format!("who pays is missing; {TRANSFER}");
            Err(Wrong { place: places.of_part(part), what })
        }
        words @ [_, _, _] if words.iter().any(|word| number(word).is_some()) => {
            pays(words, places).map(Some)
        }
        // A letter alone may be anybody's name.
        [verb, arguments @ ..] if verb.len() > 1 || arguments.len() != 2 => {
            call(part, verb, arguments, places)
        }
        _ => Ok(None),
    }
}

/// Reads a word and its arguments, such as `F(n3)`, `transfer(A, B, 30)` or `printBalance A`.
fn call(
    part: &str,
    verb: &str,
    arguments: &[&str],
    places: &Places<'_>,
) -> Result<Option<Item>, Wrong> {
    let refused =
        |reason: &str| Err(Wrong { place: places.of_part(part), what: found(part, reason) });
    let of = |item: fn(Name) -> Item| match arguments {
        [one] => Some(item(name(one, places))),
        _ => None,
    };
    let shown = |item| match arguments {
        [] => Some(Item::All),
        _ => of(item),
    };
    Ok(match plain(verb) {
        verb if is_in(&verb, &PAYS) && arguments.len() == 3 => Some(pays(arguments, places)?),
        verb if is_in(&verb, &LEADER_FAILS) && arguments.is_empty() => Some(Item::LeaderFails),
        verb if is_in(&verb, &FAILS) => of(Item::Fails),
        verb if is_in(&verb, &RECOVERS) => of(Item::Recovers),
        verb if is_in(&verb, &BALANCES) => shown(Item::Balance),
        verb if is_in(&verb, &LOGS) => shown(Item::Log),
        verb if is_in(&verb, &CHAINS) => shown(Item::Chain),
        verb if is_in(&verb, &EVERYTHING) => Some(Item::All),
        verb if is_in(&verb, &CUTS) => match arguments {
            [one, other] => {
                let (one, other) = ends(one, other, places)?;
                Some(Item::Cuts(one, other))
            }
            _ => None,
        },
        verb if is_in(&verb, &MENDS) => match arguments {
            [] => Some(Item::Mends(None)),
            [one, other] => Some(Item::Mends(Some(ends(one, other, places)?))),
            _ => None,
        },
        verb if is_in(&verb, &SLEEPS) => match arguments {
            [time] => Some(Item::Waits(pause(time).map_err(|what| Wrong {
                place: places.of_part(time),
                what: found(time, &format!("{what}; {SLEEP}")),
            })?)),
            _ => None,
        },
        verb if is_in(&verb, &ENDS) && arguments.is_empty() => Some(Item::Ends),
        verb if is_in(&verb, &LIES) => return refused(reasons::BYZANTINE),
        verb if is_in(&verb, &VIEWS) => return refused(reasons::VIEWS),
        verb if is_in(&verb, &SHARDS) => return refused(reasons::SHARDS),
        _ => None,
    })
}

fn is_in(word: &str, list: &[&str]) -> bool {
    list.contains(&&*plain(word))
}

/// Reads `(A, B, 30)`, and `(A)`, by which some files ask for a balance.
fn bracketed(part: &str, words: &[&str], places: &Places<'_>) -> Result<Item, Wrong> {
    match words {
        [_, _, _] => pays(words, places),
        [one] if number(one).is_none() || !part.contains(',') => {
            Ok(Item::Balance(name(one, places)))
        }
        _ => Err(Wrong { place: places.of_part(part), what: TRANSFER.into() }),
    }
}

/// Reads three words: the payer before the payee, and the amount behind them or before. Names may be numbers,
/// too: then the amount comes last.
fn pays(words: &[&str], places: &Places<'_>) -> Result<Item, Wrong> {
    let [first, second, third] = words else { unreachable!("a transfer has three words") };
    let is_number = |word: &str| number(word).is_some();
    let (from, to, amount) = match (is_number(first), is_number(second), is_number(third)) {
        (true, false, false) => (second, third, first),
        (false, true, false) => (first, third, second),
        _ => (first, second, third),
    };
    let (from, to) = (name(from, places), name(to, places));
    let amount = whole(amount)
        .map_err(|what| Wrong { place: places.of_part(amount), what: found(amount, &what) })?;
    Ok(Item::Pays { from, to, amount })
}

/// Returns the digits and signs of a word that looks like a number, with or without a currency before it.
fn number(word: &str) -> Option<&str> {
    let bare = word.strip_prefix(['$', '€', '£']).unwrap_or(word);
    let digits = bare.strip_prefix(['-', '+']).unwrap_or(bare);
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    is_number.then_some(bare)
}

/// Reads an amount such as `10`, `10.0` or `$10`.
pub(super) fn whole(word: &str) -> Result<Amount, String> {
    let digits = number(word).unwrap_or(word);
    let (units, rest) = digits.split_once('.').unwrap_or((digits, ""));
    if number(word).is_some() && rest.contains(|c| c != '0') {
        return Err(
            "the bank divides no unit: an amount is a whole number, such as 3 or 3.0".into()
        );
    }
    let units = units.strip_prefix('+').unwrap_or(units);
    units.parse().map_err(|error: BadAmount| error.to_string())
}

/// True if a line of a plain file names what stands in its lines: who pays, whom, and how much.
pub(in crate::play) fn is_header(line: &str) -> bool {
    const NAMES: [&[&str]; 3] = [
        &["from", "sender", "payer", "source", "client"],
        &["to", "receiver", "payee", "recipient", "destination"],
        &["amount", "amt", "units", "value", "money"],
    ];
    let words: Vec<String> = words(line).into_iter().map(str::to_lowercase).collect();
    words.len() == 3 && NAMES.iter().all(|names| words.iter().any(|word| names.contains(&&**word)))
}

fn name(word: &str, places: &Places<'_>) -> Name {
    Name { text: word.to_owned(), place: places.of_part(word) }
}

/// Splits arguments at commas, spaces and arrows.
fn words(text: &str) -> Vec<&str> {
    let is_between = |c: char| {
        c.is_whitespace()
            || is_quote(c)
            || matches!(c, ',' | ';' | ':' | '(' | ')' | '[' | ']' | '→')
    };
    let words = text.split(is_between).flat_map(|word| word.split("->"));
    words.flat_map(|word| word.split("=>")).filter(|word| !word.is_empty()).collect()
}

/// True if a mark is one of those that are put around a text, by a spreadsheet or a program.
pub(super) fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '“' | '”' | '‘' | '’')
}

/// Reads the two ends of a link.
fn ends(one: &str, other: &str, places: &Places<'_>) -> Result<(Name, Name), Wrong> {
    if one == other {
        let what = format!("a link is between two servers, not from {one} to itself");
        return Err(Wrong { place: places.of_part(other), what });
    }
    Ok((name(one, places), name(other, places)))
}

/// Reads how long a file sleeps: a number of seconds, or a time with its unit.
fn pause(word: &str) -> Result<Duration, String> {
    match number(word).and_then(|digits| digits.parse::<f64>().ok()) {
        Some(seconds) => parse_time(&format!("{:.0}ms", seconds * 1_000.0)),
        None => parse_time(word),
    }
}

/// Returns a word as the lists above write it.
fn plain(word: &str) -> String {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect::<String>().to_lowercase()
}
