//! The lines of a scenario file that set up its bank: `servers A B C` and `opening 10`. Pure.

use std::collections::BTreeSet;

use crate::bank::amount::Amount;
use crate::bank::ids::ServerId;
use crate::bank::limits::MAX_SERVERS;
use crate::play::cast::Cast;
use crate::play::words::Words;
use crate::play::wrong::Wrong;

/// Reads `servers A B C` or `opening 10`.
pub(super) fn settings(
    words: &mut Words<'_>,
    cast: &mut Cast,
    opening: &mut Option<Amount>,
) -> Result<(), Wrong> {
    match words.take_if("servers") {
        true => declare(words, cast),
        false => open_with(words, opening),
    }
}

fn declare(words: &mut Words<'_>, cast: &mut Cast) -> Result<(), Wrong> {
    const RIGHT: &str = "servers ID ID…, once, such as: servers A B C D E";
    if cast.declared.is_some() {
        let what = format!("the servers are known already; expected: {RIGHT}");
        return Err(Wrong::new(words.line, words.first_column(), what));
    }
    let mut servers = BTreeSet::new();
    while words.peek().is_some() || servers.is_empty() {
        let column = words.column();
        let server: ServerId = words.value(RIGHT)?;
        if servers.len() == MAX_SERVERS {
            let what = format!("{server} is one server too many: a bank has at most {MAX_SERVERS}");
            return Err(Wrong::new(words.line, column, what));
        }
        if servers.contains(&server) {
            let what = format!("server {server} is there twice; expected: {RIGHT}");
            return Err(Wrong::new(words.line, column, what));
        }
        servers.insert(server);
    }
    cast.declared = Some(servers);
    Ok(())
}

fn open_with(words: &mut Words<'_>, opening: &mut Option<Amount>) -> Result<(), Wrong> {
    const RIGHT: &str = "opening UNITS, once, such as: opening 10";
    words.take_if("opening");
    if opening.is_some() {
        let what = format!("the opening balance is known already; expected: {RIGHT}");
        return Err(Wrong::new(words.line, words.first_column(), what));
    }
    let amount = words.value(RIGHT)?;
    words.end(RIGHT)?;
    *opening = Some(amount);
    Ok(())
}
