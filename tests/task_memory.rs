//! How much memory a task takes, and that it comes back.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::{pending, ready};
use std::sync::Mutex;
use std::sync::atomic::AtomicIsize;
use std::sync::atomic::Ordering::SeqCst;

use annulus::{Builder, Runtime, task, yield_now};

/// Counts what this thread asks for, and what all have and have not given back.
struct Counting;

thread_local! {
    static REQUESTS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        REQUESTS.set(REQUESTS.get() + 1);
        BYTES.set(BYTES.get() + layout.size());
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

/// `LIVE` is every test's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone(test: impl FnOnce(&Runtime)) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(|poison| poison.into_inner());
    test(&Builder::new().worker_threads(1).build().unwrap());
}

/// How often a call allocates, and how much: the least of several, since now and then a list of
/// the executor grows.
fn requested<R>(mut call: impl FnMut() -> R) -> (usize, usize) {
    let one = |_| {
        let before = (REQUESTS.get(), BYTES.get());
        std::mem::forget(call());
        (REQUESTS.get() - before.0, BYTES.get() - before.1)
    };
    (0..10).map(one).min().unwrap()
}

#[test]
fn a_spawn_allocates_once_and_little() {
    alone(|runtime| {
        runtime.block_on(async {
            assert_eq!(requested(|| annulus::spawn(ready(()))), (1, 80));
            assert_eq!(requested(|| annulus::spawn(async {})), (1, 80));
            assert_eq!(requested(|| annulus::spawn(pending::<u64>())), (1, 80));
            // A failure takes no more than a pointer, and shares its place with the future.
            assert_eq!(requested(|| annulus::spawn(pending::<[u8; 16]>())), (1, 88));
            assert_eq!(requested(|| annulus::spawn(ready(7_u64))), (1, 88));
            // A name, and only a name, takes room of its own.
            let named = || task::Builder::new().name("n").spawn(async {});
            assert_eq!(requested(named), (2, 97));
        });
    });
}

#[test]
fn ten_thousand_idle_tasks_take_96_bytes_each() {
    const TASKS: usize = 10_000;
    alone(|runtime| {
        let bytes = runtime.block_on(async {
            let mut tasks = Vec::with_capacity(TASKS);
            let before = LIVE.load(SeqCst);
            tasks.extend((0..TASKS).map(|_| annulus::spawn(pending::<()>())));
            let bytes = LIVE.load(SeqCst) - before;
            tasks.iter().for_each(|task| task.abort());
            for task in tasks {
                assert!(task.await.unwrap_err().is_cancelled());
            }
            bytes
        });
        // The list of live tasks is part of it.
        assert!(bytes as usize <= 96 * TASKS, "{} bytes each", bytes as usize / TASKS);
    });
}

#[test]
fn spawn_and_join_allocates_once() {
    alone(|runtime| {
        runtime.block_on(async {
            for round in 0..2 {
                let before = REQUESTS.get();
                for _ in 0..100 {
                    annulus::spawn(async {}).await.unwrap();
                }
                // At first the executor's lists grow.
                assert!(round == 0 || REQUESTS.get() - before == 100);
            }
        });
    });
}

#[test]
fn the_memory_comes_back() {
    alone(|runtime| {
        runtime.block_on(async {
            let round = async |tasks| {
                for _ in 0..tasks {
                    let task = annulus::spawn(ready(String::from("output")));
                    let (abort, again) = (task.abort_handle(), task.abort_handle());
                    drop(abort);
                    task.await.unwrap();
                    drop(again);
                    let task = annulus::spawn(pending::<()>());
                    task.abort();
                    task.await.unwrap_err();
                    annulus::spawn(pending::<()>()).abort_handle().abort();
                    yield_now().await;
                }
            };
            round(1000).await;
            let before = LIVE.load(SeqCst);
            round(1000).await;
            let grown = LIVE.load(SeqCst) - before;
            assert!(grown < 80 * 100, "{grown} bytes of 3000 tasks are left");
        });
    });
}
