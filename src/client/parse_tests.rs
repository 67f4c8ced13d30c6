//! Tests of [`super`]: each command, each way to get it wrong.

use super::*;
use crate::bank::amount::Amount;
use crate::bank::ledger::entry::Action;
use crate::bank::limits::MAX_BATCH;
use crate::bank::request::Instruction;

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

#[test]
fn a_transfer_is_typed_in_four_ways() {
    let one = |from, to, amount| Some(Command::One(transfer(from, to, amount)));
    for line in ["transfer B 30", "t B 30", "  t\tB   30 \r", "t B 30 # rent", "transfer B 030"] {
        assert_eq!(good(line), one("A", "B", 30), "{line}");
    }
    for line in ["(A/x, B, 30)", "(A/x,B,30)", " ( A/x , B , 30 ) # rent", "t A/x B 30"] {
        assert_eq!(good(line), one("A/x", "B", 30), "{line}");
    }
    // These are well formed; the server says that they make no sense.
    assert_eq!(good("t B 0"), one("A", "B", 0));
    assert_eq!(good("(A, A, 1)"), one("A", "A", 1));
    assert_eq!(good("t A/alice 1"), one("A", "A/alice", 1));
}

#[test]
fn flags_stand_anywhere() {
    let settled = Instruction { settled: true, ..transfer("A", "B", 30) };
    for line in ["t B 30 --settled", "t --settled B 30", "t A --settled B 30 --settled"] {
        assert_eq!(good(line), Some(Command::One(settled.clone())), "{line}");
    }
    let patient = Instruction { wait_ms: Some(10_000), ..transfer("A", "B", 30) };
    assert_eq!(good("t B 30 --wait 10s"), Some(Command::One(patient.clone())));
    let both = Instruction { settled: true, ..patient };
    assert_eq!(good("t --wait 10s B 30 --settled"), Some(Command::One(both)));
    let opened = Instruction { settled: true, ..open("A/x") };
    assert_eq!(good("open A/x --settled"), Some(Command::One(opened)));
}

#[test]
fn keys_are_fingerprints_or_what_they_are_looked_up_by() {
    let key = Fingerprint::of(b"abc");
    let opened = |name| {
        let key = Some(Box::new(key));
        Instruction::plain(Action::Open { account: account(name), key })
    };
    let rekeyed =
        |name| Instruction::plain(Action::Rekey { account: account(name), key: Box::new(key) });
    for line in [format!("open A/x --key {key}"), format!("open --key {key} A/x")] {
        assert_eq!(good(&line), Some(Command::One(opened("A/x"))), "{line}");
    }
    let settled = Instruction { settled: true, ..rekeyed("B/x") };
    assert_eq!(good(&format!("rekey B/x {key} --settled")), Some(Command::One(settled)));
    let line = format!("batch open A/x --key {key}, rekey A/y {key}, A B 1");
    let parts = vec![opened("A/x"), rekeyed("A/y"), transfer("A", "B", 1)];
    assert_eq!(good(&line), Some(Command::Batch(parts)));
    let confirmed = Command::Rejoin(Some(("C".parse().unwrap(), key)));
    assert_eq!(good(&format!("rejoin C {key}")), Some(confirmed.clone()));
    assert_eq!(good("rejoin"), Some(Command::Rejoin(None)));
    let by_file = |line| {
        let find = |word: &str| if word == "a.pub" { Ok(key) } else { Err(format!("no {word}")) };
        parse_with(line, &account("A"), &find)
    };
    assert_eq!(by_file("open A/x --key a.pub"), Ok(Some(Command::One(opened("A/x")))));
    assert_eq!(by_file("rekey A/x a.pub"), Ok(Some(Command::One(rekeyed("A/x")))));
    assert_eq!(by_file("rejoin C a.pub"), Ok(Some(confirmed)));
    assert_eq!(by_file("rekey A/x b.pub"), Err("no b.pub".into()));
}

