//! What a thread knows of the runtimes that it is in.
//!
//! A thread can be in several: a closure in `block_in_place` calls the `block_on` of another
//! runtime, in which a [`Handle`](crate::Handle) is entered. The contexts form a chain from the
//! latest to the first; the latest is the current one.
//!
//! # Invariants
//!
//! 1. A context lives as long as it is in the chain, and does not move: it lies in a frame of the
//!    thread's stack, or in a box that [`Entered`] owns.
//! 2. The runtime of a context lives as long as the context is in the chain.
//! 3. Only the thread itself follows the chain. Contexts may leave it in any order, since the
//!    guards that users hold drop in any order.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::Shared;
use super::address::Home;
use super::seat::Seat;
use crate::time::context::{self as timers, Host, Place};

/// What a thread is to a runtime.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It runs tasks on a seat of its own.
    Owner,
    /// It is in `block_on`.
    Guest,
    /// It runs closures that block, and sits on seats whose threads are away.
    Blocking,
    /// It only spawns there.
    Entered,
}

/// A thread's place in a runtime, from `enter` until the guard drops.
pub(super) struct Context {
    home: Home,
    pub(super) role: Role,
    /// Where the thread sits, if it does.
    seat: Cell<*const Seat>,
    /// The seat's number.
    index: Cell<usize>,
    /// Where it sets timers: on its seat, or on the first.
    place: Place,
    /// The context that was current before.
    outer: Cell<*const Context>,
    /// Whether the thread has a part in the timers that it should hand on before it works.
    concerned: Cell<bool>,
    /// Whether it is a guest that waits for a seat.
    asks: Cell<bool>,
    /// Whether it has blocked in place, and is at work without a seat since.
    blocked: Cell<bool>,
    /// Whether who has called a user's code will go on to use the seat; written by `stay`.
    stays: Cell<bool>,
}

thread_local! {
    /// The latest context, or null.
    static CURRENT: Cell<*const Context> = const { Cell::new(ptr::null()) };
}

/// Until the guard drops this thread does not leave the seat that it has here, whatever it calls: a
/// foreign waker between two tasks may do anything, even block in place, and then blocks the worker.
/// In a runtime that the waker enters meanwhile, the thread may leave its seat.
pub(super) fn stay() -> impl Drop {
    struct Restore(*const Context, bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: who runs tasks has its context in a frame further up the stack than this guard.
            if let Some(context) = unsafe { self.0.as_ref() } {
                context.stays.set(self.1);
            }
        }
    }
    with_runner(|runner| {
        let former = runner.is_some_and(|context| context.stays.replace(true));
        Restore(runner.map_or(ptr::null(), ptr::from_ref), former)
    })
}

impl Context {
    /// The context must not outlive `shared`.
    pub(super) fn new(shared: &Arc<Shared>, role: Role) -> Self {
        Self {
            home: Home::of(shared),
            role,
            seat: Cell::new(ptr::null()),
            index: Cell::new(0),
            // SAFETY: the contract: they are a part of `shared`.
            place: unsafe { Place::new(&shared.timers) },
            outer: Cell::new(ptr::null()),
            concerned: Cell::new(false),
            asks: Cell::new(false),
            blocked: Cell::new(false),
            stays: Cell::new(false),
        }
    }

    /// Makes this the thread's context until the guard drops.
    pub(super) fn enter(&self) -> impl Drop + '_ {
        struct Leave<'a>(&'a Context);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                // SAFETY: it was linked below.
                unsafe { unlink(self.0) };
            }
        }
        // SAFETY: the guard borrows it, and takes it out.
        unsafe { link(self) };
        Leave(self)
    }

    /// Notes that the thread sits on seat `index`, or on none.
    pub(super) fn set_seat(&self, index: Option<usize>) {
        let seats = &self.shared().seats;
        self.seat.set(index.map_or(ptr::null(), |index| &raw const *seats[index]));
        self.index.set(index.unwrap_or(0));
        self.place.set_seat(self.index.get());
    }

    pub(super) fn shared(&self) -> &Shared {
        // SAFETY: whoever made this context keeps the runtime alive.
        unsafe { self.home.shared() }
    }

    /// The seat that the thread sits on.
    #[inline]
    pub(super) fn seat(&self) -> Option<usize> {
        (!self.seat.get().is_null()).then(|| self.index.get())
    }

    /// Whether there are timers to hand on: they were set here, or we have kept the time.
    #[inline]
    pub(super) fn is_concerned(&self) -> bool {
        self.concerned.get()
    }

    pub(super) fn set_concerned(&self, concerned: bool) {
        self.concerned.set(concerned);
        // Who is concerned no more must hear of the next first timer.
        self.place.set_attends(false);
    }

    /// Whether a worker may grant this guest its seat.
    pub(super) fn asks(&self) -> bool {
        self.asks.get()
    }

    pub(super) fn set_asks(&self, asks: bool) {
        self.asks.set(asks);
    }

    /// Whether the thread must not leave its seat now.
    pub(super) fn stays(&self) -> bool {
        self.stays.get()
    }

    /// Has a clock that stands still wait for this thread, which leaves its seat.
    pub(super) fn set_blocked(&self) {
        if !self.blocked.replace(true) {
            self.shared().begin_to_block();
        }
    }

    /// The thread is seen to be awake again, or has done what it was to do.
    pub(super) fn end_blocked(&self) {
        if self.blocked.replace(false) {
            self.shared().end_to_block();
        }
    }

    /// A number that tells this thread's context from all others that live.
    pub(super) fn id(&self) -> usize {
        ptr::from_ref(self).addr()
    }
}

