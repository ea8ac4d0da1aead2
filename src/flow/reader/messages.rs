//! Single messages, from whatever shape they come: header lines, time stamps, records, and what is
//! none of these.

use super::error::FileError;
use super::{FailedFile, Reading, RejectReason, Rejected, Sink};
use crate::flow::record::Line;
use crate::flow::{Field, FlowRecord, LineError, LineParser, LogFormat};

/// A longer line is no flow-log record.
pub(super) const MOST_LINE: usize = 64 * 1024;

/// More formats than this come from damaged or hostile input.
const MOST_FORMATS: usize = 64;

/// So many reasons are told apart in one file.
const MOST_REASONS: usize = 32;

/// How long a sample of a rejected line is.
const SAMPLE: usize = 80;

/// How much of one source is wanted.
#[derive(Clone, Copy)]
pub(super) struct Quota {
    records: u64,
    lines: u64,
}

impl Quota {
    pub(super) const ALL: Self = Self { records: u64::MAX, lines: u64::MAX };

    /// So many records; lines too are bounded, so that a foreign file is not read to its end.
    pub(super) fn sample(records: u64) -> Self {
        Self { records, lines: records.saturating_mul(16).saturating_add(10_000) }
    }
}

/// Which parser the lines of a source go to.
enum Current {
    /// Nothing said what the format is: lines of the default format are read.
    Guessed(LineParser),
    /// The header line, or the caller, said it.
    Told(LineParser),
    /// The header line cannot be used, so neither can the lines after it.
    Unusable(RejectReason),
}

/// What stands before a message on its line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Prefix {
    Nothing,
    /// As a log-group export has it, and `aws logs tail --format short`.
    Time,
    /// As `aws logs tail` has it.
    TimeAndStream,
}

impl Prefix {
    const ALL: [Self; 3] = [Self::Nothing, Self::Time, Self::TimeAndStream];

    /// The line behind the prefix; `None` when the line has none.
    #[inline]
    fn strip(self, line: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Nothing => Some(line),
            Self::Time => begins_with_time(line).then(|| behind_word(line))?,
            Self::TimeAndStream => Self::Time.strip(line).and_then(behind_word),
        }
    }
}

/// How far a source has been read, to tell whether anything was found since.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    number: u64,
    headers: u64,
    events: bool,
}

/// Turns the messages of one source into records.
pub(super) struct Messages<'r> {
    name: &'r str,
    reading: &'r mut Reading,
    sink: &'r mut dyn Sink,
    quota: Quota,
    current: Current,
    /// The format of the current parser, until a line of it is met.
    unnoted: Option<LogFormat>,
    prefix: Prefix,
    number: u64,
    /// Messages that were not empty.
    seen: Seen,
    rejected: Vec<Rejected>,
}

impl<'r> Messages<'r> {
    pub(super) fn new(
        name: &'r str,
        format: Option<&LogFormat>,
        quota: Quota,
        reading: &'r mut Reading,
        sink: &'r mut dyn Sink,
    ) -> Self {
        let (current, format) = match format {
            Some(format) => (Current::Told(LineParser::new(format)), format.clone()),
            None => {
                let format = LogFormat::version_2();
                (Current::Guessed(LineParser::new(&format)), format)
            }
        };
        Self {
            name,
            reading,
            sink,
            quota,
            current,
            unnoted: Some(format),
            prefix: Prefix::Nothing,
            number: 0,
            seen: Seen { number: 0, headers: 0, events: false },
            rejected: Vec::new(),
        }
    }

    /// The number of the line, or in JSON of the event, that came last.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the quota is used up.
    #[inline]
    pub(super) fn enough(&self) -> bool {
        self.quota.records == 0 || self.quota.lines == 0
    }

    /// What has been met until now.
    pub(super) fn seen(&self) -> Seen {
        self.seen
    }

    /// Notes that log events were announced, though there may be none.
    pub(super) fn expect_events(&mut self) {
        self.seen.events = true;
    }

    /// An error when nothing but header lines and empty lines came since `before`.
    pub(super) fn something_since(&self, before: Seen) -> Result<(), FileError> {
        if self.seen.number > before.number {
            Ok(())
        } else if self.seen.headers > before.headers {
            Err(FileError::NoRecords)
        } else {
            Err(FileError::Empty)
        }
    }

    /// One line, or the text of one log event.
    #[inline]
    pub(super) fn line(&mut self, line: &[u8]) {
        self.number += 1;
        let message = line.trim_ascii();
        if message.is_empty() {
            return;
        }
        self.seen.number += 1;
        self.quota.lines = self.quota.lines.saturating_sub(1);
        if message.len() > MOST_LINE {
            self.reject(RejectReason::TooLong { most: MOST_LINE }, message);
            return;
        }
        // Nearly all lines are like the line before; a header line is never a record.
        match self.prefix.strip(message).map(|rest| self.parse(rest)) {
            Some(Ok(read)) => self.accept(read),
            _ => self.unlike_the_last(message),
        }
    }

