//! What clients can do otherwise: close, reuse, stop retrying, ask the VPC's own resolver.

use super::limit_client::stop;
use super::{IDLE, Offer, Shortage, Worth};
use crate::diagnosis::findings::Ranked;
use crate::diagnosis::{Condition, Confidence, Pattern, Remedy, RemedyId, When};
use crate::evidence::TCP;
use crate::network::{Metric, is_private};
use crate::words;

/// The idle timeouts of a window that stand for a shortage, as a part of capacity. A gateway counts
/// a few at all times.
const IDLE_TIMEOUTS: f64 = 0.01;

/// How many times as many as before are a rise.
const ROSE: f64 = 2.0;

/// The metric of connections that idled until the gateway let go of them, where it rose.
fn idle_timeouts_rose<'a>(shortage: &Shortage<'a>) -> Option<&'a Metric> {
    let metric = shortage.findings.network.metric("IdleTimeoutCount")?;
    let rose = metric.baseline.is_some_and(|baseline| metric.value >= baseline * ROSE);
    (rose && metric.value > 0.0 && metric.value >= f64::from(shortage.capacity) * IDLE_TIMEOUTS)
        .then_some(metric)
}

pub(super) fn close_idle_connections(shortage: &Shortage<'_>) -> Option<Offer> {
    let top = shortage.top;
    let leak = shortage.pattern == Some(Pattern::Leak);
    let rose = idle_timeouts_rose(shortage);
    if !leak && rose.is_none() {
        return None;
    }
    let mut why = Vec::new();
    if leak {
        why.push(format!(
            "{} of {} gateway ports used to {} were never seen to be released. At most {} of about {} held ports carried packets at the same time.",
            words::count(top.tally.connections - top.tally.ended.min(top.tally.connections)),
            words::count(top.tally.connections),
            top.label(),
            words::count(u64::from(top.held.at_least)),
            words::count(u64::from(top.held.estimate))
        ));
    }
    if let Some(metric) = rose {
        let before = metric.change().map_or_else(
            || "and 0 in the hours before".to_owned(),
            |change| {
                let times =
                    if change < 10.0 { format!("{change:.1}") } else { words::count(change.round() as u64) };
                format!("{times} times as many as in as long a time of the hours before")
            },
        );
        why.push(format!(
            "IdleTimeoutCount was {} in the window, {before}.",
            words::count(metric.value.round() as u64)
        ));
    }
    // Only what carried packets would have held a port, had the rest been closed.
    let idle = 1.0 - f64::from(top.held.at_least) / f64::from(top.held.estimate.max(1));
    Some(Offer {
        worth: Worth::Solves,
        headroom: leak.then(|| shortage.headroom(idle, shortage.capacity)),
        remedy: Remedy {
            id: RemedyId::CloseIdleConnections,
            title: "Close connections when done with them".into(),
            when: When::Later,
            condition: None,
            why: why.join(" "),
            effect: format!(
                "A closed connection gives its port back at once. An abandoned connection keeps its port for {IDLE}. TCP keepalive does not help: it keeps ports taken."
            ),
            commands: shortage.who_holds_most(),
            hazards: vec![
                "This is a change in the client's code or pool settings, and no fix for tonight.".into(),
            ],
            monthly_cost_usd: Some(0.0),
            confidence: if leak { Confidence::High } else { Confidence::Medium },
        },
    })
}

pub(super) fn reuse_connections(shortage: &Shortage<'_>) -> Option<Offer> {
    let top = shortage.top;
    (shortage.pattern == Some(Pattern::Churn)).then(|| Offer {
        worth: Worth::Solves,
        headroom: None,
        remedy: Remedy {
            id: RemedyId::ReuseConnections,
            title: "Reuse connections: a pool, HTTP keep-alive or HTTP/2".into(),
            when: When::Later,
            condition: None,
            why: format!(
                "{} gateway ports used for connections to {} in the window, each for {:.0} s on average.",
                words::count(top.tally.connections),
                top.label(),
                top.tally.active_seconds as f64 / top.tally.connections.max(1) as f64
            ),
            effect: "One pooled connection replaces many short ones, each of which takes its own port."
                .into(),
            commands: shortage.who_holds_most(),
            hazards: vec!["This is a change in the client, and no fix for tonight.".into()],
            monthly_cost_usd: Some(0.0),
            confidence: Confidence::Medium,
        },
    })
}

