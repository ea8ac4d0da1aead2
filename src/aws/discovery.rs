//! What EC2 and CloudWatch say about an incident's gateway. Every look-up that fails leaves a gap;
//! those that do not depend on one another run side by side.

use std::net::IpAddr;

use aws_sdk_ec2::types::{
    AutoScalingIpsState, AvailabilityMode, ConnectivityType, NatGateway as Described, NatGatewayAddress,
    NatGatewayAddressStatus, NatGatewayState, Vpc, VpcCidrBlockStateCode,
};
use ipnet::IpNet;

use super::errors::{Failure, Kind, cleaned, within};
use super::surroundings::Surroundings;
use super::{Clients, changes, flow_logs, log_groups, metrics, owners, quotas, resolver_logs, surroundings};
use crate::deadline::{Clock, Deadline};
use crate::flow::LogFormat;
use crate::gap::Gap;
use crate::incident::{Incident, InterfaceId, NatGatewayId, is_account};
use crate::network::{
    Changes, EndpointService, FlowLog, GatewayKind, HostName, Metric, NatAddress, NatGateway, Network,
    NetworkSource, Owner, Parties, Provenance,
};
use crate::reverse_dns::ReverseDns;
use crate::words::one_line;

const DESCRIBE_GATEWAY: &str = "ec2:DescribeNatGateways";
const DESCRIBE_VPC: &str = "ec2:DescribeVpcs";

/// What the operator says in place of AWS.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The gateway's addresses as flow logs show them (private ones of a zonal gateway, public ones
    /// of a regional), all of them: used where EC2 may not be asked, or knows none.
    pub nat_ips: Vec<IpAddr>,
    /// The log groups that hold the flow logs; none means that EC2 is asked for them.
    pub log_groups: Vec<String>,
    /// The format of the records in those log groups; without one, version 2's. Not used for flow
    /// logs that EC2 was asked for, which come with their own.
    pub log_format: Option<LogFormat>,
    /// Who is asked for the names of destinations that no client's question tells; nobody where `None`.
    pub reverse_dns: Option<ReverseDns>,
    /// Whether CloudTrail is asked for what was changed before.
    pub changes: bool,
}

/// The look-ups of one invocation.
#[derive(Clone, Debug)]
pub struct Discovery<'a> {
    clients: &'a Clients,
    overrides: Overrides,
    clock: Clock,
    deadline: Deadline,
}

impl<'a> Discovery<'a> {
    /// Look-ups that end well before `deadline`, with or without an answer.
    #[must_use]
    pub fn new(clients: &'a Clients, overrides: Overrides, clock: Clock, deadline: Deadline) -> Self {
        Self { clients, overrides, clock, deadline }
    }

    /// The same look-ups, none of which asks what was changed before.
    #[must_use]
    pub fn without_changes(mut self) -> Self {
        self.overrides.changes = false;
        self
    }
}

impl NetworkSource for Discovery<'_> {
    async fn network(&self, incident: &Incident) -> (Network, Vec<Gap>) {
        let round = self.round();
        let ((mut network, mut gaps), (metrics, unmeasured), prefix_lists, (quotas, uncounted)) = tokio::join!(
            round.gateway_and_surroundings(incident),
            round.metrics(incident),
            surroundings::prefix_lists(&self.clients.ec2, round.deadline),
            quotas::quotas(self.clients, round.deadline),
        );
        network.quotas = Some(quotas);
        gaps.extend(unmeasured);
        if network.metrics.is_empty() {
            network.metrics = metrics;
        }
        network.prefix_lists = prefix_lists.map_err(|gap| gaps.push(gap)).ok();
        gaps.extend(uncounted);
        (network, gaps)
    }

    async fn refresh(&self, incident: &Incident, network: &mut Network) {
        let (metrics, _) = self.round().metrics(incident).await;
        if !metrics.is_empty() {
            network.metrics = metrics;
        }
    }

    async fn changes(&self, incident: &Incident) -> (Option<Changes>, Option<Gap>) {
        if !self.overrides.changes {
            return (None, None);
        }
        let round = self.round();
        changes::before(&self.clients.cloudtrail, incident, self.clock.now(), round.deadline).await
    }

    async fn identify(&self, parties: &Parties, _: &Incident, network: &mut Network) -> Vec<Gap> {
        let round = self.round();
        let mut changes = network.changes.take();
        let ((owners, mut gaps), services, (names, unnamed)) = tokio::join!(
            round.owners_and_changes(parties, network, changes.as_mut()),
            round.endpoint_services(parties, network),
            round.names(parties, network),
        );
        network.changes = changes;
        network.owners.extend(owners);
        network.names.extend(names);
        gaps.extend(unnamed);
        let (services, unlisted) = services;
        network.endpoint_services = services.or(network.endpoint_services.take());
        gaps.extend(unlisted);
        gaps
    }
}

