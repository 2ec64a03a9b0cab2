//! Seats, the queues between them, and the threads that run tasks there.
//!
//! ```text
//!   outside threads            seat 0               seat 1               seat n-1
//!         |                 +---------+          +---------+           +---------+
//!         v                 |  slot   |          |  slot   |           |  slot   |
//!   +-----------+  share    +---------+   half   +---------+           +---------+
//!   | injector  | --------> | ring of | <------- | ring of |    ...    | ring of |
//!   +-----------+ <-------- |   256   |  stolen  |   256   |           |   256   |
//!                 overflow  +---------+          +---------+           +---------+
//!                            a guest in           its own               its own
//!                            `block_on`           thread                thread
//! ```
//!
//! There are as many seats as workers, each with a background thread of its own. A thread in
//! `block_on` borrows a seat ([`guest`]), so that its future talks to its tasks without crossing
//! threads; the seat's own thread sleeps meanwhile. One that is about to block leaves its seat to
//! who comes for it ([`in_place`]), and what blocks from the start has threads without a seat
//! ([`blocking`]). All of them are counted, so that an end can be awaited ([`threads`]).
//!
//! A wake from a task goes to the slot of its seat, what was in the slot to the ring; a wake from
//! elsewhere goes to the injector. A worker runs its slot, then its ring, then a share of the
//! injector, then looks at the other seats ([`worker`]), then sleeps ([`idle`]).

mod address;
mod blocking;
mod context;
mod driver;
mod guest;
mod idle;
mod in_place;
mod injector;
mod owner;
mod processor;
mod queue;
mod registry;
mod seat;
mod sharing;
#[cfg_attr(
    any(miri, not(feature = "net"), not(any(target_os = "linux", target_os = "android"))),
    path = "slack_off.rs"
)]
mod slack;
mod threads;
mod worker;

use std::fmt;
use std::future::Future;
#[cfg(feature = "net")]
use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use self::address::{Address, Home};
pub(crate) use self::blocking::spawn_blocking;
#[cfg(any(feature = "fs", feature = "net"))]
pub(crate) use self::blocking::{AtEnd, ended, try_spawn_blocking};
pub(crate) use self::context::Entered;
pub(crate) use self::guest::block_on;
use self::idle::Idle;
pub(crate) use self::idle::MAX_SEATS;
pub(crate) use self::in_place::block_in_place;
use self::injector::Injector;
pub(crate) use self::owner::start;
use self::registry::Registry;
use self::seat::Seat;
use self::sharing::Sharing;
#[cfg(all(unix, feature = "process"))]
pub(crate) use self::slack::usually;
use self::threads::Threads;
pub(crate) use self::threads::{Hook, ThreadSettings};
use crate::primitive::atomic::Ordering::{Relaxed, SeqCst};
use crate::primitive::atomic::{AtomicUsize, fence};
use crate::reactor::Reactor;
use crate::task::{
    self, JoinHandle, List, Name, Origin, PanicHook, Runnable, Schedule, UNLISTED, catch_quietly,
};
use crate::time::Timers;
use crate::tuning::JOIN_LAST;
use crate::util::{CachePadded, WakeBatch};

/// Workers are to leave.
const SHUTDOWN: usize = 1;
/// A guest waits for a seat.
const GUEST_WAITS: usize = 1 << 1;

/// What all threads of one runtime share.
pub(crate) struct Shared {
    seats: Box<[CachePadded<Seat>]>,
    idle: CachePadded<Idle>,
    injector: CachePadded<Injector>,
    /// Where there are sockets: tasks that compute for long and go on at once. They run when nothing
    /// else does, and in between, for a share of the time.
    late: CachePadded<Injector>,
    registry: Registry,
    timers: Timers,
    reactor: Reactor,
    guest: guest::Desk,
    sharing: CachePadded<Sharing>,
    /// What workers look at between tasks: SHUTDOWN and GUEST_WAITS.
    signals: CachePadded<AtomicUsize>,
    /// Seats that have not been left for good yet; the last to leave drops the tasks that are left.
    threads: AtomicUsize,
    blocking: blocking::Pool,
    crew: Threads,
    on_panic: Option<PanicHook>,
    /// For what a worker does that needs an `Arc`.
    this: Weak<Shared>,
}

/// What a runtime is like.
pub(crate) struct Settings {
    pub(crate) seats: usize,
    pub(crate) threads: ThreadSettings,
    /// Whether the timers' clock stands still at first.
    pub(crate) paused: bool,
    /// The most threads for closures that block, and how long they wait for the next.
    pub(crate) blocking_threads: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) on_panic: Option<PanicHook>,
}

