//! What locks, permits and cells hold, give out and drop.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use annulus::sync::{
    AcquireError, Barrier, Mutex, MutexGuard, Notify, OnceCell, OwnedMutexGuard, RwLock, Semaphore,
    SetError, TryAcquireError, TryLockError,
};
use support::{Counted, Polled, now, panic_text};

#[test]
fn a_mutex_gives_its_value_to_one() {
    let mut mutex = Mutex::new(vec![1]);
    mutex.get_mut().push(2);
    let mut guard = now(mutex.lock());
    guard.push(3);
    assert_eq!(mutex.try_lock().unwrap_err(), TryLockError);
    assert!(std::ptr::eq(MutexGuard::mutex(&guard), &mutex));
    drop(guard);
    assert_eq!(mutex.into_inner(), [1, 2, 3]);

    let mutex = Arc::new(Mutex::from(1));
    let guard = now(mutex.clone().lock_owned());
    assert!(mutex.clone().try_lock_owned().is_err());
    assert!(Arc::ptr_eq(OwnedMutexGuard::mutex(&guard), &mutex));
    // It goes to another thread and is unlocked there.
    let unlocked = thread::spawn(move || {
        let mut guard = guard;
        *guard += 1;
    });
    unlocked.join().unwrap();
    assert_eq!(*mutex.clone().try_lock_owned().unwrap(), 2);
}

#[test]
fn values_may_be_of_any_size() {
    let mutex: Arc<Mutex<[u8]>> = Arc::new(Mutex::new([1, 2, 3]));
    mutex.lock_blocking()[1] = 9;
    assert_eq!(mutex.clone().try_lock_owned().unwrap().len(), 3);
    assert_eq!(now(mutex.lock())[..], [1, 9, 3]);
    let lock: &RwLock<dyn std::fmt::Debug> = &RwLock::new("text");
    assert_eq!(format!("{:?}", &*now(lock.read())), "\"text\"");
}

#[test]
fn many_read_or_one_writes() {
    let mut lock = RwLock::new(1);
    let readers = [now(lock.read()), now(lock.read()), lock.try_read().unwrap()];
    assert!(lock.try_write().is_err());
    drop(readers);
    let mut write = lock.try_write().unwrap();
    assert!(lock.try_read().is_err() && lock.try_write().is_err());
    *write += 1;
    let read = write.downgrade();
    assert_eq!((*read, *lock.try_read().unwrap()), (2, 2));
    assert!(lock.try_write().is_err());
    drop(read);
    *lock.write_blocking() += 1;
    assert_eq!(*lock.read_blocking(), 3);
    *lock.get_mut() += 1;
    assert_eq!(lock.into_inner(), 4);
}

#[test]
fn permits_merge_split_and_are_forgotten() {
    let semaphore = Arc::new(Semaphore::new(10));
    let mut permit = semaphore.try_acquire_many(4).unwrap();
    assert!(permit.split(5).is_none());
    let part = permit.split(3).unwrap();
    assert_eq!((permit.num_permits(), part.num_permits()), (1, 3));
    permit.merge(part);
    assert_eq!((permit.num_permits(), semaphore.available_permits()), (4, 6));
    drop(permit.split(1));
    permit.forget();
    assert_eq!(semaphore.available_permits(), 7);

    let mut permit = semaphore.clone().try_acquire_many_owned(4).unwrap();
    permit.merge(semaphore.clone().try_acquire_owned().unwrap());
    permit.split(2).unwrap().forget();
    assert!(Arc::ptr_eq(permit.semaphore(), &semaphore));
    assert_eq!((permit.num_permits(), semaphore.available_permits()), (3, 2));
    drop(permit);
    assert_eq!(semaphore.available_permits(), 5);
    assert_eq!((semaphore.forget_permits(2), semaphore.forget_permits(9)), (2, 3));
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    semaphore.add_permits(1);
    now(semaphore.acquire_many(1)).unwrap().forget();
    assert_eq!(semaphore.available_permits(), 0);
}

#[test]
fn misuse_of_permits_panics_and_loses_none() {
    let (one, other) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(1)));
    let text = panic_text(|| one.try_acquire().unwrap().merge(other.try_acquire().unwrap()));
    assert!(text.contains("different semaphores"), "{text}");
    let text = panic_text(|| {
        let mut permit = one.clone().try_acquire_owned().unwrap();
        permit.merge(other.clone().try_acquire_owned().unwrap());
    });
    assert!(text.contains("different semaphores"), "{text}");
    assert_eq!((one.available_permits(), other.available_permits()), (1, 1));
    let text = panic_text(|| one.add_permits(Semaphore::MAX_PERMITS));
    assert!(text.contains("MAX_PERMITS"), "{text}");
    assert!(panic_text(|| Semaphore::new(Semaphore::MAX_PERMITS + 1)).contains("MAX_PERMITS"));
    assert_eq!(one.available_permits(), 1);
    one.add_permits(Semaphore::MAX_PERMITS - 1);
    assert_eq!(one.available_permits(), Semaphore::MAX_PERMITS);
    drop(now(one.acquire_many(u32::MAX)).unwrap());
}

