//! Scenario files, in all dialects.

use paxos_banking::play::reading::{MAX_WRONGS, parse};
use paxos_banking::play::script::Act;

use crate::target::{Heard, Target};

pub struct ScenarioFiles;

/// One of each dialect as they are shipped, and lines that those don't have.
const SAMPLES: [&str; 14] = [
    include_str!("../scenarios/leader-dies-during-commit.txt"),
    include_str!("../scenarios/minority.txt"),
    include_str!("../scenarios/course.csv"),
    include_str!("../scenarios/course-lines.txt"),
    include_str!("../scenarios/course-nodes.csv"),
    include_str!("../scenarios/course-cell-lines.csv"),
    include_str!("../scenarios/course-semicolons.csv"),
    include_str!("../scenarios/course-contacts.csv"),
    "servers S1 S2\nSet,Transactions,Live,Byzantine\n1,\"(S1, S2, 3.0); printLog(S1)\",[S1],[]\n,F(S1); R(S1),,[S2]\n",
    "Set,Transfer,Live\n1,(A, B, 3),[A, B, C]\n,(B, C, 5),\n2,,[A, B]\n",
    "servers A B C D\nopening 10\npause A\nresume A\nwait 2s\ndelay A -> B 200ms\ndrop A B 30%\n",
    "A: transfer B 3 &\nawait A\nexpect accepted paxos balance 7\nexpect refused consulted A B\n",
    "expect unavailable within 10s\nexpect balance A 3 at B\nexpect log A empty\nexpect start A baby\n",
    "(A, B, 3)\nexpect run A idle\nexpect waiting A 1\nexpect connected\nexpect known 3\nshow A\nsay so\n",
];

impl Target for ScenarioFiles {
    fn name(&self) -> &'static str {
        "scenario-files"
    }

    fn executions(&self) -> usize {
        20_000
    }

    fn samples(&self) -> Vec<Vec<u8>> {
        SAMPLES.iter().map(|sample| sample.as_bytes().to_vec()).collect()
    }

    fn read(&self, input: &[u8], heard: &Heard) {
        let text = String::from_utf8_lossy(input);
        let lines = text.split('\n').count();
        match parse(&text) {
            Ok(script) => {
                assert!((1..=9).contains(&script.servers.len()), "{:?}", script.servers);
                let is_set = |act: &Act| matches!(act, Act::Set { .. });
                let course = script.steps.iter().any(|step| is_set(&step.act));
                heard.accepted(if course { "a course's file" } else { "a plain file" });
                if !script.accounts.is_empty() {
                    heard.accepted("accounts that are no servers");
                }
                for step in script.steps {
                    assert!((1..=lines).contains(&step.place.line), "{:?}", step.place);
                }
            }
            Err(wrongs) => {
                assert!((1..=MAX_WRONGS).contains(&wrongs.len()), "{} wrong lines", wrongs.len());
                for wrong in wrongs {
                    let place = wrong.place;
                    assert!((1..=lines).contains(&place.line) && place.column >= 1, "{place:?}");
                    assert!(!wrong.what.contains(char::is_control), "for one line: {wrong:?}");
                    heard.refused(&wrong.what);
                }
            }
        }
    }

    fn marks(&self) -> &'static [&'static str] {
        &[
            "a plain file",
            "a course's file",
            "accounts that are no servers",
            "expected: a client and what it says",
            "the line ends here",
            "is not a server id",
            "unknown command",
            "is no message",
            "servers and opening come before",
            "a link is between two servers",
            "expected: (FROM",
            "a set's number",
            "this quotation mark",
            "a column that is not known",
            "byzantine servers lie",
            "divides no unit",
            "in no set of live servers",
            "the live servers",
            "an amount is",
            "is none of the servers",
            "says nothing",
        ]
    }
}
