//! Each corruption of a sound bank's stores is found, and named by key and place.

use paxos_banking::audit::{SOUND, WRONG};
use serde_json::Value;

use crate::banks::{audit_redis, blocks, elements, next_block, nothing, sound, told};
use crate::corruption::{Corruption, edit, edit_page, field, forge, index, key, rewrite, tell};
use crate::support::damage::{dump, restore, written};
use crate::support::redis::say;

const CHAIN: &str = "SERVER-BLOCKCHAIN-A";
const LOG: &str = "SERVER-LOG-A";
const ACCEPTED: &str = "SERVER-ACCEPTED-A";
const BALANCES: &str = "SERVER-BALANCES-A";
const STATE: &str = "SERVER-STATE-A";

macro_rules! corruptions {
    ($($what:literal, $make:expr, $at:expr, $says:literal;)*) => {
        vec![$(Corruption { what: $what, make: $make, at: $at, says: $says }),*]
    };
}

fn of_the_chain() -> Vec<Corruption> {
    corruptions! {
        "an amount in a block", |c| edit(c, CHAIN, 2, ",5,", ",6,"), index(CHAIN, 2), "a fork: block 2 is";
        "an amount in the last block", |c| edit(c, CHAIN, 4, ",2]", ",3]"),
            index(CHAIN, 4), "a fork: block 4 is";
        "two blocks in each other's place", |c| {
            let chain = blocks(c, "A");
            tell(c, &["LSET", CHAIN, "2", chain[3].text()]);
            tell(c, &["LSET", CHAIN, "3", chain[2].text()]);
        }, index(CHAIN, 2), "has the height 3";
        "a block is gone from the middle", |c| {
            let chain = blocks(c, "A");
            tell(c, &["LREM", CHAIN, "1", chain[2].text()]);
        }, index(CHAIN, 2), "has the height 3";
        "a block twice", |c| {
            let chain = blocks(c, "A");
            tell(c, &["LINSERT", CHAIN, "AFTER", chain[2].text(), chain[2].text()]);
        }, index(CHAIN, 3), "has the height 2";
        "another block 0", |c| edit(c, CHAIN, 0, "\"opening_balance\":100", "\"opening_balance\":101"),
            index(CHAIN, 0), "another bank: block 0 is";
        "a block 0 of another format", |c| edit(c, CHAIN, 0, "\"format\":7", "\"format\":3"),
            index(CHAIN, 0), "another format";
        "garbage for a block", |c| tell(c, &["LSET", CHAIN, "3", "hello"]),
            index(CHAIN, 3), "expected value";
        "a block cut short", |c| {
            let text = blocks(c, "A")[1].text().to_owned();
            tell(c, &["LSET", CHAIN, "1", &text[..text.len() - 4]]);
        }, index(CHAIN, 1), "the text ends";
        "an overdraft in a block, all hashes made right", |c| forge(c, "A", 2, ",5,", ",5000,"),
            index(CHAIN, 2), "A holds only 50";
        "an entry twice in a chain, all hashes made right", |c| {
            let chain = blocks(c, "A");
            let log = chain[1].block().log(&"A".parse().unwrap()).to_vec();
            let mut texts: Vec<String> = chain[..2].iter().map(|b| b.text().into()).collect();
            texts.push(next_block(&chain[..2], log).text().into());
            rewrite(c, CHAIN, texts.iter().map(String::as_str));
        }, index(CHAIN, 2), "A";
        "a request twice in a chain, all hashes made right",
            |c| forge(c, "A", 2, "#4\"", "#2\""), index(CHAIN, 2), "an earlier entry did already";
        "somebody else's money, all hashes made right",
            |c| forge(c, "A", 2, "[\"B\",\"C\",25", "[\"A\",\"C\",25"), index(CHAIN, 2), "only by its home";
        "a linked group that is not whole", |c| edit(c, CHAIN, 1, ",10,3]", ",10,3,\"linked\"]"),
            index(CHAIN, 1), "linked to one that isn't there";
        "a chain of another type", |c| {
            tell(c, &["DEL", CHAIN]);
            tell(c, &["SET", CHAIN, "x"]);
        }, key(CHAIN), "WRONGTYPE";
        "the last block is gone", |c| tell(c, &["RPOP", CHAIN]), index(ACCEPTED, 0), "has the height 5";
        "the last block and what was accepted after it are gone", |c| {
            tell(c, &["RPOP", CHAIN]);
            tell(c, &["DEL", ACCEPTED]);
            tell(c, &["HDEL", STATE, "accepted", "promised"]);
        }, field(STATE, "checkpoint"), "4 lies beyond the chain of 4 blocks";
        "the same, and the checkpoint made right", |c| {
            tell(c, &["RPOP", CHAIN]);
            tell(c, &["DEL", ACCEPTED]);
            tell(c, &["HDEL", STATE, "accepted", "promised"]);
            tell(c, &["HSET", STATE, "checkpoint", "3"]);
        }, field(BALANCES, "0"), "it is of height 4, which isn't there";
        "the same, and the page's height made right as well", |c| {
            tell(c, &["RPOP", CHAIN]);
            tell(c, &["DEL", ACCEPTED]);
            tell(c, &["HDEL", STATE, "accepted", "promised"]);
            tell(c, &["HSET", STATE, "checkpoint", "3"]);
            edit_page(c, "\"height\":4", "\"height\":3");
        }, field(STATE, "included"), "the last entry of";
    }
}

