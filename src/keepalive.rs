//! How soon it is noticed that the other end of a connection has vanished without a word, its machine or
//! its network with it: within a minute, whether anything was to be said to it or not.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// A connection on which nothing comes for so long is looked after…
const IDLE: Duration = Duration::from_secs(20);
/// …by a probe in each such time…
const INTERVAL: Duration = Duration::from_secs(5);
/// …of which so many in a row may stay without an answer.
const PROBES: u32 = 4;
/// What was sent may stay unacknowledged for so long.
pub(crate) const UNACKNOWLEDGED: Duration = Duration::from_secs(40);

/// What the system is told of it.
pub(crate) fn probes() -> TcpKeepalive {
    TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(PROBES)
}

/// Has the system look after a connection.
pub(crate) fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&probes())?;
    // Other systems have no such thing: there it takes until the system gives up.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}
