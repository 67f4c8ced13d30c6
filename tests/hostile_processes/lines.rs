//! Lines that are wrong, each of which has its answer (doc/WIRE.md).

use serde_json::json;

use crate::support::cluster::Client;
use crate::support::process::Bank;

/// Lines, and the error that answers each.
fn bad_lines() -> Vec<(Vec<u8>, &'static str)> {
    let amount = |amount: &str| {
        format!(r#"{{"id":7,"transfer":{{"to":"B","amount":{amount}}}}}"#).into_bytes()
    };
    let text = |line: &str| line.as_bytes().to_vec();
    let long = "x".repeat(500_000);
    let mut lines = vec![
        (text(""), "not_json"),
        (text("transfer B 30"), "not_json"),
        (text("{\"id\":7"), "not_json"),
        (text("{\"id\":7,}"), "not_json"),
        (b"{\"id\":7,\"balance\":{\"account\":\"\xff\"}}".to_vec(), "not_json"),
        (b"\xef\xbb\xbf{\"balance\":{}}".to_vec(), "not_json"),
        (b"{\"balance\":{}}\0".to_vec(), "not_json"),
        (b"{\"balance\":{\"account\":\"A\0\"}}".to_vec(), "not_json"),
        (text("[".repeat(100_000).as_str()), "not_json"),
        (text(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))), "bad_request"),
        (text(&format!("{{\"balance\":{}{}}}", "[".repeat(900), "]".repeat(900))), "bad_request"),
        (text(&format!("{}1{}", "{\"a\":".repeat(90_000), "}".repeat(90_000))), "bad_request"),
        (text("[]"), "bad_request"),
        (text("7"), "bad_request"),
        (text("{}"), "bad_request"),
        (text("{\"id\":7}"), "bad_request"),
        (text("{\"id\":null,\"balance\":{}}"), "bad_request"),
        (text("{\"id\":true,\"balance\":{}}"), "bad_request"),
        (text("{\"id\":[7],\"balance\":{}}"), "bad_request"),
        (text("{\"id\":\"\\ud800\",\"balance\":{}}"), "bad_request"),
        (
            text(&format!(
                "{{\"id\":{}{},\"balance\":{{}}}}",
                "[".repeat(90_000),
                "]".repeat(90_000)
            )),
            "bad_request",
        ),
        (text(&format!("{{\"id\":{},\"balance\":{{}}}}", "9".repeat(100_000))), "bad_request"),
        (text(&format!("{{\"id\":\"{long}\",\"balance\":{{}}}}")), "bad_request"),
        (text(&format!("{{\"{long}\":7}}")), "bad_request"),
        (text(&format!("{{\"balance\":{{\"account\":\"A/{long}\"}}}}")), "bad_request"),
        (text("{\"balance\":{},\"balance\":{}}"), "bad_request"),
        (text("{\"balance\":{\"account\":\"A\",\"account\":\"B\"}}"), "bad_request"),
        (text("{\"balance\":{},\"status\":{}}"), "bad_request"),
        (text("{\"balance\":null}"), "bad_request"),
        (text("{\"balance\":{\"account\":\"../A\"}}"), "bad_request"),
        (text("{\"version\":99,\"balance\":{}}"), "bad_version"),
        (text("{\"batch\":{\"items\":[]}}"), "bad_request"),
        (
            text(&format!(
                "{{\"batch\":{{\"items\":[{}[\"A\",\"B\",1]]}}}}",
                "[\"A\",\"B\",1],".repeat(5_000)
            )),
            "bad_request",
        ),
        (text("{\"accounts\":{\"limit\":1000000}}"), "bad_request"),
        (text("{\"history\":{\"limit\":0}}"), "bad_request"),
        (text("{\"chain\":{\"from\":2,\"to\":1}}"), "bad_request"),
        (text("{\"balance\":{\"account\":\"B/nobody\"}}"), "unknown_account"),
    ];
    let numbers = [
        "-1",
        "1e99",
        "1e2",
        "1.5",
        "18446744073709551615",
        "18446744073709551616",
        "\"5\"",
        "null",
    ];
    lines.extend(numbers.map(|number| (amount(number), "bad_request")));
    lines.extend([
        (amount("00"), "not_json"),
        (amount("NaN"), "not_json"),
        (amount("0x10"), "not_json"),
    ]);
    lines
}

#[test]
fn each_bad_line_has_its_answer_and_the_next_line_is_served() {
    let bank = Bank::start(&["A", "B"]);
    let mut client = Client::connect(bank.address("A"));
    let lines = bad_lines();
    println!("{} bad lines", lines.len());
    for (line, error) in lines {
        let begin = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
        client.send(&line);
        client.send(b"\n");
        let reply = client.read().expect("an answer");
        assert_eq!(reply["error"], json!(error), "{begin}: {reply}");
        let message = reply["message"].as_str().expect("words");
        assert!((10..2_000).contains(&message.len()), "{begin}: {message}");
        assert_eq!(client.ask(&json!({"id": 3, "balance": {}}))["balance"], json!(100), "{begin}");
    }
    client.send(b"  {\"id\":4,\"balance\":{}}\t\r\n");
    assert_eq!(client.read().expect("an answer")["id"], json!(4), "CRLF ends a line");
    let nothing = client.ask(&json!({"transfer": {"to": "B", "amount": 0}}));
    assert_eq!(nothing["outcome"], json!("invalid"), "{nothing}");
    assert_eq!(bank.chain("A").len(), 1);
}

#[test]
fn garbage_is_answered_line_by_line() {
    let bank = Bank::start(&["A", "B"]);
    let mut client = Client::connect(bank.address("A"));
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..50 {
        let mut garbage: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(4_000).collect();
        garbage.push(b'\n');
        client.send(&garbage);
        for _ in 0..garbage.iter().filter(|byte| **byte == b'\n').count() {
            assert_eq!(client.read().expect("an answer")["error"], json!("not_json"));
        }
    }
    assert_eq!(client.ask(&json!({"balance": {}}))["balance"], json!(100));
}
