//! The datapoints that an alarm's reason names in words, which is all that SNS and the contributors of an
//! alarm tell of them:
//!
//! ```text
//! Threshold Crossed: 1 out of the last 3 datapoints [12.0 (18/11/26 02:13:00)] was greater than …
//! Threshold Crossed: 24 datapoints were greater than the threshold (0.0). The most recent datapoints which
//! crossed the threshold: [1.0 (19/12/24 08:33:00), 1.0 (19/12/24 08:32:00), …]
//! ```
//!
//! The text is for people and nowhere specified: what cannot be read is passed over.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::shapes::timestamp;

/// How long before a transition a datapoint that led to it may have begun: alarms evaluate up to a week.
///
/// Source: `EvaluationPeriods` of `PutMetricAlarm` in the Amazon CloudWatch API.
const OLDEST: SignedDuration = SignedDuration::from_hours(8 * 24);

/// What a reason says of its datapoints.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    /// Those that it names: when each began, and its value.
    pub(super) points: Vec<(Timestamp, f64)>,
    /// How many crossed the threshold.
    pub(super) crossed: Option<u32>,
    /// Out of how many.
    pub(super) out_of: Option<u32>,
}

impl Said {
    /// Reads the reason of a transition at `at`.
    pub(super) fn read(reason: &str, at: Timestamp) -> Self {
        let (crossed, out_of) = counts(reason);
        Self { points: points(reason, at), crossed, out_of }
    }
}

/// `3 out of the last 5 datapoints`, or `24 datapoints`.
fn counts(reason: &str) -> (Option<u32>, Option<u32>) {
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).filter(|n| *n > 0);
    let Some((before, _)) = reason.split_once(" datapoint") else { return (None, None) };
    match before.split_once(" out of the last ") {
        Some((crossed, of)) => (number(crossed.split_whitespace().next_back()), number(Some(of.trim()))),
        None => (number(before.split_whitespace().next_back()), None),
    }
}

/// Every `VALUE (TIME)`.
fn points(reason: &str, at: Timestamp) -> Vec<(Timestamp, f64)> {
    let mut points: Vec<(Timestamp, f64)> = Vec::new();
    let pieces: Vec<&str> = reason.split('(').collect();
    for pair in pieces.windows(2) {
        let value = pair[0].trim_end().rsplit(['[', ',', ' ']).next().and_then(|text| text.parse().ok());
        let began = pair[1].split_once(')').and_then(|(time, _)| began(time.trim(), at));
        let Some((began, value)) = began.zip(value.filter(|value: &f64| value.is_finite())) else { continue };
        if points.iter().all(|(other, _)| *other != began) {
            points.push((began, value));
        }
    }
    points
}

/// The time of a datapoint before the transition at `at`. CloudWatch writes `18/11/26 02:13:00`, the day first
/// and in UTC; where that is no time at which the datapoint may have begun, the month or the year is first.
fn began(text: &str, at: Timestamp) -> Option<Timestamp> {
    let may_be = |began: &Timestamp| *began <= at && at.duration_since(*began) <= OLDEST;
    if let Some(began) = timestamp(text) {
        return Some(began).filter(may_be);
    }
    let (date, time) = text.split_once([' ', 'T'])?;
    let time = clock(time.trim())?;
    let parts: Vec<i16> = date.split(['/', '-', '.']).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [first, second, third] = parts[..] else { return None };
    let orders = [(third, second, first), (third, first, second), (first, second, third)];
    orders.into_iter().find_map(|(year, month, day)| {
        let year = if (0..100).contains(&year) { 2000 + year } else { year };
        let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        let began = DateTime::from_parts(date, time).to_zoned(TimeZone::UTC).ok()?;
        Some(began.timestamp()).filter(may_be)
    })
}

/// `02:13:00`, `02:13`, or either with `AM` or `PM`.
fn clock(text: &str) -> Option<Time> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let half = text[digits.len()..].trim().to_ascii_uppercase();
    let parts: Vec<i8> = digits.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let hour = match half.as_str() {
        "" | "UTC" | "Z" => hour,
        "AM" if hour == 12 => 0,
        "AM" => hour,
        "PM" if hour == 12 => 12,
        "PM" => hour.checked_add(12)?,
        _ => return None,
    };
    Time::new(hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(reason: &str) -> String {
        let at = "2026-11-18T02:20:48.554Z".parse().expect("valid");
        let Said { points, crossed, out_of } = Said::read(reason, at);
        let points: Vec<String> = points.iter().map(|(began, value)| format!("{value} {began}")).collect();
        format!("{crossed:?} of {out_of:?}: {}", points.join(", "))
    }

    #[test]
    fn a_reasons_datapoints_are_read_as_aws_writes_them() {
        for (reason, expected) in [
            (
                "Threshold Crossed: 1 out of the last 3 datapoints [104885.0 (18/11/26 02:10:00)] was greater than the threshold (0.0) (minimum 1 datapoint for OK -> ALARM transition).",
                "Some(1) of Some(3): 104885 2026-11-18T02:10:00Z",
            ),
            (
                "Threshold Crossed: 30 out of the last 30 datapoints were greater than the threshold (20.0). The most recent datapoints which crossed the threshold: [60.0 (18/11/26 02:18:00), 6.1E7 (18/11/26 02:17:00)] (minimum 30 datapoints for OK -> ALARM transition).",
                "Some(30) of Some(30): 60 2026-11-18T02:18:00Z, 61000000 2026-11-18T02:17:00Z",
            ),
            (
                "Threshold Crossed: 3 datapoints were greater than the threshold (0.0). The most recent datapoints which crossed the threshold: [32.6 (18/11/26 02:19:00)].",
                "Some(3) of None: 32.6 2026-11-18T02:19:00Z",
            ),
            (
                "Threshold Crossed: 1 datapoint [5.0 (18/11/26 02:19:00)] was greater than the threshold (0.0).",
                "Some(1) of None: 5 2026-11-18T02:19:00Z",
            ),
            (
                "Thresholds Crossed: 1 out of the last 1 datapoints [0.46 (18/11/26 02:19:00)] was less than the lower thresholds [0.41] or greater than the upper thresholds [0.45] (minimum 1 datapoint for OK -> ALARM transition).",
                "Some(1) of Some(1): 0.46 2026-11-18T02:19:00Z",
            ),
            (
                "Threshold Crossed: 1 datapoint (10.0) was greater than the threshold (1.0).",
                "Some(1) of None: ",
            ),
            ("Testing alarm", "None of None: "),
            ("", "None of None: "),
        ] {
            assert_eq!(said(reason), expected, "{reason}");
        }
    }

    #[test]
    fn a_time_is_read_in_whichever_order_its_date_is_written() {
        for date in [
            "18/11/26 02:13:00",
            "11/18/26 02:13:00",
            "11/18/2026 2:13:00 AM",
            "2026-11-18 02:13:00",
            "18.11.2026 02:13",
            "2026-11-18T02:13:00.000+0000",
        ] {
            let read = said(&format!("1 out of the last 1 datapoints [7.0 ({date})] was greater"));
            assert_eq!(read, "Some(1) of Some(1): 7 2026-11-18T02:13:00Z", "{date}");
        }
    }

    #[test]
    fn a_time_at_which_no_datapoint_began_is_passed_over() {
        for date in ["18/11/26 02:21:00", "18/11/25 02:13:00", "99/99/99 02:13:00", "x", "18/11/26 99:00:00"]
        {
            assert_eq!(said(&format!("1 datapoint [7.0 ({date})] was")), "Some(1) of None: ", "{date}");
        }
    }
}
