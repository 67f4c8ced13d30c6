//! An element while its turn goes on: its text grows with each entry.

use std::sync::{Arc, OnceLock};

use super::{Element, Parts, add_issued};
use crate::bank::ids::{AccountId, RequestId, SessionId};
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::ledger::quick::push_number;
use crate::bank::wall_time::WallTime;

/// The entries of an element in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::bank::ledger) struct Draft {
    text: Vec<u8>,
    entries: usize,
    /// The session of the last request.
    session: Option<SessionId>,
    opened: Vec<AccountId>,
    concerns_servers: bool,
    issues: Option<i64>,
    /// True if the last entry is linked to one that is still to come.
    goes_on: bool,
}

impl Draft {
    pub(in crate::bank::ledger) fn len(&self) -> usize {
        self.entries
    }

    pub(in crate::bank::ledger) fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Adds an entry.
    pub(in crate::bank::ledger) fn push(&mut self, record: &Record) {
        if self.entries > 0 {
            self.text.push(b',');
        }
        write_record(&mut self.text, record, &mut self.session);
        self.entries += 1;
        self.goes_on = record.linked;
        match &record.action {
            Action::Transfer { .. } | Action::Rekey { .. } => {}
            Action::Mint { .. } | Action::Burn { .. } => {
                self.issues = add_issued(self.issues, &record.action);
            }
            Action::Open { account, .. } => self.opened.push(account.clone()),
            Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => {
                self.concerns_servers = true;
            }
        }
    }

    /// Makes an element of the turn at this time, whose first entry has the position `first`, and begins anew.
    ///
    /// # Panics
    /// If there are no entries, or the last is linked to one that isn't there.
    pub(in crate::bank::ledger) fn seal(
        &mut self,
        first: Position,
        time: Option<WallTime>,
    ) -> Element {
        assert!(self.entries > 0, "an element holds an entry");
        assert!(!self.goes_on, "linked entries stay in one element");
        let Position { epoch, seq } = first;
        let mut text = format!("{{\"epoch\":{epoch},\"seq\":{seq}");
        if let Some(time) = time {
            text.push_str(&format!(",\"time\":{}", time.millis()));
        }
        text.push_str(",\"entries\":[");
        text.reserve_exact(self.text.len() + 2);
        text.push_str(str::from_utf8(&self.text).expect("names and numbers are text"));
        text.push_str("]}");
        let parts = Parts {
            first,
            time,
            entries: self.entries,
            text: text.into_boxed_str(),
            opened: std::mem::take(&mut self.opened).into_boxed_slice(),
            concerns_servers: self.concerns_servers,
            issues: self.issues.take(),
            records: OnceLock::new(),
        };
        self.text.clear();
        self.session = None;
        (self.entries, self.concerns_servers) = (0, false);
        Element(Arc::new(parts))
    }
}

fn add(text: &mut Vec<u8>, more: &str) {
    text.extend_from_slice(more.as_bytes());
}

/// Writes an action that is no transfer as an object, without its closing brace.
fn write_object(text: &mut Vec<u8>, action: &Action) {
    let (begin, key) = match action {
        Action::Transfer { .. } => unreachable!("a transfer is written as a list"),
        Action::Member(change) => {
            text.push(b'{');
            return change.write(text);
        }
        Action::Mint { account, amount } => {
            (format!("{{\"mint\":\"{account}\",\"amount\":{amount}"), None)
        }
        Action::Burn { account, amount } => {
            (format!("{{\"burn\":\"{account}\",\"amount\":{amount}"), None)
        }
        Action::Open { account, key } => (format!("{{\"open\":\"{account}\""), key.as_ref()),
        Action::Rekey { account, key } => (format!("{{\"rekey\":\"{account}\""), Some(key)),
        Action::Pin { server, instance, key } => {
            (format!("{{\"pin\":\"{server}\",\"instance\":\"{instance}\""), Some(key))
        }
        Action::Rejoin { server, old, new, key } => {
            let begin = format!("{{\"rejoin\":\"{server}\",\"old\":\"{old}\",\"new\":\"{new}\"");
            (begin, key.as_ref())
        }
    };
    add(text, &begin);
    if let Some(key) = key {
        add(text, &format!(",\"key\":\"{key}\""));
    }
}

/// Writes a record. Names hold nothing that JSON would have to escape; a reference may.
fn write_record(text: &mut Vec<u8>, record: &Record, session: &mut Option<SessionId>) {
    let Record { action, request, via, linked, reference } = record;
    let marks = match (via, linked) {
        (Via::Local, false) => None,
        (Via::Local, true) => Some("linked"),
        (Via::Paxos, false) => Some("paxos"),
        (Via::Paxos, true) => Some("paxos linked"),
    };
    let of_session = |RequestId { session: own, .. }: &RequestId| session.as_ref() == Some(own);
    let known = request.as_ref().is_some_and(of_session);
    if let Some(request) = request.as_ref().filter(|_| !known) {
        *session = Some(request.session.clone());
    }
    let ([request_key, marks_key, reference_key], end) = match action {
        Action::Transfer { from, to, amount } => {
            text.extend_from_slice(b"[\"");
            from.append_to(text);
            text.extend_from_slice(b"\",\"");
            to.append_to(text);
            text.extend_from_slice(b"\",");
            push_number(text, amount.units());
            ([""; 3], b']')
        }
        action => {
            write_object(text, action);
            (["\"request\":", "\"marks\":", "\"reference\":"], b'}')
        }
    };
    let is_list = end == b']';
    match request {
        Some(request) if known => {
            text.push(b',');
            add(text, request_key);
            push_number(text, request.number);
        }
        Some(request) => add(text, &format!(",{request_key}\"{request}\"")),
        None if is_list && (marks.is_some() || reference.is_some()) => add(text, ",null"),
        None => {}
    }
    match marks {
        Some(marks) => add(text, &format!(",{marks_key}\"{marks}\"")),
        None if is_list && reference.is_some() => add(text, ",null"),
        None => {}
    }
    if let Some(reference) = reference {
        add(text, &format!(",{reference_key}"));
        serde_json::to_writer(&mut *text, reference).expect("a text is written into memory");
    }
    text.push(end);
}
