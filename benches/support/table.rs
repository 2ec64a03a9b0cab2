//! The summary in markdown, measured so that a noisy machine is unfair to all alike.
//!
//! Contenders take turns within a row, in short slices, and each round begins with another. The
//! table gives the median of each, and how many times longer the rival takes.

use std::time::Duration;

use super::contender::Contender;
use super::rows::Row;

/// Odd, so that a median is a measurement.
const ROUNDS: usize = 21;
/// The least time of one slice, so that its start and end do not count.
const SLICE: Duration = Duration::from_millis(15);

/// Measures all rows and prints the table. Of `contenders`, each of ours is before its rival.
pub(crate) fn print(title: &str, contenders: &[Contender; 4]) {
    println!("\n### {title}\n");
    print!("| ns per element |");
    for pair in contenders.chunks(2) {
        print!(" {} | {} | ratio |", pair[0].name, pair[1].name);
    }
    println!("\n|---|{}", "--:|".repeat(6));
    for row in Row::all() {
        print!("| {row} |");
        for pair in medians(row, contenders).chunks(2) {
            let ratio = pair[1] / pair[0];
            // A loss is to be seen.
            let mark = if ratio < 1.0 { "**" } else { "" };
            print!(" {:.1} | {:.1} | {mark}{ratio:.2}{mark} |", pair[0], pair[1]);
        }
        println!();
    }
}

/// Nanoseconds per element of each contender.
fn medians(row: Row, contenders: &[Contender; 4]) -> [f64; 4] {
    let runs = contenders.each_ref().map(|contender| {
        let one = (contender.time)(row, 1).max(Duration::from_nanos(1));
        SLICE.div_duration_f64(one).ceil() as u64
    });
    let mut samples = [const { Vec::new() }; 4];
    for round in 0..ROUNDS {
        for turn in 0..contenders.len() {
            let i = (round + turn) % contenders.len();
            let time = (contenders[i].time)(row, runs[i]);
            samples[i].push(time.as_nanos() as f64 / (runs[i] * row.elements()) as f64);
        }
    }
    samples.map(|mut samples| {
        samples.sort_by(f64::total_cmp);
        samples[ROUNDS / 2]
    })
}
