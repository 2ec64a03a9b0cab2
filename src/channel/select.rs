//! Waiting for several channels at once, on a plain thread.
//!
//! A thread that selects waits in each channel's queue, as a task does that polls several
//! futures. It takes the first operation that succeeds, and leaves the other queues, where a wake
//! that it had got goes to the next.
//!
//! # Invariants
//!
//! 1. Outside of a call nobody waits: every call leaves all queues that it has entered, also when
//!    it panics.
//! 2. At most one operation has succeeded and is kept: the `selected` one. Each call gives that one
//!    before it tries anything, so nothing is received that nobody gets.

mod case;
mod ends;
mod selected;

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use self::case::AnyCase;
pub(super) use self::case::Operation;
pub(super) use self::ends::sealed::Sealed;
pub use self::ends::{RecvEnd, SendEnd};
pub use self::selected::{RecvCase, SelectedOperation, SendCase};
use super::core::OnDrop;
use super::error::{SelectTimeoutError, TrySelectError};
use crate::util::rng;
use crate::wait::thread;

/// Waits on a plain thread until one of several sends and receives can be done.
///
/// Operations are added with [`recv`](Self::recv) and [`send`](Self::send), each of which gives
/// a case; [`select`](Self::select) does one of them, and its result is had with the case. If
/// several can be done, one is chosen at random. On a closed channel an operation can be done: it
/// says that the channel is closed.
///
/// Nothing happens to the operations that were not selected: no message was taken, none sent.
/// A selected receive has its message, and a selected send has room: completing it does not wait
/// and does not fail because of what others do. What was selected and not completed stays so; it
/// drops with the set, or the room goes back.
///
/// Not for use inside a task: it would stop the worker under it. There,
/// [`select!`](crate::select) waits for several futures.
///
/// # Examples
///
/// ```
/// use annulus::channel::{self, Select};
///
/// let (tx, mut numbers) = channel::mpsc(4);
/// let (mut words, rx) = channel::spmc(1);
/// std::thread::scope(|s| {
///     s.spawn(move || (0..3).for_each(|n| tx.send_blocking(n).unwrap()));
///     s.spawn(move || assert_eq!(rx.recv_blocking(), Some("room")));
///
///     let mut select = Select::new();
///     let number = select.recv(&mut numbers);
///     let word = select.send(&mut words);
///     let (mut sum, mut sent) = (0, false);
///     loop {
///         let selected = select.select();
///         match selected.index() {
///             i if i == number.index() => match selected.recv(&number) {
///                 Some(n) => sum += n,
///                 None => select.remove(number.index()), // the end; it would be ready for ever
///             },
///             _ => {
///                 selected.send(&word, "room").unwrap();
///                 select.remove(word.index());
///                 sent = true;
///             }
///         }
///         if select.is_empty() {
///             break;
///         }
///     }
///     assert_eq!((sum, sent), (3, true));
/// });
/// ```
#[doc(alias = "Selector")]
pub struct Select<'a> {
    /// Each with its index; in the order in which they are tried next.
    cases: Vec<(usize, Rc<dyn AnyCase + 'a>)>,
    /// How many were ever added.
    added: usize,
    /// The index of the operation that has succeeded and was not completed.
    selected: Option<usize>,
    /// Whether who was added first comes first.
    biased: bool,
}

type Cases<'a> = [(usize, Rc<dyn AnyCase + 'a>)];

/// How a case is asked: `AnyCase::poll` or `AnyCase::poll_ready`.
type PollCase<'a> = fn(&(dyn AnyCase + 'a), &mut Context<'_>) -> Poll<()>;

impl<'a> Select<'a> {
    /// Makes an empty set of operations.
    pub fn new() -> Self {
        Self { cases: Vec::new(), added: 0, selected: None, biased: false }
    }

    /// Makes an empty set which prefers, if several can be done, what was added first.
    ///
    /// An operation that can always be done keeps those that were added after it from ever being.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus::channel::{self, Select};
    ///
    /// let (urgent_tx, urgent) = channel::bounded(4);
    /// let (tx, rest) = channel::bounded(4);
    /// tx.try_send("later").unwrap();
    /// urgent_tx.try_send("now").unwrap();
    ///
    /// let mut select = Select::new_biased();
    /// let cases = [select.recv(&urgent), select.recv(&rest)];
    /// for expected in ["now", "later"] {
    ///     let selected = select.select();
    ///     let index = selected.index();
    ///     assert_eq!(selected.recv(&cases[index]), Some(expected));
    /// }
    /// ```
    pub fn new_biased() -> Self {
        let mut this = Self::new();
        this.biased = true;
        this
    }

    /// Adds a receive: from `&Receiver` where there may be many, else from `&mut Receiver`.
    ///
    /// [`rendezvous`](super::rendezvous) and [`oneshot`](super::oneshot) receivers can be added,
    /// too: see [`RecvEnd`].
    pub fn recv<R: RecvEnd<'a>>(&mut self, receiver: R) -> RecvCase<'a, R::Message> {
        let case = receiver.case(self.added);
        self.add(Rc::clone(&case.case).any());
        case
    }

