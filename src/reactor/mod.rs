//! The reactor of a runtime: asks the system which sources are ready, and wakes who waits.
//!
//! # Invariants
//!
//! 1. A runtime has none until its first source. A program without I/O pays one load of a line
//!    that nobody writes, now and then, and no call of the system.
//! 2. One thread at a time is at the system's poll: the [`Poller`] is behind a lock that is
//!    only tried. Who does not get it need not look, since another does.
//! 3. A source's token has a generation, so that an event which was fetched before the source
//!    left never reaches one that took its place. A source leaves the system's poll before it is
//!    closed.
//! 4. What was fetched is told ([`Ready::fire`]) without any lock, since wakers are foreign code.
//! 5. When the runtime ends, every source is told that it is gone, and later ones are refused: who
//!    waits gets an error. If there is no reactor then, none starts later.
//!
//! # Waking who waits in the poll
//!
//! A thread sleeps in `park`, or in the poll, which a mere `unpark` does not end. Who goes to sleep
//! in the poll writes its name (`asleep`, under a lock), **fence**, looks once more for a reason
//! to be awake, and waits. Who wakes a thread makes the reason, **fence**, looks whether there
//! is a reactor and whether the name is that thread's, and if so takes the name off and writes to
//! the poll ([`mio::Waker`]). If the waker's turn at the lock is first, the sleeper finds the
//! reason; if the sleeper's, the waker finds the name. (The fences are for who found no
//! reactor at all.) A write that comes late ends the next wait in vain, and nothing else.
//!
//! # Who waits there
//!
//! Whoever goes to sleep on a seat and gets the poller, but for one who leaves it to those who are
//! awake and look often. Who falls asleep last does not, so one of the sleepers is there if all sleep.
//! See `executor/worker/events.rs` for what the seats do between tasks.

mod asleep;
mod entry;
#[cfg(all(test, annulus_loom))]
mod loom_tests;
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), path = "rounded.rs")]
mod precise;
mod readiness;
// Miri's epoll does not know of urgent data.
#[cfg(all(test, unix, not(annulus_loom), not(miri)))]
mod tests;
mod waiters;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use mio::event::Source;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;

use self::asleep::Asleep;
pub(crate) use self::entry::Entry;
pub(crate) use self::readiness::Direction;
use self::readiness::Edge;
pub(crate) use self::waiters::Ticket;
use crate::primitive::atomic::AtomicU32;
use crate::primitive::atomic::Ordering::Relaxed;
use crate::task::catch_quietly;

/// Events fetched at once: as many as half of a seat's ring has room for. The system keeps the
/// others in the order in which they came.
const EVENTS: usize = 128;
/// The token of the `Waker`.
const WAKE: Token = Token(usize::MAX);
/// Of everything, once for all: an edge that nobody waits for costs no more than its bits.
const INTEREST: Interest = {
    let both = Interest::READABLE.add(Interest::WRITABLE);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let both = both.add(Interest::PRIORITY);
    both
};
/// Half of a token is the key, half the generation.
const HALF: u32 = usize::BITS / 2;
const KEY: usize = (1 << HALF) - 1;

/// A runtime's place for a reactor; `None` if the runtime has ended without one.
#[derive(Debug, Default)]
pub(crate) struct Reactor(OnceLock<Option<Arc<Driver>>>);

/// The reactor, when there is one.
#[derive(Debug)]
pub(crate) struct Driver {
    poller: Mutex<Poller>,
    registry: mio::Registry,
    waker: Waker,
    asleep: Asleep,
    /// Calls of `look`; written by who has the poller.
    looks: AtomicU32,
    sources: Mutex<Sources>,
}

#[derive(Debug)]
struct Poller {
    poll: Poll,
    events: Events,
}

#[derive(Debug, Default)]
struct Sources {
    entries: Slab<(usize, Arc<Entry>)>,
    /// The last one's.
    generation: usize,
    closed: bool,
}

