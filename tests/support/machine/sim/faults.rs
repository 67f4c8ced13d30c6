//! What goes wrong.

/// How much goes wrong, in percent where not said otherwise.
#[derive(Clone, Copy)]
pub struct Faults {
    pub loss: u8,
    pub duplication: u8,
    /// Of all messages between servers: late.
    pub slow: u8,
    /// Of all turns, per mille: the server dies before, or after, the turn is durable.
    pub crash: u16,
    /// Of the turns that propose, vote or append: the server dies before they are durable, or when
    /// they are but nothing is said, or when all is said.
    pub silence: u8,
    /// Of all dials.
    pub unreachable: u8,
    /// Of all messages, per mille: the connection breaks instead.
    pub cut: u16,
    /// Of all turns, per mille: the server, or its store, stands still for a while.
    pub pause: u16,
    /// Of the times at which it is decided: some servers can't reach the others.
    pub partition: u8,
    /// The longest time between two such decisions.
    pub spell: u64,
    /// Of all crashes: the store is lost for good.
    pub lose: u8,
    /// Of the times at which it is decided who can reach whom: one server lies.
    pub lie: u8,
    /// Timers may run out at almost any time.
    pub hasty: bool,
}

pub const HEALED: Faults = Faults {
    loss: 0,
    duplication: 0,
    slow: 0,
    crash: 0,
    silence: 0,
    unreachable: 0,
    cut: 0,
    pause: 0,
    partition: 0,
    spell: 3_000,
    lose: 0,
    lie: 0,
    hasty: false,
};
