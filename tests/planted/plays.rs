//! Short plays for mistakes that chance finds too seldom: one server, step by step.

use std::collections::BTreeMap;

use crate::bank::blockchain::block::{Block, SealedBlock};
use crate::bank::blockchain::derived::SessionsInChain;
use crate::bank::effects::{Event, Timer};
use crate::bank::ids::{ConnectionId, SessionId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Position, Record, Via};
use crate::bank::ledger::sessions::{Fate, Lookup, Sessions};
use crate::bank::limits::Limits;
use crate::bank::request::Request;
use crate::machine::scenes::{
    fair, foretold, going_on, going_on_names, issuing, keys, leaving, member_blocks, members,
    names, pacing, rejoining, tenure, trust,
};
use crate::machine::stage::*;
use crate::mistakes::Mistake;
use crate::{founding, long_logs, queues};

/// Which mistake each is for. It panics if that is made.
pub const PLAYS: &[(Mistake, fn())] = &[
    (Mistake::PromiseNotDurable, a_promise_outlives_a_crash),
    (Mistake::PromiseBeforeDurable, a_promise_leaves_when_it_is_durable),
    (Mistake::AnotherBallotCounts, an_accepted_of_another_ballot_does_not_choose),
    (Mistake::PromiseWithoutBlocks, a_server_that_lacks_blocks_does_not_promise),
    (
        Mistake::PromiseEndsWithHeight,
        tenure::a_promise_stands_for_the_heights_to_come_and_outlives_a_crash,
    ),
    (
        Mistake::PromiseForgottenAtStart,
        tenure::a_promise_stands_for_the_heights_to_come_and_outlives_a_crash,
    ),
    (Mistake::TenureOutlivesLife, tenure::a_higher_ballot_ends_it_and_so_does_a_crash),
    (Mistake::BallotTwiceAtAHeight, tenure::a_second_run_for_one_height_has_a_higher_ballot),
    (Mistake::BranchPromises, tenure::what_a_branch_said_does_not_count_when_it_has_a_vote),
    (
        Mistake::StandsForAnotherStore,
        tenure::what_a_store_promised_does_not_count_for_the_one_in_its_place,
    ),
    (Mistake::StandsWithoutMajority, tenure::a_majority_has_to_have_promised),
    (Mistake::OwnLogUndurable, tenure::where_the_money_is_known_the_next_block_is_proposed_at_once),
    (Mistake::OwnLogUnasked, pacing::for_its_own_entries_who_won_last_asks_only_itself),
    (Mistake::SettlesUnheard, pacing::for_the_logs_of_others_it_asks_them),
    (Mistake::CommitAwaitedForEver, pacing::but_not_for_ever),
    (
        Mistake::LaggardUnheard,
        pacing::one_that_lacks_a_few_blocks_is_heard_before_anybody_is_refused,
    ),
    (Mistake::ToldTwice, tenure::what_is_told_while_a_run_asks_for_it_is_known_once),
    (Mistake::UrgentYieldsOn, pacing::who_waits_for_money_lets_a_run_go_first_once_for_each_height),
    (Mistake::AskedForEver, pacing::who_asked_long_ago_is_waited_for_by_nobody),
    (Mistake::TurnOfAll, pacing::whose_turn_it_is_begins_with_the_block_if_it_still_waits),
    (Mistake::HabitYields, pacing::who_settles_by_habit_waits_for_no_usual_winner),
    (Mistake::YieldsAgain, pacing::who_settles_lets_the_usual_winner_go_first_once),
    (Mistake::RestOfOneOnly, long_logs::what_is_left_of_all_logs_counts),
    (Mistake::SettledBeforeRest, long_logs::a_settlement_has_an_end),
    (Mistake::RestCountedTwice, long_logs::what_came_with_the_block_is_not_left),
    (Mistake::OwnRestUnknown, long_logs::the_own_rest_brings_nothing_new),
    (Mistake::UnaskedIsPoor, long_logs::who_was_not_asked_for_is_not_refused),
    (Mistake::RestUnknownIsNothing, long_logs::who_says_nothing_of_the_rest_may_have_one),
    (Mistake::RestOpensNothing, long_logs::a_payee_may_be_opened_by_the_rest),
    (Mistake::LogFillsUp, long_logs::a_log_settles_from_half_of_its_bound_on),
    (Mistake::SettlingNeverEnds, long_logs::a_settlement_has_an_end),
    (Mistake::VainRunsWithoutRest, long_logs::runs_in_vain_rest),
    (Mistake::RefusedUnheard, a_refusal_waits_for_connected_servers),
    (Mistake::OldConnectionServed, an_older_connection_of_a_session_is_not_served),
    (Mistake::ForgottenIsNew, a_forgotten_session_expires),
    (Mistake::FloorNotStored, what_the_chain_holds_of_a_session_expires),
    (Mistake::HorizonLate, a_session_leaves_the_store_with_a_horizon),
    (Mistake::LookUpsWithoutRest, queues::runs_for_unknown_payees_rest),
    (Mistake::PatientHoldsUp, queues::a_patient_transfer_holds_nothing_up),
    (Mistake::OneHoldsUpAll, queues::an_account_that_waits_holds_up_no_other),
    (Mistake::GroupInOneQueue, queues::a_linked_group_holds_up_all_that_it_debits),
    (Mistake::PatienceIgnoresDebits, queues::a_debit_spares_a_patient_transfer_of_this_run),
    (Mistake::FoundsThoughTold, founding::a_server_that_was_told_its_bank_founds_none),
    (Mistake::OpenBeforeComplete, going_on::no_server_is_open_before_it_holds_all_opening_blocks),
    (Mistake::OpeningUnchecked, going_on::a_block_0_that_goes_on_from_elsewhere_is_not_taken),
    (Mistake::FormerSessionLost, going_on::a_request_of_the_former_bank_never_pays_again),
    (Mistake::UnlistedLifeBelieved, founding::a_life_that_the_list_lacks_is_a_rollback),
    (Mistake::ForgottenLifeRefused, founding::a_life_that_is_forgotten_is_no_rollback),
    (Mistake::RestingVotes, founding::who_only_reads_does_not_vote),
    (Mistake::OneAccuserIsEnough, trust::one_accuser_stops_nobody_whom_another_has_welcomed),
    (Mistake::DoubtIgnored, trust::whom_one_accuses_and_none_has_welcomed_waits_for_another_s_word),
    (
        Mistake::UnaskedBlocksTaken,
        trust::only_the_blocks_that_were_asked_for_are_taken_from_whom_they_were_asked_of,
    ),
    (Mistake::AnyRoundBelieved, trust::a_round_too_far_ahead_is_ignored_and_said_once),
    (Mistake::WaitsInVain, trust::no_run_waits_for_blocks_that_one_says_it_has_and_does_not_send),
    (Mistake::HeightOutlivesStore, trust::a_founding_that_a_lost_store_cut_short_goes_on),
    (
        Mistake::ReplacesWhoeverIsNamed,
        trust::a_rejoiner_replaces_none_but_the_store_that_its_operator_spoke_of,
    ),
    (Mistake::DebitSparesTheThird, fair::the_third_of_a_queue_needs_another_run_after_a_debit_too),
    (Mistake::AnyNumberWaits, fair::what_waits_is_bounded_in_items),
    (Mistake::TwoFillTheWaits, fair::a_few_transfers_of_each_may_wait_whatever_the_others_have),
    (Mistake::OneHoldsAll, fair::who_opens_thousands_of_sessions_ends_nobody_else_s),
    (Mistake::GoneHoldsOn, fair::those_whose_connection_is_gone_go_first),
    (Mistake::UsedLeavesNoTrace, a_forgotten_session_expires),
    (Mistake::NameForgotten, names::a_used_name_is_never_forgotten),
    (Mistake::NameOfAnyKey, names::a_name_belongs_to_its_key),
    (Mistake::NewcomersFormerEpoch, going_on::who_is_admitted_to_it_begins_in_its_first_epoch),
    (Mistake::FormerNameIsNew, going_on_names::a_name_of_the_former_bank_is_no_new_one),
    (Mistake::CarriedNamesUnread, going_on_names::names_go_on_where_the_former_bank_ended),
    (Mistake::CarriedNamesForgotten, going_on_names::names_go_on_where_the_former_bank_ended),
    (Mistake::LostNamesUnread, names::a_name_outlives_a_lost_store),
    (Mistake::SessionNamesCounted, fair::the_next_session_s_name_can_not_be_told_beforehand),
    (Mistake::VotesAtOnce, rejoining::nothing_is_said_before_the_chain_names_the_store),
    (
        Mistake::CountedAtOnce,
        rejoining::the_new_store_does_not_help_to_choose_the_block_that_names_it,
    ),
    (Mistake::DeposedGoesOn, rejoining::an_old_store_stops_at_the_block_that_replaces_it),
    (Mistake::VoteWithoutItsKey, keys::no_vote_counts_without_the_key_of_its_server),
    (Mistake::GreetsWithoutItsKey, keys::a_hello_counts_only_with_the_key_that_the_chain_names),
    (Mistake::RejoinsUnconfirmed, keys::a_rejoin_takes_an_operator_s_word_for_its_very_key),
    (Mistake::OldKeyGoesOn, keys::after_a_rejoin_the_old_key_speaks_for_nobody),
    (Mistake::LearnsByOldKeys, keys::who_rejoins_hears_those_whose_keys_its_operator_knows),
    (Mistake::OverUnheard, keys::who_can_not_come_in_any_more_hears_so_from_those_who_refuse_it),
    (Mistake::BranchVotes, members::a_branch_logs_and_has_no_vote),
    (Mistake::BranchesWidenMajority, members::a_branch_logs_and_has_no_vote),
    (Mistake::AnybodyProposes, member_blocks::a_stranger_s_block_is_none),
    (Mistake::DismissedLogCounts, member_blocks::the_log_of_a_dismissed_server_is_no_member_s),
    (Mistake::DismissedWithMoney, members::who_holds_money_is_not_dismissed),
    (Mistake::DismissedBeforeItsEnd, member_blocks::a_dismissal_is_the_last_word),
    (Mistake::DismissedComesBack, member_blocks::an_instance_is_admitted_once),
    (Mistake::LogsThoughLeaving, members::who_holds_money_is_not_dismissed),
    (Mistake::TwoDismissed, member_blocks::one_block_dismisses_one),
    (Mistake::LastVoterGoes, members::a_vote_is_given_and_taken),
    (Mistake::VoteForTheLost, members::no_vote_depends_on_a_store_that_is_lost),
    (Mistake::LeavesAtOnce, members::a_dismissed_server_stays_until_the_others_hold_the_block),
    (
        Mistake::ProposalTellsHeight,
        leaving::a_proposal_does_not_say_that_the_block_before_is_durable,
    ),
    (Mistake::LeavesTheOthersBehind, leaving::who_is_dismissed_stays_for_those_whom_it_hears),
    (Mistake::FormerAddressKept, foretold::a_member_that_is_ahead_says_where_it_is_found),
    (Mistake::DismissedVotes, leaving::who_learns_of_its_dismissal_by_a_proposal_votes_no_more),
    (Mistake::LeftInTheDark, leaving::who_is_dismissed_by_another_s_run_hears_of_it),
    (Mistake::OnlyMembersAreAhead, leaving::who_knows_nobody_any_more_is_found),
    (Mistake::DismissalUntold, leaving::who_missed_its_dismissal_is_told),
    (Mistake::ForetoldUnheard, foretold::whom_an_accepted_block_admits_says_that_it_was_chosen),
    (Mistake::ForetoldBelieved, foretold::nothing_else_is_believed_of_it),
    (Mistake::JoinsUnordered, members::nobody_joins_unordered),
    (Mistake::PaysWhoIsGone, members::who_is_dismissed_is_gone_and_comes_back_in_the_next_epoch),
    (Mistake::PinsForAnother, keys::a_server_tells_only_its_own_key),
    (Mistake::AnybodyDebits, keys::nobody_debits_another_s_account),
    (Mistake::ReadsAnything, keys::an_owner_reads_its_own_and_nobody_else_s),
    (Mistake::RekeysEarly, keys::a_rekey_takes_effect_at_its_place_and_not_before),
    (Mistake::WaitsByTheOldKey, keys::what_waits_is_not_paid_by_the_key_before),
    (Mistake::SessionOfAnyKey, keys::a_session_belongs_to_the_key_that_opened_it),
    (Mistake::RejoinDeposesAnybody, rejoining::a_store_that_comes_too_late_stops),
    (Mistake::IssuesUnasked, issuing::a_bank_that_was_not_founded_for_it_issues_nothing),
    (Mistake::IssuesWithoutBound, issuing::a_home_issues_no_more_than_its_bound),
    (Mistake::IssuedUncounted, issuing::a_home_issues_no_more_than_its_bound),
    (Mistake::AnybodyIssues, issuing::only_operators_issue_and_only_at_a_till),
    (Mistake::TimeGoesBack, issuing::no_element_is_earlier_than_the_one_before),
    (Mistake::TimesUnchecked, issuing::a_block_in_which_time_goes_back_is_none),
    (Mistake::OldEpochGoesOn, rejoining::a_server_rejoins_and_counts_anew),
];

