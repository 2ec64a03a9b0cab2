//! The channel that holds nothing: a send ends when a receiver has the message.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use annulus::channel::rendezvous::{self, Receiver, Sender};
use annulus::channel::{RecvTimeoutError, TryRecvError};
use support::{Count, Counted, Polled, now, panic_text, poll_with, rounds};

#[macro_use]
mod support;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_send_ends_when_the_message_is_received() {
    let (tx, rx) = rendezvous::channel();
    let mut send = Polled::waiting(tx.send(1));
    assert!(send.poll().is_pending());
    assert_eq!(send.wakes(), 0);
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(send.wakes(), 1);
    assert_eq!(send.ready(), Ok(()));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));

    // Also when the receiver was there first: being woken is not receiving.
    let mut recv = Polled::waiting(rx.recv());
    let mut send = Polled::waiting(tx.send(2));
    assert_eq!((recv.wakes(), send.wakes()), (1, 0));
    assert!(send.poll().is_pending());
    assert_eq!(recv.ready(), Some(2));
    assert_eq!(send.wakes(), 1);
    assert_eq!(send.ready(), Ok(()));
}

#[test]
fn offers_are_taken_in_order_from_senders_that_do_not_run() {
    let (tx, rx) = rendezvous::channel();
    let mut sends: Vec<_> = (0..5).map(|n| Polled::waiting(tx.send(n))).collect();
    // One in the middle, the last, and the first give up.
    for n in [2, 3, 0] {
        drop(sends.remove(n));
    }
    // 1 and 3 are left.
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(1), Ok(3)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    sends.iter_mut().for_each(|send| assert_eq!((send.wakes(), send.ready()), (1, Ok(()))));
}

#[test]
fn trying_succeeds_once_for_each_receiver_that_waits() {
    let (tx, rx) = rendezvous::channel();
    assert!(tx.try_send(0).unwrap_err().is_full());
    let mut first = Polled::waiting(rx.recv());
    let second = Polled::waiting(rx.recv());
    let mut third = Polled::waiting(rx.recv());
    assert_eq!(tx.try_send(1), Ok(()));
    // The next waits no more; the third does.
    drop(second);
    assert_eq!(tx.try_send(2), Ok(()));
    let refused = tx.try_send(3).unwrap_err();
    assert!(refused.is_full());
    assert_eq!(refused.into_inner(), 3);
    assert_eq!((first.wakes(), third.wakes()), (1, 1));
    assert_eq!((third.ready(), first.ready()), (Some(1), Some(2)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert!(tx.try_send(4).unwrap_err().is_full());
}

/// A message that was sent without waiting outlives the receiver it was meant for.
#[test]
fn what_was_sent_is_received_or_dropped() {
    let (tx, rx) = rendezvous::channel();
    let mut woken = Polled::waiting(rx.recv());
    let mut next = Polled::waiting(rx.recv());
    tx.try_send(1).unwrap();
    drop(woken);
    assert_eq!(next.wakes(), 1);
    assert_eq!(next.ready(), Some(1));

    woken = Polled::waiting(rx.recv());
    tx.try_send(2).unwrap();
    drop(woken);
    assert_eq!(now(rx.recv()), Some(2));

    woken = Polled::waiting(rx.recv());
    tx.try_send(3).unwrap();
    drop(woken);
    // Neither a send that waits nor the end takes it away.
    let mut send = Polled::waiting(tx.send(4));
    assert!(tx.close());
    assert_eq!(send.ready().unwrap_err().into_inner(), 4);
    assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(3), Err(TryRecvError::Closed)));

    // With the last receiver it drops, though a sender lives.
    let (tx, rx) = rendezvous::channel();
    let drops = Arc::new(AtomicUsize::new(0));
    let waiting = [(); 3].map(|()| Polled::waiting(rx.recv()));
    (0..3).for_each(|_| tx.try_send(Counted(Arc::clone(&drops))).unwrap());
    drop(waiting);
    drop(rx.clone());
    assert_eq!(drops.load(SeqCst), 0);
    drop(rx);
    assert_eq!(drops.load(SeqCst), 3);
    assert!(tx.is_closed());
}

#[test]
fn a_cancelled_receive_takes_nothing_and_hands_its_wake_on() {
    let (tx, rx) = rendezvous::channel();
    let woken = Polled::waiting(rx.recv());
    let mut next = Polled::waiting(rx.recv());
    let mut send = Polled::waiting(tx.send(1));
    assert_eq!((woken.wakes(), next.wakes()), (1, 0));
    drop(woken);
    assert_eq!(next.wakes(), 1);
    assert!(send.poll().is_pending());
    assert_eq!(next.ready(), Some(1));
    assert_eq!(send.ready(), Ok(()));
}

