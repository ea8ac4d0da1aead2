//! Text of which one thread reads blocks and others parse the lines, ahead of the one that takes the records. They
//! are taken in the order of the input, as if there was one thread.

use std::io::{self, Read};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use memchr::{memchr_iter, memrchr};
use self_cell::self_cell;

use super::error::FileError;
use super::messages::{BareParser, MOST_LINE, Messages};
use super::window::Window;
use crate::flow::FlowRecord;
use crate::flow::groups::{Groups, Varying};

/// Bytes of one block: with the records in it, it fits the cache of one core.
const BLOCK: usize = 2 * MOST_LINE;

/// Blocks that wait before and behind each parser.
const MAX_WAITING: usize = 2;

/// More parsers than this one taker of records cannot follow.
const MAX_PARSERS: usize = 3;

/// What the lines of a block are.
enum Part<'b> {
    /// A line that is a record: the number of its group, and the rest.
    Record(&'b [u8], u32, Varying),
    /// Lines one after the other that are none: a place for each would let blank lines fill the memory.
    Others(&'b [u8]),
}

/// A block, line by line.
struct Parts<'b> {
    parts: Vec<Part<'b>>,
    /// A record of each group.
    groups: Vec<FlowRecord<'b>>,
}

self_cell!(
    struct Parsed {
        owner: Vec<u8>,
        #[covariant]
        dependent: Parts,
    }
);

/// Reads lines to the end of the window; they look like those that `parser` reads.
pub(super) fn read(
    window: &mut Window<'_>,
    messages: &mut Messages<'_>,
    parser: &BareParser,
) -> Result<(), FileError> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let parsers = (0..cores.saturating_sub(1).clamp(1, MAX_PARSERS)).map(|_| {
            let (unparsed, blocks) = sync_channel::<Vec<u8>>(MAX_WAITING);
            let (done, parsed) = sync_channel::<Parsed>(MAX_WAITING);
            scope.spawn(move || parse(&blocks, &done, parser));
            (unparsed, parsed)
        });
        let (unparsed, parsed): (Vec<SyncSender<Vec<u8>>>, Vec<Receiver<Parsed>>) = parsers.unzip();
        let reader = scope.spawn(move || read_blocks(window, &unparsed));
        // In turn, as they were handed out: the first that has no more says that there are no more.
        for parsed in parsed.iter().cycle() {
            let Ok(mut block) = parsed.recv() else { break };
            block.with_dependent_mut(|_, parts| take(parts, messages, parser));
        }
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // The line that breaks off is left out: half a number is a number too.
        read.map_err(|source| FileError::Damaged { lines: messages.number(), source })
    })
}

/// Reads the window in blocks, and hands them out in turn.
fn read_blocks(window: &mut Window<'_>, parsers: &[SyncSender<Vec<u8>>]) -> io::Result<()> {
    let mut parsers = parsers.iter().cycle();
    let mut text = Vec::with_capacity(BLOCK);
    let mut within_long_line = false;
    loop {
        let before = text.len();
        text.resize(BLOCK, 0);
        let read = window.read(&mut text[before..]);
        let length = *read.as_ref().unwrap_or(&0);
        text.truncate(before + length);
        let at_end = length == 0;
        if within_long_line {
            let line_end = text.iter().position(|b| *b == b'\n');
            text.drain(..line_end.map_or(text.len(), |end| end + 1));
            within_long_line = line_end.is_none();
        }
        let lines = memrchr(b'\n', &text).map_or(0, |end| end + 1);
        let rest = text.len() - lines;
        within_long_line |= rest > MOST_LINE;
        // Of a line that is too long to be one its beginning is enough.
        let whole = (at_end && read.is_ok()) || rest > MOST_LINE;
        if !(at_end || whole || text.len() + MOST_LINE > BLOCK) {
            continue;
        }
        let keep = if whole { text.len() } else { lines };
        let mut next = Vec::with_capacity(BLOCK);
        next.extend_from_slice(&text[keep..]);
        text.truncate(keep);
        let block = std::mem::replace(&mut text, next);
        if !block.is_empty() {
            let parser = parsers.next().expect("there is a parser");
            if parser.send(block).is_err() {
                return Ok(());
            }
        }
        if at_end {
            return read.map(drop);
        }
    }
}

fn parse(blocks: &Receiver<Vec<u8>>, done: &SyncSender<Parsed>, parser: &BareParser) {
    for block in blocks {
        let parsed = Parsed::new(block, |block| {
            let text = block.strip_suffix(b"\n").unwrap_or(block);
            let (mut from, mut others) = (0, 0);
            let mut parts = Vec::new();
            let mut groups = Groups::new();
            for to in memchr_iter(b'\n', text).chain([text.len()]) {
                let line = &text[from..to];
                if let Some((group, varying)) = parser.parse(line, &mut groups) {
                    if others < from {
                        parts.push(Part::Others(&text[others..from - 1]));
                    }
                    let group = u32::try_from(group).expect("fewer than the bytes of a block");
                    parts.push(Part::Record(line, group, varying));
                    others = to + 1;
                }
                from = to + 1;
            }
            if others < from {
                parts.push(Part::Others(&text[others..]));
            }
            Parts { parts, groups: groups.records }
        });
        if done.send(parsed).is_err() {
            return;
        }
    }
}

/// Takes the lines of a block. Once one of them says that others than `parser` reads follow, each is read anew.
fn take(block: &mut Parts<'_>, messages: &mut Messages<'_>, parser: &BareParser) {
    let mut fits = messages.is_read_by(parser);
    for part in &block.parts {
        match part {
            Part::Record(_, group, varying) if fits => {
                let group = *group as usize;
                let record = &mut block.groups[group];
                varying.write_to(record);
                messages.parsed(record, group);
            }
            Part::Record(line, ..) => messages.line(line),
            Part::Others(lines) => lines.split(|byte| *byte == b'\n').for_each(|line| messages.line(line)),
        }
        if !matches!(part, Part::Record(..)) || !fits {
            fits = messages.is_read_by(parser);
        }
    }
    messages.end_groups();
}
