//! The queue that every thread may push to: tasks woken from outside, and what overflows.

use crate::primitive::Mutex;
use crate::primitive::atomic::AtomicUsize;
use crate::primitive::atomic::Ordering::{Acquire, Release};
use crate::task::{List, Runnable};

/// A mutex around a list that is chained through the tasks, and its length to read without it.
#[derive(Debug, Default)]
pub(super) struct Injector {
    tasks: Mutex<List>,
    /// Written under the lock.
    len: AtomicUsize,
}

impl Injector {
    pub(super) fn is_empty(&self) -> bool {
        // Ordering: Acquire pairs with the Release in `push`. What makes a sleeper see a push is
        // the pair of fences in `idle.rs`.
        self.len.load(Acquire) == 0
    }

    pub(super) fn push(&self, tasks: List) {
        let mut list = self.tasks.lock();
        list.append(tasks);
        self.len.store(list.len(), Release);
    }

    /// Takes up to a fair share of the tasks, one in `sharers`, but no more than `most`.
    pub(super) fn pop_share(&self, sharers: usize, most: usize) -> List {
        let mut share = List::new();
        if self.is_empty() {
            return share;
        }
        let mut list = self.tasks.lock();
        for _ in 0..(list.len() / sharers + 1).min(most) {
            let Some(task) = list.pop_front() else { break };
            share.push_back(task);
        }
        self.len.store(list.len(), Release);
        share
    }

    pub(super) fn pop(&self) -> Option<Runnable> {
        self.pop_share(1, 1).pop_front()
    }
}
