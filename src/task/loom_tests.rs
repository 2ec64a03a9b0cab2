//! Wake against complete, abort against run, join against drop: what a task promises in every
//! interleaving.

use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};

use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::Relaxed;
use loom::thread;

use super::{Completed, JoinHandle, List, Origin, Runnable, Schedule, Stack, spawn};
use crate::primitive::{Arc, Mutex};

/// A scheduler that leaks its queue in the model, so that the pointer is plain.
#[derive(Clone, Copy)]
struct Queue(*const Inner);

struct Inner {
    tasks: Mutex<List>,
    completed: AtomicUsize,
}

impl Schedule for Queue {
    fn schedule(&self, task: Runnable) {
        // SAFETY: `with_queue` keeps it until all handles and wakers are gone.
        unsafe { &*self.0 }.tasks.lock().push_back(task);
    }

    fn completed(&self, _: Completed) {
        // SAFETY: as above.
        unsafe { &*self.0 }.completed.fetch_add(1, Relaxed);
    }
}

impl Queue {
    fn run_one(self) -> bool {
        // SAFETY: as in `schedule`.
        let task = unsafe { &*self.0 }.tasks.lock().pop_front();
        let Some(task) = task else { return false };
        if let Some(again) = task.run() {
            self.schedule(again);
        }
        true
    }

    fn completed(self) -> usize {
        // SAFETY: as in `schedule`.
        unsafe { &*self.0 }.completed.load(Relaxed)
    }
}

// SAFETY: the queue is a mutex and a counter.
unsafe impl Send for Queue {}

fn with_queue(f: impl FnOnce(Queue)) {
    let inner = Box::new(Inner { tasks: Mutex::default(), completed: AtomicUsize::new(0) });
    let inner = Box::into_raw(inner);
    f(Queue(inner));
    // SAFETY: it came from `into_raw`, and no task is left.
    drop(unsafe { Box::from_raw(inner) });
}

fn start<F: Future>(queue: Queue, future: F) -> JoinHandle<F::Output> {
    let (task, handle) = spawn(future, queue, Origin::caller());
    queue.schedule(task);
    handle
}

/// A wake while the task runs has it polled again, and the poll sees what came before the wake.
#[test]
fn wake_during_run() {
    loom::model(|| {
        with_queue(|queue| {
            let ready = Arc::new(AtomicUsize::new(0));
            let waker = Arc::new(Mutex::new(None::<Waker>));
            let (theirs, their_waker) = (Arc::clone(&ready), Arc::clone(&waker));
            let handle = start(
                queue,
                poll_fn(move |cx| {
                    *their_waker.lock() = Some(cx.waker().clone());
                    // Relaxed: only the wake orders it.
                    if theirs.load(Relaxed) == 1 { Poll::Ready(()) } else { Poll::Pending }
                }),
            );
            let other = thread::spawn(move || {
                ready.store(1, Relaxed);
                // Without a waker yet the first poll is still to come, or sees the flag.
                let waker = waker.lock().clone();
                waker.map(Waker::wake).is_some()
            });
            while queue.run_one() {}
            let woken = other.join().unwrap();
            while queue.run_one() {}
            assert!(handle.is_finished() || !woken);
            handle.abort();
            while queue.run_one() {}
            assert!(handle.is_finished());
            assert_eq!(queue.completed(), 1);
            drop(handle);
        });
    });
}

/// A wake that comes late, or in the very moment of completion, schedules nothing.
#[test]
fn wake_against_complete() {
    loom::model(|| {
        with_queue(|queue| {
            let (task, handle) = spawn(
                poll_fn(|cx| {
                    let waker = cx.waker().clone();
                    Poll::Ready(waker)
                }),
                queue,
                Origin::caller(),
            );
            assert!(task.run().is_none());
            let waker = loom::future::block_on(handle).unwrap();
            let other = waker.clone();
            let thread = thread::spawn(move || other.wake());
            waker.wake_by_ref();
            drop(waker);
            thread.join().unwrap();
            assert!(!queue.run_one(), "a complete task was scheduled");
        });
    });
}

/// The future and the output are dropped once, whoever is faster; loom sees a leaked `Arc`.
#[test]
fn abort_against_run_against_drop() {
    loom::model(|| {
        with_queue(|queue| {
            let held = Arc::new(());
            let output = Arc::clone(&held);
            let handle = start(queue, async move {
                let _held = held;
                output
            });
            let runner = thread::spawn(move || while queue.run_one() {});
            handle.abort();
            drop(handle);
            runner.join().unwrap();
            while queue.run_one() {}
            assert_eq!(queue.completed(), 1);
        });
    });
}

#[test]
fn join_against_complete() {
    loom::model(|| {
        with_queue(|queue| {
            let handle = start(queue, async { 7 });
            let runner = thread::spawn(move || while queue.run_one() {});
            assert_eq!(loom::future::block_on(handle).unwrap(), 7);
            runner.join().unwrap();
            assert_eq!(queue.completed(), 1);
        });
    });
}

/// The last waker, the handle and the completion let go at once: the task is freed once.
#[test]
fn last_references() {
    loom::model(|| {
        with_queue(|queue| {
            let waker = Arc::new(Mutex::new(None::<Waker>));
            let theirs = Arc::clone(&waker);
            let handle = start(
                queue,
                poll_fn(move |cx| {
                    *theirs.lock() = Some(cx.waker().clone());
                    Poll::Ready(())
                }),
            );
            let runner = thread::spawn(move || while queue.run_one() {});
            let other = thread::spawn(move || drop(waker.lock().take()));
            drop(handle);
            other.join().unwrap();
            runner.join().unwrap();
            assert_eq!(queue.completed(), 1);
        });
    });
}

/// Two threads give tasks back while a third takes some: each comes out once, and is freed.
#[test]
fn stack_gives_each_task_once() {
    /// Keeps what has completed, so that the test has it.
    #[derive(Clone, Copy)]
    struct Keep(*const Stack);

    impl Schedule for Keep {
        fn schedule(&self, _: Runnable) {
            unreachable!("nobody wakes these tasks");
        }

        fn completed(&self, task: Completed) {
            // SAFETY: the stack outlives the tasks.
            unsafe { &*self.0 }.push(task);
        }
    }

    loom::model(|| {
        let stack = Arc::new(Stack::new());
        let freed = Arc::new(());
        let complete = |tag| {
            let (stack, freed) = (Arc::clone(&stack), Arc::clone(&freed));
            let keep = Keep(&raw const *stack);
            let (task, _) = spawn(async move { drop(freed) }, keep, Origin::caller());
            task.set_tag(tag);
            // Keeps the stack, too.
            thread::spawn(move || (task.run().is_none(), stack).0)
        };
        let threads = [complete(1), complete(2)];
        let mut tags: Vec<_> = stack.take_all().map(|task| task.tag()).collect();
        for thread in threads {
            assert!(thread.join().unwrap());
        }
        tags.extend(stack.take_all().map(|task| task.tag()));
        tags.sort_unstable();
        assert_eq!(tags, [1, 2]);
        assert!(stack.is_empty());
    });
}
