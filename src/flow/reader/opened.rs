//! Files of which the next are opened, read and unpacked while the records of one are taken.

use std::io::{self, Read};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};

use super::input::Source;
use super::shape::{self, Shape};
use super::unpack::Room;
use super::window::Window;
use super::{Options, stream};

/// So many bytes are handed over at once.
const PIECE: u64 = 128 * 1024;

/// Pieces that wait, of each thread that reads.
const MAX_WAITING: usize = 8;

/// More threads than this one taker of records cannot follow.
const MAX_THREADS: usize = 4;

/// How far all files have been read.
pub(super) struct Progress<'p> {
    read: AtomicU64,
    tell: &'p (dyn Fn(u64) + Sync),
}

impl<'p> Progress<'p> {
    pub(super) fn new(tell: &'p (dyn Fn(u64) + Sync)) -> Self {
        Self { read: AtomicU64::new(0), tell }
    }

    pub(super) fn add(&self, bytes: u64) {
        (self.tell)(self.read.fetch_add(bytes, Ordering::Relaxed) + bytes);
    }
}

/// Reads a source, tells how far, and ends when the time is over.
pub(super) struct Counted<'p> {
    inner: Box<dyn Read + Send + 'p>,
    /// How many bytes more there are to tell of: a file may have grown since it was found.
    left: &'p AtomicU64,
    progress: &'p Progress<'p>,
    options: &'p Options,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.options.is_time_over() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let length = self.inner.read(buffer)?;
        // Only one thread at a time reads a source.
        let left = self.left.load(Ordering::Relaxed);
        let told = left.min(length as u64);
        self.left.store(left - told, Ordering::Relaxed);
        self.progress.add(told);
        Ok(length)
    }
}

/// What a thread hands over of its sources, one after the other.
enum Piece {
    /// A source begins that is packed. It is read as long as it is wanted.
    Packed {
        is_wanted: Arc<AtomicBool>,
    },
    /// A source is to be opened where its records are parsed.
    Unread,
    Bytes(Vec<u8>),
    End(io::Result<()>),
}

/// The threads that read the sources, each some of them.
pub(super) struct Openers(Vec<Receiver<Piece>>);

impl Openers {
    /// Begins to read.
    pub(super) fn begin<'scope>(
        scope: &'scope Scope<'scope, '_>,
        files: &'scope [ToRead<'scope>],
        progress: &'scope Progress<'scope>,
        options: &'scope Options,
    ) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = cores.saturating_sub(1).clamp(1, MAX_THREADS).min(files.len()).max(1);
        let openers = (0..threads).map(|first| {
            let (done, pieces) = sync_channel(MAX_WAITING);
            scope.spawn(move || {
                for file in files.iter().skip(first).step_by(threads) {
                    if file.hand_over(&done, progress, options).is_none() {
                        return;
                    }
                }
            });
            pieces
        });
        Self(openers.collect())
    }

    /// What is unpacked of the file with this number; `None` where it is to be opened. The one before has to be done.
    pub(super) fn unpacked(&mut self, number: usize) -> Option<Unpacked<'_>> {
        let threads = self.0.len();
        let pieces = &mut self.0[number % threads];
        match pieces.recv() {
            Ok(Piece::Packed { is_wanted }) => {
                Some(Unpacked { pieces, is_wanted, piece: Vec::new(), at: 0, is_done: false })
            }
            _ => None,
        }
    }
}

/// A file, and what is known of it before it is read.
pub(super) struct ToRead<'s> {
    pub(super) source: &'s Source,
    pub(super) room: Room,
    /// See [`Counted`].
    pub(super) left: AtomicU64,
}

impl<'s> ToRead<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        Self { source, room: Room::of(source.bytes), left: AtomicU64::new(source.bytes) }
    }

    /// Opens it.
    pub(super) fn open<'r>(
        &'r self,
        progress: &'r Progress<'r>,
        options: &'r Options,
    ) -> io::Result<Counted<'r>> {
        Ok(Counted { inner: self.source.open()?, left: &self.left, progress, options })
    }

    /// Whether it can be read, and is packed. Why not, who parses its records finds out.
    fn is_packed(&self) -> bool {
        let mut head = Vec::new();
        let read = self.source.open().and_then(|file| file.take(shape::LOOK as u64).read_to_end(&mut head));
        read.is_ok() && matches!(shape::of(&head), Shape::Gzip | Shape::Zstd)
    }

    /// Unpacks it, where it is packed; `None` where nobody takes what comes any more.
    fn hand_over(&self, done: &SyncSender<Piece>, progress: &Progress<'_>, options: &Options) -> Option<()> {
        let send = |piece| done.send(piece).ok();
        let opened = if self.is_packed() { self.open(progress, options).ok() } else { None };
        let Some(opened) = opened else { return send(Piece::Unread) };
        let is_wanted = Arc::new(AtomicBool::new(true));
        send(Piece::Packed { is_wanted: Arc::clone(&is_wanted) })?;
        let unpack = || {
            let mut unpacked = stream::unpacked(Window::new(Box::new(opened)), &self.room)?;
            while is_wanted.load(Ordering::Relaxed) {
                let mut piece = Vec::new();
                // What was unpacked before it broke off counts.
                let read = (&mut unpacked).take(PIECE).read_to_end(&mut piece);
                let is_end = piece.len() < PIECE as usize;
                if !piece.is_empty() && done.send(Piece::Bytes(piece)).is_err() {
                    return Ok(());
                }
                read?;
                if is_end {
                    break;
                }
            }
            Ok(())
        };
        let end = unpack();
        send(Piece::End(end))
    }
}

/// The bytes of a file that another thread unpacks.
pub(super) struct Unpacked<'o> {
    pieces: &'o mut Receiver<Piece>,
    is_wanted: Arc<AtomicBool>,
    piece: Vec<u8>,
    at: usize,
    is_done: bool,
}

impl Read for Unpacked<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            if self.is_done {
                return Ok(0);
            }
            match self.pieces.recv() {
                Ok(Piece::Bytes(piece)) => (self.piece, self.at) = (piece, 0),
                Ok(Piece::End(end)) => {
                    self.is_done = true;
                    end?;
                }
                // The thread has ended before the file by a panic only, which its scope passes on.
                _ => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        let length = (&self.piece[self.at..]).read(into)?;
        self.at += length;
        Ok(length)
    }
}

impl Drop for Unpacked<'_> {
    /// Leaves the next file as what comes next.
    fn drop(&mut self) {
        self.is_wanted.store(false, Ordering::Relaxed);
        while !self.is_done {
            self.is_done = !matches!(self.pieces.recv(), Ok(Piece::Bytes(_) | Piece::Packed { .. }));
        }
    }
}
