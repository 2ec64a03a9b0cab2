//! Starts three tasks and waits for what they return.
//!
//! `cargo run --release --example hello`

use annulus::{block_on, spawn};

fn main() {
    let sum = block_on(async {
        let tasks = [1, 2, 3].map(|n| {
            spawn(async move {
                println!("hello from task {n}");
                n * n
            })
        });
        // All three are under way; the order of waiting changes nothing.
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("the tasks neither panic nor are aborted");
        }
        sum
    });
    println!("the squares add up to {sum}");
    assert_eq!(sum, 14);
    println!("ok");
}
