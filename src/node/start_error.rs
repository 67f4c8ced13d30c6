//! Why a node did not start.

use std::fmt;
use std::io;

use crate::bank::ids::ServerId;
use crate::node::load::LoadError;

/// Why a node did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The server is not a member of the cluster.
    NotInCluster(ServerId),
    /// The address can't be listened on.
    Listen {
        /// The address.
        address: String,
        /// Why it can't be listened on.
        error: io::Error,
    },
    /// The store, or its content, can't be used.
    Load(LoadError),
    /// The file of the roles can't be used, for this reason.
    Roles(String),
    /// It would found a bank with keys, and doesn't know whom to expect.
    Unexpected(String),
    /// A thread can't be started.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::NotInCluster(id) => write!(f, "{id} is not one of the cluster's servers"),
            StartError::Listen { address, error } => {
                write!(f, "can't listen on {address}: {error}")?;
                match error.kind() {
                    io::ErrorKind::AddrInUse => {
                        f.write_str("; perhaps this server, or another program, runs there already")
                    }
                    _ => Ok(()),
                }
            }
            StartError::Load(error) => write!(f, "{error}"),
            StartError::Roles(why) => f.write_str(why),
            StartError::Unexpected(words) => write!(f, "founding a bank with keys {words}"),
            StartError::Thread(error) => write!(f, "can't start a thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {}
