//! Who the clients' addresses belong to now: the interfaces that have them, and the instances that those
//! are attached to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, Instance, NetworkInterface, Tag};

use super::errors::{cleaned, listed};
use crate::deadline::Deadline;
use crate::gap::Gap;
use crate::network::{Handles, Network, Owner, OwnerKind, OwnerSource};

const INTERFACES: &str = "ec2:DescribeNetworkInterfaces";
const INSTANCES: &str = "ec2:DescribeInstances";

const WHAT: &str = "who the clients' addresses belong to";

/// Most values of one filter (`DescribeNetworkInterfaces` in the EC2 API: 200 per request).
const MOST_ADDRESSES: usize = 200;

/// Who has these addresses, as far as it can be told. Those that are not of the gateway's VPC are said
/// to be so without asking: the same address may be in any number of other VPCs.
pub(super) async fn owners(
    client: &Client,
    addresses: &[IpAddr],
    network: &Network,
    deadline: Deadline,
) -> (Vec<Owner>, Vec<Gap>) {
    let (inside, outside): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().take(MOST_ADDRESSES).partition(|address| network.in_vpc(**address) != Some(false));
    let mut owners: Vec<Owner> = outside.into_iter().map(|address| not_of_vpc(address, network)).collect();
    let Some(vpc) = network.gateway.vpc_id.as_deref().filter(|_| !inside.is_empty()) else {
        return (owners, Vec::new());
    };
    let (four, six): (Vec<IpAddr>, Vec<IpAddr>) = inside.iter().partition(|address| address.is_ipv4());
    let with = |filter: &'static str, addresses: Vec<IpAddr>| {
        let texts = addresses.iter().map(ToString::to_string).collect();
        let named = Filter::builder().name(filter).set_values(Some(texts)).build();
        let in_vpc = Filter::builder().name("vpc-id").values(vpc).build();
        client.describe_network_interfaces().filters(named).filters(in_vpc).into_paginator().items().send()
    };
    let (of_four, of_six) = tokio::join!(
        asked(!four.is_empty(), || {
            listed(deadline, INTERFACES, WHAT, with("addresses.private-ip-address", four).try_collect())
        }),
        asked(!six.is_empty(), || {
            listed(deadline, INTERFACES, WHAT, with("ipv6-addresses.ipv6-address", six).try_collect())
        }),
    );
    let mut gaps = Vec::new();
    let mut interfaces: Vec<NetworkInterface> = Vec::new();
    for found in [of_four, of_six] {
        match found {
            Ok(found) => interfaces.extend(found),
            Err(gap) => gaps.push(gap),
        }
    }
    gaps.dedup();
    let (instances, unnamed) = instances(client, &interfaces, deadline).await;
    gaps.extend(unnamed);
    for address in inside {
        let having = interfaces.iter().find(|interface| has(interface, address));
        owners.extend(having.map(|interface| owner(address, interface, &instances)));
    }
    (owners, gaps)
}

/// Asks only where there is something to ask.
async fn asked<T, Asking: Future<Output = Result<Vec<T>, Gap>>>(
    needed: bool,
    ask: impl FnOnce() -> Asking,
) -> Result<Vec<T>, Gap> {
    if needed { ask().await } else { Ok(Vec::new()) }
}

/// The instances that interfaces are attached to, by id, for their tags.
async fn instances(
    client: &Client,
    interfaces: &[NetworkInterface],
    deadline: Deadline,
) -> (BTreeMap<String, Instance>, Vec<Gap>) {
    let mut ids: Vec<String> = interfaces.iter().filter_map(|i| instance_of(i).map(str::to_owned)).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return (BTreeMap::new(), Vec::new());
    }
    // By a filter: with ids, one that has just been terminated would fail the whole call.
    let filter = Filter::builder().name("instance-id").set_values(Some(ids)).build();
    let pages = client.describe_instances().filters(filter).into_paginator().items().send();
    match listed(deadline, INSTANCES, "what the clients' instances are called", pages.try_collect()).await {
        Ok(reservations) => {
            let instances = reservations.into_iter().flat_map(|r| r.instances.unwrap_or_default());
            let by_id = instances.filter_map(|i| Some((i.instance_id()?.to_owned(), i))).collect();
            (by_id, Vec::new())
        }
        Err(gap) => (BTreeMap::new(), vec![gap]),
    }
}

