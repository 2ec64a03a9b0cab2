//! A oneshot channel in every interleaving: nobody sleeps through its end, and the value drops
//! once.

use std::pin::pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::AtomicUsize as StdAtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::thread;

use super::{Count, Future};
use crate::channel::oneshot::{RecvError, TryRecvError, channel};

/// A value that counts its drops.
#[derive(Debug)]
struct Payload(StdArc<StdAtomicUsize>);

impl Drop for Payload {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn oneshot_waits_for_the_value() {
    loom::model(|| {
        let (tx, rx) = channel();
        let sender = thread::spawn(move || tx.send(1).unwrap());
        assert_eq!(block_on(rx), Ok(1));
        sender.join().unwrap();
    });
}

#[test]
fn oneshot_waits_for_the_senders_end() {
    loom::model(|| {
        let (tx, rx) = channel::<u8>();
        let sender = thread::spawn(move || drop(tx));
        assert_eq!(block_on(rx), Err(RecvError));
        sender.join().unwrap();
    });
}

/// `closed` in one thread, the receiver's end in the other, with and without a forgotten wait.
#[test]
fn oneshot_closed_is_told() {
    loom::model(|| {
        let (mut tx, rx) = channel::<u8>();
        let receiver = thread::spawn(move || drop(rx));
        block_on(tx.closed());
        assert_eq!(tx.send(1), Err(1));
        receiver.join().unwrap();
    });
    loom::model(|| {
        let (mut tx, mut rx) = channel::<u8>();
        let mut closed = Box::pin(tx.closed());
        let _ = closed.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        std::mem::forget(closed);
        let receiver = thread::spawn(move || {
            rx.close();
            rx.try_recv()
        });
        let sent = tx.send(1).is_ok();
        assert_eq!(receiver.join().unwrap(), if sent { Ok(1) } else { Err(TryRecvError::Closed) });
    });
}

/// Of `send` and `drop` of the receiver, which may be waiting: the value drops once.
#[test]
fn oneshot_value_drops_once() {
    for waits in [false, true] {
        loom::model(move || {
            let drops = StdArc::new(StdAtomicUsize::new(0));
            let payload = Payload(StdArc::clone(&drops));
            let (tx, mut rx) = channel();
            let count = Waker::from(StdArc::new(Count::default()));
            if waits {
                assert!(pin!(&mut rx).poll(&mut Context::from_waker(&count)).is_pending());
            }
            let sender = thread::spawn(move || drop(tx.send(payload)));
            drop(rx);
            sender.join().unwrap();
            assert_eq!(drops.load(SeqCst), 1);
        });
    }
}

/// A value that was sent before the channel closed is there; one that was not comes back.
#[test]
fn oneshot_close_decides() {
    loom::model(|| {
        let (tx, mut rx) = channel();
        let sender = thread::spawn(move || tx.send(1));
        rx.close();
        let got = rx.try_recv();
        let sent = sender.join().unwrap();
        match got {
            Ok(1) => assert_eq!(sent, Ok(())),
            Err(TryRecvError::Closed) => assert_eq!(sent, Err(1)),
            other => panic!("{other:?}"),
        }
    });
}

/// A poll with another waker, while the value arrives: whoever polled last is woken.
#[test]
fn oneshot_changed_waker() {
    loom::model(|| {
        let (tx, mut rx) = channel();
        let sender = thread::spawn(move || tx.send(1).unwrap());
        let counts = [(); 2].map(|()| StdArc::new(Count::default()));
        let mut poll = |count: &StdArc<Count>| {
            let waker = Waker::from(StdArc::clone(count));
            pin!(&mut rx).poll(&mut Context::from_waker(&waker)).is_pending()
        };
        let pending = poll(&counts[0]) && poll(&counts[1]);
        sender.join().unwrap();
        if pending {
            assert!(counts[1].0.load(SeqCst) > 0, "the last waker was not woken");
        }
    });
}
