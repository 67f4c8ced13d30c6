//! A small server of HTTP, for what is looked at from outside: figures, health, and the page.
//!
//! Whoever asks costs the bank nothing but a few threads, however slow, many or endless they are: connections
//! are few, each has a time for its whole request and for each piece of the reply, and requests are short. (The
//! crate `tiny_http` bounds neither its threads nor a client's time, and can't flush a stream of events. So the
//! crate `httparse` reads the heads, and the rest is here.)
//!
//! ```text
//! limits ─── what whoever asks may take
//! request ── a head and a body, read within their bounds
//! reply ──── what goes back: a whole text, or a stream of events
//! server ─── accepts, bounds and ends connections
//! ```

mod limits;
mod reply;
mod request;
mod server;

pub use limits::Limits;
pub use reply::{Events, Next, Reply};
pub use request::Request;
pub use server::Server;
