//! Small tools with no opinion about tasks or channels.

pub(crate) mod backoff;
pub(crate) mod budget;
pub(crate) mod cache_padded;
pub(crate) mod may_block;
pub(crate) mod prompt_waker;
pub(crate) mod rng;
mod spin_lock;
pub(crate) mod wake_batch;

pub(crate) use backoff::Backoff;
pub(crate) use cache_padded::CachePadded;
pub(crate) use rng::Rng;
pub(crate) use spin_lock::{SpinGuard, SpinLock};
pub(crate) use wake_batch::WakeBatch;

#[cfg(all(test, annulus_loom))]
mod loom_tests;
