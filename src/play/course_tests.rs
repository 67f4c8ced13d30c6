//! Tests of the courses' dialects, as [`super::super`] reads them.

use super::*;

#[test]
fn a_course_s_file_is_read_however_it_was_saved() {
    let set = |number, live: &str| Act::Set { number, live: ids(live) };
    let expected = [
        set(1, "S1 S2 S3 S5"),
        pays("S1", "S3", 45),
        pays("S3", "S5", 55),
        set(2, "S1 S4"),
        pays("S4", "S1", 7),
    ];
    for text in [
        "1,\"(S1, S3, 45)\",\"[S1, S2, S3, S5]\"\n,\"(S3, S5, 55)\",\n2,\"(S4, S1, 7)\",\"[S1, S4]\"\n",
        "Set Number,Transactions,Live Servers\n1,\"(S1, S3, 45)\",\"[S1, S2, S3, S5]\"\n,\"(S3, S5, 55)\",\n2,\"(S4, S1, 7)\",\"[S1, S4]\"\n",
        "1 , \" (S1,S3,45)\" ,\"[ S1,S2 , S3,S5]\"\n , \"(S3,S5,55)\" , \n\n2,\"(S4,S1,7)\",\"[S1,S4]\"",
        "\"Set\",\"T\",\"L\"\n1,(S1, S3, 45),[S1, S2, S3, S5],,\n,(S3, S5, 55),,,\n,,\n2,(S4, S1, 7),[S1, S4],,\n",
        // Several transfers in a cell, on one line and on several; amounts with a point, and before the names.
        "1,\"(S1, S3, 45); (S3, S5, 55)\",\"[S1, S2, S3, S5]\"\n2,\"(S4, S1, 7)\",\"[S1, S4]\"\n",
        "1,\"[(S1, S3, 45), (S3, S5, 55)]\",\"[S1, S2, S3, S5]\"\n2,\"(S4, S1, 7)\",\"[S1, S4]\"\n",
        "1,\"(S1, S3, 45) | (S3, S5, 55)\",\"[S1, S2, S3, S5]\"\n2,\"[S4, S1, 7]\",\"[S1, S4]\"\n",
        "1,\"(S1, S3, 45.0)\n(S3, S5, $55)\",\"[S1, S2, S3, S5]\"\n2,\"(7, S4, S1)\",\"[S1, S4]\"\n",
        // The number and the servers are on each row, or on none but the first; a row ends early.
        "1,\"(S1, S3, 45)\",\"[S1, S2, S3, S5]\"\n1,\"(S3, S5, 55)\",\"[S5, S1, S2, S3]\"\n2,\"(S4, S1, 7)\",\"[S1, S4]\"\n",
        "1,\"(S1, S3, 45)\",\"[S1, S2, S3, S5]\"\n1,\"(S3, S5, 55)\",\nSet 2,\"(S4, S1, 7)\",\"[S1, S4]\"\n",
        "1,\"(S1, S3, 45)\",\"[S1, S2, S3, S5]\"\n,\"(S3, S5, 55)\"\n2,\"(S4, S1, 7)\",\"[S1, S4]\"\n",
        // Other separators, an order of columns that only the header tells, a column that is empty.
        "Set Number;Transactions;Live Servers\n1;(S1, S3, 45);[S1, S2, S3, S5]\n;(S3, S5, 55);\n2;(S4, S1, 7);[S1, S4]\n",
        "Set Number\tTransactions\tLive Nodes\n1\t(S1, S3, 45)\t[S1, S2, S3, S5]\n\t(S3, S5, 55)\t\n2\t(S4, S1, 7)\t[S1, S4]\n",
        "Live Servers,Set,Transactions,Byzantine Servers\n\"[S1, S2, S3, S5]\",1,\"(S1, S3, 45)\",[]\n,,\"(S3, S5, 55)\",\n\"S1, S4\",2,\"(S4, S1, 7)\",none\n",
        "1,(S1 -> S3 45),S1 S2 S3 S5\n,(S3 S5 55),\n2,transfer(S4 S1 7),S1 S4\n",
    ] {
        let script = good(text);
        assert_eq!(script.servers, ids("S1 S2 S3 S4 S5"), "{text:?}");
        let acts: Vec<Act> = script.steps.into_iter().map(|step| step.act).collect();
        assert_eq!(acts, expected, "{text:?}");
    }
    // A set that is there for its servers; a set in which no server lives.
    assert_eq!(acts("1,,[A]\n2,,[]"), [set(1, "A"), set(2, "")]);
    // A set whose servers change on the way, with its number or without.
    assert_eq!(acts("1,,[A]\n1,,[B]\n,,[A]"), [set(1, "A"), set(1, "B"), set(1, "A")]);
    // What a plain file may begin with, too; as it is typed, and as a spreadsheet saves it.
    let script = good("servers S1 S2,,\nopening,7\n1,(S1; S2; 3),[S1]");
    assert_eq!((script.servers, script.opening), (ids("S1 S2"), Amount::new(7)));
}

