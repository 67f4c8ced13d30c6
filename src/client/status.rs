//! A server's status in words. Pure.

use std::fmt::Write;

use crate::bank::ids::AccountId;
use crate::bank::request::{Issued, Measured, PeerStatus, Percentiles, RedisStatus, Start, Status};
use crate::bank::status::{ArchiveStatus, Handshakes, IndexStatus};
use crate::client::text::{names, plain};

/// Describes a server's status in several lines.
pub(super) fn status_in_words(status: &Status) -> String {
    let start = match status.start {
        Start::Baby => "baby",
        Start::Zombie => "zombie",
    };
    let open = if status.active { "open".into() } else { waits_in_words(status) };
    let height = status.height.map_or("none".into(), |height| height.to_string());
    let head = status.head.short();
    let Status { server, log_length, waiting, accounts, turn, .. } = status;
    let measured = status.measured.as_ref();
    let up =
        measured.map_or(String::new(), |measured| format!("; up {}", long(measured.uptime_ms)));
    let log = measured.map_or(String::new(), log_in_words);
    let mut text = format!(
        "{server}: {open}; started as a {start}{up}\n  height {height} (head {head}), \
         log {log_length}{log}, waiting {waiting}, accounts {accounts}, turn {turn}\n  \
         {}",
        round_in_words(status)
    );
    // Writing to a text can't fail.
    if let Some(why) = &status.no_writes {
        let _ = write!(text, "\n  READS ONLY: the store takes no writes: {}", plain(why));
    }
    if let Some(bank) = &status.bank {
        let keyed = if status.keyed { ", with keys" } else { "" };
        let _ = write!(text, "\n  bank {bank}{keyed}");
    }
    if let Some(issued) = &status.issued {
        let _ = write!(text, "\n  {}", issued_in_words(issued));
    }
    for (server, key) in &status.keys {
        let _ = write!(text, "\n  key of {server}: {key}");
    }
    if let Some(measured) = measured {
        let _ = write!(text, "\n{}", measured_in_words(measured));
    }
    for peer in &status.peers {
        let _ = write!(text, "\n  {}", peer_in_words(peer));
    }
    text
}

/// Says how much money was issued beyond what was taken back, and how much may be.
fn issued_in_words(Issued { all, here, left_here }: &Issued) -> String {
    format!("issued: {all} in the chain; {here} by this home, which may issue {left_here} more")
}

fn log_in_words(measured: &Measured) -> String {
    let rate = measured.entries_per_second;
    match measured.oldest_entry_ms {
        Some(age) => format!(" (the oldest {} old; {rate} entries/s)", long(age)),
        None => format!(" ({rate} entries/s)"),
    }
}

/// Describes a server's part in the round for the next block.
fn round_in_words(status: &Status) -> String {
    let next = status.height.map_or(0, |height| height + 1);
    let role = match &status.ballot {
        Some(ballot) => {
            let run = plain(&status.run);
            format!("proposer, {run}, ballot {ballot}: {}", answers_in_words(status))
        }
        None => match (&status.accepted, &status.promised) {
            (Some(ballot), _) => {
                format!("acceptor, has accepted the block of ballot {ballot}")
            }
            (None, Some(ballot)) => format!("acceptor, has promised ballot {ballot}"),
            (None, None) => "no ballot yet".into(),
        },
    };
    let run = match &status.ballot {
        None if status.run != "idle" => format!("; own run: {}", plain(&status.run)),
        _ => String::new(),
    };
    format!("block {next}: {role}{run}")
}

/// Says who has answered a run, and who hasn't.
fn answers_in_words(status: &Status) -> String {
    let Status { answered, unanswered, .. } = status;
    let done = if status.run == "accepting" { "accepted" } else { "promised" };
    match (&answered[..], &unanswered[..]) {
        ([], asked) => format!("asking {}…", names(asked)),
        (heard, []) => format!("{} {done}", names(heard)),
        (heard, asked) => format!("asking {}… {} {done}", names(asked), names(heard)),
    }
}

/// Says what the founding waits for. If all servers are there, these are opening blocks.
fn waits_in_words(status: &Status) -> String {
    match &status.waiting_for[..] {
        [] => "waits for opening blocks".into(),
        servers => format!("waits for {}", names(servers)),
    }
}

