//! Runnable tasks chained through their own headers, so that a list allocates nothing.

use super::raw::{Runnable, Task};

/// A first-in first-out list of tasks to run.
#[derive(Default)]
pub(crate) struct List {
    ends: Option<Ends>,
    len: usize,
}

struct Ends {
    first: Task,
    last: Task,
}

// SAFETY: a list owns `Runnable`s, which are Send.
unsafe impl Send for List {}

impl List {
    pub(crate) const fn new() -> Self {
        Self { ends: None, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push_back(&mut self, Runnable(task): Runnable) {
        self.append(Self { ends: Some(Ends { first: task, last: task }), len: 1 });
    }

    /// Moves all of `other` to the end of this list.
    pub(crate) fn append(&mut self, other: Self) {
        let Some(theirs) = other.ends else { return };
        match &mut self.ends {
            None => self.ends = Some(theirs),
            Some(ours) => {
                // SAFETY: the list has the `Runnable` of each of its tasks.
                ours.last.header().next.with_mut(|next| unsafe { *next = Some(theirs.first) });
                ours.last = theirs.last;
            }
        }
        self.len += other.len;
    }

    pub(crate) fn pop_front(&mut self) -> Option<Runnable> {
        let Ends { first, last } = self.ends.take()?;
        self.len -= 1;
        // SAFETY: the list has the `Runnable` of each of its tasks.
        let next = first.header().next.with_mut(|next| unsafe { (*next).take() });
        self.ends = next.map(|first| Ends { first, last });
        Some(Runnable(first))
    }
}

impl From<Runnable> for List {
    fn from(task: Runnable) -> Self {
        let mut list = Self::new();
        list.push_back(task);
        list
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("List").field("len", &self.len).finish()
    }
}
