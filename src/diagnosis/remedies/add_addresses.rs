//! More addresses for the gateway: for connections that are needed, and as a stop-gap for those that are not closed.

use super::demand::{Demand, how_long_it_lasts};
use super::{HOURS_A_MONTH, Offer, Offered, Rule, Shortage};
use crate::command_line::{Blank, CommandLine};
use crate::contract::{Command, Condition, Confidence, Remedy, RemedyId, Undo, Verdict, When};
use crate::diagnosis::commands::{quoted, raise_quota, region_option, show_quota};
use crate::network::{GatewayKind, NatAddress, Provenance, Quota, Quotas};
use crate::words;

const MAX_ADDRESSES: u32 = Quotas::MAX_ADDRESSES_PER_GATEWAY;

/// Most addresses that a regional gateway can have in each zone.
///
/// Source: "Regional NAT gateways" in the Amazon VPC user guide.
const MAX_ADDRESSES_PER_ZONE: u32 = 32;

/// A public IPv4 address for a month, at $0.005 an hour (us-east-1 list price).
pub(super) const ADDRESS_MONTHLY_USD: f64 = 0.005 * HOURS_A_MONTH;

/// What a quota in the way means.
pub(super) const APPROVAL: &str = "Raising it needs approval, which takes minutes to days.";

/// Why the gateway gets no more addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoMore {
    /// What fills the ports is not demand.
    NotNeeded,
    /// AWS adds addresses by itself.
    AddedByAws,
    /// It has as many as a gateway can have, and all of them take connections.
    AllInUse(u32),
}

/// How many addresses the gateway has, and may have.
#[derive(Clone, Copy, Debug)]
struct Stock<'a> {
    /// The alarm's zone, of a regional gateway.
    zone: Option<&'a str>,
    /// Those that take connections.
    usable: u32,
    /// All of them: those that take no connections count against the limits all the same.
    all: u32,
    /// The most that a gateway can have.
    most: u32,
    /// How many can be added before a quota is raised.
    within_quota: u32,
    /// Whether the quotas in question were asked for.
    quota_known: bool,
}

impl<'a> Stock<'a> {
    /// `None` where it is not known how many of its addresses serve the clients in question.
    fn of(shortage: &Shortage<'a>) -> Option<Self> {
        let findings = shortage.findings;
        let gateway = &findings.network.gateway;
        let regional = gateway.kind == GatewayKind::Regional;
        // Who only names an address does not say what sort of gateway has it, nor whether it has others.
        let looked_at = match gateway.provenance {
            Provenance::LookedUp => true,
            Provenance::Named => gateway.subnet_id.is_some() || regional,
            Provenance::Inferred | Provenance::Unknown => false,
        };
        if !looked_at {
            return None;
        }
        // Clients of a zone use its addresses alone: without the zones, how many that are is not known.
        if regional && gateway.addresses.iter().any(|address| address.zone.is_none()) {
            return None;
        }
        let zone = findings.incident.zone.as_deref().filter(|_| regional);
        if regional && zone.is_none() {
            return None;
        }
        let of_zone = |a: &&NatAddress| zone.is_none() || a.zone.as_deref() == zone;
        let all = u32::try_from(gateway.addresses.iter().filter(of_zone).count()).ok()?;
        let most = if regional { MAX_ADDRESSES_PER_ZONE } else { MAX_ADDRESSES };
        let quotas = findings.network.quotas.unwrap_or_default();
        let per_gateway = match gateway.kind {
            GatewayKind::Zonal => {
                quotas.addresses_per_gateway.unwrap_or(Quotas::DEFAULT_ADDRESSES_PER_GATEWAY)
            }
            GatewayKind::Regional | GatewayKind::Private => most,
        };
        let of_region = match (quotas.elastic_ips, quotas.elastic_ips_in_use) {
            (Some(most), Some(used)) if gateway.kind != GatewayKind::Private => most.saturating_sub(used),
            _ => u32::MAX,
        };
        Some(Self {
            zone,
            usable: u32::try_from(gateway.usable_addresses(zone)).ok()?,
            all,
            most,
            within_quota: per_gateway.min(most).saturating_sub(all).min(of_region),
            quota_known: gateway.kind != GatewayKind::Zonal || quotas.addresses_per_gateway.is_some(),
        })
    }

