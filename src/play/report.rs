//! The play's output: each step with what came of it and why, in words or as lines of JSON.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::client::commands::Response;
use crate::client::json::to_json;
use crate::client::words::to_words;
use crate::play::look::Look;
use crate::play::script::Step;
use crate::wire::to_line;

/// How a play is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// In words, for people.
    Words,
    /// As lines of JSON.
    Json,
    /// Not at all.
    Silent,
}

/// Writes what happens, as it happens.
#[derive(Debug)]
pub(super) struct Report<O> {
    output: O,
    voice: Voice,
    /// How many checks passed.
    pub passed: usize,
    /// The checks that failed, each with its line and what was found.
    pub failures: Vec<String>,
}

/// A line of JSON for a step.
#[derive(Serialize)]
struct StepLine<'a> {
    line: usize,
    step: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<&'a str>,
}

/// A line of JSON for what servers hold.
#[derive(Serialize)]
struct ShownLine<'a> {
    line: usize,
    step: &'a str,
    #[serde(flatten)]
    look: &'a Look,
}

impl<'a> StepLine<'a> {
    fn of(step: &'a Step) -> StepLine<'a> {
        StepLine {
            line: step.place.line,
            step: &step.text,
            response: None,
            why: None,
            ms: None,
            ok: None,
            found: None,
            done: None,
        }
    }
}

impl<O: Write> Report<O> {
    pub(super) fn new(output: O, voice: Voice) -> Report<O> {
        Report { output, voice, passed: 0, failures: Vec::new() }
    }

    fn is_json(&self) -> bool {
        self.voice == Voice::Json
    }

    /// Reports a step that has no answer.
    pub(super) fn done(&mut self, step: &Step, done: &str) -> io::Result<()> {
        if self.is_json() {
            return self.json_line(&StepLine { done: Some(done), ..StepLine::of(step) });
        }
        self.step(step, done)
    }

    /// Reports an answer to a client.
    pub(super) fn answered(
        &mut self,
        step: &Step,
        response: &Response,
        why: Option<&str>,
        took: Duration,
    ) -> io::Result<()> {
        let ms = took.as_secs_f64() * 1e3;
        if self.is_json() {
            let response = serde_json::from_str(&to_json(response)).ok();
            let ms = Some((ms * 1e3).round() / 1e3);
            return self.json_line(&StepLine { response, why, ms, ..StepLine::of(step) });
        }
        let words = to_words(response);
        let mut lines = words.trim_end().lines();
        self.step(step, lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| self.below(line))?;
        match why {
            Some(why) => self.below(&format!("{why} ({ms:.1} ms)")),
            None => Ok(()),
        }
    }

    /// Reports that a client's transfer waits for money, in place of its answer.
    pub(super) fn waits(
        &mut self,
        step: &Step,
        response: &Response,
        why: &str,
        took: Duration,
    ) -> io::Result<()> {
        if self.is_json() {
            return self.answered(step, response, Some(&format!("it waits: {why}")), took);
        }
        let words = to_words(response);
        self.step(step, &format!("waits; for now {}", words.trim_end()))?;
        self.below(&format!("{why} ({:.1} ms)", took.as_secs_f64() * 1e3))
    }

    /// Reports what servers hold.
    pub(super) fn shown(&mut self, step: &Step, look: &Look, words: &str) -> io::Result<()> {
        if self.is_json() {
            return self.json_line(&ShownLine { line: step.place.line, step: &step.text, look });
        }
        self.step(step, "")?;
        self.text(words)
    }

    /// Reports a check; if it failed, with what was found instead.
    pub(super) fn checked(&mut self, step: &Step, result: &Result<(), String>) -> io::Result<()> {
        let found = result.as_ref().err().map(String::as_str);
        match found {
            None => self.passed += 1,
            Some(found) => {
                let line = format!("line {}: {}: {found}", step.place.line, step.text);
                self.failures.push(line);
            }
        }
        if self.is_json() {
            return self.json_line(&StepLine {
                ok: Some(found.is_none()),
                found,
                ..StepLine::of(step)
            });
        }
        match found {
            None => self.step(step, "ok"),
            Some(found) => self.step(step, &format!("FAILED: {found}")),
        }
    }

    /// Reports a title.
    pub(super) fn title(&mut self, step: &Step, title: &str) -> io::Result<()> {
        if self.is_json() {
            return self.json_line(&StepLine { done: Some(title), ..StepLine::of(step) });
        }
        self.line(&format!("\n{title}"))
    }

    /// Writes lines that belong to the step before, or to none.
    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        self.line(text.trim_end())
    }

    /// Writes a line of JSON, if JSON is to be printed.
    pub(super) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        if self.is_json() { self.json_line(value) } else { Ok(()) }
    }

    fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.output.write_all(to_line(value).as_bytes())?;
        self.output.flush()
    }

    fn step(&mut self, step: &Step, outcome: &str) -> io::Result<()> {
        let line = format!("{:>4}  {:<36} {outcome}", step.place.line, step.text);
        self.line(line.trim_end())
    }

    fn below(&mut self, line: &str) -> io::Result<()> {
        self.line(&format!("{:42} {}", "", line.trim_start()))
    }

    /// Writes a line for people.
    fn line(&mut self, line: &str) -> io::Result<()> {
        if self.voice != Voice::Words {
            return Ok(());
        }
        writeln!(self.output, "{line}")?;
        self.output.flush()
    }
}
