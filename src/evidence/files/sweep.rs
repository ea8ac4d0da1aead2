//! How much was held at once, from second to second.

use jiff::Timestamp;

use crate::evidence::lives::Holding;
use crate::evidence::{Held, Peak, Steps};
use crate::incident::TimeWindow;

/// Destinations of which the fullest second of each step is kept: more than any report lists.
pub(super) const SWEPT_BY_STEP: usize = 64;

/// Minutes that are so nearly as full as the fullest are as full: which of them it was, whatever was refused tells.
pub(super) const AS_FULL: f64 = 0.99;

/// How much was held from which second on, until the next.
pub(super) type Levels = Vec<(i64, u32)>;

/// An exact sweep over every port's holdings.
pub(super) struct Sweep {
    pub(super) least: Levels,
    pub(super) hold: Levels,
    pub(super) most: Levels,
}

/// By how much more or less was held from which second on, of all holdings that were added.
pub(super) struct HeldChanges {
    /// First and last second of the window.
    window: (i64, i64),
    least: Changes,
    hold: Changes,
    most: Changes,
}

impl HeldChanges {
    /// Those of some holdings.
    pub(super) fn of(holdings: impl Iterator<Item = Holding>, window: TimeWindow) -> Self {
        let (from, to) = (window.start().as_second(), window.end().as_second() - 1);
        let changes = || Changes::within(from, to);
        let mut all = Self { window: (from, to), least: changes(), hold: changes(), most: changes() };
        holdings.for_each(|holding| all.add(holding));
        all
    }

    fn add(&mut self, Holding { start, sure, until }: Holding) {
        let (from, to) = self.window;
        // At the beginning of its first second it was not held yet; within that second it was.
        let sure = sure.map(|(first, last)| (first + 1, last));
        let spans = [
            (&mut self.least, sure),
            (&mut self.hold, Some((start + 1, until))),
            (&mut self.most, Some((start, until))),
        ];
        for (changes, span) in spans {
            let Some((start, end)) = span else { continue };
            if start <= to && end >= from && start <= end {
                changes.add(start.max(from), 1);
                changes.add(end + 1, -1);
            }
        }
    }

    /// Adds those of other holdings in the same window.
    pub(super) fn join(&mut self, others: Self) {
        self.least.join(others.least);
        self.hold.join(others.hold);
        self.most.join(others.most);
    }

    /// How much was held from second to second.
    pub(super) fn swept(self) -> Sweep {
        Sweep { least: self.least.levels(), hold: self.hold.levels(), most: self.most.levels() }
    }
}

impl Sweep {
    pub(super) fn over(holdings: impl Iterator<Item = Holding>, window: TimeWindow) -> Self {
        HeldChanges::of(holdings, window).swept()
    }

    /// The fullest second of the minutes in question. Of those that are about as full it is in the one in which
    /// most attempts were `lost`: only a full destination loses them.
    pub(super) fn peak(&self, asked: TimeWindow, steps: Steps, lost: &[u64]) -> Peak {
        let (hold, at) = highest(&self.hold, asked);
        let lost_in = |step: usize| lost.get(step).copied().unwrap_or(0);
        let as_full = |step: &usize| {
            let (held, at) = within(steps, *step, asked).map_or((0, None), |step| highest(&self.hold, step));
            f64::from(held) >= f64::from(hold) * AS_FULL && at.is_some() && lost_in(*step) > 0
        };
        let most_lost = (0..steps.count()).rev().filter(as_full).max_by_key(|step| lost_in(*step));
        let telling = most_lost.and_then(|step| within(steps, step, asked));
        // Where it stayed as full until then, it was full from the first second on.
        let apart = |step: &TimeWindow| {
            let since = at.unwrap_or(asked.start().as_second());
            f64::from(lowest_in(&self.hold, since, step.start().as_second())) < f64::from(hold) * AS_FULL
        };
        let telling = telling.filter(apart);
        let (hold, at) = telling.map_or((hold, at), |step| highest(&self.hold, step));
        Peak {
            least: highest(&self.least, asked).0,
            hold,
            most: highest(&self.most, asked).0,
            at: at.unwrap_or(asked.start().as_second()),
        }
    }

    /// The fullest second of each step.
    pub(super) fn by_step(&self, steps: Steps) -> Vec<Held> {
        let of_step = |step: usize| {
            let of = |levels: &Levels| highest_in(levels, steps.at(step), steps.at(step + 1) - 1).0;
            Held { least: of(&self.least), hold: of(&self.hold), most: of(&self.most) }
        };
        (0..steps.count()).map(of_step).collect()
    }
}

/// The part of a step that lies in the minutes in question.
pub(super) fn within(steps: Steps, step: usize, asked: TimeWindow) -> Option<TimeWindow> {
    let second = |s: i64| Timestamp::from_second(s).ok();
    let (from, to) = (second(steps.at(step))?, second(steps.at(step + 1))?);
    TimeWindow::new(from.max(asked.start()), to.min(asked.end())).ok()
}

/// By how much more or less is held from which second on.
struct Changes {
    /// The first second of the window.
    from: i64,
    /// How many seconds it has.
    seconds: usize,
    /// The changes one by one, as long as they are fewer than the seconds.
    few: Vec<(i64, i32)>,
    /// After that, their sum for each second; the last is of all that come after the window.
    sums: Vec<i32>,
}

impl Changes {
    /// None, within a window from one second to another, both included.
    fn within(from: i64, to: i64) -> Self {
        let seconds = usize::try_from(to - from + 1).unwrap_or(0);
        Self { from, seconds, few: Vec::new(), sums: Vec::new() }
    }

