//! Tests of [`super`]: both dialects, and each way to get them wrong.

use proptest::prelude::*;

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::bank::amount::Amount;
use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::{Action, Via};
use crate::bank::limits::MAX_SERVERS;
use crate::bank::request::{Instruction, Start};
use crate::client::commands::Command;
use crate::play::expect::{Expect, Expected};
use crate::play::script::Act;
use crate::play::wrong::Place;
use crate::wire::link::{Fault, LinkFault};
use crate::wire::messages::Messages;

#[path = "course_tests.rs"]
mod course;

fn good(text: &str) -> Script {
    parse(text).unwrap_or_else(|wrongs| panic!("{text:?}: {wrongs:?}"))
}

fn acts(text: &str) -> Vec<Act> {
    good(text).steps.into_iter().map(|step| step.act).collect()
}

fn server(id: &str) -> ServerId {
    id.parse().unwrap()
}

fn ids(names: &str) -> BTreeSet<ServerId> {
    names.split_whitespace().map(server).collect()
}

fn pays(from: &str, to: &str, amount: u64) -> Act {
    let amount = Amount::new(amount).unwrap();
    let (payer, to) = (from.parse().unwrap(), to.parse().unwrap());
    let action = Action::Transfer { from: payer, to, amount };
    let command = Command::One(Instruction::plain(action));
    Act::Say { server: server(from.split('/').next().unwrap()), command, behind: false }
}

#[test]
fn clients_speak_as_at_the_prompt() {
    assert_eq!(acts("A: transfer B 30"), [pays("A", "B", 30)]);
    assert_eq!(acts("  A:t B 30 # rent\r\n"), [pays("A", "B", 30)]);
    assert_eq!(
        acts("(A, B, 30)\n\n# nothing\n(A/x, B, 5)"),
        [pays("A", "B", 30), pays("A/x", "B", 5)]
    );
    let Act::Say { behind: true, .. } = acts("A: transfer B 130 &")[0] else { panic!() };
    let Act::Say { behind: true, .. } = acts("(A, B, 130)&")[0] else { panic!() };
    let settle = Act::Say { server: server("A"), command: Command::Settle, behind: false };
    assert_eq!(acts("settle A\nA: settle"), [settle.clone(), settle]);
}

#[test]
fn faults_are_of_servers_and_of_links() {
    let to = |from, peer, fault| (server(from), LinkFault { peer: server(peer), fault });
    let broken = |faults: &[_]| Act::Break(faults.to_vec());
    assert_eq!(acts("kill B\nstart B"), [Act::Kill(server("B")), Act::Start(server("B"))]);
    assert_eq!(acts("pause B\nresume B"), [Act::Pause(server("B")), Act::Resume(server("B"))]);
    assert_eq!(
        acts("cut A B\ncut A -> B\nheal"),
        [
            broken(&[to("A", "B", Fault::Cut), to("B", "A", Fault::Cut)]),
            broken(&[to("A", "B", Fault::Cut)]),
            Act::Heal(vec![])
        ]
    );
    let messages = "accept".parse::<Messages>().unwrap().and("commit".parse().unwrap());
    assert_eq!(
        acts("delay A -> B 200ms\ndrop A -> B 30%\nlose commit accept A -> B"),
        [
            broken(&[to("A", "B", Fault::Delay { ms: 200 })]),
            broken(&[to("A", "B", Fault::Drop { percent: 30 })]),
            broken(&[to("A", "B", Fault::Lose { messages })]),
        ]
    );
}

