//! An open file.

use std::fmt;
use std::fs::{self, Metadata, Permissions};
use std::future::poll_fn;
use std::io::{self, IoSlice, SeekFrom};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncSeek, AsyncWrite};

use super::OpenOptions;
use super::turn::Turns;
use crate::executor;
use crate::runtime::unblock::unblock;

/// An open file.
///
/// It is [`AsyncRead`], [`AsyncWrite`] and [`AsyncSeek`], and has the most common of their
/// operations as methods. Up to 256 KiB go in one operation, and each has a way of some 10 µs: put
/// small ones behind a buffer, such as `io::BufReader` and `io::BufWriter` of the feature
/// `io-util`.
///
/// # Writes
///
/// A write is ready when the file has taken the bytes on, and they reach the system after that,
/// also when the runtime ends. If the system refuses them, the next write, flush or sync has the
/// error. So [`flush`](Self::flush) at the end: a file that is dropped tells nobody.
///
/// # Cancel safety
///
/// A read that is dropped loses no bytes: what it would have found comes with the next read. (Was it
/// the end, the methods look again; the traits, which do not know one call from the next, tell it.) What a
/// dropped write had taken on is written. A dropped seek may have moved the position or not, and a
/// dropped [`set_len`](Self::set_len) or the like may be carried out or not, but always before what
/// is begun later.
///
/// # Examples
///
/// ```
/// use std::io::SeekFrom;
///
/// use annulus::fs::File;
///
/// annulus::block_on(async {
///     # let path = std::env::temp_dir().join(format!("annulus-file-{}", std::process::id()));
///     let mut file = File::options().read(true).write(true).create(true).open(&path).await?;
///     file.write_all(b"a line of text").await?;
///     file.sync_all().await?;
///     file.seek(SeekFrom::Start(2)).await?;
///     let mut word = [0; 4];
///     file.read_exact(&mut word).await?;
///     assert_eq!(&word, b"line");
///     # annulus::fs::remove_file(path).await?;
///     Ok::<_, std::io::Error>(())
/// })?;
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct File {
    std: Arc<fs::File>,
    state: Turns,
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::open`].
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        unblock(move || fs::File::open(path)).await.map(Self::from_std)
    }

    /// Opens a file for writing, which is made, or emptied.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::create`].
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        unblock(move || fs::File::create(path)).await.map(Self::from_std)
    }

    /// Makes a file for reading and writing where there is none yet.
    ///
    /// # Errors
    ///
    /// As [`std::fs::File::create_new`].
    pub async fn create_new(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        unblock(move || fs::File::create_new(path)).await.map(Self::from_std)
    }

    /// What else can be said of how to open a file.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes over a file of std's.
    pub fn from_std(std: fs::File) -> Self {
        Self { std: Arc::new(std), state: Turns::default() }
    }

    /// Gives the file back as one of std's, when its last operation is over.
    ///
    /// Bytes that a dropped read has left are to be read again, except from what cannot be
    /// [sought](Self::seek) in.
    ///
    /// # Errors
    ///
    /// That of a write. The file is gone then; [`flush`](Self::flush) before, to keep it.
    pub async fn into_std(mut self) -> io::Result<fs::File> {
        let state = self.state.get_mut();
        poll_fn(|cx| state.poll_flush(cx)).await?;
        poll_fn(|cx| state.poll_rewind(&self.std, cx)).await?;
        // Operations have given it back by their end, and a copy would do as well.
        Arc::try_unwrap(self.std).or_else(|shared| shared.try_clone())
    }

    /// Reads some bytes; 0 at the end of the file.
    ///
    /// # Errors
    ///
    /// As `read` of std's file.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it leaves its bytes for the next read.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.state.get_mut().disown();
        poll_fn(|cx| self.state.get_mut().poll_read(&self.std, cx, buf)).await
    }

    /// Reads until `buf` is full.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before; else as [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// None: what was read is in `buf`, and how much is not known.
    pub async fn read_exact(&mut self, mut buf: &mut [u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read(buf).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => buf = &mut buf[count..],
            }
        }
        Ok(())
    }

    /// Appends what is left in the file to `buf`, and says how many bytes there were.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); what was read before is in `buf`.
    ///
    /// # Cancel safety
    ///
    /// What was read is in `buf`, and the next read goes on after it.
    pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let before = buf.len();
        let mut chunk = vec![0; 64 << 10];
        while let count @ 1.. = self.read(&mut chunk).await? {
            buf.extend_from_slice(&chunk[..count]);
        }
        Ok(buf.len() - before)
    }

    /// Writes some of the bytes, and says how many.
    ///
    /// # Errors
    ///
    /// That of an earlier write; see [above](Self#writes).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it has written nothing.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| Pin::new(&mut *self).poll_write(cx, buf)).await
    }

    /// Writes all of the bytes.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// None: some of the bytes may have been written, and how many is not known.
    pub async fn write_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let count = self.write(buf).await?;
            buf = &buf[count..];
        }
        Ok(())
    }

    /// Waits until the system has all that was written.
    ///
    /// # Errors
    ///
    /// That of the write which failed.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.state.get_mut().poll_flush(cx)).await
    }

    /// Moves the position, and gives the new one.
    ///
    /// # Errors
    ///
    /// As `seek` of std's file.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, it may have moved the position or not.
    pub async fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.state.get_mut().disown();
        poll_fn(|cx| self.state.get_mut().poll_seek(&self.std, cx, to)).await
    }

    /// Waits until the disk has all that was written, and what the system knows of the file.
    ///
    /// # Errors
    ///
    /// That of the write which failed, or as `sync_all` of std's file.
    pub async fn sync_all(&self) -> io::Result<()> {
        self.run(false, fs::File::sync_all).await
    }

    /// Waits until the disk has all that was written.
    ///
    /// # Errors
    ///
    /// That of the write which failed, or as `sync_data` of std's file.
    pub async fn sync_data(&self) -> io::Result<()> {
        self.run(false, fs::File::sync_data).await
    }

    /// Cuts the file off at `size`, or fills it up with zeros.
    ///
    /// # Errors
    ///
    /// That of the write which failed, or as `set_len` of std's file.
    pub async fn set_len(&self, size: u64) -> io::Result<()> {
        self.run(false, move |file| file.set_len(size)).await
    }

    /// What the system knows of the file, all that was written included.
    ///
    /// # Errors
    ///
    /// That of the write which failed, or as `metadata` of std's file.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        self.run(false, fs::File::metadata).await
    }

    /// Sets who may do what with the file.
    ///
    /// # Errors
    ///
    /// That of the write which failed, or as `set_permissions` of std's file.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        self.run(false, move |file| file.set_permissions(permissions)).await
    }

    /// A second handle of the open file: the two share the position.
    ///
    /// Bytes that a dropped read has left are to be read again, by either.
    ///
    /// # Errors
    ///
    /// That of the write which failed, or as `try_clone` of std's file.
    pub async fn try_clone(&self) -> io::Result<Self> {
        self.run(true, fs::File::try_clone).await.map(Self::from_std)
    }

    /// Runs an operation after the others; `back` as in `State::begin`. Dropped, it stays before
    /// what comes later.
    async fn run<R: Send + 'static>(
        &self,
        back: bool,
        operation: impl FnOnce(&fs::File) -> io::Result<R> + Send + 'static,
    ) -> io::Result<R> {
        let mut turn = self.state.turn().await;
        turn.check()?;
        let result = turn.begin(&self.std, back, operation)?;
        // Others may wait for the end of it while this one is not polled.
        drop(turn);
        result.await.unwrap_or_else(|_| Err(executor::ended()))
    }
}

impl AsyncRead for File {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Self { std, state } = self.get_mut();
        state.get_mut().poll_read(std, cx, buf)
    }
}

impl AsyncWrite for File {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { std, state } = self.get_mut();
        state.get_mut().poll_write(std, cx, std::iter::once(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { std, state } = self.get_mut();
        state.get_mut().poll_write(std, cx, bufs.iter().map(|buf| &**buf))
    }

    /// Waits until the system has all that was written.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().state.get_mut().poll_flush(cx)
    }

    /// As `poll_flush`; the drop closes the file.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncSeek for File {
    fn poll_seek(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let Self { std, state } = self.get_mut();
        state.get_mut().poll_seek(std, cx, to)
    }
}

impl From<fs::File> for File {
    fn from(std: fs::File) -> Self {
        Self::from_std(std)
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for File {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.std.as_fd()
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for File {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.std.as_raw_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsHandle for File {
    fn as_handle(&self) -> std::os::windows::io::BorrowedHandle<'_> {
        self.std.as_handle()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std.fmt(f)
    }
}
