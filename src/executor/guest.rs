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
//! The seat's own thread sleeps, waiting for a "go", until the guest gives the seat back: sets
//! its bit, and if there is work, claims it again for the seat's own thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};

use super::context::{self, Context, Role};
use super::worker::Worker;
use super::{GUEST_WAITS, SHUTDOWN, Shared};
use crate::primitive::Mutex;
use crate::primitive::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use crate::primitive::atomic::{AtomicBool, AtomicUsize, fence};
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
}

impl Desk {
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
        guest.turn(|| root.is_woken());
    }
}

/// Wakes the thread that is in `block_on`.
struct Root {
    woken: AtomicBool,
    thread: Thread,
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
            self.thread.unpark();
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
        let present = desk.compare_exchange(FREE, PRESENT, AcqRel, Relaxed).is_ok();
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
            // The signal first: who grants clears it once, and it must be there by then.
            shared.signals.fetch_or(GUEST_WAITS, SeqCst);
            shared.guest.state.store(WAITS, SeqCst);
            // Ordering: pairs with the fence in `Idle::park`: a worker that has gone to sleep
            // without seeing the signal is seen asleep here.
            fence(SeqCst);
            self.sit_on_a_free_seat();
        }
    }

    /// Takes the seat of a thread that sleeps.
    fn sit_on_a_free_seat(&mut self) -> bool {
        while let Some(seat) = self.shared.idle.any_parked() {
            let take = || self.shared.idle.take(seat);
            if self.shared.seats[seat].lend(thread::current(), take) {
                self.sit(seat);
                self.withdraw();
                return true;
            }
        }
        false
    }

    fn sit(&mut self, seat: usize) {
        self.worker = Some(Worker::sit(self.shared, self.context, seat, true));
    }

    /// Stops waiting for a seat; one that is granted all the same is given back.
    fn withdraw(&self) {
        // Ordering: Acquire pairs with the Release in `grant`.
        match self.shared.guest.state.swap(PRESENT, AcqRel) {
            WAITS => drop(self.shared.signals.fetch_and(!GUEST_WAITS, Relaxed)),
            state if state >= GRANTED => self.give_back(state - GRANTED),
            _ => {}
        }
    }

    /// Looks no more after others: the root is about to be polled, for who knows how long.
    fn begin(&mut self) {
        if let Some(worker) = &mut self.worker {
            worker.begin();
        }
    }

    /// Runs a task, or sleeps until there is one or `called`.
    fn turn(&mut self, called: impl Fn() -> bool) {
        let ending = self.shared.signals() & SHUTDOWN != 0;
        if self.worker.is_some() && ending {
            self.leave();
        } else if self.worker.is_some() && self.context.seat().is_none() {
            // The root, or the last task, has blocked in place.
            self.worker = None;
            self.ask();
        }
        if let Some(worker) = &mut self.worker {
            let task =
                worker.next().or_else(|| if called() { None } else { worker.search(&called) });
            match task {
                // If the seat is lost: see above, at the next turn.
                Some(task) => _ = worker.run(task),
                None if called() => {}
                None => worker.park(called),
            }
            return;
        }
        let state = self.shared.guest.state.load(Acquire);
        if self.present && state >= GRANTED {
            self.shared.guest.state.store(PRESENT, Relaxed);
            self.shared.seats[state - GRANTED].set_guest(Some(thread::current()));
            self.sit(state - GRANTED);
        } else if !called() {
            // A grant or a wake that came since is a token that `park` takes.
            thread::park();
        }
    }

    /// Leaves a seat to its own thread, which wakes up if there is work.
    fn give_back(&self, index: usize) {
        self.shared.seats[index].set_guest(None);
        self.shared.leave_empty(index);
    }

    /// Gives the seat back, and asks for none any more.
    fn leave(&mut self) {
        if let Some(worker) = self.worker.take() {
            let seat = self.context.seat().map(|_| worker.index());
            drop(worker);
            if let Some(seat) = seat {
                self.give_back(seat);
            }
        }
        if self.present {
            self.present = false;
            self.withdraw();
            *self.shared.guest.guest.lock() = None;
            self.shared.guest.state.store(FREE, SeqCst);
        }
    }
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
