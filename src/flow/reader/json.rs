//! JSON as CloudWatch Logs writes it, event by event: a document is never held as a whole.
//!
//! The documents may follow one another with or without line ends. Where one is damaged, reading
//! goes on at the next line that begins one.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead as _, Read};

use memchr::memchr;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::FileError;
use super::messages::Messages;
use super::window::Window;
use super::{RejectReason, stream};
use crate::base64;

/// No single value may be longer: a string has to be held as a whole.
const MOST_VALUE: usize = 16 * 1024 * 1024;

/// Of a damaged document, so many bytes are kept to be shown.
const ENOUGH_FOR_SAMPLE: usize = 128;

/// Reads documents to the end, or until the messages have enough.
pub(super) fn read(
    window: &mut Window<'_>,
    messages: &mut Messages<'_>,
    layers: u8,
) -> Result<(), FileError> {
    let before = messages.seen();
    loop {
        let trail = Trail::default();
        let error = match documents(window, messages, &trail, layers) {
            Ok(()) if messages.enough() || messages.seen().events_since(before) => return Ok(()),
            Ok(()) => return Err(FileError::NoEvents),
            Err(_) if messages.enough() => return Ok(()),
            Err(error) => error,
        };
        let events = messages.number();
        if error.is_io() {
            return Err(FileError::Damaged { lines: events, source: error.into() });
        }
        if error.is_eof() || !go_on(window, messages, &trail)? {
            return Err(FileError::Json { events, source: error });
        }
    }
}

fn documents(
    window: &mut Window<'_>,
    messages: &mut Messages<'_>,
    trail: &Trail,
    layers: u8,
) -> serde_json::Result<()> {
    let mut documents = serde_json::Deserializer::from_reader(Trailed { window, trail });
    loop {
        match documents.end() {
            Ok(()) => return Ok(()),
            Err(error) if error.is_io() => return Err(error),
            Err(_) => {}
        }
        trail.mark();
        Walk { place: Place::Document, messages, trail, layers }.deserialize(&mut documents)?;
    }
}

/// Moves on to the next line that begins a document; `false` when there is none.
fn go_on(window: &mut Window<'_>, messages: &mut Messages<'_>, trail: &Trail) -> Result<bool, FileError> {
    // The byte that was wrong is consumed, and may begin the next document.
    if trail.consumed.get() > 1 {
        window.step_back();
    }
    let buffered = window.buffered();
    let sample = buffered[..buffered.len().min(ENOUGH_FOR_SAMPLE)].to_vec();
    let mut line_start = window.at_line_start();
    loop {
        match window.buffered() {
            [] => match window.fill() {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(source) => return Err(FileError::Damaged { lines: messages.number(), source }),
            },
            [b'{' | b'[', ..] if line_start => {
                messages.damaged(&sample);
                return Ok(true);
            }
            buffered => {
                let line_end = memchr(b'\n', buffered);
                let length = line_end.map_or(buffered.len(), |end| end + 1);
                line_start = line_end.is_some();
                window.consume(length);
            }
        }
    }
}

/// How far a parser has got, as seen from beneath it.
#[derive(Default)]
struct Trail {
    consumed: Cell<usize>,
    marked: Cell<usize>,
}

impl Trail {
    /// Notes that a value begins or ended here.
    fn mark(&self) {
        self.marked.set(self.consumed.get());
    }
}

/// What the parser reads from. The parser takes single bytes.
struct Trailed<'w, 's> {
    window: &'w mut Window<'s>,
    trail: &'w Trail,
}

impl Read for Trailed<'_, '_> {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(first) = into.first_mut() else { return Ok(0) };
        let Some(byte) = self.window.next_byte()? else { return Ok(0) };
        *first = byte;
        let consumed = self.trail.consumed.get() + 1;
        self.trail.consumed.set(consumed);
        if consumed - self.trail.marked.get() > MOST_VALUE {
            return Err(io::Error::other(format!("one JSON value is longer than {MOST_VALUE} bytes")));
        }
        Ok(1)
    }
}

/// What a value is, from where it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A document, an event of it, or the events.
    Document,
    /// The text of an event.
    Message,
    /// `messageType` of a subscription envelope.
    Kind,
    /// `awslogs`, in which a Lambda function gets an envelope.
    Packed,
    /// An envelope in gzip and Base64.
    Data,
}

/// Walks a value and hands over the messages in it. The result is whether the value marks an
/// envelope that holds no logs.
struct Walk<'w, 'm> {
    place: Place,
    messages: &'w mut Messages<'m>,
    trail: &'w Trail,
    layers: u8,
}

impl<'m> Walk<'_, 'm> {
    fn at(&mut self, place: Place) -> Walk<'_, 'm> {
        Walk { place, messages: self.messages, trail: self.trail, layers: self.layers }
    }

    fn unpack(&mut self, data: &str) {
        let inner = base64::decode(data.as_bytes());
        let read =
            inner.map(|inner| stream::read(Box::new(inner.as_slice()), self.messages, self.layers + 1));
        if !matches!(read, Some(Ok(()))) {
            self.messages.expect_events();
            self.messages.reject(RejectReason::Envelope, data.as_bytes());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("log events")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<bool, E> {
        self.trail.mark();
        match self.place {
            // An array of messages, as `--query 'events[].message'` makes it.
            Place::Document | Place::Message => self.messages.line(text.as_bytes()),
            Place::Data => self.unpack(text),
            Place::Kind => return Ok(text == "CONTROL_MESSAGE"),
            Place::Packed => {}
        }
        if self.messages.enough() { Err(E::custom("enough has been read")) } else { Ok(false) }
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<bool, A::Error> {
        if self.place == Place::Document {
            while elements.next_element_seed(self.at(Place::Document))?.is_some() {
                self.trail.mark();
            }
        } else {
            while elements.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
        let mut control = false;
        while let Some(key) = map.next_key_seed(KeyOf(self.place))? {
            self.trail.mark();
            match key {
                Key::Events => {
                    self.messages.expect_events();
                    if control {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        map.next_value_seed(self.at(Place::Document))?;
                    }
                }
                Key::At(Place::Kind) => control = map.next_value_seed(self.at(Place::Kind))?,
                Key::At(place) => {
                    map.next_value_seed(self.at(place))?;
                }
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(false)
    }
}

/// What a key of an object leads to.
enum Key {
    Events,
    At(Place),
    Other,
}

/// Reads a key of an object that stands at the place, without keeping it.
struct KeyOf(Place);

impl<'de> DeserializeSeed<'de> for KeyOf {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyOf {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        Ok(match (self.0, key) {
            (Place::Document, "events" | "logEvents") => Key::Events,
            (Place::Document, "message") => Key::At(Place::Message),
            (Place::Document, "messageType") => Key::At(Place::Kind),
            (Place::Document, "awslogs") => Key::At(Place::Packed),
            (Place::Packed, "data") => Key::At(Place::Data),
            _ => Key::Other,
        })
    }
}
