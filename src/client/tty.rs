//! The terminal between two prompts: keys one by one and unseen, and Ctrl-C as a signal that ends no more
//! than a wait. At the prompt itself the line editor has the terminal.

use std::io;
use std::os::fd::AsFd;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{
    InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::read;
use signal_hook::consts::SIGINT;
use signal_hook::flag;

/// How often Ctrl-C is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// The settings from before; none while they hold.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

fn before() -> MutexGuard<'static, Option<Termios>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While this is held, typed keys are not shown, and are kept one by one for whoever reads next. Ctrl-C is a
/// signal all the same; it discards what was typed before it.
#[derive(Debug)]
pub(super) struct Unseen;

impl Unseen {
    /// Changes the terminal's settings; none if that isn't possible here.
    pub(super) fn keys() -> Option<Unseen> {
        let usual = tcgetattr(io::stdin()).ok()?;
        let mut settings = usual.clone();
        settings.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        // Enter is told from Ctrl-J, as the line editor wants it.
        settings.input_flags.remove(InputFlags::ICRNL);
        settings.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        settings.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        *before() = Some(usual);
        // The released program ends at a panic without dropping anything.
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            restore();
            hook(panic);
        }));
        tcsetattr(io::stdin(), SetArg::TCSADRAIN, &settings).ok().map(|()| Unseen)
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        restore();
    }
}

/// Sets the terminal back.
fn restore() {
    if let Some(usual) = before().take() {
        // If the terminal is gone, there is nothing to set back.
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &usual);
    }
}

/// The presses of Ctrl-C that came as a signal.
#[derive(Debug)]
pub(super) struct CtrlC {
    pressed: Arc<AtomicBool>,
    /// True while the signal ends the process.
    is_deadly: Arc<AtomicBool>,
}

impl CtrlC {
    /// True, since it is a signal among others.
    pub(super) const IS_HEARD: bool = true;

    /// Takes the signal over.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn heard() -> io::Result<CtrlC> {
        let (pressed, is_deadly) = (Arc::default(), Arc::default());
        flag::register_conditional_default(SIGINT, Arc::clone(&is_deadly))?;
        flag::register(SIGINT, Arc::clone(&pressed))?;
        Ok(CtrlC { pressed, is_deadly })
    }

    /// True if it was pressed since the last time that this was asked.
    pub(super) fn pressed(&self) -> bool {
        self.pressed.swap(false, Ordering::Relaxed)
    }

    /// Does work that Ctrl-C is to end together with the process.
    pub(super) fn ends<T>(&self, work: impl FnOnce() -> T) -> T {
        self.is_deadly.store(true, Ordering::Relaxed);
        let done = work();
        self.is_deadly.store(false, Ordering::Relaxed);
        done
    }

    /// Reads keys that were pressed together. Empty if Ctrl-C was pressed or the input has ended; none if this
    /// moment passed before.
    pub(super) fn keys_before(&self, until: Option<Instant>) -> Option<Vec<u8>> {
        let stdin = io::stdin();
        while !self.pressed() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let look = left.unwrap_or(LOOK).min(LOOK);
            let mut waited = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut waited, PollTimeout::try_from(look).unwrap_or(PollTimeout::ZERO));
            match ready {
                Ok(0) if left == Some(Duration::ZERO) => return None,
                Ok(1..) => {
                    let mut keys = vec![0; 4096];
                    // An input that fails has ended.
                    let count = read(&stdin, &mut keys).unwrap_or(0);
                    keys.truncate(count);
                    return Some(keys);
                }
                // Nothing yet, or a signal.
                Ok(_) | Err(_) => {}
            }
        }
        Some(Vec::new())
    }

    /// Pauses. False if Ctrl-C was pressed before this moment.
    pub(super) fn passes(&self, until: Instant) -> bool {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match (self.pressed(), left) {
                (true, _) => return false,
                (false, Duration::ZERO) => return true,
                (false, left) => thread::sleep(left.min(LOOK)),
            }
        }
    }
}
