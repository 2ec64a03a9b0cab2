//! Ends that do not go by the book: wakers that panic or poll at once, permits that are forgotten.

use std::future::Future;
use std::iter;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use annulus::channel::{self, State, TryRecvError};

use self::support::{Polled, poll_with};

#[macro_use]
mod support;

/// A waker that panics while it is told to.
#[derive(Default)]
struct Bomb(AtomicBool);

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        assert!(!self.0.load(SeqCst), "the waker panics");
    }
}

fn bomb(panics: bool) -> (Arc<Bomb>, Waker) {
    let bomb = Arc::new(Bomb(AtomicBool::new(panics)));
    (Arc::clone(&bomb), Waker::from(bomb))
}

fn panics(call: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
}

/// A handle that hands its wake on to a waker that panics has gone all the same.
#[test]
fn a_handle_counts_as_gone_when_a_waker_panics_in_its_drop() {
    let (tx, rx) = channel::mpmc(1);
    let (_, waker) = bomb(true);
    tx.try_send(0).unwrap();
    let mut leaves = tx.clone();
    assert!(leaves.poll_reserve(&mut Context::from_waker(Waker::noop())).is_pending());
    let mut next = pin!(tx.send(1));
    assert!(poll_with(next.as_mut(), &waker).is_pending());
    assert_eq!(rx.try_recv(), Ok(0));
    panics(|| drop(leaves));
    assert_eq!(tx.sender_count(), 1);

    let mut leaves = rx.clone();
    assert!(leaves.poll_recv(&mut Context::from_waker(Waker::noop())).is_pending());
    let mut next = pin!(rx.recv());
    assert!(poll_with(next.as_mut(), &waker).is_pending());
    tx.try_send(2).unwrap();
    panics(|| drop(leaves));
    assert_eq!(rx.receiver_count(), 1);
}

/// The permits that a batch did not use go back, also when the wake of its receiver panics.
#[test]
fn a_batch_gives_its_room_back_when_a_waker_panics() {
    each!(make => {
        let (mut tx, mut rx) = make(4);
        let (_, waker) = bomb(true);
        {
            let mut recv = pin!(rx.recv());
            assert!(poll_with(recv.as_mut(), &waker).is_pending());
            let mut two = 0..2;
            panics(|| _ = tx.try_send_many(&mut iter::from_fn(|| two.next())));
        }
        assert!(tx.try_send(2).is_ok() && tx.try_send(3).is_ok());
        drop(tx);
        assert_eq!(rx.drain().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    });
}

/// The last permit of a closed channel tells all of the end, also when the first waker panics.
#[test]
fn the_end_reaches_all_when_a_waker_panics() {
    let (tx, rx) = channel::mpmc(1);
    let permit = tx.try_reserve().unwrap();
    tx.close();
    let (_, waker) = bomb(true);
    let mut first = pin!(rx.recv());
    assert!(poll_with(first.as_mut(), &waker).is_pending());
    let mut second = Polled::waiting(rx.recv());
    panics(|| permit.send(1));
    assert_eq!(second.wakes(), 1);
    assert_eq!(first.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(Some(1)));
    assert_eq!(second.ready(), None);
}

/// A task that runs inside `wake`.
struct Inline<F> {
    future: Mutex<Option<Pin<Box<F>>>>,
    polls: AtomicUsize,
}

impl<F: Future + Send + 'static> Wake for Inline<F> {
    fn wake(self: Arc<Self>) {
        // More would be without end.
        if self.polls.fetch_add(1, SeqCst) < 100 {
            let mut future = self.future.lock().unwrap();
            let waker = Waker::from(Arc::clone(&self));
            if future.as_mut().is_some_and(|future| poll_with(future.as_mut(), &waker).is_ready()) {
                *future = None;
            }
        }
    }
}

/// Who is told of the close, and has to wait on because a permit is out, is not told again.
#[test]
fn a_close_tells_each_waiter_once() {
    let (tx, rx) = channel::mpmc::<u8>(1);
    let permit = tx.try_reserve().unwrap();
    // More than fit into one batch of wakers.
    let tasks: Vec<_> = iter::repeat_with(|| {
        let rx = rx.clone();
        let future = Mutex::new(Some(Box::pin(async move { rx.recv().await })));
        Arc::new(Inline { future, polls: AtomicUsize::new(0) })
    })
    .take(70)
    .collect();
    let polls = || tasks.iter().map(|task| task.polls.load(SeqCst)).collect::<Vec<_>>();
    tasks.iter().for_each(|task| Arc::clone(task).wake());
    assert_eq!(polls(), [1; 70]);
    tx.close();
    assert_eq!(polls(), [2; 70]);
    drop(permit);
    assert_eq!(polls(), [3; 70]);
    assert!(tasks.iter().all(|task| task.future.lock().unwrap().is_none()));
}

/// A permit borrows a sender or owns one. So when the last sender goes, none is out.
#[test]
fn a_forgotten_permit_does_not_outlive_the_senders() {
    each!(make => {
        let (mut tx, mut rx) = make::<u8>(2);
        mem::forget(tx.try_reserve().unwrap());
        tx.try_send(1).unwrap();
        // Closed before, or by the last sender.
        for closes in [true, false] {
            let (mut tx, mut rx) = make::<u8>(2);
            mem::forget(tx.try_reserve().unwrap());
            assert!(!closes || tx.close());
            let mut recv = Polled::waiting(rx.recv());
            drop(tx);
            assert_eq!((recv.wakes(), recv.ready()), (1, None));
        }
        drop(tx);
        assert_eq!((rx.try_recv(), rx.state()), (Ok(1), State::Closed));
    });
}

/// A receiver waits for messages, and not for room.
#[test]
fn a_permit_that_is_dropped_wakes_no_receiver() {
    each!(make => {
        let (mut tx, mut rx) = make(2);
        let mut recv = Polled::waiting(rx.recv());
        (0..9).for_each(|_| drop(tx.try_reserve().unwrap()));
        assert_eq!(recv.wakes(), 0);
        tx.try_send(1).unwrap();
        assert_eq!((recv.wakes(), recv.ready()), (1, Some(1)));
    });
}

/// The only sender lends itself to one permit at a time.
#[test]
fn a_reservation_gives_one_permit() {
    each!(make => {
        let (mut tx, _rx) = make::<u8>(2);
        let mut reserve = pin!(tx.reserve());
        let permit = poll_with(reserve.as_mut(), Waker::noop());
        assert!(permit.is_ready());
        panics(|| drop(poll_with(reserve.as_mut(), Waker::noop())));
    });
}
