//! Accepts connections, peers' and clients' alike, on the one port.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::Scope;
use std::time::Duration;

use crate::bank::ids::ConnectionId;
use crate::node::connection::{self, Admission};
use crate::node::socket::refuse;

/// The most connections that clients may have. With all others a process then stays below 1024 open files,
/// which many systems allow; where the limit is lower, clients get fewer.
pub const MAX_CLIENTS: usize = 800;
/// How many connections beyond those are opened, to see whether a peer speaks, or a client that asks at
/// once. Otherwise clients could keep the servers apart, and idle clients could keep out others.
pub const ROOM_FOR_PEERS: usize = 64;

/// The error if this process has too many open files: EMFILE of every Unix.
const TOO_MANY_HERE: i32 = 24;
/// The error if all processes together have too many: ENFILE.
const TOO_MANY_IN_ALL: i32 = 23;

/// How long to wait when a connection can't be accepted, mostly for want of files.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the node ends; then waits for the threads of all connections.
pub(crate) fn listen(listener: TcpListener, admission: &Admission) {
    let open = AtomicUsize::new(0);
    admission.life.scope(|scope| {
        // Connections are numbered in the order of opening; no number is reused.
        for number in 1.. {
            let accepted = listener.accept();
            if admission.life.is_over() {
                break;
            }
            match accepted {
                Ok(accepted) => admit(scope, admission, &open, ConnectionId(number), accepted),
                Err(error) => {
                    log::warn!("a connection could not be accepted: {error}");
                    // A client's file is missed the least.
                    if matches!(error.raw_os_error(), Some(TOO_MANY_HERE | TOO_MANY_IN_ALL)) {
                        admission.guests.dismiss_idlest(admission.timings.handshake);
                    }
                    admission.life.sleep(PAUSE);
                }
            }
        }
        drop(listener);
    });
}

fn admit<'scope>(
    scope: &'scope Scope<'scope, '_>,
    admission: &'scope Admission,
    open: &'scope AtomicUsize,
    id: ConnectionId,
    (socket, from): (TcpStream, SocketAddr),
) {
    let place = Slot::take(open);
    let is_full = place.number > admission.guests.places() + admission.to_look_at;
    if is_full && !admission.doors.end_oldest() {
        return refuse(&socket, "too many connections are open here; try again later");
    }
    let socket = Arc::new(socket);
    let name = format!("{}:{}-in", admission.id, id.0);
    let for_thread = Arc::clone(&socket);
    let serve = move || {
        connection::serve(admission, id, for_thread, from);
        drop(place);
    };
    if let Err(error) = admission.life.spawn_small(scope, (name, connection::READER_STACK), serve) {
        log::warn!("no thread for connection {}: {error}", id.0);
        refuse(&socket, "this server can't start another thread; try again later");
    }
}

/// One of the connections that may be open.
struct Slot<'a> {
    number: usize,
    open: &'a AtomicUsize,
}

impl<'a> Slot<'a> {
    fn take(open: &'a AtomicUsize) -> Slot<'a> {
        Slot { number: open.fetch_add(1, Ordering::Relaxed) + 1, open }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}
