//! What a stream of bytes holds, told from how it begins.

use super::error::Packing;
use super::yaml;

/// So many bytes are looked at.
pub(super) const LOOK: usize = 4096;

/// What a stream holds. The number is how many bytes of byte-order mark come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Empty,
    Gzip,
    Zstd,
    Parquet,
    /// Text of two bytes each, the higher first or not.
    Utf16 {
        high_first: bool,
    },
    /// Packed in a way that is not read.
    Packed(Packing),
    Binary,
    Json(usize),
    /// As `--output yaml` of the AWS command line writes it.
    Yaml(usize),
    Text(usize),
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

const PACKED: [(&[u8], Packing); 6] = [
    (b"PK\x03\x04", Packing::Zip),
    (b"BZh", Packing::Bzip2),
    (b"\xFD7zXZ\0", Packing::Xz),
    (b"\x04\x22\x4D\x18", Packing::Lz4),
    (b"\xFF\x06\0\0sNaPpY", Packing::Snappy),
    (b"7z\xBC\xAF\x27\x1C", Packing::SevenZip),
];

/// Where a tar archive says that it is one. Source: `ustar` in POSIX, pax.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// The shape of a stream that begins with `head`.
pub(super) fn of(head: &[u8]) -> Shape {
    match head {
        [] => return Shape::Empty,
        [0x1F, 0x8B, ..] => return Shape::Gzip,
        // The second is a skippable frame, with which parallel compressors begin.
        [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => return Shape::Zstd,
        [b'P', b'A', b'R', b'1', ..] => return Shape::Parquet,
        [0xFF, 0xFE, ..] => return Shape::Utf16 { high_first: false },
        [0xFE, 0xFF, ..] => return Shape::Utf16 { high_first: true },
        _ => {}
    }
    if let Some((_, packing)) = PACKED.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Shape::Packed(*packing);
    }
    if head.get(TAR.0..).is_some_and(|there| there.starts_with(TAR.1)) {
        return Shape::Packed(Packing::Tar);
    }
    let mark = if head.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let content = &head[mark..];
    // Some bad bytes are a bad line; when they are many, no line can be expected.
    let foreign = content.iter().filter(|b| !b.is_ascii_graphic() && !b.is_ascii_whitespace()).count();
    if foreign * 10 > content.len() * 3 {
        return Shape::Binary;
    }
    // Syslog and others put brackets around what stands before a line.
    let is_json = |begins: &[u8], inner: &[u8]| {
        begins.trim_ascii_start().first().is_none_or(|next| inner.contains(next))
    };
    match content.trim_ascii_start() {
        [b'{', rest @ ..] if is_json(rest, b"\"}") => Shape::Json(mark),
        [b'[', rest @ ..] if is_json(rest, b"{[\"]") => Shape::Json(mark),
        content if yaml::begins(content) => Shape::Yaml(mark),
        _ => Shape::Text(mark),
    }
}
