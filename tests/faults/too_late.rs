//! What is asked of a runtime while it ends, or when it has ended; and hooks that panic.

use std::future::{pending, poll_fn};
use std::panic::panic_any;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;

use annulus::{Builder, Handle, Runtime, spawn, spawn_blocking};

use crate::{Fault, Guards, PATIENCE, commit};

fn runtime() -> Runtime {
    Builder::new().worker_threads(2).build().unwrap()
}

/// Ends a runtime while other threads call `ask` again and again, also once after the end, of which
/// it is told.
fn end_under(ask: impl Fn(&Handle, bool) + Sync) {
    commit(|| {
        let runtime = runtime();
        let handle = runtime.handle();
        let ended = AtomicBool::new(false);
        let (begun, has_begun) = mpsc::channel();
        thread::scope(|s| {
            for _ in 0..2 {
                let (begun, handle) = (begun.clone(), handle.clone());
                let (ended, ask) = (&ended, &ask);
                s.spawn(move || {
                    ask(&handle, false);
                    begun.send(()).unwrap();
                    while !ended.load(Relaxed) {
                        ask(&handle, false);
                    }
                    ask(&handle, true);
                });
            }
            (0..2).for_each(|_| has_begun.recv_timeout(PATIENCE).unwrap());
            drop(runtime);
            ended.store(true, Relaxed);
        });
    });
}

/// A task has run or is cancelled, and its handle says which.
#[test]
fn spawns_while_it_ends() {
    end_under(|handle, ended| {
        let guards = Guards::default();
        let ran = Arc::new(AtomicBool::new(false));
        let (guard, inner, flag) = (guards.guard(), guards.guard(), Arc::clone(&ran));
        let task = handle.spawn(async move {
            let _guard = guard;
            let task = spawn(async move { drop(inner) });
            flag.store(true, SeqCst);
            let _ = task.await;
            1
        });
        match annulus::block_on(task) {
            Ok(one) => assert!(one == 1 && ran.load(SeqCst) && !ended),
            Err(error) => assert!(error.is_cancelled()),
        }
        guards.await_drops();
    });
}

#[test]
fn closures_while_it_ends() {
    end_under(|handle, ended| {
        let guards = Guards::default();
        let ran = Arc::new(AtomicBool::new(false));
        let (guard, inner, flag) = (guards.guard(), guards.guard(), Arc::clone(&ran));
        let closure = handle.spawn_blocking(move || {
            let _guard = guard;
            flag.store(true, SeqCst);
            // From the threads that are awaited, and cannot wait themselves.
            drop(spawn_blocking(move || drop(inner)));
        });
        match annulus::block_on(closure) {
            Ok(()) => assert!(ran.load(SeqCst) && !ended),
            Err(error) => assert!(error.is_cancelled() && !ran.load(SeqCst), "it has not begun"),
        }
        guards.await_drops();
    });
}

#[test]
fn futures_in_block_on_while_it_ends() {
    end_under(|handle, _| {
        let guards = Guards::default();
        let guard = guards.guard();
        handle.block_on(async {
            let _ = spawn(async move { drop(guard) }).await;
            annulus::block_in_place(|| handle.block_on(annulus::yield_now()));
        });
        guards.await_drops();
    });
}

#[test]
fn wakers_are_used_while_it_ends_and_afterwards() {
    commit(|| {
        let runtime = runtime();
        let guards = Guards::default();
        let (tx, rx) = mpsc::channel();
        for _ in 0..4 {
            let (guard, tx) = (guards.guard(), tx.clone());
            let mut tx = Some(tx);
            drop(runtime.spawn(async move {
                let _guard = guard;
                poll_fn(|cx| {
                    if let Some(tx) = tx.take() {
                        tx.send(cx.waker().clone()).unwrap();
                    }
                    Poll::<()>::Pending
                })
                .await;
            }));
        }
        let wakers: Vec<_> = (0..4).map(|_| rx.recv_timeout(PATIENCE).unwrap()).collect();
        let ended = AtomicBool::new(false);
        thread::scope(|s| {
            s.spawn(|| {
                while !ended.load(Relaxed) {
                    wakers.iter().for_each(|waker| waker.wake_by_ref());
                }
            });
            drop(runtime);
            ended.store(true, Relaxed);
        });
        assert!(guards.all_dropped(), "although wakers are still held");
        wakers.into_iter().for_each(|waker| waker.wake());
    });
}

/// Futures and closures are dropped by the end, and their drops ask for more.
#[test]
fn what_drops_at_the_end_wants_to_go_on() {
    struct Spawns(Guards);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let (one, other) = (self.0.guard(), self.0.guard());
            assert!(Handle::try_current().is_some(), "the runtime is still known");
            drop(spawn(async move {
                let _one = one;
                pending::<()>().await;
            }));
            drop(spawn_blocking(move || drop(other)));
        }
    }
    commit(|| {
        let runtime = Builder::new().worker_threads(1).max_blocking_threads(1).build().unwrap();
        let guards = Guards::default();
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let busy = runtime.spawn_blocking(move || {
            begun.send(()).unwrap();
            assert!(released.recv().is_err());
        });
        has_begun.recv().unwrap();
        let (task, closure) = (Spawns(guards.clone()), Spawns(guards.clone()));
        let waits = runtime.spawn_blocking(move || drop(closure));
        drop(runtime.spawn(async move {
            let _task = task;
            pending::<()>().await;
        }));
        runtime.shutdown_background();
        assert!(annulus::block_on(waits).unwrap_err().is_cancelled());
        drop(release);
        annulus::block_on(busy).unwrap();
        crate::eventually(|| guards.count() >= 4);
        guards.await_drops();
    });
}

/// A panic whose payload panics when it drops, from every hook.
#[test]
fn hooks_panic() {
    struct Worse(#[allow(dead_code)] u8); // some memory to lose
    impl Drop for Worse {
        fn drop(&mut self) {
            panic_any(Fault);
        }
    }
    fn hook() {
        std::panic::resume_unwind(Box::new(Worse(1))); // without a report
    }
    commit(|| {
        let runtime = Builder::new()
            .worker_threads(2)
            .thread_name_fn(|number| {
                if number < 2 {
                    return String::from("no \0 may be in a name");
                }
                hook();
                unreachable!()
            })
            .on_thread_start(hook)
            .on_thread_stop(hook)
            .on_unhandled_panic(|error| {
                drop(error);
                hook();
            })
            .build()
            .unwrap();
        drop(runtime.spawn(async { panic_any(Fault) }));
        drop(runtime.spawn_blocking(|| panic_any(Fault)));
        let task = runtime.spawn_blocking(|| 1);
        assert_eq!(runtime.block_on(task).unwrap(), 1);
        assert_eq!(runtime.block_on(runtime.spawn(async { 2 })).unwrap(), 2);
    });
}
