//! Simulated incidents, turned into what the program reads: lines, log groups, what AWS would say of
//! the gateway, the alarm.

use insights_server::Store;
use jiff::Timestamp;
use nat_simulator::{Facts, GatewayKind as Kind, Record};
use nat_triage::incident::{Alarm, Incident, TimeWindow};
use nat_triage::network::{
    FlowLog, FlowLogDestination, GatewayKind, LogClass, NatAddress, NatGateway, Network, Provenance,
    TrafficType,
};
use serde_json::json;

pub(crate) const LOG_GROUP: &str = "/vpc/flow-logs";

/// What AWS look-ups would say: the gateway, and one flow log of this format.
pub(crate) fn network(facts: &Facts, format: &str, covers: &str, aggregation_seconds: u32) -> Network {
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
            .map(|address| NatAddress {
                private: address.private.as_deref().and_then(|a| a.parse().ok()),
                public: address.public.as_deref().and_then(|a| a.parse().ok()),
                zone: (facts.kind == Kind::Regional).then(|| address.zone.clone()),
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
    let flow_log = FlowLog {
        id: "fl-0123456789abcdef0".into(),
        resource_id: covers.into(),
        log_group: Some(LOG_GROUP.into()),
        destination: FlowLogDestination::CloudWatchLogs,
        traffic: TrafficType::All,
        format: format.into(),
        aggregation_seconds,
        delivery_error: None,
        log_class: Some(LogClass::Standard),
        kept_from: None,
        stored_bytes: None,
        in_bucket: None,
    };
    Network { gateway, flow_logs: vec![flow_log], ..Network::default() }
}

/// The incident that an alarm on these errors would tell of.
pub(crate) fn incident(facts: &Facts) -> Incident {
    let second = |s| Timestamp::from_second(s).expect("a time of this century");
    let first = facts.errors.first().map_or(facts.end - 180, |(minute, _)| *minute);
    Incident {
        alarm: Some(Alarm {
            name: "nat-ports".into(),
            arn: None,
            account: Some(facts.account_id.clone()),
            region: Some(facts.region.clone()),
            state: "ALARM".into(),
            at: second(facts.alarm_at),
            metric_account: None,
            contributor: None,
            muted: None,
        }),
        gateway: facts.gateway_id.parse().ok(),
        zone: (facts.kind == Kind::Regional).then(|| facts.addresses[0].zone.clone()),
        window: TimeWindow::new(second(first), second(facts.end)).ok(),
        exact_window: false,
        zone_from_metrics: false,
        one_of_several: false,
        without_errors: false,
        errors_reported: Some(facts.errors.iter().map(|(_, sum)| *sum as f64).sum()),
    }
}

/// The records in the log streams that CloudWatch Logs would keep them in.
pub(crate) fn store(records: &[Record]) -> Store {
    let store = Store::new();
    store.add_group(insights_server::LogGroup::new(LOG_GROUP));
    add(&store, records);
    store
}

/// Adds records to what is kept.
pub(crate) fn add(store: &Store, records: &[Record]) {
    let mut records: Vec<&Record> = records.iter().collect();
    records.sort_by(|a, b| a.stream.cmp(&b.stream));
    for stream in records.chunk_by(|a, b| a.stream == b.stream) {
        let lines = stream.iter().map(|record| (record.timestamp, record.line.as_str()));
        store.add_flow_log_lines(LOG_GROUP, &stream[0].stream, lines);
    }
}

/// The records as a file holds them, under their header line.
pub(crate) fn file(records: &[Record], header: &str) -> String {
    let mut text = format!("{header}\n");
    for record in records {
        text.push_str(&record.line);
        text.push('\n');
    }
    text
}

/// One question and its answer, as Route 53 Resolver logs them.
pub(crate) fn query_log(name: &str, addresses: &[&str]) -> String {
    let answers: Vec<_> =
        addresses.iter().map(|address| json!({ "Rdata": address, "Type": "A", "Class": "IN" })).collect();
    json!({
        "version": "1.100000",
        "query_name": format!("{name}."),
        "query_type": "A",
        "query_class": "IN",
        "rcode": "NOERROR",
        "answers": answers,
    })
    .to_string()
}

/// A record with the times of an hour earlier.
pub(crate) fn an_hour_earlier(record: &Record, header: &str) -> Record {
    const HOUR: i64 = 3_600;

    let names = header.split(' ');
    let fields = names.zip(record.line.split(' ')).map(|(name, field)| match (name, field.parse::<i64>()) {
        ("start" | "end", Ok(second)) => (second - HOUR).to_string(),
        _ => field.to_owned(),
    });
    Record {
        timestamp: record.timestamp - HOUR,
        delivered_at: record.delivered_at - HOUR,
        line: fields.collect::<Vec<_>>().join(" "),
        ..record.clone()
    }
}
