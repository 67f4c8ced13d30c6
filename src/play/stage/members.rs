//! Members of the bank on the stage, which come, move and go.

use std::collections::BTreeSet;

use super::{Actor, Stage, free_addresses, glance};
use crate::bank::address::Address;
use crate::bank::ids::ServerId;
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::request::{MemberStatus, Order, Reply, Request};
use crate::client::session::{Failure, Session};
use crate::play::script::Membership;
use crate::wire::Answer;

/// What became of an order about the members: what was done, or why it was not.
type Answered = Result<&'static str, String>;

impl Stage {
    /// Changes the members, and waits until it is so. Returns what an order that is not carried out was answered.
    ///
    /// # Errors
    /// If the play can't go on.
    pub(in crate::play) fn change_members(
        &mut self,
        change: &Membership,
    ) -> Result<Answered, String> {
        match change {
            Membership::Admit { server, branch } => self.admit(server, *branch),
            Membership::Dismiss(id) => self.dismiss(id),
            Membership::Move(id) => self.move_elsewhere(id),
            Membership::Promote(id) => {
                Ok(self.give(id, MemberChange::Promote { server: id.clone() }, "it votes"))
            }
            Membership::Demote(id) => {
                Ok(self.give(id, MemberChange::Demote { server: id.clone() }, "it is a branch"))
            }
        }
    }

    /// Starts a server with an empty store, and has it admitted.
    fn admit(&mut self, id: &ServerId, branch: bool) -> Result<Answered, String> {
        if self.servers().any(|other| other == id) {
            return Ok(Err(format!("{id} is a member of this bank already")));
        }
        let at = self.bring(id)?;
        let order = Order::Admit { server: id.clone(), at, key: None, branch };
        if let Err(why) = self.order_at(self.another_than(id), order) {
            self.remove(id);
            return Ok(Err(why));
        }
        // Until then nobody can pay it, nor can it pay.
        let own = Request::Balance(None);
        self.wait_until(&format!("{id} takes part"), |stage| stage.ask(id, &own).is_ok())?;
        Ok(Ok("it takes part"))
    }

    /// Has a server dismissed by its own word, and waits until it has ended.
    fn dismiss(&mut self, id: &ServerId) -> Result<Answered, String> {
        self.may_end(id, true);
        let order = Order::Change(MemberChange::Dismiss { server: id.clone() });
        if let Err(why) = self.order_at(Some(id.clone()), order) {
            // What is only late may come yet.
            self.may_end(id, why.contains("it stands"));
            return Ok(Err(why));
        }
        self.wait_until(&format!("{id} ends"), |stage| !stage.servers().any(|other| other == id))?;
        Ok(Ok("dismissed: it has ended"))
    }

    /// Stops a server, starts it at another address, and has the bank told.
    fn move_elsewhere(&mut self, id: &ServerId) -> Result<Answered, String> {
        let runs = self.kill(id);
        let at = self.settle_elsewhere(id)?;
        if runs {
            self.start(id)?;
        }
        Ok(self.give(id, MemberChange::Move { server: id.clone(), at }, "it is elsewhere now"))
    }

    fn give(&mut self, id: &ServerId, change: MemberChange, done: &'static str) -> Answered {
        let at = self.another_than(id).or_else(|| Some(id.clone()));
        self.order_at(at, Order::Change(change)).map(|()| done)
    }

    /// Returns a server that can be told about another one.
    fn another_than(&self, id: &ServerId) -> Option<ServerId> {
        self.live().into_iter().find(|other| other != id)
    }

    fn order_at(&self, at: Option<ServerId>, order: Order) -> Result<(), String> {
        let Some(options) =
            at.as_ref().filter(|at| self.runs(at)).and_then(|at| self.client_of(at))
        else {
            return Err("no server runs that could be told".into());
        };
        match Session::new(&options).ask(&Request::Members(order)) {
            Ok(Answer::Reply(Reply::Members { .. })) => Ok(()),
            Ok(_) => Err("the answer is another question's".into()),
            Err(Failure::Said(_, why)) => Err(why),
            Err(failure) => Err(failure.to_string()),
        }
    }

    /// Starts a server that is no member yet, with an empty store. Returns its address.
    fn bring(&mut self, id: &ServerId) -> Result<Address, String> {
        let found = free_addresses(1)?.remove(0);
        self.redis.make_room(id)?;
        self.actors.insert(id.clone(), Actor::new(id, &found, true));
        self.launch(id)?;
        address(&found)
    }

    /// Gives a server that doesn't run another address. Returns the address.
    fn settle_elsewhere(&mut self, id: &ServerId) -> Result<Address, String> {
        let found = free_addresses(1)?.remove(0);
        let actor = self.actors.get_mut(id).ok_or_else(|| format!("{id} is no server"))?;
        (actor.glance, actor.address) = (Session::new(&glance(id, &found)), found.clone());
        address(&found)
    }

    /// Says whether a server may end by itself.
    fn may_end(&mut self, id: &ServerId, may: bool) {
        if let Some(actor) = self.actors.get_mut(id) {
            actor.may_end = may;
        }
    }

    /// Forgets a server, and ends it.
    fn remove(&mut self, id: &ServerId) {
        self.actors.remove(id);
    }

    /// Returns the members, or those of them that vote, by a server's chain.
    pub(in crate::play) fn members_by(
        &mut self,
        at: &ServerId,
        voters: bool,
    ) -> Result<BTreeSet<ServerId>, String> {
        match self.ask(at, &Request::Members(Order::Show))? {
            Answer::Reply(Reply::Members { members, .. }) => {
                let wanted = members.into_iter().filter(|member| member.votes || !voters);
                Ok(wanted.map(|MemberStatus { server, .. }| server).collect())
            }
            _ => Err(format!("{at} answers another question")),
        }
    }
}

/// Reads an address that was found free.
fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|why| format!("{text}: {why}"))
}
