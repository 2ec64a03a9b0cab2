//! The reactor without a runtime: whom an event reaches, and what is left when sources leave.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mio::net::UnixStream;

use super::readiness::{READ_CLOSED, READABLE, URGENT, WRITABLE};
use super::waiters::Ticket;
use super::{Direction, Doubts, Driver, Edge, Entry, News, Ready, Remains, lock, precise};
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
        let result =
            entry.poll_shared(Direction::Read, &place, &mut cx, read, |_| Remains::Something);
        assert!(result.is_pending());
        assert_eq!(count.0.load(SeqCst), wakes);
        entry.tell(Edge(READABLE));
        assert_eq!(count.0.load(SeqCst), wakes + 1);
    }
}

/// A source whose reads leave it open whether there is more, and who reads there.
struct Reader {
    entry: Arc<Entry>,
    doubts: Doubts,
    ticket: Ticket,
    count: Arc<Count>,
    /// What is there, and how many reads were tried.
    bytes: usize,
    tries: usize,
}

impl Reader {
    fn new() -> Self {
        let (entry, doubts) = (Arc::new(Entry::new(0)), Doubts::new());
        let (ticket, count) = Default::default();
        Self { entry, doubts, ticket, count, bytes: 0, tries: 0 }
    }

    /// A poll as `net/socket.rs` makes it.
    fn poll(&mut self) -> Poll<()> {
        let waker = Waker::from(Arc::clone(&self.count));
        let mut cx = Context::from_waker(&waker);
        if self.entry.is_doubtful(Direction::Read)
            && self.entry.wait_in_doubt(&mut self.ticket, &mut cx, &self.doubts)
        {
            return Poll::Pending;
        }
        let (bytes, tries) = (&mut self.bytes, &mut self.tries);
        let read = || {
            *tries += 1;
            *bytes = bytes.checked_sub(1).ok_or(io::ErrorKind::WouldBlock)?;
            Ok(())
        };
        let left = |&(): &()| Remains::Perhaps;
        self.entry
            .poll_io(Direction::Read, &mut self.ticket, &mut cx, read, left)
            .map(|result| result.expect("it reads or waits"))
    }

    fn tell(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.entry.tell(Edge(READABLE));
    }

    /// One byte comes and is read; then the reader waits. Says how many reads that took.
    fn read_one(&mut self) -> usize {
        let before = self.tries;
        self.tell(1);
        assert!(self.poll().is_ready() && self.poll().is_pending());
        self.tries - before
    }

    fn settle(&self) {
        let mut ready = Ready::default();
        self.doubts.settle(&mut ready);
        ready.fire(usize::MAX);
    }
}

#[test]
fn reads_that_would_be_in_vain_are_not_made() {
    let mut reader = Reader::new();
    assert!(reader.poll().is_pending());
    assert_eq!([(); 5].map(|()| reader.read_one()), [2, 2, 1, 1, 1]);
    // What the system told of is read at once.
    assert_eq!(reader.count.0.load(SeqCst), 5, "a wake for each byte");
    // And polls that nobody asked for find what is there.
    reader.bytes = 1;
    assert!(reader.poll().is_ready());
}

#[test]
fn who_waits_in_doubt_too_long_tries_and_does_not_doubt_again_soon() {
    let mut reader = Reader::new();
    assert_eq!([(); 3].map(|()| reader.read_one()), [2, 2, 1]);
    reader.settle();
    assert_eq!(reader.count.0.load(SeqCst), 3, "two bytes, and the doubt");
    assert!(reader.poll().is_pending());
    assert_eq!(reader.tries, 6);
    assert_eq!([(); 16].map(|()| reader.read_one()), [2; 16]);
    assert_eq!(reader.read_one(), 1);
    // The second of two is there, and no edge will tell of it.
    reader.tell(2);
    assert!(reader.poll().is_ready() && reader.poll().is_pending());
    let before = reader.count.0.load(SeqCst);
    reader.settle();
    assert_eq!(reader.count.0.load(SeqCst), before + 1);
    assert!(reader.poll().is_ready());
    assert!(!reader.doubts.has_any());
}

#[test]
fn who_finds_more_each_time_never_waits_in_doubt() {
    let mut reader = Reader::new();
    for _ in 0..20 {
        reader.tell(2);
        assert!(reader.poll().is_ready() && reader.poll().is_ready());
        assert!(reader.poll().is_pending());
        assert!(!reader.doubts.has_any());
    }
}

/// The end, an error or urgent data may be behind what was read.
#[test]
fn nobody_waits_in_doubt_for_a_source_that_is_closed_or_has_urgent_data() {
    for bit in [READ_CLOSED, URGENT] {
        let mut reader = Reader::new();
        assert_eq!([(); 3].map(|()| reader.read_one()), [2, 2, 1]);
        reader.bytes += 1;
        reader.entry.tell(Edge(READABLE | bit));
        assert!(reader.poll().is_ready());
        let tries = reader.tries;
        assert!(reader.poll().is_pending());
        assert_eq!(reader.tries, tries + 1);
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
    let mut ready = Ready(vec![(Arc::clone(&entry), News::Edge(Edge(READABLE | WRITABLE)))]);
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
    Ready(entries.map(|entry| (entry, News::Edge(Edge(READABLE)))).into()).fire(usize::MAX);
    assert!(!waits(&other, Direction::Read, &mut Ticket::default(), Waker::noop()));
}
