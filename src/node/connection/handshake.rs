//! The handshake of a connection that somebody dialled.

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use super::{Admission, Ended, Reader};
use crate::bank::request::ErrorCode;
use crate::node::inlet::Inlet;
use crate::noise::Secured;

impl Reader<'_> {
    /// Has the other end prove its key. Until then it has no place among the clients.
    pub(super) fn shake_hands<'s>(
        &mut self,
        socket: &'s Arc<TcpStream>,
    ) -> Result<Inlet<'s>, Ended> {
        let Admission { doors, guests, timings, .. } = self.admission;
        (self.seat, self.patience) = (None, Some(timings.handshake));
        let unproved = doors.begin(self.id, socket);
        let answered = doors.answer(socket, self.from, Instant::now() + timings.handshake);
        drop(unproved);
        let Secured { sealer, opener, key } = match answered {
            Ok(secured) => secured,
            Err(error) if error.is_told() => {
                return self
                    .say_last(ErrorCode::BadRequest, error.to_string(), socket)
                    .and(Err(Ended));
            }
            // Whoever forges learns nothing; it is logged here.
            Err(_) => return Err(Ended),
        };
        self.reply_sender.seal(sealer);
        self.proved = Some(key);
        self.seat = guests.seat(self.id, &self.reply_sender);
        self.patience = self.seat.is_none().then_some(timings.handshake);
        socket.set_read_timeout(self.patience).map_err(|_| Ended)?;
        Ok(Inlet::Sealed(Box::new(opener.within(timings.line))))
    }
}
