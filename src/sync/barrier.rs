//! A place where tasks wait for each other.
//!
//! # Invariants
//!
//! 1. How many have arrived and how many rounds are over change together, under a small mutex. The
//!    last to arrive ends the round, and counts from 0 again.
//! 2. A wait is counted while its round is not over. One that is dropped by then is counted no
//!    more; one that is dropped later has passed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::primitive::Mutex;
use crate::util::may_block;
use crate::wait::queue::Ticket;
use crate::wait::{Event, thread};

/// Lets tasks pass when so many have come.
///
/// It can be used again and again: who comes next is of the next round.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use annulus::sync::Barrier;
///
/// annulus::block_on(async {
///     let barrier = Arc::new(Barrier::new(3));
///     let tasks = [(); 3].map(|()| {
///         let barrier = Arc::clone(&barrier);
///         annulus::spawn(async move { barrier.wait().await.is_leader() })
///     });
///     let mut leaders = 0;
///     for task in tasks {
///         leaders += usize::from(task.await.unwrap());
///     }
///     assert_eq!(leaders, 1);
/// });
/// ```
pub struct Barrier {
    count: usize,
    state: Mutex<State>,
    /// That a round is over.
    passed: Event,
}

#[derive(Debug, Default)]
struct State {
    /// Of this round; less than `count`.
    arrived: usize,
    /// Rounds that are over.
    rounds: u64,
}

/// Waits for the others; made by [`Barrier::wait`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct BarrierWait<'a> {
    barrier: &'a Barrier,
    stage: Stage,
    ticket: Ticket,
}

#[derive(Debug, Clone, Copy)]
enum Stage {
    New,
    /// In this round.
    Arrived(u64),
    Passed,
}

/// Whether a wait was the one that let the others pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarrierWaitResult {
    is_leader: bool,
}

impl Barrier {
    /// Makes a barrier for so many; with 0 as with 1, nobody waits.
    pub fn new(count: usize) -> Self {
        Self { count, state: Mutex::default(), passed: Event::default() }
    }

    /// Waits until as many as the barrier is for wait.
    ///
    /// # Cancel safety
    ///
    /// A wait that is dropped before the others have all come is not counted any more.
    pub fn wait(&self) -> BarrierWait<'_> {
        BarrierWait { barrier: self, stage: Stage::New, ticket: Ticket::default() }
    }

    /// Waits on a plain thread, which sleeps until the others have come.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn wait_blocking(&self) -> BarrierWaitResult {
        may_block::check("wait_blocking", "`wait().await`");
        thread::block_on(self.wait())
    }

    /// Counts one more in: the round, and whether that has ended it.
    fn arrive(&self) -> (u64, bool) {
        let mut state = self.state.lock();
        let round = state.rounds;
        state.arrived += 1;
        let last = state.arrived >= self.count;
        if last {
            (state.arrived, state.rounds) = (0, round + 1);
        }
        (round, last)
    }

    fn is_over(&self, round: u64) -> bool {
        self.state.lock().rounds > round
    }

    /// Counts one less, if the round is not over.
    fn depart(&self, round: u64) {
        let mut state = self.state.lock();
        if state.rounds == round {
            state.arrived -= 1;
        }
    }
}

impl BarrierWaitResult {
    /// True for one of those who pass together: the last to come.
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}

impl Future for BarrierWait<'_> {
    type Output = BarrierWaitResult;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<BarrierWaitResult> {
        let Self { barrier, stage, ticket } = self.get_mut();
        barrier.passed.poll_until(ticket, cx, || {
            let (round, is_leader) = match *stage {
                Stage::New => barrier.arrive(),
                Stage::Arrived(round) => (round, false),
                Stage::Passed => (0, false),
            };
            *stage = Stage::Arrived(round);
            if !is_leader && !barrier.is_over(round) {
                return None;
            }
            *stage = Stage::Passed;
            if is_leader {
                barrier.passed.notify();
            }
            Some(BarrierWaitResult { is_leader })
        })
    }
}

impl Drop for BarrierWait<'_> {
    fn drop(&mut self) {
        self.barrier.passed.leave(&mut self.ticket);
        if let Stage::Arrived(round) = self.stage {
            // Cancel: the others wait for one more again, unless they have passed.
            self.barrier.depart(round);
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrived = self.state.lock().arrived;
        f.debug_struct("Barrier").field("count", &self.count).field("arrived", &arrived).finish()
    }
}

impl fmt::Debug for BarrierWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWait").field("stage", &self.stage).finish_non_exhaustive()
    }
}
