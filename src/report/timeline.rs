//! Ports held to the fullest destination over time, step by step: what every format shows of it.

use jiff::Timestamp;

use super::wording::part_of_capacity;
use crate::contract::{Diagnosis, TimelineStep, Verdict};
use crate::diagnosis::NOT_NEAR;
use crate::evidence::Source;
use crate::words;

/// The steps of the fullest destination.
pub(super) struct Timeline<'a> {
    pub(super) steps: Vec<Step<'a>>,
    /// Seconds from one to the next.
    seconds: i64,
    /// How a time of it is written: with its day where there are several.
    clock: &'static str,
    /// Whether each step has its fullest second, and not what was held when it began.
    fullest_seconds: bool,
}

/// One step.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) figures: &'a TimelineStep,
    /// Whether there are records of it. Without, its figures say what was left over from before.
    pub(super) seen: bool,
    /// The most that may have been held within it, where that is as much as makes a destination full, and the
    /// estimate is below.
    pub(super) perhaps: Option<u32>,
}

impl<'a> Timeline<'a> {
    /// `None` where there is no destination, or where a message was too large for its steps.
    pub(super) fn of(diagnosis: &'a Diagnosis) -> Option<Self> {
        let top = diagnosis.destinations.first()?;
        let steps = &top.timeline;
        let (first, last) = (steps.first()?.at, steps.last()?.at);
        let seconds = steps.get(1).map_or(60, |second| second.at.as_second() - first.as_second()).max(1);
        let coverage = &diagnosis.coverage;
        let seen = |at: Timestamp| {
            let begun = coverage.logs_from.is_some_and(|from| from.as_second() < at.as_second() + seconds);
            coverage.complete || (begun && coverage.logs_until.is_some_and(|until| at <= until))
        };
        let near = |held: u32| part_of_capacity(diagnosis, held) >= NOT_NEAR;
        // Where it is known when it was full, what led up to that is no question any more.
        let known = matches!(diagnosis.verdict, Verdict::Confirmed | Verdict::Likely);
        let open = |at: Timestamp| !known || at > top.held.at;
        let same_day = first.strftime("%F").to_string() == last.strftime("%F").to_string();
        Some(Self {
            steps: steps
                .iter()
                .map(|figures| Step {
                    figures,
                    seen: seen(figures.at),
                    perhaps: Some(figures.held_at_most)
                        .filter(|most| open(figures.at) && near(*most) && !near(figures.held_estimate)),
                })
                .collect(),
            seconds,
            clock: if same_day { "%H:%M" } else { "%m-%d %H:%M" },
            fullest_seconds: !matches!(coverage.source, Source::LogsInsights | Source::Athena),
        })
    }

    /// One of minutes within a day.
    #[cfg(test)]
    pub(super) fn of_minutes(steps: Vec<Step<'a>>) -> Self {
        Self { steps, seconds: 60, clock: "%H:%M", fullest_seconds: false }
    }

    /// A time of it.
    pub(super) fn time(&self, at: Timestamp) -> String {
        at.strftime(self.clock).to_string()
    }

    /// When something was, as exactly as its steps tell: `at` an instant, or `in` a step that is long.
    pub(super) fn moment(&self, at: Timestamp) -> String {
        let instant = words::instant(at);
        let begins_a_step = self.steps.iter().any(|step| step.figures.at == at);
        if self.seconds == 60 || !begins_a_step {
            format!("at {instant}")
        } else {
            format!("in the {} from {instant}", self.length())
        }
    }

    /// What the figures of a step are.
    pub(super) fn legend(&self) -> String {
        let long = if self.seconds == 60 { String::new() } else { format!(" of {}", self.length()) };
        if self.fullest_seconds {
            return format!("Held at the fullest second of each step{long}; refused within it.");
        }
        format!("Held when each step{long} began, and at the fullest; refused within it.")
    }

    /// How long a step is, in words.
    fn length(&self) -> String {
        match self.seconds {
            seconds if seconds % 60 == 0 => format!("{} minutes", seconds / 60),
            seconds => format!("{seconds} s"),
        }
    }

    /// Those in a row in which nothing changed as one.
    pub(super) fn stretches(&self) -> impl Iterator<Item = &[Step<'a>]> {
        let quiet = |step: &Step<'_>| !step.seen || step.figures.refused == 0;
        self.steps.chunk_by(move |a, b| {
            let held = |step: &Step<'_>| (step.figures.held_estimate, step.perhaps);
            let alike = !a.seen || held(a) == held(b);
            a.seen == b.seen && quiet(a) && quiet(b) && alike
        })
    }

    /// The first step that held most, of those that were seen.
    pub(super) fn fullest(&self) -> Option<&'a TimelineStep> {
        let seen = self.steps.iter().rev().filter(|step| step.seen);
        seen.max_by_key(|step| step.figures.held_estimate).map(|step| step.figures)
    }
}

impl Step<'_> {
    /// `158, 380 refused`, or that it was not seen.
    pub(super) fn in_words(&self) -> String {
        if !self.seen {
            return "not seen".into();
        }
        let mut held = words::count(u64::from(self.figures.held_estimate));
        if let Some(most) = self.perhaps {
            held += &format!(", at most {}", words::count(u64::from(most)));
        }
        match self.figures.refused {
            0 => held,
            refused => format!("{held}, {} refused", words::count(refused)),
        }
    }
}
