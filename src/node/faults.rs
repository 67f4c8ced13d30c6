//! Faults in this server's links to its peers, made on order. The state machine doesn't know of them: to it
//! they are what networks do.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bank::ids::ServerId;
use crate::wire::link::{Fault, LinkFault, LinkFaults, LinkOrder};
use crate::wire::messages::Messages;

/// The faults of one link.
#[derive(Debug, Default)]
pub(crate) struct LinkConditions {
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    is_cut: bool,
    delay: Option<Duration>,
    /// How many of a hundred messages are lost.
    dropped: u8,
    /// The names of messages that are lost.
    lost_names: Messages,
    /// How many messages were lost so far, by name.
    lost: BTreeMap<&'static str, u64>,
    /// The present connection, which a cut ends.
    socket: Option<Arc<TcpStream>>,
}

impl LinkConditions {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the link may have no connection.
    pub(crate) fn is_cut(&self) -> bool {
        self.now().is_cut
    }

    /// Takes note of the connection. False if the link may have none.
    pub(crate) fn connect(&self, socket: &Arc<TcpStream>) -> bool {
        let mut now = self.now();
        now.socket = Some(Arc::clone(socket));
        !now.is_cut
    }

    /// True if a message is to be lost, which is then counted.
    pub(crate) fn loses(&self, name: &'static str) -> bool {
        let mut now = self.now();
        let is_lost = now.is_cut
            || now.lost_names.contains(name)
            || (now.dropped > 0 && fastrand::u8(..100) < now.dropped);
        if is_lost {
            *now.lost.entry(name).or_default() += 1;
        }
        is_lost
    }

    /// Returns the delay of each message.
    pub(crate) fn delay(&self) -> Option<Duration> {
        self.now().delay
    }

    fn set(&self, fault: Fault) {
        let mut now = self.now();
        match fault {
            Fault::Delay { ms } => now.delay = Some(Duration::from_millis(ms)),
            Fault::Drop { percent } => now.dropped = percent,
            Fault::Lose { messages } => now.lost_names = now.lost_names.and(messages),
            Fault::Cut => {
                now.is_cut = true;
                if let Some(socket) = now.socket.take() {
                    let _ = socket.shutdown(Shutdown::Both);
                }
            }
        }
    }

    fn heal(&self) {
        let mut now = self.now();
        let (socket, lost) = (now.socket.take(), std::mem::take(&mut now.lost));
        *now = Now { socket, lost, ..Now::default() };
    }

    fn faults(&self) -> impl Iterator<Item = Fault> + use<> {
        let now = self.now();
        let cut = now.is_cut.then_some(Fault::Cut);
        let delay = now.delay.map(|delay| Fault::Delay { ms: delay.as_millis() as u64 });
        let dropped = (now.dropped > 0).then_some(Fault::Drop { percent: now.dropped });
        let messages = now.lost_names;
        let lost = (!messages.is_empty()).then_some(Fault::Lose { messages });
        [cut, delay, dropped, lost].into_iter().flatten()
    }

    fn lost(&self) -> BTreeMap<String, u64> {
        self.now().lost.iter().map(|(name, times)| ((*name).into(), *times)).collect()
    }
}

/// The faults of all links of a server that allows orders.
#[derive(Debug)]
pub(crate) struct Faults {
    id: ServerId,
    links: Mutex<BTreeMap<ServerId, Arc<LinkConditions>>>,
}

