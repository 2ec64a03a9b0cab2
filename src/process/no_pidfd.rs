//! In place of `pidfd.rs` where the system has no such descriptors.

use std::io;
use std::os::fd::OwnedFd;

pub(super) fn open(_: u32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
