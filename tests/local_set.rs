//! Tasks that stay on one thread: their order, wakes from elsewhere, and their end.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use annulus::channel::{mpsc, oneshot};
use annulus::task::{LocalSet, consume_budget, spawn_local, unconstrained};
use annulus::{Builder, Runtime, yield_now};
use support::{block_on, panic_text, rounds};

mod support;

fn runtime(workers: usize) -> Runtime {
    Builder::new().worker_threads(workers).build().unwrap()
}

#[test]
fn tasks_run_in_turn() {
    let set = LocalSet::new();
    let log = Rc::new(RefCell::new(Vec::new()));
    for name in ['a', 'b', 'c'] {
        let log = Rc::clone(&log);
        set.spawn_local(async move {
            for turn in 0..3 {
                log.borrow_mut().push((turn, name));
                yield_now().await;
            }
        });
    }
    assert_eq!(format!("{set:?}"), "LocalSet { tasks: 3, queued: 3 }");
    runtime(1).block_on(set);
    let in_turn: Vec<_> = (0..3).flat_map(|turn| ['a', 'b', 'c'].map(|n| (turn, n))).collect();
    assert_eq!(*log.borrow(), in_turn);
}

#[test]
fn tasks_run_on_the_thread_of_the_set_and_are_woken_from_others() {
    let runtime = runtime(3);
    let set = LocalSet::new();
    let here = thread::current().id();
    let sum = set.block_on(&runtime, async {
        let (tx, mut rx) = mpsc(4);
        let tx = Rc::new(tx);
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let tx = (*tx).clone();
                annulus::spawn(async move {
                    for n in 1..=rounds(1000) {
                        tx.send(n).await.unwrap();
                    }
                })
            })
            .collect();
        drop(tx);
        let sum = spawn_local(async move {
            let mut sum = 0;
            while let Some(n) = rx.recv().await {
                assert_eq!(thread::current().id(), here);
                sum += n;
            }
            sum
        });
        for sender in senders {
            sender.await.unwrap();
        }
        sum.await.unwrap()
    });
    let n = rounds(1000);
    assert_eq!(sum, 4 * n * (n + 1) / 2);
}

#[test]
fn a_wake_from_a_plain_thread_wakes_a_foreign_executor() {
    let set = LocalSet::new();
    let (tx, rx) = oneshot::channel();
    let received = set.spawn_local(async move { Rc::new(rx.await.unwrap()) });
    let (parked, is_parked) = mpsc::channel();
    let sender = thread::spawn(move || {
        is_parked.recv().unwrap();
        tx.send(7).unwrap();
    });
    let mut set = set;
    let mut told = false;
    block_on(poll_fn(|cx| {
        let poll = pin!(&mut set).poll(cx);
        if !std::mem::replace(&mut told, true) {
            assert!(poll.is_pending());
            parked.send(()).unwrap();
        }
        poll
    }));
    assert_eq!(*block_on(received).unwrap(), 7);
    sender.join().unwrap();
}

#[test]
fn tasks_that_are_always_ready_do_not_starve_the_runtime() {
    runtime(1).block_on(async {
        let set = LocalSet::new();
        for _ in 0..3 {
            set.spawn_local(async {
                loop {
                    yield_now().await;
                }
            });
        }
        // One that never yields by itself.
        set.spawn_local(async {
            loop {
                annulus::task::consume_budget().await;
            }
        });
        let outer = annulus::spawn(async {
            for _ in 0..10 {
                yield_now().await;
            }
            "done"
        });
        assert_eq!(set.run_until(outer).await.unwrap(), "done");
    });
}

/// Runs `busy` beside a task that notes how much it has done between two of its own turns.
fn most_between_turns<F: Future<Output = ()> + 'static>(
    busy: impl FnOnce(Rc<Cell<usize>>) -> F,
) -> usize {
    let set = LocalSet::new();
    let done = Rc::new(Cell::new(0));
    let most = Rc::new(Cell::new(0));
    set.spawn_local(busy(Rc::clone(&done)));
    let noted = Rc::clone(&most);
    let neighbour = set.spawn_local(async move {
        for _ in 0..20 {
            noted.set(done.replace(0).max(noted.get()));
            yield_now().await;
        }
    });
    runtime(1).block_on(async {
        // A task of the outer runtime has its turns, too.
        let outer = annulus::spawn(async {
            for _ in 0..10 {
                yield_now().await;
            }
        });
        set.run_until(async { outer.await.unwrap() }).await;
        set.run_until(neighbour).await.unwrap();
    });
    most.get()
}

#[test]
fn a_task_that_never_runs_out_of_messages_leaves_turns_to_others() {
    let most = most_between_turns(|done| async move {
        let (tx, mut rx) = mpsc(1);
        loop {
            tx.send(()).await.unwrap();
            rx.recv().await.unwrap();
            done.set(done.get() + 1);
        }
    });
    assert!((32..=128).contains(&most), "{most} messages, each of them sent and received");
}

#[test]
fn a_task_that_consumes_its_budget_leaves_turns_to_others() {
    let most = most_between_turns(|done| async move {
        loop {
            consume_budget().await;
            done.set(done.get() + 1);
        }
    });
    assert!((64..=128).contains(&most), "{most} operations");
}

#[test]
fn an_unconstrained_part_is_done_in_one_turn_and_the_rest_is_not() {
    let most = most_between_turns(|done| async move {
        unconstrained(async {
            for _ in 0..1000 {
                consume_budget().await;
                done.set(done.get() + 1);
            }
        })
        .await;
        pending().await
    });
    assert_eq!(most, 1000);
    let most = most_between_turns(|done| async move {
        unconstrained(async { (0..1000).for_each(|_| ()) }).await;
        loop {
            consume_budget().await;
            done.set(done.get() + 1);
        }
    });
    assert!((64..=128).contains(&most), "{most} operations");
}

