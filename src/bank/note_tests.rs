//! Of notes: how much each matters, and its line.

use super::*;
use crate::bank::ids::LifeId;

fn id(name: &str) -> ServerId {
    name.parse().unwrap()
}

fn ballot() -> Ballot {
    Ballot { round: 2, server: id("A"), life: LifeId(1) }
}

fn appended(beaten: Option<Ballot>) -> Note {
    Note::Appended { height: 4, by: Some(id("B")), content: "3 entries".into(), beaten }
}

#[test]
fn steps_of_runs_may_come_thick_and_nothing_else_is_a_step() {
    let run = Note::Run(1, ballot(), Step::AllEmpty);
    for step in [run, Note::FinishesRound, appended(None), Note::Yields(id("B"))] {
        assert_eq!(step.level(), Level::Step, "{step}");
    }
    for info in [Note::Opened, Note::Connected(id("B")), Note::Reconciled(3)] {
        assert_eq!(info.level(), Level::Info, "{info}");
    }
    assert_eq!(Note::Nothing(Nothing::OlderConnection).level(), Level::Debug);
    assert_eq!(Note::Warning(Warning::OneKeyForTwo).level(), Level::Warning);
}

#[test]
fn a_line_names_what_it_is_of_and_leaves_out_what_is_not_so() {
    let nacked = |waiting| Step::Nacked { by: id("C"), promised: ballot(), waiting };
    let line = |waiting| Note::Run(4, ballot(), nacked(waiting)).to_string();
    let (short, long) = (line(false), line(true));
    assert!(short.starts_with(&format!("block 4, ballot {}: nack of C", ballot())), "{short}");
    assert_eq!(long, format!("{short}; C waits too"));
    let (short, long) = (appended(None).to_string(), appended(Some(ballot())).to_string());
    assert_eq!(short, "block 4 of B appended: 3 entries");
    assert_eq!(long, format!("{short}; the run with ballot {} ends", ballot()));
    let proposes = |how| Step::Proposes { how, content: "3 entries".into() }.to_string();
    assert_eq!(proposes(How::Gathered), ": accept a block, of 3 entries");
    assert_eq!(proposes(How::Known), ": accept a block of what is known, of 3 entries");
    assert_eq!(proposes(How::Adopted), ": accept the block accepted before, of 3 entries");
    let accused =
        |in_doubt| Warning::Accused { by: id("B"), in_doubt, reason: "lost".into() }.to_string();
    assert!(accused(true).contains("nothing is served here") && accused(true).contains("lost"));
    assert!(accused(false).contains("so it goes on"));
    let rejoins =
        Warning::Rejoins { server: id("C"), new: InstanceId(2), old: InstanceId(1) }.to_string();
    let (new, old) = (InstanceId(2), InstanceId(1));
    assert!(rejoins.ends_with(&format!("instance {new} is to replace {old}")), "{rejoins}");
}
