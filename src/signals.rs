//! The signals by which whoever runs a server orders it about.
//!
//! SIGTERM and SIGINT end it in order, with status 0; a second one ends it at once. What was acknowledged is
//! durable anyway, so an end in order saves no money. It saves the next reader of the log a question, and a client
//! its reply. SIGHUP, which nobody sends to end a server without a terminal, has it open its log file anew and read
//! the file of roles again.
//!
//! Handlers are needed for more than a last line. The first process of a container (process 1) has no default
//! actions: without a handler the kernel drops a SIGTERM, and the container is killed after its patience.
//!
//! Only the feature `signals` has them: the standard library has no handlers, and this program has no unsafe code
//! of its own. Without it, all three signals end the process as the system does, which is a crash that costs
//! nothing acknowledged; as process 1 it needs an init before it, such as `docker run --init`. Other tasks of the
//! program keep the system's actions: they hold nothing that an end in order would save.

use std::sync::{Arc, Mutex, PoisonError};

use paxos_banking::node::Control;

use crate::logging::LogFile;

/// What signals act on: the log from the start on, and the node once it runs.
#[derive(Debug)]
pub struct Desk {
    log: Option<Arc<LogFile>>,
    node: Mutex<Node>,
}

#[derive(Debug, Default)]
struct Node {
    control: Option<Control>,
    /// True if the roles are to be read again, and were perhaps read before that was ordered.
    roles: bool,
}

impl Desk {
    /// Takes signals from now on, if the program is built with the feature `signals`.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn open(log: Option<Arc<LogFile>>) -> std::io::Result<Arc<Desk>> {
        let desk = Arc::new(Desk { log, node: Mutex::default() });
        #[cfg(feature = "signals")]
        taking::take(&desk)?;
        Ok(desk)
    }

    fn node(&self) -> std::sync::MutexGuard<'_, Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes signals on to this node from now on.
    pub fn serve(&self, control: Control) {
        let mut node = self.node();
        if node.roles {
            control.read_roles();
        }
        node.control = Some(control);
    }

    /// Does what SIGHUP asks for.
    #[cfg_attr(not(feature = "signals"), expect(dead_code, reason = "no signal comes"))]
    fn read_again(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
        let mut node = self.node();
        node.roles = true;
        if let Some(control) = &node.control {
            control.read_roles();
        }
    }
}

#[cfg(feature = "signals")]
mod taking {
    use std::fs;
    use std::io;
    use std::process;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::iterator::Signals;

    use super::Desk;

    /// How long an end in order may take: a store or a disk may hang, and who sent the signal waits.
    const PATIENCE: Duration = Duration::from_secs(5);
    /// What a shell makes of a process that a signal ended, less the signal's number.
    const BY_SIGNAL: i32 = 128;

    pub(super) fn take(desk: &Arc<Desk>) -> io::Result<()> {
        let is_ending = Arc::new(AtomicBool::new(false));
        let mut taken = vec![SIGHUP];
        for signal in [SIGTERM, SIGINT] {
            // A shell starts what runs in the background so: Ctrl-C is meant for what is in front.
            if is_ignored(signal) {
                continue;
            }
            // The second one is the handler's own: threads that hang, over the log say, don't hold it up.
            flag::register_conditional_shutdown(
                signal,
                BY_SIGNAL + signal,
                Arc::clone(&is_ending),
            )?;
            taken.push(signal);
        }
        let (mut signals, desk) = (Signals::new(taken)?, Arc::clone(desk));
        let listen = move || {
            for signal in signals.forever() {
                match signal {
                    SIGHUP => desk.read_again(),
                    ending => {
                        is_ending.store(true, Ordering::Relaxed);
                        end(&desk, if ending == SIGINT { "SIGINT" } else { "SIGTERM" });
                    }
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(listen).map(drop)
    }

    /// Ends the server, whatever it does.
    fn end(desk: &Desk, by: &str) {
        crate::notify::say("STOPPING=1");
        let control = desk.node().control.clone();
        match control {
            // Until it serves, nobody is owed anything.
            None => {
                log::info!("{by}: ended before it served");
                process::exit(0);
            }
            Some(control) => {
                control.end(by);
                let by = by.to_owned();
                let wait = move || {
                    thread::sleep(PATIENCE);
                    log::warn!("{by}: ended in the midst of what took longer than {PATIENCE:?}");
                    process::exit(0);
                };
                if thread::Builder::new().name("last-patience".to_owned()).spawn(wait).is_err() {
                    process::exit(0);
                }
            }
        }
    }

    /// True if whoever started this process has it ignore the signal. Only Linux tells.
    fn is_ignored(signal: i32) -> bool {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
        mask >> (signal - 1) & 1 == 1
    }
}
