//! Operations that make a plain thread wait.
//!
//! A thread tries, looks on for a while, and only then sleeps, in the future that a task would wait
//! in. Most messages come with the first try, which costs no more than `try_send` and `try_recv`
//! and reads no cache line of the other side's while this side's copy of its index says enough:
//! a receiver that looked at the senders' word for each message would slow down each send.
//!
//! A thread that runs tasks may not wait here, and so may not try either: else the mistake would
//! show only on the day when the channel is empty.

use std::pin::pin;
use std::time::Instant;

use super::core::Channel;
use super::error::{RecvTimeoutError, SendError, SendTimeoutError};
use super::{Kind, RecvFuture, SendFuture};
use crate::util::may_block;
use crate::wait::thread;

type ChannelOf<T, K> = Channel<T, <K as Kind>::Tx, <K as Kind>::Rx>;

/// # Safety
///
/// If the receivers' side is Single, nobody else uses it meanwhile.
#[track_caller]
pub(super) unsafe fn recv<T, K: Kind>(channel: &ChannelOf<T, K>) -> Option<T> {
    may_block::check("recv_blocking", "`recv().await`");
    // SAFETY: our own contract.
    let attempt = || unsafe { channel.recv_at_once() };
    let in_vain = || channel.ring.is_empty() && !channel.ring.is_closed();
    let look = || if in_vain() { None } else { attempt() };
    let received = attempt().or_else(|| thread::look_on(channel.ring.capacity(), look));
    // SAFETY: our own contract.
    received.unwrap_or_else(|| thread::block_on(unsafe { RecvFuture::<T, K>::new(channel) }))
}

/// `None` is no end of time.
///
/// # Safety
///
/// If the receivers' side is Single, nobody else uses it meanwhile.
#[track_caller]
pub(super) unsafe fn recv_until<T, K: Kind>(
    channel: &ChannelOf<T, K>,
    deadline: Option<Instant>,
) -> Result<T, RecvTimeoutError> {
    may_block::check("a blocking receive", "`recv().await`");
    // SAFETY: our own contract.
    let received = unsafe { channel.recv_at_once() }.or_else(|| {
        // SAFETY: our own contract.
        let recv = unsafe { RecvFuture::<T, K>::new(channel) };
        thread::block_on_until(pin!(recv), deadline)
    });
    received.ok_or(RecvTimeoutError::Timeout)?.ok_or(RecvTimeoutError::Closed)
}

/// # Safety
///
/// If the senders' side is Single, nobody else uses it meanwhile.
#[track_caller]
pub(super) unsafe fn send<T, K: Kind>(
    channel: &ChannelOf<T, K>,
    message: T,
) -> Result<(), SendError<T>> {
    may_block::check("send_blocking", "`send(message).await`");
    let mut source = Some(message);
    // SAFETY: our own contract.
    let mut attempt = || unsafe { channel.send_at_once(&mut source) };
    let in_vain = || channel.ring.is_full() && !channel.ring.is_closed();
    let done = attempt() || {
        let look = || (!in_vain() && attempt()).then_some(());
        thread::look_on(channel.ring.capacity(), look).is_some()
    };
    match source {
        None => Ok(()),
        Some(message) if done => Err(SendError(message)),
        // SAFETY: our own contract.
        Some(message) => thread::block_on(unsafe { SendFuture::<T, K>::new(channel, message) }),
    }
}

/// `None` is no end of time.
///
/// # Safety
///
/// If the senders' side is Single, nobody else uses it meanwhile.
#[track_caller]
pub(super) unsafe fn send_until<T, K: Kind>(
    channel: &ChannelOf<T, K>,
    message: T,
    deadline: Option<Instant>,
) -> Result<(), SendTimeoutError<T>> {
    may_block::check("a blocking send", "`send(message).await`");
    let mut source = Some(message);
    // SAFETY: our own contract.
    let done = unsafe { channel.send_at_once(&mut source) };
    let Some(message) = source else { return Ok(()) };
    if done {
        return Err(SendTimeoutError::Closed(message));
    }
    // SAFETY: our own contract.
    let mut send = unsafe { SendFuture::<T, K>::new(channel, message) };
    match thread::block_on_until(pin!(&mut send), deadline) {
        Some(Ok(())) => Ok(()),
        Some(Err(SendError(message))) => Err(SendTimeoutError::Closed(message)),
        None => Err(SendTimeoutError::Timeout(send.take_back())),
    }
}
