//! Classes of bugs that other channels have had, and this one must not: a test for each.
//!
//! Those about waiters and wakes are in `bug_classes_waiting.rs`, under the same count. Where a
//! loom model or a program that must not compile proves more, the test names it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use annulus::channel::{self, Receiver, RecvTimeoutError, Sender, State, TryRecvError};
use support::{Count, Counted, Fan, now, poll, rounds};

#[macro_use]
mod support;

/// What may cross threads does so. That other things may not: `auto_traits.rs`, and
/// `compile_fail/a_message_that_may_not_cross.rs`.
#[test]
fn class_01_send_but_not_sync_is_enough() {
    each!(make => {
        let (mut tx, mut rx) = make(1);
        tx.try_send(Cell::new(1)).unwrap();
        let (mut send, send_wakes) = waiting!(tx.send(Cell::new(2)));
        // Each operation is polled here, and completed on another thread.
        thread::scope(|s| {
            let rx = &mut rx;
            s.spawn(move || assert_eq!(rx.try_recv().unwrap().into_inner(), 1));
        });
        thread::scope(|s| {
            s.spawn(|| assert!(poll(send.as_mut(), &send_wakes).is_ready()));
        });
        drop(send);
        assert_eq!(rx.try_recv().unwrap().get(), 2);
        let permit = tx.try_reserve().unwrap();
        let (mut recv, wakes) = waiting!(rx.recv());
        thread::scope(|s| {
            s.spawn(move || permit.send(Cell::new(3)));
        });
        thread::scope(|s| {
            s.spawn(|| assert_eq!(poll(recv.as_mut(), &wakes), Poll::Ready(Some(Cell::new(3)))));
        });
    });
}

/// In the ring alone: `src/ring/tests.rs`.
#[test]
fn class_02_dropping_a_channel_drops_each_message_once() {
    #[derive(Clone, Copy)]
    #[repr(align(256))]
    struct Wide(u8);

    each!(make => {
        for start in 0..4 {
            for count in 0..=3 {
                for tx_first in [true, false] {
                    let drops = Arc::new(AtomicUsize::new(0));
                    let (mut tx, mut rx) = make(3);
                    for _ in 0..start {
                        tx.try_send((None, Wide(0))).unwrap();
                        rx.try_recv().unwrap();
                    }
                    for n in 0..count {
                        let (counted, wide) = (Counted(Arc::clone(&drops)), Wide(n));
                        tx.try_send((Some(counted), wide)).unwrap();
                    }
                    if let (Ok((_, wide)), true) = (rx.try_recv(), start == 1) {
                        assert_eq!(wide.0, 0);
                        assert_eq!((&raw const wide).addr() % 256, 0);
                    }
                    if tx_first { drop((tx, rx)) } else { drop((rx, tx)) }
                    assert_eq!(drops.load(SeqCst), usize::from(count));
                }
            }
        }
    });

    struct Nothing;
    static NOTHINGS: AtomicUsize = AtomicUsize::new(0);
    impl Drop for Nothing {
        fn drop(&mut self) {
            NOTHINGS.fetch_add(1, SeqCst);
        }
    }
    each!(make => {
        let before = NOTHINGS.load(SeqCst);
        let (mut tx, mut rx) = make(3);
        for n in 0..5 {
            tx.try_send(Nothing).unwrap();
            if n < 3 {
                rx.try_recv().unwrap();
            }
        }
        tx.try_send(Nothing).unwrap();
        assert!(tx.try_send(Nothing).is_err());
        assert_eq!(NOTHINGS.load(SeqCst) - before, 4);
        drop((tx, rx));
        assert_eq!(NOTHINGS.load(SeqCst) - before, 7);
    });

    /// Panics in the drop whose turn it is.
    struct Bomb(Arc<AtomicUsize>, usize);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(self.0.fetch_add(1, SeqCst) != self.1, "a drop panics");
        }
    }
    each!(make => {
        for which in 0..3 {
            let drops = Arc::new(AtomicUsize::new(0));
            let (mut tx, mut rx) = make(3);
            tx.try_send(None).unwrap();
            rx.try_recv().unwrap();
            (0..3).for_each(|_| tx.try_send(Some(Bomb(Arc::clone(&drops), which))).unwrap());
            drop(tx);
            assert!(catch_unwind(AssertUnwindSafe(|| drop(rx))).is_err());
            assert_eq!(drops.load(SeqCst), 3);
            assert_eq!(Arc::strong_count(&drops), 1);
        }
    });
}

