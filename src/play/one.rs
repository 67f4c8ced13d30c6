//! One file, played.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::bank::amount::Amount;
use crate::play::Options;
use crate::play::homes::Homes;
use crate::play::player::{Manner, Player, Stop};
use crate::play::report::{Report, Voice};
use crate::play::script::Script;
use crate::play::stage::Stage;
use crate::play::summary::Summary;

/// The opening balance of each server's account, unless somebody says otherwise.
const USUAL_OPENING: u64 = 100;

/// Plays a script, and returns what is left at its end.
pub(super) fn play(
    file: &Path,
    script: &Script,
    options: &Options,
    voice: Voice,
) -> Result<Summary, Stop> {
    let usual = Amount::new(USUAL_OPENING);
    let each = options.opening.or(script.opening).or(usual).unwrap_or(Amount::ZERO);
    let homes = Homes::of(script);
    let stage = Stage::set(&script.servers, homes.opening_of_servers(each)?, options)?;
    let mut report = Report::new(io::stdout(), voice);
    report.text(&format!("{}: {}", file.display(), homes.in_words(&script.servers, each)))?;
    let manner = Manner {
        concurrent: options.concurrent,
        short_waits: options.short_waits,
        patience: options.patience,
        slow: options.slow,
        opening_of_accounts: each,
    };
    let mut player = Player::new(script, manner, stage, report);
    if options.step {
        player.stop_between();
    }
    if let Err(stop) = player.play() {
        return Err(match stop {
            Stop::Cannot(why) => {
                Stop::Cannot(format!("{why}\n{}", keep_logs(&player.stage, options)))
            }
            stop => stop,
        });
    }
    let mut summary = Summary::of(&mut player);
    (summary.file, summary.homes) = (file.display().to_string(), homes.by_name());
    let Player { stage, mut report, .. } = player;
    report.json(&summary)?;
    report.text(&summary.in_words())?;
    if options.logs.is_some() || (!summary.is_green() && voice != Voice::Silent) {
        summary.logs = Some(keep_logs(&stage, options));
    }
    Ok(summary)
}

/// Copies the servers' logs into a folder, and says where they are.
fn keep_logs(stage: &Stage, options: &Options) -> String {
    let folder = options.logs.clone().unwrap_or_else(|| {
        let name =
            format!("paxos-banking-failed-play-{}-{:04x}", std::process::id(), fastrand::u16(..));
        std::env::temp_dir().join(name)
    });
    let copy =
        |(id, log): (String, PathBuf)| fs::copy(log, folder.join(format!("{id}.log"))).map(drop);
    let copied =
        fs::create_dir_all(&folder).and_then(|()| stage.all_logs().into_iter().try_for_each(copy));
    match copied {
        Ok(()) => format!("The servers' logs are in {}", folder.display()),
        Err(error) => format!("The servers' logs can't be kept in {}: {error}", folder.display()),
    }
}
