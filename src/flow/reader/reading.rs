//! What a pass over the input amounts to, beside the records themselves.

use super::error::FileError;
use crate::flow::{FormatError, LineError, LogFormat};
use crate::gap::Fix;

/// The counts of one pass, and all that was passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Records handed to the sink.
    pub records: u64,
    /// `NODATA` records: intervals without traffic.
    pub nodata: u64,
    /// `SKIPDATA` records: intervals of which records were left out.
    pub skipdata: u64,
    /// The formats of the records, each once, in the order they were met.
    pub formats: Vec<LogFormat>,
    /// Lines that are not records, by file and reason.
    pub rejected: Vec<Rejected>,
    /// Files of which nothing, or not everything, could be read.
    pub failed: Vec<FailedFile>,
    /// Files that hold no flow log, or nothing: of these nothing is missing.
    pub passed_over: Vec<PassedOver>,
}

impl Reading {
    /// How many lines were passed over.
    #[must_use]
    pub fn lines_rejected(&self) -> u64 {
        self.rejected.iter().map(|rejected| rejected.count).sum()
    }

    /// Whether the input told nothing at all.
    pub(super) fn is_nothing(&self) -> bool {
        self.records == 0 && self.nodata == 0 && self.skipdata == 0
    }
}

/// Lines of one file that were passed over for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The file's name.
    pub file: String,
    /// Why; with the numbers of the first such line.
    pub reason: RejectReason,
    /// How many.
    pub count: u64,
    /// The first of them, counted from 1: the line, or in JSON the log event.
    pub line: u64,
    /// The beginning of the first of them: at most 80 characters, printable ASCII alone.
    pub sample: String,
}

/// Why a line was passed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RejectReason {
    /// Not a line of the format that the header line or the caller named.
    #[error(transparent)]
    Line(#[from] LineError),
    /// Nothing says what the fields are, and it is not a line of the default format.
    #[error(
        "{found} fields, without a header line, and not in the default format: pass --log-format with the \
         fields as in the flow log's own format string"
    )]
    NoFormat {
        /// How many fields the line has.
        found: usize,
    },
    /// A transit gateway's.
    #[error(
        "a transit gateway's flow log, which shows no NAT gateway's ports: give the flow log of the NAT \
         gateway's own interface or VPC"
    )]
    TransitGateway,
    /// A header line that cannot be used, or a line after it.
    #[error(transparent)]
    Header(#[from] FormatError),
    /// A header line that names yet another format, or a line after it.
    #[error("more than {most} formats in the input")]
    TooManyFormats {
        /// How many are taken.
        most: usize,
    },
    /// Longer than a flow-log line can be.
    #[error("longer than {most} bytes")]
    TooLong {
        /// How long a line may be.
        most: usize,
    },
    /// A JSON document that is damaged; the ones after it are read.
    #[error("damaged JSON")]
    Json,
    /// A JSON document of another kind than those around it.
    #[error("JSON without a log event")]
    NoMessage,
    /// A subscription envelope whose contents could not be read to the end.
    #[error("the data of a subscription envelope is damaged")]
    Envelope,
    /// Everything beyond the first few reasons in one file.
    #[error("further reasons")]
    Further,
}

impl RejectReason {
    /// Whether it says that the file is of a transit gateway.
    pub(super) fn is_of_transit_gateway(&self) -> bool {
        matches!(self, Self::TransitGateway | Self::Header(FormatError::TransitGateway(_)))
    }

    /// Whether both belong in one group: the number of fields found does not tell them apart.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Line(LineError::Length { expected, .. }),
                Self::Line(LineError::Length { expected: other, .. }),
            ) => expected == other,
            (Self::NoFormat { .. }, Self::NoFormat { .. }) => true,
            _ => self == other,
        }
    }
}

/// A file of which nothing, or not everything, could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedFile {
    /// The file's name.
    pub name: String,
    /// What went wrong, with its causes, in one line.
    pub error: String,
    /// What to do about it: a command, where one helps.
    pub fix: Fix,
}

impl FailedFile {
    pub(super) fn new(name: &str, error: &FileError) -> Self {
        Self { name: name.to_owned(), error: error.chain(), fix: error.fix(name) }
    }
}

/// A file, a folder or a link that holds no flow log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Its name.
    pub name: String,
    /// What it is, or holds, instead.
    pub what: String,
    /// Of a file of something else, its first line, and why that is no record.
    pub line: Option<String>,
}