    /// Addresses that take no connections.
    fn unusable(&self) -> u32 {
        self.all - self.usable.min(self.all)
    }

    /// How many more a gateway can have, whatever the quota.
    fn left(&self) -> u32 {
        self.most.saturating_sub(self.all)
    }
}

/// Why the gateway gets no more addresses, where that is known.
fn no_more(shortage: &Shortage<'_>, stock: Option<&Stock<'_>>) -> Option<NoMore> {
    if shortage.brings_nothing() {
        return Some(NoMore::NotNeeded);
    }
    let gateway = &shortage.findings.network.gateway;
    if gateway.kind == GatewayKind::Regional && gateway.scales_addresses {
        return Some(NoMore::AddedByAws);
    }
    stock.filter(|stock| stock.left() == 0 && stock.unusable() == 0).map(|stock| NoMore::AllInUse(stock.all))
}

/// Why more addresses are not offered, in a sentence; `None` where they are.
pub(super) fn why_none(shortage: &Shortage<'_>) -> Option<String> {
    Some(match no_more(shortage, Stock::of(shortage).as_ref())? {
        NoMore::NotNeeded => "More addresses do not help: attempts without answers fill them as well.".into(),
        NoMore::AddedByAws => {
            "Nobody can add addresses to this regional gateway: AWS adds them by itself, and did not do so in time.".into()
        }
        NoMore::AllInUse(all) => {
            format!("More addresses are not possible: the gateway has {all}, which is the maximum, and all are in use.")
        }
    })
}

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::AddNatAddresses],
    when: "now, or later behind a quota",
    offered: "the connections are needed; as a stop-gap, with how long it lasts, where they leak or it does not show; in parts, as quotas and the gateway allow",
    why: "each address has its own ports for each destination",
    caution: "partners' allow-lists; Terraform. Not for a regional gateway that scales its own addresses, nor for attempts that bring nothing",
    offer: Offered::Shortage(add_nat_addresses),
};

fn add_nat_addresses(shortage: &Shortage<'_>) -> Option<Offer> {
    let stock = Stock::of(shortage);
    if no_more(shortage, stock.as_ref()).is_some() {
        return None;
    }
    match stock {
        None => addresses_of_unknown_gateway(shortage),
        Some(stock) if stock.left() == 0 => addresses_in_place_of_others(shortage, &stock),
        Some(stock) => Some(more_addresses(shortage, &stock)),
    }
}

/// How many addresses are wanted, and what of that can be had.
struct Plan {
    /// To be added at once.
    now: u32,
    /// To be added once a quota is raised.
    later: u32,
    /// What no gateway takes.
    beyond: u32,
}

impl Plan {
    fn of(shortage: &Shortage<'_>, stock: &Stock<'_>, demand: &Demand) -> Self {
        let each = u64::from(shortage.findings.limits.ports_per_address);
        // More is only more to fill, where what is wanted does not end.
        let wanted = if shortage.is_real_demand() { demand.most } else { demand.least };
        let needed = u32::try_from(wanted.div_ceil(each)).unwrap_or(u32::MAX);
        let add = needed.saturating_sub(stock.usable).max(1);
        let possible = add.min(stock.left());
        let now = possible.min(stock.within_quota);
        // Nobody waits days for a stop-gap, unless there is nothing else to be had.
        let later = if shortage.is_real_demand() || now == 0 { possible - now } else { 0 };
        Self { now, later, beyond: add - possible }
    }
}

