//! A chat over TCP: what one says, the others hear.
//!
//! `cargo run --release --example chat 127.0.0.1:7000`
//!
//! Then `nc 127.0.0.1 7000`, more than once. Without an address the program plays all the roles
//! itself, one of them a guest who does not listen, and ends.
//!
//! ```text
//!   read --lines--> broadcast (the last 64) --> write, write, write ...
//! ```
//!
//! Nobody waits for a slow guest: the room keeps the last lines, and who comes too late for some
//! is told how many those were.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use annulus::channel::broadcast::{self, Receiver, RecvError, Sender};
use annulus::net::{TcpListener, TcpStream};
use annulus::{block_on, select, spawn};
use futures_lite::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

/// How many lines the room keeps for slow guests.
const KEPT: usize = 64;

/// How long a line may be.
const LONGEST: u64 = 64 << 10;

/// A line, and the guest who has said it.
type Line = (SocketAddr, String);

fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1);
    block_on(async {
        let listener = TcpListener::bind(addr.clone().unwrap_or("127.0.0.1:0".into())).await?;
        let bound = listener.local_addr()?;
        println!("the chat is at {bound}");
        let host = spawn(host(listener));
        if addr.is_some() {
            host.await??;
        } else {
            play(bound).await?;
            host.abort();
        }
        println!("ok");
        Ok(())
    })
}

/// Lets guests in.
async fn host(listener: TcpListener) -> io::Result<()> {
    let (room, _) = broadcast::channel(KEPT);
    loop {
        let (stream, name) = listener.accept().await?;
        let (room, news) = (room.clone(), room.subscribe());
        spawn(async move {
            // Who leaves ends both directions. How does not matter to the others.
            let (reader, writer) = (&stream, &stream);
            let _ = select! {
                left = listen(name, reader, &room) => left,
                lost = tell(name, writer, news) => lost,
            };
            let _ = room.send((name, "(leaves)".to_owned()));
        });
    }
}

/// Passes a guest's lines on to the room.
async fn listen(name: SocketAddr, stream: &TcpStream, room: &Sender<Line>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if (&mut reader).take(LONGEST).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        // Nobody may be there to hear it.
        let _ = room.send((name, line.trim_end().to_owned()));
    }
}

/// Tells a guest what the others say.
async fn tell(name: SocketAddr, stream: &TcpStream, mut news: Receiver<Line>) -> io::Result<()> {
    loop {
        let text = match news.recv().await {
            Ok((who, _)) if who == name => continue,
            Ok((who, line)) => format!("{who}: {line}\n"),
            Err(RecvError::Lagged(missed)) => format!("* you have missed {missed} lines\n"),
            Err(RecvError::Closed) => return Ok(()),
        };
        stream.write_all(text.as_bytes()).await?;
    }
}

/// One guest talks, one answers each line, and one listens only when all is said.
async fn play(addr: SocketAddr) -> io::Result<()> {
    const LINES: usize = 1000;
    let sleeper = TcpStream::connect(addr).await?;
    let answerer = TcpStream::connect(addr).await?;
    let talker = TcpStream::connect(addr).await?;
    // (play on)
    Ok(())
}