#[test]
fn each_expectation_is_understood() {
    let units = |units| Amount::new(units).unwrap();
    let account = |name: &str| name.parse().unwrap();
    let outcome = |expected| Expect::Outcome(expected);
    let (via, balance) = (None, None);
    for (line, expect) in [
        ("accepted", outcome(Expected::Accepted { via, balance })),
        (
            "accepted paxos balance 7",
            outcome(Expected::Accepted { via: Some(Via::Paxos), balance: Some(units(7)) }),
        ),
        ("refused", outcome(Expected::Refused { consulted: vec![] })),
        (
            "refused consulted C A",
            outcome(Expected::Refused { consulted: vec![server("A"), server("C")] }),
        ),
        ("unavailable", outcome(Expected::Unavailable { within: None })),
        (
            "unavailable within 10s",
            outcome(Expected::Unavailable { within: Some(Duration::from_secs(10)) }),
        ),
        ("invalid", outcome(Expected::Invalid)),
        ("unknown", outcome(Expected::Unknown)),
        ("balance A/x 110", Expect::Balance(account("A/x"), units(110), server("A"))),
        ("balance A 110 at B", Expect::Balance(account("A"), units(110), server("B"))),
        ("committed A 140", Expect::Committed(account("A"), units(140), server("A"))),
        ("log C empty", Expect::Log(server("C"), 0)),
        ("log C 2", Expect::Log(server("C"), 2)),
        ("height C 2", Expect::Height(server("C"), 2)),
        ("blocks C 0 4 3", Expect::Blocks(server("C"), vec![0, 4, 3])),
        ("linked C", Expect::Linked(server("C"))),
        ("chains equal", Expect::ChainsEqual(vec![])),
        ("chains equal A C", Expect::ChainsEqual(vec![server("A"), server("C")])),
        ("total 300", Expect::Total(units(300))),
        ("connected", Expect::Connected(None, true)),
        ("connected A B", Expect::Connected(Some((server("A"), server("B"))), true)),
        ("disconnected A B", Expect::Connected(Some((server("A"), server("B"))), false)),
        ("known 1", Expect::Known(1)),
        ("start B zombie", Expect::Started(server("B"), Start::Zombie)),
        ("run B backing-off", Expect::Run(server("B"), "backing off".into())),
        ("waiting B 1", Expect::Waiting(server("B"), 1)),
        ("lost accept A -> B", Expect::Lost("accept".parse().unwrap(), server("A"), server("B"))),
    ] {
        assert_eq!(acts(&format!("expect {line}")), [Act::Expect(expect)], "{line}");
    }
}

#[test]
fn a_file_names_its_servers_or_is_about_the_usual_three() {
    for (text, servers) in [
        ("A: balance", "A B C"),
        ("A: transfer B/x 3", "A B C"),
        ("(A, E, 3)", "A E"),
        ("kill D\nexpect connected F G", "D F G"),
        ("servers north south\nnorth: transfer Z 3", "north south"),
        ("admit D\nD: balance", "A B C"),
        ("(A, E, 3)\nadmit D --branch\nexpect members A D E", "A E"),
        ("D: balance\ndismiss D\nadmit D", "D"),
        ("servers A B\nadmit D\nkill D", "A B"),
    ] {
        assert_eq!(good(text).servers, ids(servers), "{text}");
    }
    assert_eq!(good("opening 10\nA: balance").opening, Amount::new(10));
}

