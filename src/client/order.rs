//! Instructions on their way: under which names they go, and what became of them.

use std::slice;
use std::time::Duration;

use crate::bank::ids::RequestId;
use crate::bank::request::{Instruction, Outcome, Request};
use crate::client::ending::{Ending, Failure};

/// Instructions that are asked for together, until each has its ending.
#[derive(Debug)]
pub(super) struct Order {
    request: Request,
    named: bool,
    /// A try under these names may have been heard.
    pub heard: bool,
}

impl Order {
    /// One alone.
    pub fn one(instruction: Instruction) -> Order {
        Order { request: Request::One(instruction), named: false, heard: false }
    }

    /// Several in one request.
    pub fn batch(instructions: Vec<Instruction>) -> Order {
        Order { request: Request::Batch(instructions), named: false, heard: false }
    }

    /// The same for another server, under no names yet.
    pub fn anew(self) -> Order {
        Order { named: false, heard: false, ..self }
    }

    /// What to ask.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Whether it has names, which it keeps in every retry.
    pub fn is_named(&self) -> bool {
        self.named
    }

    /// Names the first one; the others are numbered on from there.
    pub fn name(&mut self, first: &RequestId) {
        self.named = true;
        let instructions = match &mut self.request {
            Request::One(instruction) => slice::from_mut(instruction),
            Request::Batch(instructions) => instructions,
            _ => &mut [],
        };
        for (instruction, place) in instructions.iter_mut().zip(0..) {
            let (session, number) = (first.session.clone(), first.number + place);
            instruction.request = Some(RequestId { session, number });
        }
    }

    /// What is asked for.
    pub fn instructions(&self) -> &[Instruction] {
        match &self.request {
            Request::One(instruction) => slice::from_ref(instruction),
            Request::Batch(instructions) => instructions,
            _ => &[],
        }
    }

    /// The longest time that any of it may wait for money.
    pub fn longest_wait(&self) -> Duration {
        let waits = self.instructions().iter().filter_map(|instruction| instruction.wait_ms);
        Duration::from_millis(waits.max().unwrap_or(0))
    }

    /// Takes back its names, if the server had forgotten the session before any of this came: then
    /// none of it has happened, and it may be sent under other names. Returns the server's reason.
    pub fn take_back_names(&mut self, outcomes: &[Outcome]) -> Option<String> {
        let expired = |outcome: &Outcome| matches!(outcome, Outcome::Expired { .. });
        match outcomes {
            [Outcome::Expired { reason }, others @ ..] if others.iter().all(expired) => {
                self.named &= self.heard;
                (!self.named).then(|| reason.clone())
            }
            _ => None,
        }
    }

    /// The endings if the server answered. A retry of which it has forgotten what became of the first
    /// try leaves that unknown.
    pub fn answered(&self, outcomes: Vec<Outcome>) -> Vec<Ending> {
        let ending = |(instruction, outcome): (&Instruction, Outcome)| match outcome {
            Outcome::Expired { reason } => match instruction.request.clone() {
                Some(request) => Ending::Unknown { request, reason },
                None => Ending::NotDone(Failure::NotUnderstood(reason)),
            },
            outcome => Ending::Decided(outcome),
        };
        self.instructions().iter().zip(outcomes).map(ending).collect()
    }

    /// The endings if no answer came.
    pub fn given_up(&self, failure: &Failure) -> Vec<Ending> {
        let ending = |instruction: &Instruction| match instruction.request.clone() {
            Some(request) if self.heard => Ending::Unknown { request, reason: failure.to_string() },
            _ => Ending::NotDone(failure.clone()),
        };
        self.instructions().iter().map(ending).collect()
    }
}
