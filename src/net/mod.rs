//! Sockets: TCP, UDP and, on Unix, those of the file system.
//!
//! They are std's, with methods that wait instead of blocking. A method takes `&self`: several
//! tasks may use one socket, and [`TcpStream::split`] and [`into_split`](TcpStream::into_split)
//! are there for code that wants a half by `&mut` or as its own.
//!
//! Streams are [`AsyncRead`](futures_io::AsyncRead) and [`AsyncWrite`](futures_io::AsyncWrite), by
//! reference, too. For copying, buffering and reading by lines see [`io`](crate::io).
//!
//! What else the system has that tells when it is ready, such as a pipe or a device, can wait as
//! an `AsyncFd`.
//!
//! A socket belongs to the runtime in which it is made, or to the global one if it is made outside.
//! It can be used anywhere, also on other executors, while that runtime lives; after that its
//! operations fail.
//!
//! # Cancel safety
//!
//! An operation that is dropped before it is ready has read, written, accepted nothing.
//!
//! # Examples
//!
//! ```
//! use annulus::net::{TcpListener, TcpStream};
//!
//! annulus::block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let addr = listener.local_addr()?;
//!     let server = annulus::spawn(async move {
//!         let (stream, _) = listener.accept().await?;
//!         stream.write_all(b"hello").await
//!     });
//!     let stream = TcpStream::connect(addr).await?;
//!     let mut bytes = [0; 5];
//!     stream.read_exact(&mut bytes).await?;
//!     assert_eq!(&bytes, b"hello");
//!     server.await.unwrap()
//! })?;
//! # Ok::<_, std::io::Error>(())
//! ```

#[cfg(unix)]
mod async_fd;
mod lookup;
pub(crate) mod socket;
mod split;
mod stream;
mod tcp;
mod udp;
#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub use self::async_fd::AsyncFd;
pub use self::lookup::{ToSocketAddrs, lookup_host};
pub use self::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use self::tcp::{TcpListener, TcpStream};
pub use self::udp::UdpSocket;
#[cfg(unix)]
pub use self::unix::{UnixDatagram, UnixListener, UnixStream};
