//! A signal without a value: go and look.
//!
//! # Invariants
//!
//! 1. One word has PERMIT, WAITS and the number of calls of `notify_waiters`. PERMIT is a
//!    `notify_one` that nobody waited for; there is one at most, and none while somebody waits.
//! 2. A wait enters the queue, under its mutex, only if there is no permit and no call since it was
//!    made. WAITS is set there, and cleared there when the queue is empty.
//! 3. Every wake is of one kind: to one, which is passed on by who does not use it, or to all, which
//!    is not. The two may come one after the other before the waiter looks. So the entry stays
//!    until it does, and its note says which has woken it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use crate::primitive::atomic::AtomicU64;
use crate::primitive::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::const_fn;
use crate::util::{budget, may_block};
use crate::wait::queue::{Left, Ticket, WaitQueue};
use crate::wait::{Bit, thread};

/// `notify_one` was called, and nobody waited.
const PERMIT: u64 = 1;
/// Somebody waits.
const WAITS: u64 = 2;
/// One call of `notify_waiters`.
const CALL: u64 = 4;

struct Word(AtomicU64);

/// Who an entry was notified as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    One,
    All,
}

/// Wakes one waiting task, or all, and remembers one wake that nobody waited for.
///
/// It carries no value: who is woken looks at what it shares with the others, and waits again if
/// there is nothing for it. [`notify_one`](Self::notify_one) is not lost if it comes before the
/// wait: the next wait is ready at once. Only one is remembered, so look for all that there
/// is.
///
/// # Examples
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use annulus::sync::Notify;
///
/// #[derive(Default)]
/// struct Mailbox {
///     letters: Mutex<Vec<&'static str>>,
///     arrived: Notify,
/// }
///
/// let mailbox = Arc::new(Mailbox::default());
/// let inside = Arc::clone(&mailbox);
/// annulus::block_on(async {
///     let reader = annulus::spawn(async move {
///         loop {
///             if let Some(letter) = inside.letters.lock().unwrap().pop() {
///                 return letter;
///             }
///             inside.arrived.notified().await;
///         }
///     });
///     mailbox.letters.lock().unwrap().push("hello");
///     mailbox.arrived.notify_one();
///     assert_eq!(reader.await.unwrap(), "hello");
/// });
/// ```
pub struct Notify {
    word: Word,
    queue: WaitQueue<Told>,
}

/// Waits for a notification; made by [`Notify::notified`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Notified<'a> {
    notify: &'a Notify,
    /// The calls of `notify_waiters` when this was made.
    calls: u64,
    ticket: Ticket,
    done: bool,
}

impl Bit for Word {
    fn disarm(&self) -> bool {
        // Ordering: Relaxed; the mutex, which the caller holds, orders it for who sets the bit.
        self.0.fetch_and(!WAITS, Relaxed) & WAITS != 0
    }

    fn is_armed(&self) -> bool {
        self.0.load(Relaxed) & WAITS != 0
    }
}

impl Word {
    fn calls(&self) -> u64 {
        // Ordering: Acquire pairs with the Release in `notify_waiters`.
        self.0.load(Acquire) / CALL
    }

    /// Whether there is something for who knows of `calls`; takes a permit. If there is nothing,
    /// sets the bits given.
    fn take_or_set(&self, calls: u64, bits: u64) -> bool {
        let mut word = self.0.load(Acquire);
        while word / CALL == calls {
            let taken = word & PERMIT != 0;
            let next = if taken { word & !PERMIT } else { word | bits };
            if next == word {
                return false;
            }
            // Ordering: Acquire pairs with the Release in `notify_one`, here and above, and with
            // that in `notify_waiters`: who is notified sees what was done before.
            match self.0.compare_exchange_weak(word, next, Acquire, Acquire) {
                Ok(_) => return taken,
                Err(now) => word = now,
            }
        }
        true
    }
}

impl Notify {
    const_fn! {
        /// Makes one that remembers nothing.
        #[doc(alias = "const_new")]
        pub fn new() -> Self {
            Self { word: Word(AtomicU64::new(0)), queue: WaitQueue::new() }
        }
    }

