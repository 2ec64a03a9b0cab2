//! What goes from one thread to another: the task in the slot, tasks from outside, seats that are
//! lent, the sentinel's part, and tasks that end on another seat.

use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::{Acquire, Release};
use loom::thread;

use super::{Nowhere, run, tasks};
use crate::executor::idle::Idle;
use crate::executor::injector::Injector;
use crate::executor::registry::Registry;
use crate::executor::seat::{Back, Seat};
use crate::primitive::Arc;
use crate::reactor::Reactor;
use crate::task::{self, Completed, List, Origin, Runnable, Schedule};

/// Who sits on a seat fills its slot and fills it again, takes what is there, while two rescuers
/// come for it: each task runs once.
#[test]
fn slot_against_rescuers() {
    loom::model(|| {
        let seat = Arc::new(Seat::new());
        let (tasks, handles, runs) = tasks(2);
        let rescuers = [0, 1].map(|_| {
            let seat = Arc::clone(&seat);
            thread::spawn(move || run(seat.take_slot()))
        });
        for task in tasks {
            // SAFETY: this thread sits there.
            run(unsafe { seat.replace_slot(task) });
        }
        run(seat.take_slot());
        rescuers.into_iter().for_each(|thread| _ = thread.join().unwrap());
        assert!(seat.slot_is_empty());
        assert!(runs.iter().all(|runs| runs.load(Acquire) == 1));
        drop(handles);
    });
}

/// A rescuer sees what its task was given before it was put in the slot, also the second time.
#[test]
fn slot_hands_over_what_was_written() {
    loom::model(|| {
        let seat = Arc::new(Seat::new());
        let written = Arc::new(loom::cell::UnsafeCell::new(0));
        let theirs = Arc::clone(&written);
        let task = async move {
            // SAFETY: loom sees to it that nobody writes now.
            theirs.with(|number| assert_eq!(unsafe { *number }, 1));
        };
        let (task, handle) = task::spawn(task, Nowhere, Origin::caller());
        let rescued = Arc::clone(&seat);
        let rescuer = thread::spawn(move || run(rescued.take_slot()));
        // SAFETY: the task is not in the slot yet, so nobody reads.
        written.with_mut(|number| unsafe { *number = 1 });
        // SAFETY: this thread sits there.
        assert!(unsafe { seat.replace_slot(task) }.is_none());
        let taken = run(seat.take_slot());
        assert!(rescuer.join().unwrap() ^ taken, "it ran once");
        // What loom has to say was a panic of the task.
        loom::future::block_on(handle).unwrap();
    });
}

/// A task from outside, by way of the injector, against the seat that goes to sleep: it is run,
/// or the seat is sent to run it.
#[test]
fn injector_against_park() {
    loom::model(|| {
        let idle = Arc::new(Idle::new(1));
        let injector = Arc::new(Injector::default());
        assert!(idle.take(0), "seats start asleep");
        let (tasks, handles, _) = tasks(1);
        let (their_idle, theirs) = (Arc::clone(&idle), Arc::clone(&injector));
        let worker = thread::spawn(move || {
            // As it does on its way to sleep.
            let ran = run(theirs.pop());
            their_idle.park(0);
            ran || (!theirs.is_empty() && their_idle.take(0) && run(theirs.pop()))
        });
        tasks.into_iter().for_each(|task| injector.push(List::from(task)));
        let claimed = idle.notify().is_some();
        let ran = worker.join().unwrap();
        assert!(ran || claimed, "the task was left behind");
        assert_eq!(ran, injector.is_empty());
        run(injector.pop());
        drop(handles);
    });
}

/// A guest takes the only seat, works, and gives it back, while a task comes from outside: the
/// guest runs it, or the seat's own thread is sent.
#[test]
fn injector_against_a_guest() {
    loom::model(|| {
        let idle = Arc::new(Idle::new(1));
        let seat = Arc::new(Seat::new());
        let injector = Arc::new(Injector::default());
        let (tasks, handles, _) = tasks(1);
        let (their_idle, their_seat, theirs) =
            (Arc::clone(&idle), Arc::clone(&seat), Arc::clone(&injector));
        let guest = thread::spawn(move || {
            let take = || their_idle.take(0);
            if !their_seat.lend(std::thread::current(), &Reactor::default(), take) {
                return false;
            }
            let ran = run(theirs.pop());
            their_seat.set_guest(None);
            // As `Shared::leave_empty`.
            their_idle.park(0);
            if !theirs.is_empty() && their_idle.claim_this(0) {
                assert!(their_seat.send_go(&Reactor::default()));
            }
            ran
        });
        tasks.into_iter().for_each(|task| injector.push(List::from(task)));
        if idle.notify().is_some() {
            assert!(seat.send_go(&Reactor::default()));
        }
        let ran = guest.join().unwrap();
        let sent = seat.take_go(false);
        // It may be sent in vain, but not twice.
        assert!(ran || sent, "the task was left behind");
        assert_eq!(idle.searching(), usize::from(sent));
        assert_eq!(idle.is_parked(0), !sent);
        assert!(!seat.take_go(true), "a guest that has gone was sent for");
        run(injector.pop());
        drop(handles);
    });
}

