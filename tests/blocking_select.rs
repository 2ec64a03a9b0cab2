//! Selecting from several channels on plain threads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use annulus::channel::{self, Select, SelectTimeoutError, TrySelectError, oneshot, rendezvous};
use support::{Counted, Polled, panic_text, rounds};

#[macro_use]
mod support;

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn each_topology_receives_and_sends() {
    each!(make => {
        let (mut tx, mut rx) = make(1);
        let mut select = Select::new();
        let send = select.send(&mut tx);
        assert_eq!((send.index(), select.len()), (0, 1));
        assert_eq!(select.select().send(&send, 1), Ok(()));
        assert_eq!(select.try_select().err(), Some(TrySelectError));
        drop((send, select));

        let mut select = Select::new();
        let recv = select.recv(&mut rx);
        assert_eq!(select.select().recv(&recv), Some(1));
        assert_eq!(select.try_select().err(), Some(TrySelectError));
        drop(tx);
        assert_eq!(select.select().recv(&recv), None);
        drop((recv, select));

        let (mut tx, rx) = make(1);
        drop(rx);
        let mut select = Select::new();
        let send = select.send(&mut tx);
        assert_eq!(select.select().send(&send, 2).unwrap_err().into_inner(), 2);
    });
}

/// Both sides wait, and are woken, by messages, room, and the end.
#[test]
fn each_topology_waits() {
    each!(make => {
        let count = rounds(2_000);
        let (mut tx, mut rx) = make(1);
        thread::scope(|s| {
            s.spawn(move || {
                let mut select = Select::new();
                let send = select.send(&mut tx);
                for n in 0..count {
                    select.select().send(&send, n).unwrap();
                }
            });
            let mut select = Select::new();
            let recv = select.recv(&mut rx);
            for n in 0..count {
                assert_eq!(select.select().recv(&recv), Some(n));
            }
            assert_eq!(select.select_timeout(LONG).unwrap().recv(&recv), None);
        });
    });
}

#[test]
fn messages_of_different_types() {
    let text = String::from("borrowed");
    let (mut numbers, mut number_rx) = channel::spsc(1);
    let (words, mut word_rx) = channel::mpsc(1);
    let (mut flags, flag_rx) = channel::spmc(1);
    let (units, unit_rx) = channel::mpmc(1);
    let mut select = Select::new();
    let number = select.recv(&mut number_rx);
    let word = select.recv(&mut word_rx);
    let flag = select.recv(&flag_rx);
    let unit = select.send(&units);
    assert_eq!(select.select().send(&unit, ()), Ok(()));
    words.try_send(&text[..3]).unwrap();
    assert_eq!(select.select().recv(&word), Some("bor"));
    flags.try_send(true).unwrap();
    assert_eq!(select.select().recv(&flag), Some(true));
    numbers.try_send(7).unwrap();
    let selected = select.select();
    assert_eq!(selected.index(), number.index());
    assert_eq!(selected.recv(&number), Some(7));
    assert_eq!(unit_rx.len(), 1);
}

#[test]
fn what_is_not_selected_loses_nothing() {
    let (tx, rx) = channel::mpmc(4);
    let (other_tx, other_rx) = channel::mpmc(4);
    let (room, room_rx) = channel::mpmc(4);
    (0..4).for_each(|n| tx.try_send(n).unwrap());
    (0..4).for_each(|n| other_tx.try_send(n).unwrap());
    let mut select = Select::new();
    let first = select.recv(&rx);
    let second = select.recv(&other_rx);
    let third = select.send(&room);
    for done in 0..12 {
        let selected = select.select();
        match selected.index() {
            i if i == first.index() => assert!(selected.recv(&first).is_some()),
            i if i == second.index() => assert!(selected.recv(&second).is_some()),
            _ => selected.send(&third, 0).unwrap(),
        }
        let left = rx.len() + other_rx.len();
        assert_eq!((4 - room_rx.len()) + left, 12 - done - 1);
    }
    assert_eq!(select.try_select().err(), Some(TrySelectError));
    assert_eq!(select.select_timeout(Duration::ZERO).err(), Some(SelectTimeoutError));
}

