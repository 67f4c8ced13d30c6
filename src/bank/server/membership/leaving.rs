//! How a server ceases to be a member (DESIGN.md, "Members").

use super::super::Server;
use super::super::own::Leaving;
use super::peers::Peer;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::blockchain::chain::Chain;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::member_note::MemberNote;
use crate::bank::note::Warning;
use crate::bank::paxos::message::Hello;

impl Server {
    /// True if this server logs nothing more: it is dismissed, or waits to be.
    pub(in crate::bank::server) fn leaves(&self) -> bool {
        self.store.leaving != Leaving::No
    }

    /// Returns how far this server is in ceasing to be a member, by its log and its chain.
    pub(in crate::bank::server) fn how_far_gone(&self) -> Leaving {
        let id = &self.config.id;
        let is_over =
            |chain: &Chain| chain.is_deposed(self.store.instance) && chain.instance(id).is_none();
        if self.chain.as_ref().is_some_and(is_over) {
            return Leaving::Dismissed;
        }
        let asks = Action::Member(Box::new(MemberChange::Dismiss { server: id.clone() }));
        match self.ledger.log.holds(&asks) && !planted!(LogsThoughLeaving) {
            true => Leaving::Asked,
            false => Leaving::No,
        }
    }

    /// True if this server may log something of its own accord. Once it has asked to be dismissed, it may not: what it
    /// logs then is in nobody's chain when it is gone.
    pub(in crate::bank::server) fn may_log(&self) -> bool {
        self.takes_part() && !self.rests() && self.store.leaving == Leaving::No
    }

    /// Says to an operator why an order is not taken, if this server has asked to be dismissed.
    pub(super) fn check_stays(&self) -> Result<(), String> {
        match self.store.leaving {
            Leaving::No => Ok(()),
            _ => Err(format!("{} is being dismissed: ask another member", self.config.id)),
        }
    }

    /// Has the log settled that ends with this server's dismissal, also after a crash. Nobody else need have a reason
    /// for a run, and until a block has decided this server serves nobody.
    pub(super) fn bring_in_dismissal(&mut self) {
        if self.store.leaving == Leaving::Asked && self.takes_part() && !self.rests() {
            self.pace.settle_up_to(self.ledger.log.last().seq);
        }
    }

    /// Goes on to leave, or stays, after a block.
    pub(in crate::bank::server) fn look_whether_dismissed(&mut self, dismissed: bool) {
        if dismissed {
            self.store.leaving = Leaving::Dismissed;
            let height = self.height().unwrap_or_default();
            self.warn(Warning::Members(MemberNote::Dismissed(height)));
            self.look_whether_gone();
        } else if self.store.leaving == Leaving::Asked {
            self.store.leaving = self.how_far_gone();
        }
    }

    /// Returns the other server that a block dismisses, if it dismisses one.
    pub(in crate::bank::server) fn dismissed_by(
        &mut self,
        block: &SealedBlock,
    ) -> Option<ServerId> {
        self.foresee(block).ok()?;
        let gone = self.voter.foreseen.of(block)?.dismisses()?;
        (*gone != self.config.id).then(|| gone.clone())
    }

    /// Takes note of how far a member is that refuses this server because it is dismissed.
    pub(super) fn hear_of_the_others(
        &mut self,
        peer: &ServerId,
        hello: &Hello,
        proved: Option<Fingerprint>,
    ) {
        let is_member = self.store.leaving == Leaving::Dismissed
            && hello.standing.genesis == self.bank()
            && self.check_key(peer, proved).is_ok();
        let own = self.height();
        if let Some(known) = self.peers.get_mut(peer).filter(|_| is_member) {
            known.holds(hello.standing.height, own);
            self.look_whether_gone();
        }
    }

    /// Checks that a peer whose chain is longer still takes this server for a member. If not, a block that this
    /// server lacks has dismissed it, which is a word against its store.
    ///
    /// # Errors
    /// Says who dismissed this server.
    pub(super) fn check_dismissal(&mut self, hello: &Hello) -> Result<(), String> {
        let Hello { id, standing, knows_you_as, .. } = hello;
        let me = &self.config.id;
        let is_member = |chain: &Chain| chain.instance(me).is_some();
        let is_longer = Some(standing.height) > self.height() && standing.genesis == self.bank();
        let stays = knows_you_as.is_some() || planted!(DismissalUntold) || self.joins();
        if stays || !is_longer || !self.chain.as_ref().is_some_and(is_member) {
            return Ok(());
        }
        let reason = format!(
            "{me} is no member of this bank any more: by the chain of {id}, of height {}, it was dismissed, and nothing \
             was left of it. Its store may be kept or thrown away; if {me} is admitted again, it comes with an empty one",
            standing.height
        );
        self.accused(id, reason.clone());
        Err(reason)
    }

    /// Stops this server if it is dismissed and a majority of those who vote without it hold the block that says so, and
    /// all other members who may be there. Until then they may need the block from it.
    pub(in crate::bank::server) fn look_whether_gone(&mut self) {
        if self.store.leaving != Leaving::Dismissed {
            return;
        }
        let own = self.height();
        let hold = self.peers.iter().filter(|(_, peer)| peer.height >= own).map(|(id, _)| id);
        let voters = hold.filter(|id| self.is_member(id));
        // What is chosen at the next height was accepted by a majority who hold this block.
        let has_gone_on = self.peers.values().any(|peer| peer.height > own);
        // Who lacks the block may know nobody else who holds it, if it names newcomers.
        let lacks_it = |(id, peer): (&ServerId, &Peer)| {
            self.is_member(id) && peer.may_be_there() && !peer.forked && peer.height < own
        };
        let is_needed = self.peers.iter().any(lacks_it) && !planted!(LeavesTheOthersBehind);
        let may_go = self.quorum().is_reached_by(voters) || has_gone_on;
        if (may_go && !is_needed) || planted!(LeavesAtOnce) {
            let id = &self.config.id;
            self.stop(format!(
                "{id} is no member of this bank any more, by block {}: it is dismissed, and nothing is left of it. \
                 Its store may be kept or thrown away; if {id} is admitted again, it comes with an empty one",
                own.unwrap_or_default()
            ));
        }
    }
}
