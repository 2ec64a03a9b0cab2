//! What `Select` hands out: the cases that were added, and the operation that was selected.

use std::fmt;
use std::ptr;
use std::rc::Rc;

use super::super::{Kind, Permit, SendError};
use super::Select;
use super::case::{Case, Operation, Receives, Sends};

/// A receive that was added to a [`Select`]; made by [`Select::recv`].
#[must_use = "without it, what the receive gives cannot be had"]
pub struct RecvCase<'a, T> {
    index: usize,
    pub(super) case: Rc<dyn Receives<T> + 'a>,
}

/// A send that was added to a [`Select`]; made by [`Select::send`].
#[must_use = "without it, the send cannot be completed"]
pub struct SendCase<'a, T> {
    index: usize,
    pub(super) case: Rc<dyn Sends<T> + 'a>,
}

/// An operation that was selected, to be completed by [`recv`](Self::recv) or
/// [`send`](Self::send).
///
/// Dropped instead, it loses nothing: it stays selected, and the next call of `select` or its
/// variants gives it again.
#[must_use = "a selected operation has to be completed, by `recv` or `send`"]
pub struct SelectedOperation<'s, 'a> {
    pub(super) select: &'s mut Select<'a>,
    pub(super) index: usize,
}

impl<'a, T> RecvCase<'a, T> {
    pub(in crate::channel) fn new(
        index: usize,
        operation: impl Operation<Output = Option<T>> + 'a,
    ) -> Self {
        Self { index, case: Rc::new(Case::new(operation)) }
    }

    /// The index of the receive in its `Select`.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl<'a, T: 'a> SendCase<'a, T> {
    pub(super) fn new<K: Kind>(
        index: usize,
        operation: impl Operation<Output = Option<Permit<'a, T, K>>> + 'a,
    ) -> Self {
        Self { index, case: Rc::new(Case::new(operation)) }
    }

    /// The index of the send in its `Select`.
    pub fn index(&self) -> usize {
        self.index
    }
}

impl SelectedOperation<'_, '_> {
    /// The index of the operation.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The message that was received; `None` if none will ever come.
    ///
    /// # Panics
    ///
    /// If another operation was selected. That one stays selected.
    #[track_caller]
    pub fn recv<T>(self, case: &RecvCase<'_, T>) -> Option<T> {
        self.complete(Rc::as_ptr(&case.case).cast());
        case.case.complete()
    }

    /// Sends a message, for which there is room.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel was closed when this was selected.
    ///
    /// # Panics
    ///
    /// If another operation was selected. That one stays selected.
    #[track_caller]
    pub fn send<T>(self, case: &SendCase<'_, T>, message: T) -> Result<(), SendError<T>> {
        self.complete(Rc::as_ptr(&case.case).cast());
        case.case.complete(message)
    }

    /// Notes that the operation is completed, which is that of the case that lies there.
    #[track_caller]
    fn complete(self, case: *const ()) {
        let is_it =
            self.select.cases.iter().any(|(index, ours)| {
                *index == self.index && ptr::eq(Rc::as_ptr(ours).cast(), case)
            });
        assert!(
            is_it,
            "this case was not selected; compare its index with that of the operation first"
        );
        self.select.selected = None;
    }
}

impl<T> fmt::Debug for RecvCase<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvCase").field("index", &self.index).finish()
    }
}

impl<T> fmt::Debug for SendCase<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendCase").field("index", &self.index).finish()
    }
}

impl fmt::Debug for SelectedOperation<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectedOperation").field("index", &self.index).finish()
    }
}
