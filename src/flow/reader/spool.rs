//! What can be read only once, kept so that it can be read again: its beginning in memory, and more than that in a
//! temporary file without a name, which is gone when the program ends, however it ends.

use std::fs::File;
use std::io::{self, Read, Write as _};

/// So much is kept in memory: as much as small files have, and little beside what is counted.
const IN_MEMORY: u64 = 1024 * 1024;

/// Bytes that are copied at once.
const COPIED: usize = 256 * 1024;

/// Bytes that were read to their end.
pub(super) struct Spool {
    beginning: Vec<u8>,
    /// What comes behind the beginning, and how many bytes that are.
    rest: Option<(File, u64)>,
}

impl Spool {
    /// Bytes that are in memory already.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { beginning: bytes, rest: None }
    }

    /// Reads everything, and what broke it off where something did.
    pub(super) fn fill(from: &mut dyn Read) -> (Self, io::Result<()>) {
        Self::fill_beyond(from, IN_MEMORY)
    }

    fn fill_beyond(mut from: &mut dyn Read, in_memory: u64) -> (Self, io::Result<()>) {
        let mut spool = Self::of(Vec::new());
        let read = (&mut from).take(in_memory).read_to_end(&mut spool.beginning);
        let read = match read {
            Ok(length) if length as u64 == in_memory => spool.fill_rest(from),
            read => read.map(drop),
        };
        (spool, read)
    }

    fn fill_rest(&mut self, from: &mut dyn Read) -> io::Result<()> {
        let mut buffer = vec![0; COPIED];
        let mut file = if cfg!(unix) { tempfile::tempfile().ok() } else { None };
        let mut written = 0;
        let outcome = loop {
            let length = match from.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => break Err(error),
            };
            if let Some(open) = &mut file {
                if open.write_all(&buffer[..length]).is_ok() {
                    written += length as u64;
                    continue;
                }
                // No room on the disk: memory is what is left.
                At { file: open, at: 0, left: written }.read_to_end(&mut self.beginning)?;
                file = None;
            }
            self.beginning.extend_from_slice(&buffer[..length]);
        };
        self.rest = file.map(|file| (file, written));
        outcome
    }

    /// How many bytes there are.
    pub(super) fn bytes(&self) -> u64 {
        self.beginning.len() as u64 + self.rest.as_ref().map_or(0, |(_, bytes)| *bytes)
    }

    /// The bytes, from the first on.
    pub(super) fn read(&self) -> Box<dyn Read + Send + '_> {
        match &self.rest {
            Some((file, bytes)) => Box::new(self.beginning.chain(At { file, at: 0, left: *bytes })),
            None => Box::new(self.beginning.as_slice()),
        }
    }
}

/// Reads a file at a place of its own: others may read the same file.
struct At<'f> {
    file: &'f File,
    at: u64,
    left: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let length = read_at(self.file, &mut buffer[..most], self.at)?;
        self.at += length as u64;
        self.left -= length as u64;
        Ok(length)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(not(unix))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives this, and then an error.
    struct Breaking<'b>(&'b [u8]);

    impl Read for Breaking<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() { Err(io::ErrorKind::BrokenPipe.into()) } else { self.0.read(buffer) }
        }
    }

    #[test]
    fn what_is_kept_can_be_read_twice_however_long_it_is() {
        let bytes: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
        for in_memory in [0, 1, 699_999, 700_000, 700_001] {
            let (spool, read) = Spool::fill_beyond(&mut &bytes[..], in_memory);
            read.expect("whole");
            assert_eq!(spool.bytes(), 700_000);
            assert!(spool.beginning.len() as u64 <= in_memory, "{in_memory}");
            let (mut first, mut second, mut again) = (spool.read(), spool.read(), Vec::new());
            first.read_exact(&mut [0; 1_000]).expect("as many");
            second.read_to_end(&mut again).expect("readable");
            assert_eq!(again, bytes, "{in_memory}");
        }
    }

    #[test]
    fn what_breaks_off_is_kept_as_far_as_it_came() {
        for in_memory in [10, 100] {
            let (spool, read) = Spool::fill_beyond(&mut Breaking(&[7; 50]), in_memory);
            assert_eq!(read.expect_err("it broke off").kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(spool.bytes(), 50);
        }
    }
}