#[test]
fn each_of_several_has_its_turn() {
    let channels: Vec<_> = (0..4).map(|_| channel::mpmc(1)).collect();
    let (rounds, least) = if cfg!(miri) { (600, 144) } else { (3_000, 850) };
    let mut counts = [0; 4];
    let mut select = Select::new();
    let cases: Vec<_> = channels.iter().map(|(_, rx)| select.recv(rx)).collect();
    // One is never ready; the others have even chances, also the one after it.
    for n in [0, 2, 3] {
        channels[n].0.try_send(n).unwrap();
    }
    for round in 0..rounds {
        let n = if round % 2 == 0 {
            let selected = select.select();
            let index = selected.index();
            selected.recv(&cases[index]).unwrap()
        } else {
            let selected = select.try_select().unwrap();
            let index = selected.index();
            selected.recv(&cases[index]).unwrap()
        };
        counts[n] += 1;
        channels[n].0.try_send(n).unwrap();
    }
    assert_eq!(counts[1], 0);
    assert!([0, 2, 3].iter().all(|&n| counts[n] > least), "{counts:?}");
    // A new set for each message, as is usual.
    counts = [0; 4];
    for round in 0..rounds {
        let mut select = Select::new();
        let _cases: Vec<_> = channels.iter().map(|(_, rx)| select.recv(rx)).collect();
        counts[if round % 2 == 0 { select.ready() } else { select.try_ready().unwrap() }] += 1;
    }
    assert!([0, 2, 3].iter().all(|&n| counts[n] > least), "{counts:?}");
}

#[test]
fn a_selected_send_has_its_room() {
    each!(make => {
        let (mut tx, mut rx) = make(1);
        let mut select = Select::new();
        let send = select.send(&mut tx);
        let selected = select.select();
        // The end comes between, and the message is sent all the same.
        let closed = rx.close();
        assert_eq!(selected.send(&send, 5), Ok(()));
        assert_eq!(closed.collect::<Vec<_>>(), [5]);
        assert_eq!(select.select().send(&send, 6).unwrap_err().into_inner(), 6);
    });
    let (tx, _rx) = channel::mpmc(1);
    let mut select = Select::new();
    let send = select.send(&tx);
    let selected = select.select();
    assert!(tx.try_send(1).unwrap_err().is_full());
    selected.send(&send, 2).unwrap();
}

/// An operation that is dropped, or whose completion panics, is selected again.
#[test]
fn what_was_selected_stays_so_until_completed() {
    let (tx, rx) = channel::mpmc(2);
    let (other_tx, other_rx) = channel::mpmc(2);
    let mut select = Select::new();
    let recv = select.recv(&rx);
    let other = select.recv(&other_rx);
    let send = select.send(&other_tx);
    select.remove(send.index());
    tx.try_send(1).unwrap();
    drop(select.select());
    assert!(rx.is_empty());
    other_tx.try_send(10).unwrap();
    assert_eq!(select.try_select().unwrap().index(), recv.index());
    let text = panic_text(|| select.select().recv(&other));
    assert!(text.contains("this case was not selected"), "{text}");
    let text = panic_text(|| select.select().send(&send, 0));
    assert!(text.contains("compare its index"), "{text}");
    drop(select.select_timeout(LONG).unwrap());
    // A case of another set does not pass for it, though its index is the same.
    let mut foreign = Select::new();
    let same_index = foreign.recv(&rx);
    assert_eq!(same_index.index(), recv.index());
    panic_text(|| select.select().recv(&same_index));
    assert_eq!(select.select_deadline(Instant::now()).unwrap().recv(&recv), Some(1));
    assert_eq!(select.select().recv(&other), Some(10));
    let text = panic_text(|| select.remove(send.index()));
    assert!(text.contains("no operation has index 2"), "{text}");
}

