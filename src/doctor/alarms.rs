//! Whether an alarm watches a gateway, and what is wrong with those that were meant to.

use crate::alarm::query::Query;
use crate::alarm::{METRIC, NAMESPACE};
use crate::diagnosis::region_option;
use crate::gap::Gap;
use crate::network::{GatewayKind, NatGateway};
use crate::words::{self, counted};

use super::{Check, Examined, Row, Tonight, name_of};

const GATEWAY: &str = "NatGatewayId";
const ZONE: &str = "AvailabilityZone";

/// One series that an alarm watches, or one query for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Series {
    /// A metric.
    Metric {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Names and values of its dimensions.
        dimensions: Vec<(String, String)>,
    },
    /// A query of Metrics Insights, or metric math.
    Expression(String),
}

/// An alarm, as far as it concerns whether it fires and tells somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct Watcher {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// What it watches.
    pub series: Vec<Series>,
    /// The statistic of a plain alarm.
    pub statistic: Option<String>,
    /// Seconds of one datapoint.
    pub period: u32,
    /// Datapoints that are looked at.
    pub evaluated: u32,
    /// Datapoints of these that have to be bad.
    pub bad: u32,
    /// What datapoints are compared with.
    pub threshold: f64,
    /// How, as the API has it.
    pub comparison: String,
    /// What missing data is taken for, as the API has it.
    pub missing: String,
    /// Whether its actions are taken.
    pub acts: bool,
    /// ARNs of what is done in the state ALARM.
    pub actions: Vec<String>,
    /// Its state.
    pub state: String,
}

/// Something that is wrong with an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    tonight: Tonight,
    says: String,
    /// Whether its actions are merely switched off.
    switched_off: bool,
}

impl Trouble {
    fn none(says: impl Into<String>) -> Self {
        Self { tonight: Tonight::None, says: says.into(), switched_off: false }
    }

    fn partial(says: impl Into<String>) -> Self {
        Self { tonight: Tonight::Partial, says: says.into(), switched_off: false }
    }
}

/// What an alarm is to a gateway.
struct Meant<'a> {
    watcher: &'a Watcher,
    /// The zone of a regional gateway that it watches; `None` where it watches all.
    zone: Option<String>,
    troubles: Vec<Trouble>,
}

impl Meant<'_> {
    fn tonight(&self) -> Tonight {
        self.troubles.iter().map(|trouble| trouble.tonight).max().unwrap_or(Tonight::Full)
    }
}

/// The row of a gateway's alarms: of the best one, and of what is missing beside it.
pub(super) fn row(examined: &Examined, alarms: Result<&[Watcher], &Gap>, region: Option<&str>) -> Row {
    let (about, gateway) = (name_of(examined), &examined.network.gateway);
    let alarms = match alarms {
        Ok(alarms) => alarms,
        Err(gap) => return Row::of_gap(about, Check::Alarm, Tonight::Partial, gap),
    };
    let mut meant: Vec<Meant<'_>> = alarms.iter().filter_map(|alarm| meant_for(alarm, gateway)).collect();
    meant.sort_by_key(|one| (one.tonight(), one.zone.is_some()));
    let make = |name: Option<&str>, zone: Option<&str>| put(name, gateway, zone, function_of(alarms), region);
    let Some(best) = meant.first() else {
        let zone = gateway.zones.first().map(String::as_str);
        return Row::bad(about, Check::Alarm, Tonight::None, "no alarm watches it", make(None, zone));
    };
    let name = &best.watcher.name;
    if let Some(worst) = best.troubles.iter().max_by_key(|trouble| trouble.tonight) {
        let says: Vec<&str> = best.troubles.iter().map(|trouble| trouble.says.as_str()).collect();
        let fix = if worst.switched_off {
            format!(
                "aws cloudwatch enable-alarm-actions --alarm-names {}{}",
                words::argument(name),
                region_option(region)
            )
        } else {
            let zone = best.zone.as_deref().or(gateway.zones.first().map(String::as_str));
            make(Some(name), zone)
        };
        return Row::bad(
            about,
            Check::Alarm,
            best.tonight(),
            format!("alarm {name}: {}", says.join("; ")),
            fix,
        );
    }
    let good = || meant.iter().filter(|one| one.troubles.is_empty());
    let unwatched: Vec<&str> = gateway
        .zones
        .iter()
        .map(String::as_str)
        .filter(|zone| !good().any(|one| one.zone.as_deref().is_none_or(|watched| watched == *zone)))
        .collect();
    if let Some(first) = unwatched.first() {
        let says = format!("alarm {name} is good, but none watches it in {}", words::list(&unwatched));
        return Row::bad(about, Check::Alarm, Tonight::Partial, says, make(None, Some(first)));
    }
    let more = match good().count() {
        0 | 1 => String::new(),
        several => format!(" (and {})", counted(several as u64 - 1, "more alarm")),
    };
    let action = best.watcher.actions.iter().find(|action| is_function(action)).map_or("", String::as_str);
    Row::good(about, Check::Alarm, format!("alarm {name} watches it and invokes {action}{more}"))
}

