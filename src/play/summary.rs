//! What is left when the play is over: logs, chains, balances and figures, and whether money and
//! chains are as they must be.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::{AccountId, ServerId};
use crate::client::commands::{Command, Response, execute};
use crate::client::json::to_json;
use crate::client::words::to_words;
use crate::play::check::{accounts, balance, total};
use crate::play::figures::Told;
use crate::play::script::list;
use crate::play::short::Waiting;
use crate::play::stage::Stage;
use crate::wire::reply::HashedBlock;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    servers: BTreeMap<ServerId, Left>,
    /// By account.
    balances: BTreeMap<AccountId, Holding>,
    /// Transfers that wait for money still, as they stand in the file.
    waiting: Vec<String>,
    figures: Told,
    /// Checks of this play.
    passed: usize,
    failed: usize,
    /// What must be so always and is not.
    wrong: Vec<String>,
}

/// What a server that runs holds.
#[derive(Debug, Serialize)]
struct Left {
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<HashedBlock>,
    /// Why nothing is seen of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unseen: Option<String>,
    #[serde(skip)]
    log_in_words: String,
}

/// What an account holds: as its home knows it, and by the longest chain.
#[derive(Debug, Serialize)]
struct Holding {
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<Amount>,
    committed: Amount,
}

impl Summary {
    /// Looks at all servers.
    pub(super) fn of(
        stage: &mut Stage,
        waiting: &[Waiting<'_>],
        figures: Told,
        passed: usize,
        failed: usize,
    ) -> Summary {
        let ids: Vec<ServerId> = stage.servers().cloned().collect();
        let servers: BTreeMap<ServerId, Left> =
            ids.into_iter().map(|id| (id.clone(), left(stage, &id))).collect();
        let mut wrong = Vec::new();
        if let Some(fork) = fork(&servers) {
            wrong.push(fork);
        }
        let expected = stage.opening().units() * servers.len() as u64;
        if !stage.live().is_empty()
            && let Some(expected) = Amount::new(expected)
            && let Err(found) = total(stage, expected)
        {
            wrong.push(format!("all accounts together must hold {expected}: {found}"));
        }
        let waiting = waiting.iter();
        let waiting =
            waiting.map(|one| format!("line {}: {}", one.step.place.line, one.step.text)).collect();
        Summary {
            balances: holdings(stage, &servers),
            servers,
            waiting,
            figures,
            passed,
            failed,
            wrong,
        }
    }

    /// Whether all is as it must be, and was as it was expected.
    pub(super) fn is_green(&self) -> bool {
        self.failed == 0 && self.wrong.is_empty()
    }

    /// For people.
    pub(super) fn in_words(&self) -> String {
        let mut text = String::from("\nAt the end\n");
        for (id, left) in &self.servers {
            match &left.unseen {
                Some(why) => text += &format!("  server {id}: {why}\n"),
                None => {
                    let height = left.height.map_or("none".into(), |height| height.to_string());
                    text += &format!("  server {id}: height {height}, {}", left.log_in_words);
                }
            }
        }
        text += &self.chains_in_words();
        for (account, Holding { balance, committed }) in &self.balances {
            let balance = balance.map_or("not to be asked now".into(), |known| known.to_string());
            text += &format!("  {account}: {balance} (in the chain: {committed})\n");
        }
        for waiting in &self.waiting {
            text += &format!("  still waits for money: {waiting}\n");
        }
        for line in self.figures.in_words().lines() {
            text += &format!("  {line}\n");
        }
        for wrong in &self.wrong {
            text += &format!("  WRONG: {wrong}\n");
        }
        let Summary { passed, failed, .. } = self;
        text + &format!("\n{passed} checks passed, {failed} failed\n")
    }

    /// Each chain once, with those who hold it.
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
            text += &format!("  chain of {}:\n", list(ids));
            for line in to_words(&Response::Chain(blocks.to_vec())).lines() {
                text += &format!("    {line}\n");
            }
        }
        text
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
    match (look(Command::Log), look(Command::Chain { from: 0, to: None })) {
        (Ok(log @ Response::Reply(_)), Ok(Response::Chain(blocks))) => Left {
            height: blocks.last().map(|block| block.height),
            log: RawValue::from_string(to_json(&log).trim_end().into()).ok(),
            log_in_words: to_words(&log).replace("\n  ", "\n      "),
            blocks,
            unseen: None,
        },
        (Err(why), _) => unseen(why),
        _ => unseen("it doesn't answer".into()),
    }
}

/// Two servers that hold different blocks at one height, if there are any.
fn fork(servers: &BTreeMap<ServerId, Left>) -> Option<String> {
    let mut at: BTreeMap<u64, (&ServerId, BlockHash)> = BTreeMap::new();
    for (id, left) in servers {
        for block in &left.blocks {
            let (other, hash) = at.entry(block.height).or_insert((id, block.hash));
            if *hash != block.hash {
                let height = block.height;
                return Some(format!("{other} and {id} hold different blocks at height {height}"));
            }
        }
    }
    None
}

/// What all accounts hold by the longest chain, and by what their homes know.
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