#[test]
fn several_are_linked_or_not() {
    let parts = || vec![open("A/x"), transfer("A", "A/x", 20), transfer("A", "B", 5)];
    let line = "open A/x, A A/x 20 ,B 5";
    assert_eq!(good(&format!("batch {line}")), Some(Command::Batch(parts())));
    let mut linked = parts();
    linked[..2].iter_mut().for_each(|one| one.linked = true);
    assert_eq!(good(&format!("linked {line}")), Some(Command::Batch(linked.clone())));
    linked.iter_mut().for_each(|one| one.settled = true);
    linked[1..].iter_mut().for_each(|one| one.wait_ms = Some(500));
    let flagged = format!("linked {line} --settled --wait 500ms");
    assert_eq!(good(&flagged), Some(Command::Batch(linked)));
    assert_eq!(good("batch B 5"), Some(Command::Batch(vec![transfer("A", "B", 5)])));
    assert_eq!(good("linked B 5"), Some(Command::Batch(vec![transfer("A", "B", 5)])));
}

#[test]
fn each_other_command_is_understood() {
    let before = Some(Cursor { height: 7, place: 3, balance: Amount::new(50).unwrap() });
    let page = |limit, before, since| {
        Command::Page(Page::History { account: account("A/alice"), limit, before, since })
    };
    let history = |limit, before| page(limit, before, None);
    let since = |text: &str| Some(text.parse().unwrap());
    let list = |prefix: &str, limit, after: Option<&str>| {
        let (prefix, after) = (prefix.into(), after.map(account));
        List { prefix, limit, after }
    };
    let accounts = |prefix, limit, after| Command::Page(Page::Accounts(list(prefix, limit, after)));
    let balances = |prefix, limit, after| Command::Page(Page::Balances(list(prefix, limit, after)));
    let all = |prefix: &str| Command::AllBalances { prefix: prefix.into() };
    for (line, command) in [
        ("open A/alice", Command::One(open("A/alice"))),
        ("balance", Command::Balance(None)),
        ("balance B", Command::Balance(Some(account("B")))),
        ("history A/alice", history(50, None)),
        ("history A/alice 20", history(20, None)),
        ("history A/alice 20 --before 7.3.50", history(20, before)),
        ("history A/alice --before 7.3.50", history(50, before)),
        ("history A/alice --since 7d", page(50, None, since("7d"))),
        ("history --since 2026-11-30 A/alice 20", page(20, None, since("2026-11-30"))),
        (
            "hist A/alice --before 7.3.50 --since \"2026-11-30 03:46\"",
            page(50, before, since("2026-11-30T03:46")),
        ),
        ("accounts", accounts("", 50, None)),
        ("accounts A/", accounts("A/", 50, None)),
        ("accounts 20", accounts("", 20, None)),
        ("accounts A/ 1000", accounts("A/", 1000, None)),
        ("accounts A/ 20 --after A/bob", accounts("A/", 20, Some("A/bob"))),
        ("accounts --after A/bob", accounts("", 50, Some("A/bob"))),
        ("more", Command::More),
        ("log", Command::Log(None)),
        ("log B", Command::Log(Some("B".parse().unwrap()))),
        ("block 3", Command::Block(3)),
        ("balances", balances("", 50, None)),
        ("balances A/ 20 --after A/bob", balances("A/", 20, Some("A/bob"))),
        ("balances --all", all("")),
        ("balances --all A/", all("A/")),
        ("balances A/ --all", all("A/")),
        ("watch", Command::Watch(None)),
        ("watch 5", Command::Watch(Some(5))),
        ("again", Command::Again),
        ("help log", Command::Help(Help::About(find("log").unwrap()))),
        ("help all", Command::Help(Help::Each)),
        ("HELP", Command::Help(Help::Short)),
        ("\u{feff}help", Command::Help(Help::Short)),
        ("help;", Command::Help(Help::Short)),
        ("A> help", Command::Help(Help::Short)),
        ("\\q", Command::Quit),
        ("Exit;", Command::Quit),
        ("help hist", Command::Help(Help::About(find("history").unwrap()))),
        ("tr B 30", Command::One(transfer("A", "B", 30))),
        ("bal B", Command::Balance(Some(account("B")))),
        ("cha 3", Command::Chain { from: 3, to: None }),
        ("chain", Command::Chain { from: 0, to: None }),
        ("chain 3", Command::Chain { from: 3, to: None }),
        ("chain 3 5", Command::Chain { from: 3, to: Some(5) }),
        ("status", Command::Status),
        ("settle", Command::Settle),
        ("help", Command::Help(Help::Short)),
        ("quit", Command::Quit),
        ("exit", Command::Quit),
    ] {
        assert_eq!(good(line), Some(command), "{line}");
    }
    for nothing in ["", "   ", "\r", "# balance", "  #", "\t# ("] {
        assert_eq!(good(nothing), None, "{nothing:?}");
    }
}

