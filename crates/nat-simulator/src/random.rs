//! Random incidents: every pattern, every kind of gateway, with innocent traffic around it that
//! looks worse than the culprit by the measures people use instead of held ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::ports::{Allocation, PORTS_PER_ADDRESS};
use crate::rng::{Rng, mix};
use crate::spec::{
    AddressChoice, Arrivals, Behaviour, Client, Closing, Destination, Exchange, Gateway, GatewayKind,
    IDLE_TIMEOUT_S, Incident, NatAddress, Pattern, Phase, Protocol, Retry, Route, Span, Triple, Weighted,
    Workload, Zone,
};

/// How large a random incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// 55,000 ports per address: a million records or so.
    Full,
    /// Fewer ports per address, and traffic to match, so that hundreds of incidents run quickly.
    /// Whatever judges the records has to be told the capacity.
    Reduced {
        /// Ports per address and destination, at least 100.
        capacity: u32,
    },
}

impl Incident {
    /// An incident of any pattern. One in four exhausts nothing: its peak stays below half the
    /// capacity, and half of those show errors in the metrics all the same.
    pub fn random(seed: u64, scale: Scale) -> Self {
        let mut rng = Rng::new(mix(&[seed, 40]));
        let pattern = *rng.pick(&Pattern::ALL);
        let exhausts = rng.chance(0.75);
        Self::random_of(seed, scale, pattern, exhausts)
    }

    /// An incident of the given pattern that does or does not run out of ports.
    ///
    /// # Panics
    ///
    /// When the scale's capacity is below 100 or above 55,000.
    pub fn random_of(seed: u64, scale: Scale, pattern: Pattern, exhausts: bool) -> Self {
        if let Scale::Reduced { capacity } = scale {
            assert!(
                (100..=PORTS_PER_ADDRESS).contains(&capacity),
                "{capacity} ports are too few or too many"
            );
        }
        Draft::new(seed, scale, pattern, exhausts).incident()
    }
}

/// 2026-11-18T00:00:00Z: incidents begin on this day.
const DAY: i64 = 1_794_960_000;

struct Draft {
    rng: Rng,
    full: bool,
    exhausts: bool,
    pattern: Pattern,
    /// Of the zone that the incident's clients are in.
    capacity: f64,
    zones: usize,
    private: bool,
    incident: Incident,
}

impl Draft {
    fn new(seed: u64, scale: Scale, pattern: Pattern, exhausts: bool) -> Self {
        let mut rng = Rng::new(mix(&[seed, 41]));
        let full = scale == Scale::Full;
        let ports_per_address = match scale {
            Scale::Full => PORTS_PER_ADDRESS,
            Scale::Reduced { capacity } => capacity,
        };
        let kind = match rng.below(10) {
            0..6 => GatewayKind::Zonal,
            6..8 => GatewayKind::Regional,
            _ => GatewayKind::Private,
        };
        let addresses = if full {
            if rng.chance(0.85) { 1 } else { 2 }
        } else {
            match rng.below(10) {
                0..5 => 1,
                5..8 => rng.between(2, 4),
                _ => rng.between(5, 8),
            }
        };
        let zones = if kind == GatewayKind::Regional { 2 } else { rng.between(1, 3) as usize };
        let start = DAY + i64::from(rng.between(0, 80_000));
        let incident = Incident {
            seed,
            start,
            duration_s: 0,
            region: "us-east-1".to_owned(),
            account_id: "123456789012".to_owned(),
            vpc_id: hex_id("vpc", seed, 0),
            vpc_cidrs: vec!["10.0.0.0/16".to_owned(), "2600:1f18:1234:5600::/56".to_owned()],
            zones: (0..zones)
                .map(|i| Zone {
                    name: format!("us-east-1{}", ["a", "b", "c"][i]),
                    id: format!("use1-az{}", i + 1),
                })
                .collect(),
            gateways: Vec::new(),
            clients: Vec::new(),
            destinations: Vec::new(),
            workloads: Vec::new(),
            pattern,
            subject: 0,
            unexplained_errors: if !exhausts && rng.chance(0.5) { rng.between(1, 400) } else { 0 },
        };
        let mut draft = Self {
            full,
            exhausts,
            pattern,
            capacity: f64::from(ports_per_address) * f64::from(addresses),
            zones,
            private: kind == GatewayKind::Private,
            incident,
            rng,
        };
        let gateway = draft.gateway(0, kind, addresses, ports_per_address);
        draft.incident.gateways.push(gateway);
        draft
    }

