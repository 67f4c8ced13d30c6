//! Keep-alive: notices within a minute that the other end of a connection, its machine or its network has
//! vanished without a word, even if nothing was to be sent.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// The silence on a connection after which the system probes the other end.
const IDLE: Duration = Duration::from_secs(20);
/// The time between two probes.
const INTERVAL: Duration = Duration::from_secs(5);
/// The number of probes in a row that may stay without an answer.
const PROBES: u32 = 4;
/// The time that sent bytes may stay unacknowledged.
pub(crate) const UNACKNOWLEDGED: Duration = Duration::from_secs(40);

/// Returns the probes' settings, for the system.
pub(crate) fn probes() -> TcpKeepalive {
    TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(PROBES)
}

/// Has the system probe a connection, and end it if the other end has vanished.
pub(crate) fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&probes())?;
    set_unacknowledged(stream, UNACKNOWLEDGED)
}

/// Has the system end a connection when sent bytes have stayed unacknowledged, or nothing more could be sent, for so
/// long.
#[cfg(target_os = "linux")]
pub(crate) fn set_unacknowledged(stream: &TcpStream, most: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(most))
}

/// Other systems lack this setting: unacknowledged bytes wait there until the system gives up.
#[cfg(not(target_os = "linux"))]
pub(crate) fn set_unacknowledged(_: &TcpStream, _: Duration) -> io::Result<()> {
    Ok(())
}
