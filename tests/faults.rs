//! What goes wrong: nothing is lost, nothing leaks, nobody hangs.
//!
//! Each fault is committed again and again, and the memory of the process is counted in between.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicIsize, AtomicUsize};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use support::Counted;

#[macro_use]
mod support;

#[path = "faults/aborts.rs"]
mod aborts;
#[path = "faults/panics.rs"]
mod panics;
#[path = "faults/runtime_ends.rs"]
mod runtime_ends;
#[path = "faults/too_late.rs"]
mod too_late;

/// Counts what is allocated and not freed, by all threads.
struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(1, Relaxed);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(1, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) };
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Who waits longer has been forgotten.
const PATIENCE: Duration = Duration::from_secs(30);

/// So often is each fault committed, so that what is lost each time stands out.
const ROUNDS: isize = if cfg!(miri) { 1 } else { 64 };

/// Commits a fault in many rounds, one test at a time: nothing may be left of them.
#[track_caller]
fn commit(fault: impl Fn()) {
    // The harness has a thread or two that allocate meanwhile. Threads that were left behind, as
    // some faults have it, need a moment for their end.
    with_left(fault, |left| eventually(|| left() < ROUNDS));
}

/// Calls `check` with what tells how many allocations are left of all rounds.
fn with_left(fault: impl Fn(), check: impl FnOnce(&dyn Fn() -> isize)) {
    static ALONE: Mutex<()> = Mutex::new(());
    expect_faults();
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // What is allocated once.
    (0..4).for_each(|_| fault());
    let before = LIVE.load(SeqCst);
    (0..ROUNDS).for_each(|_| fault());
    check(&|| LIVE.load(SeqCst) - before);
}

/// Waits for what is to come, and fails instead of hanging.
#[track_caller]
fn eventually(mut comes: impl FnMut() -> bool) {
    let start = Instant::now();
    while !comes() {
        assert!(start.elapsed() < PATIENCE, "it does not come");
        thread::yield_now();
    }
}

/// How many guards have been dropped of how many that were made.
#[derive(Clone, Default)]
struct Guards {
    made: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
}

impl Guards {
    fn guard(&self) -> Counted {
        self.made.fetch_add(1, SeqCst);
        Counted(Arc::clone(&self.dropped))
    }

    fn count(&self) -> usize {
        self.made.load(SeqCst)
    }

    fn all_dropped(&self) -> bool {
        self.dropped.load(SeqCst) == self.made.load(SeqCst)
    }

    /// Each once, and not more.
    #[track_caller]
    fn await_drops(&self) {
        eventually(|| self.dropped.load(SeqCst) >= self.made.load(SeqCst));
        assert!(self.all_dropped());
    }
}

/// A panic that is meant.
struct Fault;

/// Has such panics not be reported.
fn expect_faults() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !info.payload().is::<Fault>() {
                former(info);
            }
        }));
    });
}

#[test]
fn leaks_are_found() {
    with_left(|| drop(Box::new(1)), |left| assert!(left() < ROUNDS));
    with_left(
        || (0..2).for_each(|_| std::mem::forget(Box::new(1))),
        |left| assert!(left() >= ROUNDS),
    );
}
