//! The held ports of one destination over time, drawn: the range between *at least* and *at most* as a band,
//! the estimate as a line in it, capacity as a line above, and refused attempts as bars below. Where there are no
//! records, it says so.
//!
//! Plain SVG: a chart library would bring more than this takes, and text that is drawn as curves. Nothing but
//! numbers and times goes in.

use std::fmt::{self, Write as _};
use std::ops::Range;

use crate::contract::TimelineStep;
use crate::report::timeline::Timeline;
use crate::words;

/// How large it is drawn: text keeps its size, so that a phone gets a narrow drawing and not a small one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    /// For windows of 360 pixels.
    Narrow,
    /// For the desk.
    Wide,
}

impl Size {
    fn width(self) -> f64 {
        match self {
            Self::Narrow => 320.0,
            Self::Wide => 760.0,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Narrow => "narrow",
            Self::Wide => "wide",
        }
    }

    /// How many times of so many pixels there is room for: the first stands beside its line, and the others
    /// under theirs.
    fn time_labels(self, wide: f64) -> usize {
        /// More are not easier to read.
        const MOST: usize = 8;

        let room = self.width() - LEFT - RIGHT;
        ((room / (1.5 * wide)) as usize).clamp(2, MOST)
    }
}

/// Pixels left of the drawing, for figures such as `550,000`.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 22.0;
/// Height of the upper part: held ports.
const HELD: f64 = 170.0;
/// Between the parts: the times.
const BETWEEN: f64 = 34.0;
/// Height of the lower part: refused attempts.
const REFUSED: f64 = 44.0;

/// Width of a letter or a digit, at the most.
const LETTER: f64 = 7.0;

/// The drawing, as one `svg` element; empty where there is nothing to draw. `refused` is how many attempts were
/// refused in all.
pub(super) fn chart(timeline: &Timeline<'_>, capacity: Option<u64>, refused: u64, size: Size) -> String {
    if timeline.steps.len() < 2 {
        return String::new();
    }
    let mut svg = String::new();
    let drawing = Drawing::of(timeline, capacity, refused, size);
    drawing.draw(&mut svg).expect("writing to a string does not fail");
    svg
}

struct Drawing<'a> {
    timeline: &'a Timeline<'a>,
    capacity: Option<u64>,
    /// In all.
    refused: u64,
    /// In the step with the most.
    most_refused: u64,
    size: Size,
    highest: u64,
}

/// The foot of the upper part.
const BASE: f64 = TOP + HELD;

impl<'a> Drawing<'a> {
    fn of(timeline: &'a Timeline<'a>, capacity: Option<u64>, refused: u64, size: Size) -> Self {
        let figures = || timeline.steps.iter().filter(|step| step.seen).map(|step| step.figures);
        let most = figures().map(|step| u64::from(step.held_at_most.max(step.held_estimate))).max();
        Self {
            timeline,
            capacity,
            refused,
            most_refused: figures().map(|step| step.refused).max().unwrap_or(0),
            size,
            highest: capacity.unwrap_or(0).max(most.unwrap_or(0)).max(1),
        }
    }

    /// Where the step of number `index` begins, and the one before it ends.
    fn x(&self, index: usize) -> f64 {
        let across = self.size.width() - LEFT - RIGHT;
        LEFT + across * index as f64 / self.timeline.steps.len() as f64
    }

    fn y(&self, ports: u64) -> f64 {
        BASE - HELD * ports as f64 / (self.highest as f64 * 1.06)
    }

    fn draw(&self, svg: &mut String) -> fmt::Result {
        let (width, name) = (self.size.width(), self.size.name());
        let height = if self.most_refused > 0 { BASE + BETWEEN + REFUSED + 6.0 } else { BASE + 24.0 };
        writeln!(
            svg,
            "<svg class=\"chart {name}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"chart-{name}\">"
        )?;
        writeln!(svg, "<title id=\"chart-{name}\">{}</title>", self.described())?;
        self.grid(svg)?;
        for run in self.runs() {
            if self.timeline.steps[run.start].seen { self.held(svg, run)? } else { self.unseen(svg, run)? }
        }
        self.line_of_capacity(svg)?;
        self.times(svg)?;
        self.refused(svg)?;
        svg.push_str("</svg>");
        Ok(())
    }