    fn incident(mut self) -> Incident {
        let lead_s = self.rng.between(60, if self.full { 90 } else { 240 });
        let subject_records = self.subject(lead_s);
        self.background(lead_s, subject_records);
        self.incident
    }

    // ---- what the incident is about

    /// Adds the workload that fills the ports, sets the duration, and returns about how many records
    /// the gateway's interface will show of it at 60 s.
    fn subject(&mut self, lead_s: u32) -> f64 {
        let port = *self.rng.pick(&[443, 443, 443, 80, 5432, 6379, 8443, 9200]);
        let (address, rtt_ms) = (self.server(10), self.rng.between(1, 60));
        let service = (port == 443 && !self.private && self.rng.chance(0.3))
            .then(|| (*self.rng.pick(&["S3", "DYNAMODB", "CLOUDFRONT", "EC2", "AMAZON"])).to_owned());
        self.incident.subject = self.destination(address, port, Protocol::Tcp, rtt_ms, service);
        let factor = if self.exhausts { self.rng.uniform(1.1, 1.5) } else { self.rng.uniform(0.15, 0.32) };
        // Arrivals are random: with few ports, chance alone must neither leave some free nor take more
        // than half.
        let demand = if self.exhausts {
            factor * self.capacity + self.slack()
        } else {
            (factor * self.capacity).min(self.capacity / 2.0 - 0.7 * self.slack())
        };
        let fill_s = self.rng.between(100, if self.full { 200 } else { 270 });
        let aftermath_s = self.rng.between(60, if self.full { 120 } else { 200 });
        match self.pattern {
            Pattern::LongLived | Pattern::FanIn => self.kept(lead_s, fill_s, aftermath_s, demand),
            Pattern::Leak => self.leak(lead_s, fill_s, aftermath_s, demand),
            Pattern::Churn => self.churn(lead_s, aftermath_s, demand),
            Pattern::RetryStorm => self.storm(lead_s, fill_s, aftermath_s, demand),
            Pattern::Scan => self.scan(lead_s, fill_s, aftermath_s, demand),
        }
    }

    /// About four standard deviations of as many random arrivals as there are ports.
    fn slack(&self) -> f64 {
        4.0 * self.capacity.sqrt()
    }

    fn kept(&mut self, lead_s: u32, fill_s: u32, aftermath_s: u32, demand: f64) -> f64 {
        let clients = if self.pattern == Pattern::FanIn {
            let count = ((self.capacity / self.rng.uniform(4.0, 12.0)) as usize).clamp(30, 5_000);
            Weighted::evenly((0..count).map(|_| self.client(0)).collect::<Vec<_>>())
        } else {
            self.culprits(5)
        };
        let every_s = if self.full { self.rng.between(15, 50) } else { self.rng.between(5, 50) };
        let rate = demand / f64::from(fill_s);
        self.incident.duration_s = lead_s + fill_s + aftermath_s;
        self.workload(
            "kept in use",
            clients,
            Weighted::evenly([self.incident.subject]),
            Phase { from_s: lead_s, to_s: lead_s + fill_s, arrivals: Arrivals::Poisson { per_second: rate } },
            Behaviour::LongLived {
                every_s: Span::new(every_s.div_ceil(2), every_s * 3 / 2),
                lasts_s: None,
                closing: Closing::BY_CLIENT,
            },
            Retry { syn_retries: 3, reattempts: 4, delay_s: Span::new(2, 12) },
        );
        demand * 4.0 * (f64::from(fill_s) / 2.0 + f64::from(aftermath_s)) / 60.0
    }

