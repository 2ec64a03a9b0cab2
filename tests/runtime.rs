//! Spawning, joining, aborting, panicking and ending.

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use annulus::{Builder, Runtime, channel, yield_now};

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

/// Counts its drops.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn many_tasks_are_joined() {
    for workers in [1, 2, 4] {
        let runtime = runtime(workers);
        let sum: usize = runtime.block_on(async {
            let tasks: Vec<_> = (0..10_000).map(|n| annulus::spawn(async move { n })).collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 49_995_000);
    }
}

#[test]
fn a_panic_ends_its_task_alone() {
    let runtime = runtime(1);
    let line = line!() + 1;
    let task = runtime.spawn(async { panic!("boom") });
    let error = runtime.block_on(task).unwrap_err();
    assert!(error.is_panic() && !error.is_cancelled());
    assert!(error.spawned_at().file().ends_with("runtime.rs"));
    assert_eq!(error.spawned_at().line(), line);
    assert!(error.to_string().ends_with("panicked: boom"), "{error}");
    assert_eq!(error.into_panic().downcast_ref(), Some(&"boom"));
    // The one worker there is goes on.
    assert_eq!(runtime.block_on(runtime.spawn(async { 7 })).unwrap(), 7);
}

#[test]
fn abort_before_while_and_after() {
    let runtime = runtime(2);
    runtime.block_on(async {
        let drops = Arc::new(AtomicUsize::new(0));
        let guard = Guard(Arc::clone(&drops));
        let task = annulus::spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        task.abort();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(drops.load(SeqCst), 1);

        // While it waits for a message: the channel sees the receiver go.
        let (tx, mut rx) = channel::mpsc::<u32>(1);
        let (started, mut has_started) = channel::mpsc(1);
        let task = annulus::spawn(async move {
            started.send(()).await.unwrap();
            rx.recv().await
        });
        has_started.recv().await.unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(tx.send(1).await.is_err());

        // After the end it changes nothing.
        let task = annulus::spawn(async { 3 });
        while !task.is_finished() {
            yield_now().await;
        }
        task.abort();
        assert_eq!(task.await.unwrap(), 3);
    });
}

#[test]
fn a_dropped_handle_detaches() {
    let runtime = runtime(2);
    let drops = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = mpsc::channel();
    let output = Guard(Arc::clone(&drops));
    drop(runtime.spawn(async move {
        yield_now().await;
        tx.send(()).unwrap();
        output
    }));
    rx.recv().unwrap();
    drop(runtime);
    assert_eq!(drops.load(SeqCst), 1, "the output that nobody wants is dropped once");
}

#[test]
fn shutdown_drops_every_future_once() {
    for workers in [1, 2, 4] {
        for round in 0..20 {
            let runtime = runtime(workers);
            let drops = Arc::new(AtomicUsize::new(0));
            let wakers = Arc::new(Mutex::new(Vec::<Waker>::new()));
            let mut handles = Vec::new();
            for n in 0..100 {
                let (guard, wakers) = (Guard(Arc::clone(&drops)), Arc::clone(&wakers));
                handles.push(runtime.spawn(async move {
                    let _guard = guard;
                    match n % 3 {
                        // Waits for ever, and its waker is kept outside.
                        0 => {
                            poll_fn(|cx| {
                                wakers.lock().unwrap().push(cx.waker().clone());
                                Poll::<()>::Pending
                            })
                            .await;
                        }
                        // Never waits.
                        1 => loop {
                            yield_now().await;
                        },
                        _ => {}
                    }
                }));
            }
            let foreign = thread::spawn({
                let wakers = Arc::clone(&wakers);
                move || {
                    for _ in 0..100 * (round % 3) {
                        let woken: Vec<_> = wakers.lock().unwrap().clone();
                        woken.iter().for_each(Waker::wake_by_ref);
                    }
                }
            });
            drop(runtime);
            assert_eq!(drops.load(SeqCst), 100);
            foreign.join().unwrap();
            // The wakers outlive the runtime, and do nothing.
            wakers.lock().unwrap().drain(..).for_each(Waker::wake);
            for (n, handle) in handles.into_iter().enumerate() {
                let mut handle = std::pin::pin!(handle);
                match handle.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(Ok(())) => assert_eq!(n % 3, 2),
                    Poll::Ready(Err(error)) => assert!(error.is_cancelled()),
                    Poll::Pending => panic!("a task outlived its runtime"),
                }
            }
        }
    }
}

