//! The reactor without a runtime: whom an event reaches, and what is left when sources leave.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mio::net::UnixStream;

use super::readiness::{READABLE, WRITABLE};
use super::waiters::Ticket;
use super::{Direction, Driver, Edge, Entry, Ready, lock, precise};
use crate::util::SpinLock;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A waker that a foreign executor has not written well.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker panics");
    }
}

fn waits(entry: &Entry, direction: Direction, ticket: &mut Ticket, waker: &Waker) -> bool {
    entry.poll_ready(direction, ticket, &mut Context::from_waker(waker)).is_pending()
}

fn entries(driver: &Driver) -> usize {
    lock(&driver.sources).entries.len()
}

#[test]
fn an_event_of_a_source_that_left_reaches_nobody() {
    let driver = Driver::new().unwrap();
    let (mut old, mut peer) = UnixStream::pair().unwrap();
    let first = driver.register(&mut old).unwrap();
    peer.write_all(b"x").unwrap();
    let mut poller = driver.try_poller().unwrap();
    let super::Poller { poll, events } = &mut *poller;
    precise::poll(poll, events, Some(Duration::ZERO)).unwrap();
    assert!(!events.is_empty());
    // Between the fetch and the look at the sources, another takes the place.
    driver.deregister(&mut old, &first);
    let (mut new, _peer) = UnixStream::pair().unwrap();
    let second = driver.register(&mut new).unwrap();
    assert_eq!(first.key(), second.key());
    let mut ready = Ready::default();
    driver.collect(events, &mut ready);
    assert!(ready.is_empty());
    assert!(waits(&second, Direction::Read, &mut Ticket::default(), Waker::noop()));
}

/// Who waits in a shared place hears of each step once: what its last wait was told is spent.
#[test]
fn a_shared_place_is_told_once() {
    let (entry, place) = (Entry::new(0), SpinLock::new(Ticket::default()));
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    for wakes in 0..3 {
        let read = || -> io::Result<()> { Err(io::ErrorKind::WouldBlock.into()) };
        let mut cx = Context::from_waker(&waker);
        let result = entry.poll_shared(Direction::Read, &place, &mut cx, read, |_| false);
        assert!(result.is_pending());
        assert_eq!(count.0.load(SeqCst), wakes);
        entry.tell(Edge(READABLE));
        assert_eq!(count.0.load(SeqCst), wakes + 1);
    }
}

#[test]
fn sources_that_leave_leave_nothing() {
    let driver = Driver::new().unwrap();
    let mut ready = Ready::default();
    let mut keys = 0;
    for round in 0..1000 {
        let mut pairs: Vec<_> = (0..10).map(|_| UnixStream::pair().unwrap()).collect();
        let known: Vec<_> =
            pairs.iter_mut().map(|(one, _)| driver.register(one).unwrap()).collect();
        keys = keys.max(known.iter().map(|entry| entry.key()).max().unwrap());
        if round % 2 == 0 {
            let mut poller = driver.try_poller().unwrap();
            driver.fetch(&mut poller, Some(Duration::ZERO), &mut ready);
        }
        for ((one, _), entry) in pairs.iter_mut().zip(&known) {
            driver.deregister(one, entry);
        }
        assert_eq!(entries(&driver), 0);
        // Told after the source has left: of interest to nobody, and no harm.
        ready.fire(usize::MAX);
        assert!(known.into_iter().all(|entry| Arc::into_inner(entry).is_some()));
    }
    assert_eq!(keys, 9, "places are used again");
}

#[test]
fn a_waker_that_panics_leaves_nobody_waiting() {
    let entry = Arc::new(Entry::new(0));
    let bad = Waker::from(Arc::new(Panics));
    // Many, in either direction.
    let mut tickets: Vec<(Direction, Ticket)> = Vec::new();
    for direction in [Direction::Read, Direction::Write] {
        tickets.extend((0..100).map(|_| (direction, Ticket::default())));
    }
    let counts: Vec<_> = tickets.iter().map(|_| Arc::new(Count::default())).collect();
    for (i, ((direction, ticket), count)) in tickets.iter_mut().zip(&counts).enumerate() {
        let good = Waker::from(Arc::clone(count));
        assert!(waits(&entry, *direction, ticket, if i == 3 { &bad } else { &good }));
    }
    let mut ready = Ready(vec![(Arc::clone(&entry), Edge(READABLE | WRITABLE))]);
    ready.fire(usize::MAX);
    for (i, count) in counts.iter().enumerate() {
        assert_eq!(Arc::strong_count(count), 1, "waiter {i} is still there");
        assert_eq!(count.0.load(SeqCst), usize::from(i != 3), "waiter {i}");
    }
    for (direction, ticket) in &mut tickets {
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(entry.poll_ready(*direction, ticket, &mut cx), Poll::Ready(Ok(()))));
    }
}

/// Panics when it drops, and when it is woken, with another.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a bomb drops");
    }
}

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        std::panic::panic_any(Bomb);
    }
}

/// Futures that were forgotten have left their wakers, and their socket is gone since it was spoken
/// of. One waker is called here, the other dropped, and neither keeps the rest from hearing.
#[test]
fn no_waker_keeps_others_from_hearing() {
    let entries = [0, 1].map(|key| Arc::new(Entry::new(key)));
    for direction in [Direction::Read, Direction::Write] {
        let bomb = Waker::from(Arc::new(Bomb));
        assert!(waits(&entries[0], direction, &mut Ticket::default(), &bomb));
    }
    let other = Arc::clone(&entries[1]);
    Ready(entries.map(|entry| (entry, Edge(READABLE))).into()).fire(usize::MAX);
    assert!(!waits(&other, Direction::Read, &mut Ticket::default(), Waker::noop()));
}
