//! What the rows need of a runtime's sockets, written once for all.
//!
//! Each runtime's own functions are called, by the ways that its users would take.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use super::api::{Annulus, Spawn, Tokio};

/// Where a server of a benchmark listens: anywhere on this machine.
pub(crate) const ANYWHERE: &str = "127.0.0.1:0";

/// A runtime with sockets.
pub(crate) trait Sockets: Spawn {
    type Listener: Send + Sync + 'static;
    type Stream: Send + 'static;
    type Udp: Send + Sync + 'static;

    fn listen() -> impl Future<Output = io::Result<(Self::Listener, SocketAddr)>> + Send;
    fn accept(l: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn connect(addr: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn read(
        stream: &mut Self::Stream,
        buf: &mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send;
    fn read_exact(
        stream: &mut Self::Stream,
        buf: &mut [u8],
    ) -> impl Future<Output = io::Result<()>> + Send;
    fn write_all(
        stream: &mut Self::Stream,
        buf: &[u8],
    ) -> impl Future<Output = io::Result<()>> + Send;

    fn bind_udp() -> impl Future<Output = io::Result<(Self::Udp, SocketAddr)>> + Send;
    fn send_to(
        udp: &Self::Udp,
        buf: &[u8],
        addr: SocketAddr,
    ) -> impl Future<Output = io::Result<usize>> + Send;
    fn recv_from(
        udp: &Self::Udp,
        buf: &mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send;
}

impl Sockets for Annulus {
    type Listener = annulus::net::TcpListener;
    type Stream = annulus::net::TcpStream;
    type Udp = annulus::net::UdpSocket;

    async fn listen() -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = annulus::net::TcpListener::bind(ANYWHERE).await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect(addr: SocketAddr) -> io::Result<Self::Stream> {
        let stream = annulus::net::TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(stream: &mut Self::Stream, buf: &mut [u8]) -> io::Result<usize> {
        stream.read(buf).await
    }

    async fn read_exact(stream: &mut Self::Stream, buf: &mut [u8]) -> io::Result<()> {
        stream.read_exact(buf).await
    }

    async fn write_all(stream: &mut Self::Stream, buf: &[u8]) -> io::Result<()> {
        stream.write_all(buf).await
    }

    async fn bind_udp() -> io::Result<(Self::Udp, SocketAddr)> {
        let udp = annulus::net::UdpSocket::bind(ANYWHERE).await?;
        let addr = udp.local_addr()?;
        Ok((udp, addr))
    }

    async fn send_to(udp: &Self::Udp, buf: &[u8], addr: SocketAddr) -> io::Result<usize> {
        udp.send_to(buf, addr).await
    }

    async fn recv_from(udp: &Self::Udp, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        udp.recv_from(buf).await
    }
}

impl Sockets for Tokio {
    type Listener = tokio::net::TcpListener;
    type Stream = tokio::net::TcpStream;
    type Udp = tokio::net::UdpSocket;

    async fn listen() -> io::Result<(Self::Listener, SocketAddr)> {
        let listener = tokio::net::TcpListener::bind(ANYWHERE).await?;
        let addr = listener.local_addr()?;
        Ok((listener, addr))
    }

    async fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn connect(addr: SocketAddr) -> io::Result<Self::Stream> {
        let stream = tokio::net::TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn read(stream: &mut Self::Stream, buf: &mut [u8]) -> io::Result<usize> {
        tokio::io::AsyncReadExt::read(stream, buf).await
    }

    async fn read_exact(stream: &mut Self::Stream, buf: &mut [u8]) -> io::Result<()> {
        tokio::io::AsyncReadExt::read_exact(stream, buf).await.map(drop)
    }

    async fn write_all(stream: &mut Self::Stream, buf: &[u8]) -> io::Result<()> {
        tokio::io::AsyncWriteExt::write_all(stream, buf).await
    }

    async fn bind_udp() -> io::Result<(Self::Udp, SocketAddr)> {
        let udp = tokio::net::UdpSocket::bind(ANYWHERE).await?;
        let addr = udp.local_addr()?;
        Ok((udp, addr))
    }

    async fn send_to(udp: &Self::Udp, buf: &[u8], addr: SocketAddr) -> io::Result<usize> {
        udp.send_to(buf, addr).await
    }

    async fn recv_from(udp: &Self::Udp, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        udp.recv_from(buf).await
    }
}
