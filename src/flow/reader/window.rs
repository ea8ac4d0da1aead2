//! A buffer over a stream whose contents can be looked at before they are consumed.

use std::io::{self, BufRead, Read};

/// Small enough for the second-level cache, large enough that system calls do not count.
const SIZE: usize = 256 * 1024;

/// So many consumed bytes can be looked back on.
const KEPT: usize = 2;

/// A window that moves over a stream. Lines can be taken from it without copying them.
pub(super) struct Window<'s> {
    inner: Box<dyn Read + Send + 's>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Came after bytes that are still to be consumed.
    error: Option<io::Error>,
}

impl<'s> Window<'s> {
    pub(super) fn new(inner: Box<dyn Read + Send + 's>) -> Self {
        Self { inner, buffer: vec![0; SIZE].into_boxed_slice(), start: 0, end: 0, error: None }
    }

    /// What has been read and not been consumed.
    #[inline]
    pub(super) fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads more behind what is buffered; `false` at the end of the stream. There must be room:
    /// fewer bytes buffered than three quarters of the window.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let keep = self.start.min(KEPT);
        self.buffer.copy_within(self.start - keep..self.end, 0);
        self.end -= self.start - keep;
        self.start = keep;
        loop {
            match self.inner.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.end += length;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next `length` bytes without consuming them; fewer where the stream ends or breaks before.
    pub(super) fn peek(&mut self, length: usize) -> io::Result<&[u8]> {
        while self.buffered().len() < length {
            match self.fill() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if self.buffered().is_empty() => return Err(error),
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
        }
        Ok(&self.buffered()[..length.min(self.end - self.start)])
    }

    /// Gives back the byte consumed last, if any was; returns it.
    pub(super) fn step_back(&mut self) -> Option<u8> {
        self.start = self.start.checked_sub(1)?;
        Some(self.buffer[self.start])
    }

    /// Whether a line begins here.
    pub(super) fn at_line_start(&self) -> bool {
        self.start.checked_sub(1).is_none_or(|before| self.buffer[before] == b'\n')
    }

    /// Consumes one byte. Alone in being called for every byte of a JSON document.
    #[inline]
    pub(super) fn next_byte(&mut self) -> io::Result<Option<u8>> {
        if self.start == self.end && !self.fill()? {
            return Ok(None);
        }
        let byte = self.buffer[self.start];
        self.start += 1;
        Ok(Some(byte))
    }
}

impl Read for Window<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let length = available.len().min(into.len());
        into[..length].copy_from_slice(&available[..length]);
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Window<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.fill()?;
        }
        Ok(self.buffered())
    }

    #[inline]
    fn consume(&mut self, length: usize) {
        self.start += length;
    }
}
