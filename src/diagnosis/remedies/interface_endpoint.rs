//! Taking another AWS service off the gateway: an interface endpoint costs money and uses no ports.

use std::collections::{BTreeMap, BTreeSet};

use super::placement::Placement;
use super::{HOURS_A_MONTH, Offer, Offered, Rule, Shortage, WORTH, Worth};
use crate::command_line::{Blank, CommandLine};
use crate::contract::{Command, Confidence, Remedy, RemedyId, When};
use crate::diagnosis::commands::{quoted, region_option, shown, words_of_shell};
use crate::network::{InterfaceEndpoint, Network, PrefixList, is_private};
use crate::prices::{BYTES_OF_GB, GATEWAY_USD_PER_GB};
use crate::words;

/// An interface endpoint for an hour in each zone, and a GB through it (us-east-1 list prices).
const ZONE_HOURLY_USD: f64 = 0.01;
const USD_PER_GB: f64 = 0.01;

/// The service that an address is certain to stand for: every name that clients asked for and were
/// answered with it is a name of that one service. By the address alone services can't be told apart.
///
/// Source: "AWS IP address ranges" in the Amazon VPC user guide.
fn service_of<'a>(network: &'a Network, shortage: &Shortage<'_>) -> Option<(&'a str, &'a str)> {
    let services = network.endpoint_services.as_ref()?;
    let mut found: BTreeSet<&str> = BTreeSet::new();
    let mut first = None;
    for name in network.names_asked_for(shortage.top.address) {
        let of_name = services.iter().filter(|service| service.answers_for(&name.name));
        let of_name: BTreeSet<&str> = of_name.map(|service| service.service_name.as_str()).collect();
        if of_name.is_empty() {
            return None;
        }
        found.extend(of_name);
        first.get_or_insert(name.name.as_str());
    }
    let service = found.first().filter(|_| found.len() == 1)?;
    Some((service, first?))
}

/// Whether a gateway endpoint, which is free, leads to the same service.
fn has_gateway_endpoints(shortage: &Shortage<'_>, service: &str) -> bool {
    let by_name = PrefixList { name: service.into(), ..PrefixList::default() }.service().is_some();
    let network = shortage.findings.network;
    let by_address = shortage.region().and_then(|r| network.gateway_service_of(shortage.top.address, r));
    by_name || by_address.is_some()
}

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::InterfaceEndpoint],
    when: "now",
    offered: "the names that clients asked for are certain to be one service's",
    why: "what goes through the endpoint takes no port of the gateway",
    caution: "private DNS changes the answer in the whole VPC",
    offer: Offered::Shortage(interface_endpoint),
};

fn interface_endpoint(shortage: &Shortage<'_>) -> Option<Offer> {
    let (findings, top) = (shortage.findings, shortage.top);
    let network = findings.network;
    if is_private(top.address) {
        return None;
    }
    let (service, name) = service_of(network, shortage)?;
    let vpc_id = network.gateway.vpc_id.as_deref()?;
    let in_vpc = |e: &&InterfaceEndpoint| e.stands() && e.vpc_id == vpc_id && e.service_name == service;
    let endpoints: Vec<_> = network.interface_endpoints.as_ref()?.iter().filter(in_vpc).collect();
    if endpoints.iter().any(|endpoint| endpoint.private_dns_enabled) {
        return None;
    }
    let placement = Placement::of(findings, top);
    let inside = placement.part(|client| client.in_vpc == Some(true));
    let outside = placement.part(|client| client.in_vpc == Some(false));
    let from_outside = outside > 0.5;
    if !from_outside && (inside < WORTH || has_gateway_endpoints(shortage, service)) {
        return None;
    }
    let unnamed = endpoints.into_iter().min_by_key(|endpoint| endpoint.id.as_str());
    let subnets = subnet_per_zone(&placement);
    let zones = subnets.len() as f64;
    let gb = top.tally.bytes as f64 / BYTES_OF_GB;
    let cost = format!(
        "At us-east-1 list prices it costs $0.01 an hour in each zone and $0.01 a GB; the gateway takes $0.045 a GB. The window's {} to {} come to {} through it and {} through the gateway.",
        words::bytes(top.tally.bytes),
        top.label(),
        words::dollars(gb * USD_PER_GB),
        words::dollars(gb * GATEWAY_USD_PER_GB)
    );
    let mut hazards = vec![
        format!("Private DNS changes the answer for {} in the whole VPC at once, for every client of the service.", shown(name)),
        "The endpoint's security group must let the clients in, and its policy must allow what they do.".to_owned(),
        "The VPC needs DNS resolution and DNS hostnames. Connections that are open keep their ports until they close.".to_owned(),
    ];
    if outside > 0.0 {
        hazards.push(format!(
            "{} are of clients outside the VPC: they reach the endpoint only if they ask the VPC's resolver, or use the endpoint's own names.",
            placement.in_words(|client| client.in_vpc == Some(false))
        ));
    }
    Some(Offer {
        worth: Worth::Solves,
        headroom: Some(shortage.headroom(inside, shortage.capacity)),
        remedy: Remedy {
            id: RemedyId::InterfaceEndpoint,
            when: When::Now,
            condition: None,
            title: format!(
                "{} for {}",
                if unnamed.is_some() {
                    "Switch on private DNS of the interface endpoint"
                } else {
                    "Create an interface endpoint"
                },
                shown(service)
            ),
            why: format!(
                "Clients asked for {} and were answered {}: that is {}, and {} are of clients within the VPC.",
                shown(name),
                top.address,
                shown(service),
                placement.in_words(|client| client.in_vpc == Some(true))
            ),
            effect: format!(
                "New connections to {} go through the endpoint: they take no port of the gateway. {cost}",
                shown(name)
            ),
            commands: vec![command(shortage, vpc_id, service, unnamed, &subnets)],
            hazards,
            monthly_cost_usd: match unnamed {
                Some(_) => Some(0.0),
                None => (zones > 0.0).then_some(zones * ZONE_HOURLY_USD * HOURS_A_MONTH),
            },
            confidence: if from_outside { Confidence::Low } else { shortage.at_most(Confidence::High) },
        },
    })
}

