//! Waiting, waking, cancelling and closing, in every interleaving: nobody sleeps through a
//! message, and no message is lost or doubled.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::AtomicUsize as StdAtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};

use loom::future::block_on;
use loom::thread;

use super::{Channel, Kind, Mpmc, Mpsc, Receiver, Sender, Spmc, Spsc, pair};
use crate::ring::RingBuffer;
use crate::util::prompt_waker;

mod broadcast_tests;
mod oneshot_tests;
mod rendezvous_tests;
mod watch_tests;

/// A channel whose ring starts at its last slot, so that it wraps at once.
fn channel<K: Kind>(capacity: usize) -> (Sender<usize, K>, Receiver<usize, K>) {
    pair(Channel::on(RingBuffer::starting_at(capacity + 1, capacity)))
}

/// A waker that only counts.
#[derive(Default)]
struct Count(StdAtomicUsize);

impl Wake for Count {
    fn wake(self: StdArc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn spsc_waits_on_both_sides() {
    loom::model(|| {
        let (mut tx, mut rx) = channel::<Spsc>(1);
        let sender = thread::spawn(move || {
            block_on(async {
                tx.send(1).await.unwrap();
                tx.send(2).await.unwrap();
            });
        });
        block_on(async {
            assert_eq!(rx.recv().await, Some(1));
            assert_eq!(rx.recv().await, Some(2));
            assert_eq!(rx.recv().await, None);
        });
        sender.join().unwrap();
    });
}

/// A waker that does nothing but wake its thread, and is known for it.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: StdArc<Self>) {
        self.0.unpark();
    }
}

