//! Tasks that borrow: the scope outlasts all that they have, whatever happens.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Barrier, Mutex};
use std::task::Poll;
use std::thread;

use annulus::channel::oneshot;
use annulus::{Builder, Runtime, Scope, scope, yield_now};
use support::{panic_text, rounds};

mod support;

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

/// Counts its drop in what it borrows, after some time.
struct Borrows<'a>(&'a AtomicUsize);

impl Drop for Borrows<'_> {
    fn drop(&mut self) {
        (0..3).for_each(|_| thread::yield_now());
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn tasks_change_what_they_borrow() {
    let runtime = runtime(2);
    for _ in 0..rounds(200) {
        let mut parts = [0_usize; 8];
        runtime.scope(|s| {
            for (n, part) in parts.iter_mut().enumerate() {
                s.spawn(async move {
                    yield_now().await;
                    *part = n;
                });
            }
        });
        assert_eq!(parts, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}

#[test]
fn futures_and_outputs_are_gone_when_the_scope_ends() {
    let runtime = runtime(2);
    for _ in 0..rounds(500).max(5) {
        // Not an `Arc`: it is freed with the frame, and Miri looks.
        let drops = Box::new(AtomicUsize::new(0));
        let (futures, outputs) = (&*drops, Box::new(AtomicUsize::new(0)));
        runtime.scope(|s| {
            for n in 0..4 {
                let (held, output) = (Borrows(futures), Borrows(&outputs));
                let handle = s.spawn(async move {
                    let _held = held;
                    if n % 2 == 0 {
                        yield_now().await;
                    }
                    output
                });
                match n {
                    0 | 1 => drop(handle),
                    2 => drop(handle.join()),
                    _ => handle.abort(),
                }
            }
        });
        assert_eq!(drops.load(Relaxed), 4);
        assert_eq!(outputs.load(Relaxed), 4);
    }
}

#[test]
fn outputs_may_borrow_and_come_out_by_join_and_await() {
    let text = String::from("a quick brown fox");
    let words = scope(|s| {
        let (text, first) = (&text, s.spawn(async { text.split(' ').next() }));
        let both = s.spawn(async move { (first.await.unwrap(), text.rsplit(' ').next()) });
        both.join().unwrap()
    });
    assert_eq!(words, (Some("a"), Some("fox")));
}

#[test]
fn tasks_spawn_tasks() {
    fn count<'scope>(s: &'scope Scope<'scope, '_>, depth: u32, total: &'scope AtomicUsize) {
        total.fetch_add(1, Relaxed);
        if depth > 0 {
            for _ in 0..2 {
                s.spawn(async move { count(s, depth - 1, total) });
            }
        }
    }
    let total = AtomicUsize::new(0);
    runtime(2).scope(|s| count(s, 5, &total));
    assert_eq!(total.load(Relaxed), 63);
}

#[test]
fn a_closure_that_panics_waits_for_its_tasks() {
    let runtime = runtime(1);
    let drops = AtomicUsize::new(0);
    let (tx, rx) = oneshot::channel::<()>();
    let text = panic_text(|| {
        runtime.scope(|s| {
            let held = Borrows(&drops);
            s.spawn(async move {
                let _held = held;
                // Until the closure's end drops the sender.
                assert!(rx.await.is_err());
                yield_now().await;
            });
            let _tx = tx;
            panic!("boom")
        })
    });
    assert_eq!(text, "boom");
    assert_eq!(drops.load(Relaxed), 1);
}

#[test]
fn a_panic_is_reported_once_by_its_handle_or_by_the_scope() {
    let runtime = runtime(1);
    let text = panic_text(|| runtime.scope(|s| drop(s.spawn(async { panic!("boom") }))));
    assert!(text.contains("a task of the scope has panicked"), "{text}");
    let error = runtime.scope(|s| s.spawn(async { panic!("boom") }).join().unwrap_err());
    assert!(error.is_panic());
    // A handle that nobody has asked, dropped by another task.
    let text = panic_text(|| {
        runtime.scope(|s| {
            let bad = s.spawn(async { panic!("boom") });
            s.spawn(async move {
                while !bad.is_finished() {
                    yield_now().await;
                }
            });
        })
    });
    assert!(text.contains("await its handle"), "{text}");
}

#[test]
fn an_aborted_task_is_no_panic() {
    runtime(1).scope(|s| {
        let task = s.spawn(pending::<()>());
        task.abort();
        assert!(task.join().unwrap_err().is_cancelled());
    });
}

#[test]
fn where_it_would_block_a_worker_it_refuses() {
    let runtime = runtime(1);
    let refused = || {
        let ran = AtomicUsize::new(0);
        let call = || scope(|s| drop(s.spawn(async { ran.fetch_add(1, SeqCst) })));
        let text = panic_text(call);
        assert!(text.contains("would block a worker"), "{text}");
        assert_eq!(ran.load(SeqCst), 0);
    };
    runtime.block_on(async { refused() });
    runtime.block_on(runtime.spawn(async move { refused() })).unwrap();
    let text = runtime.scope(|s| {
        let task = s.spawn(async {});
        s.spawn(async { panic_text(|| task.join()) }).join().unwrap()
    });
    assert!(text.contains("join was called inside"), "{text}");
    // Nothing is left behind.
    scope(|s| s.spawn(async {}).join()).unwrap();
}

#[test]
fn tasks_of_a_scope_run_at_the_same_time() {
    let barrier = Barrier::new(2);
    runtime(2).scope(|s| {
        for _ in 0..2 {
            s.spawn(async { barrier.wait() });
        }
    });
}

#[test]
fn a_forgotten_handle_forgets_the_output_and_no_more() {
    let runtime = runtime(1);
    let (futures, outputs) = (AtomicUsize::new(0), AtomicUsize::new(0));
    runtime.scope(|s| {
        let (held, output) = (Borrows(&futures), Borrows(&outputs));
        std::mem::forget(s.spawn(async move {
            let _held = held;
            Some(output)
        }));
    });
    assert_eq!((futures.load(Relaxed), outputs.load(Relaxed)), (1, 0));
}

#[test]
fn a_future_whose_drop_panics_does_not_end_the_scope_early() {
    struct Bad<'a>(&'a AtomicUsize);
    impl Drop for Bad<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
            panic!("in drop");
        }
    }
    let runtime = runtime(1);
    let drops = AtomicUsize::new(0);
    let call = || {
        runtime.scope(|s| {
            let bad = Bad(&drops);
            s.spawn(poll_fn(move |_| {
                let _bad = &bad;
                Poll::Ready(())
            }));
        });
    };
    let _either = catch_unwind(AssertUnwindSafe(call));
    assert_eq!(drops.load(Relaxed), 1);
}