#[test]
fn a_future_that_spawns_in_its_drop_at_shutdown() {
    struct Spawner(Arc<AtomicUsize>);
    impl Drop for Spawner {
        fn drop(&mut self) {
            let guard = Guard(Arc::clone(&self.0));
            drop(annulus::spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }));
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(2);
    let spawner = Spawner(Arc::clone(&drops));
    drop(runtime.spawn(async move {
        let _spawner = spawner;
        pending::<()>().await;
    }));
    drop(runtime);
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn a_runtime_dropped_by_its_own_task() {
    let runtime = runtime(2);
    let drops = Arc::new(AtomicUsize::new(0));
    let guard = Guard(Arc::clone(&drops));
    drop(runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    let (tx, rx) = mpsc::channel();
    let (take, taken) = mpsc::channel::<Runtime>();
    let task = runtime.spawn(async move {
        drop(taken.recv().unwrap());
        tx.send(()).unwrap();
    });
    take.send(runtime).unwrap();
    rx.recv().unwrap();
    // Its workers end by themselves; the last of them drops the tasks.
    while drops.load(SeqCst) == 0 {
        thread::yield_now();
    }
    assert!(annulus::block_on(task).is_ok());
}

#[test]
fn block_on_inside_a_task_panics_and_says_what_to_do() {
    let runtime = Arc::new(runtime(2));
    let inner = Arc::clone(&runtime);
    let error = runtime
        .block_on(runtime.spawn(async move { inner.block_on(async {}) }))
        .expect_err("it must not block a worker");
    assert!(error.to_string().contains("use `.await`"), "{error}");
    let nested = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async { annulus::block_on(async {}) });
    }));
    assert!(nested.is_err());
    assert_eq!(runtime.block_on(async { 5 }), 5, "and the runtime is as it was");
}

#[test]
fn many_threads_block_on_one_runtime() {
    let runtime = runtime(2);
    thread::scope(|s| {
        for thread in 0..6_u64 {
            let runtime = &runtime;
            s.spawn(move || {
                for round in 0..200 {
                    let answer = runtime.block_on(async move {
                        let (mut tx, mut rx) = channel::spsc(1);
                        let task = annulus::spawn(async move {
                            for n in 0..3 {
                                tx.send(n + round).await.unwrap();
                            }
                        });
                        let mut sum = thread;
                        while let Some(n) = rx.recv().await {
                            sum += n;
                        }
                        task.await.unwrap();
                        sum
                    });
                    assert_eq!(answer, thread + 3 + 3 * round);
                }
            });
        }
    });
}

/// With every worker busy a guest polls its own future, and gets a seat between two polls.
#[test]
fn block_on_beside_busy_workers() {
    let runtime = runtime(2);
    let stop = Arc::new(AtomicUsize::new(0));
    let busy = [(); 4].map(|()| {
        let stop = Arc::clone(&stop);
        runtime.spawn(async move {
            while stop.load(SeqCst) == 0 {
                yield_now().await;
            }
        })
    });
    for n in 0..100 {
        assert_eq!(runtime.block_on(async { annulus::spawn(async move { n }).await.unwrap() }), n);
    }
    stop.store(1, SeqCst);
    for task in busy {
        runtime.block_on(task).unwrap();
    }
}

/// A task in the slot of a worker that is stuck is found by another.
#[test]
fn a_task_behind_a_poll_that_blocks_is_run_by_another_worker() {
    let runtime = runtime(2);
    let (tx, rx) = mpsc::channel();
    let stuck = runtime.spawn(async move {
        drop(annulus::spawn(async move { tx.send(1).unwrap() }));
        // Blocks the worker until the other task has run somewhere else.
        rx.recv().unwrap()
    });
    let (done, wait) = mpsc::channel();
    drop(runtime.spawn(async move { done.send(stuck.await.unwrap()) }));
    assert_eq!(wait.recv().unwrap(), 1);
}

#[test]
fn wakes_from_foreign_threads_arrive() {
    let runtime = runtime(2);
    for _ in 0..2000 {
        let (mut tx, mut rx) = channel::spsc(1);
        let task = runtime.spawn(async move { rx.recv().await });
        thread::scope(|s| {
            s.spawn(move || tx.send_blocking(1).unwrap());
        });
        assert_eq!(runtime.block_on(task).unwrap(), Some(1));
    }
}

