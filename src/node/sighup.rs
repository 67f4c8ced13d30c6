//! The signal that asks for the roles to be read anew.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Returns a flag that is set whenever the process is sent SIGHUP, which no longer ends it then.
///
/// # Errors
/// If the system refuses.
#[cfg(feature = "noise")]
pub(crate) fn flag() -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&flag))?;
    Ok(flag)
}

/// Without keys there are no roles, so the signal does what it always does.
#[cfg(not(feature = "noise"))]
pub(crate) fn flag() -> io::Result<Arc<AtomicBool>> {
    Ok(Arc::default())
}
