//! Names to addresses.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Looks `addr` up, on a thread of its own, since the system's lookup blocks.
async fn lookup(addr: impl ToSocketAddrs + Send + 'static) -> io::Result<Vec<SocketAddr>> {
    let (tx, rx) = crate::channel::oneshot::channel();
    let work = move || drop(tx.send(addr.to_socket_addrs().map(Iterator::collect)));
    std::thread::Builder::new().name("annulus-lookup".into()).spawn(work)?;
    rx.await.unwrap_or_else(|_| Err(io::Error::other("the lookup of a name has panicked")))
}

/// Tries all addresses of `addr`, in order, until `attempt` succeeds; else gives the last error.
pub(super) async fn first<T, F: Future<Output = io::Result<T>>>(
    addr: impl ToSocketAddrs + Send + 'static,
    mut attempt: impl FnMut(SocketAddr) -> F,
) -> io::Result<T> {
    let mut last = None;
    for addr in lookup(addr).await? {
        match attempt(addr).await {
            Ok(made) => return Ok(made),
            Err(error) => last = Some(error),
        }
    }
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    Err(last.unwrap_or_else(none))
}
