//! Clients of an echo server that are in no runtime: one thread that polls the system by mio.
//!
//! It does as little as can be done for a message: a write, a read, and a poll for all that are ready.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::echo::{Outcome, SIZE, Until, message};

/// A client's end of a connection.
pub(crate) struct Client {
    stream: TcpStream,
    trips: u64,
    sent: Instant,
    /// What is back so far.
    back: Vec<u8>,
    is_done: bool,
}

/// Talks to the server at `addr` over so many connections, until it is time.
pub(crate) fn talk(addr: SocketAddr, clients: u64, until: Until) -> io::Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut all = Vec::new();
    for number in 0..clients as usize {
        all.push(Client::connect(addr, &poll, Token(number))?);
    }
    let mut trips = Vec::new();
    let start = Instant::now();
    for (number, client) in all.iter_mut().enumerate() {
        client.send(number)?;
    }
    let mut left = all.len();
    let mut events = Events::with_capacity(1024);
    while left > 0 {
        poll.poll(&mut events, None)?;
        for event in &events {
            let Token(number) = event.token();
            if all[number].go_on(number, start, until, &mut trips)? {
                left -= 1;
            }
        }
    }
    Ok(Outcome { elapsed: start.elapsed(), trips })
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr, poll: &Poll, token: Token) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, token, Interest::READABLE)?;
        let back = Vec::with_capacity(SIZE);
        Ok(Self { stream, trips: 0, sent: Instant::now(), back, is_done: false })
    }

    /// Something is there: if it is the end of a message, notes how long it was under way, and sends
    /// the next. True if this was the last.
    pub(crate) fn go_on(
        &mut self,
        number: usize,
        start: Instant,
        until: Until,
        trips: &mut Vec<Duration>,
    ) -> io::Result<bool> {
        if self.is_done || !self.hear(number)? {
            return Ok(false);
        }
        let now = Instant::now();
        trips.push(now - self.sent);
        self.is_done = until.is_over(self.trips, now - start);
        if !self.is_done {
            self.send(number)?;
        }
        Ok(self.is_done)
    }

    pub(crate) fn send(&mut self, number: usize) -> io::Result<()> {
        self.sent = Instant::now();
        self.back.clear();
        // A small message finds room, since the one before is back.
        self.stream.write_all(&message(number as u64, self.trips))
    }

    /// Reads; true when all of the message is back.
    fn hear(&mut self, number: usize) -> io::Result<bool> {
        let mut buf = [0; 2 * SIZE];
        match self.stream.read(&mut buf) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.back.extend_from_slice(&buf[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        if self.back.len() < SIZE {
            return Ok(false);
        }
        assert_eq!(self.back, message(number as u64, self.trips), "an echo");
        self.trips += 1;
        Ok(true)
    }
}
