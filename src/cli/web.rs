//! The command line of `web`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use paxos_banking::bank::address::Address;
use paxos_banking::bank::ids::ServerId;
use paxos_banking::web;

use super::doors::is_loopback;
use super::environment::Environment;
use super::keys::{self, OwnKey, Plain};
use super::values::{Cluster, USUAL_CLUSTER};

#[derive(Args)]
#[command(
    after_help = "It only reads, unless --allow-orders is said. In a bank with keys, --key names an auditor's key (an \
                        operator's, for orders). Ctrl-C ends it.\n\n\
                        Exit status: 1 it can't be served, or a trace can't be read; 2 wrong usage."
)]
pub struct Web {
    /// Where to serve the page. Beyond loopback, only to browsers that bring the token of the address that is printed;
    /// nothing is encrypted on the way
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub listen: Address,

    /// The bank's servers: ID=HOST:PORT,…; members that came later are found by themselves
    /// [default: with --trace none, else A=127.0.0.1:8001,B=127.0.0.1:8002,C=127.0.0.1:8003]
    #[arg(long, value_name = "ID=HOST:PORT,…")]
    pub cluster: Option<Cluster>,

    /// Show the protocol by these traces (server --trace, play --traces), which may still grow, rather than as the
    /// servers tell it: files, or folders of files; may be repeated
    #[arg(long, value_name = "FILE|FOLDER")]
    pub trace: Vec<PathBuf>,

    /// Let the page pay, settle, and break and mend links; beyond loopback only with an operator's --key
    #[arg(long)]
    pub allow_orders: bool,

    #[command(flatten)]
    pub own_key: OwnKey,

    #[command(flatten)]
    pub plain: Plain,
}

/// Checks what is to be shown.
pub(super) fn check(web: Web, environment: &Environment) -> Result<web::Options, String> {
    let Web { listen, cluster, trace, allow_orders, own_key, plain } = web;
    let usual = || USUAL_CLUSTER.parse().map(Some).map_err(|error| format!("--cluster: {error}"));
    let cluster: Option<Cluster> = match cluster {
        None if trace.is_empty() => usual()?,
        cluster => cluster,
    };
    let servers: BTreeMap<ServerId, String> = cluster.map_or_else(BTreeMap::new, |cluster| {
        cluster.0.into_iter().map(|(id, at)| (id, at.into_string())).collect()
    });
    let doors = keys::doors(&own_key, plain.plain, None, environment)?;
    let is_beyond_loopback = !is_loopback(listen.as_str());
    if allow_orders && is_beyond_loopback && doors.is_none() {
        return Err(format!(
            "--allow-orders at {}: whoever learns the page's token could then debit every account. Listen on \
             127.0.0.1, or name an operator's key (--key) of a bank with keys",
            listen.as_str()
        ));
    }
    let listen = listen.into_string();
    Ok(web::Options { listen, servers, doors, traces: trace, allow_orders, is_beyond_loopback })
}
