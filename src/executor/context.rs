//! What a thread knows of the runtime whose tasks it runs.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use super::seat::Seat;
use super::{Home, Shared};
use crate::time::context::{self as timers, Host};
use crate::time::{Shard, Timers};

/// A thread's place in a runtime, from `enter` until the guard drops.
pub(super) struct Context {
    home: Home,
    /// Where the thread sits, if it does.
    seat: Cell<*const Seat>,
    /// The seat's number; without a seat, the number of the registry's shard to use.
    index: Cell<usize>,
    /// Whether the thread has a part in the timers that it should hand on before it works.
    concerned: Cell<bool>,
}

thread_local! {
    /// Null, or a context that lives in a frame further up this thread's stack.
    static CURRENT: Cell<*const Context> = const { Cell::new(ptr::null()) };
}

impl Context {
    /// The context must not outlive `shared`.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            home: Home::of(shared),
            seat: Cell::new(ptr::null()),
            index: Cell::new(0),
            concerned: Cell::new(false),
        }
    }

    /// Makes this the thread's context until the guard drops.
    pub(super) fn enter(&self) -> impl Drop + '_ {
        struct Leave<'a>(&'a Context);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                debug_assert!(ptr::eq(CURRENT.get(), self.0));
                CURRENT.set(ptr::null());
                // SAFETY: there is none.
                unsafe { timers::set(None) };
            }
        }
        debug_assert!(CURRENT.get().is_null());
        CURRENT.set(self);
        // SAFETY: the guard borrows the context, and takes it away when it drops.
        unsafe { timers::set(Some(ptr::from_ref(self) as *const dyn Host)) };
        Leave(self)
    }

    /// Notes that the thread sits on seat `index`, or on none.
    pub(super) fn set_seat(&self, index: Option<usize>) {
        let seats = &self.shared().seats;
        self.seat.set(index.map_or(ptr::null(), |index| &raw const *seats[index]));
        self.index.set(index.unwrap_or(0));
    }

    fn shared(&self) -> &Shared {
        // SAFETY: whoever made this context keeps the runtime alive.
        unsafe { self.home.shared() }
    }

    /// Whether there are timers to hand on: they were set here, or we have kept the time.
    #[inline]
    pub(super) fn is_concerned(&self) -> bool {
        self.concerned.get()
    }

    pub(super) fn set_concerned(&self, concerned: bool) {
        self.concerned.set(concerned);
    }

    /// A number that tells this thread's context from all others that live.
    pub(super) fn id(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

impl Host for Context {
    fn timers(&self) -> &Timers {
        &self.shared().timers
    }

    fn shard(&self) -> &'static Shard {
        self.shared().timers.shard(self.index.get())
    }

    fn hurry(&self, deadline: u64) {
        // The first timer of all comes this way, too.
        self.timers().clock().use_it();
        if self.seat.get().is_null() {
            self.shared().hurry(deadline);
        } else {
            // We look at the clock ourselves, unless a poll takes long.
            self.concerned.set(true);
        }
    }

    fn fire(&self) {
        // SAFETY: a seat lives as long as the runtime.
        let seat = unsafe { self.seat.get().as_ref() };
        // SAFETY: we sit there, if anywhere.
        unsafe { self.shared().fire_all(seat) };
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
