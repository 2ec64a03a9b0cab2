//! One test for each law of ARCHITECTURE.md.

use std::collections::HashSet;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use annulus::channel::{self, State, TryRecvError};
use support::poll;

#[macro_use]
mod support;

#[test]
fn law_1_a_message_is_in_one_place() {
    let (tx, rx) = channel::mpmc(1);
    // A cancelled receive, woken or not, has taken nothing.
    let (recv, woken) = waiting!(rx.recv());
    tx.try_send(Arc::new(1)).unwrap();
    assert_eq!(woken.wakes(), 1);
    drop(recv);
    // A cancelled send, woken or not, has not sent, and its message is dropped once.
    let message = Arc::new(2);
    let (send, woken) = waiting!(tx.send(Arc::clone(&message)));
    assert_eq!(Arc::strong_count(&message), 2);
    assert_eq!(*rx.try_recv().unwrap(), 1);
    assert_eq!(woken.wakes(), 1);
    drop(send);
    assert_eq!(Arc::strong_count(&message), 1);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    // A future that is dropped without a poll, too.
    drop(tx.send(Arc::clone(&message)));
    assert_eq!(Arc::strong_count(&message), 1);
    // And what was sent and not received is dropped with the receiver, not with the sender.
    tx.try_send(Arc::clone(&message)).unwrap();
    drop(rx);
    assert_eq!(Arc::strong_count(&message), 1);
    assert!(tx.is_closed());
}

#[test]
fn law_2_a_cancelled_waiter_hands_its_wake_on() {
    let (tx, rx) = channel::mpmc(1);
    let (first, first_wakes) = waiting!(rx.recv());
    let (second, second_wakes) = waiting!(rx.recv());
    let (third, third_wakes) = waiting!(rx.recv());
    tx.try_send(1).unwrap();
    let wakes = || [&first_wakes, &second_wakes, &third_wakes].map(|count| count.wakes());
    assert_eq!(wakes(), [1, 0, 0]);
    drop(third); // not notified: nobody is woken for it
    assert_eq!(wakes(), [1, 0, 0]);
    drop(first);
    assert_eq!(wakes(), [1, 1, 0]);
    drop(second);

    // The senders' side: the ring holds message 1.
    let (first, first_wakes) = waiting!(tx.send(2));
    let (mut second, second_wakes) = waiting!(tx.send(3));
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!([first_wakes.wakes(), second_wakes.wakes()], [1, 0]);
    drop(first);
    assert_eq!(second_wakes.wakes(), 1);
    assert!(poll(second.as_mut(), &second_wakes).is_ready());
    assert_eq!(rx.try_recv(), Ok(3));
}

