//! Keeping connections for the next request, instead of opening one for each.

use super::{Offer, Offered, Rule, Shortage, Worth};
use crate::contract::{Confidence, Pattern, Remedy, RemedyId, When};
use crate::words;

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::ReuseConnections],
    when: "later",
    offered: "the pattern is churn",
    why: "one pooled connection replaces many short ones",
    caution: "a change in the client's code",
    offer: Offered::Shortage(reuse_connections),
};

fn reuse_connections(shortage: &Shortage<'_>) -> Option<Offer> {
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
