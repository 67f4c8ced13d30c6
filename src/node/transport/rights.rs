//! What those who are connected may do changes while they are connected.

use super::Transport;
use crate::bank::effects::Event;
use crate::bank::server::Server;

impl Transport {
    /// Returns the events of all connections whose key has another role now.
    pub(crate) fn new_roles(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for (id, connection) in &mut self.connections {
            let Some(before) = &mut connection.proved else { continue };
            let now = self.doors.asker(before.key);
            if now != std::mem::replace(before, now) {
                // Whether it may follow is decided anew.
                connection.reply_sender.unfollow();
                events.push(Event::Proved(*id, now));
            }
        }
        events
    }

    /// Takes note of what the state machine knows of the bank by now.
    pub(crate) fn learn(&self, server: &Server) {
        if self.doors.learn(server.bank(), server.is_keyed()) {
            // Whoever followed without a key may do so no more.
            self.connections.values().for_each(|connection| connection.reply_sender.unfollow());
        }
    }
}
