//! Batches on each topology: nothing is lost, and everybody hears of it who should.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::thread;

use annulus::channel::{State, TryRecvError};
use support::{Count, Fan, block_on, now, poll, rounds};

#[macro_use]
mod support;

#[test]
fn all_sizes_through_all_capacities() {
    each!(make => {
        let capacities: &[usize] = if cfg!(miri) { &[1, 33] } else { &[1, 2, 31, 32, 33, 100] };
        for &capacity in capacities {
            for count in [0, 1, 31, 32, 33, 64, 65] {
                let (mut tx, mut rx) = make(capacity);
                let (mut all, wakes) = (Vec::new(), Count::new());
                // Of known length and not.
                let mut known = Box::pin(tx.send_many(0..count));
                while poll(known.as_mut(), &wakes).is_pending() {
                    all.extend(rx.drain());
                }
                drop(known);
                let mut next = count;
                let unknown = std::iter::from_fn(|| (next < 2 * count).then(|| { next += 1; next - 1 }));
                let mut unknown = Box::pin(tx.send_many(unknown));
                let sent = loop {
                    match poll(unknown.as_mut(), &wakes) {
                        Poll::Ready(sent) => break sent.unwrap(),
                        Poll::Pending => assert!(now(rx.recv_many(&mut all, capacity)) > 0),
                    }
                };
                drop(unknown);
                all.extend(rx.try_iter());
                assert_eq!(sent, count);
                assert!(all.into_iter().eq(0..2 * count));
                // No room is kept.
                assert_eq!(tx.try_send_many(&mut (0..)).unwrap(), capacity);
            }
        }
    });
}

#[test]
fn an_iterator_that_panics_loses_nothing() {
    each!(make => {
        let (mut tx, mut rx) = make(4);
        let mut items = (0..20).inspect(|&n| assert!(n % 7 != 6, "item {n}"));
        let count = Count::new();
        let mut all = Vec::new();
        let mut panics = 0;
        // The future may be polled again, and the iterator goes on after the item it lost.
        let mut send = Box::pin(tx.send_many(&mut items));
        loop {
            match catch_unwind(AssertUnwindSafe(|| poll(send.as_mut(), &count))) {
                Ok(Poll::Ready(_)) => break,
                Ok(Poll::Pending) => {}
                Err(_) => panics += 1,
            }
            all.extend(rx.drain());
        }
        drop(send);
        all.extend(rx.drain());
        assert_eq!(panics, 2);
        assert!(all.into_iter().eq((0..20).filter(|n| n % 7 != 6)));
        assert_eq!(tx.try_send_many(&mut (0..9)).unwrap(), 4);
    });
}

/// A batch takes what room there is before it asks the iterator; what it does not need it gives
/// back, and who came to wait meanwhile hears of it.
#[test]
fn room_that_is_not_needed_wakes_a_waiting_sender() {
    each!(make in [mpsc, mpmc] => {
        for panics in [true, false] {
            let (tx, mut rx) = make(4);
            let (count, mut send) = (Count::new(), Box::pin(tx.send(9)));
            let mut items = [1, 2].into_iter();
            let mut iterator = std::iter::from_fn(|| {
                assert!(poll(send.as_mut(), &count).is_pending(), "all the room is reserved");
                assert!(!panics || items.len() > 0);
                items.next()
            });
            let sent = catch_unwind(AssertUnwindSafe(|| tx.try_send_many(&mut iterator)));
            assert_eq!(sent.is_err(), panics);
            assert_eq!(count.wakes(), 1);
            assert!(poll(send.as_mut(), &count).is_ready());
            drop(send);
            assert_eq!(rx.drain().collect::<Vec<_>>(), [1, 2, 9]);
        }
    });
}

