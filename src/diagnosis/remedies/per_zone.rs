//! Moving the clients of other Availability Zones to a gateway of their own zone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::slice;

use super::add_addresses::{ADDRESS_MONTHLY_USD, APPROVAL, allocate, raises};
use super::placement::{Placed, Placement};
use super::{HOURS_A_MONTH, Offer, Offered, Rule, Shortage, WORTH, Worth};
use crate::command_line::{Blank, CommandLine};
use crate::contract::{Command, Confidence, Remedy, RemedyId, Undo, When};
use crate::diagnosis::commands::{quoted, region_option, shown, words_of_shell};
use crate::network::{GatewayKind, Network, Route, RouteTable, SiblingGateway};
use crate::prices::BYTES_OF_GB;
use crate::words;

/// A NAT gateway for an hour (us-east-1 list price).
pub(super) const GATEWAY_HOURLY_USD: f64 = 0.045;

/// A GB that crosses zones, at each end (us-east-1 list price).
const CROSS_ZONE_USD_PER_GB: f64 = 0.01;

/// The way that a client of another zone takes to this gateway.
#[derive(Clone, Copy)]
struct Way<'a> {
    zone: &'a str,
    table: &'a RouteTable,
    route: &'a Route,
}

impl<'a> Way<'a> {
    fn of(shortage: &Shortage<'a>, own_zone: &str, client: &Placed<'a>) -> Option<Self> {
        let (zone, table) = (client.subnet?.zone.as_deref()?, client.table?);
        let to = as_client_sends(client.address, shortage.top.address);
        let route = shortage.findings.network.route_from(table, to)?;
        let here = route.target == shortage.findings.gateway_id()?.as_str();
        (zone != own_zone && here && route.range().is_some()).then_some(Self { zone, table, route })
    }

    fn key(&self) -> (&'a str, &'a str, &'a str) {
        (self.zone, &self.table.id, &self.route.destination)
    }
}

/// Who comes from another zone, and what would have to change.
struct Crossing<'a> {
    own_zone: &'a str,
    /// The routes to change, by zone, table and destination.
    moves: BTreeMap<(&'a str, &'a str, &'a str), Way<'a>>,
    /// Route tables of clients in other zones that subnets of more than one zone use.
    shared: BTreeSet<&'a str>,
    /// The clients whose route would change.
    addresses: BTreeSet<IpAddr>,
}

impl<'a> Crossing<'a> {
    fn of(shortage: &Shortage<'a>, placement: &Placement<'a>) -> Option<Self> {
        let network = shortage.findings.network;
        let own_zone = network.gateway_zone()?;
        let mut crossing =
            Self { own_zone, moves: BTreeMap::new(), shared: BTreeSet::new(), addresses: BTreeSet::new() };
        for client in &placement.clients {
            let Some(way) = Way::of(shortage, own_zone, client) else { continue };
            let table = way.table.id.as_str();
            if crossing.shared.contains(table) {
                continue;
            }
            let known = crossing.moves.contains_key(&way.key());
            if known || zones_of(network, way.table) == BTreeSet::from([Some(way.zone)]) {
                crossing.moves.insert(way.key(), way);
                crossing.addresses.insert(client.address);
            } else {
                crossing.shared.insert(table);
            }
        }
        Some(crossing)
    }

    fn moves(&self, client: &Placed<'_>) -> bool {
        self.addresses.contains(&client.address)
    }

    fn zones(&self) -> BTreeSet<&'a str> {
        self.moves.keys().map(|(zone, ..)| *zone).collect()
    }

    fn zones_in_words(&self) -> String {
        shown(&words::list(&self.zones().into_iter().collect::<Vec<_>>()))
    }

    /// The tables and their subnets, in words.
    fn tables(&self) -> String {
        let of = |way: &Way<'_>| match way.table.subnet_ids.as_slice() {
            [] => way.table.id.clone(),
            subnets => format!("{} ({})", way.table.id, subnets.join(", ")),
        };
        let tables: BTreeSet<String> = self.moves.values().map(of).collect();
        shown(&tables.into_iter().collect::<Vec<_>>().join(", "))
    }
}

