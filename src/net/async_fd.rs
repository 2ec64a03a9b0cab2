//! Any descriptor whose readiness the system tells.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use super::socket::Socket;
use crate::reactor::Direction;

/// A descriptor of another crate's or the system's, with which tasks wait.
///
/// It is for pipes, devices, `eventfd`, `inotify` and the like. The descriptor must not block
/// (`O_NONBLOCK`), since its operations are tried, and belongs to the runtime in which this is
/// made, as a socket does.
///
/// The system tells once that something is there. So operate on it by the methods of this: they
/// see when there is nothing left. After an operation by other ways, [`readable`](Self::readable)
/// may be ready in vain.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// use annulus::net::AsyncFd;
///
/// annulus::block_on(async {
///     let (one, mut other) = UnixStream::pair()?;
///     one.set_nonblocking(true)?;
///     let one = AsyncFd::new(one)?;
///     other.write_all(b"hello")?;
///     let mut buf = [0; 8];
///     assert_eq!(one.read_with(|mut io| io.read(&mut buf)).await?, 5);
///     Ok::<_, std::io::Error>(())
/// })?;
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct AsyncFd<T: AsFd> {
    socket: Socket<Foreign<T>>,
}

/// What the reactor is told of it.
#[derive(Debug)]
struct Foreign<T> {
    inner: T,
    /// Its number when it came, as the reactor registers it under a lock, where no code of others
    /// runs.
    first: RawFd,
}

impl<T: AsFd> AsyncFd<T> {
    /// Has the runtime watch the descriptor.
    ///
    /// # Errors
    ///
    /// If the system does not tell when it is ready, as with files of a disk. Both directions are
    /// watched: kqueue also refuses what is ready in one only by its nature, such as another kqueue.
    pub fn new(inner: T) -> io::Result<Self> {
        let first = inner.as_fd().as_raw_fd();
        Ok(Self { socket: Socket::new(Foreign { inner, first })? })
    }

    /// What it was made of.
    #[doc(alias = "get_ref")]
    pub fn inner(&self) -> &T {
        &self.socket.io().inner
    }

    /// Gives it back.
    pub fn into_inner(self) -> T {
        self.socket.into_io().inner
    }

    /// Waits until there may be something to read.
    ///
    /// # Errors
    ///
    /// If the runtime has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Read).await
    }

    /// Waits until there may be room to write.
    ///
    /// # Errors
    ///
    /// If the runtime has ended.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Write).await
    }

    /// Reads by `operation`, which is called again when there is more while it says `WouldBlock`.
    ///
    /// # Errors
    ///
    /// Those of `operation`, and if the runtime has ended. `Interrupted` is tried again.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, each call of `operation` has said `WouldBlock`.
    #[doc(alias = "async_io")]
    pub async fn read_with<R>(
        &self,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.socket.run(Direction::Read, |io| operation(&io.inner)).await
    }

    /// Writes by `operation`, which is called again when there is room while it says `WouldBlock`.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Self::read_with).
    ///
    /// # Cancel safety
    ///
    /// As [`read_with`](Self::read_with).
    pub async fn write_with<R>(
        &self,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.socket.run(Direction::Write, |io| operation(&io.inner)).await
    }

    /// Reads by `operation` if there may be something.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is nothing; else those of `operation`.
    pub fn try_read_with<R>(
        &self,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.socket.try_io(Direction::Read, |io| operation(&io.inner))
    }

    /// Writes by `operation` if there may be room.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; else those of `operation`.
    pub fn try_write_with<R>(
        &self,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.socket.try_io(Direction::Write, |io| operation(&io.inner))
    }
}

impl<T: AsFd> Source for Foreign<T> {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.first).register(registry, token, interests)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interests: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.inner.as_fd().as_raw_fd()).reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.inner.as_fd().as_raw_fd()).deregister(registry)
    }
}

impl<T: AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner().as_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncFd").field(self.inner()).finish()
    }
}
