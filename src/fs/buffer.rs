//! Bytes that were read from a file and not given out yet.
//!
//! What a vector holds is initialised, and it keeps its length, so that it is zeroed once and not
//! for each read. `next..end` is what is left.

use std::io::{self, Read};

/// How many bytes go to or from a file at once.
pub(super) const MOST: usize = 256 << 10;

#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    next: usize,
    end: usize,
}

impl Buffer {
    pub(super) fn len(&self) -> usize {
        self.end - self.next
    }

    pub(super) fn clear(&mut self) {
        (self.next, self.end) = (0, 0);
    }

    /// Gives out as many bytes as there are and as `buf` has room for.
    pub(super) fn take(&mut self, buf: &mut [u8]) -> usize {
        let count = self.len().min(buf.len());
        buf[..count].copy_from_slice(&self.bytes[self.next..self.next + count]);
        self.next += count;
        count
    }

    /// Replaces what is left by what one read finds, `most` bytes at most.
    pub(super) fn fill(&mut self, mut from: impl Read, most: usize) -> io::Result<usize> {
        self.clear();
        let most = most.min(MOST);
        if self.bytes.len() < most {
            self.bytes.resize(most, 0);
        }
        let count = loop {
            match from.read(&mut self.bytes[..most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.end = count;
        Ok(count)
    }
}
