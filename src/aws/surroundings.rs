//! What stands around a gateway, on which remedies depend: the subnets and route tables of its VPC, its
//! other gateways and endpoints, and the Region's prefix lists. Each look-up that fails leaves a gap,
//! and the remedies that need it away.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{
    Filter, NatGateway as DescribedGateway, NatGatewayState, PrefixList as DescribedList,
    Route as DescribedRoute, RouteState, RouteTable as DescribedTable, ServiceDetail, ServiceType,
    Subnet as DescribedSubnet, VpcEndpoint as DescribedEndpoint, VpcEndpointType,
};

use super::discovery;
use super::errors::{Failure, listed, within};
use crate::deadline::Deadline;
use crate::gap::{Fix, Gap};
use crate::incident::NatGatewayId;
use crate::network::{
    EndpointService, GatewayEndpoint, GatewayKind, InterfaceEndpoint, NatGateway, PrefixList, Route,
    RouteTable, SiblingGateway, Subnet,
};
use crate::words;

const SUBNETS: &str = "ec2:DescribeSubnets";
const ROUTE_TABLES: &str = "ec2:DescribeRouteTables";
const GATEWAYS: &str = "ec2:DescribeNatGateways";
const ENDPOINTS: &str = "ec2:DescribeVpcEndpoints";
const PREFIX_LISTS: &str = "ec2:DescribePrefixLists";
const SERVICES: &str = "ec2:DescribeVpcEndpointServices";

/// Most pages of services that are read: a Region has some hundreds of services, and a page up to 1,000, but
/// may have far fewer. An answer that never ends must not keep the report.
const MAX_PAGES: usize = 100;

/// What was found; `None` where it could not be asked for.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub(super) subnets: Option<Vec<Subnet>>,
    pub(super) route_tables: Option<Vec<RouteTable>>,
    pub(super) siblings: Option<Vec<SiblingGateway>>,
    pub(super) gateway_endpoints: Option<Vec<GatewayEndpoint>>,
    pub(super) interface_endpoints: Option<Vec<InterfaceEndpoint>>,
}

/// Everything in one VPC, side by side. `gateway` is the one in question, which is not its own sibling.
pub(super) async fn of_vpc(
    client: &Client,
    vpc: &str,
    gateway: Option<&NatGatewayId>,
    deadline: Deadline,
) -> (Surroundings, Vec<Gap>) {
    let in_vpc = || Filter::builder().name("vpc-id").values(vpc).build();
    let subnets = client.describe_subnets().filters(in_vpc()).into_paginator().items().send();
    let tables = client.describe_route_tables().filters(in_vpc()).into_paginator().items().send();
    let gateways = client.describe_nat_gateways().filter(in_vpc()).into_paginator().items().send();
    let endpoints = client.describe_vpc_endpoints().filters(in_vpc()).into_paginator().items().send();
    let (subnets, tables, gateways, endpoints) = tokio::join!(
        listed(deadline, SUBNETS, "in which zone each client is", subnets.try_collect()),
        listed(deadline, ROUTE_TABLES, "which subnets route through which gateway", tables.try_collect()),
        listed(deadline, GATEWAYS, "the VPC's other NAT gateways", gateways.try_collect()),
        listed(deadline, ENDPOINTS, "the VPC's endpoints", endpoints.try_collect()),
    );
    let mut gaps = Vec::new();
    let mut kept = |gap| gaps.push(gap);
    let mut found = Surroundings {
        subnets: subnets.map_err(&mut kept).ok().map(|all| mapped(&all, subnet, |s| &s.id)),
        route_tables: tables.map_err(&mut kept).ok().map(|all| mapped(&all, table, |t| &t.id)),
        siblings: gateways.map_err(&mut kept).ok().map(|all| siblings(&all, gateway)),
        ..Surroundings::default()
    };
    if let Ok(endpoints) = endpoints.map_err(&mut kept) {
        found.gateway_endpoints = Some(mapped(&endpoints, gateway_endpoint, |e| &e.id));
        found.interface_endpoints = Some(mapped(&endpoints, interface_endpoint, |e| &e.id));
    }
    (found, gaps)
}

