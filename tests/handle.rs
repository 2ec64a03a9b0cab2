//! Reaching a runtime from elsewhere: handles, closures that block, the settings of threads.

use std::future::pending;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use annulus::{Builder, Handle, Runtime, block_in_place, spawn_blocking, yield_now};
use support::{Counted, now, panic_text};

#[macro_use]
mod support;

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

/// The names of threads tell runtimes apart.
fn named(name: &str) -> Runtime {
    Builder::new().worker_threads(1).thread_name(name).build().unwrap()
}

/// The runtime on which the free function spawns here.
fn spawns_on() -> String {
    let (tx, rx) = mpsc::channel();
    drop(annulus::spawn(async move {
        tx.send(thread::current().name().unwrap().to_owned()).unwrap();
    }));
    let name = rx.recv().unwrap();
    name.split('-').next().unwrap().to_owned()
}

#[test]
fn a_handle_spawns_and_waits_on_any_thread() {
    let runtime = runtime(2);
    let handle = runtime.handle();
    let thread = thread::spawn(move || {
        let task = handle.spawn(async { Handle::current().spawn(async { 2 }).await.unwrap() });
        handle.block_on(async { task.await.unwrap() + 1 })
    });
    assert_eq!(thread.join().unwrap(), 3);
}

#[test]
fn current_is_known_wherever_the_runtime_runs_something() {
    assert!(Handle::try_current().is_none());
    assert!(panic_text(Handle::current).contains("outside of any runtime"));
    let runtime = runtime(1);
    runtime.block_on(async {
        assert!(Handle::try_current().is_some());
        annulus::spawn(async { Handle::current() }).await.unwrap();
        spawn_blocking(Handle::current).await.unwrap();
        block_in_place(Handle::current);
    });
    assert!(Handle::try_current().is_none());
}

#[test]
fn what_was_entered_last_is_current_in_whatever_order_guards_drop() {
    // Their runtimes end at once.
    let (a, b) = (named("a").handle(), named("b").handle());
    let runtimes = [named("c"), named("d")];
    let [c, d] = runtimes.each_ref().map(Runtime::handle);
    let in_c = c.enter();
    assert_eq!(spawns_on(), "c");
    let in_d = d.enter();
    assert_eq!(spawns_on(), "d");
    drop(in_c);
    assert_eq!(spawns_on(), "d");
    let again = c.enter();
    drop(in_d);
    assert_eq!(spawns_on(), "c");
    drop(again);
    assert!(Handle::try_current().is_none());
    let _ended = (a.enter(), b.enter());
    assert!(now(annulus::spawn(async {})).unwrap_err().is_cancelled());
}

#[test]
fn block_on_is_inside_what_was_entered_before_and_a_guard_inside_it() {
    let (a, b) = (named("a"), named("b"));
    let outer = b.handle();
    let _inside = outer.enter();
    a.block_on(async {
        let home = Handle::current();
        let task = annulus::spawn(async { 1 });
        let there = b.handle();
        {
            let _inside = there.enter();
            assert_eq!(spawns_on(), "b");
        }
        assert_eq!(task.await.unwrap() + home.spawn(async { 1 }).await.unwrap(), 2);
    });
    assert_eq!(spawns_on(), "b");
}

#[test]
fn after_the_end_a_handle_cancels_what_it_is_given() {
    let handle = runtime(2).handle();
    let drops = Arc::new(AtomicUsize::new(0));
    let (one, other) = (Counted(Arc::clone(&drops)), Counted(Arc::clone(&drops)));
    let task = handle.spawn(async move {
        let _guard = one;
        pending::<()>().await;
    });
    assert!(now(task).unwrap_err().is_cancelled());
    assert!(now(handle.spawn_blocking(move || drop(other))).unwrap_err().is_cancelled());
    assert_eq!(drops.load(SeqCst), 2);
    // There is nobody to run the task, but the future itself is polled.
    assert!(handle.block_on(async { handle.spawn(async {}).await }).is_err());
}

/// Who is in `block_on` through a handle has a seat that the end needs.
#[test]
fn the_end_of_the_runtime_under_block_on() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let handle = runtime.handle();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            handle.block_on(async {
                let task = annulus::spawn(pending::<()>());
                let polled = annulus::spawn(async move { ready.send(()).unwrap() });
                polled.await.unwrap();
                // Asleep on its seat, or about to be.
                task.await.unwrap_err().is_cancelled()
            })
        });
        is_ready.recv().unwrap();
        drop(runtime);
        assert!(thread.join().unwrap());
    }
}

#[test]
fn hooks_run_in_each_thread_and_may_panic() {
    let starts = Arc::new(Mutex::new(Vec::new()));
    let stops = Arc::new(AtomicUsize::new(0));
    let (theirs, count) = (Arc::clone(&starts), Arc::clone(&stops));
    let runtime = Builder::new()
        .worker_threads(2)
        .thread_stack_size(256 * 1024)
        .thread_name_fn(|n| format!("hooked {n}"))
        .on_thread_start(move || {
            theirs.lock().unwrap().push(thread::current().name().unwrap().to_owned());
            panic!("in the start hook");
        })
        .on_thread_stop(move || {
            count.fetch_add(1, SeqCst);
            panic!("in the stop hook");
        })
        .build()
        .unwrap();
    assert_eq!(runtime.block_on(runtime.spawn_blocking(|| 1)).unwrap(), 1);
    assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
    drop(runtime);
    let mut names = starts.lock().unwrap().clone();
    names.sort();
    assert_eq!(names, ["hooked 0", "hooked 1", "hooked 2"]);
    assert_eq!(stops.load(SeqCst), 3);
}

#[test]
fn a_runtime_is_entered_without_a_handle() {
    let runtime = named("mine");
    let inside = runtime.enter();
    assert_eq!(spawns_on(), "mine");
    drop(inside);
    assert!(Handle::try_current().is_none());
}

/// Whoever drops its handle sooner or later, the hook learns of a panic, once.
#[test]
fn panics_that_nobody_waits_for_reach_the_hook() {
    let (tx, rx) = mpsc::channel();
    let runtime = Builder::new()
        .worker_threads(2)
        .on_unhandled_panic(move |error| {
            assert!(error.is_panic());
            tx.send(error.to_string()).unwrap();
            panic!("in the hook");
        })
        .build()
        .unwrap();
    let heard = || rx.recv().unwrap();

    drop(runtime.spawn(async {
        yield_now().await;
        panic!("detached");
    }));
    assert!(heard().ends_with("panicked: detached"));

    let later = runtime.spawn(async { panic!("dropped later") });
    while !later.is_finished() {
        thread::yield_now();
    }
    assert!(rx.try_recv().is_err(), "its handle may still tell");
    drop(later);
    assert!(heard().ends_with("panicked: dropped later"));

    drop(runtime.spawn_blocking(|| panic!("blocking")));
    assert!(heard().ends_with("panicked: blocking"));

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a drop");
        }
    }
    let bomb = Bomb;
    let aborted = runtime.spawn(async move {
        let _bomb = bomb;
        pending::<()>().await;
    });
    aborted.abort();
    drop(aborted);
    assert!(heard().ends_with("panicked: in a drop"));

    // What the handle gives is heard of, whatever becomes of the error; so is what is cancelled.
    let told = runtime.spawn(async { panic!("told") });
    assert!(runtime.block_on(told).is_err());
    runtime.spawn(pending::<()>()).abort();
    drop(runtime.spawn(pending::<()>()));
    drop(runtime);
    assert_eq!(rx.iter().next(), None);
}
