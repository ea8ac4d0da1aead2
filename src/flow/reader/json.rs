//! JSON that holds messages, or the fields of records, event by event: a document is never held as a whole.
//!
//! CloudWatch Logs, Firehose, Kinesis, Splunk, OpenTelemetry and Elastic each wrap a message in keys of their
//! own. What is read is the text under a key that is known to hold messages, and any other text that is a record.
//! The documents may follow one another with or without line ends. Where one is damaged, reading
//! goes on at the next line that begins one.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, BufRead as _, Read};

use memchr::memchr;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::{FileError, JsonFault};
use super::events::{Between, Events, Leads, Passed, SHORTEST, SHOWN};
use super::messages::{Messages, Seen, holds_messages};
use super::window::Window;
use super::{RejectReason, stream};
use crate::base64;
use crate::flow::Field;

/// No single value may be longer: a string has to be held as a whole.
const MOST_VALUE: usize = 16 * 1024 * 1024;

/// A line of text among JSON is a message, and no longer than this.
const MOST_TEXT: usize = 4096;

/// Reads documents to the end, or until the messages have enough.
pub(super) fn read(
    window: &mut Window<'_>,
    messages: &mut Messages<'_>,
    layers: u8,
) -> Result<(), FileError> {
    let before = messages.seen();
    let mut empty = Empty::default();
    loop {
        let trail = Trail::over(window);
        let error = match documents(messages, &trail, layers, &mut empty) {
            Ok(()) if messages.enough() => return Ok(()),
            Ok(()) if messages.seen().events_since(before) => {
                empty.reject(messages);
                return Ok(());
            }
            Ok(()) => return Err(FileError::NoEvents),
            Err(_) if messages.enough() => return Ok(()),
            Err(error) => error,
        };
        let events = messages.number();
        if error.is_io() {
            return Err(FileError::Damaged { lines: events, source: error.into() });
        }
        let (consumed, place) = (trail.consumed.get(), trail.place.get());
        if error.is_eof() || !go_on(window, messages, consumed)? {
            return Err(FileError::Json { events, source: JsonFault::at(&error, place) });
        }
    }
}

/// Reads JSON that lies within a text, itself within so many layers.
pub(super) fn read_text(text: &[u8], messages: &mut Messages<'_>, layers: u8) -> Result<(), FileError> {
    read(&mut Window::new(Box::new(text)), messages, layers)
}

/// Documents in which there was nothing.
#[derive(Default)]
struct Empty {
    documents: u64,
    first: Vec<u8>,
}

impl Empty {
    /// Notes a document in which nothing came since `before`.
    fn note(&mut self, messages: &Messages<'_>, before: Seen, begins: &[u8]) {
        if !messages.seen().events_since(before) {
            self.documents += 1;
            if self.first.is_empty() {
                self.first = begins.to_vec();
            }
        }
    }

    fn reject(self, messages: &mut Messages<'_>) {
        for _ in 0..self.documents {
            messages.reject(RejectReason::NoMessage, &self.first);
        }
    }
}

fn documents(
    messages: &mut Messages<'_>,
    trail: &Trail<'_, '_>,
    layers: u8,
    empty: &mut Empty,
) -> serde_json::Result<()> {
    loop {
        let begins = {
            let mut window = trail.window.borrow_mut();
            match next_document(&mut window).map_err(serde_json::Error::io)? {
                None => return Ok(()),
                Some(b'{' | b'[' | b'"') => {}
                // A line of text among the documents.
                Some(_) if text_line(&mut window, messages).map_err(serde_json::Error::io)? => continue,
                Some(_) => {}
            }
            window.peek(SHOWN).map_err(serde_json::Error::io)?.to_vec()
        };
        let before = messages.seen();
        trail.mark();
        trail.place.set((1, 0));
        trail.message.borrow_mut().clear();
        let mut documents = serde_json::Deserializer::from_reader(Trailed { trail });
        let mut walk = Walk { kind: Kind::Document, messages: &mut *messages, trail, layers };
        walk.value().deserialize(&mut documents)?;
        empty.note(messages, before, &begins);
        let mut other = |messages: &mut Messages<'_>, text: &[u8]| {
            let before = messages.seen();
            let mut window = Window::new(Box::new(text));
            let trail = Trail::over(&mut window);
            let mut document = serde_json::Deserializer::from_reader(Trailed { trail: &trail });
            let walk = Walk { kind: Kind::Document, messages: &mut *messages, trail: &trail, layers };
            // It is whole: only that enough has been read can break it off.
            let _ = walk.deserialize(&mut document);
            empty.note(messages, before, &text[..SHOWN]);
        };
        plain_events(messages, trail, Between::Nothing, &mut other);
        if messages.enough() {
            return Ok(());
        }
    }
}

