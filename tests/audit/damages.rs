//! What keeps a server from starting, an audit finds as well.

use paxos_banking::audit::finding::Spot;
use paxos_banking::audit::{SOUND, WRONG};
use serde_json::{Value, json};

use crate::banks::{audit_redis, no_flushes};
use crate::support::damage::{
    Damage, bank_with_a_history, do_all, dump, of_chain, of_the_rest, restore, written,
};
use crate::support::pages::{of_older_pages, of_pages};

/// These are wrong only by a server's own configuration, or seen from a place later on.
const ELSEWHERE: [&str; 2] = ["a block of another bank", "a block 0 for another store"];
/// A store whose chain names another one is worth a word, and not wrong by itself.
const NOTED: &str = "another instance";

#[test]
fn what_keeps_a_server_from_starting_is_found_and_nothing_is_written() {
    let mut bank = bank_with_a_history();
    let redis = bank.redis("A");
    let (c, url) = (&mut redis.connect(), redis.url());
    no_flushes(c);
    let whole = dump(c);
    assert_eq!(audit_redis(&url).status, SOUND);
    let mut damages = of_chain(c);
    damages.extend(of_pages(c));
    damages.extend(of_the_rest(c));
    let mut wrong = Vec::new();
    for Damage { what, commands, says } in damages {
        do_all(c, &commands);
        let before = written(c);
        let audited = audit_redis(&url);
        let a = &audited.report["stores"][0];
        if what == NOTED {
            let noted = a["notes"].to_string().contains("has not rejoined yet");
            assert!(audited.status == SOUND && noted, "{}", audited.report);
        } else {
            let found = &a["wrong"];
            let spot = serde_json::to_value(Spot::of_redis(says[0])).unwrap();
            let is_place = says[0].starts_with("SERVER-") && says[0].len() > "SERVER-".len();
            let same = |name: &str| spot[name].is_null() || spot[name] == found[name];
            let is_named = !is_place || ["key", "index", "field"].into_iter().all(same);
            let is_of_a = found["key"].as_str().is_some_and(|key| key.ends_with("-A"));
            let expected = is_named || ELSEWHERE.contains(&what);
            if audited.status != WRONG || !is_of_a || !expected {
                wrong.push(format!("{what}: {says:?} wanted: {}", audited.report));
            }
        }
        if written(c) != before {
            wrong.push(format!("{what}: something was written"));
        }
        restore(c, &whole);
        println!("{what}: {}", a["wrong"]);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert_eq!(audit_redis(&url).report["first"], json!(Value::Null));
}

#[test]
fn what_a_server_starts_from_is_sound_though_the_pages_are_older() {
    let mut bank = bank_with_a_history();
    let redis = bank.redis("A");
    let (c, url) = (&mut redis.connect(), redis.url());
    let whole = dump(c);
    for commands in of_older_pages(c) {
        do_all(c, &commands);
        let audited = audit_redis(&url);
        assert_eq!(audited.status, SOUND, "{commands:?}: {}", audited.report);
        restore(c, &whole);
    }
}
