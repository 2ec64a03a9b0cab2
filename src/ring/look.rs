//! Whether a push or a pop would succeed, for who only wants to know.
//!
//! A look claims no side, so it disturbs nobody, and what it says may have passed by the time it is
//! used. What it says against an operation is as good as the operation's own refusal: `arm_*` and
//! `still_*` find out whether the two words that were read belong together.

use super::{EmptyAt, FullAt, Nothing, Refused, RingBuffer, Side};
use crate::primitive::atomic::Ordering::Relaxed;

impl<T, P: Side, C: Side> RingBuffer<T, P, C> {
    /// Whether a pop would find an item.
    pub(crate) fn look_not_empty(&self) -> Result<(), Nothing> {
        let tail = self.tail.look().index;
        let head = self.head.look();
        if head.index != tail {
            return Ok(());
        }
        Err(if head.closed && self.is_final(tail) {
            Nothing::Closed
        } else {
            Nothing::Empty(EmptyAt { index: tail })
        })
    }

    /// Whether a push would find room.
    pub(crate) fn look_not_full(&self) -> Result<(), Refused> {
        let head = self.head.look();
        if head.closed {
            return Err(Refused::Closed);
        }
        // Ordering: Relaxed; `still_full` compares it.
        let promised = self.head.promised.load(Relaxed);
        let tail = self.tail.look().index;
        if self.distance(tail, head.index) + promised < self.capacity() {
            return Ok(());
        }
        Err(Refused::Full(FullAt { head: head.index, tail, promised }))
    }
}