/// Goes to the next byte that is no space; `None` at the end.
fn next_document(window: &mut Window<'_>) -> io::Result<Option<u8>> {
    loop {
        let buffered = window.buffered();
        match buffered.iter().position(|b| !b.is_ascii_whitespace()) {
            Some(at) => {
                let byte = buffered[at];
                window.consume(at);
                return Ok(Some(byte));
            }
            None => {
                let all = buffered.len();
                window.consume(all);
                if !window.fill()? {
                    return Ok(None);
                }
            }
        }
    }
}

/// Takes the line that begins here, where it is a message; whether it is.
fn text_line(window: &mut Window<'_>, messages: &mut Messages<'_>) -> io::Result<bool> {
    let ahead = window.peek(MOST_TEXT)?;
    let length = memchr(b'\n', ahead).unwrap_or(ahead.len());
    let line = ahead[..length].to_vec();
    let read = messages.line_if_any(&line);
    if read {
        window.consume(length);
    }
    Ok(read)
}

/// Moves on to the next line that begins a document; `false` when there is none.
fn go_on(window: &mut Window<'_>, messages: &mut Messages<'_>, consumed: usize) -> Result<bool, FileError> {
    // The byte that was wrong is consumed, and may begin the next document.
    if consumed > 1 {
        window.step_back();
    }
    let damaged = |source, messages: &Messages<'_>| FileError::Damaged { lines: messages.number(), source };
    let sample = window.peek(SHOWN).map_err(|source| damaged(source, messages))?.to_vec();
    let mut line_start = window.at_line_start();
    loop {
        // A line that goes on behind what is buffered is a line too.
        if line_start && memchr(b'\n', window.buffered()).is_none() {
            window.peek(MOST_TEXT).map_err(|source| damaged(source, messages))?;
        }
        match window.buffered() {
            [] => match window.fill() {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(source) => return Err(damaged(source, messages)),
            },
            [b'{' | b'[', ..] if line_start => {
                messages.damaged(&sample);
                return Ok(true);
            }
            buffered => {
                let line_end = memchr(b'\n', buffered);
                let length = line_end.map_or(buffered.len(), |end| end + 1);
                if line_start && line_end.is_some() {
                    let line = buffered[..length].to_vec();
                    messages.line_if_any(&line);
                }
                line_start = line_end.is_some();
                window.consume(length);
            }
        }
    }
}

/// How far a parser has got, as seen from beneath it.
struct Trail<'w, 's> {
    window: RefCell<&'w mut Window<'s>>,
    consumed: Cell<usize>,
    marked: Cell<usize>,
    /// How much was consumed when an object ended.
    object_end: Cell<usize>,
    /// The line and the column in the document.
    place: Cell<(usize, usize)>,
    /// How many objects are to be read one by one before plain events are looked for again, and how many were to be the
    /// last time: to look costs as much as to read some hundred of them.
    wait: Cell<(u32, u32)>,
    /// The message of the present event: some write it twice, as it came and as they understood it.
    message: RefCell<String>,
}

/// Fewer bytes are read one by one.
const MIN_AHEAD: usize = 16 * 1024;

/// Where as many bytes were of plain events, looking for them was worth it.
const WORTH_IT: usize = 64 * 1024;

/// Most objects that are read one by one before plain events are looked for again.
const MAX_WAIT: u32 = 1 << 16;

