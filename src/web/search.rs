//! Finds what somebody looks for: an account's statement, a block, an entry.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::Position;
use crate::bank::request::{Reply as Said, Request as Question};
use crate::client::commands::{Command, Page};
use crate::client::parse::parse;
use crate::client::session::Session;
use crate::http::{Reply, Request};
use crate::web::board::Board;
use crate::web::crew::Crew;
use crate::wire::Answer;
use crate::wire::reply::{Blocks, HashedBlock};

/// How long a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most entries of a page of a statement.
const PAGE: usize = 25;
/// The most entries of a block that are shown.
const ENTRIES: usize = 500;

/// Answers `/search?for=TEXT`: a height, an entry's name such as `A.1.3`, or an account; `before` is where the last
/// page of a statement ended.
pub(super) fn answer(request: &Request, board: &Board, crew: &Crew) -> Reply {
    let text = request.parameter("for").unwrap_or_default();
    let text = text.trim();
    let before = request.parameter("before");
    let found = if let Ok(height) = text.parse::<u64>() {
        block(height, board, crew)
    } else if let Some((server, position)) = entry_name(text) {
        entry(&server, position, board, crew)
    } else {
        statement(text, before.as_deref(), board, crew)
    };
    let found = found.unwrap_or_else(|why| json!({ "nothing": why }));
    Reply::new(200, "application/json", found.to_string())
}

fn entry_name(text: &str) -> Option<(ServerId, Position)> {
    let (rest, seq) = text.rsplit_once('.')?;
    let (server, epoch) = rest.rsplit_once('.')?;
    let position = Position { epoch: epoch.parse().ok()?, seq: seq.parse().ok()? };
    Some((server.parse().ok()?, position))
}

fn anybody(board: &Board, crew: &Crew) -> Result<Session, String> {
    let (id, address) = board.anybody().ok_or("no server answers")?;
    Ok(crew.client_of(&id, &address, PATIENCE))
}

fn ask(session: &mut Session, question: &Question) -> Result<Answer, String> {
    match session.ask(question).map_err(|failure| failure.to_string())? {
        Answer::Reply(Said::Error { message, .. }) => Err(message),
        answer => Ok(answer),
    }
}

fn blocks(session: &mut Session, from: u64, to: u64) -> Result<Blocks, String> {
    match ask(session, &Question::Chain { from, to: Some(to) })? {
        Answer::Chain(piece) => Ok(piece),
        _ => Err("the server's answer is out of place".into()),
    }
}

fn block(height: u64, board: &Board, crew: &Crew) -> Result<Value, String> {
    let piece = blocks(&mut anybody(board, crew)?, height, height)?;
    let block = piece.blocks.into_iter().find(|block| block.height == height);
    let mut block = block.ok_or_else(|| format!("there is no block {height} yet"))?;
    let count = block.entries.len();
    block.entries.truncate(ENTRIES);
    block.opening = None;
    Ok(json!({ "block": block, "count": count }))
}

/// Finds an entry in its home's log, or else its block, by halves: a server's entries are in the chain in their order.
fn entry(
    server: &ServerId,
    position: Position,
    board: &Board,
    crew: &Crew,
) -> Result<Value, String> {
    let name = format!("{server}.{}.{}", position.epoch, position.seq);
    let mut session = match crew.address_of(server) {
        Some(address) => crew.client_of(server, &address, PATIENCE),
        None => anybody(board, crew)?,
    };
    let status = match ask(&mut session, &Question::Status)? {
        Answer::Reply(Said::Status(status)) => *status,
        _ => return Err("the server's answer is out of place".into()),
    };
    let height = status.height.ok_or("there is no chain yet")?;
    let last = status.included.get(server).copied().unwrap_or(Position::START);
    if position > last {
        let before = Position { seq: position.seq.saturating_sub(1), ..position };
        if let Answer::Reply(Said::Log { entries, .. }) =
            ask(&mut session, &Question::Log { after: Some(before) })?
            && status.server == *server
            && let Some(entry) = entries.into_iter().find(|entry| entry.position() == position)
        {
            return Ok(json!({ "entry": entry, "name": name }));
        }
        return Err(format!("{server} has no entry {name} yet"));
    }
    let (mut low, mut high) = (1, height);
    while low <= high {
        let middle = low + (high - low) / 2;
        let Some((at, block)) = nearest(&mut session, server, middle, high)? else {
            // Nothing of this server from there on.
            high = middle - 1;
            continue;
        };
        let own = || block.entries.iter().filter(|entry| entry.server == *server);
        let (first, last) = (own().map(|e| e.position()).min(), own().map(|e| e.position()).max());
        if Some(position) > last {
            low = at + 1;
        } else if Some(position) < first {
            high = middle - 1;
        } else {
            let entry = own().find(|entry| entry.position() == position);
            let entry = entry.ok_or_else(|| format!("there is no entry {name}"))?;
            return Ok(json!({ "entry": entry, "name": name, "height": at }));
        }
    }
    Err(format!("there is no entry {name} in the chain"))
}

/// Returns the first block from this height on that holds anything of a server.
fn nearest(
    session: &mut Session,
    server: &ServerId,
    mut from: u64,
    to: u64,
) -> Result<Option<(u64, HashedBlock)>, String> {
    loop {
        let piece = blocks(session, from, to.min(from + 63))?;
        let Some(last) = piece.blocks.last().map(|block| block.height) else { return Ok(None) };
        let holds = |block: &HashedBlock| block.entries.iter().any(|entry| entry.server == *server);
        if let Some(block) = piece.blocks.into_iter().find(holds) {
            return Ok(Some((block.height, block)));
        }
        if last >= to {
            return Ok(None);
        }
        from = last + 1;
    }
}

fn statement(
    text: &str,
    before: Option<&str>,
    board: &Board,
    crew: &Crew,
) -> Result<Value, String> {
    let account: AccountId = text.parse().map_err(
        |_| "look for an account (A, A/alice), a block's height (3), or an entry's name (A.1.3)",
    )?;
    // Its home knows what is in its log, too. Any other server knows the chain.
    let home = account.as_str().split('/').next().and_then(|home| home.parse::<ServerId>().ok());
    let at = home.and_then(|home| Some((crew.address_of(&home)?, home)));
    let mut session = match at {
        Some((address, home)) => crew.client_of(&home, &address, PATIENCE),
        None => anybody(board, crew)?,
    };
    let before = before.map(|before| format!(" --before {before}")).unwrap_or_default();
    let line = format!("history {account} {PAGE}{before}");
    let Some(Command::Page(Page::History { account, limit, before, .. })) = parse(&line, &account)?
    else {
        return Err("that is no place in a statement".into());
    };
    match ask(&mut session, &Question::History { account, before, limit })? {
        Answer::Reply(Said::History { account, lines, next }) => {
            let next = next.map(|next| format!("{}.{}.{}", next.height, next.place, next.balance));
            Ok(json!({ "account": account, "lines": lines, "next": next }))
        }
        _ => Err("the server's answer is out of place".into()),
    }
}