/// Of each gateway, which of S3 and DynamoDB have no gateway endpoint in its VPC; `None` of one whose VPC is not known.
pub(super) async fn missing_endpoints(
    client: &Client,
    gateways: &[NatGateway],
    deadline: Deadline,
) -> Result<Vec<Option<Vec<String>>>, Gap> {
    const SERVICES: [(&str, &str); 2] = [(".s3", "S3"), (".dynamodb", "DynamoDB")];
    let all = client.describe_vpc_endpoints().into_paginator().items().send();
    let all = listed(deadline, ENDPOINTS, "which gateway endpoints there are", all.try_collect()).await?;
    let missing = gateways.iter().map(|gateway| {
        let vpc = gateway.vpc_id.as_deref()?;
        let of_vpc: Vec<GatewayEndpoint> = all
            .iter()
            .filter(|endpoint| endpoint.vpc_id() == Some(vpc))
            .filter_map(gateway_endpoint)
            .collect();
        let stands = |suffix: &str| {
            of_vpc.iter().any(|endpoint| endpoint.stands() && endpoint.service_name.ends_with(suffix))
        };
        let missing = SERVICES.iter().filter(|(suffix, _)| !stands(suffix));
        Some(missing.map(|(_, name)| (*name).to_owned()).collect())
    });
    Ok(missing.collect())
}

/// The prefix lists of the Region's services that have gateway endpoints, and others.
pub(super) async fn prefix_lists(client: &Client, deadline: Deadline) -> Result<Vec<PrefixList>, Gap> {
    let lists = client.describe_prefix_lists().into_paginator().items().send();
    let what = "which addresses are those of services with gateway endpoints";
    let all = listed(deadline, PREFIX_LISTS, what, lists.try_collect()).await?;
    Ok(mapped(&all, prefix_list, |list| &list.id))
}

/// What interface endpoints can be made for in the Region, with the names they answer for; what could not be
/// read of them is a gap, and the rest is of use all the same.
pub(super) async fn endpoint_services(
    client: &Client,
    deadline: Deadline,
) -> (Option<Vec<EndpointService>>, Option<Gap>) {
    let (all, stopped) = pages(|token| async {
        let request = client.describe_vpc_endpoint_services().set_next_token(token);
        let page = within(deadline, SERVICES, async {
            request.send().await.map_err(|error| Failure::of(SERVICES, &error))
        });
        page.await.map(|page| (page.service_details.unwrap_or_default(), page.next_token))
    })
    .await;
    let gap = match stopped {
        None => None,
        Some(Stopped::Failed(failure)) => Some(failure.gap(SERVICES_OF_NAMES, "*")),
        Some(Stopped::Endless) => Some(services_cut(all.len())),
    };
    if gap.is_some() && all.is_empty() {
        return (None, gap);
    }
    (Some(mapped(&all, endpoint_service, |service| &service.service_name)), gap)
}

/// Why not all pages of a list were read.
#[derive(Debug, PartialEq, Eq)]
enum Stopped {
    /// A page could not be had.
    Failed(Failure),
    /// A page led to itself, or there were more than any list has.
    Endless,
}

/// All pages of a list, one after another; where that stopped before the end, why, with those before.
async fn pages<T, Page: Future<Output = Result<(Vec<T>, Option<String>), Failure>>>(
    mut page: impl FnMut(Option<String>) -> Page,
) -> (Vec<T>, Option<Stopped>) {
    let mut all = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let (more, next) = match page(token.clone()).await {
            Ok(page) => page,
            Err(failure) => return (all, Some(Stopped::Failed(failure))),
        };
        all.extend(more);
        match next.filter(|next| !next.is_empty()) {
            None => return (all, None),
            // The page that led here leads here again.
            Some(next) if Some(&next) == token.as_ref() => return (all, Some(Stopped::Endless)),
            next => token = next,
        }
    }
    (all, Some(Stopped::Endless))
}

/// What is not seen without the Region's services.
const SERVICES_OF_NAMES: &str = "which AWS services the destinations' names are";

