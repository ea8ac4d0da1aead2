//! Using the other addresses that a destination's name has.

use std::net::IpAddr;

use super::{Offer, Offered, Rule, Shortage, Worth};
use crate::contract::{Command, Confidence, Remedy, RemedyId, Undo, When};
use crate::diagnosis::commands::quoted;
use crate::words;

/// An address that holds less than this part of what the full one holds is hardly used.
const HARDLY: f64 = 0.1;

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::SpreadDestination],
    when: "later",
    offered: "the name has other addresses that are hardly used",
    why: "each address of the destination has ports of its own",
    caution: "a change in the clients",
    offer: Offered::Shortage(spread_destination),
};

fn spread_destination(shortage: &Shortage<'_>) -> Option<Offer> {
    let (findings, top) = (shortage.findings, shortage.top);
    // Only a name that clients asked for, and its answers, say which addresses stand for the same.
    let names = findings.network.names_asked_for(top.address);
    let held = |address: IpAddr| {
        let same = |d: &&crate::diagnosis::findings::Ranked| {
            d.address == address
                && d.destination.port == top.destination.port
                && d.destination.protocol == top.destination.protocol
        };
        findings.destinations.iter().find(same).map_or(0, |d| d.held.estimate)
    };
    let hardly_used = |address: &IpAddr| {
        let mine = f64::from(top.held.estimate);
        *address != top.address && address.is_ipv4() && f64::from(held(*address)) < mine * HARDLY
    };
    let (name, idle) = names
        .map(|name| {
            let mut idle: Vec<IpAddr> = name.addresses.iter().copied().filter(hardly_used).collect();
            idle.sort_unstable();
            idle.dedup();
            (name, idle)
        })
        .filter(|(_, idle)| !idle.is_empty())
        .max_by(|a, b| (a.1.len(), &b.0.name).cmp(&(b.1.len(), &a.0.name)))?;
    let together: u32 = idle.iter().map(|address| held(*address)).sum();
    let addresses = u32::try_from(idle.len()).ok()?.saturating_add(1);
    let room = shortage.capacity.saturating_mul(addresses);
    let list: Vec<String> = idle.iter().map(ToString::to_string).collect();
    Some(Offer {
        worth: Worth::Solves,
        headroom: Some(shortage.headroom(0.0, room)),
        remedy: Remedy {
            id: RemedyId::SpreadDestination,
            when: When::Later,
            condition: None,
            title: format!("Use the other addresses of {}", name.name),
            why: format!(
                "{} was answered with {} too; {} {}, against {} of {}.",
                name.name,
                list.join(", "),
                if idle.len() == 1 { "it held" } else { "together they held" },
                words::count(u64::from(together)),
                words::count(u64::from(top.held.estimate)),
                top.label()
            ),
            effect: format!(
                "Each address has ports of its own: over {addresses} of them there is room for {} connections instead of {}.",
                words::count(u64::from(room)),
                words::count(u64::from(shortage.capacity))
            ),
            commands: vec![Command {
                does: "shows the addresses that are answered now".into(),
                run: format!("dig +short {} A", quoted(&name.name)).into(),
                verify: shortage.errors_stop(),
                undo: Undo::nothing("this only shows the addresses that are answered now"),
            }],
            hazards: vec![
                "It is a change in the clients, or in what they cache: look for one that resolved the name once, at its start.".into(),
                "The other addresses may be farther away, or not serve these clients.".into(),
            ],
            monthly_cost_usd: Some(0.0),
            // More room for connections that are not needed fills as well.
            confidence: if shortage.is_real_demand() { Confidence::Medium } else { Confidence::Low },
        },
    })
}
