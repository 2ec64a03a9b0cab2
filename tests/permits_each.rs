//! Permits on each topology: what becomes of them at the end of the channel, and of who waits.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::thread;

use annulus::channel::{self, State, TryRecvError};
use support::{Counted, Fan, block_on, now, poll, rounds};

#[macro_use]
mod support;

#[test]
fn a_permit_is_room_for_one() {
    each!(make => {
        let (mut tx, mut rx) = make(1);
        let permit = now(tx.reserve()).unwrap();
        assert_eq!((rx.len(), rx.try_recv()), (0, Err(TryRecvError::Empty)));
        permit.send(1);
        assert_eq!(rx.try_recv(), Ok(1));
        // Dropped, however it came to be, its room is there again.
        drop(now(tx.reserve()).unwrap());
        drop(tx.try_reserve().unwrap());
        let tx = now(tx.reserve_owned()).unwrap().release();
        let mut tx = tx.try_reserve_owned().unwrap().send(2);
        assert!(tx.try_reserve().unwrap_err().is_full());
        let tx = tx.try_reserve_owned().unwrap_err();
        assert!(tx.is_full());
        let (mut reserve, wakes) = waiting!(tx.into_inner().reserve_owned());
        assert_eq!(rx.try_recv(), Ok(2));
        assert_eq!(wakes.wakes(), 1);
        let Poll::Ready(Ok(permit)) = poll(reserve.as_mut(), &wakes) else { panic!() };
        drop(permit.send(3));
        assert_eq!((now(rx.recv()), now(rx.recv())), (Some(3), None));
    });
}

#[test]
fn a_dropped_permit_wakes_a_waiting_sender() {
    each!(make in [mpsc, mpmc] => {
        let (tx, mut rx) = make(2);
        let permits = [now(tx.reserve()).unwrap(), now(tx.reserve()).unwrap()];
        let (mut first, first_wakes) = waiting!(tx.send(1));
        let (mut second, second_wakes) = waiting!(tx.reserve());
        let (_third, third_wakes) = waiting!(tx.clone().reserve_owned());
        let wakes = || [&first_wakes, &second_wakes, &third_wakes].map(|c| c.wakes());
        let [one, two] = permits;
        drop(one);
        assert_eq!(wakes(), [1, 0, 0]);
        assert!(poll(first.as_mut(), &first_wakes).is_ready());
        drop(two);
        assert_eq!(wakes(), [1, 1, 0]);
        let Poll::Ready(Ok(permit)) = poll(second.as_mut(), &second_wakes) else { panic!() };
        // Used, it makes no room, and nobody is woken.
        permit.send(2);
        assert_eq!(wakes(), [1, 1, 0]);
        assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Ok(2)));
        assert_eq!(wakes(), [1, 1, 1]);
    });
}

#[test]
fn after_the_end_receivers_wait_for_a_permit() {
    each!(make => {
        for used in [true, false] {
            let (mut tx, rx) = make(2);
            tx.try_send(1).unwrap();
            let permit = tx.try_reserve_owned().unwrap();
            let mut rx = rx.close();
            assert_eq!((rx.next(), rx.next(), rx.state()), (Some(1), None, State::Closing));
            rx = rx.into_closed().expect_err("a permit is out");
            if used {
                let mut tx = permit.send(2);
                assert!(tx.try_send(3).unwrap_err().is_closed());
                assert_eq!((rx.next(), rx.next()), (Some(2), None));
            } else {
                drop(permit);
                assert_eq!(rx.next(), None);
            }
            assert!(rx.into_closed().is_ok());
        }
    });

    // With receivers that wait: the permit's message goes to one, and the end to all.
    each!(make in [spmc, mpmc] => {
        for used in [true, false] {
            let (tx, rx) = make(2);
            let permit = tx.try_reserve_owned().unwrap();
            let other = rx.clone();
            let other = other.close();
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            let mut all: Vec<_> = (0..40).map(|_| waiting!(rx.recv())).collect();
            let tx = if used { permit.send(1) } else { permit.release() };
            let mut got = 0;
            for (recv, wakes) in &mut all {
                assert!(wakes.wakes() >= 1);
                match poll(recv.as_mut(), wakes) {
                    Poll::Ready(Some(1)) => got += 1,
                    end => assert_eq!(end, Poll::Ready(None)),
                }
            }
            assert_eq!((got, other.state()), (usize::from(used), State::Closed));
            drop(tx);
        }
    });

    // With a receiver that waits as a thread.
    each!(make in [mpsc, mpmc] => {
        for used in [true, false] {
            let (tx, mut rx) = make(1);
            let permit = tx.try_reserve().unwrap();
            tx.close();
            thread::scope(|s| {
                let receiver = s.spawn(move || (rx.recv_blocking(), rx.recv_blocking()));
                if used { permit.send(1) } else { drop(permit) }
                assert_eq!(receiver.join().unwrap(), (used.then_some(1), None));
            });
        }
    });
}

