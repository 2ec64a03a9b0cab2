//! Sets of tasks: each is joined once, in the order of their ends, and a dropped set ends all.

use std::cell::RefCell;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use annulus::channel::oneshot;
use annulus::task::{JoinSet, LocalSet};
use annulus::{Builder, Runtime, yield_now};
use support::{Counted, Polled, now, rounds};

mod support;

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

#[test]
fn tasks_are_joined_in_the_order_of_their_ends() {
    runtime(1).block_on(async {
        let mut set = JoinSet::new();
        let mut ends: Vec<_> = (0..5)
            .map(|n| {
                let (tx, rx) = oneshot::channel::<()>();
                set.spawn(async move {
                    rx.await.unwrap();
                    n
                });
                Some(tx)
            })
            .collect();
        assert_eq!(format!("{set:?}"), "JoinSet { len: 5, ended: 0 }");
        assert!(set.try_join_next().is_none());
        for n in [3, 0, 4, 1, 2] {
            ends[n].take().unwrap().send(()).unwrap();
            // Another one that waits is not in the way.
            assert_eq!(set.join_next().await.unwrap().unwrap(), n);
        }
        assert!(set.is_empty());
        assert!(set.join_next().await.is_none());
    });
}

#[test]
fn each_of_many_is_joined_once_on_several_workers() {
    let tasks = rounds(10_000);
    runtime(4).block_on(async {
        let mut set = JoinSet::new();
        let mut seen = vec![false; tasks];
        for n in 0..tasks {
            set.spawn(async move {
                for _ in 0..n % 3 {
                    yield_now().await;
                }
                n
            });
            if n % 2 == 0 {
                let joined = set.join_next().await.unwrap().unwrap();
                assert!(!std::mem::replace(&mut seen[joined], true));
            }
        }
        while let Some(n) = set.join_next().await {
            assert!(!std::mem::replace(&mut seen[n.unwrap()], true));
        }
        assert!(seen.into_iter().all(|seen| seen));
    });
}

#[test]
fn a_wait_that_is_dropped_loses_no_task() {
    let runtime = runtime(1);
    let mut set = JoinSet::new();
    let (tx, rx) = oneshot::channel::<u8>();
    set.spawn_on(async { rx.await.unwrap() }, &runtime.handle());
    let wait = Polled::waiting(set.join_next());
    tx.send(7).unwrap();
    while wait.wakes() == 0 {
        std::thread::yield_now();
    }
    drop(wait);
    assert_eq!(set.len(), 1);
    assert_eq!(runtime.block_on(set.join_next()).unwrap().unwrap(), 7);
}

#[test]
fn dropping_the_set_aborts_its_tasks_and_detaching_does_not() {
    let runtime = runtime(1);
    let drops = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = oneshot::channel();
    runtime.block_on(async {
        let mut set = JoinSet::new();
        for _ in 0..3 {
            let guard = Counted(Arc::clone(&drops));
            set.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
        }
        let mut detached = JoinSet::new();
        detached.spawn(async move {
            yield_now().await;
            tx.send("alive").unwrap();
        });
        detached.detach_all();
        assert!(detached.is_empty());
        // The keys of the new tasks are not mixed up with the old ones'.
        detached.spawn(pending());
        drop(set);
        while drops.load(SeqCst) < 3 {
            yield_now().await;
        }
        assert_eq!(rx.await.unwrap(), "alive");
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(detached.try_join_next().is_none());
        detached.spawn(async {});
        detached.join_next().await.unwrap().unwrap();
        assert_eq!(detached.len(), 1);
    });
}

#[test]
fn shutdown_waits_until_all_futures_are_gone() {
    let runtime = runtime(2);
    let drops = Arc::new(AtomicUsize::new(0));
    runtime.block_on(async {
        let mut set = JoinSet::new();
        for n in 0..20 {
            let guard = Counted(Arc::clone(&drops));
            set.spawn(async move {
                let _guard = guard;
                if n % 2 == 0 {
                    pending::<()>().await;
                }
            });
        }
        set.shutdown().await;
        assert_eq!(drops.load(SeqCst), 20);
        assert!(set.is_empty());
    });
}

