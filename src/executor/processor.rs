//! Which processor a thread is on.

/// The number of this thread's processor; none if the system does not say, or not cheaply.
#[cfg(all(feature = "net", target_os = "linux", not(miri), not(all(test, annulus_loom))))]
pub(super) fn current() -> Option<u32> {
    // SAFETY: it takes nothing, and gives a number or an error.
    u32::try_from(unsafe { libc::sched_getcpu() }).ok()
}

#[cfg(not(all(feature = "net", target_os = "linux", not(miri), not(all(test, annulus_loom)))))]
pub(super) fn current() -> Option<u32> {
    None
}