fn a_promise_outlives_a_crash() {
    let mut stage = Stage::open();
    stage.hear(OF_B, prepare("B", 2, &genesis()));
    stage.crash();
    let block = block_after(&genesis(), &[("C", 5)]).block().clone();
    let block = SealedBlock::seal(Block { proposer: Some(id("C")), ..block });
    let said = stage.hear(OF_C, accept("C", 1, &block));
    assert_eq!(said.writes, [], "a higher ballot was promised before the crash");
}

fn a_promise_leaves_when_it_is_durable() {
    let mut stage = Stage::open();
    stage.server.handle(Event::Received(OF_B, prepare("B", 2, &genesis())));
    assert_eq!(stage.server.end_turn().free, [], "nothing leaves before the turn is durable");
}

fn an_accepted_of_another_ballot_does_not_choose() {
    let mut stage = Stage::open();
    stage.pay(TOO_MUCH, 1);
    stage.hear(OF_B, promise("B", 1, vec![element("B", 5)]));
    let block = stage.hear(OF_C, promise("C", 1, vec![])).proposal().expect("all have promised");
    let said = stage.hear(OF_B, accepted("B", 0, &block));
    assert_eq!(said.writes, [], "that was accepted in another ballot");
}

fn a_refusal_waits_for_connected_servers() {
    let mut stage = Stage::open();
    stage.pay(TOO_MUCH, 1);
    stage.hear(OF_B, promise("B", 1, vec![]));
    let said = stage.time_out(Timer::Gather { covered: false });
    assert_ne!(said.asked(), [], "C is connected and gets one further run to answer");
}

