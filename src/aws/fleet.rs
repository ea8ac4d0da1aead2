//! What CloudWatch counts of all gateways of a Region at once: their connections now, and their weeks.

use jiff::{SignedDuration, Timestamp};

use super::Clients;
use super::metrics::{MOST_SERIES, Question, Series};
use super::surroundings::missing_endpoints;
use super::whole;
use crate::deadline::Deadline;
use crate::gap::Gap;
use crate::incident::{NatGatewayId, TimeWindow};
use crate::network::{GatewayKind, Metric, NatGateway, PORTS_PER_ADDRESS};
use crate::telemetry::{GATEWAY_METRICS, NAMESPACE};
use crate::watch::{Connections, Week, Weeks};

/// What tells whether any destination of a gateway can be filling up.
const CONNECTIONS: [(&str, &str); 1] = [("ActiveConnectionCount", "Maximum")];

/// What passes through a gateway in a week. Bytes count once, as they come in from either side.
///
/// Source: "NAT gateway metrics and dimensions" in the Amazon VPC user guide.
const OF_WEEK: [(&str, &str); 4] = [
    ("ActiveConnectionCount", "Maximum"),
    ("ErrorPortAllocation", "Sum"),
    ("BytesInFromSource", "Sum"),
    ("BytesInFromDestination", "Sum"),
];

/// What early warning wrote of it.
const FULLEST: [(&str, &str); 1] = [(GATEWAY_METRICS[0].0, "Maximum")];

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A gateway, or a zone of a regional one, and each way in which its metrics may be spelt: AWS does not say whether the
/// zone's name or its id is the dimension.
struct Spelt<'a> {
    gateway: &'a NatGateway,
    id: &'a NatGatewayId,
    zone: Option<&'a str>,
    spellings: Vec<Option<&'a str>>,
}

fn spelt(gateways: &[NatGateway]) -> Vec<Spelt<'_>> {
    let mut all = Vec::new();
    for gateway in gateways {
        let Some(id) = &gateway.id else { continue };
        if gateway.kind != GatewayKind::Regional {
            all.push(Spelt { gateway, id, zone: None, spellings: vec![None] });
        }
        for (index, zone) in gateway.zones.iter().enumerate() {
            let mut spellings = vec![Some(zone.as_str())];
            spellings.extend(gateway.zone_ids.get(index).map(|id| Some(id.as_str())));
            all.push(Spelt { gateway, id, zone: Some(zone), spellings });
        }
    }
    all
}

