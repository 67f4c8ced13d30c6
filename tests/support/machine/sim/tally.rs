//! What went wrong how often, and which rare paths were reached.

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::effects::{Batch, Bound, Write};
use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::Action;
use crate::bank::note::{Note, Step};
use crate::bank::paxos::message::{Message, Vote};
use crate::bank::paxos::rest::Rest;
use crate::bank::paxos::run::How;
use crate::bank::reason::Code;
use crate::bank::request::{Outcome, Reply};

/// Lists kinds, each in words.
macro_rules! kinds {
    ($kind:ident: $($name:ident = $words:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $kind {
            $($name),*
        }

        impl $kind {
            pub const WORDS: &[&str] = &[$($words),*];
        }
    };
}

kinds! { Fault:
    Lost = "message lost",
    Repeated = "message repeated",
    Late = "message late",
    Cut = "connection broken",
    Unreachable = "dial failed",
    Partition = "partition",
    Crash = "crash",
    CrashUnwritten = "crash before the turn is durable",
    CrashSilent = "crash between durable and said",
    CrashSaid = "crash when all is said",
    StoreUnwritten = "store failed before the commit",
    StoreSilent = "store failed after the commit",
    SlowStore = "slow store",
    Pause = "pause",
    ClientLost = "request or reply lost",
    ClientRepeated = "late copy of a request",
    StoreLost = "store lost for good",
    StoreLeft = "store given up that lives on, cut off",
    StoreBack = "store put back to an earlier copy",
    LieOfStore = "a peer called a good store another",
    LieOfRound = "a peer named the last round there is",
    SegmentHarmed = "a segment lost, cut or changed",
    ArchivistDied = "crash while a segment is sealed",
    PowerCut = "power cut while one is sealed",
    Impostor = "somebody said without its key what a server had said",
    Dismissed = "a server stopped, since it was dismissed",
}

kinds! { Mark:
    Nack = "a proposer was too low and told so",
    Adopted = "a block accepted before was proposed again",
    Completed = "a round that another began was completed",
    Finishing = "an accepted block was not committed in time",
    EmptyPromise = "a promise of an empty log",
    AllEmpty = "all logs were empty: no block",
    Between = "an entry was logged between promise and commit",
    OneBehind = "a prepare brought the commit of the block before",
    AcceptBehind = "an accept brought the commit of the block before",
    AtOnce = "a run began with phase 2, since what it needs was known",
    Held = "a prepare was answered after catching up",
    Fetched = "a block was fetched",
    Reconciled = "a server reconciled",
    Joined = "a retry joined a transfer that waits",
    Repeated = "a retry got the first outcome",
    AfterCrash = "a retry after a crash got the first outcome",
    Refused = "a refusal that consulted all",
    RefusedByFew = "a refusal that names a server not consulted",
    Unavailable = "no majority in time",
    Invalid = "a transfer that makes no sense",
    SettledAlone = "a settlement that names a server not consulted",
    Cut = "a promise was cut",
    RestNothing = "what was left of cut logs brought nothing to what waits",
    RestBrings = "it brought something",
    RestUnknown = "nobody said what it brings",
    RefusedOnTheWay = "a refusal of more than there is and is on the way",
    Expired = "a request was answered: expired",
    BehindInPages = "a start had pages of balances that lacked blocks",
    ExpiredByResuming = "a server that started from the chain's end answered: expired",
    NewAfterResuming = "and one such accepted a new number of an older session",
    PayeeFound = "a run found a foreign payee",
    PayeeUnknown = "a payee that nobody knew was refused",
    LinkedWaited = "a linked group waited for a run and happened",
    LinkedFailed = "a linked group failed",
    ToldSettled = "an entry's client was told when it was settled",
    ToldNotSettled = "accepted, not settled yet",
    PatientByBlock = "a patient transfer was served by a block",
    PatientByCredit = "a patient transfer was served by a credit at home",
    PatientRefused = "a patient transfer was refused after its time",
    SettledByAge = "a server settled since its log was old",
    SettledByLength = "a server settled since its log was long",
    Yielded = "a settling run let another go first",
    OpenedAgain = "an opening was repeated",
    OpenAlready = "an account was open already",
    WrongServer = "a request went to the wrong server",
    LogFull = "a local log was full",
    Rejoined = "a server rejoined with another store",
    VoidRejoin = "a rejoin was void",
    LostEntries = "what was in no block was lost with a store",
    ToldLost = "a client was told that its request is lost",
    OldPaid = "an old store that is cut off accepted what is lost",
    OldStopped = "an old store came back and stopped",
    BackNoticed = "a store that went back in time was noticed",
    Doubted = "a server that only one peer had spoken to was slandered by it",
    Confirmed = "an operator confirmed a store in a bank with keys",
    Archived = "blocks left for a segment",
    SegmentNotes = "a store noted many segments",
    DiedWritten = "a crash between a segment's last block and its flushing",
    DiedFlushed = "a crash between its flushing and its naming",
    DiedNamed = "a crash between its naming and the folder's flushing",
    Stray = "a start removed a segment that was not noted",
    FromSegment = "a peer was sent blocks from a segment",
    Unreadable = "a peer was sent no blocks, since their segment was harmed",
    Restored = "a harmed segment was made again with blocks from peers",
    Slandered = "a server was slandered by one peer, and another had welcomed it",
    Admitted = "a server was admitted",
    ComesBack = "a dismissed server was to be admitted again",
    DismissedBy = "a server was dismissed",
    Stays = "a dismissal was void",
    Promoted = "a branch got a vote",
    Demoted = "a member lost its vote",
    Moved = "a member moved",
    VoidChange = "a change of the members was void",
    TwoChanges = "a block held two changes of the members",
    ClientDied = "a client died, and kept its session's name and its last number",
    NamedAgain = "what was lost with a store was asked again under a client's name, and done",
    NamedInChain = "what a lost store had brought into the chain was asked again under a client's name",
    Issued = "money was issued",
    TakenBack = "money was taken back",
    BurnRefused = "money that was not there was not taken back",
    GoesOn = "a bank went on where another one ended",
    FoundingCutShort = "a server died between its opening blocks",
}

impl Mark {
    /// Tells what was issued or taken back, if anything was.
    pub fn of_issue(action: &Action) -> Option<Mark> {
        match action {
            Action::Mint { .. } => Some(Mark::Issued),
            Action::Burn { .. } => Some(Mark::TakenBack),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
pub struct Tally {
    pub faults: [u64; Fault::WORDS.len()],
    pub marks: [u64; Mark::WORDS.len()],
    /// Outcomes that clients saw.
    pub judged: u64,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { faults: [0; Fault::WORDS.len()], marks: [0; Mark::WORDS.len()], judged: 0 }
    }
}

impl Tally {
    pub fn fault(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    pub fn mark(&mut self, mark: Mark) {
        self.marks[mark as usize] += 1;
    }

    pub fn mark_if(&mut self, condition: bool, mark: Mark) {
        self.marks[mark as usize] += u64::from(condition);
    }

    #[allow(dead_code, reason = "tests/planted has no use for sums")]
    pub fn add(&mut self, other: &Tally) {
        self.faults.iter_mut().zip(other.faults).for_each(|(sum, more)| *sum += more);
        self.marks.iter_mut().zip(other.marks).for_each(|(sum, more)| *sum += more);
        self.judged += other.judged;
    }

    /// A server proposes.
    pub fn free(&mut self, by: &ServerId, message: &Message) {
        if let Message::Accept { block, .. } = message {
            self.mark_if(block.block().proposer.as_ref() != Some(by), Mark::Completed);
        }
    }

    pub fn note(&mut self, note: &Note) {
        let mark = match note {
            Note::Run(_, _, Step::Proposes { how: How::Adopted, .. }) => Mark::Adopted,
            Note::Run(_, _, Step::Proposes { how: How::Known, .. }) => Mark::AtOnce,
            Note::Run(_, _, Step::AllEmpty) => Mark::AllEmpty,
            Note::Run(_, _, Step::Leaves(Rest::Brings(brings))) if brings.is_empty() => {
                Mark::RestNothing
            }
            Note::Run(_, _, Step::Leaves(Rest::Brings(_))) => Mark::RestBrings,
            Note::Run(_, _, Step::Leaves(_)) => Mark::RestUnknown,
            Note::FinishesRound => Mark::Finishing,
            Note::Yields(_) => Mark::Yielded,
            Note::Reconciled(_) => Mark::Reconciled,
            _ => return,
        };
        self.mark(mark);
    }

    /// A turn became durable, by which the log came to hold what is given.
    pub fn durable(&mut self, batch: &Batch, log_is_empty: bool, accepted: Option<&SealedBlock>) {
        let appended = batch.writes.iter().find_map(|write| match write {
            Write::Append { block, from_accepted, .. } if block.height() > 0 => {
                Some((block, *from_accepted))
            }
            _ => None,
        });
        let promises = batch.writes.iter().any(|write| matches!(write, Write::Promise(_)));
        let accepts = batch.writes.iter().any(|write| matches!(write, Write::Accept { .. }));
        if let Some((block, from_accepted)) = appended {
            self.mark_if(!log_is_empty, Mark::Between);
            self.mark_if(accepted != Some(block), Mark::Fetched);
            self.mark_if(promises && from_accepted, Mark::OneBehind);
            self.mark_if(accepts && from_accepted, Mark::AcceptBehind);
            self.mark_if(promises && !from_accepted, Mark::Held);
        }
    }

    pub fn bound(&mut self, bound: &Bound) {
        match bound {
            Bound::Peer(_, Message::Nack { .. }) => self.mark(Mark::Nack),
            Bound::Peer(_, Message::Promise { vote: Vote::Log { elements, cut, .. }, .. }) => {
                self.mark_if(elements.is_empty(), Mark::EmptyPromise);
                self.mark_if(*cut, Mark::Cut);
            }
            Bound::Reply(_, _, Reply::Settled { not_consulted, .. }) => {
                self.mark_if(!not_consulted.is_empty(), Mark::SettledAlone);
            }
            Bound::Reply(_, _, Reply::One(outcome)) => self.outcome(outcome),
            Bound::Reply(_, _, Reply::Batch { outcomes }) => {
                outcomes.iter().for_each(|outcome| self.outcome(outcome));
            }
            _ => {}
        }
    }

    fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted { repeated, settled, .. } => {
                self.mark_if(*repeated, Mark::Repeated);
                self.mark_if(*settled == Some(true), Mark::ToldSettled);
                self.mark_if(*settled == Some(false), Mark::ToldNotSettled);
            }
            Outcome::Refused { reason, .. } if reason.code == Code::AccountExists => {
                self.mark(Mark::OpenAlready);
            }
            Outcome::Refused { reason, not_consulted, .. } if not_consulted.is_empty() => {
                self.mark_if(reason.contains("on the way"), Mark::RefusedOnTheWay);
                self.mark(Mark::Refused);
            }
            Outcome::Refused { .. } => self.mark(Mark::RefusedByFew),
            Outcome::Unavailable { reason } if reason.code == Code::LogFull => {
                self.mark(Mark::LogFull);
            }
            Outcome::Unavailable { .. } => self.mark(Mark::Unavailable),
            Outcome::Invalid { .. } => self.mark(Mark::Invalid),
            Outcome::LinkedFailed { .. } => self.mark(Mark::LinkedFailed),
            Outcome::WrongServer { .. } => self.mark(Mark::WrongServer),
            Outcome::Expired { .. } => self.mark(Mark::Expired),
        }
    }
}
