//! Taking S3 and `DynamoDB` off the gateway: a gateway endpoint costs nothing and uses no ports.

use std::collections::BTreeSet;

use super::placement::{Placed, Placement};
use super::{Offer, Offered, Rule, Shortage, WORTH, Worth};
use crate::command_line::{Blank, CommandLine};
use crate::contract::{Command, Condition, Confidence, Remedy, RemedyId, When};
use crate::diagnosis::commands::{quoted, region_option, shown, words_of_shell};
use crate::diagnosis::findings::{Findings, Ranked};
use crate::gap::{Fix, Gap};
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

fn id_of(service: GatewayService) -> RemedyId {
    match service {
        GatewayService::S3 | GatewayService::S3Express => RemedyId::GatewayEndpointS3,
        GatewayService::DynamoDb => RemedyId::GatewayEndpointDynamoDb,
    }
}

pub(super) const RULE: Rule = Rule {
    ids: &[RemedyId::GatewayEndpointS3, RemedyId::GatewayEndpointDynamoDb],
    when: "now",
    offered: "the destination is in the same Region's managed prefix list, and the clients' route tables lack the endpoint; conditional where only the records name the service, or nobody looked at endpoints and routes",
    why: "what goes through the endpoint takes no port, and the endpoint has no limit of ports",
    caution: "drops open connections to the service; `aws:SourceIp` policies stop matching",
    offer: Offered::Shortage(gateway_endpoint),
};

fn gateway_endpoint(shortage: &Shortage<'_>) -> Option<Offer> {
    let network = shortage.findings.network;
    let placed = network.subnets.is_some() && network.route_tables.is_some();
    match Way::to(shortage.findings, shortage.top).filter(|_| placed) {
        Some(way) => endpoint(shortage, &way),
        None => endpoint_of_unseen(shortage),
    }
}

/// What is not known of the way to a service that has gateway endpoints, as far as something speaks for it: its
/// addresses, or a field of the records. The remedy then hangs on the one thing that decides it.
fn endpoint_of_unseen(shortage: &Shortage<'_>) -> Option<Offer> {
    let findings = shortage.findings;
    let network = findings.network;
    let top = shortage.top;
    let region = findings.region();
    let listed = region.and_then(|region| network.gateway_service_of(top.address, region));
    let service = match listed {
        Some((_, service)) => service,
        // The lists of the Region do not have it: it is another Region's, to which no endpoint leads.
        None if region.is_some() && network.prefix_lists.is_some() => return None,
        None => match findings.evidence.services.get(&top.address)?.as_str() {
            "S3" => GatewayService::S3,
            "DYNAMODB" => GatewayService::DynamoDb,
            _ => return None,
        },
    };
    let placement = Placement::of(findings, top);
    let cannot = |client: &Placed<'_>| client.in_vpc == Some(false) || client.address.is_ipv6();
    if placement.part(cannot) > MOST_CANNOT {
        return None;
    }
    let last = match service {
        GatewayService::S3 => "s3",
        GatewayService::S3Express => "s3express",
        GatewayService::DynamoDb => "dynamodb",
    };
    let named = listed.map(|(list, _)| list.name.clone());
    let in_region = || format!("com.amazonaws.{}.{last}", region.unwrap_or("AWS_REGION"));
    let service_name = named.unwrap_or_else(in_region);
    let option = region_option(region);
    let vpc = network.gateway.vpc_id.as_deref();
    let unseen = [Blank::AWS_REGION, Blank::VPC_ID, Blank::ROUTE_TABLE_IDS, Blank::NAT_GATEWAY_ID];
    let vpc_word = vpc.map_or_else(|| "VPC_ID".to_owned(), quoted);
    let (unknown, command) = if listed.is_none() {
        (
            format!(
                "whether {} is {} of this Region, which its prefix list tells",
                top.address,
                service.name()
            ),
            format!(
                "aws ec2 describe-prefix-lists --filters {} --query 'PrefixLists[].[PrefixListId,Cidrs]' --output json{option}",
                quoted(&format!("Name=prefix-list-name,Values={service_name}"))
            ),
        )
    } else if network.gateway_endpoints.is_none() && vpc.is_some() {
        (
            format!("whether an endpoint for {} is in place already", service.name()),
            format!(
                "aws ec2 describe-vpc-endpoints --filters {} {} --query 'VpcEndpoints[].[VpcEndpointId,State,RouteTableIds]' --output json{option}",
                quoted(&format!("Name=vpc-id,Values={}", vpc.unwrap_or("VPC_ID"))),
                quoted(&format!("Name=service-name,Values={service_name}"))
            ),
        )
    } else {
        which_tables(findings)
    };
    let (service_word, label) = (quoted(&service_name), service.name());
    Some(Offer {
        worth: Worth::Solves,
        headroom: Some(shortage.headroom(1.0, shortage.capacity)),
        remedy: Remedy {
            id: id_of(service),
            title: format!("Create a gateway endpoint for {label}, which drops open connections to it"),
            when: When::Now,
            condition: Some(Condition { unknown, command: CommandLine::with(command, &unseen) }),
            why: match listed {
                Some((list, _)) => format!(
                    "{} is in {}, the addresses of {label} in this Region; what else an endpoint hangs on was not looked up.",
                    top.address,
                    shown(&list.id)
                ),
                None => format!(
                    "The records name {label} as the service of {}; whether it is this Region's, they do not say. An endpoint leads only to this Region's.",
                    top.address
                ),
            },
            effect: format!(
                "Clients in the VPC whose route tables have it go straight to {label}: they take no port of the gateway, and an endpoint has no limit of ports."
            ),
            commands: vec![Command {
                does: "creates the endpoint".into(),
                run: CommandLine::with(
                    format!(
                        "aws ec2 create-vpc-endpoint --vpc-id {vpc_word} --service-name {service_word} --route-table-ids ROUTE_TABLE_IDS{option}"
                    ),
                    &unseen,
                ),
                verify: CommandLine::with(
                    format!(
                        "aws ec2 describe-vpc-endpoints --filters {} {} --query 'VpcEndpoints[].[VpcEndpointId,State,RouteTableIds]' --output json{option}",
                        quoted(&format!("Name=vpc-id,Values={}", vpc.unwrap_or("VPC_ID"))),
                        quoted(&format!("Name=service-name,Values={service_name}"))
                    ),
                    &unseen,
                ),
                undo: CommandLine::with(
                    format!("aws ec2 delete-vpc-endpoints --vpc-endpoint-ids NEW_ENDPOINT_ID{option}"),
                    &[Blank::NEW_ENDPOINT_ID],
                )
                .into(),
            }],
            hazards: hazards_of(label, "the prefix list"),
            monthly_cost_usd: Some(0.0),
            confidence: Confidence::Medium,
        },
    })
}

