//! The protocol made visible: what servers note down while they run, and one picture of it.
//!
//! A server that is started with `--trace FILE` adds a [`record`] a line to that file. [`reader`] takes
//! such files in, [`merge`] finds out which message that one server sent is which that another received
//! and puts all events into an order in which causes come before effects, [`layout`] finds a place on
//! a [`sheet`] of paper for each, and [`svg`] draws. All of this is pure: texts in, a text out.

use std::time::Duration;

pub mod layout;
pub mod merge;
pub mod reader;
pub mod record;
pub mod sheet;
pub mod svg;

/// Which part of a story is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// What happens earlier after the beginning of the traces is left out.
    pub from: Option<Duration>,
    /// What happens later is left out.
    pub to: Option<Duration>,
    /// What has nothing to do with the block of this height is left out.
    pub height: Option<u64>,
    /// Heartbeats and hellos are drawn too, and messages that bring others' heights up to date.
    pub heartbeats: bool,
}

/// Draws the traces with these names and texts.
///
/// # Errors
/// Says what is wrong with the traces, or that nothing in them is to be drawn.
pub fn draw(traces: &[(String, String)], choice: &Choice) -> Result<String, String> {
    let mut records = Vec::new();
    for (name, text) in traces {
        records.extend(reader::read(name, text)?);
    }
    let story = merge::merge(records).chosen(choice);
    if story.events.is_empty() {
        return Err("there is nothing to draw in that part of the traces".into());
    }
    Ok(svg::draw(&layout::lay_out(&story)))
}
