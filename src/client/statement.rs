//! Pages of an account's statement, as far back as is wanted.
//!
//! A statement is in the order in which its entries came into the chain, the newest first. Their times are by their homes'
//! clocks, and a home may have kept an entry in its log for long. So an older line doesn't mean that all behind it
//! are older, and only a whole page of older lines ends what is shown.

use crate::bank::ids::AccountId;
use crate::bank::request::{Cursor, Reply, Request, StatementLine};
use crate::bank::wall_time::WallTime;
use crate::client::commands::{Page, Response};
use crate::client::ending::{Failure, no_further, out_of_place};
use crate::client::session::{Session, ask};
use crate::client::since::Since;
use crate::clock;

/// A page as a server gives it: its lines, and where the next one begins.
type Piece = (Vec<StatementLine>, Option<Cursor>);

/// Returns a page of an account's statement.
pub(super) fn page(
    session: &mut Session,
    account: &AccountId,
    limit: usize,
    before: Option<Cursor>,
    since: Option<Since>,
) -> Result<Response, Failure> {
    let since = since.map(|since| since.time(clock::now()));
    let mut fetch = |before| {
        let request = Request::History { account: account.clone(), before, limit };
        match ask(session, &request)? {
            Reply::History { lines, next, .. } => Ok((lines, next)),
            _ => Err(out_of_place()),
        }
    };
    let (lines, next) = match since {
        None => fetch(before)?,
        Some(since) => newer(fetch, limit, before, since)?,
    };
    let reply = Reply::History { account: account.clone(), lines, next };
    let next = next.map(|next| {
        let (account, since) = (account.clone(), since.map(Since::At));
        Page::History { account, limit, before: Some(next), since }
    });
    Ok(Response::Page { reply, next, since })
}

/// Goes through pages for the lines that are not older. Ends at `limit` of them, at a page of none but older ones, and
/// where there is nothing more; and at an empty page, before which the server has looked through a lot.
fn newer(
    mut fetch: impl FnMut(Option<Cursor>) -> Result<Piece, Failure>,
    limit: usize,
    mut before: Option<Cursor>,
    since: WallTime,
) -> Result<Piece, Failure> {
    let mut kept = Vec::new();
    loop {
        let (mut lines, next) = fetch(before)?;
        let looked_at = lines.len();
        lines.retain(|line| line.entry.time.is_some_and(|time| time >= since));
        if lines.is_empty() && looked_at > 0 {
            return Ok((kept, None));
        }
        let none_was_older = lines.len() == looked_at;
        kept.append(&mut lines);
        if none_was_older || kept.len() >= limit || next.is_none() {
            return Ok((kept, next));
        }
        if before.is_some() && next >= before {
            return Err(no_further());
        }
        before = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::amount::Amount;
    use crate::client::samples::entries;

    /// Goes through pages of these times; a 0 is an entry without one. Returns the times that are kept, the place where it
    /// goes on, and how many pages it took.
    fn since(bound: u64, limit: usize, pages: &[&[u64]]) -> (Vec<u64>, Option<u64>, usize) {
        let cursor = |left: usize| Cursor { height: left as u64, place: 0, balance: Amount::ZERO };
        let mut asked = 0;
        let fetch = |before: Option<Cursor>| {
            let left = before.map_or(pages.len(), |before| before.height as usize);
            asked += 1;
            let line = |time: &u64| {
                let mut entry = entries().remove(0);
                entry.time = WallTime::new(*time).filter(|_| *time > 0);
                StatementLine { height: None, balance: Amount::ZERO, entry }
            };
            let lines = pages[pages.len() - left].iter().map(line).collect();
            Ok((lines, (left > 1).then(|| cursor(left - 1))))
        };
        let (lines, next) = newer(fetch, limit, None, WallTime::new(bound).unwrap()).unwrap();
        let times = lines.iter().map(|line| line.entry.time.map_or(0, WallTime::millis)).collect();
        (times, next.map(|next| next.height), asked)
    }

    #[test]
    fn only_a_whole_page_of_older_lines_ends_it() {
        for (pages, expected) in [
            // A page without older ones is a page, and the next one has to be asked for.
            (&[&[9, 8][..], &[7, 6]][..], (vec![9, 8], Some(1), 1)),
            (&[&[9, 3], &[2, 1], &[8, 7]], (vec![9], None, 2)),
            (&[&[9, 3], &[2, 8], &[7, 7]], (vec![9, 8], Some(1), 2)),
            (&[&[9, 3], &[2, 8]], (vec![9, 8], None, 2)),
            (&[&[3, 2], &[9, 8]], (vec![], None, 1)),
            // The bound itself is in, and what has no time is older than all.
            (&[&[5, 4], &[0, 0], &[9]], (vec![5], None, 2)),
            (&[&[5, 0], &[9]], (vec![5, 9], None, 2)),
            (&[&[]], (vec![], None, 1)),
            (&[&[], &[9]], (vec![], Some(1), 1)),
            (&[&[9, 1], &[], &[8]], (vec![9], Some(1), 2)),
        ] {
            assert_eq!(since(5, 2, pages), expected, "{pages:?}");
        }
        assert_eq!(since(5, 1, &[&[9], &[1]]), (vec![9], Some(1), 1));
    }

    #[test]
    fn a_server_that_does_not_go_on_is_left() {
        let mut asked = 0;
        let fetch = |_| {
            asked += 1;
            let [old, new] = [1, 9].map(|time| {
                let mut entry = entries().remove(0);
                entry.time = WallTime::new(time);
                StatementLine { height: None, balance: Amount::ZERO, entry }
            });
            Ok((vec![new, old], Some(Cursor { height: 1, place: 0, balance: Amount::ZERO })))
        };
        let result = newer(fetch, 50, None, WallTime::new(5).unwrap());
        assert_eq!((result, asked), (Err(no_further()), 2));
    }
}
