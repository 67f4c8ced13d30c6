//! Rules of the protocol that show only at one server, step by step: what it says, writes and sets
//! its timers to, and what it ignores.

mod abreast;
mod chain;
mod elements;
mod founding;
mod groups;
mod keeping;
mod ledger;
mod listing;
mod long_logs;
#[allow(dead_code, reason = "no simulation is played here")]
#[path = "../support/machine/mod.rs"]
mod machine;
mod messages;
mod named;
mod patience;
mod proposing;
mod reasons;
mod reconciling;
mod recovery;
mod resting;
mod serving;
mod settling;
mod sightings;
mod taking_over;
mod vain_runs;
mod voting;
mod waiting;

use machine::scenes::{
    fair, foretold, going_on, going_on_names, issuing, keys, names, pacing, tenure, trust,
};
use machine::stage;
use paxos_banking::bank;

/// These scenes are tests here; `tests/planted` plays them with a mistake.
macro_rules! scenes {
    ($($file:ident: $($name:ident),* $(,)?;)*) => {
        $($(
            #[test]
            fn $name() {
                $file::$name();
            }
        )*)*
    };
}

scenes! {
    tenure:
    who_won_last_asks_again_in_the_same_ballot_and_writes_no_promise,
    a_promise_stands_for_the_heights_to_come_and_outlives_a_crash,
    a_round_after_which_they_begin_anew_is_promised_for_one_height,
    where_the_money_is_known_the_next_block_is_proposed_at_once,
    what_is_told_while_a_run_asks_for_it_is_known_once,
    what_is_told_too_late_to_be_counted_is_known_all_the_same,
    what_is_not_known_to_suffice_is_asked_for,
    a_second_run_for_one_height_has_a_higher_ballot,
    a_higher_ballot_ends_it_and_so_does_a_crash,
    an_accept_for_the_height_after_an_accepted_block_appends_that,
    a_majority_has_to_have_promised,
    what_a_branch_said_does_not_count_when_it_has_a_vote,
    what_a_store_promised_does_not_count_for_the_one_in_its_place,
    a_run_that_asks_nobody_refuses_nobody,
    ;
    pacing:
    for_its_own_entries_who_won_last_asks_only_itself,
    for_the_logs_of_others_it_asks_them,
    clients_that_were_answered_have_a_moment_to_come_again,
    who_has_accepted_a_block_waits_for_its_commit,
    but_not_for_ever,
    nor_for_a_proposer_that_is_gone,
    who_settles_lets_the_usual_winner_go_first_once,
    who_waits_for_money_lets_a_run_go_first_once_for_each_height,
    who_asked_long_ago_is_waited_for_by_nobody,
    nor_is_who_asked_and_is_gone,
    whose_turn_it_is_begins_with_the_block_if_it_still_waits,
    who_settles_by_habit_waits_for_no_usual_winner,
    who_won_once_is_waited_for_by_nobody,
    who_is_gone_is_no_usual_winner,
    one_that_lacks_a_few_blocks_is_heard_before_anybody_is_refused,
    ;
    trust:
    one_accuser_stops_nobody_whom_another_has_welcomed,
    whom_one_accuses_and_none_has_welcomed_waits_for_another_s_word,
    nor_does_it_vote_or_propose_until_then,
    in_a_bank_of_two_one_word_is_enough,
    who_joins_is_not_ended_by_the_only_member_it_knows,
    who_answers_in_another_s_name_speaks_for_nobody,
    a_block_that_ends_a_server_takes_two_who_hold_it,
    only_the_blocks_that_were_asked_for_are_taken_from_whom_they_were_asked_of,
    block_0_is_taken_only_from_whom_it_was_asked_of,
    a_round_too_far_ahead_is_ignored_and_said_once,
    many_rounds_begin_anew_with_a_height,
    no_run_waits_for_blocks_that_one_says_it_has_and_does_not_send,
    a_founding_that_a_lost_store_cut_short_goes_on,
    a_rejoiner_replaces_none_but_the_store_that_its_operator_spoke_of,
    ;
    keys:
    nobody_debits_another_s_account,
    an_owner_reads_its_own_and_nobody_else_s,
    a_rekey_takes_effect_at_its_place_and_not_before,
    what_waits_is_not_paid_by_the_key_before,
    a_session_belongs_to_the_key_that_opened_it,
    a_hello_counts_only_with_the_key_that_the_chain_names,
    no_vote_counts_without_the_key_of_its_server,
    after_a_rejoin_the_old_key_speaks_for_nobody,
    a_rejoin_takes_an_operator_s_word_for_its_very_key,
    who_rejoins_hears_those_whose_keys_its_operator_knows,
    who_can_not_come_in_any_more_hears_so_from_those_who_refuse_it,
    a_server_tells_only_its_own_key,
    a_server_without_its_key_does_not_start,
    a_bank_with_keys_is_founded_and_lets_a_confirmed_store_in,
    a_bank_without_keys_gets_them_one_by_one,
    ;
    foretold:
    whom_an_accepted_block_admits_says_that_it_was_chosen,
    nobody_else_speaks_for_it,
    nothing_else_is_believed_of_it,
    who_rejoins_by_an_accepted_block_says_that_it_was_chosen,
    a_branch_that_was_shown_the_block_hears_it_too,
    a_member_that_is_ahead_says_where_it_is_found,
    ;
    issuing:
    a_bank_that_was_not_founded_for_it_issues_nothing,
    what_is_issued_and_taken_back_changes_the_total_once_it_is_in_the_chain,
    a_home_issues_no_more_than_its_bound,
    a_block_in_which_a_home_issued_too_much_is_none,
    what_is_taken_back_has_to_be_there,
    only_operators_issue_and_only_at_a_till,
    no_element_is_earlier_than_the_one_before,
    a_block_in_which_time_goes_back_is_none,
    ;
    going_on:
    a_bank_goes_on_with_the_balances_and_entries_of_another,
    a_request_of_the_former_bank_never_pays_again,
    servers_that_go_on_from_different_ends_found_nothing,
    a_block_0_that_goes_on_from_elsewhere_is_not_taken,
    no_server_is_open_before_it_holds_all_opening_blocks,
    opening_blocks_are_bounded_and_hold_each_account_once,
    who_is_admitted_to_it_begins_in_its_first_epoch,
    ;
    going_on_names:
    a_name_of_the_former_bank_is_no_new_one,
    names_go_on_where_the_former_bank_ended,
    a_session_that_nobody_can_have_named_is_in_no_opening_block,
    ;
    names:
    a_name_is_found_again,
    a_used_name_is_never_forgotten,
    names_are_bounded,
    a_name_belongs_to_its_key,
    a_name_outlives_a_lost_store,
    ;
    fair:
    what_waits_is_bounded_in_items,
    a_few_transfers_of_each_may_wait_whatever_the_others_have,
    a_retry_that_finds_no_room_is_told_nothing,
    who_opens_thousands_of_sessions_ends_nobody_else_s,
    those_whose_connection_is_gone_go_first,
    the_next_session_s_name_can_not_be_told_beforehand,
    the_third_of_a_queue_needs_another_run_after_a_debit_too,
    ;
}
