//! Names into servers and accounts: each account gets its home. Pure.
//!
//! In some years of the courses an account is a server: `S1` pays, and `S1` is live. In others the accounts, such as
//! `A` to `J`, are none of the servers, such as `n1` to `n5`. Then they get homes among the servers by turns, in the
//! order of their names; or among the servers to be contacted, in the order in which they are first spoken of.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::Action;
use crate::bank::limits::MAX_SERVERS;
use crate::bank::request::Instruction;
use crate::client::commands::Command;
use crate::play::cast::{Cast, list};
use crate::play::course::item::{Item, Name};
use crate::play::course::sets::{Happening, What};
use crate::play::fault::cut_both_ways;
use crate::play::script::{Act, Step};
use crate::play::words::found;
use crate::play::wrong::Wrong;

/// Returns the steps of what happens, and the accounts that are no servers.
pub(super) fn resolve(
    happenings: Vec<Happening>,
    cast: &mut Cast,
    wrongs: &mut Vec<Wrong>,
) -> (Vec<Step>, Vec<AccountId>) {
    let servers = live_servers(&happenings, cast, wrongs);
    if !servers.is_empty() {
        cast.declared = Some(servers.clone());
    }
    let homes = if are_apart(&happenings, &servers) {
        homes(&happenings, &servers)
    } else {
        BTreeMap::new()
    };
    let names = Names { servers: &servers, homes: &homes };
    let mut steps = Vec::new();
    for Happening { place, text, what } in happenings {
        match names.act(what) {
            Ok(Some(act)) => steps.push(Step { place, text, act }),
            Ok(None) => {}
            Err(wrong) => wrongs.push(wrong),
        }
    }
    (steps, homes.into_values().collect())
}

/// Returns all servers that are ever live, or declared.
fn live_servers(
    happenings: &[Happening],
    cast: &Cast,
    wrongs: &mut Vec<Wrong>,
) -> BTreeSet<ServerId> {
    let declared = cast.declared.clone();
    let mut servers = declared.clone().unwrap_or_default();
    for name in happenings.iter().flat_map(live_names) {
        let server: ServerId = match name.text.parse() {
            Ok(server) => server,
            Err(error) => {
                let what = format!("{error}; expected servers such as [S1, S2, S3]");
                wrongs.push(Wrong { place: name.place, what });
                continue;
            }
        };
        let wrong = |what| Wrong { place: name.place, what };
        if let Some(declared) = declared.as_ref().filter(|declared| !declared.contains(&server)) {
            let what = format!(
                "{server} is none of the servers of this file, which are {}",
                list(declared)
            );
            wrongs.push(wrong(what));
        } else if servers.len() == MAX_SERVERS && !servers.contains(&server) {
            let what = format!("{server} is one server too many: a bank has at most {MAX_SERVERS}");
            wrongs.push(wrong(what));
            break;
        } else {
            servers.insert(server);
        }
    }
    servers
}

/// Returns the names of servers that are live from here on: those of a set, or one that comes back.
fn live_names(happening: &Happening) -> &[Name] {
    match &happening.what {
        What::Set { live, .. } => live,
        What::Item(Item::Recovers(name)) => std::slice::from_ref(name),
        _ => &[],
    }
}

/// Returns the names of accounts in an item.
fn accounts(item: &Item) -> Vec<&Name> {
    match item {
        Item::Pays { from, to, .. } => vec![from, to],
        Item::Balance(name) => vec![name],
        _ => Vec::new(),
    }
}

fn all_accounts(happenings: &[Happening]) -> impl Iterator<Item = &Name> {
    happenings.iter().flat_map(|happening| match &happening.what {
        What::Item(item) => accounts(item),
        _ => Vec::new(),
    })
}

/// True if no account is a server, nor looks as if it was meant to be one.
fn are_apart(happenings: &[Happening], servers: &BTreeSet<ServerId>) -> bool {
    let is_server = |name: &Name| {
        let home = name.text.split('/').next().unwrap_or_default();
        servers.iter().any(|server| server.as_str().eq_ignore_ascii_case(home))
    };
    !servers.is_empty() && !all_accounts(happenings).any(is_server)
}

/// Gives each account a home.
fn homes(happenings: &[Happening], servers: &BTreeSet<ServerId>) -> BTreeMap<String, AccountId> {
    let mut contacted: Vec<ServerId> = Vec::new();
    let mut turns = 0;
    let mut homes = BTreeMap::new();
    let mut give = |name: &str, among: &[&ServerId], homes: &mut BTreeMap<String, AccountId>| {
        let home = among[turns % among.len()];
        // A name that is none is told with its place later.
        if let Ok(account) = format!("{home}/{name}").parse() {
            homes.insert(name.to_owned(), account);
            turns += 1;
        }
    };
    for Happening { what, .. } in happenings {
        match what {
            What::Contact(names) => {
                let servers = names.iter().filter_map(|name| name.text.parse().ok());
                contacted = servers.filter(|server| servers_has(happenings, server)).collect();
            }
            What::Item(item) if !contacted.is_empty() => {
                for name in accounts(item) {
                    if !homes.contains_key(&name.text) {
                        give(&name.text, &contacted.iter().collect::<Vec<_>>(), &mut homes);
                    }
                }
            }
            _ => {}
        }
    }
    // In the order of their names, and of their numbers if these are numbers.
    let others: BTreeSet<(usize, &str)> = all_accounts(happenings)
        .filter(|name| !homes.contains_key(&name.text))
        .map(|name| (digits_before(&name.text), &*name.text))
        .collect();
    let servers: Vec<&ServerId> = servers.iter().collect();
    for (_, name) in others {
        give(name, &servers, &mut homes);
    }
    homes
}