impl Shared {
    fn new(settings: Settings, this: Weak<Self>) -> Self {
        let seats = settings.seats;
        Self {
            seats: (0..seats).map(|_| CachePadded::new(Seat::new())).collect(),
            idle: CachePadded::new(Idle::new(seats)),
            injector: CachePadded::default(),
            late: CachePadded::default(),
            registry: Registry::new(seats),
            timers: Timers::new(seats, settings.paused),
            reactor: Reactor::default(),
            guest: guest::Desk::default(),
            sharing: CachePadded::new(Sharing::new()),
            signals: CachePadded::default(),
            threads: AtomicUsize::new(seats),
            blocking: blocking::Pool::new(settings.blocking_threads, settings.keep_alive),
            crew: Threads::new(settings.threads),
            on_panic: settings.on_panic,
            this,
        }
    }

    /// Makes a task of `future` and schedules it. After shutdown the future is dropped at once.
    pub(crate) fn spawn<F, N: Name>(
        self: &Arc<Self>,
        future: F,
        origin: Origin<N>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // SAFETY: the caller has an `Arc` of it.
        unsafe { spawn_on(Home::of(self), future, origin) }
    }

    /// Queues a task that was woken by the one that runs on `seat`.
    ///
    /// # Safety
    ///
    /// This thread sits there.
    #[inline]
    unsafe fn schedule_here(&self, seat: &Seat, task: Runnable) {
        if JOIN_LAST
            && task::is_ending()
            && !seat.queue.is_empty()
            && !seat.long_polls.load(Relaxed)
        {
            // Who waits for the end of one task usually waits for that of the next, too.
            // SAFETY: the contract.
            return unsafe { self.push_here(seat, task) };
        }
        // SAFETY: the contract.
        if let Some(old) = unsafe { seat.replace_slot(task) } {
            // SAFETY: the contract.
            unsafe { self.push_here(seat, old) };
        } else if self.idle.someone_parked()
            && (seat.long_polls.load(Relaxed) || self.idle.lacks_sentinel())
        {
            // The task will run here as soon as this poll is over, usually sooner than anybody
            // could be woken for it. Unless polls are long, or nobody watches for a long one.
            self.wake(self.idle.notify_soon());
        }
    }

    /// Queues a task at the end of `seat`'s ring, where others can take it.
    ///
    /// # Safety
    ///
    /// This thread sits there.
    #[inline]
    unsafe fn push_here(&self, seat: &Seat, task: Runnable) {
        // SAFETY: the contract.
        unsafe { seat.queue.push(task, |overflow| self.injector.push(overflow)) };
        if self.idle.someone_parked() && (seat.has_plenty() || self.idle.lacks_sentinel()) {
            self.wake(self.idle.notify_soon());
        }
    }

    /// Queues a task that lets all others have their turn first.
    #[cold]
    fn put_off(&self, task: Runnable) {
        self.late.push(List::from(task));
        // The caller will run it, if nobody comes. So this is as in `push_here`.
        if self.idle.someone_parked() {
            self.wake(self.idle.notify_soon());
        }
    }

    /// Queues tasks from outside.
    fn inject(&self, tasks: List) {
        self.injector.push(tasks);
        self.wake(self.idle.notify());
    }

    /// Sends "go" to a seat that `idle` has picked.
    #[inline]
    fn wake(&self, seat: Option<usize>) {
        if let Some(seat) = seat {
            if !self.seats[seat].send_go(&self.reactor) {
                self.find_stand_in(seat);
            }
        }
    }

    /// Whether there is a reason for a thread to sit down on this seat, on which nobody sits or has
    /// looked round.
    fn is_needed(&self, seat: usize) -> bool {
        let work = self.seats[seat].has_any() || self.has_work();
        work || self.signals() & SHUTDOWN != 0 || self.lacks_keeper(seat)
    }

    /// Whether there is work for which a worker should leave its own seat.
    fn has_work(&self) -> bool {
        let queued = !self.injector.is_empty() || !self.late.is_empty();
        queued || self.idle.awake(0).any(|seat| self.seats[seat].has_plenty())
    }

    /// Whether timers or sockets wait for a seat that sleeps to look after them: as the keeper, if
    /// all sleep, or as the sentinel, who looks after the tasks of those who are busy, too.
    fn lacks_keeper(&self, seat: usize) -> bool {
        let idle = &self.idle;
        if idle.others_busy(seat) {
            if !idle.lacks_sentinel() {
                return false;
            }
            if idle.awake(0).any(|seat| self.seats[seat].has_any()) {
                return true;
            }
        }
        self.timers.next(|_| Duration::ZERO) < idle.kept_until() || self.reactor.lacks_watcher()
    }