    #[inline]
    fn parse<'l>(&self, message: &'l [u8]) -> Result<Line<'l>, RejectReason> {
        match &self.current {
            Current::Told(parser) => Ok(parser.parse(message)?),
            // The version is that of the newest field: any other than 2 means other fields.
            Current::Guessed(parser) if message.starts_with(b"2 ") => match parser.parse(message) {
                Err(LineError::Length { found, .. }) => Err(RejectReason::NoFormat { found }),
                read => Ok(read?),
            },
            Current::Guessed(_) => {
                Err(RejectReason::NoFormat { found: memchr::memchr_iter(b' ', message).count() + 1 })
            }
            Current::Unusable(reason) => Err(reason.clone()),
        }
    }

    #[inline]
    fn accept(&mut self, line: Line<'_>) {
        if let Some(format) = self.unnoted.take()
            && !self.reading.formats.contains(&format)
        {
            self.reading.formats.push(format);
        }
        match line {
            Line::Record(record) => self.record(&record),
            Line::NoData => self.reading.nodata += 1,
            Line::SkipData => self.reading.skipdata += 1,
        }
    }

    #[inline]
    fn record(&mut self, record: &FlowRecord<'_>) {
        self.quota.records = self.quota.records.saturating_sub(1);
        self.reading.records += 1;
        self.sink.record(record);
    }

    /// A header line, a line with another prefix than those before, or no record.
    #[cold]
    fn unlike_the_last(&mut self, message: &[u8]) {
        let mut reason = None;
        for prefix in Prefix::ALL {
            let Some(rest) = prefix.strip(message) else { break };
            if is_header(rest) {
                self.seen.headers += 1;
                self.seen.number -= 1;
                self.prefix = prefix;
                self.change_format(rest);
                return;
            }
            match self.parse(rest) {
                Ok(read) => {
                    self.prefix = prefix;
                    self.accept(read);
                    return;
                }
                // With a time stamp, what is wrong is what is wrong behind it.
                Err(why) if prefix != Prefix::TimeAndStream => reason = Some(why),
                Err(_) => {}
            }
        }
        let reason = reason.expect("a line without its prefix is tried first");
        self.reject(reason, message);
    }

    fn change_format(&mut self, header: &[u8]) {
        let text = std::str::from_utf8(header).expect("a header line is ASCII");
        let format = text.parse::<LogFormat>().map_err(RejectReason::from).and_then(|format| {
            let known = &self.reading.formats;
            if known.len() < MOST_FORMATS || known.contains(&format) {
                Ok(format)
            } else {
                Err(RejectReason::TooManyFormats { most: MOST_FORMATS })
            }
        });
        match format {
            Ok(format) => {
                self.current = Current::Told(LineParser::new(&format));
                self.unnoted = Some(format);
            }
            Err(reason) => {
                self.seen.number += 1;
                self.reject(reason.clone(), header);
                self.current = Current::Unusable(reason);
                self.unnoted = None;
            }
        }
    }

    /// Counts a damaged JSON document as one event.
    pub(super) fn damaged(&mut self, from: &[u8]) {
        self.number += 1;
        self.seen.number += 1;
        self.reject(RejectReason::Json, from);
    }

    /// Counts what was passed over, at the present line or event.
    pub(super) fn reject(&mut self, reason: RejectReason, line: &[u8]) {
        let full = self.rejected.len() >= MOST_REASONS;
        let like = self.rejected.iter().position(|group| group.reason.is_like(&reason));
        let group = like.or(full.then_some(MOST_REASONS - 1));
        if let Some(group) = group.and_then(|group| self.rejected.get_mut(group)) {
            group.count += 1;
            return;
        }
        let reason = if self.rejected.len() == MOST_REASONS - 1 { RejectReason::Further } else { reason };
        self.rejected.push(Rejected {
            file: self.name.to_owned(),
            reason,
            count: 1,
            line: self.number,
            sample: harmless(line),
        });
    }

    /// Hands over what was passed over; whether the source was left before its end.
    pub(super) fn finish(self, outcome: Result<(), FileError>) -> bool {
        let left_early = self.enough();
        self.reading.rejected.extend(self.rejected);
        if let Err(error) = outcome {
            self.reading.failed.push(FailedFile { name: self.name.to_owned(), error: error.chain() });
        }
        left_early
    }
}

impl Seen {
    /// Whether messages, or the place where they would be, came since `before`.
    pub(super) fn events_since(self, before: Self) -> bool {
        self.number > before.number || self.events
    }
}

/// Whether the line names fields: at least three that are known, and more known than not.
fn is_header(line: &[u8]) -> bool {
    let allowed = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b' ' | b'$' | b'{' | b'}');
    if !line.first().is_some_and(|b| b.is_ascii_lowercase() || *b == b'$') || !line.iter().all(allowed) {
        return false;
    }
    let (mut known, mut words) = (0, 0);
    for word in line.split(|b| *b == b' ').filter(|word| !word.is_empty()) {
        let name = word.strip_prefix(b"${").and_then(|rest| rest.strip_suffix(b"}")).unwrap_or(word);
        words += 1;
        known += usize::from(std::str::from_utf8(name).ok().and_then(Field::from_name).is_some());
    }
    known >= 3 && known * 2 > words
}

/// Whether the line begins like `2026-11-18T02:14`.
#[inline]
fn begins_with_time(line: &[u8]) -> bool {
    let Some(time) = line.first_chunk::<16>() else { return false };
    time.iter()
        .zip(b"dddd-dd-ddTdd:dd")
        .all(|(b, like)| if *like == b'd' { b.is_ascii_digit() } else { b == like })
}

/// What comes after the first word and the spaces behind it.
#[inline]
fn behind_word(line: &[u8]) -> Option<&[u8]> {
    let space = memchr::memchr2(b' ', b'\t', line)?;
    Some(line[space..].trim_ascii_start())
}

/// The beginning of a line as it may be shown anywhere.
pub(super) fn harmless(line: &[u8]) -> String {
    let shown = |b: &u8| if b.is_ascii_graphic() || *b == b' ' { char::from(*b) } else { '?' };
    if line.len() <= SAMPLE {
        return line.iter().map(shown).collect();
    }
    line.iter().take(SAMPLE - 3).map(shown).chain("...".chars()).collect()
}
