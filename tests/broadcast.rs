//! The broadcast channel: everybody sees everything, or hears what they have missed.

mod support;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use annulus::channel::broadcast::{self, RecvError, SendError, TryRecvError};

use support::{Count, poll};

#[test]
fn everybody_sees_what_came_after_they_subscribed() {
    let (tx, mut first) = broadcast::channel(4);
    assert_eq!(tx.send(1), Ok(1));
    let mut second = tx.subscribe();
    assert_eq!(tx.send(2), Ok(2));
    let mut third = first.resubscribe();
    assert_eq!(tx.clone().send(3), Ok(3));
    assert_eq!((first.len(), second.len(), third.len(), tx.len()), (3, 2, 1, 3));
    let drain = |rx: &mut broadcast::Receiver<i32>| -> Vec<i32> {
        std::iter::from_fn(|| rx.try_recv().ok()).collect()
    };
    assert_eq!(drain(&mut third), [3]);
    assert_eq!(drain(&mut first), [1, 2, 3]);
    assert_eq!(tx.len(), 2); // number 1 was seen by all there were
    assert_eq!(drain(&mut second), [2, 3]);
    assert!(tx.is_empty() && first.is_empty());
    assert_eq!(first.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn who_lags_hears_how_much_and_goes_on() {
    let (tx, mut rx) = broadcast::channel(3);
    let mut quick = tx.subscribe();
    for n in 0..10 {
        tx.send(n).unwrap();
        assert_eq!(quick.try_recv(), Ok(n));
    }
    assert_eq!((rx.len(), quick.len(), tx.len()), (3, 0, 3));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Lagged(7)));
    assert_eq!(rx.try_recv(), Ok(7));
    tx.send(10).unwrap();
    tx.send(11).unwrap();
    drop(tx);
    // Also when the senders are gone.
    assert_eq!(rx.recv_blocking(), Err(RecvError::Lagged(1)));
    assert_eq!(rx.recv_blocking(), Ok(9));
    assert_eq!((rx.recv_blocking(), rx.recv_blocking()), (Ok(10), Ok(11)));
    assert_eq!(rx.recv_blocking(), Err(RecvError::Closed));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    assert!(rx.is_closed());
}

#[test]
fn without_receivers_nothing_is_sent() {
    let (tx, rx) = broadcast::channel(2);
    tx.send(Arc::new(1)).unwrap();
    drop(rx);
    assert!(tx.is_empty());
    let message = Arc::new(2);
    let SendError(back) = tx.send(Arc::clone(&message)).unwrap_err();
    assert!(Arc::ptr_eq(&back, &message));
    // A receiver may come later, and one that does makes the channel work again.
    let mut rx = tx.subscribe();
    assert_eq!(tx.receiver_count(), 1);
    assert_eq!(tx.send(message), Ok(1));
    assert_eq!(*rx.try_recv().unwrap(), 2);
}

#[test]
fn counts_and_identity() {
    let (tx, rx) = broadcast::channel::<u8>(1);
    let other = tx.clone();
    assert!(tx.same_channel(&other));
    assert!(!tx.same_channel(&broadcast::channel(1).0));
    assert_eq!((rx.sender_count(), tx.receiver_count()), (2, 1));
    drop(tx);
    assert!(!rx.is_closed());
    drop(other);
    assert!(rx.is_closed());
    // From a closed channel, more receivers of nothing.
    assert_eq!(rx.resubscribe().try_recv(), Err(TryRecvError::Closed));
}

#[test]
#[should_panic(expected = "capacity 0 was asked for")]
fn capacity_0_is_a_mistake() {
    broadcast::channel::<u8>(0);
}

#[test]
fn a_message_drops_when_all_have_seen_it_or_when_overwritten() {
    let (tx, mut rx) = broadcast::channel(2);
    let mut other = tx.subscribe();
    let messages: Vec<_> = (0..4).map(Arc::new).collect();
    let counts = || messages.iter().map(Arc::strong_count).collect::<Vec<_>>();
    tx.send(Arc::clone(&messages[0])).unwrap();
    tx.send(Arc::clone(&messages[1])).unwrap();
    assert_eq!(counts(), [2, 2, 1, 1]);
    tx.send(Arc::clone(&messages[2])).unwrap();
    assert_eq!(counts(), [1, 2, 2, 1]);
    assert!(rx.try_recv().is_err());
    rx.try_recv().unwrap();
    assert_eq!(counts(), [1, 2, 2, 1]);
    assert!(other.try_recv().is_err());
    other.try_recv().unwrap();
    assert_eq!(counts(), [1, 1, 2, 1]);
    // A receiver that goes without having seen it counts, too.
    rx.try_recv().unwrap();
    drop(other);
    assert_eq!(counts(), [1, 1, 1, 1]);
    tx.send(Arc::clone(&messages[3])).unwrap();
    drop(tx);
    assert_eq!(counts(), [1, 1, 1, 2]);
    drop(rx);
    assert_eq!(counts(), [1, 1, 1, 1]);
}

