//! Which minutes an alarm is about, from what it says of its datapoints.
//!
//! In this order: from its oldest breaching datapoint to the end of its newest; from the first
//! datapoint that it looked at to when it looked; the periods before it went into ALARM. The caller
//! widens the start by what flow logs need.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::AlarmError;
use super::shapes::{Fired, Metric, seconds, timestamp};
use crate::incident::TimeWindow;

/// Longest window that is looked into. Alarms may evaluate a week, whose flow logs are too many to
/// read while someone waits; the last day of it is what can be acted on.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Shortest window where no datapoint is told. A metric is published, and its alarm evaluated, some
/// minutes after the fact, so that the last minute alone may hold none of the errors.
const SHORTEST: SignedDuration = SignedDuration::from_mins(3);

/// Periods that an alarm evaluates where the event does not tell: only SNS does. Three is what AWS's
/// own example for this metric has.
const PERIODS: u32 = 3;

/// Seconds of one datapoint where the event does not tell: what the metric is published at.
const PERIOD: u32 = 60;

/// `state.reasonData`, which is JSON within JSON, read value by value: one that is odd costs itself
/// alone.
struct Reason {
    first: Option<Timestamp>,
    asked: Option<Timestamp>,
    period: Option<u32>,
    statistic: Option<String>,
    threshold: f64,
    recent: Vec<f64>,
    evaluated: Vec<(Timestamp, f64)>,
}

impl Reason {
    fn read(text: Option<&str>) -> Self {
        let json: Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let list = |key: &str| json.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let time = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).and_then(timestamp);
        let evaluated = list("evaluatedDatapoints");
        Self {
            first: time(&json, "startDate"),
            asked: time(&json, "queryDate"),
            period: seconds(json.get("period")),
            statistic: json.get("statistic").and_then(Value::as_str).map(str::to_owned),
            threshold: json.get("threshold").and_then(Value::as_f64).unwrap_or(0.0),
            recent: list("recentDatapoints").iter().filter_map(Value::as_f64).collect(),
            evaluated: evaluated
                .iter()
                .filter_map(|d| Some((time(d, "timestamp")?, d.get("value")?.as_f64()?)))
                .collect(),
        }
    }

    /// Events don't tell whether the alarm asks for more than its threshold or for at least that;
    /// for a count of errors, a value on the threshold is worth looking into either way.
    fn breaches(&self, value: f64) -> bool {
        value > 0.0 && value >= self.threshold
    }
}

/// The window, and the sum of the breaching datapoints where they count errors.
pub(super) fn window(fired: &Fired, metric: &Metric) -> Result<(TimeWindow, Option<f64>), AlarmError> {
    let reason = Reason::read(fired.reason_data.as_deref());
    let period = metric.period.or(reason.period).unwrap_or(PERIOD).min(86_400);
    let told = from_datapoints(&reason, period, fired.at).or_else(|| from_dates(&reason, fired.at));
    let (window, sum) = match told {
        Some((window, sum)) => (window, Some(sum)),
        None => (before(fired, period).ok_or(AlarmError::Lacks { field: "timestamp" })?, None),
    };
    // A maximum or an average is no sum, and an expression's values may be anything.
    let statistic = reason.statistic.as_deref().or(metric.stat.as_deref());
    let counts_errors = metric.returned && statistic.is_some_and(|s| s.eq_ignore_ascii_case("sum"));
    Ok((window, sum.filter(|sum| counts_errors && *sum > 0.0 && sum.is_finite())))
}

/// From the oldest breaching datapoint to the end of the newest. One that began after the alarm did
/// is not its cause.
fn from_datapoints(reason: &Reason, period: u32, at: Timestamp) -> Option<(TimeWindow, f64)> {
    let causes = || reason.evaluated.iter().filter(|(began, value)| *began <= at && reason.breaches(*value));
    let oldest = causes().map(|(began, _)| *began).min()?;
    let newest = causes().map(|(began, _)| *began).max()?;
    let window = capped(oldest, newest.checked_add(SignedDuration::from_secs(period.into())).ok()?)?;
    let within = causes().filter(|(began, _)| *began >= window.start());
    Some((window, within.map(|(_, value)| value).sum()))
}

/// From the first datapoint that the alarm looked at to when it looked.
fn from_dates(reason: &Reason, at: Timestamp) -> Option<(TimeWindow, f64)> {
    let window = capped(reason.first?, reason.asked?.min(at))?;
    Some((window, reason.recent.iter().filter(|value| reason.breaches(**value)).sum()))
}

/// The periods that the alarm evaluates, up to when it went into ALARM.
fn before(fired: &Fired, period: u32) -> Option<TimeWindow> {
    let periods = i64::from(fired.evaluation_periods.unwrap_or(PERIODS));
    let evaluated = SignedDuration::from_secs(i64::from(period) * periods);
    let length = evaluated.clamp(SHORTEST, LONGEST);
    TimeWindow::new(fired.at.checked_sub(length).ok()?, fired.at).ok()
}

