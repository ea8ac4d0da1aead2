//! Sending this destination's connections of some subnets through another gateway: one of the VPC's that has room,
//! or a new one. Only the route to the destination's own address changes, so that nothing else is broken off.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::add_addresses::{ADDRESS_MONTHLY_USD, APPROVAL, allocate, raises};
use super::per_zone::{GATEWAY_HOURLY_USD, create, placeholder, room_in_words};
use super::placement::{Placed, Placement};
use super::{HOURS_A_MONTH, Offer, Offered, Rule, Shortage, WORTH};
use crate::command_line::{Blank, CommandLine};
use crate::contract::{Command, Condition, Confidence, Remedy, RemedyId, When};
use crate::diagnosis::commands::{quoted, region_option, shown};
use crate::network::{GatewayKind, RouteTable, SiblingGateway};
use crate::words;

/// The clients behind one route table, which move together.
struct Group<'a> {
    table: &'a RouteTable,
    /// The zone that most of them hold ports from, where that is known.
    zone: Option<&'a str>,
    /// Ports that they want at once, at the most: nobody moves to a gateway that they may fill as well.
    demand: u64,
    /// Their part of the held ports.
    part: f64,
}

impl<'a> Group<'a> {
    /// The groups that route to this destination through this gateway, those that free most first.
    fn all(shortage: &Shortage<'a>, placement: &Placement<'a>) -> Vec<Self> {
        let network = shortage.findings.network;
        let through = |client: &Placed<'a>| {
            let table = client.table?;
            let here = network.route_from(table, shortage.top.address)?.target.as_str()
                == shortage.findings.gateway_id()?.as_str();
            // The route of an IPv6 client is that of an address which NAT64 makes, and of many servers.
            (here && client.address.is_ipv4()).then_some(table)
        };
        let mut tables: BTreeMap<&str, &'a RouteTable> = BTreeMap::new();
        for client in &placement.clients {
            if let Some(table) = through(client) {
                tables.insert(&table.id, table);
            }
        }
        let wanted = shortage.demand().most;
        let mut groups: Vec<Self> = tables
            .into_values()
            .map(|table| {
                let of = |client: &Placed<'a>| through(client).is_some_and(|used| used.id == table.id);
                let part = placement.part(of);
                let greatest = placement.clients.iter().filter(|client| of(client)).max_by_key(|c| c.weight);
                Self {
                    table,
                    zone: greatest.and_then(|client| client.subnet?.zone.as_deref()),
                    demand: (wanted as f64 * part).ceil() as u64,
                    part,
                }
            })
            .filter(|group| group.part >= WORTH)
            .collect();
        groups.sort_by(|a, b| b.demand.cmp(&a.demand).then_with(|| a.table.id.cmp(&b.table.id)));
        groups
    }
}

/// Where a group goes.
enum To<'a> {
    /// A gateway that is known to have room.
    Sibling(&'a SiblingGateway),
    /// One that is made in this zone.
    New(&'a str),
}

/// A gateway of the same kind that had room for so many more, in this zone where there is one.
fn sibling<'a>(shortage: &Shortage<'a>, group: &Group<'a>) -> Option<&'a SiblingGateway> {
    let network = shortage.findings.network;
    let each = shortage.findings.limits.ports_per_address;
    let kind = match network.gateway.kind {
        GatewayKind::Private => GatewayKind::Private,
        GatewayKind::Zonal | GatewayKind::Regional => GatewayKind::Zonal,
    };
    let fits = |s: &&SiblingGateway| {
        s.kind == kind && s.usable_addresses > 0 && s.room(each).is_some_and(|room| room >= group.demand)
    };
    let siblings = network.siblings.iter().flatten().filter(fits);
    siblings.max_by_key(|s| {
        let near = s.zone.is_some() && s.zone.as_deref() == group.zone;
        (near, s.room(each), std::cmp::Reverse(s.id.as_str()))
    })
}

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::SplitOverGateways],
    when: "now",
    offered: "a route table's clients fit a sibling gateway with room, or a new one; conditional where nobody knows who routes through the gateway and nothing else helps",
    why: "each gateway has its own ports, and only the route to this destination changes",
    caution: "the route is to the destination's own address, so only connections to it break; partners' allow-lists",
    offer: Offered::Shortage(split_over_gateways),
};