fn not_of_vpc(address: IpAddr, network: &Network) -> Owner {
    let vpc = network.gateway.vpc_id.as_deref().map_or_else(|| "the gateway's VPC".to_owned(), cleaned);
    Owner {
        address,
        kind: OwnerKind::OutsideVpc,
        name: format!("not of {vpc}: comes through a transit gateway, from another VPC or network"),
        zone: None,
        source: OwnerSource::Lookup,
        handles: Handles::default(),
    }
}

fn has(interface: &NetworkInterface, address: IpAddr) -> bool {
    let text = address.to_string();
    let four = interface.private_ip_addresses().iter().filter_map(|a| a.private_ip_address());
    // IPv6 has many spellings.
    let mut six = interface.ipv6_addresses().iter().filter_map(|a| a.ipv6_address()?.parse::<IpAddr>().ok());
    interface.private_ip_address().into_iter().chain(four).any(|a| a == text) || six.any(|a| a == address)
}

fn instance_of(interface: &NetworkInterface) -> Option<&str> {
    interface.attachment()?.instance_id().filter(|id| id.starts_with("i-"))
}

fn tag<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key() == Some(key))?.value().filter(|value| !value.trim().is_empty())
}

/// Tags by which AWS's own schedulers mark what is theirs. Sources: "Amazon ECS-managed tags" in the
/// Amazon ECS developer guide; "Tag your resources for billing" in the Amazon EKS user guide.
const ECS_SERVICE: &str = "aws:ecs:serviceName";
const ECS_CLUSTER: &str = "aws:ecs:clusterName";
const EKS_CLUSTERS: [&str; 2] = ["aws:eks:cluster-name", "eks:cluster-name"];
const SCALING_GROUP: &str = "aws:autoscaling:groupName";

fn owner(address: IpAddr, interface: &NetworkInterface, instances: &BTreeMap<String, Instance>) -> Owner {
    let (kind, name) = named(interface, instances);
    let zone = interface.availability_zone().map(str::to_owned);
    let handles = handles(interface, instances);
    Owner { address, kind, name: cleaned(&name), zone, source: OwnerSource::Lookup, handles }
}

/// What calls have to name to change what has the interface.
fn handles(interface: &NetworkInterface, instances: &BTreeMap<String, Instance>) -> Handles {
    let instance = instance_of(interface);
    let tags = instance.and_then(|id| instances.get(id)).map(Instance::tags).unwrap_or_default();
    let mut security_groups: Vec<String> =
        interface.groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect();
    security_groups.sort_unstable();
    let owned = |text: &str| cleaned(text);
    Handles {
        interface_id: interface.network_interface_id().map(owned),
        security_groups,
        subnet_id: interface.subnet_id().map(owned),
        instance_id: instance.map(owned),
        scaling_group: tag(tags, SCALING_GROUP).map(owned),
        ecs_cluster: tag(interface.tag_set(), ECS_CLUSTER).map(owned),
        ecs_service: tag(interface.tag_set(), ECS_SERVICE).map(owned),
        ecs_task: None,
        eks_cluster: EKS_CLUSTERS
            .into_iter()
            .find_map(|key| tag(tags, key))
            .or_else(|| cluster_of(tags))
            .map(owned),
        lambda_function: lambda_in(interface.description().unwrap_or_default().trim()).map(owned),
    }
}

/// The cluster that owns a node which EKS itself did not make.
fn cluster_of(tags: &[Tag]) -> Option<&str> {
    tags.iter().find_map(|tag| tag.key()?.strip_prefix("kubernetes.io/cluster/"))
}

