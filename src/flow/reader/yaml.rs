//! YAML as `aws logs … --output yaml` writes it: log events, the results of a query, or a list of messages.
//!
//! It is read line by line, as far as that output goes: keys with a text behind them, which may go on in deeper
//! lines, and lists. A document is never held as a whole.

use std::io::BufRead as _;

use memchr::memchr;

use super::error::FileError;
use super::messages::{MOST_LINE, Messages, holds_messages};
use super::window::Window;
use crate::flow::Field;

/// The keys with which such output can begin.
const FIRST: [&[u8]; 14] = [
    b"events",
    b"results",
    b"nextBackwardToken",
    b"nextForwardToken",
    b"nextToken",
    b"searchedLogStreams",
    b"statistics",
    b"status",
    b"queryLanguage",
    b"encryptionKey",
    b"eventId",
    b"ingestionTime",
    b"message",
    b"field",
];

/// Whether a text begins as such output does.
pub(super) fn begins(text: &[u8]) -> bool {
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default().trim_ascii_end();
    let inner = without_dashes(line).1;
    let key = inner.iter().position(|b| *b == b':').map(|colon| (&inner[..colon], &inner[colon + 1..]));
    let listed = inner.len() < line.len() && (inner.starts_with(b"2 ") || inner.starts_with(b"'2 "));
    line == b"---"
        || listed
        || key.is_some_and(|(key, rest)| FIRST.contains(&key) && (rest.is_empty() || rest.starts_with(b" ")))
}

/// How many dashes of lists a line begins with, and what comes behind them.
fn without_dashes(line: &[u8]) -> (usize, &[u8]) {
    let (mut dashes, mut inner) = (0, line.trim_ascii_start());
    while let Some(rest) = inner.strip_prefix(b"- ") {
        dashes += 1;
        inner = rest.trim_ascii_start();
    }
    (dashes, inner)
}

/// One text, from its first line on.
#[derive(Default)]
struct Text {
    /// How deep its key, or its dash, stands.
    depth: usize,
    key: String,
    value: Vec<u8>,
}

/// Reads to the end, or until the messages have enough.
pub(super) fn read(window: &mut Window<'_>, messages: &mut Messages<'_>) -> Result<(), FileError> {
    let before = messages.seen();
    let mut reader = Reader { messages, text: None, name: None, row: Vec::new() };
    let mut line = Vec::new();
    loop {
        let buffered = window.buffered();
        let end = memchr(b'\n', buffered);
        // Of an over-long line the beginning is enough to tell that it is no record.
        let room = (2 * MOST_LINE).saturating_sub(line.len());
        let piece = &buffered[..end.unwrap_or(buffered.len())];
        line.extend_from_slice(&piece[..piece.len().min(room)]);
        let length = end.map_or(buffered.len(), |end| end + 1);
        window.consume(length);
        if end.is_some() {
            reader.line(&line);
            line.clear();
            if reader.messages.enough() {
                return Ok(());
            }
            continue;
        }
        match window.fill() {
            Ok(true) => {}
            Ok(false) => break,
            Err(source) => return Err(FileError::Damaged { lines: reader.messages.number(), source }),
        }
    }
    reader.line(&line);
    reader.end_text();
    reader.end_row();
    if messages.seen().events_since(before) { Ok(()) } else { Err(FileError::NoEvents) }
}

struct Reader<'m, 'r> {
    messages: &'m mut Messages<'r>,
    text: Option<Text>,
    /// In a query's results, what the next value is called.
    name: Option<String>,
    row: Vec<(Field, String)>,
}

impl Reader<'_, '_> {
    fn line(&mut self, line: &[u8]) {
        let line = line.trim_ascii_end();
        let depth = line.len() - line.trim_ascii_start().len();
        let (dashes, inner) = without_dashes(line);
        if let Some(text) = &mut self.text
            && dashes == 0
            && depth > text.depth
        {
            if text.value.len() <= MOST_LINE {
                text.value.push(b' ');
                text.value.extend_from_slice(inner);
            }
            return;
        }
        self.end_text();
        if dashes > 1 {
            self.end_row();
        }
        if inner.is_empty() || inner == b"-" {
            return;
        }
        let behind = line.len() - inner.len();
        let colon = inner.iter().position(|b| *b == b':').filter(|colon| {
            let key = inner[..*colon].iter().all(|b| b.is_ascii_alphanumeric() || b"@_'\"".contains(b));
            key && matches!(inner.get(colon + 1), None | Some(b' '))
        });
        let (depth, key, value) = match colon {
            Some(colon) => (behind, &inner[..colon], &inner[colon + 1..]),
            None if dashes > 0 => (behind - 2, &b"message"[..], inner),
            None => return,
        };
        let key = String::from_utf8_lossy(unquoted(key)).into_owned();
        if matches!(key.as_str(), "events" | "results") {
            self.messages.expect_events();
        }
        self.text = Some(Text { depth, key, value: value.trim_ascii().to_vec() });
    }

    fn end_text(&mut self) {
        let Some(Text { key, value, .. }) = self.text.take() else { return };
        // A block's sign stands before its lines.
        let block = value.strip_prefix(b"|-").or(value.strip_prefix(b"|")).or(value.strip_prefix(b">-"));
        let value = unquoted(block.unwrap_or(&value).trim_ascii());
        match key.as_str() {
            "field" => self.name = Some(String::from_utf8_lossy(value).into_owned()),
            "value" => {
                let Some(name) = self.name.take() else { return };
                if holds_messages(&name) {
                    self.messages.line(value);
                } else if let Some(field) = Field::from_any_name(&name) {
                    self.row.push((field, String::from_utf8_lossy(value).into_owned()));
                }
            }
            "status" => self.messages.note_query_status(value),
            key if holds_messages(key) => self.messages.line(value),
            _ => {}
        }
    }

    fn end_row(&mut self) {
        let row = std::mem::take(&mut self.row);
        if row.len() > 1 {
            self.messages.row(&row);
        }
    }
}

fn unquoted(text: &[u8]) -> &[u8] {
    let inner = |mark: &[u8; 1]| text.strip_prefix(mark)?.strip_suffix(mark);
    inner(b"'").or_else(|| inner(b"\"")).unwrap_or(text)
}
