//! Stealing against popping, and pushing against going to sleep, in every interleaving.

use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use loom::thread;

use super::idle::Idle;
use super::queue::{CAPACITY, LocalQueue};
use super::seat::{Back, Seat};
use crate::primitive::Arc;
use crate::reactor::Reactor;
use crate::task::{self, Completed, JoinHandle, Origin, Runnable, Schedule};

mod handover_tests;

#[derive(Clone, Copy)]
struct Nowhere;

impl Schedule for Nowhere {
    fn schedule(&self, _: Runnable) {
        unreachable!("nobody wakes these tasks");
    }

    fn completed(&self, _: Completed) {}
}

/// Tasks that count how often each was run.
fn tasks(count: usize) -> (Vec<Runnable>, Vec<JoinHandle<()>>, Arc<Vec<AtomicUsize>>) {
    let runs = Arc::new((0..count).map(|_| AtomicUsize::new(0)).collect::<Vec<_>>());
    let (tasks, handles) = (0..count)
        .map(|i| {
            let runs = Arc::clone(&runs);
            let future = async move { _ = runs[i].fetch_add(1, Relaxed) };
            task::spawn(future, Nowhere, Origin::caller())
        })
        .unzip();
    (tasks, handles, runs)
}

fn run(task: Option<Runnable>) -> bool {
    task.is_some_and(|task| {
        assert!(task.run().is_none());
        true
    })
}

/// The owner pushes and pops at the wrap of the indices while `thieves` steal: each task runs
/// once, also those that overflow.
fn steal_against_pop(thieves: usize, count: usize) {
    loom::model(move || {
        let queue = Arc::new(LocalQueue::starting_at(u32::MAX - 1));
        let (tasks, handles, runs) = tasks(count);
        let thieves: Vec<_> = (0..thieves)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let own = LocalQueue::starting_at(u32::MAX);
                    // SAFETY: this thread owns it.
                    run(unsafe { queue.steal_into(&own) });
                    // SAFETY: as above.
                    while run(unsafe { own.pop() }) {}
                })
            })
            .collect();
        let mut tasks = tasks.into_iter();
        for task in tasks.by_ref() {
            // SAFETY: this thread owns the queue, here and below.
            unsafe {
                queue.push(task, |mut overflow| while run(overflow.pop_front()) {});
            }
        }
        // SAFETY: as above.
        while run(unsafe { queue.pop() }) {}
        thieves.into_iter().for_each(|t| t.join().unwrap());
        // SAFETY: as above.
        assert!(!run(unsafe { queue.pop() }));
        assert!(runs.iter().all(|runs| runs.load(Relaxed) == 1));
        drop(handles);
    });
}

#[test]
fn one_thief() {
    steal_against_pop(1, 3);
}

#[test]
fn two_thieves() {
    steal_against_pop(2, 2);
}

#[test]
fn overflow_against_thief() {
    steal_against_pop(1, CAPACITY as usize + 1);
}

/// A push from outside against a seat that goes to sleep: either the sleeper sees the work, or
/// the pusher sees the sleeper.
#[test]
fn push_against_park() {
    loom::model(|| {
        let idle = Arc::new(Idle::new(1));
        let work = Arc::new(AtomicUsize::new(0));
        assert!(idle.take(0), "seats start asleep");
        let (their_idle, their_work) = (Arc::clone(&idle), Arc::clone(&work));
        let worker = thread::spawn(move || {
            their_idle.park(0);
            // True: saw the work, and got its own bit back. False: sleeps, or was claimed.
            their_work.load(Acquire) == 1 && their_idle.take(0)
        });
        work.store(1, Release);
        let claimed = idle.notify().is_some();
        let awake = worker.join().unwrap();
        assert!(claimed ^ awake, "claimed: {claimed}, awake: {awake}");
    });
}

/// The same with a seat that was looking for work: the pusher relies on it, and it looks again.
#[test]
fn push_against_searcher() {
    loom::model(|| {
        let idle = Arc::new(Idle::new(2));
        let work = Arc::new(AtomicUsize::new(0));
        // Seat 0 is awake and searching, seat 1 sleeps.
        assert!(idle.claim_this(0));
        let (their_idle, their_work) = (Arc::clone(&idle), Arc::clone(&work));
        let searcher = thread::spawn(move || {
            let _ = their_idle.stop_searching();
            their_idle.park(0);
            their_work.load(Acquire) == 1 && their_idle.take(0)
        });
        work.store(1, Release);
        let claimed = idle.notify();
        let found = searcher.join().unwrap();
        assert!(claimed.is_some() || found, "the task was left behind");
        // The claim counts as a searcher until it has looked.
        assert_eq!(idle.searching(), usize::from(claimed.is_some()));
    });
}

