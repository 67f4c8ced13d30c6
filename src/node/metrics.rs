//! A server's figures as Prometheus reads them. `doc/METRICS.md` lists them.
//!
//! They name no account and no account's balance. A label has few values: servers, and what this program names.

use std::fmt::Display;

use crate::bank::request::{Issued, Measured, Status};
use crate::node::exposition::{Page, seconds};
use crate::node::figures::{Figures, RESULTS, Seen};
use crate::node::watching::Look;

/// Returns a server's page of figures.
pub(crate) fn page(look: &Look) -> String {
    let mut page = Page::default();
    let seen = look.seen.as_deref();
    let serves = seen.is_some_and(|seen| look.failure.is_none() && serves(&seen.status));
    let mut up = page.gauge("paxos_banking_serving", "1 if this server serves its accounts.");
    up.is(u64::from(serves));
    if let Some(Seen { status, figures, written, clients, from_peers, links }) = seen {
        server(&mut page, status);
        peers(&mut page, status);
        requests(&mut page, figures);
        let measured = status.measured.clone().unwrap_or_default();
        let mut connections =
            page.gauge("paxos_banking_connections", "Connections that are open, by their kind.");
        connections.of(("kind", "client"), *clients as u64);
        connections.of(("kind", "from_peer"), *from_peers as u64);
        connections.of(("kind", "to_peer"), *links as u64);
        runs(&mut page, status, &measured);
        store(&mut page, figures, *written);
        beside(&mut page, &measured);
    }
    page.into_text()
}

/// True if the server serves its accounts.
pub(crate) fn serves(status: &Status) -> bool {
    status.not_serving.is_none()
}

