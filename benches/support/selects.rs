//! What a row may use of crates where a plain thread can wait for several channels at once.

use annulus::channel::{self, Receiver, Select, Sender, Spsc};
use crossbeam_channel as crossbeam;
use crossfire::{Rx, Tx};

use super::api::Annulus;
use super::crew::Work;
use super::rivals::Crossfire;
use super::threads::{Crossbeam, ThreadTx};

/// Channels with one sender and one receiver each, all of them received from by one thread.
pub(crate) trait Selects: 'static {
    type Tx: ThreadTx<u64>;
    type Rx: Send + 'static;

    fn channel(capacity: usize) -> (Self::Tx, Self::Rx);

    /// Receives from all to their ends, and adds up. Calls `before` before each message.
    fn sum_up(receivers: Vec<Self::Rx>, before: impl FnMut()) -> u64;
}

impl Selects for Annulus {
    type Tx = Sender<u64, Spsc>;
    type Rx = Receiver<u64, Spsc>;

    fn channel(capacity: usize) -> (Self::Tx, Self::Rx) {
        channel::spsc(capacity)
    }

    fn sum_up(mut receivers: Vec<Self::Rx>, mut before: impl FnMut()) -> u64 {
        let mut select = Select::new();
        let cases: Vec<_> = receivers.iter_mut().map(|rx| select.recv(rx)).collect();
        let mut sum = 0;
        while !select.is_empty() {
            before();
            let selected = select.select();
            let index = selected.index();
            match selected.recv(&cases[index]) {
                Some(n) => sum += n,
                None => select.remove(index),
            }
        }
        sum
    }
}

impl Selects for Crossbeam {
    type Tx = crossbeam::Sender<u64>;
    type Rx = crossbeam::Receiver<u64>;

    fn channel(capacity: usize) -> (Self::Tx, Self::Rx) {
        crossbeam::bounded(capacity)
    }

    fn sum_up(receivers: Vec<Self::Rx>, mut before: impl FnMut()) -> u64 {
        let mut select = crossbeam::Select::new();
        receivers.iter().for_each(|rx| _ = select.recv(rx));
        let (mut sum, mut left) = (0, receivers.len());
        while left > 0 {
            before();
            let selected = select.select();
            let index = selected.index();
            match selected.recv(&receivers[index]) {
                Ok(n) => sum += n,
                Err(_) => {
                    select.remove(index);
                    left -= 1;
                }
            }
        }
        sum
    }
}

impl Selects for Crossfire {
    type Tx = Tx<crossfire::spsc::Array<u64>>;
    type Rx = Rx<crossfire::spsc::Array<u64>>;

    fn channel(capacity: usize) -> (Self::Tx, Self::Rx) {
        crossfire::spsc::bounded_blocking(capacity)
    }

    fn sum_up(receivers: Vec<Self::Rx>, mut before: impl FnMut()) -> u64 {
        let mut select = crossfire::select::Select::new_random();
        receivers.iter().for_each(|rx| select.add(rx));
        let (mut sum, mut left) = (0, receivers.len());
        while left > 0 {
            before();
            let selected = select.select().expect("some are left");
            let rx = receivers.iter().find(|&rx| selected == *rx).expect("one of them");
            match rx.read_select(selected) {
                Ok(n) => sum += n,
                Err(_) => {
                    select.remove(rx);
                    left -= 1;
                }
            }
        }
        sum
    }
}

/// A thread for each sender, and one that selects.
pub(crate) fn select_from_threads<S: Selects>(
    messages: u64,
    channels: usize,
    capacity: usize,
) -> Vec<Work> {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..channels).map(|_| S::channel(capacity)).unzip();
    let share = messages / channels as u64;
    let senders = senders.into_iter().zip(0..).map(|(mut tx, sender)| -> Work {
        Box::new(move || {
            (sender * share..(sender + 1) * share).for_each(|n| tx.send(n));
            0
        })
    });
    let mut work: Vec<_> = senders.collect();
    // Second, so that with two processors the first sender is on the other one.
    work.insert(1, Box::new(move || S::sum_up(receivers, || ())));
    work
}

/// One thread sends a message to each channel in turn, and selects it; there always is one.
pub(crate) fn select_alone<S: Selects>(
    messages: u64,
    channels: usize,
    capacity: usize,
) -> Vec<Work> {
    let (mut senders, receivers): (Vec<_>, Vec<_>) =
        (0..channels).map(|_| S::channel(capacity)).unzip();
    let mut next = 0;
    let send = move || {
        if next < messages {
            senders[next as usize % channels].try_send(next);
        } else {
            senders.clear();
        }
        next += 1;
    };
    vec![Box::new(move || S::sum_up(receivers, send))]
}
