//! More addresses for the gateway: only for connections that are needed.

use super::{HOURS_A_MONTH, Offer, RefusedDemand, Shortage, When};
use crate::diagnosis::commands::{quoted, region_option};
use crate::diagnosis::{Command, Confidence, NOTHING_TO_UNDO, Remedy, Verdict};
use crate::network::{GatewayKind, NatAddress, Provenance, Quotas};
use crate::words;

/// Most addresses that a gateway of one subnet can have, whatever the quota.
///
/// Source: "Amazon VPC quotas" (L-5F53652F) and "NAT gateway basics" in the Amazon VPC user guide.
const MOST_ADDRESSES: u32 = 8;

/// Most addresses that a regional gateway can have in each zone.
///
/// Source: "Regional NAT gateways" in the Amazon VPC user guide.
const MOST_ADDRESSES_PER_ZONE: u32 = 32;

/// A public IPv4 address for a month, at $0.005 an hour (us-east-1 list price).
pub(super) const ADDRESS_MONTHLY_USD: f64 = 0.005 * HOURS_A_MONTH;

/// What a quota in the way means.
pub(super) const APPROVAL: &str = "raising it has to be approved, which takes minutes to days.";

pub(super) fn add_nat_addresses(shortage: &Shortage<'_>) -> Option<Offer> {
    let (findings, top) = (shortage.findings, shortage.top);
    let gateway = &findings.network.gateway;
    let known = matches!(gateway.provenance, Provenance::LookedUp | Provenance::Named);
    let regional = gateway.kind == GatewayKind::Regional;
    if !shortage.is_real_demand() || !known || (regional && gateway.scales_addresses) {
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
    let each = findings.limits.ports_per_address;
    let have = u32::try_from(gateway.usable_addresses(zone)).ok()?;
    let needed = u32::try_from(shortage.demand().div_ceil(u64::from(each))).unwrap_or(u32::MAX);
    let target = needed.max(have + 1);
    let add = target - have;
    // Addresses that take no connections count against the limits all the same.
    let of_zone = |a: &&NatAddress| zone.is_none() || a.zone.as_deref() == zone;
    let there = u32::try_from(gateway.addresses.iter().filter(of_zone).count()).ok()?;
    if there.saturating_add(add) > (if regional { MOST_ADDRESSES_PER_ZONE } else { MOST_ADDRESSES }) {
        return None;
    }
    let quotas = findings.network.quotas.unwrap_or_default();
    let raises = raises(shortage, &quotas, there + add, add);
    let room = |addresses: u32| u64::from(addresses) * u64::from(each);
    let mut hazards = Vec::new();
    // What is minded first is read with the answer.
    if !raises.is_empty() {
        let known = quotas.addresses_per_gateway.is_some() || quotas.elastic_ips.is_some();
        let stands = if known { "stands" } else { "perhaps stands" };
        let asked = if known { "" } else { " It was not asked for, and is taken for the default." };
        hazards.push(format!("A quota {stands} in the way: {APPROVAL}{asked}"));
    }
    if gateway.kind == GatewayKind::Private {
        hazards.push("Whoever allow-lists the gateway's addresses must add the new ones first.".to_owned());
    } else {
        hazards
            .push("Partners that allow-list the gateway's addresses must add the new ones first.".to_owned());
    }
    hazards.push("Terraform may want to replace the gateway, or to take the addresses away again: change it there too.".into());
    if raises.is_empty() && gateway.kind != GatewayKind::Private && quotas.elastic_ips.is_none() {
        hazards.push(format!(
            "The Region's quota of Elastic IP addresses was not asked for; by default it is {}.",
            Quotas::DEFAULT_ELASTIC_IPS
        ));
    }
    let RefusedDemand { connections: refused, at_once, at_least } = shortage.refused();
    let at_once = if at_once < refused {
        format!(" (about {} at a time)", words::count(at_once))
    } else {
        String::new()
    };
    if at_least {
        hazards.push(
            "More may be needed: short connections share ports, so that more were refused than show.".into(),
        );
    }
    let mut commands = raises;
    // Nobody can run the rest before that.
    let when = if commands.is_empty() { When::Tonight } else { When::Later };
    commands.extend(steps(shortage, add, zone)?);
    Some(Offer {
        when,
        headroom: Some(shortage.headroom(0.0, u32::try_from(room(target)).unwrap_or(u32::MAX))),
        remedy: Remedy {
            id: "add-nat-addresses".into(),
            title: format!("Add {add} {} to the gateway", if add == 1 { "address" } else { "addresses" }),
            why: format!(
                "{} ports held and {}{} connections refused{at_once} to {}: {} {} hold {}.",
                words::count(u64::from(top.held.estimate)),
                if at_least { "at least " } else { "" },
                words::count(refused),
                top.label(),
                target,
                if target == 1 { "address" } else { "addresses" },
                words::count(room(target))
            ),
            effect: format!(
                "Room for {} connections to {} instead of {}.",
                words::count(room(target)),
                top.label(),
                words::count(room(have))
            ),
            commands,
            hazards,
            monthly_cost_usd: Some(if gateway.kind == GatewayKind::Private {
                0.0
            } else {
                f64::from(add) * ADDRESS_MONTHLY_USD
            }),
            confidence: if shortage.verdict == Verdict::Confirmed && !at_least {
                Confidence::High
            } else {
                Confidence::Medium
            },
        },
    })
}

/// The quotas that have to be raised first: that of addresses per gateway, taken for the default one
/// where it was not asked for, and that of the Region, where it is known to be too small.
pub(super) fn raises(shortage: &Shortage<'_>, quotas: &Quotas, all: u32, add: u32) -> Vec<Command> {
    let region = region_option(shortage.region());
    let raise = |service: &str, code: &str, to: u32, of: &str| Command {
        does: format!("asks AWS for {to} addresses per {of}"),
        run: format!(
            "aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} --desired-value {to}{region}"
        ),
        verify: format!(
            "aws service-quotas get-service-quota --service-code {service} --quota-code {code} --query Quota.Value{region}"
        ),
        undo: format!("{NOTHING_TO_UNDO}: a higher quota alone changes nothing"),
    };
    let kind = shortage.findings.network.gateway.kind;
    let mut raises = Vec::new();
    let per_gateway = quotas.addresses_per_gateway.unwrap_or(Quotas::DEFAULT_ADDRESSES_PER_GATEWAY);
    if kind == GatewayKind::Zonal && all > per_gateway {
        raises.push(raise("vpc", "L-5F53652F", all, "gateway"));
    }
    if let (Some(most), Some(used)) = (quotas.elastic_ips, quotas.elastic_ips_in_use)
        && kind != GatewayKind::Private
        && used + add > most
    {
        raises.push(raise("ec2", "L-0263D0A3", used + add, "Region"));
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
        ),
        verify: format!("aws ec2 describe-addresses --allocation-ids NEW_ALLOCATION_IDS{region}"),
        undo: format!("aws ec2 release-address --allocation-id NEW_ALLOCATION_ID{region}"),
    }
}

