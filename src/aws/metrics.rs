//! What the gateway's CloudWatch metrics did in the window, in the hours before it, and at the same time of
//! the day before.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric as MetricName, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
};

use super::errors::{Failure, within};
use crate::deadline::Deadline;
use crate::gap::Gap;
use crate::incident::{NatGatewayId, TimeWindow};
use crate::network::Metric;

const GET: &str = "cloudwatch:GetMetricData";

/// What a report makes use of, and the statistic that means something for it. Source: "NAT gateway
/// metrics and dimensions" in the Amazon VPC user guide.
const METRICS: [(&str, &str); 8] = [
    ("ErrorPortAllocation", "Sum"),
    ("ActiveConnectionCount", "Maximum"),
    ("ConnectionAttemptCount", "Sum"),
    ("ConnectionEstablishedCount", "Sum"),
    ("IdleTimeoutCount", "Sum"),
    ("PacketsDropCount", "Sum"),
    ("PeakBytesPerSecond", "Maximum"),
    ("PeakPacketsPerSecond", "Maximum"),
];

/// The gateway sends one datapoint a minute.
const PERIOD: i32 = 60;

/// What is usual is told by so many seconds before the window.
const HOURS_BEFORE: i64 = 3 * 3600;

const DAY: i64 = 24 * 3600;

/// Most pages that are read: a window of a day with the day before is 23,040 datapoints, and a page
/// holds up to 100,800.
const MOST_PAGES: usize = 20;

/// The metrics of a gateway, asked for in one call; the zone is the second dimension that those of
/// a regional gateway carry.
///
/// CloudWatch keeps datapoints of one minute for 15 days: of an older window nothing is found, and
/// a metric of which there is nothing is left out, for that is not the same as 0.
pub(super) async fn metrics(
    client: &Client,
    gateway: &NatGatewayId,
    zone: Option<&str>,
    window: TimeWindow,
    deadline: Deadline,
) -> (Vec<Metric>, Vec<Gap>) {
    let minutes = Minutes::of(window);
    let mut points = Points::default();
    let mut token = None;
    for _ in 0..MOST_PAGES {
        let request = client
            .get_metric_data()
            .set_metric_data_queries(Some(questions(gateway, zone)))
            .start_time(DateTime::from_secs(minutes.baseline.min(minutes.start - DAY)))
            .end_time(DateTime::from_secs(minutes.end))
            .scan_by(ScanBy::TimestampAscending)
            .set_next_token(token.take());
        let answer =
            within(deadline, GET, async { request.send().await.map_err(|error| Failure::of(GET, &error)) })
                .await;
        match answer {
            Ok(output) => {
                points.add(output.metric_data_results(), minutes);
                token = output.next_token;
            }
            // Sums over a part of the minutes would mislead: all or nothing.
            Err(failure) => return (Vec::new(), vec![failure.gap("the gateway's metrics", "*")]),
        }
        if token.is_none() {
            tracing::debug!(nat.id = %gateway, metrics = points.of.len(), "metrics read");
            return points.metrics();
        }
    }
    let why = format!("{GET} had more than {MOST_PAGES} pages for them");
    (Vec::new(), vec![Gap::new("the gateway's metrics", why, "ask about fewer minutes with --window")])
}

/// Seconds of the Unix epoch, each at the start of a minute, as datapoints are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Minutes {
    baseline: i64,
    start: i64,
    end: i64,
}

impl Minutes {
    /// All minutes that the window touches, and the hours before them.
    fn of(window: TimeWindow) -> Self {
        let period = i64::from(PERIOD);
        let start = window.start().as_second().div_euclid(period) * period;
        let end = -((-window.end().as_second()).div_euclid(period) * period);
        Self { baseline: start - HOURS_BEFORE, start, end }
    }
}

fn questions(gateway: &NatGatewayId, zone: Option<&str>) -> Vec<MetricDataQuery> {
    let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
    let mut dimensions = vec![dimension("NatGatewayId", gateway.as_str())];
    dimensions.extend(zone.map(|zone| dimension("AvailabilityZone", zone)));
    let question = |(index, (name, statistic)): (usize, &(&str, &str))| {
        let metric = MetricName::builder()
            .namespace("AWS/NATGateway")
            .metric_name(*name)
            .set_dimensions(Some(dimensions.clone()))
            .build();
        let of_metric = MetricStat::builder().metric(metric).period(PERIOD).stat(*statistic).build();
        MetricDataQuery::builder().id(id(index)).metric_stat(of_metric).build()
    };
    METRICS.iter().enumerate().map(question).collect()
}

/// An id has to begin with a lower-case letter.
fn id(index: usize) -> String {
    format!("m{index}")
}

/// The datapoints of all pages, summed up per metric.
#[derive(Debug, Default)]
struct Points {
    of: BTreeMap<String, Summary>,
}

/// One metric's datapoints.
#[derive(Debug, Default)]
struct Summary {
    window: Vec<f64>,
    baseline: Vec<f64>,
    day_before: Vec<f64>,
    trouble: Option<String>,
}

