//! The flags about keys of whoever asks a server, and the command line of `key` and `tunnel`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use paxos_banking::bank::address::Address;
use paxos_banking::bank::ids::ServerId;
use paxos_banking::client::doors::{Doors, key_of};
use paxos_banking::client::known_servers::KnownServers;
use paxos_banking::client::time::parse_time;
use paxos_banking::noise::{SecretKey, load_key_file};
use paxos_banking::tunnel;

use super::environment::Environment;

/// The name of a user's key in the folder of keys.
const USUAL_NAME: &str = "key";

/// The flag for the user's own key. It stands here, since several commands' help shows it.
#[derive(Args)]
pub struct OwnKey {
    /// The file of your secret key, as `paxos-banking key` makes it. With a key the connection is sealed, and
    /// the server knows whose it is [default: ~/.config/paxos-banking/key, by XDG's rule, if there is
    /// one; else plain lines, as anybody sends them]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// The flag against keys.
#[derive(Args)]
pub struct Plain {
    /// Speak plain lines, though there is a key: to a server that knows of no keys
    #[arg(long, conflicts_with = "key")]
    pub plain: bool,
}

/// The flag for the server's key.
#[derive(Args)]
pub struct TheirKey {
    /// The key that the server has to prove: its fingerprint, or the file beside its secret key. It is then
    /// remembered in known_servers, instead of what was known of this address
    /// [default: the one in known_servers; if there is none, the first one seen is put there]
    #[arg(long, value_name = "SHA256:…|FILE.pub")]
    pub server_key: Option<String>,
}

#[derive(Args)]
#[command(
    after_help = "The fingerprint goes to the standard output, and everything else to the standard error \
                        output. The public key is in FILE.pub, which may be given to anybody.\n\n\
                        Exit status: 0 there is a key; 1 there is none, and none could be made; 2 wrong usage."
)]
pub struct Key {
    /// The file of a secret key, or of a public one (FILE.pub) [default: ~/.config/paxos-banking/key, by
    /// XDG's rule]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

#[derive(Args)]
#[command(
    after_help = "Each connection that comes to --listen gets one to the bank, with the same key. So \
                        whoever can connect there speaks with your key: only programs of this machine can, \
                        but those of all its users.\n\n\
                        Exit status: 1 it had to stop; 2 wrong usage."
)]
pub struct Tunnel {
    /// The loopback address at which to take plain lines
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Address,

    /// The address of the bank's server
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Address,

    /// The server that is meant [default: whichever is at that address]
    #[arg(long, value_name = "ID")]
    pub id: Option<ServerId>,

    #[command(flatten)]
    pub own_key: OwnKey,

    #[command(flatten)]
    pub their_key: TheirKey,

    /// How long connecting to the server may take, and again its handshake
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    pub timeout: Duration,
}

/// Returns the file of the key that is meant.
pub fn key_file(key: Key, environment: &Environment) -> Result<PathBuf, String> {
    let usual = || environment.keys.as_ref().map(|folder| folder.join(USUAL_NAME));
    key.file.or_else(usual).ok_or_else(|| {
        "neither XDG_CONFIG_HOME nor HOME says where your keys are: name the key's FILE".to_owned()
    })
}

/// Returns the way in by keys; none if plain lines are to be spoken.
///
/// # Errors
/// If a key that was named, or the usual one, can't be read.
pub fn doors(
    own: &OwnKey,
    plain: bool,
    their: Option<&TheirKey>,
    environment: &Environment,
) -> Result<Option<Doors>, String> {
    let named = their.and_then(|their| their.server_key.as_deref());
    if plain {
        return match named {
            None => Ok(None),
            Some(_) => {
                Err("--plain means that no key is looked at, so it doesn't go with --server-key"
                    .into())
            }
        };
    }
    let usual = || {
        let file = environment.keys.as_ref()?.join(USUAL_NAME);
        file.exists().then_some(file)
    };
    let key = match (&own.key, usual()) {
        (Some(file), _) => {
            load_key_file(file).map_err(|error| format!("--key: {error}{}", make(file)))?
        }
        (None, Some(file)) => load_key_file(&file)
            .map_err(|error| format!("your key is not used: {error}; --plain does without it"))?,
        (None, None) if named.is_none() => return Ok(None),
        // The server's key is to be known, and one's own doesn't matter.
        (None, None) => SecretKey::random().map_err(|error| format!("--server-key: {error}"))?,
    };
    let server_key =
        named.map(key_of).transpose().map_err(|wrong| format!("--server-key: {wrong}"))?;
    let known =
        environment.keys.as_ref().map(|folder| KnownServers::at(folder.join("known_servers")));
    Ok(Some(Doors { key, server_key, known }))
}

