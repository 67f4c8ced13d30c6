//! Arguments -> a validated configuration. Nothing is done here: no file, no socket, no output.
//!
//! [`args`] says what each flag looks like, [`values`] reads single values, and this file checks
//! what only the flags together can get wrong.

mod args;
mod values;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::ids::ServerId;

use args::{Arguments, Command, Membership};

/// What the program was asked to do.
#[derive(Debug)]
pub enum Config {
    /// To be a server.
    Server(Box<Server>),
    /// To talk to one.
    Client(Client),
}

/// A server that is set up well, as far as can be seen from here.
#[derive(Debug)]
pub struct Server {
    pub id: ServerId,
    pub cluster: BTreeMap<ServerId, String>,
    pub listen: String,
    pub redis: String,
    pub redis_timeout: Duration,
    pub allow_weak_redis: bool,
    pub opening_balance: Amount,
    pub times: args::Times,
}

/// A client, likewise.
#[derive(Debug)]
pub struct Client {
    pub id: ServerId,
    pub address: String,
    pub commands: Vec<String>,
    pub json: bool,
    pub timeout: Duration,
    pub give_up_after: Duration,
}

/// Reads the command line, the program's name first.
///
/// # Errors
/// What was wrong and what is right; or the help or version that was asked for.
pub fn parse<I, T>(arguments: I) -> Result<Config, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let (name, config) = match Arguments::try_parse_from(arguments)?.command {
        Command::Server(server) => ("server", check_server(server)),
        Command::Client(client) => ("client", check_client(client)),
    };
    config.map_err(|message| {
        // Built first: only then do a subcommand's usage lines name the whole program.
        let mut program = Arguments::command();
        program.build();
        let command = program.find_subcommand_mut(name).expect("it has just been parsed");
        command.error(ErrorKind::ValueValidation, message)
    })
}

fn check_server(server: args::Server) -> Result<Config, String> {
    let args::Server { membership, times, opening_balance, .. } = server;
    let own_address = own_address(&membership)?;
    let Membership { id, cluster } = membership;
    check_total(opening_balance, cluster.0.len())?;
    if times.gather >= times.unavailable_after {
        return Err(format!(
            "--gather ({:?}) must be shorter than --unavailable-after ({:?}), or no run ends in time",
            times.gather, times.unavailable_after
        ));
    }
    Ok(Config::Server(Box::new(Server {
        id,
        listen: server.listen.map_or(own_address, values::Address::into_string),
        cluster: cluster.0.into_iter().map(|(id, at)| (id, at.into_string())).collect(),
        redis: server.redis,
        redis_timeout: times.redis_timeout,
        allow_weak_redis: server.allow_weak_redis,
        opening_balance,
        times,
    })))
}

fn check_client(client: args::Client) -> Result<Config, String> {
    let args::Client { membership, connect, commands, json, timeout, give_up_after } = client;
    if timeout > give_up_after {
        return Err(format!(
            "--timeout ({timeout:?}) must not be longer than --give-up-after ({give_up_after:?}), \
             which is for all attempts together"
        ));
    }
    // With --connect the cluster is of no interest: the server may be of a bank with other ids.
    let address = match connect {
        Some(address) => address.into_string(),
        None => own_address(&membership)?,
    };
    Ok(Config::Client(Client {
        id: membership.id,
        address,
        commands,
        json,
        timeout,
        give_up_after,
    }))
}

/// Where the cluster says that the server of this id is.
fn own_address(membership: &Membership) -> Result<String, String> {
    let Membership { id, cluster } = membership;
    match cluster.0.get(id) {
        Some(address) => Ok(address.clone().into_string()),
        None => Err(format!(
            "server {id} is not in the cluster, which has {}; use one of these as --id, or set --cluster",
            cluster.ids()
        )),
    }
}

/// Checked here so that no sum of balances can ever be too large.
fn check_total(opening_balance: Amount, servers: usize) -> Result<(), String> {
    let total = opening_balance.units().checked_mul(servers as u64);
    match total.and_then(Amount::new) {
        Some(_) => Ok(()),
        None => Err(format!(
            "--opening-balance {opening_balance} for {servers} servers is more than the {} that a bank \
             can hold; {} each is the most",
            Amount::MAX,
            Amount::MAX.units() / servers as u64
        )),
    }
}

#[cfg(test)]
mod tests;
