//! The folder with the traces of the servers and of the play itself.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Stage;
use crate::clock;
use crate::play::script::{Act, Step};
use crate::trace::record::Told;
use crate::wire::to_line;

/// The file of the play's own trace. No server is called so: a point is no part of a server's name.
const PLAY: &str = "the.play.jsonl";

impl Stage {
    /// Notes in the play's own trace what a step does to the whole bank, or says.
    pub(in crate::play) fn tell(&self, step: &Step) {
        let told = match &step.act {
            Act::Title(title) => title.clone(),
            // At a stop a client says it without its name.
            Act::Say { server, .. }
                if step.act.is_done_to_servers() && !step.text.contains(':') =>
            {
                format!("{server}: {}", step.text)
            }
            act if act.is_done_to_servers() => step.text.clone(),
            _ => return,
        };
        self.note(told);
    }

    /// Notes in the play's own trace an expectation that has not come true, with what was found instead.
    pub(in crate::play) fn tell_failure(&self, step: &Step, found: &str) {
        self.note(format!("FAILED: {}: {found}", step.text));
    }

    fn note(&self, told: String) {
        let told = Told { us: clock::micros(), told };
        let file = fs::OpenOptions::new().create(true).append(true).open(self.traces.join(PLAY));
        // A picture without it is one, too.
        let _ = file.and_then(|mut file| file.write_all(to_line(&told).as_bytes()));
    }
}

/// Prepares a folder for traces, with no earlier play's traces in it.
pub(super) fn kept_folder(path: &Path) -> Result<PathBuf, String> {
    let wrong =
        |error: io::Error| format!("the traces can't be kept in {}: {error}", path.display());
    fs::create_dir_all(path).map_err(wrong)?;
    match fs::read_dir(path).map_err(wrong)?.next() {
        None => path.canonicalize().map_err(wrong),
        Some(_) => Err(wrong(io::Error::other("it is not empty"))),
    }
}