fn of_the_log() -> Vec<Corruption> {
    corruptions! {
        "an element twice", |c| {
            let last = elements(c)[2].text().to_owned();
            tell(c, &["RPUSH", LOG, &last]);
        }, index(LOG, 3), "comes again";
        "an element is gone from the middle", |c| {
            let second = elements(c)[1].text().to_owned();
            tell(c, &["LREM", LOG, "1", &second]);
        }, index(LOG, 1), "is missing";
        "the first element is gone", |c| tell(c, &["LPOP", LOG]), index(LOG, 0), "is missing";
        "an overdraft", |c| edit(c, LOG, 2, ",20]", ",2000]"), index(LOG, 2), "A/alice holds only";
        "an overdraft before a gap", |c| {
            edit(c, LOG, 0, ",7]", ",7000]");
            edit(c, LOG, 2, "\"seq\":7", "\"seq\":9");
        }, index(LOG, 0), "A holds only";
        "an element that is in the chain already", |c| {
            let chain = blocks(c, "A");
            let element = chain[2].block().log(&"A".parse().unwrap())[0].text().to_owned();
            tell(c, &["LPUSH", LOG, &element]);
        }, index(LOG, 0), "is in the chain already";
        "an element cut short", |c| {
            let text = elements(c)[1].text().to_owned();
            tell(c, &["LSET", LOG, "1", &text[..text.len() - 3]]);
        }, index(LOG, 1), "the text ends";
        "a linked group that is not whole", |c| edit(c, LOG, 0, ",7]", ",7,null,\"linked\"]"),
            index(LOG, 0), "linked to one that isn't there";
        "a request that the chain has carried out", |c| {
            let chain = blocks(c, "A");
            let [element] = chain[2].block().log(&"A".parse().unwrap()) else { panic!("one") };
            let request = element.records()[0].request.clone().expect("it has one");
            edit(c, LOG, 0, ",7]", &format!(",7,\"{request}\"]"));
        }, index(LOG, 0), "an earlier entry did already";
        "an account opened twice", |c| edit(c, LOG, 1, "A/bob", "A/alice"), index(LOG, 1), "open already";
        "a log of another type", |c| {
            tell(c, &["DEL", LOG]);
            tell(c, &["HSET", LOG, "a", "b"]);
        }, key(LOG), "WRONGTYPE";
    }
}

