//! `block_on`: a thread from outside that borrows a seat.
//!
//! One guest at a time has a seat, or waits for one; further threads in `block_on` only poll
//! their own future and sleep in between.
//!
//! # How a guest gets a seat
//!
//! ```text
//!            sit down: clear the bit of a seat that sleeps
//!   FREE --> PRESENT ---------------------------------------> on seat i: runs tasks, too
//!    ^          |  all are busy                                     ^
//!    |          v                      a worker, between two tasks  |
//!    |        WAITS --------------------------------> GRANTED + i --+
//!    |          |  the future is ready first
//!    +----------+
//! ```
//!
//! Where a thread of the pool sleeps on the seat of one that is away ([`in_place`](super::in_place)),
//! there is no free seat either: it is woken to grant it.
//!
//! The seat's own thread sleeps, waiting for a "go", until the guest gives the seat back: sets
//! its bit, and if there is work, claims it again for the seat's own thread.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::context::{self, Context, Role};
use super::worker::Worker;
use super::{GUEST_WAITS, SHUTDOWN, Shared, driver};
use crate::primitive::Mutex;
use crate::primitive::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use crate::primitive::atomic::{AtomicBool, AtomicUsize, fence};
use crate::tuning::GUEST_SITS;
use crate::util::{budget, may_block, prompt_waker};

const FREE: usize = 0;
const PRESENT: usize = 1;
const WAITS: usize = 2;
const GRANTED: usize = 3;

/// Where a guest asks for a seat.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// FREE, PRESENT, WAITS, or GRANTED plus the number of a seat.
    state: AtomicUsize,
    /// Who waits.
    guest: Mutex<Option<Thread>>,
    /// The root of the guest that is here, if it has slept while the clock was not the system's.
    root: Mutex<Option<Arc<Root>>>,
}

impl Desk {
    /// Whether a guest that sleeps is about to wake up, so that not everybody waits.
    pub(super) fn is_called(&self) -> bool {
        self.root.lock().as_ref().is_some_and(|root| root.is_woken())
    }

    /// A worker offers its seat, between two tasks; true: the guest has it now.
    pub(super) fn grant(&self, shared: &Shared, seat: usize) -> bool {
        let guest = self.guest.lock();
        // Ordering: Release hands the seat over, to the Acquire of who reads GRANTED.
        if self.state.compare_exchange(WAITS, GRANTED + seat, AcqRel, Relaxed).is_err() {
            return false;
        }
        shared.signals.fetch_and(!GUEST_WAITS, Relaxed);
        guest.as_ref().expect("a guest that waits has left its name").unpark();
        true
    }

    /// The guest stops waiting for a seat; one that is granted all the same is given back.
    fn withdraw(&self, shared: &Shared, guest: &Context) {
        guest.set_asks(false);
        // Ordering: Acquire pairs with the Release in `grant`.
        match self.state.swap(PRESENT, AcqRel) {
            WAITS => drop(shared.signals.fetch_and(!GUEST_WAITS, Relaxed)),
            state if state >= GRANTED => give_back(shared, state - GRANTED),
            _ => {}
        }
    }
}

/// Polls `future` on this thread until it is ready, and runs tasks in between.
#[track_caller]
pub(crate) fn block_on<F: Future>(shared: &Arc<Shared>, future: F) -> F::Output {
    may_block::check("block_on", "`.await`");
    let _no_blocking = may_block::forbid();
    let context = Context::new(shared, Role::Guest);
    let _inside = context.enter();
    let _budget = budget::scope();
    let root = Arc::new(Root {
        // Not yet polled is as good as woken.
        woken: AtomicBool::new(true),
        thread: thread::current(),
        shared: Arc::downgrade(shared),
        context: context.id(),
    });
    let waker = Waker::from(Arc::clone(&root));
    prompt_waker::register(&waker);
    let mut cx = TaskContext::from_waker(&waker);
    let mut guest = Guest::arrive(shared, &context);
    // The last to be made, so that it drops while we are still inside.
    let mut future = pin!(future);
    loop {
        if root.take_wake() {
            guest.begin();
            budget::refill();
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
        }
        // One task at the most between two looks at the root.
        guest.turn(&root);
    }
}

/// Wakes the thread that is in `block_on`.
#[derive(Debug)]
struct Root {
    woken: AtomicBool,
    thread: Thread,
    /// Its runtime, which a waker may outlive.
    shared: Weak<Shared>,
    /// The id of that thread's context.
    context: usize,
}

impl Root {
    fn is_woken(&self) -> bool {
        self.woken.load(Relaxed)
    }

    fn take_wake(&self) -> bool {
        // Ordering: Acquire pairs with the Release in `wake_by_ref`.
        self.is_woken() && self.woken.swap(false, Acquire)
    }
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    #[inline]
    fn wake_by_ref(self: &Arc<Self>) {
        // Ordering: Release pairs with the Acquire in `take_wake`. The thread itself is awake.
        if !self.woken.swap(true, AcqRel) && context::current_id() != self.context {
            match self.shared.upgrade() {
                Some(shared) => driver::wake(&shared.reactor, &self.thread),
                None => self.thread.unpark(),
            }
        }
    }
}

/// This thread's part in the runtime, until it drops.
struct Guest<'a> {
    shared: &'a Shared,
    context: &'a Context,
    /// Whether this thread is the one guest that may have a seat.
    present: bool,
    worker: Option<Worker<'a>>,
}

