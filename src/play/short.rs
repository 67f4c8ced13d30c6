//! Transfers that the bank could not cover and that wait for money.
//!
//! A server answers each request, so such a transfer is asked anew, under a new name: what was refused has
//! not happened. Asking makes sense when its home has a new block, or a server was started; and when a set begins
//! and at the end, when a run may find what is in others' logs.

use std::rc::Rc;

use crate::bank::ids::ServerId;
use crate::bank::request::Outcome;
use crate::client::commands::Command;
use crate::client::session::Ending;
use crate::play::script::Step;
use crate::play::stage::Stage;
use crate::play::why::is_unavailable;

/// What has to change before a transfer is asked again: the home's height, or the number of starts.
type Mark = (Option<u64>, usize);

/// A transfer that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its step in the file.
    pub step: Rc<Step>,
    /// Its home.
    pub server: ServerId,
    /// Its command.
    pub command: Command,
    mark: Mark,
}

/// The transfers that wait, the longest waiting first.
#[derive(Debug, Default)]
pub(super) struct Short {
    waiting: Vec<Waiting>,
}

impl Short {
    /// True if a command that ended so can wait: it has not happened, for want of money or of servers.
    pub(super) fn concerns(endings: &[Ending]) -> bool {
        let waits = |ending: &Ending| {
            matches!(ending, Ending::Decided(Outcome::Refused { .. })) || is_unavailable(ending)
        };
        // Of several, some may have happened.
        endings.len() == 1 && endings.iter().all(waits)
    }

    /// Lets a command wait.
    pub(super) fn wait(
        &mut self,
        step: Rc<Step>,
        server: ServerId,
        command: Command,
        stage: &mut Stage,
    ) {
        let mark = mark(&server, stage);
        self.waiting.push(Waiting { step, server, command, mark });
    }

    /// Takes the first one for which something has changed.
    pub(super) fn next(&mut self, stage: &mut Stage) -> Option<Waiting> {
        let changed =
            |one: &Waiting| stage.runs(&one.server) && mark(&one.server, stage) != one.mark;
        let place = self.waiting.iter().position(changed)?;
        Some(self.waiting.remove(place))
    }

    /// Takes all whose home runs.
    pub(super) fn take_all(&mut self, stage: &Stage) -> Vec<Waiting> {
        self.waiting.extract_if(.., |one| stage.runs(&one.server)).collect()
    }

    /// Returns those that still wait.
    pub(super) fn left(&self) -> &[Waiting] {
        &self.waiting
    }
}

fn mark(server: &ServerId, stage: &mut Stage) -> Mark {
    (stage.status(server).ok().and_then(|status| status.height), stage.starts())
}
