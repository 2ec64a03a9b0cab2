//! A watched value in every interleaving: nobody sleeps through the last change, or the end.

use std::pin::pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::thread;

use super::{Count, Future};
use crate::channel::watch::{RecvError, channel};

#[test]
fn watch_waits_for_the_change_and_the_end() {
    loom::model(|| {
        let (tx, mut rx) = channel(0);
        let sender = thread::spawn(move || tx.send(1).unwrap());
        block_on(async {
            assert_eq!(rx.changed().await, Ok(()));
            assert_eq!(*rx.borrow(), 1);
            assert_eq!(rx.changed().await, Err(RecvError));
        });
        sender.join().unwrap();
    });
}

/// However many changes fall together, the last one is seen.
#[test]
fn watch_shows_the_last_value() {
    loom::model(|| {
        let (tx, mut rx) = channel(0);
        let sender = thread::spawn(move || {
            tx.send(1).unwrap();
            tx.send(2).unwrap();
        });
        let mut last = 0;
        while block_on(rx.changed()).is_ok() {
            let now = *rx.borrow_and_update();
            assert!(now >= last);
            last = now;
        }
        assert_eq!(last, 2);
        sender.join().unwrap();
    });
}

#[test]
fn watch_wakes_all_who_wait() {
    loom::model(|| {
        let (tx, mut rx) = channel(0);
        let mut other = rx.clone();
        let receiver = thread::spawn(move || block_on(other.changed()));
        let sender = thread::spawn(move || {
            tx.send(1).unwrap();
            // Kept open, so that no closing wakes anybody.
            tx
        });
        assert_eq!(block_on(rx.changed()), Ok(()));
        assert_eq!(receiver.join().unwrap(), Ok(()));
        drop(sender.join().unwrap());
    });
}

#[test]
fn watch_waits_for_what_is_wanted() {
    loom::model(|| {
        let (tx, mut rx) = channel(0);
        let sender = thread::spawn(move || {
            tx.send(1).unwrap();
            tx.send(2).unwrap();
            tx
        });
        let got = block_on(rx.wait_for(|n| *n > 0)).map(|n| *n);
        assert!(got == Ok(1) || got == Ok(2), "{got:?}");
        let tx = sender.join().unwrap();
        let end = thread::spawn(move || drop(tx));
        assert_eq!(block_on(rx.wait_for(|n| *n > 2)).map(|n| *n), Err(RecvError));
        end.join().unwrap();
    });
}

/// Two senders change the value in place: no change is lost, and each has its version.
#[test]
fn watch_changes_add_up() {
    loom::model(|| {
        let (tx, mut rx) = channel(0);
        let theirs = tx.clone();
        let other = thread::spawn(move || theirs.send_modify(|n| *n += 1));
        tx.send_modify(|n| *n += 1);
        drop(tx);
        assert_eq!(block_on(rx.wait_for(|n| *n == 2)).map(|n| *n), Ok(2));
        assert_eq!(block_on(rx.changed()), Err(RecvError));
        other.join().unwrap();
    });
}

#[test]
fn watch_closed_is_told() {
    loom::model(|| {
        let (tx, rx) = channel(0);
        let other = rx.clone();
        let receivers = [rx, other].map(|rx| thread::spawn(move || drop(rx)));
        block_on(tx.closed());
        assert_eq!(tx.send(1).unwrap_err().into_inner(), 1);
        receivers.into_iter().for_each(|r| r.join().unwrap());
    });
}

/// One gives up while the change comes; the other is woken all the same.
#[test]
fn watch_cancelled_receiver_harms_nobody() {
    loom::model(|| {
        let (tx, mut rx) = channel(0);
        let mut other = rx.clone();
        let waker = Waker::from(StdArc::new(Count::default()));
        let mut changed = Box::pin(rx.changed());
        assert!(changed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let receiver = thread::spawn(move || block_on(other.changed()));
        let sender = thread::spawn(move || {
            tx.send(1).unwrap();
            tx
        });
        drop(changed);
        assert_eq!(receiver.join().unwrap(), Ok(()));
        drop(sender.join().unwrap());
        assert_eq!(rx.has_changed(), Ok(true));
    });
}

#[test]
fn watch_changed_waker() {
    loom::model(|| {
        let (tx, mut rx) = channel(0);
        let sender = thread::spawn(move || {
            tx.send(1).unwrap();
            tx
        });
        let counts = [(); 2].map(|()| StdArc::new(Count::default()));
        let mut changed = pin!(rx.changed());
        let mut poll = |count: &StdArc<Count>| {
            let waker = Waker::from(StdArc::clone(count));
            changed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending()
        };
        let pending = poll(&counts[0]) && poll(&counts[1]);
        let tx = sender.join().unwrap();
        if pending {
            assert!(counts[1].0.load(SeqCst) > 0, "the last waker was not woken");
        }
        drop(tx);
    });
}
