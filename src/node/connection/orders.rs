//! Orders that a connection's reader obeys by itself: to break links, and to be told the trace.

use super::{Admission, Reader};
use crate::bank::request::{ErrorCode, Reply};
use crate::node::reply_sender::Outgoing;
use crate::node::streams::Stream;
use crate::wire::link::LinkOrder;
use crate::wire::{Tag, encode_faults, encode_reply};

impl Reader<'_> {
    /// Answers an order to break or mend links.
    pub(super) fn order(&self, id: Option<&Tag>, order: &LinkOrder) {
        let answer = match self.admission.doors.may_order(self.proved) {
            true => obey(self.admission, id, order),
            false => encode_reply(id, &no_orders()),
        };
        self.reply_sender.send(Outgoing::Text(answer));
    }

    /// Has the client be told the trace from now on, if it may.
    pub(super) fn look_on(&self, id: Option<Tag>) {
        let may = || self.admission.doors.may_look_on(self.proved);
        let stream = match may() {
            true => self.admission.trace.admit(id.as_ref()),
            false => Err(no_looking_on()),
        };
        self.reply_sender.begin(id, stream.map(|onlooker| Box::new(onlooker) as Box<dyn Stream>));
        // Whoever loses the right to it meanwhile is asked to stop, but perhaps before this began.
        if !may() {
            self.reply_sender.unfollow();
        }
    }
}

/// Obeys an order to break or mend links; returns the line that answers.
fn obey(admission: &Admission, id: Option<&Tag>, order: &LinkOrder) -> String {
    let result = match &admission.faults {
        Some(faults) => faults.obey(order),
        None => Err("nobody may break this server's links: it was started without \
            --allow-fault-injection"
            .into()),
    };
    match result {
        Ok(faults) => encode_faults(id, &faults),
        Err(message) => encode_reply(id, &Reply::Error { error: ErrorCode::BadRequest, message }),
    }
}

/// Returns the answer to who may not break this server's links.
fn no_orders() -> Reply {
    let message =
        "only an operator may break or mend this server's links: prove the key of one".into();
    Reply::Error { error: ErrorCode::Forbidden, message }
}

/// Returns the answer to who may not read this server's trace.
fn no_looking_on() -> Reply {
    let message =
        "only operators and auditors may ask for this server's trace: prove the key of one".into();
    Reply::Error { error: ErrorCode::Forbidden, message }
}
