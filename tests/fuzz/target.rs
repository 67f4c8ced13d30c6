//! What is fuzzed, how a round of it goes, and what it has seen.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use fastrand::Rng;

use crate::mutate::{minimise, mutate};

/// The longest that an error may be, whatever the input.
pub const LONGEST_ERROR: usize = 2_000;
/// How much further than before an input may let the process's memory reach.
const MOST_MEMORY: u64 = 256 << 20;
/// How many samples a round goes on from, at the most.
const MOST_SAMPLES: usize = 2_000;

/// Something that reads what others wrote.
pub trait Target {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// How many inputs make a round.
    fn executions(&self) -> usize;
    /// Valid inputs.
    fn samples(&self) -> Vec<Vec<u8>>;
    /// Reads an input and checks what must hold of any. Panics if it doesn't.
    fn read(&self, input: &[u8], heard: &Heard);
    /// What has to be heard in any round: parts of words of acceptance and of errors.
    fn marks(&self) -> &'static [&'static str];
}

/// What was said about an input.
#[derive(Default)]
pub struct Heard {
    accepted: RefCell<Vec<String>>,
    refused: RefCell<Vec<String>>,
}

impl Heard {
    /// It was taken, as what is said here.
    pub fn accepted(&self, what: impl Into<String>) {
        self.accepted.borrow_mut().push(what.into());
    }

    /// It was refused, with these words to people.
    pub fn refused(&self, error: &str) {
        assert!(!error.trim().is_empty(), "an error that says nothing");
        assert!(error.len() <= LONGEST_ERROR, "an error of {} bytes: {error}", error.len());
        self.refused.borrow_mut().push(error.to_owned());
    }
}

/// An error without what is particular to an input: what is quoted, numbers, names.
fn kind(error: &str) -> String {
    const WORDS: usize = 20;
    const LONGEST_WORD: usize = 16;
    let mut quote = None;
    let mut plain = String::new();
    let mut before = ' ';
    for character in error.chars() {
        match (quote, character) {
            (Some(open), close) if open == close => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`') => quote = Some(character),
            (None, '\'') if !before.is_alphanumeric() => quote = Some(character),
            (None, other) if other.is_ascii_digit() || !other.is_ascii() => {}
            (None, other) => plain.push(other),
        }
        before = character;
    }
    let words = plain.split_whitespace().filter(|word| word.len() <= LONGEST_WORD);
    words.take(WORDS).collect::<Vec<_>>().join(" ")
}

/// What was seen of a target, in one round or in several.
#[derive(Default)]
pub struct Tally {
    executions: u64,
    accepted: u64,
    refused: u64,
    kinds: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts one input; says whether it led to words that were not heard before.
    fn count(&mut self, heard: Heard) -> bool {
        let (accepted, refused) = (heard.accepted.into_inner(), heard.refused.into_inner());
        self.executions += 1;
        self.accepted += u64::from(!accepted.is_empty());
        self.refused += u64::from(!refused.is_empty());
        let before = self.kinds.len();
        let refused = refused.iter().map(|error| kind(error));
        let kinds = accepted.into_iter().chain(refused);
        kinds.for_each(|kind| *self.kinds.entry(kind).or_default() += 1);
        self.kinds.len() > before
    }

    /// Adds what another round saw.
    pub fn add(&mut self, other: Tally) {
        self.executions += other.executions;
        self.accepted += other.accepted;
        self.refused += other.refused;
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
    }

    /// Prints it.
    pub fn report(&self, target: &dyn Target, time: Duration) {
        let Tally { executions, accepted, refused, kinds } = self;
        let speed = *executions as f64 / time.as_secs_f64();
        println!(
            "{:14} {executions} executions, {speed:.0} a second: {accepted} accepted something, \
             {refused} refused something, in {} kinds of words",
            target.name(),
            kinds.len()
        );
        if std::env::var_os("KINDS").is_some() {
            kinds.iter().for_each(|(kind, count)| println!("{count:>12} {kind}"));
        }
    }

    /// Why it has not been deep enough to mean anything, if it hasn't.
    pub fn shallow(&self, target: &dyn Target) -> Option<String> {
        let Tally { executions, accepted, refused, kinds } = self;
        if *accepted < executions / 200 || *refused < executions / 200 {
            return Some("nearly all is accepted, or nearly all is refused".into());
        }
        let heard = |mark: &str| kinds.keys().any(|kind| kind.contains(mark));
        let marks = target.marks().iter().copied();
        let never: Vec<&str> = marks.filter(|mark| !heard(mark)).collect();
        (!never.is_empty()).then(|| format!("never heard: {never:?}"))
    }
}

/// A number of inputs that follow from a seed.
pub struct Round<'a> {
    target: &'a dyn Target,
    rng: Rng,
    /// The target's own, and those found on the way.
    samples: Vec<Vec<u8>>,
    /// How many are the target's own.
    own: usize,
    memory: u64,
    tally: Tally,
}

impl<'a> Round<'a> {
    /// The round of this seed.
    pub fn new(target: &'a dyn Target, seed: u64) -> Round<'a> {
        let (rng, samples) = (Rng::with_seed(seed), target.samples());
        let own = samples.len();
        Round { target, rng, samples, own, memory: memory(), tally: Tally::default() }
    }

    /// Runs it, to its end or to the first input that leads to what none may lead to.
    ///
    /// # Errors
    /// What that was, and the input.
    pub fn run(mut self) -> Result<Tally, String> {
        self.samples.clone().iter().try_for_each(|sample| self.read(sample))?;
        for _ in 0..self.target.executions() {
            // What was found is mostly wrong already, and gets no further.
            let some = if self.rng.u32(..4) > 0 { self.own } else { self.samples.len() };
            let sample = &self.samples[self.rng.usize(..some)];
            let input = mutate(sample, &self.samples, &mut self.rng);
            self.read(&input)?;
        }
        Ok(self.tally)
    }

    fn read(&mut self, input: &[u8]) -> Result<(), String> {
        let heard = self.try_read(input).map_err(|words| self.describe(input, &words))?;
        if self.tally.count(heard) && self.samples.len() < MOST_SAMPLES {
            self.samples.push(input.to_vec());
        }
        match memory() {
            memory if memory > self.memory + MOST_MEMORY => {
                Err(self.describe(input, &format!("memory went from {} to {memory}", self.memory)))
            }
            _ => Ok(()),
        }
    }

    fn try_read(&self, input: &[u8]) -> Result<Heard, String> {
        let heard = Heard::default();
        let read = AssertUnwindSafe(|| self.target.read(input, &heard));
        catch_unwind(read).map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()))
                .unwrap_or_default()
        })?;
        Ok(heard)
    }

    fn describe(&self, input: &[u8], words: &str) -> String {
        let short = minimise(input, |input| self.try_read(input).is_err());
        let shown = |input: &[u8]| input.escape_ascii().to_string();
        format!("{words}\nthe input: {}\nshortened: {}", shown(input), shown(&short))
    }
}

/// The most address space that this process ever had: what is only reserved counts as well.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kilobytes = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() << 10
}
