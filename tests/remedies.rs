//! Each remedy: when it is offered, and the near misses at which it must not be.

use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;
use nat_triage::diagnosis::{Confidence, Diagnosis, Limits, Pattern, Remedy, Verdict};
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::flow::reader::{Inputs, Options};
use nat_triage::incident::{Alarm, Incident, TimeWindow};
use nat_triage::network::{
    EndpointService, FlowLog, FlowLogDestination, GatewayEndpoint, GatewayKind, HostName, InterfaceEndpoint,
    Known, Metric, NameSource, NatAddress, NatGateway, Network, PrefixList, Provenance, Quotas, Route,
    RouteTable, SiblingGateway, Subnet, TrafficType,
};
use nat_triage::triage::triage;

use crate::support::incidents::{file, incident, network as support_network};

/// Ports per address in these logs.
const CAPACITY: u32 = 200;
const START: i64 = 1_795_000_020;
/// Seconds of the window.
const WINDOW: i64 = 301;

const GATEWAY: &str = "nat-0123456789abcdef0";
const INTERFACE: &str = "eni-0123456789abcdef0";
const SIBLING: &str = "nat-0fedcba9876543210";
const VPC: &str = "vpc-0123456789abcdef0";

/// A server on the internet, one in S3's ranges, and one in `DynamoDB`'s.
const SERVER: &str = "203.0.113.10";
const S3: &str = "52.216.1.9";
const DYNAMODB: &str = "52.94.0.9";

/// Clients: two subnets in the gateway's zone a, one in zone b, and one that is not in the VPC.
const IN_A: &str = "10.0.1.9";
const IN_B: &str = "10.0.2.9";
const OUTSIDE: &str = "10.77.0.9";

const TCP: u8 = 6;
const UDP: u8 = 17;

/// One incident: who did what towards which server, in which network.
struct Case {
    pattern: Option<Pattern>,
    server: (&'static str, u16, u8),
    /// Each with how many connections it holds at once.
    clients: Vec<(String, u16)>,
    /// Other servers, each with how many connections one client holds to it all the while.
    beside: Vec<(&'static str, u16)>,
    /// Attempts that never leave the gateway.
    refused: u16,
    bytes: u64,
    network: Network,
    region: Option<&'static str>,
    zone: Option<&'static str>,
    errors: Option<f64>,
    format: &'static str,
}

const FULL_FORMAT: &str = "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status pkt-srcaddr pkt-dstaddr tcp-flags pkt-dst-aws-service";
const NO_FLAGS: &str = "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status pkt-srcaddr pkt-dstaddr";

/// 200 of 200 ports are held by a client in zone a towards a server on the internet, and more are
/// refused.
fn case(pattern: Pattern) -> Case {
    Case {
        pattern: Some(pattern),
        server: (SERVER, 443, TCP),
        clients: vec![(IN_A.into(), 200)],
        beside: Vec::new(),
        refused: 30,
        bytes: 300,
        network: network(),
        region: Some("us-east-1"),
        zone: None,
        errors: Some(100.0),
        format: FULL_FORMAT,
    }
}

impl Case {
    fn to(mut self, server: &'static str, port: u16, protocol: u8) -> Self {
        self.server = (server, port, protocol);
        self
    }

    fn by(mut self, clients: &[(&str, u16)]) -> Self {
        self.clients = clients.iter().map(|(client, held)| ((*client).to_owned(), *held)).collect();
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Network)) -> Self {
        change(&mut self.network);
        self
    }

    fn region(mut self, region: Option<&'static str>) -> Self {
        self.region = region;
        self
    }

    /// The lives of connection `n` of those that a client holds at once, by pattern: (first packet,
    /// last packet, TCP flags of both sides; 0 where nothing answers).
    fn lives(&self, n: u16) -> Vec<(i64, i64, u8)> {
        let at = i64::from(n % 290);
        match self.pattern {
            Some(Pattern::Leak) => vec![(at, at + 1, 2)],
            Some(Pattern::Churn) => (0..5).map(|minute| (minute * 60 - 20, minute * 60 + 30, 3)).collect(),
            Some(Pattern::RetryStorm) => vec![(at, at + 1, 0)],
            _ => vec![(0, 300, 2)],
        }
    }

    fn log(&self) -> String {
        let mut log = Log { text: format!("{}\n", self.format), port: 1024, case: self };
        for (client, held) in &self.clients {
            for n in 0..*held {
                for (life, &(first, last, answer)) in self.lives(n).iter().enumerate() {
                    let port = 10_000 + n + 1_000 * u16::try_from(life).expect("few");
                    log.connection((client, port), self.server.0, (first, last), answer);
                }
            }
        }
        for (server, held) in &self.beside {
            for n in 0..*held {
                log.connection((&self.clients[0].0, 30_000 + n), server, (0, 300), 2);
            }
        }
        for n in 0..self.refused {
            let at = i64::from(n % 300);
            log.attempt((&self.clients[0].0, 50_000 + n), self.server.0, (at, at), false);
        }
        // Something small all the while, so that the whole window is covered, and what was held before.
        log.connection((IN_A, 60_000), "198.51.100.200", (-360, 300), 2);
        log.text
    }

    fn diagnosed(&self) -> Diagnosis {
        let at = |second| Timestamp::from_second(START + second).expect("this century");
        let incident = Incident {
            alarm: Some(Alarm {
                name: "nat-ports".into(),
                arn: None,
                account: None,
                region: self.region.map(ToOwned::to_owned),
                state: "ALARM".into(),
                at: at(WINDOW),
                metric_account: None,
                contributor: None,
                muted: None,
            }),
            gateway: GATEWAY.parse().ok(),
            zone: self.zone.map(ToOwned::to_owned),
            window: TimeWindow::new(at(0), at(WINDOW)).ok(),
            exact_window: true,
            zone_from_metrics: false,
            errors_reported: self.errors,
            one_of_several: false,
        };
        let inputs = Inputs::from_memory([("a.log".to_owned(), self.log().into_bytes())]);
        let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
        let known = Known(self.network.clone());
        let limits = Limits { ports_per_address: CAPACITY };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(triage(incident, &known, &files, limits)).expect("readable").diagnosis
    }

    /// The remedies of the incident, which is of the pattern that it was made for.
    fn remedies(&self) -> Vec<Remedy> {
        let diagnosis = self.diagnosed();
        assert!(matches!(diagnosis.verdict, Verdict::Confirmed | Verdict::Likely), "{}", diagnosis.headline);
        if self.server.2 == TCP {
            assert_eq!(diagnosis.pattern, self.pattern, "{:?}", diagnosis.pattern_evidence);
        }
        diagnosis.remedies
    }

    fn ids(&self) -> Vec<String> {
        self.remedies().into_iter().map(|remedy| remedy.id).collect()
    }

    #[track_caller]
    fn offers(&self, id: &str) -> Remedy {
        let remedies = self.remedies();
        let ids: Vec<&str> = remedies.iter().map(|remedy| remedy.id.as_str()).collect();
        let found = remedies.iter().find(|remedy| remedy.id == id);
        found.unwrap_or_else(|| panic!("{id} is not among {ids:?}")).clone()
    }

    #[track_caller]
    fn does_not_offer(&self, id: &str) {
        let ids = self.ids();
        assert!(!ids.iter().any(|offered| offered == id), "{id} is among {ids:?}");
    }
}

/// Flow-log text of a gateway at 10.0.0.220.
struct Log<'a> {
    text: String,
    port: u16,
    case: &'a Case,
}

