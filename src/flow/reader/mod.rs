//! Flow-log files, folders and standard input, read into records one by one.
//!
//! What a file holds is told from its content, never from its name: text with a header line, bare
//! messages, messages behind whatever stands before them, tables, or JSON and YAML that hold messages or
//! their fields; plain, gzip or zstd. A line or a file that cannot be read is counted, named and passed over. Knows nothing of what the
//! records are wanted for.

mod ahead;
mod cells;
mod error;
mod events;
mod input;
mod json;
mod messages;
#[cfg(feature = "parquet")]
mod parquet;
mod reading;
mod shape;
mod spool;
mod stream;
mod text;
mod unpack;
mod utf16;
mod window;
mod yaml;

#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::time::Instant;

pub use self::error::ReadError;
pub use self::input::{Input, Inputs};
pub use self::reading::{FailedFile, PassedOver, Reading, RejectReason, Rejected};

use self::error::FileError;
use self::input::Source;
use self::messages::{Messages, Quota};
use self::unpack::Room;
use super::{FlowRecord, Interval, LogFormat};

/// How to read what does not describe itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The format of messages without a header line. A header line wins over it; without either,
    /// messages are taken for the default format, version 2.
    pub format: Option<LogFormat>,
    /// When to stop: what was read by then counts, and the file is named as one that was not read to its end.
    pub until: Option<Instant>,
}

impl Options {
    fn is_time_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

/// What records are handed to, one by one, in the order of the input.
pub trait Sink {
    /// Takes one record. It borrows from the line, which is gone afterwards.
    fn record(&mut self, record: &FlowRecord<'_>);

    /// Takes one record of a group: those of one group differ only in what
    /// [`Varying`](crate::flow::groups::Varying) holds. The number is that group's until [`Sink::end_groups`].
    fn record_of_group(&mut self, record: &FlowRecord<'_>, _group: usize) {
        self.record(record);
    }

    /// The numbers of groups are those of other groups from here on.
    fn end_groups(&mut self) {}

    /// Takes the format of the records that follow.
    fn format(&mut self, _format: &LogFormat) {}

    /// Takes an interval without traffic.
    fn no_data(&mut self, _interval: &Interval<'_>) {}

    /// Takes an interval of which records were left out.
    fn skip_data(&mut self, _interval: &Interval<'_>) {}

    /// Takes a line that was passed over, as it stands there.
    fn rejected(&mut self, _line: &[u8]) {}
}

/// In a sample of very many files, so many of them are looked into.
const SAMPLED_FILES: usize = 1000;

impl Inputs {
    /// Reads everything, and tells `progress` how many of [`Inputs::total_bytes`] have been read.
    ///
    /// # Errors
    /// When not one flow-log record was found in any of the files.
    pub fn read(
        &self,
        options: &Options,
        progress: &(dyn Fn(u64) + Sync),
        sink: &mut dyn Sink,
    ) -> Result<Reading, ReadError> {
        let mut reading = self.beginning();
        let mut before = 0;
        for source in &self.sources {
            let within = |bytes: u64| progress(before + bytes.min(source.bytes));
            read_source(source, options, &within, Quota::ALL, &mut reading, sink);
            before += source.bytes;
            progress(before);
        }
        if reading.is_nothing() { Err(ReadError::of(&reading)) } else { Ok(reading) }
    }

    /// Reads the beginnings of the files, `most_records` records at most, spread over the files.
    ///
    /// The counts of what it returns are those of the sample. Of more than a thousand files, a
    /// thousand are looked into first, and the others only where those held no record.
    ///
    /// # Errors
    /// When not one flow-log record was found and no file was left before its end. Without records
    /// in the sample and with files left early, the sample is empty, and only [`Inputs::read`] tells.
    pub fn sample(
        &self,
        options: &Options,
        most_records: usize,
        sink: &mut dyn Sink,
    ) -> Result<Reading, ReadError> {
        let mut reading = self.beginning();
        let step = self.sources.len().div_ceil(SAMPLED_FILES).max(1);
        let spread: Vec<&Source> = self.sources.iter().step_by(step).collect();
        let others = self.sources.iter().enumerate().filter(|(index, _)| index % step != 0);
        let others: Vec<&Source> = others.map(|(_, source)| source).collect();

        let most = most_records as u64;
        let mut left_early = false;
        for round in [spread, others] {
            for (index, source) in round.iter().enumerate() {
                let files = (round.len() - index) as u64;
                let share = (most - reading.records).div_ceil(files);
                if share == 0 {
                    return Ok(reading);
                }
                left_early |= read_source(source, options, &|_| {}, Quota::sample(share), &mut reading, sink);
            }
            if reading.records > 0 {
                return Ok(reading);
            }
        }
        if reading.is_nothing() && !left_early { Err(ReadError::of(&reading)) } else { Ok(reading) }
    }
}

impl Inputs {
    /// A reading before the first byte: what could not be opened, and what was passed over.
    fn beginning(&self) -> Reading {
        Reading { failed: self.failed.clone(), passed_over: self.passed_over.clone(), ..Reading::default() }
    }
}

/// Reads one source into `reading` and `sink`; whether it was left before its end.
fn read_source(
    source: &Source,
    options: &Options,
    progress: &(dyn Fn(u64) + Sync),
    quota: Quota,
    reading: &mut Reading,
    sink: &mut dyn Sink,
) -> bool {
    let room = Room::of(source.bytes);
    let mut messages = Messages::new(&source.name, room, options.format.as_ref(), quota, reading, sink);
    let outcome = match source.open() {
        Ok(inner) => stream::read(Box::new(Counted { inner, read: 0, progress, options }), &mut messages, 0),
        Err(source) => Err(FileError::Open { source }),
    };
    let lines = messages.number();
    messages.finish(match outcome {
        Err(_) if options.is_time_over() => Err(FileError::TimeOver { lines }),
        outcome => outcome,
    })
}

/// Tells how many bytes have passed, and ends when the time is over.
struct Counted<'p> {
    inner: Box<dyn Read + Send + 'p>,
    read: u64,
    progress: &'p (dyn Fn(u64) + Sync),
    options: &'p Options,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.options.is_time_over() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let length = self.inner.read(buffer)?;
        self.read += length as u64;
        (self.progress)(self.read);
        Ok(length)
    }
}