/// Loom: `close_against_push` of the ring, `close_wakes_who_waits` of the channel.
#[test]
fn class_03_the_last_receiver_drops_during_a_send() {
    each!(make => {
        for round in 0..rounds(600) {
            let drops = Arc::new(AtomicUsize::new(0));
            let (tx, mut rx) = make(2);
            let made = AtomicUsize::new(0);
            thread::scope(|s| {
                for mut tx in tx.fan(2) {
                    let (drops, made) = (&drops, &made);
                    s.spawn(move || loop {
                        made.fetch_add(1, SeqCst);
                        let error = match tx.send_blocking(Counted(Arc::clone(drops))) {
                            Ok(()) => continue,
                            Err(error) => error,
                        };
                        drop(error.into_inner());
                        // The sender is alive, and nothing that was sent is.
                        break;
                    });
                }
                (0..round % 4).for_each(|_| drop(rx.recv_blocking()));
                drop(rx);
            });
            assert_eq!(drops.load(SeqCst), made.load(SeqCst));
            assert_eq!(Arc::strong_count(&drops), 1);
        }
    });

    // A sender that outlives the receiver keeps no message alive.
    each!(make => {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut tx, rx) = make(1);
        tx.try_send(Counted(Arc::clone(&drops))).unwrap();
        let (mut send, wakes) = waiting!(tx.send(Counted(Arc::clone(&drops))));
        drop(rx);
        assert_eq!((drops.load(SeqCst), wakes.wakes()), (1, 1));
        assert!(poll(send.as_mut(), &wakes).map(Result::unwrap_err).is_ready());
        assert_eq!(drops.load(SeqCst), 2);
    });
}

/// Loom: `a_send_is_seen_by_who_looks_later`, `close_against_push`.
#[test]
fn class_04_the_end_comes_after_the_last_message() {
    each!(make => {
        for round in 0..rounds(150) {
            let (tx, rx) = make(4);
            let txs = tx.fan(2);
            let expected = 5 * txs.len();
            let received = AtomicUsize::new(0);
            thread::scope(|s| {
                for mut tx in txs {
                    s.spawn(move || (0..5).for_each(|n| tx.send_blocking(n).unwrap()));
                }
                for mut rx in rx.fan(2) {
                    let received = &received;
                    s.spawn(move || {
                        loop {
                            match rx.try_recv() {
                                Ok(_) => received.fetch_add(1, SeqCst),
                                Err(TryRecvError::Closed) => break,
                                Err(TryRecvError::Empty) if round % 2 == 0 => { thread::yield_now(); continue }
                                Err(TryRecvError::Empty) => match rx.recv_blocking() {
                                    Some(_) => received.fetch_add(1, SeqCst),
                                    None => break,
                                },
                            };
                        }
                        // Final, in all its forms.
                        assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
                        assert_eq!(rx.recv_blocking(), None);
                        assert_eq!(rx.state(), State::Closed);
                    });
                }
            });
            assert_eq!(received.into_inner(), expected);
        }
    });
}

