//! Commands carried out over a session.

use crate::bank::request::{ErrorCode, Reply, Request};
use crate::client::commands::{Command, Health, Page, Response};
use crate::client::ending::{Failure, no_further, out_of_place};
use crate::client::inside;
use crate::client::session::{Session, ask};
use crate::client::statement;
use crate::wire::Answer;
use crate::wire::reply::{Blocks, HashedBlock};

/// Carries a command out. `next` is the page that `more` asks for, if there is one. Returns none for
/// `quit`.
pub fn execute(command: Command, session: &mut Session, next: Option<&Page>) -> Option<Response> {
    let result = match command {
        Command::One(instruction) => Ok(Response::One(session.instruct(instruction))),
        Command::Batch(instructions) => Ok(Response::Batch(session.instruct_all(instructions))),
        Command::Again => Ok(again(session)),
        Command::Balance(account) => reply(session, &Request::Balance(account)),
        Command::Page(page) => show(session, &page),
        Command::More => match next {
            Some(page) => show(session, page),
            None => Ok(Response::Usage(
                "there is no next page: more follows history, accounts or balances".into(),
            )),
        },
        Command::Log(None) => log(session),
        Command::Log(Some(server)) => session.at(&server).and_then(|mut there| log(&mut there)),
        Command::Chain { from, to } => blocks(session, from, to),
        Command::Block(height) => block(session, height),
        Command::AllBalances { prefix } => inside::all_balances(session, &prefix),
        Command::Follow { .. } => Ok(Response::Usage(
            "follow shows what comes at a prompt, and with -c: here ask for chain or history"
                .into(),
        )),
        // A single look.
        Command::Status | Command::Watch(_) => reply(session, &Request::Status),
        Command::Health => health(session),
        Command::Settle => reply(session, &Request::Settle),
        Command::Rejoin(confirmed) => reply(session, &Request::Rejoin(confirmed)),
        Command::Members(order) => reply(session, &Request::Members(order)),
        Command::Link(order) => session.order(&order).map(Response::Links),
        Command::Help(topic) => Ok(Response::Help(topic)),
        Command::Quit => return None,
    };
    Some(result.unwrap_or_else(Response::Failed))
}

fn reply(session: &mut Session, request: &Request) -> Result<Response, Failure> {
    ask(session, request).map(Response::Reply)
}

fn health(session: &mut Session) -> Result<Response, Failure> {
    let told = match ask(session, &Request::Status) {
        // It answers, and so it is known not to serve.
        Err(
            failure @ Failure::Said(ErrorCode::Store | ErrorCode::Full | ErrorCode::Unavailable, _),
        ) => {
            let server = session.server().clone();
            let why = Some(failure.as_doubt());
            let health = Health { server, serves: false, why, hears_majority: None };
            return Ok(Response::Health(health));
        }
        told => told?,
    };
    Ok(Response::Health(match told {
        Reply::Status(status) => Health {
            serves: status.active && status.not_serving.is_none() && status.no_writes.is_none(),
            why: status.not_serving.or(status.no_writes),
            hears_majority: status.hears_majority,
            server: status.server,
        },
        Reply::Short(status) => {
            Health { server: status.server, serves: status.active, why: None, hears_majority: None }
        }
        _ => return Err(out_of_place()),
    }))
}

fn again(session: &mut Session) -> Response {
    match session.again() {
        Some(mut endings) if endings.len() == 1 => Response::One(endings.remove(0)),
        Some(endings) => Response::Batch(endings),
        None => {
            Response::Usage("nothing ended as unknown, so there is nothing to ask again".into())
        }
    }
}

fn show(session: &mut Session, page: &Page) -> Result<Response, Failure> {
    match page {
        Page::History { account, limit, before, since } => {
            statement::page(session, account, *limit, *before, *since)
        }
        Page::Accounts(list) => {
            let reply = ask(session, &list.request())?;
            let Reply::Accounts { accounts, more } = &reply else { return Err(out_of_place()) };
            let next = list.next(accounts, *more).map(Page::Accounts);
            Ok(Response::Page { reply, next, since: None })
        }
        Page::Balances(list) => inside::balances(session, list),
    }
}

fn blocks(session: &mut Session, from: u64, to: Option<u64>) -> Result<Response, Failure> {
    let blocks = chain(session, from, to)?;
    if blocks.is_empty() { no_block(session, from) } else { Ok(Response::Chain(blocks)) }
}

fn block(session: &mut Session, height: u64) -> Result<Response, Failure> {
    match chain(session, height, Some(height))?.pop() {
        Some(block) => Ok(Response::Block(Box::new(block))),
        None => no_block(session, height),
    }
}

/// Says that there is no block at this height, and which one is the last.
fn no_block(session: &mut Session, height: u64) -> Result<Response, Failure> {
    let last = match ask(session, &Request::Status)? {
        Reply::Status(status) => status.height,
        Reply::Short(status) => status.height,
        _ => return Err(out_of_place()),
    };
    let last = last.map_or("there are none yet".into(), |height| format!("the last is {height}"));
    Ok(Response::Usage(format!("there is no block {height}: {last}")))
}

fn log(session: &mut Session) -> Result<Response, Failure> {
    let (server, entries) = inside::log_after(session, None)?;
    Ok(Response::Reply(Reply::Log { server, entries, more: false }))
}

/// Fetches the chain, piece by piece.
fn chain(session: &mut Session, from: u64, to: Option<u64>) -> Result<Vec<HashedBlock>, Failure> {
    let mut all: Vec<HashedBlock> = Vec::new();
    let mut next = from;
    loop {
        let Answer::Chain(Blocks { blocks, more }) =
            session.ask(&Request::Chain { from: next, to })?
        else {
            return Err(out_of_place());
        };
        let heights = blocks.iter().map(|block| block.height);
        if !heights.eq((next..).take(blocks.len())) {
            return Err(Failure::NotUnderstood("there is a gap between its blocks".into()));
        }
        let last = blocks.last().map(|block| block.height);
        all.extend(blocks);
        match last {
            _ if !more => return Ok(all),
            Some(last) => next = last + 1,
            None => return Err(no_further()),
        }
    }
}
