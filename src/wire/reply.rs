//! What servers answer, as lines: `{"id":2,"outcome":"accepted",…}`.

use serde::Serialize;

use crate::bank::blockchain::block::{BlockHash, Genesis, SealedBlock};
use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::Entry;
use crate::bank::request::Reply;
use crate::wire::to_line;

/// A reply as a line, with its newline.
pub fn encode_reply(id: Option<u64>, reply: &Reply) -> String {
    to_line(&Answer { id, reply })
}

/// The reply to [`Request::Chain`](crate::bank::request::Request::Chain) as a line, with its newline.
pub fn encode_chain(id: Option<u64>, blocks: &[SealedBlock], more: bool) -> String {
    let blocks = blocks.iter().map(HashedBlock::of).collect();
    to_line(&Answer { id, reply: &Blocks { blocks, more } })
}

#[derive(Serialize)]
struct Answer<'a, R> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(flatten)]
    reply: &'a R,
}

#[derive(Serialize)]
struct Blocks<'a> {
    blocks: Vec<HashedBlock<'a>>,
    more: bool,
}

/// A block's fields and, beside them, its hash, which the stored text can't hold.
#[derive(Serialize)]
struct HashedBlock<'a> {
    height: u64,
    hash: BlockHash,
    previous: BlockHash,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposer: Option<&'a ServerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    genesis: Option<&'a Genesis>,
    entries: &'a [Entry],
}

impl<'a> HashedBlock<'a> {
    fn of(sealed: &'a SealedBlock) -> Self {
        let block = sealed.block();
        HashedBlock {
            height: block.height,
            hash: sealed.hash(),
            previous: block.previous,
            proposer: block.proposer.as_ref(),
            genesis: block.genesis.as_ref(),
            entries: &block.entries,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::bank::amount::Amount;
    use crate::bank::blockchain::block::Block;
    use crate::bank::ids::InstanceId;
    use crate::bank::ledger::entry::Via;
    use crate::bank::request::{ErrorCode, Outcome};

    fn entry() -> Entry {
        Entry {
            server: "A".parse().unwrap(),
            epoch: 1,
            seq: 1,
            from: "A".parse().unwrap(),
            to: "B".parse().unwrap(),
            amount: Amount::new(30).unwrap(),
            request: None,
            via: Via::Local,
        }
    }

    #[test]
    fn the_id_comes_first_and_is_left_out_if_there_is_none() {
        let accepted = Reply::Transfer(Outcome::Accepted {
            server: "A".parse().unwrap(),
            epoch: 1,
            seq: 2,
            balance: Amount::new(70).unwrap(),
            via: Via::Local,
            repeated: false,
        });
        let fields =
            r#""outcome":"accepted","server":"A","epoch":1,"seq":2,"balance":70,"via":"local"}"#;
        assert_eq!(encode_reply(Some(2), &accepted), format!("{{\"id\":2,{fields}\n"));
        assert_eq!(encode_reply(None, &accepted), format!("{{{fields}\n"));
    }

    #[test]
    fn each_kind_of_reply_is_one_line_that_names_its_fields() {
        let error = Reply::Error { error: ErrorCode::NotJson, message: "a\nb".into() };
        assert_eq!(encode_reply(None, &error), "{\"error\":\"not_json\",\"message\":\"a\\nb\"}\n");
        let session = Reply::Session { session: "A.1.0.00000000000000ff.1".parse().unwrap() };
        assert_eq!(
            encode_reply(Some(1), &session),
            "{\"id\":1,\"session\":\"A.1.0.00000000000000ff.1\"}\n"
        );
        let log = Reply::Log { server: "A".parse().unwrap(), entries: vec![entry()], more: false };
        assert_eq!(
            encode_reply(Some(5), &log),
            "{\"id\":5,\"server\":\"A\",\"entries\":[{\"server\":\"A\",\"epoch\":1,\"seq\":1,\
             \"from\":\"A\",\"to\":\"B\",\"amount\":30}],\"more\":false}\n"
        );
        let invalid = Outcome::Invalid { reason: "no".into() };
        assert_eq!(
            encode_reply(Some(3), &Reply::Transfers { outcomes: vec![invalid] }),
            "{\"id\":3,\"outcomes\":[{\"outcome\":\"invalid\",\"reason\":\"no\"}]}\n"
        );
    }

    #[test]
    fn blocks_stand_with_their_hashes() {
        let genesis = SealedBlock::genesis(Genesis {
            format: 1,
            opening_balance: Amount::new(100).unwrap(),
            servers: BTreeMap::from([("A".parse().unwrap(), InstanceId(1))]),
        });
        let next = SealedBlock::seal(Block {
            height: 1,
            previous: genesis.hash(),
            proposer: Some("B".parse().unwrap()),
            genesis: None,
            entries: vec![entry()],
        });
        let line = encode_chain(Some(6), &[genesis.clone(), next.clone()], true);
        let (zero, one) = (BlockHash::NONE, genesis.hash());
        let expected = format!(
            "{{\"id\":6,\"blocks\":[{{\"height\":0,\"hash\":\"{one}\",\"previous\":\"{zero}\",\
             \"genesis\":{{\"format\":1,\"opening_balance\":100,\
             \"servers\":{{\"A\":\"0000000000000001\"}}}},\"entries\":[]}},\
             {{\"height\":1,\"hash\":\"{}\",\"previous\":\"{one}\",\"proposer\":\"B\",\
             \"entries\":[{{\"server\":\"A\",\"epoch\":1,\"seq\":1,\"from\":\"A\",\"to\":\"B\",\
             \"amount\":30}}]}}],\"more\":true}}\n",
            next.hash()
        );
        assert_eq!(line, expected);
    }
}
