//! How much may come out of compressed bytes: a few hundred kilobytes can unpack to terabytes.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most bytes that one stored byte may unpack to. Deflate reaches 1,032 at most, and flow logs 20 to 40 in gzip and
/// zstd, as no two of their lines are alike.
///
/// Source: "Maximum Compression Factor" in the technical details of zlib.
const MAX_EXPANSION: u64 = 1_100;

/// So much may come out of however few bytes.
const MIN_ROOM: u64 = 64 * 1024 * 1024;

/// What one source may still unpack to, all layers and all parts of it together.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<AtomicU64>);

impl Room {
    /// The room of a source of which so many bytes are stored.
    pub(super) fn of(stored: u64) -> Self {
        Self(Arc::new(AtomicU64::new(stored.saturating_mul(MAX_EXPANSION).max(MIN_ROOM))))
    }

    /// A decompressor that ends with an error where there is no more room.
    pub(super) fn bounding<D>(&self, decoder: D) -> Unpacking<D> {
        Unpacking { decoder, room: self.clone() }
    }
}

/// See [`Room::bounding`].
pub(super) struct Unpacking<D> {
    decoder: D,
    room: Room,
}

impl<D: Read> Read for Unpacking<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.decoder.read(buffer)?;
        let take = |left: u64| left.checked_sub(length as u64);
        match self.room.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(length),
            Err(_) => {
                let why =
                    format!("it unpacks to more than {MAX_EXPANSION} times its size, as no flow log does");
                Err(io::Error::new(io::ErrorKind::FileTooLarge, why))
            }
        }
    }
}
