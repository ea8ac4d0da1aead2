//! When one port was in use, pieced together from records that come in any order.

use std::ops::Range;

use super::{Held, Steps};
use crate::network::IDLE_TIMEOUT_SECONDS;

/// Packets that trail behind a FIN or RST (a last ACK, say) can fall into the next record. That late
/// they are taken for part of the connection that ended, not for a new one.
const TRAILING_SECONDS: i64 = 60;

/// Longest that such a trail is, in seconds.
const TRAIL: u32 = 2;

/// A stretch within which the port was in use: from one packet to a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// First packet, in seconds of the Unix epoch.
    pub(super) start: u32,
    /// Last packet.
    pub(super) last: u32,
    /// Whether a connection was seen to begin in it.
    pub(super) opened: bool,
    /// Whether a connection was seen to end in it.
    pub(super) closed: bool,
}

impl Stretch {
    fn start(self) -> i64 {
        i64::from(self.start)
    }

    fn last(self) -> i64 {
        i64::from(self.last)
    }

    fn overlaps(self, other: Self) -> bool {
        self.start <= other.last && other.start <= self.last
    }

    /// Whether `next`, which begins after this ends, is certainly the same connection; only formats
    /// with tcp-flags can tell.
    fn continues_in(self, next: Self, ends_visible: bool) -> bool {
        let gap = next.start() - self.last();
        if self.closed {
            // What goes on for longer is a new connection, whose beginning fell into the same record
            // as the end of the old one.
            return ends_visible && !next.opened && gap < TRAILING_SECONDS && next.last - next.start <= TRAIL;
        }
        ends_visible && !next.opened && gap < IDLE_TIMEOUT_SECONDS
    }

    fn joined(self, next: Self) -> Self {
        Self {
            start: self.start.min(next.start),
            last: self.last.max(next.last),
            opened: self.opened || next.opened,
            closed: self.closed || next.closed,
        }
    }
}

/// All that is known of one port towards one destination (or of one client's port): stretches of
/// use, in order and apart, and whether anything came back.
///
/// A connection in use through many records is one stretch, so that memory grows with connections,
/// not with records.
#[derive(Clone, Debug, Default)]
pub(super) struct Lives {
    first: Option<Stretch>,
    later: Vec<Stretch>,
    /// Packets towards the destination.
    sent: u32,
    answered: bool,
}

impl Lives {
    /// Adds what one record showed: its stretch, its direction and its packets.
    pub(super) fn add(&mut self, stretch: Stretch, outward: bool, packets: u64, ends_visible: bool) {
        if outward {
            self.sent = self.sent.saturating_add(u32::try_from(packets).unwrap_or(u32::MAX));
        } else {
            self.answered = true;
        }
        let mut stretch = stretch;
        let Some(first) = self.first else {
            self.first = Some(stretch);
            return;
        };
        // Nearly every port has one stretch: keep that case free of allocation.
        if self.later.is_empty() {
            if let Some(joined) = join(first, stretch, ends_visible) {
                self.first = Some(joined);
                return;
            }
            if stretch.start < first.start {
                (self.first, stretch) = (Some(stretch), first);
            }
            self.later.push(stretch);
            return;
        }
        let mut all: Vec<Stretch> = self.stretches().collect();
        let at = all.partition_point(|other| other.start < stretch.start);
        all.insert(at, stretch);
        let mut kept: Vec<Stretch> = Vec::with_capacity(all.len());
        for next in all {
            match kept.last_mut() {
                Some(last) => match join(*last, next, ends_visible) {
                    Some(joined) => *last = joined,
                    None => kept.push(next),
                },
                None => kept.push(next),
            }
        }
        self.first = kept.first().copied();
        kept.drain(..1.min(kept.len()));
        self.later = kept;
    }

    /// The stretches, in order.
    pub(super) fn stretches(&self) -> impl Iterator<Item = Stretch> {
        self.first.into_iter().chain(self.later.iter().copied())
    }

    /// For each stretch: its first second, its last packet, and the last second at which the port
    /// may still have been held. The last of one is the first of the next at the latest.
    pub(super) fn holdings(&self) -> impl Iterator<Item = (i64, i64, i64)> {
        let nexts = self.later.iter().map(|next| Some(next.start())).chain([None]);
        self.stretches().zip(nexts).map(|(stretch, next)| {
            let held_until =
                if stretch.closed { stretch.last() } else { stretch.last() + IDLE_TIMEOUT_SECONDS };
            let until = next.map_or(held_until, |next| held_until.min(next));
            (stretch.start(), stretch.last(), until)
        })
    }

