//! What a request asked for, as far as a retry has to ask for the same.

use crate::bank::ledger::entry::{Action, Record};
use crate::bank::reference::Reference;
use crate::bank::request::Instruction;

/// What was asked for under a number. How long the client waits for the answer may differ from try to try.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Content {
    /// The action.
    pub action: Action,
    /// True if it was linked to the next one.
    pub linked: bool,
    /// What it is for.
    pub reference: Option<Reference>,
}

impl From<&Instruction> for Content {
    fn from(Instruction { action, linked, reference, .. }: &Instruction) -> Content {
        Content { action: action.clone(), linked: *linked, reference: reference.clone() }
    }
}

impl From<&Record> for Content {
    fn from(Record { action, linked, reference, .. }: &Record) -> Content {
        Content { action: action.clone(), linked: *linked, reference: reference.clone() }
    }
}

impl Content {
    /// True if an instruction asks for the same.
    pub(super) fn is_of(&self, instruction: &Instruction) -> bool {
        let Instruction { action, linked, reference, .. } = instruction;
        (&self.action, &self.linked, &self.reference) == (action, linked, reference)
    }
}
