//! Wakers are foreign code: they may panic, and may use the lock that wakes them.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex as StdMutex};
use std::task::{Context, Poll, Wake, Waker};

use annulus::sync::{Barrier, CancellationToken, Mutex, Notify, OnceCell, RwLock, Semaphore};
use support::{Count, Polled, now, panic_text, poll_with};

mod support;

/// Panics when it is called.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker panicked");
    }
}

/// Does something when it is called, and again when it is dropped.
struct Does<F: Fn() + Send + Sync + 'static>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        self.0();
    }
}

impl<F: Fn() + Send + Sync + 'static> Drop for Does<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// A future that waits with this waker.
fn waiting_with<F: Future>(future: F, waker: &Waker) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(poll_with(future.as_mut(), waker).is_pending());
    future
}

/// Sets 40 waits up, of which the second's waker panics in `wake`, and sees all of them woken.
fn all_are_woken<F: Future>(make: impl Fn() -> F, wake: impl FnOnce()) {
    let mut first = Polled::waiting(make());
    let mut panics = waiting_with(make(), &Waker::from(Arc::new(Panics)));
    let mut rest: Vec<_> = (0..38).map(|_| Polled::waiting(make())).collect();
    assert_eq!(panic_text(wake), "a waker panicked");
    assert_eq!(first.wakes(), 1);
    first.ready();
    assert!(poll_with(panics.as_mut(), Waker::noop()).is_ready());
    for wait in &mut rest {
        assert_eq!(wait.wakes(), 1);
        wait.ready();
    }
}

#[test]
fn when_a_waker_panics_the_others_are_woken() {
    let semaphore = Semaphore::new(0);
    let forget = || async { semaphore.acquire().await.unwrap().forget() };
    all_are_woken(forget, || semaphore.add_permits(40));
    assert_eq!(semaphore.available_permits(), 0);
    all_are_woken(|| semaphore.acquire(), || semaphore.close());

    let lock = RwLock::new(());
    let held = lock.try_write().unwrap();
    all_are_woken(|| lock.read(), || drop(held));
    let held = lock.try_write().unwrap();
    let panics = Waker::from(Arc::new(Panics));
    let read = waiting_with(lock.read(), &panics);
    assert_eq!(panic_text(|| drop(held.downgrade())), "a waker panicked");
    drop(read);
    assert!(lock.try_write().is_ok(), "the guard of a downgrade that panicked was not lost");

    let notify = Notify::new();
    all_are_woken(|| notify.notified(), || notify.notify_waiters());

    let token = CancellationToken::new();
    all_are_woken(|| token.cancelled(), || token.cancel());

    let cell = OnceCell::new();
    let (tx, rx) = annulus::channel::oneshot::channel();
    let mut makes = Polled::waiting(cell.get_or_init(async || rx.await.unwrap()));
    tx.send(1).unwrap();
    all_are_woken(
        || cell.get_or_init(async || 2),
        || {
            let _ = makes.poll();
        },
    );
    assert_eq!(cell.get(), Some(&1));

    let barrier = Barrier::new(41);
    all_are_woken(
        || barrier.wait(),
        || {
            now(barrier.wait());
        },
    );
}

/// The children of a token are woken although the parent's waker panics.
#[test]
fn a_panic_above_does_not_keep_the_word_from_those_below() {
    let token = CancellationToken::new();
    let children = [(); 3].map(|()| token.child_token());
    let panics = Waker::from(Arc::new(Panics));
    let wait = waiting_with(token.cancelled(), &panics);
    let mut waits = children.each_ref().map(|child| Polled::waiting(child.cancelled()));
    assert_eq!(panic_text(|| token.cancel()), "a waker panicked");
    assert!(waits.iter().all(|wait| wait.wakes() == 1));
    waits.iter_mut().for_each(Polled::ready);
    drop(wait);
}

/// Who is handed a lock has it, whatever its waker does.
#[test]
fn a_lock_whose_new_owners_waker_panics_is_not_lost() {
    let mutex = Mutex::new(0);
    let held = mutex.try_lock().unwrap();
    let panics = Waker::from(Arc::new(Panics));
    let mut wait = waiting_with(mutex.lock(), &panics);
    let mut next = Polled::waiting(mutex.lock());
    assert_eq!(panic_text(|| drop(held)), "a waker panicked");
    let Poll::Ready(guard) = poll_with(wait.as_mut(), Waker::noop()) else { panic!("it waits") };
    drop(guard);
    drop(next.ready());

    // Dropped instead of polled, it goes on, too.
    let held = mutex.try_lock().unwrap();
    let wait = waiting_with(mutex.lock(), &panics);
    let mut next = Polled::waiting(mutex.lock());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(held))).is_err());
    drop(wait);
    drop(next.ready());
    assert!(mutex.try_lock().is_ok());
}