/// Says how a missing key is made.
fn make(file: &std::path::Path) -> String {
    match file.exists() {
        true => String::new(),
        false => format!("; `paxos-banking key {}` makes one", file.display()),
    }
}

/// Checks what only the flags of a tunnel together can get wrong.
pub fn check_tunnel(tunnel: Tunnel, environment: &Environment) -> Result<tunnel::Options, String> {
    let Tunnel { listen, connect, id, own_key, their_key, timeout } = tunnel;
    let doors = doors(&own_key, false, Some(&their_key), environment)?.ok_or(
        "there is no key for the way to the bank: `paxos-banking key` makes one, and --key FILE names one",
    )?;
    Ok(tunnel::Options {
        listen: listen.into_string(),
        connect: connect.into_string(),
        id,
        doors,
        timeout,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_home_a_key_has_to_be_named() {
        let nowhere = Environment::default();
        let error = key_file(Key { file: None }, &nowhere).unwrap_err();
        assert!(error.contains("name the key's FILE"), "{error}");
        let named = key_file(Key { file: Some("k".into()) }, &nowhere);
        assert_eq!(named, Ok("k".into()));
        let home = Environment { keys: Some("/h/paxos-banking".into()), ..nowhere };
        assert_eq!(key_file(Key { file: None }, &home), Ok("/h/paxos-banking/key".into()));
    }

    #[test]
    fn without_any_key_lines_are_plain() {
        let folder = tempfile::tempdir().unwrap();
        let environment =
            Environment { keys: Some(folder.path().into()), ..Environment::default() };
        let none = OwnKey { key: None };
        assert!(doors(&none, false, None, &environment).unwrap().is_none());
        let missing = OwnKey { key: Some(folder.path().join("none")) };
        let error = doors(&missing, false, None, &environment).unwrap_err();
        assert!(error.starts_with("--key: "), "{error}");
        let server = TheirKey { server_key: Some("SHA256:short".into()) };
        let error = doors(&none, true, Some(&server), &environment).unwrap_err();
        assert!(error.contains("doesn't go with --server-key"), "{error}");
    }

    #[cfg(feature = "noise")]
    #[test]
    fn the_usual_key_is_used_if_it_is_there_and_a_named_one_before_it() {
        use paxos_banking::noise::create_key_file;
        let folder = tempfile::tempdir().unwrap();
        let environment =
            Environment { keys: Some(folder.path().into()), ..Environment::default() };
        let none = OwnKey { key: None };
        let server = TheirKey { server_key: Some("SHA256:short".into()) };
        let error = doors(&none, false, Some(&server), &environment).unwrap_err();
        assert!(error.contains("--server-key") && error.contains("43 digits"), "{error}");
        let usual = create_key_file(&folder.path().join("key")).unwrap();
        let other = folder.path().join("other");
        let named = create_key_file(&other).unwrap();
        let found = |own: &OwnKey, plain| doors(own, plain, None, &environment).unwrap();
        assert_eq!(found(&none, false).unwrap().key, usual);
        assert_eq!(found(&OwnKey { key: Some(other.clone()) }, false).unwrap().key, named);
        assert!(found(&none, true).is_none());
        let server =
            TheirKey { server_key: Some(folder.path().join("other.pub").display().to_string()) };
        let by_file = doors(&none, false, Some(&server), &environment).unwrap().unwrap();
        assert_eq!(by_file.server_key, Some(named.fingerprint()));
    }
}
