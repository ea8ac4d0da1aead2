//! Log events in JSON that are as plain as AWS writes them: objects of texts and numbers, one of which is the message.
//!
//! Of these a log of many has nearly nothing else. They are found and parsed ahead of the thread that takes the records,
//! as lines of text are. Where another comes, whoever reads any JSON goes on with it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use memchr::{memchr_iter, memchr2, memrchr};

use super::ahead::{Block, Parsed, Part, Parts, side_by_side, take};
use super::messages::{BareParser, Messages};
use super::window::Window;
use crate::flow::groups::Groups;

/// What stands between two events.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// They are elements of an array.
    Comma,
    /// Each is a document.
    Nothing,
}

/// What a key of an event leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leads {
    /// The message.
    ToMessage,
    /// What is passed over, unless it is a long text.
    ToNothing,
    /// Something that this module does not read.
    Elsewhere,
}

/// A text that is as long may be a message, whatever its key.
pub(super) const SHORTEST: usize = 40;

/// So many bytes of a document in which there is nothing are kept to be shown.
pub(super) const SHOWN: usize = 128;

/// What was passed.
#[derive(Default)]
pub(super) struct Passed {
    pub(super) bytes: usize,
    /// How many lines ended in it.
    pub(super) lines: usize,
    /// How many bytes came behind the end of the last; all, where none ended.
    pub(super) column: usize,
}

impl Passed {
    fn add(&mut self, text: &[u8]) {
        self.bytes += text.len();
        self.lines += memchr_iter(b'\n', text).count();
        self.column = memrchr(b'\n', text).map_or(self.column + text.len(), |end| text.len() - end - 1);
    }
}

/// How to read events.
pub(super) struct Events<'p> {
    /// What parses a message that is a record.
    pub(super) parser: &'p BareParser,
    pub(super) between: Between,
    /// What a key leads to.
    pub(super) leads: fn(&str) -> Leads,
}

impl Events<'_> {
    /// Reads the events behind an object, until one comes that is not plain, or the messages have enough. The window
    /// is then behind the last that was read. `other` takes the messages that are no records; where each event is a
    /// document, it takes the document, with some of what is behind it.
    pub(super) fn read(
        &self,
        window: &mut Window<'_>,
        messages: &mut Messages<'_>,
        other: &mut impl FnMut(&mut Messages<'_>, &[u8]),
    ) -> Passed {
        let ended = AtomicBool::new(false);
        let mut passed = Passed::default();
        let mut behind = window.behind().to_vec();
        let mut rest = Vec::new();
        let take_block = |mut block: Parsed| {
            if ended.load(Ordering::Relaxed) {
                rest.extend_from_slice(block.borrow_owner().text());
                return Some(block.into_owner());
            }
            block.with_dependent_mut(|_, parts| take(parts, messages, self.parser, other));
            if messages.enough() {
                return None;
            }
            let (text, end) = (block.borrow_owner().text(), block.borrow_dependent().end);
            passed.add(&text[..end]);
            behind.extend_from_slice(&text[end.saturating_sub(2)..end]);
            if end < text.len() {
                ended.store(true, Ordering::Relaxed);
                rest.extend_from_slice(&text[end..]);
            }
            Some(block.into_owner())
        };
        let (unread, read) = side_by_side(
            |hand_out, taken| self.read_blocks(window, hand_out, taken, &ended),
            |text, most_parts| self.parse(text, most_parts),
            take_block,
        );
        rest.extend_from_slice(unread.text());
        window.give_back(&behind, rest, read.err());
        passed
    }

    /// Reads the window in blocks, each to the end of an event, and hands them out in turn; what is left, and what broke
    /// it off.
    fn read_blocks(
        &self,
        window: &mut Window<'_>,
        hand_out: &mut dyn FnMut(Block) -> bool,
        taken: &Receiver<Block>,
        ended: &AtomicBool,
    ) -> (Block, io::Result<()>) {
        let mut block = Block::empty();
        while !ended.load(Ordering::Relaxed) {
            let read = block.read(window);
            let at_end = *read.as_ref().unwrap_or(&0) == 0;
            if !at_end && !block.is_long() {
                continue;
            }
            let Some(end) = self.last_end(block.text()) else {
                if at_end || block.is_full() {
                    return (block, read.map(drop));
                }
                continue;
            };
            let mut next = taken.try_recv().unwrap_or_else(|_| Block::empty());
            block.split(end, &mut next);
            if !hand_out(std::mem::replace(&mut block, next)) || at_end {
                return (block, read.map(drop));
            }
        }
        (block, Ok(()))
    }

    /// Where the last event ends behind which another begins. It may be no event's end: who parses them finds out.
    fn last_end(&self, text: &[u8]) -> Option<usize> {
        let mut before = text.len();
        while let Some(begins) = memrchr(b'{', &text[..before]) {
            let mut behind = text[..begins].trim_ascii_end();
            if self.between == Between::Comma {
                behind = behind.strip_suffix(b",").unwrap_or_default().trim_ascii_end();
            }
            if behind.ends_with(b"}") {
                return Some(behind.len());
            }
            before = begins;
        }
        None
    }

    fn parse<'b>(&self, text: &'b [u8], parts: usize) -> Parts<'b> {
        let mut parts = Vec::with_capacity(parts);
        let mut groups = Groups::new();
        let mut events = Scan { rest: text, keys: Vec::new(), leads: self.leads };
        let mut end = 0;
        while let Some(message) = events.event(self.between) {
            let shown = match self.between {
                Between::Comma => message,
                Between::Nothing => {
                    let document = text[end..].trim_ascii_start();
                    let length = document.len() - events.rest.len();
                    let Some(shown) = document.get(..length.max(SHOWN)) else { break };
                    shown
                }
            };
            parts.push(match self.parser.parse_event(message, &mut groups) {
                Some((group, varying)) => Part::record(shown, group, varying),
                None => Part::Others(shown),
            });
            end = text.len() - events.rest.len();
        }
        Parts { parts, groups: groups.records, end }
    }
}