/// What has an interface. Its description says most: it is how the services that make interfaces mark
/// them.
fn named(interface: &NetworkInterface, instances: &BTreeMap<String, Instance>) -> (OwnerKind, String) {
    let id = interface.network_interface_id().unwrap_or("an interface");
    let description = interface.description().unwrap_or_default().trim();
    let tags = interface.tag_set();
    let sort = interface.interface_type().map_or("", |sort| sort.as_str());
    if sort == "lambda" || description.starts_with("AWS Lambda VPC ENI") {
        let one = lambda_in(description).map_or(String::new(), |one| format!(", such as {one}"));
        return (OwnerKind::LambdaFunctions, format!("one of the Lambda functions that share {id}{one}"));
    }
    // `arn:aws:ecs:REGION:ACCOUNT:attachment/ID` on Fargate and with awsvpc.
    if description.contains(":ecs:") || tag(tags, ECS_SERVICE).is_some() {
        let service = tag(tags, ECS_SERVICE).or_else(|| tag(tags, "Name"));
        let cluster = tag(tags, ECS_CLUSTER).map_or(String::new(), |c| format!(" in the cluster {c}"));
        let service = service.map_or_else(|| format!("on {id}"), |s| format!("of {s}"));
        return (OwnerKind::EcsTask, format!("an ECS task {service}{cluster}"));
    }
    if let Some(instance) = instance_of(interface) {
        return on_instance(instance, instances.get(instance));
    }
    if sort == "branch" {
        return (OwnerKind::EksPod, format!("a pod with {id} of its own{}", called(tags)));
    }
    if sort.ends_with("load_balancer") || description.starts_with("ELB ") {
        let what = description.strip_prefix("ELB ").unwrap_or(description);
        return (OwnerKind::LoadBalancer, format!("the load balancer {what}"));
    }
    let known = match (description, called(tags)) {
        ("", called) => format!("{id}{called}"),
        (description, called) => format!("{id}, {description}{called}"),
    };
    let managed = interface.requester_managed() == Some(true);
    (if managed { OwnerKind::AwsService } else { OwnerKind::Interface }, known)
}

fn called(tags: &[Tag]) -> String {
    tag(tags, "Name").map_or(String::new(), |name| format!(", called {name}"))
}

fn on_instance(id: &str, instance: Option<&Instance>) -> (OwnerKind, String) {
    let tags = instance.map(Instance::tags).unwrap_or_default();
    let called = tag(tags, "Name").map_or(String::new(), |name| format!(" {name}"));
    let owned = || cluster_of(tags);
    if let Some(cluster) = EKS_CLUSTERS.into_iter().find_map(|key| tag(tags, key)).or_else(owned) {
        return (
            OwnerKind::EksNode,
            format!("{id}{called}, a node of the EKS cluster {cluster}: one of its pods, or the node itself"),
        );
    }
    let group = tag(tags, SCALING_GROUP).filter(|group| !called.contains(*group));
    let group = group.map_or(String::new(), |group| format!(", of the Auto Scaling group {group}"));
    (OwnerKind::Instance, format!("{id}{called}{group}"))
}

