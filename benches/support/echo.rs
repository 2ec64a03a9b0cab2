//! Echo servers and their clients, all in one runtime: the rows of `net`.
//!
//! Every client sends a message of its own, waits until it is back, compares, and sends the next.
//! At the end the server's sum of the bytes must be the clients'.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::contender::Case;
use super::sockets::Sockets;

/// Bytes in a message.
pub(crate) const SIZE: usize = 64;
/// Of a datagram that tells the server to end.
const END: usize = 1;

/// What is echoed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Row {
    /// So many connections.
    Tcp(u64),
    /// So many sockets of clients, each of which talks to a socket of its own.
    Udp(u64),
}

impl Row {
    pub(crate) const ALL: [Self; 5] =
        [Self::Tcp(1), Self::Tcp(64), Self::Tcp(1000), Self::Udp(1), Self::Udp(64)];

    fn clients(self) -> u64 {
        let (Self::Tcp(clients) | Self::Udp(clients)) = self;
        clients
    }

    /// Round trips of each client in one run.
    fn trips(self) -> u64 {
        (2048 / self.clients()).max(4)
    }

    /// For criterion.
    pub(crate) async fn time<N: Sockets>(self, runs: u64) -> Duration {
        self.run::<N>(Until::Trips(runs * self.trips())).await.elapsed
    }

    /// Has all clients talk until it is time.
    pub(crate) async fn run<N: Sockets>(self, until: Until) -> Outcome {
        let outcome = match self {
            Self::Tcp(clients) => tcp::<N>(clients, until).await,
            Self::Udp(clients) => udp::<N>(clients, until).await,
        };
        outcome.expect("sockets of this machine; a thousand connections need `ulimit -n 4096`")
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(clients) => write!(f, "TCP, connections: {clients}"),
            Self::Udp(clients) => write!(f, "UDP, clients: {clients}"),
        }
    }
}

impl Case for Row {
    fn elements(self) -> u64 {
        self.clients() * self.trips()
    }
}

/// When a client has done enough.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    Trips(u64),
    /// So long after all have begun.
    Time(Duration),
}

impl Until {
    pub(crate) fn is_over(self, trips: u64, since_start: Duration) -> bool {
        match self {
            Self::Trips(enough) => trips >= enough,
            Self::Time(enough) => since_start >= enough,
        }
    }
}

/// What clients saw: for how long they talked, and what each round trip took.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) elapsed: Duration,
    pub(crate) trips: Vec<Duration>,
}

/// A message that no other client sends, and this one only once.
pub(crate) fn message(client: u64, trip: u64) -> [u8; SIZE] {
    let words = [client.to_le_bytes(), trip.to_le_bytes()];
    std::array::from_fn(|i| words[i / 8 % 2][i % 8])
}

async fn tcp<N: Sockets>(clients: u64, until: Until) -> io::Result<Outcome> {
    let (listener, addr) = N::listen().await?;
    let server = N::spawn(serve::<N>(listener, clients));
    let mut streams = Vec::new();
    for _ in 0..clients {
        streams.push(N::connect(addr).await?);
    }
    let start = Instant::now();
    let talk = |(client, stream)| N::spawn(talk::<N>(client, stream, start, until));
    let outcome = join(start, (0..).zip(streams).map(talk).collect()).await?;
    let bytes = server.await?;
    assert_eq!(bytes, (outcome.trips.len() * SIZE) as u64, "what was echoed is what came back");
    Ok(outcome)
}

/// Waits for clients.
async fn join(
    start: Instant,
    tasks: Vec<impl Future<Output = io::Result<Vec<Duration>>>>,
) -> io::Result<Outcome> {
    let mut trips = Vec::new();
    for task in tasks {
        trips.append(&mut task.await?);
    }
    Ok(Outcome { elapsed: start.elapsed(), trips })
}

/// Answers so many clients, each in a task of its own, and says how many bytes there were.
pub(crate) async fn serve<N: Sockets>(listener: N::Listener, clients: u64) -> io::Result<u64> {
    let mut tasks = Vec::new();
    for _ in 0..clients {
        tasks.push(N::spawn(echo::<N>(N::accept(&listener).await?)));
    }
    let mut bytes = 0;
    for task in tasks {
        bytes += task.await?;
    }
    Ok(bytes)
}

/// Sends back what comes, until no more does.
async fn echo<N: Sockets>(mut stream: N::Stream) -> io::Result<u64> {
    let mut buf = [0; 1024];
    let mut bytes = 0;
    loop {
        match N::read(&mut stream, &mut buf).await? {
            0 => return Ok(bytes),
            count => {
                bytes += count as u64;
                N::write_all(&mut stream, &buf[..count]).await?;
            }
        }
    }
}

async fn talk<N: Sockets>(
    client: u64,
    mut stream: N::Stream,
    start: Instant,
    until: Until,
) -> io::Result<Vec<Duration>> {
    let mut trips = Vec::new();
    let mut last = Instant::now();
    while !until.is_over(trips.len() as u64, last - start) {
        let message = message(client, trips.len() as u64);
        N::write_all(&mut stream, &message).await?;
        let mut back = [0; SIZE];
        N::read_exact(&mut stream, &mut back).await?;
        assert_eq!(back, message, "an echo");
        let now = Instant::now();
        trips.push(now - last);
        last = now;
    }
    Ok(trips)
}

async fn udp<N: Sockets>(clients: u64, until: Until) -> io::Result<Outcome> {
    let mut servers = Vec::new();
    let mut pairs = Vec::new();
    for _ in 0..clients {
        let (server, addr) = N::bind_udp().await?;
        let (client, _) = N::bind_udp().await?;
        servers.push(N::spawn(echo_datagrams::<N>(server)));
        pairs.push((client, addr));
    }
    let start = Instant::now();
    let exchange =
        |(client, (socket, addr))| N::spawn(exchange::<N>(client, socket, addr, start, until));
    let outcome = join(start, (0..).zip(pairs).map(exchange).collect()).await?;
    let mut bytes = 0;
    for server in servers {
        bytes += server.await?;
    }
    assert_eq!(bytes, (outcome.trips.len() * SIZE) as u64, "what was echoed is what came back");
    Ok(outcome)
}

async fn echo_datagrams<N: Sockets>(socket: N::Udp) -> io::Result<u64> {
    let mut buf = [0; 1024];
    let mut bytes = 0;
    loop {
        let (count, from) = N::recv_from(&socket, &mut buf).await?;
        if count == END {
            return Ok(bytes);
        }
        bytes += count as u64;
        N::send_to(&socket, &buf[..count], from).await?;
    }
}

/// On this machine, with one datagram at a time under way, none is lost.
async fn exchange<N: Sockets>(
    client: u64,
    socket: N::Udp,
    addr: SocketAddr,
    start: Instant,
    until: Until,
) -> io::Result<Vec<Duration>> {
    let mut trips = Vec::new();
    let mut last = Instant::now();
    while !until.is_over(trips.len() as u64, last - start) {
        let message = message(client, trips.len() as u64);
        N::send_to(&socket, &message, addr).await?;
        let mut back = [0; 1024];
        let (count, from) = N::recv_from(&socket, &mut back).await?;
        assert_eq!((&back[..count], from), (&message[..], addr), "an echo");
        let now = Instant::now();
        trips.push(now - last);
        last = now;
    }
    N::send_to(&socket, &[0; END], addr).await?;
    Ok(trips)
}