#[test]
fn a_name_that_is_likely_mistyped_founds_no_server() {
    for (text, wrong) in [
        (
            "A: transfer B 3\nA: transfer b 5\nb: balance",
            "2:13: b: did you mean B? A server more is declared at the top: servers A B C b",
        ),
        ("a: transfer B 3", "1:1: a: did you mean A? A server more"),
        ("A: batch B 1, BB 2", "1:15: BB: did you mean B?"),
        ("(A, X, 3)\n(A, B, 3)", "1:5: X: that is none of A, B, C. A server more is declared"),
        ("A B 3\nA Bank 5\nBank B 5", "2:3: Bank: that is none of A, B, C."),
        ("A B 3\nB A/x 3\nB D/x 3\nkill Z", "4:6: Z: that is none of A, B, C, D."),
        ("S1 S2 3\nS2 S5 1\nS5 S22 1", "3:4: S22: did you mean S2?"),
        ("5, S1, S2\n5, S2, s1", "2:8: s1: did you mean S1? A server more is declared"),
        ("north south 3\nsouth north 3\nnorth suoth 3", "3:7: suoth: did you mean south?"),
        ("A: balance\nadmit D\nD: transfer d 3", "3:13: d: did you mean D?"),
        ("A: balance\nexpect balance AB 3", "2:16: AB: did you mean A?"),
    ] {
        let wrongs = parse(text).expect_err(text);
        let first = wrongs[0].to_string();
        assert!(first.starts_with(wrong), "{text:?}\n  is told: {first}\n  and not: {wrong}");
        assert_eq!(wrongs.len(), 1, "{text}: {wrongs:?}");
    }
    for (text, servers) in [
        ("servers A B C b\nA: transfer b 5", "A B C b"),
        ("a b 3\nb c 3", "a b c"),
        ("alice bob 3\nbob carol 3", "alice bob carol"),
        ("X Y 3\nY Z 3", "X Y Z"),
        ("S1 S5 3", "S1 S5"),
        ("server1 server3 3\nprintBalance server1", "server1 server3"),
        ("node-a node-b 3", "node-a node-b"),
        ("A B 3\nfailLink S1 S2", "A B S1 S2"),
        ("rob bob 3\nbob ann 3", "ann bob rob"),
        ("A B 3\nadmit Bank\nBank: balance", "A B C"),
    ] {
        assert_eq!(good(text).servers, ids(servers), "{text}");
    }
}

