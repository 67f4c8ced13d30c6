//! What is left when the play is over, with its figures, and whether money and chains are as they must be.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Serialize;

use crate::bank::amount::Amount;
use crate::bank::ids::ServerId;
use crate::play::check::total;
use crate::play::figures::{Figures, Totals};
use crate::play::look::Look;
use crate::play::player::Player;
use crate::play::tally::{Row, table};

/// Everything left at the end.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    /// The file.
    pub file: String,
    #[serde(flatten)]
    look: Look,
    /// The homes of accounts that are no servers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub homes: BTreeMap<String, String>,
    /// The transfers that still wait for money, as the file writes them.
    waiting: Vec<String>,
    /// What each set ended with.
    sets: Vec<Row>,
    figures: Totals,
    /// How many checks passed.
    passed: usize,
    failed: usize,
    /// What must always be true and is not.
    wrong: Vec<String>,
    /// The checks that failed, each with its line and what was found.
    #[serde(skip)]
    failures: Vec<String>,
    /// Where the servers' logs are, in words, if they were kept.
    #[serde(skip)]
    pub logs: Option<String>,
}

impl Summary {
    /// Looks at all servers.
    pub(super) fn of<O: Write>(player: &mut Player<'_, O>) -> Summary {
        let stage = &mut player.stage;
        let servers: Vec<ServerId> = stage.servers().cloned().collect();
        let expected = Amount::new(stage.opening().units() * stage.founders() as u64);
        let look = Look::at(stage, servers);
        let mut wrong: Vec<String> = look.fork().into_iter().collect();
        if !stage.live().is_empty()
            && let Some(expected) = expected
            && let Err(found) = total(stage, expected)
        {
            wrong.push(format!("all accounts together must hold {expected}: {found}"));
        }
        let left = player.short.left().iter();
        let mut waiting: Vec<(usize, &str)> =
            left.map(|one| (one.step.place.line, one.step.text.as_str())).collect();
        waiting.sort_unstable();
        let waiting = waiting.iter().map(|(line, text)| format!("line {line}: {text}")).collect();
        let figures = std::mem::take::<Figures>(&mut player.figures).told();
        let failures = player.report.failures.clone();
        Summary {
            file: String::new(),
            look,
            homes: BTreeMap::new(),
            waiting,
            sets: player.tally.rows.clone(),
            figures,
            passed: player.report.passed,
            failed: failures.len(),
            wrong,
            failures,
            logs: None,
        }
    }

    /// True if all is as it must be and as it was expected.
    pub(super) fn is_green(&self) -> bool {
        self.failed == 0 && self.wrong.is_empty()
    }

    /// Writes the summary for people.
    pub(super) fn in_words(&self) -> String {
        let mut text = format!("\nAt the end\n{}", self.look.in_words());
        for waiting in &self.waiting {
            text += &format!("      still waits for money: {waiting}\n");
        }
        for line in self.figures.in_words().lines() {
            text += &format!("      {line}\n");
        }
        for wrong in &self.wrong {
            text += &format!("      WRONG: {wrong}\n");
        }
        if self.sets.iter().any(|row| row.set.is_some()) {
            text += &format!("\nWhat each set ended with\n{}", table(&self.sets));
        }
        let Summary { passed, failed, .. } = self;
        text + &format!("\n{passed} checks passed, {failed} failed\n")
    }

    /// Writes the file's name with the counts of its transfers, and below what each set ended with.
    pub(super) fn in_a_line_and_a_table(&self) -> String {
        let counts = self.figures.in_words();
        let counts = counts.lines().next().unwrap_or_default();
        let Summary { file, passed, failed, .. } = self;
        let checks = match (passed, failed) {
            (0, 0) => String::new(),
            _ => format!("; {passed} checks passed, {failed} failed"),
        };
        let wrong: String = self.wrong.iter().map(|wrong| format!("; WRONG: {wrong}")).collect();
        format!("{file}: {counts}{checks}{wrong}\n{}", table(&self.sets))
    }

    /// Writes what failed, and where the servers' logs are.
    pub(super) fn failure_in_words(&self) -> String {
        let failed = self.failures.iter().chain(&self.wrong).map(|what| format!("  {what}\n"));
        let logs = self.logs.as_deref().unwrap_or_default();
        format!("{} FAILED:\n{}{logs}", self.file, failed.collect::<String>())
    }
}
