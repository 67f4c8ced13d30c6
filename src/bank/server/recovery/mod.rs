//! From the store to a server: the content is read and checked, and never changed.

use std::collections::BTreeSet;

use super::Server;
use super::config::Config;
use super::consensus::Voter;
use super::membership::Peers;
use super::own::{Leaving, Ledger, OwnStore};
use super::transfers::{Clients, Waiting};
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::reconcile::Reconcile;
use crate::bank::effects::{Effects, Timer};
use crate::bank::ids::{AccountId, LifeId, ServerId, TurnNumber};
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position};
use crate::bank::ledger::local_log::LocalLog;
use crate::bank::ledger::pages::Page;
use crate::bank::ledger::restoration::Restoration;
use crate::bank::ledger::secret::Secret;
use crate::bank::ledger::sessions::Sessions;
use crate::bank::note::{Note, Warning};
use crate::bank::paxos::acceptor::Acceptor;
use crate::bank::paxos::message::Configuration;
use crate::bank::paxos::pace::Pace;
use crate::bank::paxos::proposer::Proposer;
use crate::bank::request::Start;
use crate::bank::stored::{Place, Stored};
use crate::bank::wall_time::WallTime;

pub mod error;
mod its_bank;
pub mod replay;
mod resuming;

pub use error::RecoveryError;
use error::corrupt;
use replay::{Claims, Replay};

/// A server on its way back from its store. It takes block 0, the pages of balances, and the rest of the
/// chain or its last blocks ([`Recovery::resume`]), and then becomes a [`Server`].
#[derive(Debug)]
pub struct Recovery {
    config: Config,
    stored: Stored,
    life: LifeId,
    replay: Replay,
    /// The balances by the chain, as far as pages and blocks were taken.
    restoration: Restoration,
    /// True if not the whole chain was taken.
    resumed: bool,
    /// Why the server may only read, if it may only read.
    rests: Option<String>,
    sessions: Sessions,
}

impl Recovery {
    /// Begins with what is stored beside the chain.
    ///
    /// # Errors
    /// If the content can't be right.
    pub fn begin(mut config: Config, stored: Stored) -> Result<Recovery, RecoveryError> {
        config.configuration.servers.sort();
        let present = match planted!(LifeSurvives) {
            true => stored.lives.first(),
            false => stored.lives.last(),
        };
        let Some((life, _)) = present.copied() else {
            return corrupt(Place::Lives, "there is none");
        };
        config.limits.assert_sound();
        let Stored { instance, sessions, .. } = &stored;
        let sessions = Sessions::restore(&config.limits, sessions, true);
        let replay = Replay::new(config.id.clone(), Claims::of(&stored), instance.0);
        let restoration = Restoration::new(instance.0, config.limits.page, stored.checkpoint);
        let (resumed, rests) = (false, None);
        Ok(Recovery { config, stored, life, replay, restoration, resumed, rests, sessions })
    }

    /// Takes the next block of the stored chain, from block 0 on. All pages have to be given between block 0
    /// and the next one.
    ///
    /// # Errors
    /// If the block is not the next one, or the bank is not the configured one, or a page can't be from
    /// before this block.
    pub fn append(&mut self, block: SealedBlock) -> Result<(), RecoveryError> {
        self.replay.append(&block)?;
        self.catch_up(&block)?;
        if let Some(chain) = self.replay.chain.as_ref().filter(|chain| chain.height() == 0) {
            self.check_bank()?;
            self.check_genesis(chain)?;
            let Stored { checkpoint, blocks, .. } = &self.stored;
            if checkpoint >= blocks {
                let what = format!("{checkpoint} lies beyond the chain of {blocks} blocks");
                return corrupt(Place::Checkpoint, what);
            }
        }
        self.sessions.recall(block.block().log(&self.config.id), true);
        if !planted!(CarriedNamesForgotten) {
            self.sessions.carry_over(block.block(), &self.config.id);
        }
        Ok(())
    }

    /// Takes the next page of balances, from page 0 on.
    ///
    /// # Errors
    /// If it can't be the next page.
    pub fn page(&mut self, page: &Page) -> Result<(), RecoveryError> {
        if page.height >= self.stored.blocks {
            let what = format!("it is of height {}, which the chain has not", page.height);
            return corrupt(Place::Page(page.number), what);
        }
        self.restoration.page(page).or_else(|(place, what)| corrupt(place, what))
    }

    /// Returns the first block that some page lacks.
    pub fn first_missing(&self) -> u64 {
        self.restoration.height() + 1
    }

    /// Applies to the balances the block after the checkpoint, or after the last block given. Earlier blocks
    /// may be given, too.
    ///
    /// # Errors
    /// If a page can't be from before this block.
    pub fn catch_up(&mut self, block: &SealedBlock) -> Result<(), RecoveryError> {
        self.restoration.block(block).or_else(|(place, what)| corrupt(place, what))
    }

