//! Watches how full Redis is, where no archive takes the oldest blocks off it.

use std::time::{Duration, Instant};

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::status::ArchiveStatus;
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::reply::{command, exactly, text};
use crate::store::redis::target::Target;
use crate::store::{Archivist, Rest, StoreError};

/// How often to look.
const LOOK: Duration = Duration::from_secs(30);
/// How long Redis's growth is measured before a forecast.
const MEASURED: Duration = Duration::from_secs(300);
/// The memory from which on people are told, and told again whenever it has doubled.
const MUCH: u64 = 256 << 20;
/// How often people are told that there is little room left.
const SAID_AGAIN: Duration = Duration::from_secs(3600);

/// Tells people in time that memory will run out.
pub(super) struct MemoryWatch {
    target: Target,
    looked: Option<Instant>,
    /// The first look of those that the growth is measured by.
    since: Option<(Instant, u64)>,
    /// The memory from which on people are told next.
    much: u64,
    said: Option<Instant>,
}

/// What Redis says of its memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Memory {
    used: u64,
    /// Its `maxmemory`, or else the machine's memory; none if it doesn't say.
    limit: Option<u64>,
}

impl Memory {
    fn parse(info: &str) -> Option<Memory> {
        let field = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|value| value.trim_end().parse::<u64>().ok())
        };
        let limit = field("maxmemory").filter(|most| *most > 0);
        let limit = limit.or_else(|| field("total_system_memory").filter(|all| *all > 0));
        Some(Memory { used: field("used_memory")?, limit })
    }
}

impl MemoryWatch {
    /// Creates the watch over a Redis.
    pub(super) fn new(target: Target) -> MemoryWatch {
        MemoryWatch { target, looked: None, since: None, much: MUCH, said: None }
    }

    fn look(&self) -> Result<Option<Memory>, StoreError> {
        let mut link = RedisConnection::open(&self.target)?;
        let [info] = exactly(link.request(&[command("INFO", &["memory"])])?)?;
        Ok(text("INFO", info)?.and_then(|info| Memory::parse(&info)))
    }

    /// Returns what people should be told of a look, if anything.
    fn tell(&mut self, Memory { used, limit }: Memory, now: Instant) -> Option<String> {
        let (since, before) = *self.since.get_or_insert((now, used));
        let time = now.duration_since(since);
        let rate =
            (time >= MEASURED).then(|| used.saturating_sub(before) as f64 / time.as_secs_f64());
        let is_scarce = limit.is_some_and(|limit| used >= limit / 5 * 4);
        let is_said = self.said.is_some_and(|said| now.duration_since(said) < SAID_AGAIN);
        let is_news = used >= self.much || (is_scarce && !is_said);
        if !is_news {
            return None;
        }
        while self.much <= used {
            self.much *= 2;
        }
        self.said = Some(now);
        let of = limit.map_or(String::new(), |limit| format!(" of {}", size(limit)));
        let left = limit.unwrap_or(used).saturating_sub(used);
        let forecast = match rate {
            Some(rate) if rate > 0.0 && limit.is_some() => {
                format!(", and is full in {} at this rate", span(left as f64 / rate))
            }
            _ => String::new(),
        };
        Some(format!(
            "Redis at {} uses {}{of} of memory{forecast}: the whole chain is in it, and grows; with --archive DIR \
             old blocks go to files",
            self.target.place(),
            size(used)
        ))
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        ..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

fn span(seconds: f64) -> String {
    match seconds {
        ..7200.0 => format!("{:.0} minutes", seconds / 60.0),
        ..172_800.0 => format!("{:.0} hours", seconds / 3600.0),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

impl Archivist for MemoryWatch {
    fn work(&mut self, _: &mut Rest<'_>) -> Result<bool, String> {
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now.duration_since(looked) < LOOK) {
            return Ok(false);
        }
        self.looked = Some(now);
        match self.look() {
            Ok(Some(memory)) => {
                if let Some(said) = self.tell(memory, now) {
                    log::warn!("{said}");
                }
            }
            Ok(None) => {}
            // A Redis that fails is the event loop's to complain of; a user may lack the right to ask.
            Err(error) => log::debug!("Redis doesn't tell its memory: {error}"),
        }
        Ok(false)
    }

    fn wanted(&self) -> Option<(u64, u64)> {
        None
    }

    fn take(&mut self, _: &[SealedBlock]) {}

    fn standing(&self) -> Option<ArchiveStatus> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> MemoryWatch {
        let (time, url) = (Duration::from_secs(1), "redis://127.0.0.1:1");
        MemoryWatch::new(Target::parse(url, time, time).unwrap())
    }

    #[test]
    fn redis_says_what_it_uses_and_may_use() {
        let info = "# Memory\r\nused_memory:1000\r\nused_memory_rss:5\r\ntotal_system_memory:9000\r\n\
                    maxmemory:0\r\n";
        assert_eq!(Memory::parse(info), Some(Memory { used: 1000, limit: Some(9000) }));
        let bounded = info.replace("maxmemory:0", "maxmemory:4000");
        assert_eq!(Memory::parse(&bounded), Some(Memory { used: 1000, limit: Some(4000) }));
        assert_eq!(Memory::parse("# Memory\r\n"), None);
    }

    #[test]
    fn people_are_told_at_256_mib_at_each_doubling_and_when_little_is_left() {
        let (mut watch, begun) = (watch(), Instant::now());
        let mut look = |mib: u64, minutes: u64| {
            let memory = Memory { used: mib << 20, limit: Some(10 << 30) };
            watch.tell(memory, begun + Duration::from_secs(60 * minutes))
        };
        assert_eq!(look(255, 0), None);
        assert!(look(256, 1).unwrap().contains("uses 256 MiB of 10.0 GiB of memory: the whole"));
        assert_eq!(look(511, 2), None);
        // 4,096 MiB in 100 minutes.
        let said = look(255 + 4_096, 100).unwrap();
        assert!(said.contains("4.2 GiB of 10.0 GiB") && said.contains("2 hours at this"), "{said}");
        assert!(look(8_192, 130).is_some());
        assert_eq!(look(8_200, 150), None);
        assert!(look(8_300, 200).unwrap().contains("minutes at this rate"));
    }
}
