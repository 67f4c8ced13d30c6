//! What is left when the play is over, with its figures, and whether money and chains are as they must be.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bank::amount::Amount;
use crate::bank::ids::ServerId;
use crate::play::check::total;
use crate::play::figures::Totals;
use crate::play::look::Look;
use crate::play::short::Waiting;
use crate::play::stage::Stage;

/// Everything left at the end.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    #[serde(flatten)]
    look: Look,
    /// The homes of accounts that are no servers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub homes: BTreeMap<String, String>,
    /// The transfers that still wait for money, as the file writes them.
    waiting: Vec<String>,
    figures: Totals,
    /// How many checks passed.
    passed: usize,
    failed: usize,
    /// What must always be true and is not.
    wrong: Vec<String>,
}

impl Summary {
    /// Looks at all servers.
    pub(super) fn of(
        stage: &mut Stage,
        waiting: &[Waiting],
        figures: Totals,
        passed: usize,
        failed: usize,
    ) -> Summary {
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
        let mut waiting: Vec<(usize, &str)> =
            waiting.iter().map(|one| (one.step.place.line, one.step.text.as_str())).collect();
        waiting.sort_unstable();
        let waiting = waiting.iter().map(|(line, text)| format!("line {line}: {text}")).collect();
        Summary { look, homes: BTreeMap::new(), waiting, figures, passed, failed, wrong }
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
        let Summary { passed, failed, .. } = self;
        text + &format!("\n{passed} checks passed, {failed} failed\n")
    }
}
