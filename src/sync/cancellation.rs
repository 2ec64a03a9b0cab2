//! A signal that work is no longer wanted, for a task and all that it has started.
//!
//! # Invariants
//!
//! 1. Tokens are a tree. A node holds its parent, and the parent has its children listed without
//!    holding them: who drops the last handle of a child takes it off the list.
//! 2. A node is cancelled under the lock of its list, and the list is empty from then on. So a child
//!    is either listed in time, or is cancelled when it is made.
//! 3. Cancelling marks the whole tree below, then wakes: who is woken by it finds everything
//!    cancelled that is.
//!
//! No lock is held while another is taken. Trees may be deep, so nothing here recurses: neither
//! cancelling nor dropping.

use std::fmt;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::vec;

use slab::Slab;

use crate::primitive::Mutex;
use crate::primitive::atomic::AtomicBool;
use crate::primitive::atomic::Ordering::{Acquire, Release};
use crate::util::may_block;
use crate::wait::queue::Ticket;
use crate::wait::{Event, thread};

/// Tells tasks that their work is no longer wanted.
///
/// Clones are one token. A [`child`](Self::child_token) is cancelled with its parent, and may be
/// cancelled alone. Once cancelled, it stays so.
///
/// # Examples
///
/// ```
/// use annulus::sync::CancellationToken;
///
/// let server = CancellationToken::new();
/// annulus::block_on(async {
///     let request = server.child_token();
///     let task = annulus::spawn(async move {
///         request.run_until_cancelled(std::future::pending::<()>()).await
///     });
///     server.cancel();
///     assert_eq!(task.await.unwrap(), None);
/// });
/// ```
#[derive(Clone)]
pub struct CancellationToken {
    node: Arc<Node>,
}

struct Node {
    /// Written under the lock of `children`.
    cancelled: AtomicBool,
    /// That it is.
    event: Event,
    /// Those that are to be cancelled with this one.
    children: Mutex<Slab<Weak<Node>>>,
    /// The parent, and where this is in its list.
    parent: Option<(Arc<Node>, usize)>,
}

/// Cancels its token when dropped; made by [`CancellationToken::drop_guard`].
#[must_use = "a guard that is dropped cancels at once"]
pub struct DropGuard {
    token: CancellationToken,
    armed: bool,
}

/// Waits until a token is cancelled; made by [`CancellationToken::cancelled`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Cancelled<'a> {
    node: &'a Node,
    ticket: Ticket,
}

/// Waits until a token is cancelled; made by [`CancellationToken::cancelled_owned`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct CancelledOwned {
    node: Arc<Node>,
    ticket: Ticket,
}

impl Node {
    fn new(parent: Option<(Arc<Node>, usize)>, cancelled: bool) -> Self {
        Self {
            cancelled: AtomicBool::new(cancelled),
            event: Event::default(),
            children: Mutex::new(Slab::new()),
            parent,
        }
    }

    fn is_cancelled(&self) -> bool {
        // Ordering: Acquire pairs with the Release in `mark`: who learns of it sees what the
        // canceller did before.
        self.cancelled.load(Acquire)
    }

    /// A node that is cancelled with this one.
    fn child(this: &Arc<Self>) -> Arc<Self> {
        let mut children = this.children.lock();
        if this.is_cancelled() {
            return Arc::new(Self::new(None, true));
        }
        let entry = children.vacant_entry();
        let child = Arc::new(Self::new(Some((Arc::clone(this), entry.key())), false));
        entry.insert(Arc::downgrade(&child));
        child
    }

    /// Marks this node only: those that are to be marked with it, or `None` if it was before.
    fn mark(&self) -> Option<Slab<Weak<Node>>> {
        let mut children = self.children.lock();
        if self.is_cancelled() {
            return None;
        }
        // Ordering: Release pairs with the Acquire in `is_cancelled`.
        self.cancelled.store(true, Release);
        Some(mem::take(&mut *children))
    }

    fn cancel(&self) {
        let Some(children) = self.mark() else { return };
        let alive = |nodes: Slab<Weak<Node>>| nodes.into_iter().filter_map(|(_, n)| n.upgrade());
        let mut marked = Vec::new();
        let mut to_mark: Vec<_> = alive(children).collect();
        while let Some(node) = to_mark.pop() {
            // One that was cancelled alone has had its own children cancelled.
            if let Some(children) = node.mark() {
                to_mark.extend(alive(children));
                marked.push(node);
            }
        }
        let mut below = Below(marked.into_iter());
        self.event.notify();
        below.notify();
    }

    /// Takes a child off the list.
    fn remove(&self, key: usize) {
        let mut children = self.children.lock();
        // It is not there if this is cancelled: then the list was taken away, for good.
        let child = children.try_remove(key);
        drop(children);
        drop(child);
    }
}

/// Those whose waiters are to be woken; also when a waker panics.
struct Below(vec::IntoIter<Arc<Node>>);