/// The address that a client sends to: an IPv6 client reaches an IPv4 server by its NAT64 address.
fn as_client_sends(client: IpAddr, server: IpAddr) -> IpAddr {
    const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
    match (client, server) {
        (IpAddr::V6(_), IpAddr::V4(v4)) => {
            let low = u128::from(u32::from(Ipv4Addr::from(v4.octets())));
            IpAddr::V6(Ipv6Addr::from(u128::from(NAT64) | low))
        }
        _ => server,
    }
}

/// The zones of the subnets that use a route table; `None` among them for one of unknown zone.
fn zones_of<'a>(network: &'a Network, table: &RouteTable) -> BTreeSet<Option<&'a str>> {
    let subnets = network.subnets.iter().flatten();
    let using = subnets.filter(|s| network.route_table_of(s).is_some_and(|used| used.id == table.id));
    using.map(|subnet| subnet.zone.as_deref()).collect()
}

/// A public gateway that stands in a zone and is not known to lack room for so many more ports: the one
/// with the most of it, then with the most addresses.
fn sibling<'a>(network: &'a Network, zone: &str, each: u32, more: u64) -> Option<&'a SiblingGateway> {
    let there = |s: &&SiblingGateway| {
        s.kind == GatewayKind::Zonal && s.zone.as_deref() == Some(zone) && s.usable_addresses > 0
    };
    let siblings = network.siblings.iter().flatten().filter(there);
    siblings
        .filter(|s| s.room(each).is_none_or(|room| room >= more))
        .max_by_key(|s| (s.room(each), s.usable_addresses, std::cmp::Reverse(s.id.as_str())))
}

/// A subnet of a zone from which packets to the internet go to an internet gateway.
fn public_subnet<'a>(network: &'a Network, zone: &str, to: IpAddr) -> Option<&'a str> {
    let subnets = network.subnets.iter().flatten().filter(|s| s.zone.as_deref() == Some(zone));
    let public = subnets.filter(|s| {
        let route = network.route_table_of(s).and_then(|table| network.route_from(table, to));
        route.is_some_and(|route| route.target.starts_with("igw-"))
    });
    public.map(|subnet| subnet.id.as_str()).min()
}

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::NatGatewayPerAz],
    when: "now, or later behind a quota",
    offered: "clients of other zones route through this gateway",
    why: "each gateway has its own ports, and the clients no longer depend on another zone",
    caution: "replacing a route breaks all open connections of its subnets",
    offer: Offered::Shortage(nat_gateway_per_az),
};

