//! Records that come more than once: in two files, under two names, in slices that overlap.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashSet};

use crate::flow::record::FlowRecord;

/// So many records are remembered at first. Beyond it only a sample of them is, by which it shows whether any
/// come twice: nearly all input has none, and remembering each record would cost more than all else.
const REMEMBERED: usize = 65_536;

/// The bits of a hash that are those of [`quick_hash`].
const QUICK: u64 = 0xFFFF;

/// A hash of part of a record, which tells whether it is of the sample: the whole costs more than parsing a field.
fn quick_hash(record: &FlowRecord<'_>) -> u64 {
    // Fibonacci hashing: 2^64 divided by the golden ratio.
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    let ports = u64::from(record.src_port) << 16 | u64::from(record.dst_port);
    (ports << 24 ^ record.start.cast_unsigned() ^ record.packets << 40).wrapping_mul(SPREAD) >> 48
}

/// Knows a record again.
#[derive(Default)]
pub(super) struct Repeats {
    hasher: DefaultHashBuilder,
    seen: HashSet<u64>,
    /// Records of which one of these bits is set are not remembered.
    unsampled: u64,
    /// Whether each is remembered, however many there are.
    all: bool,
    found: u64,
}

impl Repeats {
    /// Remembers all records, where it is known that some come twice.
    pub(super) fn remembering_all() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Whether the record came before; all that is told of its traffic has to be the same. Without what tells
    /// interfaces apart, two records that look alike are one.
    pub(super) fn again(&mut self, record: &FlowRecord<'_>) -> bool {
        let quick = quick_hash(record);
        if quick & self.unsampled != 0 {
            return false;
        }
        let whole = self.hasher.hash_one((
            (record.interface, record.resource, record.direction.map(|direction| direction as u8)),
            (record.src, record.dst, record.pkt_src, record.pkt_dst),
            (record.src_port, record.dst_port, record.protocol),
            (record.packets, record.bytes, record.start, record.end),
            (record.action as u8, record.tcp_flags.map(|flags| flags.0)),
        ));
        let hash = (whole & !QUICK) | quick;
        let again = !self.seen.insert(hash);
        self.found += u64::from(again);
        if self.seen.len() > REMEMBERED && !self.all && self.unsampled < QUICK {
            self.unsampled = self.unsampled << 1 | 1;
            self.seen.retain(|hash| hash & self.unsampled == 0);
        }
        again
    }

    /// How many came before.
    pub(super) fn found(&self) -> u64 {
        self.found
    }

    /// Whether some come twice, and more may that were not remembered.
    pub(super) fn missed_some(&self) -> bool {
        self.found > 0 && self.unsampled != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Line, LineParser, LogFormat};

    #[test]
    fn records_that_differ_in_one_field_are_none_twice() {
        let format = LogFormat::version_2();
        let parser = LineParser::new(&format);
        let mut repeats = Repeats::default();
        for round in 0..2 {
            for n in 0..50_000_u32 {
                let (port, start) = (10_000 + n % 50_000, 122 + n % 50);
                let line = format!(
                    "2 123456789010 eni-0123456789abcdef0 10.0.1.77 10.0.0.220 {port} 5432 6 1 60 {start} {start} ACCEPT OK"
                );
                let Ok(Line::Record(record)) = parser.parse(line.as_bytes()) else { panic!("{line}") };
                assert_eq!(repeats.again(&record), round == 1, "{line}");
            }
        }
    }
}
