//! `block_in_place`: a thread that runs tasks leaves its seat to others while it blocks.
//!
//! # A seat whose own thread is away
//!
//! ```text
//!              claimed for work                a thread of the pool sits down
//!   asleep  ----------------------> summoned --------------------------------> a guest works
//!    |  ^                              |                                           |
//!    |  |  its own thread is back: it  |                                           |
//!    |  |  sits down, or has waited    |                                           |
//!    |  +-------- to be sent ----------+         the guest leaves, when the owner  |
//!    |                                           wants the seat or at the end      |
//!    +-----------------------------------------------------------------------------+
//! ```
//!
//! The seat counts as asleep, and the first who claims it for work finds nobody to wake, and has
//! the pool send a thread. So does who leaves it, if something waits that nobody looks after: tasks
//! or timers of who may be in a long poll. A short call that nobody notices costs a few locked
//! instructions. A guest of `block_on` can take the seat in the meantime, too.
//!
//! When the closure is done its thread sits down again, if nobody else sits there. If somebody
//! does, the poll goes on without a seat, which is allowed: wakes go to the injector. After the
//! poll the thread asks for its seat, and sleeps until it is sent to work like any other.
//!
//! Who runs tasks as a guest, in `block_on` or as such a replacement, gives the seat back and asks
//! for another after the poll.
//!
//! If the system has no thread to give, the seat waits for its own: others take its tasks.
//!
//! At the runtime's end the closure may wait for what only the end drops. So the replacement, who is
//! sent for then if there is none, leaves for good in the name of the seat's own thread, and that
//! one, when it is back and its poll is over, just goes.

use std::sync::Arc;

use super::context::{self, Context, Role};
use super::owner::leave_for_good;
use super::worker::{Left, Worker};
use super::{Shared, guest, seat};
use crate::util::{budget, may_block};

/// Runs `f`, which may block, on this thread; whoever else has work for its seat gets it.
pub(crate) fn block_in_place<R>(f: impl FnOnce() -> R) -> R {
    let _may_block = may_block::allow();
    context::with_runner(|runner| {
        let _absence = runner.and_then(Absence::begin);
        budget::unlimited(f)
    })
}

/// An own thread's absence from its seat, until this drops.
struct Absence<'a> {
    context: &'a Context,
    seat: usize,
}

impl<'a> Absence<'a> {
    fn begin(context: &'a Context) -> Option<Self> {
        if context.stays() {
            return None;
        }
        let shared = context.shared();
        if context.role != Role::Owner {
            guest::go_away(shared, context);
            return None;
        }
        let seat = context.seat()?;
        context.set_blocked();
        context.set_seat(None);
        shared.seats[seat].go_away();
        shared.leave_empty(seat);
        Some(Self { context, seat })
    }
}

impl Drop for Absence<'_> {
    fn drop(&mut self) {
        sit_again(self.context, self.seat, false);
    }
}

/// Has the seat's own thread sit down on it; false if somebody else sits there. `asks`: then it is
/// to be the thread's again as soon as can be.
pub(super) fn sit_again(context: &Context, index: usize, asks: bool) -> bool {
    let shared = context.shared();
    let searching =
        match shared.seats[index].come_back(asks, &shared.reactor, || shared.idle.take(index)) {
            seat::Back::Occupied => return false,
            seat::Back::Sits { searching } => searching,
        };
    context.set_seat(Some(index));
    context.end_blocked();
    if searching {
        shared.stop_searching_for(index);
    }
    true
}

/// A thread of the pool works on a seat whose own is away, if that is still so.
pub(super) fn stand_in(shared: &Arc<Shared>, context: &Context, index: usize) {
    let seat = &shared.seats[index];
    if !seat.heed_summons() {
        return;
    }
    let _no_blocking = may_block::forbid();
    let _budget = budget::scope();
    let left = Worker::stand_in(shared, context, index).work(|| seat.is_wanted());
    match left {
        // To a guest of `block_on`, or by another `block_in_place`.
        Left::LentSeat => {}
        Left::Shutdown if seat.retire() => leave_for_good(shared),
        Left::Called | Left::Shutdown => {
            seat.set_guest(None);
            shared.leave_empty(index);
        }
    }
}

impl Shared {
    /// Leaves a seat to its own thread, which is woken if there is work.
    pub(super) fn leave_empty(&self, index: usize) {
        self.idle.park(index);
        if self.is_needed(index) && self.idle.claim_this(index) {
            self.wake(Some(index));
        }
    }

    /// A seat was claimed for work whose own thread is away.
    #[cold]
    pub(super) fn find_stand_in(&self, index: usize) {
        let this = self.this.upgrade().expect("a runtime in use is there");
        // The thread's name, and what is cancelled if it does not start, are a user's code, and who
        // wakes somebody between two tasks goes on to use its own seat.
        let _stay = context::stay();
        if this.blocking.push_seat(&this, index) || !self.seats[index].ignore_summons() {
            return;
        }
        self.stop_searching_for(index);
    }

    /// Nobody looks for work in the name of this seat, though it was claimed for that: sees that
    /// somebody else does, who may be asleep since he saw this seat asleep, with its tasks.
    fn stop_searching_for(&self, index: usize) {
        if self.idle.stop_searching() && self.is_needed(index) {
            self.wake(self.idle.notify_soon());
        }
    }
}