fn block_on_promptly<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(StdArc::new(Unpark(thread::current())));
    prompt_waker::register(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// As above, with wakers that stay in their cells while they are woken.
#[test]
fn spsc_waits_with_kept_wakers() {
    loom::model(|| {
        let (mut tx, mut rx) = channel::<Spsc>(1);
        let sender = thread::spawn(move || {
            block_on_promptly(async {
                tx.send(1).await.unwrap();
                tx.send(2).await.unwrap();
            });
        });
        block_on_promptly(async {
            assert_eq!(rx.recv().await, Some(1));
            assert_eq!(rx.recv().await, Some(2));
            assert_eq!(rx.recv().await, None);
        });
        sender.join().unwrap();
    });
}

#[test]
fn mpsc_waits_on_both_sides() {
    loom::model(|| {
        let (tx, mut rx) = channel::<Mpsc>(1);
        let theirs = tx.clone();
        let other = thread::spawn(move || block_on(theirs.send(1)).unwrap());
        let receiver =
            thread::spawn(move || block_on(async { (rx.recv().await, rx.recv().await) }));
        block_on(tx.send(2)).unwrap();
        other.join().unwrap();
        let got = receiver.join().unwrap();
        assert!(got == (Some(1), Some(2)) || got == (Some(2), Some(1)), "{got:?}");
    });
}

#[test]
fn spmc_waits_on_both_sides() {
    loom::model(|| {
        let (mut tx, rx) = channel::<Spmc>(1);
        let receivers = [(), ()].map(|()| {
            let rx = rx.clone();
            thread::spawn(move || block_on(rx.recv()))
        });
        drop(rx);
        block_on(async {
            tx.send(1).await.unwrap();
            tx.send(2).await.unwrap();
        });
        let sum: usize = receivers.into_iter().map(|r| r.join().unwrap().unwrap()).sum();
        assert_eq!(sum, 3);
    });
}

/// A receiver is woken, and gives up instead of receiving: the wake goes to the other.
#[test]
fn cancelled_receiver_hands_its_wake_on() {
    loom::model(|| {
        let (tx, rx) = channel::<Mpmc>(1);
        let waker = Waker::from(StdArc::new(Count::default()));
        let theirs = rx.clone();
        let mut first = Box::pin(rx.recv());
        assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let second = thread::spawn(move || block_on(theirs.recv()));
        let sender = thread::spawn(move || {
            tx.try_send(7).unwrap();
            // Kept open, so that no closing wakes anybody.
            tx
        });
        drop(first);
        assert_eq!(second.join().unwrap(), Some(7));
        drop(sender.join().unwrap());
    });
}

/// The same for senders, with the room of one message.
#[test]
fn cancelled_sender_hands_its_wake_on() {
    loom::model(|| {
        let (tx, rx) = channel::<Mpmc>(1);
        tx.try_send(1).unwrap();
        let waker = Waker::from(StdArc::new(Count::default()));
        let theirs = tx.clone();
        let mut first = Box::pin(tx.send(2));
        assert!(first.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let second = thread::spawn(move || block_on(theirs.send(3)).unwrap());
        let receiver = thread::spawn(move || {
            assert_eq!(rx.try_recv(), Ok(1));
            rx
        });
        drop(first);
        second.join().unwrap();
        assert_eq!(receiver.join().unwrap().try_recv(), Ok(3));
    });
}

#[test]
fn close_wakes_who_waits() {
    loom::model(|| {
        let (tx, rx) = channel::<Mpmc>(1);
        let theirs = rx.clone();
        let receiver = thread::spawn(move || block_on(theirs.recv()));
        tx.close();
        assert_eq!(receiver.join().unwrap(), None);
    });
    loom::model(|| {
        let (mut tx, rx) = channel::<Spsc>(1);
        tx.try_send(1).unwrap();
        let sender = thread::spawn(move || block_on(tx.send(2)));
        drop(rx);
        assert_eq!(sender.join().unwrap().unwrap_err().into_inner(), 2);
    });
}

/// A sender that waits for the end is told of it.
#[test]
fn close_wakes_who_waits_for_it() {
    loom::model(|| {
        let (tx, rx) = channel::<Spsc>(1);
        let receiver = thread::spawn(move || drop(rx));
        block_on(tx.closed());
        receiver.join().unwrap();
    });
}

/// What was reserved before the close is received, whoever closes and whenever.
fn permit_against_close<K: Kind>(
    reserve: impl Fn(Sender<usize, K>) + Clone + Send + Sync + 'static,
    recv: impl Fn(&mut Receiver<usize, K>) -> Option<usize> + Clone + Send + Sync + 'static,
) {
    let seen = StdArc::new([const { StdAtomicUsize::new(0) }; 2]);
    let counts = StdArc::clone(&seen);
    loom::model(move || {
        let (tx, mut rx) = channel::<K>(1);
        let closer = crate::primitive::Arc::clone(rx.shared());
        let sender = {
            let reserve = reserve.clone();
            thread::spawn(move || reserve(tx))
        };
        let other = thread::spawn(move || _ = closer.close());
        let got = recv(&mut rx);
        if got.is_some() {
            assert_eq!(recv(&mut rx), None, "None is final");
        }
        counts[usize::from(got.is_some())].fetch_add(1, SeqCst);
        sender.join().unwrap();
        other.join().unwrap();
        assert!(rx.is_empty(), "a message after the end");
    });
    assert!(seen.iter().all(|count| count.load(SeqCst) > 0), "both ends happen: {seen:?}");
}

#[test]
fn permit_against_close_mpsc() {
    permit_against_close::<Mpsc>(
        |tx| _ = tx.try_reserve().map(|permit| permit.send(1)),
        |rx| block_on(rx.recv()),
    );
}

#[test]
fn permit_against_close_spsc() {
    permit_against_close::<Spsc>(
        |mut tx| _ = tx.try_reserve().map(|permit| permit.send(1)),
        |rx| block_on(rx.recv()),
    );
}

/// A permit that is given back after the close tells the receiver of the end.
#[test]
fn unused_permit_ends_the_wait() {
    loom::model(|| {
        let (tx, mut rx) = channel::<Mpsc>(1);
        let theirs = tx.clone();
        let permit = thread::spawn(move || drop(theirs.try_reserve()));
        tx.close();
        assert_eq!(block_on(rx.recv()), None);
        permit.join().unwrap();
    });
    loom::model(|| {
        let (mut tx, rx) = channel::<Spmc>(1);
        let closer = rx.clone();
        let permit = thread::spawn(move || {
            drop(tx.try_reserve());
            tx
        });
        let close = thread::spawn(move || _ = closer.close());
        assert_eq!(block_on(rx.recv()), None);
        drop(permit.join().unwrap());
        close.join().unwrap();
    });
}

/// Room that a permit gives back goes to a sender that waits for it.
#[test]
fn unused_permit_makes_room() {
    loom::model(|| {
        let (tx, rx) = channel::<Mpmc>(1);
        let theirs = tx.clone();
        let permit = thread::spawn(move || drop(theirs.try_reserve()));
        block_on(tx.send(1)).unwrap();
        assert_eq!(rx.try_recv(), Ok(1));
        permit.join().unwrap();
    });
}

/// Two threads that each send to the other, and then look: one finds something.
#[test]
fn a_send_is_seen_by_who_looks_later() {
    loom::model(|| {
        let (to_us, mut ours) = channel::<Mpsc>(1);
        let (to_them, mut theirs) = channel::<Mpsc>(1);
        let other = thread::spawn(move || {
            to_us.try_send(1).unwrap();
            (theirs.try_recv().is_ok(), theirs, to_us)
        });
        to_them.try_send(1).unwrap();
        let we_found = ours.try_recv().is_ok();
        let (they_found, ..) = other.join().unwrap();
        assert!(we_found | they_found, "both found nothing");
    });
}

/// A poll with another waker, while the message arrives: whoever polled last is woken.
#[test]
fn changed_waker() {
    loom::model(|| {
        let (mut tx, mut rx) = channel::<Spsc>(1);
        let sender = thread::spawn(move || {
            tx.try_send(1).unwrap();
            tx
        });
        let counts = [(); 2].map(|()| StdArc::new(Count::default()));
        let mut recv = pin!(rx.recv());
        let mut polls = counts.iter().map(|count| {
            let waker = Waker::from(StdArc::clone(count));
            recv.as_mut().poll(&mut Context::from_waker(&waker))
        });
        let polls = [polls.next().unwrap(), polls.next().unwrap_or(Poll::Pending)];
        let tx = sender.join().unwrap();
        if polls == [Poll::Pending; 2] {
            assert!(counts[1].0.load(SeqCst) > 0, "the last waker was not woken");
        }
        drop(tx);
    });
}
