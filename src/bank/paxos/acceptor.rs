//! The acceptor (*Paxos Made Simple*, 2.2): one slot, for the height after the chain's head, and a promise that
//! stands for all heights from there on (DESIGN.md, "A standing promise").

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::paxos::ballot::Ballot;

/// What an acceptor has promised, and what it has accepted for the next height. Appending a block ends what was
/// accepted; the promise stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Acceptor {
    promised: Option<Ballot>,
    accepted: Option<(Ballot, SealedBlock)>,
}

/// An acceptor's answer to a ballot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes, with a change that has to be made durable.
    Yes,
    /// Yes, as it said before.
    Again,
    /// No: it has promised this higher ballot.
    PromisedHigher(Ballot),
    /// No: in this very ballot it has accepted another block. The proposer is broken.
    Conflict,
}

fn is_higher(promised: &Ballot, ballot: &Ballot) -> bool {
    promised > ballot && !(planted!(BallotWithoutServer) && promised.round == ballot.round)
}

impl Acceptor {
    /// Makes the acceptor as it was stored.
    pub fn recover(promised: Option<Ballot>, accepted: Option<(Ballot, SealedBlock)>) -> Acceptor {
        let promised =
            promised.filter(|_| accepted.is_some() || !planted!(PromiseForgottenAtStart));
        Acceptor { promised, accepted }
    }

    /// Returns the highest ballot promised.
    pub fn promised(&self) -> Option<&Ballot> {
        self.promised.as_ref()
    }

    /// Returns the block accepted last, and its ballot.
    pub fn accepted(&self) -> Option<&(Ballot, SealedBlock)> {
        self.accepted.as_ref()
    }

    /// Phase 1: promises a ballot, unless a higher one is promised.
    pub fn prepare(&mut self, ballot: &Ballot) -> Answer {
        match &self.promised {
            Some(promised) if is_higher(promised, ballot) => {
                Answer::PromisedHigher(promised.clone())
            }
            Some(promised) if promised == ballot => Answer::Again,
            _ => {
                self.promised = Some(ballot.clone());
                Answer::Yes
            }
        }
    }

    /// Phase 2: accepts a block unless a higher ballot is promised.
    pub fn accept(&mut self, ballot: &Ballot, block: &SealedBlock) -> Answer {
        if let Some(promised) = &self.promised
            && is_higher(promised, ballot)
            && !planted!(AcceptWithoutPromise)
        {
            return Answer::PromisedHigher(promised.clone());
        }
        if let Some((accepted, earlier)) = &self.accepted
            && accepted == ballot
        {
            return if earlier == block { Answer::Again } else { Answer::Conflict };
        }
        if !planted!(AcceptDoesNotPromise) {
            self.promised = Some(ballot.clone());
        }
        self.accepted = Some((ballot.clone(), block.clone()));
        Answer::Yes
    }

    /// Empties the slot, since a block was appended: it is for the next height now. Returns true if the promise
    /// stands for that height too.
    pub fn next_height(&mut self) -> bool {
        if !planted!(SlotNotCleared) {
            self.accepted = None;
        }
        let ends = planted!(PromiseEndsWithHeight);
        self.promised = self.promised.take().filter(|promised| promised.stands() && !ends);
        self.promised.is_some()
    }

    /// Checks what must always hold.
    ///
    /// # Panics
    /// If a block was accepted in a ballot higher than any promised.
    pub fn assert_sound(&self) {
        if let Some((ballot, _)) = &self.accepted {
            assert!(self.promised.as_ref() >= Some(ballot), "accepted beyond what was promised");
        }
    }
}
