//! Closing a semaphore tells everybody, and a token tells everybody below it.

use std::sync::Arc;
use std::thread;

use annulus::sync::{
    AcquireError, CancellationToken, OnceCell, Semaphore, SetError, TryAcquireError,
};
use support::{Polled, now};

mod support;

#[test]
fn closing_wakes_all_who_wait_once() {
    let semaphore = Arc::new(Semaphore::new(1));
    let held = semaphore.try_acquire().unwrap();
    let mut waits: Vec<_> = (1..=70).map(|n| Polled::waiting(semaphore.acquire_many(n))).collect();
    let mut owned = Polled::waiting(semaphore.clone().acquire_owned());
    semaphore.close();
    semaphore.close();
    assert!(waits.iter().all(|wait| wait.wakes() == 1));
    assert!(waits.iter_mut().all(|wait| wait.ready().is_err()));
    assert_eq!(owned.ready().unwrap_err(), AcquireError);
    assert!(semaphore.is_closed());
    assert_eq!(now(semaphore.acquire()).unwrap_err(), AcquireError);
    assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
    assert_eq!(semaphore.clone().try_acquire_owned().unwrap_err(), TryAcquireError::Closed);
    assert_eq!(semaphore.acquire_blocking().unwrap_err(), AcquireError);
    // What is held is given back as ever.
    drop(held);
    assert_eq!(semaphore.available_permits(), 1);
    drop((waits, owned));
    assert_eq!(semaphore.available_permits(), 1);
}

/// Whoever was handed permits before the end has them, polled or not; who was not has none.
#[test]
fn what_was_handed_over_before_the_end_counts() {
    let semaphore = Semaphore::new(0);
    let mut first = Polled::waiting(semaphore.acquire());
    let second = Polled::waiting(semaphore.acquire());
    let mut third = Polled::waiting(semaphore.acquire());
    let fourth = Polled::waiting(semaphore.acquire());
    semaphore.add_permits(2);
    semaphore.close();
    let permit = first.ready().unwrap();
    drop(second);
    assert_eq!(semaphore.available_permits(), 1);
    assert_eq!(third.ready().unwrap_err(), AcquireError);
    drop((third, fourth, permit));
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn a_thread_that_waits_hears_of_the_end() {
    let semaphore = Semaphore::new(0);
    thread::scope(|s| {
        let waits = [(); 3].map(|()| s.spawn(|| semaphore.acquire_many_blocking(2).is_err()));
        semaphore.add_permits(1);
        semaphore.close();
        assert!(waits.map(|wait| wait.join().unwrap()).iter().all(|refused| *refused));
    });
}

#[test]
fn a_value_that_is_set_wakes_all_who_wait_for_it() {
    let cell = Arc::new(OnceCell::new());
    let (tx, rx) = annulus::channel::oneshot::channel();
    let mut makes = Polled::waiting(cell.get_or_init(async || rx.await.unwrap()));
    let mut waits = [(); 40].map(|()| Polled::waiting(cell.get_or_init(async || 0)));
    assert_eq!((cell.get(), cell.set(3)), (None, Err(SetError::Initializing(3))));
    tx.send(7).unwrap();
    assert_eq!(makes.ready(), &7);
    assert!(waits.iter().all(|wait| wait.wakes() == 1));
    assert!(waits.iter_mut().all(|wait| wait.ready() == &7));
    assert_eq!((cell.get(), cell.set(3)), (Some(&7), Err(SetError::AlreadyInitialized(3))));
}

#[test]
fn a_token_cancels_all_below_it_and_nothing_above() {
    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let leaf = left.child_token();
    let mut waits = [&root, &left, &right, &leaf].map(|token| Polled::waiting(token.cancelled()));
    left.cancel();
    left.cancel();
    assert_eq!(waits.each_ref().map(Polled::wakes), [0, 1, 0, 1]);
    assert!(left.is_cancelled() && leaf.is_cancelled());
    assert!(!root.is_cancelled() && !right.is_cancelled());
    assert!(left.child_token().is_cancelled());
    now(left.child_token().cancelled());
    root.cancel();
    assert_eq!(waits.each_ref().map(Polled::wakes), [1, 1, 1, 1]);
    waits.iter_mut().for_each(Polled::ready);
}

/// A token between two that are in use is not, and still passes the word on.
#[test]
fn a_grandchild_is_reached_over_a_token_nobody_holds() {
    let root = CancellationToken::new();
    let leaf = root.child_token().child_token();
    let other = root.child_token();
    drop(other);
    let mut wait = Polled::waiting(leaf.cancelled());
    root.cancel();
    wait.ready();
    assert!(leaf.is_cancelled());
}

/// Neither cancelling nor dropping recurses.
#[test]
fn a_tree_may_be_deep() {
    let depth = support::rounds(100_000);
    for cancelled in [true, false] {
        let root = CancellationToken::new();
        let mut leaf = root.clone();
        for _ in 0..depth {
            leaf = leaf.child_token();
        }
        if cancelled {
            root.cancel();
            assert!(leaf.is_cancelled());
        }
        drop(root);
        drop(leaf);
    }
}

/// A parent that makes children all day does not remember those that are gone.
#[test]
fn children_that_are_gone_leave_nothing_behind() {
    let token = CancellationToken::new();
    let kept = token.child_token();
    for _ in 0..support::rounds(10_000) {
        let _ = token.child_token().child_token();
    }
    token.cancel();
    assert!(kept.is_cancelled());
}

#[test]
fn a_guard_cancels_unless_it_is_disarmed() {
    let token = CancellationToken::new();
    let guard = token.clone().drop_guard();
    let again = guard.disarm();
    assert!(!token.is_cancelled());
    drop(again.drop_guard());
    assert!(token.is_cancelled());
}

#[test]
fn run_until_cancelled_ends_with_the_future_or_with_the_token() {
    let token = CancellationToken::new();
    assert_eq!(now(token.run_until_cancelled(async { 1 })), Some(1));
    let drops = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let inside = support::Counted(Arc::clone(&drops));
    let mut run = Polled::waiting(token.run_until_cancelled(async move {
        std::future::pending::<()>().await;
        drop(inside);
    }));
    let mut owned = Polled::waiting(
        token.child_token().run_until_cancelled_owned(std::future::pending::<()>()),
    );
    token.cancel();
    assert_eq!((run.ready(), owned.ready()), (None, None));
    drop(run);
    assert_eq!(drops.load(std::sync::atomic::Ordering::SeqCst), 1);
    // What is cancelled does not begin.
    assert_eq!(now(token.run_until_cancelled(async { panic!("it began") })), None::<()>);
}