#[test]
fn a_wrong_line_is_told_with_its_place_and_what_was_expected() {
    for (text, wrong) in [
        ("A: balance\n  kill", "2:7: the line ends here; expected: kill ID, such as: kill B"),
        ("kill B C", "1:8: \"C\": expected: kill ID, such as: kill B"),
        ("kill B/x", "1:6: \"B/x\" is not a server id (1 to 16 letters, digits, '-' or '_')"),
        ("kil B", "1:1: \"kil\": expected: a client and what it says, such as A: transfer B 30; a"),
        ("A: transfr B 3", "1:4: unknown command \"transfr\"; did you mean transfer?"),
        ("A:   transfer B x", "1:6: \"x\": an amount to pay is a whole number of units"),
        ("A:", "1:3: A says nothing; expected: a command as at the prompt"),
        ("é: balance", "1:1: \"é\" is not a server id"),
        ("A: quit", "1:4: quit: nobody is at a prompt here; expected: a command as at the prompt"),
        ("A: watch 5", "1:4: watch 5: nobody is at a prompt here"),
        ("A: again", "1:4: again: nobody is at a prompt here"),
        ("(A, B)", "1:1: expected: (FROM, TO, AMOUNT), such as: (A, B, 30)"),
        (
            "A B 3.5",
            "1:5: \"3.5\": the bank divides no unit: an amount is a whole number, such as 3",
        ),
        ("A B -3", "1:5: \"-3\": an amount is a whole number of units"),
        ("transfer B 30", "1:1: who pays is missing; expected: (FROM, TO, AMOUNT)"),
        ("A B 3\nprintView", "2:1: \"printView\": views and their changes can't be played"),
        ("  PrintReshard()", "1:3: \"PrintReshard()\": shards can't be played"),
        ("A B 3\nA, B!, 3", "2:4: \"B!\" is not an account"),
        ("wait 2", "1:6: \"2\": the unit is missing; a time is a whole number and a unit: 500ms"),
        (
            "cut A A",
            "1:7: a link is between two servers, not from A to itself; expected: cut ID ID",
        ),
        ("cut A ->", "1:9: the line ends here; expected: cut ID ID, both ways, or cut ID -> ID"),
        ("cut A <- B", "1:7: \"<-\" is not a server id"),
        ("delay A B 61s", "1:11: \"61s\": a delay is 1 to 60000 milliseconds, not 61000"),
        ("drop A B 30", "1:10: \"30\": expected: drop ID ID PERCENT or drop ID -> ID PERCENT"),
        ("drop A B 0%", "1:10: \"0%\": percent must be 1 to 100, not 0"),
        ("lose comit A -> B", "1:6: \"comit\" is no message; there are heartbeat, rejoin, prepare"),
        ("admit", "1:6: the line ends here; expected: admit ID [--branch], such as: admit D"),
        (
            "admit D h:1",
            "1:9: \"h:1\": expected: admit ID [--branch], such as: admit D; the play finds",
        ),
        ("admit D/x", "1:7: \"D/x\" is not a server id"),
        ("dismiss", "1:8: the line ends here; expected: dismiss ID, such as: dismiss D"),
        ("move B h:1", "1:8: \"h:1\": expected: move ID, such as: move B; the play finds"),
        ("promote", "1:8: the line ends here; expected: promote ID, such as: promote D"),
        ("demote B C", "1:10: \"C\": expected: demote ID, such as: demote B"),
        (
            "servers A B\nkill D\nadmit D",
            "2:6: D is none of the servers of this file, which are A, B",
        ),
        ("A: dismiss A", "1:4: dismiss A: here the members change by lines of their own, such as"),
        ("expect members", "1:15: the line ends here; expected: expect members ID…, such as"),
        ("heal A", "1:7: the line ends here; expected: heal, which ends all faults of links"),
        ("expect", "1:7: the line ends here; expected: expect accepted, refused, unavailable"),
        ("expect balence A 1", "1:8: \"balence\": expected: expect accepted, refused"),
        ("expect balance A", "1:17: the line ends here; expected: expect balance ACCOUNT UNITS"),
        ("expect balance A -1", "1:18: \"-1\": an amount is a whole number of units"),
        ("expect balance A 1 2", "1:20: \"2\": expected: nothing after this, or a # and a comment"),
        ("expect log C full", "1:14: \"full\": expected: expect log SERVER empty, or a number"),
        ("expect chains A", "1:15: \"A\": expected: expect chains equal [ID…], such as"),
        ("expect start A dead", "1:16: \"dead\": expected: expect start SERVER baby or zombie"),
        (
            "expect lost accept A B",
            "1:23: the line ends here; expected: expect lost MESSAGE ID -> ID",
        ),
        ("servers", "1:8: the line ends here; expected: servers ID ID…, once, such as"),
        ("servers A A", "1:11: server A is there twice; expected: servers ID ID…, once"),
        ("servers A\nservers B", "2:1: the servers are known already; expected: servers ID ID…"),
        ("servers A B\nkill C", "2:6: C is none of the servers of this file, which are A, B"),
        ("A: balance\nopening 5", "2:1: servers and opening come before the first step"),
        ("opening much", "1:9: \"much\": an amount is a whole number of units"),
        ("servers A B C D E F G H I J", "1:27: J is one server too many: a bank has at most 9"),
        ("(A,B,1)\n(C,D,1)\n(E,F,1)\n(G,H,1)\n(I,J,1)", "5:4: J is one server too many"),
        ("# nothing\n", "1:1: nothing is played here; a step is such as A: transfer B 30"),
        ("", "1:1: nothing is played here"),
        ("1,x,[A]", "1:3: \"x\": expected: (FROM, TO, AMOUNT), such as: (A, B, 30); or LF"),
        ("1,\"(A, B, 3)\"", "1:13: the live servers of this set are missing; expected them in"),
        ("1,\"(A, B, 3),[A]\n2,\"(A, A, 1)\",[A]", "1:3: this quotation mark is not closed before"),
        (
            "1,\"(A, A, 3)\",\"[A]\",[A],more",
            "1:25: \"more\": a column that is not known here; expect",
        ),
        ("one,\"(A, B, 3)\",[A]\n", "1:1: \"one\": expected a set's number, a whole number"),
        ("1,,[A]\none,,[A]", "2:1: \"one\": expected a set's number, a whole number such as 1"),
        (
            "2,,[A]\n1,,[A]",
            "2:1: \"1\": expected a number from 2 on, which is that of the set before",
        ),
        (",\"(A, B, 3)\",", "1:1: no set has begun yet; expected: a set's number, transfers"),
        ("1,\"(A, B, 3)\",", "1:15: the live servers of this set are missing; expected them in"),
        ("1,,[A", "1:4: \"[A\": expected the live servers in brackets, such as [S1, S2, S3]"),
        ("1,,\"[S1, S 2]\"", "1:10: \"S 2\" is not a server id"),
        ("1,,[A,]", "1:4: \"[A,]\": a server's name is missing; expected servers such as"),
        ("1,,\"[[A, B], [C, D]]\"", "1:6: \"[A, B], [C, D]\": shards can't be played"),
        ("1,\" (A, A, much)\",[A]", "1:12: \"much\": an amount is a whole number of units"),
        ("1,\"(A, A, 3)\n(A, A, 3.25)\",[A]", "2:8: \"3.25\": the bank divides no unit"),
        ("1,\"(S1, S9, 3)\",[S1]", "1:9: \"S9\": in no set of live servers, which are S1"),
        ("1,\"(s1, S1, 3)\",[S1]", "1:5: \"s1\": in no set of live servers; did you mean S1?"),
        ("1,F(n9),[n1]", "1:5: \"n9\": in no set of live servers, which are n1"),
        ("1,\"(A, B, 1)\",[n1],[n1]\n,,,[n2]", "2:5: \"n2\": in no set of live servers"),
        (
            "Set,Transactions,Live,Byzantine\n1,\"(A, B, 1)\",[n1],[n1]",
            "2:20: \"[n1]\": byzantine servers lie, and Paxos is for servers that only stop",
        ),
        (
            "Set,Transactions,Live,Shards\n1,\"(A, B, 1)\",[n1],\"C1, C2\"",
            "2:21: \"C1, C2\": shards can't be played",
        ),
        ("1,\"(A, B, 1)\nB(n1)\",[n1]", "2:1: \"B(n1)\": byzantine servers lie"),
        ("1,\"(A, B, 1); ViewChange\",[n1]", "1:15: \"ViewChange\": views and their changes"),
        (
            "servers S1\n1,,[S1]\n2,,[S2]",
            "3:5: S2 is none of the servers of this file, which are S1",
        ),
        ("1,,[S1]\nservers S1", "2:1: servers and opening come before the first row"),
        ("1,,[a,b,c,d,e,f,g,h,i,j]", "1:23: j is one server too many: a bank has at most 9"),
    ] {
        let wrongs = parse(text).expect_err(text);
        let first = wrongs[0].to_string();
        assert!(first.starts_with(wrong), "{text:?}\n  is told: {first}\n  and not: {wrong}");
    }
}

