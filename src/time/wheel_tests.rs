//! The wheel against a sorted map, and its corners.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Wake, Waker};

use super::*;
use crate::util::Rng;

/// Counts the steps of whoever wakes them.
struct Id(AtomicUsize);

impl Wake for Id {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

struct Timers {
    wheel: Wheel,
    ids: Vec<Arc<Id>>,
    wakers: Vec<Waker>,
}

impl Timers {
    fn new() -> Self {
        Self { wheel: Wheel::new(), ids: Vec::new(), wakers: Vec::new() }
    }

    fn set(&mut self, deadline: u64) -> (usize, u32) {
        let id = Arc::new(Id(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&id));
        self.ids.push(id);
        self.wakers.push(waker.clone());
        (self.ids.len() - 1, self.wheel.insert(deadline, waker))
    }

    /// Fires one, and says which.
    fn pop(&mut self, now: u64) -> Option<usize> {
        let waker = self.wheel.pop(now)?;
        let id = self.wakers.iter().position(|other| other.data() == waker.data());
        Some(id.expect("a waker that was given"))
    }
}

/// A time up to some power of two away, so that every level has its share.
fn distance(rng: &mut Rng) -> u64 {
    let bits = rng.below(64);
    let far = u64::from(rng.next_u32()) << 32 | u64::from(rng.next_u32());
    far & (u64::MAX >> (63 - bits))
}

/// What fires, and when, is as if the timers were a map sorted by deadline.
#[test]
fn as_a_sorted_map() {
    let (runs, steps) = if cfg!(miri) { (3, 80) } else { (300, 400) };
    for seed in 1..=runs {
        let mut rng = Rng::new(seed);
        let mut timers = Timers::new();
        let mut model: BTreeMap<(u64, usize), ()> = BTreeMap::new();
        // Of those that have not been removed: name, key and deadline; none once fired.
        let mut owned: Vec<(usize, u32, Option<u64>)> = Vec::new();
        let mut now: u64 = if rng.below(2) == 0 { 0 } else { distance(&mut rng) >> 1 };
        for _ in 0..steps {
            match rng.below(10) {
                0..=3 => {
                    // Past, present and future, and several at one time.
                    let deadline = match rng.below(8) {
                        0 => now.saturating_sub(distance(&mut rng)),
                        1 => owned.last().and_then(|timer| timer.2).unwrap_or(now),
                        2 => u64::MAX - u64::from(rng.below(2)),
                        _ => now.saturating_add(distance(&mut rng)),
                    };
                    let (id, key) = timers.set(deadline);
                    model.insert((deadline, id), ());
                    owned.push((id, key, Some(deadline)));
                }
                4..=5 if !owned.is_empty() => {
                    let (id, key, deadline) =
                        owned.swap_remove(rng.below(owned.len() as u32) as usize);
                    let waker = timers.wheel.remove(key);
                    assert_eq!(waker.is_some(), deadline.is_some());
                    if let Some(deadline) = deadline {
                        model.remove(&(deadline, id)).unwrap();
                    }
                }
                6 if !owned.is_empty() => {
                    let index = rng.below(owned.len() as u32) as usize;
                    let (id, key, deadline) = owned[index];
                    // Ages are compared among equals; a reset makes a timer the youngest, which
                    // its name does not tell. So no two are equal.
                    let later = now.saturating_add(distance(&mut rng));
                    if model.range((later, 0)..=(later, usize::MAX)).next().is_none() {
                        let reset = timers.wheel.reset(key, later);
                        assert_eq!(reset, deadline.is_some());
                        if let Some(deadline) = deadline {
                            model.remove(&(deadline, id)).unwrap();
                            model.insert((later, id), ());
                            owned[index].2 = Some(later);
                        }
                    }
                }
                _ => now = now.saturating_add(distance(&mut rng) >> rng.below(64)),
            }
            let earliest = model.first_key_value().map_or(NEVER, |(&(deadline, _), ())| deadline);
            assert!(timers.wheel.next() <= earliest, "seed {seed}: nobody would come in time");
            assert_eq!(timers.wheel.is_empty(), model.is_empty());
            // Some of what is due, so that it is also cancelled and reset.
            for _ in 0..rng.below(6) {
                // A clock that another thread has read a little earlier.
                let read = now - if rng.below(4) == 0 { distance(&mut rng).min(now) } else { 0 };
                let next = model.first_key_value().map(|(&key, ())| key);
                let popped = timers.pop(read);
                let due = next.is_some_and(|(deadline, _)| deadline <= read);
                assert!(popped.is_some() || !due, "seed {seed}: forgotten");
                let Some(id) = popped else { break };
                let timer = owned.iter_mut().find(|timer| timer.0 == id).unwrap();
                let deadline = timer.2.take().expect("it fires once");
                assert!(deadline <= now, "seed {seed}: early");
                model.remove(&(deadline, id)).unwrap();
            }
        }
    }
}

/// Whatever is due at one time fires in the order of the deadlines.
#[test]
fn in_order() {
    let (runs, count) = if cfg!(miri) { (4, 60) } else { (20, 3000) };
    for seed in 1..=runs {
        let mut rng = Rng::new(seed);
        let mut timers = Timers::new();
        let mut deadlines: Vec<(u64, usize)> = (0..count)
            .map(|_| {
                let deadline = distance(&mut rng) >> rng.below(20);
                (deadline, timers.set(deadline).0)
            })
            .collect();
        deadlines.sort_unstable();
        let mut fired = 0;
        // In a few steps, or in one.
        for now in [1 << 20, 1 << 30, 1 << 40, u64::MAX].into_iter().skip(seed as usize % 4) {
            while let Some(waker) = timers.wheel.pop(now) {
                let (deadline, id) = deadlines[fired];
                assert_eq!(waker.data(), timers.wakers[id].data(), "seed {seed}, number {fired}");
                assert!(deadline <= now);
                fired += 1;
            }
        }
        assert_eq!(fired, count);
        assert_eq!(timers.wheel.next(), NEVER);
    }
}

/// To the nanosecond, wherever in the wheel.
#[test]
fn never_early_and_at_the_time() {
    for bits in 0..64 {
        for deadline in [(1 << bits) - 1, 1 << bits, (1 << bits) + 1] {
            let mut timers = Timers::new();
            let (id, _) = timers.set(deadline);
            if deadline > 0 {
                assert_eq!(timers.pop(deadline - 1), None, "{deadline}");
            }
            assert_eq!(timers.pop(deadline), Some(id), "{deadline}");
        }
    }
}

/// Going where `next` says leads to each timer in a few steps.
#[test]
fn next_leads_to_each_timer() {
    let mut timers = Timers::new();
    let mut rng = Rng::new(3);
    let mut deadlines: Vec<u64> = (0..50).map(|_| distance(&mut rng)).collect();
    for &deadline in &deadlines {
        timers.set(deadline);
    }
    deadlines.sort_unstable();
    for deadline in deadlines {
        let mut steps = 0;
        let now = loop {
            let now = timers.wheel.next();
            assert!(now <= deadline);
            if timers.wheel.pop(now).is_some() {
                break now;
            }
            steps += 1;
            assert!(steps <= LEVELS, "a level a step");
        };
        assert_eq!(now.max(deadline), deadline);
    }
    assert_eq!(timers.wheel.next(), NEVER);
}

/// Who sleeps until `next` wakes up once for a timer, near or far, while they are few.
#[test]
fn few_timers_are_no_reason_to_wake_up_twice() {
    let mut timers = Timers::new();
    let deadlines = [20_000, 2_000_000, 2_000_001, 80_000_000, 7_000_000_000, 1 << 50];
    for deadline in deadlines {
        timers.set(deadline);
    }
    for (id, deadline) in deadlines.into_iter().enumerate() {
        assert_eq!(timers.wheel.next(), deadline);
        assert_eq!(timers.pop(deadline), Some(id));
        assert_eq!(timers.pop(deadline), None);
    }
    for n in 0..=FEW as u64 {
        timers.set((1 << 51) + n);
    }
    assert_eq!(timers.pop(1 << 50), None);
    assert!(timers.wheel.next() <= 1 << 51, "many are not searched");
}

/// A machine that was suspended: the time jumps, and everything is due at once.
#[test]
fn a_jump_takes_few_steps_and_loses_nothing() {
    const SECOND: u64 = 1_000_000_000;
    let count = if cfg!(miri) { 20 } else { 1000 };
    for jump in [3600 * SECOND, 100 * 365 * 24 * 3600 * SECOND, NEVER - 1] {
        let mut timers = Timers::new();
        // Nobody has looked at the wheel for a while, and the first are in their slots.
        for tick in 1..=count {
            timers.set(tick * SECOND / 10);
        }
        assert_eq!(timers.pop(SECOND / 20), None);
        let last = jump.saturating_add(7);
        let (far, _) = timers.set(last);
        let mut steps = 0;
        while timers.wheel.turn(jump) {
            steps += 1;
        }
        assert!(steps <= count as usize * LEVELS, "{steps} steps, as if the time went by");
        for id in 0..count as usize {
            assert_eq!(timers.pop(jump), Some(id));
        }
        if last > jump {
            assert_eq!(timers.pop(jump), None);
        }
        // From here on it is as exact as ever.
        if jump < NEVER / 2 {
            let (next, _) = timers.set(jump + 5);
            assert_eq!(timers.pop(jump + 4), None);
            assert_eq!(timers.pop(jump + 5), Some(next));
        }
        assert_eq!(timers.pop(last), Some(far));
        assert!(timers.wheel.is_empty());
    }
}

/// Those at the door are let in before they are needed, and when they are many.
#[test]
fn the_door() {
    let mut timers = Timers::new();
    let keys: Vec<u32> = (0..3 * u64::from(MANY)).map(|n| timers.set(1000 + n).1).collect();
    let waiting = timers.wheel.keys(NEW).count();
    assert!(0 < waiting && waiting <= MANY as usize, "{waiting} would be let in at once");
    assert_eq!(timers.wheel.next(), 1000, "whether it is at the door or in a slot");
    timers.wheel.remove(keys[0]).unwrap();
    timers.wheel.remove(*keys.last().unwrap()).unwrap();
    assert!(timers.wheel.reset(keys[5], 7), "to the door again");
    assert_eq!(timers.wheel.next(), 7);
    assert_eq!(timers.pop(6), None);
    assert_eq!(timers.pop(7), Some(5));
    assert_eq!(timers.wheel.keys(NEW).count(), 0);
    let (early, _) = timers.set(3);
    assert_eq!(timers.wheel.next(), 3);
    assert_eq!(timers.pop(7), Some(early), "it was late when it came");
    assert_eq!(timers.pop(1001), Some(1));
}

/// An entry stays its owner's after it has fired: the key is not given to another.
#[test]
fn a_key_is_its_owners_until_it_is_removed() {
    let mut timers = Timers::new();
    let (_, first) = timers.set(5);
    assert!(timers.pop(5).is_some());
    let (_, second) = timers.set(6);
    assert_ne!(first, second);
    assert!(timers.wheel.waker(first).is_none() && !timers.wheel.reset(first, 9));
    assert!(timers.wheel.remove(first).is_none());
    let (_, third) = timers.set(7);
    assert_eq!(third, first, "and then it is");
    timers.wheel.remove(second).unwrap().wake();
    assert_eq!(timers.ids[1].0.load(SeqCst), 1);
    assert!(!timers.wheel.is_empty());
    assert!(timers.wheel.pop_any().is_some() && timers.wheel.pop_any().is_none());
}
