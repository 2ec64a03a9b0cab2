//! What a file is at: one operation at a time, which outlives the call that has begun it.
//!
//! # Invariants
//!
//! 1. There is at most one operation under way, and its handle is in `busy` until its result has
//!    been taken in (`poll_settle`). Every other operation of the file begins after that, since
//!    the pool may run what was begun later first.
//! 2. Bytes are in the file, in an operation, in `unread` or with the caller. A read that was given
//!    up leaves its bytes in `unread`, for the next one.
//! 3. So the system's position is `unread.len()` bytes ahead of what the caller believes. A read
//!    takes these first; what moves or uses the position otherwise goes back first ([`rewind`]).
//!    What cannot go back, such as a pipe, has no position, and keeps its bytes.
//!    Where it was, and where the end was, is the answer to nobody else: who calls anew asks anew
//!    (`disown`). The polls of the traits do not tell one call from the next, and so do not.
//! 4. A write is done with when the bytes are in an operation, which the runtime runs whatever
//!    comes. If it fails, `failed` has the error for the next write, flush or sync.

use std::fs::File;
use std::future::Future;
use std::io::{self, Seek, SeekFrom, Write};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::buffer::{Buffer, MOST};
use crate::channel::oneshot;
use crate::executor::AtEnd;
use crate::runtime::unblock::{begin, outcome};
use crate::task::JoinHandle;

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct State {
    busy: Option<Busy>,
    /// Who has begun it does not wait any more.
    given_up: bool,
    unread: Buffer,
    /// For the next write; empty, and kept for its room.
    written: Vec<u8>,
    failed: Option<io::Error>,
}

/// An operation under way.
#[derive(Debug)]
enum Busy {
    Read(JoinHandle<(Buffer, io::Result<usize>)>),
    Write(JoinHandle<(Vec<u8>, bool, io::Result<()>)>),
    /// Where to, as the caller has said it.
    Seek(SeekFrom, JoinHandle<(bool, io::Result<u64>)>),
    /// It tells its caller itself, and here whether the position is where that one believes it is.
    Other(JoinHandle<bool>),
}

/// What has just ended, for who waits for just that.
pub(super) enum Settled {
    Nothing,
    Read(io::Result<usize>),
    Seek(SeekFrom, io::Result<u64>),
}

/// Has the system's position be where the caller believes it is; false if there is no position.
fn rewind(mut file: &File, unread: usize) -> io::Result<bool> {
    if unread == 0 {
        return Ok(true);
    }
    match file.seek(SeekFrom::Current(-(unread as i64))) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotSeekable => Ok(false),
        Err(error) => Err(error),
    }
}

impl State {
    /// Waits until no operation is under way.
    pub(super) fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<Settled> {
        let settled = match &mut self.busy {
            None => return Poll::Ready(Settled::Nothing),
            Some(Busy::Read(handle)) => {
                let result = outcome(ready!(Pin::new(handle).poll(cx)));
                Settled::Read(result.and_then(|(unread, result)| {
                    self.unread = unread;
                    result
                }))
            }
            Some(Busy::Write(handle)) => {
                let result = outcome(ready!(Pin::new(handle).poll(cx)));
                self.failed = result
                    .and_then(|(mut bytes, rewound, result)| {
                        bytes.clear();
                        self.written = bytes;
                        if rewound {
                            self.unread.clear();
                        }
                        result
                    })
                    .err();
                Settled::Nothing
            }
            Some(Busy::Seek(to, handle)) => {
                let result = outcome(ready!(Pin::new(handle).poll(cx)));
                let result = result.and_then(|(rewound, result)| {
                    if rewound {
                        self.unread.clear();
                    }
                    result
                });
                Settled::Seek(*to, result)
            }
            Some(Busy::Other(handle)) => {
                // If it was not run, its caller knows.
                if let Ok(true) = outcome(ready!(Pin::new(handle).poll(cx))) {
                    self.unread.clear();
                }
                Settled::Nothing
            }
        };
        self.busy = None;
        Poll::Ready(match (mem::take(&mut self.given_up), settled) {
            // Where the position is, or the end, may be different by now.
            (true, Settled::Read(Ok(_)) | Settled::Seek(..)) => Settled::Nothing,
            (_, settled) => settled,
        })
    }

