//! Handles of all sorts: weak ones, ones that push out, ones with a time limit.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use annulus::channel::{self, RecvTimeoutError, SendTimeoutError, TrySendError};

#[test]
fn weak_handles_keep_nothing_open() {
    let (tx, rx) = channel::mpmc::<u8>(1);
    let (weak_tx, weak_rx) = (tx.downgrade(), rx.downgrade());
    assert_eq!((tx.sender_count(), rx.receiver_count()), (1, 1));
    let more = weak_tx.upgrade().unwrap();
    assert!(more.same_channel(&tx) && tx.sender_count() == 2);
    drop((tx, more));
    assert!(rx.is_closed() && weak_tx.upgrade().is_none());
    assert!(weak_rx.upgrade().unwrap().same_channel(&rx));
    drop(rx);
    assert!(weak_rx.upgrade().is_none() && weak_rx.receiver_count() == 0);
}

/// An upgrade that comes back with a sender has kept the channel open.
#[test]
fn upgrading_races_with_the_last_drop() {
    for _ in 0..if cfg!(miri) { 10 } else { 2000 } {
        let (tx, mut rx) = channel::mpsc(1);
        let weak = tx.downgrade();
        std::thread::scope(|s| {
            let other = s.spawn(move || weak.upgrade().map(|tx| tx.try_send(1).unwrap()).is_some());
            drop(tx);
            let sent = other.join().unwrap();
            assert_eq!(rx.recv_blocking().is_some(), sent);
        });
    }
}

#[test]
fn pushing_out() {
    let (mut tx, rx) = channel::mpmc(1);
    assert_eq!(tx.force_send(1), Ok(None));
    assert_eq!(tx.force_send(2), Ok(Some(1)));
    rx.drain();
    let other = tx.clone();
    let permit = other.try_reserve().unwrap();
    assert_eq!(tx.force_send(3), Err(TrySendError::Full(3)));
    drop(permit);
    drop(rx);
    assert_eq!(tx.force_send(4), Err(TrySendError::Closed(4)));
}

/// Every message is received, or pushed out, or is left: once.
#[test]
fn pushing_out_loses_nothing() {
    let each: usize = if cfg!(miri) { 30 } else { 20_000 };
    let (tx, rx) = channel::mpmc(2);
    let seen: Vec<usize> = std::thread::scope(|s| {
        let senders = [0, 1].map(|i| {
            let mut tx = tx.clone();
            s.spawn(move || {
                (i * each..(i + 1) * each).filter_map(|n| tx.force_send(n).unwrap()).collect()
            })
        });
        drop(tx);
        let receivers = [(); 2].map(|()| {
            let rx = rx.clone();
            s.spawn(move || std::iter::from_fn(|| rx.recv_blocking()).collect::<Vec<_>>())
        });
        let all = senders.into_iter().chain(receivers);
        all.flat_map(|thread: std::thread::ScopedJoinHandle<'_, Vec<usize>>| thread.join().unwrap())
            .collect()
    });
    let mut seen = seen;
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..2 * each), "{} of {}", seen.len(), 2 * each);
}

#[test]
fn times_that_are_over_and_times_that_never_end() {
    let (tx, mut rx) = channel::mpsc(1);
    let past = Instant::now();
    assert_eq!(rx.recv_timeout_blocking(Duration::ZERO), Err(RecvTimeoutError::Timeout));
    assert_eq!(rx.recv_deadline_blocking(past), Err(RecvTimeoutError::Timeout));
    // With something to do, no time is enough time.
    tx.send_timeout_blocking(1, Duration::ZERO).unwrap();
    assert_eq!(tx.send_deadline_blocking(2, past), Err(SendTimeoutError::Timeout(2)));
    assert_eq!(rx.recv_timeout_blocking(Duration::ZERO), Ok(1));
    std::thread::scope(|s| {
        s.spawn(|| tx.send_timeout_blocking(3, Duration::MAX).unwrap());
        assert_eq!(rx.recv_timeout_blocking(Duration::MAX), Ok(3));
    });
    // Who gave up is in no queue.
    tx.try_send(4).unwrap();
    assert!(tx.send_timeout_blocking(5, Duration::from_millis(1)).is_err());
    assert_eq!(rx.try_recv(), Ok(4));
    assert!(rx.try_recv().is_err());
    drop(rx);
    let refused = tx.send_timeout_blocking(6, Duration::MAX);
    assert!(refused.as_ref().is_err_and(SendTimeoutError::is_closed));
    assert_eq!(refused.unwrap_err().into_inner(), 6);
}

#[test]
fn looking_at_a_message_where_it_lies() {
    let (tx, mut rx) = channel::mpsc(1);
    let message = Arc::new(());
    tx.try_send(Arc::clone(&message)).unwrap();
    // Forgotten: it is there still.
    std::mem::forget(rx.try_recv_ref().unwrap());
    assert_eq!(Arc::strong_count(&rx.try_recv_ref().unwrap()), 2);
    assert_eq!((Arc::strong_count(&message), rx.len()), (1, 0));
    tx.try_send(Arc::clone(&message)).unwrap();
    let taken = rx.try_recv_ref().unwrap().into_inner();
    assert!(Arc::ptr_eq(&taken, &message) && rx.try_recv_ref().is_err());
}

#[test]
fn a_message_that_panics_in_its_drop_is_gone() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let (mut tx, mut rx) = channel::spsc(1);
    assert!(tx.try_send(Bomb).is_ok());
    let look = rx.try_recv_ref().unwrap();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(look))).is_err());
    assert!(rx.is_empty() && rx.try_recv().is_err());
}

#[test]
fn polls_by_hand() {
    let mut cx = Context::from_waker(Waker::noop());
    let (mut tx, mut rx) = channel::mpmc(1);
    assert!(rx.poll_recv(&mut cx).is_pending());
    assert!(tx.poll_reserve(&mut cx).is_ready() && tx.poll_reserve(&mut cx).is_ready());
    let mut other = tx.clone();
    assert!(other.poll_reserve(&mut cx).is_pending());
    tx.send_reserved(1);
    assert_eq!(rx.poll_recv(&mut cx), Poll::Ready(Some(1)));
    // Room that is held is given back with the handle.
    assert!(other.poll_reserve(&mut cx).is_ready() && tx.try_send(2).is_err());
    drop(other);
    tx.try_send(3).unwrap();
    drop(tx);
    assert_eq!(rx.poll_recv(&mut cx), Poll::Ready(Some(3)));
    assert_eq!(rx.poll_recv(&mut cx), Poll::Ready(None));
}

#[test]
#[should_panic(expected = "call poll_reserve until it is ready first")]
fn sending_without_room_says_what_to_do() {
    let (mut tx, _rx) = channel::mpmc(1);
    tx.send_reserved(1);
}
