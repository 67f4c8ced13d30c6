//! The plain dialect: one command a line, as at the prompt, after its client; and faults and checks. Pure.

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::Action;
use crate::bank::request::{Instruction, Order};
use crate::client;
use crate::client::commands::Command;
use crate::client::time::parse_time;
use crate::play::cast::Cast;
use crate::play::course::homes::{asks, pays};
use crate::play::course::item::{self, Item, Name};
use crate::play::course::table::Places;
use crate::play::expect;
use crate::play::fault;
use crate::play::script::{Act, Membership, Step};
use crate::play::settings::settings;
use crate::play::words::{Words, found};
use crate::play::wrong::{Place, Wrong};

/// What a line may begin with, for whoever began it otherwise.
const COMMANDS: &str = "a client and what it says, such as A: transfer B 30; a transfer such as \
    (A, B, 30) or A B 30; or one of servers, opening, await, kill, start, pause, resume, cut, delay, drop, lose, \
    heal, admit, dismiss, move, promote, demote, settle, wait, show, say, expect";

pub(super) fn parse(
    text: &str,
    cast: &mut Cast,
    opening: &mut Option<Amount>,
    steps: &mut Vec<Step>,
    wrongs: &mut Vec<Wrong>,
) {
    let mut has_ended = false;
    for (whole, line) in text.split('\n').zip(1..) {
        let bare = without_comment(whole);
        let mut words = Words::of(bare, line, 1);
        let column = words.column();
        let act = match words.peek() {
            None => continue,
            Some(_) if steps.is_empty() && item::is_header(bare) => continue,
            Some("servers" | "opening") => settings(&mut words, cast, opening).map(|()| None),
            Some(_) => act(bare, &mut words, cast).map(Some),
        };
        match act {
            Ok(None) if !steps.is_empty() => {
                let what = "servers and opening come before the first step";
                wrongs.push(Wrong::new(line, column, what));
            }
            Ok(None) => {}
            Ok(Some(_)) if has_ended => {
                wrongs.push(Wrong::new(
                    line,
                    column,
                    "the line before ends the play: nothing comes after it",
                ));
            }
            Ok(Some(Act::End)) => has_ended = true,
            Ok(Some(act)) => {
                let (place, text) = (Place { line, column }, bare.trim().to_owned());
                steps.push(Step { place, text, act });
            }
            Err(wrong) => wrongs.push(wrong),
        }
    }
}

/// Reads one line that does something.
pub(super) fn one(line: &str) -> Result<Act, Wrong> {
    let bare = without_comment(line);
    act(bare, &mut Words::of(bare, 1, 1), &mut Cast::default())
}

/// Cuts off a comment. A title is shown as it is; elsewhere, what follows a # is for the file's readers.
fn without_comment(line: &str) -> &str {
    if line.split_whitespace().next() == Some("say") {
        return line;
    }
    let line = client::split::without_comment(line);
    // Within a word it begins no comment, and in quotes it may be a text's.
    let begins = |at: &usize| {
        let before = &line[..*at];
        !before.contains(['"', '\'']) && before.chars().next_back().is_none_or(char::is_whitespace)
    };
    let end = line.match_indices("//").map(|(at, _)| at).find(begins);
    &line[..end.unwrap_or(line.len())]
}

