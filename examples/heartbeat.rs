//! Beats once in a while, checks that somebody is still alive, and stops on Ctrl-C.
//!
//! `cargo run --release --features signal --example heartbeat [BEATS]`
//!
//! ```text
//!   main --pings--> patient
//!        <--pongs--
//! ```
//!
//! The patient answers at once, but for every fifth ping, which takes it too long. It stops by
//! itself after so many beats (20, or 0 for never).

use std::error::Error;

use annulus::channel::{Receiver, Sender, Spsc, spsc};
use annulus::time::{Duration, interval, sleep, timeout};
use annulus::{block_on, select, signal, spawn};

/// From one beat to the next.
const PERIOD: Duration = Duration::from_millis(50);

/// How long an answer may take.
const LIMIT: Duration = Duration::from_millis(20);

/// How long an answer takes when the patient is slow.
const SLOW: Duration = Duration::from_millis(30);

fn main() -> Result<(), Box<dyn Error>> {
    let beats: u64 = match std::env::args().nth(1) {
        Some(arg) => arg.parse().map_err(|e| format!("{arg} as the number of beats: {e}"))?,
        None => 20,
    };
    block_on(async {
        let (mut pings, pinged) = spsc(1);
        let (pong, mut pongs) = spsc(1);
        let patient = spawn(patient(pinged, pong));

        // One future for all rounds: a signal between two of them counts.
        let mut stop = signal::ctrl_c();
        let mut ticks = interval(PERIOD);
        let (mut beat, mut late) = (0, 0);
        while beats == 0 || beat < beats {
            select! {
                result = &mut stop => {
                    result?;
                    println!("stopping");
                    break;
                }
                _ = ticks.tick() => beat += 1,
            }
            pings.send(beat).await?;
            match timeout(LIMIT, answer(beat, &mut pongs)).await {
                Ok(()) => println!("beat {beat}: alive"),
                Err(_elapsed) => {
                    late += 1;
                    println!("beat {beat}: no answer in {LIMIT:?}");
                }
            }
        }
        drop(pings); // the patient may go
        patient.await?;
        println!("{beat} beats, {late} of them not answered in time");
        assert!(late >= beat / 5, "every fifth answer comes too late");
        println!("ok");
        Ok(())
    })
}

/// Waits for the answer to this beat, and skips those that come too late.
async fn answer(beat: u64, pongs: &mut Receiver<u64, Spsc>) {
    while pongs.recv().await.expect("the patient stays until we go") != beat {}
}

/// Answers every ping, at its own pace, until there will be no more.
async fn patient(mut pinged: Receiver<u64, Spsc>, mut pong: Sender<u64, Spsc>) {
    while let Some(beat) = pinged.recv().await {
        if beat % 5 == 0 {
            sleep(SLOW).await;
        }
        if pong.send(beat).await.is_err() {
            return;
        }
    }
}
