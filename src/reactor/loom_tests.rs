//! What the system says against who tries a source, and waking against going to sleep in the poll.
//!
//! A source of the system's is a few atomics here, and its poll a condition variable that a flag
//! belongs to. Whatever is lost leaves a thread that waits for ever, which loom reports.

use std::future::poll_fn;
use std::io;

use loom::future::block_on;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use loom::sync::atomic::{AtomicBool, AtomicUsize};
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::asleep::{self, Asleep};
use super::entry::Entry;
use super::readiness::{Direction, Edge, READ_CLOSED, READABLE, Readiness, WRITABLE, WRITE_CLOSED};
use super::waiters::Ticket;
use crate::primitive::Arc;
use crate::util::SpinLock;

/// Bytes on their way, and whether no more come. It is Release and Acquire, as if the system had
/// nothing better.
#[derive(Default)]
struct Pipe {
    bytes: AtomicUsize,
    ended: AtomicBool,
}

impl Pipe {
    /// As `read` with room for two bytes: how many there were.
    fn read(&self) -> io::Result<usize> {
        let ended = self.ended.load(Acquire);
        match self.bytes.swap(0, Acquire) {
            0 if !ended => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

/// Waits like a future of the sockets; `short` is what it makes of a read that took less than it
/// had room for.
fn read(entry: &Entry, pipe: &Pipe, short: bool) -> io::Result<usize> {
    let mut ticket = Ticket::default();
    let all = |&count: &usize| short && 0 < count && count < 2;
    block_on(poll_fn(|cx| entry.poll_io(Direction::Read, &mut ticket, cx, || pipe.read(), all)))
}

/// Bytes come one by one, each with an edge; whoever reads gets both, however the edges fall
/// between the failures and the clearing.
fn no_edge_is_lost(short: bool) {
    loom::model(move || {
        let (entry, pipe) = (std::sync::Arc::new(Entry::new(0)), Arc::new(Pipe::default()));
        let (their_entry, their_pipe) = (entry.clone(), pipe.clone());
        let system = thread::spawn(move || {
            for _ in 0..2 {
                their_pipe.bytes.fetch_add(1, Release);
                their_entry.tell(Edge(READABLE));
            }
        });
        let mut got = 0;
        while got < 2 {
            got += read(&entry, &pipe, short).unwrap();
        }
        system.join().unwrap();
        assert_eq!(got, 2);
    });
}

#[test]
fn no_edge_is_lost_to_a_read_that_would_block() {
    no_edge_is_lost(false);
}

#[test]
fn no_edge_is_lost_to_a_short_read() {
    no_edge_is_lost(true);
}

/// The end comes with the last byte, in the same edge or in the next one, and is told once.
#[test]
fn a_short_read_keeps_the_end() {
    for together in [false, true] {
        loom::model(move || {
            let (entry, pipe) = (std::sync::Arc::new(Entry::new(0)), Arc::new(Pipe::default()));
            let (their_entry, their_pipe) = (entry.clone(), pipe.clone());
            let system = thread::spawn(move || {
                their_pipe.bytes.store(1, Release);
                if !together {
                    their_entry.tell(Edge(READABLE));
                }
                their_pipe.ended.store(true, Release);
                their_entry.tell(Edge(READABLE | READ_CLOSED));
            });
            assert_eq!(read(&entry, &pipe, true).unwrap(), 1);
            assert_eq!(read(&entry, &pipe, true).unwrap(), 0);
            system.join().unwrap();
        });
    }
}

/// Two tasks read from one source, and each gets a byte, or the end that both see.
#[test]
fn two_readers_hear_of_the_end() {
    loom::model(|| {
        let (entry, pipe) = (std::sync::Arc::new(Entry::new(0)), Arc::new(Pipe::default()));
        let (their_entry, their_pipe) = (entry.clone(), pipe.clone());
        let reader = thread::spawn(move || read(&their_entry, &their_pipe, true).unwrap());
        pipe.ended.store(true, Release);
        entry.tell(Edge(READABLE | READ_CLOSED));
        assert_eq!(read(&entry, &pipe, true).unwrap(), 0);
        assert_eq!(reader.join().unwrap(), 0);
    });
}

/// Counts its wakes.
#[derive(Default)]
struct Count(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// One waits in a place that it shares, and another polls there while the system speaks: whoever of
/// them has waited last is woken, also if the other need not wait.
#[test]
fn who_need_not_wait_leaves_the_place_to_who_does() {
    loom::model(|| {
        let (entry, pipe) = (std::sync::Arc::new(Entry::new(0)), Arc::new(Pipe::default()));
        let place = SpinLock::new(Ticket::default());
        let poll = || {
            let count = std::sync::Arc::new(Count::default());
            let waker = std::task::Waker::from(count.clone());
            let mut cx = std::task::Context::from_waker(&waker);
            let read = || pipe.read();
            (count, entry.poll_shared(Direction::Read, &place, &mut cx, read, |_| false))
        };
        let (first, result) = poll();
        assert!(result.is_pending());
        let (their_entry, their_pipe) = (entry.clone(), pipe.clone());
        let system = thread::spawn(move || {
            their_pipe.bytes.fetch_add(1, Release);
            their_entry.tell(Edge(READABLE));
        });
        let (second, result) = poll();
        system.join().unwrap();
        let last = if result.is_pending() { second } else { first };
        assert!(last.0.load(SeqCst) > 0, "who waits is not woken");
    });
}

/// One waits, and polls again with another waker while the system speaks: it is ready, or that one is
/// woken.
#[test]
fn the_last_waker_is_woken() {
    loom::model(|| {
        let (entry, pipe) = (std::sync::Arc::new(Entry::new(0)), Arc::new(Pipe::default()));
        let mut ticket = Ticket::default();
        let mut poll = || {
            let count = std::sync::Arc::new(Count::default());
            let waker = std::task::Waker::from(count.clone());
            let mut cx = std::task::Context::from_waker(&waker);
            let read = || pipe.read();
            (count, entry.poll_io(Direction::Read, &mut ticket, &mut cx, read, |_| false))
        };
        assert!(poll().1.is_pending());
        let (their_entry, their_pipe) = (entry.clone(), pipe.clone());
        let system = thread::spawn(move || {
            their_pipe.bytes.fetch_add(1, Release);
            their_entry.tell(Edge(READABLE));
        });
        let (last, result) = poll();
        system.join().unwrap();
        assert!(result.is_ready() || last.0.load(SeqCst) > 0, "who waits is not woken");
    });
}

/// Two wait, and one gives up while the system speaks: the other is woken.
#[test]
fn who_gives_up_takes_no_wake_along() {
    loom::model(|| {
        let entry = std::sync::Arc::new(Entry::new(0));
        let wait = || {
            let (mut ticket, count) = (Ticket::default(), std::sync::Arc::new(Count::default()));
            let waker = std::task::Waker::from(count.clone());
            let mut cx = std::task::Context::from_waker(&waker);
            assert!(entry.poll_ready(Direction::Read, &mut ticket, &mut cx).is_pending());
            (ticket, count)
        };
        let ((mut first, _), (_, second)) = (wait(), wait());
        let theirs = entry.clone();
        let system = thread::spawn(move || theirs.tell(Edge(READABLE)));
        entry.leave(Direction::Read, &mut first);
        system.join().unwrap();
        assert_eq!(second.0.load(SeqCst), 1);
    });
}

/// Both directions are cleared at once, and the system speaks of one of them meanwhile: the other
/// is cleared, or is tried once more.
#[test]
fn directions_do_not_disturb_each_other() {
    loom::model(|| {
        let readiness = Arc::new(Readiness::new());
        readiness.tell(Edge(READABLE | WRITABLE));
        let clear = |direction| {
            let readiness = Arc::clone(&readiness);
            move || readiness.clear(readiness.look(), direction)
        };
        let reader = thread::spawn(clear(Direction::Read));
        let writer = thread::spawn(clear(Direction::Write));
        reader.join().unwrap();
        writer.join().unwrap();
        let seen = readiness.look();
        assert!(!seen.is_ready(Direction::Read) && !seen.is_ready(Direction::Write));
    });
}

/// The runtime ends while an operation fails: the next look finds it gone, for ever.
#[test]
fn gone_stays() {
    loom::model(|| {
        let readiness = Arc::new(Readiness::new());
        readiness.tell(Edge(READABLE | WRITABLE | READ_CLOSED | WRITE_CLOSED));
        let theirs = Arc::clone(&readiness);
        let system = thread::spawn(move || theirs.tell(Edge::gone()));
        readiness.clear(readiness.look(), Direction::Read);
        readiness.clear_open(readiness.look(), Direction::Write);
        system.join().unwrap();
        for direction in [Direction::Read, Direction::Write] {
            readiness.clear(readiness.look(), direction);
            let seen = readiness.look();
            assert!(seen.is_gone() && seen.is_ready(direction));
        }
    });
}

/// Who waits when the runtime ends gets an error.
#[test]
fn gone_reaches_who_waits() {
    loom::model(|| {
        let entry = std::sync::Arc::new(Entry::new(0));
        let theirs = entry.clone();
        let system = thread::spawn(move || theirs.tell(Edge::gone()));
        assert!(read(&entry, &Pipe::default(), false).is_err());
        system.join().unwrap();
    });
}

/// What a thread waits for: a flag that is taken down by who has seen it.
struct Flag {
    up: Mutex<bool>,
    raised: Condvar,
}

impl Flag {
    fn new() -> Self {
        Self { up: Mutex::new(false), raised: Condvar::new() }
    }

    fn raise(&self) {
        *self.up.lock().unwrap() = true;
        self.raised.notify_one();
    }

    fn take(&self, wait: bool) {
        let mut up = self.up.lock().unwrap();
        while wait && !*up {
            up = self.raised.wait(up).unwrap();
        }
        *up = false;
    }
}

/// The system's poll, its waker, and the place of the reactor. Loom's own tokens of `park` do not
/// outlive a wait for a mutex, so they are flags, too.
struct Poll {
    exists: AtomicBool,
    waker: Flag,
    /// Taken by who polls.
    poller: Mutex<()>,
    asleep: Asleep<usize>,
    parked: [Flag; 2],
    reasons: [AtomicBool; 2],
}

impl Poll {
    fn new(exists: bool) -> Arc<Self> {
        Arc::new(Self {
            exists: AtomicBool::new(exists),
            waker: Flag::new(),
            poller: Mutex::new(()),
            asleep: Asleep::new(),
            parked: [(); 2].map(|()| Flag::new()),
            reasons: [(); 2].map(|()| AtomicBool::new(false)),
        })
    }

    /// As `Reactor::wait`.
    fn wait(&self, name: usize) -> bool {
        if !self.exists.load(Acquire) {
            return false;
        }
        let Ok(_poller) = self.poller.try_lock() else { return false };
        let stay = || !self.reasons[name].load(Relaxed);
        self.asleep.wait(name, stay, |stays| self.waker.take(stays));
        true
    }

    /// As `executor::driver::wait` in the loop of a worker.
    fn sleep(&self, name: usize) {
        while !self.reasons[name].load(Acquire) {
            if !self.wait(name) {
                self.parked[name].take(true);
            }
        }
    }

    /// As `executor::driver::wake`, with the reason before it.
    fn wake(&self, name: usize) {
        self.reasons[name].store(true, Release);
        self.parked[name].raise();
        asleep::settle();
        if self.exists.load(Acquire) {
            self.asleep.kick(name, || self.waker.raise());
        }
    }
}

/// A reason that comes while a thread goes to sleep in the poll.
#[test]
fn kick_against_wait() {
    loom::model(|| {
        let poll = Poll::new(true);
        let theirs = Arc::clone(&poll);
        let sleeper = thread::spawn(move || theirs.sleep(0));
        poll.wake(0);
        sleeper.join().unwrap();
    });
}

/// The sleeper has started the reactor that it waits in, and the waker may not know of it.
#[test]
fn kick_against_wait_in_a_reactor_that_is_new() {
    loom::model(|| {
        let poll = Poll::new(false);
        let theirs = Arc::clone(&poll);
        let sleeper = thread::spawn(move || {
            theirs.exists.store(true, Release);
            theirs.sleep(0);
        });
        poll.wake(0);
        sleeper.join().unwrap();
    });
}

/// A timer is set while the keeper of the time goes to sleep in the poll, until a later one is due: who
/// has set it sees until when the keeper sleeps, and nudges it (`executor/worker/park.rs`).
#[test]
fn nudge_against_wait() {
    loom::model(|| {
        let poll = Poll::new(true);
        let (first, kept) = (Arc::new(AtomicUsize::new(9)), Arc::new(AtomicUsize::new(usize::MAX)));
        let keeper = thread::spawn({
            let (poll, first, kept) = (Arc::clone(&poll), Arc::clone(&first), Arc::clone(&kept));
            move || {
                // As `Idle::keep_time`.
                kept.store(9, Relaxed);
                asleep::settle();
                if first.load(Relaxed) == 9 {
                    let stay = || first.load(Relaxed) >= 9;
                    poll.asleep.wait(0, stay, |stays| poll.waker.take(stays));
                }
            }
        });
        // As `Shared::hurry`.
        first.store(1, Relaxed);
        asleep::settle();
        if 1 < kept.load(Relaxed) {
            asleep::settle();
            poll.asleep.kick(0, || poll.waker.raise());
        }
        keeper.join().unwrap();
    });
}

/// Two want to wait, and one gets the poll, perhaps after the other: the wake of one is not the
/// other's, and one that comes late costs the next a look and nothing else.
#[test]
fn two_sleepers_get_their_own_wakes() {
    loom::model(|| {
        let poll = Poll::new(true);
        let sleepers = [0, 1].map(|name| {
            let theirs = Arc::clone(&poll);
            thread::spawn(move || theirs.sleep(name))
        });
        poll.wake(0);
        poll.wake(1);
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

/// Who sees the other awake leaves the poll to it (`executor/worker/looks.rs`), and one of them has
/// just looked there, which keeps the other out for a moment. In the end somebody waits there: the
/// last to set its bit, as `Idle::park` does, sees the other's, and finds the poller free.
#[test]
fn the_last_to_sleep_waits_in_the_poll() {
    loom::model(|| {
        let (poller, parked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let sleeper = |bit: usize, looks: bool| {
            let (poller, parked) = (Arc::clone(&poller), Arc::clone(&parked));
            move || {
                if looks && !poller.swap(true, Acquire) {
                    poller.store(false, Release);
                }
                parked.fetch_or(bit, Release);
                asleep::settle();
                let others_sleep = parked.load(Relaxed) | bit == 3;
                others_sleep && !poller.swap(true, Acquire)
            }
        };
        let other = thread::spawn(sleeper(1, true));
        let waits = sleeper(2, false)();
        assert!(waits | other.join().unwrap());
    });
}

/// The last to sleep finds the other in the poll, who is nudged, and looks up in vain. It does not
/// leave the poll to who has fallen asleep meanwhile (`executor/worker/park.rs`).
#[test]
fn who_is_nudged_goes_back_to_the_poll() {
    loom::model(|| {
        // The other is in the poll, and its bit is set.
        let (poller, parked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(2)));
        let comes =
            |poller: &AtomicBool| poller.compare_exchange(false, true, Acquire, Relaxed).is_ok();
        let last = thread::spawn({
            let (poller, parked) = (Arc::clone(&poller), Arc::clone(&parked));
            move || {
                parked.fetch_or(1, Release);
                asleep::settle();
                let others_sleep = parked.load(Relaxed) | 1 == 3;
                others_sleep && comes(&poller)
            }
        });
        poller.store(false, Release);
        // As after `driver::wait`.
        asleep::settle();
        let others_sleep = parked.load(Relaxed) | 2 == 3;
        let waits = others_sleep && comes(&poller);
        assert!(waits | last.join().unwrap());
    });
}