    fn leak(&mut self, lead_s: u32, fill_s: u32, aftermath_s: u32, demand: f64) -> f64 {
        // Demand is reached when the first ports time out; a leak that exhausts does so earlier.
        let used_ms = self.rng.between(500, 6_000);
        let held_s = f64::from(IDLE_TIMEOUT_S) + f64::from(used_ms) / 1000.0;
        let (rate, time_s) = if self.exhausts {
            ((self.capacity + self.slack()) / f64::from(fill_s), fill_s + aftermath_s)
        } else {
            (demand / held_s, 350 + aftermath_s)
        };
        let clients = self.culprits(5);
        // Now and then the server ends its side, and the client never does.
        let half_closed = if self.rng.chance(0.3) { self.rng.uniform(0.1, 0.9) } else { 0.0 };
        self.incident.duration_s = lead_s + time_s;
        self.workload(
            "opened and abandoned",
            clients,
            Weighted::evenly([self.incident.subject]),
            Phase { from_s: lead_s, to_s: lead_s + time_s, arrivals: Arrivals::Poisson { per_second: rate } },
            Behaviour::Leak {
                used_ms: Span::new(used_ms / 2, used_ms * 3 / 2),
                exchanges: Span::new(1, 4),
                half_closed,
                late: 0.01,
            },
            Retry::USUAL,
        );
        rate * f64::from(time_s) * 4.0 * 1.05
    }

    fn churn(&mut self, lead_s: u32, aftermath_s: u32, demand: f64) -> f64 {
        let lasts_ms =
            if self.full { self.rng.between(25_000, 45_000) } else { self.rng.between(3_000, 20_000) };
        let rate = demand / (f64::from(lasts_ms) / 1000.0);
        let time_s = if self.full { 60 + aftermath_s } else { 120 + aftermath_s };
        let clients = self.culprits(5);
        self.incident.duration_s = lead_s + time_s;
        self.workload(
            "short connections",
            clients,
            Weighted::evenly([self.incident.subject]),
            Phase { from_s: lead_s, to_s: lead_s + time_s, arrivals: Arrivals::Poisson { per_second: rate } },
            Behaviour::Short {
                lasts_ms: Span::new(lasts_ms / 2, lasts_ms * 3 / 2),
                exchanges: Span::new(1, 3),
                closing: Closing::MIXED,
            },
            Retry { reattempts: 0, ..Retry::USUAL },
        );
        rate * f64::from(time_s) * 4.0 * (1.0 + f64::from(lasts_ms) / 60_000.0)
    }

    fn storm(&mut self, lead_s: u32, fill_s: u32, aftermath_s: u32, demand: f64) -> f64 {
        let (rate, time_s) = if self.exhausts {
            ((self.capacity + self.slack()) / f64::from(fill_s), fill_s + aftermath_s)
        } else {
            (demand / 357.0, 360 + aftermath_s)
        };
        let clients = self.culprits(5);
        self.incident.duration_s = lead_s + time_s;
        let phase = |per_second| Phase {
            from_s: lead_s,
            to_s: lead_s + time_s,
            arrivals: Arrivals::Poisson { per_second },
        };
        let subject = Weighted::evenly([self.incident.subject]);
        let retry = Retry { syn_retries: 3, reattempts: 2, delay_s: Span::new(1, 5) };
        self.workload(
            "unanswered attempts",
            clients.clone(),
            subject.clone(),
            phase(rate),
            Behaviour::Unanswered { syn_retries: 3 },
            retry,
        );
        if self.rng.chance(0.4) {
            let share = self.rng.uniform(0.05, 0.3);
            self.workload(
                "rejected attempts",
                clients,
                subject,
                phase(rate * share),
                Behaviour::Rejected,
                retry,
            );
        }
        rate * f64::from(time_s) * 2.0 * 1.1
    }

