//! Sixteen scenes of the protocol, played by the real state machine and written down for whoever
//! wants to learn it: `tests/golden/*.txt`. They are compared with what is stored; after a change
//! that is meant, one command writes them anew:
//!
//! `GOLDEN=rewrite cargo test --test golden`

mod lines;
#[allow(dead_code, reason = "no simulation is played here")]
#[path = "../support/machine/mod.rs"]
mod machine;
mod scenes;
mod script;
mod stage;
mod tenure;
mod words;

use std::fs;
use std::path::Path;

use paxos_banking::bank;

const REWRITE: &str = "GOLDEN=rewrite cargo test --test golden";

/// Plays a scene, and compares it with the stored one or stores it.
fn check(name: &str, played: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let file = folder.join(format!("{name}.txt"));
    match std::env::var("GOLDEN").as_deref() {
        Ok("rewrite") => fs::write(&file, played).expect("the file can be written"),
        Ok(other) => panic!("GOLDEN is rewrite, or not set; not {other}"),
        Err(_) => {
            let stored = fs::read_to_string(&file).unwrap_or_default();
            let differences = lines::difference(&stored, played);
            assert!(
                stored == played,
                "{name}.txt is not what happens (- stored, + played):\n\n{differences}\n\
                 If that is meant: {REWRITE}"
            );
        }
    }
}

/// One test for each scene, named as it is.
macro_rules! scenes {
    ($of:ident: $($name:ident),* $(,)?) => {
        $(#[test] fn $name() { check(stringify!($name), &$of::$name()); })*
    };
}

scenes!(
    scenes:
    happy_run,
    competing_proposers,
    leader_dies_after_accept,
    leader_dies_halfway_through_commits,
    zombie,
    logged_between_promise_and_commit,
    partition,
    no_majority,
    accounts,
    a_session_by_its_name,
    a_server_joins,
    a_server_is_dismissed,
    a_vote_is_taken_and_given,
);

scenes!(
    tenure:
    the_same_server_again,
    the_last_winner_is_overtaken,
    a_promise_outlives_a_crash,
);