/// The functions that alarms on these gateways invoke, each with the ARNs of the alarms.
#[must_use]
pub fn invokers(examined: &[Examined], alarms: &[Watcher]) -> Vec<(String, Vec<String>)> {
    let mut functions: Vec<(String, Vec<String>)> = Vec::new();
    for alarm in alarms {
        let is_meant = examined.iter().any(|one| meant_for(alarm, &one.network.gateway).is_some());
        for action in alarm.actions.iter().filter(|action| is_meant && is_function(action)) {
            match functions.iter_mut().find(|(function, _)| function == action) {
                Some((_, alarms)) => alarms.push(alarm.arn.clone()),
                None => functions.push((action.clone(), vec![alarm.arn.clone()])),
            }
        }
    }
    functions
}

/// What an alarm is to a gateway; `None` where it is about something else.
fn meant_for<'a>(watcher: &'a Watcher, gateway: &NatGateway) -> Option<Meant<'a>> {
    let (zone, mut troubles) = watcher.series.iter().find_map(|series| match series {
        Series::Metric { namespace, name, dimensions } => plain(namespace, name, dimensions, gateway),
        Series::Expression(text) => query(text, gateway),
    })?;
    troubles.extend(settings(watcher));
    Some(Meant { watcher, zone, troubles })
}

type Watched = (Option<String>, Vec<Trouble>);

fn plain(
    namespace: &str,
    name: &str,
    dimensions: &[(String, String)],
    gateway: &NatGateway,
) -> Option<Watched> {
    // People spell both in every way, and CloudWatch takes any: such an alarm never has data.
    if !namespace.eq_ignore_ascii_case(NAMESPACE) || !name.eq_ignore_ascii_case(METRIC) {
        return None;
    }
    let value = |wanted: &str| {
        dimensions.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    };
    let id = value(GATEWAY)?;
    let mut troubles = Vec::new();
    let is = |known: Option<&str>| known == Some(id);
    if is(gateway.subnet_id.as_deref()) {
        troubles.push(Trouble::none(format!("its {GATEWAY} is {id}, which is the gateway's subnet")));
    } else if gateway.interface_ids.iter().any(|eni| eni.to_string() == id) {
        troubles.push(Trouble::none(format!("its {GATEWAY} is {id}, which is the gateway's interface")));
    } else if !is(gateway.id.as_ref().map(|id| id.as_str())) {
        return None;
    }
    if namespace != NAMESPACE {
        troubles.push(Trouble::none(format!("its namespace is {namespace}, and it is spelt {NAMESPACE}")));
    }
    if name != METRIC {
        troubles.push(Trouble::none(format!("its metric is {name}, and it is spelt {METRIC}")));
    }
    for (spelt, _) in dimensions {
        match [GATEWAY, ZONE].into_iter().find(|known| known.eq_ignore_ascii_case(spelt)) {
            Some(known) if known == spelt => {}
            Some(known) => {
                troubles.push(Trouble::none(format!("its dimension is {spelt}, and it is spelt {known}")));
            }
            None => troubles.push(Trouble::none(format!("the metric has no dimension {spelt}"))),
        }
    }
    let zone = value(ZONE);
    match (gateway.kind, zone) {
        (GatewayKind::Regional, None) => troubles.push(Trouble::none(format!(
            "the metrics of a regional gateway have the dimension {ZONE} as well, and it names none"
        ))),
        (GatewayKind::Zonal | GatewayKind::Private, Some(_)) => troubles.push(Trouble::none(format!(
            "the metrics of a zonal gateway have no dimension {ZONE}, and it names one"
        ))),
        _ => {}
    }
    Some((zone.map(str::to_owned), troubles))
}

