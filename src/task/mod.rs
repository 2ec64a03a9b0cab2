//! Tasks: their handles and errors, sets of them, their ids, names and locals.
//!
//! | to | there is |
//! |---|---|
//! | wait for a task, or stop it | [`JoinHandle`], [`AbortHandle`], [`JoinError`] |
//! | wait for many, as they end | [`JoinSet`] |
//! | run what is not `Send` | [`LocalSet`], [`spawn_local`] |
//! | borrow from a thread's stack | [`scope`](crate::scope) |
//! | know a task again | [`Id`], [`id`], [`Builder::name`] |
//! | give a task a value of its own | [`task_local!`](crate::task_local), [`LocalKey`] |
//! | say how much a poll may do | [`consume_budget`], [`unconstrained`] |

// A spawned future is in one allocation with all that is needed to run, wake, abort and join it.
//
// # Who holds a task
//
// A task is shared by *references*, counted in its header: one is the runtime's until the task
// is complete and a little longer (`Completed`), one is the `JoinHandle`'s, one is each waker's
// and each `AbortHandle`'s. Apart from them there is at most one `Runnable`: the right to poll.
// It is made when the wake counter leaves zero, it lies in a run queue, and it ends when the
// counter is back at zero or the task is complete. It is no reference, because the runtime's
// reference outlives it.
//
// # What keeps it sound
//
// 1. The future is touched only by who has the `Runnable`, of which there is one.
// 2. The counter never returns to zero once the task is complete. So a late wake never makes a
//    `Runnable`, and only a live task calls its scheduler.
// 3. The output belongs to the handle while `JOIN_INTEREST` is set, else to who completes.
// 4. The join waker belongs to the handle while `JOIN_WAKER` is clear and the task is not
//    complete, else to who completes; if that one has no use for it, it drops with the task.
// 5. Code of the user's (poll, drops of future and output, foreign wakers) may panic anywhere:
//    each call is caught, and the state moves on.
// 6. When the last reference goes, the future and the output are gone: the runtime's goes after
//    completion, and so does the handle's, after the output, or before it, then without one.
//    So it may go on any thread, and after all that the future had borrowed. What is in the place
//    of the future follows from the state: the future until completion, then the output, or, with
//    FAILED, the failure, until whose it is (rule 3) takes it once.

mod abort;
mod budget;
mod builder;
mod error;
mod id;
mod join;
mod join_set;
mod list;
mod live;
mod local;
mod raw;
mod state;
mod task_local;
mod waker;

pub use self::abort::AbortHandle;
pub use self::budget::{ConsumeBudget, Unconstrained, consume_budget, unconstrained};
pub use self::builder::Builder;
pub use self::error::JoinError;
pub(crate) use self::error::PanicHook;
pub use self::id::{Id, id, try_id};
pub use self::join::JoinHandle;
pub use self::join_set::{JoinNext, JoinSet};
pub(crate) use self::list::{Chain, List, Stack};
pub(crate) use self::live::{Live, UNLISTED};
pub use self::local::{LocalSet, RunUntil, spawn_local};
pub(crate) use self::raw::{
    Completed, Name, Origin, Runnable, Schedule, TaskId, catch_quietly, is_ending, spawn,
};
pub use self::task_local::{AccessError, LocalKey, LocalScope};
pub(crate) use self::waker::register as register_waker;

#[cfg(all(test, annulus_loom))]
mod loom_tests;
#[cfg(all(test, not(annulus_loom)))]
mod tests;
