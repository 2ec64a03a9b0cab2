//! Reading and writing: the ecosystem's traits, and what is built on them.
//!
//! The traits are those of `futures-io`. Sockets ([`net`](crate::net)), files (`annulus::fs`) and
//! the pipes of child processes (`annulus::process`) have them, and so have the streams of other
//! crates.
//!
//! With the feature `io-util` there is what `futures-lite` has for them: `copy`,
//! `split`, `BufReader`, `BufWriter`, and methods by `AsyncReadExt`, `AsyncWriteExt`,
//! `AsyncSeekExt` and `AsyncBufReadExt`, such as `read_to_end`, `read_line` and `lines`. Types from
//! there are the same here: who uses `futures-lite` or `futures` directly needs no feature.
//!
//! # Examples
//!
//! A server that answers each line, and a client that copies the answers to memory:
//!
#![cfg_attr(feature = "io-util", doc = "```")]
#![cfg_attr(not(feature = "io-util"), doc = "```ignore")]
//! use annulus::io::{self, AsyncBufReadExt, AsyncWriteExt, BufReader, StreamExt};
//! use annulus::net::{TcpListener, TcpStream};
//!
//! annulus::block_on(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let addr = listener.local_addr()?;
//!     let server = annulus::spawn(async move {
//!         let (stream, _) = listener.accept().await?;
//!         let mut lines = BufReader::new(&stream).lines();
//!         while let Some(line) = lines.next().await {
//!             let answer = format!("{}!\n", line?.to_uppercase());
//!             stream.write_all(answer.as_bytes()).await?;
//!         }
//!         Ok::<_, io::Error>(())
//!     });
//!     let mut stream = TcpStream::connect(addr).await?;
//!     stream.write_all(b"one\ntwo\n").await?;
//!     stream.close().await?; // the server reads to the end
//!     let mut answers = Vec::new();
//!     io::copy(&stream, &mut answers).await?;
//!     assert_eq!(answers, b"ONE!\nTWO!\n");
//!     server.await.unwrap()
//! })?;
//! # Ok::<_, io::Error>(())
//! ```

pub use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result, SeekFrom};

pub use futures_io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};
/// For what is a stream here: `lines`, `split` and `bytes`.
#[cfg(feature = "io-util")]
pub use futures_lite::StreamExt;
#[cfg(feature = "io-util")]
pub use futures_lite::io::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufWriter, Bytes, Chain,
    Cursor, Empty, Lines, ReadHalf, Repeat, Sink, Split, Take, WriteHalf, copy, empty, repeat,
    sink, split,
};