impl Below {
    fn notify(&mut self) {
        for node in &mut self.0 {
            node.event.notify();
        }
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        self.notify();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let mut above = self.parent.take();
        while let Some((parent, key)) = above {
            parent.remove(key);
            // Perhaps we were the last to hold it.
            above = Arc::into_inner(parent).and_then(|mut parent| parent.parent.take());
        }
    }
}

impl CancellationToken {
    /// Makes a token that nothing cancels but [`cancel`](Self::cancel).
    pub fn new() -> Self {
        Self { node: Arc::new(Node::new(None, false)) }
    }

    /// Makes a token that is cancelled with this one, and not the other way round.
    ///
    /// It keeps this one in memory, also when its handles are gone.
    pub fn child_token(&self) -> Self {
        Self { node: Node::child(&self.node) }
    }

    /// Cancels the token and those below it, and wakes whoever waits for that.
    ///
    /// To do it again does nothing. (It does not wait for another thread that is at it.)
    pub fn cancel(&self) {
        self.node.cancel();
    }

    /// Whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Waits until it is cancelled.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// # annulus::block_on(async {
    /// let (stop, (tx, rx)) = (annulus::sync::CancellationToken::new(), annulus::channel::mpmc(4));
    /// # let stopped = stop.clone();
    /// annulus::spawn(async move {
    ///     tx.send(1).await.unwrap();
    ///     stop.cancel();
    ///     # std::future::pending::<()>().await; drop(tx);
    /// });
    /// let mut sum = 0;
    /// loop {
    ///     annulus::select! {
    ///         biased;
    ///         Some(n) = rx.recv() => sum += n,
    ///         () = stopped.cancelled() => break,
    ///     }
    /// }
    /// assert_eq!(sum, 1);
    /// # });
    /// ```
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled { node: &self.node, ticket: Ticket::default() }
    }

    /// Waits until it is cancelled, in a future that may go anywhere.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn cancelled_owned(self) -> CancelledOwned {
        CancelledOwned { node: self.node, ticket: Ticket::default() }
    }

    /// Waits on a plain thread until it is cancelled.
    ///
    /// # Panics
    ///
    /// Inside a task or `block_on`, where it would block a worker.
    #[track_caller]
    pub fn cancelled_blocking(&self) {
        may_block::check("cancelled_blocking", "`cancelled().await`");
        thread::block_on(self.cancelled());
    }

    /// Cancels the token when the guard is dropped, also by a panic.
    ///
    /// # Examples
    ///
    /// ```
    /// let token = annulus::sync::CancellationToken::new();
    /// let helpers = token.child_token();
    /// let work = std::panic::catch_unwind(|| {
    ///     let _stop = token.drop_guard();
    ///     panic!("at work");
    /// });
    /// assert!(work.is_err() && helpers.is_cancelled());
    /// ```
    pub fn drop_guard(self) -> DropGuard {
        DropGuard { token: self, armed: true }
    }

    /// Runs a future to its end, or until the token is cancelled: then `None`.
    ///
    /// What is already cancelled does not begin; a future that is cancelled is dropped.
    ///
    /// # Cancel safety
    ///
    /// As the future's.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut cancelled = self.cancelled();
        poll_fn(|cx| match Pin::new(&mut cancelled).poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => future.as_mut().poll(cx).map(Some),
        })
        .await
    }

    /// As [`run_until_cancelled`](Self::run_until_cancelled), with a future that may go anywhere.
    ///
    /// # Cancel safety
    ///
    /// As the future's.
    pub async fn run_until_cancelled_owned<F: Future>(self, future: F) -> Option<F::Output> {
        self.run_until_cancelled(future).await
    }
}

impl DropGuard {
    /// The token, which is not cancelled by the guard any more.
    pub fn disarm(mut self) -> CancellationToken {
        self.armed = false;
        self.token.clone()
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if self.armed {
            self.token.cancel();
        }
    }
}

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { node, ticket } = self.get_mut();
        node.event.poll_until(ticket, cx, || node.is_cancelled().then_some(()))
    }
}

impl Future for CancelledOwned {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { node, ticket } = self.get_mut();
        node.event.poll_until(ticket, cx, || node.is_cancelled().then_some(()))
    }
}

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        // Cancel: there is nothing to give back.
        self.node.event.leave(&mut self.ticket);
    }
}

impl Drop for CancelledOwned {
    fn drop(&mut self) {
        // Cancel: there is nothing to give back.
        self.node.event.leave(&mut self.ticket);
    }
}

impl Default for CancellationToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken").field("cancelled", &self.is_cancelled()).finish()
    }
}

impl fmt::Debug for DropGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DropGuard").field("token", &self.token).finish()
    }
}

impl fmt::Debug for Cancelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled").field("cancelled", &self.node.is_cancelled()).finish()
    }
}

impl fmt::Debug for CancelledOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelledOwned").field("cancelled", &self.node.is_cancelled()).finish()
    }
}
