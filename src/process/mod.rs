//! Child processes, on Unix.
//!
//! A [`Command`] is std's, and starts a [`Child`] whose pipes and whose end tasks wait for. No
//! handler of signals is installed, and no thread waits for a child where the system can tell of
//! its end.
//!
//! # How the end of a child is known
//!
//! On Linux by a descriptor of the process (`pidfd`), which the runtime watches as it does a
//! socket. Elsewhere, and where such a descriptor is not to be had, a thread waits for the child;
//! it is started by the first wait that finds the child running, and ends with the child.
//!
//! # No zombies
//!
//! A child that is dropped while it runs goes on, unless it was started with
//! [`kill_on_drop`](Command::kill_on_drop). It is reaped in either case: dropped inside a runtime,
//! by a task there, when it ends. Else, or when that runtime has ended before, the next start,
//! wait or drop of a child by this module reaps it.
//!
//! # Examples
//!
//! ```
//! use annulus::process::{Command, Stdio};
//!
//! annulus::block_on(async {
//!     let output = Command::new("echo").arg("hello").output().await?;
//!     assert!(output.status.success());
//!     assert_eq!(output.stdout, b"hello\n");
//!
//!     let mut sort = Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
//!     let stdin = sort.stdin.take().unwrap();
//!     stdin.write_all(b"2\n1\n").await?;
//!     drop(stdin); // it sorts when it has read all
//!     assert_eq!(sort.wait_with_output().await?.stdout, b"1\n2\n");
//!     Ok::<_, std::io::Error>(())
//! })?;
//! # Ok::<_, std::io::Error>(())
//! ```

mod child;
mod command;
mod exit;
mod orphans;
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), path = "no_pidfd.rs")]
mod pidfd;
mod pipe;

pub use std::process::{ExitStatus, Output, Stdio};

pub use self::child::Child;
pub use self::command::Command;
pub use self::pipe::{ChildStderr, ChildStdin, ChildStdout};
