//! Records in groups: the records of one group differ only in what [`Varying`] holds.
//!
//! Interfaces and addresses repeat from line to line, and parsing them is most of the work of a line. Within one block
//! of text each combination of them is parsed once, and every further line is told by its bytes to be like it.

use std::hash::{BuildHasher as _, Hasher as _};
use std::ops::Range;

use hashbrown::DefaultHashBuilder;

use super::record::{Action, Line, MAX_BYTES, MAX_PACKETS, MAX_RECORD_SECONDS, TcpFlags};
use super::{Field, FlowRecord, LineParser};

/// What may differ between the records of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Varying {
    /// See [`FlowRecord::packets`].
    pub packets: u64,
    /// See [`FlowRecord::bytes`].
    pub bytes: u64,
    /// See [`FlowRecord::start`].
    pub start: i64,
    /// See [`FlowRecord::end`].
    pub end: i64,
    /// See [`FlowRecord::src_port`].
    pub src_port: u16,
    /// See [`FlowRecord::dst_port`].
    pub dst_port: u16,
    /// See [`FlowRecord::protocol`].
    pub protocol: u8,
    /// See [`FlowRecord::action`].
    pub action: Action,
    /// See [`FlowRecord::tcp_flags`].
    pub tcp_flags: Option<TcpFlags>,
}

impl Varying {
    fn of(record: &FlowRecord<'_>) -> Self {
        let &FlowRecord {
            packets, bytes, start, end, src_port, dst_port, protocol, action, tcp_flags, ..
        } = record;
        Self { packets, bytes, start, end, src_port, dst_port, protocol, action, tcp_flags }
    }

    /// What varies, with an end that a record can have; `None` where times or counts are none of a record.
    #[inline]
    #[must_use]
    pub fn usable(self) -> Option<Self> {
        let Self { packets, bytes, start, end, .. } = self;
        let is_usable = u32::try_from(start).is_ok()
            && u32::try_from(end).is_ok()
            && end >= start
            && packets <= MAX_PACKETS
            && bytes <= MAX_BYTES;
        is_usable.then_some(Self { end: end.min(start + MAX_RECORD_SECONDS), ..self })
    }

    /// Makes a record of the group the one of which this is.
    #[inline]
    pub fn write_to(self, record: &mut FlowRecord<'_>) {
        let Self { packets, bytes, start, end, src_port, dst_port, protocol, action, tcp_flags } = self;
        (record.packets, record.bytes, record.start, record.end) = (packets, bytes, start, end);
        (record.src_port, record.dst_port, record.protocol) = (src_port, dst_port, protocol);
        (record.action, record.tcp_flags) = (action, tcp_flags);
    }
}

/// Most columns of a format whose lines are grouped: AWS has 54 fields.
const MAX_COLUMNS: usize = 64;

/// Slots for the groups of one block: twice as many as the lines of an ordinary block.
const SLOTS: usize = 4096;

/// Where the fields of [`Varying`] are among the columns.
#[derive(Clone, Debug)]
struct Places {
    src_port: usize,
    dst_port: usize,
    protocol: usize,
    start: usize,
    end: usize,
    packets: Option<usize>,
    bytes: Option<usize>,
    action: Option<usize>,
    status: Option<usize>,
    tcp_flags: Option<usize>,
}

/// Reads lines of one format, and tells which group each is of.
#[derive(Clone, Debug)]
pub struct GroupParser {
    parser: LineParser,
    columns: usize,
    places: Places,
    /// Columns, one after the other, that are the same in all records of a group.
    common: Vec<Range<usize>>,
    hasher: DefaultHashBuilder,
}

impl GroupParser {
    /// Groups the lines that `parser` reads; `None` where they have too many columns.
    #[must_use]
    pub fn new(parser: &LineParser) -> Option<Self> {
        let columns = parser.columns();
        if columns > MAX_COLUMNS {
            return None;
        }
        let at = |field: Field| parser.position(field);
        let places = Places {
            src_port: at(Field::Srcport)?,
            dst_port: at(Field::Dstport)?,
            protocol: at(Field::Protocol)?,
            start: at(Field::Start)?,
            end: at(Field::End)?,
            packets: at(Field::Packets),
            bytes: at(Field::Bytes),
            action: at(Field::Action),
            status: at(Field::LogStatus),
            tcp_flags: at(Field::TcpFlags),
        };
        let mut common: Vec<Range<usize>> = Vec::new();
        for column in (0..columns).filter(|column| parser.decodes(*column) && !places.hold(*column)) {
            match common.last_mut() {
                Some(last) if last.end == column => last.end += 1,
                _ => common.push(column..column + 1),
            }
        }
        Some(Self { parser: parser.clone(), columns, places, common, hasher: DefaultHashBuilder::default() })
    }

