//! Ids of tasks, and stopping them from afar.

use std::collections::HashSet;
use std::future::{Future, pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::thread;

use annulus::task::{self, AbortHandle};
use annulus::{Builder, Runtime, yield_now};
use support::{Counted, now, panic_text};

mod support;

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

#[test]
fn ids_are_unique_over_threads_and_runtimes() {
    const COUNT: usize = if cfg!(miri) { 30 } else { 3000 };
    let ids = || {
        let runtime = runtime(2);
        runtime.block_on(async {
            let tasks: Vec<_> = (0..COUNT).map(|_| annulus::spawn(async {})).collect();
            tasks.iter().map(|task| task.id()).collect::<Vec<_>>()
        })
    };
    let threads = [(); 3].map(|()| thread::spawn(ids));
    let all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 3 * COUNT);
}

#[test]
fn a_task_knows_its_id_in_every_poll_and_drop() {
    struct IdInDrop(std::sync::mpsc::Sender<Option<task::Id>>);
    impl Drop for IdInDrop {
        fn drop(&mut self) {
            self.0.send(task::try_id()).unwrap();
        }
    }
    runtime(2).block_on(async {
        assert_eq!(task::try_id(), None, "the root is no task");
        let (tx, rx) = std::sync::mpsc::channel();
        let guard = IdInDrop(tx);
        let task = annulus::spawn(async move {
            let first = task::id();
            yield_now().await;
            assert_eq!(task::id(), first);
            let inner = annulus::spawn(async { task::id() });
            let inner_id = inner.id();
            assert_eq!(inner.await.unwrap(), inner_id);
            assert_ne!(task::id(), inner_id);
            let _guard = guard;
            pending::<()>().await;
        });
        for _ in 0..20 {
            yield_now().await;
        }
        let id = task.id();
        task.abort();
        let error = task.await.unwrap_err();
        assert_eq!(error.id(), id);
        assert_eq!(rx.recv().unwrap(), Some(id));
        assert_eq!(task::try_id(), None);
        assert_eq!(id.to_string().parse::<u64>().map(|n| n > 0), Ok(true));
        assert_eq!(format!("{id:?}"), format!("Id({id})"));
    });
}

#[test]
fn id_outside_of_a_task_panics_and_says_what_to_do() {
    assert!(panic_text(task::id).contains("call try_id"));
}

#[test]
fn a_panic_carries_the_id_and_the_payload() {
    let runtime = runtime(1);
    let task = runtime.spawn(async { std::panic::panic_any(7_u8) as () });
    let id = task.id();
    let error: task::JoinError = runtime.block_on(task).unwrap_err();
    assert_eq!((error.id(), error.is_panic()), (id, true));
    assert_eq!(error.into_panic().downcast_ref(), Some(&7_u8));
}

#[test]
fn abort_handles_stop_the_task_and_outlive_it() {
    let runtime = runtime(2);
    let drops = Arc::new(AtomicUsize::new(0));
    let guard = Counted(Arc::clone(&drops));
    let task = runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    let handles: Vec<AbortHandle> = (0..4).map(|_| task.abort_handle()).collect();
    assert!(handles.iter().all(|handle| handle.id() == task.id() && !handle.is_finished()));
    thread::scope(|s| {
        for handle in &handles {
            let handle = handle.clone();
            s.spawn(move || handle.abort());
        }
    });
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    assert_eq!(drops.load(SeqCst), 1);
    drop(runtime);
    assert!(handles[0].is_finished());
    handles[0].abort();
    assert!(format!("{:?}", handles[0]).contains("finished: true"));
}

