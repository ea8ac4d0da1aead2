//! Fixes, each gated on its evidence, ranked by how much it helps now.

use std::net::IpAddr;

use super::commands::{describe_owner, errors_metric, region_option};
use super::findings::{Findings, Ranked};
use super::{Command, Confidence, Pattern, Remedy, Verdict};
use crate::evidence::Attribution;
use crate::network::{GatewayKind, Provenance, is_private};
use crate::words;

/// Most addresses that a zonal gateway can have, and how many its default quota allows.
///
/// Source: "Amazon VPC quotas" (L-5F53652F) and "NAT gateway basics" in the Amazon VPC user guide.
const MOST_ADDRESSES: u32 = 8;
const QUOTA_ADDRESSES: u32 = 2;

/// A public IPv4 address for a month of 730 hours, at $0.005 an hour (us-east-1 list price).
const ADDRESS_MONTHLY_USD: f64 = 3.65;

/// Seconds after which a gateway lets go of an idle connection, as a word in sentences.
const IDLE: &str = "350 s";

/// The remedies that the evidence supports, most helpful first.
pub(super) fn remedies(findings: &Findings<'_>, verdict: Verdict, pattern: Option<Pattern>) -> Vec<Remedy> {
    let mut remedies = Vec::new();
    if let Some(top) = findings.top()
        && matches!(verdict, Verdict::Confirmed | Verdict::Likely)
    {
        remedies.extend(limit_connections_per_client(findings, top, verdict));
        remedies.extend(close_idle_connections(findings, top, pattern));
        remedies.extend(reuse_connections(findings, top, pattern));
        remedies.extend(stop_retry_storm(findings, top, pattern));
        remedies.extend(use_vpc_resolver(findings, top));
        remedies.extend(add_nat_addresses(findings, top, verdict, pattern));
    }
    remedies.extend(flow_logs(findings));
    remedies
}

fn region<'a>(findings: &'a Findings<'_>) -> Option<&'a str> {
    findings.incident.alarm.as_ref()?.region.as_deref()
}

/// What shows that a remedy worked: the errors stop.
fn errors_stop(findings: &Findings<'_>) -> String {
    errors_metric(findings.gateway_id(), findings.incident.zone.as_deref(), region(findings))
}

/// Shows who owns an address: the way to whoever can change what it does.
fn who_owns(findings: &Findings<'_>, address: IpAddr) -> Command {
    Command {
        run: describe_owner(address, region(findings)),
        verify: errors_stop(findings),
        undo: "nothing to undo: this only shows who owns the address".into(),
    }
}

/// Shows who the greatest holder is.
fn who_holds_most(findings: &Findings<'_>, top: &Ranked) -> Vec<Command> {
    top.clients.first().map(|client| who_owns(findings, client.address)).into_iter().collect()
}

/// A client that holds this much on its own, or three that do together, is worth stopping.
const ONE_HOLDS: f64 = 0.5;
const THREE_HOLD: f64 = 0.7;

