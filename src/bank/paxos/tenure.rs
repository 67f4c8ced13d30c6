//! A ballot that goes on from height to height (*Paxos Made Simple*, 3, and DESIGN.md, "A standing promise").

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::blockchain::chain::Chain;
use crate::bank::ids::{InstanceId, ServerId};
use crate::bank::paxos::ballot::Ballot;

/// A ballot of this server's present life, and the voters that have promised it for all heights from then on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenure {
    ballot: Ballot,
    /// The last height for which a run had this ballot.
    height: u64,
    /// The voters that promised it, each with the instance of the store in which the promise is.
    promised: BTreeMap<ServerId, InstanceId>,
    /// The voters whose logs hold more than they told with their last vote.
    untold: BTreeSet<ServerId>,
}

impl Tenure {
    /// Begins a tenure with a run for a height.
    pub fn new(ballot: Ballot, height: u64) -> Tenure {
        Tenure { ballot, height, promised: BTreeMap::new(), untold: BTreeSet::new() }
    }

    /// Returns the ballot.
    pub fn ballot(&self) -> &Ballot {
        &self.ballot
    }

    /// True if the ballot may be that of a run for this height. It may be so once for each height: whose answer it is
    /// has to be clear, and a ballot has one block.
    pub fn may_go_on(&self, height: u64) -> bool {
        self.ballot.stands() && (height > self.height || planted!(BallotTwiceAtAHeight))
    }

    /// Notes that a run for this height has the ballot.
    pub fn go_on(&mut self, height: u64) {
        self.height = height;
    }

    /// Notes that a voter has promised the ballot, durably.
    pub fn promised_by(&mut self, server: ServerId, instance: InstanceId) {
        self.promised.insert(server, instance);
    }

    /// Notes whether a voter's log holds more than it told.
    pub fn told(&mut self, server: &ServerId, all: bool) {
        match all {
            true => self.untold.remove(server),
            false => self.untold.insert(server.clone()),
        };
    }

    /// True if every voter told its log to the end when it voted last.
    pub fn is_told_all(&self) -> bool {
        self.untold.is_empty()
    }

    /// True if a majority of those who vote on the chain's next height has promised the ballot, each in the store that
    /// the chain names for that height.
    pub fn is_held(&self, chain: &Chain) -> bool {
        let same = |(server, instance): &(&ServerId, &InstanceId)| {
            chain.instance(server) == Some(**instance) || planted!(StandsForAnotherStore)
        };
        let holders = self.promised.iter().filter(same).map(|(server, _)| server);
        chain.quorum().is_reached_by(holders) || planted!(StandsWithoutMajority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::ids::LifeId;

    #[test]
    fn a_ballot_is_used_once_for_each_height_and_not_for_ever() {
        let ballot = |round| Ballot { round, server: "A".parse().unwrap(), life: LifeId(1) };
        let mut tenure = Tenure::new(ballot(3), 7);
        assert!(!tenure.may_go_on(7) && tenure.may_go_on(8));
        tenure.go_on(8);
        assert!(!tenure.may_go_on(8) && tenure.may_go_on(9));
        let last = Ballot::MAX_LEAP / 2;
        assert!(Tenure::new(ballot(last), 7).may_go_on(8));
        assert!(!Tenure::new(ballot(last + 1), 7).may_go_on(8), "rounds begin anew after it");
    }

    #[test]
    fn who_holds_back_some_of_its_log_keeps_it_untold() {
        let ballot = Ballot { round: 1, server: "A".parse().unwrap(), life: LifeId(1) };
        let (mut tenure, b) = (Tenure::new(ballot, 1), "B".parse().unwrap());
        assert!(tenure.is_told_all());
        tenure.told(&b, false);
        assert!(!tenure.is_told_all());
        tenure.told(&b, true);
        assert!(tenure.is_told_all());
    }
}