#[test]
fn the_root_future_borrows_and_panics_through() {
    let runtime = runtime(2);
    let text = String::from("borrowed");
    assert_eq!(runtime.block_on(async { text.len() }), 8);
    let payload = catch_unwind(AssertUnwindSafe(|| runtime.block_on(async { panic!("root") })));
    assert_eq!(payload.unwrap_err().downcast_ref(), Some(&"root"));
    assert_eq!(runtime.block_on(async { annulus::spawn(async { 1 }).await.unwrap() }), 1);
}

#[test]
fn settings() {
    let runtime = Builder::new().worker_threads(1).thread_name("crunch").build().unwrap();
    let (tx, rx) = mpsc::channel();
    drop(runtime.spawn(async move { tx.send(thread::current().name().map(str::to_owned)) }));
    assert_eq!(rx.recv().unwrap().as_deref(), Some("crunch-0"));
    assert!(catch_unwind(|| Builder::new().worker_threads(0)).is_err());
    assert!(catch_unwind(|| Builder::new().worker_threads(65)).is_err());
    assert!(catch_unwind(|| channel::bounded::<u8>(0)).is_err());
}

/// Blocks this thread until `rx` has something; too long means that nobody ran its sender.
fn patiently<T>(rx: &mpsc::Receiver<T>) -> T {
    rx.recv_timeout(Duration::from_secs(20)).expect("the task is run while others sleep")
}

/// A guest that was called for work, and has its root to poll first, leaves the work to others.
#[test]
fn a_guest_in_a_long_poll_is_not_relied_upon() {
    let runtime = runtime(3);
    for _ in 0..50 {
        let (tx, rx) = mpsc::channel();
        let (asleep, root) = mpsc::channel::<Waker>();
        let (theirs, woken) = (&runtime, &AtomicUsize::new(0));
        thread::scope(|s| {
            s.spawn(move || {
                let root = root.recv().unwrap();
                // By now the guest is likely to sleep; it is right in any case.
                (0..1000).for_each(|_| thread::yield_now());
                drop(theirs.spawn(async move { tx.send(()).unwrap() }));
                woken.store(1, SeqCst);
                root.wake();
            });
            let mut asleep = Some(asleep);
            runtime.block_on(poll_fn(|cx| {
                if let Some(asleep) = asleep.take() {
                    asleep.send(cx.waker().clone()).unwrap();
                }
                if woken.load(SeqCst) == 0 {
                    return Poll::Pending;
                }
                patiently(&rx);
                Poll::Ready(())
            }));
        });
    }
}

/// The one who looks after tasks behind long polls is called away: another takes over.
#[test]
fn a_sentinel_that_is_called_away_has_a_successor() {
    let runtime = runtime(3);
    for _ in 0..20 {
        let (tx, rx) = mpsc::channel();
        let (ask, asked) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (done, wait) = mpsc::channel();
        drop(runtime.spawn(async move {
            // Has some seat look round, and become the sentinel.
            annulus::spawn(async {}).await.unwrap();
            (0..1000).for_each(|_| thread::yield_now());
            // Into the slot, which the sentinel watches.
            drop(annulus::spawn(async move { tx.send(()).unwrap() }));
            ask.send(()).unwrap();
            patiently(&rx);
            release.send(()).unwrap();
            done.send(()).unwrap();
        }));
        asked.recv().unwrap();
        // Goes to a seat that sleeps, maybe the sentinel's, and stays there.
        drop(runtime.spawn(async move { patiently(&released) }));
        patiently(&wait);
    }
}

/// Each task waits for the other without giving its worker up, however they came to be queued.
#[test]
fn a_task_behind_one_that_blocks_is_run_by_another_worker() {
    for _ in 0..if cfg!(miri) { 2 } else { 200 } {
        let runtime = Builder::new().worker_threads(2).build().unwrap();
        let barrier = Arc::new(std::sync::Barrier::new(2));
        let tasks = [(); 2].map(|()| {
            let barrier = Arc::clone(&barrier);
            runtime.spawn(async move { barrier.wait().is_leader() })
        });
        let leaders = tasks.map(|task| usize::from(annulus::block_on(task).unwrap()));
        assert_eq!(leaders.iter().sum::<usize>(), 1);
    }
}
