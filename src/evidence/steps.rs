//! The instants at which held ports are counted, the same for files and for Logs Insights.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::incident::TimeWindow;

/// Most steps in a window: as many as a person reads, and as a query has room for.
const MOST_STEPS: i64 = 30;

/// Equal steps over a window, each a whole number of minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    start: i64,
    seconds: i64,
    count: usize,
}

impl Steps {
    /// As many one-minute steps as the window has minutes, begun or whole; longer steps where that
    /// would be more than thirty.
    #[must_use]
    pub fn over(window: TimeWindow) -> Self {
        Self::at_most(MOST_STEPS, window)
    }

    /// The same with another number of steps at the most.
    #[must_use]
    pub fn at_most(most: i64, window: TimeWindow) -> Self {
        let minutes = (window.seconds() + 59) / 60;
        let per_step = (minutes + most - 1) / most;
        let count = (minutes + per_step - 1) / per_step;
        Self {
            start: window.start().as_second(),
            seconds: per_step * 60,
            count: usize::try_from(count).expect("at most thirty steps"),
        }
    }

    /// Whether these are the steps of a window, by whatever number of them at the most.
    #[must_use]
    pub fn are_over(&self, window: TimeWindow) -> bool {
        (1..=MOST_STEPS).any(|most| Self::at_most(most, window) == *self)
    }

    /// How many steps there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// How long each is, in seconds.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// The first second of the first step.
    #[must_use]
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The first second of step `index`, in seconds of the Unix epoch: its instant.
    #[must_use]
    pub fn at(&self, index: usize) -> i64 {
        self.start + self.seconds * i64::try_from(index).unwrap_or(i64::MAX / 100_000)
    }

    /// The instant of step `index`.
    #[must_use]
    pub fn instant(&self, index: usize) -> Timestamp {
        Timestamp::from_second(self.at(index)).unwrap_or(Timestamp::MAX)
    }

    /// The step that holds `second`; `None` outside all of them.
    #[must_use]
    pub fn holding(&self, second: i64) -> Option<usize> {
        if self.seconds == 0 || second < self.start {
            return None;
        }
        usize::try_from((second - self.start) / self.seconds).ok().filter(|index| *index < self.count)
    }

    /// The steps whose instants lie in `from..=to`.
    #[must_use]
    pub fn instants_within(&self, from: i64, to: i64) -> std::ops::Range<usize> {
        if self.seconds == 0 || to < from {
            return 0..0;
        }
        let first = (from - self.start + self.seconds - 1).div_euclid(self.seconds).max(0);
        let last = (to - self.start).div_euclid(self.seconds);
        self.clamped(first, last)
    }

    /// The steps that share a second with `from..=to`.
    #[must_use]
    pub fn overlapping(&self, from: i64, to: i64) -> std::ops::Range<usize> {
        if self.seconds == 0 || to < from {
            return 0..0;
        }
        let first = (from - self.start).div_euclid(self.seconds).max(0);
        let last = (to - self.start).div_euclid(self.seconds);
        self.clamped(first, last)
    }

    fn clamped(&self, first: i64, last: i64) -> std::ops::Range<usize> {
        let first = usize::try_from(first).unwrap_or(0).min(self.count);
        let end = usize::try_from(last + 1).unwrap_or(0).min(self.count);
        first..end.max(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(seconds: i64) -> Steps {
        let at = |s| Timestamp::from_second(s).expect("valid");
        Steps::over(TimeWindow::new(at(1000), at(1000 + seconds)).expect("valid"))
    }

    #[test]
    fn a_long_window_has_thirty_steps_at_most() {
        assert_eq!((steps(60).count(), steps(61).count(), steps(60).seconds()), (1, 2, 60));
        assert_eq!((steps(1800).count(), steps(1800).seconds()), (30, 60));
        assert_eq!((steps(1801).count(), steps(1801).seconds()), (16, 120));
        assert!(steps(86_400).count() <= 30);
    }

    #[test]
    fn instants_and_overlaps_agree_with_trying_every_step() {
        let steps = steps(600);
        for from in (800..1800).step_by(7) {
            for length in [0, 1, 59, 60, 61, 350] {
                let to = from + length;
                let tried: Vec<_> =
                    (0..steps.count()).filter(|i| (from..=to).contains(&steps.at(*i))).collect();
                assert_eq!(steps.instants_within(from, to).collect::<Vec<_>>(), tried, "{from}..={to}");
                let tried: Vec<_> = (0..steps.count())
                    .filter(|i| steps.at(*i) <= to && from < steps.at(*i) + steps.seconds())
                    .collect();
                assert_eq!(steps.overlapping(from, to).collect::<Vec<_>>(), tried, "{from}..={to}");
            }
        }
    }
}
