//! A server whose store is lost comes back, and one whose store went back in time is noticed: short
//! plays of the pure state machine.

#[allow(dead_code, reason = "no simulation is played here")]
#[path = "../support/machine/mod.rs"]
mod machine;
mod rollback;

use machine::cluster::Cluster;
use machine::scenes::rejoining;
use paxos_banking::bank;
use paxos_banking::bank::server::cannot_rejoin;

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
    rejoining:
    a_server_rejoins_and_counts_anew,
    what_is_lost_is_said_as_far_as_anybody_has_seen_it,
    retries_of_the_older_epoch_get_what_became_of_them,
    nothing_is_said_before_the_chain_names_the_store,
    the_new_store_does_not_help_to_choose_the_block_that_names_it,
    of_five_one_may_be_away,
    one_that_lags_is_brought_up_to_date_by_the_new_store,
    an_old_store_that_lives_on_loses_only_what_it_accepted,
    an_old_store_stops_at_the_block_that_replaces_it,
    of_five_two_may_rejoin_at_a_time,
    a_second_entry_of_the_same_store_is_void,
    a_store_that_comes_too_late_stops,
    a_third_store_comes_in_place_of_the_second,
    a_healthy_server_is_not_replaced,
    an_entry_logged_before_a_crash_is_settled_after_it,
    a_client_can_not_ask_for_it,
}

scenes! {
    rollback:
    a_store_that_went_back_in_time_is_noticed_by_a_peer,
    it_is_noticed_late_too,
    one_turn_is_noticed,
    one_that_was_rolled_back_rejoins,
}

/// The other one alone can't know what the lost store has promised, and isn't even asked.
#[test]
fn of_two_there_is_no_way_back() {
    let mut cluster = Cluster::open(&["A", "C"]);
    assert_eq!(cluster.pay("C", "A", 10), Some((1, 1)));
    let height = cluster.height("A");
    cluster.kill("C");
    cluster.run(2_000);
    cluster.add("C2");
    cluster.start("C2", true);
    cluster.run(20_000);
    assert!(cluster.nodes["A"].disk.stored.log.is_empty(), "A was not asked to log it");
    assert_eq!(cluster.height("A"), height);
    assert_eq!(cluster.pay("C2", "A", 1), None, "the new store doesn't serve");
    for (servers, may) in [(1, false), (2, false), (3, true), (4, true), (5, true)] {
        assert_eq!(cannot_rejoin(servers).is_none(), may, "of {servers} servers");
    }
}
