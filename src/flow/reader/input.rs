//! What is to be read: files, folders and standard input, opened into a list of sources.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use super::error::FileError;
use super::spool::Spool;
use super::{FailedFile, PassedOver, ReadError};
use crate::network::{BucketPlace, InvalidPlace};

/// What standard input is called.
pub(super) const STDIN: &str = "standard input";

/// Why what comes twice is passed over.
const BEFORE: &str = "named before";

/// One place that was named to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file, or a folder whose files are read, in folders within it too.
    Path(PathBuf),
    /// Standard input, `-`.
    Stdin,
    /// Objects in S3, which the caller has to fetch: reading is no matter of a network.
    InBucket(BucketPlace),
}

impl FromStr for Input {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        Ok(match text {
            "-" => Self::Stdin,
            place if BucketPlace::is_meant(place) => Self::InBucket(place.parse()?),
            path => Self::Path(PathBuf::from(path)),
        })
    }
}

/// Where one stream of bytes comes from.
pub(super) struct Source {
    /// As it is shown to people; without control characters.
    pub(super) name: String,
    /// As stored, so still compressed.
    pub(super) bytes: u64,
    place: Place,
}

enum Place {
    File(PathBuf),
    Kept(Spool),
    Memory(Arc<Vec<u8>>),
}

impl Source {
    pub(super) fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(match &self.place {
            Place::File(path) => Box::new(File::open(path)?),
            Place::Kept(spool) => spool.read(),
            Place::Memory(bytes) => Box::new(bytes.as_slice()),
        })
    }

    fn kept(name: String, spool: Spool) -> Self {
        Self { name, bytes: spool.bytes(), place: Place::Kept(spool) }
    }

    fn in_memory(name: String, bytes: Arc<Vec<u8>>) -> Self {
        Self { name, bytes: bytes.len() as u64, place: Place::Memory(bytes) }
    }
}

/// Everything that is to be read, in order; can be read more than once.
///
/// Folders are expanded, their entries in the order of their names. Hidden entries, and what is
/// neither a file nor a folder, are passed over and named, as are links to folders (which may lead
/// in a circle) and a file that was named before. Standard input and named pipes are kept as they came,
/// so compressed if they were: in memory, and beyond one megabyte in a temporary file without a name.
#[derive(Default)]
pub struct Inputs {
    pub(super) sources: Vec<Source>,
    pub(super) failed: Vec<FailedFile>,
    pub(super) passed_over: Vec<PassedOver>,
}

impl Inputs {
    /// Finds what is to be read. Files are opened later, one at a time.
    ///
    /// # Errors
    /// When not one file is there. A path that is missing beside others that are there is no error:
    /// it is among the failed files of every [`Reading`](super::Reading).
    pub fn open(inputs: &[Input]) -> Result<Self, ReadError> {
        let mut opened = Self::default();
        let mut missing = Vec::new();
        let mut stdin_named = false;
        // Asking for the real path costs more than the rest: only where a file can come twice.
        let mut met = (inputs.len() > 1).then(HashSet::new);
        for input in inputs {
            match input {
                Input::InBucket(place) => {
                    opened.failed.push(FailedFile::new(&place.to_string(), &FileError::NotFetched));
                }
                Input::Stdin if stdin_named => opened.pass_over(STDIN.to_owned(), BEFORE),
                Input::Stdin => {
                    stdin_named = true;
                    opened.keep(STDIN.to_owned(), &mut io::stdin().lock());
                }
                Input::Path(path) => match fs::metadata(path) {
                    Ok(metadata) if metadata.is_dir() => opened.folder(path, &mut met),
                    Ok(metadata) if metadata.is_file() => opened.file(path.clone(), metadata.len(), &mut met),
                    Ok(metadata) if is_pipe(&metadata) => match File::open(path) {
                        Ok(mut pipe) => opened.keep(shown(path), &mut pipe),
                        Err(source) => opened.fail(path, &FileError::Open { source }),
                    },
                    Ok(_) => opened.fail(path, &FileError::Special),
                    Err(source) => {
                        if source.kind() == io::ErrorKind::NotFound {
                            missing.push(shown(path));
                        }
                        opened.fail(path, &FileError::Open { source });
                    }
                },
            }
        }
        if !opened.sources.is_empty() {
            return Ok(opened);
        }
        Err(match opened.failed.len() {
            0 => ReadError::NoFiles { passed_over: opened.passed_over() },
            all if all == missing.len() => ReadError::Missing { paths: missing.join(", ") },
            _ => ReadError::unreadable(&opened.failed),
        })
    }