/// The list of services was cut off after so many.
fn services_cut(read: usize) -> Gap {
    Gap::new(
        SERVICES_OF_NAMES,
        format!(
            "{SERVICES} gave pages without an end; we stopped after {}",
            words::counted(read as u64, "service")
        ),
        Fix::run_to(
            "look for the service's name in the whole list",
            "aws ec2 describe-vpc-endpoint-services --query 'ServiceDetails[].[ServiceName,PrivateDnsNames[].PrivateDnsName]' --output json",
        ),
    )
}

/// A service with interface endpoints that answer for its names.
fn endpoint_service(described: &ServiceDetail) -> Option<EndpointService> {
    let interface =
        described.service_type().iter().any(|kind| kind.service_type() == Some(&ServiceType::Interface));
    let names = described.private_dns_names().iter().filter_map(|name| name.private_dns_name());
    let private_dns_names: Vec<String> =
        names.chain(described.private_dns_name()).map(str::to_owned).collect();
    (interface && !private_dns_names.is_empty()).then(|| {
        Some(EndpointService { service_name: described.service_name()?.to_owned(), private_dns_names })
    })?
}

/// Those that can be understood, by id: AWS promises no order, and the same network has to give the same
/// report.
fn mapped<D, T>(described: &[D], one: fn(&D) -> Option<T>, id: fn(&T) -> &str) -> Vec<T> {
    let mut all: Vec<T> = described.iter().filter_map(one).collect();
    all.sort_unstable_by(|a, b| id(a).cmp(id(b)));
    all
}

fn subnet(described: &DescribedSubnet) -> Option<Subnet> {
    let six = described.ipv6_cidr_block_association_set().iter().filter_map(|block| block.ipv6_cidr_block());
    Some(Subnet {
        id: described.subnet_id()?.to_owned(),
        zone: described.availability_zone().map(str::to_owned),
        ranges: described
            .cidr_block()
            .into_iter()
            .chain(six)
            .filter_map(|range| range.parse().ok())
            .collect(),
    })
}

fn table(described: &DescribedTable) -> Option<RouteTable> {
    let associations = described.associations();
    Some(RouteTable {
        id: described.route_table_id()?.to_owned(),
        main: associations.iter().any(|association| association.main() == Some(true)),
        subnet_ids: associations.iter().filter_map(|a| a.subnet_id().map(str::to_owned)).collect(),
        routes: described.routes().iter().filter_map(route).collect(),
    })
}

/// A route that leads somewhere.
fn route(described: &DescribedRoute) -> Option<Route> {
    if described.state() == Some(&RouteState::Blackhole) {
        return None;
    }
    let destination = described
        .destination_cidr_block()
        .or(described.destination_ipv6_cidr_block())
        .or(described.destination_prefix_list_id())?;
    let target = described
        .nat_gateway_id()
        .or(described.gateway_id())
        .or(described.egress_only_internet_gateway_id())
        .or(described.transit_gateway_id())
        .or(described.vpc_peering_connection_id())
        .or(described.local_gateway_id())
        .or(described.carrier_gateway_id())
        .or(described.core_network_arn())
        .or(described.network_interface_id())
        .or(described.instance_id())?;
    Some(Route { destination: destination.to_owned(), target: target.to_owned() })
}

/// The gateways beside the one in question that can take traffic.
fn siblings(described: &[DescribedGateway], gateway: Option<&NatGatewayId>) -> Vec<SiblingGateway> {
    let mut all = mapped(described, sibling, |sibling| sibling.id.as_str());
    all.retain(|other| Some(&other.id) != gateway);
    all
}

fn sibling(described: &DescribedGateway) -> Option<SiblingGateway> {
    if described.state() != Some(&NatGatewayState::Available) {
        return None;
    }
    let id: NatGatewayId = described.nat_gateway_id()?.parse().ok()?;
    let known = discovery::mapped(&id, described, None);
    let mut zones = described.nat_gateway_addresses().iter().filter_map(|a| a.availability_zone());
    Some(SiblingGateway {
        id,
        zone: zones.next().filter(|_| known.kind != GatewayKind::Regional).map(str::to_owned),
        usable_addresses: u32::try_from(known.usable_addresses(None)).unwrap_or(u32::MAX),
        kind: known.kind,
        subnet_id: known.subnet_id,
        errors: None,
        most_connections: None,
    })
}

