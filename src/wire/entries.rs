//! An entry as JSON, written quickly: followers get millions of them.

use serde::Serialize;

use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::ledger::quick::push_number;
use crate::bank::wall_time::WallTime;

/// Appends the fields of an entry to the text of an object, as `Entry` is written, without braces.
pub fn push_entry(
    text: &mut Vec<u8>,
    server: &ServerId,
    (Position { epoch, seq }, time): (Position, Option<WallTime>),
    record: &Record,
) {
    let Record { action, request, via, linked, reference } = record;
    push(text, "\"server\":\"");
    push(text, server.as_str());
    push(text, "\",\"epoch\":");
    push_number(text, epoch);
    push(text, ",\"seq\":");
    push_number(text, seq);
    if let Some(time) = time {
        push(text, ",\"time\":");
        push_number(text, time.millis());
    }
    push(text, ",");
    match action {
        // Names hold nothing that JSON would have to escape.
        Action::Transfer { from, to, amount } => {
            push(text, "\"from\":\"");
            from.append_to(text);
            push(text, "\",\"to\":\"");
            to.append_to(text);
            push(text, "\",\"amount\":");
            push_number(text, amount.units());
        }
        other => push_fields(text, other),
    }
    if let Some(request) = request {
        push(text, ",\"request\":\"");
        push(text, &request.to_string());
        push(text, "\"");
    }
    if *via == Via::Paxos {
        push(text, ",\"via\":\"paxos\"");
    }
    if *linked {
        push(text, ",\"linked\":true");
    }
    if let Some(reference) = reference {
        push(text, ",\"reference\":");
        serde_json::to_writer(text, reference).expect("a text is written into memory");
    }
}

/// Appends a text as it is.
pub(super) fn push(text: &mut Vec<u8>, more: &str) {
    text.extend_from_slice(more.as_bytes());
}

/// Appends the fields of an object.
fn push_fields(text: &mut Vec<u8>, object: &impl Serialize) {
    let whole = serde_json::to_string(object).expect("an action has only texts for keys");
    let fields = whole.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    push(text, fields.expect("an action is an object"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::ledger::element::Element;

    #[test]
    fn it_is_written_as_any_entry_is() {
        let entries = concat!(
            r#"["A","B/x.y",0],["A","B",9007199254740991],["A","A/alice",5,"A.1.0.00000000000000ff.1#4"],"#,
            r#"["A","B",1,5,"paxos"],["A","B",1,null,"paxos linked"],{"open":"A/x","request":6,"marks":"paxos"},"#,
            r#"{"open":"A/y","key":"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"},"#,
            r#"{"rekey":"A/y","key":"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"},"#,
            r#"["A","B",3,null,null,"say \"rent\""],{"mint":"A","amount":5,"reference":"ü"},{"burn":"A","amount":5},"#,
            r#"{"pin":"A","instance":"00000000000000ff","key":"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"},"#,
            r#"{"rejoin":"A","old":"00000000000000ff","new":"00000000000000fe"},"#,
            r#"{"admit":"D","instance":"00000000000000ff","at":"127.0.0.1:8004","branch":true},"#,
            r#"{"move":"D","at":"127.0.0.1:8014"},{"dismiss":"D"},{"promote":"D"},{"demote":"D"}"#,
        );
        let server: ServerId = "north".parse().unwrap();
        for time in ["", "\"time\":1796009637123,"] {
            let element = format!("{{\"epoch\":3,\"seq\":17,{time}\"entries\":[{entries}]}}");
            for entry in Element::open(&element).unwrap().entries(&server) {
                let mut text = b"{".to_vec();
                push_entry(&mut text, &server, (entry.position(), entry.time), &entry.record);
                text.push(b'}');
                assert_eq!(
                    String::from_utf8(text).unwrap(),
                    serde_json::to_string(&entry).unwrap()
                );
            }
        }
    }
}