    /// Steps in a row that were seen, or were not.
    fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        let mut begins = 0;
        self.timeline.steps.chunk_by(|a, b| a.seen == b.seen).map(move |run| {
            let range = begins..begins + run.len();
            begins = range.end;
            range
        })
    }

    fn grid(&self, svg: &mut String) -> fmt::Result {
        ticks(self.capacity, self.highest).into_iter().try_for_each(|ports| {
            let (at, label) = (self.y(ports), words::count(ports));
            writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                self.size.width() - RIGHT,
                LEFT - 6.0,
                at + 4.0
            )
        })
    }

    /// The range as a band and the estimate as a line, in steps both: nothing tells how one leads to the next.
    fn held(&self, svg: &mut String, run: Range<usize>) -> fmt::Result {
        let level = |index: usize, ports: u32| {
            let y = self.y(u64::from(ports));
            [format!("{:.1},{y:.1}", self.x(index)), format!("{:.1},{y:.1}", self.x(index + 1))]
        };
        let figures = |index: usize| self.timeline.steps[index].figures;
        let upper = run.clone().flat_map(|index| level(index, figures(index).held_at_most));
        let mut lower: Vec<String> =
            run.clone().flat_map(|index| level(index, figures(index).held_at_least)).collect();
        lower.reverse();
        let band: Vec<String> = upper.chain(lower).collect();
        writeln!(svg, "<polygon class=\"band\" points=\"{}\"/>", band.join(" "))?;
        let line: Vec<String> = run.flat_map(|index| level(index, figures(index).held_estimate)).collect();
        writeln!(svg, "<polyline class=\"estimate\" points=\"{}\"/>", line.join(" "))
    }

    fn unseen(&self, svg: &mut String, run: Range<usize>) -> fmt::Result {
        let (from, to) = (self.x(run.start), self.x(run.end));
        writeln!(
            svg,
            "<rect class=\"unseen\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{HELD}\"/>",
            to - from
        )
    }

    fn line_of_capacity(&self, svg: &mut String) -> fmt::Result {
        let Some(capacity) = self.capacity else { return Ok(()) };
        let at = self.y(capacity);
        writeln!(
            svg,
            "<line class=\"capacity\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text class=\"capacity-label\" x=\"{:.1}\" y=\"{:.1}\">capacity</text>",
            self.size.width() - RIGHT,
            LEFT + 4.0,
            at - 5.0
        )
    }

    fn times(&self, svg: &mut String) -> fmt::Result {
        let time = |index: usize| self.timeline.time(self.timeline.steps[index].figures.at);
        let wide = time(0).len() as f64 * LETTER;
        labelled(self.timeline.steps.len(), self.size.time_labels(wide)).try_for_each(|index| {
            let anchor = match self.x(index) {
                _ if index == 0 => "start",
                at if at + wide / 2.0 > self.size.width() => "end",
                _ => "middle",
            };
            let time = time(index);
            writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{time}</text>",
                self.x(index),
                BASE + 16.0
            )
        })
    }

    /// A bar for each step in which attempts were refused.
    fn refused(&self, svg: &mut String) -> fmt::Result {
        if self.most_refused == 0 {
            return Ok(());
        }
        let foot = BASE + BETWEEN + REFUSED;
        writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{:.1}\">refused in each step, at most {}</text>",
            BASE + BETWEEN + 2.0,
            words::count(self.most_refused)
        )?;
        let wide = ((self.x(1) - self.x(0)) * 0.8).max(1.0);
        for (index, step) in self.timeline.steps.iter().enumerate() {
            if step.seen && step.figures.refused > 0 {
                let tall =
                    ((REFUSED - 8.0) * step.figures.refused as f64 / self.most_refused as f64).max(1.0);
                writeln!(
                    svg,
                    "<rect class=\"refused\" x=\"{:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"{tall:.1}\"/>",
                    self.x(index),
                    foot - tall
                )?;
            }
        }
        writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{foot:.1}\" y2=\"{foot:.1}\"/>",
            self.size.width() - RIGHT
        )
    }

    /// The chart in words, for who cannot see it.
    fn described(&self) -> String {
        let seen: Vec<&TimelineStep> =
            self.timeline.steps.iter().filter(|step| step.seen).map(|step| step.figures).collect();
        let (Some(first), Some(last), Some(fullest)) = (seen.first(), seen.last(), self.timeline.fullest())
        else {
            return "Ports held: no records of these minutes.".into();
        };
        let count = |ports: u32| words::count(u64::from(ports));
        let time = |step: &TimelineStep| self.timeline.time(step.at);
        let of = self.capacity.map_or(String::new(), |capacity| format!(" of {}", words::count(capacity)));
        let refused = match self.refused {
            0 => String::new(),
            refused => format!("; {} attempts refused", words::count(refused)),
        };
        format!(
            "Ports held from {} to {} UTC: {} at first, {}{of} at {}, {} at the end{refused}.",
            time(first),
            time(last),
            count(first.held_estimate),
            count(fullest.held_estimate),
            time(fullest),
            count(last.held_estimate)
        )
    }
}