    fn scan(&mut self, lead_s: u32, fill_s: u32, aftermath_s: u32, demand: f64) -> f64 {
        let (rate, time_s) = if self.exhausts {
            ((self.capacity + self.slack()) / f64::from(fill_s), fill_s + aftermath_s)
        } else {
            (demand / 357.0, 360 + aftermath_s)
        };
        let clients = self.culprits(2);
        self.incident.duration_s = lead_s + time_s;
        let phase = |per_second| Phase {
            from_s: lead_s,
            to_s: lead_s + time_s,
            arrivals: Arrivals::Poisson { per_second },
        };
        let count = ((self.capacity / 2.0) as usize).clamp(200, 6_000);
        let others: Vec<usize> = (0..count)
            .map(|i| {
                let address = self.scanned(i % 200);
                self.destination(address, 1 + (i / 200) as u16, Protocol::Tcp, 20, None)
            })
            .collect();
        // Every one of them about four times.
        let probes = count as f64 * 4.0 / f64::from(time_s);
        let (silent, closed) = others.split_at(count * 7 / 10);
        let (silent, closed) =
            (Weighted::evenly(silent.iter().copied()), Weighted::evenly(closed.iter().copied()));
        let retry = Retry { syn_retries: 1, reattempts: 0, delay_s: Span::exactly(1) };
        let unanswered = Behaviour::Unanswered { syn_retries: 1 };
        self.workload("probes, silent", clients.clone(), silent, phase(probes * 0.7), unanswered, retry);
        self.workload(
            "probes, closed",
            clients.clone(),
            closed,
            phase(probes * 0.3),
            Behaviour::Rejected,
            retry,
        );
        let subject = Weighted::evenly([self.incident.subject]);
        self.workload("probes of one service", clients, subject, phase(rate), unanswered, retry);
        rate * f64::from(time_s) * 2.0
    }

    // ---- the innocent

