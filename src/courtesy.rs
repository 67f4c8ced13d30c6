//! Courtesy: threads that work for those who look on take only what the bank leaves of the processor.
//!
//! A bank that is busy has no time to spare: fifty followers of a million entries a second would take it all. The
//! system's scheduler knows best what is spare, so such threads ask it for the policy `SCHED_IDLE` of Linux (sched(7)).
//! They run at full speed where a processor is free, and make room at once when somebody else wants it.
//!
//! A thread that has asked for it must not hold a lock that the event loop waits for: it may be kept waiting itself.

#[cfg(all(feature = "priorities", target_os = "linux"))]
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Has the calling thread, and those it starts from now on, run only when nobody else wants the processor. Without the
/// feature `priorities`, and on other systems, nothing changes.
pub(crate) fn give_way() {
    #[cfg(all(feature = "priorities", target_os = "linux"))]
    {
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let done = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
        if let Err(error) = done {
            log::debug!("this thread can't give way to others: {error}");
        }
    }
}
