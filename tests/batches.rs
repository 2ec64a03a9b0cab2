//! Many messages at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use annulus::channel::{self, TryRecvError, TrySendError};

use self::support::Polled;

mod support;

#[test]
fn every_item_is_sent_once_and_in_order() {
    for capacity in [1, 2, 31, 64, 1000] {
        for count in [0, 1, 5, 32, 33, 500] {
            let (mut tx, mut rx) = channel::spsc(capacity);
            let sender = std::thread::spawn(move || annulus::block_on(tx.send_many(0..count)));
            let mut all = Vec::new();
            annulus::block_on(async { while rx.recv_many(&mut all, 7).await > 0 {} });
            assert_eq!(sender.join().unwrap().unwrap(), count);
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }
}

#[test]
fn what_is_taken_from_the_iterator_is_sent() {
    let (tx, rx) = channel::mpmc(4);
    let mut items = 0..10;
    assert_eq!(tx.try_send_many(&mut items), Ok(4));
    assert_eq!(items, 4..10);
    assert_eq!(tx.try_send_many(&mut items), Err(TrySendError::Full(())));
    let mut send = Polled::waiting(tx.send_many(&mut items));
    assert_eq!(rx.drain().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(send.wakes() > 0 && send.poll().is_pending());
    drop(send);
    assert_eq!(items, 8..10);
    rx.drain();
    tx.close();
    // Closed: the rest comes back.
    let rest = Polled::new(tx.send_many(items)).ready().unwrap_err().into_inner();
    assert_eq!(rest, 8..10);
    assert_eq!(tx.try_send_many(&mut (0..1)), Err(TrySendError::Closed(())));
    assert_eq!(tx.try_send_many(&mut (0..0)), Ok(0));
}

#[test]
fn an_iterator_that_panics_has_sent_what_it_gave() {
    let (tx, rx) = channel::mpmc(8);
    let mut items = (0..8).inspect(|&n| assert!(n != 3, "the iterator's own fault"));
    assert!(catch_unwind(AssertUnwindSafe(|| tx.try_send_many(&mut items))).is_err());
    assert_eq!(rx.drain().collect::<Vec<_>>(), [0, 1, 2]);
    // The room that it did not use is there again.
    assert_eq!(tx.try_send_many(&mut (0..9)), Ok(8));
}

#[test]
fn receiving_many_takes_what_is_there() {
    let (tx, rx) = channel::mpmc(8);
    let mut out = vec![100];
    assert_eq!(rx.try_recv_many(&mut out, 4), Err(TryRecvError::Empty));
    assert_eq!(Polled::new(rx.recv_many(&mut out, 0)).ready(), 0);
    tx.try_send_many(&mut (0..8)).unwrap();
    assert_eq!(rx.try_recv_many(&mut out, 3), Ok(3));
    assert_eq!(Polled::new(rx.recv_many(&mut out, 100)).ready(), 5);
    assert_eq!(out, [100, 0, 1, 2, 3, 4, 5, 6, 7]);
    let mut waiting = Polled::waiting(rx.recv_many(&mut out, 2));
    tx.try_send(8).unwrap();
    assert_eq!((waiting.wakes(), waiting.ready()), (1, 1));
    drop(waiting);
    drop(tx);
    assert_eq!(rx.try_recv_many(&mut out, 2), Err(TryRecvError::Closed));
    assert_eq!(Polled::new(rx.recv_many(&mut out, 2)).ready(), 0);
}

/// One batch makes room for several who wait.
#[test]
fn a_batch_wakes_as_many_as_it_made_room_for() {
    let (tx, rx) = channel::mpmc(3);
    tx.try_send_many(&mut (0..3)).unwrap();
    let sends = [(); 4].map(|()| Polled::waiting(tx.send(9)));
    rx.try_recv_many(&mut Vec::new(), 3).unwrap();
    assert_eq!(sends.each_ref().map(Polled::wakes), [1, 1, 1, 0]);
}

#[test]
fn iterators() {
    let (tx, mut rx) = channel::mpsc(4);
    tx.try_send_many(&mut (0..3)).unwrap();
    assert_eq!(rx.try_iter().take(2).sum::<i32>(), 1);
    drop(std::thread::spawn(move || (10..15).try_for_each(|n| tx.send_blocking(n))));
    assert_eq!(rx.iter().collect::<Vec<_>>(), [2, 10, 11, 12, 13, 14]);
}
