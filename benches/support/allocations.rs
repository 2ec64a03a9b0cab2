//! An allocator that counts, when it is told to.
//!
//! It does not count while times are taken: processors would meet at the counter, at the expense
//! of those who allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// The system's allocator.
#[derive(Debug)]
pub(crate) struct Counting;

static ON: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Bytes allocated less bytes given back, while counting.
static LIVE: AtomicI64 = AtomicI64::new(0);

/// How often memory was allocated, or allocated anew with another size, by any thread meanwhile.
pub(crate) fn allocations<T>(run: impl FnOnce() -> T) -> (u64, T) {
    // Ordering: who is counted has been sent its work by this thread, and sends back a result.
    COUNT.store(0, Ordering::Relaxed);
    ON.store(true, Ordering::Relaxed);
    let result = run();
    ON.store(false, Ordering::Relaxed);
    (COUNT.load(Ordering::Relaxed), result)
}

/// Within [`allocations`]: how many bytes more are in use now than at some point before.
pub(crate) fn live_bytes() -> i64 {
    LIVE.load(Ordering::Relaxed)
}

fn count(more: usize, less: usize) {
    if ON.load(Ordering::Relaxed) {
        COUNT.fetch_add(u64::from(more > 0), Ordering::Relaxed);
        LIVE.fetch_add(more as i64 - less as i64, Ordering::Relaxed);
    }
}

// SAFETY: all is done by the system's allocator, which is one; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller promises what `alloc` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller promises what `alloc_zeroed` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the block is the system's, and the caller promises the rest.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the block is the system's, of this layout.
        unsafe { System.dealloc(block, layout) }
    }
}
