//! What a set does with wakes that it does not use, step by step.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};

use super::Select;
use crate::channel::{bounded, oneshot, rendezvous};

/// Counts its wakes; the first may panic.
#[derive(Default)]
struct Count {
    wakes: AtomicUsize,
    panics: bool,
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        let before = self.wakes.fetch_add(1, SeqCst);
        assert!(before > 0 || !self.panics, "a waker panicked");
    }
}

impl Count {
    fn new(panics: bool) -> Arc<Self> {
        Arc::new(Self { wakes: AtomicUsize::new(0), panics })
    }

    fn wakes(&self) -> usize {
        self.wakes.load(SeqCst)
    }

    fn poll<F: Future + ?Sized>(self: &Arc<Self>, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&Waker::from(Arc::clone(self))))
    }
}

/// The set is woken for a message and for room, and takes what it prefers.
#[test]
fn unused_wakes_go_to_the_next() {
    let ((tx, rx), (left_tx, left_rx), (full, drain)) = (bounded(1), bounded(1), bounded(1));
    let (offer, meets) = rendezvous::channel();
    full.try_send(0).unwrap();
    let (ours, theirs) = (Count::new(false), [(); 3].map(|()| Count::new(false)));
    let (mut recv, mut send, mut meet) =
        (pin!(left_rx.recv()), pin!(full.send(1)), pin!(meets.recv()));

    let mut select = Select::new_biased();
    let case = select.recv(&rx);
    let _losing = (select.recv(&left_rx), select.send(&full), select.recv(&meets));
    let index = select.select_by(|mut wait| {
        assert!(ours.poll(wait.as_mut()).is_pending());
        assert!(theirs[0].poll(recv.as_mut()).is_pending());
        assert!(theirs[1].poll(send.as_mut()).is_pending());
        assert!(theirs[2].poll(meet.as_mut()).is_pending());
        left_tx.try_send(2).unwrap();
        assert_eq!(drain.try_recv(), Ok(0));
        offer.try_send(3).unwrap();
        assert_eq!((ours.wakes(), theirs.each_ref().map(|count| count.wakes())), (3, [0; 3]));
        tx.try_send(1).unwrap();
        assert!(ours.poll(wait).is_ready());
    });
    assert_eq!((index, theirs.each_ref().map(|count| count.wakes())), (Some(0), [1; 3]));
    assert_eq!(theirs[0].poll(recv), Poll::Ready(Some(2)));
    assert_eq!(theirs[1].poll(send), Poll::Ready(Ok(())));
    assert_eq!(theirs[2].poll(meet), Poll::Ready(Some(3)));
    assert_eq!(select.try_select().unwrap().recv(&case), Some(1));
}

/// A oneshot has nobody else to wake, and does not wake who has left.
#[test]
fn a_value_wakes_nobody_who_has_left() {
    let ((tx, rx), (answer, mut answers)) = (bounded(1), oneshot::channel());
    let ours = Count::new(false);
    let mut select = Select::new();
    let (_case, once) = (select.recv(&rx), select.recv(&mut answers));
    let index = select.select_by(|mut wait| {
        assert!(ours.poll(wait.as_mut()).is_pending());
        tx.try_send(1).unwrap();
        assert!(ours.poll(wait).is_ready());
    });
    assert_eq!((index, ours.wakes()), (Some(0), 1));
    answer.send(2).unwrap();
    assert_eq!(ours.wakes(), 1);
    select.remove(0);
    assert_eq!(select.try_select().unwrap().recv(&once), Some(2));
}

/// While a sender starves, a set does not send at once, though it could; the same for receivers.
#[test]
fn who_starves_goes_first() {
    let (tx, rx) = bounded(2);
    let ring = &rx.channel().ring;
    for (starving, not_this) in [(ring.producers_starving(), 0), (ring.consumers_starving(), 1)] {
        starving.fetch_add(1, SeqCst);
        for _ in 0..20 {
            tx.try_send(0).unwrap();
            let mut select = Select::new();
            let _cases = (select.send(&tx), select.recv(&rx));
            assert_eq!(
                select.find(|case| case.looks_ready() && case.at_once()),
                Some(1 - not_this)
            );
            select.selected = Some(1 - not_this);
            drop(select);
            _ = rx.try_recv();
        }
        starving.fetch_sub(1, SeqCst);
    }
}

/// Who asks what is ready takes nothing, so the wake that it got goes on.
#[test]
fn who_only_asks_passes_the_wake_on() {
    let ((tx, rx), (full, drain)) = (bounded(1), bounded(1));
    let (offer, meets) = rendezvous::channel();
    full.try_send(0).unwrap();
    for place in 0..3 {
        let (ours, theirs) = (Count::new(false), Count::new(false));
        let mut select = Select::new();
        let (mut recv, mut send, mut meet) =
            (pin!(rx.recv()), pin!(full.send(1)), pin!(meets.recv()));
        match place {
            0 => _ = select.recv(&rx),
            1 => _ = select.send(&full),
            _ => _ = select.recv(&meets),
        }
        let index = select.ready_by(|mut wait| {
            assert!(ours.poll(wait.as_mut()).is_pending());
            match place {
                0 => {
                    assert!(theirs.poll(recv.as_mut()).is_pending());
                    tx.try_send(2).unwrap();
                }
                1 => {
                    assert!(theirs.poll(send.as_mut()).is_pending());
                    assert_eq!(drain.try_recv(), Ok(0));
                }
                _ => {
                    assert!(theirs.poll(meet.as_mut()).is_pending());
                    offer.try_send(3).unwrap();
                }
            }
            assert_eq!((ours.wakes(), theirs.wakes()), (1, 0));
            assert!(ours.poll(wait).is_ready());
        });
        assert_eq!((index, theirs.wakes()), (Some(0), 1));
        match place {
            0 => assert_eq!(theirs.poll(recv), Poll::Ready(Some(2))),
            1 => assert_eq!(theirs.poll(send), Poll::Ready(Ok(()))),
            _ => assert_eq!(theirs.poll(meet), Poll::Ready(Some(3))),
        }
    }
}

/// A wake is handed to a waker that panics: what was received is kept, and the other queues are left.
#[test]
fn a_panic_in_leaving_loses_nothing() {
    let ((tx, rx), (left_tx, left_rx), (last_tx, last_rx)) = (bounded(1), bounded(1), bounded(1));
    let (ours, theirs, other) = (Count::new(false), Count::new(true), Count::new(false));
    let (mut left, mut last) = (pin!(left_rx.recv()), pin!(last_rx.recv()));

    let mut select = Select::new_biased();
    let case = select.recv(&rx);
    let _losing = (select.recv(&left_rx), select.recv(&last_rx));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        select.select_by(|mut wait| {
            assert!(ours.poll(wait.as_mut()).is_pending());
            assert!(theirs.poll(left.as_mut()).is_pending());
            assert!(other.poll(last.as_mut()).is_pending());
            left_tx.try_send(2).unwrap();
            tx.try_send(1).unwrap();
            assert!(ours.poll(wait).is_ready());
        })
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"a waker panicked"));
    assert_eq!(theirs.wakes(), 1);
    last_tx.try_send(3).unwrap();
    assert_eq!((ours.wakes(), other.wakes()), (2, 1));
    assert_eq!(select.try_select().unwrap().recv(&case), Some(1));
}