#[test]
fn accounts_that_are_no_servers_have_homes_by_turns() {
    let (fails, recovers) = (|id: &str| Act::Fail(Some(server(id))), |id| Act::Recover(server(id)));
    let set = |number, live: &str| Act::Set { number, live: ids(live) };
    let text = "Set Number,Transactions,Live Nodes\n1,\"(A, J, 3)\",\"[n1, n2, n3]\"\n,LF,\n,F(n3),\n\
        ,\"(C, B, 1); R(n3)\",\n2,(A),\"[n1, n2]\"\n,printLog(n2),\n,printDB,\n";
    let script = good(text);
    let homes: Vec<&str> = script.accounts.iter().map(|account| account.as_str()).collect();
    assert_eq!(homes, ["n1/A", "n2/B", "n3/C", "n1/J"]);
    let acts: Vec<Act> = script.steps.into_iter().map(|step| step.act).collect();
    let says = |id: &str, command| Act::Say { server: server(id), command, behind: false };
    assert_eq!(
        acts,
        [
            set(1, "n1 n2 n3"),
            pays("n1/A", "n1/J", 3),
            Act::Fail(None),
            fails("n3"),
            pays("n3/C", "n2/B", 1),
            recovers("n3"),
            set(2, "n1 n2"),
            says("n1", Command::Balance(Some("n1/A".parse().unwrap()))),
            says("n2", Command::Log(None)),
            Act::Show(vec![]),
        ]
    );
    // Who comes back is a server, too, though it was live in no set.
    let text = "1,\"(A, B, 1); R(n2); (B, A, 1)\",[n1]";
    assert_eq!(good(text).servers, ids("n1 n2"));
    // Numbers are in the order of numbers; servers to be contacted are the homes of who is first spoken of then.
    let homes = |text: &str| -> Vec<String> {
        good(text).accounts.iter().map(|account| account.to_string()).collect()
    };
    assert_eq!(homes("1,\"(9, 10, 1)\",\"[S1, S2]\""), ["S2/10", "S1/9"]);
    assert_eq!(
        homes("1,\"(21, 7, 1)\",\"[S1, S2, S3]\",\"[S3, S1]\"\n2,\"(7, 8, 1)\",\"[S1, S2]\",[S2]"),
        ["S3/21", "S1/7", "S2/8"]
    );
}

#[test]
fn a_course_s_plain_lines_are_read_with_what_they_print() {
    let transfers = [pays("A", "B", 5), pays("B", "C", 10)];
    for text in [
        "A B 5\nB C 10",
        "A,B,5\nB , C , 10",
        "5 A B\n10 B C",
        "5,A,B\n10,B,C",
        "transfer(A, B, 5)\nmoneyTransfer(10, B, C)",
        "Transfer A B 5.0\nsend B C $10",
        "A -> B 5\n(B, C, 10)",
        "A to B 5\nB pays C 10",
        "Sender,Receiver,Amount\nA,B,5\nB,C,10",
        "from to amount\nA->B 5\nB C 10",
    ] {
        assert_eq!(acts(text), transfers, "{text:?}");
    }
    // A letter that is a command elsewhere is a name here; names may be numbers, too.
    assert_eq!(acts("T F 3\nR B 2"), [pays("T", "F", 3), pays("R", "B", 2)]);
    assert_eq!(acts("1 2 10"), [pays("1", "2", 10)]);
    let says = |id: &str, command| Act::Say { server: server(id), command, behind: false };
    let balance = |id: &str| says(id, Command::Balance(Some(id.parse().unwrap())));
    assert_eq!(
        acts(
            "A B 5\nprintLog\nPrintBalance(A)\nprint_balance B\nprintBlockchain C\nprintDB\nF(B)\nrecover B"
        ),
        [
            pays("A", "B", 5),
            Act::Show(vec![]),
            balance("A"),
            balance("B"),
            says("C", Command::Chain { from: 0, to: None }),
            Act::Show(vec![]),
            Act::Fail(Some(server("B"))),
            Act::Recover(server("B")),
        ]
    );
}

