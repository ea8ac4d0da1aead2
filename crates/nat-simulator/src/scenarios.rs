//! Random incidents with one thing in them that leads a diagnosis astray.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use crate::random::Scale;
use crate::rng::{Rng, mix};
use crate::spec::{
    AddressChoice, Arrivals, Behaviour, Client, Closing, Destination, Exchange, GatewayKind, Incident,
    NatAddress, Pattern, Phase, Protocol, Retry, Route, Rule, Span, Triple, Weighted, Workload,
};

/// What is in the way. All of them are about a gateway in one zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// The exhausted server has a private address, in a network behind a transit gateway or a peer, though the
    /// gateway is a public one.
    PrivateServer,
    /// Minutes earlier another client filled another destination, for seconds, and had attempts refused.
    EarlierBurst,
    /// The same, minutes later: the alarm counts only what came before.
    LaterBurst,
    /// The gateway has eight addresses. One client fills the one that it gets.
    OneFullAddress,
    /// Beside the shortage, a rule turns many attempts of another client away.
    RejectBeside(Rule),
    /// Nothing is exhausted, and a rule turns many attempts away.
    RejectInstead(Rule),
    /// Beside the shortage, one client calls so many servers, a few times each.
    Crawler(u32),
    /// Beside the shortage, one client tries so many servers, of which none answers.
    Scan(u32),
}

impl Scenario {
    /// A short name.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::PrivateServer => "private server".into(),
            Self::EarlierBurst => "earlier burst".into(),
            Self::LaterBurst => "later burst".into(),
            Self::OneFullAddress => "one full address of eight".into(),
            Self::RejectBeside(Rule::AtGateway) => "REJECT beside".into(),
            Self::RejectBeside(Rule::AtClient) => "REJECT at a client beside".into(),
            Self::RejectInstead(Rule::AtGateway) => "REJECT instead".into(),
            Self::RejectInstead(Rule::AtClient) => "REJECT at a client instead".into(),
            Self::Crawler(servers) => format!("crawler, {servers} servers"),
            Self::Scan(servers) => format!("scan, {servers} servers"),
        }
    }

    /// The seconds of its incident, from the start, whose minutes are the alarm's.
    #[must_use]
    pub fn alarmed_s(self, incident: &Incident) -> Range<u32> {
        match self {
            Self::EarlierBurst => DELAY_S..incident.duration_s,
            Self::LaterBurst => 0..incident.duration_s - AFTER_S,
            _ => 0..incident.duration_s,
        }
    }

    /// The incident of a seed, with so many ports per address, at least 100.
    ///
    /// # Panics
    /// When the capacity is below 100 or above 55,000.
    #[must_use]
    pub fn incident(self, seed: u64, capacity: u32) -> Incident {
        let mut rng = Rng::new(mix(&[seed, 60]));
        let pattern = *rng.pick(&self.patterns());
        let exhausts = !matches!(self, Self::RejectInstead(_));
        let of = |nth: u64| {
            let seed = mix(&[seed, 61, nth]) >> 1;
            Incident::random_of(seed, Scale::Reduced { capacity }, pattern, exhausts)
        };
        let fits = |incident: &Incident| {
            let gateway = &incident.gateways[0];
            // One full address of eight is made of a gateway with one.
            let single = self != Self::OneFullAddress || gateway.addresses.len() == 1;
            gateway.kind == GatewayKind::Zonal && single
        };
        let mut incident = (0..).map(of).find(fits).expect("most gateways are zonal");
        incident.unexplained_errors = 0;
        match self {
            Self::PrivateServer => private_server(&mut incident),
            Self::EarlierBurst => earlier_burst(&mut incident),
            Self::OneFullAddress => one_full_address(&mut incident),
            Self::LaterBurst => later_burst(&mut incident),
            Self::RejectBeside(by) | Self::RejectInstead(by) => reject(&mut incident, by),
            Self::Crawler(servers) => incident.add_crawler(servers),
            Self::Scan(servers) => scan(&mut incident, servers),
        }
        incident
    }

    /// The patterns that it can have: who scans or storms has no one client that fills an address.
    fn patterns(self) -> Vec<Pattern> {
        match self {
            Self::OneFullAddress => vec![Pattern::LongLived, Pattern::Leak, Pattern::Churn],
            _ => vec![Pattern::LongLived, Pattern::Leak, Pattern::Churn, Pattern::RetryStorm],
        }
    }
}

/// How long the earlier burst comes before everything else: its ports are free again by then.
const DELAY_S: u32 = 540;

/// How long the incident goes on after the alarm's minutes, with a burst in it.
const AFTER_S: u32 = 180;

fn private_server(incident: &mut Incident) {
    let subject = &mut incident.destinations[incident.subject];
    subject.triple.address = Ipv4Addr::new(10, 77, 0, 10);
    subject.service = None;
}

fn earlier_burst(incident: &mut Incident) {
    incident.duration_s += DELAY_S;
    for phase in incident.workloads.iter_mut().flat_map(|workload| &mut workload.phases) {
        if phase.from_s > 0 {
            phase.from_s += DELAY_S;
        }
        phase.to_s += DELAY_S;
    }
    burst(incident, 70);
}

