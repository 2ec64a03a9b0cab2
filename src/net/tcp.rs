//! TCP: listeners and streams.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use super::lookup::{self, ToSocketAddrs};
use super::split::sealed::Sealed;
use super::split::{EndWriting, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::{socket::Socket, stream};
use crate::reactor::Direction;

/// A TCP socket that accepts connections.
pub struct TcpListener {
    socket: Socket<mio::net::TcpListener>,
}

/// A TCP connection.
///
/// See the [module](super) for an example.
pub struct TcpStream {
    socket: Socket<mio::net::TcpStream>,
}

impl TcpListener {
    /// Listens at `addr`, or at the first of its addresses where that is possible.
    ///
    /// # Errors
    ///
    /// If the name is not found, or the system refuses every address.
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        lookup::first(
            addr,
            |addr| async move { Self::from_mio(mio::net::TcpListener::bind(addr)?) },
        )
        .await
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// As `accept` of std's listener. When the process has no descriptor left, the connection
    /// waits; release some, or wait for a while, before you try again.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has accepted nothing.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, addr) = self.socket.run(Direction::Read, |io| io.accept()).await?;
        Ok((TcpStream::from_mio(stream)?, addr))
    }

    /// The address at which it listens.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().local_addr()
    }

    /// How many routers packets may pass.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.io().ttl()
    }

    /// Sets how many routers packets may pass.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.io().set_ttl(ttl)
    }
}

impl TcpStream {
    /// Except at urgent data, which the reactor knows of.
    const SHORT_IS_ALL: bool = true;

    /// Connects to `addr`, or to the first of its addresses where that is possible.
    ///
    /// # Errors
    ///
    /// If the name is not found, or no address answers: that of the last one.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has given the connection up.
    pub async fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        lookup::first(addr, |addr| async move {
            let stream = Self::from_mio(mio::net::TcpStream::connect(addr)?)?;
            // It is writable when it is connected, or never will be.
            let connected = |io: &mio::net::TcpStream| match io.take_error()? {
                Some(error) => Err(error),
                None => match io.peer_addr() {
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                        Err(io::ErrorKind::WouldBlock.into())
                    }
                    other => other.map(drop),
                },
            };
            stream.socket.run(Direction::Write, connected).await?;
            Ok(stream)
        })
        .await
    }

    /// Reads without taking the bytes out.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.run(Direction::Read, |io| io.peek(buf)).await
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

    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.io().nodelay()
    }

    /// Sets whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.io().set_nodelay(nodelay)
    }

    /// How many routers packets may pass.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket.io().ttl()
    }

    /// Sets how many routers packets may pass.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket.io().set_ttl(ttl)
    }
}

stream::stream!(TcpStream, mio::net::TcpStream, std::net::TcpStream);
stream::convert!(TcpListener, mio::net::TcpListener, std::net::TcpListener);

impl Sealed for TcpStream {}

impl EndWriting for TcpStream {
    fn end_writing(&self) {
        // The connection may have ended already.
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
