//! Handles that do not keep a channel open.

use std::fmt;

use super::core::Channel;
use super::{Receiver, Sender, Topology};
use crate::primitive::Arc;
use crate::ring::Multi;
use crate::wait::WaitSide;

/// Makes senders as long as there is one; made by [`Sender::downgrade`].
///
/// It does not keep the channel open. Only a side of many has it: who holds the one sender of a
/// channel could not have another made.
pub struct WeakSender<T, C: WaitSide> {
    channel: Arc<Channel<T, Multi, C>>,
}

/// Makes receivers as long as there is one; made by [`Receiver::downgrade`].
///
/// It does not keep the channel open. Only a side of many has it.
pub struct WeakReceiver<T, P: WaitSide> {
    channel: Arc<Channel<T, P, Multi>>,
}

impl<T, C: WaitSide> Sender<T, Topology<Multi, C>> {
    /// Makes a handle that does not keep the channel open.
    ///
    /// # Examples
    ///
    /// ```
    /// let (tx, rx) = annulus::channel::mpmc(1);
    /// let weak = tx.downgrade();
    /// weak.upgrade().unwrap().try_send("hello")?;
    /// drop(tx);
    /// assert!(weak.upgrade().is_none() && rx.is_closed());
    /// # Ok::<_, annulus::channel::TrySendError<&str>>(())
    /// ```
    pub fn downgrade(&self) -> WeakSender<T, C> {
        WeakSender { channel: Arc::clone(&self.channel) }
    }
}

impl<T, P: WaitSide> Receiver<T, Topology<P, Multi>> {
    /// Makes a handle that does not keep the channel open.
    pub fn downgrade(&self) -> WeakReceiver<T, P> {
        WeakReceiver { channel: Arc::clone(self.shared()) }
    }
}

impl<T, C: WaitSide> WeakSender<T, C> {
    /// Makes a sender, unless the last one is gone.
    pub fn upgrade(&self) -> Option<Sender<T, Topology<Multi, C>>> {
        // Counted up here, which is what `first` takes over.
        self.channel.revive_sender().then(|| Sender::first(Arc::clone(&self.channel)))
    }

    /// The number of senders that keep the channel open.
    pub fn sender_count(&self) -> usize {
        self.channel.sender_count()
    }
}

impl<T, P: WaitSide> WeakReceiver<T, P> {
    /// Makes a receiver, unless the last one is gone.
    pub fn upgrade(&self) -> Option<Receiver<T, Topology<P, Multi>>> {
        // Counted up here, which is what `first` takes over.
        self.channel.revive_receiver().then(|| Receiver::first(Arc::clone(&self.channel)))
    }

    /// The number of receivers that keep the channel open.
    pub fn receiver_count(&self) -> usize {
        self.channel.receiver_count()
    }
}

impl<T, C: WaitSide> Clone for WeakSender<T, C> {
    fn clone(&self) -> Self {
        Self { channel: Arc::clone(&self.channel) }
    }
}

impl<T, P: WaitSide> Clone for WeakReceiver<T, P> {
    fn clone(&self) -> Self {
        Self { channel: Arc::clone(&self.channel) }
    }
}

impl<T, C: WaitSide> fmt::Debug for WeakSender<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").field("senders", &self.sender_count()).finish()
    }
}

impl<T, P: WaitSide> fmt::Debug for WeakReceiver<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakReceiver").field("receivers", &self.receiver_count()).finish()
    }
}
