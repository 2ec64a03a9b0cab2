//! Who waits is served: in order, and not after everybody who came later.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};

use annulus::channel;

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<F: Future>(future: &mut Pin<Box<F>>, count: &Arc<Count>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(count))))
}

/// Wakes the sender and takes its room away, `times` times.
fn starve<F: Future<Output: std::fmt::Debug>>(
    tx: &channel::Sender<u32>,
    rx: &channel::Receiver<u32>,
    send: &mut Pin<Box<F>>,
    count: &Arc<Count>,
    times: usize,
) {
    for loss in 1..=times {
        rx.try_recv().unwrap();
        assert_eq!(count.0.load(SeqCst), loss);
        tx.try_send(0).unwrap();
        assert!(poll(send, count).is_pending());
    }
}

#[test]
fn a_sender_that_has_lost_three_times_goes_before_who_begins_later() {
    let (tx, rx) = channel::mpmc(1);
    tx.try_send(0).unwrap();
    let [first, later] = [(); 2].map(|()| Arc::new(Count::default()));
    let mut send = Box::pin(tx.send(1));
    assert!(poll(&mut send, &first).is_pending());
    starve(&tx, &rx, &mut send, &first, 3);
    // There is room now, and the one who begins leaves it to the other, but comes back.
    rx.try_recv().unwrap();
    let mut newcomer = Box::pin(tx.send(2));
    assert!(poll(&mut newcomer, &later).is_pending());
    assert_eq!(later.0.load(SeqCst), 1);
    assert!(poll(&mut send, &first).is_ready());
    assert!(poll(&mut newcomer, &later).is_pending());
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(later.0.load(SeqCst), 2);
    assert!(poll(&mut newcomer, &later).is_ready());
    assert_eq!(rx.try_recv(), Ok(2));
    // Nobody starves any more.
    assert!(poll(&mut Box::pin(tx.send(3)), &later).is_ready());
}

#[test]
fn a_receiver_that_has_lost_three_times_goes_before_who_begins_later() {
    let (tx, rx) = channel::mpmc(2);
    let [first, later] = [(); 2].map(|()| Arc::new(Count::default()));
    let mut recv = Box::pin(rx.recv());
    assert!(poll(&mut recv, &first).is_pending());
    for _ in 0..3 {
        tx.try_send(0).unwrap();
        rx.try_recv().unwrap();
        assert!(poll(&mut recv, &first).is_pending());
    }
    tx.try_send(1).unwrap();
    let mut newcomer = Box::pin(rx.recv());
    assert!(poll(&mut newcomer, &later).is_pending());
    assert_eq!(poll(&mut recv, &first), Poll::Ready(Some(1)));
    tx.try_send(2).unwrap();
    assert_eq!(poll(&mut newcomer, &later), Poll::Ready(Some(2)));
}

/// One that starves and is dropped, or forgotten, does not hold up the others.
#[test]
fn a_starving_sender_that_is_gone_costs_a_turn_at_most() {
    let (tx, rx) = channel::mpmc(1);
    tx.try_send(0).unwrap();
    let count = Arc::new(Count::default());
    let mut send = Box::pin(tx.send(1));
    assert!(poll(&mut send, &count).is_pending());
    starve(&tx, &rx, &mut send, &count, 3);
    drop(send);
    rx.try_recv().unwrap();
    assert!(poll(&mut Box::pin(tx.send(2)), &count).is_ready());

    let count = Arc::new(Count::default());
    let mut send = Box::pin(tx.send(3));
    assert!(poll(&mut send, &count).is_pending());
    starve(&tx, &rx, &mut send, &count, 3);
    mem::forget(send);
    rx.try_recv().unwrap();
    for message in 4..10 {
        let mut send = Box::pin(tx.send(message));
        assert!(poll(&mut send, &count).is_pending());
        assert!(poll(&mut send, &count).is_ready());
        assert_eq!(rx.try_recv(), Ok(message));
    }
}

/// Losers come back in the order in which they waited.
#[test]
fn losers_keep_their_order() {
    let (tx, rx) = channel::mpmc(2);
    let counts = [(); 2].map(|()| Arc::new(Count::default()));
    let mut waits = [(); 2].map(|()| Box::pin(rx.recv()));
    for (wait, count) in waits.iter_mut().zip(&counts) {
        assert!(poll(wait, count).is_pending());
    }
    for message in [1, 2] {
        tx.try_send(message).unwrap();
    }
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Ok(2)));
    for (wait, count) in waits.iter_mut().zip(&counts) {
        assert!(poll(wait, count).is_pending());
    }
    tx.try_send(3).unwrap();
    assert_eq!(counts.each_ref().map(|count| count.0.load(SeqCst)), [2, 1]);
    assert_eq!(poll(&mut waits[0], &counts[0]), Poll::Ready(Some(3)));
}
