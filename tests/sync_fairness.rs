//! Locks and permits go to those who wait, in the order in which they came.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use annulus::sync::{Mutex, Notify, RwLock, Semaphore, TryAcquireError};
use support::Polled;

mod support;

#[test]
fn a_lock_is_handed_to_the_first_who_waits() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    let mut waits = [(); 3].map(|()| Polled::waiting(mutex.lock()));
    drop(held);
    assert_eq!(waits.each_ref().map(Polled::wakes), [1, 0, 0]);
    // It has the lock before it is polled: nobody comes in between, not even the second.
    assert!(mutex.try_lock().is_err());
    assert!(Polled::new(mutex.lock()).poll().is_pending());
    assert!(waits[1].poll().is_pending());
    let guard = waits[0].ready();
    assert!(waits[1].poll().is_pending());
    drop(guard);
    assert_eq!(waits.each_ref().map(Polled::wakes), [1, 1, 0]);
    drop(waits[1].ready());
    drop(waits[2].ready());
    assert!(mutex.try_lock().is_ok());
}

/// A task in a loop with a lock gives it to the one who waits, each time.
#[test]
fn who_unlocks_and_locks_again_is_behind_those_who_wait() {
    let mutex = Mutex::new(());
    let mut guard = mutex.try_lock().unwrap();
    for _ in 0..10 {
        let mut waits = Polled::waiting(mutex.lock());
        drop(guard);
        let mut again = Polled::waiting(mutex.lock());
        drop(waits.ready());
        guard = again.ready();
    }
}

#[test]
fn a_claim_of_many_is_not_overtaken_by_few() {
    let semaphore = Semaphore::new(3);
    let mut held = semaphore.try_acquire_many(3).unwrap();
    let mut many = Polled::waiting(semaphore.acquire_many(3));
    let mut one = Polled::waiting(semaphore.acquire());
    for _ in 0..2 {
        drop(held.split(1));
        // It is saved up.
        assert_eq!(semaphore.available_permits(), 0);
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
        assert_eq!((many.wakes(), one.wakes()), (0, 0));
    }
    drop(held);
    assert_eq!((many.wakes(), one.wakes()), (1, 0));
    drop(many.ready());
    assert_eq!(one.wakes(), 1);
    drop(one.ready());
    assert_eq!(semaphore.available_permits(), 3);
}

#[test]
fn one_release_serves_as_many_as_it_can() {
    let semaphore = Semaphore::new(0);
    let mut waits = [1, 2, 1, 3, 1].map(|count| Polled::waiting(semaphore.acquire_many(count)));
    semaphore.add_permits(5);
    assert_eq!(waits.each_ref().map(Polled::wakes), [1, 1, 1, 0, 0]);
    // One is left over, and kept for the fourth.
    assert!(waits[4].poll().is_pending());
    semaphore.add_permits(2);
    assert_eq!(waits.each_ref().map(Polled::wakes), [1, 1, 1, 1, 0]);
    for wait in &mut waits[..4] {
        wait.ready().unwrap().forget();
    }
    semaphore.add_permits(1);
    waits[4].ready().unwrap().forget();
    assert_eq!(semaphore.available_permits(), 0);
}

/// More than fit into one batch of wakers.
#[test]
fn a_hundred_are_served_at_once() {
    let semaphore = Semaphore::new(0);
    let mut waits: Vec<_> = (0..100).map(|_| Polled::waiting(semaphore.acquire())).collect();
    semaphore.add_permits(99);
    assert!(waits[..99].iter().all(|wait| wait.wakes() == 1));
    assert_eq!(waits[99].wakes(), 0);
    for wait in &mut waits[..99] {
        wait.ready().unwrap().forget();
    }
    assert!(waits[99].poll().is_pending());
}

#[test]
fn readers_who_come_after_a_writer_wait_behind_it() {
    let lock = RwLock::new(0);
    let first = lock.try_read().unwrap();
    let mut write = Polled::waiting(lock.write());
    // Else readers that overlap would keep it out for ever.
    assert!(lock.try_read().is_err());
    let mut readers = [(); 2].map(|()| Polled::waiting(lock.read()));
    drop(first);
    assert_eq!((write.wakes(), readers[0].wakes()), (1, 0));
    *write.ready() += 1;
    // They get in side by side.
    assert_eq!(readers.each_ref().map(Polled::wakes), [1, 1]);
    let guards = readers.each_mut().map(Polled::ready);
    assert_eq!(guards.map(|guard| *guard), [1, 1]);
}

#[test]
fn a_writer_who_comes_after_readers_waits_behind_them() {
    let lock = RwLock::new(());
    let held = lock.try_write().unwrap();
    let mut read = Polled::waiting(lock.read());
    let mut write = Polled::waiting(lock.write());
    let mut late = Polled::waiting(lock.read());
    drop(held);
    assert_eq!((read.wakes(), write.wakes(), late.wakes()), (1, 0, 0));
    drop(read.ready());
    assert_eq!((write.wakes(), late.wakes()), (1, 0));
    drop(write.ready());
    drop(late.ready());
}

#[test]
fn a_downgrade_lets_readers_in_up_to_the_next_writer() {
    let lock = RwLock::new(1);
    let mut held = lock.try_write().unwrap();
    let mut read = Polled::waiting(lock.read());
    let mut write = Polled::waiting(lock.write());
    let mut late = Polled::waiting(lock.read());
    *held = 2;
    let held = held.downgrade();
    assert_eq!((read.wakes(), write.wakes(), late.wakes()), (1, 0, 0));
    assert_eq!((*held, *read.ready()), (2, 2));
    assert_eq!(write.wakes(), 0);
    drop(held);
    drop(write.ready());
    drop(late.ready());
    assert!(lock.try_write().is_ok());
}

#[test]
fn notifications_come_in_the_order_of_waiting() {
    let notify = Notify::new();
    // Made first, and waits last.
    let mut last = Polled::new(notify.notified());
    let mut waits = [(); 2].map(|()| Polled::waiting(notify.notified()));
    assert!(last.poll().is_pending());
    for wait in &mut waits {
        notify.notify_one();
        wait.ready();
        assert_eq!(last.wakes(), 0);
    }
    notify.notify_one();
    last.ready();
}

/// Each of the tasks gets the lock once before any gets it twice.
#[test]
fn tasks_take_turns() {
    const TASKS: usize = 4;
    let runtime = annulus::Builder::new().worker_threads(1).build().unwrap();
    let turns = Arc::new(Mutex::new(Vec::new()));
    let start = runtime.block_on(turns.clone().lock_owned());
    let came = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (turns, came) = (Arc::clone(&turns), Arc::clone(&came));
            runtime.spawn(async move {
                came.fetch_add(1, SeqCst);
                for _ in 0..support::rounds(1000) {
                    let mut turns = turns.lock().await;
                    turns.push(task);
                    annulus::yield_now().await; // so that all the others wait
                }
            })
        })
        .collect();
    // There is one worker: who has come waits before another runs.
    while came.load(SeqCst) < TASKS {
        std::thread::yield_now();
    }
    drop(start);
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    let turns = runtime.block_on(turns.lock());
    let (rounds, rest) = turns.split_at(TASKS * (turns.len() / TASKS));
    assert!(rest.is_empty());
    for round in rounds.chunks(TASKS) {
        let mut round = round.to_vec();
        round.sort_unstable();
        assert_eq!(round, [0, 1, 2, 3]);
    }
}
