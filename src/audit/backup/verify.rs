//! Verifying a backup: each file, and the chain and log as a whole.

use std::io::{self, Write};
use std::path::Path;

use crate::audit::backup::manifest::Manifest;
use crate::audit::backup::source::BackupSource;
use crate::audit::backup::target::spot;
use crate::audit::examined::Examined;
use crate::audit::finding::{Finding, Trouble};
use crate::bank::blockchain::block::SealedBlock;

/// A backup that was verified.
pub struct Verified {
    /// What was in the folder.
    pub manifest: Manifest,
    /// The chain and the log.
    pub examined: Examined,
    /// The block that the server had accepted for the next height, if any.
    pub accepted: Option<SealedBlock>,
}

/// Verifies the backup in a folder.
///
/// # Errors
/// Everything that is wrong with its files; or else the first thing that is wrong in them.
pub fn verify(folder: &Path) -> Result<Verified, Vec<Trouble>> {
    let source = BackupSource::open(folder).map_err(|trouble| vec![trouble])?;
    let damages = source.damages();
    if !damages.is_empty() {
        return Err(damages.into_iter().map(Trouble::from).collect());
    }
    let (manifest, accepted) = (source.manifest().clone(), source.accepted());
    let accepted = accepted.map_err(|trouble| vec![trouble])?;
    let examined = Examined::of(Box::new(source));
    if let Some(trouble) = &examined.trouble {
        return Err(vec![trouble.clone()]);
    }
    check(folder, &manifest, &examined, accepted.as_ref())
        .map_err(|finding| vec![finding.into()])?;
    Ok(Verified { manifest, examined, accepted })
}

/// Checks what the manifest says beside the blocks.
fn check(
    folder: &Path,
    manifest: &Manifest,
    examined: &Examined,
    accepted: Option<&SealedBlock>,
) -> Result<(), Finding> {
    let place = || spot(&folder.join(super::manifest::MANIFEST));
    let chain =
        examined.replay.chain().ok_or_else(|| Finding::new(place(), "there is no chain"))?;
    let included = chain.included(&manifest.server);
    if included.epoch != manifest.epoch {
        let (said, right) = (manifest.epoch, included.epoch);
        let what = format!("the epoch is {said} by it, and {right} by the chain");
        return Err(Finding::new(place(), what));
    }
    let Some((block, other)) = accepted.zip(manifest.accepted.as_ref()) else { return Ok(()) };
    match chain.verify(examined.replay.balances(), block) {
        Ok(_) => Ok(()),
        Err(error) => Err(Finding::new(spot(&folder.join(&other.file)), error.to_string())),
    }
}

impl Verified {
    /// Says what the backup holds.
    pub fn write(&self, folder: &Path, to: &mut dyn Write) -> io::Result<()> {
        let Manifest { server, bank, turn, time, height, head, segments, entries, .. } =
            &self.manifest;
        let (total, accounts) = self.examined.replay.counted();
        let bytes: u64 = self.manifest.blocks().map(|blocks| blocks.bytes).sum();
        writeln!(to, "{}: the backup of server {server}, of {time}", folder.display())?;
        writeln!(to, "  bank     block 0 is {bank}")?;
        writeln!(to, "  chain    height {height}, head {head}, entries: {}", self.entries())?;
        let tail = self.manifest.tail.as_ref().map_or_else(
            || "no tail".to_owned(),
            |tail| format!("a tail of the blocks {} to {}", tail.first, tail.last),
        );
        writeln!(to, "  files    segments: {}, {tail}, {bytes} bytes", segments.len())?;
        writeln!(to, "  log      entries: {entries}, of turn {turn}")?;
        if self.accepted.is_some() {
            let next = height + 1;
            writeln!(to, "  accepted block {next}, which need not have been chosen")?;
        }
        writeln!(to, "  total    {total} in accounts: {accounts}")?;
        self.examined.notes.iter().try_for_each(|note| writeln!(to, "  note     {note}"))?;
        writeln!(to, "  sound    all files are as they were written, and are one chain and its log")
    }

    fn entries(&self) -> u64 {
        self.examined.replay.entries()
    }
}
