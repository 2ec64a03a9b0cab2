//! A thread that selects, in every interleaving: it sleeps through nothing, and takes no wake along
//! that belongs to another.

use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::sync::atomic::AtomicUsize as StdAtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::thread;

use super::{Future, Mpmc, Mpsc, Spsc, channel};
use crate::channel::Select;
use crate::channel::select::SelectedOperation;

fn select<'s, 'a>(select: &'s mut Select<'a>) -> SelectedOperation<'s, 'a> {
    select.select_by(|wait| block_on(wait));
    select.try_select().expect("one is selected")
}

#[test]
fn select_receives_from_both() {
    loom::model(|| {
        let (mut left, mut left_rx) = channel::<Spsc>(1);
        let (right, mut right_rx) = channel::<Mpsc>(1);
        let senders = [
            thread::spawn(move || left.try_send(1).map(|()| std::mem::forget(left)).unwrap()),
            thread::spawn(move || right.try_send(2).map(|()| std::mem::forget(right)).unwrap()),
        ];
        let mut set = Select::new();
        let cases = [set.recv(&mut left_rx), set.recv(&mut right_rx)];
        let mut sum = 0;
        for _ in 0..2 {
            let selected = select(&mut set);
            let index = selected.index();
            sum += selected.recv(&cases[index]).unwrap();
        }
        assert_eq!(sum, 3);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn select_sends_when_there_is_room() {
    loom::model(|| {
        let (tx, mut rx) = channel::<Mpsc>(1);
        tx.try_send(1).unwrap();
        let (_never, mut never_rx) = channel::<Spsc>(1);
        let receiver = thread::spawn(move || (rx.try_recv(), rx));
        let mut set = Select::new();
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
        let sender = thread::spawn(move || {
            right.try_send(2).unwrap();
            left.try_send(1).unwrap();
            // Kept open, so that no closing wakes anybody.
            (left, right)
        });
        let mut set = Select::new();
        let cases = [set.recv(&left_rx), set.recv(&right_rx)];
        let selected = select(&mut set);
        let from_left = selected.index() == 0;
        let index = selected.index();
        assert_eq!(selected.recv(&cases[index]), Some(if from_left { 1 } else { 2 }));
        let (left, _right) = sender.join().unwrap();
        if from_left {
            left.try_send(3).unwrap();
        }
        assert_eq!(other.join().unwrap(), Some(if from_left { 3 } else { 1 }));
    });
}

/// Asks whether something is ready, twice, and gives up.
fn ask(set: &mut Select<'_>) -> Option<usize> {
    let mut cx = Context::from_waker(Waker::noop());
    set.ready_by(|mut wait: Pin<&mut dyn Future<Output = ()>>| {
        if wait.as_mut().poll(&mut cx).is_pending() {
            thread::yield_now();
            _ = wait.as_mut().poll(&mut cx);
        }
    })
}

/// Who only asks takes nothing, and keeps no wake from those who would.
#[test]
fn ready_hands_wakes_on() {
    let seen = StdArc::new([const { StdAtomicUsize::new(0) }; 2]);
    let counts = StdArc::clone(&seen);
    loom::model(move || {
        let (tx, rx) = channel::<Mpmc>(1);
        let theirs = rx.clone();
        let other = thread::spawn(move || block_on(theirs.recv()));
        let sender = thread::spawn(move || {
            tx.try_send(1).unwrap();
            tx
        });
        let mut set = Select::new();
        let _recv = set.recv(&rx);
        let ready = ask(&mut set);
        counts[usize::from(ready.is_some())].fetch_add(1, SeqCst);
        assert_eq!(other.join().unwrap(), Some(1));
        drop(sender.join().unwrap());
    });
    assert!(seen.iter().all(|count| count.load(SeqCst) > 0), "both answers come: {seen:?}");
}

/// The same for room.
#[test]
fn ready_to_send_hands_wakes_on() {
    let seen = StdArc::new([const { StdAtomicUsize::new(0) }; 2]);
    let counts = StdArc::clone(&seen);
    loom::model(move || {
        let (tx, rx) = channel::<Mpmc>(1);
        tx.try_send(1).unwrap();
        let theirs = tx.clone();
        let other = thread::spawn(move || block_on(theirs.send(2)).unwrap());
        let receiver = thread::spawn(move || {
            assert_eq!(rx.try_recv(), Ok(1));
            rx
        });
        let mut set = Select::new();
        let _send = set.send(&tx);
        let ready = ask(&mut set);
        counts[usize::from(ready.is_some())].fetch_add(1, SeqCst);
        other.join().unwrap();
        drop(receiver.join().unwrap());
    });
    assert!(seen.iter().all(|count| count.load(SeqCst) > 0), "both answers come: {seen:?}");
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
        let mut set = Select::new();
        let (recv, send) = (set.recv(&mut left_rx), set.send(&right));
        let selected = select(&mut set);
        match selected.index() {
            0 => assert_eq!(selected.recv(&recv), None),
            _ => assert_eq!(selected.send(&send, 2).unwrap_err().into_inner(), 2),
        }
        closer.join().unwrap();
    });
}
