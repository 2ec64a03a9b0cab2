//! UDP.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::lookup::{self, ToSocketAddrs};
use super::{socket::Socket, stream};
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
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        lookup::first(addr, |addr| async move { Self::from_mio(mio::net::UdpSocket::bind(addr)?) })
            .await
    }

    /// Names the one peer with whom [`send`](Self::send) and [`recv`](Self::recv) deal.
    ///
    /// # Errors
    ///
    /// If the name is not found, or the system refuses every address.
    pub async fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<()> {
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

    /// As [`recv`](Self::recv), and leaves the datagram there.
    ///
    /// # Errors
    ///
    /// As `peek` of std's socket.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.run(Direction::Read, |io| io.peek(buf)).await
    }

    /// As [`recv_from`](Self::recv_from), and leaves the datagram there.
    ///
    /// # Errors
    ///
    /// As `peek_from` of std's socket.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.socket.run(Direction::Read, |io| io.peek_from(buf)).await
    }

    /// Sends a datagram to the peer if there is room.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; else as [`send`](Self::send).
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.socket.try_io(Direction::Write, |io| io.send(buf))
    }

    /// Sends a datagram to `addr` if there is room.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; else as [`send_to`](Self::send_to).
    pub fn try_send_to(&self, buf: &[u8], addr: SocketAddr) -> io::Result<usize> {
        self.socket.try_io(Direction::Write, |io| io.send_to(buf, addr))
    }

    /// Receives a datagram of the peer's if there is one.
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

    /// Waits until there is room to send.
    ///
    /// # Errors
    ///
    /// If the runtime has ended.
    pub async fn writable(&self) -> io::Result<()> {
        self.socket.ready(Direction::Write).await
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// If it is not connected.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket.io().peer_addr()
    }

    /// Whether datagrams may go to everybody on the net.
    ///
    /// # Errors
    ///
    /// If the system does not say.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.socket.io().broadcast()
    }

    /// Sets whether datagrams may go to everybody on the net.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.socket.io().set_broadcast(on)
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

    /// Joins a group of receivers, on the interface with that address (unspecified: any).
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.socket.io().join_multicast_v4(group, interface)
    }

    /// Leaves a group of receivers.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.socket.io().leave_multicast_v4(group, interface)
    }

    /// Joins a group of receivers, on the interface with that index (0: any).
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket.io().join_multicast_v6(group, interface)
    }

    /// Leaves a group of receivers.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.socket.io().leave_multicast_v6(group, interface)
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
