//! annulus
#![allow(missing_docs)]
mod primitive;
mod util;
pub mod ring;
mod wait;
pub mod channel;
mod task;
mod executor;
mod runtime;
pub use runtime::*;
pub use task::{JoinHandle, JoinError};
