//! Tests of [`super`]: what something is for, and money that is issued. The other tests are those of
//! [`parse`](crate::client::parse).

use super::*;
use crate::client::parse::parse;

fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

fn good(line: &str) -> Option<Command> {
    parse(line, &account("A")).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn transfer(from: &str, to: &str, amount: u64) -> Instruction {
    let amount = Amount::new(amount).unwrap();
    Instruction::plain(Action::Transfer { from: account(from), to: account(to), amount })
}

fn open(name: &str) -> Instruction {
    Instruction::plain(Action::open(account(name)))
}

fn for_what(text: &str, instruction: Instruction) -> Instruction {
    Instruction { reference: Some(text.parse().unwrap()), ..instruction }
}

#[test]
fn what_it_is_for_is_a_word_or_in_quotes() {
    let paid = |text| Some(Command::One(for_what(text, transfer("A", "B", 30))));
    for (line, text) in [
        ("t B 30 --for rent", "rent"),
        ("t B 30 --for \"invoice 17\"", "invoice 17"),
        ("t --for 'May, # 5' B 30 # late", "May, # 5"),
        ("t B --for \"a \\\"b\\\"\" 30;", "a \"b\""),
        ("A> t B 30 --for \"--settled\"", "--settled"),
    ] {
        assert_eq!(good(line), paid(text), "{line}");
    }
    let opened = for_what("for May", open("A/x"));
    assert_eq!(good("open A/x --for \"for May\""), Some(Command::One(opened)));
}

#[test]
fn money_is_issued_and_taken_back() {
    let units = |units| Amount::new(units).unwrap();
    let mint = |name, amount| {
        Instruction::plain(Action::Mint { account: account(name), amount: units(amount) })
    };
    let burn = |name, amount| {
        Instruction::plain(Action::Burn { account: account(name), amount: units(amount) })
    };
    let settled = Instruction { settled: true, ..mint("A/x", 30) };
    let patient = Instruction { wait_ms: Some(1_000), ..for_what("a b", burn("B", 5)) };
    for (line, instruction) in [
        ("mint 500", mint("A", 500)),
        ("mint A/x 30 --settled", settled),
        ("mint B 30", mint("B", 30)),
        ("burn 500", burn("A", 500)),
        ("bu B 5 --for \"a b\" --wait 1s", patient),
    ] {
        assert_eq!(good(line), Some(Command::One(instruction)), "{line}");
    }
    let mut parts = vec![mint("A/x", 30), burn("A", 5), transfer("A/x", "B", 1)];
    let line = "mint A/x 30, burn 5, A/x B 1";
    assert_eq!(good(&format!("batch {line}")), Some(Command::Batch(parts.clone())));
    parts[..2].iter_mut().for_each(|part| part.linked = true);
    parts[1..].iter_mut().for_each(|part| part.wait_ms = Some(1_000));
    assert_eq!(good(&format!("linked {line} --wait 1s")), Some(Command::Batch(parts)));
}

#[test]
fn parts_may_be_triplets() {
    let mut parts = vec![transfer("A", "B", 30), open("A/x"), transfer("B", "C", 5)];
    for line in ["(A, B, 30), open A/x, (B, C, 5)", "(A,B,30),open A/x,( B , C , 5 )"] {
        assert_eq!(good(&format!("batch {line}")), Some(Command::Batch(parts.clone())), "{line}");
    }
    parts.remove(1);
    parts[0].linked = true;
    for line in ["(A, B, 30), (B, C, 5)", "(A,B,30) (B,C,5)", "A B 30, (B, C, 5)"] {
        assert_eq!(good(&format!("linked {line}")), Some(Command::Batch(parts.clone())), "{line}");
    }
    parts[1].reference = Some("rent".parse().unwrap());
    let line = "linked (A, B, 30), (B, C, 5) --for rent";
    assert_eq!(good(line), Some(Command::Batch(parts)));
}

#[test]
fn each_part_is_for_its_own() {
    let parts = || {
        vec![
            for_what("a, b", transfer("A", "B", 1)),
            open("A/x"),
            for_what("rent", transfer("A", "A/x", 2)),
        ]
    };
    let line = "--for \"a, b\" B 1,open A/x, A/x 2 --for rent";
    assert_eq!(good(&format!("batch {line}")), Some(Command::Batch(parts())));
    let mut settled = parts();
    settled.iter_mut().for_each(|part| part.settled = true);
    let line = "B 1 --settled --for 'a, b', open A/x ,A/x --for \"rent\" 2";
    assert_eq!(good(&format!("batch {line}")), Some(Command::Batch(settled)));
}
