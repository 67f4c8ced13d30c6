//! The servers' archives: how they are damaged, and the chain that they and Redis hold together.

use std::collections::BTreeMap;
use std::fs;

use paxos_banking::store::archive::folder::Folder;
use paxos_banking::store::archive::segment::Segment;

use crate::support::cluster::wait_until;
use crate::support::process::Bank;
use crate::support::redis::say;

/// Damages a segment of a server that doesn't run, if there is one that all servers have.
pub fn damage_one(bank: &Bank, id: &str, dice: &mut fastrand::Rng) {
    let Some(folder) = bank.archive(id) else { return };
    let Ok(entries) = fs::read_dir(&folder) else { return };
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let of_all = |name: &std::ffi::OsString| {
        let text = |id: &String| fs::read(bank.archive(id).expect("one each").join(name)).ok();
        let texts: Vec<_> = bank.founders().map(text).collect();
        texts[0].is_some() && texts.iter().all(|text| *text == texts[0])
    };
    let mut segments: Vec<_> =
        names.filter(|name| name.to_string_lossy().ends_with(".jsonl")).filter(of_all).collect();
    segments.sort();
    let Some(name) = dice.choice(segments) else { return };
    let path = folder.join(name);
    let mut bytes = fs::read(&path).expect("it was there");
    let place = dice.usize(..bytes.len());
    match dice.u8(..3) {
        0 => return fs::remove_file(&path).expect("it can be removed"),
        1 => bytes.truncate(place),
        _ => bytes[place] ^= 1,
    }
    fs::write(&path, bytes).expect("it can be written");
}

/// Returns the texts of all blocks that a server has, when all its segments are whole.
pub fn chain(bank: &mut Bank, id: &str) -> Vec<String> {
    let key = |what: &str| format!("SERVER-{what}-{id}");
    let connection = &mut bank.redis(id).connect();
    // The base may rise while the list is read.
    let (state, rest) = loop {
        let ask = |c: &mut redis::Connection| -> BTreeMap<String, String> {
            say(c, &["HGETALL", &key("STATE")])
        };
        let before = ask(connection);
        let rest: Vec<String> = say(connection, &["LRANGE", &key("BLOCKCHAIN"), "0", "-1"]);
        if ask(connection).get("base") == before.get("base") {
            break (before, rest);
        }
    };
    let noted = state.iter().filter(|(field, _)| field.starts_with(Segment::FIELD));
    let noted = noted.map(|(field, record)| Segment::parse(field, record).expect("a segment"));
    let mut segments: Vec<Segment> = noted.collect();
    segments.sort_by_key(|segment| segment.first);
    let mut texts = Vec::new();
    if let Some(path) = bank.archive(id) {
        let folder = Folder::new(path.clone());
        for segment in &segments {
            wait_until("a segment is whole", || folder.verify(segment, &mut |_| true).is_ok());
            let text = fs::read_to_string(segment.path(&path)).expect("it is whole");
            texts.extend(text.lines().map(str::to_owned));
        }
    }
    texts.extend(rest);
    texts
}
