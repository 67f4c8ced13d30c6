//! The world as it is when a seed begins: who takes part, and how.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::bank::ids::ServerId;
use crate::bank::limits::Limits;
use crate::bank::server::Habit;
use fastrand::Rng;

use super::clients::Client;
use super::doors::Doors;
use super::faults::Faults;
use super::former::{Carried, Former};
use super::judge::Judge;
use super::old::OldStores;
use super::operators::{Changes, Operators};
use super::orders::Habits;
use super::queue::Happening;
use super::tally::Tally;
use super::world::{Host, World};
use crate::machine::config_of;
use crate::machine::disk::Disk;
use crate::machine::shelf::Shelf;

/// Who takes part, and how.
#[derive(Clone)]
pub struct Setting {
    pub servers: usize,
    pub clients_each: usize,
    pub opening: u64,
    pub habits: Habits,
    /// When servers settle by themselves.
    pub habit: Habit,
    pub limits: Limits,
    /// How many blocks a server that starts reads at the chain's end, if not all.
    pub tail: Option<usize>,
    /// How many accounts are on a page of balances, one of which comes with a block, if not as usual.
    pub page: Option<usize>,
    /// So many servers don't say what is left of a log that they cut.
    pub terse: usize,
    /// The bank is founded with keys.
    pub keyed: bool,
    /// How stores are archived, if they are.
    pub shelf: Option<Shelf>,
    /// How operators change the members, if they do.
    pub changes: Option<Changes>,
    /// What it goes on from, if it goes on from another bank.
    pub former: Option<Former>,
}

impl Setting {
    /// What the bank begins with, if it goes on from another one; with dice of its own.
    fn carried(&self, ids: &[ServerId], clients: &mut [Client], seed: u64) -> Option<Carried> {
        let former = self.former?;
        let mut dice = Rng::with_seed(seed ^ 0x00f0_33e4);
        let goes_on = |client: &mut Client| client.goes_on(dice.u64(1..9), dice.u64(0..3));
        let names: Vec<_> = clients.iter_mut().filter_map(goes_on).collect();
        Some(former.carry(ids, self.opening, self.keyed, &names))
    }
}

impl World {
    pub fn new(seed: u64, setting: Setting, faults: Faults) -> World {
        let mut rng = Rng::with_seed(seed);
        let ids: Vec<ServerId> = (0..setting.servers)
            .map(|i| char::from(b'A' + i as u8).to_string().parse().unwrap())
            .collect();
        let mut limits = setting.limits.clone();
        if let Some(page) = setting.page {
            limits = Limits { page, bytes_per_page: usize::MAX, ..limits };
        }
        if let Some(Former { accounts, bytes }) = setting.former {
            let accounts = accounts * setting.servers;
            // So that there are about ten turns of opening blocks, one with each heartbeat.
            let opening_bytes = (3 * accounts).max(2 * bytes);
            limits = Limits { accounts: limits.accounts + accounts, opening_bytes, ..limits };
        }
        let mut clients: Vec<Client> =
            (ids.iter().cycle().take(setting.servers * setting.clients_each))
                .enumerate()
                .map(|(number, id)| Client::new(number, id.clone(), ids.clone(), setting.habits))
                .collect();
        let carried = setting.carried(&ids, &mut clients, seed);
        let host = |id: &ServerId| {
            let mut config = config_of(id, &ids, setting.opening);
            (config.habit, config.limits) = (setting.habit.clone(), limits.clone());
            config.configuration.issuing = setting.habits.issues > 0;
            config.opening = carried.as_ref().map(|carried| carried.opening.clone());
            Host::new(config)
        };
        let hosts = ids.iter().map(|id| (id.clone(), host(id))).collect();
        let shelf = &setting.shelf;
        let mut disk =
            || Disk { tail: setting.tail, shelf: shelf.clone(), ..Disk::empty(rng.u64(..)) };
        let disks = ids.iter().map(|id| (id.clone(), disk())).collect();
        let resumes = setting.tail.is_some() || setting.shelf.is_some();
        let forgetful = setting.limits != Limits::default() || resumes;
        let mut world = World {
            rng,
            shelf_rng: Rng::with_seed(seed ^ 0xa5c417e),
            now: 0,
            faults,
            trace: false,
            replies_early: false,
            counter: 0,
            begun: false,
            queue: BinaryHeap::new(),
            hosts,
            apart: BTreeSet::new(),
            disks,
            hellos: BTreeMap::new(),
            old: OldStores::default(),
            doors: Doors::new(setting.keyed),
            operators: Operators::new(setting.changes, &ids, setting.opening, setting.habits),
            terse: ids.iter().take(setting.terse).cloned().collect(),
            clients,
            judge: Judge::new(setting.opening, &ids, carried.as_ref(), forgetful),
            tally: Tally::default(),
        };
        for id in &ids {
            let delay = world.rng.u64(0..300);
            world.schedule(delay, Happening::Start(id.clone()));
        }
        for client in 0..world.clients.len() {
            world.wake_client(client, 1);
        }
        world.schedule(0, Happening::Weather);
        world
    }
}
