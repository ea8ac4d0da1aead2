//! Look-ups that nearly always ask for what was asked for lately.

use std::net::IpAddr;

/// Answers of look-ups, each in a slot that its key tells: another key of the same slot takes the slot over, so that
/// memory is bounded, and whoever chooses the keys makes nothing but misses.
pub(super) struct Lately<K, V>(Vec<Option<(K, V)>>);

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Self((0..1 << Self::BITS).map(|_| None).collect())
    }
}

impl<K, V> Lately<K, V> {
    /// Bits of a slot's number: more slots than a gateway has busy pairs of client and server at once, and few enough
    /// for the cache of a core.
    const BITS: u32 = 9;
}

impl<K: Copy + Eq, V: Copy> Lately<K, V> {
    /// The answer for a key, which is looked up where it was not lately. `mark` tells most keys apart.
    #[inline]
    pub(super) fn find(&mut self, mark: u64, key: K, look_up: impl FnOnce() -> V) -> V {
        // Fibonacci hashing: 2^64 divided by the golden ratio.
        const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
        let slot = (mark.wrapping_mul(SPREAD) >> (u64::BITS - Self::BITS)) as usize;
        match &self.0[slot] {
            Some((known, answer)) if *known == key => *answer,
            _ => {
                let answer = look_up();
                self.0[slot] = Some((key, answer));
                answer
            }
        }
    }
}

/// What tells most addresses apart.
#[inline]
pub(super) fn mark(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64 ^ v6.to_bits() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_lately_is_not_looked_up_again() {
        let (mut lately, mut looked_up) = (Lately::default(), Vec::new());
        // The last of them has the mark of the first.
        for (key, mark) in [(1, 1), (1, 1), (2, 2), (1, 1), (3, 1), (1, 1)] {
            let answer = lately.find(mark, key, || {
                looked_up.push(key);
                key * 10
            });
            assert_eq!(answer, key * 10);
        }
        assert_eq!(looked_up, [1, 2, 3, 1]);
    }
}
