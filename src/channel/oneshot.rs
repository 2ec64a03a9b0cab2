//! A channel for one value: the answer to a request, the result of a task.
//!
//! Both ends share one small allocation: a byte of state, the value, and two places for wakers.
//!
//! # States
//!
//! ```text
//!            send          +------+   recv, try_recv: the receiver notes that it has taken it
//!         +--------------> | SENT | ------------------>
//!         |                +------+
//!      +------+  drop      +------+
//!      | open | ---------> | GONE |   nothing will come
//!      +------+            +------+
//!         |    close, drop +--------+
//!         +--------------> | CLOSED |   the sender keeps the value
//!                          +--------+
//! ```
//!
//! # Invariants
//!
//! 1. Of SENT, GONE and CLOSED the first decides; CLOSED may still join SENT or GONE. Each is
//!    set by the side that the picture names, and never cleared.
//! 2. The value's place is the sender's until SENT is set, and the receiver's afterwards. The
//!    receiver takes the value once, at the latest when it is dropped.
//! 3. RX_WAITS and TX_WAITS are the WAITS bits of the two `WaitCell`s. They are in the same
//!    byte, so that setting SENT, GONE or CLOSED takes the bit, and with it the duty to wake,
//!    in one step. A bit is only ever taken by who then wakes, or by its waiter.

mod select;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pub use super::error::TryRecvError;
use crate::primitive::atomic::AtomicU8;
use crate::primitive::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::primitive::{Arc, UnsafeCell};
use crate::util::{budget, may_block};
use crate::wait::cell::Armed;
use crate::wait::{Bit, WaitCell, Waiters, thread};

const SENT: u8 = 1; // the value is there, and the sender has gone
const GONE: u8 = 1 << 1; // the sender has gone and sent nothing
const CLOSED: u8 = 1 << 2; // the receiver takes nothing more
const RX_WAITS: u8 = 1 << 3; // the receiver waits for SENT or GONE
const TX_WAITS: u8 = 1 << 4; // the sender waits for CLOSED

/// Makes a channel that carries one value.
///
/// # Examples
///
/// ```
/// use annulus::channel::oneshot;
///
/// let (tx, rx) = oneshot::channel();
/// annulus::spawn(async move { tx.send(6 * 7) });
/// assert_eq!(annulus::block_on(rx), Ok(42));
/// ```
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        state: AtomicU8::new(0),
        value: UnsafeCell::new(MaybeUninit::uninit()),
        receiver: WaitCell::default(),
        sender: WaitCell::default(),
    });
    let receiver = Receiver { shared: Arc::clone(&shared), ticket: Armed::default(), taken: false };
    (Sender { shared }, receiver)
}

/// The end that sends the value.
///
/// Dropped without having sent, it tells the receiver that nothing will come.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// The end that receives the value: a future, or to be asked with `try_recv`.
///
/// # Cancel safety
///
/// Awaiting `&mut receiver` and giving up loses nothing: the value leaves the channel only in the
/// poll that returns it.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    ticket: Armed,
    /// The value has been taken out; written with the value in hand.
    taken: bool,
}

/// Waits until the receiver is gone; made by [`Sender::closed`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Closed<'a, T> {
    sender: &'a mut Sender<T>,
    ticket: Armed,
}

/// The sender was dropped, or the channel closed, without a value for this receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecvError;

struct Shared<T> {
    /// See the picture.
    state: AtomicU8,
    /// Invariant 2.
    value: UnsafeCell<MaybeUninit<T>>,
    /// Where the receiver waits.
    receiver: WaitCell,
    /// Where the sender waits.
    sender: WaitCell,
}

// SAFETY: the value is at one side at a time, and goes from the sender's thread to the receiver's:
// so it has to be Send, and need not be Sync.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

/// One of the two WAITS bits.
struct WaitsBit<'a>(&'a AtomicU8, u8);

impl Bit for WaitsBit<'_> {
    fn disarm(&self) -> bool {
        // Ordering: as in `change`.
        self.0.fetch_and(!self.1, AcqRel) & self.1 != 0
    }

    fn is_armed(&self) -> bool {
        self.0.load(Relaxed) & self.1 != 0
    }
}