/// Where the lines of the grid are: at parts of the capacity, or of the most where that is not known.
fn ticks(capacity: Option<u64>, highest: u64) -> Vec<u64> {
    let full = capacity.filter(|capacity| *capacity > 0 && highest < capacity * 4).unwrap_or(highest);
    let mut ticks = vec![0, full / 2, full];
    ticks.dedup();
    ticks
}

/// Which steps have their time written under them: the first, and others as far apart.
fn labelled(steps: usize, most: usize) -> impl Iterator<Item = usize> {
    let apart = (steps - 1).div_ceil(most.max(2) - 1).max(1);
    (0..steps).step_by(apart)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::report::timeline::Step;

    fn step(minute: i64, held: u32, refused: u64) -> TimelineStep {
        TimelineStep {
            at: Timestamp::from_second(1_794_966_000 + minute * 60).expect("valid"),
            held_at_least: held / 2,
            held_estimate: held,
            held_at_most: held + 10,
            refused,
        }
    }

    /// Of which the last so many steps were not seen.
    fn drawn(steps: &[TimelineStep], unseen: usize, capacity: Option<u64>, size: Size) -> String {
        let seen = steps.len() - unseen;
        let steps = steps.iter().enumerate();
        let steps =
            steps.map(|(index, figures)| Step { figures, seen: index < seen, perhaps: None }).collect();
        chart(&Timeline::of_minutes(steps), capacity, 7, size)
    }

    #[test]
    fn who_cannot_see_it_is_told_what_it_shows() {
        let steps = [step(0, 10, 0), step(1, 100, 7), step(2, 100, 0), step(3, 40, 0)];
        let svg = drawn(&steps, 0, Some(100), Size::Wide);
        let told = "10 at first, 100 of 100 at 01:41, 40 at the end; 7 attempts refused.";
        assert!(svg.contains(told), "{svg}");
        assert!(svg.contains("role=\"img\"") && svg.contains("capacity-label"));
        let svg = drawn(&steps, 4, Some(100), Size::Wide);
        assert!(svg.contains("no records of these minutes") && !svg.contains("polygon"), "{svg}");
    }

    #[test]
    fn what_was_not_seen_has_neither_line_nor_band() {
        let svg = drawn(&[step(0, 10, 0), step(1, 20, 0), step(2, 20, 0)], 1, None, Size::Wide);
        assert!(svg.contains("01:40 to 01:41 UTC: 10 at first") && svg.contains("class=\"unseen\""), "{svg}");
        let points = svg.split("class=\"estimate\" points=\"").nth(1).expect("a line");
        assert_eq!(points.split('"').next().expect("points").split(' ').count(), 4, "{svg}");
    }

    #[test]
    fn everything_is_within_the_drawing_whatever_is_held() {
        for (steps, capacity) in [
            (vec![step(0, 0, 0), step(1, 0, 0)], None),
            (vec![step(0, 5, 1), step(1, 900_000, 1)], Some(55_000)),
            (vec![step(0, 1, 0), step(1, 2, 9)], Some(440_000)),
        ] {
            let svg = drawn(&steps, 0, capacity, Size::Narrow);
            assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("\"-"), "{svg}");
        }
        assert_eq!(drawn(&[step(0, 5, 1)], 0, None, Size::Wide), "", "one step is no line");
    }

    #[test]
    fn times_are_written_as_far_apart_as_there_is_room() {
        assert_eq!(labelled(13, 4).collect::<Vec<_>>(), [0, 4, 8, 12]);
        assert_eq!(labelled(2, 8).collect::<Vec<_>>(), [0, 1]);
        assert!(labelled(240, 4).count() <= 4);
        let labels = [Size::Narrow, Size::Wide]
            .map(|size| ["02:01", "11-18 02:01"].map(|time| size.time_labels(time.len() as f64 * LETTER)));
        assert_eq!(labels, [[4, 2], [8, 5]]);
    }
}