impl Discovery<'_> {
    /// The same for the look-ups that begin now.
    fn round(&self) -> Self {
        Self { deadline: self.deadline.of_look_ups(), ..self.clone() }
    }

    /// Who has the clients' addresses, and what was changed before of the one that holds most.
    async fn owners_and_changes(
        &self,
        parties: &Parties,
        network: &Network,
        changes: Option<&mut Changes>,
    ) -> (Vec<Owner>, Vec<Gap>) {
        let (owners, mut gaps) =
            owners::owners(&self.clients.ec2, &parties.clients, network, self.deadline).await;
        let greatest = parties.clients.first();
        let known = owners.iter().chain(&network.owners).find(|owner| Some(&owner.address) == greatest);
        if let Some((changes, holder)) = changes.zip(known) {
            let unlisted =
                changes::of_holder(&self.clients.cloudtrail, changes, &holder.handles, self.deadline).await;
            gaps.extend(unlisted);
        }
        (owners, gaps)
    }

    /// What interface endpoints can be made for, where the names of the servers may lead to one.
    async fn endpoint_services(
        &self,
        parties: &Parties,
        network: &Network,
    ) -> (Option<Vec<EndpointService>>, Option<Gap>) {
        let named = |server: &IpAddr| network.names_asked_for(*server).next().is_some();
        if parties.servers.iter().any(named) {
            surroundings::endpoint_services(&self.clients.ec2, self.deadline).await
        } else {
            (None, None)
        }
    }

    /// What the DNS calls those servers that no client's question names, where it may be asked.
    async fn names(&self, parties: &Parties, network: &Network) -> (Vec<HostName>, Option<Gap>) {
        let nameless = |server: &IpAddr| network.names_asked_for(*server).next().is_none();
        let servers: Vec<IpAddr> = parties.servers.iter().copied().filter(nameless).collect();
        match &self.overrides.reverse_dns {
            Some(dns) => dns.names(&servers, self.deadline).await,
            None => (Vec::new(), None),
        }
    }

    async fn metrics(&self, incident: &Incident) -> (Vec<Metric>, Vec<Gap>) {
        let (Some(gateway), Some(window)) = (&incident.gateway, incident.window) else {
            return (Vec::new(), Vec::new());
        };
        metrics::metrics(&self.clients.cloudwatch, gateway, incident.zone.as_deref(), window, self.deadline)
            .await
    }

    async fn gateway_and_surroundings(&self, incident: &Incident) -> (Network, Vec<Gap>) {
        let (mut gateway, mut gaps) = self.gateway(incident).await;
        let (
            (flow_logs, uncovered),
            ((ranges, owner), unranged),
            (around, unknown),
            (resolver, unnamed),
            (by_zone, unmeasured),
        ) = tokio::join!(
            self.flow_logs(&gateway),
            self.vpc_ranges(gateway.vpc_id.as_deref()),
            self.surroundings(incident, &gateway),
            self.resolver_log_groups(gateway.vpc_id.as_deref()),
            self.metrics_by_zone(incident, &gateway),
        );
        gateway.vpc_cidrs = ranges;
        // Only the owner of a VPC can make NAT gateways in it, and flow logs show to who made them.
        let mut flow_logs = flow_logs;
        let in_buckets = flow_logs.iter_mut().filter_map(|log| log.in_bucket.as_mut());
        in_buckets.for_each(|files| files.account.clone_from(&owner));
        // Of a gateway that was not found there is nothing to ask for.
        let flow_logs_unknown =
            flow_logs.is_empty() && (!uncovered.is_empty() || gateway.provenance == Provenance::Unknown);
        gaps.extend(uncovered);
        gaps.extend(unranged);
        gaps.extend(unknown);
        gaps.extend(unnamed);
        gaps.extend(unmeasured);
        let (troubled_zone, metrics) = worst(&gateway, by_zone, &mut gaps);
        let Surroundings { subnets, route_tables, siblings, gateway_endpoints, interface_endpoints } = around;
        let network = Network {
            region: self.clients.region().map(str::to_owned),
            gateway,
            flow_logs,
            flow_logs_unknown,
            subnets,
            route_tables,
            siblings,
            gateway_endpoints,
            interface_endpoints,
            resolver_log_groups: resolver,
            troubled_zone,
            metrics,
            ..Network::default()
        };
        (network, gaps)
    }

    async fn resolver_log_groups(&self, vpc: Option<&str>) -> (Option<Vec<String>>, Option<Gap>) {
        match vpc {
            Some(vpc) => resolver_logs::log_groups(&self.clients.resolver, vpc, self.deadline).await,
            None => (None, None),
        }
    }

    /// What is in the gateway's VPC; nothing where that is not known.
    async fn surroundings(&self, incident: &Incident, gateway: &NatGateway) -> (Surroundings, Vec<Gap>) {
        let Some(vpc) = gateway.vpc_id.as_deref() else { return (Surroundings::default(), Vec::new()) };
        let (mut around, mut gaps) =
            surroundings::of_vpc(&self.clients.ec2, vpc, gateway.id.as_ref(), self.deadline).await;
        if let (Some(siblings), Some(window)) = (&mut around.siblings, incident.window) {
            let (client, deadline) = (&self.clients.cloudwatch, self.deadline);
            gaps.extend(metrics::of_siblings(client, siblings, window, deadline).await);
        }
        (around, gaps)
    }

    /// The metrics of each zone of a regional gateway whose alarm names none: there is no series of the
    /// gateway alone. Nothing for others.
    async fn metrics_by_zone(
        &self,
        incident: &Incident,
        gateway: &NatGateway,
    ) -> (Vec<Vec<Metric>>, Vec<Gap>) {
        let regional = gateway.kind == GatewayKind::Regional && incident.zone.is_none();
        match incident.window.filter(|_| regional) {
            Some(window) => metrics::of_zones(&self.clients.cloudwatch, gateway, window, self.deadline).await,
            None => (Vec::new(), Vec::new()),
        }
    }

    /// The gateway as EC2 knows it, as the operator names it, or by its id alone.
    async fn gateway(&self, incident: &Incident) -> (NatGateway, Vec<Gap>) {
        let zone = incident.zone.as_deref();
        let Some(id) = &incident.gateway else {
            let gap = Gap::new(
                "which gateway it is",
                "nobody named one",
                "give the alarm the dimension NatGatewayId, or name the gateway with --nat-id",
            );
            return (self.named(None, zone), vec![gap.deciding()]);
        };
        let mut gaps = Vec::new();
        let mut gateway = match self.described(id).await {
            Ok(Some(described)) => {
                gaps.extend(unavailable(id, &described));
                mapped(id, &described, zone)
            }
            Ok(None) => {
                gaps.push(self.absent(id, incident));
                self.named(Some(id), zone)
            }
            Err(failure) => {
                if self.overrides.nat_ips.is_empty() {
                    let mut gap = failure.gap(format!("the addresses, interfaces and VPC of {id}"), "*");
                    gap.fix.add_words("; or name its addresses in NAT_TRIAGE_NAT_IPS");
                    gaps.push(gap.deciding());
                }
                self.named(Some(id), zone)
            }
        };
        if gateway.logged_addresses().is_empty() && !self.overrides.nat_ips.is_empty() {
            gateway.addresses = addresses(&self.overrides.nat_ips, gateway.kind, zone);
            gateway.provenance = Provenance::Named;
        }
        tracing::debug!(
            nat.id = %id,
            nat.kind = ?gateway.kind,
            nat.addresses = gateway.addresses.len(),
            nat.provenance = ?gateway.provenance,
            "gateway looked up"
        );
        (gateway, gaps)
    }

    /// Asks EC2; `None` where there is no such gateway. The service answers that with an error,
    /// stand-ins for it with an empty list.
    async fn described(&self, id: &NatGatewayId) -> Result<Option<Described>, Failure> {
        let request = self.clients.ec2.describe_nat_gateways().nat_gateway_ids(id.as_str());
        let answer = within(self.deadline, DESCRIBE_GATEWAY, async {
            request.send().await.map_err(|error| Failure::of(DESCRIBE_GATEWAY, &error))
        });
        match answer.await {
            Ok(output) => Ok(output
                .nat_gateways
                .unwrap_or_default()
                .into_iter()
                .find(|gateway| gateway.nat_gateway_id() == Some(id.as_str()))),
            Err(failure) if failure.kind == Kind::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    fn absent(&self, id: &NatGatewayId, incident: &Incident) -> Gap {
        let ours = self.clients.region().unwrap_or("this Region");
        let theirs = incident.alarm.as_ref().and_then(|alarm| alarm.region.as_deref());
        let elsewhere = theirs.filter(|theirs| *theirs != ours);
        let elsewhere = elsewhere.map_or_else(String::new, |theirs| format!("; its alarm is in {theirs:?}"));
        let told = |of: &str, account: &String| format!("; {of} is of the account {}", one_line(account, 20));
        let account = incident.alarm.as_ref().and_then(|alarm| {
            let metric = alarm.metric_account.as_ref().map(|account| told("the alarm's metric", account));
            metric.or_else(|| alarm.account.as_ref().map(|account| told("its alarm", account)))
        });
        let account = account.unwrap_or_default();
        let gap = Gap::new(
            format!("the gateway {id}"),
            format!(
                "it does not exist in {ours} in this account, or was deleted more than an hour ago{elsewhere}{account}"
            ),
            "check the alarm's dimension NatGatewayId, and run nat-triage in the gateway's account and Region",
        );
        // Where its addresses are named, its records can be told apart all the same.
        if self.overrides.nat_ips.is_empty() { gap.deciding() } else { gap }
    }

    /// The gateway by what the operator says of it. A zone dimension is a regional gateway's.
    fn named(&self, id: Option<&NatGatewayId>, zone: Option<&str>) -> NatGateway {
        let kind = if zone.is_some() { GatewayKind::Regional } else { GatewayKind::Zonal };
        let addresses = addresses(&self.overrides.nat_ips, kind, zone);
        NatGateway {
            id: id.cloned(),
            kind,
            zones: zone.map(str::to_owned).into_iter().collect(),
            provenance: if addresses.is_empty() { Provenance::Unknown } else { Provenance::Named },
            addresses,
            ..NatGateway::default()
        }
    }

    async fn flow_logs(&self, gateway: &NatGateway) -> (Vec<FlowLog>, Vec<Gap>) {
        let (mut logs, mut gaps) = if self.overrides.log_groups.is_empty() {
            flow_logs::described(&self.clients.ec2, gateway, self.deadline).await
        } else {
            (flow_logs::named(&self.overrides, gateway.vpc_id.as_deref()), Vec::new())
        };
        let now = self.clock.now();
        gaps.extend(log_groups::look_up(&self.clients.logs, &mut logs, now, self.deadline).await);
        (logs, gaps)
    }

    /// All address ranges of the VPC, and the account that owns it. Without them, addresses are told to be inside by their being
    /// private ones, which is wrong only for VPCs that use public ranges, and for private gateways.
    async fn vpc_ranges(&self, id: Option<&str>) -> ((Vec<IpNet>, Option<String>), Vec<Gap>) {
        let Some(id) = id else { return Default::default() };
        let request = self.clients.ec2.describe_vpcs().vpc_ids(id);
        let answer = within(self.deadline, DESCRIBE_VPC, async {
            request.send().await.map_err(|error| Failure::of(DESCRIBE_VPC, &error))
        });
        match answer.await {
            Ok(output) => {
                let vpcs = output.vpcs();
                let owner = vpcs.iter().find_map(Vpc::owner_id).filter(|owner| is_account(owner));
                ((vpcs.iter().flat_map(ranges).collect(), owner.map(str::to_owned)), Vec::new())
            }
            Err(failure) => {
                let mut gap = failure.gap("the address ranges of the gateway's VPC", "*");
                gap.why.push_str("; private addresses are taken for clients, which is nearly always right");
                (Default::default(), vec![gap])
            }
        }
    }
}

/// The zone in which most errors were counted, where any were, and the metrics of that one. Others with
/// errors are a gap: one report is about one zone.
fn worst(
    gateway: &NatGateway,
    by_zone: Vec<Vec<Metric>>,
    gaps: &mut Vec<Gap>,
) -> (Option<String>, Vec<Metric>) {
    let errors = |metrics: &[Metric]| {
        metrics.iter().find(|metric| metric.name == "ErrorPortAllocation").map_or(0.0, |metric| metric.value)
    };
    let mut zones: Vec<(f64, &String, Vec<Metric>)> =
        gateway.zones.iter().zip(by_zone).map(|(zone, metrics)| (errors(&metrics), zone, metrics)).collect();
    zones.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let others: Vec<String> = zones
        .iter()
        .skip(1)
        .filter(|(errors, ..)| *errors > 0.0)
        .map(|(errors, zone, _)| format!("{zone} ({errors:.0})"))
        .collect();
    let Some((errors, zone, metrics)) = zones.into_iter().next() else { return (None, Vec::new()) };
    if !others.is_empty() {
        gaps.push(Gap::new(
            "what happened in the gateway's other zones",
            format!(
                "errors were counted in {} too; this is about {zone}, which had the most",
                others.join(", ")
            ),
            "give each zone an alarm of its own, with the dimensions NatGatewayId and AvailabilityZone",
        ));
    }
    ((errors > 0.0).then(|| zone.clone()), metrics)
}

/// Why the state of a gateway calls for caution.
fn unavailable(id: &NatGatewayId, described: &Described) -> Option<Gap> {
    let state = described.state().filter(|state| **state != NatGatewayState::Available)?;
    let message = described.failure_message().map_or_else(String::new, |m| format!(": {}", cleaned(m)));
    Some(Gap::new(
        format!("{id} as it was in these minutes"),
        format!("its state is {:?} now{message}", cleaned(state.as_str())),
        "its addresses and interfaces may have been others; the flow logs show what it did",
    ))
}

/// A gateway as EC2 describes it.
pub(super) fn mapped(id: &NatGatewayId, described: &Described, zone: Option<&str>) -> NatGateway {
    let kind = match (described.availability_mode(), described.connectivity_type()) {
        (Some(AvailabilityMode::Regional), _) => GatewayKind::Regional,
        (_, Some(ConnectivityType::Private)) => GatewayKind::Private,
        _ => GatewayKind::Zonal,
    };
    let mut given: Vec<&NatGatewayAddress> = described.nat_gateway_addresses().iter().collect();
    given.sort_by_key(|address| address.is_primary() != Some(true));
    // Zones have a name and an id. AWS does not document which of them the metrics' dimension has:
    // whichever the alarm spelt is used for all, else the name.
    let by_id = zone.is_some_and(|zone| given.iter().any(|a| a.availability_zone_id() == Some(zone)));
    let zone_of = |address: &NatGatewayAddress| {
        let (name, id) = (address.availability_zone(), address.availability_zone_id());
        let zone = if by_id { id.or(name) } else { name.or(id) };
        zone.filter(|_| kind == GatewayKind::Regional).map(str::to_owned)
    };
    let addresses: Vec<NatAddress> =
        given.iter().map(|address| mapped_address(address, zone_of(address))).collect();
    let mut zones: Vec<String> = addresses.iter().filter_map(|address| address.zone.clone()).collect();
    zones.sort_unstable();
    zones.dedup();
    let id_of = |zone: &String| {
        let same = given.iter().find(|address| address.availability_zone() == Some(zone));
        same.and_then(|address| address.availability_zone_id()).map(str::to_owned)
    };
    // All or none, so that they stand beside their names.
    let zone_ids: Vec<String> = zones.iter().map(id_of).collect::<Option<_>>().unwrap_or_default();
    let mut interface_ids: Vec<InterfaceId> = Vec::new();
    for interface in given.iter().filter_map(|address| address.network_interface_id()?.parse().ok()) {
        if !interface_ids.contains(&interface) {
            interface_ids.push(interface);
        }
    }
    NatGateway {
        id: Some(id.clone()),
        kind,
        addresses,
        interface_ids,
        vpc_id: described.vpc_id().map(str::to_owned),
        subnet_id: described.subnet_id().filter(|subnet| !subnet.is_empty()).map(str::to_owned),
        vpc_cidrs: Vec::new(),
        zones,
        zone_ids,
        scales_addresses: described.auto_scaling_ips() == Some(&AutoScalingIpsState::Enabled),
        provenance: Provenance::LookedUp,
    }
}

fn mapped_address(address: &NatGatewayAddress, zone: Option<String>) -> NatAddress {
    let ip = |text: Option<&str>| text.and_then(|text| text.parse().ok());
    let (private, public) = (ip(address.private_ip()), ip(address.public_ip()));
    // Gateways from before addresses had a status have none, and work.
    let in_place = matches!(address.status(), None | Some(NatGatewayAddressStatus::Succeeded));
    NatAddress { private, public, zone, usable: in_place && (private.is_some() || public.is_some()) }
}

/// Addresses that the operator named, each once.
fn addresses(named: &[IpAddr], kind: GatewayKind, zone: Option<&str>) -> Vec<NatAddress> {
    let mut named = named.to_vec();
    named.sort_unstable();
    named.dedup();
    let regional = kind == GatewayKind::Regional;
    named
        .into_iter()
        .map(|ip| NatAddress {
            private: (!regional).then_some(ip),
            public: regional.then_some(ip),
            zone: zone.filter(|_| regional).map(str::to_owned),
            usable: true,
        })
        .collect()
}

/// The ranges that a VPC has now, of both families.
fn ranges(vpc: &Vpc) -> Vec<IpNet> {
    let has =
        |code: Option<&VpcCidrBlockStateCode>| matches!(code, None | Some(VpcCidrBlockStateCode::Associated));
    let four = vpc.cidr_block_association_set().iter().filter_map(|block| {
        block.cidr_block().filter(|_| has(block.cidr_block_state().and_then(|state| state.state())))
    });
    let six = vpc.ipv6_cidr_block_association_set().iter().filter_map(|block| {
        block.ipv6_cidr_block().filter(|_| has(block.ipv6_cidr_block_state().and_then(|state| state.state())))
    });
    let mut ranges: Vec<IpNet> =
        vpc.cidr_block().into_iter().chain(four).chain(six).filter_map(|r| r.parse().ok()).collect();
    ranges.sort_unstable();
    ranges.dedup();
    ranges
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_sdk_ec2::types::{VpcCidrBlockAssociation, VpcCidrBlockState, VpcIpv6CidrBlockAssociation};
    use jiff::Timestamp;

    use super::*;

    fn id() -> NatGatewayId {
        "nat-0a1b2c3d4e5f60718".parse().expect("valid")
    }

    fn address(private: &str, public: &str) -> aws_sdk_ec2::types::builders::NatGatewayAddressBuilder {
        NatGatewayAddress::builder()
            .private_ip(private)
            .public_ip(public)
            .network_interface_id("eni-0f1e2d3c4b5a69788")
    }

    #[test]
    fn a_zonal_gateway_has_its_primary_address_first() {
        let described = Described::builder()
            .nat_gateway_id(id().as_str())
            .connectivity_type(ConnectivityType::Public)
            .vpc_id("vpc-1")
            .subnet_id("subnet-1")
            .nat_gateway_addresses(
                address("10.0.0.221", "198.51.100.2")
                    .is_primary(false)
                    .status(NatGatewayAddressStatus::Succeeded)
                    .build(),
            )
            .nat_gateway_addresses(
                address("10.0.0.222", "198.51.100.3")
                    .is_primary(false)
                    .status(NatGatewayAddressStatus::Associating)
                    .build(),
            )
            .nat_gateway_addresses(address("10.0.0.220", "198.51.100.1").is_primary(true).build())
            .build();
        let gateway = mapped(&id(), &described, None);
        assert_eq!(
            (gateway.kind, gateway.provenance, gateway.scales_addresses),
            (GatewayKind::Zonal, Provenance::LookedUp, false)
        );
        assert_eq!(gateway.addresses[0].private, "10.0.0.220".parse().ok());
        assert_eq!(gateway.addresses.iter().map(|a| a.usable).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(gateway.interface_ids, ["eni-0f1e2d3c4b5a69788".parse().expect("valid")]);
        assert_eq!(
            (gateway.vpc_id.as_deref(), gateway.subnet_id.as_deref()),
            (Some("vpc-1"), Some("subnet-1"))
        );
        assert_eq!(gateway.capacity(None, 55_000), Some(110_000));
        assert!(unavailable(&id(), &described).is_none());
    }

    #[test]
    fn a_regional_gateways_zones_are_spelt_as_the_alarm_spells_them() {
        let of = |ip: &str, zone: &str, zone_id: &str| {
            NatGatewayAddress::builder()
                .public_ip(ip)
                .availability_zone(zone)
                .availability_zone_id(zone_id)
                .build()
        };
        let described = Described::builder()
            .availability_mode(AvailabilityMode::Regional)
            .auto_scaling_ips(AutoScalingIpsState::Enabled)
            .nat_gateway_addresses(of("198.51.100.1", "eu-west-1a", "euw1-az2"))
            .nat_gateway_addresses(of("198.51.100.2", "eu-west-1a", "euw1-az2"))
            .nat_gateway_addresses(of("198.51.100.3", "eu-west-1b", "euw1-az3"))
            .build();
        for (zone, zones) in [
            (None, ["eu-west-1a", "eu-west-1b"]),
            (Some("eu-west-1a"), ["eu-west-1a", "eu-west-1b"]),
            (Some("euw1-az2"), ["euw1-az2", "euw1-az3"]),
        ] {
            let gateway = mapped(&id(), &described, zone);
            assert_eq!(gateway.zones, zones);
            assert_eq!(gateway.usable_addresses(zone), if zone.is_some() { 2 } else { 3 }, "{zone:?}");
            assert!(gateway.kind == GatewayKind::Regional && gateway.scales_addresses);
            assert_eq!((gateway.interface_ids.len(), gateway.subnet_id), (0, None));
        }
    }

    #[test]
    fn a_gateway_that_is_going_is_told() {
        let described = Described::builder().state(NatGatewayState::Deleting).build();
        assert!(unavailable(&id(), &described).expect("a gap").why.contains("deleting"));
        let private = Described::builder().connectivity_type(ConnectivityType::Private).build();
        assert_eq!(mapped(&id(), &private, None).kind, GatewayKind::Private);
    }

    #[test]
    fn a_vpcs_ranges_are_those_associated_now() {
        let state = |code| VpcCidrBlockState::builder().state(code).build();
        let four = |range: &str, code| {
            VpcCidrBlockAssociation::builder().cidr_block(range).cidr_block_state(state(code)).build()
        };
        let vpc = Vpc::builder()
            .cidr_block("10.0.0.0/16")
            .cidr_block_association_set(four("10.0.0.0/16", VpcCidrBlockStateCode::Associated))
            .cidr_block_association_set(four("100.64.0.0/16", VpcCidrBlockStateCode::Associated))
            .cidr_block_association_set(four("10.9.0.0/16", VpcCidrBlockStateCode::Disassociated))
            .ipv6_cidr_block_association_set(
                VpcIpv6CidrBlockAssociation::builder().ipv6_cidr_block("2001:db8:1::/56").build(),
            )
            .build();
        let ranges: Vec<String> = ranges(&vpc).iter().map(ToString::to_string).collect();
        assert_eq!(ranges, ["10.0.0.0/16", "100.64.0.0/16", "2001:db8:1::/56"]);
    }

    #[test]
    fn named_addresses_are_public_only_for_a_regional_gateway() {
        let ips = [
            "10.0.0.221".parse().expect("valid"),
            "10.0.0.220".parse().expect("valid"),
            "10.0.0.221".parse().expect("valid"),
        ];
        let zonal = addresses(&ips, GatewayKind::Zonal, None);
        assert_eq!(zonal.iter().map(|a| a.private).collect::<Vec<_>>(), [Some(ips[1]), Some(ips[0])]);
        let regional = addresses(&ips[..1], GatewayKind::Regional, Some("eu-west-1a"));
        assert_eq!((regional[0].public, regional[0].zone.as_deref()), (Some(ips[0]), Some("eu-west-1a")));
    }

    #[test]
    fn the_zone_with_most_errors_is_in_question() {
        let gateway = NatGateway {
            id: Some(id()),
            kind: GatewayKind::Regional,
            zones: ["eu-west-1a", "eu-west-1b", "eu-west-1c"].map(str::to_owned).to_vec(),
            ..NatGateway::default()
        };
        let with = |errors: [f64; 3]| {
            let metric = |value| Metric {
                name: "ErrorPortAllocation".into(),
                statistic: "Sum".into(),
                value,
                baseline: None,
                day_before: None,
                greatest_at: None,
            };
            let mut gaps = Vec::new();
            let (zone, metrics) =
                worst(&gateway, errors.map(|value| vec![metric(value)]).to_vec(), &mut gaps);
            (zone, metrics[0].value, gaps)
        };
        assert_eq!(with([0.0, 7.0, 0.0]), (Some("eu-west-1b".into()), 7.0, Vec::new()));
        assert_eq!(with([0.0, 0.0, 0.0]), (None, 0.0, Vec::new()));
        let (zone, errors, gaps) = with([3.0, 7.0, 0.0]);
        assert_eq!((zone.as_deref(), errors), (Some("eu-west-1b"), 7.0));
        assert!(gaps[0].why.contains("eu-west-1a (3)"), "{gaps:?}");
    }

    #[tokio::test]
    async fn who_tells_nothing_of_changes_asks_for_none() {
        let (clients, deadline) = (Clients::reaching_nobody(), Deadline::after(Duration::from_secs(5)));
        let asking = Overrides { changes: true, ..Overrides::default() };
        let window = "2026-11-18T02:00:00Z/2026-11-18T02:05:00Z".parse().ok();
        let incident = Incident { gateway: Some(id()), window, ..Incident::default() };
        let clock = Clock::showing("2026-11-18T02:10:00Z".parse().expect("valid"));
        let discovery = Discovery::new(&clients, asking, clock, deadline);
        assert!(discovery.changes(&incident).await.1.is_some(), "nobody answered");
        assert_eq!(discovery.without_changes().changes(&incident).await, (None, None));
    }

    #[tokio::test]
    async fn an_aws_that_cannot_be_asked_leaves_gaps_and_what_was_named() {
        let overrides = Overrides {
            nat_ips: vec!["10.0.0.220".parse().expect("valid")],
            log_groups: vec!["/vpc/flow".into()],
            ..Overrides::default()
        };
        let (clients, deadline) = (Clients::reaching_nobody(), Deadline::after(Duration::from_secs(5)));
        let clock = Clock::showing(Timestamp::UNIX_EPOCH);
        let incident = Incident {
            alarm: None,
            gateway: Some(id()),
            zone: None,
            window: "2026-11-18T02:00:00Z/2026-11-18T02:05:00Z".parse().ok(),
            exact_window: false,
            zone_from_metrics: false,
            errors_reported: None,
            one_of_several: false,
            without_errors: false,
        };
        let (mut network, gaps) =
            Discovery::new(&clients, overrides, clock, deadline).network(&incident).await;
        assert_eq!(network.gateway.provenance, Provenance::Named);
        assert_eq!(network.take_out_misfits(), None, "a flow log that was named has no id of AWS's");
        assert_eq!(
            (network.gateway.addresses.len(), network.flow_logs.len(), network.metrics.len()),
            (1, 1, 0)
        );
        let region_wide = "which addresses are those of services with gateway endpoints";
        assert_eq!(
            gaps.iter().map(|gap| gap.what.as_str()).collect::<Vec<_>>(),
            [
                "how far back the flow logs' log groups reach",
                "the gateway's metrics",
                region_wide,
                "how many more addresses the account may have"
            ]
        );

        let (network, gaps) =
            Discovery::new(&clients, Overrides::default(), clock, deadline).network(&incident).await;
        assert_eq!(network.gateway.id, Some(id()));
        let whats: Vec<&str> = gaps.iter().map(|gap| gap.what.as_str()).collect();
        assert_eq!(
            whats,
            [
                "the addresses, interfaces and VPC of nat-0a1b2c3d4e5f60718",
                "which flow logs cover the gateway",
                "the gateway's metrics",
                region_wide,
                "how many more addresses the account may have"
            ]
        );
        assert!(gaps[0].fix.words().contains("NAT_TRIAGE_NAT_IPS"), "{:?}", gaps[0]);
    }
}
