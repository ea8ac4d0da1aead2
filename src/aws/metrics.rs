//! What the gateway's CloudWatch metrics did in the window, in the hours before it, and at the same time of
//! the day before.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric as MetricName, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
};

use jiff::Timestamp;

use super::errors::{Failure, within};
use super::{Clients, whole};
use crate::deadline::Deadline;
use crate::gap::Gap;
use crate::incident::{NatGatewayId, TimeWindow};
use crate::network::{GatewayKind, Metric, NatGateway, SiblingGateway};

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

/// How far back from the window datapoints are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// To the same time of the day before: what is usual.
    DayBefore,
    /// No farther than the window.
    Window,
}

/// Most pages that are read: a window of a day with the day before is 23,040 datapoints, and a page
/// holds up to 100,800.
const MOST_PAGES: usize = 20;

/// What tells whether another gateway has ports left.
const ROOM: [(&str, &str); 2] = [("ErrorPortAllocation", "Sum"), ("ActiveConnectionCount", "Maximum")];

/// Most gateways, or zones of one, that are asked about at once: each has up to eight metrics, and one
/// call takes 500.
///
/// Source: `GetMetricData` in the Amazon CloudWatch API.
pub(super) const MOST_SERIES: usize = 60;

/// The metrics of one gateway: in one zone where it is a regional one, as these carry both dimensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series<'a> {
    pub(super) gateway: &'a NatGatewayId,
    pub(super) zone: Option<&'a str>,
}

/// The metrics of a gateway, asked for in one call.
pub(super) async fn metrics(
    client: &Client,
    gateway: &NatGatewayId,
    zone: Option<&str>,
    window: TimeWindow,
    deadline: Deadline,
) -> (Vec<Metric>, Vec<Gap>) {
    let series = [Series { gateway, zone }];
    let question = Question::new(&series, &METRICS, "the gateway's metrics");
    let (mut of_series, gaps) = question.answer(client, window, deadline).await;
    (of_series.pop().unwrap_or_default(), gaps)
}

/// The metrics of a regional gateway in each of its zones, in the zones' order, asked for in one call: by the
/// zones' names and by their ids, as AWS does not say which of them the dimension holds.
pub(super) async fn of_zones(
    client: &Client,
    gateway: &NatGateway,
    window: TimeWindow,
    deadline: Deadline,
) -> (Vec<Vec<Metric>>, Vec<Gap>) {
    let Some(id) = &gateway.id else { return (Vec::new(), Vec::new()) };
    let (names, ids) = (&gateway.zones, &gateway.zone_ids);
    let series: Vec<Series<'_>> = names
        .iter()
        .chain(ids)
        .take(MOST_SERIES)
        .map(|zone| Series { gateway: id, zone: Some(zone) })
        .collect();
    let question = Question::new(&series, &METRICS, "the gateway's metrics");
    let (mut by_name, gaps) = question.answer(client, window, deadline).await;
    let by_id = by_name.split_off(names.len().min(by_name.len()));
    for (metrics, other) in by_name.iter_mut().zip(by_id) {
        if metrics.is_empty() {
            *metrics = other;
        }
    }
    (by_name, gaps)
}

/// What other gateways of the VPC had to do, asked for in one call: those of a zone alone, as a regional
/// one would have to be asked about zone by zone.
pub(super) async fn of_siblings(
    client: &Client,
    siblings: &mut [SiblingGateway],
    window: TimeWindow,
    deadline: Deadline,
) -> Vec<Gap> {
    let mut zonal: Vec<&mut SiblingGateway> =
        siblings.iter_mut().filter(|s| s.kind != GatewayKind::Regional).take(MOST_SERIES).collect();
    if zonal.is_empty() {
        return Vec::new();
    }
    let series: Vec<NatGatewayId> = zonal.iter().map(|sibling| sibling.id.clone()).collect();
    let series: Vec<Series<'_>> = series.iter().map(|gateway| Series { gateway, zone: None }).collect();
    let question = Question::new(&series, &ROOM, "how full the VPC's other gateways are");
    let (of_series, gaps) = question.answer(client, window, deadline).await;
    for (sibling, metrics) in zonal.iter_mut().zip(of_series) {
        let value = |name: &str| metrics.iter().find(|m| m.name == name).map(|metric| whole(metric.value));
        sibling.errors = value("ErrorPortAllocation");
        sibling.most_connections = value("ActiveConnectionCount");
    }
    gaps
}

