//! Every interleaving of a few pushes and pops, for each pairing of sides, on 1 and 2 usable slots.

use loom::thread;

use super::{Multi, RingBuffer, Side, Single};
use crate::primitive::Arc;

/// A message that loom sees lost or doubled: its `Arc` leaks, or is dropped twice.
type Message = (usize, Arc<()>);

fn message(n: usize) -> Message {
    (n, Arc::new(()))
}

/// # Safety
///
/// As `push_from`.
unsafe fn push<P: Side, C: Side>(ring: &RingBuffer<Message, P, C>, n: usize) -> bool {
    // SAFETY: the contract.
    unsafe { super::push_item(ring, message(n)) }.is_ok()
}

/// # Safety
///
/// As `pop_once`.
unsafe fn pop<P: Side, C: Side>(ring: &RingBuffer<Message, P, C>) -> Option<usize> {
    // SAFETY: the contract.
    unsafe { super::pop_item(ring) }.map(|(n, _)| n)
}

/// One producer pushes 1 to `count`, one consumer takes what it can, then this thread the rest.
fn one_to_one<P: Side, C: Side>(slots: usize, count: usize) {
    loom::model(move || {
        let ring = Arc::new(RingBuffer::<Message, P, C>::starting_at(slots, slots - 1));
        let theirs = Arc::clone(&ring);
        let producer = thread::spawn(move || {
            // SAFETY: the only producer.
            (1..=count).filter(|&n| unsafe { push(&theirs, n) }).collect::<Vec<_>>()
        });
        // SAFETY: the only consumer, here and below.
        let mut got: Vec<_> = (0..count).filter_map(|_| unsafe { pop(&ring) }).collect();
        assert!(ring.len() <= ring.capacity());
        let sent = producer.join().unwrap();
        // SAFETY: as above.
        got.extend(std::iter::from_fn(|| unsafe { pop(&ring) }));
        assert_eq!(got, sent);
    });
}

#[test]
fn single_to_single() {
    one_to_one::<Single, Single>(2, 3);
    one_to_one::<Single, Single>(3, 3);
}

#[test]
fn multi_to_single() {
    one_to_one::<Multi, Single>(2, 2);
    one_to_one::<Multi, Single>(3, 3);
}

#[test]
fn single_to_multi() {
    one_to_one::<Single, Multi>(2, 2);
    one_to_one::<Single, Multi>(3, 3);
}

#[test]
fn multi_to_multi() {
    one_to_one::<Multi, Multi>(2, 2);
    // Three of each would take a quarter of an hour.
    one_to_one::<Multi, Multi>(3, 2);
}

#[test]
fn two_producers() {
    for slots in [2, 3] {
        loom::model(move || {
            let ring = Arc::new(RingBuffer::<Message, Multi, Single>::starting_at(slots, 1));
            let producers = [1, 2].map(|n| {
                let ring = Arc::clone(&ring);
                // SAFETY: the side is Multi.
                thread::spawn(move || unsafe { push(&ring, n) })
            });
            // SAFETY: the only consumer, here and below.
            let mut got: Vec<_> = unsafe { pop(&ring) }.into_iter().collect();
            let sent: usize = producers.into_iter().map(|p| usize::from(p.join().unwrap())).sum();
            // SAFETY: as above.
            got.extend(std::iter::from_fn(|| unsafe { pop(&ring) }));
            got.sort_unstable();
            got.dedup();
            assert_eq!(got.len(), sent);
            assert!(sent >= slots - 1, "a push fails only when the ring is full");
        });
    }
}

#[test]
fn two_consumers() {
    for slots in [2, 3] {
        loom::model(move || {
            let ring = Arc::new(RingBuffer::<Message, Single, Multi>::starting_at(slots, 1));
            // SAFETY: the only producer, here and below.
            let mut sent = usize::from(unsafe { push(&ring, 1) });
            let consumers = [(), ()].map(|()| {
                let ring = Arc::clone(&ring);
                // SAFETY: the side is Multi.
                thread::spawn(move || unsafe { pop(&ring) })
            });
            // SAFETY: as above.
            sent += usize::from(unsafe { push(&ring, 2) });
            let mut got: Vec<_> = consumers.into_iter().filter_map(|c| c.join().unwrap()).collect();
            // SAFETY: the side is Multi.
            got.extend(std::iter::from_fn(|| unsafe { pop(&ring) }));
            got.sort_unstable();
            assert_eq!(got, (1..=sent).collect::<Vec<_>>());
        });
    }
}

/// Law 8: after my own push, the ring is not empty unless someone else took the item.
#[test]
fn own_push_is_seen_at_once() {
    loom::model(|| {
        let ring = Arc::new(RingBuffer::<usize>::new(3));
        let theirs = Arc::clone(&ring);
        let other = thread::spawn(move || {
            theirs.push(2).unwrap();
            theirs.pop().expect("two items, two takers")
        });
        ring.push(1).unwrap();
        let mine = ring.pop().expect("two items, two takers");
        assert_ne!(mine, other.join().unwrap());
    });
}

/// A push that races with the closing either is in the ring or comes back, and "closed and
/// empty" is final.
#[test]
fn close_against_push() {
    fn model<P: Side>() {
        loom::model(|| {
            let ring = Arc::new(RingBuffer::<Message, P, Single>::with_sides(2));
            let theirs = Arc::clone(&ring);
            // SAFETY: the only producer.
            let producer = thread::spawn(move || unsafe { push(&theirs, 1) });
            assert!(ring.close().is_some());
            // SAFETY: the only consumer, here and below.
            let got = unsafe { pop(&ring) };
            assert_eq!(producer.join().unwrap(), got.is_some());
            // SAFETY: as above.
            assert!(unsafe { pop(&ring) }.is_none());
        });
    }
    model::<Single>();
    model::<Multi>();
}

/// Pushing an item out, against a consumer: each item is taken once, by one of them.
#[test]
fn push_over_against_pop() {
    loom::model(|| {
        let ring = Arc::new(RingBuffer::<Message>::starting_at(2, 1));
        let theirs = Arc::clone(&ring);
        let producer = thread::spawn(move || {
            let pushed_out = (1..=2).filter_map(|n| {
                // SAFETY: the producers' side is Multi.
                let pushed = unsafe { theirs.push_over(message(n)) };
                pushed.ok().expect("nothing is promised, and nobody closes").0
            });
            pushed_out.map(|(n, _)| n).collect::<Vec<_>>()
        });
        let mut got: Vec<_> = (0..2).filter_map(|_| ring.pop()).map(|(n, _)| n).collect();
        got.extend(producer.join().unwrap());
        got.extend(std::iter::from_fn(|| ring.pop()).map(|(n, _)| n));
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}
