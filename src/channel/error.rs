//! What sending and receiving can refuse. Whatever was to be sent comes back in the error.

use std::error::Error;
use std::fmt;

/// The channel is closed; here is the message that was not sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why a message was not sent at once; it comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The channel holds as many messages as it can; a receiver has to take one first.
    Full(T),
    /// The channel is closed and takes no more messages.
    Closed(T),
}

/// Why no message was received at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// No message is there now; one may still come.
    Empty,
    /// No message is there, and none will come.
    Closed,
}

/// Why a message was not sent in time; it comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// The time is over, and the channel was full all along.
    Timeout(T),
    /// The channel is closed and takes no more messages.
    Closed(T),
}

/// Why no message was received in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// The time is over; a message may still come.
    Timeout,
    /// No message is there, and none will come.
    Closed,
}

/// No operation of a [`Select`](super::Select) can be done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "TryReadyError")]
pub struct TrySelectError;

/// No operation of a [`Select`](super::Select) could be done in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(alias = "ReadyTimeoutError")]
pub struct SelectTimeoutError;

impl<T> SendTimeoutError<T> {
    /// Gives the message back.
    pub fn into_inner(self) -> T {
        match self {
            Self::Timeout(message) | Self::Closed(message) => message,
        }
    }

    /// Whether the time was over, so that trying again may work.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Whether the channel was closed, so that trying again is no use.
    #[doc(alias = "is_disconnected")]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl RecvTimeoutError {
    /// Whether the time was over, so that a message may still come.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout)
    }

    /// Whether no message will ever come.
    #[doc(alias = "is_disconnected")]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

impl<T> SendError<T> {
    /// Gives the message back.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TrySendError<T> {
    /// Gives the message back.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }

    /// Whether the channel was full, so that trying again later may work.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Whether the channel was closed, so that trying again is no use.
    #[doc(alias = "is_disconnected")]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl TryRecvError {
    /// Whether a message may still come.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether no message will ever come.
    #[doc(alias = "is_disconnected")]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(SendError(message): SendError<T>) -> Self {
        Self::Closed(message)
    }
}

// The messages themselves need no `Debug`, so that `?` works for every `T`.
impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

const SEND_CLOSED: &str =
    "sending on a closed channel; the message is in this error, take it back with into_inner";

const RECV_CLOSED: &str = "receiving from an empty and closed channel; no message will come";

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SEND_CLOSED)
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => {
                "sending on a full channel; take the message back with into_inner, or wait with send"
            }
            Self::Closed(_) => SEND_CLOSED,
        })
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout(_) => "Timeout(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout(_) => {
                "the channel stayed full; take the message back with into_inner, or allow more time"
            }
            Self::Closed(_) => SEND_CLOSED,
        })
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "no message came in time; allow more time, or try again",
            Self::Closed => RECV_CLOSED,
        })
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "receiving from an empty channel; wait for a message with recv",
            Self::Closed => RECV_CLOSED,
        })
    }
}

impl fmt::Display for TrySelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no operation can be done at once; wait for one with select")
    }
}

impl fmt::Display for SelectTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no operation could be done in time; allow more time, or try again")
    }
}

impl<T> Error for SendError<T> {}
impl<T> Error for TrySendError<T> {}
impl<T> Error for SendTimeoutError<T> {}
impl Error for RecvTimeoutError {}
impl Error for TryRecvError {}
impl Error for TrySelectError {}
impl Error for SelectTimeoutError {}
