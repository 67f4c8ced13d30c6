//! The archive is a copy, never a condition.

use std::fs;

use paxos_banking::audit::SOUND;
use serde_json::json;

use crate::bank::{Archived, SERVERS};
use crate::support::cluster::wait_until;

#[test]
fn a_server_starts_pays_and_votes_without_its_archive() {
    let mut archived = Archived::with_a_past();
    SERVERS.iter().for_each(|id| archived.bank.kill(id));
    let folder = archived.folder("A").parent().unwrap().to_owned();
    let elsewhere = folder.with_extension("moved");
    fs::rename(&folder, &elsewhere).unwrap();
    // With an empty folder at first: what is missing can't be had from anybody.
    archived.bank.start_all();
    archived.wait_until_said("A", "it is missing; its blocks");
    archived.pay(3);
    let overdraft = json!({"transfer": {"to": "B", "amount": 5_000}});
    assert_eq!(archived.bank.ask("A", &overdraft).unwrap()["outcome"], json!("refused"));
    let old = archived.bank.ask("A", &json!({"chain": {"from": 3, "to": 3}})).unwrap();
    assert_eq!(old["error"], json!("store"), "{old}");
    let said = old["message"].as_str().unwrap();
    assert!(said.contains("it is missing") && !said.contains("panicked"), "{said}");
    // Neither are the accounts of these blocks indexed now: newer ones are told all the same.
    let (lines, said) = archived.history("A", "A");
    assert!(lines >= 3 && said.contains("are missing"), "{lines}: {said}");
    // The new blocks are archived all the same.
    let base = archived.base("A");
    wait_until("newer blocks have left", || {
        archived.pay(1);
        archived.base("A") > base + 6
    });
    // When the files are back, all is well.
    SERVERS.iter().for_each(|id| archived.bank.kill(id));
    for id in SERVERS {
        for entry in fs::read_dir(elsewhere.join(id)).unwrap() {
            let entry = entry.unwrap();
            let to = folder.join(id).join(entry.file_name());
            if !to.exists() {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    archived.bank.start_all();
    assert_eq!(
        archived.bank.ask("A", &json!({"chain": {"from": 3, "to": 3}})).unwrap()["error"],
        json!(null)
    );
    assert_eq!(archived.audit(&SERVERS).0, SOUND);
    // The index that was lost is made again.
    wait_until("the statement is whole", || archived.history("A", "A").1.is_empty());
}

#[test]
fn a_server_may_be_started_without_the_flag() {
    let mut archived = Archived::with_a_past();
    SERVERS.iter().for_each(|id| archived.bank.kill(id));
    let folder = archived.folder("A");
    archived.bank.without_archives();
    archived.bank.start_all();
    archived.pay(3);
    let old = archived.bank.ask("A", &json!({"chain": {"from": 3, "to": 3}})).unwrap();
    assert!(old["message"].as_str().unwrap().contains("--archive"), "{old}");
    // What is in Redis is told, and then what is missing.
    let (lines, said) = archived.history("A", "A");
    assert!(lines >= 3, "{lines}: {said}");
    assert!(said.contains("--archive") && said.contains("blocks 1 to"), "{said}");
    assert!(folder.exists());
}

#[test]
fn what_is_wrong_with_a_folder_is_said_and_stops_nothing() {
    let mut archived = Archived::with_a_past();
    let (of_b, of_c) = (archived.folder("B"), archived.folder("C"));
    let file = of_b.parent().unwrap().join("file");
    fs::write(&file, "").unwrap();
    let cases = [
        // B uses it.
        (of_b.clone(), "used by another process"),
        (of_c.clone(), "can't be that of"),
        (file.join("below"), "not a folder"),
    ];
    archived.bank.kill("C");
    for (folder, words) in cases {
        archived.bank.kill("A");
        archived.bank.start_server_with("A", &["--archive", folder.to_str().unwrap()]);
        archived.wait_until_said("A", "no blocks are archived in");
        let log = archived.log("A");
        assert!(log.contains(words) && log.contains("nothing is lost"), "{words}: {log}");
        archived.pay(1);
    }
    // A folder of another bank.
    archived.bank.kill("A");
    let own = archived.folder("A").join("archive.json");
    let text = fs::read_to_string(&own).unwrap();
    let (before, _) = text.split_once("\"bank\":\"").unwrap();
    fs::write(&own, format!("{before}\"bank\":\"{}\"}}\n", "ab".repeat(32))).unwrap();
    archived.bank.start_server("A");
    archived.wait_until_said("A", "no blocks are archived in");
    assert!(archived.log("A").contains("can't be that of"), "{}", archived.log("A"));
    archived.pay(1);
}
