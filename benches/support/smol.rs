//! The executor of the smol crates, with threads as its documentation says to start them.

use std::cell::Cell;
use std::future::{Future, pending};
use std::rc::Rc;
use std::thread;

use async_executor::Executor;
use futures_lite::future;

use super::api::Spawn;
use super::contender::Home;

pub(crate) enum Smol {}

pub(crate) type Runtime = &'static Executor<'static>;

thread_local! {
    /// Where the tasks of this thread spawn. smol's own `spawn` knows one executor only.
    static HERE: Cell<Option<Runtime>> = const { Cell::new(None) };
}

impl Spawn for Smol {
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        here().spawn(future)
    }

    fn spawn_detached<F>(future: F)
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        here().spawn(future).detach();
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        future::yield_now()
    }
}

fn here() -> Runtime {
    HERE.get().expect("called from a task")
}

/// Starts an executor that lasts until the process ends.
pub(crate) fn start(name: &'static str, workers: usize) -> Runtime {
    let executor: Runtime = Box::leak(Box::default());
    for i in 0..workers {
        let work = move || block_on(executor, pending::<()>());
        let thread = thread::Builder::new().name(format!("{name}-{i}")).spawn(work);
        thread.expect("the system lets us start threads");
    }
    executor
}

/// Polls `future` on this thread, which runs tasks, too.
pub(crate) fn block_on<F: Future>(executor: Runtime, future: F) -> F::Output {
    let before = HERE.replace(Some(executor));
    let output = future::block_on(executor.run(future));
    HERE.set(before);
    output
}

pub(crate) fn home(name: &'static str, workers: usize) -> Rc<Home> {
    let executor = start(name, workers);
    Home::new(name, workers, move |job| executor.spawn(job).detach())
}
