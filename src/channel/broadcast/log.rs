//! The messages that some receiver has yet to see.
//!
//! # Invariants
//!
//! 1. Messages are numbered as they come. Those kept are the newest ones, without a gap.
//! 2. A kept message counts the receivers that have yet to see it. Each receiver sees messages in
//!    order, so the counts never fall from an older message to a newer one: a count that gets to
//!    zero is the first one's, and that message leaves the log.
//! 3. Nothing here calls `T::clone` or `T::drop`: what leaves is given to the caller, who has a
//!    lock to release first.
//!
//! The place of a message that has left is used for a later one, so that with receivers that
//! keep up sending allocates nothing.

use std::collections::VecDeque;

use crate::primitive::Arc;

/// The messages that are kept, and how many receivers there are.
pub(super) struct Log<T> {
    kept: VecDeque<Kept<T>>,
    /// Empty places of messages that have left, referred to from nowhere else.
    spare: Vec<Place<T>>,
    /// The number of the next message.
    next: u64,
    receivers: usize,
    capacity: usize,
}

/// So many messages were overwritten before a receiver saw them.
pub(super) struct Lagged(pub(super) u64);

/// Where a message is: in the channel, and in the hands of those who are cloning it.
type Place<T> = Arc<Option<T>>;

struct Kept<T> {
    /// Filled.
    place: Place<T>,
    /// How many receivers have yet to see it; never 0.
    unseen: usize,
}

/// A message on its way to a receiver.
pub(super) enum Message<T> {
    Own(T),
    Shared(Place<T>),
}

impl<T: Clone> Message<T> {
    /// Call this without the lock.
    pub(super) fn into_inner(self) -> T {
        match self {
            Self::Own(message) => message,
            Self::Shared(place) => Option::clone(&place).expect("a kept place is filled"),
        }
    }
}

impl<T> Log<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { kept: VecDeque::new(), spare: Vec::new(), next: 0, receivers: 1, capacity }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn receivers(&self) -> usize {
        self.receivers
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// How many messages are kept from number `next` on.
    pub(super) fn len_from(&self, next: u64) -> usize {
        (self.next - next.max(self.first())) as usize
    }

    /// Counts a receiver in, and gives the number of the first message that it will see.
    pub(super) fn enter(&mut self) -> u64 {
        self.receivers += 1;
        self.next
    }

    /// The number of the oldest message that is kept.
    fn first(&self) -> u64 {
        self.next - self.kept.len() as u64
    }

    /// Adds a message. What it displaces is to be dropped without the lock.
    pub(super) fn push(&mut self, message: T) -> (Option<T>, Option<Place<T>>) {
        let full = self.kept.len() == self.capacity;
        let oldest = if full { self.kept.pop_front().map(|kept| kept.place) } else { None };
        let mut place = oldest.or_else(|| self.spare.pop()).unwrap_or_else(|| Arc::new(None));
        let displaced = match Arc::get_mut(&mut place) {
            Some(inside) => (inside.replace(message), None),
            // Somebody is just cloning it.
            None => (None, Some(std::mem::replace(&mut place, Arc::new(Some(message))))),
        };
        self.kept.push_back(Kept { place, unseen: self.receivers });
        self.next += 1;
        displaced
    }

    /// Takes a receiver's next message, if there is one.
    pub(super) fn pull(&mut self, next: &mut u64) -> Result<Option<Message<T>>, Lagged> {
        let first = self.first();
        if *next < first {
            return Err(Lagged(first - std::mem::replace(next, first)));
        }
        let Some(kept) = self.kept.get_mut((*next - first) as usize) else {
            return Ok(None);
        };
        *next += 1;
        kept.unseen -= 1;
        if kept.unseen > 0 {
            return Ok(Some(Message::Shared(Arc::clone(&kept.place))));
        }
        // By invariant 2 it is the first.
        let mut place = self.kept.pop_front().expect("it was there just now").place;
        let message = Arc::get_mut(&mut place).and_then(Option::take);
        Ok(Some(match message {
            Some(message) => {
                self.spare.push(place);
                Message::Own(message)
            }
            // Somebody is just cloning it.
            None => Message::Shared(place),
        }))
    }

    /// Counts a receiver out that has not seen `next` and what follows. What nobody has yet to
    /// see is to be dropped without the lock.
    pub(super) fn leave(&mut self, next: u64) -> Vec<Place<T>> {
        self.receivers -= 1;
        let from = next.saturating_sub(self.first()) as usize;
        self.kept.range_mut(from..).for_each(|kept| kept.unseen -= 1);
        let gone = self.kept.iter().take_while(|kept| kept.unseen == 0).count();
        self.kept.drain(..gone).map(|kept| kept.place).collect()
    }
}