#[test]
fn a_cancelled_send_tells_what_became_of_the_message() {
    let (tx, rx) = rendezvous::channel();
    assert_eq!(tx.send(1).cancel(), Some(1));
    // Offered, and received or not.
    let mut send = tx.send(2);
    assert!(poll_with(std::pin::pin!(&mut send), Waker::noop()).is_pending());
    assert_eq!(send.cancel(), Some(2));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    let mut send = tx.send(3);
    assert!(poll_with(std::pin::pin!(&mut send), Waker::noop()).is_pending());
    assert_eq!(rx.try_recv(), Ok(3));
    // Another's offer in its place is none of its business.
    let mut other = Polled::waiting(tx.send(30));
    assert!(poll_with(std::pin::pin!(&mut send), Waker::noop()).is_ready());
    assert_eq!(rx.try_recv(), Ok(30));
    assert_eq!(other.ready(), Ok(()));
    let mut send = tx.send(31);
    assert!(poll_with(std::pin::pin!(&mut send), Waker::noop()).is_pending());
    assert_eq!(rx.try_recv(), Ok(31));
    let mut other = Polled::waiting(tx.send(32));
    assert_eq!(send.cancel(), None);
    assert_eq!(rx.try_recv(), Ok(32));
    assert_eq!(other.ready(), Ok(()));
    // Called back.
    let mut send = tx.send(4);
    assert!(poll_with(std::pin::pin!(&mut send), Waker::noop()).is_pending());
    rx.close();
    assert_eq!(send.cancel(), Some(4));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));

    let mut send = tx.send(5);
    assert!(poll_with(std::pin::pin!(&mut send), Waker::noop()).is_ready());
    let text = panic_text(|| send.cancel());
    assert!(text.contains("its result says what became of the message"), "{text}");
    let mut send = Polled::new(tx.send(6));
    assert!(send.ready().is_err());
    let text = panic_text(|| send.poll());
    assert!(text.contains("cannot be polled again"), "{text}");
}

#[test]
fn a_message_drops_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = || Counted(Arc::clone(&drops));
    let (tx, rx) = rendezvous::channel();
    drop(tx.send(counted()));
    assert_eq!(drops.load(SeqCst), 1);
    drop(Polled::waiting(tx.send(counted())));
    assert_eq!(drops.load(SeqCst), 2);
    let send = Polled::waiting(tx.send(counted()));
    let received = rx.try_recv().unwrap();
    drop(send);
    assert_eq!(drops.load(SeqCst), 2);
    drop(received);
    assert_eq!(drops.load(SeqCst), 3);
    let send = Polled::waiting(tx.send(counted()));
    drop(rx);
    assert_eq!(drops.load(SeqCst), 3);
    drop(send);
    assert_eq!(drops.load(SeqCst), 4);
}

#[test]
fn forgotten_sends_stop_nobody() {
    let (tx, rx) = rendezvous::channel();
    for n in 0..3 {
        std::mem::forget(Polled::waiting(tx.send(n)));
    }
    let mut live = Polled::waiting(tx.send(3));
    assert_eq!([(); 4].map(|()| now(rx.recv()).unwrap()), [0, 1, 2, 3]);
    assert_eq!(live.ready(), Ok(()));
    drop(live);
    // One whose turn came while a receiver waited, and one that is not taken before the end.
    let mut recv = Polled::waiting(rx.recv());
    std::mem::forget(Polled::waiting(tx.send(4)));
    assert_eq!(recv.ready(), Some(4));
    drop(recv);
    std::mem::forget(Polled::waiting(tx.send(5)));
    drop(tx);
    assert_eq!(now(rx.recv()), None);
}

#[test]
fn a_forgotten_receive_costs_one_wake() {
    let (tx, rx) = rendezvous::channel();
    std::mem::forget(Polled::waiting(rx.recv()));
    let mut live = Polled::waiting(rx.recv());
    let mut first = Polled::waiting(tx.send(1));
    assert_eq!(live.wakes(), 0);
    let mut second = Polled::waiting(tx.send(2));
    assert_eq!(live.wakes(), 1);
    assert_eq!(live.ready(), Some(1));
    assert_eq!(now(rx.recv()), Some(2));
    assert_eq!((first.ready(), second.ready()), (Ok(()), Ok(())));
}