fn limit_connections_per_client(findings: &Findings<'_>, top: &Ranked, verdict: Verdict) -> Option<Remedy> {
    let capacity = findings.capacity?;
    let together = |n: usize| top.clients.iter().take(n).map(|c| c.share).sum::<f64>();
    let few = if together(1) >= ONE_HOLDS {
        1
    } else if together(3) >= THREE_HOLD && top.clients.len() > 3 {
        3
    } else {
        return None;
    };
    let holders: Vec<_> = top.clients.iter().take(few).collect();
    let named: Vec<String> = holders
        .iter()
        .map(|c| {
            format!(
                "{} holds {} of the ports to {} (about {})",
                c.address,
                words::percent(c.share),
                top.label(),
                words::count(u64::from(c.held.estimate))
            )
        })
        .collect();
    let freed: u64 = holders.iter().map(|c| u64::from(c.held.estimate)).sum();
    let left = u64::from(top.held.estimate).saturating_sub(freed);
    let confidence = match holders[0].attribution {
        Attribution::Connection if verdict == Verdict::Confirmed => Confidence::High,
        Attribution::Connection | Attribution::ClientInterface => Confidence::Medium,
        Attribution::DestinationPort | Attribution::None => Confidence::Low,
    };
    Some(Remedy {
        id: "limit-connections-per-client".into(),
        title: if few == 1 { format!("Find out what {} is, then stop or cap it", holders[0].address) } else { "Find out what the three greatest holders are, then stop or cap them".into() },
        why: format!("{}.", named.join("; ")),
        effect: format!(
            "Without it about {} of {} ports stay in use. Ports of connections that it closes are free at once; of ones that it abandons, {IDLE} after their last packet.",
            words::count(left),
            words::count(u64::from(capacity))
        ),
        commands: holders
            .iter()
            .map(|c| who_owns(findings, c.address))
            .collect(),
        hazards: vec![
            "Restarting the client ends what it is doing; look at what it is first.".into(),
            "The address may stand for several workloads: pods behind a node, or Lambda functions that share a subnet and security groups.".into(),
        ],
        monthly_cost_usd: Some(0.0),
        confidence,
    })
}

fn close_idle_connections(findings: &Findings<'_>, top: &Ranked, pattern: Option<Pattern>) -> Option<Remedy> {
    let idle = findings.network.metric("IdleTimeoutCount");
    let rose = idle.filter(|m| m.value > 0.0 && m.change().is_some_and(|change| change >= 2.0));
    if pattern != Some(Pattern::Leak) && rose.is_none() {
        return None;
    }
    let mut why = if pattern == Some(Pattern::Leak) {
        format!(
            "{} of {} connections to {} were never seen to close; at any moment at most {} of about {} held ports carried packets.",
            words::count(top.tally.connections - top.tally.ended.min(top.tally.connections)),
            words::count(top.tally.connections),
            top.label(),
            words::count(u64::from(top.held.at_least)),
            words::count(u64::from(top.held.estimate))
        )
    } else {
        String::new()
    };
    if let (Some(metric), Some(change)) = (rose, rose.and_then(crate::network::Metric::change)) {
        let space = if why.is_empty() { "" } else { " " };
        why.push_str(&format!(
            "{space}IdleTimeoutCount was {:.0} in the window, {change:.1} times the time before.",
            metric.value
        ));
    }
    Some(Remedy {
        id: "close-idle-connections".into(),
        title: "Close connections when done with them".into(),
        why,
        effect: format!(
            "A closed connection gives its port back at once; an abandoned one keeps it for {IDLE}. TCP keepalive does not help: it keeps ports taken."
        ),
        commands: who_holds_most(findings, top),
        hazards: vec!["It is a change in the client's code or pool settings, so not a fix for tonight; stopping the greatest holder is.".into()],
        monthly_cost_usd: Some(0.0),
        confidence: if pattern == Some(Pattern::Leak) { Confidence::High } else { Confidence::Medium },
    })
}

fn reuse_connections(findings: &Findings<'_>, top: &Ranked, pattern: Option<Pattern>) -> Option<Remedy> {
    (pattern == Some(Pattern::Churn)).then(|| Remedy {
        id: "reuse-connections".into(),
        title: "Reuse connections: a pool, HTTP keep-alive or HTTP/2".into(),
        why: format!(
            "{} connections to {} in the window, in use for {:.0} s on average.",
            words::count(top.tally.connections),
            top.label(),
            top.tally.active_seconds as f64 / top.tally.connections.max(1) as f64
        ),
        effect: "One pooled connection stands in for many short ones, each of which takes a port of its own."
            .into(),
        commands: who_holds_most(findings, top),
        hazards: vec!["It is a change in the client, so not a fix for tonight.".into()],
        monthly_cost_usd: Some(0.0),
        confidence: Confidence::Medium,
    })
}

