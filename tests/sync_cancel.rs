//! A wait that is dropped has taken nothing, and what had come to it goes to the next.

use std::mem;
use std::sync::Arc;

use annulus::sync::{Barrier, CancellationToken, Mutex, Notify, OnceCell, RwLock, Semaphore};
use support::Polled;

mod support;

#[test]
fn a_dropped_wait_is_passed_over() {
    let mutex = Mutex::new(());
    let held = mutex.try_lock().unwrap();
    let first = Polled::waiting(mutex.lock());
    let mut second = Polled::waiting(mutex.lock());
    drop(first);
    assert_eq!(second.wakes(), 0);
    drop(held);
    drop(second.ready());
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn a_lock_that_was_handed_over_is_passed_on() {
    let mutex = Arc::new(Mutex::new(()));
    let held = mutex.try_lock().unwrap();
    let first = Polled::waiting(mutex.lock());
    let second = Polled::waiting(mutex.clone().lock_owned());
    let mut third = Polled::waiting(mutex.lock());
    drop(held);
    drop(first);
    assert_eq!((second.wakes(), third.wakes()), (1, 0));
    drop(second);
    drop(third.ready());
    let held = mutex.try_lock().unwrap();
    let last = Polled::waiting(mutex.lock());
    drop(held);
    drop(last);
    assert!(mutex.try_lock().is_ok());
}

#[test]
fn permits_that_were_handed_over_go_back() {
    let semaphore = Arc::new(Semaphore::new(0));
    let first = Polled::waiting(semaphore.clone().acquire_many_owned(3));
    let mut rest = [(); 2].map(|()| Polled::waiting(semaphore.acquire()));
    semaphore.add_permits(3);
    assert_eq!((first.wakes(), rest[0].wakes()), (1, 0));
    drop(first);
    for wait in &mut rest {
        wait.ready().unwrap().forget();
    }
    assert_eq!(semaphore.available_permits(), 1);
}

/// It was at the head, and what was saved up for it is for those behind.
#[test]
fn who_wanted_many_and_gave_up_lets_others_in() {
    let semaphore = Semaphore::new(2);
    let many = Polled::waiting(semaphore.acquire_many(5));
    let mut rest = [1, 1, 1].map(|count| Polled::waiting(semaphore.acquire_many(count)));
    drop(many);
    assert_eq!(rest.each_ref().map(Polled::wakes), [1, 1, 0]);
    let permits = [0, 1].map(|n: usize| rest[n].ready().unwrap());
    drop(permits);
    drop(rest[2].ready());
    assert_eq!(semaphore.available_permits(), 2);
}

/// The last who waits gives up: then nobody waits, and `try_` works again.
#[test]
fn after_the_last_wait_is_dropped_nobody_waits() {
    let semaphore = Semaphore::new(2);
    drop(Polled::waiting(semaphore.acquire_many(3)));
    assert_eq!(semaphore.available_permits(), 2);
    assert!(semaphore.try_acquire_many(2).is_ok());

    let lock = RwLock::new(());
    let read = lock.try_read().unwrap();
    drop(Polled::waiting(lock.write()));
    assert!(lock.try_read().is_ok());
    drop(read);
    assert!(lock.try_write().is_ok());
}

#[test]
fn readers_do_not_wait_for_a_writer_that_gave_up() {
    let lock = RwLock::new(());
    let held = lock.try_read().unwrap();
    let write = Polled::waiting(lock.write());
    let mut read = Polled::waiting(lock.read());
    drop(write);
    assert_eq!(read.wakes(), 1);
    drop((held, read.ready()));

    // One that was handed the lock, too.
    let held = lock.try_write().unwrap();
    let write = Polled::waiting(lock.write());
    let mut read = Polled::waiting(lock.read());
    drop(held);
    drop(write);
    drop(read.ready());
    assert!(lock.try_write().is_ok());
}

/// `forget` on a future: it keeps its place, and what comes to it. (It is a leak.)
#[test]
fn a_forgotten_wait_keeps_what_it_was_given_and_no_more() {
    let semaphore = Semaphore::new(0);
    mem::forget(Box::new(Polled::waiting(semaphore.acquire())));
    let mut wait = Polled::waiting(semaphore.acquire());
    semaphore.add_permits(2);
    wait.ready().unwrap().forget();
    assert_eq!(semaphore.available_permits(), 0);
    semaphore.add_permits(1);
    assert!(semaphore.try_acquire().is_ok());
}

#[test]
fn a_notification_to_one_is_passed_on_and_one_to_all_is_not() {
    let notify = Notify::new();
    let first = Polled::waiting(notify.notified());
    let mut second = Polled::waiting(notify.notified());
    notify.notify_one();
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(first);
    second.ready();
    // With nobody to pass it on to, it is remembered.
    let alone = Polled::waiting(notify.notified());
    notify.notify_one();
    drop(alone);
    support::now(notify.notified());

    let told = [(); 2].map(|()| Polled::waiting(notify.notified()));
    notify.notify_waiters();
    assert_eq!(told.each_ref().map(Polled::wakes), [1, 1]);
    let late = Polled::waiting(notify.notified());
    drop(told);
    assert_eq!(late.wakes(), 0);
}

/// The two kinds one after the other, before the waiter looks.
#[test]
fn a_notification_to_one_is_passed_on_also_if_one_to_all_came_after_it() {
    let notify = Notify::new();
    let [first, second] = [(); 2].map(|()| Polled::waiting(notify.notified()));
    notify.notify_one();
    notify.notify_waiters();
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
    let mut late = Polled::waiting(notify.notified());
    drop(second);
    assert_eq!(late.wakes(), 0);
    drop(first);
    late.ready();
}

/// A wait that has used its notification passes nothing on.
#[test]
fn a_finished_wait_is_finished() {
    let notify = Notify::new();
    let mut wait = Polled::waiting(notify.notified());
    notify.notify_one();
    wait.ready();
    wait.ready(); // once more
    drop(wait);
    let mut late = Polled::waiting(notify.notified());
    assert!(late.poll().is_pending());

    let semaphore = Semaphore::new(0);
    let mut wait = Polled::waiting(semaphore.acquire());
    semaphore.add_permits(1);
    let permit = wait.ready().unwrap();
    drop(wait);
    assert_eq!(semaphore.available_permits(), 0);
    drop(permit);
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn a_barrier_counts_only_those_who_still_wait() {
    let barrier = Barrier::new(2);
    drop(Polled::waiting(barrier.wait()));
    let mut first = Polled::waiting(barrier.wait());
    let mut last = Polled::new(barrier.wait());
    assert!(last.ready().is_leader());
    // The round is over; who is dropped now has passed, and the next round is another.
    let third = Polled::waiting(barrier.wait());
    assert!(!first.ready().is_leader());
    drop(first);
    drop(third);
    let mut next = Polled::waiting(barrier.wait());
    assert!(support::now(barrier.wait()).is_leader());
    assert!(!next.ready().is_leader());
}

/// Passed, and dropped without looking: the next round has all its places.
#[test]
fn a_wait_that_has_passed_takes_no_place_of_the_next_round() {
    let barrier = Barrier::new(2);
    let passed = Polled::waiting(barrier.wait());
    assert!(support::now(barrier.wait()).is_leader());
    let mut next = Polled::waiting(barrier.wait());
    drop(passed);
    assert!(next.poll().is_pending());
    assert!(support::now(barrier.wait()).is_leader());
    next.ready();
}

#[test]
fn who_stops_making_a_value_lets_the_next_make_it() {
    let cell = OnceCell::new();
    let makes = Polled::waiting(cell.get_or_init(std::future::pending));
    let gone = Polled::waiting(cell.get_or_init(async || 1));
    let mut next = Polled::waiting(cell.get_or_init(async || 2));
    let mut last = Polled::waiting(cell.get_or_init(async || 3));
    drop(makes);
    assert_eq!(gone.wakes(), 1);
    drop(gone);
    assert_eq!((next.wakes(), last.wakes()), (1, 0));
    assert_eq!(next.ready(), &2);
    assert_eq!(last.ready(), &2);
}

#[test]
fn a_token_does_not_mind_waits_that_are_gone() {
    let token = CancellationToken::new();
    let gone = Polled::waiting(token.cancelled());
    let mut wait = Polled::waiting(token.clone().cancelled_owned());
    drop(gone);
    token.cancel();
    assert_eq!(wait.wakes(), 1);
    wait.ready();
    wait.ready();
}
