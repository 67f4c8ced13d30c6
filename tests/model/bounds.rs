//! What is known of an exploration before it begins.

/// What each account of a server that founded the bank holds at the start.
pub const OPENING: u64 = 10;

/// A bank, and how many states it can be in.
pub struct Exploration<B> {
    pub name: &'static str,
    /// Unique states. A change to the state machine that changes this is not one of words only.
    pub states: usize,
    pub bank: B,
}