fn more_addresses(shortage: &Shortage<'_>, stock: &Stock<'_>) -> Offer {
    let (findings, top) = (shortage.findings, shortage.top);
    let gateway = &findings.network.gateway;
    let each = findings.limits.ports_per_address;
    let demand = shortage.demand();
    let Plan { now, later, beyond } = Plan::of(shortage, stock, &demand);
    // It has as many as the default quota allows, or more: only the quota itself tells what else it may have.
    let doubtful = now == 0 && !stock.quota_known;
    let (now, later) = if doubtful { (later, 0) } else { (now, later) };
    let room = |addresses: u32| u64::from(addresses) * u64::from(each);
    let quotas = findings.network.quotas.unwrap_or_default();
    let raises = raises(shortage, &quotas, stock.all + now + later, now + later);
    let when = if now > 0 { When::Now } else { When::Later };
    let first = if now > 0 { now } else { later };
    let stop_gap = !shortage.is_real_demand();

    let mut effect = vec![format!(
        "Room for {} connections to {} instead of {}{}.",
        words::count(room(stock.usable + first)),
        top.label(),
        words::count(room(stock.usable)),
        if now > 0 && later > 0 { ", within the quota" } else { "" }
    )];
    if now > 0 && later > 0 {
        effect.push(format!(
            "The rest needs {later} more, once the quota is raised: room for {} then.",
            words::count(room(stock.usable + now + later))
        ));
    }
    if beyond > 0 {
        let what = if later > 0 { "What is then still missing" } else { "The rest" };
        effect.push(format!(
            "{what} needs {beyond} more, and a gateway can have {} at most. Give some of these subnets a second gateway.",
            stock.most
        ));
    }
    if stop_gap {
        effect.push(how_long_it_lasts(shortage, room(first), room(stock.usable + first)));
    }
    let mut commands = Vec::new();
    if now > 0 {
        commands.extend(steps(shortage, now, stock.zone));
    }
    let mut hazards = hazards(shortage, stock, when, !raises.is_empty());
    if demand.more_refused {
        hazards.push(
            "More may be needed: short connections share ports, so more were refused than the records show."
                .into(),
        );
    }
    commands.extend(raises);
    if now == 0 {
        commands.extend(steps(shortage, later, stock.zone));
    }
    Offer {
        headroom: Some(shortage.headroom(0.0, u32::try_from(room(stock.usable + first)).unwrap_or(u32::MAX))),
        worth: shortage.worth_of_room(),
        remedy: Remedy {
            id: RemedyId::AddNatAddresses,
            title: title(shortage, now, later),
            when,
            condition: doubtful.then(|| quota_allows(shortage, stock.all + now)),
            why: why(shortage, &demand),
            effect: effect.join(" "),
            commands,
            hazards,
            monthly_cost_usd: Some(if gateway.kind == GatewayKind::Private {
                0.0
            } else {
                f64::from(now + later) * ADDRESS_MONTHLY_USD
            }),
            confidence: if shortage.verdict == Verdict::Confirmed && !demand.more_refused && !stop_gap {
                Confidence::High
            } else {
                Confidence::Medium
            },
        },
    }
}

/// Whether the quota lets the gateway have so many addresses.
fn quota_allows(shortage: &Shortage<'_>, all: u32) -> Condition {
    Condition {
        unknown: format!("whether the quota lets a gateway have {all} addresses"),
        command: show_quota(Quotas::PER_GATEWAY, shortage.region()).into(),
    }
}

fn title(shortage: &Shortage<'_>, now: u32, later: u32) -> String {
    let addresses = |n: u32| format!("{n} {}", if n == 1 { "address" } else { "addresses" });
    let stop_gap = if shortage.is_real_demand() { "" } else { " as a stop-gap" };
    match (now, later) {
        (0, later) => format!("Add {} to the gateway{stop_gap}, once its quota is raised", addresses(later)),
        (now, 0) => format!("Add {} to the gateway{stop_gap}", addresses(now)),
        (now, later) => {
            format!(
                "Add {} to the gateway{stop_gap}, and {later} more once its quota is raised",
                addresses(now)
            )
        }
    }
}