#[test]
fn a_message_not_taken_in_time_comes_back() {
    let (tx, rx) = rendezvous::channel();
    let error = tx.send_timeout_blocking(1, Duration::ZERO).unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(error.into_inner(), 1);
    let error = tx.send_deadline_blocking(2, Instant::now()).unwrap_err();
    assert_eq!(error.into_inner(), 2);
    assert_eq!(rx.recv_timeout_blocking(Duration::ZERO), Err(RecvTimeoutError::Timeout));
    assert_eq!(rx.recv_deadline_blocking(Instant::now()), Err(RecvTimeoutError::Timeout));
    thread::scope(|s| {
        s.spawn(|| assert_eq!(tx.send_timeout_blocking(3, LONG), Ok(())));
        assert_eq!(rx.recv_timeout_blocking(LONG), Ok(3));
        s.spawn(|| assert_eq!(tx.send_deadline_blocking(4, Instant::now() + LONG), Ok(())));
        // Longer than any clock goes.
        assert_eq!(rx.recv_timeout_blocking(Duration::MAX), Ok(4));
    });
    // A receive that has given up does not count as waiting.
    assert!(tx.try_send(5).unwrap_err().is_full());
    rx.close();
    assert!(tx.send_timeout_blocking(6, LONG).unwrap_err().is_closed());
    assert_eq!(rx.recv_timeout_blocking(LONG), Err(RecvTimeoutError::Closed));
}

#[test]
fn closing_gives_messages_back_and_wakes_all_once() {
    let ends: [fn(Sender<usize>, Receiver<usize>); 3] =
        [|tx, _rx| assert!(tx.close()), |_tx, rx| assert!(rx.close()), |_tx, rx| drop(rx)];
    for end in ends {
        // More than a batch of wakers.
        let (tx, rx) = rendezvous::channel();
        let sender = tx.clone();
        let mut sends: Vec<_> = (0..70).map(|n| Polled::waiting(sender.send(n))).collect();
        end(tx, rx);
        for (n, send) in sends.iter_mut().enumerate() {
            assert_eq!(send.wakes(), 1);
            assert_eq!(send.ready().unwrap_err().into_inner(), n);
        }
        assert!(sender.is_closed() && !sender.close());
        assert!(now(sender.send(1)).is_err());
        assert!(sender.try_send(1).unwrap_err().is_closed());
    }
    let (tx, rx) = rendezvous::channel::<u8>();
    let mut recvs: Vec<_> = (0..70).map(|_| Polled::waiting(rx.recv())).collect();
    drop(tx);
    recvs.iter_mut().for_each(|recv| assert_eq!((recv.wakes(), recv.ready()), (1, None)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(rx.recv_blocking(), None);
}

/// No receiver gets what a sender has got back, from the instant of the closing.
#[test]
fn nothing_is_received_after_the_close() {
    let (tx, rx) = rendezvous::channel();
    let mut send = Polled::waiting(tx.send(1));
    rx.close();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(send.ready().unwrap_err().into_inner(), 1);
}

#[test]
fn a_panicking_waker_at_the_close_stops_nobody() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("bomb");
        }
    }
    for receivers_first in [false, true] {
        let (tx, rx) = rendezvous::channel();
        let bomb = Waker::from(Arc::new(Bomb));
        let mut sends: Vec<_> = (0..40).map(|n| Box::pin(tx.send(n))).collect();
        let mut recvs: Vec<_> = (0..40).map(|_| Box::pin(rx.recv())).collect();
        let count = Count::new();
        let waker = Waker::from(Arc::clone(&count));
        if receivers_first {
            for (n, recv) in recvs.iter_mut().enumerate() {
                let waker = if n == 0 { &bomb } else { &waker };
                assert!(poll_with(recv.as_mut(), waker).is_pending());
            }
        } else {
            for (n, send) in sends.iter_mut().enumerate() {
                let waker = if n == 0 { &bomb } else { &waker };
                assert!(poll_with(send.as_mut(), waker).is_pending());
            }
        }
        catch_unwind(AssertUnwindSafe(|| tx.close())).unwrap_err();
        assert_eq!(count.wakes(), 39);
    }
}