impl<'w, 's> Trail<'w, 's> {
    fn over(window: &'w mut Window<'s>) -> Self {
        Self {
            window: RefCell::new(window),
            consumed: Cell::new(0),
            marked: Cell::new(0),
            object_end: Cell::new(0),
            place: Cell::new((1, 0)),
            wait: Cell::new((0, 0)),
            message: RefCell::default(),
        }
    }

    /// Notes that a value begins or ended here.
    fn mark(&self) {
        self.marked.set(self.consumed.get());
    }

    /// Whether an object has just ended, and much comes behind it.
    fn may_read_ahead(&self) -> bool {
        if self.object_end.get() != self.consumed.get() {
            return false;
        }
        let (left, all) = self.wait.get();
        self.wait.set((left.saturating_sub(1), all));
        left == 0 && self.window.borrow().buffered().len() >= MIN_AHEAD
    }

    /// Notes what was passed without the parser.
    fn pass(&self, passed: &Passed) {
        self.consumed.set(self.consumed.get() + passed.bytes);
        let (line, column) = self.place.get();
        let column = if passed.lines == 0 { column + passed.column } else { passed.column };
        self.place.set((line + passed.lines, column));
        self.object_end.set(self.consumed.get());
        self.mark();
        let wait = if passed.bytes < WORTH_IT { (self.wait.get().1 * 2).clamp(64, MAX_WAIT) } else { 0 };
        self.wait.set((wait, wait));
    }
}

/// What the parser reads from. The parser takes single bytes.
struct Trailed<'t, 'w, 's> {
    trail: &'t Trail<'w, 's>,
}

impl Read for Trailed<'_, '_, '_> {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(first) = into.first_mut() else { return Ok(0) };
        let Some(byte) = self.trail.window.borrow_mut().next_byte()? else { return Ok(0) };
        *first = byte;
        let consumed = self.trail.consumed.get() + 1;
        self.trail.consumed.set(consumed);
        let (line, column) = self.trail.place.get();
        self.trail.place.set(if byte == b'\n' { (line + 1, 0) } else { (line, column + 1) });
        if consumed - self.trail.marked.get() > MOST_VALUE {
            return Err(io::Error::other(format!("one JSON value is longer than {MOST_VALUE} bytes")));
        }
        Ok(1)
    }
}

/// What a value is, from what leads to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A document, an event of it, or the events.
    Document,
    /// The text of an event, or what holds it.
    Message,
    /// Log events, or rows of a query's results.
    Events,
    /// `messageType` of a subscription envelope.
    Sort,
    /// `status` of a query.
    Status,
    /// A document in gzip and Base64, or in Base64 alone.
    Packed,
    /// The value of a flow log's field.
    Field(Field),
    /// In a query's results, what the next value is called.
    Name,
    /// And that value.
    Value,
    /// Anything else; a text in it may be a message.
    Other,
}

impl Kind {
    /// What the value is to which `key` leads, within a value that is `self`.
    fn of(self, key: &str) -> Self {
        match key {
            "events" | "logEvents" | "results" => Self::Events,
            "messageType" => Self::Sort,
            "status" if self == Self::Document => Self::Status,
            // In the records of Firehose and Kinesis, and in what a subscribed function gets.
            "data" | "Data" => Self::Packed,
            "field" => Self::Name,
            "value" => Self::Value,
            // OpenTelemetry writes a body so.
            "stringValue" if self == Self::Message => Self::Message,
            _ if holds_messages(key) => Self::Message,
            _ => Field::from_any_name(key).map_or(Self::Other, Self::Field),
        }
    }
}

