//! Whose the folders of segments are that an auditor was given.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::bank::ids::ServerId;
use crate::store::archive::folder::Folder;

/// Finds the server of each folder.
///
/// # Errors
/// If a folder can't be read, or is no archive, or two are of one server.
pub fn of<'a>(
    paths: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<BTreeMap<ServerId, Folder>, String> {
    let mut folders: BTreeMap<ServerId, Folder> = BTreeMap::new();
    for path in paths {
        let (folder, place) = (Folder::new(path.clone()), path.display());
        let owner = folder.owner().map_err(|error| error.to_string())?;
        let Some(owner) = owner else {
            return Err(format!(
                "{place} is no server's archive: it has no archive.json, which a server writes that is started \
                 with --archive"
            ));
        };
        if let Some(other) = folders.insert(owner.server.clone(), folder) {
            let other = other.path().display();
            return Err(format!(
                "{other} and {place} are both of server {}; one is enough",
                owner.server
            ));
        }
    }
    Ok(folders)
}
