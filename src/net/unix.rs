//! Sockets of the file system.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::{self as std_net, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::split::sealed::Sealed;
use super::split::{EndWriting, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::{socket::Socket, stream};
use crate::reactor::Direction;
use crate::util::budget;

/// A Unix socket that accepts connections.
pub struct UnixListener {
    socket: Socket<mio::net::UnixListener>,
}

/// A connection between Unix sockets.
pub struct UnixStream {
    socket: Socket<mio::net::UnixStream>,
}

/// A Unix socket for datagrams.
///
/// A datagram waits for room of this socket's own, and in the queue of who is to receive it. Of the
/// latter Linux tells only who is [connected](Self::connect). So [`send_to`](Self::send_to) and
/// [`try_send_to`](Self::try_send_to) try each time, and [`writable`](Self::writable) says little about
/// them.
pub struct UnixDatagram {
    socket: Socket<mio::net::UnixDatagram>,
}

impl UnixListener {
    /// Listens at `path`, where nothing may be yet.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::from_mio(mio::net::UnixListener::bind(path)?)
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// As `accept` of std's listener.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has accepted nothing.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, addr) = self.socket.run(Direction::Read, |io| io.accept()).await?;
        Ok((UnixStream::from_mio(stream)?, addr))
    }

    /// The address at which it listens.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().local_addr()
    }
}

impl UnixStream {
    /// Bytes that come with a descriptor are read apart from those after them.
    const SHORT_IS_ALL: bool = false;

    /// Connects to the listener at `path`.
    ///
    /// # Errors
    ///
    /// As `connect` of std's stream; `WouldBlock` if too many wait there already.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let stream = Self::from_mio(mio::net::UnixStream::connect(path)?)?;
        stream.writable().await?;
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Two streams that are connected with each other.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = mio::net::UnixStream::pair()?;
        Ok((Self::from_mio(one)?, Self::from_mio(other)?))
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// If it is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().peer_addr()
    }
}

impl UnixDatagram {
    /// Makes a socket at `path`, where nothing may be yet.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::from_mio(mio::net::UnixDatagram::bind(path)?)
    }

    /// Two sockets that are connected with each other.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = mio::net::UnixDatagram::pair()?;
        Ok((Self::from_mio(one)?, Self::from_mio(other)?))
    }

    /// Makes a socket without a path: who receives from it cannot answer.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn unbound() -> io::Result<Self> {
        Self::from_mio(mio::net::UnixDatagram::unbound()?)
    }

    /// Names the one peer with whom [`send`](Self::send) and [`recv`](Self::recv) deal.
    ///
    /// # Errors
    ///
    /// As `connect` of std's socket.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.socket.io().connect(path)
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    ///
    /// As `send` of std's socket.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.run(Direction::Write, |io| io.send(buf)).await
    }

    /// Receives a datagram; what `buf` has no room for is lost.
    ///
    /// # Errors
    ///
    /// As `recv` of std's socket.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.run(Direction::Read, |io| io.recv(buf)).await
    }

    /// Sends a datagram to the socket at `path`.
    ///
    /// While that one's queue is full, it waits by another descriptor, which is connected there, and
    /// for room of its own by a copy of this socket's. If this is connected with another whose queue is
    /// full, it may wait for that one, too.
    ///
    /// # Errors
    ///
    /// As `send_to` of std's socket; and if it has to wait, and the system has no descriptors left.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has sent nothing.
    pub async fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let path = path.as_ref();
        let attempt = || async {
            poll_fn(budget::poll_proceed).await;
            let result = self.try_send_to(buf, path);
            match &result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                _ => {
                    budget::spend();
                    Some(result)
                }
            }
        };
        // Another registration is told how things are now, whatever was told of the first.
        loop {
            if let Some(result) = attempt().await {
                return result;
            }
            // The queue first: if this socket is connected, it is told of no room while that peer's is
            // full, whoever this goes to.
            let peer = mio::net::UnixDatagram::unbound()?;
            // If it does not take us, the next attempt finds out why; or it is connected with this
            // socket, which its queue does not keep waiting then.
            if peer.connect(path).is_ok() {
                self.socket.beside(peer)?.ready(Direction::Write).await?;
            }
            if let Some(result) = attempt().await {
                return result;
            }
            let same = std_net::UnixDatagram::from(self.as_fd().try_clone_to_owned()?);
            let same = self.socket.beside(mio::net::UnixDatagram::from_std(same))?;
            same.ready(Direction::Write).await?;
        }
    }

    /// Receives a datagram, and says whose it is.
    ///
    /// # Errors
    ///
    /// As `recv_from` of std's socket.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.run(Direction::Read, |io| io.recv_from(buf)).await
    }

    /// Sends a datagram to the peer if there is room.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; else as [`send`](Self::send).
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.try_io(Direction::Write, |io| io.send(buf))
    }

    /// Sends a datagram to the socket at `path` if there is room.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; else as [`send_to`](Self::send_to).
    pub fn try_send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.socket.try_now(|io| io.send_to(buf, path.as_ref()))
    }

    /// Receives a datagram if there is one.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none; else as [`recv`](Self::recv).
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.try_io(Direction::Read, |io| io.recv(buf))
    }

    /// Receives a datagram if there is one, and says whose it is.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none; else as [`recv_from`](Self::recv_from).
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.try_io(Direction::Read, |io| io.recv_from(buf))
    }

    /// Waits until there is a datagram.
    ///
    /// # Errors
    ///
    /// If the runtime has ended.
    pub async fn readable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Read).await
    }

    /// Waits until there is room to [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// If the runtime has ended.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Write).await
    }

    /// Ends one direction, or both.
    ///
    /// # Errors
    ///
    /// As `shutdown` of std's socket.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.io().shutdown(how)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().local_addr()
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// If it is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().peer_addr()
    }
}

stream::stream!(UnixStream, mio::net::UnixStream, std_net::UnixStream);
stream::convert!(UnixListener, mio::net::UnixListener, std_net::UnixListener);
stream::convert!(UnixDatagram, mio::net::UnixDatagram, std_net::UnixDatagram);

impl Sealed for UnixStream {}

impl EndWriting for UnixStream {
    fn end_writing(&self) {
        // The connection may have ended already.
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