impl<T> Shared<T> {
    /// Changes the state as `to` says, unless it says `None`. Either way, what was there.
    fn change(&self, to: impl Fn(u8) -> Option<u8>) -> Result<u8, u8> {
        // Ordering: Release for the pairs with `state` and with other changes: what comes before
        // SENT (the value) or a WAITS bit (the waker) is seen by who sees the bit. Acquire is
        // the other end: who takes a WAITS bit sees the waker.
        self.state.fetch_update(AcqRel, Acquire, to)
    }

    fn state(&self) -> u8 {
        // Ordering: Acquire pairs with the Release in `change`: who sees SENT sees the value.
        self.state.load(Acquire)
    }

    /// Sets a WAITS bit, unless there is one of the bits in `end`.
    fn arm(&self, bit: u8, end: u8) -> bool {
        self.change(|state| (state & end == 0).then_some(state | bit)).is_ok()
    }

    fn bit(&self, bit: u8) -> WaitsBit<'_> {
        WaitsBit(&self.state, bit)
    }

    /// Sets SENT or GONE, and wakes the receiver. False if there was one of the bits in `unless`.
    fn finish(&self, end: u8, unless: u8) -> bool {
        let to = |state| (state & unless == 0).then_some((state | end) & !RX_WAITS);
        let Ok(before) = self.change(to) else { return false };
        if before & RX_WAITS != 0 {
            // SAFETY: the change has cleared the bit.
            unsafe { self.receiver.notify_one(&self.bit(RX_WAITS)) };
        }
        true
    }

    /// Sets CLOSED, and wakes the sender if it has not sent.
    fn close(&self) {
        // A sender that has sent cannot wait. The bit of a wait that it forgot stays: who does
        // not wake must not take it.
        let kept = |state| if state & SENT == 0 { !TX_WAITS } else { !0 };
        let to = |state| (state & CLOSED == 0).then_some((state | CLOSED) & kept(state));
        if self.change(to).is_ok_and(|before| before & !kept(before) != 0) {
            // SAFETY: the change has cleared the bit.
            unsafe { self.sender.notify_one(&self.bit(TX_WAITS)) };
        }
    }
}

impl<T> Sender<T> {
    /// Sends the value, and never waits.
    ///
    /// `Ok` says that the receiver can take the value, not that it will: it may be dropped first.
    ///
    /// # Errors
    ///
    /// Gives the value back if the receiver is gone, or has closed the channel.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = annulus::channel::oneshot::channel();
    /// drop(rx);
    /// assert_eq!(tx.send("late"), Err("late"));
    /// ```
    pub fn send(self, value: T) -> Result<(), T> {
        // SAFETY: invariant 2; only one call of a sender comes here, since it takes `self`.
        self.shared.value.with_mut(|place| unsafe { (*place).write(value) });
        if self.shared.finish(SENT, CLOSED) {
            return Ok(());
        }
        // SAFETY: SENT is not set, so the value is still ours; and it was written above.
        Err(self.shared.value.with(|place| unsafe { (*place).assume_init_read() }))
    }

    /// Whether sending is no use: the receiver is gone, or has closed the channel.
    #[doc(alias = "is_canceled")]
    pub fn is_closed(&self) -> bool {
        self.shared.state() & CLOSED != 0
    }

    /// Waits until the receiver is gone or closes the channel, to stop work nobody waits for.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let (mut tx, rx) = annulus::channel::oneshot::channel::<u8>();
    /// annulus::spawn(async move { drop(rx) });
    /// tx.closed().await;
    /// assert!(tx.is_closed());
    /// # });
    /// ```
    #[doc(alias = "cancellation")]
    pub fn closed(&mut self) -> Closed<'_, T> {
        Closed { sender: self, ticket: Armed::default() }
    }
}

impl<T> Receiver<T> {
    /// Takes the value, or says why there will be none; `None`: it may still come.
    fn take(&mut self) -> Option<Result<T, RecvError>> {
        let state = self.shared.state();
        if state & SENT != 0 && !self.taken {
            self.taken = true;
            // SAFETY: invariant 2; it was not taken before.
            return Some(Ok(self.shared.value.with(|v| unsafe { (*v).assume_init_read() })));
        }
        (state & (SENT | GONE | CLOSED) != 0).then_some(Err(RecvError))
    }

    /// Whether `take` gives something.
    fn is_ready(&self) -> bool {
        self.shared.state() & (SENT | GONE | CLOSED) != 0
    }

