//! The combinations of panic, abort and lost handles; small enough for Miri.

use std::future::{Future, poll_fn};
use std::panic::panic_any;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::state::{MAX_TAG, State};
use super::{Completed, JoinHandle, JoinSet, List, Live, Origin, Runnable, Schedule, spawn};

/// A scheduler for one test: a queue and a count.
type Queue = &'static (Mutex<List>, AtomicUsize);

impl Schedule for Queue {
    fn schedule(&self, task: Runnable) {
        self.0.lock().unwrap().push_back(task);
    }

    fn completed(&self, _: Completed) {
        self.1.fetch_add(1, Relaxed);
    }
}

/// Lends a queue to a test, which leaves no task behind.
fn with_queue(test: impl FnOnce(Queue)) {
    let queue = Box::into_raw(Box::<(Mutex<List>, AtomicUsize)>::default());
    // SAFETY: it is freed below, when the test and its tasks are gone.
    test(unsafe { &*queue });
    // SAFETY: it came from `into_raw`.
    drop(unsafe { Box::from_raw(queue) });
}

fn start<F: Future>(queue: Queue, future: F) -> JoinHandle<F::Output> {
    let (task, handle) = spawn(future, queue, Origin::caller());
    queue.schedule(task);
    handle
}

/// Runs all that is queued; true if something was.
fn run_all(queue: Queue) -> bool {
    let next = || queue.0.lock().unwrap().pop_front();
    let mut ran = false;
    while let Some(task) = next() {
        ran = true;
        if let Some(again) = task.run() {
            queue.schedule(again);
        }
    }
    ran
}

#[test]
fn a_mark_is_taken_once_and_leaves_the_tag() {
    let state = State::new();
    for tag in [0, 1, MAX_TAG] {
        state.set_tag(tag);
        assert!(!state.take_mark());
        state.mark();
        state.mark();
        assert_eq!(state.tag(), tag);
        assert!(state.take_mark());
        assert!(!state.take_mark());
        assert_eq!(state.tag(), tag);
    }
}

/// Counts its drop, and panics in it if told to.
struct Guard(Arc<AtomicUsize>, bool);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
        if self.1 {
            panic_any("drop");
        }
    }
}

fn join<T>(handle: JoinHandle<T>) -> Result<T, super::JoinError> {
    match pin!(handle).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the task is not complete"),
    }
}

#[test]
fn every_combination_drops_future_and_output_once() {
    for abort in [false, true] {
        for panics_in_poll in [false, true] {
            for panics_in_drop in [false, true] {
                for detach_before in [false, true] {
                    with_queue(|queue| {
                        let futures = Arc::new(AtomicUsize::new(0));
                        let outputs = Arc::new(AtomicUsize::new(0));
                        let counter = Arc::clone(&outputs);
                        let future = Guard(Arc::clone(&futures), panics_in_drop);
                        let mut polled = false;
                        let handle = start(
                            queue,
                            poll_fn(move |cx| {
                                let _future = &future;
                                if !std::mem::replace(&mut polled, true) {
                                    cx.waker().wake_by_ref();
                                    return Poll::Pending;
                                }
                                if panics_in_poll {
                                    panic_any("poll");
                                }
                                Poll::Ready(Guard(Arc::clone(&counter), false))
                            }),
                        );
                        if abort {
                            handle.abort();
                        }
                        let handle = (!detach_before).then_some(handle);
                        run_all(queue);
                        assert_eq!(queue.1.load(Relaxed), 1, "completed once");
                        assert_eq!(futures.load(Relaxed), 1, "the future was dropped once");
                        if let Some(handle) = handle {
                            assert!(handle.is_finished());
                            match join(handle) {
                                Ok(output) => drop(output),
                                Err(error) if error.is_panic() => {
                                    let first =
                                        if panics_in_poll && !abort { "poll" } else { "drop" };
                                    assert_eq!(error.into_panic().downcast_ref(), Some(&first));
                                }
                                Err(error) => assert!(abort && error.is_cancelled()),
                            }
                        }
                        let made = usize::from(!abort && !panics_in_poll);
                        assert_eq!(outputs.load(Relaxed), made, "the output was dropped once");
                    });
                }
            }
        }
    }
}

#[test]
fn a_late_wake_does_nothing_and_frees_the_task() {
    with_queue(|queue| {
        let handle = start(queue, poll_fn(|cx| Poll::Ready(cx.waker().clone())));
        run_all(queue);
        let waker = join(handle).unwrap();
        waker.wake_by_ref();
        drop(waker.clone());
        waker.wake();
        assert!(!run_all(queue), "a complete task was scheduled");
    });
}