impl Faults {
    /// Starts without faults on the links from server `id` to these peers.
    pub(crate) fn new<'a>(id: &ServerId, peers: impl Iterator<Item = &'a ServerId>) -> Faults {
        let links = peers.map(|peer| (peer.clone(), Arc::default())).collect();
        Faults { id: id.clone(), links: Mutex::new(links) }
    }

    fn links(&self) -> MutexGuard<'_, BTreeMap<ServerId, Arc<LinkConditions>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the faults of the link to this peer, which has none if it is new.
    pub(crate) fn of(&self, peer: &ServerId) -> Arc<LinkConditions> {
        Arc::clone(self.links().entry(peer.clone()).or_default())
    }

    /// Forgets the link to a server that is no peer any more.
    pub(crate) fn forget(&self, peer: &ServerId) {
        self.links().remove(peer);
    }

    /// Obeys an order, and returns all faults after it.
    ///
    /// # Errors
    /// If there is no such link.
    pub(crate) fn obey(&self, order: &LinkOrder) -> Result<LinkFaults, String> {
        match order {
            LinkOrder::Show => {}
            LinkOrder::Break(LinkFault { peer, fault }) => self.find(peer)?.set(*fault),
            LinkOrder::Heal(Some(peer)) => self.find(peer)?.heal(),
            LinkOrder::Heal(None) => self.links().values().for_each(|conditions| conditions.heal()),
        }
        let of = |(peer, conditions): (&ServerId, &Arc<LinkConditions>)| {
            let peer = peer.clone();
            conditions.faults().map(move |fault| LinkFault { peer: peer.clone(), fault })
        };
        let faults: Vec<LinkFault> = self.links().iter().flat_map(of).collect();
        if *order != LinkOrder::Show {
            let links: Vec<String> = faults.iter().map(LinkFault::to_string).collect();
            let links = if links.is_empty() { "none is broken".into() } else { links.join(", ") };
            log::warn!("links, changed on order: {links}");
        }
        let links = self.links();
        let lost = links.iter().map(|(peer, conditions)| (peer.clone(), conditions.lost()));
        let lost = lost.filter(|(_, lost)| !lost.is_empty()).collect();
        Ok(LinkFaults { faults, lost })
    }

    fn find(&self, peer: &ServerId) -> Result<Arc<LinkConditions>, String> {
        let (id, links) = (&self.id, self.links());
        let others = || links.keys().map(ServerId::as_str).collect::<Vec<_>>().join(", ");
        match links.get(peer) {
            Some(conditions) => Ok(Arc::clone(conditions)),
            None if links.is_empty() => {
                Err(format!("{id} is the only server of its bank: it has no links"))
            }
            None if peer == id => {
                Err(format!("{id} is this server: its links lead to the others, {}", others()))
            }
            None => Err(format!("there is no server {peer}; {id} has links to {}", others())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(id: &str) -> ServerId {
        id.parse().unwrap()
    }

    fn broken(peer: &str, fault: Fault) -> LinkOrder {
        LinkOrder::Break(LinkFault { peer: server(peer), fault })
    }

    fn links(faults: &Faults, order: &LinkOrder) -> Vec<(String, Fault)> {
        let now = faults.obey(order).unwrap().faults;
        now.into_iter().map(|LinkFault { peer, fault }| (peer.to_string(), fault)).collect()
    }

    #[test]
    fn faults_add_up_until_they_are_healed() {
        let faults = Faults::new(&server("A"), [server("B"), server("C")].iter());
        let (delay, drop) = (Fault::Delay { ms: 5 }, Fault::Drop { percent: 100 });
        assert_eq!(links(&faults, &broken("C", drop)), [("C".into(), drop)]);
        links(&faults, &broken("C", delay));
        let all = links(&faults, &broken("B", Fault::Cut));
        let expected = [("B".into(), Fault::Cut), ("C".into(), delay), ("C".into(), drop)];
        assert_eq!(all, expected);
        assert_eq!(links(&faults, &LinkOrder::Show), expected);
        assert_eq!(links(&faults, &LinkOrder::Heal(Some(server("C")))), expected[..1]);
        assert_eq!(links(&faults, &LinkOrder::Heal(None)), []);
    }

    #[test]
    fn about_so_many_are_dropped() {
        let faults = Faults::new(&server("A"), [server("B")].iter());
        let conditions = faults.of(&server("B"));
        let lost = || (0..1_000).filter(|_| conditions.loses("accept")).count();
        assert_eq!(lost(), 0);
        faults.obey(&broken("B", Fault::Drop { percent: 30 })).unwrap();
        assert!((200..400).contains(&lost()));
        faults.obey(&broken("B", Fault::Drop { percent: 100 })).unwrap();
        assert_eq!(lost(), 1_000);
    }

    #[test]
    fn messages_of_some_names_are_lost_and_counted() {
        let faults = Faults::new(&server("A"), [server("B"), server("C")].iter());
        let lose = |name: &str| broken("B", Fault::Lose { messages: name.parse().unwrap() });
        faults.obey(&lose("accept")).unwrap();
        let both = "accept".parse::<Messages>().unwrap().and("commit".parse().unwrap());
        let expected = [("B".into(), Fault::Lose { messages: both })];
        assert_eq!(links(&faults, &lose("commit")), expected);
        let to_b = faults.of(&server("B"));
        assert!(to_b.loses("commit") && to_b.loses("commit") && !to_b.loses("accepted"));
        assert!(!faults.of(&server("C")).loses("commit"));
        let healed = faults.obey(&LinkOrder::Heal(None)).unwrap();
        assert_eq!(healed.faults, []);
        assert!(!to_b.loses("commit"));
        let lost = healed.lost[&server("B")].clone();
        assert_eq!((healed.lost.len(), lost), (1, BTreeMap::from([("commit".into(), 2)])));
    }

    #[test]
    fn a_link_that_is_not_there_is_not_broken() {
        let faults = Faults::new(&server("A"), [server("B"), server("C")].iter());
        let wrong = |peer| faults.obey(&broken(peer, Fault::Cut)).unwrap_err();
        assert_eq!(wrong("A"), "A is this server: its links lead to the others, B, C");
        assert_eq!(wrong("X"), "there is no server X; A has links to B, C");
        let alone = Faults::new(&server("A"), [].iter());
        let error = alone.obey(&LinkOrder::Heal(Some(server("B")))).unwrap_err();
        assert!(error.contains("only server"), "{error}");
    }
}