/// The last [`LONGEST`] of a window; `None` of one that ends before it starts.
fn capped(start: Timestamp, end: Timestamp) -> Option<TimeWindow> {
    let earliest = end.checked_sub(LONGEST).unwrap_or(start);
    TimeWindow::new(start.max(earliest), end).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::shapes::Series;
    use super::*;

    const AT: &str = "2026-11-18T02:14:05.123Z";

    /// The window and the sum that `reason` gives, of an alarm on sums of a minute.
    fn told(reason: &Value, evaluation_periods: Option<u32>) -> String {
        of(&metric(60), reason, evaluation_periods)
    }

    fn metric(period: u32) -> Metric {
        Metric {
            namespace: String::new(),
            name: String::new(),
            dimensions: Vec::new(),
            period: Some(period),
            stat: Some("Sum".into()),
            returned: true,
        }
    }

    fn of(metric: &Metric, reason: &Value, evaluation_periods: Option<u32>) -> String {
        let fired = Fired {
            name: "nat".into(),
            arn: None,
            account: None,
            region: None,
            state: "ALARM".into(),
            at: AT.parse().expect("valid"),
            reason_data: Some(reason.to_string()),
            evaluation_periods,
            series: Series::None("a test"),
        };
        let (window, errors) = window(&fired, metric).expect("a window");
        format!("{window} {errors:?}")
    }

    fn point(at: &str, value: f64) -> Value {
        json!({ "timestamp": at, "sampleCount": 1.0, "value": value })
    }

    #[test]
    fn the_window_runs_from_the_oldest_breaching_datapoint_to_the_end_of_the_newest() {
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
    fn a_value_on_the_threshold_breaches_and_zero_never_does() {
        let reason = |threshold: f64, value: f64| json!({ "threshold": threshold, "evaluatedDatapoints": [point("2026-11-18T02:12:00Z", value)] });
        assert_eq!(told(&reason(1.0, 1.0), None), "2026-11-18T02:12:00Z/2026-11-18T02:13:00Z Some(1.0)");
        assert_eq!(told(&reason(0.0, 0.0), None), "2026-11-18T02:11:05Z/2026-11-18T02:14:05Z None");
    }

    #[test]
    fn without_datapoints_in_time_the_window_is_what_the_alarm_looked_at() {
        let reason = json!({
            "period": "odd",
            "evaluatedDatapoints": null,
            "recentDatapoints": [1200.0, "odd", null, 1800.0],
            "startDate": "2026-11-18T02:11:00.000+0000",
            "queryDate": "2026-11-18T02:14:00.000+0000",
        });
        assert_eq!(told(&reason, None), "2026-11-18T02:11:00Z/2026-11-18T02:14:00Z Some(3000.0)");
    }

    #[test]
    fn without_either_the_window_is_the_periods_before_the_transition() {
        assert_eq!(told(&json!({}), None), "2026-11-18T02:11:05Z/2026-11-18T02:14:05Z None");
        assert_eq!(told(&json!({}), Some(5)), "2026-11-18T02:09:05Z/2026-11-18T02:14:05Z None");
        assert_eq!(told(&json!({}), Some(1)), "2026-11-18T02:11:05Z/2026-11-18T02:14:05Z None");
        assert_eq!(of(&metric(300), &json!({}), None), "2026-11-18T01:59:05Z/2026-11-18T02:14:05Z None");
    }

    #[test]
    fn dates_that_make_no_sense_are_passed_over() {
        let inverted = json!({ "startDate": "2026-11-18T02:14:00Z", "queryDate": "2026-11-18T02:11:00Z" });
        let later = json!({ "evaluatedDatapoints": [point("2099-01-01T00:00:00Z", 5.0)] });
        let last = json!({ "evaluatedDatapoints": [point("9999-12-30T22:00:00Z", 5.0)] });
        for reason in [inverted, later, last] {
            assert_eq!(told(&reason, None), "2026-11-18T02:11:05Z/2026-11-18T02:14:05Z None", "{reason}");
        }
        let asked_later = json!({ "startDate": "2026-11-18T02:11:00Z", "queryDate": "2099-01-01T00:00:00Z" });
        assert_eq!(told(&asked_later, None), "2026-11-18T02:11:00Z/2026-11-18T02:14:05Z None");
    }

    #[test]
    fn no_window_is_longer_than_a_day_and_only_its_own_datapoints_are_summed() {
        let day = json!({ "evaluatedDatapoints": [
            point("2026-11-17T02:14:00Z", 7.0), point("2026-11-16T02:14:00Z", 500.0),
        ] });
        assert_eq!(of(&metric(86_400), &day, Some(7)), "2026-11-17T02:14:00Z/2026-11-18T02:14:00Z Some(7.0)");
        assert_eq!(
            of(&metric(86_400), &json!({}), Some(u32::MAX)),
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
            of(&input_of_an_expression, &reason, None),
            "2026-11-18T02:12:00Z/2026-11-18T02:13:00Z None"
        );
    }
}