impl<'a> Guest<'a> {
    fn arrive(shared: &'a Shared, context: &'a Context) -> Self {
        let desk = &shared.guest.state;
        let present = GUEST_SITS && desk.compare_exchange(FREE, PRESENT, AcqRel, Relaxed).is_ok();
        let mut guest = Self { shared, context, present, worker: None };
        guest.ask();
        guest
    }

    /// Sits down, or asks for a seat.
    fn ask(&mut self) {
        let shared = self.shared;
        // A runtime that ends needs no more workers, and its threads have to get their seats.
        let ending = shared.signals() & SHUTDOWN != 0;
        if self.present && !ending && !self.sit_on_a_free_seat() {
            *shared.guest.guest.lock() = Some(thread::current());
            self.context.set_asks(true);
            // The signal first: who grants clears it once, and it must be there by then.
            shared.signals.fetch_or(GUEST_WAITS, SeqCst);
            shared.guest.state.store(WAITS, SeqCst);
            // Ordering: pairs with the fence in `Idle::park`: a worker that has gone to sleep
            // without seeing the signal is seen asleep here.
            fence(SeqCst);
            if !self.sit_on_a_free_seat() {
                // Who sleeps on another's seat gives it only when asked to.
                shared.wake(shared.idle.claim());
            }
        }
    }

    /// Takes the seat of a thread that sleeps, and has that seat of its own.
    fn sit_on_a_free_seat(&mut self) -> bool {
        let Shared { idle, seats, reactor, .. } = self.shared;
        let mut parked = (0..seats.len()).filter(|&seat| idle.is_parked(seat));
        let lend = |&seat: &usize| seats[seat].lend(thread::current(), reactor, || idle.take(seat));
        let lent = parked.find(lend);
        let Some(seat) = lent else { return false };
        self.sit(seat);
        self.shared.guest.withdraw(self.shared, self.context);
        true
    }

    fn sit(&mut self, seat: usize) {
        self.worker = Some(Worker::sit(self.shared, self.context, seat, true));
    }

    /// Looks no more after others: the root is about to be polled, for who knows how long.
    fn begin(&mut self) {
        if let Some(worker) = &mut self.worker {
            worker.begin();
        }
    }

    /// Runs a task, or sleeps until there is one or the root is woken.
    fn turn(&mut self, root: &Arc<Root>) {
        if self.context.seat().is_none() || self.shared.signals() & SHUTDOWN != 0 {
            self.settle();
        }
        if let Some(worker) = &mut self.worker {
            let shared = self.shared;
            // The end needs our seat: who sets the signal has not seen us asleep, or we see it.
            let called = || root.is_woken() || shared.signals() & SHUTDOWN != 0;
            match worker.next() {
                // If the seat is lost: see above, at the next turn.
                Some(task) => _ = worker.run(task),
                // The root is not a task, and may be all there is to do.
                None if called() => worker.glance_at_clock(),
                None => match worker.search(called) {
                    Some(task) => _ = worker.run(task),
                    None => {
                        if self.shared.timers.clock().is_moved() {
                            *self.shared.guest.root.lock() = Some(Arc::clone(root));
                        }
                        worker.park(called);
                    }
                },
            }
            return;
        }
        let state = self.shared.guest.state.load(Acquire);
        if self.present && state >= GRANTED {
            self.shared.guest.state.store(PRESENT, Relaxed);
            self.context.set_asks(false);
            self.shared.seats[state - GRANTED].set_guest(Some(thread::current()));
            self.sit(state - GRANTED);
        } else if !root.is_woken() {
            // A grant or a wake that came since is a token that `park` takes.
            thread::park();
        }
    }

    /// Sees to it that who sits nowhere asks for a seat, and that nobody sits there at the end.
    #[cold]
    fn settle(&mut self) {
        self.context.end_blocked();
        if self.shared.signals() & SHUTDOWN != 0 {
            self.leave();
        } else if self.present && !self.context.asks() {
            // The root, or the last task, has blocked in place.
            self.worker = None;
            self.ask();
        }
    }

    /// Gives the seat back, and asks for none any more.
    fn leave(&mut self) {
        if let Some(worker) = self.worker.take() {
            let seat = self.context.seat().map(|_| worker.index());
            drop(worker);
            if let Some(seat) = seat {
                give_back(self.shared, seat);
            }
        }
        self.context.end_blocked();
        if self.present {
            self.present = false;
            self.shared.guest.withdraw(self.shared, self.context);
            *self.shared.guest.guest.lock() = None;
            if self.shared.timers.clock().is_moved() {
                *self.shared.guest.root.lock() = None;
            }
            self.shared.guest.state.store(FREE, SeqCst);
        }
    }
}

/// Leaves a seat to its own thread, which wakes up if there is work.
fn give_back(shared: &Shared, seat: usize) {
    shared.seats[seat].set_guest(None);
    shared.leave_empty(seat);
}

/// A guest is about to block in place: it leaves its seat, or asks for none while it does.
pub(super) fn go_away(shared: &Shared, guest: &Context) {
    if let Some(seat) = guest.seat() {
        guest.set_blocked();
        guest.set_seat(None);
        give_back(shared, seat);
    } else if guest.asks() {
        guest.set_blocked();
        // A seat that were granted to it would be nobody's until it is back.
        shared.guest.withdraw(shared, guest);
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