#[test]
fn a_page_is_displayed_as_it_is_typed() {
    for line in [
        "history A/alice 20",
        "history A/alice 20 --before 7.3.50",
        "history A/alice 20 --since 2026-11-30T03:46:26Z --before 7.3.50",
        "accounts 20",
        "accounts A/ 20",
        "accounts 20 --after A/bob",
        "accounts A/ 20 --after A/bob",
        "balances A/ 20 --after A/bob",
        // No name has these in it; what was asked is repeated as it was nevertheless.
        "accounts \"A b\" 20",
        "balances \"\\\"#'\" 20 --after A/bob",
    ] {
        let Some(Command::Page(page)) = good(line) else { panic!("{line}") };
        assert_eq!(page.to_string(), line);
    }
}

#[test]
fn what_is_wrong_is_said_with_what_was_expected() {
    for (line, expected) in [
        ("transfer", "transfer [FROM] TO AMOUNT"),
        ("transfer B", "transfer [FROM] TO AMOUNT"),
        ("transfer A B 30 40", "transfer [FROM] TO AMOUNT"),
        ("transfer B 1.5", "\"1.5\": an amount to pay is a whole number of units from 1 to"),
        ("transfer B -1", "\"-1\": an amount to pay is a whole number"),
        ("transfer B 1e99", "an amount to pay is a whole number"),
        ("transfer B 18446744073709551616", "an amount to pay is a whole number"),
        ("transfer B 9007199254740992", "an amount to pay is a whole number"),
        ("transfer B/ 1", "\"B/\" is not an account"),
        ("transfer A/ B 1", "\"A/\" is not an account"),
        (
            "transfer B 30 --settle",
            "\"--settle\" is not known here; --for TEXT, --settled and --wait TIME are",
        ),
        ("transfer B 30 --wait", "--wait TIME, such as --wait 10s"),
        ("transfer B 30 --wait 10", "--wait: the unit is missing"),
        ("transfer B 30 --wait 1441m", "--wait: the time must not be longer than a day"),
        ("(A, B)", "(FROM, TO, AMOUNT)"),
        ("(A, B, 30", "(FROM, TO, AMOUNT)"),
        ("(A, B, 30, 40)", "(FROM, TO, AMOUNT)"),
        ("(A, B, )", "an amount to pay is a whole number"),
        ("(, B, 1)", "is not an account"),
        (
            "open",
            "open ACCOUNT [--key SHA256:…|FILE.pub] [--for TEXT] [--settled], such as: open A/alice",
        ),
        ("open A/x A/y", "open ACCOUNT"),
        ("open A/x --wait 1s", "open ACCOUNT"),
        ("open A/", "\"A/\" is not an account"),
        ("open A/x --key", "open ACCOUNT [--key"),
        ("open A/x --key alice.pub", "\"alice.pub\": a key's fingerprint is SHA256:"),
        ("open A/x A/y --key SHA256:x", "open ACCOUNT [--key"),
        ("rekey A/x", "rekey ACCOUNT SHA256:…|FILE.pub"),
        (
            "rekey A/x SHA256:short",
            "\"SHA256:short\": a key's fingerprint is SHA256: and 43 digits",
        ),
        ("rekey A/ SHA256:short", "\"A/\" is not an account"),
        (
            "batch rekey A/x",
            "part 1: expected: FROM TO AMOUNT or (FROM, TO, AMOUNT), open ACCOUNT [--key KEY], rekey ACCOUNT KEY, mint",
        ),
        ("rejoin C", "rejoin [SERVER KEY]"),
        ("rejoin C/x SHA256:short", "is not a server id"),
        ("transfer B 30 --key SHA256:x", "transfer [FROM] TO AMOUNT"),
        ("open alice", "\"alice\": an account opened here is called A/NAME, such as: open A/alice"),
        ("(\"A\", B, 30)", "\"\\\"A\\\"\" is not an account"),
        ("balances -all", "balances --all [PREFIX]"),
        ("linked", "part 1: expected: FROM TO AMOUNT or (FROM, TO, AMOUNT), open ACCOUNT"),
        ("linked (A, B, 1), (B, C", "part 2: expected: (FROM, TO, AMOUNT), such as"),
        ("linked (A, B, 1), (B C, A, 2)", "part 2: "),
        ("batch (A, B, 1.5)", "part 1: \"1.5\": an amount to pay"),
        ("batch (A, B, 1) 5, B 2", "part 1: expected: FROM TO AMOUNT or"),
        ("linked A B 1, B 1.5", "part 2: \"1.5\": an amount to pay"),
        ("linked A B 1 B A 2", "part 1: expected: FROM TO AMOUNT"),
        ("batch A B 1,", "part 2: expected: FROM TO AMOUNT"),
        (
            "batch A B 1, open",
            "part 2: expected: FROM TO AMOUNT or (FROM, TO, AMOUNT), open ACCOUNT",
        ),
        ("batch A B 1, open A/", "part 2: \"A/\" is not an account"),
        ("batch A B 1 --fast", "\"--fast\" is not known here"),
        ("balance A B", "balance [ACCOUNT]"),
        ("balance é", "is not an account"),
        ("transfer 30 B", "the amount comes last; did you mean: transfer B 30?"),
        ("transfer A 30 B", "did you mean: transfer A B 30?"),
        ("transfer 30 A B", "did you mean: transfer A B 30?"),
        ("transfer 30 to B", "did you mean: transfer B 30?"),
        ("t 30 TO B from A/x", "did you mean: transfer A/x B 30?"),
        ("t from A to B 30", "did you mean: transfer A B 30?"),
        ("batch A B 1, 2 A B", "part 2: the amount comes last; did you mean: transfer A B 2?"),
        ("pay B 30", "did you mean transfer?"),
        ("t 5 \u{1f}", "\"\\u{1f}\": an amount to pay is a whole number"),
        ("history A 20 30", "history [ACCOUNT] [LIMIT]"),
        ("history --all", "history [ACCOUNT] [LIMIT]"),
        ("history A --limit 5", "history [ACCOUNT] [LIMIT]"),
        ("history --limit 5", "history [ACCOUNT] [LIMIT]"),
        ("history A 0", "\"0\": a limit is a whole number from 1 to 1000"),
        ("history A 1001", "a limit is a whole number from 1 to 1000"),
        ("history A --before", "history [ACCOUNT] [LIMIT] [--since TIME] [--before H.P.B]"),
        ("history A --since", "history [ACCOUNT] [LIMIT] [--since TIME]"),
        ("history A --since 7", "--since \"7\": TIME is a date such as 2026-11-30, a time of day"),
        ("history A --since 2026-02-30", "or an age: 90m, 12h, 7d"),
        ("mint", "mint [ACCOUNT] AMOUNT [--for TEXT] [--settled], such as: mint A/alice 30"),
        ("mint A B 30", "mint [ACCOUNT] AMOUNT"),
        ("mint 30 --wait 1s", "mint [ACCOUNT] AMOUNT"),
        ("mint A -1", "\"-1\": an amount to issue is a whole number of units from 1 to"),
        ("mint A/ 30", "\"A/\" is not an account"),
        ("burn", "burn [ACCOUNT] AMOUNT [--for TEXT] [--settled] [--wait TIME], such as: burn A"),
        ("burn 1.5", "\"1.5\": an amount to take back is a whole number of units from 1 to"),
        (
            "batch A B 1, mint",
            "part 2: expected: FROM TO AMOUNT or (FROM, TO, AMOUNT), open ACCOUNT",
        ),
        ("issue 30", "did you mean mint?"),
        ("t B 30 --for", "expected: --for TEXT, such as --for rent"),
        ("t B 30 --for invoice 17", "--for \"invoice 17\""),
        ("t B 30 --for \"\"", "--for \"\": it is empty"),
        ("t B 30 --for \"a", "the closing quote of \"a\" is missing"),
        ("t B 30 --for \"a\"b", "a space is missing behind the quotes of \"a\""),
        ("(A, B, 30) --for rent", "(FROM, TO, AMOUNT)"),
        (
            "t 30 B --for 'rent #1' --settled",
            "did you mean: transfer B 30 --for \"rent #1\" --settled?",
        ),
        ("batch A B 1, A C 2 --for a --for b", "part 2: --for stands there twice"),
        ("history A --before 7.3", "\"7.3\": --before takes what the page before showed"),
        ("history A --before 7.3.50.1", "such as 7.3.50"),
        ("history A --before 7.3.9007199254740992", "such as 7.3.50"),
        ("accounts A/ x", "a limit is a whole number"),
        ("accounts 0", "a limit is a whole number"),
        ("accounts A/ 1 2", "accounts [PREFIX] [LIMIT]"),
        ("accounts --after", "accounts [PREFIX] [LIMIT]"),
        ("accounts --after A/", "\"A/\" is not an account"),
        ("more 20", "expected: more, alone"),
        ("chain x", "a height is a whole number"),
        ("chain +1", "a height is a whole number"),
        ("chain 5 1", "1 is below 5"),
        ("chain 1 2 3", "chain [FROM [TO]]"),
        ("log B C", "log [SERVER], such as: log B"),
        ("log B/x", "is not a server id"),
        ("block", "block HEIGHT, such as: block 1"),
        ("block -1", "a height is a whole number"),
        ("balances --al", "balances [PREFIX] [LIMIT]"),
        ("balances --all --all", "balances --all [PREFIX]"),
        ("balances A/ x", "a limit is a whole number"),
        ("watch 0", "TIMES is a whole number from 1"),
        ("watch 1s", "TIMES is a whole number from 1"),
        ("watch 1 2", "watch [TIMES], such as: watch 5"),
        ("help hlep", "did you mean help?"),
        ("help a b", "help [COMMAND | all]"),
        ("b", "\"b\" could be balance or balances or batch or block or burn"),
        ("blance", "did you mean balance?"),
        ("STAUTS", "did you mean status?"),
        ("\u{1b}[A", "an escape character in it"),
        ("teleport", "the commands are transfer, open, rekey, linked, batch, mint, burn, again"),
    ] {
        let error = parse(line, &account("A")).unwrap_err();
        assert!(error.contains(expected), "{line}: {error}");
    }
    let too_many = format!("batch {}", vec!["A B 1"; MAX_BATCH + 1].join(","));
    for long in ["x".repeat(1 << 20), too_many, format!("t B 1 --{}", "x".repeat(1 << 20))] {
        assert!(parse(&long, &account("A")).unwrap_err().len() < 1_000);
    }
}

