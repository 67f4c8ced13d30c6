//! A bank that is founded where another one ended (DESIGN.md, "Founding and identity").

use super::super::Server;
use super::super::config::Config;
use crate::bank::blockchain::block::Genesis;
use crate::bank::note::Warning;
use crate::bank::paxos::message::Hello;

impl Config {
    /// Checks that a block 0 goes on from where this server was told, if it was told.
    pub(super) fn check_opening(&self, genesis: &Genesis) -> Result<(), String> {
        // A server that was told the bank, or that rejoins or joins, takes the bank's word.
        if self.bank.is_some() || self.rejoin || self.join || planted!(OpeningUnchecked) {
            return Ok(());
        }
        match (&self.opening, &genesis.origin) {
            (Some(opening), Some(origin)) if opening.origin == **origin => Ok(()),
            (None, None) => Ok(()),
            (Some(_), Some(_)) => {
                Err("it goes on from another end of another chain than this server's \
                                       --found-from: all servers have to be given equal backups"
                    .to_owned())
            }
            (Some(_), None) => {
                Err("it goes on from no other bank, and this server's --found-from does".to_owned())
            }
            (None, Some(origin)) => Err(format!(
                "it goes on from the bank {}, and this server was not told so: start it with --found-from, too",
                origin.bank
            )),
        }
    }
}

impl Server {
    /// Checks that a server with which this one may found a bank goes on from the same. Otherwise each of them
    /// would found a bank of its own.
    pub(super) fn check_origin(&self, hello: &Hello) -> Result<(), String> {
        let founds = self.chain.is_none() && hello.standing.genesis.is_none();
        let ours = self.config.opening.as_ref().map(|opening| opening.origin.hash());
        let takes_its_word = self.config.bank.is_some() || self.config.rejoin || self.joins();
        if !founds || hello.origin == ours || takes_its_word || hello.joins {
            return Ok(());
        }
        let said = |origin: &Option<_>| match origin {
            Some(origin) => {
                format!("with --found-from (what it goes on from has the hash {origin})")
            }
            None => "without --found-from".to_owned(),
        };
        Err(format!(
            "{} is about to found a bank {}, this server {}: all servers have to be given equal backups",
            hello.id,
            said(&hello.origin),
            said(&ours)
        ))
    }

    /// Appends the next opening blocks of the bank that this server was told to found; those that are still
    /// lacking, with the next heartbeat.
    pub(in crate::bank::server) fn append_opening(&mut self) {
        let Some(opening) = self.config.opening.clone() else { return };
        let mut bytes = 0;
        while let Some(chain) = self.chain.as_ref().filter(|chain| !chain.is_complete())
            && chain.origin() == Some(&opening.origin)
            && bytes < self.config.limits.opening_bytes
            && let Some(block) = opening.block_after(chain.height(), chain.head())
        {
            bytes += block.text().len();
            if let Err(problem) = self.append(&block) {
                return self.warn(Warning::BadGenesis(format!("this server's own: {problem:?}")));
            }
        }
        self.activate(false);
    }
}