    /// What an ordinary record has beside its group; `None` of any other line, of which the whole parser tells what it
    /// is.
    #[inline]
    fn varying(&self, line: &[u8], fields: &Fields) -> Option<Varying> {
        let places = &self.places;
        let number = |column: usize| fields.number(line, column);
        let status = places.status.is_none_or(|column| fields.value(line, column) == b"OK");
        let action = match places.action.map(|column| fields.value(line, column)) {
            None | Some(b"ACCEPT") => Action::Accept,
            Some(b"REJECT") => Action::Reject,
            Some(_) => return None,
        };
        let tcp_flags = match places.tcp_flags {
            Some(column) if fields.value(line, column) != b"-" => {
                Some(TcpFlags(u8::try_from(number(column)?).ok()?))
            }
            _ => None,
        };
        if !status {
            return None;
        }
        Varying {
            packets: places.packets.map_or(Some(1), number)?,
            bytes: places.bytes.map_or(Some(0), number)?,
            start: number(places.start)?.cast_signed(),
            end: number(places.end)?.cast_signed(),
            src_port: u16::try_from(number(places.src_port)?).ok()?,
            dst_port: u16::try_from(number(places.dst_port)?).ok()?,
            protocol: u8::try_from(number(places.protocol)?).ok()?,
            action,
            tcp_flags,
        }
        .usable()
    }
}

impl Places {
    fn hold(&self, column: usize) -> bool {
        let Self { src_port, dst_port, protocol, start, end, packets, bytes, action, status, tcp_flags } =
            self;
        [src_port, dst_port, protocol, start, end].contains(&&column)
            || [packets, bytes, action, status, tcp_flags].contains(&&Some(column))
    }
}

/// The groups of the lines of one block.
pub struct Groups<'b> {
    /// A record of each group.
    pub records: Vec<FlowRecord<'b>>,
    /// Of each group that is looked for, its hash and number.
    known: Vec<(u64, usize)>,
    /// What the lines of each known group have in common, as many pieces for each as the parser has ranges.
    pieces: Vec<&'b [u8]>,
    /// By hash: one more than the place among the known groups, or 0.
    slots: Vec<u32>,
}

impl<'b> Groups<'b> {
    /// No groups yet.
    #[must_use]
    pub fn new() -> Self {
        Self { records: Vec::new(), known: Vec::new(), pieces: Vec::new(), slots: vec![0; SLOTS] }
    }

    /// The group of a line, and what the line has beside it; `None` where it is no record.
    #[inline]
    pub fn record(&mut self, parser: &GroupParser, line: &'b [u8]) -> Option<(usize, Varying)> {
        let mut fields = Fields { ends: [0; MAX_COLUMNS] };
        if fields.split(line) == Some(parser.columns)
            && let Some(varying) = parser.varying(line, &fields)
            && let Some(group) = self.group(parser, line, &fields)
        {
            return Some((group, varying));
        }
        let Ok(Line::Record(record)) = parser.parser.parse(line) else { return None };
        let varying = Varying::of(&record);
        self.records.push(record);
        Some((self.records.len() - 1, varying))
    }

    /// The group of an ordinary line; `None` where it is no record, or there are too many groups.
    #[inline]
    fn group(&mut self, parser: &GroupParser, line: &'b [u8], fields: &Fields) -> Option<usize> {
        let mut hasher = parser.hasher.build_hasher();
        for range in &parser.common {
            hasher.write(fields.values(line, range));
        }
        let hash = hasher.finish();
        let pieces = parser.common.len();
        let mut slot = hash as usize % SLOTS;
        while let Some(place) = (*self.slots.get(slot)? as usize).checked_sub(1) {
            let (known, group) = *self.known.get(place)?;
            if known == hash {
                let known = self.pieces.get(place * pieces..(place + 1) * pieces)?;
                let mut both = known.iter().zip(&parser.common);
                if both.all(|(piece, range)| *piece == fields.values(line, range)) {
                    return Some(group);
                }
            }
            slot = (slot + 1) % SLOTS;
        }
        // Half of the slots stay free, so that looking for one ends soon.
        if self.known.len() >= SLOTS / 2 {
            return None;
        }
        let Ok(Line::Record(record)) = parser.parser.parse(line) else { return None };
        let group = self.records.len();
        self.records.push(record);
        self.known.push((hash, group));
        self.pieces.extend(parser.common.iter().map(|range| fields.values(line, range)));
        self.slots[slot] = u32::try_from(self.known.len()).ok()?;
        Some(group)
    }
}

