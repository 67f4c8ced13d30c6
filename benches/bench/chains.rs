//! The chains of all servers, read side by side, as `audit --archive` reads them: from segments and from Redis.

use paxos_banking::audit::archives;
use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::store::redis::Options;
use paxos_banking::store::redis::viewer::{ReadOnlyRedis, StoreViewer};

use super::Fallible;
use super::bank::Bank;

/// The amount of blocks' text that is read of a chain at a time, in bytes.
const PIECE: usize = 8 << 20;

/// The chains of a bank's servers.
pub struct Chains {
    servers: Vec<(String, StoreViewer)>,
    next: u64,
}

impl Chains {
    /// Those of a bank whose stores may be looked at. Segments are compared with what the stores say of them.
    pub fn of(bank: &Bank) -> Fallible<Chains> {
        // A server that was founded just now may not have begun.
        let begun = bank.archives().into_iter().filter(|path| path.join("archive.json").exists());
        let folders = archives::of(&begun.collect::<Vec<_>>())?;
        let mut servers = Vec::new();
        for (id, url) in bank.redis_urls() {
            let redis = ReadOnlyRedis::new(&url, &Options::default());
            let redis = redis.map_err(|error| error.to_string())?.with_folders(folders.clone());
            let server = id.parse().map_err(|_| format!("{id} is no server's name"))?;
            let mut viewer = redis.visit(&server);
            let looked = viewer.length().and_then(|_| viewer.check_segments());
            looked.map_err(|error| format!("{id}: {error}"))?;
            servers.push((id, viewer));
        }
        Ok(Chains { servers, next: 0 })
    }

    /// The next blocks, which all chains have alike; none after the end.
    pub fn next(&mut self) -> Fallible<Vec<SealedBlock>> {
        let mut blocks: Option<(&String, Vec<SealedBlock>)> = None;
        for (id, viewer) in &mut self.servers {
            let piece = viewer.blocks(self.next, u64::MAX, PIECE);
            let mut piece = piece.map_err(|error| format!("{id}: {error}"))?;
            let Some((other, same)) = &mut blocks else {
                blocks = Some((id, piece));
                continue;
            };
            // One has in a segment what the other has in Redis, and a piece ends where a segment does.
            let both = piece.len().min(same.len());
            let ends_alike = both > 0 || piece.len() == same.len();
            if !ends_alike || piece[..both] != same[..both] {
                let height = self.next;
                return Err(format!(
                    "the chains of {other} and {id} differ from block {height} on"
                ));
            }
            piece.truncate(both);
            same.truncate(both);
        }
        let (_, blocks) = blocks.ok_or("there is no server")?;
        if let Some(last) = blocks.last() {
            self.next = last.height() + 1;
        }
        Ok(blocks)
    }
}

/// The entries of a server's blocks below a height, and of those from it on.
pub fn entries_around(bank: &Bank, id: &str, height: u64) -> Fallible<(u64, u64)> {
    let mut chains = Chains::of(bank)?;
    chains.servers.retain(|(known, _)| known == id);
    let (mut below, mut above) = (0, 0);
    loop {
        let blocks = chains.next()?;
        if blocks.is_empty() {
            return Ok((below, above));
        }
        for block in blocks {
            let part = if block.height() < height { &mut below } else { &mut above };
            *part += block.block().len() as u64;
        }
    }
}

/// The height of the first block of a server that is still in Redis.
pub fn base_of(bank: &Bank, id: &str) -> Fallible<u64> {
    let mut store = bank.store_of(id)?.ok_or("its Redis may not be looked at")?;
    let key = format!("SERVER-STATE-{id}");
    let base = redis::cmd("HGET").arg(&key).arg("base").query::<Option<u64>>(&mut store);
    base.map(Option::unwrap_or_default).map_err(|error| format!("{key}: {error}"))
}
