//! UTF-16, in which older PowerShell writes what it redirects to a file.

use std::io::{self, Read};

/// Gives text of two-byte units as UTF-8. A half of a pair without the other is a replacement character.
pub(super) struct Utf16<R> {
    inner: R,
    high_first: bool,
    /// The first byte of a unit whose second is still to come.
    half: Option<u8>,
    /// The first unit of a pair whose second is still to come.
    pair: Option<u16>,
    /// UTF-8 that did not fit, and how much of it is given.
    decoded: Vec<u8>,
    given: usize,
}

/// So many bytes are decoded at a time.
const PIECE: usize = 16 * 1024;

impl<R: Read> Utf16<R> {
    pub(super) fn new(inner: R, high_first: bool) -> Self {
        Self { inner, high_first, half: None, pair: None, decoded: Vec::new(), given: 0 }
    }

    /// Decodes a piece; `false` at the end.
    fn decode(&mut self) -> io::Result<bool> {
        let mut piece = [0; PIECE];
        let length = self.inner.read(&mut piece)?;
        self.decoded.clear();
        self.given = 0;
        let mut units = Vec::with_capacity(length / 2 + 2);
        units.extend(self.pair.take());
        for &byte in &piece[..length] {
            match self.half.take() {
                None => self.half = Some(byte),
                Some(first) if self.high_first => units.push(u16::from_be_bytes([first, byte])),
                Some(first) => units.push(u16::from_le_bytes([first, byte])),
            }
        }
        if length > 0 && units.last().is_some_and(|unit| (0xD800..0xDC00).contains(unit)) {
            self.pair = units.pop();
        }
        let text = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        self.decoded.extend_from_slice(text.collect::<String>().as_bytes());
        Ok(length > 0)
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.decoded.len() {
            if !self.decode()? && self.decoded.is_empty() {
                return Ok(0);
            }
        }
        let rest = &self.decoded[self.given..];
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
        self.given += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_out_whole_however_it_is_cut() {
        let text = "a flow log, \u{20ac} and \u{1f980}\n".repeat(5000);
        for high_first in [true, false] {
            let bytes = |unit: u16| if high_first { unit.to_be_bytes() } else { unit.to_le_bytes() };
            let encoded: Vec<u8> = text.encode_utf16().flat_map(bytes).collect();
            let mut decoded = String::new();
            Utf16::new(encoded.as_slice(), high_first).read_to_string(&mut decoded).expect("UTF-8");
            assert!(decoded == text);
        }
    }
}