impl Log<'_> {
    /// One leg of a flow, as records of a minute each: its flags show in the first.
    fn leg(&mut self, from: (&str, u16), to: (&str, u16), pkt: (&str, &str), times: (i64, i64), flags: u8) {
        let ((src, sport), (dst, dport), (pkt_src, pkt_dst)) = (from, to, pkt);
        let (_, _, protocol) = self.case.server;
        let mut start = times.0;
        while start <= times.1 {
            let end = times.1.min(start + 59);
            let flags = if protocol == TCP && start == times.0 { flags } else { 0 };
            let shown = match self.case.format {
                FULL_FORMAT => format!(" {flags} {}", if pkt_dst.starts_with("52.") { "S3" } else { "-" }),
                _ => String::new(),
            };
            writeln!(
                self.text,
                "{INTERFACE} {src} {dst} {sport} {dport} {protocol} 3 {} {} {} ACCEPT OK {pkt_src} {pkt_dst}{shown}",
                self.case.bytes,
                START + start,
                START + end,
            )
            .expect("written");
            start = end + 1;
        }
    }

    fn attempt(&mut self, client: (&str, u16), server: &str, times: (i64, i64), left: bool) {
        self.outward(client, server, times, left, 2);
    }

    fn outward(&mut self, client: (&str, u16), server: &str, times: (i64, i64), left: bool, flags: u8) {
        let port = self.case.server.1;
        self.leg(client, ("10.0.0.220", port), (client.0, server), times, flags);
        if left {
            self.port += 1;
            self.leg(("10.0.0.220", self.port), (server, port), ("10.0.0.220", server), times, flags);
        }
    }

    fn connection(&mut self, client: (&str, u16), server: &str, times: (i64, i64), answer: u8) {
        // Whoever ends a connection is followed by the other side.
        self.outward(client, server, times, true, answer | 2);
        if answer > 0 {
            let (nat, port) = (self.port, self.case.server.1);
            self.leg((server, port), ("10.0.0.220", nat), (server, "10.0.0.220"), times, answer);
            self.leg(("10.0.0.220", port), client, (server, client.0), times, answer);
        }
    }
}

fn address(private: &str) -> NatAddress {
    NatAddress { private: private.parse().ok(), public: None, zone: None, usable: true }
}

fn subnet(id: &str, zone: &str, ranges: &[&str]) -> Subnet {
    Subnet {
        id: id.into(),
        zone: Some(zone.into()),
        ranges: ranges.iter().map(|range| range.parse().expect("valid")).collect(),
    }
}

fn table(id: &str, subnet_ids: &[&str], routes: &[(&str, &str)]) -> RouteTable {
    RouteTable {
        id: id.into(),
        main: false,
        subnet_ids: subnet_ids.iter().map(ToString::to_string).collect(),
        routes: routes
            .iter()
            .map(|(to, by)| Route { destination: (*to).into(), target: (*by).into() })
            .collect(),
    }
}

/// A VPC in us-east-1 with everything looked up, and nothing in place: a public gateway in zone a,
/// private subnets in a and b that route through it.
fn network() -> Network {
    let list = |id: &str, name: &str, range: &str| PrefixList {
        id: id.into(),
        name: name.into(),
        ranges: vec![range.parse().expect("valid")],
    };
    Network {
        gateway: NatGateway {
            id: GATEWAY.parse().ok(),
            addresses: vec![address("10.0.0.220")],
            interface_ids: INTERFACE.parse().into_iter().collect(),
            vpc_id: Some(VPC.into()),
            subnet_id: Some("subnet-public-a".into()),
            vpc_cidrs: vec!["10.0.0.0/16".parse().expect("valid")],
            provenance: Provenance::LookedUp,
            ..NatGateway::default()
        },
        subnets: Some(vec![
            subnet("subnet-public-a", "us-east-1a", &["10.0.0.0/24"]),
            subnet("subnet-a", "us-east-1a", &["10.0.1.0/24"]),
            subnet("subnet-b", "us-east-1b", &["10.0.2.0/24"]),
        ]),
        route_tables: Some(vec![
            table("rtb-public", &["subnet-public-a"], &[("0.0.0.0/0", "igw-1")]),
            table("rtb-a", &["subnet-a"], &[("10.0.0.0/16", "local"), ("0.0.0.0/0", GATEWAY)]),
            table("rtb-b", &["subnet-b"], &[("10.0.0.0/16", "local"), ("0.0.0.0/0", GATEWAY)]),
        ]),
        siblings: Some(Vec::new()),
        prefix_lists: Some(vec![
            list("pl-s3", "com.amazonaws.us-east-1.s3", "52.216.0.0/15"),
            list("pl-dynamodb", "com.amazonaws.us-east-1.dynamodb", "52.94.0.0/22"),
        ]),
        gateway_endpoints: Some(Vec::new()),
        interface_endpoints: Some(Vec::new()),
        endpoint_services: Some(vec![
            EndpointService {
                service_name: "com.amazonaws.us-east-1.sqs".into(),
                private_dns_names: vec!["sqs.us-east-1.amazonaws.com".into()],
            },
            EndpointService {
                service_name: "com.amazonaws.us-east-1.s3".into(),
                private_dns_names: vec!["*.s3.us-east-1.amazonaws.com".into()],
            },
        ]),
        ..Network::default()
    }
}

fn asked(name: &str, addresses: &[&str]) -> HostName {
    HostName {
        name: name.into(),
        addresses: addresses.iter().map(|a| a.parse().expect("valid")).collect(),
        source: NameSource::ResolverQueryLog,
    }
}

fn endpoint(service: &str, tables: &[&str]) -> GatewayEndpoint {
    GatewayEndpoint {
        id: "vpce-0123456789abcdef0".into(),
        service_name: format!("com.amazonaws.us-east-1.{service}"),
        vpc_id: VPC.into(),
        state: "available".into(),
        route_table_ids: tables.iter().map(ToString::to_string).collect(),
    }
}

fn everything_said(remedy: &Remedy) -> String {
    format!("{} {} {} {}", remedy.title, remedy.why, remedy.effect, remedy.hazards.join(" "))
}

// ---- gateway-endpoint-s3, gateway-endpoint-dynamodb

