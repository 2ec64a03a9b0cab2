//! annulus
#![allow(missing_docs)]
pub mod channel;
mod executor;
mod primitive;
pub mod ring;
mod runtime;
mod task;
mod util;
mod wait;
pub use runtime::*;
pub use task::{JoinError, JoinHandle};
