//! Reads a scenario file of either dialect. Pure: text in, steps or errors out.

use crate::play::cast::Cast;
use crate::play::script::Script;
use crate::play::wrong::Wrong;
use crate::play::{course, plain};

/// The most wrong lines that are told. A file with so many is of another kind.
pub const MAX_WRONGS: usize = 20;

/// Reads a file, in its dialect.
///
/// # Errors
/// All mistakes, in the order of the lines.
pub fn parse(text: &str) -> Result<Script, Vec<Wrong>> {
    let mut cast = Cast::default();
    let (mut wrongs, mut opening) = (Vec::new(), None);
    let (mut steps, mut accounts) = (Vec::new(), Vec::new());
    if course::is_table(text) {
        (steps, accounts) = course::parse(text, &mut cast, &mut opening, &mut wrongs);
    } else {
        plain::parse(text, &mut cast, &mut opening, &mut steps, &mut wrongs);
    }
    if steps.is_empty() && wrongs.is_empty() {
        wrongs.push(Wrong::new(1, 1, "nothing is played here; a step is such as A: transfer B 30"));
    }
    let servers = cast.servers(&mut wrongs);
    if wrongs.is_empty() {
        return Ok(Script { servers, opening, accounts, steps });
    }
    wrongs.sort_by_key(|wrong| wrong.place);
    wrongs.truncate(MAX_WRONGS);
    Err(wrongs)
}

#[cfg(test)]
#[path = "reading_tests.rs"]
mod tests;