#[test]
fn join_all_passes_a_panic_on_and_aborts_the_others() {
    let runtime = runtime(1);
    let drops = Arc::new(AtomicUsize::new(0));
    let guard = Counted(Arc::clone(&drops));
    let task = runtime.spawn(async move {
        let mut set = JoinSet::new();
        set.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        set.spawn(async { std::panic::panic_any("boom") });
        set.join_all().await;
    });
    let error = runtime.block_on(task).unwrap_err();
    assert_eq!(error.into_panic().downcast_ref(), Some(&"boom"));
    drop(runtime);
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn aborted_and_panicked_tasks_are_joined_too() {
    runtime(1).block_on(async {
        let mut set = JoinSet::<()>::new();
        let abort = set.spawn(pending());
        set.spawn(async { panic!("boom") });
        assert!(set.join_next().await.unwrap().unwrap_err().is_panic());
        let id = abort.id();
        abort.abort();
        let error = set.join_next().await.unwrap().unwrap_err();
        assert!(error.is_cancelled() && error.id() == id);
        assert!(set.join_next().await.is_none());
    });
}

#[test]
fn a_set_outlives_its_runtime() {
    let runtime = runtime(1);
    let mut set = JoinSet::<()>::new();
    set.spawn_on(pending(), &runtime.handle());
    drop(runtime);
    assert!(set.try_join_next().unwrap().unwrap_err().is_cancelled());
    assert!(now(set.join_next()).is_none());
}

#[test]
fn a_set_that_is_always_ready_lets_others_run() {
    runtime(1).block_on(async {
        let tasks = if cfg!(miri) { 600 } else { 2000 };
        let mut set: JoinSet<_> = (0..tasks).map(ready).collect();
        // Let all of them end.
        for _ in 0..2 * tasks {
            yield_now().await;
        }
        let mut polls = 0;
        let mut joins = std::pin::pin!(async { while set.join_next().await.is_some() {} });
        std::future::poll_fn(|cx| {
            polls += 1;
            joins.as_mut().poll(cx)
        })
        .await;
        assert!(polls > 1, "all joins took one turn");
    });
}

#[test]
fn closures_that_block_are_joined_like_tasks() {
    let runtime = runtime(1);
    let mut set = JoinSet::new();
    let (release, released) = std::sync::mpsc::channel::<()>();
    set.spawn_blocking_on(move || released.recv().is_err(), &runtime.handle());
    runtime.block_on(async {
        set.spawn_blocking(|| panic!("in a closure"));
        let first = set.join_next().await.unwrap();
        assert!(first.unwrap_err().is_panic(), "the other is still blocked");
        assert!(set.try_join_next().is_none());
        drop(release);
        assert!(set.join_next().await.unwrap().unwrap());
        assert!(set.join_next().await.is_none());
    });
    // What has not begun when the runtime ends is joined as cancelled.
    let handle = runtime.handle();
    drop(runtime);
    set.spawn_blocking_on(|| true, &handle);
    assert!(now(set.join_next()).unwrap().unwrap_err().is_cancelled());
}

#[test]
fn aborted_tasks_stay_in_the_set_until_they_are_joined() {
    runtime(2).block_on(async {
        let mut set: JoinSet<()> = (0..3).map(|_| pending()).collect();
        set.abort_all();
        assert_eq!(set.len(), 3);
        for _ in 0..3 {
            assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
        }
        assert!(set.is_empty());
    });
}

/// Tasks of a `LocalSet` are joined like others, and one that was refused leaves no trace.
#[test]
fn local_tasks_are_joined_and_aborted() {
    let refused = catch_unwind(AssertUnwindSafe(|| {
        let mut set = JoinSet::new();
        catch_unwind(AssertUnwindSafe(|| set.spawn_local(ready(1)))).unwrap_err();
        (set.len(), set.try_join_next().is_none())
    }));
    assert_eq!(refused.unwrap(), (0, true));
    annulus::block_on(LocalSet::new().run_until(async {
        let (seen, mut set) = (Rc::new(RefCell::new(Vec::new())), JoinSet::new());
        for n in 0..3 {
            let seen = Rc::clone(&seen);
            set.spawn_local(async move {
                for _ in 0..3 - n {
                    yield_now().await;
                }
                seen.borrow_mut().push(n);
                Rc::new(n)
            });
        }
        let stays = set.spawn_local(pending());
        let mut joined = Vec::new();
        for _ in 0..3 {
            joined.push(*set.join_next().await.unwrap().unwrap());
        }
        assert_eq!((&joined, &*seen.borrow()), (&vec![2, 1, 0], &joined));
        stays.abort();
        assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
        // The set's drop ends what is left, in the `LocalSet`'s turn.
        let guard = Rc::clone(&seen);
        set.spawn_local(async move {
            let _guard = guard;
            pending().await
        });
        yield_now().await;
        drop(set);
        while Rc::strong_count(&seen) > 1 {
            yield_now().await;
        }
    }));
}
