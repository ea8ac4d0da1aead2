//! One stream of bytes: unpacked, layer by layer, then read according to its shape.

use std::io::{self, BufRead as _, Read};

use super::error::FileError;
use super::messages::{Messages, harmless};
use super::shape::{self, Shape};
use super::unpack::Room;
use super::utf16::Utf16;
use super::window::Window;
use super::{json, text, yaml};

/// Firehose can compress what CloudWatch Logs had compressed; nobody goes further than that.
const MOST_LAYERS: u8 = 4;

/// What gzip or zstd packed, unpacked; what is packed otherwise, as it is.
pub(super) fn unpacked<'s>(mut window: Window<'s>, room: &Room) -> io::Result<Box<dyn Read + Send + 's>> {
    Ok(match shape::of(window.peek(shape::LOOK)?) {
        Shape::Gzip => Box::new(room.bounding(flate2::bufread::MultiGzDecoder::new(window))),
        Shape::Zstd => Box::new(room.bounding(zstd::Decoder::with_buffer(window)?)),
        _ => Box::new(window),
    })
}

/// Reads a stream that lies within `layers` others. What was read before an error counts.
pub(super) fn read(
    raw: Box<dyn Read + Send + '_>,
    messages: &mut Messages<'_>,
    layers: u8,
) -> Result<(), FileError> {
    if layers > MOST_LAYERS {
        return Err(FileError::Layers(MOST_LAYERS));
    }
    let damaged = |source| FileError::DamagedHead { source };
    let mut window = Window::new(raw);
    let head = window.peek(shape::LOOK).map_err(damaged)?;
    match shape::of(head) {
        Shape::Empty => Err(FileError::Empty),
        Shape::Gzip | Shape::Zstd => {
            let unpacked = unpacked(window, messages.room()).map_err(damaged)?;
            read(unpacked, messages, layers + 1)
        }
        #[cfg(feature = "parquet")]
        Shape::Parquet => super::parquet::read(&mut window, messages),
        #[cfg(not(feature = "parquet"))]
        Shape::Parquet => Err(FileError::Parquet),
        Shape::Utf16 { high_first } => {
            window.consume(2);
            read(Box::new(Utf16::new(window, high_first)), messages, layers + 1)
        }
        Shape::Packed(packing) => Err(FileError::Packed(packing)),
        Shape::Binary => Err(FileError::Binary(harmless(&head[..head.len().min(16)]))),
        Shape::Json(mark) => {
            window.consume(mark);
            json::read(&mut window, messages, layers)
        }
        Shape::Yaml(mark) => {
            window.consume(mark);
            yaml::read(&mut window, messages)
        }
        Shape::Text(mark) => {
            window.consume(mark);
            text::read(&mut window, messages)
        }
    }
}