fn why(shortage: &Shortage<'_>, demand: &Demand) -> String {
    let held = words::count(u64::from(shortage.top.held.estimate));
    let refused = words::counted(demand.refused, "connection");
    let at_least = if demand.more_refused { "at least " } else { "" };
    format!(
        "{held} ports were held and {at_least}{refused} were refused to {}: {} connections want a port at once.{}",
        shortage.top.label(),
        demand.in_words(),
        if shortage.pattern.is_none() { " Whether all of them are needed is not known." } else { "" }
    )
}

/// What more addresses may break, or need; what stands in their way first, as it is read with the answer.
fn hazards(shortage: &Shortage<'_>, stock: &Stock<'_>, when: When, raises: bool) -> Vec<String> {
    let network = shortage.findings.network;
    let private = network.gateway.kind == GatewayKind::Private;
    let mut hazards = Vec::new();
    if raises && when == When::Later {
        hazards.push(format!("A quota blocks this. {APPROVAL}"));
    }
    let whoever = if private { "Whoever allow-lists" } else { "Partners that allow-list" };
    hazards.push(format!(
        "{whoever} the gateway's addresses must add the new ones first. Some connections use the new addresses at once."
    ));
    if stock.within_quota == 0 && !stock.quota_known {
        hazards.push(format!("Where the quota is lower, run the last command first. {APPROVAL}"));
    } else if when == When::Now && !stock.quota_known {
        hazards.push(format!(
            "The quota of addresses per gateway is not known. We assumed the default, {}.",
            Quotas::DEFAULT_ADDRESSES_PER_GATEWAY
        ));
    }
    hazards.push("Terraform may replace the gateway or remove the addresses. Change them there too.".into());
    if !private && network.quotas.unwrap_or_default().elastic_ips.is_none() {
        hazards.push(format!(
            "The Region's quota of Elastic IP addresses is not known. The default is {}.",
            Quotas::DEFAULT_ELASTIC_IPS
        ));
    }
    hazards
}

/// The same where nobody looked at the gateway: what kind it is, and how many addresses it has.
fn addresses_of_unknown_gateway(shortage: &Shortage<'_>) -> Option<Offer> {
    let findings = shortage.findings;
    let region = region_option(shortage.region());
    let command = match findings.gateway_id() {
        Some(id) => format!(
            "aws ec2 describe-nat-gateways --nat-gateway-ids {id} --query 'NatGateways[].[ConnectivityType,AvailabilityMode,AutoScalingIps,NatGatewayAddresses[].[PublicIp,PrivateIp,Status,AvailabilityZone]]' --output json{region}"
        ),
        None => {
            let address = findings.network.gateway.addresses.iter().find_map(|address| address.private)?;
            format!(
                "aws ec2 describe-network-interfaces --filters Name=addresses.private-ip-address,Values={address} --query 'NetworkInterfaces[].[Description,VpcId,PrivateIpAddresses[].[PrivateIpAddress,Association.PublicIp]]' --output json{region}"
            )
        }
    };
    let demand = shortage.demand();
    let stop_gap = !shortage.is_real_demand();
    let each = u64::from(findings.limits.ports_per_address);
    let mut effect = vec![format!(
        "Each address is room for {} more connections to {}. A public gateway can have {} addresses by default, and {MAX_ADDRESSES} with a raised quota.",
        words::count(each),
        shortage.top.label(),
        Quotas::DEFAULT_ADDRESSES_PER_GATEWAY
    )];
    if stop_gap {
        effect.push(how_long_it_lasts(shortage, each, u64::from(shortage.capacity) + each));
    }
    Some(Offer {
        headroom: Some(shortage.headroom(
            0.0,
            shortage.capacity.saturating_add(findings.limits.ports_per_address),
        )),
        worth: shortage.worth_of_room(),
        remedy: Remedy {
            id: RemedyId::AddNatAddresses,
            title: format!("Add an address to the gateway{}", if stop_gap { " as a stop-gap" } else { "" }),
            when: When::Now,
            condition: Some(Condition {
                unknown: "whether the gateway can have another address".into(),
                command: command.into(),
            }),
            why: why(shortage, &demand),
            effect: effect.join(" "),
            commands: steps(shortage, 1, None),
            hazards: vec![
                "Partners that allow-list the gateway's addresses must add the new one first. Some connections use the new address at once.".into(),
                "These commands are for a public gateway in one subnet. A private gateway takes private addresses. To a regional gateway AWS may add addresses by itself.".into(),
                "Terraform may replace the gateway or remove the address. Change it there too.".into(),
            ],
            monthly_cost_usd: Some(ADDRESS_MONTHLY_USD),
            confidence: Confidence::Medium,
        },
    })
}

