//! The watch channel: the latest value, and who waits for it to change.

mod support;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use annulus::channel::watch::{self, RecvError, SendError};

use support::{Count, Counted, poll};

#[test]
fn a_change_is_news_once_for_each_receiver() {
    let (tx, mut rx) = watch::channel(0);
    let mut other = rx.clone();
    assert_eq!((rx.has_changed(), *rx.borrow()), (Ok(false), 0));
    tx.send(1).unwrap();
    tx.send(2).unwrap();
    assert_eq!((rx.has_changed(), *rx.borrow()), (Ok(true), 2));
    assert_eq!(rx.has_changed(), Ok(true)); // borrow alone is not seeing
    assert_eq!(*rx.borrow_and_update(), 2);
    assert_eq!(rx.has_changed(), Ok(false));
    assert_eq!(rx.clone().has_changed(), Ok(false));
    assert_eq!(other.clone().has_changed(), Ok(true));
    assert_eq!(tx.subscribe().has_changed(), Ok(false));
    assert_eq!(other.changed_blocking(), Ok(()));
    assert_eq!(other.has_changed(), Ok(false));
    rx.mark_changed();
    assert_eq!(rx.has_changed(), Ok(true));
    assert_eq!(rx.changed_blocking(), Ok(()));
    rx.mark_changed();
    tx.send(3).unwrap();
    assert_eq!(rx.has_changed(), Ok(true));
    rx.mark_unchanged();
    assert_eq!(rx.has_changed(), Ok(false));
    assert!(rx.same_channel(&other) && tx.same_channel(&tx.clone()));
    assert!(!tx.same_channel(&watch::channel(0).0));
}

#[test]
fn the_last_change_is_seen_and_then_the_end() {
    let (tx, mut rx) = watch::channel(0);
    tx.send(1).unwrap();
    let other = tx.clone();
    drop(tx);
    other.send(2).unwrap();
    drop(other);
    assert_eq!(rx.has_changed(), Ok(true));
    assert_eq!(rx.changed_blocking(), Ok(()));
    assert_eq!(*rx.borrow(), 2);
    assert_eq!(rx.has_changed(), Err(RecvError));
    assert_eq!(rx.changed_blocking(), Err(RecvError));
    assert_eq!(rx.wait_for_blocking(|n| *n == 2).map(|n| *n), Ok(2));
    assert_eq!(rx.wait_for_blocking(|n| *n == 3).map(|n| *n), Err(RecvError));
    rx.mark_changed();
    assert_eq!(rx.changed_blocking(), Ok(()));
}

#[test]
fn without_receivers_the_value_comes_back() {
    let (tx, rx) = watch::channel(0);
    assert_eq!(tx.receiver_count(), 1);
    drop(rx);
    assert!(tx.is_closed());
    assert_eq!(tx.send(1), Err(SendError(1)));
    assert_eq!(*tx.borrow(), 0);
    assert_eq!(tx.send_replace(2), 0);
    let rx = tx.subscribe();
    assert!(!tx.is_closed());
    assert_eq!((*rx.borrow(), rx.has_changed()), (2, Ok(false)));
    tx.send(3).unwrap();
    assert_eq!(rx.has_changed(), Ok(true));
}

#[test]
fn changing_in_place() {
    let (tx, mut rx) = watch::channel(vec![1]);
    tx.send_modify(|list| list.push(2));
    assert_eq!(*rx.borrow_and_update(), [1, 2]);
    assert!(!tx.send_if_modified(|list| {
        list.push(3);
        false // nobody is told
    }));
    assert_eq!(rx.has_changed(), Ok(false));
    assert_eq!(*rx.borrow(), [1, 2, 3]);
}

#[test]
fn a_panic_while_changing_breaks_nothing() {
    let (tx, mut rx) = watch::channel(1);
    let modify = AssertUnwindSafe(|| {
        tx.send_modify(|n| {
            *n = 2;
            panic!("the closure panics");
        });
    });
    assert!(catch_unwind(modify).is_err());
    assert_eq!((rx.has_changed(), *rx.borrow()), (Ok(false), 2));
    let wanted = AssertUnwindSafe(|| {
        let mut wait = pin!(rx.wait_for(|_| panic!("the question panics")));
        let _ = poll(wait.as_mut(), &Arc::new(Count::default()));
    });
    assert!(catch_unwind(wanted).is_err());
    tx.send(3).unwrap();
    assert_eq!(rx.changed_blocking(), Ok(()));
    assert_eq!(*rx.borrow(), 3);
}

