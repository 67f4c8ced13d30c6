//! What buttons do: a few of the prompt's commands.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bank::ids::{AccountId, ServerId};
use crate::client::commands::Command;
use crate::client::execute::execute;
use crate::client::exit::{Exit, exit_of};
use crate::client::parse::parse;
use crate::client::words::to_words;
use crate::http::Reply;
use crate::web::crew::Crew;

/// How long an order may take: a transfer that finds no majority is answered in this time.
const PATIENCE: Duration = Duration::from_secs(8);

/// An order, as the page sends it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    server: ServerId,
    command: String,
}

/// What came of it.
#[derive(Serialize)]
struct Done {
    well: bool,
    words: String,
}

/// Carries an order out, and says in words what came of it.
pub(super) fn carry_out(body: &[u8], crew: &Crew) -> Reply {
    let Ok(Order { server, command }) = serde_json::from_slice::<Order>(body) else {
        return Reply::line(400, "an order has a server and a command");
    };
    let Some(address) = crew.address_of(&server) else {
        return Reply::line(404, &format!("there is no server {server}"));
    };
    let command = match parse(&command, &AccountId::of(&server)) {
        Ok(Some(command)) if is_allowed(&command) => command,
        Ok(_) => {
            return Reply::line(
                400,
                "orders are transfer, batch, linked, open, rekey, mint, burn, settle and link",
            );
        }
        Err(why) => return done(false, why),
    };
    let mut session = crew.client_of(&server, &address, PATIENCE);
    match execute(command, &mut session, None) {
        Some(response) => done(exit_of(&response) == Exit::Done, to_words(&response)),
        None => done(false, "nothing was done".into()),
    }
}

fn is_allowed(command: &Command) -> bool {
    matches!(command, Command::One(_) | Command::Batch(_) | Command::Settle | Command::Link(_))
}

fn done(well: bool, words: String) -> Reply {
    let done = Done { well, words: words.trim_end().to_owned() };
    Reply::new(200, "application/json", serde_json::to_string(&done).unwrap_or_default())
}
