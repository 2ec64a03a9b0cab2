//! A descriptor that is readable when a process has ended.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Opens that of a child which nobody has reaped.
pub(super) fn open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two numbers, and what it gives is a descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has just given it to us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
}
