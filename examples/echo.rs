//! An echo server and a thousand clients, in one process.
//!
//! `cargo run --release --example echo [CLIENTS [ROUND TRIPS OF EACH]]`
//!
//! Each client sends a message of its own, waits until it is back, and sends the next one. A
//! connection is two sockets here, so a thousand of them need 2000 file descriptors; where that
//! is more than allowed, `ulimit -n 4096` allows it.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use annulus::net::{TcpListener, TcpStream};
use annulus::{block_on, select, spawn};

/// Bytes in a message.
const SIZE: usize = 64;

/// What a client saw.
struct Seen {
    /// How long each round trip took.
    times: Vec<Duration>,
    /// How many messages came back as others.
    mismatches: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| match args.next() {
        Some(arg) => arg.parse().map_err(|e| format!("{arg} as a number: {e}")),
        None => Ok(default),
    };
    let (clients, trips) = (number(1000)?.max(1), number(100)?.max(1));

    let (elapsed, seen) = block_on(run(clients, trips))?;
    let mismatches: usize = seen.iter().map(|seen| seen.mismatches).sum();
    let mut times: Vec<_> = seen.into_iter().flat_map(|seen| seen.times).collect();
    times.sort_unstable();
    let requests = times.len();
    let part = |per_mille: usize| times[(requests - 1) * per_mille / 1000];

    println!("{clients} clients, {requests} requests in {elapsed:.2?}");
    println!("{:.0} requests per second", requests as f64 / elapsed.as_secs_f64());
    println!("p50 {:.0?}, p99 {:.0?}, p99.9 {:.0?}", part(500), part(990), part(999));
    println!("mismatches: {mismatches}");
    assert_eq!(requests as u64, clients * trips);
    assert_eq!(mismatches, 0, "each client gets its own messages back");
    println!("ok");
    Ok(())
}

/// Serves until the clients are done.
async fn run(clients: u64, trips: u64) -> io::Result<(Duration, Vec<Seen>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    select! {
        seen = crowd(addr, clients, trips) => seen,
        Err(error) = serve(listener) => Err(error),
    }
}

/// Answers whoever connects, each in a task of its own.
async fn serve(listener: TcpListener) -> io::Result<Infallible> {
    loop {
        let (stream, _) = listener.accept().await?;
        spawn(echo(stream));
    }
}

/// Connects the clients, and then lets all of them begin at once.
async fn crowd(addr: SocketAddr, clients: u64, trips: u64) -> io::Result<(Duration, Vec<Seen>)> {
    let mut streams = Vec::new();
    for _ in 0..clients {
        streams.push(TcpStream::connect(addr).await?);
    }
    let start = Instant::now();
    let start_client = |(name, stream)| spawn(client(name, trips, stream));
    let tasks: Vec<_> = (0..).zip(streams).map(start_client).collect();
    let mut seen = Vec::new();
    for task in tasks {
        seen.push(task.await.map_err(io::Error::other)??);
    }
    Ok((start.elapsed(), seen))
}

/// Sends back what comes, until no more does.
async fn echo(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buf = [0; 1024];
    loop {
        match stream.read(&mut buf).await? {
            0 => return Ok(()),
            count => stream.write_all(&buf[..count]).await?,
        }
    }
}

/// Sends so many messages, one after the other.
async fn client(name: u64, trips: u64, stream: TcpStream) -> io::Result<Seen> {
    stream.set_nodelay(true)?;
    let mut seen = Seen { times: Vec::new(), mismatches: 0 };
    for trip in 0..trips {
        let message = message(name, trip);
        let start = Instant::now();
        stream.write_all(&message).await?;
        let mut back = [0; SIZE];
        stream.read_exact(&mut back).await?;
        seen.times.push(start.elapsed());
        seen.mismatches += usize::from(back != message);
    }
    Ok(seen)
}

/// A message that no other client sends, and this one only once.
fn message(name: u64, trip: u64) -> [u8; SIZE] {
    let words = [name, trip].map(u64::to_le_bytes).concat();
    std::array::from_fn(|i| words[i % words.len()])
}
