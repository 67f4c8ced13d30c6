//! No line editor: the program was built without.

use std::io;
use std::path::Path;

use crate::client::session::Session;
use crate::client::typed::Typed;

/// A line editor that is never there.
#[derive(Debug)]
pub(super) enum Editor {}

impl Editor {
    /// Fails.
    ///
    /// # Errors
    /// Always.
    pub(super) fn open(_: Session, _: Option<&Path>) -> io::Result<Editor> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn read(&mut self, _: &str, _: &str) -> io::Result<Typed> {
        match *self {}
    }

    pub(super) fn keep(&mut self, _: &str) {
        match *self {}
    }

    pub(super) fn forget_ahead(&mut self) {
        match *self {}
    }

    pub(super) fn size(&mut self) -> Option<(usize, usize)> {
        match *self {}
    }
}
