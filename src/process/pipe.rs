//! The ends of a child's pipes that are ours.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::process::{self as std_process, Stdio};
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use mio::unix::pipe::{Receiver, Sender};

use crate::net::socket::Socket;
use crate::reactor::Direction;

/// What a child reads; its drop or close is the end of that.
pub struct ChildStdin {
    /// `None` once it is closed.
    socket: Option<Socket<Sender>>,
}

/// What a child writes.
pub struct ChildStdout {
    socket: Socket<Receiver>,
}

/// Where a child complains.
pub struct ChildStderr {
    socket: Socket<Receiver>,
}

impl ChildStdin {
    /// Takes over a pipe of std's, and has it block no more.
    ///
    /// # Errors
    ///
    /// If the system refuses to change or to watch it.
    pub fn from_std(std: std_process::ChildStdin) -> io::Result<Self> {
        let pipe = Sender::from(std);
        pipe.set_nonblocking(true)?;
        Ok(Self { socket: Some(Socket::new(pipe)?) })
    }

    fn socket(&self) -> io::Result<&Socket<Sender>> {
        self.socket.as_ref().ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Writes some of the bytes, and says how many.
    ///
    /// # Errors
    ///
    /// As `write` of std's pipe; `BrokenPipe` if the child reads no more.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has written nothing.
    pub async fn write(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket()?.run(Direction::Write, |mut pipe| pipe.write(buf)).await
    }

    /// Writes all of the bytes.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// None: some of the bytes may have been written, and how many is not known.
    pub async fn write_all(&self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write(buf).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => buf = &buf[count..],
            }
        }
        Ok(())
    }
}

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let write = |mut pipe: &Sender| pipe.write(buf);
        self.socket()?.poll_io(Direction::Write, cx, write, |_| false)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = |mut pipe: &Sender| pipe.write_vectored(bufs);
        self.socket()?.poll_io(Direction::Write, cx, write, |_| false)
    }

    /// Nothing is buffered here.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the pipe; the child reads to the end.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().socket = None;
        Poll::Ready(Ok(()))
    }
}

impl TryFrom<ChildStdin> for Stdio {
    type Error = io::Error;

    /// For another child, which writes there; the pipe blocks again.
    fn try_from(pipe: ChildStdin) -> io::Result<Self> {
        pipe.socket()?;
        let Some(socket) = pipe.socket else { unreachable!("it is there") };
        let pipe = socket.into_io();
        pipe.set_nonblocking(false)?;
        Ok(Self::from(OwnedFd::from(pipe)))
    }
}

impl fmt::Debug for ChildStdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ChildStdin").field(&self.socket).finish()
    }
}

macro_rules! read_end {
    ($name:ident, $std:ty) => {
        impl $name {
            /// Takes over a pipe of std's, and has it block no more.
            ///
            /// # Errors
            ///
            /// If the system refuses to change or to watch it.
            pub fn from_std(std: $std) -> io::Result<Self> {
                let pipe = Receiver::from(std);
                pipe.set_nonblocking(true)?;
                Ok(Self { socket: Socket::new(pipe)? })
            }

            /// Reads some bytes; 0 when nobody has the other end any more.
            ///
            /// # Errors
            ///
            /// As `read` of std's pipe.
            ///
            /// # Cancel safety
            ///
            /// Dropped before it is ready, it has read nothing.
            pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.socket.run(Direction::Read, |mut pipe| pipe.read(buf)).await
            }

            /// Appends all that comes to `buf`, and says how many bytes that were.
            ///
            /// # Errors
            ///
            /// As [`read`](Self::read); what was read before is in `buf`.
            ///
            /// # Cancel safety
            ///
            /// What was read is in `buf`, and the next read goes on after it.
            pub async fn read_to_end(&self, buf: &mut Vec<u8>) -> io::Result<usize> {
                let before = buf.len();
                let mut chunk = vec![0; 64 << 10];
                while let count @ 1.. = self.read(&mut chunk).await? {
                    buf.extend_from_slice(&chunk[..count]);
                }
                Ok(buf.len() - before)
            }
        }

        impl AsyncRead for $name {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let read = |mut pipe: &Receiver| pipe.read(buf);
                self.socket.poll_io(Direction::Read, cx, read, |_| false)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let read = |mut pipe: &Receiver| pipe.read_vectored(bufs);
                self.socket.poll_io(Direction::Read, cx, read, |_| false)
            }
        }

        impl TryFrom<$name> for Stdio {
            type Error = io::Error;

            /// For another child, which reads it; the pipe blocks again.
            fn try_from(pipe: $name) -> io::Result<Self> {
                let pipe = pipe.socket.into_io();
                pipe.set_nonblocking(false)?;
                Ok(Self::from(OwnedFd::from(pipe)))
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.socket.io().as_fd()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.socket).finish()
            }
        }
    };
}

read_end!(ChildStdout, std_process::ChildStdout);
read_end!(ChildStderr, std_process::ChildStderr);