/// What gives the gateway `add` more addresses.
fn steps(shortage: &Shortage<'_>, add: u32, zone: Option<&str>) -> Option<Vec<Command>> {
    let id = shortage.findings.gateway_id()?;
    let region = region_option(shortage.region());
    let verify = shortage.errors_stop();
    if shortage.findings.network.gateway.kind == GatewayKind::Private {
        return Some(vec![Command {
            does: if add == 1 {
                "gives the gateway one more private address".into()
            } else {
                format!("gives the gateway {add} more private addresses")
            },
            run: format!(
                "aws ec2 assign-private-nat-gateway-address --nat-gateway-id {id} --private-ip-address-count {add}{region}"
            ),
            verify,
            undo: format!(
                "aws ec2 unassign-private-nat-gateway-address --nat-gateway-id {id} --private-ip-addresses NEW_ADDRESSES{region}"
            ),
        }]);
    }
    let zone = zone.map_or_else(String::new, |zone| format!(" --availability-zone {}", quoted(zone)));
    Some(vec![
        allocate(add, shortage.region()),
        Command {
            does: format!("gives {} to the gateway", if add == 1 { "it" } else { "them" }),
            run: format!(
                "aws ec2 associate-nat-gateway-address --nat-gateway-id {id}{zone} --allocation-ids NEW_ALLOCATION_IDS{region}"
            ),
            verify,
            undo: format!(
                "aws ec2 disassociate-nat-gateway-address --nat-gateway-id {id} --association-ids NEW_ASSOCIATION_IDS{region}"
            ),
        },
    ])
}