#[test]
fn links_are_broken_and_mended() {
    let [accept, commit] = ["accept", "commit"].map(|name| name.parse::<Messages>().unwrap());
    let two = accept.and(commit);
    let broken = |fault| LinkOrder::Break(LinkFault { peer: "B".parse().unwrap(), fault });
    for (line, order) in [
        ("link", LinkOrder::Show),
        ("link heal", LinkOrder::Heal(None)),
        ("link heal B", LinkOrder::Heal(Some("B".parse().unwrap()))),
        ("link cut B", broken(Fault::Cut)),
        ("link delay B 200ms", broken(Fault::Delay { ms: 200 })),
        ("link delay B 1m", broken(Fault::Delay { ms: 60_000 })),
        ("link drop B 30%", broken(Fault::Drop { percent: 30 })),
        ("link lose accept commit B", broken(Fault::Lose { messages: two })),
        ("li cut B", broken(Fault::Cut)),
    ] {
        assert_eq!(good(line), Some(Command::Link(order)), "{line}");
    }
    for (line, part) in [
        ("link bend B", "expected: link [cut PEER | delay PEER TIME"),
        ("link cut", "such as: link delay B 200ms"),
        ("link cut B C", "expected: link [cut PEER"),
        ("link lose B", "expected: link [cut PEER"),
        ("link lose hello B", "\"hello\" is no message; there are heartbeat, "),
        ("link cut B/x", "not a server id"),
        ("link delay B 200", "unit is missing"),
        ("link delay B 2m", "not 120000"),
        ("link drop B 30", "a whole percentage, such as 30%"),
        ("link drop B 0%", "percent must be 1 to 100"),
        ("link drop B 101%", "not 101"),
    ] {
        let wrong = parse(line, &account("A")).unwrap_err();
        assert!(wrong.contains(part), "{line}: {wrong}");
    }
}
