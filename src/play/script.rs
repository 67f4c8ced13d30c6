//! The content of a scenario file of either dialect.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId};
use crate::client::commands::Command;
use crate::play::expect::Expect;
use crate::play::wrong::Place;
use crate::wire::link::{LinkFault, LinkOrder};

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A client says something to its server.
    Say {
        /// The server.
        server: ServerId,
        /// What it says.
        command: Command,
        /// True if the next step doesn't wait for the answer; `await` does.
        behind: bool,
    },
    /// Waits for the answers that nobody waits for yet; of one client, or of all.
    Await(Option<ServerId>),
    /// Kills a server as a power cut would.
    Kill(ServerId),
    /// Starts a server again.
    Start(ServerId),
    /// Lets a server stand still.
    Pause(ServerId),
    /// Lets a server go on.
    Resume(ServerId),
    /// Breaks links from here on: each is a server's own link, with its fault.
    Break(Vec<(ServerId, LinkFault)>),
    /// Ends the faults of these links, each a server's own; all faults, if none is named.
    Heal(Vec<(ServerId, ServerId)>),
    /// Lets time pass.
    Wait(Duration),
    /// Ends a file, as `quit` does in those of courses. No script has it.
    End,
    /// Shows what servers hold; all that run, if none are named.
    Show(Vec<ServerId>),
    /// Shows a title.
    Title(String),
    /// Checks an expectation.
    Expect(Expect),
    /// Changes the members of the bank.
    Members(Membership),
    /// Kills a server, or else the leader of the last round, and waits until those that are left know.
    Fail(Option<ServerId>),
    /// Starts a server that failed, and waits until all that run hear each other.
    Recover(ServerId),
    /// Begins a set of a course's file: exactly these servers have to run.
    Set {
        /// The set's number.
        number: u64,
        /// The servers that have to run.
        live: BTreeSet<ServerId>,
    },
}

impl Act {
    /// True if it is done to servers or links, be it by a client's word.
    pub(super) fn is_done_to_servers(&self) -> bool {
        match self {
            Act::Kill(_) | Act::Start(_) | Act::Pause(_) | Act::Resume(_) => true,
            Act::Break(_) | Act::Heal(_) | Act::Members(_) => true,
            Act::Fail(_) | Act::Recover(_) | Act::Set { .. } => true,
            Act::Say { command: Command::Link(order), .. } => *order != LinkOrder::Show,
            Act::Say { .. } | Act::Await(_) | Act::Wait(_) => false,
            Act::Show(_) | Act::Title(_) | Act::Expect(_) | Act::End => false,
        }
    }
}

/// A change of the bank's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Starts a server with an empty store, and has it admitted.
    Admit {
        /// The server.
        server: ServerId,
        /// True if it gets no vote.
        branch: bool,
    },
    /// Has a server dismissed, and waits for its end.
    Dismiss(ServerId),
    /// Starts a server at another address, and has the bank told.
    Move(ServerId),
    /// Gives a branch a vote.
    Promote(ServerId),
    /// Takes a member's vote.
    Demote(ServerId),
}

impl Membership {
    /// Returns the server that it is about.
    pub fn server(&self) -> &ServerId {
        match self {
            Membership::Admit { server, .. }
            | Membership::Dismiss(server)
            | Membership::Move(server)
            | Membership::Promote(server)
            | Membership::Demote(server) => server,
        }
    }
}

/// A step of a play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The step's place in the file.
    pub place: Place,
    /// The step's text.
    pub text: String,
    /// What the step does.
    pub act: Act,
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The servers that found the bank, in the order of their names.
    pub servers: BTreeSet<ServerId>,
    /// The opening balance of each server's account, if the file gives it.
    pub opening: Option<Amount>,
    /// The accounts that are opened before the first step, each with the opening balance: those of a course's file
    /// whose accounts are no servers. The servers' own accounts then hold nothing.
    pub accounts: Vec<AccountId>,
    /// The steps.
    pub steps: Vec<Step>,
}