pub(super) fn stop_retry_storm(shortage: &Shortage<'_>) -> Option<Offer> {
    let top = shortage.top;
    if shortage.pattern != Some(Pattern::RetryStorm) {
        return None;
    }
    let silent = top.tally.unanswered as f64 / top.tally.connections.max(1) as f64;
    let stop = stop(shortage, shortage.greatest());
    let mut hazards = vec![
        "Flow logs do not tell whether the destination is down or a rule on the way blocks it. Once it answers again, nothing has to be stopped.".to_owned(),
    ];
    hazards.extend(stop.hazards);
    let title = match shortage.greatest() {
        [] => format!("Bring back {}, which does not answer, or stop whoever retries", top.label()),
        _ => format!("Bring back {}, which does not answer. Otherwise: {}", top.label(), stop.title),
    };
    Some(Offer {
        headroom: Some(shortage.headroom(silent.min(1.0), shortage.capacity)),
        worth: Worth::Solves,
        remedy: Remedy {
            id: RemedyId::StopRetryStorm,
            title,
            when: When::Now,
            condition: stop.condition.or_else(|| answers(top)),
            why: format!(
                "{} of {} gateway ports used to {} were taken by attempts that were never answered.",
                words::count(top.tally.unanswered),
                words::count(top.tally.connections),
                top.label()
            ),
            effect: "Each attempt takes a port. With back-off, or once the destination answers again, attempts are few."
                .into(),
            commands: stop.commands,
            hazards,
            monthly_cost_usd: Some(0.0),
            confidence: Confidence::Medium,
        },
    })
}

/// Whether the destination answers decides whom to stop: nobody, where it can be brought back. Datagrams and pings tell
/// too little of that.
fn answers(top: &Ranked) -> Option<Condition> {
    let port = top.destination.port;
    (top.destination.protocol == TCP).then(|| Condition {
        unknown: format!("whether {} answers a client that does not use this gateway", top.label()),
        command: format!("nc -z -v -w 5 {} {port}", top.address),
    })
}

/// The port of DNS, over UDP and over TCP. Not that of DNS over TLS, 853: the VPC's resolver does not
/// speak it to clients, and whoever uses it wants that server and no other.
const DNS: u16 = 53;
const UDP: u8 = 17;

pub(super) fn use_vpc_resolver(shortage: &Shortage<'_>) -> Option<Offer> {
    let top = shortage.top;
    let dns = top.destination.port == DNS && matches!(top.destination.protocol, TCP | UDP);
    (dns && !is_private(top.address)).then(|| Offer {
        worth: Worth::Solves,
        headroom: Some(shortage.headroom(1.0, shortage.capacity)),
        remedy: Remedy {
            id: RemedyId::UseVpcResolver,
            title: "Ask the VPC's own resolver".into(),
            when: When::Later,
            condition: None,
            why: format!("{} is a name server outside the VPC, and every query to it takes a port.", top.label()),
            effect: "Queries to the VPC's resolver (the VPC's base address plus two, or 169.254.169.253) never pass the gateway.".into(),
            commands: shortage.who_holds_most(),
            hazards: vec![
                "This is a change in the clients' settings, or in the VPC's DHCP options. Clients take the options up when they renew their leases.".into(),
                "Names that only the outside server knows need a forwarding rule first.".into(),
                "The resolver takes 1,024 packets a second from each network interface.".into(),
            ],
            monthly_cost_usd: None,
            confidence: Confidence::High,
        },
    })
}
