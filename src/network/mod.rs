//! What stands around a gateway: its addresses, its flow logs, who routes through it, and the ways
//! that pass it by.
//!
//! Plain types, filled by AWS look-ups, by a saved context or by the command line. Every field that
//! a look-up may fail to supply is optional: a missing fact is a gap in the report, not an error.

mod addresses;
mod buckets;
mod changes;
mod endpoints;
mod flow_logs;
mod metric_name;
mod names;
mod owners;
mod room;
mod routes;
mod shapes;

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gap::Gap;
use crate::incident::{Incident, InterfaceId, NatGatewayId};

pub use addresses::{is_private, nat64_address, nat64_destination};
pub use buckets::{BucketPlace, FILE_INTERVAL, FileName, InBucket, InvalidPlace, Keys, Listing, is_harmless};
pub use changes::{Change, ChangeKind, Changes};
pub use endpoints::{EndpointService, GatewayEndpoint, GatewayService, InterfaceEndpoint, PrefixList};
pub use flow_logs::{FlowLog, FlowLogDestination, LogClass, TrafficType};
pub use metric_name::MetricName;
pub use names::{HostName, NameSource};
pub(crate) use owners::is_id;
pub use owners::{Handles, Owner, OwnerKind, OwnerSource};
pub use room::{Quota, Quotas, SiblingGateway};
pub use routes::{Route, RouteTable, Subnet};
pub(crate) use shapes::{Shape, is_region};

/// Simultaneous connections that one gateway address can hold towards one destination.
///
/// Source: "NAT gateway basics" in the Amazon VPC user guide.
pub const PORTS_PER_ADDRESS: u32 = 55_000;

/// Seconds without a packet after which a gateway lets go of a connection.
///
/// Source: "Troubleshoot NAT gateways" in the Amazon VPC user guide.
pub const IDLE_TIMEOUT_SECONDS: i64 = 350;

/// What sort of gateway it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GatewayKind {
    /// In one subnet, with a network interface and Elastic IP addresses.
    #[default]
    Zonal,
    /// One gateway for the zones of a VPC: no subnet, no interface, limits per zone.
    Regional,
    /// In one subnet, without Elastic IP addresses.
    Private,
}

/// One address that a gateway hands out ports on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NatAddress {
    /// The private address, as flow logs of a zonal gateway's interface show it.
    #[serde(default)]
    pub private: Option<IpAddr>,
    /// The public address, as servers see it.
    #[serde(default)]
    pub public: Option<IpAddr>,
    /// The zone, for a regional gateway.
    #[serde(default)]
    pub zone: Option<String>,
    /// Whether new connections can get ports on it (`Status` is `succeeded`).
    pub usable: bool,
}

/// How the gateway came to be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Provenance {
    /// Asked of AWS.
    LookedUp,
    /// Named by the caller.
    Named,
    /// Told by the records themselves.
    Inferred,
    /// Not known at all.
    #[default]
    Unknown,
}

/// A NAT gateway, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NatGateway {
    /// Its id.
    pub id: Option<NatGatewayId>,
    /// What sort it is.
    pub kind: GatewayKind,
    /// The addresses that it hands out ports on.
    pub addresses: Vec<NatAddress>,
    /// Its network interfaces; none for a regional gateway.
    pub interface_ids: Vec<InterfaceId>,
    /// The VPC it stands in.
    pub vpc_id: Option<String>,
    /// The subnet it stands in; none for a regional gateway.
    pub subnet_id: Option<String>,
    /// The address ranges of its VPC.
    #[schemars(with = "Vec<String>")]
    pub vpc_cidrs: Vec<IpNet>,
    /// The zones it serves, for a regional gateway.
    pub zones: Vec<String>,
    /// The ids of the same zones, in the same order, where they are known as well.
    pub zone_ids: Vec<String>,
    /// Whether AWS adds addresses by itself, for a regional gateway.
    pub scales_addresses: bool,
    /// How these facts came to be known.
    pub provenance: Provenance,
}

