//! A name of the client's own for its session: the numbers go on, whatever connection or process asks.

use crate::bank::ids::NamedSession;

/// A name, and how far its numbers are used.
#[derive(Clone, Debug)]
pub(super) struct OwnName {
    named: NamedSession,
    /// The highest number that this client has used; 0 if none.
    used: u64,
}

impl OwnName {
    pub fn new(named: NamedSession) -> OwnName {
        OwnName { named, used: 0 }
    }

    /// Returns what to ask a server for.
    pub fn wanted(&self) -> NamedSession {
        let used = Some(self.used).filter(|used| *used > 0);
        NamedSession { last: self.named.last.max(used), ..self.named.clone() }
    }

    /// Returns the next number, if the server knows `highest`. What was said when the client was started comes first:
    /// whoever says the same again means the same payments.
    pub fn next(&self, highest: u64) -> u64 {
        self.named.last.unwrap_or(highest).max(self.used) + 1
    }

    /// Notes that a number is used.
    pub fn use_up_to(&mut self, number: u64) {
        self.used = self.used.max(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(last: Option<u64>) -> OwnName {
        OwnName::new(NamedSession { name: "invoices".parse().unwrap(), last })
    }

    #[test]
    fn numbers_go_on_from_what_was_said_or_else_from_what_the_server_knows() {
        assert_eq!((named(None).next(17), named(Some(16)).next(17)), (18, 17));
        let mut own = named(Some(16));
        own.use_up_to(18);
        assert_eq!((own.next(0), own.wanted().last), (19, Some(18)));
        let mut own = named(None);
        assert_eq!(own.wanted().last, None, "nothing is known of it");
        own.use_up_to(3);
        assert_eq!((own.next(2), own.wanted().last), (4, Some(3)));
    }
}