    /// Adds a send: to `&Sender` where there may be many, else to `&mut Sender`.
    ///
    /// What is selected is the room for a message; the message itself is needed only then. So a send
    /// to a [`rendezvous`](super::rendezvous), which has no room, cannot be added.
    pub fn send<S: SendEnd<'a>>(&mut self, sender: S) -> SendCase<'a, S::Message> {
        let case = sender.case(self.added);
        self.add(Rc::clone(&case.case).any());
        case
    }

    fn add(&mut self, case: Rc<dyn AnyCase + 'a>) {
        self.cases.push((self.added, case));
        self.added += 1;
    }

    /// Takes an operation out, so that it will not be selected. Indices are not used again.
    ///
    /// If it was selected and not completed, its message drops, or its room goes back.
    ///
    /// # Panics
    ///
    /// If there is none of this index.
    #[track_caller]
    pub fn remove(&mut self, index: usize) {
        let place = self.cases.iter().position(|&(other, _)| other == index);
        let place = place.unwrap_or_else(|| {
            panic!("no operation has index {index}; it was removed before, or is another Select's")
        });
        let (_, case) = self.cases.remove(place);
        if self.selected == Some(index) {
            self.selected = None;
        }
        case.give_up();
    }

    /// The number of operations.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Does one of the operations, waiting until one can be done.
    ///
    /// # Panics
    ///
    /// If there are no operations.
    #[track_caller]
    pub fn select(&mut self) -> SelectedOperation<'_, 'a> {
        self.assert_not_empty();
        let index = self.select_until(None).expect("without a deadline only an operation ends it");
        SelectedOperation { select: self, index }
    }

    /// Does one of the operations if one can be done at once.
    ///
    /// # Errors
    ///
    /// If none can.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus::channel::{self, Select, TrySelectError};
    ///
    /// let (tx, rx) = channel::bounded(1);
    /// let mut select = Select::new();
    /// let number = select.recv(&rx);
    /// assert_eq!(select.try_select().err(), Some(TrySelectError));
    /// tx.try_send(1).unwrap();
    /// assert_eq!(select.try_select().unwrap().recv(&number), Some(1));
    /// ```
    pub fn try_select(&mut self) -> Result<SelectedOperation<'_, 'a>, TrySelectError> {
        if self.selected.is_none() {
            self.selected = self.find(|case| case.try_now());
        }
        let index = self.selected.ok_or(TrySelectError)?;
        Ok(SelectedOperation { select: self, index })
    }

    /// Does one of the operations, waiting for so long at most until one can be done.
    ///
    /// # Errors
    ///
    /// If none can in time.
    pub fn select_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<SelectedOperation<'_, 'a>, SelectTimeoutError> {
        let index = self.select_until(thread::after(timeout)).ok_or(SelectTimeoutError)?;
        Ok(SelectedOperation { select: self, index })
    }

    /// Does one of the operations, waiting until then at most until one can be done.
    ///
    /// # Errors
    ///
    /// If none can in time.
    pub fn select_deadline(
        &mut self,
        deadline: Instant,
    ) -> Result<SelectedOperation<'_, 'a>, SelectTimeoutError> {
        let index = self.select_until(Some(deadline)).ok_or(SelectTimeoutError)?;
        Ok(SelectedOperation { select: self, index })
    }

    /// Waits until one of the operations can be done, and says which; does nothing.
    ///
    /// Others may do it first, so this is for `try_recv` and `try_send` in a loop. What `select` has
    /// given already and was not completed does not count.
    ///
    /// # Panics
    ///
    /// If there are no operations.
    ///
    /// # Examples
    ///
    /// ```
    /// use annulus::channel::{self, Select};
    ///
    /// let (tx, rx) = channel::bounded(1);
    /// std::thread::scope(|s| {
    ///     s.spawn(|| tx.send_blocking("hello"));
    ///     let message = loop {
    ///         let mut select = Select::new();
    ///         let case = select.recv(&rx);
    ///         assert_eq!(select.ready(), case.index());
    ///         if let Ok(message) = rx.try_recv() {
    ///             break message;
    ///         }
    ///     };
    ///     assert_eq!(message, "hello");
    /// });
    /// ```
    #[track_caller]
    pub fn ready(&mut self) -> usize {
        self.assert_not_empty();
        self.ready_until(None).expect("without a deadline only an operation ends it")
    }

    /// Says which of the operations can be done at once.
    ///
    /// # Errors
    ///
    /// If none can.
    pub fn try_ready(&mut self) -> Result<usize, TrySelectError> {
        self.find(|case| case.looks_ready()).ok_or(TrySelectError)
    }