/// What was selected and never completed is dropped, or goes back, once.
#[test]
fn a_set_that_drops_lets_go() {
    let drops = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = channel::mpmc(1);
    for remove in [false, true] {
        tx.try_send(Counted(Arc::clone(&drops))).unwrap();
        let before = drops.load(SeqCst);
        let mut select = Select::new();
        let case = select.recv(&rx);
        drop(select.select());
        assert_eq!(drops.load(SeqCst), before);
        if remove {
            select.remove(case.index());
        } else {
            drop(select);
        }
        assert_eq!(drops.load(SeqCst), before + 1);
        drop(case);
        assert_eq!(drops.load(SeqCst), before + 1);
    }
    each!(make => {
        let (mut tx, _rx) = make(1);
        for remove in [false, true] {
            let mut select = Select::new();
            let case = select.send(&mut tx);
            drop(select.select());
            if remove {
                select.remove(case.index());
                assert!(select.is_empty());
            }
        }
        assert!(tx.try_send(1).is_ok());
    });
}

/// The next who waits gets the wake: the set has left the queues.
#[test]
fn after_a_call_nobody_waits() {
    each!(make => {
        let (mut tx, mut rx) = make(1);
        let (_other_tx, mut other_rx) = make::<u8>(1);
        for ready in [false, true] {
            {
                let mut select = Select::new();
                let _recvs = (select.recv(&mut rx), select.recv(&mut other_rx));
                if ready {
                    assert!(select.ready_timeout(Duration::from_micros(1)).is_err());
                } else {
                    assert!(select.select_timeout(Duration::from_micros(1)).is_err());
                }
            }
            let mut recv = Polled::waiting(rx.recv());
            tx.try_send(1).unwrap();
            assert_eq!((recv.wakes(), recv.ready()), (1, Some(1)));
            drop(recv);

            tx.try_send(2).unwrap();
            {
                let mut select = Select::new();
                let _cases = (select.send(&mut tx), select.recv(&mut other_rx));
                if ready {
                    assert!(select.ready_deadline(Instant::now()).is_err());
                } else {
                    assert!(select.select_deadline(Instant::now()).is_err());
                }
            }
            let mut send = Polled::waiting(tx.send(3));
            assert_eq!(rx.try_recv(), Ok(2));
            assert_eq!((send.wakes(), send.ready()), (1, Ok(())));
            drop(send);
            assert_eq!(rx.try_recv(), Ok(3));
        }
    });
}

#[test]
fn ready_does_nothing() {
    each!(make => {
        let (mut tx, mut rx) = make(2);
        {
            let mut select = Select::new();
            let recv = select.recv(&mut rx);
            let send = select.send(&mut tx);
            assert_eq!((recv.index(), select.ready(), select.ready()), (0, send.index(), 1));
            assert_eq!(select.try_ready(), Ok(1));
            select.remove(1);
            assert_eq!(select.try_ready(), Err(TrySelectError));
            assert_eq!(select.ready_timeout(Duration::ZERO), Err(SelectTimeoutError));
        }
        assert_eq!((tx.try_send(1), tx.try_send(2)), (Ok(()), Ok(())));
        {
            let mut select = Select::new();
            let _cases = (select.send(&mut tx), select.recv(&mut rx));
            assert_eq!((select.ready(), select.ready_timeout(LONG), select.try_ready()),
                (1, Ok(1), Ok(1)));
        }
        assert_eq!(rx.len(), 2);
        // Closed, with messages and without.
        tx.close();
        {
            let mut select = Select::new();
            let send = select.send(&mut tx);
            assert_eq!((select.try_ready(), select.ready()), (Ok(0), 0));
            assert_eq!(select.select().send(&send, 3).unwrap_err().into_inner(), 3);
        }
        for left in [2, 1, 0] {
            assert_eq!(rx.len(), left);
            let mut select = Select::new();
            let _recv = select.recv(&mut rx);
            assert_eq!((select.ready(), select.try_ready()), (0, Ok(0)));
            drop((_recv, select));
            let _ = rx.try_recv();
        }
        let mut select = Select::new();
        let _send = select.send(&mut tx);
        assert_eq!((select.ready(), select.try_ready()), (0, Ok(0)));
    });
}

