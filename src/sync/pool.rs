//! Permits, handed out first come, first served: what every lock here is made of.
//!
//! # Invariants
//!
//! 1. Permits that nobody holds are in the word, which also has WAITS and CLOSED. Who gives some
//!    back adds them there, whoever waits: one instruction, which also tells whether somebody does.
//! 2. While WAITS is set, permits leave the word only under the queue's mutex, for the first in the
//!    queue and nobody else. So no one who comes later overtakes, and a claim of many is not starved
//!    by claims of few.
//! 3. WAITS is set under the mutex, by a claim that the word cannot serve and that has to queue;
//!    an entry in the queue implies it. It is cleared under the mutex when the queue is empty.
//! 4. While WAITS is set, whoever adds permits, or takes an entry out of the queue, hands out
//!    afterwards. So the first in the queue does not wait for what is there.
//! 5. A claim that was notified has its permits: `refused` tells those apart that heard of the end.
//!    Dropped before it knew, it gives them back.
//!
//! # States of a claim
//!
//! ```text
//!          the word has enough, and not WAITS
//!     new ------------------------------------> held
//!      |                                         ^
//!      | sets WAITS                              | handed out: `served` has its number
//!      +-----------------> queued ---------------+
//!                             |
//!                             | CLOSED, and handed nothing before it
//!                             +---------------> refused
//! ```
//!
//! # Why permits are handed over
//!
//! Where a released lock is open to all, and the waiter is only woken, whoever runs now takes it
//! before the waiter does, again and again. That is fast, and no order: channels do so, since a
//! message that somebody else takes is a message less to wait for (`channel/turn.rs`). Whoever
//! waits for a lock has work that nobody else does.

use std::fmt;
use std::task::{Context, Poll, ready};

use crate::primitive::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::atomic::{AtomicU64, AtomicUsize};
use crate::primitive::const_fn;
use crate::util::budget;
use crate::wait::Bit;
use crate::wait::queue::{Left, Ticket, WaitQueue};

/// Somebody waits.
const WAITS: usize = 1;
/// Nothing is handed out any more.
const CLOSED: usize = 2;
/// One permit.
const ONE: usize = 4;

/// The permits that nobody holds, in ONEs, and the two bits.
struct Word(AtomicUsize);

pub(super) struct Pool {
    word: Word,
    /// The lowest number that heard of the end and was handed nothing; written under the mutex.
    refused: AtomicU64,
    /// The notes are how many permits each waits for.
    queue: WaitQueue<usize>,
}

/// Why a pool gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There are too few permits, or others wait for them.
    Empty,
    Closed,
}

/// An operation that wants permits.
#[derive(Debug)]
pub(super) struct Claim {
    count: usize,
    ticket: Ticket,
}

impl Bit for Word {
    fn disarm(&self) -> bool {
        // Ordering: Relaxed; the mutex, which the caller holds, orders it for who sets the bit,
        // and who takes permits acquires from who added them, across this.
        self.0.fetch_and(!WAITS, Relaxed) & WAITS != 0
    }

    fn is_armed(&self) -> bool {
        self.0.load(Relaxed) & WAITS != 0
    }
}

