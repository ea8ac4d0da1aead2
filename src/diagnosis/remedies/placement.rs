//! Where a destination's clients stand: in which subnet, behind which route table, or not in the VPC
//! at all. By address alone, and only where it is known.

use std::net::IpAddr;

use crate::contract::ClientReport;
use crate::diagnosis::findings::{Findings, Ranked};
use crate::network::{RouteTable, Subnet};
use crate::words;

/// One client, and where it stands.
pub(super) struct Placed<'a> {
    pub(super) address: IpAddr,
    /// Whether it is of the gateway's VPC; `None` where that is not known.
    pub(super) in_vpc: Option<bool>,
    pub(super) subnet: Option<&'a Subnet>,
    pub(super) table: Option<&'a RouteTable>,
    /// Ports that it held; connections that it opened, where no client was seen to hold any.
    pub(super) weight: u64,
}

/// All clients of one destination.
pub(super) struct Placement<'a> {
    pub(super) clients: Vec<Placed<'a>>,
    all: u64,
    by_ports: bool,
}

impl<'a> Placement<'a> {
    pub(super) fn of(findings: &Findings<'a>, top: &Ranked) -> Self {
        let network = findings.network;
        let by_ports = top.clients.iter().any(|client| client.held.estimate > 0);
        let weight = |client: &ClientReport| {
            if by_ports { u64::from(client.held.estimate) } else { client.connections }
        };
        let clients: Vec<Placed<'a>> = top
            .clients
            .iter()
            .map(|client| {
                let subnet = network.subnet_of(client.address);
                Placed {
                    address: client.address,
                    in_vpc: network.in_vpc(client.address),
                    subnet,
                    table: subnet.and_then(|subnet| network.route_table_of(subnet)),
                    weight: weight(client),
                }
            })
            .collect();
        let all = clients.iter().map(|client| client.weight).sum();
        Self { clients, all, by_ports }
    }

    /// What those clients hold that `which` holds for.
    pub(super) fn weight(&self, which: impl Fn(&Placed<'a>) -> bool) -> u64 {
        self.clients.iter().filter(|client| which(client)).map(|client| client.weight).sum()
    }

    /// The same as a fraction of 1 of what all clients hold.
    pub(super) fn part(&self, which: impl Fn(&Placed<'a>) -> bool) -> f64 {
        if self.all == 0 { 0.0 } else { self.weight(which) as f64 / self.all as f64 }
    }

    /// The same in words: `120 of the 200 held ports (60%)`.
    pub(super) fn in_words(&self, which: impl Fn(&Placed<'a>) -> bool) -> String {
        let weight = self.weight(which);
        format!(
            "{} of the {} {} ({})",
            words::count(weight),
            words::count(self.all),
            if self.by_ports { "held ports" } else { "connections" },
            words::percent(if self.all == 0 { 0.0 } else { weight as f64 / self.all as f64 })
        )
    }
}
