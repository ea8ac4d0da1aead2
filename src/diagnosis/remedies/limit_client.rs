//! Stopping or capping whoever holds most of the ports.

use super::{IDLE, Offer, Shortage, When};
use crate::diagnosis::findings::Ranked;
use crate::diagnosis::{ClientReport, Confidence, Remedy};
use crate::words;

/// A client that holds this much on its own, or two or three that do together, are worth stopping.
const ONE_HOLDS: f64 = 0.5;
const FEW_HOLD: f64 = 0.7;

pub(super) fn limit_connections_per_client(shortage: &Shortage<'_>) -> Option<Offer> {
    let top = shortage.top;
    let together = |n: usize| top.clients.iter().take(n).map(|c| c.share).sum::<f64>();
    let few = if together(1) >= ONE_HOLDS {
        1
    } else {
        (2..=3).find(|few| *few <= top.clients.len() && together(*few) >= FEW_HOLD)?
    };
    let holders: Vec<_> = top.clients.iter().take(few).collect();
    // Where nothing was held on the clients' side, shares are of the connections that they opened.
    let counted = top.clients.iter().any(|c| c.held.estimate > 0);
    let holds = |c: &ClientReport| {
        if counted {
            u64::from(c.held.estimate)
        } else {
            (f64::from(top.held.estimate) * c.share).round() as u64
        }
    };
    let named: Vec<String> = holders
        .iter()
        .map(|c| {
            format!(
                "{}{} {} {} of the {} to {} (about {}{})",
                c.address,
                if c.attribution.is_certain() { "" } else { " perhaps" },
                if counted { "holds" } else { "opened" },
                words::percent(c.share),
                if counted { "ports" } else { "connections" },
                top.label(),
                words::count(holds(c)),
                if counted { "" } else { " of the held ports" }
            )
        })
        .collect();
    let left = u64::from(top.held.estimate).saturating_sub(holders.iter().map(|c| holds(c)).sum());
    Some(Offer {
        when: When::Tonight,
        headroom: Some(shortage.headroom(together(few), shortage.capacity)),
        remedy: Remedy {
            id: "limit-connections-per-client".into(),
            title: title(&holders),
            why: format!("{}.", named.join("; ")),
            effect: format!(
                "Without {} about {} of {} ports stay in use. Ports of connections that {} are free at once; of ones that {}, {IDLE} after their last packet.",
                if few == 1 { "it" } else { "them" },
                words::count(left),
                words::count(u64::from(shortage.capacity)),
                if few == 1 { "it closes" } else { "they close" },
                if few == 1 { "it abandons" } else { "they abandon" },
            ),
            commands: shortage.who_owns(holders.iter().copied()),
            hazards: hazards(top, &holders),
            monthly_cost_usd: Some(0.0),
            confidence: shortage.at_most(Confidence::High),
        },
    })
}

/// What stopping them may break, or miss.
fn hazards(top: &Ranked, holders: &[&ClientReport]) -> Vec<String> {
    let uncertain = holders.iter().any(|client| !client.attribution.is_certain()).then(|| {
        format!(
            "It may be another client: the records join clients to {} by its port alone. Look at its open connections first.",
            top.label()
        )
    });
    let always = [
        "Restarting the client ends what it is doing; look at what it is first.",
        "The address may stand for several workloads: pods behind a node, or Lambda functions that share a subnet and security groups.",
    ];
    uncertain.into_iter().chain(always.map(str::to_owned)).collect()
}

/// What to do about these one to three clients, conditional on whether it is known what they are.
fn title(holders: &[&ClientReport]) -> String {
    /// Longest name that is said; the report has more of it.
    const NAME: usize = 80;

    let all_known = holders.iter().all(|client| client.name.is_some());
    match holders {
        [client] => match &client.name {
            Some(name) => {
                format!(
                    "Make sure that {} is {}, then stop or cap it",
                    client.address,
                    words::outside(name, NAME)
                )
            }
            None => format!("Find out what {} is, then stop or cap it", client.address),
        },
        several => {
            let many = if several.len() == 2 { "two" } else { "three" };
            if all_known {
                format!("Make sure who the {many} greatest holders are, named below, then stop or cap them")
            } else {
                format!("Find out what the {many} greatest holders are, then stop or cap them")
            }
        }
    }
}