impl Default for Groups<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the fields of a line end.
struct Fields {
    ends: [u32; MAX_COLUMNS],
}

/// A byte eight times.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

impl Fields {
    /// Finds the fields of a line; how many there are, and `None` where they are too many.
    ///
    /// Eight bytes are looked at together: fields are short, so that looking for each end anew costs more.
    #[inline]
    fn split(&mut self, line: &[u8]) -> Option<usize> {
        let mut found = 0;
        let mut end = |at: usize| {
            *self.ends.get_mut(found)? = at as u32;
            found += 1;
            Some(())
        };
        let (words, rest) = line.as_chunks::<8>();
        for (n, word) in words.iter().enumerate() {
            let differing = u64::from_le_bytes(*word) ^ each(b' ');
            // The highest bit of each byte in which nothing differs.
            let mut spaces = !(((differing & each(0x7F)) + each(0x7F)) | differing | each(0x7F));
            while spaces != 0 {
                end(n * 8 + spaces.trailing_zeros() as usize / 8)?;
                spaces &= spaces - 1;
            }
        }
        let from = line.len() - rest.len();
        for (n, byte) in rest.iter().enumerate() {
            if *byte == b' ' {
                end(from + n)?;
            }
        }
        end(line.len())?;
        Some(found)
    }

    #[inline(always)]
    fn bounds(&self, column: usize) -> (usize, usize) {
        let from = if column == 0 { 0 } else { self.ends[column - 1] as usize + 1 };
        (from, self.ends[column] as usize)
    }

    #[inline(always)]
    fn value<'l>(&self, line: &'l [u8], column: usize) -> &'l [u8] {
        let (from, to) = self.bounds(column);
        line.get(from..to).unwrap_or_default()
    }

    /// The values of columns that follow each other, with the spaces between them.
    #[inline]
    fn values<'l>(&self, line: &'l [u8], columns: &Range<usize>) -> &'l [u8] {
        let (from, to) = (self.bounds(columns.start).0, self.bounds(columns.end - 1).1);
        line.get(from..to).unwrap_or_default()
    }

    /// A decimal number of up to sixteen digits; `None` of whatever else stands there, and of what stands at the
    /// beginning of the line.
    #[inline(always)]
    fn number(&self, line: &[u8], column: usize) -> Option<u64> {
        const EIGHT_DIGITS: u64 = 100_000_000;
        let (from, to) = self.bounds(column);
        let last = |to: usize, digits: usize| {
            let word = line.get(to.checked_sub(8)?..to)?;
            eight_digits(u64::from_le_bytes(word.try_into().ok()?), digits)
        };
        match to - from {
            digits @ 1..=8 => last(to, digits),
            digits @ 9..=16 => Some(last(to - 8, digits - 8)? * EIGHT_DIGITS + last(to, 8)?),
            _ => None,
        }
    }
}