#[test]
fn a_close_in_the_middle_gives_the_rest_back() {
    each!(make => {
        let (mut tx, rx) = make(3);
        let (mut send, wakes) = waiting!(tx.send_many(0..10));
        let rx = rx.close();
        assert_eq!(wakes.wakes(), 1);
        let Poll::Ready(Err(rest)) = poll(send.as_mut(), &wakes) else { panic!() };
        assert_eq!(rest.into_inner(), 3..10);
        drop(send);
        assert_eq!(rx.collect::<Vec<_>>(), [0, 1, 2]);
    });
    // Closed by the iterator itself: those that have room by then are sent.
    each!(make in [mpsc, mpmc] => {
        let (tx, mut rx) = make(3);
        let mut items = (0..5).inspect(|_| assert!(tx.close() || tx.is_closed()));
        assert_eq!(tx.try_send_many(&mut items), Ok(3));
        assert_eq!(rx.drain().collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!((items.len(), rx.state()), (2, State::Closed));
    });
    // And under a race: what was not received is in the rest.
    each!(make => {
        for _ in 0..rounds(200) {
            let (tx, rx) = make(2);
            let txs = tx.fan(2);
            let count = txs.len() * 100;
            let (mut all, rest) = thread::scope(|s| {
                let senders: Vec<_> = txs.into_iter().enumerate().map(|(i, mut tx)| {
                    s.spawn(move || match block_on(tx.send_many(i * 100..(i + 1) * 100)) {
                        Ok(n) => { assert_eq!(n, 100); 0..0 }
                        Err(error) => error.into_inner(),
                    })
                }).collect();
                let mut rx = rx;
                let mut all = Vec::new();
                while all.len() < 30 {
                    block_on(rx.recv_many(&mut all, 9));
                }
                let mut rx = rx.close();
                all.extend(&mut rx);
                let rest: Vec<_> = senders.into_iter().flat_map(|s| s.join().unwrap()).collect();
                // A batch that had its room when the channel closed is still sent.
                all.extend(&mut rx);
                assert!(rx.into_closed().is_ok());
                (all, rest)
            });
            all.extend(rest);
            all.sort_unstable();
            assert!(all.into_iter().eq(0..count));
        }
    });
}

#[test]
fn a_cancelled_batch_leaves_the_rest() {
    each!(make => {
        let (mut tx, mut rx) = make(3);
        let mut items = 0..10;
        let mut all = Vec::new();
        while !items.is_empty() {
            let mut send = Box::pin(tx.send_many(&mut items));
            let _ = poll(send.as_mut(), &Count::new());
            drop(send);
            all.extend(rx.try_iter());
        }
        assert!(all.into_iter().eq(0..10));
        let mut out = vec![7];
        let (recv, wakes) = waiting!(rx.recv_many(&mut out, 5));
        tx.try_send(1).unwrap();
        assert_eq!(wakes.wakes(), 1);
        drop(recv);
        assert_eq!((out, rx.try_recv()), (vec![7], Ok(1)));
    });
}

#[test]
fn receiving_none_one_and_more_than_there_are() {
    each!(make => {
        let (mut tx, mut rx) = make(4);
        let mut out = vec![100];
        assert_eq!(now(rx.recv_many(&mut out, 0)), 0);
        assert_eq!(rx.try_recv_many(&mut out, 0), Ok(0));
        assert_eq!(rx.try_recv_many(&mut out, 1), Err(TryRecvError::Empty));
        assert_eq!(rx.drain().len(), 0);
        tx.try_send_many(&mut (0..4)).unwrap();
        assert_eq!(now(rx.recv_many(&mut out, 0)), 0);
        assert_eq!(now(rx.recv_many(&mut out, 1)), 1);
        assert_eq!(now(rx.recv_many(&mut out, usize::MAX)), 3);
        tx.try_send_many(&mut (4..8)).unwrap();
        assert_eq!(rx.try_recv_many(&mut out, usize::MAX), Ok(4));
        assert_eq!(out, [100, 0, 1, 2, 3, 4, 5, 6, 7]);
        tx.try_send_many(&mut (8..12)).unwrap();
        assert_eq!(rx.try_iter().take(2).collect::<Vec<_>>(), [8, 9]);
        tx.try_send(12).unwrap();
        drop(tx);
        assert_eq!(rx.iter().collect::<Vec<_>>(), [10, 11, 12]);
        assert_eq!(now(rx.recv_many(&mut out, 3)), 0);
        assert_eq!(rx.try_recv_many(&mut out, 3), Err(TryRecvError::Closed));
        assert_eq!((rx.drain().len(), rx.try_iter().next()), (0, None));
    });
}

#[test]
fn a_batch_wakes_as_many_as_it_is_for() {
    each!(make in [spmc, mpmc] => {
        let (mut tx, rx) = make(8);
        let mut recvs: Vec<_> = (0..5).map(|_| waiting!(rx.recv())).collect();
        assert_eq!(tx.try_send_many(&mut (0..3)), Ok(3));
        let wakes: Vec<_> = recvs.iter().map(|(_, wakes)| wakes.wakes()).collect();
        assert_eq!(wakes, [1, 1, 1, 0, 0]);
        for (n, (recv, wakes)) in recvs.iter_mut().take(3).enumerate() {
            assert_eq!(poll(recv.as_mut(), wakes), Poll::Ready(Some(n)));
        }
    });
    each!(make in [mpsc, mpmc] => {
        let (tx, mut rx) = make(40);
        tx.try_send_many(&mut (0..40)).unwrap();
        // More than are woken under one lock.
        let mut sends: Vec<_> = (0..50).map(|n| waiting!(tx.send(n))).collect();
        assert_eq!(rx.try_recv_many(&mut Vec::new(), 38), Ok(38));
        assert!((0..).zip(&sends).all(|(n, (_, wakes))| wakes.wakes() == usize::from(n < 38)));
        assert_eq!(rx.drain().len(), 2);
        let woken = sends.iter().filter(|(_, wakes)| wakes.wakes() == 1).count();
        assert_eq!(woken, 40);
        for (send, wakes) in sends.iter_mut().take(40) {
            assert!(poll(send.as_mut(), wakes).is_ready());
        }
        drop(sends);
        assert!(rx.drain().eq(0..40));
    });
}

#[test]
fn batches_under_stress() {
    each!(make => {
        for capacity in [1, 5, 64] {
            let each = rounds(3_000);
            let (tx, rx) = make(capacity);
            let txs = tx.fan(2);
            let count = txs.len() * each;
            let received = AtomicUsize::new(0);
            let mut all: Vec<usize> = thread::scope(|s| {
                for (i, mut tx) in txs.into_iter().enumerate() {
                    s.spawn(move || {
                        let mut items = i * each..(i + 1) * each;
                        while !items.is_empty() {
                            let _ = tx.try_send_many(&mut items.by_ref().take(2));
                            block_on(tx.send_many(items.by_ref().take(7))).unwrap();
                            items.next().map_or(Ok(()), |n| tx.send_blocking(n)).unwrap();
                        }
                    });
                }
                let receivers: Vec<_> = rx.fan(2).into_iter().map(|mut rx| {
                    let received = &received;
                    s.spawn(move || {
                        let mut all = Vec::new();
                        while block_on(rx.recv_many(&mut all, 3)) > 0 {
                            all.extend(rx.try_iter().take(2));
                            all.extend(rx.drain());
                        }
                        received.fetch_add(all.len(), SeqCst);
                        all
                    })
                }).collect();
                receivers.into_iter().flat_map(|r| r.join().unwrap()).collect()
            });
            all.sort_unstable();
            assert!(all.into_iter().eq(0..count), "{} of {count}", received.into_inner());
        }
    });
}
