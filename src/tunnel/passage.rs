//! One connection through the tunnel: two sockets, and a thread for each direction.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Instant;

use crate::bank::request::{ErrorCode, Reply};
use crate::client::doors::dial;
use crate::client::session::Failure;
use crate::keepalive::keep_alive;
use crate::noise::{Opener, Sealer, Secured};
use crate::tunnel::Options;
use crate::wire::encode_reply;

/// The most bytes that are carried at once.
const PIECE: usize = 32 << 10;

/// Connects to the server and goes through the handshake.
pub(super) fn open(options: &Options) -> Result<Secured<TcpStream>, Failure> {
    let Options { connect, id, doors, timeout, .. } = options;
    let unreached = |error: io::Error| Failure::NotSent(format!("{connect} ({error})"));
    let far = dial(connect, Instant::now() + *timeout).map_err(unreached)?;
    keep_alive(&far).map_err(unreached)?;
    doors.enter(far, Instant::now() + *timeout, id.as_ref(), connect)
}

/// Tells a connection why it can't be carried on, in a line as a server would, and ends it.
pub(super) fn refuse(mut near: &TcpStream, failure: &Failure) -> io::Result<()> {
    let error = match failure.is_transient() {
        true => ErrorCode::Unavailable,
        false => ErrorCode::Forbidden,
    };
    let message = format!("tunnel: {failure}");
    near.write_all(encode_reply(None, &Reply::Error { error, message }).as_bytes())?;
    near.shutdown(Shutdown::Write)
}

/// Carries a connection's bytes both ways, until either end ends.
pub(super) fn serve(near: &TcpStream, options: &Options) -> io::Result<()> {
    near.set_nodelay(true)?;
    let Secured { sealer, opener, .. } = match open(options) {
        Ok(secured) => secured,
        Err(failure) => {
            log::warn!("{failure}");
            return refuse(near, &failure);
        }
    };
    let far = opener.get_ref().try_clone()?;
    thread::scope(|scope| {
        let out = thread::Builder::new().name("passage-out".into());
        let out = out.spawn_scoped(scope, || {
            let carried = carry_out(near, sealer, &far);
            if carried.is_err() {
                close(near, &far);
            }
            carried
        });
        let carried = out.as_ref().map_or(Ok(()), |_| carry_in(opener, near));
        close(near, &far);
        let out = out?.join().unwrap_or(Ok(()));
        carried.and(out)
    })
}

/// Ends both connections, so that nobody waits for either.
fn close(near: &TcpStream, far: &TcpStream) {
    for socket in [near, far] {
        // It may have ended already.
        let _ = socket.shutdown(Shutdown::Both);
    }
}

/// Carries what is said here to the server. When there is no more to say, the server hears that; its last
/// answers may be on their way yet.
fn carry_out(mut near: &TcpStream, mut sealer: Sealer, mut far: &TcpStream) -> io::Result<()> {
    let (mut text, mut sealed) = (vec![0; PIECE], Vec::new());
    loop {
        let length = match near.read(&mut text) {
            Ok(0) => return far.shutdown(Shutdown::Write),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        sealed.clear();
        sealer.seal(&text[..length], &mut sealed);
        far.write_all(&sealed)?;
    }
}

/// Carries what the server says here, until the server ends.
fn carry_in(mut opener: Opener<TcpStream>, mut near: &TcpStream) -> io::Result<()> {
    let mut text = vec![0; PIECE];
    loop {
        match opener.read(&mut text)? {
            0 => return Ok(()),
            length => near.write_all(&text[..length])?,
        }
    }
}