/// A closed channel that a permit keeps from its end is not ready to be received from.
#[test]
fn the_end_waits_for_permits() {
    let (tx, mut rx) = channel::mpsc(2);
    let permit = tx.try_reserve().unwrap();
    tx.close();
    let mut select = Select::new();
    let recv = select.recv(&mut rx);
    assert_eq!(select.try_ready(), Err(TrySelectError));
    assert!(select.ready_timeout(Duration::ZERO).is_err());
    assert!(select.try_select().is_err());
    permit.send(1);
    assert_eq!((select.ready(), select.select().recv(&recv)), (0, Some(1)));
    assert_eq!((select.ready(), select.select().recv(&recv)), (0, None));
}

/// Room that is promised is not room.
#[test]
fn promised_room_is_not_ready() {
    let (tx, rx) = channel::mpmc(1);
    let permit = tx.try_reserve().unwrap();
    let mut select = Select::new();
    let send = select.send(&tx);
    assert!(select.try_ready().is_err() && select.ready_timeout(Duration::ZERO).is_err());
    assert!(select.try_select().is_err() && select.select_timeout(Duration::ZERO).is_err());
    drop(permit);
    assert_eq!(select.try_ready(), Ok(0));
    select.select().send(&send, 1).unwrap();
    assert_eq!(rx.try_recv(), Ok(1));
}

#[test]
fn nothing_to_select_from() {
    let mut select = Select::default();
    for text in [panic_text(|| select.select().index()), panic_text(|| select.ready())] {
        assert!(text.contains("add one with `recv` or `send` first"), "{text}");
    }
    assert_eq!(select.try_select().err(), Some(TrySelectError));
    assert_eq!(select.select_timeout(Duration::from_millis(1)).err(), Some(SelectTimeoutError));
    assert_eq!(select.ready_deadline(Instant::now()), Err(SelectTimeoutError));
    assert_eq!(format!("{select:?}"), "Select { len: 0, selected: None }");
    assert!(TrySelectError.to_string().contains("wait for one with select"));
    assert!(SelectTimeoutError.to_string().contains("allow more time"));
}

#[test]
fn meetings_and_single_values() {
    let (offer, meets) = rendezvous::channel();
    let (answer, mut answers) = oneshot::channel();
    let (gone, mut never) = oneshot::channel::<u8>();
    let mut select = Select::new();
    let meet = select.recv(&meets);
    let once = select.recv(&mut answers);
    assert_eq!(
        (select.try_ready(), select.try_select().err()),
        (Err(TrySelectError), Some(TrySelectError))
    );
    assert!(select.ready_timeout(Duration::ZERO).is_err());
    assert!(select.select_timeout(Duration::ZERO).is_err());

    let mut send = Polled::waiting(offer.send("hello"));
    assert_eq!((select.ready(), select.try_ready()), (0, Ok(0)));
    assert!(send.poll().is_pending());
    assert_eq!((select.select().recv(&meet), send.ready()), (Some("hello"), Ok(())));
    drop(send);

    answer.send(7).unwrap();
    for _ in 0..2 {
        assert_eq!((select.ready(), select.try_ready()), (1, Ok(1)));
    }
    assert_eq!(select.try_select().unwrap().recv(&once), Some(7));
    // There is no second value, and the sender is gone.
    assert_eq!((select.ready(), select.select().recv(&once)), (1, None));
    select.remove(once.index());

    let none = select.recv(&mut never);
    drop(gone);
    assert_eq!((select.try_ready(), select.try_select().unwrap().recv(&none)), (Ok(2), None));
    select.remove(none.index());
    drop(offer);
    assert_eq!((select.try_ready(), select.try_select().unwrap().recv(&meet)), (Ok(0), None));
}

