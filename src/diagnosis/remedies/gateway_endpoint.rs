//! Taking S3 and `DynamoDB` off the gateway: a gateway endpoint costs nothing and uses no ports.

use std::collections::BTreeSet;

use super::placement::{Placed, Placement};
use super::{Offer, Shortage, WORTH, When};
use crate::diagnosis::commands::{quoted, region_option, shown, words_of_shell};
use crate::diagnosis::findings::{Findings, Ranked};
use crate::diagnosis::{Command, Confidence, Remedy};
use crate::gap::Gap;
use crate::network::{GatewayEndpoint, GatewayService, PrefixList, RouteTable};

/// More than half of the ports with clients that cannot use an endpoint, and it is no answer.
const MOST_CANNOT: f64 = 0.5;

/// What is known of the way from the clients to a service that has gateway endpoints.
struct Way<'a> {
    vpc_id: &'a str,
    list: &'a PrefixList,
    service: GatewayService,
    endpoint: Option<&'a GatewayEndpoint>,
    placement: Placement<'a>,
}

impl<'a> Way<'a> {
    /// `None` where the destination is in no managed prefix list of the gateway's own Region, or
    /// where anything that an answer needs is not known. What a flow log's field says of the service
    /// is not enough: it does not say the Region.
    fn to(findings: &Findings<'a>, top: &Ranked) -> Option<Self> {
        let network = findings.network;
        let region = findings.region()?;
        let (list, service) = network.gateway_service_of(top.address, region)?;
        let vpc_id = network.gateway.vpc_id.as_deref()?;
        let of_service = |endpoint: &&GatewayEndpoint| {
            endpoint.stands() && endpoint.vpc_id == vpc_id && endpoint.service_name == list.name
        };
        let endpoints = network.gateway_endpoints.as_ref()?.iter().filter(of_service);
        let endpoint = endpoints.min_by_key(|endpoint| endpoint.id.as_str());
        Some(Self { vpc_id, list, service, endpoint, placement: Placement::of(findings, top) })
    }

    /// The route table of a client that could use an endpoint. Over a transit gateway, a peering
    /// connection or a VPN nobody can, and IPv6 clients ask for addresses that its route is not for.
    ///
    /// Source: "Gateway endpoints" in the AWS `PrivateLink` guide.
    fn table<'p>(client: &'p Placed<'a>) -> Option<&'a RouteTable> {
        client.table.filter(|_| client.in_vpc == Some(true) && client.address.is_ipv4())
    }

    /// Whether a route table has the endpoint's route.
    fn has_route(&self, table: &RouteTable) -> bool {
        let by_endpoint = self.endpoint.is_some_and(|e| e.route_table_ids.contains(&table.id));
        by_endpoint
            || table.routes.iter().any(|r| r.destination == self.list.id && r.target.starts_with("vpce-"))
    }

    fn lacks(&self, client: &Placed<'a>) -> bool {
        Self::table(client).is_some_and(|table| !self.has_route(table))
    }

    fn has(&self, client: &Placed<'a>) -> bool {
        Self::table(client).is_some_and(|table| self.has_route(table))
    }

    fn cannot(&self, client: &Placed<'a>) -> bool {
        Self::table(client).is_none()
    }