fn stop_retry_storm(findings: &Findings<'_>, top: &Ranked, pattern: Option<Pattern>) -> Option<Remedy> {
    (pattern == Some(Pattern::RetryStorm)).then(|| Remedy {
        id: "stop-retry-storm".into(),
        title: format!("Stop retrying towards {}, which does not answer", top.label()),
        why: format!(
            "{} of {} connections to {} left the gateway and were never answered.",
            words::count(top.tally.unanswered),
            words::count(top.tally.connections),
            top.label()
        ),
        effect: "Each attempt takes a port. With back-off, or with the destination back, they are few."
            .into(),
        commands: who_holds_most(findings, top),
        hazards: vec![
            "Whether the destination is down, or blocked by a rule on the way, flow logs do not tell.".into(),
        ],
        monthly_cost_usd: Some(0.0),
        confidence: Confidence::Medium,
    })
}

fn use_vpc_resolver(findings: &Findings<'_>, top: &Ranked) -> Option<Remedy> {
    (top.destination.port == 53 && !is_private(top.address)).then(|| Remedy {
        id: "use-vpc-resolver".into(),
        title: "Ask the VPC's own resolver".into(),
        why: format!("{} is a name server outside the VPC, and every query to it takes a port.", top.label()),
        effect: "Queries to the VPC's resolver (the VPC's base address plus two, or 169.254.169.253) never pass the gateway.".into(),
        commands: who_holds_most(findings, top),
        hazards: vec!["Names that only the outside server knows need a forwarding rule first.".into()],
        monthly_cost_usd: None,
        confidence: Confidence::High,
    })
}

fn add_nat_addresses(
    findings: &Findings<'_>,
    top: &Ranked,
    verdict: Verdict,
    pattern: Option<Pattern>,
) -> Option<Remedy> {
    let gateway = &findings.network.gateway;
    // For a leak more ports are more to leak; a retry storm or a scan is not demand. Where the
    // pattern is not known, neither is whether the demand is real.
    let real_demand = matches!(pattern, Some(Pattern::LongLived | Pattern::Churn | Pattern::FanIn));
    let known = matches!(gateway.provenance, Provenance::LookedUp | Provenance::Named);
    if !real_demand || !known || (gateway.kind == GatewayKind::Regional && gateway.scales_addresses) {
        return None;
    }
    let refused = top.refused_connections;
    let demand = u64::from(top.held.estimate) + refused;
    let have = u32::try_from(gateway.usable_addresses(findings.incident.zone.as_deref())).ok()?;
    let needed =
        u32::try_from(demand.div_ceil(u64::from(findings.limits.ports_per_address))).unwrap_or(u32::MAX);
    let most = if gateway.kind == GatewayKind::Regional { 32 } else { MOST_ADDRESSES };
    let target = needed.max(have + 1);
    if target > most {
        return None;
    }
    let id = findings.gateway_id()?;
    let region = region_option(region(findings));
    let add = target - have;
    let (run, undo) = match gateway.kind {
        GatewayKind::Private => (
            format!(
                "aws ec2 assign-private-nat-gateway-address --nat-gateway-id {id} --private-ip-address-count {add}{region}"
            ),
            format!(
                "aws ec2 unassign-private-nat-gateway-address --nat-gateway-id {id} --private-ip-addresses NEW_ADDRESSES{region}"
            ),
        ),
        GatewayKind::Zonal => (
            format!(
                "aws ec2 associate-nat-gateway-address --nat-gateway-id {id} --allocation-ids NEW_ALLOCATION_IDS{region}"
            ),
            format!(
                "aws ec2 disassociate-nat-gateway-address --nat-gateway-id {id} --association-ids NEW_ASSOCIATION_IDS{region}"
            ),
        ),
        GatewayKind::Regional => {
            let zone = super::commands::quoted(findings.incident.zone.as_deref()?);
            (
                format!(
                    "aws ec2 associate-nat-gateway-address --nat-gateway-id {id} --availability-zone {zone} --allocation-ids NEW_ALLOCATION_IDS{region}"
                ),
                format!(
                    "aws ec2 disassociate-nat-gateway-address --nat-gateway-id {id} --association-ids NEW_ASSOCIATION_IDS{region}"
                ),
            )
        }
    };
    let mut hazards = vec![
        "Partners that allow-list the gateway's addresses must add the new ones first.".to_owned(),
        "Terraform may want to replace the gateway, or to take the addresses away again: change it there too.".to_owned(),
    ];
    if gateway.kind == GatewayKind::Zonal && target > QUOTA_ADDRESSES {
        hazards.push(format!(
            "The default quota is {QUOTA_ADDRESSES} addresses a gateway: raise it first with aws service-quotas request-service-quota-increase --service-code vpc --quota-code L-5F53652F --desired-value {target}{region}"
        ));
    }
    Some(Remedy {
        id: "add-nat-addresses".into(),
        title: format!("Add {add} {} to the gateway", if add == 1 { "address" } else { "addresses" }),
        why: format!(
            "{} ports held and {} connections refused to {}: {} {} hold {}.",
            words::count(u64::from(top.held.estimate)),
            words::count(refused),
            top.label(),
            target,
            if target == 1 { "address" } else { "addresses" },
            words::count(u64::from(target) * u64::from(findings.limits.ports_per_address))
        ),
        effect: format!(
            "Room for {} connections to {} instead of {}.",
            words::count(u64::from(target) * u64::from(findings.limits.ports_per_address)),
            top.label(),
            words::count(u64::from(have) * u64::from(findings.limits.ports_per_address))
        ),
        commands: vec![Command { run, verify: errors_stop(findings), undo }],
        hazards,
        monthly_cost_usd: (gateway.kind != GatewayKind::Private)
            .then_some(f64::from(add) * ADDRESS_MONTHLY_USD),
        confidence: if verdict == Verdict::Confirmed && pattern.is_some() {
            Confidence::High
        } else {
            Confidence::Medium
        },
    })
}