/// As `after_a_call_nobody_waits`.
#[test]
fn meetings_and_single_values_are_left() {
    let (offer, meets) = rendezvous::channel();
    let (answer, mut answers) = oneshot::channel();
    for ready in [false, true] {
        let mut select = Select::new();
        let _cases = (select.recv(&meets), select.recv(&mut answers));
        if ready {
            assert!(select.ready_timeout(Duration::from_micros(1)).is_err());
        } else {
            assert!(select.select_timeout(Duration::from_micros(1)).is_err());
        }
        assert_eq!(offer.try_send(1).unwrap_err().into_inner(), 1);
        let mut recv = Polled::waiting(meets.recv());
        offer.try_send(2).unwrap();
        assert_eq!((recv.wakes(), recv.ready()), (1, Some(2)));
    }
    let mut answers = Polled::waiting(answers);
    answer.send(3).unwrap();
    assert_eq!((answers.wakes(), answers.ready()), (1, Ok(3)));
}

/// Threads that send wake one that selects, until all have ended.
#[test]
fn meetings_and_single_values_wake() {
    for round in 0..rounds(400) {
        let (offer, meets) = rendezvous::channel();
        let (answer, mut answers) = oneshot::channel();
        thread::scope(|s| {
            s.spawn(move || (0..4).for_each(|n| offer.send_blocking(n).unwrap()));
            s.spawn(move || {
                if round % 2 == 0 {
                    answer.send(round).unwrap()
                }
            });
            let mut select = Select::new();
            let (meet, once) = (select.recv(&meets), select.recv(&mut answers));
            let (mut met, mut answered) = (0, None);
            while !select.is_empty() {
                let selected = select.select();
                let end = selected.index();
                let more = if end == meet.index() {
                    selected
                        .recv(&meet)
                        .map(|n| assert_eq!(n, met))
                        .inspect(|()| met += 1)
                        .is_some()
                } else {
                    answered = selected.recv(&once);
                    false
                };
                if !more {
                    select.remove(end);
                }
            }
            assert_eq!((met, answered), (4, (round % 2 == 0).then_some(round)));
        });
    }
}

#[test]
fn who_is_biased_prefers_the_first() {
    let channels: Vec<_> = (0..4).map(|_| channel::mpmc(1)).collect();
    let mut select = Select::new_biased();
    let cases: Vec<_> = channels.iter().map(|(_, rx)| select.recv(rx)).collect();
    for (n, (tx, _)) in channels.iter().enumerate() {
        tx.try_send(n).unwrap();
    }
    for first in 0..4 {
        for _ in 0..20 {
            assert_eq!((select.ready(), select.try_ready()), (first, Ok(first)));
            assert_eq!(select.select().recv(&cases[first]), Some(first));
            channels[first].0.try_send(first).unwrap();
            assert_eq!(select.try_select().unwrap().recv(&cases[first]), Some(first));
            channels[first].0.try_send(first).unwrap();
        }
        // The order of the others stays.
        select.remove(first);
    }
}

/// The room that a forgotten set has got is lost, and the channel still ends.
#[test]
fn a_forgotten_set_and_its_room() {
    let (tx, rx) = channel::mpmc::<u8>(1);
    let mut select = Select::new();
    let _send = select.send(&tx);
    drop(select.select());
    std::mem::forget((select, _send));
    assert!(tx.try_send(1).unwrap_err().is_full());
    drop(tx);
    assert_eq!(rx.recv_blocking(), None);
}

