//! Two tasks hand a number back and forth, and time the round trip.
//!
//! `cargo run --release --example ping_pong [ROUND TRIPS]`
//!
//! Both channels hold a single message, so neither task ever gets ahead: each message wakes the
//! other side, and this measures what a wake costs.

use std::error::Error;
use std::time::{Duration, Instant};

use annulus::channel::{Receiver, Sender, Spsc, spsc};
use annulus::{block_on, spawn};

fn main() -> Result<(), Box<dyn Error>> {
    let trips: u64 = match std::env::args().nth(1) {
        Some(arg) => arg.parse().map_err(|e| format!("{arg} as the number of trips: {e}"))?,
        None => 100_000,
    };
    let (last, elapsed) = block_on(async {
        let (ping, pings) = spsc(1);
        let (pong, pongs) = spsc(1);
        let echo = spawn(echo(pings, pong));
        let result = spawn(play(trips, ping, pongs)).await;
        echo.await?; // it ended when `play` dropped its ends of the channels
        result
    })?;

    let nanos = elapsed.as_nanos() / u128::from(trips.max(1));
    println!("{trips} round trips, {nanos} ns each");
    assert_eq!(last, trips, "every trip adds one");
    println!("ok");
    Ok(())
}

/// Sends a number that comes back one larger, and sends it again.
async fn play(
    trips: u64,
    mut ping: Sender<u64, Spsc>,
    mut pongs: Receiver<u64, Spsc>,
) -> (u64, Duration) {
    let start = Instant::now();
    let mut n = 0;
    for _ in 0..trips {
        ping.send(n).await.expect("the echo stays until we close");
        n = pongs.recv().await.expect("the echo answers every message");
    }
    (n, start.elapsed())
}

/// Answers every number with the next one, until the channel closes.
async fn echo(mut pings: Receiver<u64, Spsc>, mut pong: Sender<u64, Spsc>) {
    while let Some(n) = pings.recv().await {
        if pong.send(n + 1).await.is_err() {
            break;
        }
    }
}
