//! Instructions on their way: their names, and what became of them.

use std::slice;
use std::time::Duration;

use crate::bank::ids::RequestId;
use crate::bank::request::{Instruction, Outcome, Request};
use crate::client::ending::{Ending, Failure};

/// Instructions that go in one request, until each has its ending.
#[derive(Debug)]
pub(super) struct Order {
    request: Request,
    named: bool,
    /// True if a server may have heard a try under these names.
    pub heard: bool,
}

impl Order {
    /// Makes an order of one instruction.
    pub fn one(instruction: Instruction) -> Order {
        Order { request: Request::One(instruction), named: false, heard: false }
    }

    /// Makes an order of several instructions in one request.
    pub fn batch(instructions: Vec<Instruction>) -> Order {
        Order { request: Request::Batch(instructions), named: false, heard: false }
    }

    /// Makes the same order for another server, without names yet.
    pub fn anew(self) -> Order {
        Order { named: false, heard: false, ..self }
    }

    /// Returns the request.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// True if the order has names, which it keeps in every retry.
    pub fn is_named(&self) -> bool {
        self.named
    }

    /// Names the instructions: the first by `first`, the others by the numbers after it.
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

    /// Returns the number of the first instruction; 0 if the order has no names.
    pub fn number(&self) -> u64 {
        let first = self.instructions().first().and_then(|first| first.request.as_ref());
        first.map_or(0, |request| request.number)
    }

    /// Returns the instructions.
    pub fn instructions(&self) -> &[Instruction] {
        match &self.request {
            Request::One(instruction) => slice::from_ref(instruction),
            Request::Batch(instructions) => instructions,
            _ => &[],
        }
    }

    /// Returns the longest time that any instruction may wait for money.
    pub fn longest_wait(&self) -> Duration {
        let waits = self.instructions().iter().filter_map(|instruction| instruction.wait_ms);
        Duration::from_millis(waits.max().unwrap_or(0))
    }

    /// Takes the names back if the server had forgotten the session before anything of this came. Then
    /// nothing has happened, and the order may go under other names. Returns the server's reason.
    pub fn take_back_names(&mut self, outcomes: &[Outcome]) -> Option<String> {
        let expired = |outcome: &Outcome| matches!(outcome, Outcome::Expired { .. });
        match outcomes {
            [Outcome::Expired { reason }, others @ ..] if others.iter().all(expired) => {
                self.named &= self.heard;
                (!self.named).then(|| reason.words.clone())
            }
            _ => None,
        }
    }

    /// Returns the endings by the server's answer. If the server has forgotten what became of the first try,
    /// a retry's ending is unknown.
    pub fn answered(&self, outcomes: Vec<Outcome>) -> Vec<Ending> {
        let ending = |(instruction, outcome): (&Instruction, Outcome)| match outcome {
            Outcome::Expired { reason } => match instruction.request.clone() {
                Some(request) => Ending::Unknown { request, reason: reason.words },
                None => Ending::NotDone(Failure::NotUnderstood(reason.words)),
            },
            outcome => Ending::Decided(outcome),
        };
        self.instructions().iter().zip(outcomes).map(ending).collect()
    }

    /// Returns the endings if no answer came.
    pub fn given_up(&self, failure: &Failure) -> Vec<Ending> {
        let ending = |instruction: &Instruction| match instruction.request.clone() {
            Some(request) if self.heard => Ending::Unknown { request, reason: failure.as_doubt() },
            _ => Ending::NotDone(failure.clone()),
        };
        self.instructions().iter().map(ending).collect()
    }
}