/// Reads the plain events that come behind an object, where there are many; `other` takes what is no record.
fn plain_events(
    messages: &mut Messages<'_>,
    trail: &Trail<'_, '_>,
    between: Between,
    other: &mut impl FnMut(&mut Messages<'_>, &[u8]),
) {
    if !messages.wants_many() || !trail.may_read_ahead() {
        return;
    }
    let Some(parser) = messages.bare_parser() else { return };
    let leads = |key: &str| match Kind::Events.of(key) {
        Kind::Message => Leads::ToMessage,
        Kind::Other if key != "status" => Leads::ToNothing,
        _ => Leads::Elsewhere,
    };
    let events = Events { parser: &parser, between, leads };
    let passed = events.read(&mut trail.window.borrow_mut(), messages, other);
    trail.pass(&passed);
}

/// What a value came to.
enum Found {
    Nothing,
    /// A text, or a number, that its object needs.
    Scalar(String),
    /// A value, with what it is called.
    Pair(String, String),
    /// An envelope that holds no logs.
    Control,
}

/// What one object, or one row of results, holds.
#[derive(Default)]
struct Row {
    fields: Vec<(Field, String)>,
    name: Option<String>,
    value: Option<String>,
    /// The text of an event, that was not read.
    unread: Option<String>,
}

/// Walks a value and hands over the messages in it.
struct Walk<'w, 'm, 't, 's> {
    kind: Kind,
    messages: &'w mut Messages<'m>,
    trail: &'w Trail<'t, 's>,
    layers: u8,
}

impl<'m, 't, 's> Walk<'_, 'm, 't, 's> {
    fn at(&mut self, kind: Kind) -> Walk<'_, 'm, 't, 's> {
        Walk { kind, messages: self.messages, trail: self.trail, layers: self.layers }
    }

    fn value(&mut self) -> Walk<'_, 'm, 't, 's> {
        self.at(self.kind)
    }

    fn scalar<E>(&self, text: impl ToString) -> Result<Found, E> {
        Ok(match self.kind {
            Kind::Field(_) | Kind::Name | Kind::Value => Found::Scalar(text.to_string()),
            _ => Found::Nothing,
        })
    }

    /// The text of an event. JSON may be in it, and several lines. What is not read comes back.
    fn message(&mut self, text: &str) -> Option<String> {
        let text = text.trim();
        let lines = || text.lines().filter(|line| !line.trim().is_empty());
        let mut unread = None;
        for line in lines() {
            if *self.trail.message.borrow() == line {
                continue;
            }
            line.clone_into(&mut self.trail.message.borrow_mut());
            if !self.messages.line_if_any(line.as_bytes()) {
                unread = Some(line.to_owned());
            }
        }
        unread
    }

    fn unpack(&mut self, data: &str) {
        let before = self.messages.seen();
        if let Some(inner) = base64::decode(data.trim().as_bytes()).filter(|inner| !inner.is_empty()) {
            if stream::read(Box::new(inner.as_slice()), self.messages, self.layers + 1).is_ok() {
                return;
            }
        } else if self.message(data).is_none() && !data.is_empty() {
            return;
        }
        if !self.messages.seen().events_since(before) {
            self.messages.expect_events();
        }
        self.messages.reject(RejectReason::Envelope, data.as_bytes());
    }

    /// Hands over what an object, or a row of results, came to.
    fn end(&mut self, row: Row, before: Seen) {
        if self.messages.seen().events_since(before) {
            return;
        }
        if let Some(text) = row.unread {
            self.messages.line(text.as_bytes());
        } else if row.fields.iter().filter(|(field, _)| field.is_of_flow()).count() >= MOST_BY_CHANCE {
            self.messages.row(&row.fields);
        }
    }
}

