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
use std::net::{Shutdown, SocketAddr};

use annulus::channel::broadcast::{self, Receiver, RecvError, Sender};
use annulus::net::{TcpListener, TcpStream};
use annulus::time::{Duration, sleep};
use annulus::{block_on, select, spawn, try_join};
use futures_lite::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

/// How many lines the room keeps for slow guests.
const KEPT: usize = 64;

/// How long a line may be.
const LONGEST: u64 = 64 << 10;

/// What the room says of itself.
const WELCOME: &str = "* welcome\n";
const MISSED: &str = "* lines that you have missed: ";
const LEAVES: &str = "(leaves)";

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
            let _ = room.send((name, LEAVES.to_owned()));
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
    stream.write_all(WELCOME.as_bytes()).await?;
    loop {
        let text = match news.recv().await {
            Ok((who, _)) if who == name => continue,
            Ok((who, line)) => format!("{who}: {line}\n"),
            Err(RecvError::Lagged(missed)) => format!("{MISSED}{missed}\n"),
            Err(RecvError::Closed) => return Ok(()),
        };
        stream.write_all(text.as_bytes()).await?;
    }
}

/// A guest of our own.
type Guest = BufReader<TcpStream>;

/// How many lines are said, and how long each is: more than sockets keep for who does not read.
const LINES: u64 = 5_000;
const LENGTH: usize = 4000;

/// How many lines the talker says in one breath: fewer than the room keeps.
const BREATH: u64 = 50;

/// One guest talks, one listens meanwhile, and one only when all is said.
async fn play(addr: SocketAddr) -> io::Result<()> {
    let (mut friend, mut sleeper) = (enter(addr).await?, enter(addr).await?);
    let talker = enter(addr).await?.into_inner();
    let name = talker.local_addr()?;

    let (in_time, ()) = try_join!(hear(&mut friend, name), talk(&talker))?;
    let too_late = hear(&mut sleeper, name).await?;
    for (who, (heard, missed)) in [("friend", in_time), ("sleeper", too_late)] {
        println!("the {who} heard {heard} lines, and was told of {missed} more");
        assert_eq!(heard + missed, LINES + 1, "all lines, and that the talker leaves");
    }
    Ok(())
}

/// Comes in, and waits for the welcome: what is said from then on can be heard.
async fn enter(addr: SocketAddr) -> io::Result<Guest> {
    let mut guest = BufReader::new(TcpStream::connect(addr).await?);
    guest.read_line(&mut String::new()).await?;
    Ok(guest)
}

/// Says all there is to say, and leaves.
async fn talk(stream: &TcpStream) -> io::Result<()> {
    let line = format!("{}\n", "bla ".repeat(LENGTH / 4));
    for said in 1..=LINES {
        stream.write_all(line.as_bytes()).await?;
        if said % BREATH == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    }
    stream.shutdown(Shutdown::Write)
}

/// How many lines a guest hears until the talker leaves, and how many it is told to have missed.
async fn hear(guest: &mut Guest, talker: SocketAddr) -> io::Result<(u64, u64)> {
    let last = format!("{talker}: {LEAVES}\n");
    let (mut heard, mut missed, mut line) = (0, 0, String::new());
    while line != last {
        line.clear();
        guest.read_line(&mut line).await?;
        match line.strip_prefix(MISSED) {
            Some(count) => missed += count.trim_end().parse::<u64>().map_err(io::Error::other)?,
            None => heard += 1,
        }
    }
    Ok((heard, missed))
}