    /// The route tables of the clients that `which` holds for.
    fn tables(&self, which: impl Fn(&Placed<'a>) -> bool) -> BTreeSet<&'a str> {
        let clients = self.placement.clients.iter().filter(|client| which(client));
        clients.filter_map(Self::table).map(|table| table.id.as_str()).collect()
    }
}

pub(super) fn gateway_endpoint(shortage: &Shortage<'_>) -> Option<Offer> {
    let way = Way::to(shortage.findings, shortage.top)?;
    let lacking = |client: &Placed<'_>| way.lacks(client);
    let served = way.placement.part(lacking);
    if served < WORTH || way.placement.part(|client| way.cannot(client)) > MOST_CANNOT {
        return None;
    }
    let (service, list) = (way.service.name(), way.list);
    let tables = way.tables(lacking);
    let mut why = vec![format!(
        "{} is in {}, the addresses of {service} in this Region ({}). {} come from subnets whose route tables ({}) have no endpoint for it.",
        shortage.top.address,
        shown(&list.id),
        shown(&list.name),
        way.placement.in_words(lacking),
        shown(&tables.iter().copied().collect::<Vec<_>>().join(", ")),
    )];
    if way.placement.weight(|client| way.cannot(client)) > 0 {
        why.push(format!(
            "{} are of clients that cannot use an endpoint, or of which it is not known: outside the VPC, or IPv6.",
            way.placement.in_words(|client| way.cannot(client))
        ));
    }
    let mut hazards = vec![
        // First what lasts, and what the title does not say.
        format!(
            "{service} then sees private addresses: policies with aws:SourceIp stop matching, and have to say aws:VpcSourceIp or aws:SourceVpce instead."
        ),
        format!(
            "Creating or changing the endpoint drops the connections to {service} that are open in these subnets; clients have to connect again."
        ),
        format!(
            "The VPC needs DNS resolution and DNS hostnames, and security groups and network ACLs must allow {}.",
            shown(&list.id)
        ),
    ];
    if way.endpoint.is_some() {
        hazards.push("The endpoint's own policy may allow less than these clients do.".into());
    }
    Some(Offer {
        when: When::Tonight,
        headroom: Some(shortage.headroom(served, shortage.capacity)),
        remedy: Remedy {
            id: match way.service {
                GatewayService::S3 | GatewayService::S3Express => "gateway-endpoint-s3",
                GatewayService::DynamoDb => "gateway-endpoint-dynamodb",
            }
            .into(),
            title: format!(
                "{} for {service}, which drops open connections to it",
                if way.endpoint.is_some() {
                    "Extend the gateway endpoint"
                } else {
                    "Create a gateway endpoint"
                }
            ),
            why: why.join(" "),
            effect: format!(
                "{} go straight to {service}: they take no port of the gateway, and an endpoint has no limit of ports.",
                way.placement.in_words(lacking)
            ),
            commands: vec![command(shortage, &way, &tables)],
            hazards,
            monthly_cost_usd: Some(0.0),
            confidence: shortage.at_most(Confidence::High),
        },
    })
}

fn command(shortage: &Shortage<'_>, way: &Way<'_>, tables: &BTreeSet<&str>) -> Command {
    let region = region_option(shortage.region());
    let tables = words_of_shell(tables.iter().copied());
    let vpc = quoted(way.vpc_id);
    let service = quoted(&way.list.name);
    let (does, run, undo) = match way.endpoint {
        None => (
            "creates the endpoint",
            format!(
                "aws ec2 create-vpc-endpoint --vpc-id {vpc} --service-name {service} --route-table-ids {tables}{region}"
            ),
            format!("aws ec2 delete-vpc-endpoints --vpc-endpoint-ids NEW_ENDPOINT_ID{region}"),
        ),
        Some(endpoint) => {
            let modify = |option: &str| {
                format!(
                    "aws ec2 modify-vpc-endpoint --vpc-endpoint-id {} {option} {tables}{region}",
                    quoted(&endpoint.id)
                )
            };
            (
                "adds these route tables to the endpoint",
                modify("--add-route-table-ids"),
                modify("--remove-route-table-ids"),
            )
        }
    };
    let verify = format!(
        "aws ec2 describe-vpc-endpoints --filters {} {} --query 'VpcEndpoints[].[VpcEndpointId,State,RouteTableIds]' --output json{region}",
        quoted(&format!("Name=vpc-id,Values={}", way.vpc_id)),
        quoted(&format!("Name=service-name,Values={}", way.list.name))
    );
    Command { does: does.into(), run, verify, undo }
}

/// Traffic that takes the gateway although an endpoint is in place for it: nothing to fix that we
/// know of, but a question.
pub(in crate::diagnosis) fn endpoint_in_place(findings: &Findings<'_>) -> Option<Gap> {
    let top = findings.top()?;
    let way = Way::to(findings, top)?;
    let in_place = |client: &Placed<'_>| way.has(client);
    let tables = way.tables(in_place);
    if way.placement.part(in_place) <= MOST_CANNOT {
        return None;
    }
    Some(Gap::new(
        format!("why {} still takes the gateway to {}", way.service.name(), top.label()),
        format!(
            "the route tables of clients with {} have a gateway endpoint's route to {}; it may be newer than these connections, or the traffic may come from elsewhere behind those clients' addresses",
            way.placement.in_words(in_place),
            shown(&way.list.id)
        ),
        format!(
            "aws ec2 describe-route-tables --route-table-ids {} --query 'RouteTables[].Routes[].[DestinationPrefixListId,GatewayId,State]' --output text{}",
            words_of_shell(tables.iter().copied()),
            region_option(findings.region())
        ),
    ))
}