/// Asks about all of them, so many at once as one call takes. The metrics of each, over its spellings.
async fn answers(
    clients: &Clients,
    all: &[Spelt<'_>],
    question: impl for<'a> Fn(&'a [Series<'a>]) -> Question<'a>,
    window: TimeWindow,
    deadline: Deadline,
) -> (Vec<Vec<Metric>>, Vec<Gap>) {
    let series: Vec<(usize, Series<'_>)> = all
        .iter()
        .enumerate()
        .flat_map(|(index, spelt)| {
            spelt.spellings.iter().map(move |zone| (index, Series { gateway: spelt.id, zone: *zone }))
        })
        .collect();
    let mut found: Vec<Vec<Metric>> = vec![Vec::new(); all.len()];
    let mut gaps = Vec::new();
    for some in series.chunks(MOST_SERIES) {
        let asked: Vec<Series<'_>> = some.iter().map(|(_, series)| *series).collect();
        let (of_series, missing) = question(&asked).answer(&clients.cloudwatch, window, deadline).await;
        for ((index, _), metrics) in some.iter().zip(of_series) {
            found[*index].extend(metrics);
        }
        gaps.extend(missing);
    }
    gaps.dedup();
    (found, gaps)
}

/// The most connections of each gateway in the window, and of each zone of a regional one; `None` where CloudWatch has
/// no datapoint.
pub(crate) async fn connections_of(
    clients: &Clients,
    gateways: &[NatGateway],
    window: TimeWindow,
    deadline: Deadline,
) -> (Vec<Connections>, Vec<Gap>) {
    fn question<'a>(series: &'a [Series<'a>]) -> Question<'a> {
        Question::new(series, &CONNECTIONS, "how many connections each gateway has").of_window_only()
    }
    let all = spelt(gateways);
    let (found, gaps) = answers(clients, &all, question, window, deadline).await;
    let of = |(spelt, metrics): (&Spelt<'_>, Vec<Metric>)| Connections {
        gateway: spelt.id.clone(),
        zone: spelt.zone.map(str::to_owned),
        most: metrics.iter().map(|metric| whole(metric.value)).max(),
        capacity: spelt.gateway.capacity(spelt.zone, PORTS_PER_ADDRESS),
    };
    (all.iter().zip(found).map(of).collect(), gaps)
}

/// The last two weeks of each gateway. All of them have ids.
pub(crate) async fn weeks_of(
    clients: &Clients,
    gateways: &[NatGateway],
    now: Timestamp,
    deadline: Deadline,
) -> (Vec<Weeks>, Vec<Gap>) {
    let this_week = weeks(clients, gateways, now, deadline);
    let week_before = weeks(clients, gateways, now - WEEK, deadline);
    let ((this_week, mut gaps), (week_before, more), without) =
        tokio::join!(this_week, week_before, missing_endpoints(&clients.ec2, gateways, deadline));
    gaps.extend(more);
    let without = without.unwrap_or_else(|gap| {
        gaps.push(gap);
        vec![None; gateways.len()]
    });
    gaps.dedup();
    let weeks = this_week.into_iter().zip(week_before).zip(without);
    let found =
        gateways.iter().zip(weeks).filter_map(|(gateway, ((this_week, week_before), without_endpoint))| {
            Some(Weeks {
                gateway: gateway.id.as_ref()?.to_string(),
                vpc_id: gateway.vpc_id.clone(),
                this_week,
                week_before,
                without_endpoint,
            })
        });
    (found.collect(), gaps)
}

/// The seven days before `end` of each gateway, over its zones.
async fn weeks(
    clients: &Clients,
    gateways: &[NatGateway],
    end: Timestamp,
    deadline: Deadline,
) -> (Vec<Week>, Vec<Gap>) {
    fn of_gateways<'a>(series: &'a [Series<'a>]) -> Question<'a> {
        Question::new(series, &OF_WEEK, "what passed through each gateway").of_window_only().by_day()
    }
    fn of_ours<'a>(series: &'a [Series<'a>]) -> Question<'a> {
        let question = Question::new(series, &FULLEST, "how full each gateway's fullest destination was");
        question.of_window_only().by_day().in_namespace(NAMESPACE)
    }
    let Ok(window) = TimeWindow::new(end - WEEK, end) else { return (Vec::new(), Vec::new()) };
    let all = spelt(gateways);
    // Ours has one series a gateway, whatever its zones.
    let whole_ones: Vec<Spelt<'_>> = gateways
        .iter()
        .filter_map(|gateway| {
            Some(Spelt { gateway, id: gateway.id.as_ref()?, zone: None, spellings: vec![None] })
        })
        .collect();
    let ((counted, mut gaps), (ours, more)) = tokio::join!(
        answers(clients, &all, of_gateways, window, deadline),
        answers(clients, &whole_ones, of_ours, window, deadline)
    );
    gaps.extend(more);
    let week = |(spelt, ours): (&Spelt<'_>, &Vec<Metric>)| {
        let of_gateway = || {
            let zones = all.iter().zip(&counted).filter(|(one, _)| one.id == spelt.id);
            zones.flat_map(|(_, metrics)| metrics)
        };
        let values = |name: &'static str| {
            of_gateway().filter(move |metric| metric.name == name).map(|metric| whole(metric.value))
        };
        let bytes = values("BytesInFromSource").chain(values("BytesInFromDestination"));
        Week {
            fullest_percent: ours.first().map(|metric| metric.value),
            connections: values("ActiveConnectionCount").max(),
            refused: values("ErrorPortAllocation").reduce(u64::saturating_add),
            bytes: bytes.reduce(u64::saturating_add),
        }
    };
    (whole_ones.iter().zip(&ours).map(week).collect(), gaps)
}
