//! Whether a bank may be founded on these terms.

use std::collections::BTreeSet;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{FORMAT, Genesis, ISSUING_SINCE, KEYS_SINCE, OLDEST_FORMAT};
use crate::bank::limits::{MAX_FOUNDED, MAX_HOMES};

impl Genesis {
    /// Checks the founding terms by themselves.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let Genesis { format, opening_balance, servers, keys, origin, issuing } = self;
        if !(OLDEST_FORMAT..=FORMAT).contains(format) {
            return Err("block 0 is of another format");
        }
        let total = opening_balance.units().checked_mul(servers.len() as u64);
        let total = total.and_then(Amount::new);
        let Some(total) = total else {
            return Err("block 0 opens with more money than can be counted");
        };
        let total = origin.as_ref().map_or(total, |origin| origin.total);
        if *issuing && *format < ISSUING_SINCE {
            return Err("block 0 issues money, and is of a format before there was any to issue");
        }
        if *issuing && total > MAX_FOUNDED {
            return Err("block 0 opens with so much money that none can be issued beside it");
        }
        let homes = origin.as_ref().map_or(0, |origin| origin.included.len());
        if *issuing && homes > MAX_HOMES {
            return Err(
                "block 0 issues money, and goes on from a bank of too many servers for that",
            );
        }
        if let Some(origin) = origin {
            if *format < KEYS_SINCE || *opening_balance != Amount::ZERO {
                return Err(
                    "block 0 goes on from another bank, and opens accounts with money of its own",
                );
            }
            origin.check(servers.keys())?;
        }
        if keys.is_empty() {
            return Ok(());
        }
        let different: BTreeSet<_> = keys.values().collect();
        if *format < KEYS_SINCE || !keys.keys().eq(servers.keys()) || different.len() < keys.len() {
            return Err("block 0 names keys, and not one of its own for each server");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::bank::ids::InstanceId;

    /// Returns the terms of a bank of one server that issues money.
    fn issuing(format: u32, opening_balance: Amount) -> Genesis {
        let servers = BTreeMap::from([("A".parse().unwrap(), InstanceId(1))]);
        let keys = BTreeMap::new();
        Genesis { format, opening_balance, servers, keys, origin: None, issuing: true }
    }

    #[test]
    fn money_is_issued_since_its_format_and_beside_what_leaves_room_for_it() {
        let one_more = Amount::new(MAX_FOUNDED.units() + 1).unwrap();
        let why = |format, opens_with| issuing(format, opens_with).check().err();
        assert_eq!(why(ISSUING_SINCE, MAX_FOUNDED), None);
        let too_much = why(ISSUING_SINCE, one_more).unwrap();
        assert!(too_much.contains("so much money"), "{too_much}");
        let too_old = why(ISSUING_SINCE - 1, Amount::ZERO).unwrap();
        assert!(too_old.contains("is of a format before"), "{too_old}");
    }
}
