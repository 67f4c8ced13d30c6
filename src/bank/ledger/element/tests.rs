use super::*;
use crate::bank::amount::Amount;
use crate::bank::ids::RequestId;
use crate::bank::ledger::entry::Via;
use crate::bank::limits::MAX_ENTRY_TEXT;

fn transfer(from: &str, to: &str, amount: u64) -> Record {
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    let action = Action::Transfer { from, to, amount: Amount::new(amount).unwrap() };
    Record { action, request: None, via: Via::Local, linked: false }
}

fn opening(account: &str) -> Record {
    let action = Action::open(account.parse().unwrap());
    Record { action, request: None, via: Via::Local, linked: false }
}

const SESSION: &str = "A.1.0.00000000000000ff.1";

fn requested(record: Record, number: u64) -> Record {
    let session = SESSION.parse().unwrap();
    Record { request: Some(RequestId { session, number }), ..record }
}

fn text_of(records: Vec<Record>) -> String {
    let element = Element::seal(Position { epoch: 1, seq: 17 }, records);
    let text = element.text().to_owned();
    let read = Element::open(&text).unwrap();
    assert_eq!(read.records(), element.records(), "what is read is what was written");
    assert_eq!(read.first(), element.first());
    let prefix = "{\"epoch\":1,\"seq\":17,\"entries\":[";
    text.strip_prefix(prefix).and_then(|text| text.strip_suffix("]}")).unwrap().to_owned()
}

#[test]
fn entries_are_short_and_plain() {
    let linked = |record| Record { linked: true, ..record };
    let paxos = |record| Record { via: Via::Paxos, ..record };
    let records = vec![
        transfer("A", "B", 30),
        opening("A/alice"),
        requested(transfer("A", "A/alice", 5), 4),
        requested(linked(transfer("A", "B", 1)), 5),
        paxos(transfer("A/alice", "B/bob.2", 2)),
        requested(paxos(linked(opening("A/x"))), 6),
        linked(opening("A/y")),
        paxos(linked(transfer("A", "B", 2))),
        requested(opening("A/z"), 7),
    ];
    let expected = concat!(
        r#"["A","B",30],{"open":"A/alice"},["A","A/alice",5,"A.1.0.00000000000000ff.1#4"],"#,
        r#"["A","B",1,5,"linked"],["A/alice","B/bob.2",2,null,"paxos"],"#,
        r#"{"open":"A/x","request":6,"marks":"paxos linked"},{"open":"A/y","marks":"linked"},"#,
        r#"["A","B",2,null,"paxos linked"],{"open":"A/z","request":7}"#,
    );
    assert_eq!(text_of(records), expected);
}

#[test]
fn another_session_is_named_in_full() {
    let other = "A.1.0.00000000000000ff.2#9".parse().unwrap();
    let records = vec![
        requested(transfer("A", "B", 1), 1),
        Record { request: Some(other), ..transfer("A", "B", 2) },
        requested(transfer("A", "B", 3), 2),
    ];
    assert_eq!(text_of(records).matches(SESSION).count(), 2);
}

#[test]
fn the_longest_entry_is_no_longer_than_is_said() {
    let account = format!("{}/{}", "h".repeat(16), "n".repeat(64));
    let session =
        format!("{}.{max}.{max}.{}.{max}", "h".repeat(16), "f".repeat(16), max = u64::MAX);
    let request = Some(RequestId { session: session.parse().unwrap(), number: u64::MAX });
    let longest = Record {
        request,
        via: Via::Paxos,
        linked: true,
        ..transfer(&account, &account, Amount::MAX.units())
    };
    let text = text_of(vec![longest, opening("A/x")]);
    assert!(text.len() < MAX_ENTRY_TEXT, "{} characters", text.len());
}

#[test]
fn what_is_no_element_is_said_to_be_none() {
    let problem = |entries: &str| {
        let text = format!("{{\"epoch\":1,\"seq\":17,\"entries\":[{entries}]}}");
        Element::open(&text).unwrap_err().to_string()
    };
    for (entries, words) in [
        ("", "at least one entry"),
        (r#"["A","B"]"#, "invalid length 2"),
        (r#"["A","B",-1]"#, "an amount is a whole number"),
        (r#"["A","B",1,7]"#, "request 7 stands before any session"),
        (r#"["A","B",1,null,"green"]"#, "\"paxos\", \"linked\" or"),
        (r#"["A","B",1,null,"linked"]"#, "linked to one that isn't there"),
        (r#"["A","B",1,null,"paxos",1]"#, "at most 5 fields"),
        (r#"{"open":"A/x","open":"A/y"}"#, "duplicate field `open`"),
        (r#"{"request":"A.1.0.00000000000000ff.1#4"}"#, "an entry is a list"),
        (r#"{"open":"A/x","amount":1}"#, "unknown field `amount`"),
        (r#"{"open":"A/x y"}"#, "is not an account"),
        ("17", "[from, to, amount] or"),
    ] {
        let problem = problem(entries);
        assert!(problem.contains(words), "{entries}: {problem}");
    }
    assert!(Element::open(r#"{"epoch":1,"seq":1,"entries":[["A","B",1]],"x":0}"#).is_err());
}
