//! Names to addresses.
//!
//! The system's lookup blocks, so it happens on the pool for what blocks. What is an address
//! already, or spells one, needs no lookup and never leaves the thread.

use std::future::Future;
use std::io;
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs as _,
};

use self::sealed::Target;
use crate::runtime::unblock::unblock;

/// What sockets bind and connect to: addresses, or names that are looked up.
///
/// The types are those of std's trait of this name: socket addresses, slices of them, `"host:port"`
/// as `&str` or `String`, and pairs of a host or an IP address and a port. It can't be implemented
/// elsewhere.
///
/// # Examples
///
/// ```
/// use annulus::net::{TcpListener, TcpStream};
///
/// annulus::block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let port = listener.local_addr()?.port();
///     TcpStream::connect(("127.0.0.1", port)).await?;
///     TcpStream::connect(format!("127.0.0.1:{port}")).await
/// })?;
/// # Ok::<_, std::io::Error>(())
/// ```
pub trait ToSocketAddrs: sealed::Sealed {}

impl<T: sealed::Sealed + ?Sized> ToSocketAddrs for T {}

mod sealed {
    use std::net::SocketAddr;

    /// What a user has named.
    #[derive(Debug)]
    pub enum Target {
        Known(Vec<SocketAddr>),
        /// `host:port`.
        Name(String),
        /// A host and a port.
        Host(String, u16),
    }

    pub trait Sealed {
        fn target(&self) -> Target;
    }
}

impl<T: sealed::Sealed + ?Sized> sealed::Sealed for &T {
    fn target(&self) -> Target {
        (**self).target()
    }
}

impl sealed::Sealed for str {
    fn target(&self) -> Target {
        match self.parse() {
            Ok(addr) => Target::Known(vec![addr]),
            Err(_) => Target::Name(self.to_owned()),
        }
    }
}

impl sealed::Sealed for String {
    fn target(&self) -> Target {
        self.as_str().target()
    }
}

impl sealed::Sealed for (&str, u16) {
    fn target(&self) -> Target {
        let &(host, port) = self;
        match host.parse::<IpAddr>() {
            Ok(ip) => (ip, port).target(),
            Err(_) => Target::Host(host.to_owned(), port),
        }
    }
}

impl sealed::Sealed for (String, u16) {
    fn target(&self) -> Target {
        (self.0.as_str(), self.1).target()
    }
}

impl sealed::Sealed for [SocketAddr] {
    fn target(&self) -> Target {
        Target::Known(self.to_vec())
    }
}

macro_rules! known {
    ($($name:ty),*) => {
        $(
            impl sealed::Sealed for $name {
                fn target(&self) -> Target {
                    Target::Known(vec![SocketAddr::from(*self)])
                }
            }
        )*
    };
}

known!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

/// Looks a name up, and gives its addresses in the system's order.
///
/// # Errors
///
/// Those of the system's lookup; `InvalidInput` if the port is missing or not a number.
///
/// # Cancel safety
///
/// Dropped before it is ready, the lookup goes on in vain on its thread.
///
/// # Examples
///
/// ```
/// let addresses = annulus::block_on(annulus::net::lookup_host("127.0.0.1:80"))?;
/// assert_eq!(addresses.collect::<Vec<_>>(), ["127.0.0.1:80".parse().unwrap()]);
/// # Ok::<_, std::io::Error>(())
/// ```
pub async fn lookup_host(host: impl ToSocketAddrs) -> io::Result<std::vec::IntoIter<SocketAddr>> {
    resolve(host.target()).await.map(Vec::into_iter)
}

async fn resolve(target: Target) -> io::Result<Vec<SocketAddr>> {
    let lookup: Box<dyn FnOnce() -> io::Result<Vec<SocketAddr>> + Send> = match target {
        Target::Known(addrs) => return Ok(addrs),
        Target::Name(name) => Box::new(move || name.to_socket_addrs().map(Iterator::collect)),
        Target::Host(host, port) => {
            Box::new(move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect))
        }
    };
    unblock(lookup).await
}

/// Tries all addresses of `addr`, in order, until `attempt` succeeds; else gives the last error.
pub(super) async fn first<T, F: Future<Output = io::Result<T>>>(
    addr: impl ToSocketAddrs,
    mut attempt: impl FnMut(SocketAddr) -> F,
) -> io::Result<T> {
    let mut last = None;
    for addr in resolve(addr.target()).await? {
        match attempt(addr).await {
            Ok(made) => return Ok(made),
            Err(error) => last = Some(error),
        }
    }
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    Err(last.unwrap_or_else(none))
}