/// The route tables of the subnets that go through the gateway.
fn which_tables(findings: &Findings<'_>) -> (String, String) {
    let gateway = findings.gateway_id().map_or("NAT_GATEWAY_ID", |id| id.as_str());
    (
        "which route tables lead the clients to the gateway".into(),
        format!(
            "aws ec2 describe-route-tables --filters Name=route.nat-gateway-id,Values={gateway} --query 'RouteTables[].[RouteTableId,VpcId,Associations[].SubnetId]' --output json{}",
            region_option(findings.region())
        ),
    )
}

/// What an endpoint may break: first what lasts, and what the title does not say.
fn hazards_of(service: &str, list: &str) -> Vec<String> {
    vec![
        format!(
            "{service} then sees private addresses. Policies with aws:SourceIp stop matching: they need aws:VpcSourceIp or aws:SourceVpce instead."
        ),
        format!(
            "Creating or changing the endpoint drops the open connections from these subnets to {service}. Clients have to connect again."
        ),
        format!(
            "The VPC needs DNS resolution and DNS hostnames. Security groups and network ACLs must allow {list}."
        ),
    ]
}

fn endpoint(shortage: &Shortage<'_>, way: &Way<'_>) -> Option<Offer> {
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
            "{} are of clients that cannot use an endpoint or may not be able to: they are outside the VPC, or use IPv6.",
            way.placement.in_words(|client| way.cannot(client))
        ));
    }
    let mut hazards = hazards_of(service, &shown(&list.id));
    if way.endpoint.is_some() {
        hazards.push("The endpoint's own policy may allow less than these clients do.".into());
    }
    Some(Offer {
        worth: Worth::Solves,
        headroom: Some(shortage.headroom(served, shortage.capacity)),
        remedy: Remedy {
            id: id_of(way.service),
            when: When::Now,
            condition: None,
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
                "{} go straight to {service}. They take no port of the gateway, and an endpoint has no limit of ports.",
                way.placement.in_words(lacking)
            ),
            commands: vec![command(shortage, way, &tables)],
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
            CommandLine::with(
                format!("aws ec2 delete-vpc-endpoints --vpc-endpoint-ids NEW_ENDPOINT_ID{region}"),
                &[Blank::NEW_ENDPOINT_ID],
            ),
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
                modify("--remove-route-table-ids").into(),
            )
        }
    };
    let verify = format!(
        "aws ec2 describe-vpc-endpoints --filters {} {} --query 'VpcEndpoints[].[VpcEndpointId,State,RouteTableIds]' --output json{region}",
        quoted(&format!("Name=vpc-id,Values={}", way.vpc_id)),
        quoted(&format!("Name=service-name,Values={}", way.list.name))
    );
    Command { does: does.into(), run: run.into(), verify: verify.into(), undo: undo.into() }
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
        Fix::run(format!(
            "aws ec2 describe-route-tables --route-table-ids {} --query 'RouteTables[].Routes[].[DestinationPrefixListId,GatewayId,State]' --output text{}",
            words_of_shell(tables.iter().copied()),
            region_option(findings.region())
        )),
    ))
}
