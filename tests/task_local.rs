//! Values of a task: who sees which, also across threads, panics and drops; and the budget.

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Waker};

use annulus::task::{consume_budget, unconstrained};
use annulus::{Builder, Runtime, task_local, yield_now};
use support::{now, panic_text, rounds};

mod support;

task_local! {
    /// A number.
    pub static NUMBER: u32;
    static TEXT: String
}

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

#[test]
fn every_task_sees_its_own_value_wherever_it_runs() {
    runtime(4).block_on(async {
        let tasks = (0..100).map(|n| {
            annulus::spawn(NUMBER.scope(n, async move {
                for _ in 0..rounds(200) {
                    assert_eq!(NUMBER.get(), n);
                    yield_now().await;
                }
            }))
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert!(NUMBER.try_with(|_| ()).is_err(), "a value has been left behind");
    });
}

#[test]
fn scopes_are_nested_and_undone() {
    now(NUMBER.scope(1, async {
        NUMBER.scope(2, async { assert_eq!(NUMBER.get(), 2) }).await;
        assert_eq!(NUMBER.get(), 1);
        NUMBER.sync_scope(3, || assert_eq!(NUMBER.get(), 3));
        assert_eq!(NUMBER.get(), 1);
        TEXT.sync_scope("t".into(), || assert_eq!(TEXT.with(String::len) as u32, NUMBER.get()));
        assert!(TEXT.try_with(|_| ()).is_err());
    }));
    assert!(NUMBER.try_with(|_| ()).is_err());
}

#[test]
fn between_two_polls_the_value_is_away() {
    let mut future = pin!(NUMBER.scope(1, pending::<()>()));
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(NUMBER.try_with(|_| ()).is_err());
}

#[test]
fn a_panic_takes_the_value_with_it() {
    let text = panic_text(|| now(NUMBER.scope(1, async { panic!("boom") })));
    assert_eq!(text, "boom");
    assert!(NUMBER.try_with(|_| ()).is_err());
    panic_text(|| NUMBER.sync_scope(1, || panic!("boom")));
    assert!(NUMBER.try_with(|_| ()).is_err());
}

/// Says on its drop which number it sees.
struct Look(mpsc::Sender<Option<u32>>);

impl Drop for Look {
    fn drop(&mut self) {
        self.0.send(NUMBER.try_with(|n| *n).ok()).unwrap();
    }
}

#[test]
fn the_future_finds_the_value_when_it_is_dropped() {
    let (tx, rx) = mpsc::channel();
    let look = || Look(tx.clone());
    // Before its first poll.
    let held = look();
    drop(NUMBER.scope(1, async move { drop(held) }));
    assert_eq!(rx.recv().unwrap(), Some(1));
    // Halfway.
    let held = look();
    let runtime = runtime(1);
    let task = runtime.spawn(NUMBER.scope(2, async move {
        let _held = held;
        pending::<()>().await;
    }));
    task.abort();
    assert!(runtime.block_on(task).is_err());
    assert_eq!(rx.recv().unwrap(), Some(2));
    // At its end.
    let held = look();
    now(NUMBER.scope(3, async move { held.0.send(None).unwrap() }));
    assert_eq!([rx.recv().unwrap(), rx.recv().unwrap()], [None, Some(3)]);
}

#[test]
fn misuse_says_what_to_do() {
    assert!(panic_text(|| NUMBER.get()).contains("inside `scope` of its key"));
    let nested = || NUMBER.sync_scope(1, || NUMBER.with(|_| NUMBER.sync_scope(2, || ())));
    assert!(panic_text(nested).contains("clone the value first"));
    assert!(NUMBER.try_with(|_| ()).is_err());
    // A drop inside `with` is no misuse.
    let scope = NUMBER.scope(1, async {});
    NUMBER.sync_scope(2, || NUMBER.with(|_| drop(scope)));
    NUMBER.sync_scope(1, || NUMBER.with(|one| NUMBER.with(|two| assert_eq!(one, two))));
}

/// How many polls a future takes on a runtime.
fn polls(future: impl Future<Output = ()>) -> u32 {
    let polls = Rc::new(Cell::new(0));
    let mut future = Box::pin(future);
    let counted = Rc::clone(&polls);
    runtime(1).block_on(poll_fn(move |cx| {
        counted.set(counted.get() + 1);
        future.as_mut().poll(cx)
    }));
    polls.get()
}

#[test]
fn a_loop_that_consumes_budget_yields_and_an_unconstrained_one_does_not() {
    let consume = async || {
        for _ in 0..1000 {
            consume_budget().await;
        }
    };
    let limited = polls(consume());
    assert!((5..=100).contains(&limited), "{limited} polls");
    assert_eq!(polls(unconstrained(consume())), 1);
    // What is around an unconstrained future is limited as before.
    let around = polls(async {
        unconstrained(consume()).await;
        consume().await;
    });
    assert_eq!(around, limited);
    assert_eq!(now(async { (consume().await, 7) }).1, 7);
}
