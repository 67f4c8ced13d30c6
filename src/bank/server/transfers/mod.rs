//! Clients' instructions, from admission to answer (DESIGN.md, "A transfer", "Retries" and "Refusals while
//! logs are long").
//!
//! An instruction is admitted (`admitting`), and logged at once (`logging`) or made to wait (`waiting`, in the
//! `queue`). Waiting instructions are looked at again after each block and run (`reconsidering`), and served
//! or refused (`refusing`). `settling` empties the log. In any case `answering` tells the client.
//!
//! A reason that needs no run is found in `sense` (what can never be), `waiting` and `queue` (no room, no
//! majority); `refusing` finds what a run has shown. `calls` collects outcomes into replies. Sessions begin in
//! `opening`, and go on over another connection by `taking_over`.

mod admitting;
mod answering;
mod calls;
mod clients;
mod held;
mod logging;
mod opening;
mod queue;
mod reconsidering;
mod refusing;
mod sense;
mod settling;
mod taking_over;
mod until_settled;
mod verdict;
mod waiting;

pub(super) use clients::Clients;
pub(super) use queue::{Need, Waiting};
pub(super) use verdict::Verdict;