fn a_server_that_lacks_blocks_does_not_promise() {
    let missing = block_after(&genesis(), &[("B", 5)]);
    let said = Stage::open().hear(OF_B, prepare("B", 1, &missing));
    assert_eq!(said.writes, [], "block 1 is not here");
}

fn an_older_connection_of_a_session_is_not_served() {
    let mut stage = Stage::open();
    assert_eq!(stage.pay(1, 1).writes.len(), 1, "the newer connection is served");
    let request = Request::One(transfer(1, 2));
    let said = stage.handle(Event::Request(ConnectionId(8), None, request));
    assert_eq!(said.writes, [], "the older one is not");
}

fn a_forgotten_session_expires() {
    let limits = Limits { sessions: 10, ..Limits::default() };
    let (mut sessions, connection) = (Sessions::new(&limits), ConnectionId(1));
    let fate = Fate::Accepted(Position { epoch: 1, seq: 1 }, Via::Local);
    let old = transfer(5, 1);
    let request = old.request.clone().unwrap();
    sessions.remember(&request, (&old).into(), fate);
    for count in 1..=10 {
        let later = SessionId::from(session_at(1, count));
        sessions.open(&later, connection);
    }
    assert_eq!(sessions.find(&request, &old, connection), Lookup::Expired);
}

