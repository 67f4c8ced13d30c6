//! The archivists of the simulated servers: segments of a few blocks, so that every life of a bank archives many
//! times; harm that comes to segments, and its mending.

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::effects::Event;
use crate::bank::ids::ServerId;
use crate::bank::paxos::message::Message;

use super::tally::{Fault, Mark};
use super::world::World;
use crate::machine::shelf::{Harm, Shelf, Step};

/// How long a peer has to send blocks, in milliseconds.
const PATIENCE: u64 = 1_000;

impl World {
    fn shelf(&mut self, id: &ServerId) -> Option<&mut Shelf> {
        self.disks.get_mut(id).unwrap().shelf.as_mut()
    }

    /// A server starts, and with it its archivist.
    pub fn archivist_begins(&mut self, id: &ServerId) {
        self.hosts.get_mut(id).unwrap().wanted = None;
        if let Some(shelf) = self.shelf(id) {
            let removed = shelf.removed > 0;
            self.tally.mark_if(removed, Mark::Stray);
        }
        self.judge_shelf(id);
    }

    /// The archivist does a few steps of its work, and asks for blocks that a segment lacks.
    pub fn archive(&mut self, id: &ServerId) {
        let steps = self.shelf_rng.usize(..4);
        let looks = self.shelf_rng.u8(0..8) == 0;
        let Some(shelf) = self.shelf(id) else { return };
        for _ in 0..steps {
            shelf.work();
        }
        if looks {
            shelf.look();
        }
        let Some(wanted) = shelf.wanted() else { return };
        let asked = self.hosts[id].wanted;
        if asked.is_some_and(|(from, at)| from == wanted.0 && self.now < at + PATIENCE) {
            return;
        }
        let linked: Vec<ServerId> = self.hosts[id].links.keys().cloned().collect();
        if !linked.is_empty() {
            let peer = linked[self.shelf_rng.usize(..linked.len())].clone();
            self.hosts.get_mut(id).unwrap().wanted = Some((wanted.0, self.now));
            self.send(id, &peer, Message::BlocksRequest { from: wanted.0, to: wanted.1 });
        }
    }

    /// True if these are the blocks that the archivist has asked for: they are not for the state machine.
    pub fn is_for_the_archivist(&mut self, id: &ServerId, event: &Event) -> bool {
        let Event::Received(_, Message::BlocksResponse { blocks }) = event else { return false };
        let wanted = self.hosts[id].wanted.map(|(from, _)| from);
        if wanted.is_none() || blocks.first().map(SealedBlock::height) != wanted {
            return false;
        }
        self.hosts.get_mut(id).unwrap().wanted = None;
        let shelf = self.shelf(id).expect("it wants blocks");
        let restored = shelf.take(blocks);
        self.tally.mark_if(restored, Mark::Restored);
        true
    }

    /// A server dies; sometimes because the power fails.
    pub fn archivist_dies(&mut self, id: &ServerId) {
        let power_fails = self.shelf_rng.bool();
        let Some(shelf) = self.shelf(id) else { return };
        let mark = match shelf.die(power_fails) {
            Step::Copying => None,
            Step::Written => Some(Mark::DiedWritten),
            Step::Flushed => Some(Mark::DiedFlushed),
            Step::Named => Some(Mark::DiedNamed),
        };
        if let Some(mark) = mark {
            self.tally.mark(mark);
            let fault = if power_fails { Fault::PowerCut } else { Fault::ArchivistDied };
            self.suffer(fault, id);
        }
        self.judge_shelf(id);
    }

    /// Whether somebody else can read all blocks of this server's from a height to another.
    fn others_have(&self, id: &ServerId, (from, to): (u64, u64), but: Option<&ServerId>) -> bool {
        let roll = self.roll();
        let stays = |other: &ServerId| roll.members.contains_key(other) && !self.may_leave(other);
        let others = self.disks.iter().filter(|(other, _)| *other != id && Some(*other) != but);
        let others = others.filter(|(other, _)| stays(other));
        let has = |height: u64| {
            others.clone().any(|(_, disk)| {
                height < disk.chain.len() as u64 && !disk.read(height, height).is_empty()
            })
        };
        (from..=to).all(has)
    }

    /// Whether a harmed segment of another server can be made again with this server's blocks alone.
    pub fn is_last_with_a_segment(&self, id: &ServerId) -> bool {
        let roll = self.roll();
        let others = self.disks.iter().filter(|(other, _)| *other != id);
        let mut others = others.filter(|(other, _)| roll.members.contains_key(*other));
        others.any(|(other, disk)| {
            let notes = disk.shelf.iter().flat_map(|shelf| {
                shelf.notes().iter().filter(|note| shelf.harmed.contains(&note.first))
            });
            notes
                .into_iter()
                .any(|note| !self.others_have(other, (note.first, note.last), Some(id)))
        })
    }

    /// Now and then somebody harms a segment of which another server has all blocks.
    pub fn harm_a_segment(&mut self) {
        if self.faults.spell == 0 || self.judge.calm.is_some() || self.shelf_rng.u8(0..4) > 0 {
            return;
        }
        let ids: Vec<ServerId> = self.hosts.keys().cloned().collect();
        let id = ids[self.shelf_rng.usize(..ids.len())].clone();
        let dice = (self.shelf_rng.usize(..1_000), self.shelf_rng.usize(..3));
        let Some(shelf) = self.shelf(&id) else { return };
        if shelf.notes().is_empty() {
            return;
        }
        let index = dice.0 % shelf.notes().len();
        let (first, last) = (shelf.notes()[index].first, shelf.notes()[index].last);
        if !self.others_have(&id, (first, last), None) {
            return;
        }
        self.suffer(Fault::SegmentHarmed, &id);
        let harm = [Harm::Lost, Harm::Cut, Harm::Changed][dice.1];
        self.shelf(&id).expect("it has one").harm(index, harm);
    }

    /// Looks at where a server's blocks are.
    pub fn judge_shelf(&mut self, id: &ServerId) {
        let disk = &self.disks[id];
        let Some(shelf) = &disk.shelf else { return };
        shelf.judge(&disk.chain, disk.stored.checkpoint);
        self.tally.mark_if(shelf.base() > 0, Mark::Archived);
        self.tally.mark_if(shelf.notes().len() > 5, Mark::SegmentNotes);
    }

    /// Looks at blocks that are sent to a peer.
    pub fn judge_piece(&mut self, id: &ServerId, from: u64, piece: &[SealedBlock]) {
        let disk = &self.disks[id];
        let is_old = disk.shelf.as_ref().is_some_and(|shelf| from > 0 && from < shelf.base());
        self.tally.mark_if(is_old && !piece.is_empty(), Mark::FromSegment);
        self.tally.mark_if(piece.is_empty(), Mark::Unreadable);
        let chain = &disk.chain[from as usize..][..piece.len()];
        assert_eq!(piece, chain, "what is sent is what the chain has");
    }

    /// At the end all segments are whole, and can be read.
    pub fn judge_archives(&self) {
        let roll = self.roll();
        for (id, disk) in self.disks.iter().filter(|(id, _)| roll.members.contains_key(*id)) {
            let Some(shelf) = &disk.shelf else { continue };
            shelf.judge(&disk.chain, disk.stored.checkpoint);
            assert!(
                shelf.harmed.is_empty(),
                "{id} has not mended the segments of {:?}",
                shelf.harmed
            );
            let all = disk.read(0, disk.chain.len() as u64 - 1);
            assert_eq!(all, disk.chain, "{id}'s chain is segments and tail");
        }
    }
}
