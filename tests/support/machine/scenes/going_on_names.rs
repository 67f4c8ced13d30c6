//! Sessions that clients named, in a bank that goes on where another one ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bank::blockchain::chain::Chain;
use crate::bank::ids::{NamedSession, RequestId, SessionId};
use crate::bank::ledger::balances::Balances;
use crate::bank::reason::Code;
use crate::bank::request::{ErrorCode, Instruction, Reply, Request};
use crate::machine::cluster::{Cluster, pays, position};
use crate::machine::stage::genesis;

use super::going_on::{NEXT, THREE, block_0, is_told, opening, opening_with};

fn name(name: &str, last: Option<u64>) -> Request {
    Request::Session(Some(NamedSession { name: name.parse().unwrap(), last }))
}

/// A's session, or why it isn't opened.
fn open(cluster: &mut Cluster, asked: Request) -> Result<SessionId, String> {
    opened(cluster, asked).map(|(session, _)| session)
}

/// Does the same, with the highest number that A knows.
fn opened(cluster: &mut Cluster, asked: Request) -> Result<(SessionId, u64), String> {
    match cluster.ask("A", asked) {
        Some(Reply::Session { session, highest }) => Ok((session, highest.unwrap())),
        Some(Reply::Error { error: ErrorCode::NameRefused, message }) => Err(message),
        other => panic!("{other:?}"),
    }
}

fn pays_in(session: &SessionId, number: u64) -> Instruction {
    pays("A", "B", 1, Some(RequestId { session: session.clone(), number }))
}

/// A bank that was founded before opening blocks told sessions doesn't know which names were used in the former bank, so
/// a client has to say that its name wasn't.
pub fn a_name_of_the_former_bank_is_no_new_one() {
    let mut former = Cluster::open(THREE);
    let settled = open(&mut former, name("settled", None)).unwrap();
    former.instruct("A", &pays_in(&settled, 1)).unwrap();
    assert!(former.settle("A"));
    let carried = open(&mut former, name("carried", None)).unwrap();
    former.instruct("A", &pays_in(&carried, 1)).unwrap();
    let disk = &former.nodes["A"].disk;
    let logs = [("A".parse().unwrap(), disk.stored.log.clone())].into();
    let opening = Arc::new(opening(&disk.chain, logs));
    let mut cluster = Cluster::going_on(opening).opened(THREE);
    for last in [None, Some(1)] {
        for known in ["settled", "carried", "unheard-of"] {
            let refused = open(&mut cluster, name(known, last)).unwrap_err();
            assert!(refused.contains("take a new name, with \"last\":0"), "{refused}");
        }
    }
    let refused = open(&mut cluster, name("carried", Some(0))).unwrap_err();
    assert!(refused.contains("carried was used before"), "it is known to be: {refused}");
    assert_eq!(is_told(&mut cluster, "A", &pays_in(&settled, 1)), Err(Code::TooLate));
    assert_eq!(is_told(&mut cluster, "A", &pays_in(&settled, 2)), Err(Code::TooLate));
    assert_eq!(is_told(&mut cluster, "A", &pays_in(&carried, 1)), Ok((1, 2)));
    let new = open(&mut cluster, name("new", Some(0))).unwrap();
    assert_eq!(new.to_string(), format!("A.{NEXT}.named.new"));
    assert_eq!(position(&cluster.instruct("A", &pays_in(&new, 1)).unwrap()), Some((NEXT, 1)));
    cluster.restart("A", false);
    cluster.run(2_000);
    assert_eq!(open(&mut cluster, name("new", None)), Ok(new), "it is known from now on");
}

/// Opening blocks tell how far each name had come. So a retry of what is in the balances pays nothing, and any other name
/// is new, whatever its client says of it.
pub fn names_go_on_where_the_former_bank_ended() {
    let mut former = Cluster::open(THREE);
    let used = open(&mut former, name("used", None)).unwrap();
    let kept = [1, 3, 4].map(|number| pays_in(&used, number));
    for asked in &kept[..2] {
        former.instruct("A", asked).unwrap();
    }
    assert!(former.settle("A"));
    former.instruct("A", &kept[2]).unwrap();
    let disk = &former.nodes["A"].disk;
    let logs = [("A".parse().unwrap(), disk.stored.log.clone())].into();
    let here: SessionId = format!("A.{NEXT}.named.used").parse().unwrap();
    let told = Some([(here.clone(), 4)].into());
    let opening = Arc::new(opening_with(&disk.chain, logs, told));
    let mut cluster = Cluster::going_on(opening).opened(THREE);
    // From the whole chain, from its end, and with another store.
    for tail in [None, None, Some(1), Some(9)] {
        let before = cluster.balance("A");
        for last in [None, Some(0), Some(4), Some(9)] {
            let (session, highest) = opened(&mut cluster, name("used", last)).unwrap();
            assert!(session == here && highest >= 4, "{session}: {highest}");
        }
        for number in 1..=4 {
            let told = is_told(&mut cluster, "A", &pays_in(&here, number));
            assert_eq!(told, Err(Code::TooLate), "{number}: it may be in the balances");
        }
        // In its former session, too: it is known, or was forgotten.
        let told = is_told(&mut cluster, "A", &kept[2]);
        assert!(matches!(told, Ok((1, 3)) | Err(Code::TooLate)), "{told:?}");
        assert_eq!(cluster.balance("A"), before, "{tail:?}");
        let (_, highest) = opened(&mut cluster, name("used", None)).unwrap();
        let paid = position(&cluster.instruct("A", &pays_in(&here, highest + 1)).unwrap());
        assert!(paid.is_some_and(|(epoch, _)| epoch == NEXT), "what is new is paid: {paid:?}");
        let new = open(&mut cluster, name("unheard-of", None)).unwrap();
        assert_eq!(new.to_string(), format!("A.{NEXT}.named.unheard-of"));
        assert!(cluster.settle("A"));
        cluster.nodes.get_mut("A").unwrap().disk.tail = tail;
        cluster.restart("A", false);
        cluster.run(2_000);
    }
}

/// What an opening block tells that no client can have named makes it none.
pub fn a_session_that_nobody_can_have_named_is_in_no_opening_block() {
    for (session, highest) in [
        (format!("A.{NEXT}.named.x"), 0),
        ("A.1.named.x".to_owned(), 1),
        (format!("Z.{NEXT}.named.x"), 1),
        (format!("A.{NEXT}.0.00000000000000ff"), 1),
    ] {
        let told = Some([(session.parse().unwrap(), highest)].into());
        let opening = opening_with(&[genesis()], BTreeMap::new(), told);
        let block = block_0(&opening);
        let chain = Chain::found(&block).unwrap();
        let mut balances = Balances::new(7, 256);
        balances.found(chain.opening_balances());
        let next = opening.block_after(0, block.hash()).unwrap();
        let wrong = chain.verify(&balances, &next).unwrap_err().to_string();
        assert!(wrong.contains("no client can have named"), "{session}: {wrong}");
    }
}