/// One subnet in each zone that clients are in, as an endpoint takes: the one with the greatest
/// holders.
fn subnet_per_zone<'a>(placement: &Placement<'a>) -> BTreeMap<&'a str, &'a str> {
    let mut held: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for client in &placement.clients {
        if let Some(subnet) = client.subnet
            && let Some(zone) = subnet.zone.as_deref()
        {
            *held.entry((zone, &subnet.id)).or_default() += client.weight;
        }
    }
    let mut greatest: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    for ((zone, subnet), weight) in held {
        let kept = greatest.entry(zone).or_insert((weight, subnet));
        if weight > kept.0 {
            *kept = (weight, subnet);
        }
    }
    greatest.into_iter().map(|(zone, (_, subnet))| (zone, subnet)).collect()
}

fn command(
    shortage: &Shortage<'_>,
    vpc_id: &str,
    service: &str,
    unnamed: Option<&InterfaceEndpoint>,
    subnets: &BTreeMap<&str, &str>,
) -> Command {
    let region = region_option(shortage.region());
    let (does, run, undo) = match unnamed {
        Some(endpoint) => {
            let modify = |option: &str| {
                format!(
                    "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {} {option}{region}",
                    quoted(&endpoint.id)
                )
            };
            (
                "lets the service's own name lead to the endpoint",
                modify("--private-dns-enabled"),
                modify("--no-private-dns-enabled").into(),
            )
        }
        None => {
            let subnets = if subnets.is_empty() {
                "SUBNET_IDS".to_owned()
            } else {
                words_of_shell(subnets.values().copied())
            };
            (
                "creates the endpoint",
                format!(
                    "aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --vpc-id {} --service-name {} --subnet-ids {subnets} --security-group-ids SECURITY_GROUP_ID --private-dns-enabled{region}",
                    quoted(vpc_id),
                    quoted(service)
                ),
                CommandLine::with(
                    format!("aws ec2 delete-vpc-endpoints --vpc-endpoint-ids NEW_ENDPOINT_ID{region}"),
                    &[Blank::NEW_ENDPOINT_ID],
                ),
            )
        }
    };
    let verify = format!(
        "aws ec2 describe-vpc-endpoints --filters {} {} --query 'VpcEndpoints[].[VpcEndpointId,State,PrivateDnsEnabled]' --output text{region}",
        quoted(&format!("Name=vpc-id,Values={vpc_id}")),
        quoted(&format!("Name=service-name,Values={service}"))
    );
    let run = CommandLine::with(run, &[Blank::SUBNET_IDS, Blank::SECURITY_GROUP_ID]);
    Command { does: does.into(), run, verify: verify.into(), undo: undo.into() }
}
