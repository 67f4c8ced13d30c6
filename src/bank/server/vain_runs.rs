//! Rest between runs that bring nothing (DESIGN.md, "Runs in vain").
//!
//! Every overdraft that nobody covers takes a run, which is work for all servers; and whoever asks for one
//! after the other could keep them all at that. So such runs rest in between, once there were several of
//! them in a row, and all who wait meanwhile share the next one.

use super::Server;
use super::waiting::{Need, Wait};
use crate::bank::effects::Timer;

/// What became of those who waited for a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Harvest {
    /// So many were served that would not have been without it.
    served: usize,
    /// So many were refused, or will wait for no further run, or heard that logs are settled.
    pub turned_away: usize,
    /// So many go on waiting for what the next runs bring.
    pub kept: usize,
}

impl Harvest {
    /// A group is served. If that had only waited for its turn, it is no merit of the run's.
    pub fn serve(&mut self, wait: &Wait) {
        self.served += usize::from(matches!(wait.need, Need::Money | Need::Payee));
    }
}

impl Server {
    /// Whether what is wanted by those who are mostly turned away is to wait a while. A run that is under
    /// way, for whatever reason, is for them too.
    pub(super) fn may_not_run_yet(&self) -> bool {
        self.runs_rest && self.run.is_none()
    }

    /// A run for somebody was concluded, and brought this. Where it brought nothing, and nobody waits on, it was
    /// in vain: if nobody was turned away, then because nobody needed it any more.
    pub(super) fn harvest(&mut self, Harvest { served, turned_away, kept }: Harvest) {
        if served > 0 {
            self.vain_runs = 0;
        } else if turned_away > 0 || kept == 0 {
            self.ran_in_vain();
        }
    }

    /// A run brought nothing to anybody.
    pub(super) fn ran_in_vain(&mut self) {
        self.vain_runs = self.vain_runs.saturating_add(1).min(self.config.limits.vain_runs);
        if self.vain_runs == self.config.limits.vain_runs && !planted!(VainRunsWithoutRest) {
            self.runs_rest = true;
            self.set(Timer::Rest);
        }
    }
}