    /// A call begins that waits for nothing which is under way already.
    pub(super) fn disown(&mut self) {
        self.given_up = self.busy.is_some();
    }

    /// The error of a write that nobody has heard of yet.
    pub(super) fn check(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }

    /// Begins an operation that moves nothing, or goes `back` to where its caller believes that the
    /// position is. Nothing else is under way. Its result comes here, unless nobody runs it.
    pub(super) fn begin<R: Send + 'static>(
        &mut self,
        file: &Arc<File>,
        back: bool,
        operation: impl FnOnce(&File) -> io::Result<R> + Send + 'static,
    ) -> io::Result<oneshot::Receiver<io::Result<R>>> {
        debug_assert!(self.busy.is_none(), "one operation at a time");
        let (tx, rx) = oneshot::channel();
        let (file, unread) = (Arc::clone(file), if back { self.unread.len() } else { 0 });
        let run = move || {
            let rewound = rewind(&file, unread);
            let is_back = unread > 0 && matches!(rewound, Ok(true));
            let result = rewound.and_then(|_| operation(&file));
            // Perhaps nobody waits any more.
            let _ = tx.send(result);
            is_back
        };
        self.busy = Some(Busy::Other(begin(run, AtEnd::Drop)?));
        Ok(rx)
    }

    pub(super) fn poll_read(
        &mut self,
        file: &Arc<File>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            match ready!(self.poll_settle(cx)) {
                Settled::Read(Err(error)) => return Poll::Ready(Err(error)),
                // The end, and nothing to give out.
                Settled::Read(Ok(0)) => return Poll::Ready(Ok(0)),
                _ => {}
            }
            if self.unread.len() > 0 {
                return Poll::Ready(Ok(self.unread.take(buf)));
            }
            // No more than was asked for, as elsewhere others may share the position.
            let (file, most) = (Arc::clone(file), buf.len());
            let mut unread = mem::take(&mut self.unread);
            let read = move || {
                let result = unread.fill(&*file, most);
                (unread, result)
            };
            self.busy = Some(Busy::Read(begin(read, AtEnd::Drop)?));
        }
    }

    /// Takes on as many of the bytes as go at once.
    pub(super) fn poll_write<'a>(
        &mut self,
        file: &Arc<File>,
        cx: &mut Context<'_>,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_settle(cx));
        self.check()?;
        let mut bytes = mem::take(&mut self.written);
        for part in parts {
            let count = part.len().min(MOST - bytes.len());
            bytes.extend_from_slice(&part[..count]);
        }
        let count = bytes.len();
        if count == 0 {
            self.written = bytes;
            return Poll::Ready(Ok(0));
        }
        let (file, unread) = (Arc::clone(file), self.unread.len());
        let write = move || match rewind(&file, unread) {
            Ok(rewound) => {
                let result = (&*file).write_all(&bytes);
                (bytes, rewound, result)
            }
            Err(error) => (bytes, false, Err(error)),
        };
        self.busy = Some(Busy::Write(begin(write, AtEnd::Run)?));
        Poll::Ready(Ok(count))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_settle(cx));
        Poll::Ready(self.check())
    }

    pub(super) fn poll_seek(
        &mut self,
        file: &Arc<File>,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        loop {
            match ready!(self.poll_settle(cx)) {
                Settled::Seek(place, result) if place == to => return Poll::Ready(result),
                _ => {}
            }
            let (file, unread) = (Arc::clone(file), self.unread.len());
            let seek = move || match rewind(&file, unread) {
                Ok(rewound) => (rewound, (&*file).seek(to)),
                Err(error) => (false, Err(error)),
            };
            self.busy = Some(Busy::Seek(to, begin(seek, AtEnd::Drop)?));
        }
    }

    /// Has the system's position be where the caller believes it is, if there is one. Nothing else
    /// is under way.
    pub(super) fn poll_rewind(
        &mut self,
        file: &Arc<File>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.busy.is_none() && self.unread.len() == 0 {
            return Poll::Ready(Ok(()));
        }
        match ready!(self.poll_seek(file, cx, SeekFrom::Current(0))) {
            Err(error) if error.kind() != io::ErrorKind::NotSeekable => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(())),
        }
    }
}
