//! What systemd is told of a server whose unit has `Type=notify`: a line to the socket that it names.
//!
//! The protocol is one datagram, so it needs no library: `systemctl start` then returns when the server serves, and
//! `systemctl status` shows what it waits for. Elsewhere nothing is said.

use std::env;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Says this, such as `READY=1`, if somebody wants to hear it.
pub fn say(state: &str) {
    let Some(name) = env::var_os("NOTIFY_SOCKET") else { return };
    // Whoever wants to know and can't be told sees it in the log.
    let _ = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to_addr(state.as_bytes(), &address(&name)?)
    });
}

/// Returns the address of a socket by its path; `@` begins a name that is in no folder.
fn address(name: &std::ffi::OsStr) -> std::io::Result<SocketAddr> {
    use std::os::unix::ffi::OsStrExt;
    match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', rest @ ..] => {
            <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(rest)
        }
        _ => SocketAddr::from_pathname(name),
    }
}