    /// As [`ready`](Self::ready), for so long at most.
    ///
    /// # Errors
    ///
    /// If no operation can be done in time.
    pub fn ready_timeout(&mut self, timeout: Duration) -> Result<usize, SelectTimeoutError> {
        self.ready_until(thread::after(timeout)).ok_or(SelectTimeoutError)
    }

    /// As [`ready`](Self::ready), until then at most.
    ///
    /// # Errors
    ///
    /// If no operation can be done in time.
    pub fn ready_deadline(&mut self, deadline: Instant) -> Result<usize, SelectTimeoutError> {
        self.ready_until(Some(deadline)).ok_or(SelectTimeoutError)
    }

    #[track_caller]
    fn assert_not_empty(&self) {
        assert!(
            !self.is_empty(),
            "nothing can be selected from no operations; add one with `recv` or `send` first"
        );
    }

    /// `None` is no end of time.
    fn select_until(&mut self, deadline: Option<Instant>) -> Option<usize> {
        if self.selected.is_none() {
            // As in `blocking.rs`: it tries, looks on for a while, and only then sleeps.
            self.selected = self.find(|case| case.at_once()).or_else(|| {
                thread::look_on(1, || self.find(|case| case.looks_ready() && case.at_once()))
            });
        }
        self.select_by(|wait| _ = thread::block_on_until(wait, deadline))
    }

    /// `None` is no end of time.
    fn ready_until(&mut self, deadline: Option<Instant>) -> Option<usize> {
        let mut look = || self.find(|case| case.looks_ready());
        let ready = look().or_else(|| thread::look_on(1, look));
        ready.or_else(|| self.ready_by(|wait| _ = thread::block_on_until(wait, deadline)))
    }

    /// The index of one for which that is so, in random order, so that each has its turn.
    fn find(&mut self, is_so: impl Fn(&dyn AnyCase) -> bool) -> Option<usize> {
        for place in 0..self.cases.len() {
            if !self.biased {
                let left = u32::try_from(self.cases.len() - place).unwrap_or(u32::MAX);
                self.cases.swap(place, place + rng::below(left) as usize);
            }
            let (index, case) = &self.cases[place];
            if is_so(&**case) {
                return Some(*index);
            }
        }
        None
    }

    /// The index of an operation that is done; `block` is how the thread waits.
    pub(super) fn select_by(
        &mut self,
        block: impl FnOnce(Pin<&mut dyn Future<Output = ()>>),
    ) -> Option<usize> {
        if self.selected.is_none() {
            wait_by(&self.cases, &mut self.selected, |case, cx| case.poll(cx), block);
        }
        self.selected
    }

    /// The index of an operation that need not wait; `block` is how the thread waits.
    pub(super) fn ready_by(
        &self,
        block: impl FnOnce(Pin<&mut dyn Future<Output = ()>>),
    ) -> Option<usize> {
        let mut ready = None;
        wait_by(&self.cases, &mut ready, |case, cx| case.poll_ready(cx), block);
        ready
    }
}

/// Waits until `poll` of some case is ready, and notes its index.
fn wait_by<'a>(
    cases: &Cases<'a>,
    index: &mut Option<usize>,
    poll: PollCase<'a>,
    block: impl FnOnce(Pin<&mut dyn Future<Output = ()>>),
) {
    // The index is noted first: in leaving, a waker may panic.
    let _leave = OnDrop(|| leave(cases));
    block(pin!(poll_fn(|cx| poll_any(cases, cx, poll).map(|done| *index = Some(done)))));
}

/// Ready with the index of a case for which `poll` is.
fn poll_any<'a>(cases: &Cases<'a>, cx: &mut Context<'_>, poll: PollCase<'a>) -> Poll<usize> {
    let mut is_ready = |case: &(dyn AnyCase + 'a)| poll(case, cx).is_ready();
    // First those that look ready: then mostly there is no other queue to enter.
    let ready = cases.iter().find(|(_, case)| case.looks_ready() && is_ready(&**case));
    let ready = ready.or_else(|| cases.iter().find(|(_, case)| is_ready(&**case)));
    ready.map_or(Poll::Pending, |&(index, _)| Poll::Ready(index))
}

/// Leaves all queues, also when a waker panics that a wake is handed to.
fn leave(cases: &Cases<'_>) {
    let next = Cell::new(0);
    let go_on = || {
        while let Some((_, case)) = cases.get(next.replace(next.get() + 1)) {
            case.leave();
        }
    };
    let _rest = OnDrop(go_on);
    go_on();
}

impl Drop for Select<'_> {
    fn drop(&mut self) {
        // Cancel: the one operation that may be kept; a case may outlive us.
        if let Some(index) = self.selected {
            self.remove(index);
        }
    }
}

impl Default for Select<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("len", &self.len())
            .field("selected", &self.selected)
            .finish()
    }
}

#[cfg(all(test, not(annulus_loom)))]
mod tests;