#[test]
fn waiting_cancelling_and_changed_wakers() {
    let (tx, mut rx) = broadcast::channel(2);
    let mut other = tx.subscribe();
    let [first, second, third] = [(); 3].map(|()| Arc::new(Count::default()));
    {
        let mut recv = pin!(rx.recv());
        assert!(poll(recv.as_mut(), &first).is_pending());
        assert!(poll(recv.as_mut(), &second).is_pending());
        let mut cancelled = Box::pin(other.recv());
        assert!(poll(cancelled.as_mut(), &third).is_pending());
        drop(cancelled);
        tx.send(1).unwrap();
        assert_eq!([first.wakes(), second.wakes(), third.wakes()], [0, 1, 0]);
        assert_eq!(poll(recv.as_mut(), &second), Poll::Ready(Ok(1)));
    }
    assert_eq!(other.try_recv(), Ok(1));
    // Woken and then given up: the message is still there, for both.
    let mut recv = Box::pin(rx.recv());
    let mut waits = Box::pin(other.recv());
    assert!(poll(recv.as_mut(), &first).is_pending());
    assert!(poll(waits.as_mut(), &third).is_pending());
    tx.send(2).unwrap();
    assert_eq!([first.wakes(), third.wakes()], [1, 1]);
    drop(recv);
    assert_eq!(rx.try_recv(), Ok(2));
    assert_eq!(poll(waits.as_mut(), &third), Poll::Ready(Ok(2)));
    drop(waits);
    // The end wakes everybody once.
    let mut receivers: Vec<_> = (0..40).map(|_| tx.subscribe()).collect();
    let mut waiting: Vec<_> = receivers.iter_mut().map(|rx| Box::pin(rx.recv())).collect();
    for recv in &mut waiting {
        assert!(poll(recv.as_mut(), &second).is_pending());
    }
    drop(tx);
    assert_eq!(second.wakes(), 1 + 40);
    for recv in &mut waiting {
        assert_eq!(poll(recv.as_mut(), &second), Poll::Ready(Err(RecvError::Closed)));
    }
}

#[test]
fn a_panicking_clone_costs_one_message_of_one_receiver() {
    struct Touchy(u8, Arc<AtomicBool>);
    impl Clone for Touchy {
        fn clone(&self) -> Self {
            assert!(!self.1.load(SeqCst), "the clone panics");
            Self(self.0, Arc::clone(&self.1))
        }
    }
    let (tx, mut rx) = broadcast::channel(4);
    let mut other = tx.subscribe();
    let panics = Arc::new(AtomicBool::new(true));
    for n in 0..3 {
        tx.send(Touchy(n, Arc::clone(&panics))).map_err(drop).unwrap();
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(rx.try_recv()))).is_err());
    let recv = AssertUnwindSafe(|| drop(annulus::block_on(rx.recv())));
    assert!(catch_unwind(recv).is_err());
    panics.store(false, SeqCst);
    assert_eq!(rx.try_recv().map(|m| m.0).ok(), Some(2));
    for n in 0..3 {
        assert_eq!(other.recv_blocking().map(|m| m.0), Ok(n));
    }
    assert!(tx.is_empty());
    assert_eq!(Arc::strong_count(&panics), 1);
}

