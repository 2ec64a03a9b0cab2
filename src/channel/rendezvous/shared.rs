//! What the handles of a rendezvous share: the messages on offer, and who waits for one.
//!
//! # Invariants
//!
//! 1. A message is with its sender, on offer, or with a receiver. It is put on offer in the first
//!    poll of its send, and leaves in the call that returns it: a receive, or the sender's own
//!    withdrawal.
//! 2. Who adds an offer wakes one waiting receiver, and who takes one wakes its sender, before it
//!    returns. Who closes wakes everybody.
//! 3. A receiver enters the queue, which sets `waits`, and only then looks for the last time, under
//!    the lock of the offers. Who adds an offer does so under that lock, and only then looks at
//!    `waits`. So one of the two sees the other.
//! 4. The lock of the offers is taken inside that of the queue, never the other way round. No
//!    code of a user's runs under either.

use std::fmt;
use std::task::{Context, Poll, ready};

use super::super::core::OnDrop;
use super::super::error::{SendError, TryRecvError, TrySendError};
use super::super::turn::{Turn, Waiting};
use super::offers::{Fate, Key, Offered, Offers, Owner};
use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::AcqRel;
use crate::util::{SpinLock, WakeBatch, budget};
use crate::wait::{Bit, Flag, WaitQueue, Waiters};

/// What a waiting receive remembers.
pub(super) type RecvTicket = Turn<WaitQueue>;

pub(super) struct Shared<T> {
    offers: SpinLock<Offers<T>>,
    waiting_receivers: WaitQueue,
    /// The bit of `waiting_receivers`.
    waits: Flag,
    /// How many receivers starve (`turn.rs`).
    starving: AtomicUsize,
    /// Live handles of each side, changed by their `clone` and `drop` only.
    pub(super) senders: AtomicUsize,
    pub(super) receivers: AtomicUsize,
}

/// How a send stands.
pub(super) enum Stage<T> {
    /// The message has not been offered yet.
    Holds(T),
    Offered(Key),
    /// Its future has been ready.
    Done,
}

impl<T> Shared<T> {
    pub(super) fn new() -> Self {
        Self {
            offers: SpinLock::new(Offers::default()),
            waiting_receivers: WaitQueue::default(),
            waits: Flag::default(),
            starving: AtomicUsize::new(0),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
        }
    }

    /// Wakes the receiver that has waited longest, for the offer that was just added; says whether
    /// there was one.
    fn notify_receiver(&self) -> bool {
        let nobody = || {
            self.waits.disarm();
        };
        self.waits.sync() && self.waiting_receivers.notify_one_or(nobody)
    }

    /// Ready when a receiver has the message, or with the message when none will take it.
    pub(super) fn poll_send(
        &self,
        stage: &mut Stage<T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        ready!(budget::poll_proceed(cx));
        let outcome = match stage {
            Stage::Offered(key) => ready!(self.poll_offer(*key, cx)),
            Stage::Done => panic!("this send has completed; it cannot be polled again"),
            Stage::Holds(_) => {
                // Cloned before anything has changed, since that may panic.
                let waker = cx.waker().clone();
                let Stage::Holds(message) = std::mem::replace(stage, Stage::Done) else {
                    unreachable!("matched above")
                };
                let pushed = self.offers.lock().push(message, Owner::Waits(waker));
                match pushed {
                    Ok(key) => {
                        // Before the wake, which may panic, or even poll us.
                        *stage = Stage::Offered(key);
                        self.notify_receiver();
                        return Poll::Pending;
                    }
                    Err((message, _)) => Err(SendError(message)),
                }
            }
        };
        *stage = Stage::Done;
        budget::spend();
        Poll::Ready(outcome)
    }

    /// Ready when the offer has been taken or called back.
    fn poll_offer(&self, key: Key, cx: &mut Context<'_>) -> Poll<Result<(), SendError<T>>> {
        let mut new = None;
        loop {
            // In a statement of its own, so that the lock is not held afterwards.
            let fate = self.offers.lock().look(key, cx.waker(), &mut new);
            match fate {
                Fate::Waits => return Poll::Pending,
                Fate::WaitsElsewhere => new = Some(cx.waker().clone()),
                Fate::Taken => return Poll::Ready(Ok(())),
                Fate::CalledBack((message, _)) => return Poll::Ready(Err(SendError(message))),
            }
        }
    }

