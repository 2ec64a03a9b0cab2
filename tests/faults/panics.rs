//! Panics where only a user's code can have them: the task's own, and in its drops and its wakers.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};

use annulus::task::JoinSet;
use annulus::{Builder, JoinError, JoinHandle, Runtime, channel, spawn, yield_now};

use crate::support::Counted;
use crate::{Fault, Guards, PATIENCE, commit};

fn runtime() -> Runtime {
    Builder::new().worker_threads(2).build().unwrap()
}

/// Counts its drop, and panics in it.
struct Breaks(#[allow(dead_code, reason = "to be dropped")] Counted);

impl Drop for Breaks {
    fn drop(&mut self) {
        panic_any(Fault);
    }
}

fn is_fault<T>(result: Result<T, JoinError>) -> bool {
    result.is_err_and(|error| error.into_panic().is::<Fault>())
}

/// The workers go on: what is spawned now is done.
fn works(runtime: &Runtime) {
    let tasks: Vec<_> = (0..8).map(|i| runtime.spawn(async move { i })).collect();
    let sum: i32 = tasks.into_iter().map(|task| runtime.block_on(task).unwrap()).sum();
    assert_eq!(sum, 28);
}

#[test]
fn in_tasks() {
    commit(|| {
        let runtime = runtime();
        let guards = Guards::default();
        let fails = |yields: usize| {
            let guard = guards.guard();
            runtime.spawn(async move {
                let _guard = guard;
                for _ in 0..yields {
                    yield_now().await;
                }
                panic_any(Fault)
            })
        };
        // In the first poll, and in a later one; somebody waits, or nobody does.
        for yields in [0, 3] {
            drop(fails(yields));
            let task: JoinHandle<()> = fails(yields);
            assert!(is_fault(runtime.block_on(task)));
        }
        works(&runtime);
        guards.await_drops();
    });
}

#[test]
fn in_drops_of_futures() {
    commit(|| {
        let runtime = runtime();
        let guards = Guards::default();
        let breaks = |ready: bool| {
            let breaks = Breaks(guards.guard());
            let mut begun = false;
            runtime.spawn(poll_fn(move |cx| {
                let _breaks = &breaks;
                if ready || std::mem::replace(&mut begun, true) {
                    return if ready { Poll::Ready(()) } else { Poll::Pending };
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }))
        };
        // At its end, by an abort, and by nobody but the runtime's end.
        assert!(is_fault(runtime.block_on(breaks(true))));
        drop(breaks(true));
        let aborted = breaks(false);
        aborted.abort();
        let error = runtime.block_on(aborted).unwrap_err();
        assert!(error.is_panic() || error.is_cancelled());
        drop(breaks(false));
        let left = breaks(false);
        works(&runtime);
        drop(runtime);
        assert!(guards.all_dropped());
        assert!(annulus::block_on(left).is_err());
    });
}

#[test]
fn in_drops_of_outputs() {
    commit(|| {
        let runtime = runtime();
        let guards = Guards::default();
        let task = || {
            let output = Breaks(guards.guard());
            runtime.spawn(async move { output })
        };
        // Nobody takes it: the task is detached, before its end or after.
        drop(task());
        let finished = task();
        crate::eventually(|| finished.is_finished());
        // The panic is no worker's, and may be ours.
        _ = catch_unwind(AssertUnwindSafe(|| drop(finished)));
        // Somebody does.
        let output = runtime.block_on(task()).unwrap();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(output))).unwrap_err().is::<Fault>());
        // A set drops what it has joined for nobody.
        let mut set = JoinSet::new();
        for _ in 0..2 {
            let output = Breaks(guards.guard());
            set.spawn_on(async move { output }, &runtime.handle());
        }
        set.detach_all();
        works(&runtime);
        guards.await_drops();
    });
}

/// A waker of another executor that panics: when it is woken, or dropped.
struct BadWaker(When, #[allow(dead_code, reason = "to be dropped")] Counted);

#[derive(Clone, Copy, PartialEq)]
enum When {
    Woken,
    Dropped,
}

impl Wake for BadWaker {
    fn wake(self: Arc<Self>) {
        if self.0 == When::Woken {
            panic_any(Fault);
        }
    }
}

impl Drop for BadWaker {
    fn drop(&mut self) {
        if self.0 == When::Dropped {
            panic_any(Fault);
        }
    }
}

#[test]
fn in_foreign_wakers_that_wait_for_tasks() {
    commit(|| {
        let runtime = runtime();
        let guards = Guards::default();
        for when in [When::Woken, When::Dropped] {
            let (go, gone) = channel::oneshot::channel::<()>();
            let guard = guards.guard();
            let mut task = runtime.spawn(async move {
                let _guard = guard;
                gone.await.unwrap();
            });
            // Waits for the task, with a waker that nobody else has then.
            let waker = Waker::from(Arc::new(BadWaker(when, guards.guard())));
            let polled = pin!(&mut task).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
            go.send(()).unwrap();
            // The task is done, whatever became of the wake.
            crate::eventually(|| task.is_finished());
            runtime.block_on(task).unwrap();
        }
        works(&runtime);
        guards.await_drops();
    });
}

#[test]
fn in_foreign_wakers_that_wait_for_messages() {
    commit(|| {
        let runtime = runtime();
        let guards = Guards::default();
        for when in [When::Woken, When::Dropped] {
            let (tx, mut rx) = channel::mpsc(1);
            let waker = Waker::from(Arc::new(BadWaker(when, guards.guard())));
            {
                let mut recv = pin!(rx.recv());
                assert!(recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
                _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
                // A task sends, and has the panic; its message has arrived all the same.
                let (sent, is_sent) = mpsc::channel();
                let task = runtime.spawn(async move {
                    let result = catch_unwind(AssertUnwindSafe(|| tx.try_send(5)));
                    sent.send(()).unwrap();
                    drop(result);
                });
                is_sent.recv_timeout(PATIENCE).unwrap();
                _ = runtime.block_on(task);
                let polled = recv.poll(&mut Context::from_waker(Waker::noop()));
                assert_eq!(polled, Poll::Ready(Some(5)));
            }
        }
        works(&runtime);
        guards.await_drops();
    });
}

/// What is dropped while a panic goes through the root future.
#[test]
fn through_block_on() {
    commit(|| {
        let runtime = runtime();
        let guards = Guards::default();
        let waker = Arc::new(Mutex::new(None::<Waker>));
        for _ in 0..2 {
            let (guard, inner) = (guards.guard(), guards.guard());
            let kept = Arc::clone(&waker);
            let call = AssertUnwindSafe(|| {
                runtime.block_on(async move {
                    let _guard = guard;
                    poll_fn(|cx| {
                        *kept.lock().unwrap() = Some(cx.waker().clone());
                        Poll::Ready(())
                    })
                    .await;
                    let task = spawn(async move { drop(inner) });
                    task.await.unwrap();
                    panic_any(Fault)
                })
            });
            assert!(catch_unwind(call).unwrap_err().is::<Fault>());
            waker.lock().unwrap().take().unwrap().wake();
        }
        works(&runtime);
        guards.await_drops();
    });
}
