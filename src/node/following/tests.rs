use super::*;
use crate::bank::blockchain::block::{Block, BlockHash, Genesis};
use crate::bank::effects::Write;
use crate::bank::ids::TurnNumber;
use crate::bank::request::{Follow, Wanted};
use crate::node::streams::{Pace, Stream};
use crate::store::StoreError;
use crate::wire::Tag;
use serde_json::Value;

/// A source that has these blocks, and counts what is read.
struct Blocks(Arc<Mutex<(Vec<SealedBlock>, usize)>>);

impl BlockSource for Blocks {
    fn blocks(&mut self, from: u64, to: u64, _: usize) -> Result<Vec<SealedBlock>, StoreError> {
        let (blocks, reads) = &mut *self.0.lock().unwrap();
        *reads += 1;
        // Two at a time.
        Ok(blocks
            .iter()
            .filter(|block| (from..=to).contains(&block.height()))
            .take(2)
            .cloned()
            .collect())
    }
}

struct Stage {
    following: Following,
    spreader: Spreader,
    blocks: Arc<Mutex<(Vec<SealedBlock>, usize)>>,
}

fn element(epoch: u64, seq: u64, entries: &str) -> Element {
    Element::open(&format!("{{\"epoch\":{epoch},\"seq\":{seq},\"entries\":[{entries}]}}")).unwrap()
}

fn block(height: u64, element: Option<Element>) -> SealedBlock {
    let logs = element.map(|element| ("A".parse().unwrap(), vec![element]));
    SealedBlock::seal(Block {
        height,
        previous: BlockHash::NONE,
        proposer: None,
        genesis: None::<Genesis>,
        opening: None,
        logs: logs.into_iter().collect(),
    })
}

impl Stage {
    /// A chain of block 0 and `more`, each with two entries of A.
    fn new(more: u64) -> Stage {
        let pays = |height: u64| element(1, 2 * height - 1, r#"["A","B",1],["A","C",1]"#);
        let chain = (0..=more).map(|height| block(height, (height > 0).then(|| pays(height))));
        let blocks = Arc::new(Mutex::new((chain.collect(), 0)));
        let source = Box::new(Blocks(Arc::clone(&blocks)));
        let (following, spreader) = Following::new("A".parse().unwrap(), source);
        Stage { following, spreader, blocks }
    }

    fn follow(&mut self, follow: Follow, log: Vec<Element>) -> Box<Follower> {
        let blocks = self.blocks.lock().unwrap().0.len() as u64;
        let begun = request::Following { follow, blocks, bank: BlockHash::NONE, log };
        let follower = self.following.admit(begun).unwrap().named(Some(&Tag::Number(1)));
        self.spread();
        follower
    }

    fn append(&mut self, block: SealedBlock) {
        self.blocks.lock().unwrap().0.push(block.clone());
        self.durable(vec![Write::Append {
            block,
            from_accepted: false,
            trim: 0,
            pages: Vec::new(),
            checkpoint: 0,
            derived: Box::default(),
            sessions: Default::default(),
            promise_stands: false,
        }]);
        self.spread();
    }

    fn durable(&mut self, writes: Vec<Write>) {
        self.following.durable(&Batch { number: TurnNumber(1), writes });
    }

    fn spread(&mut self) {
        self.spreader.spread();
    }

    fn reads(&self) -> usize {
        self.blocks.lock().unwrap().1
    }
}

/// All that a follower is told until there is nothing more, in short: the places, `log`, `next` and errors.
fn told(follower: &mut Follower) -> Vec<String> {
    let mut text = Vec::new();
    while follower.tell(&mut text) == Pace::More {}
    lines(&text)
}

fn lines(text: &[u8]) -> Vec<String> {
    let short = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["id"], 1);
        match &line {
            line if line["error"].is_string() => line["message"].as_str().unwrap().to_owned(),
            line if line["bank"].is_string() => format!("begins at {}", line["next"]["height"]),
            line if line["log"] == true => format!("log {}", line["seq"]),
            line if line["next"].is_object() => format!("next {}", line["next"]["height"]),
            line => format!("{}-{}:{}", line["height"], line["number"], line["seq"]),
        }
    };
    std::str::from_utf8(text).unwrap().lines().map(short).collect()
}

