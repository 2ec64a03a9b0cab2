//! The list of live tasks, which only shutdown reads: each of them must be dropped.

use slab::Slab;

use crate::primitive::Mutex;
use crate::task::TaskId;
use crate::util::CachePadded;

/// The tag of a task that came too late to be listed.
pub(super) const UNLISTED: usize = usize::MAX;

/// A slab of tasks in one shard a seat, so that seats seldom meet at a lock.
#[derive(Debug)]
pub(super) struct Registry {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
}

#[derive(Debug, Default)]
struct Shard {
    live: Slab<TaskId>,
    closed: bool,
}

impl Registry {
    pub(super) fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| CachePadded::default()).collect() }
    }

    /// Lists a task, and gives the tag by which it is taken out; `None` after `close`.
    pub(super) fn insert(&self, shard: usize, task: TaskId) -> Option<usize> {
        let mut list = self.shards[shard].lock();
        (!list.closed).then(|| list.live.insert(task) * self.shards.len() + shard)
    }

    pub(super) fn remove(&self, tag: usize) {
        if tag != UNLISTED {
            let mut list = self.shards[tag % self.shards.len()].lock();
            list.live.remove(tag / self.shards.len());
        }
    }

    /// From now on no task is listed.
    pub(super) fn close(&self) {
        self.shards.iter().for_each(|shard| shard.lock().closed = true);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().live.is_empty())
    }

    /// Has every live task drop its future at its next run.
    ///
    /// # Safety
    ///
    /// Nobody runs tasks meanwhile, and the registry is closed.
    pub(super) unsafe fn abort_all(&self) {
        for shard in &self.shards {
            // Nothing is inserted any more, and nothing is removed but by a run.
            let live: Vec<TaskId> =
                shard.lock().live.iter().map(|(_, task)| task.clone()).collect();
            // SAFETY: a listed task is not complete, and nobody completes it now.
            live.iter().for_each(|task| unsafe { task.abort() });
        }
    }
}
