//! A clock that tests move: programs that wait for hours, in no time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::context::{self, Host};

/// Stops the clock of the runtime that this thread is in.
///
/// From now on [`now`](super::now) stands still, and with it all timers of the runtime, until
/// [`advance`] moves it. When every worker is idle it moves by itself to the next timer, so that a
/// program which waits for an hour goes on at once. What runs in [`spawn_blocking`](crate::spawn_blocking) or
/// [`block_in_place`](crate::block_in_place) holds it back. (Threads of which the runtime does not
/// know, and all but one of those in `block_on`, do not.)
///
/// [`Builder::start_paused`](crate::Builder::start_paused) starts a runtime like that.
///
/// # Panics
///
/// If this thread is in no runtime, or its clock stands still already.
///
/// # Examples
///
/// ```
/// use annulus::time::{self, Duration, Instant};
///
/// let start = Instant::now();
/// let runtime = annulus::Builder::new().worker_threads(1).build()?;
/// runtime.block_on(async {
///     time::pause();
///     let before = time::now();
///     time::sleep(Duration::from_secs(3600)).await;
///     assert_eq!(time::now() - before, Duration::from_secs(3600));
/// });
/// assert!(start.elapsed() < Duration::from_secs(60));
/// # Ok::<_, std::io::Error>(())
/// ```
#[track_caller]
pub fn pause() {
    let paused = in_runtime(|host| host.place().timers().clock().pause());
    assert!(paused, "this runtime's clock stands still already; call `time::resume` first");
    context::hurry(0);
}

/// Lets the clock run on, from where it is.
///
/// # Panics
///
/// If this thread is in no runtime, or its clock runs.
#[track_caller]
pub fn resume() {
    let resumed = in_runtime(|host| host.place().timers().clock().resume());
    assert!(resumed, "this runtime's clock runs; call `time::pause` first");
    context::hurry(0);
}

/// Moves a clock that stands still, and fires what is due by then, in the order of the deadlines.
///
/// The clock is moved by the call. What has become ready runs when this task waits: the future
/// lets others go first once. To wait until all that has run, and all tasks wait again,
/// [`sleep`](super::sleep) instead: while the clock stands still a sleep ends as soon as all
/// wait.
///
/// # Panics
///
/// If this thread is in no runtime, or its clock runs.
///
/// # Examples
///
/// ```
/// use annulus::time::{self, Duration};
///
/// let runtime = annulus::Builder::new().worker_threads(1).start_paused(true).build()?;
/// runtime.block_on(async {
///     let task = annulus::spawn(time::sleep(Duration::from_secs(60)));
///     time::advance(Duration::from_secs(59)).await;
///     assert!(!task.is_finished());
///     time::advance(Duration::from_secs(1)).await;
///     task.await
/// }).unwrap();
/// # Ok::<_, std::io::Error>(())
/// ```
#[track_caller]
pub fn advance(duration: Duration) -> Advance {
    let advanced = in_runtime(|host| host.place().timers().clock().advance(duration));
    assert!(advanced, "this runtime's clock runs; call `time::pause` first");
    let fire = in_runtime(|host| host.firing());
    fire();
    Advance { yielded: false }
}

/// The future of [`advance`].
#[derive(Debug)]
#[must_use = "the tasks that are ready run when this is awaited"]
pub struct Advance {
    yielded: bool,
}

impl Future for Advance {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[track_caller]
fn in_runtime<R>(f: impl FnOnce(&dyn Host) -> R) -> R {
    // Not inside the closure, so that the caller is named.
    let result = context::with(|host| host.map(f));
    match result {
        Some(result) => result,
        None => panic!("this thread is in no runtime; call it inside `block_on` or in a task"),
    }
}
