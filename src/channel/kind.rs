//! Which side of a channel is whose, and where a channel is in its life, as types.

use std::fmt::Debug;
use std::marker::PhantomData;

use crate::ring::{Multi, Single};
use crate::wait::WaitSide;

mod sealed {
    pub trait Sealed {}
    impl<P, C> Sealed for super::Topology<P, C> {}
}

/// A topology: [`Spsc`], [`Mpsc`], [`Spmc`] or [`Mpmc`]. Sealed.
pub trait Kind: sealed::Sealed + Debug + Send + Sync + 'static {
    /// The senders' side.
    #[doc(hidden)]
    type Tx: WaitSide;
    /// The receivers' side.
    #[doc(hidden)]
    type Rx: WaitSide;
}

/// How many may stand at the sending side `P` and at the receiving side `C`.
#[derive(Debug)]
pub struct Topology<P, C>(PhantomData<fn() -> (P, C)>);

impl<P: WaitSide, C: WaitSide> Kind for Topology<P, C> {
    type Tx = P;
    type Rx = C;
}

/// One sender, one receiver.
pub type Spsc = Topology<Single, Single>;
/// Any number of senders, one receiver.
pub type Mpsc = Topology<Multi, Single>;
/// One sender, any number of receivers, each message going to one of them.
pub type Spmc = Topology<Single, Multi>;
/// Any number of senders and of receivers, each message going to one of them.
pub type Mpmc = Topology<Multi, Multi>;

/// Where a channel is in its life, as everybody who shares it sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Messages can be sent and received.
    Open,
    /// The senders are gone, or somebody closed it; messages remain to be received.
    Closing,
    /// Nothing more will come out.
    Closed,
}

/// A receiver of a channel that may be open: it can wait.
#[derive(Debug)]
pub enum Open {}
/// A receiver that has closed its channel: it can only drain.
#[derive(Debug)]
pub enum Closing {}
/// A receiver that has drained its closed channel: nothing is left to do.
#[derive(Debug)]
pub enum Closed {}
