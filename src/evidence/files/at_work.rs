//! When the gateway was at work, and when no record tells.

use hashbrown::HashMap;

use crate::evidence::lately::Lately;

/// Records of a gateway that are further apart than this, in seconds, without any between, are of two incidents.
const FAR_APART: i64 = 3600;

/// How many records tell of each ten seconds.
#[derive(Default)]
pub(super) struct AtWork {
    /// Per ten seconds: records that begin in them, less those that ended in the ones before.
    changes: Vec<(i64, i64)>,
    /// Where each ten seconds are among them.
    places: HashMap<i64, usize>,
    lately: Lately<i64, usize>,
}

impl AtWork {
    /// As long as the ends of records are apart where there are many of them.
    const SECONDS: i64 = 10;

    /// With so many records at most times, there being none by chance is out of the question.
    const MANY: i64 = 20;

    pub(super) fn add(&mut self, start: i64, end: i64) {
        self.change(start.div_euclid(Self::SECONDS), 1);
        self.change(end.max(start).div_euclid(Self::SECONDS) + 1, -1);
    }

    #[inline]
    fn change(&mut self, at: i64, by: i64) {
        let Self { changes, places, lately } = self;
        let place = lately.find(at.cast_unsigned(), at, || {
            *places.entry(at).or_insert_with(|| {
                changes.push((at, 0));
                changes.len() - 1
            })
        });
        changes[place].1 += by;
    }

    /// The times, far apart, in which there are records: first and last second of each.
    pub(super) fn parts(&self) -> Vec<(i64, i64)> {
        let mut changes = self.changes.clone();
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
        let mut changes = self.changes;
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
