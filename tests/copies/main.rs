//! `--redis-copies`: a turn counts as durable once replicas have it on their disks, too. Real replicas are lost,
//! stopped, promoted and left behind.
//!
//! Each test runs on a Redis and a Valkey with `WAITAOF`, which `.ci/install-stores` fetches.

#[path = "../chaos/customer.rs"]
mod customer;
mod destroyed;
mod lagging;
mod missing;
mod stage;
mod starting;
#[path = "../support/mod.rs"]
mod support;
#[path = "../chaos/teller.rs"]
mod teller;

/// Makes a test of each of these functions, for a store.
macro_rules! on {
    ($name:expr, $($place:ident::$test:ident)*) => {
        $(#[test] fn $test() { crate::$place::$test($name); })*
    };
}

/// Makes a test of each function, for each store.
macro_rules! on_each {
    ($($module:ident $name:expr;)*) => {
        $(mod $module { on! { $name,
            destroyed::ten_rounds_lose_nothing_that_was_told
            missing::a_replica_that_stands_still_confirms_nothing_and_nothing_is_told
            missing::a_replica_that_is_lost_is_noticed_by_a_server_that_rests
            missing::a_turn_does_not_take_the_second_after_which_replicas_speak_by_themselves
            starting::a_server_waits_for_its_copies_and_says_so
            starting::a_replica_that_keeps_nothing_is_no_copy
            starting::what_is_not_known_to_be_copied_is_not_told
            starting::the_documented_user_is_enough
            lagging::a_running_server_does_not_go_on_with_a_replica_that_lags
            lagging::a_server_that_starts_on_a_replica_that_lags_is_told_by_the_others
            lagging::what_no_peer_has_seen_is_not_missed
        } })*
    };
}

on_each! {
    redis_8_2 "redis-8.2";
    valkey_9_1 "valkey-9.1";
}