/// Tasks at the other ends: some send to the thread, and others receive from it.
#[test]
fn tasks_on_the_other_side() {
    let runtime = annulus::Builder::new().worker_threads(2).build().unwrap();
    each!(make => {
        let count = rounds(2_000);
        let ((mut from, mut inbox), (mut outbox, mut to)) = (make(2), make(1));
        let sender = runtime.spawn(async move {
            for n in 0..count {
                from.send(n).await.unwrap();
            }
        });
        let receiver = runtime.spawn(async move {
            let mut expected = 0;
            while let Some(n) = to.recv().await {
                assert_eq!(n, expected);
                expected += 1;
            }
            expected
        });
        let (mut held, mut open) = (VecDeque::new(), true);
        // A set for each message, as what is in it changes.
        while open || !held.is_empty() {
            let mut select = Select::new();
            let recv = open.then(|| select.recv(&mut inbox));
            let send = (!held.is_empty()).then(|| select.send(&mut outbox));
            let selected = select.select();
            match (&recv, &send) {
                (Some(recv), _) if recv.index() == selected.index() => match selected.recv(recv) {
                    Some(n) => held.push_back(n),
                    None => open = false,
                },
                (_, Some(send)) => selected.send(send, held.pop_front().unwrap()).unwrap(),
                _ => unreachable!(),
            }
        }
        drop(outbox);
        runtime.block_on(sender).unwrap();
        assert_eq!(runtime.block_on(receiver).unwrap(), count);
    });
}

/// One thread at both ends of a channel, in one set.
#[test]
fn both_ends_of_one_channel() {
    let (tx, rx) = channel::mpmc(1);
    let mut select = Select::new();
    let (send, recv) = (select.send(&tx), select.recv(&rx));
    for n in 0..100 {
        assert_eq!(select.select().send(&send, n), Ok(()));
        assert_eq!(select.select().recv(&recv), Some(n));
    }
}

/// Threads that select pass on everything that is sent, each message once.
#[test]
fn many_threads_lose_nothing() {
    let count = rounds(6_000);
    let sources: Vec<_> = (0..3).map(|_| channel::mpmc::<usize>(2)).collect();
    let (out, sink) = channel::mpmc::<usize>(1);
    let (senders, receivers): (Vec<_>, Vec<_>) = sources.into_iter().unzip();
    let done = thread::scope(|s| {
        for tx in senders {
            s.spawn(move || (1..=count).for_each(|n| tx.send_blocking(n).unwrap()));
        }
        for _ in 0..3 {
            let (receivers, out) = (receivers.clone(), out.clone());
            s.spawn(move || {
                let (mut pending, mut left) = (Vec::new(), receivers.len());
                let mut select = Select::new();
                let cases: Vec<_> = receivers.iter().map(|rx| select.recv(rx)).collect();
                while left > 0 || !pending.is_empty() {
                    // With something to send, both; the send is added and removed each time.
                    let send = (!pending.is_empty()).then(|| select.send(&out));
                    let selected = select.select();
                    let index = selected.index();
                    match (&send, cases.get(index)) {
                        (_, Some(case)) => match selected.recv(case) {
                            Some(n) => pending.push(n),
                            None => {
                                select.remove(index);
                                left -= 1;
                            }
                        },
                        (Some(send), None) => {
                            selected.send(send, pending.pop().unwrap()).unwrap();
                        }
                        (None, None) => unreachable!(),
                    }
                    if let Some(send) = send {
                        select.remove(send.index());
                    }
                }
            });
        }
        drop(out);
        // One who waits alone, and one who only asks and then tries.
        let alone = s.spawn(|| std::iter::from_fn(|| sink.recv_blocking()).sum::<usize>());
        let mut sum = 0;
        loop {
            let mut select = Select::new();
            let _recv = select.recv(&sink);
            select.ready();
            match sink.try_recv() {
                Ok(n) => sum += n,
                Err(error) if error.is_closed() => break,
                Err(_) => {}
            }
        }
        sum + alone.join().unwrap()
    });
    assert_eq!(done, 3 * count * (count + 1) / 2);
}
