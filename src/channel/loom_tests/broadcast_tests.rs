//! A broadcast channel in every interleaving: nobody sleeps through a message, and every message
//! drops once.

use std::pin::pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::AtomicUsize as StdAtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;

use super::{Count, Future};
use crate::channel::broadcast::{RecvError, TryRecvError, channel};

/// A message that counts how often it is made and dropped.
#[derive(Debug)]
struct Payload(StdArc<StdAtomicUsize>);

impl Payload {
    fn new(live: &StdArc<StdAtomicUsize>) -> Self {
        live.fetch_add(1, SeqCst);
        Self(StdArc::clone(live))
    }
}

impl Clone for Payload {
    fn clone(&self) -> Self {
        // Loom sees that others run meanwhile.
        thread::yield_now();
        Self::new(&self.0)
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        assert!(self.0.fetch_sub(1, SeqCst) > 0);
    }
}

#[test]
fn broadcast_waits_for_messages_and_the_end() {
    loom::model(|| {
        let (tx, mut rx) = channel(2);
        let sender = thread::spawn(move || {
            tx.send(1).unwrap();
        });
        block_on(async {
            assert_eq!(rx.recv().await, Ok(1));
            assert_eq!(rx.recv().await, Err(RecvError::Closed));
        });
        sender.join().unwrap();
    });
}

#[test]
fn broadcast_wakes_all_who_wait() {
    loom::model(|| {
        let (tx, mut rx) = channel(1);
        let mut other = tx.subscribe();
        let receiver = thread::spawn(move || {
            assert_eq!(block_on(other.recv()), Ok(1));
        });
        let sender = thread::spawn(move || {
            assert_eq!(tx.send(1), Ok(2));
            // Kept open, so that no closing wakes anybody.
            tx
        });
        assert_eq!(block_on(rx.recv()), Ok(1));
        receiver.join().unwrap();
        drop(sender.join().unwrap());
    });
}

/// Two receivers take one message while it is overwritten by another.
#[test]
fn broadcast_messages_drop_once() {
    loom::model(|| {
        let live = StdArc::new(StdAtomicUsize::new(0));
        let (tx, mut rx) = channel(1);
        let mut other = tx.subscribe();
        tx.send(Payload::new(&live)).unwrap();
        let receiver = thread::spawn(move || drop(other.try_recv()));
        let message = Payload::new(&live);
        let sender = thread::spawn(move || drop(tx.send(message)));
        match rx.try_recv() {
            Ok(_) | Err(TryRecvError::Lagged(1)) => {}
            other => panic!("{other:?}"),
        }
        drop(rx);
        receiver.join().unwrap();
        sender.join().unwrap();
        assert_eq!(live.load(SeqCst), 0);
    });
}

/// A receiver that is overtaken hears how many it has missed, and goes on.
#[test]
fn broadcast_lag_is_told() {
    loom::model(|| {
        let (tx, mut rx) = channel(1);
        let sender = thread::spawn(move || (1..=2).for_each(|n| assert!(tx.send(n).is_ok())));
        let got = block_on(async {
            let mut got = vec![];
            loop {
                match rx.recv().await {
                    Err(RecvError::Closed) => break got,
                    next => got.push(next),
                }
            }
        });
        let all = [Ok(1), Ok(2)];
        let lagged = [Err(RecvError::Lagged(1)), Ok(2)];
        assert!(got == all || got == lagged, "{got:?}");
        sender.join().unwrap();
    });
}

/// One gives up while the message comes; the other is woken all the same.
#[test]
fn broadcast_cancelled_receiver_harms_nobody() {
    loom::model(|| {
        let (tx, mut rx) = channel(1);
        let mut other = tx.subscribe();
        let waker = Waker::from(StdArc::new(Count::default()));
        let mut recv = Box::pin(rx.recv());
        assert!(recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let receiver = thread::spawn(move || block_on(other.recv()));
        let sender = thread::spawn(move || {
            tx.send(7).unwrap();
            tx
        });
        drop(recv);
        assert_eq!(receiver.join().unwrap(), Ok(7));
        drop(sender.join().unwrap());
        assert_eq!(rx.try_recv(), Ok(7));
    });
}

#[test]
fn broadcast_changed_waker() {
    loom::model(|| {
        let (tx, mut rx) = channel(1);
        let sender = thread::spawn(move || {
            tx.send(1).unwrap();
            tx
        });
        let counts = [(); 2].map(|()| StdArc::new(Count::default()));
        let mut recv = pin!(rx.recv());
        let mut poll = |count: &StdArc<Count>| {
            let waker = Waker::from(StdArc::clone(count));
            recv.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Pending
        };
        let pending = poll(&counts[0]) && poll(&counts[1]);
        let tx = sender.join().unwrap();
        if pending {
            assert!(counts[1].0.load(SeqCst) > 0, "the last waker was not woken");
        }
        drop(tx);
    });
}
