//! What a thread that is no worker does with a runtime: it starts tasks, and waits in `block_on`.

use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use super::api::{Annulus, Channels, Rx, Spawn, Tokio, Tx};
use super::contender::{Case, Contender};
use super::crew::Crew;
use super::smol::{self, Smol};

/// Tasks at once.
const CROWD: u64 = 10_000;
const REQUESTS: u64 = 1_000;

/// One line of the report.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Errand {
    /// Spawn all tasks, then wait for all in `block_on`; an element is a task.
    SpawnMany,
    /// `block_on` sends to a task, and receives from it; an element is both.
    Request,
}

impl Errand {
    pub(crate) fn all() -> [Self; 2] {
        [Self::SpawnMany, Self::Request]
    }

    fn run<R: Outside, C: Channels>(self, runtime: &R::Runtime) -> u64 {
        match self {
            Self::SpawnMany => {
                let task = |n| R::spawn_on(runtime, async move { n });
                let tasks: Vec<_> = (0..CROWD).map(task).collect();
                R::block_on(runtime, async {
                    let mut sum = 0;
                    for task in tasks {
                        sum += task.await;
                    }
                    sum
                })
            }
            Self::Request => {
                let (mut request, mut requested) = C::spsc::<u64>(1);
                let (mut reply, mut replied) = C::spsc::<u64>(1);
                let server = R::spawn_on(runtime, async move {
                    while let Some(n) = requested.recv().await {
                        reply.send(n).await;
                    }
                });
                R::block_on(runtime, async {
                    let mut sum = 0;
                    for n in 0..REQUESTS {
                        request.send(n).await;
                        sum += replied.recv().await.expect("a reply");
                    }
                    drop(request);
                    server.await;
                    sum
                })
            }
        }
    }
}

impl Case for Errand {
    fn elements(self) -> u64 {
        match self {
            Self::SpawnMany => CROWD,
            Self::Request => REQUESTS,
        }
    }
}

/// The row's name in both reports.
impl fmt::Display for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpawnMany => write!(f, "spawn {CROWD} from outside, join all"),
            Self::Request => write!(f, "request and reply, block_on to task"),
        }
    }
}

/// One whose errands a thread of the crew does, with the channels `C`.
pub(crate) fn contender<R: Outside, C: Channels>(
    name: &'static str,
    runtime: R::Runtime,
    crew: &Rc<Crew>,
) -> Contender<Errand> {
    let (runtime, crew) = (Arc::new(runtime), Rc::clone(crew));
    let time = move |errand: Errand, runs| {
        let runtime = Arc::clone(&runtime);
        let work = move || (0..runs).map(|_| errand.run::<R, C>(&runtime)).sum();
        let (time, sum) = crew.together(vec![Box::new(work)])?;
        let elements = errand.elements();
        assert_eq!(sum, runs * (elements * (elements - 1) / 2), "{errand} lost something");
        Some(time)
    };
    Contender { name, time: Box::new(time) }
}

/// A runtime as it is used from outside.
pub(crate) trait Outside: Spawn {
    type Runtime: Send + Sync + 'static;

    /// Starts a task; what is returned waits for its result.
    fn spawn_on<F>(
        runtime: &Self::Runtime,
        future: F,
    ) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future<Output: Send + 'static> + Send + 'static;

    fn block_on<F: Future>(runtime: &Self::Runtime, future: F) -> F::Output;
}

impl Outside for Annulus {
    type Runtime = annulus::Runtime;

    fn spawn_on<F>(
        runtime: &Self::Runtime,
        future: F,
    ) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let task = runtime.spawn(future);
        async move { task.await.expect("a task of the row panicked") }
    }

    fn block_on<F: Future>(runtime: &Self::Runtime, future: F) -> F::Output {
        runtime.block_on(future)
    }
}

impl Outside for Tokio {
    type Runtime = tokio::runtime::Runtime;

    fn spawn_on<F>(
        runtime: &Self::Runtime,
        future: F,
    ) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let task = runtime.spawn(future);
        async move { task.await.expect("a task of the row panicked") }
    }

    fn block_on<F: Future>(runtime: &Self::Runtime, future: F) -> F::Output {
        runtime.block_on(future)
    }
}

impl Outside for Smol {
    type Runtime = smol::Runtime;

    fn spawn_on<F>(
        runtime: &Self::Runtime,
        future: F,
    ) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        runtime.spawn(future)
    }

    fn block_on<F: Future>(runtime: &Self::Runtime, future: F) -> F::Output {
        smol::block_on(runtime, future)
    }
}
