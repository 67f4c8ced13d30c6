//! What a scenario file says, whichever dialect it speaks.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::bank::amount::Amount;
use crate::bank::ids::ServerId;
use crate::client::commands::Command;
use crate::play::expect::Expect;
use crate::play::wrong::Place;
use crate::wire::link::LinkFault;

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A client says something to its server.
    Say {
        /// The server.
        server: ServerId,
        /// What it says.
        command: Command,
        /// The next step doesn't wait for the answer; `await` does.
        behind: bool,
    },
    /// Waits for the answers that nobody waits for yet; of one client, or of all.
    Await(Option<ServerId>),
    /// Kills a server as a power cut would.
    Kill(ServerId),
    /// Starts it again.
    Start(ServerId),
    /// Lets it stand still.
    Pause(ServerId),
    /// Lets it go on.
    Resume(ServerId),
    /// Faults from here on: whose links, and what is wrong with them.
    Break(Vec<(ServerId, LinkFault)>),
    /// Ends all faults of links.
    Heal,
    /// Lets time pass.
    Wait(Duration),
    /// Shows what servers hold; all that run, if none are named.
    Show(Vec<ServerId>),
    /// Shows words.
    Title(String),
    /// Checks something.
    Expect(Expect),
    /// A set of a course's file begins: exactly these servers are to run.
    Set {
        /// Its number.
        number: u64,
        /// The servers that are to run.
        live: BTreeSet<ServerId>,
    },
}

/// A step of a play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it stands.
    pub place: Place,
    /// What stands there.
    pub text: String,
    /// What it does.
    pub act: Act,
}

/// All of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The servers of the bank, in the order of their names.
    pub servers: BTreeSet<ServerId>,
    /// What each of them opens with, if the file says so.
    pub opening: Option<Amount>,
    /// The steps.
    pub steps: Vec<Step>,
}