    /// Ready with what `attempt` gives, which is something when `is_ready`.
    fn poll_until<R>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl Fn(&mut Self) -> Option<R>,
    ) -> Poll<R> {
        ready!(budget::poll_proceed(cx));
        loop {
            let result = attempt(self);
            let (shared, ticket) = (&*self.shared, &mut self.ticket);
            let bit = shared.bit(RX_WAITS);
            if let Some(result) = result {
                // SAFETY: the one receiver, which we have by `&mut`.
                unsafe { shared.receiver.finish(ticket, &bit) };
                budget::spend();
                return Poll::Ready(result);
            }
            let arm = || shared.arm(RX_WAITS, SENT | GONE | CLOSED);
            // SAFETY: as above. A byte that decides all needs no second look.
            if unsafe { shared.receiver.wait(ticket, &bit, cx.waker(), arm, || true) } {
                return Poll::Pending;
            }
        }
    }

    /// Waits no more.
    fn leave(&mut self) {
        let shared = &self.shared;
        // SAFETY: the one receiver, which we have by `&mut`.
        unsafe { shared.receiver.cancel(&mut self.ticket, &shared.bit(RX_WAITS)) };
    }

    /// Takes the value if it has been sent.
    ///
    /// # Errors
    ///
    /// Says whether it may still come. Once the value has been taken, nothing will.
    #[doc(alias = "try_receive")]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.take() {
            Some(result) => result.map_err(|RecvError| TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Waits for the value on a plain thread; not inside a task, where it would stop the worker.
    ///
    /// # Errors
    ///
    /// If the sender was dropped without having sent.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = annulus::channel::oneshot::channel();
    /// let thread = std::thread::spawn(move || rx.recv_blocking());
    /// tx.send("no runtime needed").unwrap();
    /// assert_eq!(thread.join().unwrap(), Ok("no runtime needed"));
    /// ```
    #[doc(alias = "blocking_recv")]
    #[track_caller]
    pub fn recv_blocking(self) -> Result<T, RecvError> {
        may_block::check("recv_blocking", "`.await`");
        thread::block_on(self)
    }

    /// Closes the channel: from now on the sender keeps its value.
    ///
    /// A value that was sent before is still there for [`try_recv`](Self::try_recv), which after
    /// this knows for good whether there is one.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, mut rx) = annulus::channel::oneshot::channel();
    /// tx.send("in time").unwrap();
    /// rx.close();
    /// assert_eq!(rx.try_recv(), Ok("in time"));
    /// ```
    pub fn close(&mut self) {
        self.shared.close();
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_until(cx, Self::take)
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(budget::poll_proceed(cx));
        let Self { sender, ticket } = self.get_mut();
        let (shared, bit) = (&*sender.shared, sender.shared.bit(TX_WAITS));
        let arm = || shared.arm(TX_WAITS, CLOSED);
        // SAFETY: the one sender, which we have by `&mut`. Closed already, `arm` says no.
        if unsafe { shared.sender.wait(ticket, &bit, cx.waker(), arm, || true) } {
            return Poll::Pending;
        }
        // SAFETY: as above.
        unsafe { shared.sender.finish(ticket, &bit) };
        budget::spend();
        Poll::Ready(())
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        let shared = &self.sender.shared;
        // Cancel: the waker's place is the sender's again.
        // SAFETY: the one sender, which we have by `&mut`.
        unsafe { shared.sender.cancel(&mut self.ticket, &shared.bit(TX_WAITS)) };
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.finish(GONE, SENT | CLOSED);
        // SAFETY: this is the sender's last call.
        unsafe { self.shared.sender.release(&self.shared.bit(TX_WAITS)) };
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if !self.taken {
            self.shared.close();
        }
        // A value that nobody took drops at the end of this, whenever the sender's memory goes, and also
        // when the drop of a foreign waker panics below.
        let _value = self.take();
        // SAFETY: this is the receiver's last call.
        unsafe { self.shared.receiver.release(&self.shared.bit(RX_WAITS)) };
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("closed", &self.is_closed()).finish()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state();
        let ready = state & SENT != 0 && !self.taken;
        let closed = state & (SENT | GONE | CLOSED) != 0;
        f.debug_struct("Receiver").field("ready", &ready).field("closed", &closed).finish()
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed").field("closed", &self.sender.is_closed()).finish()
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sender went without sending; send before dropping it, or handle this")
    }
}

impl Error for RecvError {}