    /// Named contents that are in memory already, read as files are.
    pub fn from_memory(contents: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self::shared(contents.into_iter().map(|(name, bytes)| (name, Arc::new(bytes))))
    }

    /// The same, of contents that others hold too.
    pub fn shared(contents: impl IntoIterator<Item = (String, Arc<Vec<u8>>)>) -> Self {
        let mut inputs = Self::default();
        inputs.add(contents);
        inputs
    }

    /// Adds such contents behind what is there.
    pub fn add(&mut self, contents: impl IntoIterator<Item = (String, Arc<Vec<u8>>)>) {
        let named = contents.into_iter().map(|(name, bytes)| Source::in_memory(harmless(&name), bytes));
        self.sources.extend(named);
    }

    /// Adds a file of which nothing could be had.
    pub fn add_failed(&mut self, file: FailedFile) {
        self.failed.push(FailedFile { name: harmless(&file.name), ..file });
    }

    /// How many bytes there are to read, as stored; `None` where that is not known to be any.
    #[must_use]
    pub fn total_bytes(&self) -> Option<u64> {
        let total = self.sources.iter().map(|source| source.bytes).sum();
        (total > 0).then_some(total)
    }

    /// How many files there are to read.
    #[must_use]
    pub fn files(&self) -> usize {
        self.sources.len()
    }

    /// How many entries were passed over: hidden, neither file nor folder, or named before.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.passed_over.len() as u64
    }

    fn pass_over(&mut self, name: String, what: &str) {
        self.passed_over.push(PassedOver { name, what: what.to_owned(), line: None });
    }

    fn folder(&mut self, folder: &Path, met: &mut Option<HashSet<PathBuf>>) {
        // What is still to be visited, the next one last.
        let mut ahead = vec![(folder.to_owned(), true)];
        while let Some((path, is_folder)) = ahead.pop() {
            if !is_folder {
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => self.file(path, metadata.len(), met),
                    Ok(metadata) if metadata.is_dir() => self.pass_over(shown(&path), "a link to a folder"),
                    Ok(_) => self.pass_over(shown(&path), "neither a file nor a folder"),
                    Err(_) => self.pass_over(shown(&path), "a link to nothing"),
                }
                continue;
            }
            match entries(&path) {
                Ok(mut entries) => {
                    entries.retain(|(name, _)| {
                        let hidden = name.as_encoded_bytes().starts_with(b".");
                        if hidden {
                            self.pass_over(shown(&path.join(name)), "hidden");
                        }
                        !hidden
                    });
                    entries.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
                    ahead.extend(entries.into_iter().map(|(name, is_folder)| (path.join(name), is_folder)));
                }
                Err(source) => self.fail(&path, &FileError::Open { source }),
            }
        }
    }

    fn file(&mut self, path: PathBuf, bytes: u64, met: &mut Option<HashSet<PathBuf>>) {
        if let Some(met) = met
            && let Ok(real) = fs::canonicalize(&path)
            && !met.insert(real)
        {
            self.pass_over(shown(&path), BEFORE);
            return;
        }
        self.sources.push(Source { name: shown(&path), bytes, place: Place::File(path) });
    }

    /// Keeps what can be read only once.
    fn keep(&mut self, name: String, from: &mut dyn Read) {
        let (spool, read) = Spool::fill(from);
        if let Err(source) = read {
            self.failed.push(FailedFile::new(&name, &FileError::BrokeOff { source }));
            if spool.bytes() == 0 {
                return;
            }
        }
        self.sources.push(Source::kept(name, spool));
    }

    fn fail(&mut self, path: &Path, error: &FileError) {
        self.failed.push(FailedFile::new(&shown(path), error));
    }
}

impl fmt::Debug for Inputs {
    /// The names: the contents may be gigabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.sources.iter().map(|source| &source.name)).finish()
    }
}

/// The names in a folder, and which of them are folders (links are not followed for that).
fn entries(folder: &Path) -> io::Result<Vec<(OsString, bool)>> {
    fs::read_dir(folder)?
        .map(|entry| {
            let entry = entry?;
            Ok((entry.file_name(), entry.file_type()?.is_dir()))
        })
        .collect()
}

#[cfg(unix)]
fn is_pipe(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    metadata.file_type().is_fifo()
}

#[cfg(not(unix))]
fn is_pipe(_: &fs::Metadata) -> bool {
    false
}

fn shown(path: &Path) -> String {
    harmless(&path.to_string_lossy())
}

/// File names come from outside too, and end up in reports.
fn harmless(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
