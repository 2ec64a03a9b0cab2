//! The tasks that live somewhere, by key, so that whoever ends that place can end them.

use super::raw::TaskId;
use super::state::MAX_TAG;

/// The tag of a task that came too late to be listed; that of others is its key.
pub(crate) const UNLISTED: u32 = MAX_TAG;

/// Tasks by key. Eight bytes for each: so a slab it is not, whose entries have a tag.
#[derive(Debug, Default)]
pub(crate) struct Live {
    tasks: Vec<Option<TaskId>>,
    /// The keys that nobody has.
    free: Vec<u32>,
}

impl Live {
    #[inline]
    pub(crate) fn insert(&mut self, task: TaskId) -> u32 {
        if let Some(key) = self.free.pop() {
            self.tasks[key as usize] = Some(task);
            return key;
        }
        let key = u32::try_from(self.tasks.len()).ok().filter(|&key| key < UNLISTED);
        let key = key.expect("2^31 tasks that were spawned in one place are still there");
        self.tasks.push(Some(task));
        key
    }

    #[inline]
    pub(crate) fn remove(&mut self, key: u32) {
        let listed = self.tasks[key as usize].take();
        debug_assert!(listed.is_some(), "a task is listed once");
        self.free.push(key);
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len() - self.free.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = TaskId> {
        self.tasks.iter().flatten().cloned()
    }
}