#[test]
fn an_exhausted_s3_address_of_this_region_gets_a_gateway_endpoint_and_it_comes_first() {
    let case = case(Pattern::LongLived).to(S3, 443, TCP);
    assert_eq!(case.ids()[0], "gateway-endpoint-s3");
    let remedy = case.offers("gateway-endpoint-s3");
    assert_eq!(
        remedy.commands[0].run,
        "aws ec2 create-vpc-endpoint --vpc-id vpc-0123456789abcdef0 --service-name com.amazonaws.us-east-1.s3 --route-table-ids rtb-a --region us-east-1"
    );
    assert_eq!(
        remedy.commands[0].undo,
        "aws ec2 delete-vpc-endpoints --vpc-endpoint-ids NEW_ENDPOINT_ID --region us-east-1"
    );
    assert_eq!((remedy.monthly_cost_usd, remedy.confidence), (Some(0.0), Confidence::High));
    assert!(remedy.title.contains("drops open connections"), "{}", remedy.title);
    let said = everything_said(&remedy);
    for word in ["aws:SourceIp", "drops the connections", "DNS hostnames", "200 of the 200 held ports (100%)"]
    {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}

#[test]
fn dynamodb_has_a_gateway_endpoint_of_its_own() {
    let remedy = case(Pattern::Leak).to(DYNAMODB, 443, TCP).offers("gateway-endpoint-dynamodb");
    assert!(remedy.commands[0].run.contains("--service-name com.amazonaws.us-east-1.dynamodb "));
}

#[test]
fn an_endpoint_that_some_route_tables_lack_is_extended_to_them() {
    let case = case(Pattern::LongLived)
        .to(S3, 443, TCP)
        .by(&[(IN_A, 80), (IN_B, 120)])
        .with(|network| network.gateway_endpoints = Some(vec![endpoint("s3", &["rtb-a"])]));
    let remedy = case.offers("gateway-endpoint-s3");
    let change = |option| {
        format!(
            "aws ec2 modify-vpc-endpoint --vpc-endpoint-id vpce-0123456789abcdef0 {option} rtb-b --region us-east-1"
        )
    };
    assert_eq!(remedy.commands[0].run, change("--add-route-table-ids"));
    assert_eq!(remedy.commands[0].undo, change("--remove-route-table-ids"));
    assert!(remedy.why.contains("120 of the 200 held ports (60%)"), "{}", remedy.why);
}

#[test]
fn the_ports_of_clients_that_cannot_use_an_endpoint_are_told_and_most_of_them_is_too_many() {
    let s3 =
        |outside| case(Pattern::LongLived).to(S3, 443, TCP).by(&[(IN_A, 200 - outside), (OUTSIDE, outside)]);
    let remedy = s3(80).offers("gateway-endpoint-s3");
    assert!(
        remedy.why.contains("80 of the 200 held ports (40%) are of clients that cannot"),
        "{}",
        remedy.why
    );
    s3(120).does_not_offer("gateway-endpoint-s3");
}

#[test]
fn an_endpoint_that_is_in_place_is_a_question_and_not_a_remedy() {
    let by_endpoint = |network: &mut Network| {
        network.gateway_endpoints = Some(vec![endpoint("s3", &["rtb-a", "rtb-b"])]);
    };
    let by_route = |network: &mut Network| {
        let tables = network.route_tables.as_mut().expect("known");
        tables[1].routes.push(Route { destination: "pl-s3".into(), target: "vpce-1".into() });
    };
    for in_place in [by_endpoint, by_route] {
        let case = case(Pattern::LongLived).to(S3, 443, TCP).with(in_place);
        case.does_not_offer("gateway-endpoint-s3");
        let gaps = case.diagnosed().gaps;
        let gap = gaps.iter().find(|gap| gap.what.contains("still takes the gateway")).expect("a gap");
        assert!(gap.fix.contains("--route-table-ids rtb-a "), "{}", gap.fix);
    }
}

#[test]
fn no_gateway_endpoint_is_offered_where_anything_that_it_rests_on_is_not_known() {
    let s3 = || case(Pattern::LongLived).to(S3, 443, TCP);
    let unknown: [fn(&mut Network); 7] = [
        // pkt-dst-aws-service says S3 in all of these.
        |network| network.prefix_lists = None,
        |network| network.prefix_lists.as_mut().expect("known")[0].ranges.clear(),
        |network| network.prefix_lists.as_mut().expect("known")[0].name = "com.amazonaws.eu-west-1.s3".into(),
        |network| network.gateway_endpoints = None,
        |network| network.route_tables = None,
        |network| network.subnets = None,
        |network| network.gateway.vpc_id = None,
    ];
    for (index, change) in unknown.into_iter().enumerate() {
        let case = s3().with(change);
        let ids = case.ids();
        assert!(!ids.iter().any(|id| id.starts_with("gateway-endpoint")), "{index}: {ids:?}");
        assert_eq!(case.diagnosed().destinations[0].service.as_deref(), Some("S3"));
    }
    s3().region(None).does_not_offer("gateway-endpoint-s3");
    s3().region(Some("eu-west-1")).does_not_offer("gateway-endpoint-s3");
}

#[test]
fn an_endpoint_of_another_vpc_or_one_that_is_gone_is_not_this_vpcs() {
    let mut deleted = endpoint("s3", &["rtb-a"]);
    deleted.state = "deleted".into();
    let mut elsewhere = endpoint("s3", &["rtb-a"]);
    elsewhere.vpc_id = "vpc-2".into();
    let case = case(Pattern::LongLived)
        .to(S3, 443, TCP)
        .with(|network| network.gateway_endpoints = Some(vec![deleted, elsewhere]));
    assert!(case.offers("gateway-endpoint-s3").commands[0].run.contains("create-vpc-endpoint"));
}

// ---- add-nat-addresses

#[test]
fn real_demand_gets_as_many_addresses_as_it_needs() {
    let remedy = case(Pattern::LongLived).offers("add-nat-addresses");
    assert_eq!(remedy.title, "Add 1 address to the gateway");
    assert!(remedy.why.contains("200 ports held and 30 connections refused"), "{}", remedy.why);
    assert_eq!(remedy.effect, "Room for 400 connections to 203.0.113.10:443/tcp instead of 200.");
    assert_eq!(remedy.monthly_cost_usd, Some(3.65));
    let runs: Vec<&str> = remedy.commands.iter().map(|command| command.run.as_str()).collect();
    assert_eq!(
        runs,
        [
            "aws ec2 allocate-address --domain vpc --query AllocationId --output text --region us-east-1",
            "aws ec2 associate-nat-gateway-address --nat-gateway-id nat-0123456789abcdef0 --allocation-ids NEW_ALLOCATION_IDS --region us-east-1",
        ]
    );
    assert!(everything_said(&remedy).contains("Terraform"));
}

#[test]
fn short_connections_that_were_refused_want_a_port_for_as_long_as_short_ones_live() {
    let mut churn = case(Pattern::Churn);
    // Connections live 50 s of the 301 s: of 600 over the window, 100 at a time.
    churn.refused = 600;
    let remedy = churn.offers("add-nat-addresses");
    assert_eq!(remedy.title, "Add 1 address to the gateway");
    assert!(remedy.why.contains("600 connections refused (about 100 at a time)"), "{}", remedy.why);
}

#[test]
fn addresses_beyond_a_quota_need_it_raised_first_and_are_no_fix_for_tonight() {
    let mut large = case(Pattern::LongLived);
    large.refused = 250;
    let remedy = large.offers("add-nat-addresses");
    assert_eq!(remedy.title, "Add 2 addresses to the gateway");
    assert!(remedy.commands[0].run.contains("--quota-code L-5F53652F --desired-value 3 "), "{remedy:?}");
    let large = large.with(|network| {
        network.quotas = Some(Quotas { addresses_per_gateway: Some(8), ..Quotas::default() });
    });
    assert!(!large.offers("add-nat-addresses").commands[0].run.contains("service-quotas"));
    // With the quota in the way, moving clients helps sooner, though it frees less.
    let places = |addresses_per_gateway| {
        let mut case = case(Pattern::LongLived).by(&[(IN_A, 80), (IN_B, 120)]).with(|network| {
            network.quotas = Some(Quotas { addresses_per_gateway, ..Quotas::default() });
        });
        case.refused = 250;
        let ids = case.ids();
        let place = |id: &str| ids.iter().position(|offered| offered == id).expect("offered");
        (place("add-nat-addresses"), place("nat-gateway-per-az"))
    };
    let (add, per_zone) = places(None);
    assert!(per_zone < add);
    let (add, per_zone) = places(Some(8));
    assert!(add < per_zone);
    let region_full = case(Pattern::LongLived).with(|network| {
        network.quotas = Some(Quotas {
            addresses_per_gateway: Some(8),
            elastic_ips: Some(5),
            elastic_ips_in_use: Some(5),
        });
    });
    let first = &region_full.offers("add-nat-addresses").commands[0].run;
    assert!(first.contains("--quota-code L-0263D0A3 --desired-value 6 "), "{first}");
}

#[test]
fn a_private_gateway_gets_private_addresses_without_a_quota() {
    let mut private = case(Pattern::LongLived).to("10.88.0.9", 443, TCP);
    private.refused = 250;
    private.network.gateway.kind = GatewayKind::Private;
    let remedy = private.offers("add-nat-addresses");
    assert_eq!(remedy.commands.len(), 1);
    assert!(remedy.commands[0].run.contains("assign-private-nat-gateway-address"), "{remedy:?}");
    assert!(remedy.commands[0].run.contains("--private-ip-address-count 2 "), "{remedy:?}");
    assert_eq!(remedy.monthly_cost_usd, Some(0.0));
}

#[test]
fn addresses_are_no_remedy_for_a_leak_a_retry_storm_or_what_is_not_known() {
    for pattern in [Pattern::Leak, Pattern::RetryStorm] {
        case(pattern).does_not_offer("add-nat-addresses");
    }
    let mut unknown = case(Pattern::LongLived);
    (unknown.format, unknown.pattern) = (NO_FLAGS, None);
    unknown.does_not_offer("add-nat-addresses");
    case(Pattern::LongLived)
        .with(|network| network.gateway.provenance = Provenance::Inferred)
        .does_not_offer("add-nat-addresses");
}

#[test]
fn a_gateway_with_all_the_addresses_that_it_can_have_is_offered_no_more() {
    let with = |addresses: u8, of_them_usable: u8| {
        case(Pattern::LongLived).with(move |network| {
            network.gateway.addresses = (0..addresses)
                .map(|n| NatAddress { usable: n < of_them_usable, ..address(&format!("10.0.0.{}", 220 + n)) })
                .collect();
        })
    };
    // Those that can't be used now count against the limit all the same.
    with(8, 1).does_not_offer("add-nat-addresses");
    with(7, 1).offers("add-nat-addresses");
    // More than eight would be needed: this alone is no answer.
    let mut large = case(Pattern::LongLived);
    large.refused = 1_500;
    large.does_not_offer("add-nat-addresses");
}

/// A regional gateway, whose records name it and show public addresses.
fn regional(scales: bool) -> Diagnosis {
    let mut text =
        "resource-id srcaddr dstaddr srcport dstport protocol start end flow-direction tcp-flags\n"
            .to_owned();
    for n in 0..230_u16 {
        let mut legs = vec![("10.0.1.9", 10_000 + n, SERVER, 443, "ingress")];
        if n < 200 {
            let nat = 1_024 + n;
            legs.push(("198.51.100.1", nat, SERVER, 443, "egress"));
            legs.push((SERVER, 443, "198.51.100.1", nat, "ingress"));
            legs.push((SERVER, 443, "10.0.1.9", 10_000 + n, "egress"));
        }
        for (src, sport, dst, dport, way) in legs {
            writeln!(text, "{GATEWAY} {src} {dst} {sport} {dport} 6 {START} {} {way} 2", START + 300)
                .expect("written");
        }
    }
    let zone = Some("us-east-1a".to_owned());
    let gateway = NatGateway {
        id: GATEWAY.parse().ok(),
        kind: GatewayKind::Regional,
        addresses: vec![NatAddress {
            private: None,
            public: "198.51.100.1".parse().ok(),
            zone: zone.clone(),
            usable: true,
        }],
        vpc_cidrs: vec!["10.0.0.0/16".parse().expect("valid")],
        scales_addresses: scales,
        provenance: Provenance::LookedUp,
        ..NatGateway::default()
    };
    let at = |second| Timestamp::from_second(START + second).expect("this century");
    let incident = Incident {
        alarm: None,
        gateway: GATEWAY.parse().ok(),
        zone,
        window: TimeWindow::new(at(0), at(WINDOW)).ok(),
        exact_window: true,
        zone_from_metrics: false,
        errors_reported: Some(100.0),
        one_of_several: false,
    };
    let inputs = Inputs::from_memory([("a.log".to_owned(), text.into_bytes())]);
    let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
    let known = Known(Network { gateway, ..Network::default() });
    let limits = Limits { ports_per_address: CAPACITY };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(triage(incident, &known, &files, limits)).expect("readable").diagnosis
}

#[test]
fn a_regional_gateway_gets_addresses_in_the_alarms_zone_unless_it_scales_them_itself() {
    let by_hand = regional(false);
    assert_eq!(by_hand.pattern, Some(Pattern::LongLived), "{}", by_hand.headline);
    let remedy = by_hand.remedies.iter().find(|r| r.id == "add-nat-addresses").expect("offered");
    assert!(remedy.commands[1].run.contains("--availability-zone us-east-1a "), "{remedy:?}");
    assert!(!regional(true).remedies.iter().any(|r| r.id == "add-nat-addresses"));
}

// ---- nat-gateway-per-az

fn sibling(zone: Option<&str>) -> SiblingGateway {
    SiblingGateway {
        id: SIBLING.parse().expect("valid"),
        kind: GatewayKind::Zonal,
        zone: zone.map(ToOwned::to_owned),
        subnet_id: None,
        usable_addresses: 1,
        errors: None,
        most_connections: None,
    }
}

#[test]
fn clients_move_to_a_gateway_only_where_it_is_not_known_to_lack_room() {
    let with = |errors: u64, connections: u64| {
        let other = SiblingGateway {
            errors: Some(errors),
            most_connections: Some(connections),
            ..sibling(Some("us-east-1b"))
        };
        case(Pattern::LongLived)
            .by(&[(IN_A, 80), (IN_B, 120)])
            .with(|network| network.siblings = Some(vec![other]))
            .offers("nat-gateway-per-az")
    };
    let free = with(0, 50);
    assert!(free.commands[0].run.contains("replace-route"), "{free:?}");
    assert!(
        free.effect.contains("at most 50 connections") && free.effect.contains("room for 150 more"),
        "{free:?}"
    );
    assert!(!everything_said(&free).contains("was not looked at"), "{free:?}");

    for (full, why) in [(with(9, 50), "could not allocate 9 ports"), (with(0, 90), "up to 90 connections")] {
        assert!(full.commands[1].run.contains("create-nat-gateway"), "a new one instead: {full:?}");
        assert!(everything_said(&full).contains(why), "{full:?}");
    }
}

#[test]
fn clients_of_another_zone_move_to_the_gateway_that_stands_in_it() {
    let case = case(Pattern::LongLived)
        .by(&[(IN_A, 80), (IN_B, 120)])
        .with(|network| network.siblings = Some(vec![sibling(Some("us-east-1b"))]));
    let remedy = case.offers("nat-gateway-per-az");
    assert!(remedy.why.contains("120 of the 200 held ports (60%)"), "{}", remedy.why);
    assert!(remedy.why.contains("rtb-b (subnet-b)"), "{}", remedy.why);
    let replace = |gateway| {
        format!(
            "aws ec2 replace-route --route-table-id rtb-b --destination-cidr-block 0.0.0.0/0 --nat-gateway-id {gateway} --region us-east-1"
        )
    };
    assert_eq!(remedy.commands.len(), 1);
    assert_eq!(remedy.commands[0].run, replace(SIBLING));
    assert_eq!(remedy.commands[0].undo, replace(GATEWAY));
    assert_eq!((remedy.monthly_cost_usd, remedy.confidence), (Some(0.0), Confidence::High));
    let said = everything_said(&remedy);
    for word in ["breaks their open connections", "allow-list", SIBLING] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    assert!(!said.contains("per GB"), "no bytes worth a cent crossed zones: {said}");
}

#[test]
fn where_no_gateway_stands_in_that_zone_a_new_one_is_made_in_a_public_subnet_of_it() {
    let by = [(IN_A, 80), (IN_B, 120)];
    for siblings in [vec![], vec![sibling(None)], vec![sibling(Some("us-east-1c"))]] {
        let case = case(Pattern::LongLived).by(&by).with(|network| network.siblings = Some(siblings.clone()));
        let remedy = case.offers("nat-gateway-per-az");
        assert!(
            remedy.commands[1].run.contains("--subnet-id PUBLIC_SUBNET_IN_US_EAST_1B --allocation-id NEW"),
            "{remedy:?}"
        );
        let runs: Vec<&str> = remedy.commands.iter().map(|command| command.run.as_str()).collect();
        let order = ["allocate-address", "create-nat-gateway", "wait nat-gateway-available", "replace-route"];
        assert!(runs.iter().zip(order).all(|(run, what)| run.contains(what)), "{runs:?}");
        assert!(runs[3].contains("--nat-gateway-id NEW_NAT_GATEWAY_IN_US_EAST_1B "), "{runs:?}");
        assert_eq!(remedy.monthly_cost_usd.map(|usd| (usd * 100.0).round()), Some(3650.0));
    }
    let public = case(Pattern::LongLived).by(&by).with(|network| {
        let subnets = network.subnets.as_mut().expect("known");
        subnets.push(subnet("subnet-public-b", "us-east-1b", &["10.0.9.0/24"]));
        let tables = network.route_tables.as_mut().expect("known");
        tables[0].subnet_ids.push("subnet-public-b".into());
    });
    let remedy = public.offers("nat-gateway-per-az");
    assert!(remedy.commands[1].run.contains("--subnet-id subnet-public-b "), "{remedy:?}");
    // An account without an address left has to ask for one first.
    let none_left = public.with(|network| {
        let quotas = Quotas { elastic_ips: Some(5), elastic_ips_in_use: Some(5), ..Quotas::default() };
        network.quotas = Some(quotas);
    });
    let remedy = none_left.offers("nat-gateway-per-az");
    assert!(remedy.commands[0].run.contains("--quota-code L-0263D0A3 --desired-value 6 "), "{remedy:?}");
    assert!(remedy.hazards[0].contains("takes minutes to days"), "read with the answer: {remedy:?}");
}

#[test]
fn nobody_is_moved_to_a_gateway_that_they_would_fill_as_well() {
    let with = |refused| {
        let mut case = case(Pattern::LongLived).by(&[(IN_B, 190), (IN_A, 10)]).with(|network| {
            let enough = SiblingGateway { usable_addresses: 2, ..sibling(Some("us-east-1b")) };
            network.siblings =
                Some(vec![SiblingGateway { errors: Some(0), most_connections: Some(180), ..enough }]);
        });
        case.refused = refused;
        case
    };
    assert!(with(5).offers("nat-gateway-per-az").commands[0].run.contains("replace-route"));
    // Of the room for 220, 190 are held already; a new gateway has one address.
    with(60).does_not_offer("nat-gateway-per-az");
}

#[test]
fn what_crossing_zones_cost_is_told_for_the_window_alone() {
    let mut heavy = case(Pattern::LongLived).by(&[(IN_A, 80), (IN_B, 120)]);
    heavy.bytes = 10 << 20;
    let effect = heavy.offers("nat-gateway-per-az").effect;
    // 120 connections with 10 MiB each way in each of 6 records.
    assert!(
        effect.contains("14.1 GiB in the 6 minutes of the window, $0.28 at $0.01 per GB each way"),
        "{effect}"
    );
}

#[test]
fn clients_stay_where_they_are_unless_another_zone_is_certain() {
    let by_b = || case(Pattern::LongLived).by(&[(IN_A, 80), (IN_B, 120)]);
    by_b().offers("nat-gateway-per-az");
    case(Pattern::LongLived).does_not_offer("nat-gateway-per-az");
    let near: [fn(&mut Network); 8] = [
        |network| network.subnets.as_mut().expect("known")[2].zone = None,
        |network| network.subnets.as_mut().expect("known")[0].zone = None,
        |network| network.subnets = None,
        |network| network.route_tables = None,
        |network| network.siblings = None,
        |network| network.gateway.kind = GatewayKind::Private,
        // One table for both zones: replacing its route would move zone a's clients as well.
        |network| {
            let tables = network.route_tables.as_mut().expect("known");
            tables[1].subnet_ids.push("subnet-b".into());
            tables[2].subnet_ids.clear();
        },
        // Zone b's clients come by a transit gateway's attachment.
        |network| network.route_tables.as_mut().expect("known")[2].routes[1].target = "tgw-1".into(),
    ];
    for (index, change) in near.into_iter().enumerate() {
        let ids = by_b().with(change).ids();
        assert!(!ids.iter().any(|id| id == "nat-gateway-per-az"), "{index}: {ids:?}");
    }
}

#[test]
fn a_table_that_zones_share_is_left_alone_and_said_to_be() {
    let case = case(Pattern::LongLived).by(&[(IN_B, 120), ("10.0.3.9", 80)]).with(|network| {
        let subnets = network.subnets.as_mut().expect("known");
        subnets.push(subnet("subnet-c", "us-east-1c", &["10.0.3.0/24"]));
        network.route_tables.as_mut().expect("known")[1].subnet_ids.push("subnet-c".into());
    });
    let remedy = case.offers("nat-gateway-per-az");
    assert!(remedy.why.contains("120 of the 200 held ports"), "{}", remedy.why);
    assert!(remedy.hazards.iter().any(|hazard| hazard.starts_with("rtb-a left alone")), "{remedy:?}");
}

// ---- limit-connections-per-client

#[test]
fn a_client_that_holds_most_is_named_with_its_share() {
    let remedy =
        case(Pattern::LongLived).by(&[(IN_A, 162), (IN_B, 38)]).offers("limit-connections-per-client");
    assert!(remedy.why.contains("10.0.1.9 holds 81% of the ports"), "{}", remedy.why);
    assert!(remedy.effect.starts_with("Without it about 38 of 200 ports stay in use."), "{}", remedy.effect);
}

#[test]
fn three_clients_that_hold_most_together_are_named() {
    let by = [(IN_A, 60), (IN_B, 50), ("10.0.1.10", 50), ("10.0.1.11", 40)];
    let remedy = case(Pattern::LongLived).by(&by).offers("limit-connections-per-client");
    assert!(remedy.commands[0].run.contains("Values=10.0.1.9,10.0.1.10,10.0.2.9 "), "{:?}", remedy.commands);
    assert!(remedy.effect.starts_with("Without them about 40 of 200 ports"), "{}", remedy.effect);
}

#[test]
fn two_or_three_clients_that_are_all_there_are_named_as_well() {
    let two = case(Pattern::LongLived).by(&[(IN_A, 90), (IN_B, 80), ("10.0.1.10", 30)]);
    assert!(two.offers("limit-connections-per-client").title.contains("two greatest holders"));
    let three = case(Pattern::LongLived).by(&[(IN_A, 68), (IN_B, 66), ("10.0.1.10", 66)]);
    assert!(three.offers("limit-connections-per-client").title.contains("three greatest holders"));
    case(Pattern::LongLived)
        .by(&[(IN_A, 50), (IN_B, 50), ("10.0.1.10", 50), ("10.0.1.11", 50)])
        .offers("limit-connections-per-client");
    case(Pattern::LongLived)
        .by(&[(IN_A, 40), (IN_B, 40), ("10.0.1.10", 40), ("10.0.1.11", 40), ("10.0.1.12", 40)])
        .does_not_offer("limit-connections-per-client");
}

#[test]
fn in_a_fan_in_nobody_is_told_to_stop() {
    let clients: Vec<String> = (0..40).map(|n| format!("10.0.1.{}", 10 + n)).collect();
    let by: Vec<(&str, u16)> = clients.iter().map(|client| (client.as_str(), 5)).collect();
    let case = case(Pattern::FanIn).by(&by);
    case.does_not_offer("limit-connections-per-client");
    case.offers("add-nat-addresses");
}

// ---- close-idle-connections, reuse-connections, stop-retry-storm

fn idle_timeouts(value: f64, baseline: Option<f64>) -> Metric {
    Metric { name: "IdleTimeoutCount".into(), statistic: "Sum".into(), value, baseline, day_before: None }
}

#[test]
fn idle_connections_are_to_be_closed_in_a_leak_or_when_idle_timeouts_rose() {
    assert_eq!(case(Pattern::Leak).offers("close-idle-connections").confidence, Confidence::High);
    case(Pattern::LongLived).does_not_offer("close-idle-connections");
    let with = |value, baseline| {
        case(Pattern::LongLived).with(move |network| network.metrics = vec![idle_timeouts(value, baseline)])
    };
    let rose = with(120.0, Some(40.0)).offers("close-idle-connections");
    assert_eq!(rose.confidence, Confidence::Medium);
    assert_eq!(
        rose.why,
        "IdleTimeoutCount was 120 in the window, 3.0 times as many as in as long a time of the hours before."
    );
    with(120.0, Some(0.0)).offers("close-idle-connections");
    for (value, baseline) in [(120.0, Some(100.0)), (0.0, Some(0.0)), (1.0, Some(0.0)), (120.0, None)] {
        with(value, baseline).does_not_offer("close-idle-connections");
    }
}

#[test]
fn connections_are_to_be_reused_in_a_churn_alone() {
    case(Pattern::Churn).offers("reuse-connections");
    for pattern in [Pattern::LongLived, Pattern::Leak, Pattern::RetryStorm] {
        case(pattern).does_not_offer("reuse-connections");
    }
}

#[test]
fn retries_are_to_stop_in_a_retry_storm_alone() {
    case(Pattern::RetryStorm).offers("stop-retry-storm");
    for pattern in [Pattern::LongLived, Pattern::Leak, Pattern::Churn] {
        case(pattern).does_not_offer("stop-retry-storm");
    }
}

#[test]
fn keepalive_is_never_a_remedy() {
    let mut seen = 0;
    for pattern in [Pattern::LongLived, Pattern::Leak, Pattern::Churn, Pattern::RetryStorm] {
        for remedy in case(pattern).with(|n| n.metrics = vec![idle_timeouts(120.0, Some(1.0))]).remedies() {
            assert!(!remedy.id.contains("keepalive") && !remedy.title.contains("keepalive"), "{remedy:?}");
            let said =
                everything_said(&remedy).replace("TCP keepalive does not help: it keeps ports taken", "");
            assert!(!said.to_lowercase().contains("keepalive"), "{said}");
            seen += 1;
        }
    }
    assert!(seen > 4);
}

// ---- use-vpc-resolver

#[test]
fn a_public_name_server_is_replaced_by_the_vpcs_resolver_over_udp_and_tcp() {
    case(Pattern::LongLived).to("198.51.100.53", 53, TCP).offers("use-vpc-resolver");
    let mut udp = case(Pattern::LongLived).to("198.51.100.53", 53, UDP);
    udp.refused = 0;
    let remedy = udp.offers("use-vpc-resolver");
    assert!(remedy.why.contains("198.51.100.53:53/udp"), "{}", remedy.why);
}

#[test]
fn a_private_name_server_and_dns_over_tls_keep_their_clients() {
    for (server, port) in [("10.88.0.53", 53), ("100.64.0.53", 53), ("198.51.100.53", 853)] {
        case(Pattern::LongLived).to(server, port, TCP).does_not_offer("use-vpc-resolver");
    }
}

// ---- spread-destination

#[test]
fn the_idle_addresses_of_a_name_that_clients_asked_for_are_named() {
    let mut case = case(Pattern::LongLived).with(|network| {
        network.names =
            vec![asked("api.example.com", &[SERVER, "203.0.113.11", "203.0.113.12", "203.0.113.13"])];
    });
    case.beside = vec![("203.0.113.11", 3), ("203.0.113.13", 90)];
    let remedy = case.offers("spread-destination");
    assert_eq!(remedy.title, "Use the other addresses of api.example.com");
    assert!(
        remedy.why.contains("203.0.113.11, 203.0.113.12 too; together they held 3, against 200 of"),
        "{}",
        remedy.why
    );
    assert!(remedy.effect.contains("over 3 of them there is room for 600 connections"), "{}", remedy.effect);
}

#[test]
fn evenly_used_addresses_and_names_that_nobody_asked_for_are_no_advice() {
    let named = |names: Vec<HostName>| case(Pattern::LongLived).with(|network| network.names = names);
    let two = [SERVER, "203.0.113.11"];
    named(vec![asked("api.example.com", &two)]).offers("spread-destination");
    let mut even = named(vec![asked("api.example.com", &two)]);
    even.beside = vec![("203.0.113.11", 150)];
    even.does_not_offer("spread-destination");
    let reverse = HostName { source: NameSource::ReverseDns, ..asked("api.example.com", &two) };
    for names in [
        vec![reverse],
        vec![asked("api.example.com", &[SERVER])],
        vec![asked("api.example.com", &[SERVER, "2001:db8::10"])],
        vec![asked("other.example.com", &["203.0.113.11", "203.0.113.12"])],
        vec![asked("$(reboot).example.com", &two)],
    ] {
        named(names).does_not_offer("spread-destination");
    }
}

// ---- ipv6-egress

/// The VPC has IPv6, and so has the subnet in zone a.
fn with_ipv6(network: &mut Network) {
    network.gateway.vpc_cidrs.push("2001:db8:1::/56".parse().expect("valid"));
    let ranges = &mut network.subnets.as_mut().expect("known")[1].ranges;
    ranges.push("2001:db8:1:1::/64".parse().expect("valid"));
}

#[test]
fn clients_that_can_have_ipv6_are_shown_the_way_out() {
    let case = || case(Pattern::LongLived).with(with_ipv6);
    let remedy = case().offers("ipv6-egress");
    assert_eq!(remedy.confidence, Confidence::Low);
    assert!(remedy.commands[0].run.contains("create-egress-only-internet-gateway --vpc-id vpc-0123"));
    assert!(remedy.commands[1].run.contains("create-route --route-table-id rtb-a --destination-ipv6"));
    let known = case().with(|n| n.names = vec![asked("api.example.com", &[SERVER, "2001:db8:9::10"])]);
    assert_eq!(known.offers("ipv6-egress").confidence, Confidence::Medium);
    let dns64 = case().with(|n| n.names = vec![asked("api.example.com", &[SERVER, "64:ff9b::203.0.113.10"])]);
    assert_eq!(dns64.offers("ipv6-egress").confidence, Confidence::Low);
}

#[test]
fn no_ipv6_is_advised_where_it_is_missing_in_place_or_of_no_use() {
    case(Pattern::LongLived).does_not_offer("ipv6-egress");
    let near: [fn(&mut Network); 5] = [
        |network| network.subnets.as_mut().expect("known")[1].ranges.truncate(1),
        |network| {
            network.gateway.vpc_cidrs.truncate(1);
        },
        |network| network.gateway.kind = GatewayKind::Private,
        |network| network.route_tables = None,
        |network| {
            let routes = &mut network.route_tables.as_mut().expect("known")[1].routes;
            routes.push(Route { destination: "::/0".into(), target: "eigw-1".into() });
        },
    ];
    for (index, change) in near.into_iter().enumerate() {
        let ids = case(Pattern::LongLived).with(with_ipv6).with(change).ids();
        assert!(!ids.iter().any(|id| id == "ipv6-egress"), "{index}: {ids:?}");
    }
    case(Pattern::LongLived).with(with_ipv6).to("10.88.0.9", 443, TCP).does_not_offer("ipv6-egress");
    // Clients in a subnet without it.
    case(Pattern::LongLived).with(with_ipv6).by(&[(IN_B, 200)]).does_not_offer("ipv6-egress");
}

// ---- interface-endpoint

const SQS: &str = "sqs.us-east-1.amazonaws.com";

fn sqs() -> Case {
    case(Pattern::LongLived).with(|network| network.names = vec![asked(SQS, &[SERVER])])
}

#[test]
fn a_service_that_clients_asked_for_by_name_gets_an_interface_endpoint_with_its_price() {
    let case = sqs().by(&[(IN_A, 80), (IN_B, 120)]);
    let remedy = case.offers("interface-endpoint");
    assert_eq!(
        remedy.commands[0].run,
        "aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --vpc-id vpc-0123456789abcdef0 --service-name com.amazonaws.us-east-1.sqs --subnet-ids subnet-a subnet-b --security-group-ids SECURITY_GROUP_ID --private-dns-enabled --region us-east-1"
    );
    assert_eq!(remedy.monthly_cost_usd.map(|usd| (usd * 100.0).round()), Some(1460.0));
    let said = everything_said(&remedy);
    for word in ["$0.01 an hour", "$0.045 a GB", "whole VPC", "security group", "policy"] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}

#[test]
fn an_interface_endpoint_without_private_dns_only_needs_it_switched_on() {
    let there = |private_dns_enabled| {
        sqs().with(move |network| {
            network.interface_endpoints = Some(vec![InterfaceEndpoint {
                id: "vpce-0123456789abcdef0".into(),
                service_name: "com.amazonaws.us-east-1.sqs".into(),
                vpc_id: VPC.into(),
                state: "available".into(),
                private_dns_enabled,
            }]);
        })
    };
    let remedy = there(false).offers("interface-endpoint");
    assert!(
        remedy.commands[0].run.contains("modify-vpc-endpoint")
            && remedy.commands[0].run.contains(" --private-dns-enabled")
    );
    assert!(remedy.commands[0].undo.contains("--no-private-dns-enabled"));
    there(true).does_not_offer("interface-endpoint");
}

#[test]
fn a_service_that_is_not_known_for_certain_gets_no_interface_endpoint() {
    let near: [fn(&mut Network); 7] = [
        |network| network.names[0].source = NameSource::ReverseDns,
        |network| network.names[0].name = "queue.example.com".into(),
        // The same address stands for something else as well.
        |network| network.names.push(asked("queue.example.com", &[SERVER])),
        |network| {
            let services = network.endpoint_services.as_mut().expect("known");
            services.push(EndpointService {
                service_name: "com.amazonaws.us-east-1.sqs-fips".into(),
                ..services[0].clone()
            });
        },
        |network| network.endpoint_services = None,
        |network| network.interface_endpoints = None,
        |network| network.gateway.vpc_id = None,
    ];
    sqs().offers("interface-endpoint");
    for (index, change) in near.into_iter().enumerate() {
        let ids = sqs().with(change).ids();
        assert!(!ids.iter().any(|id| id == "interface-endpoint"), "{index}: {ids:?}");
    }
}

#[test]
fn s3_gets_an_interface_endpoint_for_clients_outside_the_vpc_alone() {
    let s3 = |by: &[(&str, u16)]| {
        case(Pattern::LongLived)
            .to(S3, 443, TCP)
            .by(by)
            .with(|network| network.names = vec![asked("bucket.s3.us-east-1.amazonaws.com", &[S3])])
    };
    s3(&[(IN_A, 200)]).does_not_offer("interface-endpoint");
    let outside = s3(&[(IN_A, 40), (OUTSIDE, 160)]);
    outside.does_not_offer("gateway-endpoint-s3");
    let remedy = outside.offers("interface-endpoint");
    assert_eq!(remedy.confidence, Confidence::Low);
    assert!(everything_said(&remedy).contains("160 of the 200 held ports (80%) are of clients outside"));
}

// ---- enable-flow-logs, improve-flow-log-format

fn flow_log(format: &str, aggregation_seconds: u32) -> FlowLog {
    FlowLog {
        id: "fl-0123456789abcdef0".into(),
        resource_id: INTERFACE.into(),
        log_group: Some("/vpc/flow logs;reboot".into()),
        destination: FlowLogDestination::CloudWatchLogs,
        traffic: TrafficType::All,
        format: format.into(),
        aggregation_seconds,
        delivery_error: None,
        log_class: None,
        kept_from: None,
    }
}

const WHOLE: &str = "${pkt-srcaddr} ${pkt-dstaddr} ${tcp-flags}";

#[test]
fn a_format_that_shows_too_little_gets_a_second_flow_log_unless_a_better_one_is_there() {
    let poor = |logs: Vec<FlowLog>| {
        let mut case = case(Pattern::LongLived).with(|network| network.flow_logs = logs);
        (case.format, case.pattern) = (NO_FLAGS, None);
        case
    };
    let case = poor(vec![flow_log("${srcaddr}", 60)]);
    let remedy = case.offers("improve-flow-log-format");
    assert_eq!(remedy.why, "The flow log lacks tcp-flags, which show when a port was given back.");
    assert!(remedy.commands[0].run.contains("--log-group-name '/vpc/flow logs;reboot' "), "{remedy:?}");
    assert_eq!(case.ids().last().map(String::as_str), Some("improve-flow-log-format"));
    poor(vec![flow_log(WHOLE, 600)]).offers("improve-flow-log-format");
    poor(vec![flow_log("${srcaddr}", 60), flow_log(WHOLE, 60)]).does_not_offer("improve-flow-log-format");
    let failing = FlowLog { delivery_error: Some("Access error".into()), ..flow_log(WHOLE, 60) };
    poor(vec![failing]).offers("improve-flow-log-format");
    self::case(Pattern::LongLived).does_not_offer("improve-flow-log-format");
}

/// A diagnosis from files that hold nothing.
fn without_records(network: Network) -> Vec<String> {
    let mut case = case(Pattern::LongLived);
    case.network = network;
    let at = |second| Timestamp::from_second(START + second).expect("this century");
    let window = TimeWindow::new(at(0), at(WINDOW)).expect("in order");
    let incident = Incident {
        alarm: None,
        gateway: GATEWAY.parse().ok(),
        zone: None,
        window: Some(window),
        exact_window: true,
        zone_from_metrics: false,
        errors_reported: None,
        one_of_several: false,
    };
    let evidence = nat_triage::evidence::Evidence::none(window, nat_triage::evidence::Source::LogsInsights);
    let limits = Limits { ports_per_address: CAPACITY };
    let diagnosis = nat_triage::diagnosis::diagnose(&incident, &case.network, &evidence, limits);
    diagnosis.remedies.into_iter().map(|remedy| remedy.id).collect()
}

#[test]
fn a_gateway_without_a_usable_flow_log_gets_one() {
    let with = |logs: Vec<FlowLog>| without_records(Network { flow_logs: logs, ..network() });
    assert_eq!(with(vec![]), ["enable-flow-logs"]);
    let rejects = FlowLog { traffic: TrafficType::Reject, ..flow_log(WHOLE, 60) };
    let in_s3 = FlowLog { destination: FlowLogDestination::S3, ..flow_log(WHOLE, 60) };
    assert_eq!(with(vec![rejects, in_s3]), ["enable-flow-logs"]);
    // It is there, and its records have yet to arrive.
    assert_eq!(with(vec![flow_log(WHOLE, 60)]), [""; 0]);
    let unknown = Network { flow_logs_unknown: true, ..network() };
    assert_eq!(without_records(unknown), [""; 0]);
    let mut not_found = network();
    not_found.gateway.provenance = Provenance::Unknown;
    assert_eq!(without_records(not_found), [""; 0]);
}

// ---- all of them

#[test]
fn nothing_is_offered_against_a_shortage_that_there_was_not() {
    let mut calm = case(Pattern::LongLived).to(S3, 443, TCP).by(&[(IN_A, 50), (IN_B, 50)]);
    (calm.refused, calm.errors) = (0, Some(0.0));
    let diagnosis = calm.diagnosed();
    assert_eq!(diagnosis.verdict, Verdict::NotSupported, "{}", diagnosis.headline);
    assert_eq!(diagnosis.remedies, []);
}

#[test]
fn what_helps_the_most_tonight_comes_first_and_flow_logs_last() {
    let everything = |network: &mut Network| {
        with_ipv6(network);
        network.names = vec![asked("bucket.example.com", &[S3, "52.216.1.10"])];
        network.metrics = vec![idle_timeouts(500.0, Some(1.0))];
        network.flow_logs = vec![flow_log(WHOLE, 600)];
    };
    let case = case(Pattern::Churn).to(S3, 443, TCP).by(&[(IN_A, 162), (IN_B, 38)]).with(everything);
    assert_eq!(
        case.ids(),
        [
            "gateway-endpoint-s3",
            "limit-connections-per-client",
            "add-nat-addresses",
            "nat-gateway-per-az",
            "spread-destination",
            "close-idle-connections",
            "reuse-connections",
            "ipv6-egress",
        ]
    );
}

#[test]
fn nothing_from_outside_reaches_the_shell_or_the_terminal() {
    let hostile = "x'; touch /tmp/pwned; $(reboot) `id`\u{1b}[2J\u{202e}";
    let mut case = case(Pattern::LongLived).to(S3, 443, TCP).by(&[(IN_A, 80), (IN_B, 120)]);
    case = case.with(with_ipv6).with(|network| {
        network.gateway.vpc_id = Some(hostile.into());
        network.prefix_lists.as_mut().expect("known")[0].id = hostile.into();
        for (index, table) in network.route_tables.as_mut().expect("known").iter_mut().enumerate() {
            table.id = format!("{hostile}{index}");
        }
        for subnet in network.subnets.as_mut().expect("known") {
            subnet.zone = subnet.zone.as_ref().map(|zone| format!("{zone}{hostile}"));
            subnet.ranges.sort();
        }
        network.flow_logs = vec![flow_log("${srcaddr}", 600)];
    });
    let service = case.network.clone();
    let sqs = Case {
        network: Network {
            names: vec![asked(SQS, &[SERVER])],
            endpoint_services: Some(vec![EndpointService {
                service_name: hostile.into(),
                private_dns_names: vec![SQS.into()],
            }]),
            ..service
        },
        ..self::case(Pattern::LongLived)
    };
    let mut seen = std::collections::BTreeSet::new();
    for remedy in case.remedies().into_iter().chain(sqs.remedies()) {
        let said = everything_said(&remedy);
        assert!(!said.chars().any(|c| c.is_control() || c == '\u{202e}'), "{said:?}");
        for command in &remedy.commands {
            for text in [&command.run, &command.verify, &command.undo] {
                assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
                if text.starts_with("aws ") {
                    assert_eq!(programs_run_by(text), "aws", "{text}");
                }
            }
        }
        seen.insert(remedy.id);
    }
    for id in ["gateway-endpoint-s3", "nat-gateway-per-az", "ipv6-egress", "interface-endpoint"] {
        assert!(seen.contains(id), "{id} is not among {seen:?}");
    }
}

#[test]
fn not_even_a_region_reaches_the_shell() {
    let hostile = "eu-west-1'; touch /tmp/pwned; $(reboot) `id`";
    let mut unknown = case(Pattern::LongLived).region(Some(hostile));
    unknown.network.gateway.addresses.clear();
    let mut commands = 0;
    for diagnosis in [case(Pattern::LongLived).region(Some(hostile)).diagnosed(), unknown.diagnosed()] {
        let of_remedies = diagnosis.remedies.iter().flat_map(|remedy| &remedy.commands);
        let of_remedies = of_remedies.flat_map(|command| [&command.run, &command.verify]);
        let of_gaps = diagnosis.gaps.iter().map(|gap| &gap.fix).filter(|fix| fix.starts_with("aws "));
        for command in of_remedies.chain(of_gaps) {
            assert!(["aws", "aws aws"].contains(&programs_run_by(command).as_str()), "{command}");
            commands += 1;
        }
    }
    assert!(commands > 4, "{commands}");
}

/// The programs that a command line runs, where none exists but those of the shell itself: each says
/// its own name instead.
fn programs_run_by(command: &str) -> String {
    let script = format!(
        "set -f; PATH=/nonexistent; date() {{ :; }}; said() {{ printf '%s ' \"$1\" >&3; }}; aws() {{ said aws; }}; touch() {{ said touch; }}; reboot() {{ said reboot; }}; id() {{ said id; }}; {command}"
    );
    let mut shell = std::process::Command::new("/bin/sh");
    let output = shell.args(["-c", &format!("exec 3>&1 >/dev/null; {script}")]).output().expect("sh runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_context_file_says_what_was_asked_and_what_was_not() {
    let network: Network = serde_json::from_str(
        r#"{
            "prefix_lists": [{"id": "pl-1", "name": "com.amazonaws.us-east-1.s3", "ranges": ["52.216.0.0/15"]}],
            "gateway_endpoints": [],
            "subnets": [{"id": "subnet-1", "zone": "us-east-1a", "ranges": ["10.0.1.0/24", "2001:db8::/64"]}],
            "route_tables": [{"id": "rtb-1", "main": true, "routes": [{"destination": "0.0.0.0/0", "target": "nat-1"}]}],
            "siblings": [{"id": "nat-0fedcba9876543210", "zone": "us-east-1b", "usable_addresses": 2}],
            "names": [{"name": "api.example.com", "addresses": ["203.0.113.10"], "source": "resolver-query-log"}],
            "quotas": {"elastic_ips": 5}
        }"#,
    )
    .expect("a context");
    let client: IpAddr = "10.0.1.9".parse().expect("valid");
    let subnet = network.subnet_of(client).expect("of the subnet");
    assert_eq!(network.route_table_of(subnet).map(|table| table.id.as_str()), Some("rtb-1"));
    assert_eq!(
        (network.gateway_endpoints.as_deref(), network.interface_endpoints.as_deref()),
        (Some(&[][..]), None)
    );
    let again: Network =
        serde_json::from_str(&serde_json::to_string(&network).expect("JSON")).expect("the same");
    assert_eq!(again, network);
}

/// Incidents with everything known, of every pattern and kind of gateway.
#[tokio::test]
async fn whatever_the_incident_each_remedy_is_offered_once_and_only_with_its_pattern() {
    use nat_simulator::{LogFormat, Pattern as Drawn, Scale, View};
    let mut offered = std::collections::BTreeSet::new();
    for (pattern, seed) in Drawn::ALL.into_iter().flat_map(|pattern| (0..2).map(move |seed| (pattern, seed)))
    {
        let scale = Scale::Reduced { capacity: CAPACITY };
        let simulated = nat_simulator::Incident::random_of(seed, scale, pattern, true);
        let (simulation, format) = (simulated.simulate(), LogFormat::v11());
        let facts = simulation.facts();
        let text = file(&simulation.records(&View::of_gateway(&simulated, format.clone())), &format.header());
        let around = support_network(&facts, &format.header(), "nat-", 60);
        let known = Known(Network { gateway: around.gateway, ..network() });
        let inputs = Inputs::from_memory([("a.log".to_owned(), text.into_bytes())]);
        let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
        let limits = Limits { ports_per_address: facts.ports_per_address };
        let diagnosis = triage(incident(&facts), &known, &files, limits).await.expect("readable").diagnosis;
        let found = diagnosis.pattern;
        let ids: Vec<&str> = diagnosis.remedies.iter().map(|remedy| remedy.id.as_str()).collect();
        let once: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(once.len(), ids.len(), "{ids:?}");
        let demand = matches!(found, Some(Pattern::LongLived | Pattern::Churn | Pattern::FanIn));
        for (id, allowed) in [
            ("add-nat-addresses", demand),
            ("reuse-connections", found == Some(Pattern::Churn)),
            ("stop-retry-storm", found == Some(Pattern::RetryStorm)),
            ("close-idle-connections", found == Some(Pattern::Leak)),
            ("limit-connections-per-client", found != Some(Pattern::FanIn)),
        ] {
            assert!(allowed || !once.contains(id), "{id} with {found:?}");
        }
        for remedy in &diagnosis.remedies {
            let said = everything_said(remedy).replace("TCP keepalive does not help", "");
            assert!(!said.to_lowercase().contains("keepalive"), "{said}");
            assert!(
                remedy
                    .commands
                    .iter()
                    .all(|c| !c.run.is_empty() && !c.verify.is_empty() && !c.undo.is_empty())
            );
        }
        offered.extend(diagnosis.remedies.into_iter().map(|remedy| remedy.id));
    }
    assert!(offered.len() >= 4, "hardly anything was looked at: {offered:?}");
}