fn is_of(described: &DescribedEndpoint, kind: &VpcEndpointType) -> bool {
    // The service writes its types as the SDK does; stand-ins for it in whatever case they were given.
    described.vpc_endpoint_type().is_some_and(|of| of.as_str().eq_ignore_ascii_case(kind.as_str()))
}

fn gateway_endpoint(described: &DescribedEndpoint) -> Option<GatewayEndpoint> {
    if !is_of(described, &VpcEndpointType::Gateway) {
        return None;
    }
    Some(GatewayEndpoint {
        id: described.vpc_endpoint_id()?.to_owned(),
        service_name: described.service_name()?.to_owned(),
        vpc_id: described.vpc_id().unwrap_or_default().to_owned(),
        state: described.state().map(|state| state.as_str().to_owned()).unwrap_or_default(),
        route_table_ids: described.route_table_ids().to_vec(),
    })
}

fn interface_endpoint(described: &DescribedEndpoint) -> Option<InterfaceEndpoint> {
    if !is_of(described, &VpcEndpointType::Interface) {
        return None;
    }
    Some(InterfaceEndpoint {
        id: described.vpc_endpoint_id()?.to_owned(),
        service_name: described.service_name()?.to_owned(),
        vpc_id: described.vpc_id().unwrap_or_default().to_owned(),
        state: described.state().map(|state| state.as_str().to_owned()).unwrap_or_default(),
        private_dns_enabled: described.private_dns_enabled() == Some(true),
    })
}