impl Points {
    fn add(&mut self, results: &[MetricDataResult], minutes: Minutes) {
        for result in results {
            let Some(id) = result.id() else { continue };
            let summary = self.of.entry(id.to_owned()).or_default();
            for (time, &value) in result.timestamps().iter().zip(result.values()) {
                let at = time.secs();
                let within = |start, end| value.is_finite() && (start..end).contains(&at);
                if within(minutes.start, minutes.end) {
                    summary.window.push(value);
                }
                if within(minutes.baseline, minutes.start) {
                    summary.baseline.push(value);
                }
                if within(minutes.start - DAY, minutes.end - DAY) {
                    summary.day_before.push(value);
                }
            }
            // Every page has a status of its own, and the last one counts.
            summary.trouble = match result.status_code() {
                None | Some(StatusCode::Complete) => None,
                Some(status) => Some(status.as_str().to_owned()),
            };
        }
    }

    fn metrics(self) -> (Vec<Metric>, Vec<Gap>) {
        let (mut metrics, mut gaps) = (Vec::new(), Vec::new());
        for (index, (name, statistic)) in METRICS.into_iter().enumerate() {
            let Some(summary) = self.of.get(&id(index)) else { continue };
            if let Some(status) = &summary.trouble {
                let fix = match status.as_str() {
                    "Forbidden" => format!("allow {GET} on * to the role or user that nat-triage runs as"),
                    _ => "run again in a few minutes".to_owned(),
                };
                gaps.push(Gap::new(format!("the metric {name}"), format!("{GET} gave it as {status}"), fix));
            } else if let Some(value) = over(&summary.window, statistic) {
                let per_minute = |sum: f64| sum / summary.baseline.len() as f64;
                let baseline = over(&summary.baseline, statistic).map(|all| match statistic {
                    "Maximum" => all,
                    _ => per_minute(all) * summary.window.len() as f64,
                });
                metrics.push(Metric {
                    name: name.to_owned(),
                    statistic: statistic.to_owned(),
                    value,
                    baseline,
                    day_before: over(&summary.day_before, statistic),
                });
            }
        }
        (metrics, gaps)
    }
}

/// The sum of sums or the greatest maximum; `None` of nothing.
fn over(values: &[f64], statistic: &str) -> Option<f64> {
    let values = values.iter().copied();
    if statistic == "Maximum" { values.reduce(f64::max) } else { values.reduce(|a, b| a + b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes() -> Minutes {
        Minutes::of("2026-11-18T02:00:30Z/2026-11-18T02:02:30Z".parse().expect("valid"))
    }

    fn result(id: &str, points: &[(i64, f64)], status: StatusCode) -> MetricDataResult {
        let start = minutes().start;
        points
            .iter()
            .fold(MetricDataResult::builder().id(id), |result, (minute, value)| {
                result.timestamps(DateTime::from_secs(start + minute * 60)).values(*value)
            })
            .status_code(status)
            .build()
    }

    #[test]
    fn the_minutes_are_those_that_the_window_touches_and_three_hours_before() {
        let Minutes { baseline, start, end } = minutes();
        assert_eq!(start % 60, 0);
        assert_eq!((start - baseline, end - start), (10_800, 180));
        let whole = Minutes::of("2026-11-18T02:00:00Z/2026-11-18T02:02:00Z".parse().expect("valid"));
        assert_eq!(whole.end - whole.start, 120);
    }

    #[test]
    fn pages_are_summed_up_and_split_at_the_start_of_the_window() {
        let mut points = Points::default();
        points.add(
            &[
                result("m0", &[(-1440, 8.0), (-180, 1.0), (-1, 2.0), (0, 10.0)], StatusCode::PartialData),
                result("m1", &[(0, 54_000.0), (1, 55_000.0)], StatusCode::Complete),
            ],
            minutes(),
        );
        points.add(&[result("m0", &[(2, 20.0), (3, 99.0)], StatusCode::Complete)], minutes());
        let (metrics, gaps) = points.metrics();
        assert_eq!(gaps, []);
        let [errors, active] = metrics.as_slice() else { panic!("{metrics:?}") };
        assert_eq!(
            (errors.name.as_str(), errors.value, errors.baseline, errors.day_before),
            // 1.5 a minute in the hours before, and two minutes in the window.
            ("ErrorPortAllocation", 30.0, Some(3.0), Some(8.0))
        );
        assert_eq!((active.statistic.as_str(), active.value, active.baseline), ("Maximum", 55_000.0, None));
    }

    #[test]
    fn a_metric_without_a_datapoint_in_the_window_is_left_out_and_a_partial_one_is_a_gap() {
        let mut points = Points::default();
        points.add(
            &[
                result("m0", &[(-1, 7.0)], StatusCode::Complete),
                result("m2", &[(0, 7.0)], StatusCode::PartialData),
                result("m3", &[(0, f64::NAN)], StatusCode::Complete),
            ],
            minutes(),
        );
        let (metrics, gaps) = points.metrics();
        assert_eq!(metrics, []);
        let [gap] = gaps.as_slice() else { panic!("{gaps:?}") };
        assert_eq!(gap.what, "the metric ConnectionAttemptCount");
    }

    #[test]
    fn a_regional_gateways_metrics_carry_the_zone_as_well() {
        let gateway = "nat-0a1b2c3d4e5f60718".parse().expect("valid");
        let dimensions = |zone| {
            let questions = questions(&gateway, zone);
            assert_eq!(questions.len(), METRICS.len());
            let metric = questions[0].metric_stat().and_then(|stat| stat.metric()).expect("a metric");
            metric.dimensions().iter().filter_map(|d| d.name().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(dimensions(None), ["NatGatewayId"]);
        assert_eq!(dimensions(Some("eu-west-1a")), ["NatGatewayId", "AvailabilityZone"]);
    }
}
