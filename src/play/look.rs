//! A look at servers: their logs, chains and balances.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::{AccountId, ServerId};
use crate::client::commands::{Command, Response};
use crate::client::execute::execute;
use crate::client::json::to_json;
use crate::client::words::to_words;
use crate::play::cast::list;
use crate::play::check::{accounts, balance};
use crate::play::stage::Stage;
use crate::wire::reply::HashedBlock;

/// What some servers hold.
#[derive(Debug, Serialize)]
pub(super) struct Look {
    servers: BTreeMap<ServerId, Left>,
    /// The balances by account.
    balances: BTreeMap<AccountId, Holding>,
    /// The homes of accounts that are no members.
    #[serde(skip)]
    gone: BTreeSet<String>,
}

/// What a running server holds.
#[derive(Debug, Serialize)]
struct Left {
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<HashedBlock>,
    /// Why nothing is seen of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen: Option<String>,
    #[serde(skip)]
    log_in_words: String,
}

/// An account's balance: as its home knows it, and by the longest chain.
#[derive(Debug, Serialize)]
struct Holding {
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<Amount>,
    committed: Amount,
}

impl Look {
    /// Looks at these servers.
    pub(super) fn at(stage: &mut Stage, servers: impl IntoIterator<Item = ServerId>) -> Look {
        let servers: BTreeMap<ServerId, Left> =
            servers.into_iter().map(|id| (id.clone(), left(stage, &id))).collect();
        let balances = holdings(stage, &servers);
        let is_there = |home: &str| stage.servers().any(|id| id.as_str() == home);
        let homes = balances.keys().map(AccountId::home);
        let gone = homes.filter(|home| !is_there(home)).map(str::to_owned).collect();
        Look { servers, balances, gone }
    }

    /// Returns each account's balance as its home knows it, if the home can be asked.
    pub(super) fn balances(&self) -> BTreeMap<AccountId, Option<Amount>> {
        let known = |(account, holding): (&AccountId, &Holding)| (account.clone(), holding.balance);
        self.balances.iter().map(known).collect()
    }

    /// Writes the look for people.
    pub(super) fn in_words(&self) -> String {
        let mut text = String::new();
        for (id, left) in &self.servers {
            match &left.unseen {
                Some(why) => text += &format!("      server {id}: {why}\n"),
                None => text += &format!("      {}", left.log_in_words),
            }
        }
        text += &self.chains_in_words();
        for (account, Holding { balance, committed }) in &self.balances {
            let unknown = match self.gone.contains(account.home()) {
                true => "its home is no member",
                false => "can't be asked now",
            };
            let balance = balance.map_or(unknown.into(), |known| known.to_string());
            text += &format!("      {account}: {balance} (in the chain: {committed})\n");
        }
        text
    }

    /// Writes each chain once, with the servers that hold it.
    fn chains_in_words(&self) -> String {
        let mut chains: Vec<(&[HashedBlock], Vec<&ServerId>)> = Vec::new();
        for (id, left) in self.servers.iter().filter(|(_, left)| !left.blocks.is_empty()) {
            match chains.iter_mut().find(|(blocks, _)| *blocks == left.blocks) {
                Some((_, ids)) => ids.push(id),
                None => chains.push((&left.blocks, vec![id])),
            }
        }
        let mut text = String::new();
        for (blocks, ids) in chains {
            text += &format!("      chain of {}:\n", list(ids));
            for line in to_words(&Response::Chain(blocks.to_vec())).lines() {
                text += &format!("        {line}\n");
            }
        }
        text
    }

    /// Finds two servers that hold different blocks at one height.
    pub(super) fn fork(&self) -> Option<String> {
        let mut at: BTreeMap<u64, (&ServerId, BlockHash)> = BTreeMap::new();
        for (id, left) in &self.servers {
            for block in &left.blocks {
                let (other, hash) = at.entry(block.height).or_insert((id, block.hash));
                if *hash != block.hash {
                    let height = block.height;
                    return Some(format!(
                        "{other} and {id} hold different blocks at height {height}"
                    ));
                }
            }
        }
        None
    }
}

fn left(stage: &mut Stage, id: &ServerId) -> Left {
    let mut look = |command| match stage.glance(id) {
        Ok(glance) => execute(command, glance, None).ok_or_else(String::new),
        Err(why) => Err(why),
    };
    let unseen = |why| Left {
        height: None,
        log: None,
        blocks: Vec::new(),
        unseen: Some(why),
        log_in_words: String::new(),
    };
    match (look(Command::Log(None)), look(Command::Chain { from: 0, to: None })) {
        (Ok(log @ Response::Reply(_)), Ok(Response::Chain(blocks))) => Left {
            height: blocks.last().map(|block| block.height),
            log: RawValue::from_string(to_json(&log).trim_end().into()).ok(),
            log_in_words: to_words(&log).replace("\n  ", "\n        "),
            blocks,
            unseen: None,
        },
        (Err(why), _) => unseen(why),
        _ => unseen("it doesn't answer".into()),
    }
}

/// Returns what all accounts hold by the longest chain, and by their homes.
fn holdings(stage: &mut Stage, servers: &BTreeMap<ServerId, Left>) -> BTreeMap<AccountId, Holding> {
    let longest = servers.iter().max_by_key(|(_, left)| left.height);
    let Some((longest, _)) = longest else { return BTreeMap::new() };
    let all = accounts(stage, longest).unwrap_or_default();
    let mut holding = |(account, committed): (AccountId, Amount)| {
        let home = account.home().parse().ok();
        let known = home.and_then(|home| balance(stage, &home, &account).ok());
        (account, Holding { balance: known.map(|(balance, _)| balance), committed })
    };
    all.into_iter().map(&mut holding).collect()
}