    fn background(&mut self, lead_s: u32, subject_records: f64) {
        let duration_s = self.incident.duration_s;
        let whole = |arrivals| Phase { from_s: 0, to_s: duration_s, arrivals };
        let poisson = |per_second| whole(Arrivals::Poisson { per_second });
        let once = |size| whole(Arrivals::Bursts { every_s: duration_s, size });
        let apps: Vec<usize> = (0..self.rng.between(4, 12)).map(|_| self.any_client()).collect();
        let everyone: Vec<usize> =
            apps.iter().copied().chain(0..self.incident.clients.len().min(6)).collect();

        // More records and bytes than the culprit, hardly any ports.
        // A full-size incident has it only where it stays below a few million records.
        if !self.full || subject_records < 700_000.0 {
            let (address, factor) =
                (self.server(20), if self.full { 1.1 } else { self.rng.uniform(1.2, 2.0) });
            let busy = self.destination(address, 443, Protocol::Tcp, 3, None);
            let rate = subject_records * factor / 4.0 / f64::from(duration_s);
            // Ports held are rate times duration: brief enough for a tenth of the capacity.
            let lasts_ms = (self.capacity * 50.0 / rate).clamp(20.0, 250.0) as u32;
            self.workload(
                "busy",
                Weighted::evenly(apps.clone()),
                Weighted::evenly([busy]),
                poisson(rate),
                Behaviour::Short {
                    lasts_ms: Span::new(lasts_ms / 2, lasts_ms),
                    exchanges: Span::exactly(1),
                    closing: Closing::MIXED,
                },
                Retry::USUAL,
            );
            self.last_exchange(Exchange {
                response_packets: Span::new(20, 60),
                response_bytes: Span::new(25_000, 80_000),
                ..Exchange::SMALL
            });
        }

        // A client with far more bytes than any other.
        let (bulk, heavy) = (self.server(30), self.any_client());
        let bulk = self.destination(bulk, 443, Protocol::Tcp, 8, None);
        let transfers = self.rng.between(2, 8);
        self.workload(
            "bulk transfer",
            Weighted::evenly([heavy]),
            Weighted::evenly([bulk]),
            once(transfers),
            Behaviour::LongLived { every_s: Span::new(1, 3), lasts_s: None, closing: Closing::BY_CLIENT },
            Retry::USUAL,
        );
        self.last_exchange(Exchange::BULK);

        // Other ports of the culprit's destination, each with a capacity of its own.
        let subject = self.incident.destinations[self.incident.subject].triple;
        if self.rng.chance(0.6) {
            for port in [8080, 8443, 4443].into_iter().filter(|&port| port != subject.port) {
                let other = self.destination(subject.address, port, Protocol::Tcp, 10, None);
                let size = (self.capacity * self.rng.uniform(0.02, 0.2)) as u32;
                self.workload(
                    "other port",
                    Weighted::evenly(everyone.clone()),
                    Weighted::evenly([other]),
                    once(size),
                    Behaviour::LongLived {
                        every_s: Span::new(10, 50),
                        lasts_s: None,
                        closing: Closing::MIXED,
                    },
                    Retry::USUAL,
                );
            }
        }

        // A pool of database connections, some of which end.
        let database = self.server(40);
        let database = self.destination(database, 5432, Protocol::Tcp, 2, None);
        let size = (self.capacity * 0.03) as u32;
        self.workload(
            "database pool",
            Weighted::evenly(apps.clone()),
            Weighted::evenly([database]),
            once(size.max(4)),
            Behaviour::LongLived {
                every_s: Span::new(1, 12),
                lasts_s: Some(Span::new(60, 900)),
                closing: Closing::MIXED,
            },
            Retry::USUAL,
        );

        // Ordinary web traffic.
        let web: Vec<usize> = (0..5)
            .map(|i| {
                let address = self.server(50 + i);
                self.destination(address, 443, Protocol::Tcp, 5 + 10 * u32::from(i), None)
            })
            .collect();
        let rate = self.capacity * self.rng.uniform(0.002, 0.01) * if self.full { 0.1 } else { 1.0 };
        self.workload(
            "web",
            Weighted::evenly(everyone.clone()),
            Weighted::evenly(web),
            poisson(rate),
            Behaviour::Short {
                lasts_ms: Span::new(100, 3_000),
                exchanges: Span::new(1, 4),
                closing: Closing::MIXED,
            },
            Retry::USUAL,
        );

        // Names asked of a public resolver: a port per question, for 350 s.
        let resolver = self.server(60);
        let resolver = self.destination(resolver, 53, Protocol::Udp, 4, None);
        let rate = self.capacity * self.rng.uniform(0.02, 0.1) / f64::from(IDLE_TIMEOUT_S);
        self.workload(
            "dns",
            Weighted::evenly(everyone.clone()),
            Weighted::evenly([resolver]),
            poisson(rate),
            Behaviour::Leak {
                used_ms: Span::exactly(0),
                exchanges: Span::exactly(1),
                half_closed: 0.0,
                late: 0.0,
            },
            Retry::USUAL,
        );
        self.last_exchange(Exchange::DATAGRAM);

        let pinged = self.server(70);
        let pinged = self.destination(pinged, 0, Protocol::Icmp, 5, None);
        self.workload(
            "ping",
            Weighted::evenly(everyone.clone()),
            Weighted::evenly([pinged]),
            poisson(0.05),
            Behaviour::Leak {
                used_ms: Span::new(3_000, 9_000),
                exchanges: Span::new(4, 10),
                half_closed: 0.0,
                late: 0.0,
            },
            Retry::USUAL,
        );
        self.last_exchange(Exchange::DATAGRAM);

        if !self.private {
            let stranger = self.destination(Ipv4Addr::new(192, 0, 2, 200), 51_413, Protocol::Tcp, 1, None);
            self.workload(
                "unsolicited",
                Vec::new(),
                Weighted::evenly([stranger]),
                poisson(0.3),
                Behaviour::Unsolicited,
                Retry::USUAL,
            );
        }

        // Inside the VPC: the same clients without the gateway, and clients that never use it.
        let peer = self.destination(Ipv4Addr::new(10, 0, 200, 10), 6379, Protocol::Tcp, 1, None);
        let apart = self.any_client();
        self.workload(
            "inside the VPC",
            Weighted::evenly(apps.iter().copied().chain([apart])),
            Weighted::evenly([peer]),
            poisson(self.capacity * if self.full { 0.0002 } else { 0.003 }),
            Behaviour::Short {
                lasts_ms: Span::new(5, 500),
                exchanges: Span::new(1, 3),
                closing: Closing::BY_CLIENT,
            },
            Retry::USUAL,
        );
        self.route_last(Route::Direct);

        if self.rng.chance(0.35) {
            self.other_gateway(lead_s);
        }
    }

