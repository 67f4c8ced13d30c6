//! A connection that a peer dialled.

use super::{Ended, Reader};
use crate::bank::effects::Event;
use crate::bank::ids::ServerId;
use crate::bank::paxos::message::Hello;
use crate::node::incoming::Incoming;
use crate::node::inlet::Inlet;
use crate::node::socket::is_time_out;
use crate::wire::{LineRead, LineReader, MAX_PEER_LINE, parse_message};

impl Reader<'_> {
    /// Serves a peer to its end.
    pub(super) fn serve_peer(
        &self,
        hello: Hello,
        lines: &mut LineReader<Inlet<'_>>,
    ) -> Result<(), Ended> {
        let peers = &self.admission.peers;
        let name = hello.id.clone();
        if let Err(error) =
            lines.get_ref().socket().set_read_timeout(Some(self.admission.timings.silence))
        {
            return self.give_up(&error.to_string());
        }
        self.tell_opened(peers)?;
        self.tell(peers, Event::Greeted(self.id, hello))?;
        let ended = self.serve_messages(&name, lines);
        self.tell(peers, Event::Closed(self.id))?;
        ended
    }

    fn serve_messages(
        &self,
        peer: &ServerId,
        lines: &mut LineReader<Inlet<'_>>,
    ) -> Result<(), Ended> {
        let peers = &self.admission.peers;
        loop {
            let message = match lines.read_line(MAX_PEER_LINE) {
                Ok(LineRead::Line(line)) => parse_message(line),
                Ok(LineRead::TooLong) => Err(format!("a line of more than {MAX_PEER_LINE} bytes")),
                Ok(LineRead::End | LineRead::Cut(_)) => return Err(Ended),
                Err(error) if is_time_out(&error) => {
                    peers.send(Incoming::Silent(self.id)).map_err(|_| Ended)?;
                    Err("it says nothing".to_owned())
                }
                Err(error) => return self.give_up(&error.to_string()),
            };
            match message {
                Ok(message) => self.tell(peers, Event::Received(self.id, message))?,
                Err(reason) => {
                    log::warn!("closing the connection that {peer} dialled: {reason}");
                    return Err(Ended);
                }
            }
        }
    }
}