pub(super) fn nat_gateway_per_az(shortage: &Shortage<'_>) -> Option<Offer> {
    let (findings, top) = (shortage.findings, shortage.top);
    let network = findings.network;
    // Without the other gateways, whether one stands in that zone already is not known.
    if shortage.brings_nothing() || network.gateway.kind != GatewayKind::Zonal || network.siblings.is_none() {
        return None;
    }
    let placement = Placement::of(findings, top);
    let crossing = Crossing::of(shortage, &placement)?;
    let moved = placement.part(|client| crossing.moves(client));
    if moved < WORTH {
        return None;
    }
    let (mut commands, mut new, mut siblings, mut without_room) = (Vec::new(), 0_u32, Vec::new(), Vec::new());
    let each = findings.limits.ports_per_address;
    for zone in crossing.zones() {
        let demand = demand_of(shortage, &placement, &crossing, zone);
        without_room.extend(siblings_without_room(network, zone, each, demand));
        let (to, blank) = match sibling(network, zone, each, demand) {
            Some(sibling) => {
                siblings.push(sibling);
                (sibling.id.to_string(), None)
            }
            // A gateway is made with one address: they would fill that as well.
            None if demand > u64::from(each) => return None,
            None => {
                new += 1;
                let placeholder = placeholder(zone);
                commands.push(allocate(1, findings.region()));
                commands.extend(create(shortage, zone, &placeholder));
                (placeholder.to_string(), Some(placeholder))
            }
        };
        let moves = crossing.moves.values().filter(|way| way.zone == zone);
        commands.extend(moves.map(|way| replace(shortage, way, &to, blank.as_slice())));
    }
    let raises = raises(shortage, &network.quotas.unwrap_or_default(), 0, new);
    let when = if raises.is_empty() { When::Now } else { When::Later };
    commands.splice(0..0, raises);
    let mut hazards = vec![
        "Replacing a route breaks the open connections of every subnet behind that route table, to all destinations.".to_owned(),
        "The moved clients have another public address. Partners that allow-list addresses must add it first.".to_owned(),
    ];
    if when == When::Later {
        hazards.insert(0, format!("The Region's quota of Elastic IP addresses blocks this. {APPROVAL}"));
    }
    let (seen, unseen): (Vec<&SiblingGateway>, Vec<&SiblingGateway>) =
        siblings.into_iter().partition(|sibling| sibling.room(each).is_some());
    if !unseen.is_empty() {
        let ids: Vec<&str> = unseen.iter().map(|sibling| sibling.id.as_str()).collect();
        hazards.push(format!(
            "We did not look at how full {} is. Watch its ErrorPortAllocation too.",
            ids.join(", ")
        ));
    }
    for full in without_room {
        hazards.push(format!(
            "{} in {} has no room for them: {}.",
            full.id,
            shown(full.zone.as_deref().unwrap_or_default()),
            full_in_words(full)
        ));
    }
    if !crossing.shared.is_empty() {
        hazards.push(format!(
            "{} left out: subnets of other zones use the same table and would move too. Give each zone its own table first.",
            shown(&crossing.shared.iter().copied().collect::<Vec<_>>().join(", "))
        ));
    }
    if !shortage.is_real_demand() {
        hazards.push(
            "Connections that are not needed fill another gateway as well, so this only wins time.".into(),
        );
    }
    let own_zone = shown(crossing.own_zone);
    let mut effect = format!(
        "{} move to ports of another gateway, and their way out no longer depends on {own_zone}.",
        placement.in_words(|client| crossing.moves(client))
    );
    effect.extend(seen.into_iter().map(|sibling| room_in_words(sibling, each)));
    effect.extend(saved(shortage, &crossing));
    Some(Offer {
        worth: Worth::Solves,
        headroom: Some(shortage.headroom(moved, shortage.capacity)),
        remedy: Remedy {
            id: RemedyId::NatGatewayPerAz,
            when,
            condition: None,
            title: format!(
                "Move clients in {} to a gateway of their own zone, which breaks their open connections",
                crossing.zones_in_words()
            ),
            why: format!(
                "The gateway stands in {own_zone}; {} are of clients in {}, which route through it: {}.",
                placement.in_words(|client| crossing.moves(client)),
                crossing.zones_in_words(),
                crossing.tables()
            ),
            effect,
            commands,
            hazards,
            monthly_cost_usd: Some(
                f64::from(new) * (GATEWAY_HOURLY_USD * HOURS_A_MONTH + ADDRESS_MONTHLY_USD),
            ),
            confidence: if shortage.is_real_demand() {
                shortage.at_most(Confidence::High)
            } else {
                Confidence::Low
            },
        },
    })
}

/// Ports that the moved clients of a zone want at once: those that they hold, and their part of those that were
/// refused.
fn demand_of<'a>(
    shortage: &Shortage<'_>,
    placement: &Placement<'a>,
    crossing: &Crossing<'_>,
    zone: &str,
) -> u64 {
    let of_zone = |client: &Placed<'a>| {
        crossing.moves(client) && client.subnet.and_then(|subnet| subnet.zone.as_deref()) == Some(zone)
    };
    let placed: BTreeSet<IpAddr> =
        placement.clients.iter().filter(|client| of_zone(client)).map(|client| client.address).collect();
    let clients = || shortage.top.clients.iter();
    let all: u64 = clients().map(|client| client.refused).sum();
    let theirs: u64 = clients().filter(|c| placed.contains(&c.address)).map(|client| client.refused).sum();
    let refused = (shortage.demand().most - u64::from(shortage.top.held.estimate)) as f64 * theirs as f64
        / all.max(1) as f64;
    placement.weight(of_zone) + refused.ceil() as u64
}

/// The gateways in a zone of which it is known that they can't take so many more.
fn siblings_without_room<'a>(
    network: &'a Network,
    zone: &str,
    each: u32,
    more: u64,
) -> impl Iterator<Item = &'a SiblingGateway> {
    network.siblings.iter().flatten().filter(move |sibling| {
        sibling.kind == GatewayKind::Zonal
            && sibling.zone.as_deref() == Some(zone)
            && sibling.room(each).is_some_and(|room| room < more)
    })
}

/// Why a gateway has no room.
fn full_in_words(sibling: &SiblingGateway) -> String {
    let errors = sibling.errors.filter(|errors| *errors > 0);
    let connections = sibling.most_connections.unwrap_or_default();
    match errors {
        Some(errors) => {
            format!("it could not allocate {} ports itself in these minutes", words::count(errors))
        }
        None => format!("it held up to {} connections in these minutes", words::count(connections)),
    }
}