/// Wakers that use what wakes them, when they are woken and when they are dropped. A lock held
/// meanwhile would be locked twice by one thread.
#[test]
fn no_waker_is_called_or_dropped_under_a_lock() {
    let calls = Arc::new(AtomicUsize::new(0));
    let semaphore = Arc::new(Semaphore::new(0));
    let notify = Arc::new(Notify::new());
    let token = CancellationToken::new();
    let barrier = Arc::new(Barrier::new(2));
    let uses = {
        let (calls, semaphore, notify) = (calls.clone(), semaphore.clone(), notify.clone());
        let (token, barrier) = (token.clone(), barrier.clone());
        move || {
            calls.fetch_add(1, SeqCst);
            drop(Polled::new(semaphore.acquire()).poll());
            drop(Polled::waiting(semaphore.acquire_many(100)));
            let _ = Polled::new(notify.notified()).poll();
            drop(token.child_token());
            let _ = Polled::new(token.cancelled()).poll();
            let _ = Polled::new(barrier.wait()).poll();
            let _ = format!("{semaphore:?} {notify:?} {token:?} {barrier:?}");
        }
    };
    let waker = || Waker::from(Arc::new(Does(uses.clone())));

    let mut wait = waiting_with(semaphore.acquire(), &waker());
    assert!(poll_with(wait.as_mut(), &waker()).is_pending()); // the first is replaced
    assert_eq!(calls.load(SeqCst), 1);
    drop(wait); // and the second dropped
    assert_eq!(calls.load(SeqCst), 2);
    let waits = [(); 40].map(|()| waiting_with(semaphore.acquire(), &waker()));
    semaphore.add_permits(40);
    assert_eq!(calls.load(SeqCst), 2 + 80);
    drop(waits);
    assert_eq!(semaphore.available_permits(), 40);

    let mut wait = waiting_with(notify.notified(), &waker());
    assert!(poll_with(wait.as_mut(), &waker()).is_pending());
    notify.notify_one();
    drop(wait); // which passes it on, and it is remembered
    now(notify.notified());
    let waits = [(); 2].map(|()| waiting_with(notify.notified(), &waker()));
    notify.notify_waiters();
    drop(waits);

    let wait = waiting_with(barrier.wait(), &waker());
    assert!(now(barrier.wait()).is_leader());
    drop(wait);

    let waits = [(); 2].map(|()| waiting_with(token.cancelled(), &waker()));
    token.cancel();
    drop(waits);
}

/// A waker that polls its future where it is woken, as some executors do.
#[test]
fn a_waker_may_poll_at_once() {
    struct Inline(StdMutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>);
    impl Wake for Inline {
        fn wake(self: Arc<Self>) {
            let waker = Waker::from(Arc::clone(&self));
            let Some(mut future) = self.0.lock().unwrap().take() else { return };
            if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                *self.0.lock().unwrap() = Some(future);
            }
        }
    }
    let start = |future: Pin<Box<dyn Future<Output = ()> + Send>>| {
        let task = Arc::new(Inline(StdMutex::new(None)));
        let waker = Waker::from(Arc::clone(&task));
        *task.0.lock().unwrap() = Some(future);
        waker.wake();
    };

    // Each that is let in lets the next in, and so on, from within the first release.
    let (mutex, count) = (Arc::new(Mutex::new(())), Count::new());
    let held = mutex.try_lock().unwrap();
    for _ in 0..50 {
        let (mutex, count) = (Arc::clone(&mutex), Waker::from(Arc::clone(&count)));
        start(Box::pin(async move {
            let _guard = mutex.lock().await;
            count.wake();
        }));
    }
    drop(held);
    assert_eq!(count.wakes(), 50);

    // Who waits again at once is of the next call. They are more than are woken in one go.
    let (notify, count) = (Arc::new(Notify::new()), Count::new());
    for _ in 0..40 {
        let (notify, count) = (Arc::clone(&notify), Waker::from(Arc::clone(&count)));
        start(Box::pin(async move {
            for _ in 0..2 {
                notify.notified().await;
                count.wake_by_ref();
            }
        }));
    }
    notify.notify_waiters();
    assert_eq!(count.wakes(), 40);
    notify.notify_waiters();
    assert_eq!(count.wakes(), 80);
}

/// A wait that begins in the middle of a call for all is not told by it, in no sense: what comes to
/// it alone, later, it passes on.
#[test]
fn a_wait_that_begins_while_others_are_woken_is_none_of_them() {
    static NOTIFY: Notify = Notify::new();
    let late = Arc::new(StdMutex::new(None));
    let begins = {
        let late = Arc::clone(&late);
        move || {
            late.lock().unwrap().get_or_insert_with(|| Polled::waiting(NOTIFY.notified()));
        }
    };
    let first = waiting_with(NOTIFY.notified(), &Waker::from(Arc::new(Does(begins))));
    let rest = [(); 40].map(|()| Polled::waiting(NOTIFY.notified()));
    NOTIFY.notify_waiters();
    assert!(rest.iter().all(|wait| wait.wakes() == 1));
    let late = late.lock().unwrap().take().unwrap();
    assert_eq!(late.wakes(), 0);
    NOTIFY.notify_one();
    assert_eq!(late.wakes(), 1);
    drop((late, first, rest));
    now(NOTIFY.notified());
}

/// The waker of the last poll is the one that is woken.
#[test]
fn a_wait_may_change_its_task() {
    let mutex = Mutex::new(());
    let notify = Notify::new();
    let token = CancellationToken::new();
    let held = mutex.try_lock().unwrap();
    let counts = [Count::new(), Count::new()];
    let [mut lock, mut notified, mut cancelled]: [Pin<Box<dyn Future<Output = ()>>>; 3] = [
        Box::pin(async { drop(mutex.lock().await) }),
        Box::pin(notify.notified()),
        Box::pin(token.cancelled()),
    ];
    for wait in [&mut lock, &mut notified, &mut cancelled] {
        for count in &counts {
            assert!(support::poll(wait.as_mut(), count).is_pending());
        }
    }
    drop(held);
    notify.notify_one();
    token.cancel();
    assert_eq!(counts.each_ref().map(|count| count.wakes()), [0, 3]);
}