fn of_the_rest() -> Vec<Corruption> {
    corruptions! {
        "another format", |c| tell(c, &["HSET", STATE, "format", "8"]),
            field(STATE, "format"), "only formats 4 to 7";
        "which entries are in the chain", |c| {
            let included: String = say(c, &["HGET", STATE, "included"]);
            let other = included.replacen("\"seq\":4", "\"seq\":5", 1);
            assert_ne!(other, included);
            tell(c, &["HSET", STATE, "included", &other]);
        }, field(STATE, "included"), "the last entry of";
        "an accepted block of a wrong height", |c| {
            let block = blocks(c, "A")[3].text().to_owned();
            tell(c, &["LSET", ACCEPTED, "0", &block]);
        }, index(ACCEPTED, 0), "has the height 3";
        "an overdraft in the accepted block", |c| edit(c, ACCEPTED, 0, ",7]", ",7000]"),
            index(ACCEPTED, 0), "A holds only";
        "an accepted block of entries that the log has not", |c| edit(c, ACCEPTED, 0, ",7]", ",8]"),
            index(ACCEPTED, 0), "not those that the local log begins with";
        "an accepted block without a ballot", |c| tell(c, &["HDEL", STATE, "accepted"]),
            field(STATE, "accepted"), "missing";
        "a ballot that can't be", |c| tell(c, &["HSET", STATE, "promised", FAR]),
            field(STATE, "promised"), "there is no ballot";
        "a turn that is none", |c| tell(c, &["SET", "SERVER-TURN-A", "-1"]),
            key("SERVER-TURN-A"), "";
        "a life out of order", |c| {
            let life: String = say(c, &["LINDEX", "SERVER-LIVES-A", "0"]);
            tell(c, &["RPUSH", "SERVER-LIVES-A", &life]);
        }, index("SERVER-LIVES-A", 1), "out of order";
        "no state", |c| tell(c, &["DEL", STATE]), key(STATE), "missing";
    }
}

