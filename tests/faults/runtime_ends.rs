//! The end of a runtime, wherever and under whomever it comes.

use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use annulus::{Builder, Handle, JoinHandle, Runtime, block_in_place, channel, time, yield_now};

use crate::{Fault, Guards, PATIENCE, commit};

fn runtime() -> Runtime {
    Builder::new().worker_threads(2).build().unwrap()
}

/// A runtime full of life: what waits for ever, for a timer, for each other, and for the processor;
/// and closures that block until `release` is dropped.
struct Life {
    guards: Guards,
    release: channel::Sender<()>,
    wakers: Arc<Mutex<Vec<Waker>>>,
    handles: Vec<JoinHandle<()>>,
    closures: Vec<JoinHandle<()>>,
}

impl Life {
    fn fill(handle: &Handle) -> Self {
        let guards = Guards::default();
        let wakers = Arc::<Mutex<Vec<Waker>>>::default();
        let mut handles = Vec::new();
        for _ in 0..3 {
            let (guard, kept) = (guards.guard(), Arc::clone(&wakers));
            handles.push(handle.spawn(async move {
                let _guard = guard;
                // Its waker is held outside.
                poll_fn(|cx| {
                    kept.lock().unwrap().push(cx.waker().clone());
                    Poll::Pending
                })
                .await
            }));
            let guard = guards.guard();
            handles.push(handle.spawn(async move {
                let _guard = guard;
                time::sleep(Duration::from_secs(3600)).await;
            }));
            let guard = guards.guard();
            handles.push(handle.spawn(async move {
                let _guard = guard;
                loop {
                    yield_now().await;
                }
            }));
            let guard = guards.guard();
            let inner = handle.clone();
            handles.push(handle.spawn(async move {
                let _guard = guard;
                drop(inner.spawn(pending::<()>()).await);
                pending::<()>().await;
            }));
        }
        let (release, released) = channel::bounded::<()>(1);
        let (begun, have_begun) = mpsc::channel();
        let closures = (0..2).map(|_| {
            let (guard, released, begun) = (guards.guard(), released.clone(), begun.clone());
            handle.spawn_blocking(move || {
                let _guard = guard;
                begun.send(()).unwrap();
                assert_eq!(released.recv_blocking(), None);
            })
        });
        let closures = closures.collect();
        (0..2).for_each(|_| have_begun.recv_timeout(PATIENCE).unwrap());
        Self { guards, release, wakers, handles, closures }
    }

    /// After the end has begun: everything comes to its own.
    fn check(self) {
        let Self { guards, release, wakers, handles, closures } = self;
        drop(release);
        for task in handles {
            assert!(annulus::block_on(task).unwrap_err().is_cancelled());
        }
        for closure in closures {
            annulus::block_on(closure).unwrap();
        }
        guards.await_drops();
        use_up(&wakers);
    }
}

/// Wakers of tasks that are gone do nothing.
fn use_up(wakers: &Mutex<Vec<Waker>>) {
    for waker in std::mem::take(&mut *wakers.lock().unwrap()) {
        waker.wake_by_ref();
        let other = waker.clone();
        assert!(other.will_wake(&waker));
        drop(waker);
        other.wake();
    }
}

/// Ends a runtime full of life by `end`, from which the life is to be gone afterwards.
fn end_by(end: impl Fn(Runtime, &Handle) + Sync) {
    commit(|| {
        let runtime = runtime();
        let handle = runtime.handle();
        let life = Life::fill(&handle);
        end(runtime, &handle);
        life.check();
    });
}

#[test]
fn in_a_task() {
    end_by(|runtime, handle| {
        let (give, given) = mpsc::channel::<Runtime>();
        let task = handle.spawn(async move { drop(given.recv().unwrap()) });
        give.send(runtime).unwrap();
        annulus::block_on(task).unwrap();
    });
}

#[test]
fn in_a_closure_that_blocks() {
    end_by(|runtime, handle| {
        let (give, given) = mpsc::channel::<Runtime>();
        let task = handle.spawn_blocking(move || drop(given.recv().unwrap()));
        give.send(runtime).unwrap();
        annulus::block_on(task).unwrap();
    });
}

#[test]
fn in_place() {
    end_by(|runtime, handle| {
        let (give, given) = mpsc::channel::<Runtime>();
        let task = handle.spawn(async move { block_in_place(move || drop(given.recv().unwrap())) });
        give.send(runtime).unwrap();
        annulus::block_on(task).unwrap();
    });
}

#[test]
fn in_a_hook() {
    commit(|| {
        for start in [true, false] {
            let place = Arc::new(Mutex::new(None::<Runtime>));
            let theirs = Arc::clone(&place);
            let hook = move || {
                assert!(Handle::try_current().is_some(), "a hook is called in its runtime");
                let runtime = theirs.lock().unwrap().take();
                drop(runtime);
            };
            let builder = Builder::new().worker_threads(1).thread_keep_alive(Duration::ZERO);
            let builder = match start {
                true => builder.on_thread_start(hook),
                false => builder.on_thread_stop(hook),
            };
            let runtime = builder.build().unwrap();
            let handle = runtime.handle();
            let pending = handle.spawn(pending::<()>());
            *place.lock().unwrap() = Some(runtime);
            // Starts a thread, which ends.
            drop(handle.spawn_blocking(|| ()));
            assert!(annulus::block_on(pending).unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn under_its_own_block_on() {
    end_by(|runtime, handle| {
        let task = handle.block_on(async move {
            let task = annulus::spawn(pending::<()>());
            drop(runtime);
            // The future itself goes on, and its tasks are told.
            task.await
        });
        assert!(task.unwrap_err().is_cancelled());
    });
}

#[test]
fn on_another_thread_that_waits_for_all() {
    commit(|| {
        let runtime = runtime();
        let life = Life::fill(&runtime.handle());
        let guards = life.guards.clone();
        let end = thread::spawn(move || {
            drop(runtime);
            // Nothing is left to do when the drop returns.
            assert!(guards.all_dropped());
        });
        life.check();
        end.join().unwrap();
    });
}

#[test]
fn in_the_background_and_with_a_limit() {
    end_by(|runtime, _| runtime.shutdown_background());
    // The closures are stuck until `check` lets them go.
    end_by(|runtime, _| runtime.shutdown_timeout(Duration::from_millis(1)));
}

#[test]
fn while_its_user_panics() {
    commit(|| {
        let guards = Guards::default();
        let guard = guards.guard();
        let call = AssertUnwindSafe(|| {
            let runtime = runtime();
            drop(runtime.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            }));
            runtime.block_on(async { panic_any(Fault) })
        });
        assert!(catch_unwind(call).unwrap_err().is::<Fault>());
        assert!(guards.all_dropped());
    });
}

/// A runtime that lives in another's task ends with it.
#[test]
fn by_the_end_of_another() {
    commit(|| {
        let (outer, inner) = (runtime(), runtime());
        let guards = Guards::default();
        let guard = guards.guard();
        drop(inner.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        let (begun, has_begun) = mpsc::channel();
        drop(outer.spawn(async move {
            let _inner = inner;
            begun.send(()).unwrap();
            pending::<()>().await;
        }));
        has_begun.recv().unwrap();
        drop(outer);
        assert!(guards.all_dropped());
    });
}