/// What is sent to nobody is dropped once; at the latest with the last handle.
#[test]
fn a_permit_outlives_the_receivers() {
    each!(make => {
        let drops = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = make(2);
        let permit = tx.try_reserve_owned().unwrap();
        drop(rx);
        let tx = permit.send(Counted(Arc::clone(&drops)));
        assert_eq!(tx.receiver_count(), 0);
        drop(tx);
        assert_eq!(drops.load(SeqCst), 1);
    });
}

/// A permit that was got is a message that arrives, whoever closes the channel when.
#[test]
fn permits_race_with_the_end() {
    each!(make => {
        for round in 0..rounds(300) {
            let (tx, rx) = make(3);
            let sent = AtomicUsize::new(0);
            let received: usize = thread::scope(|s| {
                for mut tx in tx.fan(2) {
                    let sent = &sent;
                    s.spawn(move || {
                        for n in 0.. {
                            // Every third permit is given back; the sender closes in the end.
                            let Ok(permit) = block_on(tx.reserve()) else { break };
                            if n % 3 == 2 {
                                drop(permit);
                            } else {
                                sent.fetch_add(1, SeqCst);
                                permit.send(n);
                            }
                            if n == round % 20 {
                                tx.close();
                            }
                        }
                    });
                }
                let receivers: Vec<_> = rx.fan(2).into_iter().map(|mut rx| {
                    s.spawn(move || std::iter::from_fn(|| rx.recv_blocking()).count())
                }).collect();
                receivers.into_iter().map(|r| r.join().unwrap()).sum()
            });
            assert_eq!(received, sent.into_inner());
        }
    });
}

#[test]
fn cancelled_reservations_reserve_nothing() {
    each!(make => {
        let (mut tx, mut rx) = make(1);
        tx.try_send(0).unwrap();
        for _ in 0..10 {
            let (reserve, wakes) = waiting!(tx.reserve());
            assert_eq!(rx.try_recv(), Ok(0));
            assert_eq!(wakes.wakes(), 1);
            drop(reserve);
            tx.try_send(0).unwrap();
        }
        let (reserve, _) = waiting!(tx.reserve_owned());
        drop(reserve); // and the sender with it
        assert_eq!((now(rx.recv()), now(rx.recv())), (Some(0), None));
    });
    // In a queue, from the middle of it, too.
    let (tx, rx) = channel::mpmc(1);
    tx.try_send(0).unwrap();
    let mut all: Vec<_> = (0..9).map(|_| waiting!(tx.reserve())).collect();
    drop(all.remove(4));
    assert_eq!(rx.try_recv(), Ok(0));
    while !all.is_empty() {
        let (reserve, wakes) = all.remove(0);
        assert_eq!(wakes.wakes(), 1);
        drop(reserve);
    }
    assert!(tx.try_reserve().is_ok());
}
