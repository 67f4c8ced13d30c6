//! The mistakes that can be planted, and the macro by which `src/bank` asks for them.

use std::cell::Cell;

/// Lists them, each with what goes wrong.
macro_rules! mistakes {
    ($($name:ident: $what:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mistake {
            $($name),*
        }

        pub const ALL: &[(Mistake, &str)] = &[$((Mistake::$name, $what)),*];
    };
}

mistakes! {
    PromiseNotDurable: "a promise is not made durable",
    AcceptNotDurable: "an accepted block is not made durable",
    PromiseBeforeDurable: "a promise counts before it is durable",
    AcceptedBeforeDurable: "an accepted counts before it is durable",
    ReplyBeforeDurable: "a reply leaves before its turn is durable",
    AcceptedIgnored: "the next proposer ignores what was accepted",
    HighestPromisedDecides: "the promised ballot is told in place of the accepted one's",
    BallotWithoutServer: "ballots are compared by round alone",
    BallotUsedTwice: "a ballot's name lacks the life: it is used again after a crash",
    AcceptWithoutPromise: "an accept is taken though a higher ballot is promised",
    AcceptDoesNotPromise: "an accept does not raise the promised ballot",
    AnotherBallotCounts: "promises and accepteds of another ballot count",
    AcceptedCountsTwice: "a repeated accepted counts twice",
    HalfIsEnough: "one less than a majority is enough",
    PromiseWithoutBlocks: "a server that lacks blocks promises",
    LateAcceptTaken: "an accept for an earlier height is taken",
    EarlyAcceptTaken: "an accept for a later height is taken",
    SlotNotCleared: "the acceptor's slot outlives its height",
    PromiseEndsWithHeight: "a promise ends with its height, and the proposer goes on by it",
    PromiseForgottenAtStart: "a standing promise is forgotten at a restart",
    TenureOutlivesLife: "a proposer goes on in the ballot of its former life",
    BallotTwiceAtAHeight: "two runs for one height have the same ballot",
    BranchPromises: "the promise of a branch counts when it has a vote",
    StandsForAnotherStore: "the promise of a store counts for the one that replaced it",
    StandsWithoutMajority: "a run begins with phase 2 though no majority has promised",
    OwnLogUndurable: "a run that asks nobody takes entries of its own that are not durable",
    CommitOfAnyBlock: "a commit appends whatever was accepted",
    CommitOfAnyHeight: "a commit's height is not checked",
    WholeLogDropped: "a commit drops the whole log, not only what is in the block",
    FetchedBlockNotTrimmed: "the log is not trimmed by blocks that were fetched",
    KnowledgeNotTrimmed: "a proposer keeps what it knows of logs beyond the block",
    OpenElementPromised: "a promise speaks of an element that still grows",
    SeqRestarted: "sequence numbers start again after a crash",
    FoundedByMajority: "the bank opens when a majority has block 0",
    FoundsThoughTold: "a server that was told its bank founds one",
    OpenBeforeComplete: "a server is open though it lacks opening blocks",
    OpeningUnchecked: "a block 0 that goes on from elsewhere is taken",
    FormerSessionLost: "a request of the former bank is said not to have happened",
    UnlistedLifeBelieved: "a life that a list of lives lacks is believed, however late it was seen",
    ForgottenLifeRefused: "a life that ended before all that are listed is taken for a rollback",
    RestingVotes: "a server whose store takes no writes votes",
    RetryPaidAgain: "a retry is paid again",
    WaitingPaidAgain: "a retry of a transfer that waits is another transfer",
    RetryPaidAfterCrash: "a retry after a crash is paid again",
    RefusedPaidLater: "a late copy of a refused transfer is paid",
    OldConnectionServed: "what comes on an old connection of a session is served",
    ForgottenIsNew: "a retry whose session was forgotten is new",
    FloorNotStored: "a start from the chain's end forgets which numbers are in the chain",
    HorizonLate: "a session leaves the store before the horizon that covers it",
    RefusedByEarlierRun: "a run refuses what came after it had prepared",
    RefusedThoughDebited: "a run refuses though the account was debited since",
    RefusedThoughCut: "a run refuses though a log was cut",
    RestOfOneOnly: "of several cut logs the rest of the last one alone counts",
    RestCountedTwice: "what a block brought counts again as what is left",
    RestUnknownIsNothing: "who does not say what is left of its log has nothing left",
    RestOpensNothing: "a payee that the rest of a log opens is refused as unknown",
    UnaskedIsPoor: "an account that was not asked for gets nothing of what is left",
    OwnRestUnknown: "what is left of the own log keeps all from being refused",
    RefusedUnheard: "a refusal does not wait for connected servers",
    WaitingOvertaken: "a transfer overtakes one of its account that waits",
    CutNotSaid: "a promise does not say that it was cut",
    ForgottenNumberIsNew: "a retry whose number was forgotten is new",
    PromisedCreditSpent: "what was promised is spent before it is in a block",
    AccountOpenedTwice: "an account that is open can be opened again",
    OpenedAgain: "the retry of an opening is another opening",
    LinkedHalfApplied: "the first of a linked group happen while the rest waits",
    GroupSplit: "a linked group goes into two elements",
    GroupHalfLate: "half of a linked group becomes durable a turn later",
    GroupInOneQueue: "a linked group waits in the queue of one of its accounts only",
    SettledEarly: "an entry is called settled before it is in a block",
    PatientPaidTwice: "a patient transfer is served and goes on waiting",
    PatientRefusedEarly: "a patient transfer is refused before its time",
    PatientHoldsUp: "a patient transfer holds up its account",
    OneHoldsUpAll: "an account that waits holds up the others of its server",
    TornCopyIsNew: "the beginning of linked ones that comes again is rejected as new",
    PatienceIgnoresDebits: "a run refuses a patient transfer though its account was debited since",
    LifeSurvives: "a life survives a reload of the store",
    VotesAtOnce: "a store that is to replace another takes part before the chain names it",
    CountedAtOnce: "its votes count before the chain names it, too",
    DeposedGoesOn: "a replaced store goes on, and its votes count",
    VoteWithoutItsKey: "a message counts over a connection that proved a key its server has no more",
    GreetsWithoutItsKey: "a hello counts without the key that the chain names",
    RejoinsUnconfirmed: "a store rejoins a bank with keys though no operator has confirmed it",
    OldKeyGoesOn: "a server that rejoined is known by its old key",
    LearnsByOldKeys: "a server that rejoins believes only the keys at the chain's beginning",
    PinsForAnother: "a server tells another server's key",
    AnybodyDebits: "whoever has a key debits any account",
    ReadsAnything: "whoever owns an account reads the others' accounts",
    RekeysEarly: "an account's new key may ask for itself",
    WaitsByTheOldKey: "a transfer that waited is paid though its account has another key by now",
    SessionOfAnyKey: "a session serves whoever knows its name",
    RejoinDeposesAnybody: "a second rejoin replaces the store that came by the first",
    OldEpochGoesOn: "a server that rejoined goes on with the older epoch's numbers",
    CheckpointAtHead: "the pages of balances are said to have all blocks",
    PageHeightIgnored: "a start lets a block change balances that it has changed before",
    LogFillsUp: "a log is not settled before it is full",
    SettledBeforeRest: "a settlement is told when what was promised first is in blocks",
    SettlingNeverEnds: "a settlement waits for what was logged after it was asked for",
    VainRunsWithoutRest: "runs that bring nothing follow each other without a rest",
    OneAccuserIsEnough: "a server stops on one peer's word",
    DoubtIgnored: "a server goes on though the only peer that spoke says its store is another",
    UnaskedBlocksTaken: "blocks are taken that nobody asked for",
    AnyRoundBelieved: "a ballot's round is believed however far ahead it is",
    WaitsInVain: "runs wait for blocks that one says it has and never sends",
    HeightOutlivesStore: "a peer that greets without block 0 keeps its height",
    ReplacesWhoeverIsNamed: "a rejoiner asks to replace whoever is named now",
    DebitSparesTheThird: "only the first of a queue needs another run after a debit",
    OneHoldsAll: "a connection may hold as many sessions as there are",
    GoneHoldsOn: "the sessions of a connection that is gone count as live",
    UsedLeavesNoTrace: "a session that was used is forgotten as if it had not been",
    NameForgotten: "a session that its client named is forgotten like any other",
    NameOfAnyKey: "a client's name for its session is the same for all keys",
    NewcomersFormerEpoch: "who is admitted begins in an epoch of the former bank",
    FormerNameIsNew: "a name that was used in the former bank is taken for a new one",
    CarriedNamesUnread: "a server doesn't read in the opening blocks how far names had come",
    CarriedNamesForgotten: "a start from the whole chain forgets how far names had come in the former bank",
    LostNamesUnread: "a server with another store doesn't read in the chain what was asked of the lost one",
    SessionNamesCounted: "the next session's name can be told beforehand",
    AnyNumberWaits: "requests that wait are not bounded in items",
    TwoFillTheWaits: "who comes when all that may wait waits is turned away, however little it has",
    SegmentNamedUnflushed: "a segment has its name before its content is on the disk",
    SegmentSealedUnnamed: "a segment counts as sealed before its name is on the disk",
    SegmentNotedUnwritten: "a segment is noted before its file is there",
    SegmentNotNoted: "blocks leave the list, and no segment is noted",
    BaseTooHigh: "the base is one too high",
    UncountedBlocksLeave: "blocks leave that pages of balances don't count yet",
    LastBlockLeaves: "the last block leaves the list",
    GenesisLeaves: "block 0 is not kept beside the list",
    NotedSegmentsRemoved: "a start removes noted segments with the strays",
    SegmentsReadUnchecked: "blocks are read from a segment that is not the noted one",
    LookUpsWithoutRest: "runs for unknown payees follow each other without a rest",
    BranchVotes: "the vote of a member without one counts",
    BranchesWidenMajority: "members without a vote make the majority larger",
    AnybodyProposes: "a block of somebody who is no member counts",
    DismissedLogCounts: "the log of a dismissed server comes into a block",
    DismissedWithMoney: "a server is dismissed whose accounts hold money",
    DismissedBeforeItsEnd: "a server is dismissed whose log goes on in the same block",
    DismissedComesBack: "the store of a dismissed server is admitted again",
    LogsThoughLeaving: "a server that waits to be dismissed goes on accepting",
    TwoDismissed: "one block dismisses two servers",
    LastVoterGoes: "the last member with a vote goes",
    VoteForTheLost: "a vote is given to a server whose store is lost",
    LeavesAtOnce: "a dismissed server goes before the others hold the block",
    LeavesTheOthersBehind: "a dismissed server goes though a member that it hears lacks the block",
    FormerAddressKept: "a member that is ahead is dialled where it was before a block moved it",
    DismissedVotes: "a server that a proposal tells of its dismissal votes on it",
    LeftInTheDark: "who chose a block doesn't tell the server that it dismisses",
    DismissalUntold: "a server that missed its dismissal doesn't believe the others",
    LeavesOnceAccepted: "a dismissed server goes once the others have accepted the block",
    OnlyMembersAreAhead: "who was away long takes no blocks of servers that it doesn't know",
    ForetoldUnheard: "who has accepted a block doesn't hear whom it admits that it was chosen",
    ForetoldBelieved: "whom an accepted block admits is believed like a member before it is chosen",
    JoinsUnordered: "a server joins without an operator's order",
    PaysWhoIsGone: "an account is paid whose home is no member",
    IssuesUnasked: "a bank issues money that was not founded for it",
    IssuesWithoutBound: "a home issues as much money as it is asked for",
    IssuedUncounted: "what was issued is forgotten once it is in a block",
    AnybodyIssues: "whoever has a key issues money",
    TimeGoesBack: "an element is as early as the clock says, though one before it is later",
    TimesUnchecked: "a block counts in which an element is earlier than the one before",
}

thread_local! {
    static PLANTED: Cell<Option<Mistake>> = const { Cell::new(None) };
}

/// Whether this thread has planted it.
pub fn is_planted(mistake: Mistake) -> bool {
    PLANTED.get() == Some(mistake)
}

/// Plants a mistake, or none, for all that this thread does from now on.
pub fn plant(mistake: Option<Mistake>) {
    PLANTED.set(mistake);
}

/// What the library's macro of this name denies.
macro_rules! planted {
    ($mistake:ident) => {
        crate::mistakes::is_planted(crate::mistakes::Mistake::$mistake)
    };
}
