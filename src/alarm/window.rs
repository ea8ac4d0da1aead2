//! Which minutes an alarm is about, from what it says of its datapoints.
//!
//! In this order: from its oldest breaching datapoint to the end of its newest, as `reasonData` has them or as
//! the reason names them; from the first datapoint that it looked at to when it looked; the periods before it
//! went into ALARM. The caller widens the start by what flow logs need.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::AlarmError;
use super::reason::Said;
use super::shapes::{Fired, seconds, timestamp};
use super::watched::Metric;
use crate::incident::TimeWindow;

/// Longest window that is looked into. Alarms may evaluate a week, whose flow logs are too many to
/// read while someone waits; the last day of it is what can be acted on.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// How long after the end of a datapoint its alarm may go into ALARM: 424 s were seen in AWS's own samples.
const MAX_DELAY: u32 = 8 * 60;

/// Periods that an alarm evaluates where the event does not tell: only SNS does. Three is what AWS's
/// own example for this metric has.
const PERIODS: u32 = 3;

/// Seconds of one datapoint where the event does not tell: what the metric is published at.
const PERIOD: u32 = 60;

/// When a datapoint began, and its value.
type Point = (Timestamp, f64);

/// `state.reasonData`, which is JSON within JSON, read value by value: one that is odd costs itself
/// alone.
struct Reason {
    first: Option<Timestamp>,
    asked: Option<Timestamp>,
    period: Option<u32>,
    statistic: Option<String>,
    threshold: f64,
    /// Above which a value of an anomaly detector's band breaches, for each of the recent ones.
    upper: Vec<Option<f64>>,
    /// One for each period from `first` on, the missing ones too.
    recent: Vec<Option<f64>>,
    /// Those that decided, which may be fewer than breached.
    evaluated: Vec<Point>,
}

impl Reason {
    fn read(text: Option<&str>) -> Self {
        let json: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let list = |key: &str| json.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let numbers = |key: &str| list(key).iter().map(Value::as_f64).collect();
        let time = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).and_then(timestamp);
        let point = |d: &Value| Some((time(d, "timestamp")?, d.get("value")?.as_f64()?));
        Self {
            first: time(&json, "startDate"),
            asked: time(&json, "queryDate"),
            period: seconds(json.get("period")),
            statistic: json.get("statistic").and_then(Value::as_str).map(str::to_owned),
            threshold: json.get("threshold").and_then(Value::as_f64).unwrap_or(0.0),
            upper: numbers("recentUpperThresholds"),
            recent: numbers("recentDatapoints"),
            evaluated: list("evaluatedDatapoints").iter().filter_map(point).collect(),
        }
    }

    /// Events don't tell whether the alarm asks for more than its threshold or for at least that;
    /// for a count of errors, a value on the threshold is worth looking into either way.
    fn breaches(&self, value: f64) -> bool {
        value > 0.0 && value >= self.threshold
    }

    /// The recent datapoints that breach: which one in the list, and its value.
    fn recent_breaching(&self) -> impl Iterator<Item = (u32, f64)> {
        let limits = self.upper.iter().copied().chain(std::iter::repeat(None));
        let numbered = (0_u32..).zip(self.recent.iter().zip(limits));
        numbered.filter_map(|(place, (value, upper))| {
            let value = (*value)?;
            let breaches = upper.map_or_else(|| self.breaches(value), |upper| value > 0.0 && value >= upper);
            breaches.then_some((place, value))
        })
    }

    /// When the first of the recent datapoints began.
    fn began(&self, period: u32) -> Option<Timestamp> {
        let newest = || self.evaluated.iter().map(|(began, _)| *began).max();
        let before = u32::try_from(self.recent.len()).ok()?.checked_sub(1)?;
        self.first.or_else(|| earlier(newest()?, before, period))
    }

    /// Every breaching datapoint that it tells of. One that began after the alarm did is not its cause.
    fn points(&self, period: u32, at: Timestamp) -> Vec<Point> {
        let first = self.began(period);
        let recent = self.recent_breaching().filter_map(|(place, value)| {
            let after = SignedDuration::from_secs(i64::from(place) * i64::from(period));
            Some((first?.checked_add(after).ok()?, value))
        });
        let decided = self.evaluated.iter().copied().filter(|(_, value)| self.breaches(*value));
        let mut points: Vec<Point> = recent.chain(decided).filter(|(began, _)| *began <= at).collect();
        points.sort_by_key(|(began, _)| *began);
        points.dedup_by_key(|(began, _)| *began);
        points
    }
}

