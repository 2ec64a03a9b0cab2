//! Locks, permits and signals in every interleaving: nobody sleeps through what is there, and
//! nothing is given twice.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::AtomicUsize as StdAtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};

use loom::cell::UnsafeCell;
use loom::future::block_on;
use loom::thread;

use super::{CancellationToken, Notify, OnceCell, RwLock, Semaphore};

/// A waker that only counts.
#[derive(Default)]
struct Count(StdAtomicUsize);

impl Wake for Count {
    fn wake(self: StdArc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll_once<F: Future>(future: &mut std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A semaphore, and what its holders exclude each other from.
struct Guarded {
    semaphore: Semaphore,
    value: UnsafeCell<usize>,
}

// SAFETY: loom checks who touches the value.
unsafe impl Send for Guarded {}
// SAFETY: as above.
unsafe impl Sync for Guarded {}

impl Guarded {
    fn new(permits: usize) -> StdArc<Self> {
        StdArc::new(Self { semaphore: Semaphore::new(permits), value: UnsafeCell::new(0) })
    }

    /// For who has all permits.
    fn change(&self) {
        // SAFETY: loom checks it.
        self.value.with_mut(|value| unsafe { *value += 1 });
    }

    /// For who has one.
    fn read(&self) -> usize {
        // SAFETY: loom checks it.
        self.value.with(|value| unsafe { *value })
    }
}

/// Three who lock, one of them by trying.
#[test]
fn pool_excludes() {
    loom::model(|| {
        let shared = Guarded::new(1);
        let lock = |shared: StdArc<Guarded>| {
            thread::spawn(move || {
                let permit = block_on(shared.semaphore.acquire()).unwrap();
                shared.change();
                drop(permit);
            })
        };
        let threads = [lock(StdArc::clone(&shared)), lock(StdArc::clone(&shared))];
        let tried = shared.semaphore.try_acquire().is_ok_and(|_permit| {
            shared.change();
            true
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(shared.semaphore.available_permits(), 1);
        assert_eq!(shared.read(), 2 + usize::from(tried));
    });
}

/// Readers take one, a writer both.
#[test]
fn pool_many_against_few() {
    loom::model(|| {
        let shared = Guarded::new(2);
        let readers = [(); 2].map(|()| {
            let shared = StdArc::clone(&shared);
            thread::spawn(move || {
                let permit = block_on(shared.semaphore.acquire()).unwrap();
                shared.read();
                drop(permit);
            })
        });
        let permit = block_on(shared.semaphore.acquire_many(2)).unwrap();
        shared.change();
        drop(permit);
        readers.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(shared.semaphore.available_permits(), 2);
    });
}

/// One who waits gives up, at the head of the queue or while it is handed the permit.
#[test]
fn pool_cancel_passes_on() {
    loom::model(|| {
        let semaphore = StdArc::new(Semaphore::new(1));
        let held = semaphore.try_acquire_many(1).unwrap();
        let cancelled = {
            let semaphore = StdArc::clone(&semaphore);
            thread::spawn(move || {
                let mut wait = pin!(semaphore.acquire());
                poll_once(&mut wait).map(|permit| drop(permit.unwrap()))
            })
        };
        let waits = {
            let semaphore = StdArc::clone(&semaphore);
            thread::spawn(move || drop(block_on(semaphore.acquire()).unwrap()))
        };
        drop(held);
        waits.join().unwrap();
        let _ = cancelled.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
        assert!(semaphore.try_acquire().is_ok());
    });
}

/// One who wants many gives up, and the one behind it wants what is there.
#[test]
fn pool_cancel_of_many_lets_few_in() {
    loom::model(|| {
        let semaphore = StdArc::new(Semaphore::new(1));
        let mut many = Box::pin(semaphore.clone().acquire_many_owned(2));
        assert!(poll_once(&mut many.as_mut()).is_pending());
        let waits = {
            let semaphore = StdArc::clone(&semaphore);
            thread::spawn(move || drop(block_on(semaphore.acquire()).unwrap()))
        };
        drop(many);
        waits.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

/// Two add one each, for one who waits for two.
#[test]
fn pool_adds_up() {
    loom::model(|| {
        let semaphore = StdArc::new(Semaphore::new(0));
        let adds = [(); 2].map(|()| {
            let semaphore = StdArc::clone(&semaphore);
            thread::spawn(move || semaphore.add_permits(1))
        });
        block_on(semaphore.acquire_many(2)).unwrap().forget();
        adds.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(semaphore.available_permits(), 0);
    });
}

/// The end, a release and one who waits: it has the permit or is refused, and no permit is lost.
#[test]
fn pool_close_tells_everybody() {
    loom::model(|| {
        let semaphore = StdArc::new(Semaphore::new(0));
        let closes = {
            let semaphore = StdArc::clone(&semaphore);
            thread::spawn(move || semaphore.close())
        };
        let waits = {
            let semaphore = StdArc::clone(&semaphore);
            thread::spawn(move || block_on(semaphore.acquire()).map(|permit| permit.forget()))
        };
        semaphore.add_permits(1);
        closes.join().unwrap();
        let got = usize::from(waits.join().unwrap().is_ok());
        assert_eq!(semaphore.forget_permits(9), 1 - got);
    });
}

/// Who sees the end sees what was done before it: a `OnceCell`'s value, that is.
#[test]
fn pool_close_publishes() {
    loom::model(|| {
        let shared = Guarded::new(0);
        let waits = {
            let shared = StdArc::clone(&shared);
            thread::spawn(move || {
                assert!(block_on(shared.semaphore.acquire()).is_err());
                assert_eq!(shared.read(), 1);
            })
        };
        let closes = {
            let shared = StdArc::clone(&shared);
            thread::spawn(move || {
                shared.change();
                shared.semaphore.close();
            })
        };
        if shared.semaphore.is_closed() {
            assert_eq!(shared.read(), 1);
        }
        waits.join().unwrap();
        closes.join().unwrap();
    });
}

#[test]
fn rwlock_downgrade_lets_readers_in() {
    loom::model(|| {
        let lock = StdArc::new(RwLock::new(0));
        let mut write = lock.try_write().unwrap();
        let reader = {
            let lock = StdArc::clone(&lock);
            thread::spawn(move || *block_on(lock.read()))
        };
        *write = 1;
        let read = write.downgrade();
        assert_eq!(reader.join().unwrap(), 1);
        assert!(lock.try_write().is_err());
        drop(read);
        assert!(lock.try_write().is_ok());
    });
}

#[test]
fn once_cell_is_set_once() {
    loom::model(|| {
        let cell = StdArc::new(OnceCell::new());
        let sets = {
            let cell = StdArc::clone(&cell);
            thread::spawn(move || cell.set(1).is_ok())
        };
        let waits = {
            let cell = StdArc::clone(&cell);
            thread::spawn(move || *block_on(cell.get_or_init(async || 2)))
        };
        let seen = cell.get().copied();
        let (set, got) = (sets.join().unwrap(), waits.join().unwrap());
        assert_eq!(got, if set { 1 } else { 2 });
        assert!(seen.is_none_or(|seen| seen == got));
    });
}

/// A notification before, during or after the wait's begin.
#[test]
fn notify_one_is_not_missed() {
    loom::model(|| {
        let notify = StdArc::new(Notify::new());
        let value = StdArc::new(Guarded::new(0));
        let notifier = {
            let (notify, value) = (StdArc::clone(&notify), StdArc::clone(&value));
            thread::spawn(move || {
                value.change();
                notify.notify_one();
            })
        };
        block_on(notify.notified());
        assert_eq!(value.read(), 1);
        notifier.join().unwrap();
        // It was for one.
        assert!(poll_once(&mut pin!(notify.notified())).is_pending());
    });
}

/// One of two who wait gives up: the other gets what came to it.
#[test]
fn notify_one_is_passed_on() {
    loom::model(|| {
        let notify = StdArc::new(Notify::new());
        let mut first = Box::pin(notify.notified());
        assert!(poll_once(&mut first.as_mut()).is_pending());
        let notifier = {
            let notify = StdArc::clone(&notify);
            thread::spawn(move || notify.notify_one())
        };
        let waits = {
            let notify = StdArc::clone(&notify);
            thread::spawn(move || block_on(notify.notified()))
        };
        drop(first);
        notifier.join().unwrap();
        waits.join().unwrap();
    });
}

/// Two notifications and two who wait.
#[test]
fn notify_one_wakes_as_many() {
    loom::model(|| {
        let notify = StdArc::new(Notify::new());
        let waits = {
            let notify = StdArc::clone(&notify);
            thread::spawn(move || block_on(notify.notified()))
        };
        let mut mine = Box::pin(notify.notified());
        mine.enable();
        let notifier = {
            let notify = StdArc::clone(&notify);
            thread::spawn(move || notify.notify_one())
        };
        notify.notify_one();
        notifier.join().unwrap();
        block_on(mine);
        waits.join().unwrap();
    });
}

/// Who was made before the call is told, also while it is entering the queue.
#[test]
fn notify_waiters_tells_who_was_there() {
    loom::model(|| {
        let notify = StdArc::new(Notify::new());
        let value = StdArc::new(Guarded::new(0));
        let mut wait = Box::pin(notify.notified());
        let notifier = {
            let (notify, value) = (StdArc::clone(&notify), StdArc::clone(&value));
            thread::spawn(move || {
                value.change();
                notify.notify_waiters();
            })
        };
        block_on(wait.as_mut());
        assert_eq!(value.read(), 1);
        notifier.join().unwrap();
        drop(wait);
        // Nothing is left of it.
        assert!(poll_once(&mut pin!(notify.notified())).is_pending());
    });
}

/// A child that is made while its parent is cancelled.
#[test]
fn token_reaches_a_new_child() {
    loom::model(|| {
        let token = CancellationToken::new();
        let canceller = {
            let token = token.clone();
            thread::spawn(move || token.cancel())
        };
        block_on(token.child_token().cancelled_owned());
        assert!(token.is_cancelled());
        canceller.join().unwrap();
    });
}

/// Parent and child are cancelled at the same time, the grandchild waits, and a second child goes.
#[test]
fn token_cancelled_twice() {
    loom::model(|| {
        let token = CancellationToken::new();
        let (child, other) = (token.child_token(), token.child_token());
        let grandchild = child.child_token();
        let canceller = thread::spawn(move || child.cancel());
        let dropper = thread::spawn(move || drop(other));
        token.cancel();
        block_on(grandchild.cancelled());
        canceller.join().unwrap();
        dropper.join().unwrap();
    });
}

/// A wait that goes on while another on the same token is dropped.
#[test]
fn token_tells_all_who_wait() {
    loom::model(|| {
        let token = CancellationToken::new();
        let count = StdArc::new(Count::default());
        let waker = Waker::from(StdArc::clone(&count));
        let mut wait = Box::pin(token.cancelled());
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let canceller = {
            let token = token.clone();
            thread::spawn(move || token.cancel())
        };
        block_on(token.cancelled());
        canceller.join().unwrap();
        assert_eq!(count.0.load(SeqCst), 1);
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    });
}
