//! The client asks nothing of another server than the one that is meant.

use paxos_banking::bank::request::Request;
use paxos_banking::client::session::{Ending, Failure, Session};
use paxos_banking::wire::link::LinkOrder;

use super::fake::*;
use super::{options, pay};

#[test]
fn money_is_not_sent_from_another_server_s_account() {
    let fake = Fake::start(vec![session("B.1.0.00000000000000ff.1"), say(ACCEPTED)]);
    let ending = pay(&mut Session::new(&options(&fake)));
    assert!(matches!(ending, Ending::NotDone(Failure::WrongServer(_))), "{ending:?}");
    assert_eq!(fake.asked().len(), 1);
}

/// B's money is never shown as A's, whatever is asked.
#[test]
fn nothing_is_read_from_another_server() {
    let account = || "A/x".parse().unwrap();
    let balance = r#"{"id":ID,"account":"B","balance":70,"committed":100,"height":0}"#;
    for request in [
        Request::Balance(None),
        Request::Balance(Some(account())),
        Request::Log { after: None },
        Request::Chain { from: 0, to: None },
        Request::History { account: account(), before: None, limit: 5 },
        Request::Accounts { prefix: String::new(), after: None, limit: 5 },
        Request::Status,
        Request::Settle,
    ] {
        let fake = Fake::start_as_b(vec![say(balance)]);
        let failure = Session::new(&options(&fake)).ask(&request).unwrap_err();
        let Failure::WrongServer(said) = &failure else { panic!("{request:?}: {failure:?}") };
        assert!(said.contains("is B, not A") && said.contains(&fake.address), "{said}");
        assert!(fake.asked().is_empty(), "nothing else was asked");
    }
    let fake = Fake::start_as_b(vec![say(r#"{"id":ID,"faults":[]}"#)]);
    let failure = Session::new(&options(&fake)).order(&LinkOrder::Heal(None)).unwrap_err();
    assert!(matches!(failure, Failure::WrongServer(_)), "{failure:?}");
    assert!(fake.asked().is_empty(), "no link was mended");
}

/// Who it is has to be known anew after each break: another server may listen there by now.
#[test]
fn after_a_break_the_server_says_again_who_it_is() {
    let balance = r#"{"id":ID,"account":"A","balance":70,"committed":100,"height":0}"#;
    let script =
        vec![say(&status("A")), say(balance), say(balance), Step::Close, say(&status("B"))];
    let fake = Fake::start_nameless(script);
    let mut session = Session::new(&options(&fake));
    for _ in 0..2 {
        session.ask(&Request::Balance(None)).unwrap();
    }
    let failure = session.ask(&Request::Balance(None)).unwrap_err();
    assert!(matches!(failure, Failure::WrongServer(_)), "{failure:?}");
    let asked =
        fake.asked().iter().map(|asked| asked.request.get("status").is_some()).collect::<Vec<_>>();
    assert_eq!(asked, [true, false, false, false, true]);
}