    /// True if a server that only reads can be made of this: the bank is open, and the server takes part.
    pub fn can_rest(&self) -> bool {
        let named = self.replay.chain.as_ref().and_then(|chain| chain.instance(&self.config.id));
        self.stored.active && named == Some(self.stored.instance)
    }

    /// Makes the server one that only reads, for this reason.
    #[must_use]
    pub fn resting(mut self, why: String) -> Recovery {
        self.rests = Some(why);
        self
    }

    fn page_of(&self, account: &AccountId) -> Place {
        self.restoration.balances().page_of(account).map_or(Place::Balances, Place::Page)
    }

    fn check_genesis(&self, chain: &Chain) -> Result<(), RecoveryError> {
        let Config { id, configuration, .. } = &self.config;
        let genesis = chain.genesis();
        let founded_with = |id: &ServerId| genesis.servers.contains_key(id);
        let changed = !self.stored.derived.membership.is_founding();
        // Whoever learns the chain may have read of no change yet, and be told of the members that there are now.
        let learns = self.config.join || self.config.rejoin;
        let is_later = !founded_with(id) || changed || learns;
        let balance_fits =
            configuration.opening_balance == genesis.opening_balance || genesis.origin.is_some();
        let terms_fit = balance_fits && configuration.issuing == genesis.issuing;
        let fits = terms_fit && genesis.servers.keys().all(|id| configuration.servers.contains(id));
        if !fits && !is_later {
            return Err(RecoveryError::Mismatch(format!(
                "the bank in this store was founded with {}, but this server is configured for \
                 {configuration}. Start it with the configuration of the founding, or on another store.",
                Configuration::of(genesis)
            )));
        }
        let is_known = founded_with(id) || self.stored.derived.included.contains_key(id);
        // The blocks that name it may not have come yet.
        match is_known || learns {
            true => Ok(()),
            false => corrupt(Place::Block(0), format!("it does not know {id}")),
        }
    }

    /// Checks that the chain names the store's instance, or may yet do so.
    fn check_instance(&self) -> Result<(), RecoveryError> {
        let Config { id, rejoin, .. } = &self.config;
        let instance = self.stored.instance;
        let Some(chain) = &self.replay.chain else { return Ok(()) };
        let named = chain.instance(id).map(|named| named.to_string()).unwrap_or_default();
        let is_dismissed = chain.instance(id).is_none() && chain.is_deposed(instance);
        if is_dismissed {
            // The others may need the block that says so from this store.
            return Ok(());
        }
        if chain.is_deposed(instance) {
            return Err(RecoveryError::Mismatch(format!(
                "another store is that of {id} now, as instance {named}: this one, of instance \
                 {instance}, is not to be used any more"
            )));
        }
        if chain.instance(id).is_none() && !self.config.join && !rejoin {
            return Err(RecoveryError::Mismatch(format!(
                "{id} is no member of this bank yet: start it with --join to go on with that"
            )));
        }
        if chain.instance(id) != Some(instance) && !rejoin && !self.config.join {
            return Err(RecoveryError::Mismatch(format!(
                "the chain knows {id} as instance {named}, but the store's instance is {instance}: it \
                 has not rejoined yet; start it with --rejoin to go on with that"
            )));
        }
        Ok(())
    }

    /// Ends, when all stored blocks were taken. The names of this life's sessions come from the secret.
    ///
    /// # Errors
    /// If chain, balances, log and accepted block don't fit together.
    pub fn finish(mut self, secret: Secret) -> Result<Server, RecoveryError> {
        let blocks = self.replay.blocks();
        if blocks != self.stored.blocks {
            let expected = self.stored.blocks;
            let what = format!("{expected} blocks should be there, {blocks} were read");
            return corrupt(Place::Chain, what);
        }
        let beyond_founding =
            self.stored.active || self.stored.promised.is_some() || self.stored.accepted.is_some();
        if blocks == 0 && beyond_founding {
            let what = "the server was open or has voted, but there is no block 0";
            return corrupt(Place::Chain, what);
        }
        self.check_bank()?;
        self.check_key()?;
        self.check_instance()?;
        self.check_derived()?;
        // The result of the whole chain was compared; these balances know which pages are late.
        let none = Restoration::new(0, self.config.limits.page, 0);
        self.replay.balances = std::mem::replace(&mut self.restoration, none).into_balances();
        let log = self.recover_log()?;
        self.check_acceptor()?;
        let Recovery { config, stored, life, replay, rests, sessions, .. } = self;
        let Replay { chain, balances, .. } = replay;
        let start = if stored.blocks == 0 { Start::Baby } else { Start::Zombie };
        let known: BTreeSet<&ServerId> =
            config.configuration.servers.iter().chain(config.addresses.keys()).collect();
        let peers = Peers::new(known.into_iter().filter(|id| **id != config.id).cloned());
        let acceptor = Acceptor::recover(stored.promised, stored.accepted);
        let proposer = Proposer::new(&config.id, acceptor.promised());
        let mut server = Server {
            config,
            store: OwnStore {
                instance: stored.instance,
                life,
                lives: stored.lives,
                start,
                turn: stored.turn,
                active: stored.active,
                no_writes: rests,
                replaces: None,
                leaving: Leaving::No,
                seen_of_it: None,
            },
            chain,
            ledger: Ledger { log, balances, sessions },
            clients: Clients::new(secret),
            peers,
            proposer,
            voter: Voter::new(acceptor),
            pace: Pace::default(),
            waiting: Waiting::default(),
            reconcile: Reconcile::Idle,
            effects: Effects::default(),
        };
        server.store.leaving = server.how_far_gone();
        server.begin_to_dial();
        server.follow_members();
        server.begin();
        Ok(server)
    }

