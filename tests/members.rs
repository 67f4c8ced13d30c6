//! Members come and go, by the chain: short plays of the pure state machine.

#[allow(dead_code, reason = "no simulation is played here")]
#[path = "support/machine/mod.rs"]
mod machine;

use machine::scenes::{keyed_members, leaving, member_blocks, members, readmitting};
use paxos_banking::bank;

/// Each scene is a test here; `tests/planted` plays some of them with a mistake.
macro_rules! scenes {
    ($file:ident: $($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                $file::$name();
            }
        )*
    };
}

scenes! {
    members:
    a_server_joins_and_takes_part,
    nobody_joins_unordered,
    an_order_waits_for_its_server,
    one_becomes_two_and_two_become_one,
    who_holds_money_is_not_dismissed,
    who_is_dismissed_is_gone_and_comes_back_in_the_next_epoch,
    a_dismissed_server_stays_until_the_others_hold_the_block,
    a_branch_logs_and_has_no_vote,
    a_vote_is_given_and_taken,
    no_vote_depends_on_a_store_that_is_lost,
    two_changes_in_one_block,
    a_move_is_followed,
    who_was_away_follows,
    a_member_that_joined_rejoins,
    an_account_of_a_stranger_is_no_member_s,
}

scenes! {
    member_blocks:
    a_dismissal_is_the_last_word,
    one_block_dismisses_one,
    an_instance_is_admitted_once,
    a_stranger_s_block_is_none,
    the_log_of_a_dismissed_server_is_no_member_s,
}

scenes! {
    leaving:
    who_is_dismissed_by_another_s_run_hears_of_it,
    a_proposal_does_not_say_that_the_block_before_is_durable,
    who_learns_of_its_dismissal_by_a_proposal_votes_no_more,
    who_asked_to_go_goes_after_a_crash,
    who_missed_its_dismissal_is_told,
    who_knows_nobody_any_more_is_found,
    who_names_one_that_came_back_is_answered,
    who_is_to_leave_brings_nobody_in_by_its_own_word,
    who_is_dismissed_stays_for_those_whom_it_hears,
    who_is_dismissed_says_where_it_is_found,
}

scenes! {
    readmitting:
    who_never_heard_of_its_admission_and_dismissal_asks_nobody,
    an_order_waits_for_the_store_in_the_place_of_a_dismissed_one,
}

scenes! {
    keyed_members:
    who_is_admitted_is_known_by_its_key,
    with_another_key_than_was_ordered_nobody_is_admitted,
    a_bank_with_keys_admits_nobody_without_one,
    no_server_s_key_admits_another_nor_does_a_former_one,
    a_dismissed_member_s_key_speaks_for_nobody,
    who_is_to_leave_brings_nobody_in,
}
