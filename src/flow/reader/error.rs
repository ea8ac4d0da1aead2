//! What can go wrong with the whole input, and with one file of it.

use std::error::Error;
use std::io;

use super::{FailedFile, Reading};

/// Why there is not one record to diagnose from.
///
/// Whatever could be read comes first: one bad file among good ones is never an error, it is named in
/// [`Reading::failed`](super::Reading::failed).
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing is where it was said to be.
    #[error("no such file or folder: {paths}")]
    Missing {
        /// The paths, separated by commas.
        paths: String,
    },
    /// Folders, but not a file in them.
    #[error("there is no file to read ({passed_over} hidden or special entries were passed over)")]
    NoFiles {
        /// Hidden and special entries.
        passed_over: u64,
    },
    /// Files, but each fails as a whole.
    #[error("not one flow-log file could be read: {reasons}")]
    Unreadable {
        /// Why, for each of the first few.
        reasons: String,
    },
    /// Files that can be read, and hold something else.
    #[error(
        "there are no flow-log records in the input; found {found}; expected VPC flow logs: text with a \
         header line of field names, lines in the default format or in that of --log-format (also \
         behind a time stamp), or JSON as CloudWatch Logs writes it; plain, gzip or zstd"
    )]
    NoRecords {
        /// What the first few files hold instead.
        found: String,
    },
}

/// So many files are named in an error.
const NAMED: usize = 3;

impl ReadError {
    pub(super) fn unreadable(failed: &[FailedFile]) -> Self {
        Self::Unreadable { reasons: first_few(failed.iter().map(|f| format!("{}: {}", f.name, f.error))) }
    }

    /// Why `reading` holds nothing.
    pub(super) fn of(reading: &Reading) -> Self {
        if reading.rejected.is_empty() && !reading.failed.is_empty() {
            return Self::unreadable(&reading.failed);
        }
        let rejected = reading
            .rejected
            .iter()
            .map(|r| format!("{}, line {}: {:?} ({})", r.file, r.line, r.sample, r.reason));
        let failed = reading.failed.iter().map(|f| format!("{}: {}", f.name, f.error));
        let found = first_few(rejected.chain(failed));
        Self::NoRecords { found: if found.is_empty() { "no log events".to_owned() } else { found } }
    }
}

fn first_few(mut all: impl Iterator<Item = String>) -> String {
    let mut text = all.by_ref().take(NAMED).collect::<Vec<_>>().join("; ");
    let more = all.count();
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// Why one file, or the rest of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("failed to open it")]
    Open { source: io::Error },
    #[error("neither a file, a folder nor a pipe")]
    Special,
    #[error("empty")]
    Empty,
    #[error("reading it broke off; what came before is counted")]
    BrokeOff { source: io::Error },
    #[error("damaged or cut short before the first line")]
    DamagedHead { source: io::Error },
    #[error("damaged or cut short after {lines} lines, which are counted")]
    Damaged { lines: u64, source: io::Error },
    #[error("damaged JSON after {events} events, which are counted")]
    Json { events: u64, source: serde_json::Error },
    #[error(
        "Parquet, which this build does not read: convert it to text (for example with DuckDB: COPY (FROM \
         'it.parquet') TO 'it.log' (HEADER, DELIMITER ' ')), or deliver the flow log as plain text"
    )]
    Parquet,
    #[error("UTF-16 text: save it as UTF-8")]
    Utf16,
    #[error("compressed with {0}, which is not read: decompress it first, or use gzip or zstd")]
    Compression(&'static str),
    #[error("binary data ({0:?}), neither text, JSON, gzip nor zstd")]
    Binary(String),
    #[error("packed into more than {0} layers of compression")]
    Layers(u8),
    #[error("a header line and no records")]
    NoRecords,
    #[error(
        "JSON without log events: expected what aws logs filter-log-events or get-log-events prints, or a \
         CloudWatch Logs subscription envelope"
    )]
    NoEvents,
}

impl FileError {
    /// The error with all that caused it, in one line.
    pub(super) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