    /// A gateway beside the incident's, whose clients leak connections to the same destination
    /// without coming near a limit.
    fn other_gateway(&mut self, lead_s: u32) {
        let duration_s = self.incident.duration_s;
        let ports = self.incident.gateways[0].ports_per_address;
        let gateway = self.gateway(1, GatewayKind::Zonal, 1, ports);
        self.incident.gateways.push(gateway);
        let clients: Vec<usize> = (0..3).map(|_| self.any_client()).collect();
        self.workload(
            "through another gateway",
            Weighted::evenly(clients),
            Weighted::evenly([self.incident.subject]),
            Phase {
                from_s: lead_s / 2,
                to_s: duration_s,
                arrivals: Arrivals::Poisson { per_second: f64::from(ports) * 0.3 / 350.0 },
            },
            Behaviour::Leak {
                used_ms: Span::new(500, 3_000),
                exchanges: Span::new(1, 3),
                half_closed: 0.0,
                late: 0.0,
            },
            Retry::USUAL,
        );
        self.route_last(Route::Gateway(1));
    }

    // ---- parts

    /// A few clients, one of them clearly ahead of the others.
    fn culprits(&mut self, most_others: u32) -> Vec<Weighted> {
        /// One address has 28,232 ephemeral ports by default; whoever needs more has been tuned …
        const TUNED_ABOVE: f64 = 20_000.0;
        /// … and no address can have more than 64,512: beyond that it takes more clients.
        const MOST: f64 = 62_000.0;

        let others = self.rng.between(0, most_others);
        let mut weighted = vec![Weighted { index: self.client(0), weight: 1_000 }];
        let mut total = 1_000;
        // Attempts that wait for a port take one of the client's own as well.
        let ports = self.capacity * 1.6;
        let needed = |weight: u32, total: u32| ports * f64::from(weight) / f64::from(total);
        while weighted.len() <= others as usize || needed(1_000, total) > MOST {
            let weight = self.rng.between(60, 700);
            weighted.push(Weighted { index: self.client(0), weight });
            total += weight;
        }
        for culprit in &weighted {
            if needed(culprit.weight, total) > TUNED_ABOVE {
                let client = &mut self.incident.clients[culprit.index];
                (client.first_port, client.last_port) = (1024, 65535);
            }
        }
        weighted
    }

    /// A client in any zone, now and then one from outside the VPC.
    fn any_client(&mut self) -> usize {
        let zone = self.rng.below(self.zones as u64) as usize;
        let index = self.client(zone);
        if self.rng.chance(0.1) {
            let client = &mut self.incident.clients[index];
            client.address = IpAddr::V4(Ipv4Addr::new(10, 90, (index >> 8) as u8, index as u8));
            (client.interface_id, client.instance_id) = (None, None);
        }
        index
    }

    fn client(&mut self, zone: usize) -> usize {
        let index = self.incident.clients.len();
        let seed = self.incident.seed;
        let instance = self.rng.chance(0.8);
        // Subnets 10.0.1.0/24 and on, in turn over the addresses of each.
        let (subnet, host) = (1 + index / 200, 10 + index % 200);
        // A few have IPv6 alone, and reach servers by NAT64.
        let address = if self.rng.chance(0.06) {
            IpAddr::V6(Ipv6Addr::new(0x2600, 0x1f18, 0x1234, 0x5600, 0, 0, subnet as u16, host as u16))
        } else {
            IpAddr::V4(Ipv4Addr::new(10, 0, subnet as u8, host as u8))
        };
        self.incident.clients.push(Client {
            address,
            zone,
            subnet_id: hex_id("subnet", seed, 100 + zone as u64),
            interface_id: Some(hex_id("eni", seed, 1_000 + index as u64)),
            instance_id: instance.then(|| hex_id("i", seed, 1_000 + index as u64)),
            first_port: 32_768,
            last_port: 60_999,
        });
        index
    }

