//! A buffer over a stream whose contents can be looked at before they are consumed.

use std::io::{self, BufRead, Read};

/// Small enough for the second-level cache, large enough that system calls do not count.
const SIZE: usize = 256 * 1024;

/// So much is read past the window, straight to where it is wanted.
const MIN_DIRECT: usize = 16 * 1024;

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
    /// What was given back, with what came behind it in place of more bytes.
    again: Again,
}

/// What is read once more: from a place in the bytes on.
#[derive(Default)]
struct Again {
    bytes: Vec<u8>,
    at: usize,
    error: Option<io::Error>,
}

impl<'s> Window<'s> {
    pub(super) fn new(inner: Box<dyn Read + Send + 's>) -> Self {
        Self {
            inner,
            buffer: vec![0; SIZE].into_boxed_slice(),
            start: 0,
            end: 0,
            error: None,
            again: Again::default(),
        }
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
        let length = read_through(&mut self.again, &mut *self.inner, &mut self.buffer[self.end..])?;
        self.end += length;
        Ok(length > 0)
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

    /// The bytes that can be looked back on.
    pub(super) fn behind(&self) -> &[u8] {
        &self.buffer[self.start.saturating_sub(KEPT)..self.start]
    }

    /// Gives back bytes that were read, of which those before can be looked back on, and an error that came behind all
    /// bytes.
    pub(super) fn give_back(&mut self, behind: &[u8], bytes: Vec<u8>, error: Option<io::Error>) {
        let mut bytes = bytes;
        bytes.extend_from_slice(self.buffered());
        // What an earlier giving back left.
        bytes.extend_from_slice(&self.again.bytes[self.again.at..]);
        let error = error.or(self.error.take()).or(self.again.error.take());
        let behind = &behind[behind.len().saturating_sub(KEPT)..];
        self.buffer[..behind.len()].copy_from_slice(behind);
        (self.start, self.end) = (behind.len(), behind.len());
        self.again = Again { bytes, at: 0, error };
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

/// Reads once, however often that is interrupted; what was given back comes first.
fn read_through(again: &mut Again, from: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    if again.at < again.bytes.len() {
        let length = (&again.bytes[again.at..]).read(into)?;
        again.at += length;
        return Ok(length);
    }
    if let Some(error) = again.error.take() {
        return Err(error);
    }
    *again = Again::default();
    loop {
        match from.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

impl Read for Window<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.start == self.end && self.error.is_none() && into.len() >= MIN_DIRECT {
            (self.start, self.end) = (0, 0);
            return read_through(&mut self.again, &mut *self.inner, into);
        }
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