/// No lock is poisoned: it is unlocked on the way out.
#[test]
fn a_panic_unlocks() {
    let mutex = Mutex::new(0);
    let lock = RwLock::new(0);
    let semaphore = Semaphore::new(1);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut guard = mutex.try_lock().unwrap();
        let _write = lock.try_write().unwrap();
        let _permit = semaphore.try_acquire().unwrap();
        *guard = 1;
        panic!("at work");
    }));
    assert!(result.is_err());
    assert_eq!(*mutex.try_lock().unwrap(), 1);
    assert!(lock.try_write().is_ok() && semaphore.try_acquire().is_ok());

    // Who makes a value and panics leaves it to the next.
    let cell = OnceCell::new();
    let result = catch_unwind(AssertUnwindSafe(|| {
        now(cell.get_or_init(async || -> u8 { panic!("at work") }));
    }));
    assert!(result.is_err());
    assert_eq!((cell.get(), cell.set(1), cell.get()), (None, Ok(()), Some(&1)));
}

#[test]
fn what_is_held_drops_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = || Counted(Arc::clone(&drops));
    drop((Mutex::new(counted()), RwLock::new(counted()), OnceCell::<Counted>::new()));
    assert_eq!(drops.load(SeqCst), 2);
    let mut cell = OnceCell::from(counted());
    let given_back = cell.set(counted()).unwrap_err();
    assert_eq!(drops.load(SeqCst), 2);
    drop(given_back.into_inner());
    assert_eq!(drops.load(SeqCst), 3);
    let taken = cell.take();
    assert!(cell.get().is_none() && !cell.is_initialized());
    now(cell.get_or_init(async || counted()));
    drop(cell);
    assert_eq!(drops.load(SeqCst), 4);
    drop(taken);
    assert_eq!(drops.load(SeqCst), 5);
    // The mutex outlives the lock that waits for it, and the guard.
    let mutex = Arc::new(Mutex::new(counted()));
    let guard = mutex.clone().try_lock_owned().unwrap();
    let wait = Polled::waiting(mutex.lock_owned());
    drop(guard);
    assert_eq!(drops.load(SeqCst), 5);
    drop(wait);
    assert_eq!(drops.load(SeqCst), 6);
}

#[test]
fn a_cell_keeps_its_first_value() {
    let mut cell = OnceCell::new();
    assert!(cell.get().is_none() && cell.get_mut().is_none());
    assert_eq!(cell.clone(), cell);
    assert_eq!(now(cell.get_or_try_init(async || Err("no"))), Err("no"));
    assert_eq!(now(cell.get_or_try_init(async || Ok::<_, ()>(1))), Ok(&1));
    assert_eq!(now(cell.get_or_init(async || panic!("there is one"))), &1);
    assert_eq!(cell.set(2), Err(SetError::AlreadyInitialized(2)));
    *cell.get_mut().unwrap() += 1;
    assert_eq!(cell.clone().into_inner(), Some(2));
    assert_eq!(cell, OnceCell::from(2));
    assert!(cell != OnceCell::new());
    static CELL: OnceCell<String> = OnceCell::new();
    assert_eq!(now(CELL.get_or_init(async || "static".into())), "static");
}

#[test]
fn one_notification_is_remembered_and_no_more() {
    let notify = Notify::new();
    notify.notify_waiters(); // nobody is there, and it is not remembered
    assert!(Polled::new(notify.notified()).poll().is_pending());
    notify.notify_one();
    notify.notify_one();
    now(notify.notified());
    assert!(Polled::new(notify.notified()).poll().is_pending());
    thread::scope(|s| {
        s.spawn(|| notify.notified_blocking());
        notify.notify_one();
    });
}

