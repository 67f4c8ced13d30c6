//! The thread that moves old blocks into segments, and mends segments with blocks from peers.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::effects::Event;
use crate::bank::ids::ServerId;
use crate::bank::paxos::message::Message;
use crate::bank::status::ArchiveStatus;
use crate::node::config::NodeConfig;
use crate::node::incoming::Incoming;
use crate::node::life::Life;
use crate::store::Archivist;

/// The share of its time that the thread works: one part in this many.
const COPYING_SHARE: u32 = 2;
/// The same while it only checks what it has.
const CHECKING_SHARE: u32 = 10;
/// How often it looks for new blocks.
const LOOK: Duration = Duration::from_millis(100);
/// How long it waits after a failure.
const PAUSE: Duration = Duration::from_secs(2);
/// How long a failure is not repeated in the log.
const SAID_AGAIN: Duration = Duration::from_secs(60);
/// How long a peer has to send blocks before another one is asked.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many answers may wait.
const ANSWERS: usize = 4;

/// The archivist's thread.
pub(crate) struct Archiving {
    archivist: Box<dyn Archivist>,
    life: Arc<Life>,
    events: Sender<Incoming>,
    answers: Receiver<Vec<SealedBlock>>,
    /// The blocks that were asked for last, and when.
    asked: Option<((u64, u64), Instant)>,
    said: Option<(String, Instant)>,
    told: Told,
}

/// What the thread tells of the archive, for `status`.
pub(crate) type Told = Arc<Mutex<Option<ArchiveStatus>>>;

impl Archiving {
    /// Starts the thread, if the store has an archivist. Returns also the event loop's part in its work.
    pub(crate) fn spawn(
        config: &NodeConfig,
        archivist: Option<Box<dyn Archivist>>,
        (life, events): (&Arc<Life>, &Sender<Incoming>),
    ) -> io::Result<Option<(JoinHandle<()>, Fetching)>> {
        let Some(archivist) = archivist else { return Ok(None) };
        let (to_archivist, answers) = crossbeam_channel::bounded(ANSWERS);
        let peers = config.peers().map(|(peer, _)| peer.clone()).collect();
        let fetching = Fetching::new(peers, to_archivist);
        let (own_life, events) = (Arc::clone(life), events.clone());
        let (asked, said) = (None, None);
        let told = fetching.told();
        let mut archiving =
            Archiving { archivist, life: own_life, events, answers, asked, said, told };
        let thread = life.spawn(format!("{}:archive", config.id), move || archiving.run())?;
        Ok(Some((thread, fetching)))
    }