/// Says what a transfer waits for, in one line.
pub(super) fn wait_in_words(status: &Status) -> String {
    let next = status.height.map_or(0, |height| height + 1);
    if !status.active {
        return format!("the bank is not open yet: {}", waits_in_words(status));
    }
    match (&status.ballot, status.run.as_str()) {
        (Some(_), _) => format!("block {next}: {}", answers_in_words(status)),
        (None, "idle") => match status.waiting {
            0 => "waiting".into(),
            1 => "1 transfer waits".into(),
            many => format!("{many} transfers wait"),
        },
        (None, run) => format!("block {next}: {}", plain(run)),
    }
}

fn measured_in_words(measured: &Measured) -> String {
    let Measured { accepted, refused, unavailable, .. } = measured;
    let Measured { runs_started, runs_won, runs_lost, .. } = measured;
    let latency = |what: &str, times: &Option<Percentiles>| match times {
        Some(times) => format!("{what} {}, of {}", times_in_words(times), times.count),
        None => format!("{what} none"),
    };
    format!(
        "  transfers: {accepted} accepted, {refused} refused, {unavailable} unavailable; \
         runs: {runs_started} started, {runs_won} won, {runs_lost} lost\n  \
         latency of the last minute: {}; {}\n  {}{}{}{}",
        latency("local", &measured.local),
        latency("Paxos", &measured.paxos),
        redis_in_words(&measured.redis),
        handshakes_in_words(&measured.handshakes),
        measured.archive.as_ref().map_or_else(String::new, archive_in_words),
        index_in_words(&measured.index)
    )
}

/// Says how handshakes ended, if there were any.
fn handshakes_in_words(Handshakes { done, failed }: &Handshakes) -> String {
    let count = |(kind, count): (&String, &u64)| format!("{count} {}", plain(kind));
    let failed: Vec<String> = failed.iter().map(count).collect();
    match (done, failed.is_empty()) {
        (0, true) => String::new(),
        (done, true) => format!("\n  handshakes: {done} done, none failed"),
        (done, false) => format!("\n  handshakes: {done} done; failed: {}", failed.join(", ")),
    }
}

/// Says what the archive holds, and what is in its way.
fn archive_in_words(
    ArchiveStatus { base, segments, damaged, trouble, .. }: &ArchiveStatus,
) -> String {
    let held = match base.checked_sub(1) {
        Some(last) => format!("\n  archive: {segments} segments, up to block {last}"),
        None => "\n  archive: no segment yet".into(),
    };
    let damaged = match damaged {
        0 => String::new(),
        damaged => format!(", {damaged} damaged"),
    };
    let trouble = trouble.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
    format!("{held}{damaged}{trouble}")
}

/// Says how many blocks the index behind statements lacks, if it lacks any.
fn index_in_words(IndexStatus { blocks, bytes, searched }: &IndexStatus) -> String {
    match searched {
        0 => String::new(),
        searched => format!(
            "\n  statements: {searched} of {blocks} blocks are searched for a page: there is no place for them in \
             the index, of {} KiB now",
            bytes >> 10
        ),
    }
}

fn redis_in_words(redis: &RedisStatus) -> String {
    let last = redis.last_us.map_or("none yet".into(), short);
    let times = redis.round_trip.as_ref().map(|times| format!(", {}", times_in_words(times)));
    let failure = match (&redis.last_error, redis.last_error_ms) {
        (Some(error), Some(ago)) => format!("; last error {} ago: {}", long(ago), plain(error)),
        _ => "; no error".into(),
    };
    format!("Redis: last round trip {last}{}{failure}", times.unwrap_or_default())
}

fn times_in_words(times: &Percentiles) -> String {
    format!("p50 {}, p99 {}", short(times.p50_us), short(times.p99_us))
}

fn peer_in_words(peer: &PeerStatus) -> String {
    let connected = if peer.connected { "connected" } else { "not connected" };
    let heard = peer.heard_ms.map_or(String::new(), |ago| format!(", heard {} ago", long(ago)));
    let height = peer.height.map_or(String::new(), |height| format!(", height {height}"));
    let rate = peer.entries_per_second.filter(|_| peer.connected);
    let rate = rate.map_or(String::new(), |rate| format!(", {rate} entries/s"));
    format!("peer {}: {connected}{heard}{height}{rate}", peer.id)
}

/// Writes microseconds as people read them.
fn short(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}