fn query(text: &str, gateway: &NatGateway) -> Option<Watched> {
    let query = Query::read(text).filter(|query| query.ours)?;
    let id = gateway.id.as_ref()?.as_str();
    let regional = gateway.kind == GatewayKind::Regional;
    if query.by_zone.is_some_and(|by_zone| by_zone != regional)
        || !query.gateways.is_empty() && !query.gateways.iter().any(|named| named == id)
    {
        return None;
    }
    let mut troubles = Vec::new();
    if !query.grouped && query.gateways.len() != 1 {
        troubles.push(Trouble::none(format!(
            "its query has no GROUP BY {GATEWAY}, so that its event names no gateway"
        )));
    }
    Some((query.zone, troubles))
}

/// Longest that bad minutes in a row may be waited for before somebody is told.
const MAX_WAIT_SECONDS: u32 = 300;

/// What is wrong with how an alarm compares, and with what it does.
fn settings(watcher: &Watcher) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let comparison = watcher.comparison.as_str();
    if !comparison.starts_with("GreaterThan") {
        troubles.push(Trouble::none(format!("it compares by {comparison}, and errors are bad above 0")));
    } else if watcher.threshold < 0.0 || watcher.threshold == 0.0 && comparison.contains("OrEqual") {
        troubles.push(Trouble::none("it is in ALARM without an error, so that nothing changes at the first"));
    } else if watcher.threshold > 1.0 || watcher.threshold == 1.0 && !comparison.contains("OrEqual") {
        let says =
            format!("it takes more than {} errors, and one is a refused connection", watcher.threshold);
        troubles.push(Trouble::partial(says));
    }
    match watcher.statistic.as_deref() {
        Some("SampleCount") => {
            troubles
                .push(Trouble::none("its statistic SampleCount counts datapoints, not errors: it is Sum"));
        }
        Some("Minimum") if watcher.period > 60 => {
            troubles.push(Trouble::partial(
                "its statistic Minimum is 0 where one minute had no error: it is Sum",
            ));
        }
        _ => {}
    }
    let wait = watcher.bad.saturating_mul(watcher.period);
    if wait > MAX_WAIT_SECONDS {
        troubles.push(Trouble::partial(format!(
            "{} of {} datapoints of {} s have to be bad: it tells after {} minutes, and never of a shorter incident",
            watcher.bad,
            watcher.evaluated,
            watcher.period,
            wait / 60
        )));
    }
    if watcher.missing == "breaching" {
        troubles.push(Trouble::none(
            "it takes missing data as breaching, so that it is in ALARM without an error",
        ));
    }
    if !watcher.acts {
        let says = "its actions are switched off".to_owned();
        troubles.push(Trouble { tonight: Tonight::None, says, switched_off: true });
    }
    if watcher.actions.is_empty() {
        troubles
            .push(Trouble::none("it has no action for ALARM; only a rule of EventBridge could pass it on"));
    } else if !watcher.actions.iter().any(|action| is_function(action)) {
        let says = format!(
            "its action is {}: nat-triage hears of it only where it is subscribed there",
            words::list(&watcher.actions)
        );
        troubles.push(Trouble::partial(says));
    }
    if watcher.state == "ALARM" {
        troubles.push(Trouble::partial(
            "it is in ALARM now, and tells of the next incident only once this one ends",
        ));
    }
    troubles
}

fn is_function(arn: &str) -> bool {
    arn.contains(":lambda:") && arn.contains(":function:")
}