/// The window, and the sum of the breaching datapoints where they count errors and all of them are known.
pub(super) fn window(fired: &Fired, metric: &Metric) -> Result<(TimeWindow, Option<f64>), AlarmError> {
    let reason = Reason::read(fired.reason_data.as_deref());
    let said = Said::read(&fired.reason, fired.at);
    let period = metric.period.or(reason.period).unwrap_or(PERIOD).min(86_400);
    let told = reason.points(period, fired.at);
    // A maximum or an average is no sum, and an expression's values may be anything.
    let statistic = reason.statistic.as_deref().or(metric.stat.as_deref());
    let counts_errors = metric.returned && statistic.is_some_and(|s| s.eq_ignore_ascii_case("sum"));
    if let Some(window) = from_points(&told, &said, period) {
        let within = told.iter().filter(|(began, _)| *began >= window.start());
        return Ok((window, summed(within, counts_errors)));
    }
    let named: Vec<Point> = said.points.iter().copied().filter(|(_, value)| *value > 0.0).collect();
    if let Some(window) = from_points(&named, &said, period) {
        // Others than those that are named may have had errors too.
        let evaluated = said.out_of.or(said.crossed).or(fired.evaluation_periods);
        let all_named = evaluated.is_none_or(|all| usize::try_from(all).is_ok_and(|all| all <= named.len()));
        let within = named.iter().filter(|(began, _)| *began >= window.start());
        return Ok((window, summed(within, counts_errors && all_named)));
    }
    let window = from_dates(&reason, fired.at).or_else(|| before(fired, &said, period));
    Ok((window.ok_or(AlarmError::Lacks { field: "timestamp" })?, None))
}

/// Whether an alarm says of its datapoints that none counted an error: each is 0 or less, or there was none and it takes
/// that for a breach.
///
/// Source: "Configuring how CloudWatch alarms treat missing data" in the Amazon CloudWatch user guide, `breaching`.
pub(super) fn saw_no_error(fired: &Fired) -> bool {
    let reason = Reason::read(fired.reason_data.as_deref());
    let mut values: Vec<f64> = reason.recent.iter().flatten().copied().collect();
    values.extend(reason.evaluated.iter().map(|(_, value)| *value));
    if values.is_empty() {
        values = Said::read(&fired.reason, fired.at).points.into_iter().map(|(_, value)| value).collect();
    }
    let missing = || fired.reason.to_lowercase().contains("treated as [breaching]");
    if values.is_empty() { missing() } else { values.iter().all(|value| *value <= 0.0) }
}

fn summed<'a>(points: impl Iterator<Item = &'a Point>, counts_errors: bool) -> Option<f64> {
    let sum: f64 = points.map(|(_, value)| value).sum();
    Some(sum).filter(|sum| counts_errors && *sum > 0.0 && sum.is_finite())
}

/// From the oldest of these datapoints to the end of the newest, and as far back as the reason says that there
/// were others. The reason stands in every delivery of an alarm, `reasonData` does not: so the window is the
/// same in each.
fn from_points(points: &[Point], said: &Said, period: u32) -> Option<TimeWindow> {
    let oldest = points.iter().map(|(began, _)| *began).min()?;
    let newest = points.iter().map(|(began, _)| *began).max()?;
    let end = newest.checked_add(SignedDuration::from_secs(period.into())).ok()?;
    let of_these = said.points.iter().map(|(began, _)| *began).max() == Some(newest);
    let oldest = if of_these { oldest.min(first_said(said, newest, period)?) } else { oldest };
    capped(oldest, end)
}

/// When the first of the datapoints began that the reason speaks of, the newest of which is named.
fn first_said(said: &Said, newest: Timestamp, period: u32) -> Option<Timestamp> {
    let named = u32::try_from(said.points.len()).unwrap_or(u32::MAX);
    let crossed = said.crossed.unwrap_or(named);
    let all = said.out_of.unwrap_or(crossed).max(crossed);
    // At most five are named; those that are not may be any of all.
    let back = if crossed > named {
        all - 1
    } else {
        // As many as it takes are named. More may have crossed only where they all came late.
        (all.max(1) - 1).min(MAX_DELAY.div_ceil(period))
    };
    earlier(newest, back, period)
}

