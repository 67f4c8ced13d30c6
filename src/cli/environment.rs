//! What the program finds in its environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use paxos_banking::client::doors::{config_folder, state_folder};

use super::redis::VARIABLE;

/// What the names of the variables begin with that set flags.
pub const PREFIX: &str = "PAXOS_BANKING_";

/// What the environment says.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The URL of Redis, if there is one.
    pub redis: Option<String>,
    /// The folder of the user's keys, if the user has a home.
    pub keys: Option<PathBuf>,
    /// The folder for what a program remembers of a user's work, if the user has a home.
    pub state: Option<PathBuf>,
    /// The variables that set flags.
    pub variables: BTreeMap<String, String>,
}

impl Environment {
    /// Reads the environment of this process.
    pub fn of_process() -> Environment {
        // A value that is no text is no URL either, and is refused as such.
        let redis = std::env::var_os(VARIABLE);
        let redis = redis.map(|url| url.to_string_lossy().into_owned());
        let folder = |name| std::env::var_os(name).map(PathBuf::from);
        Environment {
            redis: redis.filter(|url| !url.is_empty()),
            keys: config_folder(folder("XDG_CONFIG_HOME"), folder("HOME")),
            state: state_folder(folder("XDG_STATE_HOME"), folder("HOME")),
            variables: variables(),
        }
    }
}

/// Reads the variables that set flags. One that is no text sets none.
fn variables() -> BTreeMap<String, String> {
    let all = std::env::vars_os();
    let ours = all.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = ours.filter(|(name, _)| name.starts_with(PREFIX));
    ours.map(|(name, value)| (name, value.to_string_lossy().into_owned())).collect()
}
