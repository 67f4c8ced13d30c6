//! Servers with keys, and operators.

use super::{Cluster, Name, id, pays, position};
use crate::bank::asker::{Asker, Role};
use crate::bank::effects::Event;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::request::{Reply, Request};
use crate::bank::server::Server;

impl Cluster {
    /// The same, founded with keys.
    pub fn open_with_keys(names: &[Name]) -> Cluster {
        let mut cluster = Cluster::default();
        names.iter().for_each(|name| cluster.give_key(name));
        cluster.opened(names)
    }

    /// A server has a key when it is started next.
    pub fn give_key(&mut self, name: Name) {
        self.keys.insert(name, Fingerprint::of(name.as_bytes()));
    }

    /// The same, with the key of another store.
    pub fn give_key_of(&mut self, name: Name, other: Name) {
        self.keys.insert(name, Fingerprint::of(other.as_bytes()));
    }

    /// A server that has a key proves it where it dials, and hears one there.
    pub(super) fn prove(
        &mut self,
        from: Name,
        to: &ServerId,
        (connection, answers): (ConnectionId, Name),
    ) {
        let Some(key) = self.keys.get(from).copied() else { return };
        let asker = Asker { key, role: None };
        self.queue.push_back((answers, Some(connection), Event::Proved(connection, asker)));
        // Whoever has none makes one up for this life.
        let made_up = Fingerprint::of(&self.counter.to_be_bytes());
        let proved = self.keys.get(answers).copied().unwrap_or(made_up);
        self.queue.push_back((from, None, Event::LinkProved(to.clone(), proved)));
    }

    pub(super) fn ask_as(
        &mut self,
        role: Option<Role>,
        name: Name,
        request: Request,
    ) -> Option<Reply> {
        self.nodes.get_mut(name).unwrap().replies.clear();
        self.counter += 1;
        if role.is_some() {
            let asker = Asker { key: Fingerprint::of(b"a person"), role };
            self.tell(name, Event::Proved(ConnectionId(self.counter), asker));
        }
        self.tell(name, Event::Request(ConnectionId(self.counter), None, request));
        for _ in 0..60 {
            if !self.nodes[name].replies.is_empty() {
                break;
            }
            self.run(100);
        }
        self.nodes.get_mut(name).unwrap().replies.pop()
    }

    pub fn ask_as_operator(&mut self, name: Name, request: Request) -> Option<Reply> {
        self.ask_as(Some(Role::Operator), name, request)
    }

    pub fn pay_as_operator(&mut self, name: Name, to: Name, amount: u64) -> Option<(u64, u64)> {
        let request = Request::One(pays(name, to, amount, None));
        match self.ask_as(Some(Role::Operator), name, request)? {
            Reply::One(outcome) => position(&outcome),
            _ => None,
        }
    }

    pub fn settle_as_operator(&mut self, name: Name) -> bool {
        let reply = self.ask_as(Some(Role::Operator), name, Request::Settle);
        matches!(reply, Some(Reply::Settled { .. }))
    }

    /// An operator confirms at `name` that this store rejoins.
    pub fn confirm(&mut self, name: Name, store: Name) -> bool {
        let confirmed = Request::Rejoin(Some((id(store), self.keys[store])));
        let reply = self.ask_as(Some(Role::Operator), name, confirmed);
        matches!(reply, Some(Reply::Rejoins { .. }))
    }

    pub fn is_keyed(&self, name: Name) -> bool {
        self.nodes[name].server.as_ref().is_some_and(Server::is_keyed)
    }
}