/// The errors of a gateway in the window, of a regional one in a zone; `None` where CloudWatch does not tell.
pub(crate) async fn errors_of(
    clients: &Clients,
    gateway: &NatGatewayId,
    zone: Option<&str>,
    window: TimeWindow,
    deadline: Deadline,
) -> Option<Metric> {
    let series = [Series { gateway, zone }];
    let question =
        Question::new(&series, &ERRORS, "how many connections were refused in all").of_window_only();
    let (mut of_series, gaps) = question.answer(&clients.cloudwatch, window, deadline).await;
    for gap in gaps {
        tracing::warn!("not known {}: {}", gap.what, gap.why);
    }
    of_series.pop()?.pop()
}

/// What was refused.
const ERRORS: [(&str, &str); 1] = [("ErrorPortAllocation", "Sum")];

/// One question: all `metrics` of all `series`, and what is missing without its answer.
pub(super) struct Question<'a> {
    series: &'a [Series<'a>],
    metrics: &'a [(&'static str, &'static str)],
    what: &'static str,
    namespace: &'static str,
    period: i32,
    reach: Reach,
}

impl<'a> Question<'a> {
    /// The question about each minute of the window, and what is usual, to the metrics of NAT gateways.
    pub(super) fn new(
        series: &'a [Series<'a>],
        metrics: &'a [(&'static str, &'static str)],
        what: &'static str,
    ) -> Self {
        Self { series, metrics, what, namespace: "AWS/NATGateway", period: PERIOD, reach: Reach::DayBefore }
    }

    /// The same, of the window only.
    pub(super) fn of_window_only(self) -> Self {
        Self { reach: Reach::Window, ..self }
    }

    /// The same, of whole days.
    pub(super) fn by_day(self) -> Self {
        Self { period: 24 * 3600, ..self }
    }

    /// The same, to metrics of another namespace.
    pub(super) fn in_namespace(self, namespace: &'static str) -> Self {
        Self { namespace, ..self }
    }

    /// The metrics of each series, in their order. CloudWatch keeps datapoints of one minute for 15 days:
    /// of an older window nothing is found, and a metric of which there is nothing is left out, for that
    /// is not the same as 0.
    pub(super) async fn answer(
        &self,
        client: &Client,
        window: TimeWindow,
        deadline: Deadline,
    ) -> (Vec<Vec<Metric>>, Vec<Gap>) {
        let minutes = Minutes::of(window);
        let from = match self.reach {
            Reach::DayBefore => minutes.baseline.min(minutes.start - DAY),
            Reach::Window => minutes.start,
        };
        let mut points = Points::default();
        let mut token = None;
        for _ in 0..MOST_PAGES {
            let request = client
                .get_metric_data()
                .set_metric_data_queries(Some(self.queries()))
                .start_time(DateTime::from_secs(from))
                .end_time(DateTime::from_secs(minutes.end))
                .scan_by(ScanBy::TimestampAscending)
                .set_next_token(token.take());
            let answer = within(deadline, GET, async {
                request.send().await.map_err(|error| Failure::of(GET, &error))
            });
            match answer.await {
                Ok(output) => {
                    points.add(output.metric_data_results(), minutes);
                    token = output.next_token;
                }
                // Sums over a part of the minutes would mislead: all or nothing.
                Err(failure) => return (Vec::new(), vec![failure.gap(self.what, "*")]),
            }
            if token.is_none() {
                tracing::debug!(series = self.series.len(), metrics = points.of.len(), "metrics read");
                return self.read(&points);
            }
        }
        let why = format!("{GET} had more than {MOST_PAGES} pages for them");
        (Vec::new(), vec![Gap::new(self.what, why, "ask about fewer minutes with --window")])
    }

    fn queries(&self) -> Vec<MetricDataQuery> {
        let of_series = |(series, Series { gateway, zone }): (usize, &Series<'_>)| {
            let dimension = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
            let mut dimensions = vec![dimension("NatGatewayId", gateway.as_str())];
            dimensions.extend(zone.map(|zone| dimension("AvailabilityZone", zone)));
            let query = |(index, (name, statistic)): (usize, &(&str, &str))| {
                let metric = MetricName::builder()
                    .namespace(self.namespace)
                    .metric_name(*name)
                    .set_dimensions(Some(dimensions.clone()))
                    .build();
                let of_metric =
                    MetricStat::builder().metric(metric).period(self.period).stat(*statistic).build();
                MetricDataQuery::builder().id(id(series, index)).metric_stat(of_metric).build()
            };
            self.metrics.iter().enumerate().map(query).collect::<Vec<_>>()
        };
        self.series.iter().enumerate().flat_map(of_series).collect()
    }

    fn read(&self, points: &Points) -> (Vec<Vec<Metric>>, Vec<Gap>) {
        let mut gaps = Vec::new();
        let of_series = (0..self.series.len()).map(|series| {
            let mut metrics = Vec::new();
            for (index, (name, statistic)) in self.metrics.iter().enumerate() {
                match points.of.get(&id(series, index)).map(|summary| summary.metric(name, statistic)) {
                    Some(Ok(metric)) => metrics.extend(metric),
                    Some(Err(gap)) => gaps.push(gap),
                    None => {}
                }
            }
            metrics
        });
        (of_series.collect(), gaps)
    }
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

