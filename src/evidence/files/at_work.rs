//! When the gateway was at work, and when no record tells.

use hashbrown::HashMap;

/// Records of a gateway that are further apart than this, in seconds, without any between, are of two incidents.
const FAR_APART: i64 = 3600;

/// How many records tell of each ten seconds.
#[derive(Default)]
pub(super) struct AtWork {
    /// Per ten seconds: records that begin in them, less those that ended in the ones before.
    pub(super) changes: HashMap<i64, i64>,
}

impl AtWork {
    /// As long as the ends of records are apart where there are many of them.
    pub(super) const SECONDS: i64 = 10;

    /// With so many records at most times, there being none by chance is out of the question.
    pub(super) const MANY: i64 = 20;

    pub(super) fn add(&mut self, start: i64, end: i64) {
        *self.changes.entry(start.div_euclid(Self::SECONDS)).or_default() += 1;
        *self.changes.entry(end.max(start).div_euclid(Self::SECONDS) + 1).or_default() -= 1;
    }

    /// The times, far apart, in which there are records: first and last second of each.
    pub(super) fn parts(&self) -> Vec<(i64, i64)> {
        let mut changes: Vec<(i64, i64)> = self.changes.iter().map(|(at, change)| (*at, *change)).collect();
        changes.sort_unstable();
        let (mut at_work, mut parts) = (0, Vec::<(i64, i64)>::new());
        for (at, change) in changes {
            let second = at * Self::SECONDS;
            match parts.last_mut() {
                Some((_, last)) if at_work > 0 || second - *last < FAR_APART => *last = second,
                _ => parts.push((second, second)),
            }
            at_work += change;
        }
        parts
    }

    /// The longest time without a record, in seconds, and whether at most times there are many.
    pub(super) fn holes(self) -> (i64, bool) {
        let mut changes: Vec<(i64, i64)> = self.changes.into_iter().collect();
        changes.sort_unstable();
        let (mut at_work, mut longest, mut few, mut all) = (0, 0, 0, 0);
        for pair in changes.windows(2) {
            at_work += pair[0].1;
            let lasted = pair[1].0 - pair[0].0;
            all += lasted;
            few += if at_work < Self::MANY { lasted } else { 0 };
            longest = longest.max(if at_work == 0 { lasted } else { 0 });
        }
        (longest * Self::SECONDS, all > 0 && few * 2 < all)
    }
}