#[test]
fn values_drop_once_and_not_under_the_lock() {
    let drops = Arc::new(AtomicUsize::new(0));
    let value = || Counted(Arc::clone(&drops));
    let (tx, rx) = watch::channel(value());
    tx.send(value()).unwrap();
    assert_eq!(drops.load(SeqCst), 1);
    drop(tx.send_replace(value()));
    assert_eq!(drops.load(SeqCst), 2);
    drop(rx);
    drop(tx.send(value()));
    assert_eq!(drops.load(SeqCst), 3);
    drop(tx);
    assert_eq!(drops.load(SeqCst), 4);

    /// Reads the channel when it is dropped or woken.
    struct Nosy(watch::Sender<Option<Nosy>>);
    impl Nosy {
        fn look(&self) {
            let _ = self.0.borrow().is_some();
            self.0.send_if_modified(|_| false);
            let mut rx = self.0.subscribe();
            let _ = pin!(rx.changed()).poll(&mut Context::from_waker(Waker::noop()));
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            self.look();
        }
    }
    impl Wake for Nosy {
        fn wake(self: Arc<Self>) {
            self.look();
        }
    }
    let (tx, mut rx) = watch::channel(None);
    let mut other = rx.clone();
    let mut changed = pin!(rx.changed());
    let mut wait = pin!(other.wait_for(Option::is_some));
    for _ in 0..2 {
        let waker = Waker::from(Arc::new(Nosy(tx.clone())));
        let cx = &mut Context::from_waker(&waker);
        assert!(changed.as_mut().poll(cx).is_pending());
        assert!(wait.as_mut().poll(cx).is_pending());
    }
    tx.send(Some(Nosy(tx.clone()))).map_err(drop).unwrap();
    tx.send(Some(Nosy(tx.clone()))).map_err(drop).unwrap();
    let waker = Waker::from(Arc::new(Nosy(tx.clone())));
    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    tx.send(None).map_err(drop).unwrap(); // else the channel would hold itself
}

#[test]
fn waiting_cancelling_and_changed_wakers() {
    let (tx, mut rx) = watch::channel(0);
    let mut other = rx.clone();
    let [first, second, third] = [(); 3].map(|()| Arc::new(Count::default()));
    {
        let mut changed = pin!(rx.changed());
        assert!(poll(changed.as_mut(), &first).is_pending());
        assert!(poll(changed.as_mut(), &second).is_pending());
        let mut cancelled = Box::pin(other.changed());
        assert!(poll(cancelled.as_mut(), &third).is_pending());
        drop(cancelled);
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        assert_eq!([first.wakes(), second.wakes(), third.wakes()], [0, 1, 0]);
        assert_eq!(poll(changed.as_mut(), &second), Poll::Ready(Ok(())));
    }
    // Woken and given up: it is still news.
    let mut changed = Box::pin(other.changed());
    assert!(poll(changed.as_mut(), &first).is_ready());
    drop(changed);
    let mut changed = Box::pin(other.changed());
    assert!(poll(changed.as_mut(), &third).is_pending());
    tx.send(3).unwrap();
    assert_eq!(third.wakes(), 1);
    drop(changed);
    assert_eq!(other.has_changed(), Ok(true));
    // The end wakes everybody once.
    let mut receivers: Vec<_> = (0..40).map(|_| tx.subscribe()).collect();
    let mut waiting: Vec<_> = receivers.iter_mut().map(|rx| Box::pin(rx.changed())).collect();
    for changed in &mut waiting {
        assert!(poll(changed.as_mut(), &first).is_pending());
    }
    drop(tx);
    assert_eq!(first.wakes(), 40);
    for changed in &mut waiting {
        assert_eq!(poll(changed.as_mut(), &first), Poll::Ready(Err(RecvError)));
    }
}

#[test]
fn waiting_for_a_value() {
    let (tx, mut rx) = watch::channel(0);
    let asked = Mutex::new(Vec::new());
    let count = Arc::new(Count::default());
    {
        let mut wait = Box::pin(rx.wait_for(|n| {
            asked.lock().unwrap().push(*n);
            *n >= 2
        }));
        assert!(poll(wait.as_mut(), &count).is_pending());
        assert!(poll(wait.as_mut(), &count).is_pending());
        for n in [1, 2] {
            tx.send(n).unwrap();
            assert_eq!(count.wakes(), n);
            assert_eq!(poll(wait.as_mut(), &count).is_ready(), n == 2);
        }
    }
    // Once about each version.
    assert_eq!(*asked.lock().unwrap(), [0, 1, 2]);
    assert_eq!(rx.has_changed(), Ok(false));
    // Of a value that is there already, seen or not.
    assert_eq!(rx.wait_for_blocking(|n| *n == 2).map(|n| *n), Ok(2));
    // Another change between the wake and the poll.
    let mut wait = Box::pin(rx.wait_for(|n| *n == 3));
    assert!(poll(wait.as_mut(), &count).is_pending());
    tx.send(3).unwrap();
    tx.send(4).unwrap();
    assert!(poll(wait.as_mut(), &count).is_pending());
    tx.send(3).unwrap();
    assert!(matches!(poll(wait.as_mut(), &count), Poll::Ready(Ok(n)) if *n == 3));
}