#[test]
fn an_abort_handle_keeps_neither_future_nor_output() {
    let runtime = runtime(1);
    let drops = Arc::new(AtomicUsize::new(0));
    let output = Counted(Arc::clone(&drops));
    let task = runtime.spawn(async move { output });
    let handle = task.abort_handle();
    runtime.block_on(async {
        while !handle.is_finished() {
            yield_now().await;
        }
    });
    assert_eq!(drops.load(SeqCst), 0, "the output waits for the join handle");
    handle.abort();
    assert!(now(task).is_ok(), "too late to abort");
    assert_eq!(drops.load(SeqCst), 1);
    drop(handle);
}

#[test]
fn aborting_itself_takes_effect_at_the_next_await() {
    let runtime = runtime(1);
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let (tx, rx) = annulus::channel::oneshot::channel();
    let task = runtime.spawn(async move {
        let me: AbortHandle = rx.await.unwrap();
        me.abort();
        poll_fn(move |_| {
            counted.fetch_add(1, SeqCst);
            Poll::<()>::Pending
        })
        .await;
    });
    tx.send(task.abort_handle()).unwrap();
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    assert_eq!(polls.load(SeqCst), 1);
}

#[test]
fn a_join_polled_after_its_end_panics() {
    let runtime = runtime(1);
    let mut task = runtime.spawn(async {});
    runtime.block_on(&mut task).unwrap();
    let mut poll = || {
        std::pin::pin!(&mut task)
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    };
    assert!(panic_text(&mut poll).contains("joined already"));
}

#[test]
fn a_name_is_shown_by_handles_and_errors() {
    let runtime = runtime(1);
    let spawn = |panics: bool| {
        let name = String::from("sieve");
        task::Builder::new()
            .name(name)
            .spawn_on(async move { assert!(!panics, "boom") }, &runtime.handle())
    };
    let task = spawn(true);
    let shown = |debug: &dyn std::fmt::Debug| format!("{debug:?}").contains("name: \"sieve\"");
    let abort = task.abort_handle();
    assert!(shown(&task) && shown(&abort));
    let error = runtime.block_on(task).unwrap_err();
    assert!(shown(&abort), "also after the end");
    drop((abort, runtime.block_on(spawn(false))));
    assert_eq!(error.name(), Some("sieve"));
    let text = error.to_string();
    assert!(text.starts_with("the task `sieve` spawned at tests/task_handles.rs:"), "{text}");
    assert!(text.ends_with("panicked: boom"), "{text}");
    let nameless = task::Builder::new().spawn_on(pending::<()>(), &runtime.handle());
    assert!(!format!("{nameless:?}").contains("name:"));
    nameless.abort();
    let text = runtime.block_on(nameless).unwrap_err().to_string();
    assert!(text.starts_with("the task spawned at tests/task_handles.rs:"), "{text}");
}

/// The same for what blocks, and for what stays on its thread.
#[test]
fn a_name_is_given_to_all_kinds_of_tasks() {
    let runtime = runtime(1);
    let handle = runtime.handle();
    let named = || task::Builder::new().name("sieve");
    let shown = |debug: &dyn std::fmt::Debug| format!("{debug:?}").contains("name: \"sieve\"");
    let (release, released) = std::sync::mpsc::channel::<()>();
    let blocks = named().spawn_blocking_on(move || released.recv(), &handle);
    assert!(shown(&blocks));
    drop(release);
    assert!(runtime.block_on(blocks).unwrap().is_err());
    runtime.block_on(async {
        let error = named().spawn_blocking(|| panic!("boom")).await.map(|()| 0).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("the task `sieve` spawned at tests/task_handles.rs:"), "{text}");
        let set = task::LocalSet::new();
        let local = set.run_until(async {
            let task = named().spawn_local(async { Rc::new(3) });
            assert!(shown(&task));
            let nameless = task::Builder::new().spawn_local(async {});
            assert!(!format!("{nameless:?}").contains("name:"));
            nameless.await.unwrap();
            task.await
        });
        assert_eq!(*local.await.unwrap(), 3);
    });
    assert!(panic_text(|| named().spawn_local(async {})).contains("outside of a LocalSet"));
}