/// What a gateway has left.
pub(super) fn room_in_words(sibling: &SiblingGateway, each: u32) -> String {
    format!(
        " {} held at most {} connections in these minutes, to all destinations together. It had room for {} more to this one.",
        sibling.id,
        words::count(sibling.most_connections.unwrap_or_default()),
        words::count(sibling.room(each).unwrap_or_default())
    )
}

/// What stands for the id of a gateway that is made in this zone.
pub(super) fn placeholder(zone: &str) -> Blank {
    Blank::of_zone("NEW_NAT_GATEWAY", zone)
}

/// Makes a gateway, and waits until it works: until then, who is sent through it is cut off.
pub(super) fn create(shortage: &Shortage<'_>, zone: &str, placeholder: &Blank) -> [Command; 2] {
    let region = region_option(shortage.region());
    let unknown_subnet = Blank::of_zone("PUBLIC_SUBNET", zone);
    let subnet = public_subnet(shortage.findings.network, zone, shortage.top.address)
        .map_or_else(|| unknown_subnet.to_string(), quoted);
    let of_gateway = |text: String| CommandLine::with(text, slice::from_ref(placeholder));
    let verify = of_gateway(format!(
        "aws ec2 describe-nat-gateways --nat-gateway-ids {placeholder} --query 'NatGateways[].State' --output text{region}"
    ));
    let undo =
        Undo::Run(of_gateway(format!("aws ec2 delete-nat-gateway --nat-gateway-id {placeholder}{region}")));
    let made = Command {
        does: format!("creates a gateway in {}", shown(zone)),
        run: CommandLine::with(
            format!(
                "aws ec2 create-nat-gateway --subnet-id {subnet} --allocation-id NEW_ALLOCATION_ID{region}"
            ),
            &[unknown_subnet, Blank::NEW_ALLOCATION_ID],
        ),
        verify: verify.clone(),
        undo: undo.clone(),
    };
    let waited_for = Command {
        does: "waits until it can be used".into(),
        run: of_gateway(format!(
            "aws ec2 wait nat-gateway-available --nat-gateway-ids {placeholder}{region}"
        )),
        verify,
        undo,
    };
    [made, waited_for]
}

fn replace(shortage: &Shortage<'_>, moved: &Way<'_>, to: &str, blank: &[Blank]) -> Command {
    let region = region_option(shortage.region());
    let option = match moved.route.range() {
        Some(ipnet::IpNet::V6(_)) => "--destination-ipv6-cidr-block",
        _ => "--destination-cidr-block",
    };
    let table = words_of_shell([moved.table.id.as_str()]);
    let replace = |gateway: &str| {
        format!(
            "aws ec2 replace-route --route-table-id {table} {option} {} --nat-gateway-id {gateway}{region}",
            quoted(&moved.route.destination)
        )
    };
    Command {
        does: "sends the route table's subnets through that gateway, and drops their open connections".into(),
        run: CommandLine::with(replace(to), blank),
        verify: format!(
            "aws ec2 describe-route-tables --route-table-ids {table} --query 'RouteTables[].Routes[].[DestinationCidrBlock,DestinationIpv6CidrBlock,NatGatewayId]' --output text{region}"
        ).into(),
        undo: replace(&quoted(&moved.route.target)).into(),
    }
}

/// What the traffic of these clients across zones cost within the window; nothing where the window is
/// not wholly covered, or where it comes to less than a cent.
fn saved(shortage: &Shortage<'_>, crossing: &Crossing<'_>) -> Option<String> {
    let findings = shortage.findings;
    let uses = findings.evidence.clients.iter();
    let moved = uses.filter(|(using, _)| crossing.addresses.contains(&using.client));
    let bytes: u64 = moved.map(|(_, tally)| tally.bytes).sum();
    let usd = bytes as f64 / BYTES_OF_GB * CROSS_ZONE_USD_PER_GB * 2.0;
    (findings.complete && usd >= 0.01).then(|| {
        format!(
            " Their traffic crossed zones: {} in the {} minutes of the window, {} at $0.01 per GB each way.",
            words::bytes(bytes),
            (findings.evidence.window.seconds() + 59) / 60,
            words::dollars(usd)
        )
    })
}
