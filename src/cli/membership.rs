//! Which server is meant, and where it is.

use std::collections::BTreeMap;

use clap::Args;
use paxos_banking::bank::address::Address;
use paxos_banking::bank::ids::ServerId;

use super::values::{Cluster, USUAL_CLUSTER};

/// What servers and whoever asks one have to know.
#[derive(Args)]
pub struct Membership {
    /// The server's id: 1 to 16 letters, digits, '-' or '_', such as A, S1, north
    #[arg(long, value_name = "ID")]
    pub id: ServerId,

    /// All servers of the bank (1 to 9), the same for each server: ID=HOST:PORT,…
    #[arg(long, value_name = "ID=HOST:PORT,…", default_value = USUAL_CLUSTER)]
    pub cluster: Cluster,
}

/// Returns where a server is, and where the others are, who may know better.
pub(super) fn place(
    membership: &Membership,
    connect: Option<Address>,
) -> Result<(String, BTreeMap<ServerId, String>), String> {
    match connect {
        // The cluster doesn't matter then: the server may be of a bank with other ids.
        Some(address) => Ok((address.into_string(), BTreeMap::new())),
        None => Ok((own_address(membership)?, others(membership))),
    }
}

/// Returns the cluster's address of the server with this id.
pub(super) fn own_address(membership: &Membership) -> Result<String, String> {
    let Membership { id, cluster } = membership;
    match cluster.0.get(id) {
        Some(address) => Ok(address.clone().into_string()),
        None => {
            let near = cluster.0.keys().find(|one| one.as_str().eq_ignore_ascii_case(id.as_str()));
            let meant = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            Err(format!(
                "server {id} is not in the cluster, which has {}; use one of these as --id, or set \
                 --cluster{meant}",
                cluster.ids()
            ))
        }
    }
}

/// Returns the cluster's addresses of all servers but this one.
fn others(membership: &Membership) -> BTreeMap<ServerId, String> {
    let others = membership.cluster.0.iter().filter(|(id, _)| **id != membership.id);
    others.map(|(id, at)| (id.clone(), at.clone().into_string())).collect()
}
