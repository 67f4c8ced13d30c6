//! Whose the folders of segments are that an auditor was given.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::bank::ids::ServerId;
use crate::store::archive::folder::Folder;

/// Finds the server of each folder. A folder that nobody uses yet is left out: a server makes its archive after it
/// has begun to serve. A store whose blocks are in segments says itself that it misses them.
///
/// # Errors
/// If a folder can't be read, or is something else than an archive, or two are of one server.
pub fn of<'a>(
    paths: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<BTreeMap<ServerId, Folder>, String> {
    let mut folders: BTreeMap<ServerId, Folder> = BTreeMap::new();
    for path in paths {
        let (folder, place) = (Folder::new(path.clone()), path.display());
        let owner = folder.owner().map_err(|error| error.to_string())?;
        let Some(owner) = owner else {
            match folder.is_unused() {
                Ok(true) => continue,
                Ok(false) => {
                    return Err(format!(
                        "{place} is no server's archive: it has no archive.json, which a server writes that is \
                         started with --archive"
                    ));
                }
                Err(error) => return Err(format!("{place}: {error}")),
            }
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
