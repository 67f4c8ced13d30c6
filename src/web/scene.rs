//! What the servers tell of the protocol, put together, while somebody looks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::bank::ids::{LifeId, ServerId};
use crate::clock;
use crate::trace::Choice;
use crate::trace::merge::{Deed, Delivery, Story, merge_told};
use crate::trace::phases::with_phases;
use crate::trace::record::{Record, Told, What};
use crate::trace::told::StoryData;

/// How many records of a server are kept, heartbeats among them.
const RECORDS: usize = 4_000;
/// The most events that are shown.
const EVENTS: usize = 1_500;
/// How many remarks of the page's own are kept, and how many gaps of a server.
const FEW: usize = 50;
/// After so long a message that has not arrived counts as lost.
const LATE: Duration = Duration::from_secs(1);
/// How often it is remarked that a server tells only a part, in microseconds.
const REMARK: u64 = 2_000_000;

/// What the servers tell.
#[derive(Debug, Default)]
pub(super) struct Scene {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many look.
    lookers: usize,
    servers: BTreeMap<ServerId, Teller>,
    /// What the page itself remarks.
    remarks: VecDeque<Told>,
    /// True if something was told that is in no story yet, and that a story shows.
    is_new: bool,
    /// When the last story was made.
    made: Option<Instant>,
}

/// A server that tells.
#[derive(Debug, Default)]
struct Teller {
    life: Option<LifeId>,
    records: VecDeque<Record>,
    /// Between these times it told nothing here: nobody knows what reached it then.
    gaps: VecDeque<(u64, u64)>,
    /// When the present gap began, if there is one.
    gap: Option<u64>,
    /// How many records it left out since that was last remarked, and when that was.
    left_out: (u64, u64),
    /// Why it tells nothing, if it doesn't.
    failure: Option<String>,
}

/// Somebody who looks, until this is dropped.
#[derive(Debug)]
pub(super) struct Looker(Arc<Scene>);

impl Drop for Looker {
    fn drop(&mut self) {
        self.0.state().lookers -= 1;
    }
}

impl Teller {
    fn last(&self) -> u64 {
        self.records.back().map_or(0, |record| record.us)
    }

    /// Notes that it has told nothing since its last record.
    fn begin_gap(&mut self) {
        let last = self.last();
        self.gap.get_or_insert(last);
    }

    fn take(&mut self, record: Record) {
        if let What::Start { life } = record.what {
            self.begin_gap();
            let before = self.life.replace(life);
            // The life that goes on began long ago; what happened in it meanwhile is not known.
            if before.is_none_or(|before| before == life) || self.records.is_empty() {
                return;
            }
        } else if let Some(from) = self.gap.take() {
            push(&mut self.gaps, (from, record.us), FEW);
        }
        push(&mut self.records, record, RECORDS);
    }

    /// True if nobody knows whether a message that left at this time has reached it.
    fn was_silent_at(&self, time: u64) -> bool {
        let is_in = |(from, to): &(u64, u64)| (*from..*to).contains(&time);
        self.gaps.iter().any(is_in) || self.gap.is_some_and(|from| time >= from)
    }
}

fn push<T>(all: &mut VecDeque<T>, one: T, most: usize) {
    all.push_back(one);
    if all.len() > most {
        all.pop_front();
    }
}

impl Scene {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has somebody look from now on. True beside it if nobody did before: then everything begins anew.
    pub(super) fn look(self: &Arc<Scene>) -> (Looker, bool) {
        let mut state = self.state();
        let is_first = state.lookers == 0;
        state.lookers += 1;
        if is_first {
            for teller in state.servers.values_mut() {
                *teller = Teller { life: teller.life, gap: Some(0), ..Teller::default() };
            }
            let told = "the page looks on from here".to_owned();
            state.remarks = [Told { us: clock::micros(), told }].into();
            state.is_new = true;
            self.changed.notify_all();
        }
        (Looker(Arc::clone(self)), is_first)
    }

    /// True if somebody looks.
    pub(super) fn is_looked_at(&self) -> bool {
        self.state().lookers > 0
    }