/// The function in `AWS Lambda VPC ENI-NAME-UUID`: the one for which the interface was made.
fn lambda_in(description: &str) -> Option<&str> {
    /// Characters of a UUID with the hyphen before it.
    const UUID: usize = 37;

    let rest = description.strip_prefix("AWS Lambda VPC ENI-")?;
    let end = rest.len().checked_sub(UUID).filter(|end| *end > 0 && rest.is_char_boundary(*end));
    Some(end.map_or(rest, |end| &rest[..end])).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{
        NetworkInterfaceAttachment, NetworkInterfaceIpv6Address, NetworkInterfacePrivateIpAddress,
        NetworkInterfaceType,
    };

    use super::*;

    fn tagged(pairs: &[(&str, &str)]) -> Vec<Tag> {
        pairs.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect()
    }

    fn interface() -> aws_sdk_ec2::types::builders::NetworkInterfaceBuilder {
        NetworkInterface::builder()
            .network_interface_id("eni-0123456789abcdef0")
            .private_ip_address("10.0.1.9")
    }

    fn of(interface: aws_sdk_ec2::types::builders::NetworkInterfaceBuilder) -> (OwnerKind, String) {
        named(&interface.build(), &BTreeMap::new())
    }

    fn attached(tags: &[(&str, &str)]) -> (OwnerKind, String) {
        let instance = Instance::builder().instance_id("i-0abc").set_tags(Some(tagged(tags))).build();
        let attachment = NetworkInterfaceAttachment::builder().instance_id("i-0abc").build();
        let instances = BTreeMap::from([("i-0abc".to_owned(), instance)]);
        named(&interface().attachment(attachment).build(), &instances)
    }

    #[test]
    fn an_instance_is_named_by_its_id_its_tag_and_its_group() {
        assert_eq!(attached(&[]), (OwnerKind::Instance, "i-0abc".into()));
        let named = attached(&[("Name", "checkout"), ("aws:autoscaling:groupName", "blue")]);
        assert_eq!(named.1, "i-0abc checkout, of the Auto Scaling group blue");
    }

    #[test]
    fn what_a_call_has_to_name_is_kept_beside_what_people_call_it() {
        let instance = Instance::builder()
            .instance_id("i-0abc")
            .set_tags(Some(tagged(&[("aws:autoscaling:groupName", "blue"), ("Name", "checkout")])))
            .build();
        let attachment = NetworkInterfaceAttachment::builder().instance_id("i-0abc").build();
        let instances = BTreeMap::from([("i-0abc".to_owned(), instance)]);
        let of = handles(&interface().attachment(attachment).subnet_id("subnet-1").build(), &instances);
        assert_eq!(
            (of.instance_id.as_deref(), of.scaling_group.as_deref(), of.subnet_id.as_deref()),
            (Some("i-0abc"), Some("blue"), Some("subnet-1"))
        );
        let tags = tagged(&[(ECS_SERVICE, "checkout"), (ECS_CLUSTER, "prod")]);
        let of = handles(&interface().set_tag_set(Some(tags)).build(), &BTreeMap::new());
        assert_eq!(
            (of.ecs_service.as_deref(), of.ecs_cluster.as_deref(), of.instance_id),
            (Some("checkout"), Some("prod"), None)
        );
    }

    #[test]
    fn a_node_of_a_cluster_is_said_to_stand_for_its_pods() {
        for tags in [("aws:eks:cluster-name", "prod"), ("kubernetes.io/cluster/prod", "owned")] {
            let (kind, name) = attached(&[tags]);
            assert_eq!(kind, OwnerKind::EksNode);
            assert!(name.contains("cluster prod: one of its pods") && kind.is_shared(), "{name}");
        }
    }

    #[test]
    fn an_interface_of_lambda_is_one_of_several_functions() {
        let (kind, name) = of(interface()
            .interface_type(NetworkInterfaceType::Lambda)
            .description("AWS Lambda VPC ENI-checkout-12345678-1234-1234-1234-123456789012"));
        assert_eq!(kind, OwnerKind::LambdaFunctions);
        assert_eq!(name, "one of the Lambda functions that share eni-0123456789abcdef0, such as checkout");
    }

    #[test]
    fn a_task_is_named_by_its_service_where_its_tags_tell() {
        let task = interface().description("arn:aws:ecs:eu-west-1:123456789012:attachment/1234");
        assert_eq!(of(task.clone()).1, "an ECS task on eni-0123456789abcdef0");
        let tags = tagged(&[(ECS_SERVICE, "checkout"), (ECS_CLUSTER, "prod")]);
        assert_eq!(of(task.set_tag_set(Some(tags))).1, "an ECS task of checkout in the cluster prod");
    }

    #[test]
    fn what_a_service_made_is_named_by_its_description() {
        let balancer = interface().description("ELB app/web/0123456789abcdef").requester_managed(true);
        assert_eq!(
            of(balancer),
            (OwnerKind::LoadBalancer, "the load balancer app/web/0123456789abcdef".into())
        );
        let managed = interface().description("RDSNetworkInterface").requester_managed(true);
        assert_eq!(of(managed), (OwnerKind::AwsService, "eni-0123456789abcdef0, RDSNetworkInterface".into()));
    }

    #[test]
    fn an_address_is_found_among_all_that_an_interface_has() {
        let interface = interface()
            .private_ip_addresses(
                NetworkInterfacePrivateIpAddress::builder().private_ip_address("10.0.1.10").build(),
            )
            .ipv6_addresses(NetworkInterfaceIpv6Address::builder().ipv6_address("2001:DB8:0:0::9").build())
            .build();
        for (address, held) in
            [("10.0.1.9", true), ("10.0.1.10", true), ("2001:db8::9", true), ("10.0.1.1", false)]
        {
            assert_eq!(has(&interface, address.parse().expect("valid")), held, "{address}");
        }
    }

    #[test]
    fn a_tag_from_outside_is_one_line_and_short() {
        let hostile = "x\n\u{7}".repeat(400);
        let owner = owner(
            "10.0.1.9".parse().expect("valid"),
            &interface().set_tag_set(Some(tagged(&[("Name", &hostile)]))).build(),
            &BTreeMap::new(),
        );
        assert!(!owner.name.contains(['\n', '\u{7}']) && owner.name.chars().count() < 400, "{}", owner.name);
    }
}