/// Parses a line that does something.
fn act(line: &str, words: &mut Words<'_>, cast: &mut Cast) -> Result<Act, Wrong> {
    let Some(first) = words.peek() else { return Err(words.missing(COMMANDS)) };
    if let Some(act) = say(line, words, cast) {
        return act;
    }
    let column = words.column();
    words.take();
    match first {
        "await" => match words.peek() {
            None => Ok(Act::Await(None)),
            Some(_) => one_server(words, cast, "await [ID], such as: await A")
                .map(|server| Act::Await(Some(server))),
        },
        "kill" => one_server(words, cast, "kill ID, such as: kill B").map(Act::Kill),
        "start" => one_server(words, cast, "start ID, such as: start B").map(Act::Start),
        "pause" => one_server(words, cast, "pause ID, such as: pause B").map(Act::Pause),
        "resume" => one_server(words, cast, "resume ID, such as: resume B").map(Act::Resume),
        "admit" | "dismiss" | "move" | "promote" | "demote" => {
            members(first, column, words, cast).map(Act::Members)
        }
        "cut" | "delay" | "drop" | "lose" => fault::parse(first, words, cast).map(Act::Break),
        "heal" => fault::healed(words, cast).map(Act::Heal),
        "settle" => {
            let server = one_server(words, cast, "settle ID, such as: settle A")?;
            Ok(Act::Say { server, command: Command::Settle, behind: false })
        }
        "wait" => {
            const RIGHT: &str = "wait TIME, such as: wait 2s";
            let word = words.take().ok_or_else(|| words.missing(RIGHT))?;
            let time = parse_time(word.text)
                .map_err(|error| words.wrong(word, found(word.text, &error)))?;
            words.end(RIGHT)?;
            Ok(Act::Wait(time))
        }
        "show" => {
            let mut servers = Vec::new();
            while words.peek().is_some() {
                servers.push(words.server("show [ID…], such as: show A B", cast)?);
            }
            Ok(Act::Show(servers))
        }
        "say" => Ok(Act::Title(line.trim().trim_start_matches("say").trim().to_owned())),
        "expect" => expect::parse(words, cast).map(Act::Expect),
        unknown => match of_course(line.trim(), Place { line: words.line, column }, cast)? {
            Some(act) => Ok(act),
            None => {
                let what = found(unknown, &format!("expected: {COMMANDS}"));
                Err(Wrong::new(words.line, column, what))
            }
        },
    }
}

/// Parses a change of the members.
fn members(
    first: &str,
    column: usize,
    words: &mut Words<'_>,
    cast: &mut Cast,
) -> Result<Membership, Wrong> {
    Ok(match first {
        "admit" => {
            const RIGHT: &str = "admit ID [--branch], such as: admit D; the play finds its address";
            let server: ServerId = words.value(RIGHT)?;
            let branch = words.take_if("--branch");
            words.end(RIGHT)?;
            cast.is_admitted(&server, Place { line: words.line, column });
            Membership::Admit { server, branch }
        }
        "dismiss" => {
            Membership::Dismiss(one_server(words, cast, "dismiss ID, such as: dismiss D")?)
        }
        "move" => {
            const RIGHT: &str = "move ID, such as: move B; the play finds the address";
            Membership::Move(one_server(words, cast, RIGHT)?)
        }
        "promote" => {
            Membership::Promote(one_server(words, cast, "promote ID, such as: promote D")?)
        }
        _ => Membership::Demote(one_server(words, cast, "demote ID, such as: demote B")?),
    })
}

fn one_server(words: &mut Words<'_>, cast: &mut Cast, right: &str) -> Result<ServerId, Wrong> {
    let server = words.server(right, cast)?;
    words.end(right)?;
    Ok(server)
}

// ── What clients say ─────────────────────────────────────────────────────────────────────────────

