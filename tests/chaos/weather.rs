//! Brings faults over a bank, several at a time, and heals them all in the end.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::faults::{ALL, Claim, Fault, Kind};
use crate::stage::Stage;
use crate::support::cluster::wait_until;
use crate::visitor::Visitor;

/// How many faults there may be at once.
const MOST_AT_ONCE: usize = 4;

/// A fault that lasts, what it has to itself, and when it ends.
struct Lasting {
    fault: Fault,
    claims: Vec<Claim>,
    until: Instant,
}

/// How often each kind of fault came.
pub type Tally = BTreeMap<Kind, usize>;

/// Brings faults until it is time; then heals what is left. Fails if a process ends that was not
/// killed.
pub fn rage(
    stage: &mut Stage,
    visitor: &mut Visitor,
    dice: &mut fastrand::Rng,
    until: Instant,
) -> Tally {
    let mut tally = Tally::new();
    let mut lasting: Vec<Lasting> = Vec::new();
    let mut next = Instant::now();
    // Each kind comes before any comes again.
    let mut kinds = Vec::new();
    while Instant::now() < until {
        heal(stage, &mut lasting, Instant::now());
        look_after(stage, &lasting);
        visitor.live(stage, dice, true);
        if Instant::now() >= next && lasting.len() < MOST_AT_ONCE {
            if kinds.is_empty() {
                kinds.extend(ALL);
                dice.shuffle(&mut kinds);
            }
            next = Instant::now() + Duration::from_millis(dice.u64(50..1200));
            let kind = kinds.pop().expect("there is one");
            match strike(stage, kind, &lasting, dice) {
                Some(fault) => {
                    *tally.entry(kind).or_default() += 1;
                    lasting.push(fault);
                }
                // Its turn comes later.
                None => kinds.insert(0, kind),
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    let for_ever = until + Duration::from_secs(3600);
    heal(stage, &mut lasting, for_ever);
    wait_until("all servers are connected", || {
        look_after(stage, &lasting);
        visitor.live(stage, dice, false);
        visitor.rests() && stage.bank.is_connected()
    });
    tally
}

/// Breaks something, unless it is broken already.
fn strike(
    stage: &mut Stage,
    kind: Kind,
    lasting: &[Lasting],
    dice: &mut fastrand::Rng,
) -> Option<Lasting> {
    // Mostly short ones: what is broken for long hides what else might go wrong.
    let lasts = Duration::from_millis(if dice.u8(..4) == 0 {
        dice.u64(1_500..5_000)
    } else {
        dice.u64(50..1_500)
    });
    let mut fault = Fault::of(kind, stage, lasts, dice);
    let claims = fault.claims(stage);
    let taken = |claim: &Claim| lasting.iter().any(|other| other.claims.contains(claim));
    if claims.iter().any(taken) {
        return None;
    }
    fault.begin(stage, dice);
    Some(Lasting { fault, claims, until: Instant::now() + lasts })
}

fn heal(stage: &mut Stage, lasting: &mut Vec<Lasting>, now: Instant) {
    for index in (0..lasting.len()).rev() {
        if lasting[index].until <= now {
            lasting.swap_remove(index).fault.end(stage);
        }
    }
}

/// Sees to it that whatever is not broken on purpose runs. One thing may end by itself: a server that
/// can't load its store as it starts. It says so and ends, and whoever runs it starts it again.
fn look_after(stage: &mut Stage, lasting: &[Lasting]) {
    let broken = |claim: Claim| lasting.iter().any(|other| other.claims.contains(&claim));
    for id in stage.founders.clone() {
        let ended = stage.bank.process(&id).and_then(|process| process.ended());
        if let Some(ended) = ended.filter(|_| !broken(Claim::Server(id.clone()))) {
            let log = stage.bank.log_file(&id).map(fs::read_to_string);
            let log = log.expect("it has a log").expect("a log in UTF-8");
            let ends = ["stopped: the store failed: ", "stopped: the store can't be reached: "];
            // Before it has loaded its store, only its archive's segments may be spoken of.
            let has_loaded =
                [" is a zombie (", " is a baby ("].iter().any(|words| log.contains(words));
            let at_start = !has_loaded && ends.iter().any(|words| log.contains(words));
            assert!(at_start, "server {id} ended by itself, {ended}");
            if !broken(Claim::Redis(stage.bank.place(&id))) {
                stage.bank.kill(&id);
                stage.bank.start_server(&id);
            }
        }
    }
    for (place, redis) in stage.bank.stores.iter_mut().enumerate() {
        if !broken(Claim::Redis(place)) {
            let ended = redis.process().and_then(|process| process.ended());
            assert!(ended.is_none(), "Redis {place} ended by itself: {ended:?}");
        }
    }
}