    /// Waits until somebody looks, at most so long. True if somebody does.
    pub(super) fn wait_for_lookers(&self, most: Duration) -> bool {
        let waited =
            self.changed.wait_timeout_while(self.state(), most, |state| state.lookers == 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.lookers > 0
    }

    /// Changes what is known of a server; `change` returns true if that is to be seen.
    fn tell(
        &self,
        server: &ServerId,
        change: impl FnOnce(&mut Teller, &mut VecDeque<Told>) -> bool,
    ) {
        let mut state = self.state();
        let State { servers, remarks, is_new, .. } = &mut *state;
        *is_new |= change(servers.entry(server.clone()).or_default(), remarks);
    }

    /// Takes a record that a server told.
    pub(super) fn take(&self, server: &ServerId, text: &str) {
        match serde_json::from_str::<Record>(text) {
            Ok(record) => self.tell(server, |teller, remarks| {
                if let Some(why) = teller.failure.take() {
                    log::debug!("{server} tells again: {why}");
                    remark(remarks, format!("{server} tells what it does again"));
                }
                let is_seen = is_seen(&record.what);
                teller.take(record);
                is_seen
            }),
            Err(error) => log::debug!("{server} tells what is no record of a trace: {error}"),
        }
    }

    /// Notes that a server left out so many records here.
    pub(super) fn missed(&self, server: &ServerId, count: u64) {
        if count == 0 {
            return;
        }
        self.tell(server, |teller, remarks| {
            teller.begin_gap();
            teller.left_out.0 += count;
            let now = clock::micros();
            if now.saturating_sub(teller.left_out.1) >= REMARK {
                let many = teller.left_out.0;
                remark(
                    remarks,
                    format!("{server} is too busy to tell all: {many} events are left out"),
                );
                teller.left_out = (0, now);
            }
            true
        });
    }

    /// Notes that a server tells no more, and why.
    pub(super) fn lost(&self, server: &ServerId, why: &str) {
        self.tell(server, |teller, remarks| {
            teller.begin_gap();
            if teller.failure.as_deref() != Some(why) {
                teller.failure = Some(why.to_owned());
                remark(remarks, format!("{server} doesn't tell what it does: {why}"));
            }
            true
        });
    }

    /// Returns what there is to see as a page takes it, if there may be anything new: what was told, or what by now has
    /// not arrived.
    pub(super) fn news(&self) -> Option<StoryData> {
        let (records, remarks) = {
            let mut state = self.state();
            let is_old = state.made.is_none_or(|made| made.elapsed() >= LATE);
            if !std::mem::take(&mut state.is_new) && !is_old {
                return None;
            }
            state.made = Some(Instant::now());
            (known(&state.servers), state.remarks.iter().cloned().collect())
        };
        let story = with_phases(merge_told(records, remarks));
        Some(StoryData::of(&shown(&story)).last(EVENTS))
    }
}

fn remark(remarks: &mut VecDeque<Told>, told: String) {
    push(remarks, Told { us: clock::micros(), told }, FEW);
}

/// True if a story shows such a record: between runs a server has nothing but heartbeats to tell.
fn is_seen(what: &What) -> bool {
    match what {
        What::Sent { message, .. }
        | What::Received { message, .. }
        | What::Lost { message, .. } => message.is_of_the_protocol(),
        _ => true,
    }
}

/// Returns all records, without messages of which nobody knows whether they have arrived.
fn known(servers: &BTreeMap<ServerId, Teller>) -> Vec<Record> {
    let is_known = |record: &&Record| match &record.what {
        What::Sent { to, .. } => {
            servers.get(to).is_some_and(|teller| !teller.was_silent_at(record.us))
        }
        _ => true,
    };
    let all = servers.values().flat_map(|teller| &teller.records);
    all.filter(is_known).cloned().collect()
}

/// Returns the part of a story that is shown. What has just left may still arrive.
fn shown(story: &Story) -> Story {
    let end = story.events.iter().map(|event| event.time).max().unwrap_or_default();
    let mut shown = story.chosen(&Choice::default());
    for event in &mut shown.events {
        if let Deed::Sent { fate: fate @ Delivery::Lost, .. } = &mut event.deed
            && event.time + LATE > end
        {
            *fate = Delivery::Unknown;
        }
    }
    shown
}

#[cfg(test)]
#[path = "scene_tests.rs"]
mod tests;
