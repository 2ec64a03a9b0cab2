//! Which processor a thread is on, and how often it is pushed off one.

#[cfg(all(feature = "net", target_os = "linux", not(miri), not(all(test, annulus_loom))))]
mod system {
    /// The number of this thread's processor; none if the system does not say, or not cheaply.
    pub(in super::super) fn current() -> Option<u32> {
        // SAFETY: it takes nothing, and gives a number or an error.
        u32::try_from(unsafe { libc::sched_getcpu() }).ok()
    }

    /// How often the system has taken the processor from this thread for another; none if it does
    /// not say.
    pub(in super::super) fn times_pushed_off() -> Option<u64> {
        // SAFETY: zeros are a value of the struct, which is there through the call.
        unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            let done = libc::getrusage(libc::RUSAGE_THREAD, &mut usage) == 0;
            done.then(|| u64::try_from(usage.ru_nivcsw).ok()).flatten()
        }
    }
}

#[cfg(not(all(feature = "net", target_os = "linux", not(miri), not(all(test, annulus_loom)))))]
mod system {
    pub(in super::super) fn current() -> Option<u32> {
        None
    }

    pub(in super::super) fn times_pushed_off() -> Option<u64> {
        None
    }
}

pub(super) use self::system::{current, times_pushed_off};