/// An object with so many fields that are called as a flow log's is a record, whole or not.
const MOST_BY_CHANCE: usize = 2;

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, '_, '_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, '_, '_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("log events")
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        self.scalar("-")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::Nothing)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found, E> {
        self.scalar(number)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Found, E> {
        self.scalar(number)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Found, E> {
        self.scalar(number)
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<Found, E> {
        self.trail.mark();
        let found = match self.kind {
            // An array of messages, as `--query 'events[].message'` makes it.
            Kind::Document | Kind::Events => {
                if let Some(unread) = self.message(text) {
                    self.messages.line(unread.as_bytes());
                }
                Found::Nothing
            }
            Kind::Message => self.message(text).map_or(Found::Nothing, Found::Scalar),
            Kind::Packed => {
                self.unpack(text);
                Found::Nothing
            }
            Kind::Sort if text == "CONTROL_MESSAGE" => Found::Control,
            Kind::Field(_) | Kind::Name | Kind::Value => Found::Scalar(text.to_owned()),
            Kind::Other if text.len() >= SHORTEST => {
                self.messages.line_if_any(text.as_bytes());
                Found::Nothing
            }
            Kind::Status => {
                self.messages.note_query_status(text.as_bytes());
                Found::Nothing
            }
            Kind::Sort | Kind::Other => Found::Nothing,
        };
        if self.messages.enough() { Err(E::custom("enough has been read")) } else { Ok(found) }
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<Found, A::Error> {
        let kind = match self.kind {
            kind @ (Kind::Document | Kind::Message | Kind::Events) => kind,
            _ => Kind::Other,
        };
        let before = self.messages.seen();
        let mut row = Row::default();
        while let Some(found) = elements.next_element_seed(self.at(kind))? {
            self.trail.mark();
            if kind != Kind::Other {
                self.trail.message.borrow_mut().clear();
            }
            match found {
                Found::Pair(name, value) => self.pair(&mut row, &name, value),
                Found::Scalar(unread) if kind == Kind::Message => row.unread = Some(unread),
                _ => {}
            }
            if matches!(kind, Kind::Document | Kind::Events) {
                let Self { trail, layers, .. } = self;
                let mut other = |messages: &mut Messages<'_>, text: &[u8]| {
                    let before = messages.seen();
                    let mut walk = Walk { kind: Kind::Message, messages, trail, layers };
                    let unread = walk.message(&String::from_utf8_lossy(text));
                    walk.end(Row { unread, ..Row::default() }, before);
                    trail.message.borrow_mut().clear();
                };
                plain_events(self.messages, trail, Between::Comma, &mut other);
                if self.messages.enough() {
                    return Err(A::Error::custom("enough has been read"));
                }
            }
        }
        self.end(row, before);
        Ok(Found::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Found, A::Error> {
        let before = self.messages.seen();
        let mut row = Row::default();
        let mut control = false;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            self.trail.mark();
            let kind = self.kind.of(&key);
            if kind == Kind::Events {
                self.messages.expect_events();
                if control {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            }
            match map.next_value_seed(self.at(kind))? {
                Found::Control => control = true,
                Found::Scalar(text) => match kind {
                    Kind::Field(field) => row.set(field, text),
                    Kind::Name => row.name = Some(text),
                    Kind::Value => row.value = Some(text),
                    _ => row.unread = Some(text),
                },
                Found::Nothing | Found::Pair(..) => {}
            }
        }
        // To find that there are no more keys, the parser has consumed the end of the object.
        self.trail.object_end.set(self.trail.consumed.get());
        match (row.name.take(), row.value.take()) {
            (Some(name), Some(value)) => return Ok(Found::Pair(name, value)),
            (None, Some(value)) if value.len() >= SHORTEST => {
                self.messages.line_if_any(value.as_bytes());
            }
            _ => {}
        }
        // What an event holds at several places, as a text and taken apart, is one message.
        if self.kind == Kind::Message && row.fields.is_empty() {
            if self.messages.seen().events_since(before) {
                return Ok(Found::Nothing);
            }
            return Ok(row.unread.map_or(Found::Nothing, Found::Scalar));
        }
        self.end(row, before);
        Ok(Found::Nothing)
    }
}

impl Walk<'_, '_, '_, '_> {
    /// A value of a row of results.
    fn pair(&mut self, row: &mut Row, name: &str, value: String) {
        if holds_messages(name) {
            row.unread = self.message(&value);
        } else if let Some(field) = Field::from_any_name(name) {
            row.set(field, value);
        }
    }
}

impl Row {
    /// The first value of each field counts.
    fn set(&mut self, field: Field, text: String) {
        if self.fields.iter().all(|(known, _)| *known != field) {
            self.fields.push((field, text));
        }
    }
}