    /// Waits for a notification.
    ///
    /// Ready if a [`notify_one`](Self::notify_one) that nobody waited for is remembered, or when
    /// one comes for this wait, in the order in which they began to wait, which is at the first
    /// poll or with [`enable`](Notified::enable). And ready if [`notify_waiters`] is called after
    /// the call of `notified`, polled or not. So make it, look whether there is still reason to
    /// wait, and then wait: what changes after the look, and is notified to all, is not missed.
    ///
    /// # Cancel safety
    ///
    /// A wait that is dropped loses its place. A `notify_one` that came to it goes to the
    /// next, or is remembered.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::{AtomicBool, Ordering};
    /// # annulus::block_on(async {
    /// let (ready, changed) = (AtomicBool::new(false), annulus::sync::Notify::new());
    /// let wait = async {
    ///     loop {
    ///         let change = changed.notified();
    ///         if ready.load(Ordering::Acquire) {
    ///             break;
    ///         }
    ///         change.await;
    ///     }
    /// };
    /// let set = async {
    ///     ready.store(true, Ordering::Release);
    ///     changed.notify_waiters();
    /// };
    /// annulus::join!(wait, set);
    /// # });
    /// ```
    ///
    /// [`notify_waiters`]: Self::notify_waiters
    pub fn notified(&self) -> Notified<'_> {
        let calls = self.word.calls();
        Notified { notify: self, calls, ticket: Ticket::default(), done: false }
    }

    /// Waits for a notification on a plain thread, which sleeps meanwhile.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn notified_blocking(&self) {
        may_block::check("notified_blocking", "`notified().await`");
        thread::block_on(self.notified());
    }

    /// Wakes the one who has waited longest, or lets the next who waits pass.
    ///
    /// If nobody waits it is remembered, once: two of them let only one pass.
    #[doc(alias = "notify")]
    pub fn notify_one(&self) {
        let mut word = self.word.0.load(Relaxed);
        while word & WAITS == 0 {
            // Ordering: Release pairs with the Acquire in `take_or_set`. It is written also if
            // there is a permit already: who takes it has to see what was done before this call.
            match self.word.0.compare_exchange_weak(word, word | PERMIT, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
        self.notify_first();
    }

    #[cold]
    fn notify_first(&self) {
        self.queue.notify_one_or(|| {
            // Ordering: as in `notify_one`.
            let remember = |word| Some(word & !WAITS | PERMIT);
            let _ = self.word.0.fetch_update(Release, Relaxed, remember);
        });
    }

    /// Wakes all who wait, and nobody who waits later.
    ///
    /// To wait is here to have called [`notified`](Self::notified).
    pub fn notify_waiters(&self) {
        // Ordering: Release pairs with the Acquire in `calls` and `take_or_set`. It comes before
        // the look at WAITS, or the waiter sees it: both change the word.
        if self.word.0.fetch_add(CALL, Release) & WAITS != 0 {
            // Who waits again while we wake others is of the next call.
            let mut newest = None;
            self.queue.notify_while(&self.word, |told, number, last| {
                let waited = number <= *newest.get_or_insert(last);
                if waited {
                    *told = Told::All;
                }
                waited
            });
        }
    }
}

impl Notified<'_> {
    /// Begins to wait, without a poll; true if there is a notification already.
    ///
    /// From here on a [`notify_one`](Notify::notify_one) may come to this wait. If it has, it is
    /// this wait's, and the next poll is ready.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let notify = annulus::sync::Notify::new();
    /// let (mut first, second) = (notify.notified(), notify.notified());
    /// first.enable();
    /// notify.notify_one(); // goes to the first, polled or not
    /// notify.notify_one(); // is remembered
    /// second.await;
    /// first.await;
    /// # });
    /// ```
    pub fn enable(&mut self) -> bool {
        // A waker that is there already stays.
        if self.ticket.is_entered() { self.look() } else { self.look_or_enter(Waker::noop()) }
    }

    /// Whether there is a notification, which ends the wait.
    fn look(&mut self) -> bool {
        if !self.done {
            self.done = self.find();
        }
        self.done
    }

    fn find(&mut self) -> bool {
        let Self { notify, calls, ticket, .. } = self;
        // Also if `enter` has found the notice.
        if notify.queue.notice(ticket).is_some() {
            *ticket = Ticket::default();
            return true;
        }
        if !ticket.is_entered() {
            return notify.word.take_or_set(*calls, 0);
        }
        // A call that has not come to our entry yet, or comes just now.
        let called = notify.word.calls() != *calls;
        if called {
            notify.queue.leave(ticket);
        }
        called
    }

    fn look_or_enter(&mut self, waker: &Waker) -> bool {
        while !self.look() {
            let Self { notify, calls, ticket, done } = self;
            if notify.queue.waits_with(ticket, waker) {
                return false;
            }
            let entered = ticket.is_entered();
            let must_wait = || {
                *done = !entered && notify.word.take_or_set(*calls, WAITS);
                !*done
            };
            if notify.queue.enter(ticket, Told::One, true, waker, must_wait) {
                return false;
            }
        }
        true
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(budget::poll_proceed(cx));
        if !self.get_mut().look_or_enter(cx.waker()) {
            return Poll::Pending;
        }
        budget::spend();
        Poll::Ready(())
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        if !self.ticket.is_entered() {
            return;
        }
        // Cancel: what came to us alone goes to the next; what came to all is no one else's.
        let left = self.notify.queue.leave(&mut self.ticket);
        if let Left::Notified { note: Some(Told::One), .. } = left {
            self.notify.notify_one();
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.word.0.load(Relaxed);
        let (remembers, waits) = (word & PERMIT != 0, word & WAITS != 0);
        f.debug_struct("Notify").field("remembers", &remembers).field("waits", &waits).finish()
    }
}

impl fmt::Debug for Notified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notified").field("done", &self.done).finish_non_exhaustive()
    }
}