#[test]
fn class_17_no_time_past_times_and_all_time() {
    each!(make => {
        let (mut tx, mut rx) = make(1);
        let past = Instant::now();
        let forever = Duration::MAX;
        assert_eq!(rx.recv_timeout_blocking(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        assert_eq!(rx.recv_deadline_blocking(past), Err(RecvTimeoutError::Timeout));
        // What can be done at once is done, however late it is.
        tx.send_timeout_blocking(1, Duration::ZERO).unwrap();
        assert_eq!(rx.recv_deadline_blocking(past), Ok(1));
        tx.send_deadline_blocking(2, past).unwrap();
        let full = tx.send_timeout_blocking(3, Duration::ZERO).unwrap_err();
        assert!(full.is_timeout() && full.into_inner() == 3);
        let full = tx.send_deadline_blocking(4, past).unwrap_err();
        assert!(full.is_timeout() && full.into_inner() == 4);
        assert_eq!(rx.recv_timeout_blocking(Duration::ZERO), Ok(2));
        // All of time is not an overflow, and it waits.
        thread::scope(|s| {
            let tx = &mut tx;
            s.spawn(move || (0..3).for_each(|n| tx.send_timeout_blocking(n, forever).unwrap()));
            (0..3).for_each(|n| assert_eq!(rx.recv_timeout_blocking(forever), Ok(n)));
        });
        // Those that gave up have left nothing: a wake goes to who waits now.
        let (recv, wakes) = waiting!(rx.recv());
        tx.send_blocking(5).unwrap();
        assert_eq!(wakes.wakes(), 1);
        drop(recv);
        // The end comes before the end of time.
        assert_eq!(rx.recv_timeout_blocking(forever), Ok(5));
        tx.close();
        assert!(tx.send_timeout_blocking(6, forever).unwrap_err().is_closed());
        assert!(tx.send_deadline_blocking(6, past).unwrap_err().is_closed());
        assert_eq!(rx.recv_timeout_blocking(forever), Err(RecvTimeoutError::Closed));
        assert_eq!(rx.recv_deadline_blocking(past), Err(RecvTimeoutError::Closed));
    });
}

#[test]
fn class_18_channels_in_messages_and_sends_in_drops() {
    /// Sends from its drop, into the channel it is in.
    struct Echo(Sender<Option<Echo>>, Arc<AtomicUsize>);
    impl Drop for Echo {
        fn drop(&mut self) {
            self.1.fetch_add(1, SeqCst);
            if self.0.try_send(None).is_err() {
                assert!(self.0.is_closed());
            }
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = channel::mpmc(2);
    let echo = || Some(Echo(tx.clone(), Arc::clone(&drops)));
    // Dropped by its receiver, when there is room; then with the channel, when it is closed.
    tx.try_send(echo()).unwrap();
    drop(rx.try_recv());
    assert_eq!(rx.len(), 1);
    assert!(rx.try_recv().unwrap().is_none());
    tx.try_send(echo()).unwrap();
    tx.try_send(echo()).unwrap();
    drop(rx);
    assert_eq!((drops.load(SeqCst), tx.sender_count()), (3, 1));

    // The last sender of a channel is in the channel.
    let drops = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = channel::mpmc(2);
    tx.try_send(Some(Echo(tx.clone(), Arc::clone(&drops)))).unwrap();
    drop(tx);
    assert_eq!(rx.state(), State::Open);
    drop(rx);
    assert_eq!((drops.load(SeqCst), Arc::strong_count(&drops)), (1, 1));

    // A chain of channels, each in the one before: dropped from the outside, or gone through.
    enum Chain {
        Link(Receiver<Chain, channel::Mpsc>),
        End(Counted),
    }
    let chain = |drops: &Arc<AtomicUsize>| {
        (0..50).fold(Chain::End(Counted(Arc::clone(drops))), |chain, _| {
            let (tx, rx) = channel::mpsc(1);
            tx.try_send(chain).unwrap();
            Chain::Link(rx)
        })
    };
    drop(chain(&drops));
    assert_eq!(drops.load(SeqCst), 2);
    let mut links = 0;
    let mut next = chain(&drops);
    while let Chain::Link(mut rx) = next {
        links += 1;
        next = now(rx.recv()).unwrap();
    }
    let Chain::End(counted) = next else { unreachable!() };
    drop(counted);
    assert_eq!((links, drops.load(SeqCst)), (50, 3));
}

#[test]
fn class_19_len_is_within_bounds_at_every_instant() {
    each!(make => {
        for capacity in [1, 2, 7] {
            let (tx, rx) = make(capacity);
            let (txs, mut rxs) = (tx.fan(2), rx.fan(2));
            let look = |len: usize| assert!(len <= capacity, "{len} of {capacity}");
            thread::scope(|s| {
                for mut tx in txs {
                    s.spawn(move || {
                        for n in 0..rounds(1_000) {
                            match n % 5 {
                                0 => drop(tx.try_reserve()),
                                1 => drop(tx.try_send_many(&mut (0..3).map(|_| n))),
                                _ => tx.send_blocking(n).unwrap(),
                            }
                            look(tx.len());
                        }
                    });
                }
                let mut last = rxs.pop().unwrap();
                for mut rx in rxs {
                    s.spawn(move || {
                        while rx.recv_blocking().is_some() {
                            look(rx.len());
                        }
                    });
                }
                let mut out = Vec::new();
                while last.try_recv_many(&mut out, 2) != Err(TryRecvError::Closed) {
                    look(last.len());
                    thread::yield_now();
                }
                assert_eq!((last.len(), last.is_empty()), (0, true));
            });
        }
    });
}

/// The indices run over the slots and are never as large as a word; the ring's own tests start
/// near the last slot (`starting_at`).
#[test]
fn class_20_indices_go_round() {
    each!(make => {
        for capacity in 1..6 {
            let (mut tx, mut rx) = make(capacity);
            let (mut sent, mut received) = (0, 0);
            let mut out = Vec::new();
            // From each slot, every number of messages, one by one and as batches.
            for step in 0..(capacity + 1) * 12 {
                let count = step % (capacity + 1);
                if step % 2 == 0 {
                    (0..count).for_each(|i| tx.try_send(sent + i).unwrap());
                } else if count > 0 {
                    assert_eq!(tx.try_send_many(&mut (sent..sent + count)).unwrap(), count);
                }
                sent += count;
                assert_eq!((tx.len(), tx.is_full()), (count, count == capacity));
                if step % 3 == 0 && count > 0 {
                    assert_eq!(rx.try_recv_many(&mut out, capacity), Ok(count));
                } else {
                    out.extend(rx.try_iter());
                }
                assert!(out.drain(..).eq(received..sent));
                received = sent;
                assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            }
        }
    });
}

#[test]
fn class_22_the_smallest_channels_under_every_race() {
    each!(make => {
        for capacity in [1, 2] {
            let each = rounds(1_500);
            let (tx, rx) = make(capacity);
            let (txs, rxs) = (tx.fan(2), rx.fan(2));
            let count = txs.len() * each;
            let mut all: Vec<usize> = thread::scope(|s| {
                for (i, mut tx) in txs.into_iter().enumerate() {
                    s.spawn(move || {
                        for n in i * each..(i + 1) * each {
                            match n % 4 {
                                // Waits that are cancelled at once, or soon.
                                0 => {
                                    let _ = tx.send_timeout_blocking(usize::MAX, Duration::ZERO);
                                }
                                1 => {
                                    let mut reserve = Box::pin(tx.reserve());
                                    let _ = poll(reserve.as_mut(), &Count::new());
                                }
                                _ => {}
                            }
                            tx.send_blocking(n).unwrap();
                        }
                    });
                }
                let receivers: Vec<_> = rxs
                    .into_iter()
                    .map(|mut rx| {
                        s.spawn(move || {
                            let mut all = Vec::new();
                            loop {
                                match rx.recv_timeout_blocking(Duration::ZERO) {
                                    Ok(n) => all.push(n),
                                    Err(RecvTimeoutError::Timeout) => all.extend(rx.recv_blocking()),
                                    Err(RecvTimeoutError::Closed) => break all,
                                }
                            }
                        })
                    })
                    .collect();
                receivers.into_iter().flat_map(|r| r.join().unwrap()).collect()
            });
            all.retain(|&n| n != usize::MAX);
            all.sort_unstable();
            assert!(all.into_iter().eq(0..count), "a message was lost or came twice");
        }
    });
}

#[test]
fn class_25_closed_once_and_for_all() {
    each!(make => {
        for _ in 0..rounds(200) {
            let (tx, mut rx) = make::<u8>(1);
            let (recv, wakes) = waiting!(rx.recv());
            let firsts: usize = thread::scope(|s| {
                let closers = [(); 3].map(|()| s.spawn(|| usize::from(tx.close())));
                closers.map(|c| c.join().unwrap()).iter().sum()
            });
            assert_eq!((firsts, wakes.wakes()), (1, 1));
            drop(recv);
            assert!(!tx.close());
        }
    });

    each!(make => {
        let (mut tx, rx) = make(4);
        tx.try_send(0).unwrap();
        let mut rx = rx.close();
        assert!(!tx.close());
        // Whatever way it is sent, it comes back.
        assert_eq!(tx.try_send(1).unwrap_err().into_inner(), 1);
        assert_eq!(now(tx.send(2)).unwrap_err().into_inner(), 2);
        assert_eq!(tx.send_blocking(3).unwrap_err().into_inner(), 3);
        assert_eq!(tx.send_timeout_blocking(4, Duration::MAX).unwrap_err().into_inner(), 4);
        assert!(now(tx.send_many(5..9)).unwrap_err().into_inner().eq(5..9));
        let mut items = 5..9;
        assert!(tx.try_send_many(&mut items).unwrap_err().is_closed());
        assert_eq!(items, 5..9);
        assert!(now(tx.reserve()).is_err());
        assert!(tx.try_reserve().unwrap_err().is_closed());
        let tx = now(tx.reserve_owned()).unwrap_err().into_inner();
        let tx = tx.try_reserve_owned().unwrap_err().into_inner();
        // None of it is in the channel.
        assert_eq!((rx.next(), rx.next(), tx.state()), (Some(0), None, State::Closed));
        drop(rx);
        assert!(!tx.close());
    });
    each!(make in [spmc, mpmc] => {
        let (mut tx, rx) = make(1);
        tx.try_send(0).unwrap();
        tx.close();
        assert_eq!(tx.force_send(1).unwrap_err().into_inner(), 1);
        assert_eq!(rx.drain().collect::<Vec<_>>(), [0]);
    });
}