#[test]
fn closed_is_told_to_every_sender() {
    let (tx, rx) = watch::channel(0);
    let (other, rx2) = (tx.clone(), rx.clone());
    let [first, second] = [(); 2].map(|()| Arc::new(Count::default()));
    let (mut a, mut b) = (Box::pin(tx.closed()), Box::pin(other.closed()));
    assert!(poll(a.as_mut(), &first).is_pending());
    assert!(poll(b.as_mut(), &second).is_pending());
    drop(rx);
    assert_eq!((first.wakes(), second.wakes()), (0, 0));
    drop(rx2);
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
    assert!(poll(a.as_mut(), &first).is_ready());
    // Somebody came meanwhile: wait on.
    let rx = tx.subscribe();
    assert!(poll(b.as_mut(), &second).is_pending());
    drop(rx);
    assert!(poll(b.as_mut(), &second).is_ready());
}

/// Wakers that poll at once, and wait again, do not keep a sender busy for ever.
#[test]
fn many_wakers_that_poll_inside_wake() {
    type Watch = Pin<Box<dyn Future<Output = ()> + Send>>;
    struct Inline(Mutex<Option<Watch>>);
    impl Inline {
        fn poll(self: &Arc<Self>) {
            let Some(mut future) = self.0.lock().unwrap().take() else { return };
            let waker = Waker::from(Arc::clone(self));
            if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                *self.0.lock().unwrap() = Some(future);
            }
        }
    }
    impl Wake for Inline {
        fn wake(self: Arc<Self>) {
            self.poll();
        }
    }
    let (tx, rx) = watch::channel(0);
    let sum = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let (mut rx, sum) = (rx.clone(), Arc::clone(&sum));
        let future: Watch = Box::pin(async move {
            while rx.changed().await.is_ok() {
                sum.fetch_add(*rx.borrow(), SeqCst);
            }
        });
        Arc::new(Inline(Mutex::new(Some(future)))).poll();
    }
    for n in 1..=10 {
        tx.send(n).unwrap();
        assert_eq!(sum.load(SeqCst), 100 * n * (n + 1) / 2);
    }
    drop(tx);
    assert_eq!(rx.has_changed(), Ok(true));
}

const LAST: usize = 5_000;

/// Values come in order, and the last one comes.
async fn audit(mut rx: watch::Receiver<usize>) -> usize {
    let mut last = *rx.borrow();
    while rx.changed().await.is_ok() {
        let now = *rx.borrow_and_update();
        assert!(now >= last, "{now} after {last}");
        last = now;
    }
    last
}

#[test]
fn threads_and_tasks_of_two_runtimes() {
    let ours = annulus::Builder::new().worker_threads(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (tx, rx) = watch::channel(0);
    let in_ours = ours.spawn(audit(rx.clone()));
    let in_tokio = tokio.spawn(audit(rx.clone()));
    let mut theirs = rx.clone();
    let in_thread = thread::spawn(move || {
        while theirs.changed_blocking().is_ok() {}
        *theirs.borrow()
    });
    let mut theirs = rx.clone();
    let awaiting = ours.spawn(async move { theirs.wait_for(|n| *n >= LAST).await.map(|n| *n) });
    drop(rx);
    let count =
        |tx: watch::Sender<usize>| move || (0..LAST).for_each(|_| tx.send_modify(|n| *n += 1));
    let thread = thread::spawn(count(tx.clone()));
    let (a, b) = (count(tx.clone()), count(tx.clone()));
    drop(ours.spawn(async move { a() }));
    drop(tokio.spawn(async move { b() }));
    thread.join().unwrap();
    assert!(ours.block_on(awaiting).unwrap().unwrap() >= LAST);
    drop(tx);
    assert_eq!(in_thread.join().unwrap(), 3 * LAST);
    assert_eq!(ours.block_on(in_ours).unwrap(), 3 * LAST);
    assert_eq!(tokio.block_on(in_tokio).unwrap(), 3 * LAST);
}

#[test]
fn closed_ends_a_task_of_each_runtime() {
    let ours = annulus::Builder::new().worker_threads(1).build().unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (tx, rx) = watch::channel(());
    let other = tx.clone();
    let producer = ours.spawn(async move { other.closed().await });
    thread::spawn(move || drop(rx));
    tokio.block_on(tx.closed());
    ours.block_on(producer).unwrap();
}

#[test]
fn debug_and_display_say_what_is_there() {
    let (tx, rx) = watch::channel(1);
    tx.send(2).unwrap();
    assert_eq!(format!("{tx:?}"), "Sender { version: 1, receivers: 1 }");
    assert_eq!(format!("{rx:?}"), "Receiver { changed: true, closed: false }");
    assert_eq!(format!("{:?}", rx.borrow()), "2");
    assert!(RecvError.to_string().starts_with("the senders are gone"));
}
