//! Tasks chained through their own headers, so that a list allocates nothing.

use std::mem::ManuallyDrop;
use std::ptr;

use super::raw::{Completed, Runnable, Task};
use crate::primitive::atomic::AtomicPtr;
use crate::primitive::atomic::Ordering::{Acquire, Relaxed, Release};

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

/// Completed tasks that go back to where they came from: anybody pushes, and who takes takes all,
/// the last one first.
#[derive(Debug)]
pub(crate) struct Stack(AtomicPtr<()>);

impl Stack {
    pub(crate) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn push(&self, task: Completed) {
        let Runnable(task) = ManuallyDrop::new(task).0;
        let mut top = self.0.load(Relaxed);
        loop {
            // SAFETY: what is in the stack comes from below. We have the task's `Completed`.
            let next = (!top.is_null()).then(|| unsafe { Task::from_raw(top) });
            // SAFETY: as above.
            task.header().next.with_mut(|link| unsafe { *link = next });
            // Ordering: Release pairs with the Acquire in `take_all`: the link is seen.
            match self.0.compare_exchange_weak(top, task.into_raw().cast_mut(), Release, Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.load(Relaxed).is_null()
    }

    pub(crate) fn take_all(&self) -> Chain {
        // Ordering: Acquire pairs with the Release in `push`.
        let top = self.0.swap(ptr::null_mut(), Acquire);
        // SAFETY: it comes from `push`, and the swap made all of them ours.
        Chain((!top.is_null()).then(|| unsafe { Task::from_raw(top) }))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        drop(self.take_all());
    }
}

/// Tasks taken from a [`Stack`].
pub(crate) struct Chain(Option<Task>);

impl Iterator for Chain {
    type Item = Completed;

    fn next(&mut self) -> Option<Completed> {
        let task = self.0?;
        // SAFETY: the chain has the `Completed` of each of its tasks.
        self.0 = task.header().next.with_mut(|link| unsafe { (*link).take() });
        Some(Completed(Runnable(task)))
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
