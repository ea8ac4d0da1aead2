//! Leaving by IPv6: nothing is translated, so there are no ports to run out of.

use std::collections::BTreeSet;

use super::placement::{Placed, Placement};
use super::{Offer, Offered, Rule, Shortage, WORTH, Worth};
use crate::command_line::{Blank, CommandLine};
use crate::contract::{Command, Confidence, Remedy, RemedyId, When};
use crate::diagnosis::commands::{quoted, region_option, shown};
use crate::network::{GatewayKind, HostName, RouteTable, is_private};

/// Whether packets to IPv6 servers have a way out of a subnet with this route table.
fn has_way_out(table: &RouteTable) -> bool {
    let all = |range: ipnet::IpNet| range.prefix_len() == 0 && matches!(range, ipnet::IpNet::V6(_));
    table.routes.iter().any(|route| route.range().is_some_and(all))
}

/// An IPv4 client that could have IPv6, and whose subnet has no way out for it yet.
fn could<'a>(client: &Placed<'a>) -> Option<&'a RouteTable> {
    let with_ipv6 = client.in_vpc == Some(true) && client.subnet.is_some_and(|subnet| subnet.has_ipv6());
    client.table.filter(|table| with_ipv6 && client.address.is_ipv4() && !has_way_out(table))
}

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::Ipv6Egress],
    when: "later",
    offered: "the clients' VPC and subnets have IPv6",
    why: "nothing is translated over IPv6, so no port is taken",
    caution: "a way out that a firewall on the IPv4 path does not see",
    offer: Offered::Shortage(ipv6_egress),
};

fn ipv6_egress(shortage: &Shortage<'_>) -> Option<Offer> {
    let (findings, top) = (shortage.findings, shortage.top);
    let gateway = &findings.network.gateway;
    if gateway.kind == GatewayKind::Private
        || is_private(top.address)
        || !gateway.vpc_cidrs.iter().any(|range| matches!(range, ipnet::IpNet::V6(_)))
    {
        return None;
    }
    let vpc_id = gateway.vpc_id.as_deref()?;
    let placement = Placement::of(findings, top);
    let part = placement.part(|client| could(client).is_some());
    if part < WORTH {
        return None;
    }
    let tables: BTreeSet<&str> =
        placement.clients.iter().filter_map(could).map(|table| table.id.as_str()).collect();
    let answered = findings.network.names_asked_for(top.address).find(|name| name.answered_ipv6());
    let in_words = placement.in_words(|client| could(client).is_some());
    let region = region_option(shortage.region());
    let mut commands = vec![Command {
        does: "creates the way out for IPv6".into(),
        run: format!("aws ec2 create-egress-only-internet-gateway --vpc-id {}{region}", quoted(vpc_id)).into(),
        verify: format!("aws ec2 describe-egress-only-internet-gateways{region}").into(),
        undo: CommandLine::with(format!(
            "aws ec2 delete-egress-only-internet-gateway --egress-only-internet-gateway-id NEW_EGRESS_ONLY_GATEWAY_ID{region}"
        ), &[Blank::NEW_EGRESS_ONLY_GATEWAY_ID]).into(),
    }];
    commands.extend(tables.iter().map(|table| Command {
        does: "sends the route table's subnets out that way for IPv6".into(),
        run: CommandLine::with(format!(
            "aws ec2 create-route --route-table-id {} --destination-ipv6-cidr-block ::/0 --egress-only-internet-gateway-id NEW_EGRESS_ONLY_GATEWAY_ID{region}",
            quoted(table)
        ), &[Blank::NEW_EGRESS_ONLY_GATEWAY_ID]),
        verify: shortage.errors_stop(),
        undo: format!(
            "aws ec2 delete-route --route-table-id {} --destination-ipv6-cidr-block ::/0{region}",
            quoted(table)
        ).into(),
    }));
    Some(Offer {
        worth: Worth::Solves,
        headroom: answered.map(|_| shortage.headroom(part, shortage.capacity)),
        remedy: Remedy {
            id: RemedyId::Ipv6Egress,
            when: When::Later,
            condition: None,
            title: match answered {
                Some(HostName { name, .. }) => format!("Reach {name} over IPv6"),
                None => format!("Reach {} over IPv6, if its server has it", top.label()),
            },
            why: format!(
                "The VPC has IPv6, and so have the subnets of clients with {in_words}, but no IPv6 way out ({}). {}",
                shown(&tables.iter().copied().collect::<Vec<_>>().join(", ")),
                match answered {
                    Some(HostName { name, .. }) => format!("{name} was answered with an IPv6 address too."),
                    None => "Whether the server has IPv6 is not known.".into(),
                }
            ),
            effect: "Nothing is translated over IPv6: connections take no port of the gateway, and an egress-only internet gateway has no limit of ports.".into(),
            commands,
            hazards: vec![
                "Clients need IPv6 addresses, and software that prefers or allows IPv6; those that have both take to IPv6 at once, for every server that has it.".into(),
                "Security groups and network ACLs need rules for IPv6, and whoever allow-lists the clients has to add their IPv6 range.".into(),
                "It opens a way out that a firewall on the IPv4 path does not see.".into(),
            ],
            monthly_cost_usd: Some(0.0),
            confidence: if answered.is_some() { Confidence::Medium } else { Confidence::Low },
        },
    })
}
