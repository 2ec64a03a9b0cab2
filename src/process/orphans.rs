//! Children that nobody waits for any more, until they have ended and are reaped.
//!
//! Whoever starts, awaits or drops a child looks at all of them. There are few: a child that is
//! dropped inside a runtime has a task that waits for it.

use std::process::Child;
use std::sync::{Mutex, PoisonError};

static ORPHANS: Mutex<Vec<Child>> = Mutex::new(Vec::new());

pub(super) fn adopt(child: Child) {
    ORPHANS.lock().unwrap_or_else(PoisonError::into_inner).push(child);
}

/// Reaps those that have ended.
pub(super) fn reap() {
    let mut orphans = ORPHANS.lock().unwrap_or_else(PoisonError::into_inner);
    // Of a child that somebody else has reaped, nothing will be known.
    orphans.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
}