/// A has one page, with A, B, C and A/alice on it, which has all blocks.
fn of_pages() -> Vec<Corruption> {
    corruptions! {
        "a balance", |c| edit_page(c, "[\"A/alice\",45]", "[\"A/alice\",46]"),
            field(BALANCES, "0"), "A/alice comes to 46 by it, and to 45 by the chain";
        "a balance that is no number", |c| edit_page(c, "[\"B\",82]", "[\"B\",\"much\"]"),
            field(BALANCES, "0"), "an amount is";
        "money for nobody, so that the total is another",
            |c| edit_page(c, "[\"A/alice\",45]", "[\"A/alice\",45],[\"A/eve\",500]"),
            field(BALANCES, "0"), "A/eve holds 500, and the chain knows no such account";
        "a balance is gone", |c| edit_page(c, "[\"C\",128],", ""),
            key(BALANCES), "C is missing, which comes to 128 by the chain";
        "an account twice", |c| edit_page(c, "[\"B\",82]", "[\"B\",82],[\"A\",45]"),
            field(BALANCES, "0"), "A was there before";
        "two accounts in each other's place", |c| edit_page(c, "[\"B\",82],[\"C\"", "[\"C\",82],[\"B\""),
            field(BALANCES, "0"), "B comes to 128 by it, and to 82 by the chain";
        "a page without accounts",
            |c| tell(c, &["HSET", BALANCES, "0", "{\"height\":4,\"balances\":[]}"]),
            field(BALANCES, "0"), "it holds 0 accounts";
        "a page that is no page", |c| tell(c, &["HSET", BALANCES, "0", "{}"]),
            field(BALANCES, "0"), "missing field";
        "a page that is no JSON", |c| tell(c, &["HSET", BALANCES, "0", "hello"]),
            field(BALANCES, "0"), "expected value";
        "a page too many", |c| {
            tell(c, &["HSET", BALANCES, "1", "{\"height\":4,\"balances\":[[\"A/eve\",0]]}"]);
        }, field(BALANCES, "0"), "it is not full, and page 1 is there";
        "a page under a name that is no number", |c| tell(c, &["HSET", BALANCES, "x", "{}"]),
            field(BALANCES, "1"), "missing";
        "a page is gone, and another one is there", |c| {
            let page: String = say(c, &["HGET", BALANCES, "0"]);
            tell(c, &["DEL", BALANCES]);
            tell(c, &["HSET", BALANCES, "1", &page]);
        }, field(BALANCES, "0"), "missing";
        "no pages", |c| tell(c, &["DEL", BALANCES]), key(BALANCES), "A is missing";
        "balances of another type", |c| {
            tell(c, &["DEL", BALANCES]);
            tell(c, &["RPUSH", BALANCES, "A", "1"]);
        }, key(BALANCES), "WRONGTYPE";
        "a page from a block that isn't there",
            |c| edit_page(c, "\"height\":4", "\"height\":5"),
            field(BALANCES, "0"), "it is of height 5, which isn't there";
        "a page that says that it is older", |c| {
            edit_page(c, "\"height\":4", "\"height\":3");
            tell(c, &["HSET", STATE, "checkpoint", "3"]);
        }, field(BALANCES, "0"), "B comes to 79 by it, and to 82 by the chain";
        "a page that says that it is older than an account on it", |c| {
            edit_page(c, "\"height\":4", "\"height\":0");
            tell(c, &["HSET", STATE, "checkpoint", "0"]);
        }, field(BALANCES, "0"), "A/alice is there, and only block 1 opens it";
        "an older page than the checkpoint says", |c| tell(c, &["HSET", BALANCES, "0", FOUNDED]),
            field(BALANCES, "0"), "A comes to 100 by it, and to 45 by the chain";
        "a page that lacks an account which it says it has", |c| {
            edit_page(c, ",[\"A/alice\",45]", "");
            tell(c, &["HSET", STATE, "checkpoint", "0"]);
        }, field(BALANCES, "0"), "A/alice is missing, which block 1 opens";
        "a page that can't have been before a block", |c| {
            tell(c, &["HSET", BALANCES, "0", &FOUNDED.replacen("100", "0", 1)]);
            tell(c, &["HSET", STATE, "checkpoint", "0"]);
        }, field(BALANCES, "0"), "A can't have held 0 before block 1";
        "no checkpoint", |c| tell(c, &["HDEL", STATE, "checkpoint"]),
            field(STATE, "checkpoint"), "missing";
        "a checkpoint beyond the chain", |c| tell(c, &["HSET", STATE, "checkpoint", "5"]),
            field(STATE, "checkpoint"), "5 lies beyond the chain of 5 blocks";
        "a checkpoint that is no number", |c| tell(c, &["HSET", STATE, "checkpoint", "4.0"]),
            field(STATE, "checkpoint"), "found ";
    }
}

/// The page with which the bank was founded.
const FOUNDED: &str = r#"{"height":0,"balances":[["A",100],["B",100],["C",100]]}"#;

/// The ballot that nobody can reach.
const FAR: &str = r#"{"round":18446744073709551615,"server":"B","life":"0000000000000001"}"#;

