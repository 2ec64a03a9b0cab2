//! A thread that selects, in every interleaving: it sleeps through nothing, and takes no wake along
//! that belongs to another.

use std::pin::{Pin, pin};
use std::sync::Arc as StdArc;
use std::sync::atomic::AtomicUsize as StdAtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::thread;

use super::{Count, Future, Mpmc, Mpsc, Spsc, channel};
use crate::channel::select::SelectedOperation;
use crate::channel::{Select, oneshot, rendezvous};

fn select<'s, 'a>(select: &'s mut Select<'a>) -> SelectedOperation<'s, 'a> {
    select.select_by(|wait| block_on(wait));
    select.try_select().expect("one is selected")
}

#[test]
fn select_receives_from_both() {
    loom::model(|| {
        let (mut left, mut left_rx) = channel::<Spsc>(1);
        let (right, mut right_rx) = channel::<Mpsc>(1);
        // They come back with their senders, so that no closing wakes anybody.
        let first = thread::spawn(move || left.try_send(1).map(|()| left));
        let second = thread::spawn(move || right.try_send(2).map(|()| right));
        let mut set = Select::new_biased();
        let cases = [set.recv(&mut left_rx), set.recv(&mut right_rx)];
        let mut sum = 0;
        for _ in 0..2 {
            let selected = select(&mut set);
            let index = selected.index();
            sum += selected.recv(&cases[index]).unwrap();
        }
        assert_eq!(sum, 3);
        let _left = first.join().unwrap().unwrap();
        let _right = second.join().unwrap().unwrap();
    });
}

#[test]
fn select_sends_when_there_is_room() {
    loom::model(|| {
        let (tx, mut rx) = channel::<Mpsc>(1);
        tx.try_send(1).unwrap();
        let (_never, mut never_rx) = channel::<Spsc>(1);
        let receiver = thread::spawn(move || (rx.try_recv(), rx));
        let mut set = Select::new_biased();
        let (send, _recv) = (set.send(&tx), set.recv(&mut never_rx));
        select(&mut set).send(&send, 2).unwrap();
        let (first, mut rx) = receiver.join().unwrap();
        assert_eq!((first, rx.try_recv()), (Ok(1), Ok(2)));
    });
}

/// The set is woken for both channels and receives from one: the other's wake goes on.
#[test]
fn select_hands_wakes_on() {
    loom::model(|| {
        let (left, left_rx) = channel::<Mpmc>(1);
        let (right, right_rx) = channel::<Mpmc>(1);
        let theirs = left_rx.clone();
        let other = thread::spawn(move || block_on(theirs.recv()));
        let mut set = Select::new_biased();
        let cases = [set.recv(&right_rx), set.recv(&left_rx)];
        let index = set.select_by(|mut wait| {
            assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            left.try_send(1).unwrap();
            right.try_send(2).unwrap();
            block_on(wait);
        });
        assert_eq!(index, Some(0));
        assert_eq!(set.try_select().unwrap().recv(&cases[0]), Some(2));
        assert_eq!(other.join().unwrap(), Some(1));
    });
}

/// The wake for the one comes while the set leaves its queue with a message from the other.
#[test]
fn select_leaves_against_a_send() {
    loom::model(|| {
        let (left, left_rx) = channel::<Mpmc>(1);
        let (right, mut right_rx) = channel::<Mpsc>(1);
        let (theirs, count) = (left_rx.clone(), StdArc::<Count>::default());
        let waker = Waker::from(StdArc::clone(&count));
        let mut recv = pin!(theirs.recv());
        let sender = thread::spawn(move || {
            left.try_send(1).unwrap();
            right.try_send(2).unwrap();
            (left, right)
        });
        let mut set = Select::new_biased();
        let cases = [set.recv(&mut right_rx), set.recv(&left_rx)];
        let mut pending = true;
        set.select_by(|mut wait| {
            if wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                pending = recv.as_mut().poll(&mut Context::from_waker(&waker)).is_pending();
                block_on(wait);
            } else {
                pending = false;
            }
        });
        let selected = set.try_select().unwrap();
        let index = selected.index();
        let from_right = selected.recv(&cases[index]) == Some(2);
        let _senders = sender.join().unwrap();
        // The message is there, and it is not the set that waits for it.
        assert!(!from_right || !pending || count.0.load(SeqCst) == 1);
    });
}

/// Asks whether something is ready, has it made so, and asks again; then gives up.
fn ask(set: &mut Select<'_>, make_ready: impl FnOnce()) -> Option<usize> {
    let mut cx = Context::from_waker(Waker::noop());
    set.ready_by(|mut wait: Pin<&mut dyn Future<Output = ()>>| {
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        make_ready();
        _ = wait.as_mut().poll(&mut cx);
    })
}

