//! Sightings: peers compare how far they saw a store, and so notice that it was rolled back.

use super::super::Server;
use crate::bank::ids::{InstanceId, LifeId, ServerId, TurnNumber};
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::message::{Hello, Sighting, Standing};

impl Server {
    /// Notes how far a peer is by its own word, and as whom it gives the word.
    pub(in crate::bank::server) fn sight(
        &mut self,
        peer: &ServerId,
        (instance, life): (InstanceId, LifeId),
        standing: &Standing,
    ) {
        let named = self.chain.as_ref().and_then(|chain| chain.instance(peer));
        let Some(known) = self.peers.get_mut(peer) else { return };
        // A server that rejoins has promised and logged nothing yet, and wants to hear of its predecessor.
        if known.seen.is_some_and(|seen| Some(seen.instance) == named) && named != Some(instance) {
            return;
        }
        let Standing { turn, position, .. } = *standing;
        let further = known.seen.is_none_or(|seen| seen.instance != instance || seen.turn <= turn);
        if further {
            known.seen = Some(Sighting { instance, life, turn, position });
        }
    }

    /// Compares how far the two servers were seen with what their stores know. What a store lacks of it was
    /// rolled back.
    pub(in crate::bank::server) fn check_sightings(&mut self, hello: &Hello) -> Result<(), String> {
        let Hello { id, instance, lives, standing, .. } = hello;
        if let Some(seen) = hello.saw_you_at.filter(|seen| seen.instance == self.store.instance)
            && !has_been_there(&self.store.lives, self.store.turn, self.ledger.log.last(), &seen)
        {
            let reason = format!(
                "the store of {} was rolled back: {id} saw it at turn {} with entry {}, and it has \
                 never been there. Start it on the store it had last, or, if that is lost for good, let \
                 it rejoin with an empty one (--rejoin).",
                self.config.id, seen.turn, seen.position.seq
            );
            self.accused(id, reason.clone());
            return Err(reason);
        }
        // A store that goes back in time is loaded again. So within one life an older word was only overtaken,
        // on another connection.
        let seen = self.peers.get(id).and_then(|peer| peer.seen);
        match seen.filter(|seen| seen.instance == *instance && seen.life != hello.life) {
            Some(seen) if !has_been_there(lives, standing.turn, standing.position, &seen) => {
                Err(format!(
                    "the store of {id} was rolled back: it was seen at turn {} with entry {}, and it \
                     has never been there",
                    seen.turn, seen.position.seq
                ))
            }
            _ => Ok(()),
        }
    }
}

/// True if a store has been where it was seen, by its latest lives, its last turn and its last entry. A store
/// that was seen long ago, in a life that isn't named any more, has.
///
/// Entries taken from the log's end leave no gap there, and don't change the turn.
fn has_been_there(
    lives: &[(LifeId, TurnNumber)],
    turn: TurnNumber,
    last: Position,
    seen: &Sighting,
) -> bool {
    if seen.position > last {
        return false;
    }
    match lives.iter().position(|(life, _)| *life == seen.life) {
        Some(place) => match lives.get(place + 1) {
            Some((_, next_began)) => seen.turn < *next_began,
            None => seen.turn <= turn,
        },
        None if planted!(UnlistedLifeBelieved) => true,
        None if planted!(ForgottenLifeRefused) => false,
        None => lives.first().is_some_and(|(_, began)| *began > seen.turn),
    }
}