fn what_the_chain_holds_of_a_session_expires() {
    let highest = BTreeMap::from([(session(1).into(), 7)]);
    let in_chain = SessionsInChain { highest, horizon: None };
    let mut sessions = Sessions::restore(&Limits::default(), &in_chain, false);
    let mut find = |number| {
        let asked = transfer(5, number);
        sessions.find(&asked.request.clone().unwrap(), &asked, ConnectionId(1))
    };
    assert_eq!([find(3), find(7), find(8)], [Lookup::Expired, Lookup::Expired, Lookup::New]);
}

fn a_session_leaves_the_store_with_a_horizon() {
    let limits = Limits { sessions: 1, ..Limits::default() };
    let mut sessions = Sessions::new(&limits);
    let old = transfer(5, 1);
    let request = old.request.clone().unwrap();
    let at = Position::START.next();
    let record = Record { request: old.request.clone(), ..record(old.action.clone()) };
    sessions.recover(at, &record, false);
    let changes = sessions.came_into_chain(&[Element::seal(at, vec![record])]);
    assert_eq!(changes.highest, BTreeMap::from([(session(1).into(), 1)]));
    let later = SessionId::from(session_at(1, 2));
    sessions.open(&later, ConnectionId(1));
    let changes = sessions.came_into_chain(&[]);
    assert!(changes.forgotten.contains(&SessionId::from(session(1))), "there is no room for it");
    let kept = SessionsInChain { highest: BTreeMap::new(), horizon: changes.horizon };
    let mut again = Sessions::restore(&limits, &kept, false);
    assert_eq!(again.find(&request, &old, ConnectionId(2)), Lookup::Expired);
}
