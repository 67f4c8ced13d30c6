//! What corruptions are made of.

use paxos_banking::bank::blockchain::block::{Block, SealedBlock};
use redis::Connection;
use serde_json::Value;

use crate::banks::blocks;
use crate::support::redis::say;

/// Where the first wrong thing has to be found: the key, and the index or the field.
pub type Where = (&'static str, Value);

/// One way to make a sound bank's stores wrong.
pub struct Corruption {
    pub what: &'static str,
    pub make: fn(&mut Connection),
    /// Where it has to be found.
    pub at: Where,
    /// A part of what has to be said.
    pub says: &'static str,
}

/// An index of a list of A's or another's.
pub fn index(key: &'static str, index: u64) -> Where {
    (key, index.into())
}

/// A field.
pub fn field(key: &'static str, field: &'static str) -> Where {
    (key, field.into())
}

/// The key itself.
pub fn key(key: &'static str) -> Where {
    (key, Value::Null)
}

/// Says something of which the answer is of no interest.
pub fn tell(c: &mut Connection, words: &[&str]) {
    say::<()>(c, words);
}

/// Replaces a part of an element of a list, once.
pub fn edit(c: &mut Connection, key: &str, index: u64, from: &str, to: &str) {
    let index = index.to_string();
    let text: String = say(c, &["LINDEX", key, &index]);
    assert!(text.contains(from), "{key}[{index}] is {text}");
    tell(c, &["LSET", key, &index, &text.replacen(from, to, 1)]);
}

/// Replaces a part of a page of A's balances, once.
pub fn edit_page(c: &mut Connection, from: &str, to: &str) {
    let key = "SERVER-BALANCES-A";
    let text: String = say(c, &["HGET", key, "0"]);
    assert!(text.contains(from), "{key}[0] is {text}");
    tell(c, &["HSET", key, "0", &text.replacen(from, to, 1)]);
}

/// Puts these texts in the place of a list.
pub fn rewrite<'a>(c: &mut Connection, key: &str, texts: impl IntoIterator<Item = &'a str>) {
    tell(c, &["DEL", key]);
    texts.into_iter().for_each(|text| tell(c, &["RPUSH", key, text]));
}

/// Changes a part of a block's text and links all later blocks anew, so that all hashes are right.
pub fn forge(c: &mut Connection, id: &str, height: usize, from: &str, to: &str) {
    let chain = blocks(c, id);
    let mut forged: Vec<SealedBlock> = chain[..height].to_vec();
    let text = chain[height].text();
    assert!(text.contains(from), "{text}");
    forged.push(SealedBlock::open(&text.replacen(from, to, 1)).unwrap());
    for block in &chain[height + 1..] {
        let previous = forged[forged.len() - 1].hash();
        forged.push(SealedBlock::seal(Block { previous, ..block.block().clone() }));
    }
    let texts = forged.iter().map(SealedBlock::text);
    rewrite(c, &format!("SERVER-BLOCKCHAIN-{id}"), texts);
}
