//! The seats' own threads: how they start, how each lives, and what the last one leaves.
//!
//! # Invariant
//!
//! A seat is left for good once, by its own thread or in its name, and nobody sits there after. The
//! last seat to be left has every task dropped.

use std::io;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::context::{Context, Role};
use super::slack::Punctual;
use super::threads::Threads;
use super::worker::{Left, Worker};
use super::{Settings, Shared, wake_all};
use crate::primitive::atomic::Ordering::AcqRel;
use crate::primitive::may_spin;
use crate::task::{self, List};
use crate::util::{budget, may_block};

/// Starts a background thread for each seat.
pub(crate) fn start(settings: Settings) -> io::Result<Arc<Shared>> {
    task::register_waker();
    // The first time it reads files, for which a worker might find no descriptor later on.
    let _ = may_spin();
    let seats = settings.seats;
    let shared = Arc::new_cyclic(|this| Shared::new(settings, Weak::clone(this)));
    for index in 0..seats {
        let number = shared.crew.announce();
        // The first is counted before it starts, and the others while it is there.
        let number = number.expect("a runtime that starts has not ended");
        match Threads::start(&shared, number, move |shared| background(shared, index)) {
            Ok(thread) => shared.seats[index].set_owner(thread),
            Err(error) => {
                // The seats without a thread never leave, so count them as gone.
                shared.threads.fetch_sub(seats - index, AcqRel);
                shared.shut_down();
                shared.wait_for_end(None);
                return Err(error);
            }
        }
    }
    Ok(shared)
}

/// The life of a seat's own thread.
fn background(shared: &Arc<Shared>, index: usize) {
    let context = Context::new(shared, Role::Owner);
    let _inside = context.enter();
    let _no_blocking = may_block::forbid();
    let _punctual = Punctual::new();
    let seat = &shared.seats[index];
    loop {
        while !seat.take_go(false) {
            if seat.is_retired() {
                return;
            }
            thread::park();
        }
        // Whoever sends "go" has counted us as searching.
        let mut worker = Worker::sit(shared, &context, index, false);
        match worker.work(|| false) {
            Left::LentSeat | Left::Called => {}
            Left::Shutdown => break,
        }
    }
    leave_for_good(shared);
}

/// Nobody will sit any more on the seat that the caller has left.
pub(super) fn leave_for_good(shared: &Shared) {
    // Ordering: AcqRel, so that the last one sees what the others did on their seats.
    if shared.threads.fetch_sub(1, AcqRel) == 1 {
        // SAFETY: nobody is sent to a seat that was left for good, and none other is left.
        unsafe { shared.drop_tasks() };
    }
}

impl Shared {
    /// Every seat is left for good: drops every future that is left.
    ///
    /// This thread sits nowhere either, so that what it wakes and completes comes by the ways of
    /// who sits nowhere.
    ///
    /// # Safety
    ///
    /// Nobody sits on any seat, or will.
    unsafe fn drop_tasks(&self) {
        let drop_queued = || {
            let queued = || {
                self.seats.iter().find_map(|seat| {
                    // SAFETY: this thread stands for the owners of all queues.
                    seat.take_slot().or_else(|| unsafe { seat.queue.pop() })
                })
            };
            let shared = || self.injector.pop().or_else(|| self.late.pop());
            while let Some(task) = queued().or_else(shared) {
                // A drop may wait for messages; with nothing left it would do so for ever.
                budget::refill();
                if let Some(again) = task.run() {
                    self.injector.push(List::from(again));
                }
            }
        };
        // SAFETY: nobody sits anywhere, and the registry is closed.
        unsafe { self.registry.abort_all() };
        drop_queued();
        // Before the wait for who blocks in place, who may wait for a timer or a socket.
        self.timers.close(wake_all);
        self.reactor.close();
        let mut waits = 0;
        // SAFETY: the contract.
        while !unsafe { self.registry.is_empty() } {
            // A task whose last wake is under way will be queued in a moment; one that has blocked
            // in place, some day.
            waits += 1;
            match waits < 100 {
                true => thread::yield_now(),
                false => thread::sleep(Duration::from_millis(1)),
            }
            drop_queued();
        }
    }
}