fn server(page: &mut Page, status: &Status) {
    let info = [
        ("server", status.server.to_string()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("bank", status.bank.map(|bank| bank.to_string()).unwrap_or_default()),
    ];
    let labels: Vec<(&str, &str)> = info.iter().map(|(name, text)| (*name, &**text)).collect();
    page.gauge(
        "paxos_banking_info",
        "Always 1; says by its labels which server of which bank it is.",
    )
    .sample("", &labels, 1);
    let measured = status.measured.as_ref();
    let up = measured.map(|measured| seconds(measured.uptime_ms.saturating_mul(1_000)));
    if let Some(up) = up {
        page.gauge("paxos_banking_uptime_seconds", "Time since the process started.").sample(
            "",
            &[],
            up,
        );
    }
    page.gauge("paxos_banking_chain_height", "Height of the last block of the chain.")
        .is(status.height);
    page.gauge("paxos_banking_log_entries", "Entries in the local log, which are in no block yet.")
        .is(status.log_length as u64);
    let oldest = measured.and_then(|measured| measured.oldest_entry_ms);
    let age = seconds(oldest.unwrap_or(0).saturating_mul(1_000));
    page.gauge(
        "paxos_banking_log_oldest_entry_age_seconds",
        "Age of the local log's oldest entry.",
    )
    .sample("", &[], age);
    let entries = status.included.get(&status.server).map(|last| last.seq);
    page.gauge(
        "paxos_banking_entries",
        "Entries that this server accepted in its present epoch: those in the chain and those in its log.",
    )
    .is(entries.map(|entries| entries + status.log_length as u64));
    page.gauge("paxos_banking_money_units", "Sum of all balances.")
        .is(status.total.map(|total| total.units()));
    issued(page, status.issued);
    page.gauge("paxos_banking_accounts", "Accounts that this server knows.")
        .is(status.accounts as u64);
    page.gauge("paxos_banking_waiting_transfers", "Transfers that wait for a run or for money.")
        .is(status.waiting as u64);
    page.counter(
        "paxos_banking_durable_turns_total",
        "Durable turns of this server's store, ever.",
    )
    .is(status.turn.0);
}

/// Adds what was issued, and may be, if the bank was founded for it.
fn issued(page: &mut Page, issued: Option<Issued>) {
    let mut add = |name, help, value: Option<i128>| {
        let mut family = page.gauge(name, help);
        if let Some(value) = value {
            family.sample("", &[], value);
        }
    };
    add(
        "paxos_banking_issued_units",
        "Money that all homes issued beyond what they took back, by the chain.",
        issued.map(|issued| issued.all.into()),
    );
    add(
        "paxos_banking_home_issued_units",
        "Money that this home issued beyond what it took back.",
        issued.map(|issued| issued.here.into()),
    );
    add(
        "paxos_banking_home_issuable_units",
        "Money that this home may still issue.",
        issued.map(|issued| issued.left_here.into()),
    );
}

fn peers(page: &mut Page, status: &Status) {
    let heard = status.peers.iter().filter(|peer| peer.connected).count() as u64;
    page.gauge("paxos_banking_members", "Members of the bank, this server among them.").is(status
        .peers
        .len()
        as u64
        + 1);
    page.gauge("paxos_banking_members_heard", "Members that are heard, this server among them.")
        .is(heard + 1);
    page.gauge("paxos_banking_majority_heard", "1 if a majority of those that vote is heard.")
        .is(status.hears_majority.map(u64::from));
    let each = |page: &mut Page, name, help, value: &dyn Fn(usize) -> Option<String>| {
        let mut family = page.gauge(name, help);
        for (place, peer) in status.peers.iter().enumerate() {
            let Some(value) = value(place) else { continue };
            family.sample("", &[("peer", peer.id.as_str())], value);
        }
    };
    let of = |place: usize| &status.peers[place];
    let name = "paxos_banking_peer_connected";
    each(page, name, "1 if this peer was heard within three heartbeats.", &|place| {
        text(Some(u64::from(of(place).connected)))
    });
    let name = "paxos_banking_peer_chain_height";
    each(page, name, "Height that this peer last named.", &|place| text(of(place).height));
    let name = "paxos_banking_peer_silence_seconds";
    each(page, name, "Time since this peer was last heard.", &|place| {
        of(place).heard_ms.map(|ms| seconds(ms.saturating_mul(1_000)))
    });
}

fn text(value: Option<impl Display>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn requests(page: &mut Page, figures: &Figures) {
    let mut results = page.counter(
        "paxos_banking_outcomes_total",
        "Outcomes of transfers and openings that were told to clients, by what became of them.",
    );
    for (result, count) in RESULTS.iter().zip(figures.results) {
        results.of(("result", result), count);
    }
    let mut reasons = page.counter(
        "paxos_banking_refusals_total",
        "Transfers and openings that did not happen, by the code of the reason.",
    );
    for (code, count) in &figures.reasons {
        let code = serde_json::to_value(code).unwrap_or_default();
        reasons.of(("reason", code.as_str().unwrap_or("other")), *count);
    }
    page.histogram(
        "paxos_banking_local_latency_seconds",
        "Time from a request's arrival to its reply, for what was accepted by the local log alone.",
        &figures.local,
    );
    page.histogram(
        "paxos_banking_paxos_latency_seconds",
        "Time from a request's arrival to its reply, for what was accepted after a Paxos run.",
        &figures.paxos,
    );
    page.histogram(
        "paxos_banking_turn_duration_seconds",
        "Time of a turn of the event loop, from taking in to handing out.",
        &figures.turns,
    );
}

fn runs(page: &mut Page, status: &Status, measured: &Measured) {
    let mut runs = page
        .counter("paxos_banking_runs_total", "Paxos runs of this server, by what became of them.");
    runs.of(("result", "started"), measured.runs_started);
    runs.of(("result", "won"), measured.runs_won);
    runs.of(("result", "lost"), measured.runs_lost);
    page.gauge("paxos_banking_run_active", "1 while this server has a Paxos run.")
        .is(u64::from(status.ballot.is_some()));
}

fn store(page: &mut Page, figures: &Figures, written: u64) {
    page.histogram(
        "paxos_banking_redis_write_duration_seconds",
        "Time of a durable write to Redis.",
        &figures.store,
    );
    page.counter(
        "paxos_banking_redis_written_bytes_total",
        "Bytes of durable turns on their way to Redis.",
    )
    .is(written);
    page.counter("paxos_banking_redis_failures_total", "Failures of Redis that this server met.")
        .is(figures.store_failures);
}

/// Adds what threads beside the event loop count.
fn beside(page: &mut Page, measured: &Measured) {
    let archive = measured.archive.as_ref();
    page.gauge("paxos_banking_archive_segments", "Segments that hold the oldest blocks.")
        .is(archive.map(|archive| archive.segments));
    page.gauge("paxos_banking_archive_bytes", "Bytes of these segments.")
        .is(archive.map(|archive| archive.bytes));
    page.gauge(
        "paxos_banking_archive_damaged_segments",
        "Segments that are damaged, and not mended.",
    )
    .is(archive.map(|archive| archive.damaged));
    page.gauge(
        "paxos_banking_archive_trouble",
        "1 if something keeps blocks from leaving the store.",
    )
    .is(archive.map(|archive| u64::from(archive.trouble.is_some())));
    page.gauge("paxos_banking_index_bytes", "Memory of the index behind statements.")
        .is(measured.index.bytes);
    page.counter(
        "paxos_banking_handshakes_total",
        "Handshakes after which both ends knew each other.",
    )
    .is(measured.handshakes.done);
    let mut failed = page.counter(
        "paxos_banking_handshake_failures_total",
        "Handshakes that failed, by the kind of failure.",
    );
    for (kind, count) in &measured.handshakes.failed {
        failed.of(("kind", kind), *count);
    }
}