#[test]
fn a_second_wake_before_the_run_schedules_once() {
    with_queue(|queue| {
        let stored = Arc::new(Mutex::new(None::<Waker>));
        let theirs = Arc::clone(&stored);
        let handle = start(
            queue,
            poll_fn(move |cx| {
                *theirs.lock().unwrap() = Some(cx.waker().clone());
                Poll::<()>::Pending
            }),
        );
        run_all(queue);
        let waker = stored.lock().unwrap().take().unwrap();
        waker.wake_by_ref();
        waker.wake();
        let len = queue.0.lock().unwrap().len();
        assert_eq!(len, 1);
        handle.abort();
        run_all(queue);
        assert!(join(handle).unwrap_err().is_cancelled());
    });
}

#[test]
fn the_join_waker_that_came_last_is_woken() {
    struct Count(AtomicUsize);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    with_queue(|queue| {
        let mut handle = start(queue, async {});
        let counts = [(); 2].map(|()| Arc::new(Count(AtomicUsize::new(0))));
        for count in &counts {
            let waker = Waker::from(Arc::clone(count));
            let poll = pin!(&mut handle).poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
        }
        run_all(queue);
        assert_eq!(counts.map(|count| count.0.load(Relaxed)), [0, 1]);
        assert!(join(handle).is_ok());
    });
}

/// A runtime without threads refuses a task by a panic, in which the member drops.
#[test]
fn a_task_that_is_refused_is_not_in_the_set() {
    with_queue(|queue| {
        let mut set = JoinSet::new();
        for _ in 0..2 {
            let add = || set.add(async { 1 }, |_member| panic_any("refused"));
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(add)).unwrap_err();
        }
        assert!(set.is_empty());
        set.add(async { 2 }, |member| start(queue, member));
        assert!(set.try_join_next().is_none());
        assert!(run_all(queue));
        assert_eq!(set.try_join_next().unwrap().unwrap(), 2);
        assert!(set.try_join_next().is_none());
    });
}

/// Else the task would wait for the handle for ever, with its output.
#[test]
fn a_handle_goes_although_its_waker_panics() {
    struct Bad;
    impl std::task::Wake for Bad {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Bad {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("bad"));
        }
    }
    with_queue(|queue| {
        let output = Arc::new(());
        let theirs = Arc::clone(&output);
        let mut handle = start(queue, async move { theirs });
        let waker = Waker::from(Arc::new(Bad));
        assert!(
            std::pin::Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending()
        );
        drop(waker);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(handle))).unwrap_err();
        assert!(run_all(queue));
        assert_eq!(Arc::strong_count(&output), 1);
    });
}

/// A set may hear of an end a moment before the task is complete.
#[test]
fn a_set_that_comes_a_moment_too_early_waits_for_the_handle() {
    with_queue(|queue| {
        let mut set = JoinSet::new();
        let mut member = None;
        set.add(async { 0 }, |theirs| {
            member = Some(theirs);
            start(queue, async { 7 })
        });
        assert!(set.try_join_next().is_none());
        drop(member);
        assert!(set.try_join_next().is_none());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(pin!(set.join_next()).poll(&mut cx).is_pending());
        run_all(queue);
        match pin!(set.join_next()).poll(&mut cx) {
            Poll::Ready(Some(Ok(output))) => assert_eq!(output, 7),
            other => panic!("{other:?}"),
        }
        assert!(set.is_empty());
    });
}

/// The ids of listed tasks stay theirs, and their keys are used again.
#[test]
fn keys_of_live_tasks_are_used_again() {
    with_queue(|queue| {
        let mut live = Live::default();
        let handles: Vec<_> = (0..3).map(|_| start(queue, async {})).collect();
        let tasks: Vec<_> = handles.iter().map(|_| queue.0.lock().unwrap().pop_front()).collect();
        let keys: Vec<_> = tasks.iter().flatten().map(|task| live.insert(task.id())).collect();
        assert_eq!(keys, [0, 1, 2]);
        live.remove(1);
        assert_eq!((live.len(), live.iter().count()), (2, 2));
        assert_eq!(live.insert(tasks[1].as_ref().unwrap().id()), 1);
        keys.into_iter().for_each(|key| live.remove(key));
        assert!(live.is_empty());
        tasks.into_iter().flatten().for_each(|task| queue.schedule(task));
        run_all(queue);
    });
}