/// The same with one that is called away: it hands on what it was relied upon for.
#[test]
fn push_against_searcher_that_is_called() {
    loom::model(|| {
        let idle = Arc::new(Idle::new(2));
        let work = Arc::new(AtomicUsize::new(0));
        // Seat 0 is awake and searching, seat 1 sleeps.
        assert!(idle.claim_this(0));
        let (their_idle, their_work) = (Arc::clone(&idle), Arc::clone(&work));
        let searcher = thread::spawn(move || {
            let _ = their_idle.stop_searching();
            their_idle.park(0);
            if !their_idle.take(0) {
                // Claimed: it looks for work before anything else.
                return true;
            }
            let counted = their_idle.start_searching();
            counted
                && their_idle.stop_searching()
                && their_work.load(Acquire) == 1
                && their_idle.notify_soon().is_some()
        });
        work.store(1, Release);
        let claimed = idle.notify().is_some();
        let handed_on = searcher.join().unwrap();
        assert!(claimed || handed_on, "the task was left behind");
    });
}

/// A timer that is set by a thread without a seat against the seat that goes to sleep last:
/// either the keeper sees the timer, or the setter sees until when it sleeps, and wakes it.
#[test]
fn timer_against_keeper() {
    loom::model(|| {
        let idle = Arc::new(Idle::new(1));
        let first = Arc::new(AtomicUsize::new(10_000));
        assert!(idle.take(0), "seats start asleep");
        // It has kept the time before, for a timer that was earlier.
        let kept = idle.keep_time(0, 500).unwrap();
        let (their_idle, their_first) = (Arc::clone(&idle), Arc::clone(&first));
        let keeper = thread::spawn(move || {
            their_idle.park(0);
            their_idle.stop_keeping(kept);
            let mut seen = their_first.load(Relaxed);
            loop {
                assert!(their_idle.keep_time(0, seen as u64).is_some(), "nobody else does");
                let again = their_first.load(Relaxed);
                if seen <= again {
                    break seen;
                }
                seen = again;
            }
        });
        first.store(1000, Relaxed);
        let wakes = 1000 < idle.kept_until();
        // Without a keeper it wakes whoever sleeps.
        let wakes_keeper = wakes && (idle.keeper().is_some() || idle.notify_soon().is_some());
        let kept = keeper.join().unwrap();
        assert!(kept == 1000 || wakes_keeper, "it sleeps too long");
    });
}

/// The same against a keeper that goes to work: it sees the timer, and has another look after it, or
/// the setter sees that nobody keeps the time any more.
#[test]
fn timer_against_keeper_that_goes_to_work() {
    loom::model(|| {
        let idle = Arc::new(Idle::new(2));
        let first = Arc::new(AtomicUsize::new(10_000));
        assert!(idle.take(0), "seats start asleep");
        let kept = idle.keep_time(0, 10_000).unwrap();
        let (their_idle, their_first) = (Arc::clone(&idle), Arc::clone(&first));
        let keeper = thread::spawn(move || {
            their_idle.stop_keeping(kept);
            // As `Worker::entrust_timers`.
            let kept = their_idle.kept_until();
            (their_first.load(Relaxed) as u64) < kept.min(10_000)
        });
        first.store(1000, Relaxed);
        let keeps = 1000 < idle.kept_until() && idle.keeper().is_some();
        assert!(keeper.join().unwrap() || !keeps, "nobody looks at the timer");
    });
}

/// Two seats go to sleep at once, each with a timer of its own: whichever is the keeper in the
/// end, nobody sleeps longer than the first timer.
#[test]
fn two_seats_park_with_timers() {
    loom::model(|| {
        let idle = Arc::new(Idle::new(2));
        assert!(idle.take(0) && idle.take(1), "seats start asleep");
        let timers = Arc::new([AtomicUsize::new(usize::MAX), AtomicUsize::new(usize::MAX)]);
        let park = |seat: usize| {
            let (idle, timers) = (Arc::clone(&idle), Arc::clone(&timers));
            move || {
                // Its own timer is set before it parks.
                timers[seat].store(1000 * (seat + 1), Relaxed);
                idle.park(seat);
                if idle.others_busy(seat) {
                    return;
                }
                loop {
                    let first = || timers.iter().map(|timer| timer.load(Relaxed)).min().unwrap();
                    let seen = first();
                    if idle.keep_time(seat, seen as u64).is_none() || seen <= first() {
                        return;
                    }
                }
            }
        };
        let other = thread::spawn(park(1));
        park(0)();
        other.join().unwrap();
        assert!(idle.kept_until() < 1100, "the first timer is kept");
    });
}