    /// Address of the server `host`, public or, behind a private gateway, in another network.
    fn server(&self, host: u8) -> Ipv4Addr {
        match (self.private, host) {
            (true, _) => Ipv4Addr::new(172, 16, 5, host),
            (false, 10) => Ipv4Addr::new(203, 0, 113, 10),
            (false, _) => Ipv4Addr::new(198, 51, 100, host),
        }
    }

    fn scanned(&self, index: usize) -> Ipv4Addr {
        let host = 20 + index as u8;
        if self.private { Ipv4Addr::new(172, 16, 9, host) } else { Ipv4Addr::new(203, 0, 113, host) }
    }

    fn destination(
        &mut self,
        address: Ipv4Addr,
        port: u16,
        protocol: Protocol,
        rtt_ms: u32,
        service: Option<String>,
    ) -> usize {
        self.incident.destinations.push(Destination {
            triple: Triple { address, port, protocol },
            rtt_ms,
            service,
        });
        self.incident.destinations.len() - 1
    }

    fn gateway(&mut self, number: u8, kind: GatewayKind, addresses: u32, ports_per_address: u32) -> Gateway {
        let seed = self.incident.seed;
        let regional = kind == GatewayKind::Regional;
        // Every zone of a regional gateway has as many addresses.
        let zones = if regional { self.zones } else { 1 };
        let addresses = (0..zones)
            .flat_map(|zone| (0..addresses as u8).map(move |i| (zone, zone as u8 * 16 + i)))
            .map(|(zone, i)| NatAddress {
                private: (!regional).then(|| Ipv4Addr::new(10, 0, 0, 100 + 100 * number + i)),
                public: (kind != GatewayKind::Private)
                    .then(|| Ipv4Addr::new(192, 0, 2, 10 + 100 * number + i)),
                zone,
            })
            .collect();
        let label = u64::from(number);
        Gateway {
            id: hex_id("nat", seed, label),
            kind,
            interface_id: (!regional).then(|| hex_id("eni", seed, label)),
            subnet_id: (!regional).then(|| hex_id("subnet", seed, label)),
            addresses,
            ports_per_address,
            allocation: *self.rng.pick(&[
                Allocation::Random,
                Allocation::Sequential,
                Allocation::LeastRecentlyUsed,
            ]),
            address_choice: *self.rng.pick(&[
                AddressChoice::HashOfClient,
                AddressChoice::HashOfFlow,
                AddressChoice::Random,
            ]),
        }
    }

    fn workload(
        &mut self,
        name: &str,
        clients: Vec<Weighted>,
        destinations: Vec<Weighted>,
        phase: Phase,
        behaviour: Behaviour,
        retry: Retry,
    ) {
        self.incident.workloads.push(Workload {
            name: name.to_owned(),
            route: Route::Gateway(0),
            clients,
            destinations,
            phases: vec![phase],
            behaviour,
            exchange: Exchange::SMALL,
            retry,
        });
    }

    fn last_exchange(&mut self, exchange: Exchange) {
        self.incident.workloads.last_mut().expect("follows a workload").exchange = exchange;
    }

    fn route_last(&mut self, route: Route) {
        self.incident.workloads.last_mut().expect("follows a workload").route = route;
    }
}

/// An id with 17 hexadecimal digits, as AWS makes them.
fn hex_id(prefix: &str, seed: u64, number: u64) -> String {
    format!("{prefix}-0{:016x}", mix(&[seed, 42, prefix.len() as u64, number]))
}