/// Goes over events.
struct Scan<'b> {
    rest: &'b [u8],
    /// The keys of the event before, by their places: nearly all have the same.
    keys: Vec<(&'b [u8], Leads)>,
    leads: fn(&str) -> Leads,
}

impl<'b> Scan<'b> {
    /// The message of the next event; `None` where it is not plain.
    fn event(&mut self, between: Between) -> Option<&'b [u8]> {
        if between == Between::Comma {
            self.expect(b',')?;
        }
        self.expect(b'{')?;
        let mut message = None;
        for place in 0.. {
            self.expect(b'"')?;
            let leads = self.key(place)?;
            self.expect(b':')?;
            self.rest = self.rest.trim_ascii_start();
            match (self.rest.first()?, leads) {
                (_, Leads::Elsewhere) => return None,
                (b'"', Leads::ToMessage) if message.is_none() => {
                    let text = self.text()?;
                    // An event without any is none where each is a document.
                    if text.trim_ascii().is_empty()
                        || !text.iter().fold(true, |all, byte| all & is_plain(*byte))
                    {
                        return None;
                    }
                    message = Some(text);
                }
                (_, Leads::ToMessage) => return None,
                (b'"', Leads::ToNothing) => {
                    let text = self.text()?;
                    let is_harmless = if text.len() < SHORTEST {
                        text.iter().all(|byte| is_plain(*byte))
                    } else {
                        text[0].is_ascii_alphanumeric() && text.iter().all(|byte| is_of_word(*byte))
                    };
                    if !is_harmless {
                        return None;
                    }
                }
                (_, Leads::ToNothing) => self.number_or_word()?,
            }
            self.rest = self.rest.trim_ascii_start();
            let (next, rest) = self.rest.split_first()?;
            self.rest = rest;
            match next {
                b',' => {}
                b'}' => return message,
                _ => return None,
            }
        }
        None
    }

    /// Goes behind a byte, and spaces before it.
    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.trim_ascii_start().strip_prefix(&[byte])?;
        Some(())
    }

    /// What the key leads to that begins here, behind its quotation mark.
    #[inline]
    fn key(&mut self, place: usize) -> Option<Leads> {
        if let Some((key, leads)) = self.keys.get(place)
            && let Some(rest) = self.rest.strip_prefix(*key)
            && let Some(rest) = rest.strip_prefix(b"\"")
        {
            self.rest = rest;
            return Some(*leads);
        }
        let end = memchr2(b'"', b'\\', self.rest)?;
        let key = &self.rest[..end];
        if self.rest[end] != b'"' || !key.iter().all(|byte| is_plain(*byte)) {
            return None;
        }
        let leads = (self.leads)(std::str::from_utf8(key).ok()?);
        self.rest = &self.rest[end + 1..];
        self.keys.truncate(place);
        self.keys.push((key, leads));
        Some(leads)
    }

    /// A text in which nothing stands for anything else.
    #[inline]
    fn text(&mut self) -> Option<&'b [u8]> {
        let behind = &self.rest[1..];
        let end = memchr2(b'"', b'\\', behind)?;
        let (text, rest) = behind.split_at(end);
        self.rest = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    /// A whole number, or one of the three words.
    fn number_or_word(&mut self) -> Option<()> {
        const MOST_DIGITS: usize = 18;
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            let word =
                [&b"true"[..], b"false", b"null"].into_iter().find(|word| self.rest.starts_with(word))?;
            self.rest = &self.rest[word.len()..];
            return Some(());
        }
        let is_number = digits <= MOST_DIGITS && (digits == 1 || self.rest[0] != b'0');
        self.rest = &self.rest[digits..];
        is_number.then_some(())
    }
}

/// Whether it stands for itself in JSON, in whatever coding.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Whether it may be part of a word that is neither a record nor anything else that is looked for in a text.
fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/_:.-".contains(&byte)
}
