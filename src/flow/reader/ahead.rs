//! Text of which one thread reads blocks and others parse the lines, ahead of the one that takes the records. They
//! are taken in the order of the input, as if there was one thread.

use std::io::{self, BufRead as _, Read as _};
use std::num::NonZero;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use memchr::{memchr, memchr_iter, memrchr};
use self_cell::self_cell;

use super::error::FileError;
use super::messages::{BareParser, MOST_LINE, Messages};
use super::window::Window;
use crate::flow::FlowRecord;
use crate::flow::groups::{Groups, Varying};

/// Bytes of one block: with the records in it, it fits the cache of one core.
pub(super) const BLOCK: usize = 2 * MOST_LINE;

/// Blocks that wait before and behind each parser.
const MAX_WAITING: usize = 2;

/// More parsers than this one taker of records cannot follow.
const MAX_PARSERS: usize = 3;

/// Text up to the end of a line, in a buffer that is used again once its records are taken: to make room anew for each
/// block would cost as much as to read it.
pub(super) struct Block {
    buffer: Box<[u8]>,
    length: usize,
}

impl Block {
    pub(super) fn empty() -> Self {
        Self { buffer: vec![0; BLOCK].into_boxed_slice(), length: 0 }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// Whether there is no room for more.
    pub(super) fn is_full(&self) -> bool {
        self.length == BLOCK
    }

    /// Whether it is long enough to be handed out.
    pub(super) fn is_long(&self) -> bool {
        self.length > BLOCK / 2
    }

    /// Reads once behind what is there; how many bytes.
    pub(super) fn read(&mut self, window: &mut Window<'_>) -> io::Result<usize> {
        let length = window.read(&mut self.buffer[self.length..])?;
        self.length += length;
        Ok(length)
    }

    /// Puts what is behind a place into another block.
    pub(super) fn split(&mut self, at: usize, rest: &mut Self) {
        rest.set(&self.text()[at..]);
        self.length = at;
    }

    /// Makes this the text.
    fn set(&mut self, text: &[u8]) {
        self.buffer[..text.len()].copy_from_slice(text);
        self.length = text.len();
    }

    /// Leaves out so many bytes at the beginning.
    fn skip(&mut self, bytes: usize) {
        self.buffer.copy_within(bytes..self.length, 0);
        self.length -= bytes;
    }
}

/// What the lines, or the events, of a block are.
pub(super) enum Part<'b> {
    /// A line that is a record: the number of its group, and the rest.
    Record(&'b [u8], u32, Varying),
    /// Lines one after the other that are none: a place for each would let blank lines fill the memory.
    Others(&'b [u8]),
}

/// A block, line by line, or event by event.
pub(super) struct Parts<'b> {
    pub(super) parts: Vec<Part<'b>>,
    /// A record of each group.
    pub(super) groups: Vec<FlowRecord<'b>>,
    /// How far the block was read.
    pub(super) end: usize,
}

self_cell!(
    pub(super) struct Parsed {
        owner: Block,
        #[covariant]
        dependent: Parts,
    }
);

/// Reads lines to the end of the window, or until the messages have enough; the lines look like those that `parser`
/// reads.
pub(super) fn read(
    window: &mut Window<'_>,
    messages: &mut Messages<'_>,
    parser: &BareParser,
) -> Result<(), FileError> {
    let take_block = |mut block: Parsed| {
        block.with_dependent_mut(|_, parts| take(parts, messages, parser, &mut take_lines));
        (!messages.enough()).then(|| block.into_owner())
    };
    let read = side_by_side(
        |parsers, taken| read_blocks(window, parsers, taken),
        |text, most_parts| parse(text, most_parts, parser),
        take_block,
    );
    if messages.enough() {
        return Ok(());
    }
    // The line that breaks off is left out: half a number is a number too.
    read.map_err(|source| FileError::Damaged { lines: messages.number(), source })
}

/// Reads the whole lines of a block that are in the window, without another thread; whether there were any.
pub(super) fn read_here(window: &mut Window<'_>, messages: &mut Messages<'_>, parser: &BareParser) -> bool {
    let buffered = window.buffered();
    let text = &buffered[..buffered.len().min(BLOCK)];
    let Some(end) = memrchr(b'\n', text) else { return false };
    let mut parts = parse(&text[..=end], 0, parser);
    take(&mut parts, messages, parser, &mut take_lines);
    window.consume(end + 1);
    true
}

/// Takes lines that are no records.
fn take_lines(messages: &mut Messages<'_>, lines: &[u8]) {
    for line in lines.split(|byte| *byte == b'\n') {
        messages.line(line);
        if messages.enough() {
            break;
        }
    }
}

/// Lets one thread read blocks and others parse them while this one takes them, in the order in which they were read.
/// `take` gives the block back, or nothing once it has enough.
pub(super) fn side_by_side<R: Send>(
    read: impl FnOnce(&mut dyn FnMut(Block) -> bool, &Receiver<Block>) -> R + Send,
    parse: impl Fn(&[u8], usize) -> Parts<'_> + Sync,
    mut take: impl FnMut(Parsed) -> Option<Block>,
) -> R {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let parse = &parse;
        let parsers = (0..cores.saturating_sub(1).clamp(1, MAX_PARSERS)).map(|_| {
            let (unparsed, blocks) = sync_channel::<Block>(MAX_WAITING);
            let (done, parsed) = sync_channel::<Parsed>(MAX_WAITING);
            scope.spawn(move || {
                let mut most_parts = 0;
                for block in blocks {
                    let parsed = Parsed::new(block, |block| parse(block.text(), most_parts));
                    most_parts = parsed.borrow_dependent().parts.len().max(most_parts);
                    if done.send(parsed).is_err() {
                        return;
                    }
                }
            });
            (unparsed, parsed)
        });
        let (unparsed, parsed): (Vec<SyncSender<Block>>, Vec<Receiver<Parsed>>) = parsers.unzip();
        let (taken, to_fill) = channel();
        let reader = scope.spawn(move || {
            let mut parsers = unparsed.iter().cycle();
            let mut hand_out = |block: Block| parsers.next().is_some_and(|parser| parser.send(block).is_ok());
            read(&mut hand_out, &to_fill)
        });
        // In turn, as they were handed out: the first that has no more says that there are no more.
        for parsed in parsed.iter().cycle() {
            let Ok(block) = parsed.recv() else { break };
            let Some(block) = take(block) else { break };
            // Where the reader is at its end, nobody needs it.
            let _ = taken.send(block);
        }
        // Whoever still reads or parses ahead finds that nobody takes it.
        drop(parsed);
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Reads the window in blocks, and hands them out in turn.
fn read_blocks(
    window: &mut Window<'_>,
    hand_out: &mut dyn FnMut(Block) -> bool,
    taken: &Receiver<Block>,
) -> io::Result<()> {
    let mut block = Block::empty();
    let mut within_long_line = false;
    loop {
        let read = block.read(window);
        let at_end = *read.as_ref().unwrap_or(&0) == 0;
        if within_long_line {
            let line_end = memchr(b'\n', block.text());
            block.skip(line_end.map_or(block.length, |end| end + 1));
            within_long_line = line_end.is_none();
        }
        let text = block.text();
        let lines = memrchr(b'\n', text).map_or(0, |end| end + 1);
        let rest = text.len() - lines;
        within_long_line |= rest > MOST_LINE;
        // Of a line that is too long to be one its beginning is enough.
        let whole = (at_end && read.is_ok()) || rest > MOST_LINE;
        if !(at_end || whole || text.len() + MOST_LINE > BLOCK) {
            continue;
        }
        let keep = if whole { text.len() } else { lines };
        let mut next = taken.try_recv().unwrap_or_else(|_| Block::empty());
        block.split(keep, &mut next);
        let block = std::mem::replace(&mut block, next);
        if block.length > 0 && !hand_out(block) {
            return Ok(());
        }
        if at_end {
            return read.map(drop);
        }
    }
}

/// Parses the lines of a text, of about so many parts.
fn parse<'b>(text: &'b [u8], parts: usize, parser: &BareParser) -> Parts<'b> {
    let end = text.len();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let (mut from, mut others) = (0, 0);
    let mut parts = Vec::with_capacity(parts);
    let mut groups = Groups::new();
    let mut end_line = |to: usize| {
        let line = &text[from..to];
        if let Some((group, varying)) = parser.parse(line, &mut groups) {
            if others < from {
                parts.push(Part::Others(&text[others..from - 1]));
            }
            parts.push(Part::record(line, group, varying));
            others = to + 1;
        }
        from = to + 1;
    };
    memchr_iter(b'\n', text).for_each(&mut end_line);
    end_line(text.len());
    if others < from {
        parts.push(Part::Others(&text[others..]));
    }
    Parts { parts, groups: groups.records, end }
}

impl<'b> Part<'b> {
    pub(super) fn record(line: &'b [u8], group: usize, varying: Varying) -> Self {
        Self::Record(line, u32::try_from(group).expect("fewer than the bytes of a block"), varying)
    }
}

/// Takes the lines of a block, and with `take_others` those that are no records. Once one of them says that others than
/// `parser` reads follow, each is read anew.
pub(super) fn take(
    block: &mut Parts<'_>,
    messages: &mut Messages<'_>,
    parser: &BareParser,
    take_others: &mut impl FnMut(&mut Messages<'_>, &[u8]),
) {
    let mut fits = messages.is_read_by(parser);
    for part in &block.parts {
        match part {
            Part::Record(_, group, varying) if fits => {
                let group = *group as usize;
                let record = &mut block.groups[group];
                varying.write_to(record);
                messages.parsed(record, group);
            }
            Part::Record(others, ..) | Part::Others(others) => {
                take_others(messages, others);
                fits = messages.is_read_by(parser);
            }
        }
        if messages.enough() {
            break;
        }
    }
    messages.end_groups();
}
