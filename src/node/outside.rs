//! What is served by HTTP to whoever looks from outside: `/metrics`, `/health` and `/ready`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::http::{Limits, Reply, Request, Server};
use crate::node::exposition::CONTENT_TYPE;
use crate::node::metrics::page;
use crate::node::watching::{Look, Watch};

/// The most connections at a time. Each takes a file, and a thread while it is served.
pub(crate) const CONNECTIONS: usize = 8;

const LIMITS: Limits =
    Limits { connections: CONNECTIONS, head: 8 << 10, body: 0, time: Duration::from_secs(5) };

/// What serves by HTTP, until it is dropped.
#[derive(Debug)]
pub(crate) struct Outside(Server);

impl Outside {
    /// Serves at this address.
    ///
    /// # Errors
    /// If the address can't be listened on.
    pub(crate) fn open(address: &str, watch: Arc<Watch>) -> io::Result<Outside> {
        Server::start(address, LIMITS, move |request| answer(request, || watch.look())).map(Outside)
    }

    /// Returns the address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

fn answer(request: &Request, look: impl Fn() -> Look) -> Reply {
    let reply = match request.path.as_str() {
        _ if !matches!(request.method.as_str(), "GET" | "HEAD") => {
            return Reply::line(405, "only GET and HEAD are served here")
                .with("Allow", "GET, HEAD");
        }
        "/metrics" => return Reply::new(200, CONTENT_TYPE, page(&look())),
        "/health" => health(&look()),
        "/ready" => ready(&look()),
        _ => Err((404, "there are /metrics, /health and /ready".to_owned())),
    };
    match reply {
        Ok(line) => Reply::line(200, &line),
        Err((status, line)) => Reply::line(status, &line),
    }
}

/// Says whether the server serves its accounts.
fn health(look: &Look) -> Result<String, (u16, String)> {
    let no = |why: &str| Err((503, one_line(why)));
    match (&look.failure, &look.seen) {
        (Some(why), _) => no(why),
        (None, None) => no("nothing is known yet"),
        (None, Some(seen)) => match &seen.status.not_serving {
            Some(why) => no(why),
            None => Ok(format!("{} serves", seen.status.server)),
        },
    }
}

/// Says whether the server can do all that is asked of it: it serves, and hears a majority.
fn ready(look: &Look) -> Result<String, (u16, String)> {
    let serves = health(look)?;
    match look.seen.as_ref().and_then(|seen| seen.status.hears_majority) {
        Some(true) => Ok(format!("{serves}, and hears a majority")),
        _ => Err((503, format!("{serves}, but hears no majority"))),
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
