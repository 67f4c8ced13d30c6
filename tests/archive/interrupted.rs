//! Servers and Redis are killed while blocks leave: they are in both places or in one, never in none.

use std::fs;

use paxos_banking::audit::SOUND;
use serde_json::json;

use crate::bank::{Archived, SERVERS, segments_in};
use crate::support::cluster::wait_until;

#[test]
fn a_server_is_killed_again_and_again_while_it_archives() {
    let mut archived = Archived::open();
    for round in 0..12 {
        // Turns come all the time, so each kill meets another step.
        for number in 0..4 + round {
            archived.bank.ask(
                "A",
                &json!({"transfer": {"to": "B", "amount": 1, "settled": number % 2 == 0}}),
            );
        }
        archived.bank.kill("A");
        if round % 3 == 0 {
            let redis = archived.bank.redis("A");
            redis.kill();
            redis.restart();
        }
        archived.bank.start_server("A");
        wait_until("A is open", || {
            let status = archived.bank.ask("A", &json!({"status": {}}));
            status.is_some_and(|status| status["active"] == json!(true))
        });
    }
    archived.bank.wait_until_connected();
    archived.wait_until_archived(30);
    let (status, report) = archived.audit(&SERVERS);
    assert_eq!(status, SOUND, "{report:#}");
}

/// What a crash leaves before each step: a part, a segment that isn't named yet, a segment that Redis doesn't
/// know yet.
#[test]
fn what_a_crash_leaves_at_each_step_is_cleared_up() {
    let mut archived = Archived::with_a_past();
    archived.bank.kill("A");
    let base = archived.base("A");
    let folder = archived.folder("A");
    let noted = archived.segments("A").into_iter().filter(|(_, text)| {
        let last = text.lines().next_back().unwrap();
        let height = last["{\"height\":".len()..].split(',').next().unwrap();
        height.parse::<u64>().unwrap() < base
    });
    let noted: Vec<(String, String)> = noted.collect();
    for (name, _) in segments_in(&folder) {
        if !noted.iter().any(|(known, _)| *known == name) {
            fs::remove_file(folder.join(name)).unwrap();
        }
    }
    // Sealed with blocks that Redis still has, and not noted; it ends elsewhere than the next one will.
    let stray = format!("{base:012}-{:012}.jsonl", base + 1);
    fs::write(folder.join(&stray), "sealed, and not noted\n").unwrap();
    fs::write(folder.join("part"), "{\"height\":").unwrap();
    fs::write(folder.join("notes.txt"), "somebody's").unwrap();
    archived.bank.start_server("A");
    archived.bank.wait_until_connected();
    archived.wait_until_archived(base + 6);
    assert!(!folder.join(stray).exists());
    assert!(folder.join("notes.txt").exists());
    for (name, text) in noted {
        assert_eq!(archived.segments("A")[&name], text);
    }
    assert_eq!(archived.audit(&SERVERS).0, SOUND);
}
