//! The clients' names for their requests, while the state machine knows the requests by numbers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::wire::Tag;

/// The first of the numbers that stand for another name.
const FIRST: u64 = 1 << 63;

/// The names of a connection's requests that are no small numbers.
///
/// A name is here from the request until its one reply, so there are no more than requests without a reply.
#[derive(Debug, Default)]
pub(crate) struct Tags(Mutex<Named>);

#[derive(Debug, Default)]
struct Named {
    count: u64,
    tags: BTreeMap<u64, Tag>,
}

impl Tags {
    fn named(&self) -> MutexGuard<'_, Named> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number by which the state machine is to know a request of this name.
    pub(crate) fn number(&self, tag: Option<Tag>) -> Option<u64> {
        match tag? {
            Tag::Number(number) if number < FIRST => Some(number),
            tag => {
                let mut named = self.named();
                let number = FIRST + named.count;
                named.count += 1;
                named.tags.insert(number, tag);
                Some(number)
            }
        }
    }

    /// Returns the name of the request that is now answered, and forgets it.
    pub(crate) fn take(&self, number: Option<u64>) -> Option<Tag> {
        match number? {
            number if number < FIRST => Some(Tag::Number(number)),
            number => self.named().tags.remove(&number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_until_its_request_is_answered() {
        let tags = Tags::default();
        let named = |tag: &Tag| tags.number(Some(tag.clone()));
        let [text, large] = [Tag::Json(Box::new("\"7\"".into())), Tag::Number(u64::MAX)];
        assert_eq!((named(&Tag::Number(7)), tags.number(None)), (Some(7), None));
        // Two requests may have the same name.
        let numbers = [&text, &large, &text].map(named);
        assert_eq!(tags.named().tags.len(), 3);
        assert_eq!(
            numbers.map(|number| tags.take(number)),
            [Some(text.clone()), Some(large), Some(text)]
        );
        assert_eq!((tags.take(Some(7)), tags.take(None)), (Some(Tag::Number(7)), None));
        assert!(tags.named().tags.is_empty());
    }
}
