//! Stopping or capping whoever holds most of the ports.

use super::caps::{Cap, FIRST_RULE, LOOK_FIRST, LOOK_FIRST_AT_EACH, cap};
use super::demand::how_long_it_lasts;
use super::{IDLE, Offer, Offered, Rule, Shortage, Worth};
use crate::contract::{
    ClientOrder, ClientReport, Command, Condition, Confidence, Pattern, Remedy, RemedyId, Undo, When,
};
use crate::diagnosis::commands::describe_owners;
use crate::words;

/// A client that holds this much on its own, or two or three that do together, are worth stopping.
const ONE_HOLDS: f64 = 0.5;
const FEW_HOLD: f64 = 0.7;

/// Most clients that are named as the ones to stop.
pub(super) const FEW: usize = 3;

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::LimitConnectionsPerClient],
    when: "now",
    offered: "one client holds half of the ports, or two or three hold 70 %; the greatest who hold a tenth where nothing else helps now",
    why: "without its greatest holders a destination has room",
    caution: "by owner, below",
    offer: Offered::Shortage(limit_connections_per_client),
};

fn limit_connections_per_client(shortage: &Shortage<'_>) -> Option<Offer> {
    // Whoever retries in vain is stopped as such.
    if shortage.pattern == Some(Pattern::RetryStorm) || shortage.isolates_greatest_holder() {
        return None;
    }
    let clients = &shortage.top.clients;
    let few = if held_by(&clients[..clients.len().min(1)]) >= ONE_HOLDS {
        1
    } else {
        (2..=FEW).find(|few| *few <= clients.len() && held_by(&clients[..*few]) >= FEW_HOLD)?
    };
    Some(limit(shortage, &clients[..few]))
}

/// The greatest holders, if they hold a tenth or more, where nothing else helps within minutes; `None` where no client shows.
pub(super) fn limit_greatest_holders(shortage: &Shortage<'_>) -> Option<Offer> {
    let greatest = shortage.greatest_worth_stopping();
    (!greatest.is_empty()).then(|| limit(shortage, greatest))
}

fn held_by(clients: &[ClientReport]) -> f64 {
    clients.iter().map(|client| client.share).sum()
}

/// What several caps come to together.
pub(super) struct Together {
    pub(super) title: String,
    pub(super) condition: Option<Condition>,
    pub(super) commands: Vec<Command>,
    pub(super) hazards: Vec<String>,
}

/// How to stop these one to three clients: those at once of which it is known how, and of the others what has to be
/// found out.
pub(super) fn stop(shortage: &Shortage<'_>, holders: &[ClientReport]) -> Together {
    let mut caps: Vec<Cap> =
        holders.iter().zip(FIRST_RULE..).map(|(client, rule)| cap(shortage, client, rule)).collect();
    if caps.len() == 1 {
        let Cap { title, condition, commands, hazards } = caps.remove(0);
        return Together { title, condition, commands, hazards };
    }
    let many = if holders.len() == 2 { "two" } else { "three" };
    let title = format!("Stop or cap the {many} greatest holders, named below");
    let unknown: Vec<_> =
        holders.iter().filter(|client| client.name.is_none()).map(|client| client.address).collect();
    let who = describe_owners(&unknown, shortage.region()).into_iter().next();
    let (certain, doubtful): (Vec<Cap>, Vec<Cap>) = caps.into_iter().partition(|cap| cap.condition.is_none());
    let who_owns = || {
        let listed: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        format!("who owns {}", words::list(&listed))
    };
    let decide = match who {
        Some(command) => Some(Condition { unknown: who_owns(), command: command.into() }),
        None => doubtful.iter().find_map(|cap| cap.condition.clone()),
    };
    let some_certain = !certain.is_empty();
    let mut together = Together { title, condition: None, commands: Vec::new(), hazards: Vec::new() };
    for cap in if some_certain { certain } else { doubtful } {
        together.commands.extend(cap.commands);
        together.hazards.extend(cap.hazards);
    }
    match decide {
        Some(Condition { unknown, command }) if some_certain => together.commands.push(Command {
            does: format!("shows {unknown}"),
            run: command,
            verify: shortage.errors_stop(),
            undo: Undo::nothing("this only shows it"),
        }),
        decide => together.condition = decide,
    }
    // Several may be of one group, or behind one network ACL.
    dedup(&mut together.commands);
    dedup(&mut together.hazards);
    for hazard in &mut together.hazards {
        if hazard == LOOK_FIRST {
            *hazard = LOOK_FIRST_AT_EACH.to_owned();
        }
    }
    together
}

fn dedup<T: PartialEq>(all: &mut Vec<T>) {
    let mut index = 0;
    while index < all.len() {
        if all[..index].contains(&all[index]) {
            all.remove(index);
        } else {
            index += 1;
        }
    }
}

fn limit(shortage: &Shortage<'_>, holders: &[ClientReport]) -> Offer {
    let top = shortage.top;
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
            if top.client_order == ClientOrder::RefusedAttempts {
                return format!(
                    "{} made {} of the refused attempts to {}, and may hold {} of its ports",
                    c.address,
                    words::percent(c.share),
                    top.label(),
                    words::count(holds(c))
                );
            }
            format!(
                "{} {} {} of the {} to {} (about {}{})",
                c.address,
                match (c.attribution.is_certain(), counted) {
                    (true, true) => "holds",
                    (true, false) => "opened",
                    (false, true) => "may hold",
                    (false, false) => "may have opened",
                },
                words::percent(c.share),
                if counted { "ports" } else { "connections" },
                top.label(),
                words::count(holds(c)),
                if counted { "" } else { " of the held ports" }
            )
        })
        .collect();
    let theirs: u64 = holders.iter().map(holds).sum();
    let left = u64::from(top.held.estimate).saturating_sub(theirs);
    let (it, closes, abandons) = match holders {
        [_] => ("it", "it closes", "it abandons"),
        _ => ("them", "they close", "they abandon"),
    };
    let mut effect = vec![format!(
        "Without {it}, about {} of {} ports stay in use. Ports of connections that {closes} are free at once. Ports of connections that {abandons} are free {IDLE} after their last packet.",
        words::count(left),
        words::count(u64::from(shortage.capacity)),
    )];
    if shortage.pattern == Some(Pattern::Leak) {
        effect.push(
            match holders {
                [_] => "After a fresh start, it may leak again.",
                _ => "After a fresh start, they may leak again.",
            }
            .into(),
        );
        effect.push(how_long_it_lasts(shortage, theirs, u64::from(shortage.capacity)));
    }
    let Together { title, condition, commands, hazards } = stop(shortage, holders);
    Offer {
        headroom: Some(shortage.headroom(held_by(holders), shortage.capacity)),
        // What is needed comes back: whatever gives it room is better than breaking it off.
        worth: if shortage.is_real_demand() { Worth::BreaksOffWhatIsNeeded } else { Worth::Solves },
        remedy: Remedy {
            id: RemedyId::LimitConnectionsPerClient,
            title,
            when: When::Now,
            condition,
            why: format!("{}.", named.join("; ")),
            effect: effect.join(" "),
            commands,
            hazards,
            monthly_cost_usd: Some(0.0),
            confidence: shortage.at_most(Confidence::High),
        },
    }
}
