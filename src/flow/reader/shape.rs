//! What a stream of bytes holds, told from how it begins.

/// So many bytes are looked at.
pub(super) const LOOK: usize = 4096;

/// What a stream holds. The number is how many bytes of byte-order mark come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Empty,
    Gzip,
    Zstd,
    Parquet,
    Utf16,
    /// Compressed in a way that is not read.
    Compressed(&'static str),
    Binary,
    Json(usize),
    Text(usize),
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

const COMPRESSED: [(&[u8], &str); 6] = [
    (b"PK\x03\x04", "zip"),
    (b"BZh", "bzip2"),
    (b"\xFD7zXZ\0", "xz"),
    (b"\x04\x22\x4D\x18", "lz4"),
    (b"\xFF\x06\0\0sNaPpY", "snappy"),
    (b"7z\xBC\xAF\x27\x1C", "7-Zip"),
];

/// The shape of a stream that begins with `head`.
pub(super) fn of(head: &[u8]) -> Shape {
    match head {
        [] => return Shape::Empty,
        [0x1F, 0x8B, ..] => return Shape::Gzip,
        // The second is a skippable frame, with which parallel compressors begin.
        [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => return Shape::Zstd,
        [b'P', b'A', b'R', b'1', ..] => return Shape::Parquet,
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => return Shape::Utf16,
        _ => {}
    }
    if let Some((_, name)) = COMPRESSED.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Shape::Compressed(name);
    }
    let mark = if head.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let content = &head[mark..];
    // Some bad bytes are a bad line; when they are many, no line can be expected.
    let foreign = content.iter().filter(|b| !b.is_ascii_graphic() && !b.is_ascii_whitespace()).count();
    if foreign * 10 > content.len() * 3 {
        return Shape::Binary;
    }
    match content.trim_ascii_start() {
        [b'{' | b'[', ..] => Shape::Json(mark),
        _ => Shape::Text(mark),
    }
}