fn split_over_gateways(shortage: &Shortage<'_>) -> Option<Offer> {
    let network = shortage.findings.network;
    let IpAddr::V4(server) = shortage.top.address else { return None };
    // Moving the clients of other zones does the same, and gives them a way out of their own.
    if shortage.brings_nothing() || super::per_zone::nat_gateway_per_az(shortage).is_some() {
        return None;
    }
    shortage.findings.gateway_id()?;
    network.siblings.as_ref()?;
    let each = u64::from(shortage.findings.limits.ports_per_address);
    let placement = Placement::of(shortage.findings, shortage.top);
    let groups = Group::all(shortage, &placement);
    let to_sibling = || groups.iter().find_map(|group| Some((group, To::Sibling(sibling(shortage, group)?))));
    // A gateway is made with one address; all of the demand would fill that as it fills this one.
    let public = network.gateway.kind != GatewayKind::Private;
    let to_new = || {
        let fits = |group: &&Group<'_>| public && group.demand <= each;
        groups.iter().find(fits).and_then(|group| Some((group, To::New(group.zone?))))
    };
    let (group, to) = to_sibling().or_else(to_new)?;
    let region = region_option(shortage.region());
    let (mut commands, mut hazards, mut raised) = (Vec::new(), Vec::new(), Vec::new());
    let (gateway, blank, known_room, cost) = match to {
        To::Sibling(sibling) => {
            let room = room_in_words(sibling, shortage.findings.limits.ports_per_address);
            if sibling.zone.as_deref() != group.zone {
                hazards.push(format!(
                    "{} stands in another zone ({}). Traffic across zones costs $0.01 a GB each way, and the clients then depend on that zone.",
                    sibling.id,
                    shown(sibling.zone.as_deref().unwrap_or("not known which"))
                ));
            }
            (sibling.id.to_string(), None, room, 0.0)
        }
        To::New(zone) => {
            raised = raises(shortage, &network.quotas.unwrap_or_default(), 0, 1);
            commands.extend(raised.clone());
            let placeholder = placeholder(zone);
            commands.push(allocate(1, shortage.region()));
            commands.extend(create(shortage, zone, &placeholder));
            (
                placeholder.to_string(),
                Some(placeholder),
                String::new(),
                GATEWAY_HOURLY_USD * HOURS_A_MONTH + ADDRESS_MONTHLY_USD,
            )
        }
    };
    let table = quoted(&group.table.id);
    commands.push(Command {
        does: format!("sends only {server} through that gateway, from the route table's subnets, and drops their open connections to it"),
        run: CommandLine::with(format!(
            "aws ec2 create-route --route-table-id {table} --destination-cidr-block {server}/32 --nat-gateway-id {gateway}{region}"
        ), blank.as_slice()),
        verify: shortage.errors_stop(),
        undo: format!("aws ec2 delete-route --route-table-id {table} --destination-cidr-block {server}/32{region}").into(),
    });
    let when = if raised.is_empty() { When::Now } else { When::Later };
    if when == When::Later {
        hazards.insert(0, format!("The Region's quota of Elastic IP addresses blocks this. {APPROVAL}"));
    }
    hazards.insert(
        usize::from(when == When::Later),
        format!("The new route drops the open connections from these subnets to {server}, on all ports, and no others. Undoing it drops them again."),
    );
    hazards.push("The moved clients have another public address. Partners that allow-list addresses must add it first.".into());
    hazards.push(format!("This helps as long as clients use {server}. The name may have other addresses tomorrow. Terraform may remove the route."));
    let stop_gap = !shortage.is_real_demand();
    if stop_gap {
        hazards.push(
            "Connections that are not needed fill another gateway as well, so this only wins time.".into(),
        );
    }
    let subnets = match group.table.subnet_ids.as_slice() {
        [] => String::new(),
        subnets => format!(" ({})", shown(&subnets.join(", "))),
    };
    Some(Offer {
        headroom: Some(shortage.headroom(group.part, shortage.capacity)),
        worth: shortage.worth_of_room(),
        remedy: Remedy {
            id: RemedyId::SplitOverGateways,
            title: format!(
                "Send {server} from the subnets of {} through {}, which breaks their open connections to it",
                shown(&group.table.id),
                match to {
                    To::Sibling(sibling) => sibling.id.to_string(),
                    To::New(_) => "a second gateway".to_owned(),
                }
            ),
            when,
            condition: None,
            why: format!(
                "{} of the ports to {} are held by clients behind {}{subnets}.",
                words::percent(group.part),
                shortage.top.label(),
                shown(&group.table.id)
            ),
            effect: format!(
                "Up to {} connections move to ports of another gateway.{known_room}",
                words::count(group.demand)
            ),
            commands,
            hazards,
            monthly_cost_usd: Some(cost),
            confidence: if stop_gap { Confidence::Low } else { shortage.at_most(Confidence::High) },
        },
    })
}