/// A gateway that has as many addresses as it can have, of which some take no connections.
fn addresses_in_place_of_others(shortage: &Shortage<'_>, stock: &Stock<'_>) -> Option<Offer> {
    let id = shortage.findings.gateway_id()?;
    let region = region_option(shortage.region());
    let unusable = stock.unusable();
    let takes = if unusable == 1 { "one takes" } else { "some take" };
    let shows: CommandLine = format!(
        "aws ec2 describe-nat-gateways --nat-gateway-ids {id} --query 'NatGateways[].NatGatewayAddresses[].[PublicIp,PrivateIp,Status,FailureMessage,IsPrimary,AssociationId]' --output text{region}"
    )
    .into();
    let room = |addresses: u32| {
        words::count(u64::from(addresses) * u64::from(shortage.findings.limits.ports_per_address))
    };
    let private = shortage.findings.network.gateway.kind == GatewayKind::Private;
    let take_off = if private {
        format!(
            "aws ec2 unassign-private-nat-gateway-address --nat-gateway-id {id} --private-ip-addresses FAILED_ADDRESSES{region}"
        )
    } else {
        format!(
            "aws ec2 disassociate-nat-gateway-address --nat-gateway-id {id} --association-ids FAILED_ASSOCIATION_IDS{region}"
        )
    };
    let mut commands = vec![Command {
        does: "takes the addresses that failed off the gateway".into(),
        run: CommandLine::with(take_off, &[Blank::FAILED_ADDRESSES, Blank::FAILED_ASSOCIATION_IDS]),
        verify: shows.clone(),
        undo: Undo::nothing("they took no connections"),
    }];
    commands.extend(steps(shortage, unusable, stock.zone));
    Some(Offer {
        headroom: Some(shortage.headroom(
            0.0,
            stock.all.saturating_mul(shortage.findings.limits.ports_per_address),
        )),
        worth: shortage.worth_of_room(),
        remedy: Remedy {
            id: RemedyId::AddNatAddresses,
            title: format!("Bring the {unusable} of the gateway's {} addresses into use that take no connections", stock.all),
            when: When::Now,
            condition: Some(Condition { unknown: format!("why {takes} none, which their Status tells"), command: shows }),
            why: format!(
                "The gateway has {} addresses, as many as one can have, and only {} of them {} connections. {}",
                stock.all,
                stock.usable,
                if stock.usable == 1 { "takes" } else { "take" },
                why(shortage, &shortage.demand())
            ),
            effect: format!(
                "Room for {} connections to {} instead of {}. Addresses that are being associated take connections by themselves within minutes.",
                room(stock.all),
                shortage.top.label(),
                room(stock.usable)
            ),
            commands,
            hazards: vec![
                "Take off only addresses whose Status is failed. An address that is disassociating still carries connections, and the primary address cannot be taken off.".into(),
                "Partners that allow-list the gateway's addresses must add the new ones first.".into(),
                "Terraform may undo this. Change it there too.".into(),
            ],
            monthly_cost_usd: None,
            confidence: Confidence::Medium,
        },
    })
}