impl NatGateway {
    /// The same gateway with addresses that somebody named. Public ones show in the flow logs of
    /// regional gateways alone; beside private ones they are the Elastic IPs of the same addresses. A
    /// gateway with an interface is none, and a VPC may use public ranges as its own.
    #[must_use]
    pub fn with_addresses(mut self, named: &[IpAddr]) -> Self {
        if named.is_empty() {
            return self;
        }
        let own = |ip: &IpAddr| is_private(*ip) || self.vpc_cidrs.iter().any(|range| range.contains(ip));
        let private: Vec<IpAddr> = named.iter().copied().filter(own).collect();
        let regional = private.is_empty() && self.interface_ids.is_empty();
        if regional {
            self.kind = GatewayKind::Regional;
        }
        let shown = if private.is_empty() { named } else { &private };
        self.addresses = shown
            .iter()
            .map(|&ip| NatAddress {
                private: (!regional).then_some(ip),
                public: regional.then_some(ip),
                zone: None,
                usable: true,
            })
            .collect();
        self.provenance = Provenance::Named;
        self
    }

    /// Ports that can be held towards one destination for certain, whichever zone its clients are in:
    /// for a regional gateway, those of the zone with the fewest addresses, or of one address where
    /// zones are not known. `None` while no address is known.
    #[must_use]
    pub fn least_capacity(&self, ports_per_address: u32) -> Option<u32> {
        if self.kind != GatewayKind::Regional {
            return self.capacity(None, ports_per_address);
        }
        let zones: std::collections::BTreeSet<_> = self.addresses.iter().map(|a| a.zone.as_deref()).collect();
        if zones.contains(&None) {
            return self.capacity(None, ports_per_address).map(|all| all.min(ports_per_address));
        }
        zones.into_iter().filter_map(|zone| self.capacity(zone, ports_per_address)).min()
    }

    /// The zone that an alarm is about, where the gateway's addresses tell which are in it: the clients
    /// of a zone of a regional gateway use that zone's addresses alone.
    #[must_use]
    pub fn zone_of<'a>(&self, alarmed: Option<&'a str>) -> Option<&'a str> {
        let regional = self.kind == GatewayKind::Regional;
        alarmed.filter(|zone| regional && self.addresses.iter().any(|a| a.zone.as_deref() == Some(*zone)))
    }

    /// The addresses by which flow logs show this gateway in zones other than the alarmed one.
    #[must_use]
    pub fn addresses_elsewhere(&self, alarmed: Option<&str>) -> Vec<IpAddr> {
        let Some(zone) = self.zone_of(alarmed) else { return Vec::new() };
        let elsewhere = |a: &&NatAddress| a.zone.as_deref().is_some_and(|z| z != zone);
        self.addresses.iter().filter(elsewhere).filter_map(|a| a.public).collect()
    }

    /// Addresses that can take connections towards one destination: those of the fullest zone's
    /// kind for a regional gateway (clients of a zone use its addresses alone), else all.
    #[must_use]
    pub fn usable_addresses(&self, zone: Option<&str>) -> usize {
        self.addresses
            .iter()
            .filter(|a| a.usable && zone.is_none_or(|zone| a.zone.as_deref().is_none_or(|z| z == zone)))
            .count()
    }

    /// Ports that can be held towards one destination at once; `None` while no address is known.
    #[must_use]
    pub fn capacity(&self, zone: Option<&str>, ports_per_address: u32) -> Option<u32> {
        let addresses = u32::try_from(self.usable_addresses(zone)).ok()?;
        (addresses > 0).then(|| addresses.saturating_mul(ports_per_address))
    }

    /// The addresses by which flow logs show this gateway, in order, each once.
    #[must_use]
    pub fn logged_addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<IpAddr> = self
            .addresses
            .iter()
            .filter_map(|a| if self.kind == GatewayKind::Regional { a.public } else { a.private })
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }
}

/// One metric of the gateway over the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// The CloudWatch name.
    pub name: String,
    /// The statistic, `Sum` or `Maximum`.
    pub statistic: String,
    /// Over the window: the sum of sums, or the greatest maximum.
    pub value: f64,
    /// What is usual for as long a time, by the three hours before: of sums the mean, of maxima the greatest;
    /// `None` where there was no data.
    pub baseline: Option<f64>,
    /// The same over the same minutes of the day before; `None` where there was no data.
    #[serde(default)]
    pub day_before: Option<f64>,
    /// The minute of the window in which it was greatest, the latest of several; `None` where that is not
    /// known.
    #[serde(default)]
    pub greatest_at: Option<Timestamp>,
}

