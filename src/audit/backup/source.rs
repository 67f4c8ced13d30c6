//! A backup, as a source of an audit.

use std::fs;
use std::path::{Path, PathBuf};

use crate::audit::across::hash_at;
use crate::audit::backup::manifest::{MANIFEST, Manifest, Other};
use crate::audit::backup::target::{read_manifest, spot};
use crate::audit::finding::{At, Finding, Spot, Trouble};
use crate::audit::replay::BlockFound;
use crate::audit::segments::SegmentFiles;
use crate::audit::source::{AccountsPiece, Source, Standing};
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::stored::Place;
use crate::explain::explain;
use crate::store::archive::reader::check_file;

/// A server's backup.
pub struct BackupSource {
    folder: PathBuf,
    manifest: Manifest,
    files: SegmentFiles,
    /// True once the files were compared with the manifest.
    has_checked: bool,
}

impl BackupSource {
    /// Opens the backup in a folder.
    ///
    /// # Errors
    /// If there is none, or its manifest can't be read or is wrong.
    pub fn open(folder: &Path) -> Result<BackupSource, Trouble> {
        let manifest = read_manifest(folder)?.ok_or_else(|| {
            let place = folder.display();
            Trouble::Unread(match folder.is_dir() {
                true => format!("{place} is no backup: it has no {MANIFEST}"),
                false => format!("{place}: there is no such folder"),
            })
        })?;
        let paths = manifest.blocks().map(|blocks| blocks.segment().path(folder));
        let firsts = manifest.blocks().map(|blocks| blocks.first);
        let files = SegmentFiles::of(folder, firsts.zip(paths));
        Ok(BackupSource { folder: folder.to_owned(), manifest, files, has_checked: false })
    }

    /// Returns the manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Compares all files with the manifest; returns everything that is wrong.
    pub fn damages(&self) -> Vec<Finding> {
        let of_blocks = self.manifest.blocks().map(|blocks| {
            let segment = blocks.segment();
            (segment.path(&self.folder), segment.bytes, segment.sha256)
        });
        let others = self.manifest.others();
        let others = others.map(|other| (self.folder.join(&other.file), other.bytes, other.sha256));
        let damage = |(path, bytes, sha256): (PathBuf, u64, _)| {
            let damage = check_file(&path, bytes, &sha256).err()?;
            Some(Finding::new(spot(&path), damage.what))
        };
        of_blocks.chain(others).filter_map(damage).collect()
    }

    fn of_manifest(&self, what: String) -> Trouble {
        Finding::new(spot(&self.folder.join(MANIFEST)), what).into()
    }

    /// Checks that the files are those of the manifest, and begin and end with its blocks.
    fn check(&mut self) -> Result<(), Trouble> {
        if let Some(damage) = self.damages().into_iter().next() {
            return Err(damage.into());
        }
        if let Some(trouble) = self.files.trouble() {
            return Err(trouble.clone());
        }
        let Manifest { bank, head, height, .. } = self.manifest;
        if self.files.end() != height + 1 {
            let (found, wanted) = (self.files.end(), height + 1);
            return Err(self.of_manifest(format!(
                "there should be {wanted} blocks, and the files hold {found}"
            )));
        }
        for (at, wanted, which) in [(0, bank, "block 0"), (height, head, "the last block")] {
            let found = hash_at(&mut self.files, at)?;
            if found != wanted {
                return Err(self.of_manifest(format!("{which} is {found}, and not {wanted}")));
            }
        }
        Ok(())
    }

    /// Reads the lines of one of the files beside the blocks.
    fn lines(&self, other: &Other) -> Result<Vec<String>, Trouble> {
        let path = self.folder.join(&other.file);
        let text = fs::read_to_string(&path)
            .map_err(|error| Trouble::Unread(format!("{}: {error}", path.display())))?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        match lines.len() as u64 == other.lines {
            true => Ok(lines),
            false => Err(self.of_manifest(format!(
                "{} should have {} lines, and has {}",
                other.file,
                other.lines,
                lines.len()
            ))),
        }
    }

    fn log(&self) -> Result<Vec<Element>, Trouble> {
        let log = &self.manifest.log;
        let path = self.folder.join(&log.file);
        let parse = |(index, line): (usize, String)| {
            let spot = Spot { at: Some(At::Line(index as u64 + 1)), ..spot(&path) };
            Element::open(&line).map_err(|error| Finding::new(spot, explain(&error)).into())
        };
        let elements: Result<Vec<Element>, Trouble> =
            self.lines(log)?.into_iter().enumerate().map(parse).collect();
        let elements = elements?;
        let entries: u64 = elements.iter().map(|element| element.records().len() as u64).sum();
        match entries == self.manifest.entries {
            true => Ok(elements),
            false => Err(self.of_manifest(format!(
                "the log should have {} entries, and has {entries}",
                self.manifest.entries
            ))),
        }
    }

    /// Reads the block that the server had accepted for the next height, if any.
    ///
    /// # Errors
    /// If it can't be read or understood.
    pub fn accepted(&self) -> Result<Option<SealedBlock>, Trouble> {
        let Some(accepted) = &self.manifest.accepted else { return Ok(None) };
        let at = spot(&self.folder.join(&accepted.file));
        let lines = self.lines(accepted)?;
        let [line] = &lines[..] else {
            return Err(Finding::new(at, "it should be one line").into());
        };
        let block = SealedBlock::open(line);
        block.map(Some).map_err(|error| Finding::new(at, explain(&error)).into())
    }
}

impl Source for BackupSource {
    fn name(&self) -> String {
        format!("the backup of {} in {}", self.manifest.server, self.folder.display())
    }

    fn server(&self) -> Option<ServerId> {
        Some(self.manifest.server.clone())
    }

    fn spot(&self, place: &Place) -> Spot {
        let log = || spot(&self.folder.join(&self.manifest.log.file));
        match place {
            Place::Block(_) => self.files.spot(place),
            Place::Log => log(),
            Place::Element(index) => Spot { at: Some(At::Line(*index as u64 + 1)), ..log() },
            _ => spot(&self.folder),
        }
    }

    fn standing(&mut self) -> Result<Option<Standing>, Trouble> {
        if !self.has_checked {
            self.check()?;
            self.has_checked = true;
        }
        Ok(Some(Standing {
            blocks: self.manifest.height + 1,
            log: self.log()?,
            instance: Some(self.manifest.instance),
            kept: None,
        }))
    }

    fn length(&mut self) -> Result<u64, Trouble> {
        Ok(self.files.end())
    }

    fn blocks(&mut self, from: u64, to: u64) -> Result<Vec<BlockFound>, Trouble> {
        self.files.blocks(from, to)
    }

    fn accounts_piece(&mut self) -> Result<Option<AccountsPiece>, Trouble> {
        Ok(None)
    }
}