/// An id has to begin with a lower-case letter.
fn id(series: usize, metric: usize) -> String {
    format!("s{series}m{metric}")
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
    /// The greatest datapoint of the window with its second, the latest of several.
    greatest: Option<(f64, i64)>,
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
                    if summary.greatest.is_none_or(|(most, since)| (value, at) >= (most, since)) {
                        summary.greatest = Some((value, at));
                    }
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
}

impl Summary {
    /// What the datapoints come to; `None` where there are none of the window.
    fn metric(&self, name: &str, statistic: &str) -> Result<Option<Metric>, Gap> {
        if let Some(status) = &self.trouble {
            let fix = match status.as_str() {
                "Forbidden" => format!("allow {GET} on * to the role or user that nat-triage runs as"),
                _ => "run again in a few minutes".to_owned(),
            };
            return Err(Gap::new(format!("the metric {name}"), format!("{GET} gave it as {status}"), fix));
        }
        let Some(value) = over(&self.window, statistic) else { return Ok(None) };
        let per_minute = |sum: f64| sum / self.baseline.len() as f64;
        let baseline = over(&self.baseline, statistic).map(|all| match statistic {
            "Maximum" => all,
            _ => per_minute(all) * self.window.len() as f64,
        });
        Ok(Some(Metric {
            name: name.to_owned(),
            statistic: statistic.to_owned(),
            value,
            baseline,
            day_before: over(&self.day_before, statistic),
            greatest_at: self.greatest.and_then(|(_, at)| Timestamp::from_second(at).ok()),
        }))
    }
}

/// The sum of sums or the greatest maximum; `None` of nothing.
fn over(values: &[f64], statistic: &str) -> Option<f64> {
    let values = values.iter().copied();
    if statistic == "Maximum" { values.reduce(f64::max) } else { values.reduce(|a, b| a + b) }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    fn series(zone: Option<&str>) -> Series<'_> {
        static GATEWAY: LazyLock<NatGatewayId> =
            LazyLock::new(|| "nat-0a1b2c3d4e5f60718".parse().expect("valid"));
        Series { gateway: &GATEWAY, zone }
    }

    fn question<'a>(series: &'a [Series<'a>]) -> Question<'a> {
        Question::new(series, &METRICS, "the gateway's metrics")
    }

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
    fn the_minutes_are_the_windows_and_three_hours_before() {
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
                result("s0m0", &[(-1440, 8.0), (-180, 1.0), (-1, 2.0), (0, 10.0)], StatusCode::PartialData),
                result("s0m1", &[(0, 54_000.0), (1, 55_000.0)], StatusCode::Complete),
            ],
            minutes(),
        );
        points.add(&[result("s0m0", &[(2, 20.0), (3, 99.0)], StatusCode::Complete)], minutes());
        let (metrics, gaps) = question(&[series(None)]).read(&points);
        let [metrics] = metrics.as_slice() else { panic!("{metrics:?}") };
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
    fn a_metric_without_a_datapoint_in_the_window_is_left_out() {
        let mut points = Points::default();
        points.add(
            &[
                result("s0m0", &[(-1, 7.0)], StatusCode::Complete),
                result("s0m2", &[(0, 7.0)], StatusCode::PartialData),
                result("s0m3", &[(0, f64::NAN)], StatusCode::Complete),
            ],
            minutes(),
        );
        let (metrics, gaps) = question(&[series(None)]).read(&points);
        let [metrics] = metrics.as_slice() else { panic!("{metrics:?}") };
        assert!(metrics.is_empty(), "{metrics:?}");
        let [gap] = gaps.as_slice() else { panic!("{gaps:?}") };
        assert_eq!(gap.what, "the metric ConnectionAttemptCount");
    }

    #[test]
    fn a_regional_gateways_metrics_carry_the_zone_as_well() {
        let dimensions = |zone| {
            let queries = question(&[series(zone)]).queries();
            assert_eq!(queries.len(), METRICS.len());
            let metric = queries[0].metric_stat().and_then(|stat| stat.metric()).expect("a metric");
            metric.dimensions().iter().filter_map(|d| d.name().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert_eq!(dimensions(None), ["NatGatewayId"]);
        assert_eq!(dimensions(Some("eu-west-1a")), ["NatGatewayId", "AvailabilityZone"]);
    }
}
