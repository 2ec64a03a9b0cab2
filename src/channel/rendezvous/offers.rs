//! The messages on offer, first come first served, each with who waits for it to be taken.
//!
//! # States of an offer
//!
//! | state      | in the line | in the slab | whose is the message           |
//! |------------|-------------|-------------|--------------------------------|
//! | on offer   | yes         | yes         | the channel's                  |
//! | called back | no         | yes         | its sender's, who will look    |
//! | taken      | no          | no          | the receiver's                 |
//!
//! ```text
//!    push               take_first
//!   ------> on offer --------------> taken
//!              |   \   withdraw
//!    call_back |    +--------------> its sender has the message
//!              v    look, withdraw |
//!         called back -------------+
//! ```
//!
//! # Invariants
//!
//! 1. Offers are numbered as they come, and no number is given twice. So a sender whose number is
//!    not in its slot any more knows that its message was taken: only itself could withdraw it.
//! 2. Once closed, no offer is added. Those with which somebody waits are called back; those that
//!    count as sent (`try_send`) stay on offer, until the last receiver goes and clears them away.
//! 3. Nothing here clones, calls or drops a waker, nor drops a message: what leaves is given to the
//!    caller, who has a lock to release first.
//!
//! The line is a list threaded through a `slab`, as in `wait/queue.rs`: an offer leaves from the
//! middle in constant time, and its slot is used again.

use std::mem;
use std::task::Waker;

use slab::Slab;

/// The messages on offer, and whether more may come.
pub(super) struct Offers<T> {
    slots: Slab<Offer<T>>,
    first: Option<usize>,
    last: Option<usize>,
    /// The number given last.
    number: u64,
    closed: bool,
    /// The last receiver has gone.
    deserted: bool,
}

/// A message, and who waits for it to be taken, if somebody does.
pub(super) type Offered<T> = (T, Option<Waker>);

/// Which offer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    slot: usize,
    number: u64,
}

/// What a sender finds when it looks after its offer.
pub(super) enum Fate<T> {
    /// Still on offer; its sender will be woken by the waker that it looked with.
    Waits,
    /// Still on offer; its sender will be woken by another waker, and should look with a new one.
    WaitsElsewhere,
    Taken,
    /// The channel is closed.
    CalledBack(Offered<T>),
}

/// Who has an interest in an offer besides the receivers.
pub(super) enum Owner {
    /// A send that waits.
    Waits(Waker),
    /// A `try_send` that is under way: it will settle the offer.
    Tries,
    /// Nobody: the message counts as sent.
    Nobody,
}

struct Offer<T> {
    message: T,
    owner: Owner,
    number: u64,
    /// If not, it was called back, and the links are stale.
    in_line: bool,
    next: Option<usize>,
    previous: Option<usize>,
}

impl<T> Default for Offers<T> {
    fn default() -> Self {
        Self {
            slots: Slab::new(),
            first: None,
            last: None,
            number: 0,
            closed: false,
            deserted: false,
        }
    }
}

impl<T> Offers<T> {
    /// Adds an offer at the end of the line; gives all back if no more may come.
    pub(super) fn push(&mut self, message: T, owner: Owner) -> Result<Key, (T, Owner)> {
        if self.closed {
            return Err((message, owner));
        }
        self.number += 1;
        let (number, previous) = (self.number, self.last);
        let offer = Offer { message, owner, number, in_line: true, next: None, previous };
        let slot = self.slots.insert(offer);
        match previous {
            Some(previous) => self.slots[previous].next = Some(slot),
            None => self.first = Some(slot),
        }
        self.last = Some(slot);
        Ok(Key { slot, number })
    }

    /// Takes the offer that has waited longest.
    pub(super) fn take_first(&mut self) -> Option<Offered<T>> {
        self.first.map(|slot| self.remove(slot))
    }

    /// Looks what has become of an offer. With `new` in it, that is the waker from now on, and the
    /// old one is in `new`.
    pub(super) fn look(&mut self, key: Key, waker: &Waker, new: &mut Option<Waker>) -> Fate<T> {
        let Some(offer) = self.find(key) else { return Fate::Taken };
        if !offer.in_line {
            return Fate::CalledBack(self.remove(key.slot));
        }
        match (&mut offer.owner, new) {
            (Owner::Waits(there), Some(new)) => mem::swap(there, new),
            (Owner::Waits(there), None) if there.will_wake(waker) => {}
            _ => return Fate::WaitsElsewhere,
        }
        Fate::Waits
    }

    /// Takes an offer back, unless it was taken.
    pub(super) fn withdraw(&mut self, key: Key) -> Option<Offered<T>> {
        self.find(key).is_some().then(|| self.remove(key.slot))
    }

    /// Ends a `try_send`. Its message counts as sent if a receiver was `woken` for it or has it
    /// already; else it comes back.
    pub(super) fn settle(&mut self, key: Key, woken: bool) -> Option<T> {
        let deserted = self.deserted;
        let offer = self.find(key)?;
        if woken && !deserted {
            offer.owner = Owner::Nobody;
            return None;
        }
        Some(self.remove(key.slot).0)
    }

    /// For the last receiver: takes, one by one, the messages that count as sent.
    pub(super) fn clear_next(&mut self) -> Option<T> {
        self.deserted = true;
        let slot = self.find_first(|owner| matches!(owner, Owner::Nobody))?;
        Some(self.remove(slot).0)
    }

    /// Lets no more offers come; false if that was so already.
    pub(super) fn close(&mut self) -> bool {
        !mem::replace(&mut self.closed, true)
    }

    /// Calls back the first offer with which somebody waits, and says who.
    pub(super) fn call_back(&mut self) -> Option<Waker> {
        let slot = self.find_first(|owner| matches!(owner, Owner::Waits(_)))?;
        self.unlink(slot);
        waiting(mem::replace(&mut self.slots[slot].owner, Owner::Nobody))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether nothing is on offer.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The first offer in line whose owner is like this. Few are passed over: all in line are of
    /// sends that wait, but for those that were sent to receivers who have yet to come.
    fn find_first(&self, like: impl Fn(&Owner) -> bool) -> Option<usize> {
        let mut next = self.first;
        while let Some(slot) = next.filter(|&slot| !like(&self.slots[slot].owner)) {
            next = self.slots[slot].next;
        }
        next
    }

    fn find(&mut self, key: Key) -> Option<&mut Offer<T>> {
        self.slots.get_mut(key.slot).filter(|offer| offer.number == key.number)
    }

    fn remove(&mut self, slot: usize) -> Offered<T> {
        if self.slots[slot].in_line {
            self.unlink(slot);
        }
        let Offer { message, owner, .. } = self.slots.remove(slot);
        (message, waiting(owner))
    }

    fn unlink(&mut self, slot: usize) {
        let offer = &mut self.slots[slot];
        offer.in_line = false;
        let (previous, next) = (offer.previous, offer.next);
        match previous {
            Some(previous) => self.slots[previous].next = next,
            None => self.first = next,
        }
        match next {
            Some(next) => self.slots[next].previous = previous,
            None => self.last = previous,
        }
    }
}

fn waiting(owner: Owner) -> Option<Waker> {
    match owner {
        Owner::Waits(waker) => Some(waker),
        Owner::Tries | Owner::Nobody => None,
    }
}