#[test]
fn all_wrong_lines_are_told_but_not_without_end() {
    let wrongs = parse("kill\nA: balance\nstart\n").unwrap_err();
    assert_eq!(wrongs.iter().map(|wrong| wrong.place.line).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(parse(&"kill\n".repeat(1000)).unwrap_err().len(), MAX_WRONGS);
    let long = parse(&format!("{} B", "k".repeat(1 << 20))).unwrap_err();
    assert!(long[0].what.len() < 1000, "{} bytes", long[0].what.len());
}

/// Lines of both dialects, whole and in pieces.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "A: ", "transfer", " B ", ";", "LF", "F(n1)", "printLog", "[n1, n2]", "3.5", "(A,", "30", "(A, B, 30)", "\n", "\r\n", ",", "\"", "[A, B]", "expect ",
            "lose ", "accept ", "-> ", "&", "# ", "1,", "cut ", "%", "balance ", "\u{feff}", "servers ",
            "Set Number,T,L", "say ", "kill ", "wait 2s", "é", "at ", "opening ",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(pieces in prop::collection::vec(piece(), 0..24)) {
        let text = pieces.concat();
        match parse(&text) {
            Ok(script) => prop_assert!((1..=MAX_SERVERS).contains(&script.servers.len())),
            Err(wrongs) => {
                prop_assert!(!wrongs.is_empty());
                let lines = text.split('\n').count();
                for Wrong { place: Place { line, column }, .. } in wrongs {
                    prop_assert!((1..=lines).contains(&line) && column >= 1);
                }
            }
        }
    }
}
