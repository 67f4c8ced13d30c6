//! Orders to a running node from the process around it, such as those that signals bring.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, select};

use crate::bank::ids::ServerId;
use crate::node::doors::Doors;
use crate::node::incoming::Incoming;
use crate::node::life::Life;

/// The way to give a node orders from another thread. No order waits for the node.
#[derive(Clone, Debug)]
pub struct Control {
    life: Arc<Life>,
    /// The orders to read roles. One is enough: whoever takes it reads what the file says then.
    orders: (Sender<()>, Receiver<()>),
}

impl Control {
    /// Makes the control of a node.
    pub(crate) fn of(life: &Arc<Life>) -> Control {
        Control { life: Arc::clone(life), orders: crossbeam_channel::bounded(1) }
    }

    /// Asks the node to end in order, and names who or what does. [`Node::wait`](super::Node::wait) returns when it
    /// has.
    pub fn end(&self, by: &str) {
        self.life.ask_to_end(by);
    }

    /// Has the file of the roles read anew, if there is one.
    pub fn read_roles(&self) {
        // If it is full, the same is ordered already.
        let _ = self.orders.0.try_send(());
    }

    /// Starts the thread that reads the roles anew whenever that is ordered, until the node ends.
    pub(crate) fn spawn_role_reader(
        &self,
        id: &ServerId,
        doors: &Arc<Doors>,
        events: &Sender<Incoming>,
    ) -> io::Result<JoinHandle<()>> {
        let (doors, events, life) = (Arc::clone(doors), events.clone(), Arc::clone(&self.life));
        let orders = self.orders.1.clone();
        let read = move || {
            loop {
                select! {
                    recv(orders) -> _ => {}
                    recv(life.over()) -> _ => return,
                }
                if doors.read_roles() {
                    // Whoever listened has ended with the node.
                    let _ = events.send(Incoming::Roles);
                }
            }
        };
        self.life.spawn(format!("{id}:roles"), read)
    }
}