/// Returns the length of a name that is a number, so that 9 comes before 10; otherwise nothing.
fn digits_before(name: &str) -> usize {
    if name.bytes().all(|byte| byte.is_ascii_digit()) { name.len() } else { 0 }
}

/// True if a server is live at some time.
fn servers_has(happenings: &[Happening], server: &ServerId) -> bool {
    happenings.iter().flat_map(live_names).any(|name| name.text == server.as_str())
}

/// The servers and accounts that names may mean.
struct Names<'a> {
    servers: &'a BTreeSet<ServerId>,
    /// The accounts that are no servers, by the names that the file gives them.
    homes: &'a BTreeMap<String, AccountId>,
}

impl Names<'_> {
    fn act(&self, what: What) -> Result<Option<Act>, Wrong> {
        Ok(Some(match what {
            What::Set { number, live } => {
                // Names that are none are told already.
                let live = live.iter().filter_map(|name| name.text.parse().ok());
                Act::Set { number, live: live.collect() }
            }
            What::Contact(names) => {
                names.iter().try_for_each(|name| self.server(name).map(drop))?;
                return Ok(None);
            }
            What::Item(item) => self.item(item)?,
        }))
    }

    fn item(&self, item: Item) -> Result<Act, Wrong> {
        Ok(match item {
            Item::Pays { from, to, amount } => {
                let (from, to) = (self.account(&from)?, self.account(&to)?);
                pays(from, to, amount)
            }
            Item::LeaderFails => Act::Fail(None),
            Item::Fails(name) => Act::Fail(Some(self.server(&name)?)),
            Item::Recovers(name) => Act::Recover(self.server(&name)?),
            Item::Balance(name) => {
                // A server has an account of its own even where the file's accounts are others.
                let account = match self.server(&name) {
                    Ok(server) => AccountId::of(&server),
                    Err(_) => self.account(&name)?,
                };
                says(Command::Balance(Some(account.clone())), &account)
            }
            Item::Log(name) => asks(Command::Log(None), self.server(&name)?),
            Item::Chain(name) => asks(Command::Chain { from: 0, to: None }, self.server(&name)?),
            Item::All => Act::Show(Vec::new()),
            Item::Cuts(one, other) => {
                Act::Break(cut_both_ways(self.server(&one)?, self.server(&other)?))
            }
            Item::Mends(None) => Act::Heal(Vec::new()),
            Item::Mends(Some((one, other))) => {
                let (one, other) = (self.server(&one)?, self.server(&other)?);
                Act::Heal(vec![(one.clone(), other.clone()), (other, one)])
            }
            Item::Waits(time) => Act::Wait(time),
            Item::Ends => Act::End,
        })
    }

    fn server(&self, name: &Name) -> Result<ServerId, Wrong> {
        let server = name.text.parse().ok().filter(|server| self.servers.contains(server));
        server.ok_or_else(|| self.stranger(name))
    }

    fn account(&self, name: &Name) -> Result<AccountId, Wrong> {
        if let Some(account) = self.homes.get(&name.text) {
            return Ok(account.clone());
        }
        let account: AccountId = name
            .text
            .parse()
            .map_err(|error| Wrong { place: name.place, what: format!("{error}") })?;
        match self.servers.iter().any(|server| server.as_str() == account.home()) {
            true => Ok(account),
            false => Err(self.stranger(name)),
        }
    }

    /// Says that a name means nobody.
    fn stranger(&self, name: &Name) -> Wrong {
        let is_meant = |server: &&ServerId| server.as_str().eq_ignore_ascii_case(&name.text);
        let what = match self.servers.iter().find(is_meant) {
            Some(server) => format!("in no set of live servers; did you mean {server}?"),
            None if self.servers.is_empty() => "in no set of live servers: there is none".into(),
            None => format!("in no set of live servers, which are {}", list(self.servers)),
        };
        Wrong { place: name.place, what: found(&name.text, &what) }
    }
}

/// Makes a transfer of a client of the payer's home.
pub(in crate::play) fn pays(from: AccountId, to: AccountId, amount: Amount) -> Act {
    let action = Action::Transfer { from: from.clone(), to, amount };
    says(Command::One(Instruction::plain(action)), &from)
}

/// Lets a client of an account's home say something.
fn says(command: Command, account: &AccountId) -> Act {
    let server = account.home().parse().expect("a home is a server's id");
    asks(command, server)
}

/// Lets a client of a server say something.
pub(in crate::play) fn asks(command: Command, server: ServerId) -> Act {
    Act::Say { server, command, behind: false }
}
