//! The contract of the ring, slot by slot; small enough for Miri.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use super::{Multi, RingBuffer, Side, Single};

#[test]
fn four_slots_hold_three_items() {
    let ring = RingBuffer::new(4);
    assert_eq!((ring.slots(), ring.capacity()), (4, 3));
    assert!(ring.is_empty());
    assert_eq!([0, 1, 2, 3].map(|n| ring.push(n)), [Ok(()), Ok(()), Ok(()), Err(3)]);
    assert!(ring.is_full());
    assert_eq!([(); 4].map(|()| ring.pop()), [Some(0), Some(1), Some(2), None]);
}

/// Every start, so that every operation meets the wrap; lengths are exact all the way.
fn goes_round<P: Side, C: Side>() {
    for slots in 2..6 {
        for start in 0..slots {
            let mut ring = RingBuffer::<Box<usize>, P, C>::starting_at(slots, start);
            let capacity = ring.capacity();
            let (mut tx, mut rx) = ring.split();
            for round in 0..3 {
                for i in 0..capacity {
                    assert_eq!(tx.ring.len(), i);
                    tx.push(Box::new(round * 10 + i)).unwrap();
                }
                assert_eq!(tx.push(Box::new(99)), Err(Box::new(99)));
                for i in 0..capacity {
                    assert_eq!(rx.pop(), Some(Box::new(round * 10 + i)));
                }
                assert_eq!(rx.pop(), None);
            }
        }
    }
}

#[test]
fn goes_round_on_every_pairing() {
    goes_round::<Single, Single>();
    goes_round::<Multi, Single>();
    goes_round::<Single, Multi>();
    goes_round::<Multi, Multi>();
}

/// Counts its drops, and panics in the one that it is told to.
struct Bomb {
    drops: Arc<AtomicUsize>,
    panics: bool,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Relaxed);
        assert!(!self.panics, "a drop that panics");
    }
}

#[test]
fn drops_each_item_once_also_when_a_drop_panics() {
    // Miri takes a second for each panic.
    let step = if cfg!(miri) { 3 } else { 1 };
    for start in (0..5).step_by(step) {
        for held in (0..5).step_by(step) {
            for panics in (0..5).step_by(step) {
                let drops = Arc::new(AtomicUsize::new(0));
                let ring = RingBuffer::<Bomb>::starting_at(5, start);
                for i in 0..held {
                    let bomb = Bomb { drops: Arc::clone(&drops), panics: i == panics };
                    assert!(ring.push(bomb).is_ok());
                }
                let dropped = catch_unwind(AssertUnwindSafe(|| drop(ring)));
                assert_eq!(dropped.is_err(), panics < held);
                assert_eq!(drops.load(Relaxed), held);
            }
        }
    }
}

#[test]
fn zero_sized_items_are_counted_and_dropped() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct Empty;
    impl Drop for Empty {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Relaxed);
        }
    }
    let ring = RingBuffer::new(3);
    assert!(ring.push(Empty).is_ok());
    assert!(ring.push(Empty).is_ok());
    assert!(ring.push(Empty).is_err());
    assert!(ring.pop().is_some());
    assert_eq!(DROPS.load(Relaxed), 2);
    drop(ring);
    assert_eq!(DROPS.load(Relaxed), 3);
    // No memory, so that any number of slots fits.
    assert_eq!(RingBuffer::<()>::new(1 << 28).capacity(), (1 << 28) - 1);
}

#[test]
fn over_aligned_items_lie_aligned() {
    #[derive(Debug)]
    #[repr(align(4096))]
    struct Page(u8);
    let ring = RingBuffer::new(3);
    ring.push(Page(1)).unwrap();
    ring.push(Page(2)).unwrap();
    for slot in &ring.slots {
        slot.with(|p| assert_eq!(p.addr() % 4096, 0));
    }
    assert_eq!(ring.pop().unwrap().0, 1);
}

#[test]
fn impossible_sizes_are_refused_before_anything_is_allocated() {
    let refused = |slots| {
        let panic = catch_unwind(|| RingBuffer::<u64>::new(slots)).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    };
    assert!(refused(0).contains("at least 2 slots"));
    assert!(refused(1).contains("at least 2 slots"));
    for slots in [usize::MAX, usize::MAX / 8, isize::MAX as usize / 8 + 1] {
        assert!(refused(slots).contains("larger than an allocation can be"));
    }
}

#[test]
fn closed_is_final_and_gives_the_item_back() {
    let ring = RingBuffer::<u32>::new(3);
    ring.push(1).unwrap();
    assert!(ring.close().is_some());
    assert!(ring.close().is_none());
    assert_eq!(ring.push(2), Err(2));
    assert_eq!((ring.pop(), ring.pop()), (Some(1), None));
}

/// Threads on both sides, and every item arrives once.
fn carries_all<P: Side, C: Side>() {
    const ITEMS: usize = if cfg!(miri) { 60 } else { 20_000 };
    let mut ring = RingBuffer::<usize, P, C>::with_sides(4);
    let (mut tx, mut rx) = ring.split();
    let sum = std::thread::scope(|s| {
        s.spawn(move || {
            for i in 0..ITEMS {
                while tx.push(i).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        let receiver = s.spawn(move || {
            (0..ITEMS)
                .map(|i| {
                    loop {
                        assert!(rx.ring.len() <= rx.ring.capacity());
                        if let Some(item) = rx.pop() {
                            assert_eq!(item, i);
                            break item;
                        }
                        std::thread::yield_now();
                    }
                })
                .sum::<usize>()
        });
        receiver.join().unwrap()
    });
    assert_eq!(sum, ITEMS * (ITEMS - 1) / 2);
}

#[test]
fn carries_all_on_every_pairing() {
    carries_all::<Single, Single>();
    carries_all::<Multi, Single>();
    carries_all::<Single, Multi>();
    carries_all::<Multi, Multi>();
}
