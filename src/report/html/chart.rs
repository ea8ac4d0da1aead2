//! The held ports of one destination over time, drawn: the range between *at least* and *at most* as a band,
//! the estimate as a line in it, capacity as a line above, and refused attempts as bars below.
//!
//! Plain SVG: a chart library would bring more than the forty lines that this takes, and text that is drawn
//! as curves. Nothing but numbers and times goes in.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::diagnosis::TimelineStep;
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

    fn time_labels(self) -> usize {
        match self {
            Self::Narrow => 4,
            Self::Wide => 8,
        }
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

/// The drawing, as one `svg` element; empty where there is nothing to draw.
pub(super) fn chart(timeline: &[TimelineStep], capacity: Option<u64>, size: Size) -> String {
    if timeline.len() < 2 {
        return String::new();
    }
    let mut svg = String::new();
    draw(&mut svg, timeline, capacity, size).expect("writing to a string does not fail");
    svg
}

fn draw(svg: &mut String, timeline: &[TimelineStep], capacity: Option<u64>, size: Size) -> std::fmt::Result {
    let refused = timeline.iter().map(|step| step.refused).max().unwrap_or(0);
    let (width, base) = (size.width(), TOP + HELD);
    let height = if refused > 0 { base + BETWEEN + REFUSED + 6.0 } else { base + 24.0 };
    let most = timeline.iter().map(|step| u64::from(step.held_at_most.max(step.held_estimate))).max();
    let highest = capacity.unwrap_or(0).max(most.unwrap_or(0)).max(1);
    let across = width - LEFT - RIGHT;
    let x = |index: usize| LEFT + across * index as f64 / timeline.len() as f64;
    let y = |ports: u64| base - HELD * ports as f64 / (highest as f64 * 1.06);

    let desc = described(timeline, capacity);
    let name = match size {
        Size::Narrow => "narrow",
        Size::Wide => "wide",
    };
    writeln!(
        svg,
        "<svg class=\"chart {name}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"chart-{name}\">"
    )?;
    writeln!(svg, "<title id=\"chart-{name}\">{desc}</title>")?;
    for ports in ticks(capacity, highest) {
        let (at, label) = (y(ports), words::count(ports));
        writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            width - RIGHT,
            LEFT - 6.0,
            at + 4.0
        )?;
    }
    let points = |of: &dyn Fn(&TimelineStep) -> u32| -> Vec<String> {
        let point = |(index, step)| format!("{:.1},{:.1}", x(index), y(u64::from(of(step))));
        timeline.iter().enumerate().map(point).collect()
    };
    let (upper, mut lower) = (points(&|step| step.held_at_most), points(&|step| step.held_at_least));
    lower.reverse();
    writeln!(svg, "<polygon class=\"band\" points=\"{} {}\"/>", upper.join(" "), lower.join(" "))?;
    writeln!(
        svg,
        "<polyline class=\"estimate\" points=\"{}\"/>",
        points(&|step| step.held_estimate).join(" ")
    )?;
    if let Some(capacity) = capacity {
        let at = y(capacity);
        writeln!(
            svg,
            "<line class=\"capacity\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/><text class=\"capacity-label\" x=\"{:.1}\" y=\"{:.1}\">capacity</text>",
            width - RIGHT,
            LEFT + 4.0,
            at - 5.0
        )?;
    }
    for index in labelled(timeline.len(), size.time_labels()) {
        let anchor = if index == 0 { "start" } else { "middle" };
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            x(index),
            base + 16.0,
            clock(timeline[index].at)
        )?;
    }
    if refused > 0 {
        let foot = base + BETWEEN + REFUSED;
        // A bar stands within its step, which begins at its time.
        let wide = (across / timeline.len() as f64 * 0.8).max(1.0);
        writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{:.1}\">refused in each step, at most {}</text>",
            base + BETWEEN + 2.0,
            words::count(refused)
        )?;
        for (index, step) in timeline.iter().enumerate().filter(|(_, step)| step.refused > 0) {
            let tall = ((REFUSED - 8.0) * step.refused as f64 / refused as f64).max(1.0);
            writeln!(
                svg,
                "<rect class=\"refused\" x=\"{:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"{tall:.1}\"/>",
                x(index),
                foot - tall
            )?;
        }
        writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{foot:.1}\" y2=\"{foot:.1}\"/>",
            width - RIGHT
        )?;
    }
    svg.push_str("</svg>");
    Ok(())
}

/// The chart in words, for who cannot see it.
fn described(timeline: &[TimelineStep], capacity: Option<u64>) -> String {
    let count = |ports: u32| words::count(u64::from(ports));
    let (first, last) = (&timeline[0], &timeline[timeline.len() - 1]);
    let fullest = timeline.iter().max_by_key(|step| step.held_estimate).unwrap_or(first);
    let of = capacity.map_or(String::new(), |capacity| format!(" of {}", words::count(capacity)));
    let refused: u64 = timeline.iter().map(|step| step.refused).sum();
    let refused =
        if refused > 0 { format!("; {} attempts refused", words::count(refused)) } else { String::new() };
    format!(
        "Ports held from {} to {} UTC: {} at first, {}{of} at {}, {} at the end{refused}.",
        clock(first.at),
        clock(last.at),
        count(first.held_estimate),
        count(fullest.held_estimate),
        clock(fullest.at),
        count(last.held_estimate)
    )
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M").to_string()
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
    use super::*;

    fn step(minute: i64, held: u32, refused: u64) -> TimelineStep {
        TimelineStep {
            at: Timestamp::from_second(1_794_966_000 + minute * 60).expect("valid"),
            held_at_least: held / 2,
            held_estimate: held,
            held_at_most: held + 10,
            refused,
        }
    }

    #[test]
    fn who_cannot_see_it_is_told_what_it_shows() {
        let steps = [step(0, 10, 0), step(1, 100, 7), step(2, 40, 0)];
        let svg = chart(&steps, Some(100), Size::Wide);
        let told = "10 at first, 100 of 100 at 01:41, 40 at the end; 7 attempts refused.";
        assert!(svg.contains(told), "{svg}");
        assert!(svg.contains("role=\"img\"") && svg.contains("capacity-label"));
    }

    #[test]
    fn everything_is_within_the_drawing_whatever_is_held() {
        for (steps, capacity) in [
            (vec![step(0, 0, 0), step(1, 0, 0)], None),
            (vec![step(0, 5, 1), step(1, 900_000, 1)], Some(55_000)),
            (vec![step(0, 1, 0), step(1, 2, 9)], Some(440_000)),
        ] {
            let svg = chart(&steps, capacity, Size::Narrow);
            assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("\"-"), "{svg}");
        }
        assert_eq!(chart(&[step(0, 5, 1)], None, Size::Wide), "", "one step is no line");
    }

    #[test]
    fn times_are_written_as_far_apart_as_there_is_room() {
        assert_eq!(labelled(13, 4).collect::<Vec<_>>(), [0, 4, 8, 12]);
        assert_eq!(labelled(2, 8).collect::<Vec<_>>(), [0, 1]);
        assert!(labelled(240, 4).count() <= 4);
    }
}