fn later_burst(incident: &mut Incident) {
    let from_s = incident.duration_s + 70;
    incident.duration_s += AFTER_S;
    burst(incident, from_s);
}

/// Another client fills another destination within a second.
fn burst(incident: &mut Incident, from_s: u32) {
    let client = add_client(incident, 200);
    let server = add_server(incident, Ipv4Addr::new(203, 0, 113, 240), 8443);
    let capacity = incident.gateways[0].capacity(0);
    let behaviour = Behaviour::Short {
        lasts_ms: Span::new(20_000, 40_000),
        exchanges: Span::new(2, 4),
        closing: Closing::BY_CLIENT,
    };
    let burst = Arrivals::Bursts { every_s: 60, size: capacity + capacity / 20 };
    let phase = Phase { from_s, to_s: from_s + 1, arrivals: burst };
    add_workload(incident, "a burst at another time", client, vec![server], phase, behaviour);
}

fn one_full_address(incident: &mut Incident) {
    let gateway = &mut incident.gateways[0];
    gateway.address_choice = AddressChoice::OnlyHashOfClient;
    let first = gateway.addresses[0].private.expect("zonal ones have them").octets();
    for n in 1..8 {
        gateway.addresses.push(NatAddress {
            private: Some(Ipv4Addr::new(first[0], first[1], first[2], first[3] - n)),
            public: Some(Ipv4Addr::new(198, 51, 100, 60 + n)),
            zone: gateway.addresses[0].zone,
        });
    }
    let of_subject =
        |workload: &&mut Workload| workload.destinations.iter().any(|d| d.index == incident.subject);
    for workload in incident.workloads.iter_mut().filter(of_subject) {
        if workload.route == Route::Gateway(0) {
            workload.clients.truncate(1);
        }
    }
}

fn reject(incident: &mut Incident, by: Rule) {
    let client = add_client(incident, 201);
    let server = add_server(incident, Ipv4Addr::new(203, 0, 113, 241), 25);
    let seconds = incident.duration_s;
    let arrivals =
        Arrivals::Poisson { per_second: f64::from(incident.gateways[0].capacity(0)) * 3.0 / 350.0 };
    let phase = Phase { from_s: 0, to_s: seconds, arrivals };
    add_workload(
        incident,
        "turned away",
        client,
        vec![server],
        phase,
        Behaviour::TurnedAway { by, syn_retries: 3 },
    );
}

impl Incident {
    /// Adds one client that calls so many servers through the gateway, each about twice.
    pub fn add_crawler(&mut self, servers: u32) {
        let behaviour = Behaviour::Short {
            lasts_ms: Span::new(500, 4_000),
            exchanges: Span::new(1, 2),
            closing: Closing::MIXED,
        };
        call_many(self, "a crawler", servers, 443, behaviour);
    }
}

fn scan(incident: &mut Incident, servers: u32) {
    call_many(incident, "a scan", servers, 445, Behaviour::Unanswered { syn_retries: 1 });
}

/// One client calls so many servers, each about twice.
fn call_many(incident: &mut Incident, name: &str, servers: u32, port: u16, behaviour: Behaviour) {
    let client = add_client(incident, 202);
    let address = |n: u32| Ipv4Addr::from(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + n);
    let servers: Vec<usize> = (0..servers).map(|n| add_server(incident, address(n), port)).collect();
    let rate = servers.len() as f64 * 2.0 / f64::from(incident.duration_s);
    let phase =
        Phase { from_s: 0, to_s: incident.duration_s, arrivals: Arrivals::Poisson { per_second: rate } };
    add_workload(incident, name, client, servers, phase, behaviour);
}

fn add_client(incident: &mut Incident, host: u8) -> usize {
    incident.clients.push(Client {
        address: IpAddr::V4(Ipv4Addr::new(10, 0, 60, host)),
        interface_id: Some(format!("eni-0c0ffee00000000{host:02x}")),
        instance_id: None,
        first_port: 1_024,
        last_port: 65_535,
        ..incident.clients[0].clone()
    });
    incident.clients.len() - 1
}

fn add_server(incident: &mut Incident, address: Ipv4Addr, port: u16) -> usize {
    let triple = Triple { address, port, protocol: Protocol::Tcp };
    incident.destinations.push(Destination { triple, rtt_ms: 20, service: None });
    incident.destinations.len() - 1
}

fn add_workload(
    incident: &mut Incident,
    name: &str,
    client: usize,
    servers: Vec<usize>,
    phase: Phase,
    behaviour: Behaviour,
) {
    incident.workloads.push(Workload {
        name: name.to_owned(),
        route: Route::Gateway(0),
        clients: Weighted::evenly([client]),
        destinations: Weighted::evenly(servers),
        phases: vec![phase],
        behaviour,
        exchange: Exchange::SMALL,
        retry: Retry { syn_retries: 0, reattempts: 0, delay_s: Span::exactly(1) },
    });
}