    fn add(&mut self, at: i64, by: i32) {
        if self.sums.is_empty() {
            self.few.push((at, by));
            if self.few.len() >= self.seconds {
                self.sums = vec![0; self.seconds + 1];
                let few = std::mem::take(&mut self.few);
                few.into_iter().for_each(|(at, by)| self.add(at, by));
            }
            return;
        }
        let second = usize::try_from(at - self.from).map_or(self.seconds, |after| after.min(self.seconds));
        self.sums[second] += by;
    }

    /// Adds others of the same window.
    fn join(&mut self, others: Self) {
        for (at, by) in others.few {
            self.add(at, by);
        }
        if self.sums.is_empty() && !others.sums.is_empty() {
            let few = std::mem::replace(self, Self { few: Vec::new(), ..others }).few;
            few.into_iter().for_each(|(at, by)| self.add(at, by));
        } else {
            self.sums.iter_mut().zip(others.sums).for_each(|(sum, by)| *sum += by);
        }
    }

    /// The running sum, once for each second at which it changes.
    fn levels(mut self) -> Levels {
        let mut now = 0_i32;
        let mut level = |by: i32| {
            now += by;
            u32::try_from(now).unwrap_or(0)
        };
        if self.sums.is_empty() {
            self.few.sort_unstable();
            let of_second = |changes: &[(i64, i32)]| {
                (changes[0].0, level(changes.iter().map(|(_, change)| change).sum()))
            };
            return self.few.chunk_by(|a, b| a.0 == b.0).map(of_second).collect();
        }
        let changed = (self.from..).zip(&self.sums).filter(|(_, by)| **by != 0);
        changed.map(|(second, by)| (second, level(*by))).collect()
    }
}

/// The lowest level from one second to another, both included.
pub(super) fn lowest_in(levels: &Levels, from: i64, to: i64) -> u32 {
    let begun = levels.partition_point(|(second, _)| *second <= from);
    let at_first = begun.checked_sub(1).map_or(0, |before| levels[before].1);
    let later = levels[begun..].iter().take_while(|(second, _)| *second <= to).map(|(_, level)| *level);
    later.fold(at_first, u32::min)
}

/// The highest level within a window, and the second at which it was first reached in it.
pub(super) fn highest(levels: &Levels, window: TimeWindow) -> (u32, Option<i64>) {
    highest_in(levels, window.start().as_second(), window.end().as_second() - 1)
}

/// The same from one second to another, both included.
pub(super) fn highest_in(levels: &Levels, from: i64, to: i64) -> (u32, Option<i64>) {
    let begun = levels.partition_point(|(second, _)| *second <= from);
    let at_first = begun.checked_sub(1).map_or(0, |before| levels[before].1);
    let (mut most, mut at) = (at_first, (at_first > 0).then_some(from));
    for (second, level) in levels[begun..].iter().take_while(|(second, _)| *second <= to) {
        if *level > most {
            (most, at) = (*level, Some(*second));
        }
    }
    (most, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: i64, to: i64) -> TimeWindow {
        let second = |s: i64| Timestamp::from_second(s).expect("valid");
        TimeWindow::new(second(from), second(to)).expect("in order")
    }

    fn held(start: i64, until: i64) -> Holding {
        Holding { start, sure: Some((start, until)), until }
    }

    #[test]
    fn what_was_held_before_counts_where_it_lasts_into_the_window() {
        let sweep = Sweep::over([held(0, 70), held(10, 20), held(90, 95)].into_iter(), window(0, 180));
        let steps = Steps::over(window(0, 180));
        let peak = sweep.peak(window(60, 120), steps, &[]);
        assert_eq!((peak.hold, peak.at), (1, 60));
        assert_eq!(sweep.peak(window(0, 180), steps, &[]).hold, 2);
        assert_eq!(sweep.by_step(steps).iter().map(|held| held.hold).collect::<Vec<_>>(), [2, 1, 0]);
    }

    #[test]
    fn holdings_come_to_as_much_however_they_are_added() {
        let holdings = || (0..90).map(|n| held(n * 7 % 60, n * 7 % 60 + n % 30));
        let (short, long) = (window(0, 100), window(0, 100_000));
        let one_by_one = Sweep::over(holdings(), long);
        for (window, apart) in [(short, 0), (short, 3), (short, 60), (short, 87), (long, 30)] {
            let mut joined = HeldChanges::of(holdings().take(apart), window);
            joined.join(HeldChanges::of(holdings().skip(apart), window));
            let joined = joined.swept();
            for second in 0..100 {
                for (joined, one_by_one) in [
                    (&joined.least, &one_by_one.least),
                    (&joined.hold, &one_by_one.hold),
                    (&joined.most, &one_by_one.most),
                ] {
                    let level = |levels| highest_in(levels, second, second).0;
                    assert_eq!(level(joined), level(one_by_one), "{second} of {apart}");
                }
            }
        }
    }

    #[test]
    fn of_equal_peaks_the_one_in_the_minute_that_lost_most_is_meant() {
        let sweep = Sweep::over([held(5, 20), held(65, 80), held(125, 140)].into_iter(), window(0, 180));
        let steps = Steps::over(window(0, 180));
        let at = |lost: &[u64]| sweep.peak(window(0, 180), steps, lost).at;
        assert_eq!([at(&[]), at(&[2, 5, 3]), at(&[0, 4, 4])], [6, 66, 66]);
        // One that lasts is full from its first second on.
        let sweep = Sweep::over([held(5, 140)].into_iter(), window(0, 180));
        assert_eq!(sweep.peak(window(0, 180), steps, &[2, 5, 3]).at, 6);
    }
}