/// Parses `A: transfer B 30` or `(A, B, 30)`, with an & at the end if nobody waits for the answer yet.
/// None if the line is of another kind.
fn say(line: &str, words: &Words<'_>, cast: &mut Cast) -> Option<Result<Act, Wrong>> {
    let (line, behind) = match line.trim_end().strip_suffix('&') {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let place = |text: &str| Place {
        line: words.line,
        column: line[..line.len() - text.len()].chars().count() + 1,
    };
    let trimmed = line.trim_start();
    if trimmed.starts_with('(') {
        let act = of_course(trimmed.trim_end(), place(trimmed), cast).transpose()?;
        return Some(act.map(|act| match act {
            Act::Say { server, command, .. } => Act::Say { server, command, behind },
            other => other,
        }));
    }
    let (client, command) = trimmed.split_once(':')?;
    // A title may hold a colon, too, and a course's transfer: A->B: 5.
    let is_name = client.split_whitespace().count() == 1
        && !["->", "=>", "→"].iter().any(|arrow| client.contains(arrow));
    is_name.then(|| {
        let (command, name) = (command.trim_start(), client.trim_end());
        let server = name.parse::<ServerId>().map_err(|error| {
            let at = place(trimmed);
            Wrong { place: at, what: format!("{error}; expected: {COMMANDS}") }
        })?;
        cast.acts(&server, place(trimmed));
        let command = command_of(command, &server, place(command), cast)?;
        Ok(Act::Say { server, command, behind })
    })
}

/// Reads a line as the courses' plain files have them: `(A, B, 30)`, `A B 30`, `printBalance A`. None if it is of no
/// kind that is known.
fn of_course(text: &str, place: Place, cast: &mut Cast) -> Result<Option<Act>, Wrong> {
    let at = |wrong: Wrong| {
        let column = wrong.place.column + place.column - 1;
        Wrong { place: Place { column, ..place }, ..wrong }
    };
    let item = item::of_part(text, &Places::of(text)).map_err(at)?;
    let mut server = |name: &Name| {
        let wrong = |what: String| at(Wrong { place: name.place, what });
        let place = wrong(String::new()).place;
        let account: AccountId = name.text.parse().map_err(|error| wrong(format!("{error}")))?;
        let server: ServerId = account.home().parse().map_err(|error| wrong(format!("{error}")))?;
        cast.acts(&server, place);
        Ok((server, account))
    };
    Ok(Some(match item {
        None => return Ok(None),
        Some(Item::Pays { from, to, amount }) => {
            let (_, from) = server(&from)?;
            let payee = to.text.parse();
            let wrong = |what: String| at(Wrong { place: to.place, what });
            let payee: AccountId = payee.map_err(|error| wrong(format!("{error}")))?;
            cast.is_paid(&payee, wrong(String::new()).place);
            pays(from, payee, amount)
        }
        Some(Item::LeaderFails) => Act::Fail(None),
        Some(Item::Fails(name)) => Act::Fail(Some(server(&name)?.0)),
        Some(Item::Recovers(name)) => Act::Recover(server(&name)?.0),
        Some(Item::Balance(name)) => {
            let (server, account) = server(&name)?;
            asks(Command::Balance(Some(account)), server)
        }
        Some(Item::Log(name)) => asks(Command::Log(None), server(&name)?.0),
        Some(Item::Chain(name)) => asks(Command::Chain { from: 0, to: None }, server(&name)?.0),
        Some(Item::All) => Act::Show(Vec::new()),
        Some(Item::Cuts(one, other)) => {
            Act::Break(fault::cut_both_ways(server(&one)?.0, server(&other)?.0))
        }
        Some(Item::Mends(None)) => Act::Heal(Vec::new()),
        Some(Item::Mends(Some((one, other)))) => {
            let (one, other) = (server(&one)?.0, server(&other)?.0);
            Act::Heal(vec![(one.clone(), other.clone()), (other, one)])
        }
        Some(Item::Waits(time)) => Act::Wait(time),
        Some(Item::Ends) => Act::End,
    }))
}

fn command_of(
    text: &str,
    server: &ServerId,
    place: Place,
    cast: &mut Cast,
) -> Result<Command, Wrong> {
    const RIGHT: &str = "a command as at the prompt, such as A: transfer B 30";
    let wrong = |what: String| Wrong { place, what };
    match client::parse::parse(text, &AccountId::of(server)).map_err(wrong)? {
        None => Err(wrong(format!("{server} says nothing; expected: {RIGHT}"))),
        Some(Command::Quit | Command::Help(_) | Command::Watch(_) | Command::Again) => {
            let what = "nobody is at a prompt here; expected";
            Err(wrong(format!("{}: {what}: {RIGHT}", text.trim())))
        }
        Some(Command::Members(order)) if order != Order::Show => {
            let what = "here the members change by lines of their own, such as: admit D, dismiss D, move B";
            Err(wrong(format!("{}: {what}", text.trim())))
        }
        Some(command) => {
            match &command {
                Command::One(instruction) => {
                    mention_payees(std::slice::from_ref(instruction), (text, place), cast);
                }
                Command::Batch(instructions) => mention_payees(instructions, (text, place), cast),
                _ => {}
            }
            Ok(command)
        }
    }
}

fn mention_payees(instructions: &[Instruction], (text, place): (&str, Place), cast: &mut Cast) {
    for instruction in instructions {
        if let Action::Transfer { to, .. } = &instruction.action {
            let column = place.column + before(to.as_str(), text);
            cast.is_paid(to, Place { column, ..place });
        }
    }
}

/// Returns how many letters of a text are before a name that stands in it as a whole word.
fn before(name: &str, text: &str) -> usize {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/');
    let is_whole = |at: &usize| {
        !text[..*at].ends_with(is_name) && !text[at + name.len()..].starts_with(is_name)
    };
    let at = text.match_indices(name).map(|(at, _)| at).find(is_whole);
    at.map_or(0, |at| text[..at].chars().count())
}