impl Metric {
    /// How many times the baseline it is; `None` without one, or with a baseline of 0.
    #[must_use]
    pub fn change(&self) -> Option<f64> {
        self.baseline.filter(|b| *b > 0.0).map(|b| self.value / b)
    }
}

/// Everything known around the incident's gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// The Region that was asked, where one was.
    pub region: Option<String>,
    /// The gateway itself.
    pub gateway: NatGateway,
    /// The flow logs that cover it.
    pub flow_logs: Vec<FlowLog>,
    /// Whether the flow logs could not be asked for: there being none then says nothing.
    pub flow_logs_unknown: bool,
    /// The zone of a regional gateway in which most errors were counted, where its alarm names none.
    pub troubled_zone: Option<String>,
    /// The gateway's metrics, where they were asked for: those of the zone in question, where it is regional.
    pub metrics: Vec<Metric>,
    /// The subnets of the gateway's VPC, all of them; `None` where they were not asked for.
    pub subnets: Option<Vec<Subnet>>,
    /// The route tables of the gateway's VPC, all of them; `None` where they were not asked for.
    pub route_tables: Option<Vec<RouteTable>>,
    /// The VPC's other NAT gateways; `None` where they were not asked for.
    pub siblings: Option<Vec<SiblingGateway>>,
    /// The managed prefix lists of the gateway's Region; `None` where they were not asked for.
    pub prefix_lists: Option<Vec<PrefixList>>,
    /// The gateway endpoints of the gateway's VPC; `None` where they were not asked for.
    pub gateway_endpoints: Option<Vec<GatewayEndpoint>>,
    /// The interface endpoints of the gateway's VPC; `None` where they were not asked for.
    pub interface_endpoints: Option<Vec<InterfaceEndpoint>>,
    /// What interface endpoints can be made for in the Region; `None` where that was not asked for.
    pub endpoint_services: Option<Vec<EndpointService>>,
    /// The log groups, as names or ARNs, that the Route 53 Resolver writes the VPC's queries to; `None` where
    /// they were not asked for.
    pub resolver_log_groups: Option<Vec<String>>,
    /// Host names of destinations.
    pub names: Vec<HostName>,
    /// Who clients' addresses belong to, of those that were asked for.
    pub owners: Vec<Owner>,
    /// The quotas on addresses; `None` where they were not asked for.
    pub quotas: Option<Quotas>,
    /// What was changed before the alarm; `None` where that was not asked for.
    pub changes: Option<Changes>,
}

impl Network {
    /// The subnet that an address of the VPC is of, where that is known.
    #[must_use]
    pub fn subnet_of(&self, address: IpAddr) -> Option<&Subnet> {
        routes::subnet_of(self.subnets.as_deref()?, address)
    }

    /// The zone that a client stands in: its interface's, else its subnet's, where one is known.
    #[must_use]
    pub fn zone_of(&self, client: IpAddr) -> Option<&str> {
        let owned = self.owner_of(client).and_then(|owner| owner.zone.as_deref());
        owned.or_else(|| self.subnet_of(client)?.zone.as_deref())
    }

    /// The route table that a subnet uses, where that is known.
    #[must_use]
    pub fn route_table_of(&self, subnet: &Subnet) -> Option<&RouteTable> {
        routes::table_of(self.route_tables.as_deref()?, &subnet.id)
    }

    /// The route that packets from a subnet to an address take, where that is known.
    #[must_use]
    pub fn route_from<'a>(&'a self, table: &'a RouteTable, to: IpAddr) -> Option<&'a Route> {
        table.route_to(to, self.prefix_lists.as_deref().unwrap_or_default())
    }

    /// Whether an address is of the gateway's VPC; `None` where its ranges are not known.
    #[must_use]
    pub fn in_vpc(&self, address: IpAddr) -> Option<bool> {
        let ranges = &self.gateway.vpc_cidrs;
        if ranges.is_empty() {
            return self.subnet_of(address).map(|_| true);
        }
        Some(ranges.iter().any(|range| range.contains(&address)))
    }