    /// Compares what else is stored beside the chain with what follows from the chain.
    fn check_derived(&self) -> Result<(), RecoveryError> {
        if self.resumed {
            return self.check_trusted();
        }
        let compared = self.restoration.compare(&self.replay.balances);
        compared.or_else(|(place, what)| corrupt(place, what))?;
        self.replay.compare()
    }

    fn recover_log(&mut self) -> Result<LocalLog, RecoveryError> {
        let id = &self.config.id;
        let base = self.replay.chain.as_ref().map_or(Position::START, |chain| chain.included(id));
        let mut elements = std::mem::take(&mut self.stored.log);
        if planted!(SeqRestarted) {
            elements.clear();
        }
        if !elements.is_empty() && !self.stored.active {
            return corrupt(Place::Log, "it is there, though the bank was never open");
        }
        let log = LocalLog::new(base, elements.clone())
            .or_else(|(index, missing)| corrupt(Place::Element(index), does_not_go_on(missing)))?;
        let log = log.no_earlier_than(self.last_time(&elements)?);
        self.sessions.recall(&elements, false);
        self.replay.balances.forget_log();
        for (index, element) in elements.iter().enumerate() {
            for entry in element.entries(id) {
                let applied = apply(&mut self.replay.balances, id, &entry.record.action);
                applied.or_else(|error| {
                    corrupt(Place::Element(index), format!("entry {}: {error}", entry.seq))
                })?;
            }
        }
        Ok(log)
    }

    /// Returns the time before which this server's next element must not be.
    ///
    /// # Errors
    /// If an element of the log is earlier than the one before it.
    fn last_time(&self, log: &[Element]) -> Result<Option<WallTime>, RecoveryError> {
        let derived = self.replay.chain.as_ref().map(|chain| chain.derived());
        let mut last = derived.and_then(|derived| derived.times.get(&self.config.id).copied());
        for (index, element) in log.iter().enumerate() {
            let time = element.time();
            if time.is_some() && time < last {
                return corrupt(
                    Place::Element(index),
                    "its time is before that of the one before it",
                );
            }
            last = time.or(last);
        }
        Ok(last)
    }

    fn check_acceptor(&self) -> Result<(), RecoveryError> {
        if let Some(promised) = self.stored.promised.as_ref().filter(|p| !p.is_possible()) {
            return corrupt(Place::Promised, format!("there is no ballot {promised}"));
        }
        let Some((ballot, block)) = &self.stored.accepted else { return Ok(()) };
        let verified = match &self.replay.chain {
            None => return Ok(()),
            Some(chain) => chain.verify(&self.replay.balances, block),
        };
        if let Err(error) = verified {
            return corrupt(Place::Accepted, error.to_string());
        }
        if self.stored.promised.as_ref() < Some(ballot) {
            let what = "it is lower than that in which a block is accepted";
            return corrupt(Place::Promised, what);
        }
        Ok(())
    }
}

fn does_not_go_on(missing: Position) -> String {
    let Position { epoch, seq } = missing;
    format!("the log does not go on where the chain ends: entry {seq} (epoch {epoch}) is missing")
}

/// Applies an entry of server `id`'s log.
fn apply(balances: &mut Balances, id: &ServerId, action: &Action) -> Result<(), String> {
    match action.subject() {
        Some(subject) if !subject.is_of(id) => Err(format!("{subject} is not of {id}")),
        _ => balances.apply(action).map_err(|error| error.to_string()),
    }
}

impl Server {
    /// Gives a life its first effects: timers, and a line for the log.
    fn begin(&mut self) {
        self.set(Timer::Heartbeat);
        if self.voter.acceptor.accepted().is_some() {
            self.set(Timer::FinishRound);
        }
        self.begin_to_settle();
        let TurnNumber(turn) = self.store.turn;
        let (id, instance, life) = (&self.config.id, self.store.instance, self.store.life);
        let text = match self.height() {
            None => format!("{id} is a baby (instance {instance}, life {life})"),
            Some(height) => format!(
                "{id} is a zombie (instance {instance}, life {life}, turn {turn}): height {height}, \
                 {} entries in the local log",
                self.ledger.log.len()
            ),
        };
        self.note(Note::Begins(text));
        if let Some(why) =
            self.waits_for_its_bank().filter(|_| !self.config.rejoin && !self.config.join)
        {
            self.warn(Warning::WaitsForItsBank(why));
        }
        // A bank of one server waits for nobody.
        self.found();
    }
}