#[test]
fn a_wait_begins_with_enable_or_when_it_is_made() {
    let notify = Notify::new();
    let (mut enabled, mut made) = (notify.notified(), notify.notified());
    assert!(!enabled.enable());
    assert!(!enabled.enable());
    // Only the one that is enabled waits for a notification to one.
    notify.notify_one();
    assert!(enabled.enable());
    assert!(!made.enable());
    now(enabled);
    // A notification to all is told to all that there are, waiting or not.
    let unpolled = notify.notified();
    notify.notify_waiters();
    assert!(made.enable());
    now(unpolled);
    now(made);
    // One that is remembered is taken by `enable`, and given back by the drop of nobody.
    notify.notify_one();
    let mut takes = notify.notified();
    assert!(takes.enable());
    drop(takes);
    assert!(Polled::new(notify.notified()).poll().is_pending());
    // A poll replaces the waker that `enable` has left.
    let mut wait = Polled::new({
        let mut wait = notify.notified();
        wait.enable();
        wait
    });
    assert!(wait.poll().is_pending());
    notify.notify_one();
    assert_eq!(wait.wakes(), 1);
    drop(wait);
    now(notify.notified());
    // And `enable` leaves the waker that a poll has left.
    let (mut wait, count) = (Box::pin(notify.notified()), support::Count::new());
    assert!(support::poll(wait.as_mut(), &count).is_pending());
    assert!(!wait.enable());
    notify.notify_one();
    assert_eq!(count.wakes(), 1);
}

#[test]
fn barriers_of_none_and_one_hold_nobody_up() {
    for count in [0, 1] {
        let barrier = Barrier::new(count);
        for _ in 0..2 {
            assert!(now(barrier.wait()).is_leader());
        }
    }
}

/// A task that takes what is free again and again lets its neighbours run all the same.
#[test]
fn operations_count_against_the_budget() {
    let runtime = annulus::Builder::new().worker_threads(1).build().unwrap();
    fn until_a_neighbour_has_run(runtime: &annulus::Runtime, once: impl AsyncFn()) {
        runtime.block_on(async {
            let neighbour = annulus::spawn(async {});
            while !neighbour.is_finished() {
                once().await;
            }
        });
    }
    let mutex = Arc::new(Mutex::new(()));
    until_a_neighbour_has_run(&runtime, async || drop(mutex.lock().await));
    until_a_neighbour_has_run(&runtime, async || drop(mutex.clone().lock_owned().await));
    let lock = RwLock::new(());
    until_a_neighbour_has_run(&runtime, async || drop(lock.read().await));
    until_a_neighbour_has_run(&runtime, async || drop(lock.write().await));
    let semaphore = Semaphore::new(2);
    until_a_neighbour_has_run(&runtime, async || drop(semaphore.acquire_many(2).await));
    let notify = Notify::new();
    until_a_neighbour_has_run(&runtime, async || {
        notify.notify_one();
        notify.notified().await;
    });
    let barrier = Barrier::new(1);
    until_a_neighbour_has_run(&runtime, async || {
        barrier.wait().await;
    });
    let token = annulus::sync::CancellationToken::new();
    token.cancel();
    until_a_neighbour_has_run(&runtime, async || token.cancelled().await);
}

#[test]
fn debug_shows_the_state() {
    let mutex = Mutex::new(1);
    assert_eq!(format!("{mutex:?}"), "Mutex { value: 1 }");
    let guard = mutex.try_lock().unwrap();
    assert_eq!(format!("{mutex:?} {guard:?} {guard}"), "Mutex { value: <locked> } 1 1");
    let lock = RwLock::new(1);
    assert_eq!(format!("{lock:?}"), "RwLock { value: 1 }");
    let guard = lock.try_write().unwrap();
    assert_eq!(format!("{lock:?} {guard:?}"), "RwLock { value: <locked> } 1");
    let semaphore = Semaphore::new(2);
    let permit = semaphore.try_acquire().unwrap();
    assert_eq!(format!("{semaphore:?}"), "Semaphore { permits: 1, closed: false }");
    assert_eq!(format!("{permit:?}"), "SemaphorePermit { permits: 1, .. }");
    assert_eq!(format!("{:?}", OnceCell::from(1)), "OnceCell(Some(1))");
    assert_eq!(format!("{:?}", Notify::new()), "Notify { remembers: false, waits: false }");
    assert_eq!(format!("{:?}", Barrier::new(2)), "Barrier { count: 2, arrived: 0 }");
    let token = annulus::sync::CancellationToken::new();
    assert_eq!(format!("{token:?}"), "CancellationToken { cancelled: false }");
    for error in [
        AcquireError.to_string(),
        TryAcquireError::NoPermits.to_string(),
        TryLockError.to_string(),
        SetError::Initializing(()).to_string(),
    ] {
        assert!(!error.ends_with('.') && error.contains(';'), "{error}");
    }
}
