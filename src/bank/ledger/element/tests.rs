use super::*;
use crate::bank::amount::Amount;
use crate::bank::ids::RequestId;
use crate::bank::ledger::entry::Via;
use crate::bank::limits::MAX_ENTRY_TEXT;

fn transfer(from: &str, to: &str, amount: u64) -> Record {
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    let action = Action::Transfer { from, to, amount: Amount::new(amount).unwrap() };
    Record::plain(action)
}

fn opening(account: &str) -> Record {
    let action = Action::open(account.parse().unwrap());
    Record::plain(action)
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
fn what_is_issued_and_what_entries_are_for_is_written_and_when() {
    let (account, amount) = ("A".parse().unwrap(), Amount::new(5).unwrap());
    let mint = Record::plain(Action::Mint { account, amount });
    let (account, amount) = ("A/x".parse().unwrap(), Amount::new(2).unwrap());
    let burn = Record::plain(Action::Burn { account, amount });
    let paid_for =
        |record: Record, text: &str| Record { reference: Some(text.parse().unwrap()), ..record };
    let linked = |record| Record { linked: true, ..record };
    let records = vec![
        mint.clone(),
        paid_for(linked(burn), "back"),
        paid_for(transfer("A", "B", 1), "say \"rent\""),
        paid_for(requested(transfer("A", "B", 2), 7), "ü"),
        paid_for(requested(linked(transfer("A", "B", 3)), 8), "x"),
        paid_for(requested(mint, 9), "y"),
    ];
    let expected = concat!(
        r#"{"mint":"A","amount":5},{"burn":"A/x","amount":2,"marks":"linked","reference":"back"},"#,
        r#"["A","B",1,null,null,"say \"rent\""],"#,
        r#"["A","B",2,"A.1.0.00000000000000ff.1#7",null,"ü"],["A","B",3,8,"linked","x"],"#,
        r#"{"mint":"A","amount":5,"request":9,"reference":"y"}"#,
    );
    assert_eq!(text_of(records.clone()), expected);
    let time = WallTime::new(1_796_009_637_123);
    let element = Element::seal_at(time, Position { epoch: 1, seq: 17 }, records);
    assert!(element.text().starts_with(r#"{"epoch":1,"seq":17,"time":1796009637123,"entries":[{"#));
    assert_eq!((element.time(), element.issues()), (time, Some(8)));
    let read = Element::open(element.text()).unwrap();
    assert_eq!((read.time(), read.issues()), (time, Some(8)));
    let quick = r#"{"epoch":1,"seq":17,"time":1796009637123,"entries":[["A","B",30]]}"#;
    assert_eq!(Element::open(quick).unwrap().time(), time);
    for wrong in ["null", "-1", "\"1\"", "253402300800000"] {
        let text = format!(r#"{{"epoch":1,"seq":17,"time":{wrong},"entries":[["A","B",30]]}}"#);
        assert!(Element::open(&text).is_err(), "{wrong}");
    }
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
    let longest = Record { reference: Some("\u{10000}".repeat(64).parse().unwrap()), ..longest };
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
        (r#"["A","B",1,null,"paxos",1]"#, "invalid type: integer `1`"),
        (r#"["A","B",1,null,"paxos","x",1]"#, "at most 6 fields"),
        (r#"["A","B",1,null,null,""]"#, "a reference is 1 to 64 characters"),
        (r#"{"mint":"A/x"}"#, "\"mint\" or \"burn\", and \"amount\""),
        (r#"{"mint":"A/x","burn":"A/x","amount":1}"#, "\"mint\" or \"burn\", and \"amount\""),
        (r#"{"mint":"A/x","open":"A/x","amount":1}"#, "\"mint\" or \"burn\", and \"amount\""),
        (r#"{"amount":1,"open":"A/x"}"#, "\"mint\" or \"burn\", and \"amount\""),
        (r#"{"open":"A/x","open":"A/y"}"#, "duplicate field `open`"),
        (r#"{"request":"A.1.0.00000000000000ff.1#4"}"#, "an entry is a list"),
        (r#"{"open":"A/x","amounts":1}"#, "unknown field `amounts`"),
        (r#"{"open":"A/x y"}"#, "is not an account"),
        ("17", "[from, to, amount] or"),
    ] {
        let problem = problem(entries);
        assert!(problem.contains(words), "{entries}: {problem}");
    }
    assert!(Element::open(r#"{"epoch":1,"seq":1,"entries":[["A","B",1]],"x":0}"#).is_err());
}
