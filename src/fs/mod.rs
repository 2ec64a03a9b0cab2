//! Files and directories.
//!
//! The functions and types are those of [`std::fs`] by the same names, and wait where those block.
//! The system has no files that tell when they are ready, so each operation runs on a thread of the
//! [pool](crate::spawn_blocking) and costs the way there and back, some 10 µs: ask for much at
//! once. [`read`], [`write()`] and [`copy`] go there once for a whole file.
//!
//! An operation runs in the runtime in which it is first polled, or in the global one outside of
//! any. When all threads of the pool are at work it waits for one of them.
//!
//! # Errors
//!
//! Those of std's operation of the same name. And any operation fails if its runtime has ended
//! before it could begin, or if it needs a thread and the system refuses to start one.
//!
//! # Cancel safety
//!
//! A function of this module that is dropped before it is ready goes on: nothing of it may have
//! happened, or all, or it happens later. A [`File`] has more to say.
//!
//! # The end of a runtime
//!
//! It waits for operations that have begun, and drops those that have not, except for the writes
//! that a [`File`] has taken on.
//!
//! # Examples
//!
//! ```
//! use annulus::fs;
//!
//! annulus::block_on(async {
//!     # let dir = std::env::temp_dir().join(format!("annulus-fs-{}", std::process::id()));
//!     # let dir = dir.as_path();
//!     fs::create_dir_all(dir).await?;
//!     fs::write(dir.join("greeting"), "hello").await?;
//!     assert_eq!(fs::read_to_string(dir.join("greeting")).await?, "hello");
//!     let mut entries = fs::read_dir(dir).await?;
//!     while let Some(entry) = entries.next_entry().await? {
//!         assert_eq!(entry.file_name(), "greeting");
//!     }
//!     fs::remove_dir_all(dir).await
//! })?;
//! # Ok::<_, std::io::Error>(())
//! ```

mod buffer;
mod file;
mod open_options;
mod read_dir;
mod state;
mod turn;

use std::fs as sync;
pub use std::fs::{FileType, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

pub use self::file::File;
pub use self::open_options::OpenOptions;
pub use self::read_dir::{DirEntry, ReadDir, read_dir};
use crate::runtime::unblock::unblock;

/// Reads a whole file.
///
/// # Errors
///
/// As [`std::fs::read`].
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::read(path)).await
}

/// Reads a whole file that is text.
///
/// # Errors
///
/// As [`std::fs::read_to_string`]; `InvalidData` if it is not UTF-8.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::read_to_string(path)).await
}

/// Makes a file of these bytes, or replaces what is in it.
///
/// # Errors
///
/// As [`std::fs::write`].
pub async fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let (path, contents) = (path.as_ref().to_owned(), contents.as_ref().to_owned());
    unblock(move || sync::write(path, contents)).await
}

/// Copies a file's bytes and permissions, and says how many bytes there were.
///
/// # Errors
///
/// As [`std::fs::copy`].
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let (from, to) = both(from, to);
    unblock(move || sync::copy(from, to)).await
}

/// Gives a file or directory another name; a file of that name is replaced.
///
/// # Errors
///
/// As [`std::fs::rename`].
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = both(from, to);
    unblock(move || sync::rename(from, to)).await
}

/// Makes a directory.
///
/// # Errors
///
/// As [`std::fs::create_dir`].
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::create_dir(path)).await
}

/// Makes a directory, and those above it that are missing.
///
/// # Errors
///
/// As [`std::fs::create_dir_all`].
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::create_dir_all(path)).await
}

/// Removes a file.
///
/// # Errors
///
/// As [`std::fs::remove_file`].
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::remove_file(path)).await
}

/// Removes an empty directory.
///
/// # Errors
///
/// As [`std::fs::remove_dir`].
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::remove_dir(path)).await
}

/// Removes a directory with all that is in it.
///
/// # Errors
///
/// As [`std::fs::remove_dir_all`].
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::remove_dir_all(path)).await
}

/// What the system knows of a file or directory, or of that which a link leads to.
///
/// # Errors
///
/// As [`std::fs::metadata`].
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::metadata(path)).await
}

/// As [`metadata`], but of a link itself.
///
/// # Errors
///
/// As [`std::fs::symlink_metadata`].
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::symlink_metadata(path)).await
}

/// Whether there is something at `path`.
///
/// # Errors
///
/// As [`std::fs::exists`]: if the system does not say.
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::exists(path)).await
}

/// The path from the root, without links.
///
/// # Errors
///
/// As [`std::fs::canonicalize`].
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::canonicalize(path)).await
}

/// Sets who may do what with a file or directory.
///
/// # Errors
///
/// As [`std::fs::set_permissions`].
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::set_permissions(path, permissions)).await
}

/// Gives a file a second name.
///
/// # Errors
///
/// As [`std::fs::hard_link`].
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = both(original, link);
    unblock(move || sync::hard_link(original, link)).await
}

/// Where a symbolic link leads to.
///
/// # Errors
///
/// As [`std::fs::read_link`].
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    unblock(move || sync::read_link(path)).await
}

/// Makes a symbolic link at `link` that leads to `original`.
///
/// # Errors
///
/// As [`std::os::unix::fs::symlink`].
#[cfg(unix)]
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = both(original, link);
    unblock(move || std::os::unix::fs::symlink(original, link)).await
}

/// Makes a symbolic link at `link` that leads to a file.
///
/// # Errors
///
/// As [`std::os::windows::fs::symlink_file`].
#[cfg(windows)]
pub async fn symlink_file(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = both(original, link);
    unblock(move || std::os::windows::fs::symlink_file(original, link)).await
}

/// Makes a symbolic link at `link` that leads to a directory.
///
/// # Errors
///
/// As [`std::os::windows::fs::symlink_dir`].
#[cfg(windows)]
pub async fn symlink_dir(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = both(original, link);
    unblock(move || std::os::windows::fs::symlink_dir(original, link)).await
}

fn both(one: impl AsRef<Path>, other: impl AsRef<Path>) -> (PathBuf, PathBuf) {
    (one.as_ref().to_owned(), other.as_ref().to_owned())
}
