//! What the diagnosis is told of a simulated incident beside its records: the alarm, and what AWS
//! look-ups would have said.

use std::ops::Range;

use jiff::Timestamp;
use nat_simulator::{Facts, GatewayKind as Kind, MinuteMetrics, Simulation};
use nat_triage::incident::{Alarm, Incident, TimeWindow};
use nat_triage::network::{
    FlowLog, FlowLogDestination, GatewayKind, LogClass, Metric, NatAddress, NatGateway, Network, Provenance,
    TrafficType,
};

use crate::setup::{Fault, Setup};

/// The log group of a simulated flow log.
pub(crate) const LOG_GROUP: &str = "/vpc/flow-logs";

/// The incident that the alarm on these errors would tell of; without errors there is no alarm, and
/// somebody asks by hand about the last three minutes. Other minutes than the `alarmed` ones are not the alarm's.
pub(crate) fn incident(facts: &Facts, setup: &Setup, alarmed: Range<i64>) -> anyhow::Result<Incident> {
    let mut counted = facts.errors.iter().filter(|(minute, _)| alarmed.contains(minute));
    let first = counted.next().map_or(alarmed.end - 180, |(minute, _)| *minute);
    let end = if setup.fault == Fault::Late { facts.alarm_at } else { alarmed.end };
    let alarm = Alarm {
        name: "nat-ports".into(),
        arn: None,
        account: Some(facts.account_id.clone()),
        region: Some(facts.region.clone()),
        state: "ALARM".into(),
        at: Timestamp::from_second(facts.alarm_at)?,
        metric_account: None,
        contributor: None,
        muted: None,
    };
    let errors = facts
        .errors
        .iter()
        .filter(|(minute, _)| (first..end).contains(minute))
        .map(|(_, sum)| *sum as f64)
        .fold(0.0, std::ops::Add::add);
    Ok(Incident {
        alarm: (!facts.errors.is_empty()).then_some(alarm),
        gateway: facts.gateway_id.parse().ok(),
        zone: (facts.kind == Kind::Regional).then(|| facts.addresses[0].zone.clone()),
        window: Some(TimeWindow::new(Timestamp::from_second(first)?, Timestamp::from_second(end)?)?),
        exact_window: false,
        zone_from_metrics: false,
        errors_reported: Some(errors),
        one_of_several: false,
        without_errors: false,
    })
}

/// What AWS look-ups would say.
pub(crate) fn network(simulation: &Simulation, setup: &Setup, incident: &Incident) -> Network {
    let facts = simulation.facts();
    let address = |text: &Option<String>| text.as_deref().and_then(|a| a.parse().ok());
    let gateway = NatGateway {
        id: facts.gateway_id.parse().ok(),
        kind: match facts.kind {
            Kind::Zonal => GatewayKind::Zonal,
            Kind::Private => GatewayKind::Private,
            Kind::Regional => GatewayKind::Regional,
        },
        addresses: facts
            .addresses
            .iter()
            .map(|a| NatAddress {
                private: address(&a.private),
                public: address(&a.public),
                zone: (facts.kind == Kind::Regional).then(|| a.zone.clone()),
                usable: true,
            })
            .collect(),
        interface_ids: facts.interface_id.iter().filter_map(|id| id.parse().ok()).collect(),
        vpc_id: Some(facts.vpc_id.clone()),
        subnet_id: facts.subnet_id.clone(),
        vpc_cidrs: facts.vpc_cidrs.iter().filter_map(|range| range.parse().ok()).collect(),
        provenance: Provenance::LookedUp,
        ..NatGateway::default()
    };
    let covers = if setup.whole_vpc {
        facts.vpc_id.clone()
    } else {
        facts.interface_id.clone().unwrap_or_else(|| facts.gateway_id.clone())
    };
    let flow_log = FlowLog {
        id: "fl-0123456789abcdef0".into(),
        resource_id: covers,
        log_group: Some(LOG_GROUP.into()),
        destination: FlowLogDestination::CloudWatchLogs,
        traffic: TrafficType::All,
        format: setup.format.header(),
        aggregation_seconds: setup.aggregation_s,
        delivery_error: None,
        log_class: Some(LogClass::Standard),
        kept_from: None,
        stored_bytes: None,
        in_bucket: None,
    };
    let metrics = if setup.metrics { metrics(simulation.metrics(), incident) } else { Vec::new() };
    Network { gateway, flow_logs: vec![flow_log], metrics, ..Network::default() }
}

/// The metrics of the window and of as long a time before, as the function asks for them.
fn metrics(minutes: &[MinuteMetrics], incident: &Incident) -> Vec<Metric> {
    type Of = fn(&MinuteMetrics) -> u64;
    const METRICS: [(&str, &str, Of); 6] = [
        ("ErrorPortAllocation", "Sum", |m| m.error_port_allocation),
        ("ActiveConnectionCount", "Maximum", |m| m.active_connection_count),
        ("ConnectionAttemptCount", "Sum", |m| m.connection_attempt_count),
        ("ConnectionEstablishedCount", "Sum", |m| m.connection_established_count),
        ("IdleTimeoutCount", "Sum", |m| m.idle_timeout_count),
        ("PacketsDropCount", "Sum", |m| m.packets_drop_count),
    ];
    let Some(window) = incident.window else { return Vec::new() };
    let (start, end) = (window.start().as_second().div_euclid(60) * 60, window.end().as_second());
    let over = |from: i64, to: i64, of: Of, statistic: &str| {
        let values: Vec<u64> = minutes
            .iter()
            .filter(|m| (from..to).contains(&m.minute) && (m.zone.is_none() || m.zone == incident.zone))
            .map(of)
            .collect();
        let value = if statistic == "Sum" { values.iter().sum() } else { values.iter().copied().max()? };
        (!values.is_empty()).then_some(value as f64)
    };
    METRICS
        .iter()
        .filter_map(|&(name, statistic, of)| {
            Some(Metric {
                name: name.into(),
                statistic: statistic.into(),
                value: over(start, end, of, statistic)?,
                baseline: over(start - (end - start), start, of, statistic),
                day_before: None,
                greatest_at: None,
            })
        })
        .collect()
}