/// Who only asks takes nothing, and keeps no wake from those who would.
#[test]
fn select_asks_and_hands_wakes_on() {
    let seen = StdArc::new([const { StdAtomicUsize::new(0) }; 2]);
    let counts = StdArc::clone(&seen);
    loom::model(move || {
        let (tx, rx) = channel::<Mpmc>(1);
        let theirs = rx.clone();
        let other = thread::spawn(move || block_on(theirs.recv()));
        let mut set = Select::new_biased();
        let _recv = set.recv(&rx);
        let ready = ask(&mut set, || tx.try_send(1).unwrap());
        counts[usize::from(ready.is_some())].fetch_add(1, SeqCst);
        assert_eq!(other.join().unwrap(), Some(1));
    });
    assert!(seen.iter().all(|count| count.load(SeqCst) > 0), "both answers come: {seen:?}");
}

/// The same for room.
#[test]
fn select_asks_for_room_and_hands_wakes_on() {
    let seen = StdArc::new([const { StdAtomicUsize::new(0) }; 2]);
    let counts = StdArc::clone(&seen);
    loom::model(move || {
        let (tx, rx) = channel::<Mpmc>(1);
        tx.try_send(1).unwrap();
        let theirs = tx.clone();
        let other = thread::spawn(move || block_on(theirs.send(2)).unwrap());
        let mut set = Select::new_biased();
        let _send = set.send(&tx);
        let ready = ask(&mut set, || assert_eq!(rx.try_recv(), Ok(1)));
        counts[usize::from(ready.is_some())].fetch_add(1, SeqCst);
        other.join().unwrap();
    });
    assert!(seen.iter().all(|count| count.load(SeqCst) > 0), "both answers come: {seen:?}");
}

/// The same for a meeting.
#[test]
fn select_asks_for_a_meeting_and_hands_wakes_on() {
    let seen = StdArc::new([const { StdAtomicUsize::new(0) }; 2]);
    let counts = StdArc::clone(&seen);
    loom::model(move || {
        let (tx, rx) = rendezvous::channel();
        let theirs = rx.clone();
        let other = thread::spawn(move || block_on(theirs.recv()));
        let mut set = Select::new_biased();
        let _recv = set.recv(&rx);
        let mut send = tx.send(1);
        let ready = ask(&mut set, || {
            assert!(pin!(&mut send).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        });
        counts[usize::from(ready.is_some())].fetch_add(1, SeqCst);
        assert_eq!(other.join().unwrap(), Some(1));
    });
    assert!(seen.iter().all(|count| count.load(SeqCst) > 0), "both answers come: {seen:?}");
}

#[test]
fn select_meets_or_gets_the_value() {
    for meets_first in [true, false] {
        loom::model(move || {
            let (offer, meets) = rendezvous::channel();
            let (answer, mut answers) = oneshot::channel();
            let sender = thread::spawn(move || {
                let mut send = offer.send(1);
                let cx = &mut Context::from_waker(Waker::noop());
                assert!(pin!(&mut send).poll(cx).is_pending());
                send.cancel()
            });
            let answerer = thread::spawn(move || answer.send(2).unwrap());
            let mut set = Select::new_biased();
            // The one that is preferred is added first.
            let meet = meets_first.then(|| set.recv(&meets));
            let once = set.recv(&mut answers);
            let meet = meet.unwrap_or_else(|| set.recv(&meets));
            let selected = select(&mut set);
            let met = match selected.index() == once.index() {
                true => selected.recv(&once).map(|n| assert_eq!(n, 2)).is_none(),
                false => selected.recv(&meet).is_some(),
            };
            let back = sender.join().unwrap();
            answerer.join().unwrap();
            assert_eq!(back.is_none(), met, "a message is here or there");
        });
    }
}

#[test]
fn select_against_close() {
    loom::model(|| {
        let (left, mut left_rx) = channel::<Spsc>(1);
        let (right, _right_rx) = channel::<Mpmc>(1);
        right.try_send(1).unwrap();
        let closer = {
            let right = right.clone();
            thread::spawn(move || {
                right.close();
                drop(left);
            })
        };
        let mut set = Select::new_biased();
        let (recv, send) = (set.recv(&mut left_rx), set.send(&right));
        let selected = select(&mut set);
        match selected.index() {
            0 => assert_eq!(selected.recv(&recv), None),
            _ => assert_eq!(selected.send(&send, 2).unwrap_err().into_inner(), 2),
        }
        closer.join().unwrap();
    });
}
