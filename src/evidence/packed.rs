//! Stretches in few bytes: there are millions of them, and most differ from the one before in a few small numbers.

use super::lives::{NEVER, Stretch};

/// Bits of the byte with which a packed stretch begins.
mod bit {
    pub(super) const OPENED: u8 = 1;
    pub(super) const RESET: u8 = 1 << 1;
    pub(super) const FINISHED_OUT: u8 = 1 << 2;
    pub(super) const FINISHED_IN: u8 = 1 << 3;
    /// A packet out follows.
    pub(super) const OUT: u8 = 1 << 4;
    /// A packet back follows.
    pub(super) const IN: u8 = 1 << 5;
    /// All of it is certainly of one connection, from the first packet to the last.
    pub(super) const ALL_SURE: u8 = 1 << 6;
    /// None of it is. With neither, what is sure follows.
    pub(super) const NONE_SURE: u8 = 1 << 7;
}

/// Stretches, one after the other.
///
/// Each begins with a byte of bits. Numbers follow that are seconds after another time, in groups of seven bits, the
/// lowest first; the highest bit of a byte says that more follow (LEB128). The last byte is how many come before it, so
/// that the last stretch can be found and taken back.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    /// When the last begins, and [`Stretch::reach`] of it.
    last_start: u32,
    last_reach: u32,
}

/// As many bytes as a stretch can take: the bits, seven numbers of five bytes, and the length.
const MAX_BYTES: usize = 1 + 7 * 5 + 1;

/// Room for so many bytes more is made at once: for some three stretches. Must be as many as one can take.
const MIN_ROOM: usize = MAX_BYTES;

impl Packed {
    /// Adds a stretch behind all others.
    pub(super) fn push(&mut self, stretch: &Stretch, ends_visible: bool) {
        let mut buffer = [0; MAX_BYTES];
        let mut length = 1;
        let mut put = |mut number: u32| {
            while number >= 0x80 {
                buffer[length] = number as u8 | 0x80;
                length += 1;
                number >>= 7;
            }
            buffer[length] = number as u8;
            length += 1;
        };
        let all_sure = (stretch.sure_from, stretch.sure_until) == (stretch.start, stretch.last);
        let none_sure = (stretch.sure_from, stretch.sure_until) == (NEVER, 0);
        put(stretch.start.wrapping_sub(self.last_start));
        put(stretch.last.wrapping_sub(stretch.start));
        if stretch.first_out != NEVER {
            put(stretch.first_out.wrapping_sub(stretch.start));
        }
        if stretch.first_in != NEVER {
            put(stretch.first_in.wrapping_sub(stretch.start));
        }
        if !all_sure && !none_sure {
            put(stretch.sure_from.wrapping_sub(stretch.start));
            put(stretch.sure_until.wrapping_sub(stretch.start));
        }
        put(stretch.sent);
        let bits = [
            (stretch.opened, bit::OPENED),
            (stretch.reset, bit::RESET),
            (stretch.finished_out, bit::FINISHED_OUT),
            (stretch.finished_in, bit::FINISHED_IN),
            (stretch.first_out != NEVER, bit::OUT),
            (stretch.first_in != NEVER, bit::IN),
            (all_sure, bit::ALL_SURE),
            (none_sure && !all_sure, bit::NONE_SURE),
        ];
        buffer[0] = bits.iter().map(|(set, bit)| if *set { *bit } else { 0 }).sum();
        buffer[length] = length as u8;
        length += 1;
        if self.bytes.capacity() - self.bytes.len() < length {
            // By half of what is there: to double it would leave more room empty.
            self.bytes.reserve_exact(MIN_ROOM.max(self.bytes.len() / 2));
        }
        self.bytes.extend_from_slice(&buffer[..length]);
        (self.last_start, self.last_reach) = (stretch.start, stretch.reach(ends_visible));
    }

    /// About how many there are: most take eight bytes, and none takes five times as many.
    pub(super) fn about(&self) -> usize {
        self.bytes.len() / 8
    }

    /// The bytes of the last stretch, without its length.
    fn last_bytes(&self) -> Option<&[u8]> {
        let (length, before) = self.bytes.split_last()?;
        before.get(before.len().checked_sub(usize::from(*length))?..)
    }

    /// Whether what begins at that second may belong to the last, or before it.
    #[inline]
    pub(super) fn may_reach(&self, second: u32) -> bool {
        !self.bytes.is_empty() && second <= self.last_reach
    }

    /// Something of the end of the bytes.
    #[inline]
    pub(super) fn touch(&self) -> u32 {
        self.bytes.last().map_or(0, |byte| u32::from(*byte))
    }

    /// The stretch that was added last.
    pub(super) fn last(&self) -> Option<Stretch> {
        let mut unpacking = Unpacking { bytes: self.last_bytes()?, last_start: 0 };
        unpacking.stretch(Some(self.last_start))
    }

