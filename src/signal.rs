//! Ctrl-C: a future for the wish of the user that the program ends.
//!
//! # Invariants
//!
//! 1. The handler is registered once, by the first call that can. It belongs to the `ctrlc` crate,
//!    whose thread calls `receive` for each signal.
//! 2. A future keeps how many signals had come when it was made, and is ready when there are more.
//!    So each signal is told to all who wait, and to who has not been polled yet.
//!
//! Why not signals in general: the handlers of the `signal-hook` crates write to a pipe, which
//! a [`UnixStream`](crate::net::UnixStream) can wait for. This is about what every server needs.

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use crate::primitive::Mutex;
use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::{Acquire, Release};
use crate::wait::Event;
use crate::wait::queue::Ticket;

/// Waits for the next Ctrl-C.
///
/// That is SIGINT on Unix, and the events of Ctrl-C and Ctrl-Break on Windows. The first call
/// registers a handler, which stays: from then on a signal does not end the process any more, also
/// when nobody waits. Every future that exists when the signal comes is told.
///
/// It needs no runtime: it can be awaited on any executor.
///
/// # Errors
///
/// If the system refuses, or the program has registered another handler by the `ctrlc` crate.
///
/// # Cancel safety
///
/// A signal counts from this call on, polled or not, and stays told: a future that was not ready
/// in one [`select!`](crate::select) can be used in the next one by `&mut`. With a new future in
/// each round, a signal between the rounds is lost.
///
/// # Examples
///
/// ```no_run
/// use annulus::time::{self, Duration};
///
/// annulus::block_on(async {
///     let mut stop = annulus::signal::ctrl_c();
///     let mut beat = time::interval(Duration::from_secs(1));
///     loop {
///         annulus::select! {
///             _ = beat.tick() => println!("still here"),
///             result = &mut stop => return result,
///         }
///     }
/// })?;
/// # Ok::<_, std::io::Error>(())
/// ```
pub fn ctrl_c() -> CtrlC {
    let signals = SIGNALS.get_or_init(Signals::default);
    // If it fails, the first poll tries again, and says why.
    let _ = signals.register();
    CtrlC { signals, seen: signals.received(), ticket: Ticket::default() }
}

/// The future of [`ctrl_c`].
///
/// Once ready it may be awaited again, by `&mut`, for a signal that comes later.
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct CtrlC {
    signals: &'static Signals,
    /// How many signals there had been when this was made, or when it was last ready.
    seen: usize,
    ticket: Ticket,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

#[derive(Default)]
struct Signals {
    /// Whether the handler is there; nobody takes it away.
    registered: Mutex<bool>,
    /// How many have come; the handler counts, on its thread.
    received: AtomicUsize,
    /// That one more has come.
    told: Event,
}

impl Signals {
    fn register(&'static self) -> io::Result<()> {
        let mut registered = self.registered.lock();
        if !*registered {
            ctrlc::set_handler(|| self.receive()).map_err(|error| match error {
                ctrlc::Error::System(error) => error,
                other => io::Error::other(other),
            })?;
            *registered = true;
        }
        Ok(())
    }

    fn receive(&self) {
        // Ordering: Release pairs with the Acquire in `received`.
        self.received.fetch_add(1, Release);
        // A waker that panics is its executor's fault, and must not end the handler's thread.
        let _ = catch_unwind(AssertUnwindSafe(|| self.told.notify()));
    }

    fn received(&self) -> usize {
        // Ordering: Acquire pairs with the Release in `receive`: what the one who sent the signal
        // had done is seen by who is told.
        self.received.load(Acquire)
    }
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { signals, seen, ticket } = self.get_mut();
        signals.register()?;
        signals.told.poll_until(ticket, cx, || {
            let received = signals.received();
            (std::mem::replace(seen, received) != received).then_some(Ok(()))
        })
    }
}

impl Drop for CtrlC {
    fn drop(&mut self) {
        // Cancel: a signal is told to all, so there is no wake to pass on.
        self.signals.told.leave(&mut self.ticket);
    }
}

impl fmt::Debug for CtrlC {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_ready = self.signals.received() != self.seen;
        f.debug_struct("CtrlC").field("ready", &is_ready).finish()
    }
}