    /// Adds this port to the count of every step at which it was held.
    ///
    /// Records have whole seconds, and a step's instant is the beginning of one: what began within
    /// that second was not held yet, what ended within it still was.
    pub(super) fn count_into(&self, steps: Steps, held: &mut [Held]) {
        let mut unmarked = 0;
        for (start, last, until) in self.holdings() {
            for step in steps.instants_within(start + 1, last) {
                held[step].least += 1;
            }
            for step in steps.instants_within(start + 1, until) {
                held[step].hold += 1;
            }
            let Range { start: from, end } = steps.overlapping(start, until);
            for step in held.iter_mut().take(end).skip(from.max(unmarked)) {
                step.most += 1;
            }
            unmarked = unmarked.max(end);
        }
    }

    /// Seconds between first and last packets, over all stretches.
    pub(super) fn active_seconds(&self) -> u64 {
        self.stretches().map(|stretch| u64::from(stretch.last - stretch.start)).sum()
    }

    /// Whether an end was seen.
    pub(super) fn ended(&self) -> bool {
        self.stretches().any(|stretch| stretch.closed)
    }

    /// Where nothing ever came back: when the attempt began, and the packets that were sent.
    pub(super) fn unanswered(&self) -> Option<(i64, u64)> {
        let first = self.first.filter(|_| !self.answered && self.sent > 0)?;
        Some((first.start(), u64::from(self.sent)))
    }
}

/// The two as one, where they are one.
fn join(a: Stretch, b: Stretch, ends_visible: bool) -> Option<Stretch> {
    let (earlier, later) = if a.start <= b.start { (a, b) } else { (b, a) };
    (earlier.overlaps(later) || earlier.continues_in(later, ends_visible)).then(|| earlier.joined(later))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stretch(start: u32, last: u32, flags: &str) -> Stretch {
        Stretch { start, last, opened: flags.contains('S'), closed: flags.contains('F') }
    }

    fn lives(stretches: &[Stretch], ends_visible: bool) -> Lives {
        let mut lives = Lives::default();
        for &stretch in stretches {
            lives.add(stretch, true, 1, ends_visible);
        }
        lives
    }

    #[test]
    fn a_connection_in_use_through_many_records_is_one_stretch() {
        let records = [stretch(0, 55, "S"), stretch(60, 118, ""), stretch(121, 150, "F")];
        let connection = lives(&records, true);
        assert_eq!(connection.holdings().collect::<Vec<_>>(), [(0, 150, 150)]);
    }

    #[test]
    fn without_an_end_the_port_stays_held_for_the_idle_timeout() {
        assert_eq!(lives(&[stretch(0, 5, "S")], true).holdings().collect::<Vec<_>>(), [(0, 5, 355)]);
    }

    #[test]
    fn a_port_used_twice_is_not_held_in_between() {
        let twice = lives(&[stretch(0, 5, "SF"), stretch(200, 205, "SF")], true);
        assert_eq!(twice.holdings().collect::<Vec<_>>(), [(0, 5, 5), (200, 205, 205)]);
    }

    #[test]
    fn the_last_packets_behind_an_end_do_not_hold_the_port_again() {
        let trailing = lives(&[stretch(0, 59, "SF"), stretch(60, 60, "")], true);
        assert_eq!(trailing.holdings().collect::<Vec<_>>(), [(0, 60, 60)]);
    }

    #[test]
    fn without_flags_a_silence_may_be_a_gap_between_two_connections() {
        let silent = lives(&[stretch(0, 5, ""), stretch(100, 105, "")], false);
        assert_eq!(silent.holdings().collect::<Vec<_>>(), [(0, 5, 100), (100, 105, 455)]);
    }

    proptest! {
        #[test]
        fn the_order_of_overlapping_records_does_not_matter(
            mut stretches in prop::collection::vec((0_u32..2000, 0_u32..80), 1..12),
        ) {
            let forwards: Vec<_> = stretches.iter().map(|(s, l)| stretch(*s, s + l, "")).collect();
            stretches.reverse();
            let backwards: Vec<_> = stretches.iter().map(|(s, l)| stretch(*s, s + l, "")).collect();
            prop_assert_eq!(
                lives(&forwards, false).holdings().collect::<Vec<_>>(),
                lives(&backwards, false).holdings().collect::<Vec<_>>()
            );
        }

        #[test]
        fn a_step_counts_a_port_once_and_most_is_never_below_least(
            stretches in prop::collection::vec((1000_u32..2000, 0_u32..80, any::<bool>(), any::<bool>()), 1..12),
            ends_visible in any::<bool>(),
        ) {
            let at = |s| jiff::Timestamp::from_second(s).expect("valid");
            let steps = Steps::over(crate::incident::TimeWindow::new(at(1000), at(2000)).expect("valid"));
            let records: Vec<_> = stretches
                .iter()
                .map(|&(start, length, opened, closed)| Stretch { start, last: start + length, opened, closed })
                .collect();
            let mut held = vec![Held::default(); steps.count()];
            lives(&records, ends_visible).count_into(steps, &mut held);
            for step in held {
                prop_assert!(step.least <= step.hold && step.hold <= step.most && step.most <= 1);
            }
        }
    }
}
