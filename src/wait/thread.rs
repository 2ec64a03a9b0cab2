//! A thread that waits like a task: its waker unparks it.
//!
//! Each thread keeps one such waker for all its blocking calls, so that blocking allocates once
//! in a thread's life. A call made inside another (a waker or a message's drop that blocks) finds
//! it taken and makes its own: else the inner call could swallow the outer one's wake.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::util::{budget, prompt_waker};

/// Wakes one thread out of [`block_on`].
struct Unparker {
    thread: Thread,
    /// Set by a wake, cleared by the thread before it polls.
    woken: AtomicBool,
}

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Ordering: Release pairs with the Acquire in `park`: what was done before the wake is
        // seen by the poll after it.
        if !self.woken.swap(true, Release) {
            self.thread.unpark();
        }
    }
}

impl Unparker {
    fn new() -> Arc<Self> {
        let this = Arc::new(Self { thread: thread::current(), woken: AtomicBool::new(false) });
        prompt_waker::register(&Waker::from(Arc::clone(&this)));
        this
    }

    /// Sleeps until woken, which may have been before; false if the deadline came first.
    fn park(&self, deadline: Option<Instant>) -> bool {
        // Other code may park and unpark this thread for its own reasons: the flag decides.
        while !self.woken.swap(false, Acquire) {
            let Some(deadline) = deadline else {
                thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            thread::park_timeout(left);
        }
        true
    }
}

thread_local! {
    static CACHED: Cell<Option<Arc<Unparker>>> = const { Cell::new(None) };
}

/// Polls `future` on this thread until it is ready, and sleeps in between.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    block_on_until(pin!(future), None).expect("without a deadline there is an end only when ready")
}

/// As `block_on`, but gives up at the deadline.
pub(crate) fn block_on_until<F: Future>(
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