/// The sentinel is called to work while another seat, which finds its part taken, goes to sleep,
/// and a third is busy: somebody looks after that one.
#[test]
fn sentinel_against_a_seat_that_relies_on_it() {
    loom::model(|| {
        let idle = Arc::new(Idle::new(3));
        // Seat 2 is busy for ever; seat 0 is about to work; seat 1 is about to sleep.
        assert!((0..3).all(|seat| idle.take(seat)));
        assert!(idle.become_sentinel());
        let theirs = Arc::clone(&idle);
        let sleeper = thread::spawn(move || {
            theirs.park(1);
            assert!(theirs.others_busy(1));
            // True: it looks up now and then. False: it sleeps until it is woken.
            theirs.become_sentinel()
        });
        idle.resign_sentinel();
        let woken = idle.lacks_sentinel().then(|| idle.notify_soon()).flatten();
        let watches = sleeper.join().unwrap();
        assert!(watches || woken == Some(1), "nobody looks after the seat that is busy");
    });
}

/// An own thread leaves its seat with a task, for which the seat is claimed at once, and is back
/// before anybody has come; its poll goes on for long. Another seat goes to sleep meanwhile, and
/// may have seen the first asleep: it has taken the task, or looks up now and then, or is woken.
#[test]
fn a_short_absence_leaves_no_task() {
    loom::model(|| {
        let (idle, seat) = (Arc::new(Idle::new(2)), Arc::new(Seat::new()));
        assert!((0..2).all(|seat| idle.take(seat)));
        let (tasks, handles, _) = tasks(1);
        for task in tasks {
            // SAFETY: this thread sits there.
            assert!(unsafe { seat.replace_slot(task) }.is_none());
        }
        let (their_idle, theirs) = (Arc::clone(&idle), Arc::clone(&seat));
        let sleeper = thread::spawn(move || {
            let looks = their_idle.start_searching();
            let ran = looks && their_idle.awake(0).any(|seat| seat == 0) && run(theirs.take_slot());
            let _ = looks && their_idle.stop_searching();
            their_idle.park(1);
            ran || (their_idle.others_busy(1) && their_idle.become_sentinel())
        });
        seat.go_away();
        // As `Shared::leave_empty`.
        idle.park(0);
        let mut woken = None;
        if seat.has_any() && idle.claim_this(0) {
            assert!(!seat.send_go(&Reactor::default()));
        }
        // As `sit_again`.
        let back = seat.come_back(false, &Reactor::default(), || idle.take(0));
        let Back::Sits { searching } = back else { unreachable!("nobody else comes") };
        if searching && idle.stop_searching() && seat.has_any() {
            woken = idle.notify_soon();
        }
        let looked = sleeper.join().unwrap();
        assert!(looked || woken.is_some() || seat.slot_is_empty(), "the task was left behind");
        run(seat.take_slot());
        drop(handles);
    });
}

/// Tells the registry of a task's end, in the name of who sits on a seat.
#[derive(Clone, Copy)]
struct EndsOn {
    registry: *const Registry,
    seat: usize,
}

impl Schedule for EndsOn {
    fn schedule(&self, _: Runnable) {
        unreachable!("nobody wakes these tasks");
    }

    fn completed(&self, task: Completed) {
        // SAFETY: the registry outlives the tasks, the test sits on the seat, and they are listed
        // in shard 0.
        let _ = unsafe { (*self.registry).remove(Some(self.seat), 0, task) };
    }
}

/// Tasks of seat 0 end on seat 1, and there, while it lists another: none is listed for ever, and
/// each is freed.
#[test]
fn registry_hears_of_ends_elsewhere() {
    loom::model(|| {
        let registry = Arc::new(Registry::new(2));
        // Loom sees it if one is not freed.
        let freed = Arc::new(AtomicUsize::new(0));
        let list = |ends_on| {
            let freed = Arc::clone(&freed);
            let home = EndsOn { registry: &raw const *registry, seat: ends_on };
            let future = async move { _ = freed.fetch_add(1, Release) };
            let (task, _) = task::spawn(future, home, Origin::caller());
            // SAFETY: this thread sits on seat 0.
            task.set_tag(unsafe { registry.insert(Some(0), task.id()) }.unwrap());
            task
        };
        let stolen = list(1);
        let theirs = Arc::clone(&registry);
        let thief = thread::spawn(move || {
            run(Some(stolen));
            drop(theirs);
        });
        // Takes out what has come back, and lists one that ends here.
        run(Some(list(0)));
        // SAFETY: as above.
        unsafe { registry.collect_all(0) };
        thief.join().unwrap();
        // SAFETY: nobody else is there any more.
        assert!(unsafe { registry.is_empty() });
        assert_eq!(freed.load(Acquire), 2);
    });
}
