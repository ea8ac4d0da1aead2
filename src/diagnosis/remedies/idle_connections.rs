//! Closing connections that are not needed any more.

use super::{IDLE, Offer, Offered, Rule, Shortage, Worth};
use crate::contract::{Confidence, Pattern, Remedy, RemedyId, When};
use crate::network::{Metric, MetricName};
use crate::words;

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::CloseIdleConnections],
    when: "later",
    offered: "the pattern is a leak, or `IdleTimeoutCount` rose",
    why: "a closed connection gives its port back at once, an abandoned one after 350 s",
    caution: "a change in the client's code",
    offer: Offered::Shortage(close_idle_connections),
};

/// The idle timeouts of a window that stand for a shortage, as a part of capacity. A gateway counts
/// a few at all times.
const IDLE_TIMEOUTS: f64 = 0.01;

/// How many times as many as before are a rise.
const ROSE: f64 = 2.0;

/// The metric of connections that idled until the gateway let go of them, where it rose.
fn idle_timeouts_rose<'a>(shortage: &Shortage<'a>) -> Option<&'a Metric> {
    let metric = shortage.findings.network.metric(MetricName::IdleTimeoutCount)?;
    let rose = metric.baseline.is_some_and(|baseline| metric.value >= baseline * ROSE);
    (rose && metric.value > 0.0 && metric.value >= f64::from(shortage.capacity) * IDLE_TIMEOUTS)
        .then_some(metric)
}

fn close_idle_connections(shortage: &Shortage<'_>) -> Option<Offer> {
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