/// The same where nobody knows which subnets route through the gateway: the last resort, so that a full destination
/// never stands without a step.
pub(super) fn find_out_who_could_move(shortage: &Shortage<'_>) -> Offer {
    let region = region_option(shortage.region());
    let gateway = shortage.findings.gateway_id().map_or("NAT_GATEWAY_ID", |id| id.as_str());
    let server = shortage.top.address;
    let placement = Placement::of(shortage.findings, shortage.top);
    let tables: BTreeSet<&str> =
        placement.clients.iter().filter_map(|client| Some(client.table?.id.as_str())).collect();
    // Where they are known, no gateway takes all clients of one of them.
    let unknown = if tables.is_empty() {
        format!("which subnets route through {gateway}")
    } else {
        format!(
            "which subnets could get a route table of their own, because not all clients of {} fit another gateway",
            shown(&words::list(&tables.into_iter().collect::<Vec<_>>()))
        )
    };
    let (block, bits) = if server.is_ipv4() {
        ("--destination-cidr-block", 32)
    } else {
        ("--destination-ipv6-cidr-block", 128)
    };
    let route = |call: &str, after: &str| {
        CommandLine::with(
            format!("aws ec2 {call} --route-table-id ROUTE_TABLE_ID {block} {server}/{bits}{after}{region}"),
            &[Blank::ROUTE_TABLE_ID, Blank::OTHER_NAT_GATEWAY_ID],
        )
    };
    Offer {
        headroom: None,
        worth: shortage.worth_of_room(),
        remedy: Remedy {
            id: RemedyId::SplitOverGateways,
            title: format!("Send {server} from some of the subnets through another gateway, which breaks their open connections to it"),
            when: When::Now,
            condition: Some(Condition {
                unknown,
                command: CommandLine::with(format!(
                    "aws ec2 describe-route-tables --filters Name=route.nat-gateway-id,Values={gateway} --query 'RouteTables[].[RouteTableId,VpcId,Associations[].SubnetId]' --output json{region}"
                ), &[Blank::NAT_GATEWAY_ID]),
            }),
            why: format!(
                "{} of {} ports to {} are held. We know of nothing else that frees any within minutes.",
                words::count(u64::from(shortage.top.held.estimate)),
                words::count(u64::from(shortage.capacity)),
                shortage.top.label()
            ),
            effect: "Each gateway has its own ports for each destination. Connections that move take no port of this gateway.".into(),
            commands: vec![Command {
                does: format!("sends only {server} through that gateway, from the route table's subnets"),
                run: route("create-route", " --nat-gateway-id OTHER_NAT_GATEWAY_ID"),
                verify: shortage.errors_stop(),
                undo: route("delete-route", "").into(),
            }],
            hazards: vec![
                format!("The new route drops the open connections from these subnets to {server}, on all ports. Undoing it drops them again."),
                "The moved clients have another public address. Partners that allow-list addresses must add it first.".into(),
                "Where the VPC has no other gateway with room, create one first.".into(),
            ],
            monthly_cost_usd: None,
            confidence: Confidence::Low,
        },
    }
}
