//! Sets of a course's file: their live servers, failures among them, and accounts that are no servers.

use std::collections::BTreeSet;
use std::io::Write;

use super::{Player, Stop};
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::Action;
use crate::bank::limits::MAX_BATCH;
use crate::bank::request::{Instruction, Outcome};
use crate::client::commands::{Command, Response};
use crate::client::execute::execute;
use crate::client::session::{Ending, Session};
use crate::play::cast::list;
use crate::play::check::chain;
use crate::play::look::Look;
use crate::play::script::Step;

impl<O: Write> Player<'_, O> {
    /// Opens the script's accounts at their homes, each with the opening balance, and has that in the chain
    /// before the script begins.
    pub(super) fn open_accounts(&mut self) -> Result<(), Stop> {
        let accounts = &self.script.accounts;
        let opening = self.manner.opening_of_accounts;
        if accounts.is_empty() {
            return Ok(());
        }
        for id in &self.script.servers {
            let own = accounts.iter().filter(|account| account.is_of(id));
            let open = own.clone().map(|account| Action::open(account.clone()));
            let pay = own.map(|account| Action::Transfer {
                from: AccountId::of(id),
                to: account.clone(),
                amount: opening,
            });
            let actions: Vec<Action> = open.chain(pay).collect();
            let options = self.stage.client_of(id).ok_or("no such server")?;
            let mut session = Session::new(&options);
            for part in actions.chunks(MAX_BATCH) {
                let instructions = part.iter().cloned().map(Instruction::plain).collect();
                check_opened(execute(Command::Batch(instructions), &mut session, None))?;
            }
            execute(Command::Settle, &mut session, None);
        }
        self.stage.wait_until_calm()?;
        self.began_at = self.longest_chain().map_or(0, |(height, _)| height);
        Ok(())
    }

    /// Kills servers that are not to run, starts those that are, and waits until they hear each other.
    pub(super) fn begin_set(
        &mut self,
        step: &Step,
        number: u64,
        live: &BTreeSet<ServerId>,
    ) -> Result<(), Stop> {
        self.tally.begin(Some(number));
        let (mut killed, mut started) = (Vec::new(), Vec::new());
        for id in &self.script.servers {
            if !live.contains(id) && self.stage.kill(id) {
                killed.push(id);
            }
        }
        for id in live {
            if self.stage.start(id)? {
                started.push(id);
            }
        }
        self.stage.wait_until_calm()?;
        let words = |what: &str, ids: &[&ServerId]| match ids {
            [] => String::new(),
            ids => format!("{what} {}; ", list(ids.iter().copied())),
        };
        let running = match live.is_empty() {
            true => "nobody runs".into(),
            false => format!("{} run", list(live)),
        };
        let text = words("killed", &killed) + &words("started", &started) + &running;
        self.done(step, &text)?;
        self.look_at_all_again()
    }

    /// Notes who holds what at the end of a set, and how many transfers wait.
    pub(super) fn note_balances(&mut self) {
        self.stage.wait_for_blocks();
        let servers: Vec<ServerId> = self.stage.live().into_iter().collect();
        let mut balances = Look::at(&mut self.stage, servers).balances();
        // Where the file's accounts are others, the servers' own are of no interest.
        let of_file = &self.script.accounts;
        balances.retain(|account, _| of_file.is_empty() || of_file.contains(account));
        if self.tally.rows.is_empty() {
            self.tally.begin(None);
        }
        if let Some(row) = self.tally.rows.last_mut() {
            (row.balances, row.waiting) = (balances, self.short.left().len());
        }
    }

    /// Kills a server, or else the leader of the last round, and waits until those that are left know.
    pub(super) fn fail(&mut self, step: &Step, server: Option<&ServerId>) -> Result<(), Stop> {
        let leader = match server {
            Some(server) => Some(server.clone()),
            None => self.last_leader(),
        };
        let Some(id) = leader else {
            return self.done(step, "nobody fails: no server has led a round yet");
        };
        let did = self.stage.kill(&id);
        self.stage.wait_until_calm()?;
        let what = match (server, did) {
            (Some(_), true) => "killed".into(),
            (Some(_), false) => "it doesn't run".into(),
            (None, true) => format!("killed {id}, which led the last round"),
            (None, false) => format!("{id} led the last round, and doesn't run"),
        };
        self.done(step, &what)
    }

    /// Starts a server that failed, and waits until all that run hear each other.
    pub(super) fn recover(&mut self, step: &Step, id: &ServerId) -> Result<(), Stop> {
        let did = self.stage.start(id)?;
        self.stage.wait_until_calm()?;
        self.done(step, if did { "started" } else { "it runs" })
    }

    /// Mends links. Where a link is whole again both ways, waits until those at its ends hear each other.
    pub(super) fn heal(&mut self, step: &Step, links: &[(ServerId, ServerId)]) -> Result<(), Stop> {
        let whole = match links {
            [] => self.stage.broken(),
            [_] => Vec::new(),
            both => both.to_vec(),
        };
        self.stage.heal(links)?;
        let live = self.stage.live();
        for (from, to) in whole {
            if live.contains(&from) && live.contains(&to) {
                let what = format!("{to} hears {from}");
                self.stage.wait_until(&what, |stage| stage.hears(&to, &from))?;
            }
        }
        self.done(step, "done")
    }

    /// Returns the server whose run made the script's last block.
    fn last_leader(&mut self) -> Option<ServerId> {
        let (height, proposer) = self.longest_chain()?;
        proposer.filter(|_| height > self.began_at)
    }

    /// Returns the height of the longest chain of a server that runs, and who proposed its last block.
    fn longest_chain(&mut self) -> Option<(u64, Option<ServerId>)> {
        let live = self.stage.live();
        let lasts = live.iter().filter_map(|id| chain(&mut self.stage, id, 0).ok()?.pop());
        let last = lasts.max_by_key(|block| block.height)?;
        Some((last.height, last.proposer.clone()))
    }
}

/// Checks that accounts were opened and got their money.
fn check_opened(response: Option<Response>) -> Result<(), Stop> {
    let is_done = |ending: &Ending| matches!(ending, Ending::Decided(Outcome::Accepted { .. }));
    match response {
        Some(Response::Batch(endings)) if endings.iter().all(is_done) => Ok(()),
        other => Err(Stop::Cannot(format!("the file's accounts can't be opened: {other:?}"))),
    }
}
