//! Tests of [`super`]: what scripts see of each response.

use serde_json::Value;

use super::*;
use crate::bank::ledger::entry::Via;
use crate::bank::request::ErrorCode;
use crate::client::exit::{Exit, exit_of};
use crate::client::help::Help;
use crate::client::samples::{
    accepted, accounts, blocks, history, linked_failed, links, log, of_status, refused, request,
    status, unknown_ending, wrong_server,
};

fn json(response: &Response) -> Value {
    let line = to_json(response);
    assert_eq!(line.find('\n'), Some(line.len() - 1), "exactly one line: {line}");
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_transfer_has_its_outcome_and_what_is_known() {
    let line = to_json(&Response::One(accepted(Via::Paxos, false, None)));
    assert_eq!(
        line,
        "{\"outcome\":\"accepted\",\"server\":\"A\",\"epoch\":1,\"seq\":5,\"balance\":70,\
         \"via\":\"paxos\"}\n"
    );
    let settled = json(&Response::One(accepted(Via::Local, false, Some(true))));
    assert_eq!(settled["settled"], true);
    let refused = json(&Response::One(refused()));
    assert_eq!(refused["outcome"], "refused");
    assert_eq!(refused["balance"], 20);
    assert_eq!(refused["consulted"], serde_json::json!(["A", "B"]));
    assert_eq!(refused["not_consulted"], serde_json::json!(["C"]));
    assert!(refused["reason"].as_str().unwrap().contains("A has 20"));
    let unknown = json(&Response::One(unknown_ending()));
    assert_eq!(unknown["outcome"], "unknown");
    assert_eq!(unknown["request"], request().to_string());
    assert!(unknown["reason"].as_str().unwrap().contains("may or may not"));
    assert_eq!(json(&Response::One(linked_failed()))["outcome"], "linked_failed");
    let wrong = json(&Response::One(wrong_server()));
    assert_eq!(wrong["outcome"], "wrong_server");
    assert_eq!((&wrong["server"], &wrong["address"]), (&"B".into(), &"127.0.0.1:8002".into()));
}

#[test]
fn a_batch_is_one_line_with_all_outcomes() {
    let endings = vec![accepted(Via::Local, false, None), linked_failed(), unknown_ending()];
    let batch = json(&Response::Batch(endings.clone()));
    let outcomes = batch["outcomes"].as_array().unwrap();
    assert_eq!(outcomes.len(), 3);
    for (outcome, ending) in outcomes.iter().zip(endings) {
        assert_eq!(*outcome, json(&Response::One(ending)));
    }
}

#[test]
fn a_transfer_that_was_never_taken_in_is_unavailable_or_invalid() {
    use crate::client::samples::not_done;
    let unreachable = not_done(Failure::NotSent("refused".into()));
    assert_eq!(json(&unreachable)["outcome"], "unavailable");
    assert_eq!(exit_of(&unreachable), Exit::NoAnswer);
    let reason = json(&unreachable)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("has not happened"), "{reason}");
    let bad = not_done(Failure::Said(ErrorCode::BadRequest, "number".into()));
    assert_eq!(json(&bad)["outcome"], "invalid");
    assert_eq!(exit_of(&bad), Exit::Refused);
}

#[test]
fn the_other_commands_have_their_fields() {
    let chain = json(&blocks());
    assert_eq!(chain["blocks"][1]["height"], 1);
    assert_eq!(chain["blocks"][1]["previous"], chain["blocks"][0]["hash"]);
    assert_eq!(chain["blocks"][1]["entries"][0]["amount"], 30);
    let log = json(&log());
    assert_eq!((&log["server"], &log["entries"][0]["to"]), (&"A".into(), &"B".into()));
    assert_eq!(log["entries"][1]["open"], "A/alice");
    let status = json(&of_status(status()));
    assert_eq!((&status["server"], &status["start"]), (&"A".into(), &"zombie".into()));
    assert_eq!((&status["height"], &status["log_length"]), (&4.into(), &2.into()));
    assert_eq!(status["accounts"], 5);
    assert_eq!(
        status["peers"][1],
        serde_json::json!({"id":"C","connected":false,"height":null,"turn":null})
    );
    let history = json(&history(false));
    assert_eq!(history["account"], "A");
    assert_eq!(history["lines"][0]["height"], Value::Null);
    assert_eq!(
        (&history["lines"][1]["height"], &history["lines"][1]["to"]),
        (&12.into(), &"B".into())
    );
    assert_eq!(history["next"], serde_json::json!({"height":12,"place":3,"balance":130}));
    let accounts = json(&accounts());
    assert_eq!(accounts["accounts"][0], serde_json::json!({"account":"A/alice","committed":70}));
    assert_eq!(
        (&accounts["accounts"][1]["account"], &accounts["more"]),
        (&"A/bob".into(), &true.into())
    );
    assert_eq!(
        json(&links())["faults"][1],
        serde_json::json!({"peer":"C","fault":"delay","ms":200})
    );
    assert!(json(&Response::Help(Help::Short))["help"].as_str().unwrap().contains("transfer"));
}

#[test]
fn errors_have_a_code_and_a_message() {
    for (response, code, exit) in [
        (Response::Usage("what?".into()), "usage", Exit::Usage),
        (Response::Failed(Failure::NotSent("x".into())), "unavailable", Exit::NoAnswer),
        (Response::Failed(Failure::NoAnswer("x".into())), "unavailable", Exit::NoAnswer),
        (Response::Failed(Failure::NotUnderstood("x".into())), "not_understood", Exit::NoAnswer),
        (Response::Failed(Failure::WrongServer("x".into())), "wrong_server", Exit::NoAnswer),
        (Response::Failed(Failure::Untrusted("x".into())), "untrusted", Exit::NoAnswer),
        (
            Response::Failed(Failure::Said(ErrorCode::Unavailable, "waits for C".into())),
            "unavailable",
            Exit::NoAnswer,
        ),
        (
            Response::Failed(Failure::Said(ErrorCode::UnknownAccount, "Z".into())),
            "unknown_account",
            Exit::Usage,
        ),
    ] {
        let line = json(&response);
        assert_eq!(line["error"], code);
        assert!(line["message"].is_string());
        assert_eq!(exit_of(&response), exit, "{code}");
    }
}