/// A guest takes a seat and goes to sleep on it, while its own thread wakes up by itself: the
/// bit that the guest has set is not for the thread to take.
#[test]
fn guest_against_owner_that_wakes_up() {
    loom::model(|| {
        let (idle, seat) = (Arc::new(Idle::new(1)), Arc::new(Seat::new()));
        let (their_idle, their_seat) = (Arc::clone(&idle), Arc::clone(&seat));
        let guest = thread::spawn(move || {
            let lent =
                their_seat.lend(std::thread::current(), &Reactor::default(), || their_idle.take(0));
            if lent {
                their_idle.park(0);
            }
            lent
        });
        let back = seat.take_back(|| idle.take(0));
        let lent = guest.join().unwrap();
        assert!(back ^ lent, "back: {back}, lent: {lent}");
        assert_eq!(idle.is_parked(0), lent);
    });
}

/// The clock stands still, and both seats go to sleep, one of them after it has set a timer in
/// two steps: time does not pass in between, and it does pass in the end.
#[test]
fn time_passes_only_while_all_sleep() {
    loom::model(|| {
        let idle = Arc::new(Idle::new(2));
        assert!(idle.take(0), "seats start asleep");
        let working = Arc::new(AtomicUsize::new(1));
        let (their_idle, their_working) = (Arc::clone(&idle), Arc::clone(&working));
        let pass = |idle: &Idle, working: &AtomicUsize, seat| {
            let all = idle.take_all();
            if all {
                assert_eq!(working.load(Relaxed), 0, "somebody works");
                idle.release_others(seat);
            }
            all
        };
        let worker = thread::spawn(move || {
            their_working.store(0, Relaxed);
            their_idle.park(0);
            pass(&their_idle, &their_working, 0)
        });
        // Is woken, finds nothing, and goes to sleep.
        let passed = idle.take(1) && {
            idle.park(1);
            pass(&idle, &working, 1)
        };
        assert!(worker.join().unwrap() || passed, "time stands still for ever");
    });
}

/// The own thread of a seat is back from `block_in_place` when somebody is sent there: one of the
/// two sits down, or the seat is known to sleep, and who was counted as searching is.
fn return_against_go(pool_has_threads: bool) {
    loom::model(move || {
        let idle = Arc::new(Idle::new(1));
        let seat = Arc::new(Seat::new());
        let work = Arc::new(AtomicUsize::new(0));
        assert!(idle.take(0), "seats start asleep");
        seat.go_away();
        idle.park(0);
        let (their_idle, their_seat, their_work) =
            (Arc::clone(&idle), Arc::clone(&seat), Arc::clone(&work));
        let other = thread::spawn(move || {
            their_work.store(1, Release);
            if their_idle.notify().is_none() || their_seat.send_go(&Reactor::default()) {
                return;
            }
            if !pool_has_threads {
                if their_seat.ignore_summons() {
                    let _ = their_idle.stop_searching();
                }
            } else if their_seat.heed_summons() {
                let _ = their_idle.stop_searching();
                assert_eq!(their_work.swap(0, AcqRel), 1);
                their_seat.set_guest(None);
                their_idle.park(0);
            }
        });
        // Once when the closure is done, and again after the poll.
        let mut back = seat.come_back(false, &Reactor::default(), || idle.take(0));
        if matches!(back, Back::Occupied) {
            back = seat.come_back(true, &Reactor::default(), || idle.take(0));
        }
        other.join().unwrap();
        let searching = match back {
            Back::Sits { searching } => {
                assert!(!idle.is_parked(0) && !seat.take_go(false), "it sits there twice");
                searching
            }
            Back::Occupied => {
                let sent = seat.take_go(false);
                let sleeps = idle.is_parked(0) && work.load(Acquire) == 0;
                assert!(sent ^ sleeps, "sent to work: {sent}, sleeps without any: {sleeps}");
                sent
            }
        };
        assert_eq!(idle.searching(), usize::from(searching));
        assert!(!seat.take_go(true), "nobody else is left to go");
    });
}

#[test]
fn a_return_against_a_stand_in() {
    return_against_go(true);
}

#[test]
fn a_return_against_a_summons_that_nobody_heeds() {
    return_against_go(false);
}
