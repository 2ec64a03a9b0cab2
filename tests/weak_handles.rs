//! Handles that do not keep a channel open.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use annulus::channel::{self, State, TryRecvError};
use support::{Counted, rounds};

#[macro_use]
mod support;

#[test]
fn weak_handles_do_not_keep_a_channel_open() {
    each!(make in [mpsc, mpmc] => {
        let (tx, mut rx) = make(2);
        let weak = tx.downgrade();
        let other = weak.clone();
        let again = weak.upgrade().unwrap();
        assert_eq!((weak.sender_count(), tx.sender_count()), (2, 2));
        assert!(again.same_channel(&tx));
        drop(tx);
        again.try_send(1).unwrap();
        let (recv, wakes) = {
            assert_eq!(rx.try_recv(), Ok(1));
            waiting!(rx.recv())
        };
        drop(again);
        assert_eq!(wakes.wakes(), 1, "the last sender is gone, whatever weak handles there are");
        drop(recv);
        assert!(weak.upgrade().is_none() && other.upgrade().is_none());
        assert_eq!((weak.sender_count(), rx.state()), (0, State::Closed));
    });
    each!(make in [spmc, mpmc] => {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut tx, rx) = make(2);
        let weak = rx.downgrade();
        let again = weak.upgrade().unwrap();
        assert_eq!((weak.receiver_count(), weak.clone().receiver_count()), (2, 2));
        tx.try_send(Counted(Arc::clone(&drops))).unwrap();
        drop(rx);
        assert!(!tx.is_closed());
        drop(again);
        assert_eq!(drops.load(SeqCst), 1, "messages do not stay for the sake of a weak handle");
        assert!(tx.is_closed() && weak.upgrade().is_none());
    });
    // A closed channel can be upgraded: to see what is left, or that nothing can be sent.
    let (tx, rx) = channel::mpmc(1);
    tx.try_send(1).unwrap();
    let (weak_tx, weak_rx) = (tx.downgrade(), rx.downgrade());
    tx.close();
    assert!(weak_tx.upgrade().unwrap().try_send(2).unwrap_err().is_closed());
    assert_eq!(weak_rx.upgrade().unwrap().try_recv(), Ok(1));
}

#[test]
fn upgrade_races_with_the_last_drop() {
    each!(make in [mpsc, mpmc] => {
        for _ in 0..rounds(400) {
            let (tx, mut rx) = make(8);
            let weak = tx.downgrade();
            let sent: usize = thread::scope(|s| {
                let upgraders = [(); 2].map(|()| s.spawn(|| match weak.upgrade() {
                    // Who has been given a sender can send: the channel is open for him.
                    Some(tx) => { tx.try_send(()).unwrap(); 1 }
                    None => 0,
                }));
                drop(tx);
                upgraders.map(|u| u.join().unwrap()).iter().sum()
            });
            assert!(weak.upgrade().is_none());
            for _ in 0..sent {
                assert_eq!(rx.try_recv(), Ok(()));
            }
            assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
        }
    });
    each!(make in [spmc, mpmc] => {
        for _ in 0..rounds(400) {
            let (mut tx, rx) = make(8);
            let drops = Arc::new(AtomicUsize::new(0));
            tx.try_send(Counted(Arc::clone(&drops))).unwrap();
            let weak = rx.downgrade();
            let received: usize = thread::scope(|s| {
                let upgraders = [(); 2].map(|()| s.spawn(|| {
                    weak.upgrade().map_or(0, |rx| usize::from(rx.try_recv().is_ok()))
                }));
                drop(rx);
                upgraders.map(|u| u.join().unwrap()).iter().sum()
            });
            assert!(received <= 1 && weak.upgrade().is_none() && tx.is_closed());
            assert_eq!(drops.load(SeqCst), 1);
        }
    });
}