/// A flow log that shows more, where the one at hand shows too little.
fn flow_logs(findings: &Findings<'_>) -> Option<Remedy> {
    let coverage = &findings.evidence.coverage;
    let none = coverage.records_read == 0 && coverage.formats.is_empty();
    // Of a gateway that was not found, or whose flow logs could not be asked for, nothing is known
    // to be missing.
    let known = matches!(findings.network.gateway.provenance, Provenance::LookedUp | Provenance::Named);
    if none && (!known || findings.network.flow_logs_unknown) {
        return None;
    }
    let mut lacks = Vec::new();
    if !none {
        let lack = |field: &str| coverage.formats.iter().any(|format| !format.contains(field));
        if lack("${pkt-dstaddr}") || lack("${pkt-srcaddr}") {
            lacks.push("pkt-srcaddr and pkt-dstaddr, which join clients to destinations".to_owned());
        }
        if lack("${tcp-flags}") {
            lacks.push("tcp-flags, which show when a port was given back".to_owned());
        }
        if coverage.aggregation_seconds > 60 {
            lacks.push(format!("records shorter than {} s", coverage.aggregation_seconds));
        }
        if lacks.is_empty() {
            return None;
        }
    }
    Some(Remedy {
        id: if none { "enable-flow-logs" } else { "improve-flow-log-format" }.into(),
        title: if none { "Create a flow log for the gateway" } else { "Add a second flow log with more fields" }.into(),
        why: if none { "No flow log of the gateway could be read.".into() } else { format!("The flow log lacks {}.", lacks.join("; ")) },
        effect: "The next incident is diagnosed with narrow ranges and named clients. It does not help with this one.".into(),
        commands: vec![Command {
            run: super::gaps::better_format(findings),
            verify: format!("aws ec2 describe-flow-logs{}", region_option(region(findings))),
            undo: format!("aws ec2 delete-flow-logs --flow-log-ids NEW_FLOW_LOG_ID{}", region_option(region(findings))),
        }],
        hazards: vec!["Delivery is charged by volume; a flow log of the gateway's interface alone is far smaller than the VPC's.".into()],
        monthly_cost_usd: None,
        confidence: Confidence::High,
    })
}
