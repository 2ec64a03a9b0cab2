//! What a thread knows of the runtime whose tasks it runs.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use super::seat::Seat;
use super::{Home, Shared};

/// A thread's place in a runtime, from `enter` until the guard drops.
pub(super) struct Context {
    home: Home,
    /// Where the thread sits, if it does.
    seat: Cell<*const Seat>,
    /// The seat's number; without a seat, the number of the registry's shard to use.
    index: Cell<usize>,
}

thread_local! {
    /// Null, or a context that lives in a frame further up this thread's stack.
    static CURRENT: Cell<*const Context> = const { Cell::new(ptr::null()) };
}

impl Context {
    /// The context must not outlive `shared`.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { home: Home::of(shared), seat: Cell::new(ptr::null()), index: Cell::new(0) }
    }

    /// Makes this the thread's context until the guard drops.
    pub(super) fn enter(&self) -> impl Drop + '_ {
        struct Leave<'a>(&'a Context);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                debug_assert!(ptr::eq(CURRENT.get(), self.0));
                CURRENT.set(ptr::null());
            }
        }
        debug_assert!(CURRENT.get().is_null());
        CURRENT.set(self);
        Leave(self)
    }

    /// Notes that the thread sits on seat `index`, or on none.
    pub(super) fn set_seat(&self, index: Option<usize>) {
        // SAFETY: whoever made this context keeps the runtime alive.
        let shared = unsafe { self.home.shared() };
        self.seat.set(index.map_or(ptr::null(), |index| &raw const *shared.seats[index]));
        self.index.set(index.unwrap_or(0));
    }

    /// A number that tells this thread's context from all others that live.
    pub(super) fn id(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

/// The id of the calling thread's context; 0 without one.
#[inline]
pub(super) fn current_id() -> usize {
    CURRENT.get().addr()
}

/// The runtime that this thread is in; it is there until the thread leaves the context.
#[inline]
pub(super) fn current() -> Option<Home> {
    // SAFETY: a context that is current lives.
    unsafe { CURRENT.get().as_ref().map(|context| context.home) }
}

/// Calls `f` with the seat of this thread and its number, if it sits on one of `shared`'s.
#[inline]
pub(super) fn with_seat<R>(home: Home, f: impl FnOnce(Option<(&Seat, usize)>) -> R) -> R {
    // SAFETY: a context that is current lives; its seat lives as long as the runtime.
    let seat =
        unsafe {
            CURRENT.get().as_ref().filter(|context| context.home == home).and_then(|context| {
                context.seat.get().as_ref().map(|seat| (seat, context.index.get()))
            })
        };
    f(seat)
}
