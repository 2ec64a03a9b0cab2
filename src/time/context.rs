//! The runtime that a thread is in, as the timers see it.

use std::cell::Cell;

use super::shard::{Shard, Timers};

/// What the executor does for the timers, on a thread of its own.
pub(crate) trait Host {
    /// The timers of the runtime.
    fn timers(&self) -> &Timers;

    /// The shard for timers that are set on this thread.
    fn shard(&self) -> &'static Shard;

    /// A timer has been set on this thread that is the first of its shard to be due.
    fn hurry(&self, deadline: u64);

    /// The clock has been moved: fires what is due.
    fn fire(&self);
}

thread_local! {
    /// None, or a host that lives in a frame further up this thread's stack.
    static HOST: Cell<Option<*const dyn Host>> = const { Cell::new(None) };
}

/// Makes `host` this thread's, or takes it away.
///
/// # Safety
///
/// The host stays where it is until it is taken away.
pub(crate) unsafe fn set(host: Option<*const dyn Host>) {
    HOST.set(host);
}

/// Calls `f` with this thread's host, if it is in a runtime.
pub(super) fn with<R>(f: impl FnOnce(Option<&dyn Host>) -> R) -> R {
    // SAFETY: the contract of `set`; `f` runs on this thread, below the frame of the host.
    f(HOST.get().map(|host| unsafe { &*host }))
}
