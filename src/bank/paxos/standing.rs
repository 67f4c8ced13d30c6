//! A proposer whose ballot goes on (DESIGN.md, "A standing promise").

use crate::bank::blockchain::chain::Chain;
use crate::bank::ids::ServerId;
use crate::bank::paxos::proposer::Proposer;
use crate::bank::paxos::run::{Beyond, Phase, Run};
use crate::bank::timer::Timer;

/// How often a run asks for its server's own log before it goes on: each time takes a write, and brings what came in
/// during the write before.
const MOST_LOOKS: u32 = 4;

impl Proposer {
    /// True if a run for the chain's next height may begin with phase 2: a majority has promised the tenure's ballot for
    /// that height too, and has told its logs to the end.
    pub fn may_accept_at_once(&self, chain: &Chain) -> bool {
        let next = chain.height() + 1;
        let tenure = self.tenure.as_ref().filter(|tenure| tenure.may_go_on(next));
        tenure.is_some_and(|tenure| tenure.is_held(chain) && tenure.is_told_all()) && !self.wary
    }

    /// Notes that a server's vote for a run is durable: it has promised the run's ballot for all heights to come. Who has
    /// no vote has promised nothing.
    pub fn is_promised_by(&mut self, chain: &Chain, server: &ServerId, told_all: bool) {
        let votes = chain.quorum().counts(server) || planted!(BranchPromises);
        if let (Some(tenure), Some(instance)) = (&mut self.tenure, chain.instance(server))
            && votes
        {
            tenure.promised_by(server.clone(), instance);
            tenure.told(server, told_all);
        }
    }

    /// Learns what servers told of their logs beyond the block that is now the chain's last.
    pub fn learn_beyond(&mut self, chain: &Chain, from: &ServerId, beyond: Beyond) {
        if let Some(tenure) = &mut self.tenure {
            tenure.told(from, beyond.is_some());
        }
        self.knowledge.learn_beyond(chain, from, &beyond.unwrap_or_default());
    }

    /// Has the run wait a moment, and then for the own log alone. Returns the timer that has to be set.
    pub fn wait_for_clients(&mut self) -> Option<Timer> {
        let run = self.run.as_mut()?;
        run.phase = Phase::GoingOn { asked: 0 };
        Some(Timer::Comeback)
    }

    /// Has the run ask for the own log alone, once more. False if it has asked often enough: what comes in while it asks
    /// makes the log longer.
    pub fn ask_itself(&mut self) -> bool {
        let Some(run) = &mut self.run else { return false };
        let asked = if let Phase::GoingOn { asked } = run.phase { asked } else { 0 };
        run.phase = Phase::GoingOn { asked: asked + 1 };
        asked < MOST_LOOKS
    }

    /// True if the run waits for the own log alone.
    pub fn goes_on(&self) -> bool {
        matches!(&self.run, Some(Run { phase: Phase::GoingOn { .. }, .. }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::bank::ids::LifeId;

    #[test]
    fn it_looks_at_its_own_log_a_few_times_and_then_goes_on() {
        let mut proposer = Proposer::default();
        assert!(!proposer.ask_itself() && !proposer.goes_on(), "there is no run");
        let me = "A".parse().unwrap();
        proposer.begin(1, (me, LifeId(1)), BTreeSet::new(), BTreeSet::new());
        assert!(!proposer.goes_on(), "it asks the others");
        assert_eq!(proposer.wait_for_clients(), Some(Timer::Comeback));
        assert_eq!(proposer.gathers_until(), Some(Timer::Comeback));
        let looks = std::iter::repeat_with(|| proposer.ask_itself()).take_while(|looks| *looks);
        assert_eq!(looks.count() as u32, MOST_LOOKS);
        assert!(proposer.goes_on() && proposer.gathers_until().is_none());
    }
}