    /// Takes back the stretch that was added last.
    pub(super) fn pop(&mut self, ends_visible: bool) {
        if let Some(bytes) = self.last_bytes() {
            let after = Unpacking { bytes: &bytes[1..], last_start: 0 }.number();
            let length = self.bytes.len() - bytes.len() - 1;
            self.bytes.truncate(length);
            self.last_start = self.last_start.wrapping_sub(after);
            self.last_reach = self.last().map_or(0, |last| last.reach(ends_visible));
        }
    }

    /// The stretches, in order.
    pub(super) fn iter(&self) -> Unpacking<'_> {
        Unpacking { bytes: &self.bytes, last_start: 0 }
    }
}

/// See [`Packed::iter`].
#[derive(Clone)]
pub(super) struct Unpacking<'p> {
    bytes: &'p [u8],
    last_start: u32,
}

impl Unpacking<'_> {
    #[inline]
    fn number(&mut self) -> u32 {
        let mut number = 0;
        for shift in (0..).step_by(7) {
            let Some((byte, rest)) = self.bytes.split_first() else { break };
            self.bytes = rest;
            number |= u32::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        number
    }

    /// The next stretch, without its length. It begins at `start`, or as long after the one before as it says.
    #[inline]
    fn stretch(&mut self, start: Option<u32>) -> Option<Stretch> {
        let (bits, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        let has = |bit: u8| bits & bit != 0;
        let after_the_last = self.last_start.wrapping_add(self.number());
        let start = start.unwrap_or(after_the_last);
        self.last_start = start;
        let last = start.wrapping_add(self.number());
        let first_out = if has(bit::OUT) { start.wrapping_add(self.number()) } else { NEVER };
        let first_in = if has(bit::IN) { start.wrapping_add(self.number()) } else { NEVER };
        let (sure_from, sure_until) = if has(bit::ALL_SURE) {
            (start, last)
        } else if has(bit::NONE_SURE) {
            (NEVER, 0)
        } else {
            (start.wrapping_add(self.number()), start.wrapping_add(self.number()))
        };
        Some(Stretch {
            start,
            last,
            first_out,
            first_in,
            sure_from,
            sure_until,
            sent: self.number(),
            opened: has(bit::OPENED),
            reset: has(bit::RESET),
            finished_out: has(bit::FINISHED_OUT),
            finished_in: has(bit::FINISHED_IN),
        })
    }
}

impl Iterator for Unpacking<'_> {
    type Item = Stretch;

    #[inline]
    fn next(&mut self) -> Option<Stretch> {
        let stretch = self.stretch(None)?;
        self.bytes = self.bytes.get(1..).unwrap_or_default();
        Some(stretch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second() -> impl Strategy<Value = u32> {
        prop_oneof![Just(0), Just(NEVER), Just(1_795_000_000), 1_795_000_000_u32..1_795_000_300, any::<u32>()]
    }

    prop_compose! {
        fn any_stretch()(
            times in prop::array::uniform6(second()),
            sure in 0..3,
            sent in second(),
            bits in prop::array::uniform4(any::<bool>()),
        ) -> Stretch {
            let [start, last, first_out, first_in, sure_from, sure_until] = times;
            let (sure_from, sure_until) = match sure {
                0 => (start, last),
                1 => (NEVER, 0),
                _ => (sure_from, sure_until),
            };
            let [opened, reset, finished_out, finished_in] = bits;
            Stretch {
                start, last, first_out, first_in, sure_from, sure_until, sent, opened, reset, finished_out, finished_in,
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_comes_out_as_it_was(stretches in prop::collection::vec(any_stretch(), 0..20)) {
            let mut packed = Packed::default();
            stretches.iter().for_each(|stretch| packed.push(stretch, true));
            prop_assert_eq!(packed.iter().collect::<Vec<_>>(), &stretches[..]);
            for (left, last) in stretches.iter().enumerate().rev() {
                prop_assert_eq!(packed.last(), Some(*last));
                packed.pop(true);
                prop_assert_eq!(packed.iter().collect::<Vec<_>>(), &stretches[..left]);
            }
            prop_assert!(packed.last().is_none() && packed.bytes.is_empty());
        }
    }

    #[test]
    fn an_ordinary_connection_takes_eight_bytes() {
        let mut packed = Packed::default();
        let connection = |start: u32| Stretch {
            start,
            last: start + 50,
            first_out: start,
            first_in: start,
            sure_from: start,
            sure_until: start + 50,
            sent: 12,
            opened: false,
            reset: false,
            finished_out: false,
            finished_in: false,
        };
        packed.push(&connection(1_795_000_000), true);
        let before = packed.bytes.len();
        packed.push(&connection(1_795_000_400), true);
        assert_eq!(packed.bytes.len() - before, 8);
    }
}