fn between_stores() -> Vec<Corruption> {
    corruptions! {
        "a fork at the head", |c| forge(c, "B", 4, "\"proposer\":\"", "\"proposer\": \""),
            index("SERVER-BLOCKCHAIN-B", 4), "a fork: block 4 is";
        "a fork in the middle, all hashes made right",
            |c| forge(c, "C", 2, "\"proposer\":\"", "\"proposer\": \""),
            index("SERVER-BLOCKCHAIN-C", 2), "a fork: block 2 is";
        "another bank beside it", |c| {
            for key in ["BLOCKCHAIN", "LOG", "ACCEPTED"] {
                tell(c, &["DEL", &format!("SERVER-{key}-C")]);
            }
            for id in ["A", "B"] {
                let genesis: String = say(c, &["LINDEX", &format!("SERVER-BLOCKCHAIN-{id}"), "0"]);
                let genesis = genesis.replace("\"opening_balance\":100", "\"opening_balance\":7");
                tell(c, &["DEL", "SERVER-BLOCKCHAIN-C"]);
                tell(c, &["RPUSH", "SERVER-BLOCKCHAIN-C", &genesis]);
            }
            tell(c, &["HSET", "SERVER-BALANCES-C", "0", &FOUNDED.replace("100", "7")]);
            tell(c, &["HSET", "SERVER-STATE-C", "checkpoint", "0"]);
            let start = r#"{"epoch":1,"seq":0}"#;
            let included = format!(r#"{{"A":{start},"B":{start},"C":{start}}}"#);
            tell(c, &["HSET", "SERVER-STATE-C", "included", &included]);
        }, index("SERVER-BLOCKCHAIN-C", 0), "another bank";
    }
}

#[test]
fn each_corruption_is_found_and_named_by_its_place() {
    let mut sound = sound();
    let redis = sound.bank.redis("A");
    let (c, url) = (&mut redis.connect(), redis.url());
    let whole = dump(c);
    let before = audit_redis(&url);
    assert_eq!(before.status, SOUND, "{}", before.report);
    let mut all = of_the_chain();
    all.extend(of_the_log());
    all.extend(of_pages());
    all.extend(of_the_rest());
    all.extend(between_stores());
    let mut wrong = Vec::new();
    for Corruption { what, make, at: (key, at), says } in all {
        make(c);
        assert!(dump(c) != whole, "{what}: nothing is damaged");
        let before = written(c);
        let audited = audit_redis(&url);
        let first = &audited.report["first"];
        let place = if first["index"].is_null() { &first["field"] } else { &first["index"] };
        let is_named = first["key"] == key && *place == at;
        let said = first["what"].as_str().unwrap_or_default();
        if audited.status != WRONG || !is_named || !said.contains(says) {
            wrong.push(format!("{what}: {key} {at} {says:?} wanted: {}", audited.report));
        }
        if written(c) != before {
            wrong.push(format!("{what}: something was written"));
        }
        // Whatever is wrong in one store, the others are gone through.
        let others = audited.report["stores"].as_array().unwrap();
        if others.len() != 3 || others.iter().all(|store| store["height"].is_null()) {
            wrong.push(format!("{what}: not all were looked at: {}", audited.report));
        }
        restore(c, &whole);
        println!("{what}: {first}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert_eq!(audit_redis(&url).status, SOUND);
}

/// The place where one store was changed is seen by itself only from the next block; beside others it is
/// known to the block.
#[test]
fn beside_others_a_changed_block_itself_is_named() {
    let mut sound = sound();
    let redis = sound.bank.redis("A");
    edit(&mut redis.connect(), CHAIN, 2, ",5,", ",6,");
    let report = audit_redis(&redis.url()).report;
    let across = &report["across"]["wrong"][0];
    assert_eq!((&across["key"], &across["index"]), (&CHAIN.into(), &2.into()), "{report}");
    let options = paxos_banking::audit::Options { redis: vec![redis.url()], ..nothing() };
    let text = told(&options);
    assert!(text.contains("WRONG    SERVER-BLOCKCHAIN-A, index 3: block 3"), "{text}");
    assert!(
        text.contains("first thing: SERVER-BLOCKCHAIN-A, index 2: a fork: block 2 is"),
        "{text}"
    );
}

/// A store that was put back to an older copy is sound by itself.
#[test]
fn a_store_that_is_older_than_what_others_hold_of_it_is_found() {
    let mut sound = sound();
    let redis = sound.bank.redis("B");
    let c = &mut redis.connect();
    let of_b = |key: &&String| key.ends_with("-B");
    for key in sound.earlier.keys().filter(of_b) {
        tell(c, &["DEL", key]);
        redis::cmd("RESTORE").arg(key).arg(0).arg(&sound.earlier[key]).exec(c).unwrap();
    }
    let audited = audit_redis(&redis.url());
    assert_eq!(audited.status, WRONG, "{}", audited.report);
    let first = &audited.report["first"];
    assert_eq!(first["key"], Value::from("SERVER-LOG-B"));
    let said = first["what"].as_str().unwrap();
    assert!(said.contains("is missing, and it is in A") && said.contains("index 4"), "{said}");
    assert!(audited.report["stores"].as_array().unwrap().iter().all(|one| one["wrong"].is_null()));
}
