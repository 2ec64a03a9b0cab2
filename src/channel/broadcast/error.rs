//! What broadcasting can refuse.

use std::error::Error;
use std::fmt;

/// There is no receiver; here is the message that was not sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why no message was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvError {
    /// No message is left, and no sender.
    Closed,
    /// So many messages were overwritten before the receiver saw them; others are there.
    Lagged(u64),
}

/// Why no message was received at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// No message is there now; one may still come.
    Empty,
    /// No message is left, and no sender.
    Closed,
    /// So many messages were overwritten before the receiver saw them; others are there.
    Lagged(u64),
}

impl<T> SendError<T> {
    /// Gives the message back.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed => Self::Closed,
            RecvError::Lagged(missed) => Self::Lagged(missed),
        }
    }
}

// The message itself needs no `Debug`, so that `?` works for every `T`.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sending to no receiver; subscribe one, or take the message with into_inner")
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        TryRecvError::from(*self).fmt(f)
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("receiving with no message there; wait for one with recv"),
            Self::Closed => {
                f.write_str("receiving from an empty and closed channel; no message will come")
            }
            Self::Lagged(missed) => {
                write!(f, "too slow for {missed} messages, which were overwritten; ")?;
                f.write_str("receive again to go on with the oldest, or give the channel room")
            }
        }
    }
}

impl<T> Error for SendError<T> {}
impl Error for RecvError {}
impl Error for TryRecvError {}