/// Writes milliseconds as people read them.
fn long(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{seconds}.{}s", millis % 1_000 / 100),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Says that a server doesn't tell what it waits for.
pub(super) fn no_word_of(server: &AccountId) -> String {
    format!("{server} doesn't answer; trying again")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::fingerprint::Fingerprint;
    use crate::client::samples::{full_status, server, status};

    #[test]
    fn all_that_a_server_tells_is_said() {
        assert_eq!(
            status_in_words(&full_status()),
            "A: open; started as a zombie; up 1h 2m\n  \
               height 4 (head 00000000), log 2 (the oldest 2.5s old; 40 entries/s), waiting 0, \
               accounts 5, turn 3\n  \
               block 5: proposer, preparing, ballot 7.A: asking C… A, B promised\n  \
               bank 0000000000000000000000000000000000000000000000000000000000000000\n  \
               transfers: 12 accepted, 3 refused, 1 unavailable; runs: 5 started, 3 won, 1 lost\n  \
               latency of the last minute: local p50 640 µs, p99 1.3 ms, of 11; Paxos none\n  \
               Redis: last round trip 512 µs, p50 447 µs, p99 895 µs; last error 1m 1s ago: the \
               store failed: it hangs\n  \
               handshakes: 7 done; failed: 2 forged\n  \
               peer B: connected, heard 180ms ago, height 4, 1200 entries/s\n  \
               peer C: not connected"
        );
    }

    #[test]
    fn what_is_issued_is_told() {
        let issued = Some(Issued { all: -20, here: 500, left_here: 7 });
        let said = status_in_words(&Status { issued, ..full_status() });
        let line = "0000\n  issued: -20 in the chain; 500 by this home, which may issue 7 more\n  transfers";
        assert!(said.contains(line), "{said}");
    }

    #[test]
    fn the_archive_is_told() {
        let said = |base, damaged, trouble| {
            let archive = ArchiveStatus { base, segments: 2, bytes: 9, damaged, trouble };
            archive_in_words(&archive)
        };
        assert_eq!(said(0, 0, None), "\n  archive: no segment yet");
        assert_eq!(said(10, 0, None), "\n  archive: 2 segments, up to block 9");
        let trouble = Some("no blocks are archived: the disk is full".to_owned());
        let all = "\n  archive: 2 segments, up to block 9, 1 damaged; no blocks are archived: the disk is full";
        assert_eq!(said(10, 1, trouble), all);
    }

    #[test]
    fn what_a_statement_has_to_search_is_told() {
        let index = |searched| IndexStatus { blocks: 900, bytes: 64 << 10, searched };
        assert_eq!(index_in_words(&index(0)), "");
        let said = "\n  statements: 7 of 900 blocks are searched for a page: there is no place for them in the \
                    index, of 64 KiB now";
        assert_eq!(index_in_words(&index(7)), said);
    }

    #[test]
    fn the_servers_keys_are_told() {
        let key = |of: &str| Fingerprint::of(of.as_bytes());
        let keys = [(server("A"), key("abc")), (server("B"), key("b"))].into();
        let said = status_in_words(&Status { keyed: true, keys, ..full_status() });
        let lines = "0000, with keys\n  key of A: SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0\n  key of B: ";
        assert!(said.contains(lines), "{said}");
    }

    #[test]
    fn a_server_s_part_in_the_round_is_told() {
        let said = |change: &dyn Fn(&mut Status)| {
            let mut status = status();
            change(&mut status);
            round_in_words(&status)
        };
        let ballot = full_status().ballot;
        assert_eq!(said(&|_| ()), "block 5: no ballot yet");
        let promised = said(&|status| status.promised.clone_from(&ballot));
        assert_eq!(promised, "block 5: acceptor, has promised ballot 7.A");
        let accepted = said(&|status| {
            status.accepted.clone_from(&ballot);
            status.run = "backing off".into();
        });
        let expected =
            "block 5: acceptor, has accepted the block of ballot 7.A; own run: backing off";
        assert_eq!(accepted, expected);
    }

    #[test]
    fn what_a_transfer_waits_for_is_one_line() {
        assert_eq!(wait_in_words(&full_status()), "block 5: asking C… A, B promised");
        let accepting = Status { run: "accepting".into(), unanswered: vec![], ..full_status() };
        assert_eq!(wait_in_words(&accepting), "block 5: A, B accepted");
        let asking = vec![server("B"), server("C")];
        let begun = Status { answered: vec![], unanswered: asking, ..full_status() };
        assert_eq!(wait_in_words(&begun), "block 5: asking B, C…");
        let waits = Status { waiting: 2, ..status() };
        assert_eq!(wait_in_words(&waits), "2 transfers wait");
        let lost = Status { run: "backing off".into(), ..status() };
        assert_eq!(wait_in_words(&lost), "block 5: backing off");
    }
}
