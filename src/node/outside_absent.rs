//! The same names for a program that was built without HTTP.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::node::watching::Watch;

/// The most connections at a time.
pub(crate) const CONNECTIONS: usize = 0;

/// What serves by HTTP. There is none.
#[derive(Debug)]
pub(crate) struct Outside(Infallible);

impl Outside {
    /// Serves nothing.
    ///
    /// # Errors
    /// Always.
    pub(crate) fn open(_address: &str, _watch: Arc<Watch>) -> io::Result<Outside> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this program was built without HTTP"))
    }

    /// Returns the address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        match self.0 {}
    }
}
