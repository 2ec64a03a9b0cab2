//! What is in a directory.
//!
//! The system is asked for some entries at once, so that few of them cost a way to the pool. What
//! it has said waits here, and so does an operation whose caller has given up.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, FileType, Metadata};
use std::future::{Future, poll_fn};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use crate::executor::AtEnd;
use crate::runtime::unblock::{begin, outcome, unblock};
use crate::task::JoinHandle;

/// How many entries are asked for at once.
const BATCH: usize = 32;

/// Lists a directory.
///
/// # Errors
///
/// As [`std::fs::read_dir`].
///
/// # Examples
///
/// ```
/// annulus::block_on(async {
///     let mut entries = annulus::fs::read_dir("src").await?;
///     while let Some(entry) = entries.next_entry().await? {
///         println!("{}: {} bytes", entry.path().display(), entry.metadata().await?.len());
///     }
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap()
/// ```
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    let listing = unblock(move || {
        let mut listing = Listing { entries: fs::read_dir(path)?, found: VecDeque::new() };
        listing.ask();
        Ok(listing)
    });
    Ok(ReadDir(At::Rest(listing.await?)))
}

/// The entries of a directory; made by [`read_dir`].
///
/// With the feature `futures-core` it is a `Stream`, too.
#[derive(Debug)]
pub struct ReadDir(At);

#[derive(Debug)]
enum At {
    Rest(Listing),
    Busy(JoinHandle<Listing>),
    /// An operation did not come back.
    Lost,
}

#[derive(Debug)]
struct Listing {
    entries: fs::ReadDir,
    found: VecDeque<Option<io::Result<fs::DirEntry>>>,
}

impl Listing {
    /// Asks for a batch. The end, `None`, is found like an entry.
    fn ask(&mut self) {
        while self.found.len() < BATCH {
            let next = self.entries.next();
            let is_last = !matches!(next, Some(Ok(_)));
            self.found.push_back(next);
            if is_last {
                break;
            }
        }
    }
}

impl ReadDir {
    /// The next entry, in no order; `None` at the end.
    ///
    /// # Errors
    ///
    /// If the system fails to say; the next call goes on. Or if the runtime that asks ends or lacks
    /// a thread: then the rest is lost, and after the error comes `None`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has taken no entry.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await
    }

    /// The poll of [`next_entry`](Self::next_entry), for hand-written futures.
    ///
    /// # Errors
    ///
    /// As [`next_entry`](Self::next_entry).
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            self.0 = match &mut self.0 {
                At::Lost => return Poll::Ready(Ok(None)),
                At::Busy(handle) => match outcome(ready!(Pin::new(handle).poll(cx))) {
                    Ok(listing) => At::Rest(listing),
                    Err(error) => {
                        self.0 = At::Lost;
                        return Poll::Ready(Err(error));
                    }
                },
                At::Rest(listing) => match listing.found.pop_front() {
                    Some(None) => {
                        // It stays the end.
                        listing.found.push_front(None);
                        return Poll::Ready(Ok(None));
                    }
                    Some(Some(next)) => return Poll::Ready(next.map(DirEntry::new).map(Some)),
                    None => {
                        let At::Rest(mut listing) = std::mem::replace(&mut self.0, At::Lost) else {
                            unreachable!("it was at rest")
                        };
                        let ask = move || {
                            listing.ask();
                            listing
                        };
                        At::Busy(begin(ask, AtEnd::Drop)?)
                    }
                },
            };
        }
    }
}

#[cfg(feature = "futures-core")]
impl futures_core::Stream for ReadDir {
    type Item = io::Result<DirEntry>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_next_entry(cx).map(Result::transpose)
    }
}

/// Something in a directory; given by [`ReadDir::next_entry`].
#[derive(Debug)]
pub struct DirEntry(Arc<fs::DirEntry>);

impl DirEntry {
    fn new(std: fs::DirEntry) -> Self {
        Self(Arc::new(std))
    }

    /// The path: that of the directory and the name.
    pub fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// The name.
    pub fn file_name(&self) -> OsString {
        self.0.file_name()
    }

    /// What the system knows of it; a link is not followed.
    ///
    /// # Errors
    ///
    /// As [`std::fs::DirEntry::metadata`].
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let entry = Arc::clone(&self.0);
        unblock(move || entry.metadata()).await
    }

    /// What it is; a link is not followed.
    ///
    /// # Errors
    ///
    /// As [`std::fs::DirEntry::file_type`].
    pub async fn file_type(&self) -> io::Result<FileType> {
        let entry = Arc::clone(&self.0);
        unblock(move || entry.file_type()).await
    }

    /// The number by which the file system knows it.
    #[cfg(unix)]
    pub fn ino(&self) -> u64 {
        std::os::unix::fs::DirEntryExt::ino(&*self.0)
    }
}
