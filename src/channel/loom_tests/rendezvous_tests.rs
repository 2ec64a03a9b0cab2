//! Meetings in every interleaving: nobody sleeps through a message, no message is lost or doubled,
//! and who sends knows what became of his.

use std::pin::pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;

use super::{Count, Future};
use crate::channel::rendezvous::{SendFuture, channel};

/// A future's first poll, with a waker that does nothing.
fn first_poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn offered<'a>(mut send: SendFuture<'a, usize>) -> SendFuture<'a, usize> {
    assert!(first_poll(&mut send).is_pending());
    send
}

#[test]
fn rendezvous_send_against_recv() {
    loom::model(|| {
        let (tx, rx) = channel();
        let sender = thread::spawn(move || {
            block_on(async {
                tx.send(1).await.unwrap();
                tx.send(2).await.unwrap();
            });
        });
        block_on(async {
            assert_eq!(rx.recv().await, Some(1));
            assert_eq!(rx.recv().await, Some(2));
            assert_eq!(rx.recv().await, None);
        });
        sender.join().unwrap();
    });
}

#[test]
fn rendezvous_two_senders() {
    loom::model(|| {
        let (tx, rx) = channel();
        let theirs = tx.clone();
        let other = thread::spawn(move || block_on(theirs.send(1)).unwrap());
        let sender = thread::spawn(move || block_on(tx.send(2)).unwrap());
        let sum = block_on(async { rx.recv().await.unwrap() + rx.recv().await.unwrap() });
        assert_eq!(sum, 3);
        other.join().unwrap();
        sender.join().unwrap();
    });
}

/// Either the receiver has the message or its sender.
#[test]
fn rendezvous_cancelled_send_against_recv() {
    loom::model(|| {
        let (tx, rx) = channel();
        let receiver = thread::spawn(move || (rx.try_recv().ok(), rx));
        let back = offered(tx.send(1)).cancel();
        let (received, _rx) = receiver.join().unwrap();
        assert_eq!([back, received].iter().flatten().sum::<usize>(), 1);
    });
}

#[test]
fn rendezvous_try_send_against_recv() {
    loom::model(|| {
        let (tx, rx) = channel();
        let receiver = thread::spawn(move || block_on(rx.recv()));
        let sent = tx.try_send(1).is_ok();
        drop(tx);
        assert_eq!(receiver.join().unwrap(), sent.then_some(1));
    });
}

/// A receiver is woken and gives up: the wake goes to the other.
#[test]
fn rendezvous_cancelled_recv_hands_its_wake_on() {
    loom::model(|| {
        let (tx, rx) = channel();
        let theirs = rx.clone();
        let mut first = rx.recv();
        assert!(first_poll(&mut first).is_pending());
        let second = thread::spawn(move || block_on(theirs.recv()));
        let sender = thread::spawn(move || {
            block_on(tx.send(7)).unwrap();
            // Kept open, so that no closing wakes anybody.
            tx
        });
        drop(first);
        assert_eq!(second.join().unwrap(), Some(7));
        drop(sender.join().unwrap());
    });
}

#[test]
fn rendezvous_close_against_send() {
    loom::model(|| {
        let (tx, rx) = channel();
        let theirs = rx.clone();
        let closer = thread::spawn(move || theirs.close());
        let sender = thread::spawn(move || block_on(tx.send(1)).is_ok());
        let received = block_on(rx.recv());
        assert_eq!(received.is_some(), sender.join().unwrap());
        // The sender's drop may have been the first.
        closer.join().unwrap();
    });
    // The last receiver goes.
    loom::model(|| {
        let (tx, rx) = channel();
        let receiver = thread::spawn(move || drop(rx));
        assert_eq!(block_on(tx.send(1)).unwrap_err().into_inner(), 1);
        receiver.join().unwrap();
    });
}

/// Nobody waits, so what is tried comes back, whenever the last receiver goes.
#[test]
fn rendezvous_try_send_against_the_end() {
    loom::model(|| {
        let (tx, rx) = channel();
        let receiver = thread::spawn(move || drop(rx));
        assert_eq!(tx.try_send(1).unwrap_err().into_inner(), 1);
        receiver.join().unwrap();
    });
}

#[test]
fn rendezvous_forgotten_send() {
    loom::model(|| {
        let (tx, rx) = channel();
        std::mem::forget(offered(tx.send(1)));
        let sender = thread::spawn(move || block_on(tx.send(2)).unwrap());
        assert_eq!(block_on(rx.recv()), Some(1));
        assert_eq!(block_on(rx.recv()), Some(2));
        sender.join().unwrap();
    });
}

/// A poll with another waker, while the message is taken: who polled last is woken.
#[test]
fn rendezvous_changed_waker() {
    loom::model(|| {
        let (tx, rx) = channel();
        let counts = [(); 2].map(|()| StdArc::new(Count::default()));
        let mut send = pin!(tx.send(1));
        let mut poll = |count: &StdArc<Count>| {
            let waker = Waker::from(StdArc::clone(count));
            send.as_mut().poll(&mut Context::from_waker(&waker))
        };
        assert!(poll(&counts[0]).is_pending());
        let receiver = thread::spawn(move || (rx.try_recv(), rx));
        let second = poll(&counts[1]);
        let (received, _rx) = receiver.join().unwrap();
        assert_eq!(received, Ok(1));
        let wakes = counts.map(|count| count.0.load(SeqCst));
        assert_eq!(wakes, if second.is_ready() || wakes[0] == 1 { [1, 0] } else { [0, 1] });
        assert!(second.is_ready() || wakes[1] == 1, "the last waker was not woken");
    });
}