/// Nor has the outer task's budget to do with those of the set's tasks, or the set with its own.
#[test]
fn the_set_and_who_awaits_it_have_budgets_of_their_own() {
    runtime(1).block_on(async {
        let set = LocalSet::new();
        for _ in 0..4 {
            set.spawn_local(async {
                loop {
                    consume_budget().await;
                }
            });
        }
        let spent = async {
            // The set has turns in between, each with many operations of its tasks.
            for _ in 0..10 {
                yield_now().await;
                let in_one_poll = async {
                    for _ in 0..100 {
                        consume_budget().await;
                    }
                };
                assert!(poll(pin!(in_one_poll)).is_ready(), "as much as any poll may");
            }
        };
        set.run_until(spent).await;
    });
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Notes the thread of its drop, and spawns there.
struct Note(Rc<RefCell<Vec<thread::ThreadId>>>);

impl Drop for Note {
    fn drop(&mut self) {
        let notes = Rc::clone(&self.0);
        let task = spawn_local(async move { drop(notes) });
        assert!(task.is_finished(), "the set is closed");
        self.0.borrow_mut().push(thread::current().id());
    }
}

#[test]
fn the_drop_of_the_set_drops_its_tasks_here() {
    let notes = Rc::new(RefCell::new(Vec::new()));
    let set = LocalSet::new();
    let task = |polled: bool| {
        let note = Note(Rc::clone(&notes));
        set.spawn_local(async move {
            let _note = note;
            if polled {
                pending::<()>().await;
            }
        })
    };
    let first = task(true);
    assert!(block_on(set.run_until(poll_once(pending::<()>()))).is_pending());
    let second = task(false);
    drop(set);
    assert_eq!(*notes.borrow(), [thread::current().id(); 2]);
    assert_eq!(Rc::strong_count(&notes), 1);
    for task in [first, second] {
        assert!(block_on(task).unwrap_err().is_cancelled());
    }
}

/// Polls twice, so that what is around has had its turn.
async fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = pin!(future);
    let mut again = true;
    poll_fn(|cx| {
        let poll = future.as_mut().poll(cx);
        if std::mem::take(&mut again) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(poll)
    })
    .await
}

#[test]
fn wakes_and_aborts_from_elsewhere_race_with_the_drop() {
    for _ in 0..rounds(2000).max(20) {
        let set = LocalSet::new();
        let waker = Rc::new(Cell::new(None::<Waker>));
        let theirs = Rc::clone(&waker);
        let task = set.spawn_local(poll_fn(move |cx| {
            theirs.set(Some(cx.waker().clone()));
            Poll::<()>::Pending
        }));
        let abort = task.abort_handle();
        assert!(block_on(set.run_until(poll_once(pending::<()>()))).is_pending());
        let waker = waker.take().unwrap();
        let thread = thread::spawn(move || {
            waker.wake_by_ref();
            abort.abort();
            waker.wake();
        });
        drop(set);
        thread.join().unwrap();
        assert!(block_on(task).unwrap_err().is_cancelled());
    }
}

#[test]
fn several_wait_in_one_set_and_sets_are_nested() {
    let (outer, inner) = (LocalSet::new(), LocalSet::new());
    let (tx, rx) = oneshot::channel();
    let log = Rc::new(RefCell::new(Vec::new()));
    let (l1, l2) = (Rc::clone(&log), Rc::clone(&log));
    let first = outer.run_until(async move {
        let two = spawn_local(async move { rx.await.unwrap() }).await.unwrap();
        l1.borrow_mut().push(two);
    });
    let second = outer.run_until(async move {
        let of_inner = inner.run_until(async {
            spawn_local(async move {
                yield_now().await;
                l2.borrow_mut().push(1);
            })
            .await
        });
        of_inner.await.unwrap();
        drop(inner);
        // This is the outer one again.
        spawn_local(async move { tx.send(2).unwrap() }).await.unwrap();
    });
    block_on(async { annulus::join!(first, second) });
    assert_eq!(*log.borrow(), [1, 2]);
}

#[test]
fn a_panic_reaches_the_handle_and_nobody_else() {
    let set = LocalSet::new();
    let bad = set.spawn_local(async { panic!("boom") });
    let good = set.spawn_local(async { Rc::new(1) });
    block_on(set);
    let error: annulus::JoinError = block_on(bad).unwrap_err();
    assert!(error.is_panic());
    assert!(error.to_string().contains("tests/local_set.rs"));
    assert_eq!(*block_on(good).unwrap(), 1);
}

#[test]
fn outside_of_a_set_spawn_local_says_what_to_do() {
    let text = panic_text(|| drop(spawn_local(async {})));
    assert!(text.contains("call it inside run_until"), "{text}");
    block_on(LocalSet::new().run_until(async { drop(spawn_local(async {})) }));
    assert!(panic_text(|| drop(spawn_local(async {}))).contains("outside of a LocalSet"));
}

#[test]
fn a_forgotten_wait_whose_waker_panics_leaves_no_task_behind() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("a bad waker");
        }
    }
    let set = LocalSet::new();
    let held = Rc::new(());
    let theirs = Rc::clone(&held);
    set.spawn_local(async move {
        let _held = theirs;
        pending::<()>().await;
    });
    {
        let waker = Waker::from(Arc::new(Bad));
        let mut wait = Box::pin(set.run_until(pending::<()>()));
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        std::mem::forget(wait);
    }
    drop(set);
    assert_eq!(Rc::strong_count(&held), 1);
}