#[test]
fn who_polled_last_is_woken() {
    let (tx, rx) = rendezvous::channel();
    let counts = [Count::new(), Count::new()];
    let mut send = Box::pin(tx.send(1));
    for count in &counts {
        assert!(support::poll(send.as_mut(), count).is_pending());
    }
    // The old waker is gone.
    assert_eq!(Arc::strong_count(&counts[0]), 1);
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(counts.map(|count| count.wakes()), [0, 1]);
}

#[test]
fn nothing_foreign_runs_under_a_lock() {
    /// Uses its channel in every function that a waker has, and as a message.
    struct Nosy(Sender<Option<Arc<Nosy>>>, Receiver<Option<Arc<Nosy>>>);

    impl Nosy {
        fn look(&self) {
            let _ = (format!("{:?}", self.0), self.1.is_closed());
            for waiting in [false, true] {
                let recv = waiting.then(|| Polled::new(self.1.recv())).map(|mut recv| {
                    let _ = recv.poll();
                    recv
                });
                let _ = self.0.try_send(None);
                let _ = self.1.try_recv();
                drop(recv);
            }
            let _ = Polled::new(self.0.send(None)).poll();
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

    let (tx, rx) = rendezvous::channel();
    let nosy = || Arc::new(Nosy(tx.clone(), rx.clone()));
    let wakers = || [Waker::from(nosy()), Waker::from(nosy())];
    // Replaced, called, and dropped uncalled, on both sides.
    for _ in 0..2 {
        let mut send = Box::pin(tx.send(Some(nosy())));
        wakers().iter().for_each(|waker| assert!(poll_with(send.as_mut(), waker).is_pending()));
        let _ = rx.try_recv();
        let mut recv = Box::pin(rx.recv());
        for waker in wakers() {
            let _ = poll_with(recv.as_mut(), &waker);
        }
        let _ = tx.try_send(Some(nosy()));
    }
    let mut send = Box::pin(tx.send(Some(nosy())));
    let _ = poll_with(send.as_mut(), &wakers()[0]);
    drop(send);
    let mut send = Box::pin(tx.send(Some(nosy())));
    let _ = poll_with(send.as_mut(), &wakers()[0]);
    tx.close();
}

/// An executor that polls inside `wake`: the send is over before the call that offered it returns.
#[test]
fn wakers_that_poll_in_place() {
    struct InPlace(Mutex<Option<annulus::channel::rendezvous::Receiver<u8>>>, AtomicUsize);
    impl Wake for InPlace {
        fn wake(self: Arc<Self>) {
            let rx = self.0.lock().unwrap().take().unwrap();
            self.1.store(rx.try_recv().unwrap().into(), SeqCst);
        }
    }
    let (tx, rx) = rendezvous::channel();
    let in_place = Arc::new(InPlace(Mutex::new(Some(rx.clone())), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&in_place));
    let mut recv = Box::pin(rx.recv());
    assert!(recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let mut send = Polled::waiting(tx.send(7));
    assert_eq!(in_place.1.load(SeqCst), 7);
    assert_eq!(send.wakes(), 1);
    assert_eq!(send.ready(), Ok(()));
    drop(recv);
}

#[test]
fn threads_meet() {
    let count = rounds(20_000);
    let (tx, rx) = rendezvous::channel();
    let under_way = &AtomicUsize::new(0);
    thread::scope(|s| {
        for sender in 0..3 {
            let tx = tx.clone();
            s.spawn(move || {
                for n in 0..count {
                    under_way.fetch_add(1, SeqCst);
                    tx.send_blocking((sender, n)).unwrap();
                    under_way.fetch_sub(1, SeqCst);
                }
            });
        }
        drop(tx);
        let receivers: Vec<_> = (0..2)
            .map(|_| {
                let rx = rx.clone();
                s.spawn(move || {
                    let (mut next, mut received) = ([0; 3], 0);
                    while let Some((sender, n)) = rx.recv_blocking() {
                        assert!(n >= next[sender], "{n} of sender {sender} overtaken");
                        next[sender] = n + 1;
                        received += 1;
                    }
                    received
                })
            })
            .collect();
        let received: usize = receivers.into_iter().map(|r| r.join().unwrap()).sum();
        assert_eq!(received, 3 * count);
        assert_eq!(under_way.load(SeqCst), 0);
    });
}

/// A thread is in step with the other: it never gets ahead by more than the message it offers.
#[test]
fn nobody_gets_ahead() {
    let (tx, rx) = rendezvous::channel();
    let sent = &AtomicUsize::new(0);
    thread::scope(|s| {
        s.spawn(move || {
            for n in 0..rounds(2_000) {
                tx.send_blocking(n).unwrap();
                sent.store(n + 1, SeqCst);
            }
        });
        let mut received = 0;
        while rx.recv_blocking().is_some() {
            received += 1;
            assert!(sent.load(SeqCst) <= received);
        }
        assert_eq!(received, rounds(2_000));
    });
}

/// What senders know of their messages, given up or not, is what receivers have got.
#[test]
fn nothing_is_lost_or_doubled_when_many_give_up() {
    let (tx, rx) = rendezvous::channel();
    let (sent, received) = (Mutex::new(HashSet::new()), Mutex::new(HashSet::new()));
    let senders = AtomicUsize::new(3);
    thread::scope(|s| {
        for sender in 0..3 {
            let (tx, sent, senders) = (tx.clone(), &sent, &senders);
            s.spawn(move || {
                for n in 0..rounds(2_000) {
                    let message = (sender, n);
                    let went = match n % 3 {
                        0 => tx.send_timeout_blocking(message, Duration::from_micros(20)).is_ok(),
                        1 => tx.try_send(message).is_ok(),
                        _ => {
                            let mut send = tx.send(message);
                            let _ = poll_with(std::pin::pin!(&mut send), Waker::noop());
                            thread::yield_now();
                            send.cancel().is_none()
                        }
                    };
                    if went {
                        assert!(sent.lock().unwrap().insert(message));
                    }
                }
                senders.fetch_sub(1, SeqCst);
            });
        }
        for receiver in 0..3 {
            let (rx, received, senders) = (rx.clone(), &received, &senders);
            s.spawn(move || {
                while senders.load(SeqCst) > 0 {
                    let got = match receiver {
                        0 => rx.recv_timeout_blocking(Duration::from_micros(20)).ok(),
                        1 => rx.try_recv().ok(),
                        _ => match poll_with(std::pin::pin!(rx.recv()), Waker::noop()) {
                            Poll::Ready(got) => got,
                            Poll::Pending => None,
                        },
                    };
                    if let Some(message) = got {
                        assert!(received.lock().unwrap().insert(message), "{message:?} twice");
                    }
                }
            });
        }
    });
    // What `try_send` has sent to receivers that then gave up.
    while let Ok(message) = rx.try_recv() {
        assert!(received.lock().unwrap().insert(message), "{message:?} twice");
    }
    assert_eq!(sent.into_inner().unwrap(), received.into_inner().unwrap());
}

#[test]
fn tasks_meet() {
    let count = rounds(5_000);
    annulus::block_on(async {
        let (tx, rx) = rendezvous::channel();
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let tx = tx.clone();
                annulus::spawn(async move {
                    for n in 1..=count {
                        tx.send(n).await.unwrap();
                    }
                })
            })
            .collect();
        drop(tx);
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let rx = rx.clone();
                annulus::spawn(async move {
                    let mut sum = 0;
                    while let Some(n) = rx.recv().await {
                        sum += n;
                    }
                    sum
                })
            })
            .collect();
        for sender in senders {
            sender.await.unwrap();
        }
        let mut sum = 0;
        for receiver in receivers {
            sum += receiver.await.unwrap();
        }
        assert_eq!(sum, 4 * count * (count + 1) / 2);
    });
}

#[test]
fn handles_say_how_things_stand() {
    let (tx, rx) = rendezvous::channel::<u8>();
    let (other, _rx) = rendezvous::channel::<u8>();
    let second = tx.clone();
    assert!(tx.same_channel(&second) && !tx.same_channel(&other));
    assert!(rx.same_channel(&rx.clone()));
    assert_eq!((tx.sender_count(), tx.receiver_count()), (2, 1));
    assert_eq!((rx.sender_count(), rx.receiver_count()), (2, 1));
    assert_eq!(format!("{tx:?}"), "Sender { on_offer: false, closed: false }");
    let mut send = Polled::new(tx.send(1));
    assert_eq!(format!("{:?}", tx.send(2)), "SendFuture { stage: Holds }");
    assert!(send.poll().is_pending());
    assert_eq!(format!("{rx:?}"), "Receiver { on_offer: true, closed: false }");
    drop(second);
    rx.close();
    assert_eq!(format!("{rx:?}"), "Receiver { on_offer: false, closed: true }");
    assert_eq!(tx.sender_count(), 1);
    assert!(format!("{:?}", rx.recv()).starts_with("RecvFuture"));
}
