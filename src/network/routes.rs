//! Where addresses of the VPC stand, and which way they leave it: subnets and route tables.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoints::PrefixList;

/// A subnet of the gateway's VPC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Subnet {
    /// Its id, `subnet-…`.
    pub id: String,
    /// The name of its Availability Zone, such as `eu-west-1a`, where that is known.
    pub zone: Option<String>,
    /// Its address ranges, IPv4 and IPv6.
    #[schemars(with = "Vec<String>")]
    pub ranges: Vec<IpNet>,
}

impl Subnet {
    /// Whether an address is of this subnet.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(&address))
    }

    /// Whether addresses of this subnet can have IPv6.
    #[must_use]
    pub fn has_ipv6(&self) -> bool {
        self.ranges.iter().any(|range| matches!(range, IpNet::V6(_)))
    }
}

/// One route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Route {
    /// What it matches: an address range, or the id of a prefix list.
    pub destination: String,
    /// Where it leads: `nat-…`, `vpce-…`, `igw-…`, `eigw-…`, `tgw-…`, `eni-…`, `local`.
    pub target: String,
}

impl Route {
    /// The address range that it matches, where it is not one of a prefix list.
    #[must_use]
    pub fn range(&self) -> Option<IpNet> {
        self.destination.parse().ok()
    }

    /// How many bits of an address it matches; `None` where it does not match.
    fn bits_matching(&self, address: IpAddr, lists: &[PrefixList]) -> Option<u8> {
        let own = self.range();
        let of_list = lists.iter().filter(|list| list.id == self.destination).flat_map(|list| &list.ranges);
        own.iter().chain(of_list).filter(|range| range.contains(&address)).map(IpNet::prefix_len).max()
    }
}

/// A route table of the gateway's VPC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RouteTable {
    /// Its id, `rtb-…`.
    pub id: String,
    /// Whether it is the VPC's main one, which subnets without an association of their own use.
    pub main: bool,
    /// The subnets that are associated with it explicitly.
    pub subnet_ids: Vec<String>,
    /// Its routes; those that are not active are left out.
    pub routes: Vec<Route>,
}

impl RouteTable {
    /// The route that packets to `address` take: the most specific one.
    ///
    /// Source: "Route priority" in the Amazon VPC user guide.
    #[must_use]
    pub fn route_to(&self, address: IpAddr, lists: &[PrefixList]) -> Option<&Route> {
        let matching = self.routes.iter().filter_map(|r| Some((r.bits_matching(address, lists)?, r)));
        matching.max_by_key(|(bits, _)| *bits).map(|(_, route)| route)
    }
}

/// The subnet that an address is of.
pub(super) fn subnet_of(subnets: &[Subnet], address: IpAddr) -> Option<&Subnet> {
    subnets.iter().find(|subnet| subnet.holds(address))
}

/// The route table that a subnet uses: the one it is associated with, else the main one.
///
/// Source: "Route table concepts" in the Amazon VPC user guide.
pub(super) fn table_of<'a>(tables: &'a [RouteTable], subnet_id: &str) -> Option<&'a RouteTable> {
    let explicit = tables.iter().find(|table| table.subnet_ids.iter().any(|id| id == subnet_id));
    explicit.or_else(|| tables.iter().find(|table| table.main))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(id: &str, main: bool, subnets: &[&str], routes: &[(&str, &str)]) -> RouteTable {
        RouteTable {
            id: id.into(),
            main,
            subnet_ids: subnets.iter().map(ToString::to_string).collect(),
            routes: routes
                .iter()
                .map(|(to, by)| Route { destination: (*to).into(), target: (*by).into() })
                .collect(),
        }
    }

    #[test]
    fn a_subnet_without_an_association_uses_the_main_table() {
        let tables = [table("rtb-main", true, &[], &[]), table("rtb-a", false, &["subnet-a"], &[])];
        assert_eq!(table_of(&tables, "subnet-a").map(|t| t.id.as_str()), Some("rtb-a"));
        assert_eq!(table_of(&tables, "subnet-b").map(|t| t.id.as_str()), Some("rtb-main"));
        assert_eq!(table_of(&tables[1..], "subnet-b"), None);
    }

    #[test]
    fn the_most_specific_route_is_taken_prefix_lists_included() {
        let routes =
            [("10.0.0.0/16", "local"), ("0.0.0.0/0", "nat-1"), ("pl-1", "vpce-1"), ("::/0", "eigw-1")];
        let table = table("rtb-a", false, &[], &routes);
        let lists = [PrefixList {
            id: "pl-1".into(),
            name: String::new(),
            ranges: vec!["52.216.0.0/15".parse().expect("valid")],
        }];
        for (to, by) in [
            ("10.0.3.4", Some("local")),
            ("52.217.0.1", Some("vpce-1")),
            ("203.0.113.10", Some("nat-1")),
            ("2001:db8::1", Some("eigw-1")),
        ] {
            let route = table.route_to(to.parse().expect("valid"), &lists);
            assert_eq!(route.map(|route| route.target.as_str()), by, "{to}");
        }
    }
}
