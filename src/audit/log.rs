//! A local log, compared with the chain that it continues.

use crate::audit::finding::Finding;
use crate::audit::replay::{Replay, came_again};
use crate::audit::requests::Requests;
use crate::audit::source::Source;
use crate::bank::blockchain::block_error::BlockError;
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::local_log::LocalLog;
use crate::bank::stored::Place;

/// Checks that a log continues its chain without a gap, and that each entry is of its home's accounts,
/// covered, and carried out once.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_log(replay: &Replay, source: &dyn Source, log: &[Element]) -> Result<(), Finding> {
    let (Some(chain), Some(server)) = (replay.chain(), source.server()) else {
        return match log.is_empty() {
            true => Ok(()),
            false => Err(Finding::new(source.spot(&Place::Log), "a log that belongs to no server")),
        };
    };
    let base = chain.included(&server);
    // Errors before a gap come first.
    let gap = LocalLog::new(base, log.to_vec()).err();
    let sound = &log[..gap.map_or(log.len(), |(index, _)| index)];
    let wrong = |index: usize, what| Err(Finding::new(source.spot(&Place::Element(index)), what));
    if let Err(error) = chain.verify_log(replay.balances(), &server, sound) {
        let index = match &error {
            BlockError::Entry { position, .. } => index_of(sound, *position),
            _ => 0,
        };
        return wrong(index, error.to_string());
    }
    let mut requests = Requests::default();
    for (index, element) in sound.iter().enumerate() {
        for (place, record) in element.records().iter().enumerate() {
            let Some(request) = &record.request else { continue };
            if replay.requests().contains(request) || !requests.insert(request) {
                return wrong(index, came_again(&server, element, place));
            }
        }
    }
    match gap {
        None => Ok(()),
        Some((index, expected)) => {
            wrong(index, out_of_place(&server, base, expected, log[index].first()))
        }
    }
}

/// Returns the index of the element that holds an entry, in a log without a gap.
fn index_of(log: &[Element], position: Position) -> usize {
    log.partition_point(|element| element.last() < position)
}

fn out_of_place(server: &ServerId, base: Position, expected: Position, found: Position) -> String {
    let name = |Position { epoch, seq }: Position| format!("{server}.{epoch}.{seq}");
    let (found_name, expected_name) = (name(found), name(expected));
    if found > expected {
        format!("{expected_name} is missing: {found_name} stands there")
    } else if found <= base {
        format!("{found_name} is in the chain already: {expected_name} should stand there")
    } else {
        format!("{found_name} comes again: {expected_name} should stand there")
    }
}
