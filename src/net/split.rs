//! Halves of a stream, borrowed and owned.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

/// The reading half of a stream, borrowed; made by `split`.
#[derive(Debug)]
pub struct ReadHalf<'a, S>(&'a S);

/// The writing half of a stream, borrowed; made by `split`.
#[derive(Debug)]
pub struct WriteHalf<'a, S>(&'a S);

/// The reading half of a stream; made by `into_split`.
#[derive(Debug)]
pub struct OwnedReadHalf<S>(Arc<S>);

/// The writing half of a stream; made by `into_split`. Its drop ends writing.
pub struct OwnedWriteHalf<S: EndWriting>(Option<Arc<S>>);

/// A stream of this module.
pub trait EndWriting: sealed::Sealed {
    /// Ends writing; the peer reads to the end.
    #[doc(hidden)]
    fn end_writing(&self);
}

pub(super) mod sealed {
    pub trait Sealed {}
}

/// Two halves that are not of one stream.
pub struct ReuniteError<S: EndWriting>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

impl<S: EndWriting> fmt::Debug for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReuniteError(..)")
    }
}

impl<S: EndWriting> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are of two streams; reunite those that one `into_split` made")
    }
}

impl<S: EndWriting> std::error::Error for ReuniteError<S> {}

impl<'a, S> ReadHalf<'a, S> {
    pub(super) fn new(stream: &'a S) -> Self {
        Self(stream)
    }
}

impl<'a, S> WriteHalf<'a, S> {
    pub(super) fn new(stream: &'a S) -> Self {
        Self(stream)
    }
}

impl<S> OwnedReadHalf<S> {
    pub(super) fn new(stream: Arc<S>) -> Self {
        Self(stream)
    }
}

impl<S: EndWriting> OwnedReadHalf<S> {
    /// The stream again.
    ///
    /// # Errors
    ///
    /// With both halves, if they are not of one stream.
    pub fn reunite(self, other: OwnedWriteHalf<S>) -> Result<S, ReuniteError<S>> {
        if !Arc::ptr_eq(&self.0, other.stream()) {
            return Err(ReuniteError(self, other));
        }
        other.forget();
        Ok(self.alone())
    }

    /// The stream of the half that is left.
    fn alone(self) -> S {
        Arc::into_inner(self.0).expect("there are two halves")
    }
}

impl<S: EndWriting> OwnedWriteHalf<S> {
    pub(super) fn new(stream: Arc<S>) -> Self {
        Self(Some(stream))
    }

    fn stream(&self) -> &Arc<S> {
        self.0.as_ref().expect("a half has its stream until it drops")
    }

    /// Drops it without ending anything.
    pub fn forget(mut self) {
        self.0 = None;
    }
}

impl<S: EndWriting> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if let Some(stream) = &self.0 {
            stream.end_writing();
        }
    }
}

impl<S: EndWriting + fmt::Debug> fmt::Debug for OwnedWriteHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedWriteHalf").field(self.stream()).finish()
    }
}

/// All methods of the stream take `&self`, and are there for a half, too.
macro_rules! deref {
    ([$($generics:tt)*] $half:ty, $this:ident => $stream:expr) => {
        impl<$($generics)*> Deref for $half {
            type Target = S;

            fn deref(&self) -> &S {
                let $this = self;
                $stream
            }
        }
    };
}

deref!(['a, S] ReadHalf<'a, S>, this => this.0);
deref!(['a, S] WriteHalf<'a, S>, this => this.0);
deref!([S] OwnedReadHalf<S>, this => &this.0);
deref!([S: EndWriting] OwnedWriteHalf<S>, this => this.stream());

macro_rules! read {
    ([$($generics:tt)*] $half:ty) => {
        impl<$($generics)*> AsyncRead for $half
        where
            for<'r> &'r S: AsyncRead,
        {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut &**self).poll_read(cx, buf)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut &**self).poll_read_vectored(cx, bufs)
            }
        }
    };
}

macro_rules! write {
    ([$($generics:tt)*] $half:ty) => {
        impl<$($generics)*> AsyncWrite for $half
        where
            for<'r> &'r S: AsyncWrite,
        {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut &**self).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut &**self).poll_write_vectored(cx, bufs)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut &**self).poll_flush(cx)
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut &**self).poll_close(cx)
            }
        }
    };
}

read!(['a, S] ReadHalf<'a, S>);
read!([S] OwnedReadHalf<S>);
write!(['a, S] WriteHalf<'a, S>);
write!([S: EndWriting] OwnedWriteHalf<S>);