/// What was fetched from the system and not been told yet.
#[derive(Debug, Default)]
pub(crate) struct Ready(Vec<(Arc<Entry>, Edge)>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reactor {
    /// The reactor; the first call starts it, and then calls `started`.
    pub(crate) fn driver(&self, started: impl FnOnce()) -> io::Result<&Arc<Driver>> {
        if let Some(known) = self.0.get() {
            return known.as_ref().ok_or_else(gone);
        }
        // Of two who are first at once, one drops its own.
        let driver = Arc::new(Driver::new()?);
        let driver = self.0.get_or_init(|| Some(driver)).as_ref().ok_or_else(gone)?;
        started();
        Ok(driver)
    }

    #[inline]
    fn get(&self) -> Option<&Arc<Driver>> {
        self.0.get()?.as_ref()
    }

    #[inline]
    pub(crate) fn exists(&self) -> bool {
        self.get().is_some()
    }

    /// Has a thread that waits in the poll go on; the reason must be there already.
    pub(crate) fn kick(&self, thread: ThreadId) {
        asleep::settle();
        if let Some(driver) = self.get() {
            let wake = || driver.waker.wake().expect("the poll can be woken");
            driver.asleep.kick(thread, wake);
        }
    }

    /// Whether there is a reactor, and nobody waits there. That it has no sources is no excuse: a
    /// thread that sits nowhere may add some, and tells nobody.
    pub(crate) fn lacks_watcher(&self) -> bool {
        self.get().is_some_and(|driver| driver.asleep.is_nobody())
    }

    /// Fetches what is there, unless another is at it; then it is false.
    pub(crate) fn look(&self, ready: &mut Ready) -> bool {
        let Some(driver) = self.get() else { return false };
        let Some(mut poller) = driver.try_poller() else { return false };
        driver.looks.store(driver.looks.load(Relaxed).wrapping_add(1), Relaxed);
        driver.fetch(&mut poller, Some(Duration::ZERO), ready);
        true
    }

    /// How often somebody has looked, modulo 2^32: a hint.
    pub(crate) fn looks(&self) -> u32 {
        self.get().map_or(0, |driver| driver.looks.load(Relaxed))
    }

    /// Waits for what comes, for so long at most, while `stay` says so; may return early. False:
    /// there is no reactor, or another waits there.
    pub(crate) fn wait(
        &self,
        time: Option<Duration>,
        ready: &mut Ready,
        stay: impl FnOnce() -> bool,
    ) -> bool {
        let Some(driver) = self.get() else { return false };
        let Some(mut poller) = driver.try_poller() else { return false };
        driver.asleep.wait(thread::current().id(), stay, |stays| {
            let time = if stays { time } else { Some(Duration::ZERO) };
            driver.fetch(&mut poller, time, ready);
        });
        true
    }

    /// The runtime has ended.
    pub(crate) fn close(&self) {
        let Some(driver) = self.0.get_or_init(|| None) else { return };
        let mut sources = lock(&driver.sources);
        sources.closed = true;
        let gone = |(_, (_, entry)): (usize, &(usize, Arc<Entry>))| (entry.clone(), Edge::gone());
        let mut ready = Ready(sources.entries.iter().map(gone).collect());
        drop(sources);
        ready.fire(usize::MAX);
    }
}

impl Driver {
    fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, WAKE)?;
        let poller = Mutex::new(Poller { poll, events: Events::with_capacity(EVENTS) });
        let asleep = Asleep::new();
        let (looks, sources) = (AtomicU32::new(0), Mutex::default());
        Ok(Self { poller, registry, waker, asleep, looks, sources })
    }

    fn try_poller(&self) -> Option<MutexGuard<'_, Poller>> {
        match self.poller.try_lock() {
            Ok(poller) => Some(poller),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Fetches once. A signal ends the wait early, with nothing.
    fn fetch(&self, poller: &mut Poller, time: Option<Duration>, ready: &mut Ready) {
        let Poller { poll, events } = poller;
        match precise::poll(poll, events, time) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            Err(error) => panic!("the system's poll failed: {error}"),
        }
        if !events.is_empty() {
            self.collect(events, ready);
        }
    }

    /// Finds whom the events are about: those who are still there.
    fn collect(&self, events: &Events, ready: &mut Ready) {
        let sources = lock(&self.sources);
        for event in events {
            let Token(token) = event.token();
            if let Some((generation, entry)) = sources.entries.get(token & KEY) {
                if token >> HALF == *generation {
                    ready.0.push((Arc::clone(entry), Edge::of(event)));
                }
            }
        }
    }

    /// Has the system tell of a source.
    pub(crate) fn register(&self, source: &mut impl Source) -> io::Result<Arc<Entry>> {
        let mut sources = lock(&self.sources);
        if sources.closed {
            return Err(gone());
        }
        // Never as large as in `WAKE`.
        let generation = (sources.generation + 1) % KEY;
        let key = sources.entries.vacant_key();
        if key >= KEY {
            return Err(io::Error::other("there are too many sources for one runtime"));
        }
        let entry = Arc::new(Entry::new(key));
        // Under the lock, so that its first event finds it.
        let token = Token(generation << HALF | key);
        self.registry.register(source, token, INTEREST)?;
        sources.entries.insert((generation, Arc::clone(&entry)));
        sources.generation = generation;
        Ok(entry)
    }

    /// Has the system tell no more of it. Call this before the source is closed.
    pub(crate) fn deregister(&self, source: &mut impl Source, entry: &Entry) {
        // If the system has forgotten it already, all the better.
        let _ = self.registry.deregister(source);
        let removed = lock(&self.sources).entries.remove(entry.key());
        // Its wakers are foreign code.
        drop(removed);
    }
}

/// The error of a source whose runtime has ended.
pub(crate) fn gone() -> io::Error {
    io::Error::other("the runtime of this socket has ended; make sockets in the runtime that lives")
}

impl Ready {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Wakes whoever waited for one of the first so many.
    pub(crate) fn fire(&mut self, most: usize) {
        for (entry, edge) in self.0.drain(..most.min(self.0.len())) {
            entry.tell(edge);
            // If the source has gone since, with it go the wakers of futures that were forgotten.
            catch_quietly(|| drop(entry));
        }
    }
}