#[test]
fn law_3_nothing_foreign_runs_under_a_lock() {
    /// Uses its channel in every function that a waker has, and as a message.
    struct Nosy(channel::Sender<Option<Arc<Nosy>>>, channel::Receiver<Option<Arc<Nosy>>>);

    impl Nosy {
        fn look(&self) {
            let _ = (self.0.len(), self.1.state(), self.0.is_full());
            // Takes the waiters' lock.
            let mut recv = Box::pin(self.1.recv());
            let _ = recv.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop(recv);
            let _ = self.0.try_send(None);
            let _ = self.1.try_recv();
        }
    }

    impl Wake for Nosy {
        fn wake(self: Arc<Self>) {
            self.look();
        }
    }

    impl Drop for Nosy {
        fn drop(&mut self) {
            self.look();
        }
    }

    let (tx, rx) = channel::mpmc(2);
    let nosy = Arc::new(Nosy(tx.clone(), rx.clone()));
    let other = Arc::new(Nosy(tx.clone(), rx.clone()));
    let mut recv = Box::pin(rx.recv());
    for nosy in [&nosy, &other] {
        let waker = Waker::from(Arc::clone(nosy));
        assert!(recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(other); // its waker was replaced, so this is the last reference
    tx.try_send(None).unwrap(); // wakes, inside this call
    drop(recv);
    while rx.try_recv().is_ok() {}
    // As a message that is dropped with the channel.
    let message = Arc::new(Nosy(tx.clone(), rx.clone()));
    tx.try_send(Some(message)).unwrap();
    drop(rx.try_recv());
    tx.close();
}

#[test]
fn law_4_a_forgotten_waiter_costs_one_wake() {
    let (tx, rx) = channel::mpmc(4);
    let (forgotten, _) = waiting!(rx.recv());
    std::mem::forget(forgotten);
    let (mut live, wakes) = waiting!(rx.recv());
    tx.try_send(1).unwrap();
    assert_eq!(wakes.wakes(), 0);
    tx.try_send(2).unwrap();
    assert_eq!(wakes.wakes(), 1);
    assert_eq!(poll(live.as_mut(), &wakes), Poll::Ready(Some(1)));

    // A single side has one waiter, and a forgotten one does not bar the next.
    let (mut tx, mut rx) = channel::spsc(1);
    let (forgotten, _) = waiting!(rx.recv());
    std::mem::forget(forgotten);
    let (mut live, wakes) = waiting!(rx.recv());
    tx.try_send(1).unwrap();
    assert_eq!(wakes.wakes(), 1);
    assert_eq!(poll(live.as_mut(), &wakes), Poll::Ready(Some(1)));
}

#[test]
fn law_5_order_and_then_closed() {
    let (tx, rx) = channel::mpmc(3);
    let senders = [0, 1, 2].map(|sender| {
        let tx = tx.clone();
        thread::spawn(move || (0..2000).for_each(|n| tx.send_blocking((sender, n)).unwrap()))
    });
    drop(tx);
    let receivers = [(); 2].map(|()| {
        let rx = rx.clone();
        thread::spawn(move || {
            let mut next = [0; 3];
            let mut count = 0;
            while let Some((sender, n)) = rx.recv_blocking() {
                assert!(n >= next[sender], "{n} of sender {sender} overtaken");
                next[sender] = n + 1;
                count += 1;
            }
            assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
            count
        })
    });
    senders.into_iter().for_each(|s| s.join().unwrap());
    assert_eq!(receivers.map(|r| r.join().unwrap()).iter().sum::<usize>(), 6000);
    assert_eq!(rx.state(), State::Closed);
}

#[test]
fn law_6_len_is_within_bounds() {
    let (tx, rx) = channel::mpmc(2);
    let done = AtomicBool::new(false);
    thread::scope(|s| {
        s.spawn(|| {
            while !done.load(SeqCst) {
                assert!(tx.len() <= 2);
            }
        });
        let sender = s.spawn(|| (0..20_000).for_each(|n| tx.send_blocking(n).unwrap()));
        for n in 0..20_000 {
            assert_eq!(rx.recv_blocking(), Some(n));
        }
        sender.join().unwrap();
        done.store(true, SeqCst);
    });
    assert_eq!((tx.len(), tx.capacity(), tx.is_empty(), tx.is_full()), (0, 2, true, false));
}

#[test]
fn law_7_closing_wakes_everyone_once_and_gives_back() {
    let (tx, rx) = channel::mpmc::<u32>(1);
    let receivers: Vec<_> = (0..40).map(|_| waiting!(rx.recv())).collect();
    assert!(tx.close());
    assert!(!tx.close());
    for (mut recv, wakes) in receivers {
        assert_eq!(wakes.wakes(), 1);
        assert_eq!(poll(recv.as_mut(), &wakes), Poll::Ready(None));
    }
    assert_eq!(tx.try_send(5).unwrap_err().into_inner(), 5);

    let (tx, rx) = channel::mpmc(1);
    tx.try_send(0).unwrap();
    let senders: Vec<_> = (1..40).map(|n| waiting!(tx.send(n))).collect();
    let rx = rx.close();
    for (n, (mut send, wakes)) in (1..).zip(senders) {
        assert_eq!(wakes.wakes(), 1);
        let Poll::Ready(Err(error)) = poll(send.as_mut(), &wakes) else { panic!("not refused") };
        assert_eq!(error.into_inner(), n);
    }
    assert_eq!(tx.state(), State::Closing);
    assert_eq!(rx.collect::<Vec<_>>(), [0]);
    assert_eq!(tx.state(), State::Closed);
}

#[test]
fn law_8_my_own_message_is_there_at_once() {
    let (tx, rx) = channel::mpmc(8);
    let taken = Mutex::new(HashSet::new());
    thread::scope(|s| {
        for thread in 0..2 {
            let (tx, rx, taken) = (&tx, &rx, &taken);
            s.spawn(move || {
                for n in 0..10_000 {
                    tx.try_send((thread, n)).unwrap();
                    // As many takers as messages, so there is always one for me.
                    let message = rx.try_recv().unwrap();
                    assert!(taken.lock().unwrap().insert(message), "{message:?} came twice");
                }
            });
        }
    });
    assert_eq!(taken.into_inner().unwrap().len(), 20_000);
}

#[test]
fn law_9_a_panicking_drop_runs_once() {
    struct Bomb(Arc<AtomicUsize>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0.fetch_add(1, SeqCst) == 1 {
                panic!("the second drop of all panics");
            }
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = channel::mpmc(4);
    // Wrapped: two out, four in.
    for _ in 0..2 {
        tx.try_send(None).unwrap();
        rx.try_recv().unwrap();
    }
    for _ in 0..4 {
        tx.try_send(Some(Bomb(Arc::clone(&drops)))).unwrap();
    }
    assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
    assert_eq!(drops.load(SeqCst), 4);
    drop(tx);
    assert_eq!(drops.load(SeqCst), 4);
}