    /// Gives a send up; its message, unless a receiver has it.
    pub(super) fn give_up(&self, stage: &mut Stage<T>) -> Option<T> {
        match std::mem::replace(stage, Stage::Done) {
            Stage::Holds(message) => Some(message),
            Stage::Offered(key) => {
                let withdrawn = self.offers.lock().withdraw(key);
                // Here the waker drops, after the lock.
                withdrawn.map(|(message, _)| message)
            }
            Stage::Done => None,
        }
    }

    /// Sends to a receiver that waits now.
    pub(super) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let pushed = self.offers.lock().push(message, Owner::Tries);
        let key = pushed.map_err(|(message, _)| TrySendError::Closed(message))?;
        let woken = self.notify_receiver();
        let (back, closed) = {
            let mut offers = self.offers.lock();
            (offers.settle(key, woken), offers.is_closed())
        };
        match back {
            None => Ok(()),
            Some(message) if closed => Err(TrySendError::Closed(message)),
            Some(message) => Err(TrySendError::Full(message)),
        }
    }

    /// Takes the first message on offer; `Err`: one may still come.
    fn take(&self) -> Result<Option<T>, ()> {
        let (taken, closed) = {
            let mut offers = self.offers.lock();
            (offers.take_first(), offers.is_closed())
        };
        match taken {
            Some(offered) => Ok(Some(accept(offered))),
            None if closed => Ok(None),
            None => Err(()),
        }
    }

    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.take() {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(TryRecvError::Closed),
            Err(()) => Err(TryRecvError::Empty),
        }
    }

    fn receivers_side(&self) -> Waiting<'_, WaitQueue, Flag> {
        Waiting { waiters: &self.waiting_receivers, bit: &self.waits, starving: &self.starving }
    }

    /// Ready with the first message on offer, or with `None` when none will come.
    pub(super) fn poll_recv(
        &self,
        ticket: &mut RecvTicket,
        cx: &mut Context<'_>,
    ) -> Poll<Option<T>> {
        let arm = |()| {
            self.waits.arm();
            true
        };
        let holds = |()| {
            let offers = self.offers.lock();
            offers.is_empty() && !offers.is_closed()
        };
        // SAFETY: a `WaitQueue` is not a single waiter's, and `waits` is its bit.
        unsafe { self.receivers_side().poll(ticket, cx, || self.take(), arm, holds) }
    }

    /// A receive was dropped.
    pub(super) fn cancel_recv(&self, ticket: &mut RecvTicket) {
        // SAFETY: as in `poll_recv`.
        unsafe { self.receivers_side().cancel(ticket) };
    }

    pub(super) fn is_closed(&self) -> bool {
        self.offers.lock().is_closed()
    }

    /// Gives all who wait their message back, and wakes everybody. False if that was so already.
    pub(super) fn close(&self) -> bool {
        let closes = self.offers.lock().close();
        if closes {
            // A waker may panic: the others are woken all the same.
            let _rest = OnDrop(|| self.call_back());
            let _senders = OnDrop(|| self.call_back());
            // SAFETY: as in `poll_recv`.
            unsafe { self.waiting_receivers.notify_many(usize::MAX, &self.waits) };
        }
        closes
    }

    fn call_back(&self) {
        let mut more = true;
        while more {
            let mut batch = WakeBatch::new();
            {
                let mut offers = self.offers.lock();
                while more && !batch.is_full() {
                    match offers.call_back() {
                        Some(sender) => batch.push(sender),
                        None => more = false,
                    }
                }
            }
            batch.wake_all();
        }
    }

    pub(super) fn drop_sender(&self) {
        // Ordering: Release, so that the last to go has seen what all did; Acquire for it.
        if self.senders.fetch_sub(1, AcqRel) == 1 {
            self.close();
        }
    }

    pub(super) fn drop_receiver(&self) {
        // Ordering: as in `drop_sender`.
        if self.receivers.fetch_sub(1, AcqRel) == 1 {
            // What counts as sent: nobody will receive it, and a sender may live long. Also when a
            // waker panics in the closing, or one of the messages as it drops.
            let next = || self.offers.lock().clear_next();
            let clear = || while next().is_some() {};
            let _rest = OnDrop(clear);
            let _left = OnDrop(clear);
            self.close();
        }
    }

    /// The state, for the `Debug` of the handles.
    pub(super) fn describe(&self, out: &mut fmt::DebugStruct<'_, '_>) -> fmt::Result {
        let (on_offer, closed) = {
            let offers = self.offers.lock();
            (!offers.is_empty(), offers.is_closed())
        };
        out.field("on_offer", &on_offer).field("closed", &closed).finish()
    }
}

/// Wakes the sender of a message that was taken.
fn accept<T>((message, sender): Offered<T>) -> T {
    if let Some(sender) = sender {
        sender.wake();
    }
    message
}
