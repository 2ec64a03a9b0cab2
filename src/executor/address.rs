//! Where a task is at home: what it knows of its runtime.
//!
//! # Invariant
//!
//! The pointer is good as long as the task is not complete, because the last thread of the runtime
//! leaves only when every task is. Whoever completes or queues a task that may be the last holds on
//! to the runtime itself.

use std::ptr::NonNull;
use std::sync::Arc;

use super::registry::OUTSIDE;
use super::{Shared, context};
use crate::task::{Completed, List, PanicHook, Runnable, Schedule};

/// Where a task goes when it is woken: the `Shared` of its runtime.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Home(NonNull<Shared>);

impl Home {
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        // From the `Arc` and not from a reference, so that `Arc::from_raw` may take it.
        // SAFETY: an `Arc` is never null.
        Self(unsafe { NonNull::new_unchecked(Arc::as_ptr(shared).cast_mut()) })
    }

    /// # Safety
    ///
    /// The runtime is there as long as the reference is used.
    pub(super) unsafe fn shared<'a>(self) -> &'a Shared {
        // SAFETY: the contract.
        unsafe { self.0.as_ref() }
    }

    /// # Safety
    ///
    /// The runtime is there until this returns.
    pub(super) unsafe fn share(self) -> Arc<Shared> {
        // SAFETY: the contract; `Home` points into an `Arc`.
        unsafe {
            Arc::increment_strong_count(self.0.as_ptr());
            Arc::from_raw(self.0.as_ptr())
        }
    }
}

/// A task's home, and in the bits that its alignment leaves free, in which shard of the registry
/// the task is listed.
#[derive(Clone, Copy)]
pub(super) struct Address(NonNull<Shared>);

const SHARD: usize = align_of::<Shared>() - 1;
const _: () = assert!(OUTSIDE <= SHARD);

impl Address {
    pub(super) fn new(home: Home, seat: Option<usize>) -> Self {
        Self(home.0.map_addr(|address| address | seat.unwrap_or(OUTSIDE)))
    }

    fn home(self) -> Home {
        let home = self.0.as_ptr().map_addr(|address| address & !SHARD);
        // SAFETY: it is the pointer that `new` was given.
        Home(unsafe { NonNull::new_unchecked(home) })
    }

    fn shard(self) -> usize {
        self.0.addr().get() & SHARD
    }
}

impl Schedule for Address {
    #[inline]
    fn schedule(&self, task: Runnable) {
        let home = self.home();
        context::with_seat(home, |seat| match seat {
            // SAFETY: the task is not complete, so the runtime is there; this thread sits there.
            Some((seat, _)) => unsafe { home.shared().schedule_here(seat, task) },
            None => {
                // Once pushed, the task may run, and be the last, before we have woken anybody.
                // SAFETY: as above.
                let shared = unsafe { home.share() };
                shared.inject(List::from(task));
            }
        });
    }

    #[cold]
    fn panic_hook(&self) -> Option<PanicHook> {
        // SAFETY: as in `completed`, which comes later.
        unsafe { self.home().shared() }.on_panic.clone()
    }

    fn completed(&self, task: Completed) {
        // SAFETY: called by a worker of the runtime, or under `Shared::spawn`.
        let shared = unsafe { self.home().shared() };
        let here = context::with_seat(self.home(), |seat| seat.map(|(_, index)| index));
        // SAFETY: this thread sits there, and the task was listed where its address says.
        let waits = unsafe { shared.registry.remove(here, self.shard(), task) };
        shared.wake(waits.filter(|&seat| shared.idle.claim_this(seat)));
    }
}