    /// A timer was set by a thread without a seat: has somebody wake up in time.
    fn hurry(&self, time: u64) {
        if time < self.idle.kept_until() {
            match self.idle.keeper() {
                Some(seat) => self.seats[seat].nudge(&self.reactor),
                None => self.wake(self.idle.notify_soon()),
            }
        }
    }

    /// Fires all timers that are due.
    ///
    /// # Safety
    ///
    /// This thread sits on `seat`, or on none.
    unsafe fn fire_all(&self, seat: Option<&Seat>) {
        while self.timers.fire(Instant::now(), |_| Duration::ZERO, wake_all) {}
        // The last one to be woken is not to run first.
        if let Some((seat, task)) = seat.and_then(|seat| Some((seat, seat.take_slot()?))) {
            // SAFETY: the contract.
            unsafe { self.push_here(seat, task) };
        }
    }

    /// The reactor. The first call starts it.
    #[cfg(feature = "net")]
    pub(crate) fn driver(&self) -> io::Result<Arc<crate::reactor::Driver>> {
        // Those who sleep already do not wait there: one of them is to begin.
        self.reactor.driver(|| self.wake(self.idle.notify())).cloned()
    }

    fn signals(&self) -> usize {
        self.signals.load(Relaxed)
    }

    /// Has the workers leave, and the last of them drop every task.
    pub(crate) fn shut_down(self: &Arc<Self>) {
        self.registry.close();
        {
            let _inside = Entered::new(Arc::clone(self));
            self.blocking.close(self);
        }
        self.signals.fetch_or(SHUTDOWN, SeqCst);
        // Ordering: pairs with the fence in `Idle::park`: who sleeps without having seen the
        // signal is seen asleep here.
        fence(SeqCst);
        self.rouse_all();
    }

    /// Sends everybody who sleeps to work.
    fn rouse_all(&self) {
        while let Some(seat) = self.idle.claim() {
            self.wake(Some(seat));
        }
    }

    /// Waits until all threads have left after `shut_down`; false if the deadline came first. A
    /// thread that would wait for itself does not wait.
    pub(crate) fn wait_for_end(self: &Arc<Self>, deadline: Option<Instant>) -> bool {
        !context::belongs_to(Home::of(self)) && self.crew.wait(deadline)
    }
}

/// Wakes whoever waited for timers. A foreign waker that panics is no reason for a worker to end.
fn wake_all(batch: &mut WakeBatch) {
    let _stay = context::stay();
    while !batch.is_empty() {
        catch_quietly(|| batch.wake_all());
    }
}

/// # Safety
///
/// The runtime stays alive during the call.
unsafe fn spawn_on<F, N: Name>(home: Home, future: F, origin: Origin<N>) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let here = context::with_seat(home, |seat| seat.map(|(_, index)| index));
    let address = Address::new(home, here);
    let (task, handle) = task::spawn(future, address, origin);
    // SAFETY: the contract; this thread sits there.
    match unsafe { home.shared().registry.insert(here, task.id()) } {
        Some(tag) => {
            task.set_tag(tag);
            match here {
                Some(_) => address.schedule(task),
                // SAFETY: the contract.
                None => unsafe { home.shared() }.inject(List::from(task)),
            }
        }
        None => {
            task.set_tag(UNLISTED);
            task.cancel();
            let again = task.run();
            debug_assert!(again.is_none(), "a cancelled task completes");
        }
    }
    handle
}

/// Spawns on the runtime that this thread is in; gives the future back if it is in none.
#[inline]
pub(crate) fn spawn_here<F, N: Name>(
    future: F,
    origin: Origin<N>,
) -> Result<JoinHandle<F::Output>, (F, Origin<N>)>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match context::current() {
        // SAFETY: a runtime stays alive while a thread is in it.
        Some((home, true)) => Ok(unsafe { spawn_on(home, future, origin) }),
        // The future's drop may leave the runtime, so this needs a reference of its own.
        _ => match current() {
            Some(shared) => Ok(shared.spawn(future, origin)),
            None => Err((future, origin)),
        },
    }
}

/// The runtime that this thread is in.
pub(crate) fn current() -> Option<Arc<Shared>> {
    // SAFETY: a runtime stays alive while a thread is in it.
    context::current().map(|(home, _)| unsafe { home.share() })
}

/// The reactor of the runtime that this thread is in, if it is in one.
#[cfg(feature = "net")]
pub(crate) fn driver_here() -> Option<io::Result<Arc<crate::reactor::Driver>>> {
    // With a reference of its own: to start it may call a user's code, which may leave the runtime.
    current().map(|shared| shared.driver())
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("workers", &self.seats.len())
            .field("searching", &self.idle.searching())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, annulus_loom))]
mod loom_tests;