fn prefix_list(described: &DescribedList) -> Option<PrefixList> {
    Some(PrefixList {
        id: described.prefix_list_id()?.to_owned(),
        name: described.prefix_list_name()?.to_owned(),
        ranges: described.cidrs().iter().filter_map(|range| range.parse().ok()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        NatGatewayAddress, NatGatewayAddressStatus, RouteTableAssociation, State,
        SubnetIpv6CidrBlockAssociation,
    };

    use super::*;

    #[test]
    fn a_subnet_has_its_zone_and_its_ranges_of_both_families() {
        let six = SubnetIpv6CidrBlockAssociation::builder().ipv6_cidr_block("2001:db8:1::/64").build();
        let described = DescribedSubnet::builder()
            .subnet_id("subnet-1")
            .availability_zone("eu-west-1a")
            .cidr_block("10.0.1.0/24")
            .ipv6_cidr_block_association_set(six)
            .build();
        let subnet = subnet(&described).expect("has an id");
        assert_eq!(subnet.zone.as_deref(), Some("eu-west-1a"));
        assert!(subnet.has_ipv6() && subnet.holds("10.0.1.9".parse().expect("valid")));
    }

    #[test]
    fn a_route_table_keeps_the_routes_that_lead_somewhere() {
        let to = |destination: &str| DescribedRoute::builder().destination_cidr_block(destination);
        let described = DescribedTable::builder()
            .route_table_id("rtb-1")
            .associations(RouteTableAssociation::builder().main(true).build())
            .associations(RouteTableAssociation::builder().subnet_id("subnet-1").build())
            .routes(to("10.0.0.0/16").gateway_id("local").state(RouteState::Active).build())
            .routes(to("0.0.0.0/0").nat_gateway_id("nat-1").build())
            .routes(to("192.168.0.0/16").transit_gateway_id("tgw-1").state(RouteState::Blackhole).build())
            .routes(DescribedRoute::builder().destination_prefix_list_id("pl-1").gateway_id("vpce-1").build())
            .build();
        let table = table(&described).expect("has an id");
        let routes: Vec<(&str, &str)> =
            table.routes.iter().map(|r| (r.destination.as_str(), r.target.as_str())).collect();
        assert_eq!(routes, [("10.0.0.0/16", "local"), ("0.0.0.0/0", "nat-1"), ("pl-1", "vpce-1")]);
        assert_eq!((table.main, table.subnet_ids), (true, vec!["subnet-1".to_owned()]));
    }

    #[test]
    fn siblings_are_the_other_gateways_that_work() {
        let of = |id: &str, state: NatGatewayState| {
            let address = NatGatewayAddress::builder()
                .private_ip("10.0.0.9")
                .availability_zone("eu-west-1b")
                .status(NatGatewayAddressStatus::Succeeded)
                .build();
            DescribedGateway::builder()
                .nat_gateway_id(id)
                .state(state)
                .subnet_id("subnet-b")
                .nat_gateway_addresses(address)
                .build()
        };
        let described = [
            of("nat-0fedcba9876543210", NatGatewayState::Available),
            of("nat-0123456789abcdef0", NatGatewayState::Available),
            of("nat-0aaaaaaaaaaaaaaaa", NatGatewayState::Deleting),
        ];
        let own = "nat-0123456789abcdef0".parse().ok();
        let siblings = siblings(&described, own.as_ref());
        let [sibling] = &siblings[..] else { panic!("{siblings:?}") };
        assert_eq!(sibling.id.as_str(), "nat-0fedcba9876543210");
        assert_eq!((sibling.zone.as_deref(), sibling.usable_addresses), (Some("eu-west-1b"), 1));
    }

    #[test]
    fn a_service_has_the_names_that_its_endpoints_answer_for() {
        use aws_sdk_ec2::types::{PrivateDnsDetails, ServiceTypeDetail};

        let of = |kind: ServiceType| {
            ServiceDetail::builder()
                .service_name("com.amazonaws.eu-west-1.sqs")
                .service_type(ServiceTypeDetail::builder().service_type(kind).build())
                .private_dns_name("sqs.eu-west-1.amazonaws.com")
                .private_dns_names(
                    PrivateDnsDetails::builder().private_dns_name("*.queue.amazonaws.com").build(),
                )
                .build()
        };
        let service = endpoint_service(&of(ServiceType::Interface)).expect("one");
        assert!(
            service.answers_for("eu-west-1.queue.amazonaws.com")
                && service.answers_for("sqs.eu-west-1.amazonaws.com.")
        );
        assert_eq!(endpoint_service(&of(ServiceType::Gateway)), None);
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_end_or_says_that_it_was_not() {
        let upto = |last: usize| {
            move |token: Option<String>| async move {
                let number = token.map_or(0, |token| token.parse::<usize>().expect("a number"));
                Ok((vec![number], (number < last).then(|| (number + 1).to_string())))
            }
        };
        assert_eq!(pages(upto(11)).await, ((0..12).collect(), None));
        let (read, stopped) = pages(upto(usize::MAX)).await;
        assert_eq!((read.len(), stopped), (MAX_PAGES, Some(Stopped::Endless)));
        let (read, stopped) = pages(|_| async { Ok((vec![1], Some("again".to_owned()))) }).await;
        assert_eq!((read.len(), stopped), (2, Some(Stopped::Endless)));
        let failing = |token: Option<String>| async move {
            match token {
                None => Ok((vec![1], Some("2".to_owned()))),
                Some(_) => Err(crate::aws::errors::tests::refused(SERVICES, "Throttling", "slow down")),
            }
        };
        let (read, stopped) = pages(failing).await;
        assert!(matches!((&read[..], stopped), ([1], Some(Stopped::Failed(_)))));
    }

    #[test]
    fn endpoints_are_told_apart_by_their_type() {
        let of = |kind: VpcEndpointType| {
            DescribedEndpoint::builder()
                .vpc_endpoint_id("vpce-1")
                .vpc_endpoint_type(kind)
                .service_name("com.amazonaws.eu-west-1.s3")
                .state(State::Available)
                .route_table_ids("rtb-1")
                .private_dns_enabled(true)
                .build()
        };
        let gateway = gateway_endpoint(&of(VpcEndpointType::Gateway)).expect("one");
        assert!(gateway.stands() && gateway.route_table_ids == ["rtb-1"]);
        assert!(interface_endpoint(&of(VpcEndpointType::Gateway)).is_none());
        assert!(interface_endpoint(&of(VpcEndpointType::Interface)).expect("one").private_dns_enabled);
        assert!(gateway_endpoint(&of(VpcEndpointType::GatewayLoadBalancer)).is_none());
    }
}