    /// The zone of the subnet that the gateway stands in, where that is known.
    #[must_use]
    pub fn gateway_zone(&self) -> Option<&str> {
        let id = self.gateway.subnet_id.as_deref()?;
        self.subnets.as_ref()?.iter().find(|subnet| subnet.id == id)?.zone.as_deref()
    }

    /// The prefix list of `region` that holds an address, where its service has gateway endpoints:
    /// the one with the most specific range. The lists of another Region's services hold addresses
    /// that an endpoint in this one does not lead to.
    #[must_use]
    pub fn gateway_service_of(&self, address: IpAddr, region: &str) -> Option<(&PrefixList, GatewayService)> {
        let lists = self.prefix_lists.as_ref()?.iter().filter(|list| list.region() == Some(region));
        let most_specific = |list: &PrefixList| {
            list.ranges.iter().filter(|range| range.contains(&address)).map(IpNet::prefix_len).max()
        };
        lists
            .filter_map(|list| Some((most_specific(list)?, list, list.service()?)))
            .max_by_key(|(bits, list, service)| (*bits, std::cmp::Reverse((*service, list.id.as_str()))))
            .map(|(_, list, service)| (list, service))
    }

    /// The names that clients asked for and were answered with this address, each a host name.
    pub fn names_asked_for(&self, address: IpAddr) -> impl Iterator<Item = &HostName> {
        let asked = |name: &&HostName| name.source == NameSource::ResolverQueryLog && name.is_host();
        self.names.iter().filter(asked).filter(move |name| name.addresses.contains(&address))
    }

    /// Who a client's address belongs to, where that is known.
    #[must_use]
    pub fn owner_of(&self, client: IpAddr) -> Option<&Owner> {
        self.owners.iter().find(|owner| owner.address == client)
    }

    /// The name that says most of a destination's address: one that clients asked for, else the one its
    /// owner gave it. Of several that clients asked for, the first in the list; nothing that is no host name.
    #[must_use]
    pub fn name_of(&self, destination: IpAddr) -> Option<&HostName> {
        let given = self.names.iter().filter(|name| name.is_host() && name.addresses.contains(&destination));
        self.names_asked_for(destination).next().or_else(|| given.into_iter().next())
    }

    /// The value of a metric over the window.
    #[must_use]
    pub fn metric(&self, name: MetricName) -> Option<&Metric> {
        self.metrics.iter().find(|metric| metric.name == name.as_str())
    }
}

/// Who the evidence shows, of whom more is worth knowing: the greatest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parties {
    /// Clients' addresses.
    pub clients: Vec<IpAddr>,
    /// Servers' addresses.
    pub servers: Vec<IpAddr>,
}

/// Finds out what stands around an incident's gateway.
#[expect(async_fn_in_trait, reason = "used with generics inside this crate; no caller needs Send bounds")]
pub trait NetworkSource {
    /// What could be found out; what could not is a gap, never a failure.
    async fn network(&self, incident: &Incident) -> (Network, Vec<Gap>);

    /// Asks again for what may have come in since: the newest datapoints of the gateway's metrics. Where they
    /// can't be had, what is known stays.
    async fn refresh(&self, incident: &Incident, network: &mut Network) {
        let _ = (incident, network);
    }

    /// What was changed before the incident, and what could not be seen of it. It is asked while the evidence is
    /// collected, so that nobody waits for it.
    async fn changes(&self, incident: &Incident) -> (Option<Changes>, Option<Gap>) {
        let _ = incident;
        (None, None)
    }

    /// Adds to `network` who these parties are; what could not be found out is a gap.
    async fn identify(&self, parties: &Parties, incident: &Incident, network: &mut Network) -> Vec<Gap>;
}

/// A network that is known beforehand: from the command line, a saved context, or nothing at all.
#[derive(Clone, Debug, Default)]
pub struct Known(pub Network);

impl NetworkSource for Known {
    async fn network(&self, incident: &Incident) -> (Network, Vec<Gap>) {
        let mut network = self.0.clone();
        let gateway = &mut network.gateway;
        gateway.id = gateway.id.take().or_else(|| incident.gateway.clone());
        (network, Vec::new())
    }

    async fn identify(&self, _: &Parties, _: &Incident, _: &mut Network) -> Vec<Gap> {
        Vec::new()
    }
}