impl Word {
    /// Takes permits if they are there, and neither bit is set, or only one of `despite`. If not,
    /// gives the word.
    #[inline]
    fn take(&self, count: usize, despite: usize) -> Result<(), usize> {
        // Ordering: Acquire pairs with the Release in `close`, here and below: who is refused sees
        // what was done before.
        let mut word = self.0.load(Acquire);
        while word & (WAITS | CLOSED) & !despite == 0 && word / ONE >= count {
            // Ordering: Acquire pairs with the Release in `release`: what was done while the
            // permits were held is done.
            match self.0.compare_exchange_weak(word, word - count * ONE, Acquire, Acquire) {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
        Err(word)
    }

    /// Sets WAITS for who cannot take; under the mutex. False: it can, or never will.
    fn arm(&self, count: usize) -> bool {
        let mut word = self.0.load(Relaxed);
        while word & (WAITS | CLOSED) == 0 && word / ONE < count {
            // Ordering: Relaxed; who sees the bit takes the mutex to see more.
            match self.0.compare_exchange_weak(word, word | WAITS, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        // A WAITS that is seen under the mutex is still set, so whoever has added permits since,
        // or closed the pool, comes here after us.
        word & (WAITS | CLOSED) == WAITS
    }
}

impl Pool {
    /// As many permits as a pool can count; twice as many, held and free, fit into the word.
    pub(super) const MAX: usize = usize::MAX >> 3;

    const_fn! {
        pub(super) fn new(permits: usize) -> Self {
            let word = Word(AtomicUsize::new(permits * ONE));
            Self { word, refused: AtomicU64::new(u64::MAX), queue: WaitQueue::new() }
        }
    }

    /// Takes permits if they are there and nobody waits.
    #[inline]
    pub(super) fn try_acquire(&self, count: usize) -> Result<(), Refusal> {
        self.word.take(count, 0).map_err(|word| match word & CLOSED {
            0 => Refusal::Empty,
            _ => Refusal::Closed,
        })
    }

    /// Gives permits back, or adds new ones.
    #[inline]
    pub(super) fn release(&self, count: usize) {
        // Ordering: Release pairs with the Acquire in `take`.
        if self.word.0.fetch_add(count * ONE, Release) & WAITS != 0 {
            self.hand_out();
        }
    }

    /// Adds permits; false if there would be too many.
    pub(super) fn add(&self, count: usize) -> bool {
        let fits = |word: usize| {
            let free = count.checked_add(word / ONE)?;
            (free <= Self::MAX).then(|| (free * ONE) | (word % ONE))
        };
        // Ordering: as in `release`.
        match self.word.0.fetch_update(Release, Relaxed, fits) {
            Ok(word) if word & WAITS != 0 => self.hand_out(),
            Ok(_) => {}
            Err(_) => return false,
        }
        true
    }

    /// Gives what is there to the first in the queue, and to those after them.
    #[cold]
    fn hand_out(&self) {
        self.queue.notify_while(&self.word, |count, _, _| self.word.take(*count, WAITS).is_ok());
    }

    /// Takes away up to `count` permits that nobody holds; how many there were.
    pub(super) fn forget(&self, count: usize) -> usize {
        let less = |word: usize| Some(word - count.min(word / ONE) * ONE);
        // Ordering: Acquire, as in `take`.
        let word = self.word.0.fetch_update(Acquire, Relaxed, less).unwrap_or_else(|word| word);
        count.min(word / ONE)
    }

    /// How many could be taken now: none if somebody waits, for whom they are.
    pub(super) fn available(&self) -> usize {
        let word = self.word.0.load(Relaxed);
        if word & WAITS == 0 { word / ONE } else { 0 }
    }

    /// Ends it: who waits is refused, and who comes.
    pub(super) fn close(&self) {
        // Ordering: Release pairs with the Acquire in `is_closed` and in `take`.
        let word = self.word.0.fetch_or(CLOSED, Release);
        if word & (CLOSED | WAITS) == WAITS {
            // Nothing is handed out from here on, so the first one seen here is the lowest.
            self.queue.notify_while(&self.word, |_, number, _| {
                // Ordering: Relaxed; the Release that notifies makes it visible.
                self.refused.fetch_min(number, Relaxed);
                true
            });
        }
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        // Ordering: Acquire pairs with the Release in `close`.
        self.word.0.load(Acquire) & CLOSED != 0
    }
}

impl Claim {
    pub(super) fn new(count: usize) -> Self {
        Self { count, ticket: Ticket::default() }
    }

    /// Ready when the permits are held, or when the pool is closed.
    #[inline]
    pub(super) fn poll(&mut self, pool: &Pool, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        ready!(budget::poll_proceed(cx));
        let result = if self.ticket.is_entered() {
            ready!(self.poll_queued(pool, cx))
        } else {
            match pool.try_acquire(self.count) {
                Err(Refusal::Empty) => ready!(self.poll_queued(pool, cx)),
                result => result,
            }
        };
        budget::spend();
        Poll::Ready(result)
    }

    #[cold]
    fn poll_queued(&mut self, pool: &Pool, cx: &Context<'_>) -> Poll<Result<(), Refusal>> {
        let Self { count, ticket } = self;
        loop {
            if let Some(number) = pool.queue.notice(ticket) {
                *ticket = Ticket::default();
                return Poll::Ready(pool.answer(number));
            }
            if pool.queue.waits_with(ticket, cx.waker()) {
                return Poll::Pending;
            }
            let entered = ticket.is_entered();
            let must_wait = || entered || pool.word.arm(*count);
            if pool.queue.enter(ticket, *count, false, cx.waker(), must_wait) {
                return Poll::Pending;
            }
            // Notified just now, or the word has changed.
            if !entered {
                match pool.try_acquire(*count) {
                    Err(Refusal::Empty) => {}
                    result => return Poll::Ready(result),
                }
            }
        }
    }

    /// How many permits it wants.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether it has had to wait.
    pub(super) fn waits(&self) -> bool {
        self.ticket.is_entered()
    }

    /// Ends the operation, ready or not.
    #[inline]
    pub(super) fn cancel(&mut self, pool: &Pool) {
        if self.ticket.is_entered() {
            self.leave(pool);
        }
    }

    #[cold]
    fn leave(&mut self, pool: &Pool) {
        match pool.queue.leave(&mut self.ticket) {
            // Cancel: what was handed to us goes back, and so to the next.
            Left::Notified { number, .. } if pool.answer(number).is_ok() => {
                pool.release(self.count);
            }
            // Cancel: the next may want less than we did.
            Left::Waiting => pool.hand_out(),
            _ => {}
        }
    }
}

impl Pool {
    /// What it means that the claim with this number was notified.
    fn answer(&self, number: u64) -> Result<(), Refusal> {
        // Ordering: Relaxed; if it was written for this claim, then before it was notified.
        if number < self.refused.load(Relaxed) { Ok(()) } else { Err(Refusal::Closed) }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word.0.load(Relaxed);
        let (free, waits, closed) = (word / ONE, word & WAITS != 0, word & CLOSED != 0);
        let mut f = f.debug_struct("Pool");
        f.field("free", &free).field("waits", &waits).field("closed", &closed).finish()
    }
}
