//! How much memory a task takes, and that it comes back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::{pending, ready};
use std::sync::atomic::AtomicIsize;
use std::sync::atomic::Ordering::SeqCst;

use annulus::Builder;

/// Counts what each thread asks for, and what all have and have not given back.
struct Counting;

thread_local! {
    static REQUESTED: Cell<usize> = const { Cell::new(0) };
}

static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        REQUESTED.set(REQUESTED.get() + layout.size());
        LIVE.fetch_add(layout.size() as isize, SeqCst);
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, SeqCst);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The smallest request of several, since now and then a list of the executor grows.
fn requested<R>(mut call: impl FnMut() -> R) -> usize {
    let one = |_| {
        let before = REQUESTED.get();
        std::mem::forget(call());
        REQUESTED.get() - before
    };
    (0..10).map(one).min().unwrap()
}

#[test]
fn a_task_takes_96_bytes_and_gives_them_back() {
    let runtime = Builder::new().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        assert_eq!(requested(|| annulus::spawn(ready(()))), 96);
        assert_eq!(requested(|| annulus::spawn(ready(7_u64))), 96 + 8 * usize::from(size_of_val(&ready(7_u64)) > 8));
        assert_eq!(requested(|| annulus::spawn(async {})), 96);
        assert_eq!(requested(|| annulus::spawn(pending::<u64>())), 96);
        // A future that is larger takes what it takes.
        assert_eq!(requested(|| annulus::spawn(async { drop([pending::<()>().await; 100]) })), 96);
    });
    runtime.block_on(async {
        for _ in 0..1000 {
            annulus::spawn(async {}).await.unwrap();
        }
        let before = LIVE.load(SeqCst);
        for _ in 0..1000 {
            let task = annulus::spawn(ready(String::from("output")));
            let (abort, again) = (task.abort_handle(), task.abort_handle());
            drop(abort);
            task.await.unwrap();
            drop(again);
            annulus::spawn(pending::<()>()).abort_handle().abort();
            annulus::yield_now().await;
        }
        for _ in 0..200 {
            annulus::yield_now().await;
        }
        let grown = LIVE.load(SeqCst) - before;
        assert!(grown < 96 * 100, "{grown} bytes of 2000 tasks are left");
    });
}
