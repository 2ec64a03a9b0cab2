//! Echoes by a loop over the system's poll, on one thread and without a runtime: what no runtime of
//! one worker can do without.
//!
//! Both ends of each connection are in the loop. A message costs two writes and two reads, none of
//! them in vain, and a share of the polls; a table of sockets is all that there is of tasks.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::echo::{Outcome, SIZE, Until};
use super::outside::Client;
use super::sockets::ANYWHERE;

/// Has so many clients talk until it is time.
pub(crate) fn echo(clients: u64, until: Until) -> io::Result<Outcome> {
    let mut poll = Poll::new()?;
    let listener = TcpListener::bind(ANYWHERE)?;
    let addr = listener.local_addr()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..clients as usize {
        ours.push(Client::connect(addr, &poll, Token(2 * number))?);
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(2 * number + 1), Interest::READABLE)?;
        theirs.push(stream);
    }
    let mut trips = Vec::new();
    let start = Instant::now();
    for (number, client) in ours.iter_mut().enumerate() {
        client.send(number)?;
    }
    let mut events = Events::with_capacity(1024);
    let mut left = ours.len();
    while left > 0 {
        poll.poll(&mut events, None)?;
        for event in &events {
            let Token(token) = event.token();
            let number = token / 2;
            if token % 2 == 1 {
                answer(&mut theirs[number])?;
            } else if ours[number].go_on(number, start, until, &mut trips)? {
                left -= 1;
            }
        }
    }
    Ok(Outcome { elapsed: start.elapsed(), trips })
}

/// Sends back what is there. Who reads less than there was room for has read all.
fn answer(stream: &mut TcpStream) -> io::Result<()> {
    let mut buf = [0; 16 * SIZE];
    match stream.read(&mut buf) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => stream.write_all(&buf[..count]),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}