    /// Works until the node ends.
    fn run(&mut self) {
        while !self.life.is_over() {
            let begun = Instant::now();
            let life = &self.life;
            let worked = self.archivist.work(&mut |took| life.sleep(took * (CHECKING_SHARE - 1)));
            self.tell(worked.as_ref().err());
            let pause = match worked {
                Ok(true) => begun.elapsed() * (COPYING_SHARE - 1),
                Ok(false) => LOOK,
                Err(why) => {
                    self.say(why);
                    PAUSE
                }
            };
            self.ask();
            match self.answers.recv_timeout(pause) {
                Ok(blocks) => {
                    self.asked = None;
                    self.archivist.take(&blocks);
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The event loop has ended.
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn tell(&self, trouble: Option<&String>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match (trouble, self.archivist.standing()) {
            // What was known before it is as true as ever.
            (Some(trouble), _) => told.get_or_insert_default().trouble = Some(trouble.clone()),
            (None, Some(standing)) => *told = Some(standing),
            (None, None) => {}
        }
    }

    /// Asks for blocks that a segment lacks, if it lacks any.
    fn ask(&mut self) {
        let Some(wanted) = self.archivist.wanted() else { return };
        let is_asked =
            |(asked, at): &((u64, u64), Instant)| *asked == wanted && at.elapsed() < PATIENCE;
        if !self.asked.as_ref().is_some_and(is_asked) {
            self.asked = Some((wanted, Instant::now()));
            // Whoever listened has ended with the node.
            let _ = self.events.send(Incoming::Wanted(wanted.0, wanted.1));
        }
    }

    fn say(&mut self, why: String) {
        let is_known = |(said, at): &(String, Instant)| *said == why && at.elapsed() < SAID_AGAIN;
        if !self.said.as_ref().is_some_and(is_known) {
            log::warn!(
                "{why}; nothing is lost and nothing stops: Redis keeps the blocks meanwhile"
            );
            self.said = Some((why, Instant::now()));
        }
    }
}

/// The event loop's part: whom to ask for blocks of damaged segments, and which answers are meant for them.
#[derive(Debug)]
pub(crate) struct Fetching {
    peers: BTreeSet<ServerId>,
    /// The blocks asked for, until an answer comes.
    wanted: Option<(u64, u64)>,
    /// Who was asked last.
    asked: Option<ServerId>,
    to_archivist: Sender<Vec<SealedBlock>>,
    /// What is known of the archive.
    told: Told,
}

impl Fetching {
    fn new(peers: BTreeSet<ServerId>, to_archivist: Sender<Vec<SealedBlock>>) -> Fetching {
        Fetching { peers, wanted: None, asked: None, to_archivist, told: Told::default() }
    }

    /// Returns what is known of the archive, if there is one.
    pub(crate) fn told(&self) -> Told {
        Arc::clone(&self.told)
    }

    /// Takes note of blocks that are wanted. Returns whom to ask, those that can be asked in turns, and the
    /// question.
    pub(crate) fn ask(
        &mut self,
        (from, to): (u64, u64),
        is_linked: impl Fn(&ServerId) -> bool,
    ) -> Option<(ServerId, Message)> {
        let mut linked = self.peers.iter().filter(|peer| is_linked(peer));
        let first = linked.clone().next()?;
        let next = linked.find(|peer| self.asked.as_ref().is_none_or(|last| *peer > last));
        let peer = next.unwrap_or(first).clone();
        self.wanted = Some((from, to));
        self.asked = Some(peer.clone());
        Some((peer, Message::BlocksRequest { from, to }))
    }

    /// Takes the answer out of what comes in. The state machine asks for no blocks that the chain has, and so
    /// for none that are in segments.
    pub(crate) fn divert(&mut self, event: Event) -> Option<Event> {
        let Some((from, _)) = self.wanted else { return Some(event) };
        match event {
            Event::Received(_, Message::BlocksResponse { blocks })
                if blocks.first().is_some_and(|first| first.height() == from) =>
            {
                self.wanted = None;
                // If the archivist is behind, it asks again.
                let _ = self.to_archivist.try_send(blocks);
                None
            }
            event => Some(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::ids::ConnectionId;

    fn peers() -> BTreeSet<ServerId> {
        ["B", "C"].map(|id| id.parse().unwrap()).into()
    }

    #[test]
    fn peers_are_asked_in_turns() {
        let (to_archivist, _answers) = crossbeam_channel::bounded(1);
        let mut fetching = Fetching::new(peers(), to_archivist);
        let mut asked = || fetching.ask((3, 5), |_| true).unwrap().0.to_string();
        assert_eq!([asked(), asked(), asked()], ["B", "C", "B"]);
        let only_b = |peer: &ServerId| peer.as_str() == "B";
        assert_eq!(fetching.ask((3, 5), only_b).unwrap().0.as_str(), "B");
        assert!(fetching.ask((3, 5), |_| false).is_none());
    }

    #[test]
    fn an_answer_that_nobody_waits_for_goes_to_the_state_machine() {
        let (to_archivist, answers) = crossbeam_channel::bounded(1);
        let mut fetching = Fetching::new(peers(), to_archivist);
        let none = || Event::Received(ConnectionId(1), Message::BlocksResponse { blocks: vec![] });
        assert_eq!(fetching.divert(none()), Some(none()));
        fetching.ask((3, 5), |_| true);
        assert_eq!(fetching.divert(none()), Some(none()));
        assert!(answers.is_empty());
    }
}
