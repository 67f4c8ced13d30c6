//! `compare`: scenarios on another build and on this one, in turns, and each figure of this one beside the other's.

use std::path::Path;

use super::args::Scenario;
use super::bank::Setting;
use super::report::{Figure, Report};
use super::{Context, Fallible};

/// What one round found of a scenario: the other build's figures, and this one's.
struct Round {
    other: Report,
    this: Report,
}

/// Plays a scenario on both builds in turns, as many rounds as there are runs. Which one begins changes from round to
/// round, so that neither has the better place.
pub fn run(
    context: &Context,
    other: &Path,
    scenario: Scenario,
    report: &mut Report,
) -> Fallible<()> {
    let once = |program: &Path, socket: bool| {
        let setting = Setting { program: program.to_owned(), socket, ..context.setting.clone() };
        let mut found = Report::new(scenario.name());
        let context = Context { setting, runs: 1, ..context.clone() };
        scenario.run(&context, &mut found).map(|()| found)
    };
    let said = |build: &str, error: String| format!("{build}: {error}");
    let other = || once(other, false).map_err(|error| said("the other build", error));
    let this = || {
        let Setting { program, socket, .. } = &context.setting;
        once(program, *socket).map_err(|error| said("this build", error))
    };
    for round in 0..context.runs {
        let round = if round % 2 == 0 {
            let other = other()?;
            Round { other, this: this()? }
        } else {
            let this = this()?;
            Round { this, other: other()? }
        };
        round.add_to(report);
    }
    Ok(())
}

impl Round {
    /// Adds the figures of both builds and their ratio; of a figure that only one has, nothing.
    fn add_to(&self, report: &mut Report) {
        for Figure { name, unit, .. } in &self.this.figures {
            if !self.other.figures.iter().any(|figure| figure.name == *name) {
                continue;
            }
            let (other, this) = (self.other.last(name), self.this.last(name));
            report.compare(name, *unit, other, this);
        }
        for found in [&self.other, &self.this] {
            report.copy_checks(found);
        }
    }
}
