//! A thread that waits like a task: its waker unparks it.
//!
//! Each thread keeps one such waker for all its blocking calls, so that blocking allocates once
//! in a thread's life. A call made inside another (a waker or a message's drop that blocks) finds
//! it taken and makes its own: else the inner call could swallow the outer one's wake.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::primitive::{may_spin, spin_loop};
use crate::util::{budget, prompt_waker};

/// Nobody has woken the thread, and it does not sleep.
const AWAKE: usize = 0;
/// The thread sleeps, or is about to.
const ASLEEP: usize = 1;
/// Somebody has woken it.
const WOKEN: usize = 2;

/// How long a thread looks on before it sleeps: so many doubling rounds of pauses, then so many
/// turns given up. To be woken from sleep takes a hundred times as long as a message.
///
/// Perf: `cargo bench --bench channels -- table Plain`; without it a message at capacity 1 takes
/// 50 µs between two processors.
const SPINS: u32 = 7;
const YIELDS: u32 = 8;

/// Wakes one thread out of [`block_on`].
struct Unparker {
    thread: Thread,
    /// AWAKE, ASLEEP or WOKEN.
    state: AtomicUsize,
}

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Ordering: Release pairs with the Acquire in `park`: what was done before the wake is
        // seen by the poll after it.
        if self.state.swap(WOKEN, Release) == ASLEEP {
            self.thread.unpark();
        }
    }
}

impl Unparker {
    fn new() -> Arc<Self> {
        let this = Arc::new(Self { thread: thread::current(), state: AtomicUsize::new(AWAKE) });
        prompt_waker::register(&Waker::from(Arc::clone(&this)));
        this
    }

    /// Waits until woken, which may have been before; false if the deadline came first.
    fn park(&self, deadline: Option<Instant>) -> bool {
        // Ordering: as below; relaxed while there is nothing to see.
        look_on(1, || (self.state.load(Relaxed) == WOKEN).then_some(()));
        // Ordering: Acquire pairs with the Release in `wake_by_ref`, here and below.
        let asleep = self.state.compare_exchange(AWAKE, ASLEEP, Acquire, Acquire).is_ok();
        let mut in_time = true;
        // Other code may park and unpark this thread for its own reasons: the state decides.
        while asleep && in_time && self.state.load(Acquire) != WOKEN {
            let Some(deadline) = deadline else {
                thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            in_time = !left.is_zero();
            if in_time {
                thread::park_timeout(left);
            }
        }
        // A wake that comes at the last moment counts.
        self.state.swap(AWAKE, Acquire) == WOKEN
    }
}

/// Looks on for a while, or until there is something to return.
///
/// Before an operation has asked to be woken, this lets several messages come together, and spares
/// whoever sends them the wakes; after it, the sleep.
///
/// `room` is how many can come together. It pauses so long first that a quarter of them may have
/// come: looking takes the cache line of the words away from whoever sends.
///
/// Perf: mpmc 2:2 at 64, ns a message, with pauses for the whole room, a half, a quarter, an eighth:
/// 34, 22, 17, 21; mpsc 2:1: 34, 19, 17, 19.
pub(crate) fn look_on<R>(room: usize, mut look: impl FnMut() -> Option<R>) -> Option<R> {
    if !may_spin() {
        return None;
    }
    let first = room.ilog2().saturating_sub(2).min(SPINS - 1);
    for round in first..SPINS + YIELDS {
        if round < SPINS {
            (0..1 << round).for_each(|_| spin_loop());
        } else {
            thread::yield_now();
        }
        let seen = look();
        if seen.is_some() {
            return seen;
        }
    }
    None
}

/// When so much time will be over; `None` if that is past the end of the clock.
pub(crate) fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

thread_local! {
    static CACHED: Cell<Option<Arc<Unparker>>> = const { Cell::new(None) };
}

/// Polls `future` on this thread until it is ready, and sleeps in between.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    block_on_until(pin!(future), None).expect("without a deadline there is an end only when ready")
}

/// As `block_on`, but gives up at the deadline.
pub(crate) fn block_on_until<F: Future + ?Sized>(
    mut future: Pin<&mut F>,
    deadline: Option<Instant>,
) -> Option<F::Output> {
    // While the thread's locals are being destroyed there is no cache; then make one for the call.
    let unparker = CACHED.try_with(Cell::take).ok().flatten().unwrap_or_else(Unparker::new);
    let waker = Waker::from(Arc::clone(&unparker));
    let mut cx = Context::from_waker(&waker);
    let output = budget::unlimited(|| {
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                break Some(output);
            }
            if !unparker.park(deadline) {
                break None;
            }
        }
    });
    // A wake still to come finds the flag of a later call, which polls once too often.
    let _ = CACHED.try_with(|cache| cache.set(Some(unparker)));
    output
}
