//! Whose turn it is among those who use a file at once, by `&self`.
//!
//! # Invariants
//!
//! 1. The state is locked within a poll and never from one to the next, since whoever is to be polled
//!    may not be, while others wait. So nobody waits for the lock: who does not get it waits for the
//!    next step, which comes when the operation under way is over, or when who has the lock lets go of
//!    it: that one tells of it if others have come in vain (`missed`).
//! 2. The handle of an operation tells one task of the end. So it is given a waker that tells all who
//!    wait here. (Those with `&mut` are alone, and give it their own.)

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::state::State;
use crate::sync::{Mutex, MutexGuard};
use crate::wait::queue::Ticket;
use crate::wait::{Bit, Event, Flag};

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    steps: Arc<Steps>,
}

#[derive(Debug, Default)]
struct Steps {
    event: Event,
    /// Somebody did not get the lock; set by that one, and cleared by who lets go of it.
    missed: Flag,
}

impl Wake for Steps {
    fn wake(self: Arc<Self>) {
        self.event.notify();
    }
}

impl Turns {
    /// The state, for who is alone with the file.
    pub(super) fn get_mut(&mut self) -> &mut State {
        self.state.get_mut()
    }

    /// Waits until no operation is under way; none begins before the guard drops.
    pub(super) fn turn(&self) -> TurnFuture<'_> {
        TurnFuture { turns: self, ticket: Ticket::default() }
    }

    /// The state, unless another has it, who tells when that is over.
    fn try_turn(&self) -> Option<Turn<'_>> {
        let Self { state, steps } = self;
        let state = state.try_lock().or_else(|missed| {
            // Both touch the flag by read-modify-write: who has the lock sees it after letting go, or
            // did so before, and then it is free.
            steps.missed.arm();
            state.try_lock().map_err(|_| missed)
        });
        Some(Turn { state: state.ok()?, _end: TurnEnd(steps) })
    }
}

#[must_use = "futures do nothing unless you `.await` or poll them"]
#[derive(Debug)]
pub(super) struct TurnFuture<'a> {
    turns: &'a Turns,
    ticket: Ticket,
}

impl<'a> Future for TurnFuture<'a> {
    type Output = Turn<'a>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn<'a>> {
        let Self { turns, ticket } = self.get_mut();
        let waker = Waker::from(Arc::clone(&turns.steps));
        turns.steps.event.poll_until(ticket, cx, || {
            let mut turn = turns.try_turn()?;
            // Who did not get the lock meanwhile is told of the end, too.
            turn.poll_settle(&mut Context::from_waker(&waker)).is_ready().then_some(turn)
        })
    }
}

impl Drop for TurnFuture<'_> {
    fn drop(&mut self) {
        // Cancel: all are told, so there is no wake to pass on.
        self.turns.steps.event.leave(&mut self.ticket);
    }
}

/// The right to begin an operation. It is not kept from one poll to the next.
#[must_use = "others wait while it is kept"]
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// The first to drop.
    state: MutexGuard<'a, State>,
    _end: TurnEnd<'a>,
}

#[derive(Debug)]
struct TurnEnd<'a>(&'a Steps);

impl Drop for TurnEnd<'_> {
    fn drop(&mut self) {
        if self.0.missed.disarm() {
            self.0.event.notify();
        }
    }
}

impl Deref for Turn<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Turn<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

#[cfg(all(test, not(annulus_loom)))]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::SeqCst;
    use std::{fs, io, thread};

    use super::*;
    use crate::runtime::Builder;

    #[derive(Default)]
    struct Told(AtomicBool);

    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            self.0.store(true, SeqCst);
        }
    }

    /// Polls it in vain; who is told then.
    fn waits(turn: &mut TurnFuture<'_>) -> Arc<Told> {
        let told = Arc::new(Told::default());
        let waker = Waker::from(Arc::clone(&told));
        assert!(Pin::new(turn).poll(&mut Context::from_waker(&waker)).is_pending());
        told
    }

    /// The end comes while somebody looks, who is not polled again; another has come in between.
    #[test]
    fn who_comes_during_a_look_is_told() {
        let runtime = Builder::new().worker_threads(1).build().unwrap();
        let _inside = runtime.enter();
        let file = Arc::new(fs::File::open(std::env::current_exe().unwrap()).unwrap());
        let turns = Turns::default();
        let (free, freed) = std::sync::mpsc::channel::<()>();
        let wait = move |_: &fs::File| freed.recv().map_err(io::Error::other);
        drop(turns.try_turn().unwrap().begin(&file, false, wait).unwrap());
        let (mut first, mut second) = (turns.turn(), turns.turn());
        let told = waits(&mut first);
        // The next look of the first.
        let look = turns.try_turn().unwrap();
        free.send(()).unwrap();
        while !told.0.load(SeqCst) {
            thread::yield_now();
        }
        let told = waits(&mut second);
        drop(look);
        assert!(told.0.load(SeqCst));
    }
}