/// The quotas that have to be raised first: that of addresses per gateway, taken for the default one
/// where it was not asked for, and that of the Region, where it is known to be too small.
pub(super) fn raises(shortage: &Shortage<'_>, quotas: &Quotas, all: u32, add: u32) -> Vec<Command> {
    let raise = |quota: Quota, to: u32, of: &str| Command {
        does: format!("asks AWS for {to} addresses per {of}"),
        run: raise_quota(quota, to, shortage.region()).into(),
        verify: show_quota(quota, shortage.region()).into(),
        undo: Undo::nothing("a higher quota by itself changes nothing"),
    };
    let kind = shortage.findings.network.gateway.kind;
    let mut raises = Vec::new();
    let per_gateway = quotas.addresses_per_gateway.unwrap_or(Quotas::DEFAULT_ADDRESSES_PER_GATEWAY);
    if kind == GatewayKind::Zonal && all > per_gateway {
        raises.push(raise(Quotas::PER_GATEWAY, all, "gateway"));
    }
    if let (Some(most), Some(used)) = (quotas.elastic_ips, quotas.elastic_ips_in_use)
        && kind != GatewayKind::Private
        && used + add > most
    {
        raises.push(raise(Quotas::PER_REGION, used + add, "Region"));
    }
    raises
}

/// Allocates so many Elastic IP addresses.
pub(super) fn allocate(add: u32, region: Option<&str>) -> Command {
    let region = region_option(region);
    let again = if add > 1 { format!("for n in $(seq {add}); do ") } else { String::new() };
    let done = if add > 1 { "; done" } else { "" };
    Command {
        does: if add == 1 {
            "allocates an Elastic IP address".into()
        } else {
            format!("allocates {add} Elastic IP addresses")
        },
        run: format!(
            "{again}aws ec2 allocate-address --domain vpc --query AllocationId --output text{region}{done}"
        )
        .into(),
        verify: CommandLine::with(
            format!("aws ec2 describe-addresses --allocation-ids NEW_ALLOCATION_IDS{region}"),
            &[Blank::NEW_ALLOCATION_IDS],
        ),
        undo: CommandLine::with(
            format!("aws ec2 release-address --allocation-id NEW_ALLOCATION_ID{region}"),
            &[Blank::NEW_ALLOCATION_ID],
        )
        .into(),
    }
}

/// What gives the gateway `add` more addresses.
fn steps(shortage: &Shortage<'_>, add: u32, zone: Option<&str>) -> Vec<Command> {
    let id = shortage.findings.gateway_id().map_or("NAT_GATEWAY_ID", |id| id.as_str());
    let region = region_option(shortage.region());
    let verify = shortage.errors_stop();
    if shortage.findings.network.gateway.kind == GatewayKind::Private {
        return vec![Command {
            does: if add == 1 {
                "gives the gateway one more private address".into()
            } else {
                format!("gives the gateway {add} more private addresses")
            },
            run: CommandLine::with(format!(
                "aws ec2 assign-private-nat-gateway-address --nat-gateway-id {id} --private-ip-address-count {add}{region}"
            ), &[Blank::NAT_GATEWAY_ID]),
            verify,
            undo: CommandLine::with(format!(
                "aws ec2 unassign-private-nat-gateway-address --nat-gateway-id {id} --private-ip-addresses NEW_ADDRESSES{region}"
            ), &[Blank::NAT_GATEWAY_ID, Blank::NEW_ADDRESSES]).into(),
        }];
    }
    let zone = zone.map_or_else(String::new, |zone| format!(" --availability-zone {}", quoted(zone)));
    vec![
        allocate(add, shortage.region()),
        Command {
            does: format!("gives {} to the gateway", if add == 1 { "it" } else { "them" }),
            run: CommandLine::with(format!(
                "aws ec2 associate-nat-gateway-address --nat-gateway-id {id}{zone} --allocation-ids NEW_ALLOCATION_IDS{region}"
            ), &[Blank::NAT_GATEWAY_ID, Blank::NEW_ALLOCATION_IDS]),
            verify,
            undo: CommandLine::with(format!(
                "aws ec2 disassociate-nat-gateway-address --nat-gateway-id {id} --association-ids NEW_ASSOCIATION_IDS{region}"
            ), &[Blank::NAT_GATEWAY_ID, Blank::NEW_ASSOCIATION_IDS]).into(),
        },
    ]
}
