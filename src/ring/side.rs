//! How many may stand at one side of a ring, as a type.

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Single {}
    impl Sealed for super::Multi {}
}

/// One side of a [`RingBuffer`](super::RingBuffer): [`Single`] or [`Multi`].
///
/// The choice is made when the program is compiled, so that each of the four combinations is
/// code of its own with no test at run time. The trait is sealed.
pub trait Side: sealed::Sealed + std::fmt::Debug + Send + Sync + 'static {
    /// Whether several threads may stand at this side at once.
    #[doc(hidden)]
    const SHARED: bool;
}

/// At most one thread at a time is at this side, and needs no lock.
#[derive(Debug, Clone, Copy)]
pub struct Single(());

/// Any number of threads are at this side, and exclude each other by a bit in its word.
#[derive(Debug, Clone, Copy)]
pub struct Multi(());

impl Side for Single {
    const SHARED: bool = false;
}

impl Side for Multi {
    const SHARED: bool = true;
}