#[test]
fn nothing_foreign_runs_under_a_lock() {
    /// Uses its channel when it is cloned, dropped or woken.
    struct Nosy(broadcast::Sender<Option<Nosy>>);
    impl Nosy {
        fn look(&self) {
            let _ = (self.0.len(), self.0.receiver_count());
            let mut rx = self.0.subscribe();
            let _ = self.0.send(None);
            let mut recv = Box::pin(rx.recv());
            let _ = recv.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
    }
    impl Clone for Nosy {
        fn clone(&self) -> Self {
            self.look();
            Self(self.0.clone())
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            self.look();
        }
    }
    impl Wake for Nosy {
        fn wake(self: Arc<Self>) {
            self.look();
        }
    }
    let (tx, mut rx) = broadcast::channel(2);
    let mut other = tx.subscribe();
    {
        let mut recv = pin!(rx.recv());
        for _ in 0..2 {
            let waker = Waker::from(Arc::new(Nosy(tx.clone())));
            // Ready the second time: the waker that was replaced has sent something.
            let _ = recv.as_mut().poll(&mut Context::from_waker(&waker));
        }
        tx.send(Some(Nosy(tx.clone()))).map_err(drop).unwrap();
    }
    while !matches!(rx.try_recv(), Err(TryRecvError::Empty)) {}
    // Overwritten, and dropped with a receiver.
    for _ in 0..4 {
        tx.send(Some(Nosy(tx.clone()))).map_err(drop).unwrap();
    }
    drop(other.try_recv());
    tx.send(Some(Nosy(tx.clone()))).map_err(drop).unwrap();
    drop((other, rx));
    assert_eq!(tx.receiver_count(), 0);
}

/// Wakers that poll at once, and wait again, do not keep a sender busy for ever.
#[test]
fn many_wakers_that_poll_inside_wake() {
    type Receive = std::pin::Pin<Box<dyn Future<Output = usize> + Send>>;
    struct Inline(Mutex<Option<Receive>>);
    impl Inline {
        fn poll(self: &Arc<Self>) {
            // Taken out meanwhile: a wake inside the poll finds nothing to do.
            let Some(mut future) = self.0.lock().unwrap().take() else { return };
            let waker = Waker::from(Arc::clone(self));
            if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                *self.0.lock().unwrap() = Some(future);
            }
        }
    }
    impl Wake for Inline {
        fn wake(self: Arc<Self>) {
            self.poll();
        }
    }
    let (tx, rx) = broadcast::channel(4);
    let seen = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let (mut rx, seen) = (rx.resubscribe(), Arc::clone(&seen));
        let future: Receive = Box::pin(async move {
            while rx.recv().await.is_ok() {
                seen.fetch_add(1, SeqCst);
            }
            0
        });
        Arc::new(Inline(Mutex::new(Some(future)))).poll();
    }
    for n in 1..=10 {
        tx.send(n).unwrap();
        assert_eq!(seen.load(SeqCst), 100 * n);
    }
    drop(tx);
    assert_eq!(rx.sender_count(), 0);
}

const EACH: usize = 2_000;

/// Sees each sender's messages in order, and counts those it missed.
async fn audit(mut rx: broadcast::Receiver<(usize, usize)>, senders: usize) -> usize {
    let (mut next, mut count) = (vec![0; senders], 0);
    loop {
        match rx.recv().await {
            Ok((sender, n)) => {
                assert!(n >= next[sender], "{n} of sender {sender} was overtaken");
                next[sender] = n + 1;
                count += 1;
            }
            Err(RecvError::Lagged(missed)) => count += missed as usize,
            Err(RecvError::Closed) => return count,
        }
    }
}

#[test]
fn threads_and_tasks_of_two_runtimes() {
    let ours = annulus::Builder::new().worker_threads(2).build().unwrap();
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for capacity in [1, 16, 3 * EACH] {
        let (tx, rx) = broadcast::channel(capacity);
        let in_ours = ours.spawn(audit(rx.resubscribe(), 3));
        let in_tokio = tokio.spawn(audit(rx.resubscribe(), 3));
        let in_thread = thread::spawn(move || tokio_free_block_on(audit(rx, 3)));
        let sends = |sender: usize| {
            let tx = tx.clone();
            move || (0..EACH).for_each(|n| assert!(tx.send((sender, n)).is_ok()))
        };
        let [a, b, c] = [sends(0), sends(1), sends(2)];
        let thread = thread::spawn(a);
        drop(ours.spawn(async move { b() }));
        drop(tokio.spawn(async move { c() }));
        drop(tx);
        thread.join().unwrap();
        assert_eq!(in_thread.join().unwrap(), 3 * EACH);
        assert_eq!(ours.block_on(in_ours).unwrap(), 3 * EACH);
        assert_eq!(tokio.block_on(in_tokio).unwrap(), 3 * EACH);
    }
}

/// Polls on a plain thread: no runtime of any kind.
fn tokio_free_block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn no_message_is_lost_when_receivers_come_and_go() {
    let (tx, mut rx) = broadcast::channel(8);
    let done = AtomicBool::new(false);
    thread::scope(|s| {
        s.spawn(|| {
            while !done.load(SeqCst) {
                let mut rx = tx.subscribe();
                if let Ok(message) = rx.try_recv() {
                    assert!(Arc::strong_count(&message) > 0);
                }
            }
        });
        for n in 0..5_000 {
            tx.send(Arc::new(n)).unwrap();
            assert_eq!(rx.recv_blocking().map(|m| *m), Ok(n));
        }
        done.store(true, SeqCst);
    });
    assert!(tx.is_empty());
}

#[test]
fn debug_and_display_say_what_is_there() {
    let (tx, rx) = broadcast::channel(2);
    tx.send(1).unwrap();
    assert_eq!(format!("{tx:?}"), "Sender { len: 1, capacity: 2, receivers: 1 }");
    assert_eq!(format!("{rx:?}"), "Receiver { len: 1, capacity: 2, closed: false }");
    assert!(RecvError::Lagged(3).to_string().starts_with("too slow for 3 messages"));
    assert_eq!(RecvError::Closed.to_string(), TryRecvError::from(RecvError::Closed).to_string());
    assert!(SendError(1).to_string().starts_with("sending to no receiver;"));
    assert_eq!(format!("{:?}", SendError(1)), "SendError(..)");
}
