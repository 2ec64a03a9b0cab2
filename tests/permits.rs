//! Room that is reserved: kept, given back, and used after the end.

use std::sync::Arc;

use annulus::channel::{self, State, TryRecvError, TrySendError};

use self::support::Polled;

mod support;

#[test]
fn a_permit_holds_room_until_it_is_used_or_dropped() {
    let (tx, rx) = channel::mpmc(2);
    let first = tx.try_reserve().unwrap();
    let second = tx.try_reserve().unwrap();
    assert!(matches!(tx.try_send(0), Err(TrySendError::Full(0))));
    assert!(matches!(tx.try_reserve(), Err(TrySendError::Full(()))));
    // Nothing is there to be received, and nothing counts as such.
    assert_eq!((tx.len(), rx.try_recv()), (0, Err(TryRecvError::Empty)));
    let mut waiting = Polled::waiting(tx.send(3));
    drop(first);
    assert_eq!(waiting.wakes(), 1);
    assert_eq!(waiting.ready(), Ok(()));
    second.send(4);
    assert_eq!(rx.drain().collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn a_cancelled_reservation_hands_its_wake_on() {
    let (tx, rx) = channel::mpmc(1);
    tx.try_send(0).unwrap();
    let first = Polled::waiting(tx.reserve());
    let mut second = Polled::waiting(tx.reserve());
    rx.try_recv().unwrap();
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(first);
    assert_eq!(second.wakes(), 1);
    second.ready().unwrap().send(1);
    assert_eq!(rx.try_recv(), Ok(1));
}

#[test]
fn receivers_wait_for_the_permits_of_a_closed_channel() {
    let (tx, rx) = channel::mpmc(4);
    let [kept, broken] = [(); 2].map(|()| tx.try_reserve().unwrap());
    tx.try_send(1).unwrap();
    tx.close();
    assert!(tx.try_reserve().is_err() && tx.try_send(0).is_err());
    assert_eq!((rx.try_recv(), rx.state()), (Ok(1), State::Closing));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    let mut waits = [Polled::waiting(rx.recv()), Polled::waiting(rx.recv())];
    kept.send(2);
    assert_eq!((waits[0].wakes(), waits[0].ready()), (1, Some(2)));
    assert!(waits[1].poll().is_pending());
    drop(broken);
    assert_eq!((waits[1].wakes(), waits[1].ready()), (1, None));
    assert_eq!((rx.try_recv(), rx.state()), (Err(TryRecvError::Closed), State::Closed));
}

#[test]
fn single_sides_have_permits_too() {
    let (mut tx, mut rx) = channel::spsc(1);
    drop(tx.try_reserve().unwrap());
    tx.try_reserve().unwrap().send(Arc::new(1));
    assert!(tx.try_reserve().is_err());
    let permit = Polled::waiting(tx.reserve());
    assert_eq!(*rx.try_recv().unwrap(), 1);
    assert_eq!(permit.wakes(), 1);
    drop(permit);
    // A permit that owns its sender sends after the end, and gives the sender back.
    let permit = tx.try_reserve_owned().unwrap();
    let mut rx = rx.close();
    assert!(rx.try_recv().is_none());
    let mut rx = rx.into_closed().expect_err("a permit is out");
    let message = Arc::new(2);
    let tx = permit.send(Arc::clone(&message));
    assert_eq!(rx.try_recv().as_deref(), Some(&2));
    assert!(rx.into_closed().is_ok() && tx.try_reserve_owned().is_err());
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn an_owned_permit_gives_its_room_back() {
    let (tx, rx) = channel::mpmc(1);
    let permit = tx.clone().try_reserve_owned().unwrap();
    assert!(tx.is_empty() && tx.try_send(0).is_err());
    drop(permit.release());
    tx.try_send(1).unwrap();
    let mut owned = Polled::waiting(tx.clone().reserve_owned());
    assert_eq!(rx.try_recv(), Ok(1));
    drop(owned.ready().unwrap());
    tx.try_send(2).unwrap();
    drop((tx, owned));
    assert_eq!((rx.try_recv(), rx.is_closed()), (Ok(2), true));
}

/// What is sent with a permit when nobody will receive is dropped with the channel.
#[test]
fn a_message_for_nobody_is_dropped_once() {
    let (tx, rx) = channel::mpsc(1);
    let message = Arc::new(());
    let permit = tx.try_reserve().unwrap();
    drop(rx);
    permit.send(Arc::clone(&message));
    drop(tx);
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn permits_under_stress_lose_nothing() {
    let each: u64 = if cfg!(miri) { 20 } else { 20_000 };
    let (tx, rx) = channel::mpmc(3);
    let sum = std::thread::scope(|s| {
        for _ in 0..3 {
            let tx = tx.clone();
            s.spawn(move || {
                for n in 0..each {
                    // Every third permit is given back.
                    if n % 3 == 0 {
                        drop(tx.try_reserve());
                    }
                    loop {
                        match tx.try_reserve() {
                            Ok(permit) => break permit.send(n),
                            Err(_) => std::thread::yield_now(),
                        }
                    }
                }
            });
        }
        drop(tx);
        std::iter::from_fn(|| rx.recv_blocking()).sum::<u64>()
    });
    assert_eq!(sum, 3 * each * (each - 1) / 2);
}