fn from(place: &str) -> Follow {
    Follow { from: Some(place.parse().unwrap()), ..Follow::default() }
}

#[test]
fn what_is_stored_comes_first_and_what_is_new_without_the_store() {
    let mut stage = Stage::new(5);
    let mut follower = stage.follow(from("3-1"), Vec::new());
    let expected = ["begins at 3", "3-1:6", "4-0:7", "4-1:8", "5-0:9", "5-1:10", "next 6"];
    assert_eq!(told(&mut follower), expected);
    let reads = stage.reads();
    assert_eq!(reads, 2);
    stage.append(block(6, None));
    stage.append(block(7, Some(element(1, 11, r#"["A","B",1]"#))));
    assert_eq!(told(&mut follower), ["7-0:11", "next 8"]);
    let mut late = stage.follow(from("7"), Vec::new());
    assert_eq!(told(&mut late), ["begins at 7", "7-0:11", "next 8"]);
    let mut now = stage.follow(Follow::default(), Vec::new());
    assert_eq!(told(&mut now), ["begins at 8"]);
    assert_eq!(stage.reads(), reads, "all that was at hand");
}

#[test]
fn nothing_waits_for_a_follower_that_holds_the_shelf_and_nothing_is_lost() {
    let mut stage = Stage::new(1);
    let mut follower = stage.follow(Follow { log: true, ..Follow::default() }, Vec::new());
    assert_eq!(told(&mut follower), ["begins at 2"]);
    let shared = Arc::clone(&stage.following.0);
    let held = shared.shelf.state();
    stage.append(block(2, None));
    for seq in 3..NEWS as u64 + 100 {
        stage.durable(vec![Write::Log(element(1, seq, r#"["A","B",1]"#))]);
        stage.spread();
    }
    let mut late = stage.follow(from("2"), Vec::new());
    drop(held);
    stage.spread();
    let log = (3..NEWS as u64 + 100).map(|seq| format!("log {seq}"));
    let (logged, marks): (Vec<_>, Vec<_>) =
        told(&mut follower).into_iter().partition(|line| line.starts_with("log"));
    assert_eq!((logged, marks), (log.collect(), vec!["next 3".to_owned()]));
    assert_eq!(told(&mut late), ["begins at 2", "next 3"]);
}

#[test]
fn a_place_beyond_the_chain_or_beyond_a_block_is_waited_for() {
    let mut stage = Stage::new(1);
    let mut far = stage.follow(from("3-1"), Vec::new());
    let mut beyond = stage.follow(from("1-7"), Vec::new());
    assert_eq!(told(&mut far), ["begins at 3"]);
    assert_eq!(told(&mut beyond), ["begins at 1", "next 2"]);
    for height in 2..4 {
        stage.append(block(height, Some(element(1, height, r#"["A","B",1],["A","B",1]"#))));
    }
    assert_eq!(told(&mut far), ["3-1:4", "next 4"]);
    assert_eq!(told(&mut beyond), ["2-0:2", "2-1:3", "3-0:3", "3-1:4", "next 4"]);
}

#[test]
fn only_what_is_wanted_is_told_under_its_own_number() {
    let mut stage = Stage::new(2);
    let wanted = Wanted::new(vec!["C".parse().unwrap()], String::new());
    let mut follower = stage.follow(Follow { wanted, ..from("0") }, Vec::new());
    assert_eq!(told(&mut follower), ["begins at 0", "1-1:2", "2-1:4", "next 3"]);
}

#[test]
fn a_long_block_is_told_in_pieces() {
    let mut stage = Stage::new(0);
    let entries = vec![r#"["A","B",1]"#; 5_000].join(",");
    let mut follower = stage.follow(from("0"), Vec::new());
    told(&mut follower);
    stage.append(block(1, Some(element(1, 1, &entries))));
    let mut all = Vec::new();
    loop {
        let mut text = Vec::new();
        let pace = follower.tell(&mut text);
        assert!(text.len() < 256 << 10, "{} bytes", text.len());
        all.extend(lines(&text));
        // As when the client doesn't read.
        follower.rest();
        if pace != Pace::More {
            break;
        }
    }
    let expected = (0..5_000).map(|number| format!("1-{number}:{}", number + 1));
    assert!(all.iter().eq(expected.chain(["next 2".to_owned()]).collect::<Vec<_>>().iter()));
}

#[test]
fn the_log_is_told_once_and_what_a_block_took_before_is_told_there_alone() {
    let mut stage = Stage::new(1);
    // The last element was not complete when it was asked.
    let log = vec![element(1, 3, r#"["A","B",1]"#), element(1, 4, r#"["A","B",1]"#)];
    let follow = Follow { log: true, ..Follow::default() };
    let mut follower = stage.follow(follow.clone(), log.clone());
    let mut slow = stage.follow(follow, log);
    assert_eq!(told(&mut follower), ["begins at 2", "log 3", "log 4"]);
    stage.durable(vec![Write::Log(element(1, 4, r#"["A","B",1],["A","B",2]"#))]);
    stage.durable(vec![Write::Log(element(1, 6, r#"["A","B",1]"#))]);
    stage.spread();
    assert_eq!(told(&mut follower), ["log 5", "log 6"]);
    stage.append(block(2, Some(element(1, 3, r#"["A","B",1],["A","B",1],["A","B",2]"#))));
    let block = ["2-0:3", "2-1:4", "2-2:5"];
    assert_eq!(told(&mut follower), [&block[..], &["next 3"]].concat());
    assert_eq!(told(&mut slow), [&["begins at 2"], &block[..], &["log 6", "next 3"]].concat());
}

#[test]
fn whoever_missed_news_of_the_log_is_told_to_go_on_elsewhere() {
    let mut stage = Stage::new(1);
    let mut plain = stage.follow(Follow::default(), Vec::new());
    let mut follower = stage.follow(Follow { log: true, ..Follow::default() }, Vec::new());
    assert_eq!(
        (told(&mut plain), told(&mut follower)),
        (vec!["begins at 2".into()], vec!["begins at 2".into()])
    );
    for seq in 1..=NEWS as u64 + 1 {
        stage.durable(vec![Write::Log(element(1, seq, r#"["A","B",1]"#))]);
    }
    stage.spread();
    let expected = ["more came into the log than could be told; go on from 2-0"];
    assert_eq!(told(&mut follower), expected);
    drop(follower);
    stage.append(block(2, None));
    assert_eq!(told(&mut plain), ["next 3"]);
    let log = vec![element(1, 3, r#"["A","B",1]"#)];
    let mut anew = stage.follow(Follow { log: true, ..Follow::default() }, log);
    assert_eq!(told(&mut anew), ["begins at 3", "log 3"]);
}

#[test]
fn places_are_bounded_and_given_back() {
    let mut stage = Stage::new(0);
    let mut all: Vec<_> = (0..MAX_FOLLOWERS).map(|_| stage.follow(from("0"), Vec::new())).collect();
    let begun = || {
        let (follow, blocks) = (Follow::default(), 1);
        request::Following { follow, blocks, bank: BlockHash::NONE, log: Vec::new() }
    };
    let Err(Reply::Error { error, message }) = stage.following.admit(begun()) else {
        panic!("one too many")
    };
    assert_eq!(error, ErrorCode::Unavailable);
    assert!(message.starts_with("64 clients follow this server already"), "{message}");
    all.pop();
    assert!(stage.following.admit(begun()).is_ok());
    drop(all);
    stage.spread();
    assert_eq!(stage.following.0.seats.load(Ordering::SeqCst), 0);
    stage.append(block(1, None));
    assert!(stage.spreader.news.is_empty(), "nobody wants to know");
}

#[test]
fn silence_is_broken_by_a_mark() {
    let mut stage = Stage::new(0);
    let mut follower = stage.follow(from("0"), Vec::new());
    told(&mut follower);
    let mut text = Vec::new();
    let Pace::Until(moment) = follower.tell(&mut text) else { panic!("there is nothing more") };
    assert!(text.is_empty());
    assert!(moment <= Instant::now() + Duration::from_secs(5), "it is told something in time");
    follower.was_told_long_ago();
    follower.tell(&mut text);
    assert_eq!(lines(&text), ["next 1"]);
}