#[test]
fn what_else_lines_of_courses_say_has_its_meaning_here() {
    let transfers = [pays("A", "B", 5)];
    for text in [
        "A->B: 5",
        "A -> B : 5",
        "[A, B, 5]",
        "A sends 5 to B",
        "A pays 5 to B",
        "transfer 5 from A to B",
        "send 5 A B",
        "// a comment\nA B 5\nquit",
        "A B 5 // rent\n  // nothing",
        "A=>B: 5",
        "A → B: 5",
        "transfer(A, B, 5);",
        "client,to,amount\nA,B,5",
        "A;B;5\nexit()\n\n# nothing\n",
    ] {
        assert_eq!(acts(text), transfers, "{text:?}");
    }
    let cut =
        |from: &str, to: &str| (server(from), LinkFault { peer: server(to), fault: Fault::Cut });
    let both = |from: &str, to: &str| vec![(server(from), server(to)), (server(to), server(from))];
    for text in ["failLink A B\nfixLink(A, B)\nfixLink", "cut_link(A,B)\nreconnect A B\nheal"] {
        let expected = [
            Act::Break(vec![cut("A", "B"), cut("B", "A")]),
            Act::Heal(both("A", "B")),
            Act::Heal(vec![]),
        ];
        assert_eq!(acts(text), expected, "{text:?}");
    }
    assert_eq!(
        acts("heal A B\nheal A -> B\nfailNode C\nfixNode C\nsleep 2\nsleep 0.5\nsleep 300ms"),
        [
            Act::Heal(both("A", "B")),
            Act::Heal(vec![(server("A"), server("B"))]),
            Act::Fail(Some(server("C"))),
            Act::Recover(server("C")),
            Act::Wait(Duration::from_secs(2)),
            Act::Wait(Duration::from_millis(500)),
            Act::Wait(Duration::from_millis(300)),
        ]
    );
}

#[test]
fn what_these_lines_can_not_mean_is_said() {
    for (text, what) in [
        ("A B 5\nquit\nB A 5", "3:1: the line before ends the play"),
        ("sleep long", "1:7: \"long\""),
        ("sleep 0", "at least 1ms"),
        ("failLink A", "1:1: \"failLink\": expected"),
        ("failLink A A", "a link is between two servers"),
    ] {
        let wrongs = parse(text).unwrap_err();
        let told = wrongs.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(told.contains(what), "{text:?}: {told}");
    }
}

#[test]
fn what_spreadsheets_and_people_put_around_a_table_changes_nothing() {
    let rows = "1,\"(S1, S2, 3)\",\"[S1, S2]\"\n,\"(S2, S1, 4)\",";
    let expected = acts(rows);
    assert_eq!(expected.len(), 3, "{expected:?}");
    for text in [
        "Test Case,Events,Active Nodes\n1,\"(S1, S2, 3)\",\"[S1, S2]\"\n,\"(S2, S1, 4)\",",
        "Number,Txns,Replicas\n1,\"(S1, S2, 3)\",\"[S1, S2]\"\n,\"(S2, S1, 4)\",",
        "Set,Transactions,Live,Comment\n1,\"(S1, S2, 3)\",\"[S1, S2]\",rent\n,\"(S2, S1, 4)\",,back",
        "1,'(S1, S2, 3)','[S1, S2]'\n,'(S2, S1, 4)',",
        "1,“(S1, S2, 3)”,“[S1, S2]”\n,“(S2, S1, 4)”,",
        "1,\"[('S1', 'S2', 3), ('S2', 'S1', 4)]\",\"['S1', 'S2']\"",
        "1,\"(S1, S2, 3) & (S2, S1, 4)\",\"[S1, S2]\"",
        "sep=;\nSet;Transactions;Live\n1;(S1, S2, 3);[S1, S2]\n;(S2, S1, 4);",
    ] {
        assert_eq!(acts(text), expected, "{text:?}");
    }
    let fails = acts("1,Leader Fail,\"[S1, S2]\"\n,leader_failure,\n,\"LF; LF\",");
    assert_eq!(fails[1..], vec![Act::Fail(None); 4]);
}