/// The number that the last of eight characters write, of which the first is in the lowest byte; `None` where one of
/// the last is no digit. Neighbours are added in three steps: to pairs of digits, to fours, to all eight.
#[inline]
fn eight_digits(characters: u64, digits: usize) -> Option<u64> {
    let values = (characters ^ each(b'0')) & (u64::MAX << (64 - 8 * digits));
    // Of more than 9 in a byte, 0x76 more reaches its highest bit.
    let beyond = (values.wrapping_add(each(0x76)) | values) & each(0x80);
    let pairs = values.wrapping_mul(1 + (10 << 8)) >> 8 & 0x00FF_00FF_00FF_00FF;
    let fours = pairs.wrapping_mul(1 + (100 << 16)) >> 16 & 0x0000_FFFF_0000_FFFF;
    let eight = fours.wrapping_mul(1 + (10_000 << 32)) >> 32;
    (beyond == 0).then_some(eight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::LogFormat;

    fn record_of<'l>(
        groups: &mut Groups<'l>,
        parser: &GroupParser,
        line: &'l [u8],
    ) -> Option<FlowRecord<'l>> {
        let (group, varying) = groups.record(parser, line)?;
        let mut record = groups.records[group].clone();
        varying.write_to(&mut record);
        Some(record)
    }

    const FORMATS: [&str; 3] = [
        "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status",
        "srcport dstport protocol start end tcp-flags pkt-srcaddr pkt-dstaddr bytes flow-direction interface-tag",
        "interface-id srcaddr vpc-id dstaddr packets srcport dstport protocol start end log-status instance-id",
    ];

    const VALUES: [&str; 22] = [
        "-",
        "",
        "0",
        "6",
        "443",
        "65535",
        "65536",
        "256",
        "1795000000",
        "1795000055",
        "4294967296",
        "12345678",
        "1099511627777",
        "99999999999999999",
        "10.0.0.7",
        "203.0.113.9",
        "2600:1f18::5",
        "ACCEPT",
        "OK",
        "NODATA",
        "ingress",
        "eni-0123456789abcdef0",
    ];

    #[test]
    fn a_number_of_any_length_is_read_as_it_stands() {
        for number in
            [0, 7, 42, 999, 1_234, 65_535, 12_345_678, 123_456_789, 1_795_000_000, 9_999_999_999_999_999]
        {
            let line = format!("eni-0123456789 {number} x");
            let mut fields = Fields { ends: [0; MAX_COLUMNS] };
            assert_eq!(fields.split(line.as_bytes()), Some(3));
            assert_eq!(fields.number(line.as_bytes(), 1), Some(number), "{number}");
        }
        for none in ["", "-", "1x", "x1", "12/45", "12:45", "\u{b1}1", "12345678901234567", "+5"] {
            let line = format!("eni-0123456789 {none}");
            let mut fields = Fields { ends: [0; MAX_COLUMNS] };
            fields.split(line.as_bytes());
            assert_eq!(fields.number(line.as_bytes(), 1), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn a_line_in_a_group_is_the_record_that_it_is_alone(
            format in 0..FORMATS.len(),
            usual in prop::collection::vec(0_usize..4, 14),
            lines in prop::collection::vec((0_usize..20, 0..VALUES.len(), 0_usize..14, 0..VALUES.len()), 1..60),
        ) {
            let format: LogFormat = FORMATS[format].parse().expect("valid");
            let whole = LineParser::new(&format);
            let parser = GroupParser::new(&whole).expect("few columns");
            let ordinary = |column: usize, choice: usize| match format.columns()[column].name() {
                "srcaddr" | "pkt-srcaddr" => ["10.0.0.7", "10.0.0.8", "2600:1f18::5", "-"][choice],
                "dstaddr" | "pkt-dstaddr" => ["203.0.113.9", "10.0.0.7", "8.8.8.8", "1.1.1.1"][choice],
                "start" | "end" => ["1795000000", "1795000055", "1795000000", "1795009000"][choice],
                "action" => ["ACCEPT", "REJECT", "-", "ACCEPT"][choice],
                "log-status" => ["OK", "OK", "-", "NODATA"][choice],
                "flow-direction" => ["ingress", "egress", "-", "ingress"][choice],
                "interface-id" | "instance-id" | "interface-tag" => ["eni-0a", "eni-0b", "-", "x"][choice],
                _ => ["6", "17", "44", "1"][choice],
            };
            let lines: Vec<String> = lines
                .iter()
                .map(|&(changed, value, other, other_value)| {
                    let cells = (0..format.columns().len()).map(|column| {
                        if column == changed {
                            VALUES[value]
                        } else if column == other && value % 3 == 0 {
                            VALUES[other_value]
                        } else {
                            ordinary(column, usual[(column + changed / 14) % usual.len()])
                        }
                    });
                    cells.collect::<Vec<_>>().join(" ")
                })
                .collect();
            let mut groups = Groups::new();
            for line in &lines {
                let expected = match whole.parse(line.as_bytes()) {
                    Ok(Line::Record(record)) => Some(record),
                    _ => None,
                };
                prop_assert_eq!(record_of(&mut groups, &parser, line.as_bytes()), expected, "{}", line);
            }
        }
    }

    #[test]
    fn lines_that_differ_in_ports_and_times_are_of_one_group() {
        let parser = GroupParser::new(&LineParser::new(&LogFormat::version_2())).expect("few columns");
        let lines: Vec<String> = (0..10_000)
            .map(|n| {
                format!(
                    "2 1 eni-0123456789abcdef0 10.0.0.{} 203.0.113.9 {n} 443 6 1 60 {n} {n} ACCEPT OK",
                    n % 3
                )
            })
            .collect();
        let mut groups = Groups::new();
        for line in &lines {
            assert!(groups.record(&parser, line.as_bytes()).is_some());
        }
        assert_eq!(groups.records.len(), 3);
        // As many as nobody looks for any more.
        let many: Vec<String> = (0..10_000)
            .map(|n| format!("2 1 eni-{n} 10.0.0.1 203.0.113.9 {n} 443 6 1 60 {n} {n} ACCEPT OK"))
            .collect();
        for line in &many {
            assert!(groups.record(&parser, line.as_bytes()).is_some());
        }
        assert_eq!(groups.records.len(), 10_003);
    }
}
