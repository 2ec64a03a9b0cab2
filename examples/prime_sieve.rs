//! Finds primes with a task for each: a chain of filters, linked by channels.
//!
//! `cargo run --release --example prime_sieve`
//!
//! ```text
//!   numbers --2 3 4 5 6 7--> not by 2 --3 5 7--> not by 3 --5 7--> not by 5 --7--> ...
//! ```
//!
//! The first number to reach the end of the chain is the next prime, and gets a filter of its
//! own. Nobody tells the generator when to stop: dropping the last receiver closes the channel
//! before it, that filter's next send fails, it drops its own receiver, and so on to the front.

use annulus::channel::{Receiver, Sender, Spsc, spsc};
use annulus::{JoinError, block_on, spawn};

/// How many primes to find. The thousandth is 7919.
const PRIMES: usize = 1000;

/// How many numbers may wait between two filters.
const CAPACITY: usize = 32;

fn main() -> Result<(), JoinError> {
    let primes = block_on(sieve())?;

    let first: Vec<_> = primes.iter().take(20).map(u32::to_string).collect();
    println!("the first 20 primes: {}", first.join(" "));
    println!("prime number {PRIMES}: {}", primes[PRIMES - 1]);

    let by_division: Vec<u32> = (2..).filter(|&n| is_prime(n)).take(PRIMES).collect();
    assert_eq!(primes, by_division);
    println!("ok");
    Ok(())
}

/// Finds the primes, and returns when all the tasks have ended.
async fn sieve() -> Result<Vec<u32>, JoinError> {
    let (tx, mut numbers) = spsc(CAPACITY);
    let mut tasks = vec![spawn(generate(tx))];
    let mut primes = Vec::with_capacity(PRIMES);
    loop {
        let prime = numbers.recv().await.expect("the numbers do not end before we do");
        primes.push(prime);
        if primes.len() == PRIMES {
            break;
        }
        let (tx, filtered) = spsc(CAPACITY);
        tasks.push(spawn(filter(prime, numbers, tx)));
        numbers = filtered;
    }
    drop(numbers); // ends the chain, from here to the generator
    for task in tasks {
        task.await?;
    }
    Ok(primes)
}

/// Sends 2, 3, 4 and so on, until nobody wants them.
async fn generate(mut tx: Sender<u32, Spsc>) {
    for n in 2.. {
        if tx.send(n).await.is_err() {
            return;
        }
    }
}

/// Passes on what the prime does not divide, until nobody wants it.
async fn filter(prime: u32, mut numbers: Receiver<u32, Spsc>, mut tx: Sender<u32, Spsc>) {
    while let Some(n) = numbers.recv().await {
        if n % prime != 0 && tx.send(n).await.is_err() {
            return;
        }
    }
}

/// Trial division, to check the sieve.
fn is_prime(n: u32) -> bool {
    (2..).take_while(|d| d * d <= n).all(|d| n % d != 0)
}
