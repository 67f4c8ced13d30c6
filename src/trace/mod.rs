//! The protocol made visible: the notes that servers take while they run, and one picture of them.
//!
//! A server that is started with `--trace FILE` adds a [`record`] a line to the file. [`reader`] reads such
//! files. [`merge`] finds each message's sending and receiving, and puts all events into an order with
//! causes before effects; [`phases`] adds when a run's phases begin and a majority is reached. [`layout`] finds each a
//! place on a [`sheet`] of paper, [`gaps`] interrupts arrows where they would go through a text, and [`svg`] draws. Or [`mod@page`]
//! makes a page that steps through what [`told`] takes of the story. All of this is pure: texts in, a text out.

use std::time::Duration;

use crate::trace::merge::Story;
use crate::trace::told::StoryData;

pub mod gaps;
pub mod layout;
pub mod merge;
pub mod page;
pub mod phases;
pub mod reader;
pub mod record;
pub mod sheet;
pub mod svg;
pub mod told;

/// The part of a story that is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Leaves out what happens before this time from the beginning of the traces.
    pub from: Option<Duration>,
    /// Leaves out what happens after this time.
    pub to: Option<Duration>,
    /// Leaves out what doesn't concern the block of this height.
    pub height: Option<u64>,
    /// True to draw heartbeats and hellos too, and messages that bring others' heights up to date.
    pub heartbeats: bool,
}

/// Draws the traces with these names and texts.
///
/// # Errors
/// Says what is wrong with the traces, or that they hold nothing to draw.
pub fn draw(traces: &[(String, String)], choice: &Choice) -> Result<String, String> {
    Ok(svg::draw(&layout::lay_out(&story_of(traces, choice)?)))
}

/// Writes a page, one file with all it needs, that steps through the traces with these names and texts.
///
/// # Errors
/// Says what is wrong with the traces, or that they hold nothing to show.
pub fn page(title: &str, traces: &[(String, String)], choice: &Choice) -> Result<String, String> {
    Ok(page::write(title, &StoryData::of(&story_of(traces, choice)?)))
}

/// Merges the traces with these names and texts into the chosen part of one story.
///
/// # Errors
/// Says what is wrong with the traces, or that nothing in them was chosen.
pub fn story_of(traces: &[(String, String)], choice: &Choice) -> Result<Story, String> {
    let story = merged(traces)?.chosen(choice);
    if story.events.is_empty() {
        return Err("there is nothing to draw in that part of the traces".into());
    }
    Ok(story)
}

/// Merges the traces with these names and texts into one story.
///
/// # Errors
/// Says what is wrong with the traces.
pub fn merged(traces: &[(String, String)]) -> Result<Story, String> {
    let (mut records, mut told) = (Vec::new(), Vec::new());
    for (name, text) in traces {
        match reader::read_told(text) {
            Some(lines) => told.extend(lines),
            None => records.extend(reader::read(name, text)?),
        }
    }
    Ok(phases::with_phases(merge::merge_told(records, told)))
}