/// The function that alarms on NAT gateways invoke, where any does.
fn function_of(alarms: &[Watcher]) -> Option<&str> {
    alarms.iter().flat_map(|alarm| &alarm.actions).map(String::as_str).find(|action| is_function(action))
}

/// The command that makes a good alarm, or a good one of the one with this name: it replaces all of its settings.
fn put(
    name: Option<&str>,
    gateway: &NatGateway,
    zone: Option<&str>,
    function: Option<&str>,
    region: Option<&str>,
) -> String {
    let id = gateway.id.as_ref().map_or("NAT_GATEWAY_ID", |id| id.as_str());
    let zone = zone.filter(|_| gateway.kind == GatewayKind::Regional);
    let name = name.map_or_else(
        || format!("nat-triage-{id}{}", zone.map_or(String::new(), |zone| format!("-{zone}"))),
        str::to_owned,
    );
    let zone = zone
        .map_or(String::new(), |zone| format!(" {}", words::argument(&format!("Name={ZONE},Value={zone}"))));
    format!(
        "aws cloudwatch put-metric-alarm --alarm-name {} --alarm-actions {} --namespace {NAMESPACE} --metric-name {METRIC} --dimensions Name={GATEWAY},Value={id}{zone} --statistic Sum --period 60 --threshold 0 --comparison-operator GreaterThanThreshold --evaluation-periods 3 --datapoints-to-alarm 1 --treat-missing-data notBreaching{}",
        words::argument(&name),
        words::argument(function.unwrap_or("FUNCTION_ARN")),
        region_option(region)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Reading;
    use crate::network::Network;

    const ID: &str = "nat-0123456789abcdef0";
    const FUNCTION: &str = "arn:aws:lambda:eu-west-1:123456789012:function:nat-triage";

    fn examined(kind: GatewayKind, zones: &[&str]) -> Examined {
        let gateway = NatGateway {
            id: Some(ID.parse().expect("valid")),
            kind,
            subnet_id: Some("subnet-0123456789abcdef0".into()),
            zones: zones.iter().map(|&zone| zone.to_owned()).collect(),
            ..NatGateway::default()
        };
        let network = Network { gateway, ..Network::default() };
        Examined { network, gaps: Vec::new(), reading: Reading::default(), probe: None }
    }

    fn metric(namespace: &str, dimensions: &[(&str, &str)]) -> Series {
        let dimensions =
            dimensions.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Series::Metric { namespace: namespace.into(), name: METRIC.into(), dimensions }
    }

    fn watching(series: Series) -> Watcher {
        Watcher {
            name: "the alarm".into(),
            arn: "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:the alarm".into(),
            series: vec![series],
            statistic: Some("Sum".into()),
            period: 60,
            evaluated: 3,
            bad: 1,
            threshold: 0.0,
            comparison: "GreaterThanThreshold".into(),
            missing: "notBreaching".into(),
            acts: true,
            actions: vec![FUNCTION.into()],
            state: "OK".into(),
        }
    }

    fn good() -> Watcher {
        watching(metric(NAMESPACE, &[(GATEWAY, ID)]))
    }

    fn judged(examined: &Examined, alarms: &[Watcher]) -> Row {
        row(examined, Ok(alarms), Some("eu-west-1"))
    }

    #[test]
    fn alarms_that_are_wrong_in_ways_people_have_are_told_by_name() {
        let zonal = examined(GatewayKind::Zonal, &[]);
        assert_eq!(judged(&zonal, &[good()]).tonight, Tonight::Full, "{}", judged(&zonal, &[good()]).says);
        let cases = [
            (
                watching(metric(NAMESPACE, &[(GATEWAY, "subnet-0123456789abcdef0")])),
                Tonight::None,
                "the gateway's subnet",
            ),
            (watching(metric("AWS/NatGateway", &[(GATEWAY, ID)])), Tonight::None, "spelt AWS/NATGateway"),
            (watching(metric(NAMESPACE, &[("NATGatewayId", ID)])), Tonight::None, "spelt NatGatewayId"),
            (
                watching(metric(NAMESPACE, &[(GATEWAY, ID), (ZONE, "eu-west-1a")])),
                Tonight::None,
                "no dimension AvailabilityZone",
            ),
            (Watcher { evaluated: 15, bad: 15, ..good() }, Tonight::Partial, "15 of 15 datapoints"),
            (Watcher { acts: false, ..good() }, Tonight::None, "switched off"),
            (Watcher { actions: Vec::new(), ..good() }, Tonight::None, "no action"),
            (
                Watcher { actions: vec!["arn:aws:sns:eu-west-1:123456789012:t".into()], ..good() },
                Tonight::Partial,
                "subscribed there",
            ),
            (Watcher { missing: "breaching".into(), ..good() }, Tonight::None, "missing data"),
            (Watcher { statistic: Some("SampleCount".into()), ..good() }, Tonight::None, "SampleCount"),
            (Watcher { threshold: 1000.0, ..good() }, Tonight::Partial, "1000 errors"),
            (
                Watcher { comparison: "LessThanThreshold".into(), ..good() },
                Tonight::None,
                "LessThanThreshold",
            ),
            (Watcher { state: "ALARM".into(), ..good() }, Tonight::Partial, "in ALARM now"),
        ];
        for (alarm, tonight, says) in cases {
            let row = judged(&zonal, &[alarm]);
            assert_eq!(row.tonight, tonight, "{}", row.says);
            assert!(row.says.contains(says), "{}", row.says);
            assert!(row.fix.is_some_and(|fix| fix.starts_with("aws cloudwatch ")), "{says}");
        }
        // A good one beside a wrong one is enough.
        assert_eq!(judged(&zonal, &[Watcher { acts: false, ..good() }, good()]).tonight, Tonight::Full);
    }

    #[test]
    fn the_alarms_of_the_stack_watch_the_gateways_that_they_are_for() {
        let query = |schema: &str, groups: &str| {
            let text = format!(
                r#"SELECT SUM(ErrorPortAllocation) FROM SCHEMA("AWS/NATGateway", {schema}) GROUP BY {groups}"#
            );
            watching(Series::Expression(text))
        };
        let both = [
            query(GATEWAY, GATEWAY),
            query("AvailabilityZone, NatGatewayId", "NatGatewayId, AvailabilityZone"),
        ];
        let zonal = examined(GatewayKind::Zonal, &[]);
        let regional = examined(GatewayKind::Regional, &["eu-west-1a", "eu-west-1b"]);
        for (examined, alarm) in [(&zonal, &both[0]), (&regional, &both[1])] {
            assert_eq!(judged(examined, std::slice::from_ref(alarm)).tonight, Tonight::Full);
        }
        for (examined, alarm) in [(&zonal, &both[1]), (&regional, &both[0])] {
            assert_eq!(judged(examined, std::slice::from_ref(alarm)).says, "no alarm watches it");
        }
        let alone =
            watching(Series::Expression(r#"SELECT SUM(ErrorPortAllocation) FROM "AWS/NATGateway""#.into()));
        assert!(judged(&zonal, &[alone]).says.contains("GROUP BY"));
    }

    #[test]
    fn a_zone_that_no_alarm_watches_is_named() {
        let regional = examined(GatewayKind::Regional, &["eu-west-1a", "eu-west-1b"]);
        let of = |zone| watching(metric(NAMESPACE, &[(GATEWAY, ID), (ZONE, zone)]));
        let row = judged(&regional, &[of("eu-west-1a")]);
        assert_eq!(row.tonight, Tonight::Partial, "{}", row.says);
        assert!(row.says.ends_with("none watches it in eu-west-1b"), "{}", row.says);
        assert!(row.fix.expect("a fix").contains("Name=AvailabilityZone,Value=eu-west-1b"));
        assert_eq!(judged(&regional, &[of("eu-west-1a"), of("eu-west-1b")]).tonight, Tonight::Full);
        let without = judged(&regional, &[watching(metric(NAMESPACE, &[(GATEWAY, ID)]))]);
        assert_eq!(without.tonight, Tonight::None, "{}", without.says);
    }
}