#[test]
fn several_threads_have_scopes_at_once() {
    let runtime = runtime(2);
    let log = Mutex::new(Vec::new());
    thread::scope(|threads| {
        for n in 0..4 {
            let (runtime, log) = (&runtime, &log);
            threads.spawn(move || {
                runtime.scope(|s| drop(s.spawn(async move { log.lock().unwrap().push(n) })))
            });
        }
    });
    let mut log = log.into_inner().unwrap();
    log.sort_unstable();
    assert_eq!(log, [0, 1, 2, 3]);
}

/// A thread that may block has scopes, too, on the runtime that it belongs to.
#[test]
fn scopes_where_one_may_block() {
    let runtime = runtime(1);
    let sum = |numbers: &mut [u32]| {
        scope(|s| {
            for n in numbers.iter_mut() {
                s.spawn(async move { *n += 1 });
            }
        });
        numbers.iter().sum::<u32>()
    };
    let blocking = runtime.spawn_blocking(move || sum(&mut [1, 2, 3]));
    let in_place = runtime.spawn(async move { annulus::block_in_place(|| sum(&mut [4, 5, 6])) });
    assert_eq!(runtime.block_on(blocking).unwrap(), 9);
    assert_eq!(runtime.block_on(in_place).unwrap(), 18);
}