impl Host for Context {
    fn place(&self) -> &Place {
        &self.place
    }

    fn hurry(&self, deadline: u64) -> Option<Box<dyn FnOnce()>> {
        // The first timer of all comes this way, too.
        self.place.timers().clock().use_it();
        if !self.seat.get().is_null() {
            // We look at the clock ourselves, unless a poll takes long.
            self.concerned.set(true);
            self.place.set_attends(true);
            return None;
        }
        // SAFETY: whoever made this context keeps the runtime alive.
        let shared = unsafe { self.home.share() };
        Some(Box::new(move || shared.hurry(deadline)))
    }

    fn firing(&self) -> Box<dyn FnOnce()> {
        // SAFETY: whoever made this context keeps the runtime alive.
        let (shared, seat) = (unsafe { self.home.share() }, self.seat.get());
        Box::new(move || {
            // SAFETY: a seat lives as long as the runtime.
            let seat = unsafe { seat.as_ref() };
            // SAFETY: we sit there, if anywhere: the caller calls this at once.
            unsafe { shared.fire_all(seat) };
        })
    }
}

/// # Safety
///
/// The context does not move, and is taken out before it ends.
unsafe fn link(context: *const Context) {
    // SAFETY: the contract.
    unsafe { &*context }.outer.set(CURRENT.replace(context));
    // SAFETY: as long as a context is the latest it lives.
    unsafe { timers::set(Some(context as *const dyn Host)) };
}

/// # Safety
///
/// This thread has linked the context, and not yet taken it out.
unsafe fn unlink(context: *const Context) {
    // SAFETY: what is in the chain lives (invariant 1), here and below.
    let outer = unsafe { &*context }.outer.get();
    if CURRENT.get() == context {
        CURRENT.set(outer);
        // SAFETY: as above; `link` has set the one that is taken away.
        unsafe { timers::set((!outer.is_null()).then_some(outer as *const dyn Host)) };
        return;
    }
    // The context is in the chain, so the walk ends.
    let inner = chain().find(|inner| inner.outer.get() == context);
    inner.expect("a context is left on the thread that entered it").outer.set(outer);
}

/// All contexts, the latest first.
fn chain<'a>() -> impl Iterator<Item = &'a Context> {
    // SAFETY: what is in the chain lives (invariant 1); whoever walks it ends before anything is
    // taken out.
    let first = unsafe { CURRENT.get().as_ref() };
    // SAFETY: as above.
    std::iter::successors(first, |context| unsafe { context.outer.get().as_ref() })
}

/// A runtime entered from outside, for as long as this lives.
pub(crate) struct Entered {
    context: NonNull<Context>,
    /// Keeps the runtime's queues, to which the context points.
    shared: Arc<Shared>,
    /// Stays on its thread.
    not_send: PhantomData<*const ()>,
}

impl Entered {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let context = NonNull::from(Box::leak(Box::new(Context::new(&shared, Role::Entered))));
        // SAFETY: our drop takes it out, and only then frees it.
        unsafe { link(context.as_ptr()) };
        Self { context, shared, not_send: PhantomData }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // SAFETY: linked and leaked in `new`; this thread is the same, since we are not Send.
        unsafe {
            unlink(self.context.as_ptr());
            drop(Box::from_raw(self.context.as_ptr()));
        }
    }
}

/// The id of the calling thread's context; 0 without one.
#[inline]
pub(super) fn current_id() -> usize {
    CURRENT.get().addr()
}

/// The runtime that this thread is in, and whether the thread itself keeps it there for the time
/// of any call.
#[inline]
pub(super) fn current() -> Option<(Home, bool)> {
    // SAFETY: a context that is current lives.
    let context = unsafe { CURRENT.get().as_ref() }?;
    Some((context.home, context.role != Role::Entered))
}

/// Calls `f` with the latest context in which this thread runs tasks, or used to before it went
/// to block.
pub(super) fn with_runner<R>(f: impl FnOnce(Option<&Context>) -> R) -> R {
    f(chain().find(|context| context.role != Role::Entered))
}

/// Whether this thread belongs to the runtime, and would wait for itself if it waited for its end.
pub(super) fn belongs_to(home: Home) -> bool {
    chain().any(|context| context.home == home && context.role != Role::Entered)
}

/// Calls `f` with the seat of this thread and its number, if it sits on one of `shared`'s.
#[inline]
pub(super) fn with_seat<R>(home: Home, f: impl FnOnce(Option<(&Seat, usize)>) -> R) -> R {
    let seat =
        // SAFETY: a context that is current lives; its seat lives as long as the runtime.
        unsafe {
            CURRENT.get().as_ref().filter(|context| context.home == home).and_then(|context| {
                context.seat.get().as_ref().map(|seat| (seat, context.index.get()))
            })
        };
    f(seat)
}