/// So many periods earlier; no window begins earlier than [`LONGEST`] before its end.
fn earlier(than: Timestamp, periods: u32, period: u32) -> Option<Timestamp> {
    let length = SignedDuration::from_secs(i64::from(periods) * i64::from(period));
    than.checked_sub(length.min(LONGEST * 2)).ok()
}

/// From the first datapoint that the alarm looked at to when it looked.
fn from_dates(reason: &Reason, at: Timestamp) -> Option<TimeWindow> {
    capped(reason.first?, reason.asked?.min(at))
}

/// The periods that the alarm evaluates, up to when it went into ALARM, which may be some minutes after the
/// fact.
fn before(fired: &Fired, said: &Said, period: u32) -> Option<TimeWindow> {
    let periods = said.out_of.or(said.crossed).max(fired.evaluation_periods).unwrap_or(PERIODS);
    let first = earlier(fired.at, periods, period)?;
    capped(earlier(first, MAX_DELAY, 1)?, fired.at)
}

/// The last [`LONGEST`] of a window; `None` of one that ends before it starts.
fn capped(start: Timestamp, end: Timestamp) -> Option<TimeWindow> {
    let earliest = end.checked_sub(LONGEST).unwrap_or(start);
    TimeWindow::new(start.max(earliest), end).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::watched::Series;
    use super::*;

    const AT: &str = "2026-11-18T02:14:05.123Z";

    /// The window and the sum that `reason` gives, of an alarm on sums of a minute.
    fn told(reason: &Value, evaluation_periods: Option<u32>) -> String {
        of(&metric(60), reason, "", evaluation_periods)
    }

    /// The same of a reason in words, beside what stands in `reasonData`.
    fn said(words: &str, reason: &Value) -> String {
        of(&metric(60), reason, words, None)
    }

    fn metric(period: u32) -> Metric {
        Metric {
            namespace: String::new(),
            name: String::new(),
            dimensions: Vec::new(),
            account: None,
            period: Some(period),
            stat: Some("Sum".into()),
            returned: true,
        }
    }

    fn of(metric: &Metric, reason: &Value, words: &str, evaluation_periods: Option<u32>) -> String {
        let fired = Fired {
            name: "nat".into(),
            arn: None,
            account: None,
            region: None,
            state: "ALARM".into(),
            previous: None,
            at: AT.parse().expect("valid"),
            reason: words.into(),
            reason_data: Some(reason.to_string()),
            evaluation_periods,
            contributor: None,
            muted: None,
            series: Series::None("a test"),
            written: String::new(),
        };
        let (window, errors) = window(&fired, metric).expect("a window");
        format!("{window} {errors:?}")
    }

    fn point(at: &str, value: f64) -> Value {
        json!({ "timestamp": at, "sampleCount": 1.0, "value": value })
    }

    #[test]
    fn the_window_spans_the_breaching_datapoints() {
        let reason = json!({
            "threshold": 100.0,
            "startDate": "2026-11-18T02:00:00.000+0000",
            "queryDate": "2026-11-18T02:14:05.000+0000",
            "evaluatedDatapoints": [
                point("2026-11-18T02:12:00.000+0000", 300.0),
                { "timestamp": "2026-11-18T02:11:00.000+0000" },
                point("2026-11-18T02:10:00.000+0000", 200.0),
                point("2026-11-18T02:09:00.000+0000", 99.0),
            ],
        });
        assert_eq!(told(&reason, None), "2026-11-18T02:10:00Z/2026-11-18T02:13:00Z Some(500.0)");
    }

    #[test]
    fn the_recent_datapoints_count_where_one_alone_decided() {
        let reason = |recent: Value| {
            json!({
                "startDate": "2026-11-18T02:11:00.000+0000",
                "queryDate": "2026-11-18T02:14:05.000+0000",
                "threshold": 0.0,
                "recentDatapoints": recent,
                "evaluatedDatapoints": [point("2026-11-18T02:13:00.000+0000", 25677.0)],
            })
        };
        let all = "2026-11-18T02:11:00Z/2026-11-18T02:14:00Z Some(104885.0)";
        assert_eq!(told(&reason(json!([10820.0, 68388.0, 25677.0])), None), all);
        let last = "2026-11-18T02:13:00Z/2026-11-18T02:14:00Z Some(25677.0)";
        for quiet in [json!([0.0, null, 25677.0]), json!([0, "odd", 25677]), json!([])] {
            assert_eq!(told(&reason(quiet.clone()), None), last, "{quiet}");
        }
        let mut without_start = reason(json!([10820.0, 0.0, 25677.0]));
        without_start["startDate"] = Value::Null;
        let from_the_end = "2026-11-18T02:11:00Z/2026-11-18T02:14:00Z Some(36497.0)";
        assert_eq!(told(&without_start, None), from_the_end);
    }

    #[test]
    fn a_band_is_crossed_by_what_is_above_it() {
        let reason = json!({
            "startDate": "2026-11-18T02:11:00.000+0000",
            "recentDatapoints": [40.0, 900.0, 70.0],
            "recentLowerThresholds": [0.0, 0.0, 0.0],
            "recentUpperThresholds": [50.0, 60.0, 65.0],
            "evaluatedDatapoints": [point("2026-11-18T02:13:00.000+0000", 70.0)],
        });
        assert_eq!(told(&reason, None), "2026-11-18T02:12:00Z/2026-11-18T02:14:00Z Some(970.0)");
    }

    #[test]
    fn the_window_never_misses_a_datapoint_that_the_reason_names() {
        for (words, expected) in [
            (
                "1 out of the last 1 datapoints [7.0 (18/11/26 02:05:00)] was greater",
                "2026-11-18T02:05:00Z/2026-11-18T02:06:00Z Some(7.0)",
            ),
            (
                "1 datapoint [7.0 (18/11/26 02:05:00)] was greater than the threshold (0.0).",
                "2026-11-18T02:05:00Z/2026-11-18T02:06:00Z Some(7.0)",
            ),
            (
                "2 out of the last 2 datapoints [7.0 (18/11/26 02:05:00), 5.0 (18/11/26 02:04:00)] were greater",
                "2026-11-18T02:04:00Z/2026-11-18T02:06:00Z Some(12.0)",
            ),
            // The other two are not named, and may have had errors.
            (
                "1 out of the last 3 datapoints [7.0 (18/11/26 02:05:00)] was greater",
                "2026-11-18T02:03:00Z/2026-11-18T02:06:00Z None",
            ),
            (
                "1 out of the last 60 datapoints [7.0 (18/11/26 02:05:00)] was greater",
                "2026-11-18T01:57:00Z/2026-11-18T02:06:00Z None",
            ),
            (
                "30 out of the last 30 datapoints were greater than the threshold (0.0). The most recent datapoints which crossed the threshold: [7.0 (18/11/26 02:12:00), 5.0 (18/11/26 02:11:00)]",
                "2026-11-18T01:43:00Z/2026-11-18T02:13:00Z None",
            ),
            (
                "3 datapoints were greater than the threshold (0.0). The most recent datapoints which crossed the threshold: [7.0 (18/11/26 02:12:00)].",
                "2026-11-18T02:10:00Z/2026-11-18T02:13:00Z None",
            ),
        ] {
            assert_eq!(said(words, &json!(null)), expected, "{words}");
        }
    }

    #[test]
    fn the_window_is_the_same_with_reason_data_and_without() {
        let words = "Threshold Crossed: 1 out of the last 3 datapoints [25677.0 (18/11/26 02:13:00)] was greater than the threshold (0.0) (minimum 1 datapoint for OK -> ALARM transition).";
        let window = |reason: &Value| said(words, reason).split(' ').next().expect("first").to_owned();
        let without = window(&json!(null));
        assert_eq!(without, "2026-11-18T02:11:00Z/2026-11-18T02:14:00Z");
        for (start, recent) in [
            ("2026-11-18T02:11:00Z", json!([10820.0, 68388.0, 25677.0])),
            ("2026-11-18T02:11:00Z", json!([0.0, 0.0, 25677.0])),
            ("2026-11-18T02:13:00Z", json!([25677.0])),
        ] {
            let decided = [point("2026-11-18T02:13:00Z", 25677.0)];
            let reason =
                json!({ "startDate": start, "recentDatapoints": recent, "evaluatedDatapoints": decided });
            assert_eq!(window(&reason), without, "{reason}");
        }
    }

    #[test]
    fn words_of_another_time_do_not_widen_the_window() {
        let words = "1 out of the last 9 datapoints [7.0 (17/11/26 02:05:00)] was greater";
        let reason = json!({ "evaluatedDatapoints": [point("2026-11-18T02:12:00Z", 5.0)] });
        assert_eq!(said(words, &reason), "2026-11-18T02:12:00Z/2026-11-18T02:13:00Z Some(5.0)");
    }

    #[test]
    fn a_value_on_the_threshold_breaches_and_zero_never_does() {
        let reason = |threshold: f64, value: f64| json!({ "threshold": threshold, "evaluatedDatapoints": [point("2026-11-18T02:12:00Z", value)] });
        assert_eq!(told(&reason(1.0, 1.0), None), "2026-11-18T02:12:00Z/2026-11-18T02:13:00Z Some(1.0)");
        assert_eq!(told(&reason(0.0, 0.0), None), "2026-11-18T02:03:05Z/2026-11-18T02:14:05Z None");
    }

    #[test]
    fn without_datapoints_the_window_is_what_the_alarm_saw() {
        let reason = json!({
            "period": "odd",
            "evaluatedDatapoints": null,
            "recentDatapoints": ["odd", null],
            "startDate": "2026-11-18T02:11:00.000+0000",
            "queryDate": "2026-11-18T02:14:00.000+0000",
        });
        assert_eq!(told(&reason, None), "2026-11-18T02:11:00Z/2026-11-18T02:14:00Z None");
    }

    #[test]
    fn without_either_the_window_is_the_periods_before() {
        assert_eq!(told(&json!({}), None), "2026-11-18T02:03:05Z/2026-11-18T02:14:05Z None");
        assert_eq!(told(&json!({}), Some(5)), "2026-11-18T02:01:05Z/2026-11-18T02:14:05Z None");
        assert_eq!(told(&json!({}), Some(1)), "2026-11-18T02:05:05Z/2026-11-18T02:14:05Z None");
        assert_eq!(of(&metric(300), &json!({}), "", None), "2026-11-18T01:51:05Z/2026-11-18T02:14:05Z None");
        let words = "5 out of the last 5 datapoints were greater";
        assert_eq!(said(words, &json!({})), "2026-11-18T02:01:05Z/2026-11-18T02:14:05Z None");
    }

    #[test]
    fn dates_that_make_no_sense_are_passed_over() {
        let inverted = json!({ "startDate": "2026-11-18T02:14:00Z", "queryDate": "2026-11-18T02:11:00Z" });
        let later = json!({ "evaluatedDatapoints": [point("2099-01-01T00:00:00Z", 5.0)] });
        let last = json!({ "evaluatedDatapoints": [point("9999-12-30T22:00:00Z", 5.0)] });
        for reason in [inverted, later, last] {
            assert_eq!(told(&reason, None), "2026-11-18T02:03:05Z/2026-11-18T02:14:05Z None", "{reason}");
        }
        let asked_later = json!({ "startDate": "2026-11-18T02:11:00Z", "queryDate": "2099-01-01T00:00:00Z" });
        assert_eq!(told(&asked_later, None), "2026-11-18T02:11:00Z/2026-11-18T02:14:05Z None");
    }

    #[test]
    fn no_window_is_longer_than_a_day() {
        let day = json!({ "evaluatedDatapoints": [
            point("2026-11-17T02:14:00Z", 7.0), point("2026-11-16T02:14:00Z", 500.0),
        ] });
        assert_eq!(
            of(&metric(86_400), &day, "", Some(7)),
            "2026-11-17T02:14:00Z/2026-11-18T02:14:00Z Some(7.0)"
        );
        assert_eq!(
            of(&metric(86_400), &json!({}), "", Some(u32::MAX)),
            "2026-11-17T02:14:05Z/2026-11-18T02:14:05Z None"
        );
    }

    #[test]
    fn values_that_are_no_sums_of_errors_are_not_added_up() {
        let reason =
            json!({ "statistic": "Average", "evaluatedDatapoints": [point("2026-11-18T02:12:00Z", 5.0)] });
        assert_eq!(told(&reason, None), "2026-11-18T02:12:00Z/2026-11-18T02:13:00Z None");
        let mut input_of_an_expression = metric(60);
        input_of_an_expression.returned = false;
        let reason = json!({ "evaluatedDatapoints": [point("2026-11-18T02:12:00Z", 5.0)] });
        assert_eq!(
            of(&input_of_an_expression, &reason, "", None),
            "2026-11-18T02:12:00Z/2026-11-18T02:13:00Z None"
        );
    }
}
