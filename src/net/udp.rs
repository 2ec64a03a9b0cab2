//! UDP.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use super::{lookup, socket::Socket, stream};
use crate::reactor::Direction;

/// A UDP socket.
pub struct UdpSocket {
    socket: Socket<mio::net::UdpSocket>,
}

impl UdpSocket {
    /// Makes a socket at `addr`, or at the first of its addresses where that is possible.
    ///
    /// # Errors
    ///
    /// If the name is not found, or the system refuses every address.
    pub async fn bind(addr: impl ToSocketAddrs + Send + 'static) -> io::Result<Self> {
        lookup::first(addr, |addr| async move { Self::from_mio(mio::net::UdpSocket::bind(addr)?) })
            .await
    }

    /// Names the one peer with whom [`send`](Self::send) and [`recv`](Self::recv) deal.
    ///
    /// # Errors
    ///
    /// If the name is not found, or the system refuses every address.
    pub async fn connect(&self, addr: impl ToSocketAddrs + Send + 'static) -> io::Result<()> {
        lookup::first(addr, |addr| async move { self.socket.io().connect(addr) }).await
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    ///
    /// As `send` of std's socket.
    pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.run(Direction::Write, |io| io.send(buf)).await
    }

    /// Receives a datagram of the peer's; what `buf` has no room for is lost.
    ///
    /// # Errors
    ///
    /// As `recv` of std's socket.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has received nothing.
    pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.run(Direction::Read, |io| io.recv(buf)).await
    }

    /// Sends a datagram to `addr`.
    ///
    /// # Errors
    ///
    /// As `send_to` of std's socket.
    pub async fn send_to(&self, buf: &[u8], addr: SocketAddr) -> io::Result<usize> {
        self.socket.run(Direction::Write, |io| io.send_to(buf, addr)).await
    }

    /// Receives a datagram, and says whose it is; what `buf` has no room for is lost.
    ///
    /// # Errors
    ///
    /// As `recv_from` of std's socket.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has received nothing.
    pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.run(Direction::Read, |io| io.recv_from(buf)).await
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().local_addr()
    }
}

stream::convert!(UdpSocket, mio::net::UdpSocket, std::net::UdpSocket);

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}
