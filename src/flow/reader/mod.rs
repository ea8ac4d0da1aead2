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
mod opened;
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
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Instant;

pub use self::error::ReadError;
pub use self::input::{Input, Inputs};
pub use self::reading::{FailedFile, PassedOver, Reading, RejectReason, Rejected};

use self::error::FileError;
use self::input::Source;
use self::messages::{Messages, Quota};
use self::opened::{Openers, Progress, ToRead};
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
        let files: Vec<ToRead<'_>> = self.sources.iter().map(ToRead::new).collect();
        let progress = Progress::new(progress);
        thread::scope(|scope| {
            let mut openers = (files.len() > 1).then(|| Openers::begin(scope, &files, &progress, options));
            for (number, file) in files.iter().enumerate() {
                let unpacked = openers.as_mut().and_then(|openers| openers.unpacked(number));
                let input: io::Result<(Box<dyn Read + Send + '_>, u8)> = match unpacked {
                    Some(unpacked) => Ok((Box::new(unpacked), 1)),
                    None => file.open(&progress, options).map(|opened| (Box::new(opened) as _, 0)),
                };
                read_file(file, input, options, Quota::ALL, &mut reading, sink);
                progress.add(file.left.swap(0, Ordering::Relaxed));
            }
        });
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
                let (file, progress) = (ToRead::new(source), Progress::new(&|_| {}));
                let input = file.open(&progress, options).map(|opened| (Box::new(opened) as _, 0));
                left_early |= read_file(&file, input, options, Quota::sample(share), &mut reading, sink);
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

/// Reads one file into `reading` and `sink`, of which so many layers are unpacked; whether it was left before its end.
fn read_file(
    file: &ToRead<'_>,
    input: io::Result<(Box<dyn Read + Send + '_>, u8)>,
    options: &Options,
    quota: Quota,
    reading: &mut Reading,
    sink: &mut dyn Sink,
) -> bool {
    let format = options.format.as_ref();
    let mut messages = Messages::new(&file.source.name, file.room.clone(), format, quota, reading, sink);
    let outcome = match input {
        Ok((input, layers)) => stream::read(input, &mut messages, layers),
        Err(source) => Err(FileError::Open { source }),
    };
    let lines = messages.number();
    messages.finish(match outcome {
        Err(_) if options.is_time_over() => Err(FileError::TimeOver { lines }),
        outcome => outcome,
    })
}
