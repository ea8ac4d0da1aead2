//! Each remedy: when it is offered, and the near misses at which it must not be.

use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;
use nat_triage::contract::{Confidence, Diagnosis, Pattern, Remedy, RemedyId, Verdict, When};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::flow::reader::{Inputs, Options};
use nat_triage::incident::{Alarm, Incident, TimeWindow};
use nat_triage::network::{
    EndpointService, FlowLog, FlowLogDestination, GatewayEndpoint, GatewayKind, Handles, HostName,
    InterfaceEndpoint, Known, LogClass, Metric, NameSource, NatAddress, NatGateway, Network, Owner,
    OwnerKind, OwnerSource, PrefixList, Provenance, Quotas, Route, RouteTable, SiblingGateway, Subnet,
    TrafficType,
};
use nat_triage::report;
use nat_triage::triage::triage;

use crate::support::checkout;
use crate::support::contract::assert_blanks_are_declared;
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
    /// Servers that the first client tries, once each, and that do not answer.
    scanned: u16,
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
        scanned: 0,
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
        for n in 0..self.scanned {
            let (server, at) = (format!("192.0.2.{n}"), i64::from(n % 290));
            log.attempt((&self.clients[0].0, 20_000 + n), &server, (at, at), true);
        }
        // Something small all the while, so that the whole window is covered, and what was held before.
        log.connection((IN_A, 60_000), "198.51.100.200", (-360, 300), 2);
        log.text
    }

    fn diagnosed(&self) -> Diagnosis {
        self.diagnosed_from(self.log())
    }

    /// The same of other records.
    fn diagnosed_from(&self, log: String) -> Diagnosis {
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
            // CloudWatch counts no fewer than were refused: each SYN, and its repetitions.
            errors_reported: self.errors.map(|errors| errors.max(self.refused as f64 * 3.0)),
            one_of_several: false,
            without_errors: false,
        };
        let inputs = Inputs::from_memory([("a.log".to_owned(), log.into_bytes())]);
        let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
        let known = Known(self.network.clone());
        let limits = Limits { ports_per_address: CAPACITY };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let diagnosis =
            runtime.block_on(triage(incident, &known, &files, limits)).expect("readable").diagnosis;
        assert_blanks_are_declared(&diagnosis.to_json(), "of a remedy");
        diagnosis
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

    fn owned(self, kind: OwnerKind, handles: Handles) -> Self {
        self.with(|network| network.owners = vec![owner(IN_A, kind, handles)])
    }

    fn ids(&self) -> Vec<String> {
        self.remedies().into_iter().map(|remedy| remedy.id.to_string()).collect()
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
            subnet_id: Some("subnet-0ee0000a".into()),
            vpc_cidrs: vec!["10.0.0.0/16".parse().expect("valid")],
            provenance: Provenance::LookedUp,
            ..NatGateway::default()
        },
        subnets: Some(vec![
            subnet("subnet-0ee0000a", "us-east-1a", &["10.0.0.0/24"]),
            subnet("subnet-0aaaaaaa", "us-east-1a", &["10.0.1.0/24"]),
            subnet("subnet-0bbbbbbb", "us-east-1b", &["10.0.2.0/24"]),
        ]),
        route_tables: Some(vec![
            table("rtb-0ee00000", &["subnet-0ee0000a"], &[("0.0.0.0/0", "igw-00000001")]),
            table("rtb-0aaaaaaa", &["subnet-0aaaaaaa"], &[("10.0.0.0/16", "local"), ("0.0.0.0/0", GATEWAY)]),
            table("rtb-0bbbbbbb", &["subnet-0bbbbbbb"], &[("10.0.0.0/16", "local"), ("0.0.0.0/0", GATEWAY)]),
        ]),
        siblings: Some(Vec::new()),
        prefix_lists: Some(vec![
            list("pl-00000053", "com.amazonaws.us-east-1.s3", "52.216.0.0/15"),
            list("pl-000000db", "com.amazonaws.us-east-1.dynamodb", "52.94.0.0/22"),
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

fn owner(address: &str, kind: OwnerKind, handles: Handles) -> Owner {
    Owner {
        address: address.parse().expect("valid"),
        kind,
        name: "checkout".into(),
        zone: None,
        source: OwnerSource::Lookup,
        handles,
    }
}

fn everything_said(remedy: &Remedy) -> String {
    format!("{} {} {} {}", remedy.title, remedy.why, remedy.effect, remedy.hazards.join(" "))
}

#[test]
fn the_page_on_remedies_names_every_one() {
    let page = std::fs::read_to_string(checkout().join("docs/remedies.md")).expect("there");
    let schema: serde_json::Value =
        serde_json::from_str(&nat_triage::report::schema::schema()).expect("a schema");
    let ids = schema["$defs"]["RemedyId"]["oneOf"].as_array().expect("the ids");
    assert!(ids.len() >= 16, "{ids:?}");
    for id in ids {
        let id = id["const"].as_str().expect("text");
        assert!(page.contains(&format!("`{id}`")), "{id}");
    }
}

// ---- gateway-endpoint-s3, gateway-endpoint-dynamodb

#[test]
fn an_exhausted_s3_address_gets_a_gateway_endpoint_first() {
    let case = case(Pattern::LongLived).to(S3, 443, TCP);
    assert_eq!(case.ids()[0], "gateway-endpoint-s3");
    let remedy = case.offers("gateway-endpoint-s3");
    assert_eq!(
        remedy.commands[0].run,
        "aws ec2 create-vpc-endpoint --vpc-id vpc-0123456789abcdef0 --service-name com.amazonaws.us-east-1.s3 --route-table-ids rtb-0aaaaaaa --region us-east-1"
    );
    assert_eq!(
        remedy.commands[0].undo.to_string(),
        "aws ec2 delete-vpc-endpoints --vpc-endpoint-ids NEW_ENDPOINT_ID --region us-east-1"
    );
    assert_eq!((remedy.monthly_cost_usd, remedy.confidence), (Some(0.0), Confidence::High));
    assert!(remedy.title.contains("drops open connections"), "{}", remedy.title);
    let said = everything_said(&remedy);
    for word in
        ["aws:SourceIp", "drops the open connections", "DNS hostnames", "200 of the 200 held ports (100%)"]
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
        .with(|network| network.gateway_endpoints = Some(vec![endpoint("s3", &["rtb-0aaaaaaa"])]));
    let remedy = case.offers("gateway-endpoint-s3");
    let change = |option| {
        format!(
            "aws ec2 modify-vpc-endpoint --vpc-endpoint-id vpce-0123456789abcdef0 {option} rtb-0bbbbbbb --region us-east-1"
        )
    };
    assert_eq!(remedy.commands[0].run, change("--add-route-table-ids"));
    assert_eq!(remedy.commands[0].undo.to_string(), change("--remove-route-table-ids"));
    assert!(remedy.why.contains("120 of the 200 held ports (60%)"), "{}", remedy.why);
}

#[test]
fn clients_that_cannot_use_an_endpoint_are_told() {
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
        network.gateway_endpoints = Some(vec![endpoint("s3", &["rtb-0aaaaaaa", "rtb-0bbbbbbb"])]);
    };
    let by_route = |network: &mut Network| {
        let tables = network.route_tables.as_mut().expect("known");
        tables[1].routes.push(Route { destination: "pl-00000053".into(), target: "vpce-00000001".into() });
    };
    for in_place in [by_endpoint, by_route] {
        let case = case(Pattern::LongLived).to(S3, 443, TCP).with(in_place);
        case.does_not_offer("gateway-endpoint-s3");
        let gaps = case.diagnosed().gaps;
        let gap = gaps.iter().find(|gap| gap.what.contains("still takes the gateway")).expect("a gap");
        assert!(gap.fix.to_string().contains("--route-table-ids rtb-0aaaaaaa "), "{}", gap.fix);
    }
}

#[test]
fn an_endpoint_hangs_on_what_nobody_looked_up() {
    type Forget = fn(&mut Network);
    let s3 = || case(Pattern::LongLived).to(S3, 443, TCP);
    let unknown: [(Forget, &str); 5] = [
        // pkt-dst-aws-service says S3 in all of these.
        (|network| network.prefix_lists = None, "describe-prefix-lists"),
        (|network| network.gateway_endpoints = None, "describe-vpc-endpoints"),
        (|network| network.route_tables = None, "describe-route-tables"),
        (|network| network.subnets = None, "describe-route-tables"),
        (|network| network.gateway.vpc_id = None, "describe-route-tables"),
    ];
    for (index, (change, decides)) in unknown.into_iter().enumerate() {
        let case = s3().with(change);
        let remedy = case.offers("gateway-endpoint-s3");
        let condition = remedy.condition.unwrap_or_else(|| panic!("{index}: nothing is unknown"));
        assert!(condition.command.starts_with(&format!("aws ec2 {decides} ")), "{index}: {condition:?}");
        assert!(remedy.commands[0].run.contains("--service-name com.amazonaws.us-east-1.s3 "), "{index}");
        assert_eq!(case.diagnosed().destinations[0].service.as_deref(), Some("S3"));
    }
    let files_only = s3()
        .region(None)
        .with(|network| *network = Network { gateway: network.gateway.clone(), ..Network::default() });
    let condition = files_only.offers("gateway-endpoint-s3").condition.expect("nobody looked");
    assert_eq!(
        condition.unknown,
        "whether 52.216.1.9 is Amazon S3 of this Region, which its prefix list tells"
    );
    assert!(condition.command.contains("Values=com.amazonaws.AWS_REGION.s3 "), "{condition:?}");
}

#[test]
fn no_endpoint_is_offered_for_another_regions_addresses() {
    let s3 = || case(Pattern::LongLived).to(S3, 443, TCP);
    s3().with(|network| network.prefix_lists.as_mut().expect("known")[0].ranges.clear())
        .does_not_offer("gateway-endpoint-s3");
    s3().with(|network| {
        network.prefix_lists.as_mut().expect("known")[0].name = "com.amazonaws.eu-west-1.s3".into()
    })
    .does_not_offer("gateway-endpoint-s3");
    s3().region(Some("eu-west-1")).does_not_offer("gateway-endpoint-s3");
    // Nor for clients that cannot use one.
    s3().by(&[(OUTSIDE, 200)])
        .with(|network| network.prefix_lists = None)
        .does_not_offer("gateway-endpoint-s3");
}

#[test]
fn an_endpoint_of_another_vpc_is_not_this_vpcs() {
    let mut deleted = endpoint("s3", &["rtb-0aaaaaaa"]);
    deleted.state = "deleted".into();
    let mut elsewhere = endpoint("s3", &["rtb-0aaaaaaa"]);
    elsewhere.vpc_id = "vpc-00000002".into();
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
    assert!(remedy.why.contains("200 ports were held and 30 connections were refused"), "{}", remedy.why);
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
fn refused_short_connections_want_a_port_for_a_short_time() {
    let mut churn = case(Pattern::Churn);
    // Connections live 50 s of the 301 s: of 600 over the window, 100 at a time.
    churn.refused = 600;
    let remedy = churn.offers("add-nat-addresses");
    assert_eq!(remedy.title, "Add 1 address to the gateway");
    assert!(remedy.why.contains("at least 600 connections were refused"), "{}", remedy.why);
    assert!(remedy.why.contains(" and 300 connections want a port at once"), "{}", remedy.why);
}

#[test]
fn addresses_within_the_quota_are_for_now_and_the_rest_later() {
    let mut large = case(Pattern::LongLived);
    large.refused = 250;
    let remedy = large.offers("add-nat-addresses");
    assert_eq!(remedy.title, "Add 1 address to the gateway, and 1 more once its quota is raised");
    assert_eq!((remedy.when, &remedy.condition), (When::Now, &None));
    assert_eq!(
        remedy.effect,
        "Room for 400 connections to 203.0.113.10:443/tcp instead of 200, within the quota. The rest needs 1 more, once the quota is raised: room for 600 then."
    );
    let runs: Vec<&str> = remedy.commands.iter().map(|command| command.run.as_str()).collect();
    assert!(runs[0].contains("allocate-address") && runs[1].contains("associate-nat-gateway-address"));
    assert!(runs[2].contains("--quota-code L-5F53652F --desired-value 3 "), "{runs:?}");
    let large = large.with(|network| {
        network.quotas = Some(Quotas { addresses_per_gateway: Some(8), ..Quotas::default() });
    });
    let within = large.offers("add-nat-addresses");
    assert_eq!(within.title, "Add 2 addresses to the gateway");
    assert!(within.commands.iter().all(|command| !command.run.contains("service-quotas")), "{within:?}");
}

#[test]
fn what_no_gateway_takes_is_said_to_need_a_second_one() {
    let mut huge = case(Pattern::LongLived);
    huge.refused = 1_500;
    let remedy = huge.offers("add-nat-addresses");
    assert_eq!(remedy.title, "Add 1 address to the gateway, and 6 more once its quota is raised");
    assert!(
        remedy.effect.ends_with(
            "What is then still missing needs 1 more, and a gateway can have 8 at most. Give some of these subnets a second gateway."
        ),
        "{}",
        remedy.effect
    );
}

#[test]
fn addresses_behind_a_quota_only_are_no_fix_for_tonight() {
    let full = |quotas: Quotas| case(Pattern::LongLived).with(|network| network.quotas = Some(quotas));
    let gateway = full(Quotas { addresses_per_gateway: Some(1), ..Quotas::default() });
    let region =
        full(Quotas { addresses_per_gateway: Some(8), elastic_ips: Some(5), elastic_ips_in_use: Some(5) });
    for (case, code) in
        [(gateway, "L-5F53652F --desired-value 2 "), (region, "L-0263D0A3 --desired-value 6 ")]
    {
        let remedy = case.offers("add-nat-addresses");
        assert_eq!(remedy.when, When::Later);
        assert_eq!(remedy.title, "Add 1 address to the gateway, once its quota is raised");
        assert!(remedy.commands[0].run.contains(code), "{remedy:?}");
        assert!(remedy.hazards[0].starts_with("A quota blocks this."), "{:?}", remedy.hazards);
        // Somebody can still do something.
        assert_eq!(case.remedies()[0].when, When::Now);
    }
}

#[test]
fn the_least_demand_is_what_waited_at_the_same_time() {
    let mut refused = case(Pattern::LongLived);
    refused.refused = 300;
    let why = refused.offers("add-nat-addresses").why;
    // One a second, each of which waited a second.
    assert!(
        why.contains(": between 20") && why.contains(" and 500 connections want a port at once."),
        "{why}"
    );
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
fn addresses_are_no_remedy_for_attempts_that_bring_nothing() {
    let storm = case(Pattern::RetryStorm);
    storm.does_not_offer("add-nat-addresses");
    let why = &storm.remedies()[0].why;
    assert!(
        why.ends_with("More addresses do not help: attempts without answers fill them as well."),
        "{why}"
    );
}

#[test]
fn a_leak_gets_addresses_as_a_stop_gap_with_how_long_they_last() {
    let remedy = case(Pattern::Leak).offers("add-nat-addresses");
    assert_eq!(remedy.title, "Add 1 address to the gateway as a stop-gap");
    assert_eq!(remedy.when, When::Now);
    assert!(remedy.effect.contains(" ports a minute at which it filled, "), "{}", remedy.effect);
    assert!(remedy.commands.iter().all(|command| !command.run.contains("service-quotas")), "{remedy:?}");
    // Whoever leaks is stopped first, where it is known how.
    let known = case(Pattern::Leak).owned(OwnerKind::Instance, instance());
    let ids = known.ids();
    let place = |id: &str| ids.iter().position(|offered| offered == id).expect("offered");
    assert!(place("limit-connections-per-client") < place("add-nat-addresses"), "{ids:?}");
    // Where nobody knows who it is, more addresses relieve first.
    let ids = case(Pattern::Leak).ids();
    let place = |id: &str| ids.iter().position(|offered| offered == id).expect("offered");
    assert!(place("add-nat-addresses") < place("limit-connections-per-client"), "{ids:?}");
}

#[test]
fn connections_that_may_not_be_needed_get_a_stop_gap_too() {
    let mut unknown = case(Pattern::LongLived);
    (unknown.format, unknown.pattern) = (NO_FLAGS, None);
    let remedy = unknown.offers("add-nat-addresses");
    assert!(remedy.title.ends_with("as a stop-gap"), "{}", remedy.title);
    assert!(remedy.why.ends_with("Whether all of them are needed is not known."), "{}", remedy.why);
}

#[test]
fn addresses_of_a_gateway_that_nobody_looked_at_are_conditional() {
    let inferred = case(Pattern::LongLived).with(|network| network.gateway.provenance = Provenance::Inferred);
    let remedy = inferred.offers("add-nat-addresses");
    let condition = remedy.condition.expect("conditional");
    assert_eq!(condition.unknown, "whether the gateway can have another address");
    assert!(
        condition
            .command
            .starts_with("aws ec2 describe-nat-gateways --nat-gateway-ids nat-0123456789abcdef0 ")
    );
}

#[test]
fn an_address_that_was_named_does_not_tell_the_gateways_kind() {
    let named = case(Pattern::LongLived).with(|network| {
        let gateway = NatGateway { id: GATEWAY.parse().ok(), ..NatGateway::default() };
        network.gateway = gateway.with_addresses(&["10.0.0.220".parse().expect("valid")]);
    });
    let remedy = named.offers("add-nat-addresses");
    let condition = remedy.condition.clone().expect("conditional");
    assert_eq!(condition.unknown, "whether the gateway can have another address");
    assert!(everything_said(&remedy).contains("A private gateway takes private addresses"), "{remedy:?}");
}

fn with_addresses(addresses: u8, of_them_usable: u8) -> Case {
    let mut case = case(Pattern::LongLived).with(move |network| {
        network.gateway.addresses = (0..addresses)
            .map(|n| NatAddress { usable: n < of_them_usable, ..address(&format!("10.0.0.{}", 220 + n)) })
            .collect();
    });
    case.clients[0].1 = 200 * u16::from(of_them_usable);
    case
}

#[test]
fn a_gateway_with_all_addresses_in_use_gets_another_step() {
    let full = with_addresses(8, 8);
    full.does_not_offer("add-nat-addresses");
    let first = &full.remedies()[0];
    assert_eq!(first.when, When::Now);
    assert!(
        first.why.ends_with(
            "More addresses are not possible: the gateway has 8, which is the maximum, and all are in use."
        ),
        "{}",
        first.why
    );
}

#[test]
fn addresses_that_take_no_connections_are_brought_into_use() {
    // Those that can't be used now count against the limit all the same.
    let remedy = with_addresses(8, 1).offers("add-nat-addresses");
    assert_eq!(remedy.title, "Bring the 7 of the gateway's 8 addresses into use that take no connections");
    let condition = remedy.condition.clone().expect("conditional");
    assert!(condition.command.contains("Status,FailureMessage"), "{condition:?}");
    assert!(remedy.commands[0].run.contains("disassociate-nat-gateway-address"), "{remedy:?}");
    assert!(everything_said(&remedy).contains("the primary address cannot be taken off"));
    // One more may be within the quota, which nobody asked for.
    let seven = with_addresses(7, 1).offers("add-nat-addresses");
    assert_eq!(
        seven.condition.expect("conditional").unknown,
        "whether the quota lets a gateway have 8 addresses"
    );
}

#[test]
fn every_shortage_has_a_step_for_tonight() {
    for pattern in [Pattern::LongLived, Pattern::Leak, Pattern::Churn, Pattern::RetryStorm] {
        for kind in [GatewayKind::Zonal, GatewayKind::Private] {
            for provenance in [Provenance::LookedUp, Provenance::Named, Provenance::Inferred] {
                for known in [false, true] {
                    let mut case = case(pattern);
                    let gateway = NatGateway { kind, provenance, ..case.network.gateway.clone() };
                    case.network = if known {
                        let quotas = Quotas { addresses_per_gateway: Some(1), ..Quotas::default() };
                        Network { gateway, quotas: Some(quotas), ..network() }
                    } else {
                        Network {
                            gateway: NatGateway { vpc_id: None, subnet_id: None, ..gateway },
                            ..Network::default()
                        }
                    };
                    let remedies = case.remedies();
                    let first = remedies.first().expect("a step");
                    assert_eq!(
                        first.when,
                        When::Now,
                        "{pattern:?} {kind:?} {provenance:?} {known} {first:?}"
                    );
                    assert!(first.condition.is_some() || !first.commands.is_empty(), "{first:?}");
                }
            }
        }
    }
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
        without_errors: false,
    };
    let inputs = Inputs::from_memory([("a.log".to_owned(), text.into_bytes())]);
    let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
    let known = Known(Network { gateway, ..Network::default() });
    let limits = Limits { ports_per_address: CAPACITY };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(triage(incident, &known, &files, limits)).expect("readable").diagnosis
}

#[test]
fn a_regional_gateway_gets_addresses_in_the_alarms_zone() {
    let by_hand = regional(false);
    assert_eq!(by_hand.pattern, Some(Pattern::LongLived), "{}", by_hand.headline);
    let remedy = by_hand.remedies.iter().find(|r| r.id == "add-nat-addresses").expect("offered");
    assert!(remedy.commands[1].run.contains("--availability-zone us-east-1a "), "{remedy:?}");
    let scales = regional(true).remedies;
    assert!(!scales.iter().any(|r| r.id == "add-nat-addresses"));
    assert_eq!(scales[0].when, When::Now);
    assert!(scales[0].why.contains("AWS adds them by itself"), "{}", scales[0].why);
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
fn clients_move_only_where_no_lack_of_room_is_known() {
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
    assert!(!everything_said(&free).contains("We did not look at how full"), "{free:?}");

    for (full, why) in [(with(9, 50), "could not allocate 9 ports"), (with(0, 90), "up to 90 connections")] {
        assert!(full.commands[1].run.contains("create-nat-gateway"), "a new one instead: {full:?}");
        assert!(everything_said(&full).contains(why), "{full:?}");
    }
}

#[test]
fn clients_of_another_zone_move_to_that_zones_gateway() {
    let case = case(Pattern::LongLived)
        .by(&[(IN_A, 80), (IN_B, 120)])
        .with(|network| network.siblings = Some(vec![sibling(Some("us-east-1b"))]));
    let remedy = case.offers("nat-gateway-per-az");
    assert!(remedy.why.contains("120 of the 200 held ports (60%)"), "{}", remedy.why);
    assert!(remedy.why.contains("rtb-0bbbbbbb (subnet-0bbbbbbb)"), "{}", remedy.why);
    let replace = |gateway| {
        format!(
            "aws ec2 replace-route --route-table-id rtb-0bbbbbbb --destination-cidr-block 0.0.0.0/0 --nat-gateway-id {gateway} --region us-east-1"
        )
    };
    assert_eq!(remedy.commands.len(), 1);
    assert_eq!(remedy.commands[0].run, replace(SIBLING));
    assert_eq!(remedy.commands[0].undo.to_string(), replace(GATEWAY));
    assert_eq!((remedy.monthly_cost_usd, remedy.confidence), (Some(0.0), Confidence::High));
    let said = everything_said(&remedy);
    for word in ["breaks their open connections", "allow-list", SIBLING] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    assert!(!said.contains("per GB"), "no bytes worth a cent crossed zones: {said}");
}

#[test]
fn a_zone_without_a_gateway_gets_one_in_a_public_subnet() {
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
        subnets.push(subnet("subnet-0ee0000b", "us-east-1b", &["10.0.9.0/24"]));
        let tables = network.route_tables.as_mut().expect("known");
        tables[0].subnet_ids.push("subnet-0ee0000b".into());
    });
    let remedy = public.offers("nat-gateway-per-az");
    assert!(remedy.commands[1].run.contains("--subnet-id subnet-0ee0000b "), "{remedy:?}");
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
            tables[1].subnet_ids.push("subnet-0bbbbbbb".into());
            tables[2].subnet_ids.clear();
        },
        // Zone b's clients come by a transit gateway's attachment.
        |network| network.route_tables.as_mut().expect("known")[2].routes[1].target = "tgw-00000001".into(),
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
        subnets.push(subnet("subnet-0ccccccc", "us-east-1c", &["10.0.3.0/24"]));
        network.route_tables.as_mut().expect("known")[1].subnet_ids.push("subnet-0ccccccc".into());
    });
    let remedy = case.offers("nat-gateway-per-az");
    assert!(remedy.why.contains("120 of the 200 held ports"), "{}", remedy.why);
    assert!(remedy.hazards.iter().any(|hazard| hazard.starts_with("rtb-0aaaaaaa left out")), "{remedy:?}");
}

// ---- limit-connections-per-client

#[test]
fn a_client_that_holds_most_is_named_with_its_share() {
    let remedy =
        case(Pattern::LongLived).by(&[(IN_A, 162), (IN_B, 38)]).offers("limit-connections-per-client");
    assert!(remedy.why.contains("10.0.1.9 holds 81% of the ports"), "{}", remedy.why);
    assert!(remedy.effect.starts_with("Without it, about 38 of 200 ports stay in use."), "{}", remedy.effect);
}

#[test]
fn three_clients_that_hold_most_together_are_named() {
    let by = [(IN_A, 60), (IN_B, 50), ("10.0.1.10", 50), ("10.0.1.11", 40)];
    let remedy = case(Pattern::LongLived).by(&by).offers("limit-connections-per-client");
    let condition = remedy.condition.expect("nobody knows who they are");
    assert_eq!(condition.unknown, "who owns 10.0.1.9, 10.0.1.10 and 10.0.2.9");
    assert!(condition.command.contains("Values=10.0.1.9,10.0.1.10,10.0.2.9 "), "{condition:?}");
    assert!(remedy.effect.starts_with("Without them, about 40 of 200 ports"), "{}", remedy.effect);
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

/// A gateway with as many addresses as its quota allows, whose ports are held by clients none of which stands out.
#[test]
fn what_only_helps_later_is_no_first_step_for_tonight() {
    let clients: Vec<String> = (0..40).map(|n| format!("10.0.1.{}", 10 + n)).collect();
    let by: Vec<(&str, u16)> = clients.iter().map(|client| (client.as_str(), 5)).collect();
    let case = case(Pattern::FanIn).by(&by).with(|network| {
        network.quotas = Some(Quotas { addresses_per_gateway: Some(1), ..Quotas::default() });
    });
    let diagnosis = case.diagnosed();
    let add =
        diagnosis.remedies.iter().find(|remedy| remedy.id == RemedyId::AddNatAddresses).expect("offered");
    assert_eq!((diagnosis.remedies[0].when, add.when), (When::Now, When::Later), "{:?}", diagnosis.remedies);
    let formats = [
        report::text::text(&diagnosis),
        report::markdown::markdown(&diagnosis),
        report::html::html(&diagnosis),
        report::chat::chat(&diagnosis, None).to_string(),
        report::sms::sms(&diagnosis),
    ];
    for text in formats {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!text.contains("irst: Add"), "{text}");
    }
}

fn instance() -> Handles {
    Handles {
        interface_id: Some("eni-0a1b2c3d4e5f60718".into()),
        security_groups: vec!["sg-0a1b2c3d4e5f60718".into()],
        subnet_id: Some("subnet-0a1b2c3d4e5f60718".into()),
        instance_id: Some("i-0a1b2c3d4e5f60718".into()),
        ..Handles::default()
    }
}

fn of_group() -> Handles {
    Handles { scaling_group: Some("checkout-blue".into()), ..instance() }
}

fn service() -> Handles {
    Handles { ecs_cluster: Some("prod".into()), ecs_service: Some("checkout".into()), ..Handles::default() }
}

/// What the greatest holder's cap runs, its undo, and what decides it.
fn capped(pattern: Pattern, kind: OwnerKind, handles: Handles) -> (String, String, Option<String>) {
    let remedy = case(pattern).owned(kind, handles).offers("limit-connections-per-client");
    let command = remedy.commands.last().expect("a step");
    (
        command.run.to_string(),
        command.undo.to_string(),
        remedy.condition.map(|condition| condition.command.to_string()),
    )
}

#[test]
fn an_instance_of_a_group_is_replaced_only_in_a_leak() {
    let (run, undo, condition) = capped(Pattern::Leak, OwnerKind::Instance, of_group());
    assert_eq!(
        run,
        "aws autoscaling terminate-instance-in-auto-scaling-group --instance-id i-0a1b2c3d4e5f60718 --no-should-decrement-desired-capacity --region us-east-1"
    );
    assert_eq!(
        (undo.as_str(), condition),
        (
            "nothing to undo: the group starts another instance by itself. What was on this one does not come back",
            None
        )
    );
    let (run, undo, _) = capped(Pattern::LongLived, OwnerKind::Instance, of_group());
    assert!(run.contains(" --should-decrement-desired-capacity "), "{run}");
    assert_eq!(
        undo,
        "aws autoscaling set-desired-capacity --auto-scaling-group-name checkout-blue --desired-capacity CAPACITY_BEFORE --region us-east-1"
    );
}

#[test]
fn a_restart_of_an_instance_says_what_it_loses() {
    let remedy =
        case(Pattern::Leak).owned(OwnerKind::Instance, instance()).offers("limit-connections-per-client");
    assert_eq!(remedy.title, "Restart i-0a1b2c3d4e5f60718, which has 10.0.1.9");
    assert_eq!(remedy.condition, None);
    assert_eq!(
        remedy.commands[0].run,
        "aws ec2 reboot-instances --instance-ids i-0a1b2c3d4e5f60718 --region us-east-1"
    );
    let said = everything_said(&remedy);
    assert!(said.contains("What is in memory is lost") && said.contains("it may leak again"), "{said}");
    assert!(!said.contains("several workloads"), "{said}");
}

#[test]
fn a_saved_context_without_handles_still_names_its_instance() {
    let mut old = case(Pattern::Leak).owned(OwnerKind::Instance, Handles::default());
    old.network.owners[0].name = "i-0a1b2c3d4e5f60718 checkout, of the Auto Scaling group blue".into();
    let run = &old.offers("limit-connections-per-client").commands[0].run;
    assert!(run.contains("reboot-instances --instance-ids i-0a1b2c3d4e5f60718 "), "{run}");
}

#[test]
fn a_service_gets_fresh_tasks_in_a_leak_and_else_fewer() {
    let (run, ..) = capped(Pattern::Leak, OwnerKind::EcsTask, service());
    assert_eq!(
        run,
        "aws ecs update-service --cluster prod --service checkout --force-new-deployment --region us-east-1"
    );
    let (run, undo, _) = capped(Pattern::LongLived, OwnerKind::EcsTask, service());
    assert!(run.contains("--desired-count LOWER_COUNT ") && undo.contains("--desired-count COUNT_BEFORE "));
    let task = Handles { ecs_service: None, ecs_task: Some("0123abcd".into()), ..service() };
    assert!(
        capped(Pattern::Leak, OwnerKind::EcsTask, task)
            .0
            .contains("stop-task --cluster prod --task 0123abcd ")
    );
    let (_, _, condition) = capped(Pattern::Leak, OwnerKind::EcsTask, Handles::default());
    assert!(condition.expect("of no known cluster").contains("aws ecs describe-tasks"));
}

#[test]
fn a_shared_address_is_capped_once_it_is_known_who_behind_it() {
    let subnet = Handles { subnet_id: Some("subnet-0a1b2c3d4e5f60718".into()), ..Handles::default() };
    let (run, undo, condition) = capped(Pattern::Leak, OwnerKind::LambdaFunctions, subnet);
    assert!(run.contains("put-function-concurrency --function-name FUNCTION_NAME "), "{run}");
    assert!(undo.contains("delete-function-concurrency"), "{undo}");
    assert!(condition.expect("one of several").contains("`\"subnet-0a1b2c3d4e5f60718\"`"));
    let (run, _, condition) = capped(Pattern::Leak, OwnerKind::EksNode, instance());
    assert_eq!(run, "kubectl --namespace POD_NAMESPACE rollout restart deployment/DEPLOYMENT_NAME");
    assert!(condition.expect("one of several").contains("status.hostIP==\"10.0.1.9\""));
    let (run, undo, condition) = capped(Pattern::LongLived, OwnerKind::EksPod, Handles::default());
    assert!(
        run.ends_with("scale deployment/DEPLOYMENT_NAME --replicas=LOWER_COUNT")
            && undo.contains("COUNT_BEFORE")
    );
    assert!(condition.expect("not named").contains("--field-selector status.podIP=10.0.1.9 "));
    for kind in [OwnerKind::LambdaFunctions, OwnerKind::EksNode] {
        let remedy =
            case(Pattern::Leak).owned(kind, Handles::default()).offers("limit-connections-per-client");
        assert!(everything_said(&remedy).contains("may stand for several workloads"), "{kind:?}");
    }
}

#[test]
fn a_client_from_elsewhere_is_behind_the_transit_gateway() {
    let outside = case(Pattern::Leak)
        .by(&[(OUTSIDE, 200)])
        .with(|network| network.owners = vec![owner(OUTSIDE, OwnerKind::OutsideVpc, Handles::default())]);
    let remedy = outside.offers("limit-connections-per-client");
    let condition = remedy.condition.clone().expect("somewhere");
    assert!(condition.command.contains("search-transit-gateway-routes"), "{condition:?}");
    let block = remedy.commands.last().expect("a step");
    assert!(
        block.run.contains("create-network-acl-entry") && block.run.contains(" --cidr-block 10.77.0.9/32 ")
    );
    assert!(block.undo.to_string().contains("delete-network-acl-entry"), "{}", block.undo.to_string());
    assert!(everything_said(&remedy).contains("everything else in subnet-0ee0000a"), "{remedy:?}");
}

#[test]
fn of_several_holders_those_that_are_known_are_capped_first() {
    let by = [(IN_A, 90), (IN_B, 80), ("10.0.1.10", 30)];
    let mut case = case(Pattern::Leak).by(&by).owned(OwnerKind::Instance, instance());
    let remedy = case.offers("limit-connections-per-client");
    assert_eq!(remedy.condition, None);
    assert!(remedy.commands[0].run.contains("reboot-instances"), "{remedy:?}");
    assert!(remedy.commands[1].does.contains("who owns 10.0.2.9"), "{remedy:?}");
    // Two that one group has are told once.
    case.network.owners =
        vec![owner(IN_A, OwnerKind::EcsTask, service()), owner(IN_B, OwnerKind::EcsTask, service())];
    assert_eq!(case.offers("limit-connections-per-client").commands.len(), 1);
}

#[test]
fn each_client_that_is_shut_out_has_a_rule_of_its_own() {
    let by = [(IN_A, 67), (IN_B, 67), ("10.0.1.10", 66)];
    let remedy = case(Pattern::Leak).by(&by).offers("limit-connections-per-client");
    let rules: Vec<&str> = remedy
        .commands
        .iter()
        .filter_map(|command| {
            Some(command.run.split_once("network-acl-entry ")?.1.split_once("--rule-number ")?.1)
        })
        .map(|after| after.split(' ').next().expect("a number"))
        .collect();
    assert_eq!(rules, ["1", "2", "3"], "{remedy:?}");
    for (rule, command) in rules.iter().zip(&remedy.commands[1..]) {
        let undo = command.undo.to_string();
        assert!(undo.contains(&format!("--rule-number {rule} ")), "{undo}");
    }
    let said = everything_said(&remedy);
    assert!(said.contains("they may leak again") && said.contains("breaks off their work"), "{said}");
}

#[test]
fn the_size_before_is_noted_before_it_is_changed() {
    let lowered = case(Pattern::LongLived).owned(OwnerKind::Instance, of_group());
    let remedy = lowered.offers("limit-connections-per-client");
    let undo = remedy.commands[0].undo.to_string();
    let note = "Run the command under Verify before as well, and write down the desired capacity";
    assert!(undo.contains("CAPACITY_BEFORE") && everything_said(&remedy).contains(note), "{remedy:?}");
    assert!(remedy.commands[0].verify.contains("DesiredCapacity"), "{remedy:?}");
    let lowered = case(Pattern::LongLived).owned(OwnerKind::EcsTask, service());
    let remedy = lowered.offers("limit-connections-per-client");
    assert!(remedy.commands[0].undo.to_string().contains("COUNT_BEFORE"), "{remedy:?}");
    assert!(everything_said(&remedy).contains("write down the desired count"), "{remedy:?}");
}

#[test]
fn a_client_joined_by_port_is_looked_at_before_it_is_stopped() {
    let v2 = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
    let mut text = format!("{v2}\n");
    let mut line = |src: &str, sport: u16, dst: &str, dport: u16, end: i64| {
        writeln!(
            text,
            "2 1 {INTERFACE} {src} {dst} {sport} {dport} 6 3 300 {} {} ACCEPT OK",
            START,
            START + end
        )
        .expect("written");
    };
    for n in 0..230_u16 {
        line(IN_A, 10_000 + n, "10.0.0.220", 443, 300);
        if n < 200 {
            line("10.0.0.220", 1_024 + n, SERVER, 443, 300);
            line(SERVER, 443, "10.0.0.220", 1_024 + n, 300);
            line("10.0.0.220", 443, IN_A, 10_000 + n, 300);
        }
    }
    let case = case(Pattern::LongLived).owned(OwnerKind::Instance, instance());
    let diagnosis = case.diagnosed_from(text);
    let limit = diagnosis.remedies.iter().find(|r| r.id == RemedyId::LimitConnectionsPerClient);
    let limit = limit.unwrap_or_else(|| panic!("{} {:?}", diagnosis.headline, diagnosis.remedies));
    let condition = limit.condition.clone().expect("joined by the port");
    assert!(condition.unknown.contains("by the port only"), "{condition:?}");
    assert!(
        condition.command.starts_with("aws ssm start-session --target i-0a1b2c3d4e5f60718 "),
        "{condition:?}"
    );
}

// ---- isolate-client

#[test]
fn a_client_that_scans_is_to_be_isolated_whatever_else_is_found() {
    let mut scan = case(Pattern::LongLived).by(&[(IN_A, 10)]).owned(OwnerKind::Instance, of_group());
    (scan.scanned, scan.refused, scan.errors) = (150, 0, None);
    let diagnosis = scan.diagnosed();
    let found = diagnosis.scan.clone().expect("a scan");
    assert_eq!((found.client, found.destinations, found.in_vain), (IN_A.parse().ok(), 152, 150));
    let remedy = &diagnosis.remedies[0];
    assert_eq!(remedy.id, RemedyId::IsolateClient);
    assert!(remedy.title.contains("may be compromised"), "{}", remedy.title);
    let runs: Vec<&str> = remedy.commands.iter().map(|command| command.run.as_str()).collect();
    assert!(runs[0].contains("autoscaling enter-standby"), "{runs:?}");
    assert!(runs[3].contains("--network-interface-id eni-0a1b2c3d4e5f60718 --groups NEW_SECURITY_GROUP_ID "));
    assert!(
        remedy.commands[3].undo.to_string().contains("--groups sg-0a1b2c3d4e5f60718 "),
        "{}",
        remedy.commands[3].undo.to_string()
    );
    // Whatever egress a new group has is revoked: with IPv6 also ::/0.
    assert!(
        runs[2].contains("--security-group-rule-ids $(aws ec2 describe-security-group-rules "),
        "{runs:?}"
    );
    assert!(!runs[2].contains("0.0.0.0/0"), "{runs:?}");
    let said = everything_said(remedy);
    assert!(
        said.contains("Do not stop, restart or terminate the client") && said.contains("locks out"),
        "{said}"
    );
    let mail = nat_triage::report::text::text(&diagnosis);
    let first = mail.lines().take(2).collect::<Vec<_>>().join(" ");
    assert!(first.contains(IN_A) && first.contains("scans") && first.contains("compromised"), "{first}");
    assert!(mail.contains("Do first: Find out whether 10.0.1.9 is meant to scan"), "{mail}");
}

#[test]
fn a_crawler_that_is_answered_does_not_hide_a_scanner() {
    let mut scan = case(Pattern::LongLived).by(&[(IN_A, 10), (IN_B, 10)]);
    (scan.scanned, scan.refused, scan.errors) = (150, 0, None);
    let servers: Vec<String> = (0..200).map(|n| format!("198.51.100.{n}")).collect();
    let mut text = scan.log();
    let mut log = Log { text: String::new(), port: 40_000, case: &scan };
    for (n, server) in (0..).zip(&servers) {
        log.connection((IN_B, 20_000 + n), server, (5, 25), 3);
    }
    text.push_str(&log.text);
    let found = scan.diagnosed_from(text).scan.expect("a scan");
    assert_eq!(found.client, IN_A.parse().ok());
}

// ---- split-over-gateways

#[test]
fn a_subnets_route_moves_to_a_sibling_with_room() {
    let roomy = |connections| SiblingGateway {
        errors: Some(0),
        most_connections: Some(connections),
        ..sibling(Some("us-east-1a"))
    };
    let with = |connections| {
        case(Pattern::LongLived)
            .by(&[(IN_A, 120), ("10.0.0.9", 80)])
            .with(|network| network.siblings = Some(vec![roomy(connections)]))
    };
    let remedy = with(10).offers("split-over-gateways");
    let step = remedy.commands.last().expect("a step");
    assert_eq!(
        step.run,
        "aws ec2 create-route --route-table-id rtb-0aaaaaaa --destination-cidr-block 203.0.113.10/32 --nat-gateway-id nat-0fedcba9876543210 --region us-east-1"
    );
    assert_eq!(
        step.undo.to_string(),
        "aws ec2 delete-route --route-table-id rtb-0aaaaaaa --destination-cidr-block 203.0.113.10/32 --region us-east-1"
    );
    assert!(remedy.title.contains("breaks their open connections to it"), "{}", remedy.title);
    assert!(remedy.hazards[0].contains("and no others"), "{:?}", remedy.hazards);
    // One without room is passed by for a new one.
    let remedy = with(150).offers("split-over-gateways");
    assert!(remedy.commands.iter().any(|command| command.run.contains("create-nat-gateway")), "{remedy:?}");
    assert_eq!(remedy.monthly_cost_usd, Some(36.5));
}

#[test]
fn nobody_moves_for_attempts_that_bring_nothing() {
    for id in ["split-over-gateways", "nat-gateway-per-az"] {
        case(Pattern::RetryStorm).by(&[(IN_A, 80), (IN_B, 120)]).does_not_offer(id);
    }
}

// ---- close-idle-connections, reuse-connections, stop-retry-storm

fn idle_timeouts(value: f64, baseline: Option<f64>) -> Metric {
    Metric {
        name: "IdleTimeoutCount".into(),
        statistic: "Sum".into(),
        value,
        baseline,
        day_before: None,
        greatest_at: None,
    }
}

#[test]
fn idle_connections_are_closed_in_a_leak_or_after_a_rise() {
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
fn whether_the_silent_destination_answers_is_tried_first() {
    let remedy = case(Pattern::RetryStorm).offers("stop-retry-storm");
    let condition = remedy.condition.expect("not known");
    assert!(condition.command.starts_with("nc -z -v -w 5 203.0.113.10 443"), "{condition:?}");
    assert_eq!(remedy.commands[0].does, "shows who owns 10.0.1.9", "{:?}", remedy.commands);
}

#[test]
fn of_very_many_who_retry_no_three_are_to_be_stopped() {
    let clients: Vec<String> = (0..200).map(|n| format!("10.0.1.{}", 10 + n)).collect();
    let by: Vec<(&str, u16)> = clients.iter().map(|client| (client.as_str(), 1)).collect();
    let storm = case(Pattern::RetryStorm).by(&by);
    let remedy = storm.offers("stop-retry-storm");
    assert_eq!(
        remedy.title,
        "If 203.0.113.10:443/tcp answers nobody, bring it back. If it answers, stop whoever retries"
    );
    assert_eq!(remedy.commands, []);
}

#[test]
fn keepalive_is_never_a_remedy() {
    let mut seen = 0;
    for pattern in [Pattern::LongLived, Pattern::Leak, Pattern::Churn, Pattern::RetryStorm] {
        for remedy in case(pattern).with(|n| n.metrics = vec![idle_timeouts(120.0, Some(1.0))]).remedies() {
            assert!(
                !remedy.id.as_str().contains("keepalive") && !remedy.title.contains("keepalive"),
                "{remedy:?}"
            );
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
fn a_public_name_server_gives_way_to_the_vpcs_resolver() {
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
fn the_idle_addresses_of_an_asked_for_name_are_named() {
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
fn evenly_used_addresses_are_no_advice() {
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
    assert!(remedy.commands[1].run.contains("create-route --route-table-id rtb-0aaaaaaa --destination-ipv6"));
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
            routes.push(Route { destination: "::/0".into(), target: "eigw-00000001".into() });
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
fn a_service_asked_for_by_name_gets_an_interface_endpoint() {
    let case = sqs().by(&[(IN_A, 80), (IN_B, 120)]);
    let remedy = case.offers("interface-endpoint");
    assert_eq!(
        remedy.commands[0].run,
        "aws ec2 create-vpc-endpoint --vpc-endpoint-type Interface --vpc-id vpc-0123456789abcdef0 --service-name com.amazonaws.us-east-1.sqs --subnet-ids subnet-0aaaaaaa subnet-0bbbbbbb --security-group-ids SECURITY_GROUP_ID --private-dns-enabled --region us-east-1"
    );
    assert_eq!(remedy.monthly_cost_usd.map(|usd| (usd * 100.0).round()), Some(1460.0));
    let said = everything_said(&remedy);
    for word in ["$0.01 an hour", "$0.045 a GB", "whole VPC", "security group", "policy"] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}

#[test]
fn an_interface_endpoint_may_only_need_private_dns() {
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
    assert!(remedy.commands[0].undo.to_string().contains("--no-private-dns-enabled"));
    there(true).does_not_offer("interface-endpoint");
}

#[test]
fn an_uncertain_service_gets_no_interface_endpoint() {
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
fn s3_gets_an_interface_endpoint_only_for_clients_outside() {
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
        log_group: Some("/vpc/flow-logs".into()),
        destination: FlowLogDestination::CloudWatchLogs,
        traffic: TrafficType::All,
        format: format.into(),
        aggregation_seconds,
        delivery_error: None,
        log_class: Some(LogClass::Standard),
        kept_from: None,
        stored_bytes: None,
        in_bucket: None,
    }
}

const WHOLE: &str = "${pkt-srcaddr} ${pkt-dstaddr} ${tcp-flags}";

#[test]
fn a_poor_format_gets_a_second_flow_log() {
    let poor = |logs: Vec<FlowLog>| {
        let mut case = case(Pattern::LongLived).with(|network| network.flow_logs = logs);
        (case.format, case.pattern) = (NO_FLAGS, None);
        case
    };
    let case = poor(vec![flow_log("${srcaddr}", 60)]);
    let remedy = case.offers("improve-flow-log-format");
    assert_eq!(remedy.why, "The flow log lacks tcp-flags, which show when a port was given back.");
    assert!(remedy.commands[0].run.contains("--log-group-name /vpc/flow-logs "), "{remedy:?}");
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
        without_errors: false,
    };
    let evidence = nat_triage::evidence::Evidence::none(window, nat_triage::evidence::Source::LogsInsights);
    let limits = Limits { ports_per_address: CAPACITY };
    let diagnosis = nat_triage::diagnosis::diagnose(&incident, &case.network, &evidence, limits);
    diagnosis.remedies.into_iter().map(|remedy| remedy.id.to_string()).collect()
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
            "add-nat-addresses",
            "nat-gateway-per-az",
            // Nobody knows whose the address is.
            "limit-connections-per-client",
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
    let handles = Handles {
        scaling_group: Some(hostile.into()),
        ecs_cluster: Some(hostile.into()),
        ecs_service: Some(hostile.into()),
        eks_cluster: Some(hostile.into()),
        security_groups: vec![hostile.into()],
        ..instance()
    };
    let kinds = [
        OwnerKind::Instance,
        OwnerKind::EcsTask,
        OwnerKind::LambdaFunctions,
        OwnerKind::EksNode,
        OwnerKind::EksPod,
        OwnerKind::LoadBalancer,
        OwnerKind::Interface,
    ];
    let mut of_owners = Vec::new();
    for (kind, pattern) in kinds.iter().flat_map(|kind| [(*kind, Pattern::Leak), (*kind, Pattern::LongLived)])
    {
        let mut owned = self::case(pattern).owned(kind, handles.clone());
        owned.network.owners[0].name = hostile.into();
        owned.network.gateway.subnet_id = Some(hostile.into());
        owned.scanned = 150;
        of_owners.extend(owned.diagnosed().remedies);
    }
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
    for remedy in case.remedies().into_iter().chain(sqs.remedies()).chain(of_owners) {
        let said = everything_said(&remedy);
        assert!(!said.chars().any(|c| c.is_control() || c == '\u{202e}'), "{said:?}");
        for command in &remedy.commands {
            for text in [command.run.as_str(), &command.verify, &command.undo.to_string()] {
                assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
                if text.starts_with("aws ") || text.starts_with("kubectl ") {
                    assert!(
                        ["aws", "aws aws", "kubectl"].contains(&programs_run_by(text).as_str()),
                        "{text}"
                    );
                }
            }
        }
        if let Some(condition) = &remedy.condition {
            let run = programs_run_by(&condition.command);
            assert!(["aws", "aws aws", "kubectl"].contains(&run.as_str()), "{run}: {condition:?}");
        }
        seen.insert(remedy.id.as_str());
    }
    // What is left once all that does not have AWS's form is taken out.
    for id in ["add-nat-addresses", "limit-connections-per-client", "isolate-client"] {
        assert!(seen.contains(id), "{id} is not among {seen:?}");
    }
}

/// Every command that a report holds.
fn commands_of(diagnosis: &Diagnosis) -> Vec<String> {
    let mut commands = Vec::new();
    for remedy in &diagnosis.remedies {
        let of_remedy = remedy.commands.iter();
        commands
            .extend(of_remedy.flat_map(|c| [c.run.to_string(), c.verify.to_string(), c.undo.to_string()]));
        commands.extend(remedy.condition.iter().map(|condition| condition.command.to_string()));
    }
    commands.extend(diagnosis.gaps.iter().map(|gap| gap.fix.to_string()));
    let begin = |text: &String| ["aws ", "AWS_REGION="].iter().filter_map(|command| text.find(command)).min();
    commands.into_iter().filter_map(|text| begin(&text).map(|at| text[at..].to_owned())).collect()
}

#[test]
fn each_argument_of_a_printed_command_is_one_that_we_wrote() {
    let mut tried = 0;
    for hostile in [
        "--endpoint-url=http://127.0.0.1:18555",
        "file:///srv/private.txt",
        "http://127.0.0.1:18555/",
        "x,Name=y,Values=18555",
        "subnet-0aaaaaaa --profile 18555",
    ] {
        let of_network = |network: &mut Network| {
            let gateway = &mut network.gateway;
            gateway.vpc_id = Some(hostile.into());
            gateway.subnet_id = Some(hostile.into());
            network.region = Some(hostile.into());
            network.flow_logs = vec![FlowLog {
                id: hostile.into(),
                log_group: Some(hostile.into()),
                ..flow_log("${srcaddr}", 600)
            }];
        };
        type Spoil = fn(&mut Network, &str);
        // One at a time, so that the others still lead to their commands.
        let spoils: [Spoil; 7] = [
            |network, hostile| network.gateway.vpc_id = Some(hostile.into()),
            |network, hostile| {
                network
                    .route_tables
                    .as_mut()
                    .expect("known")
                    .iter_mut()
                    .for_each(|table| table.id = hostile.into());
            },
            |network, hostile| {
                let tables = network.route_tables.as_mut().expect("known").iter_mut();
                tables.flat_map(|table| &mut table.routes).for_each(|route| route.target = hostile.into());
            },
            |network, hostile| {
                network
                    .subnets
                    .as_mut()
                    .expect("known")
                    .iter_mut()
                    .for_each(|subnet| subnet.id = hostile.into());
            },
            |network, hostile| network.prefix_lists.as_mut().expect("known")[0].id = hostile.into(),
            |network, hostile| {
                let subnets = network.subnets.as_mut().expect("known").iter_mut();
                subnets.for_each(|subnet| subnet.zone = Some(hostile.into()));
            },
            |network, hostile| network.gateway.subnet_id = Some(hostile.into()),
        ];
        let to_s3 = || case(Pattern::LongLived).to(S3, 443, TCP).by(&[(IN_A, 80), (IN_B, 120)]);
        let mut cases: Vec<Case> = spoils
            .into_iter()
            .map(|spoil| to_s3().with(with_ipv6).with(|network| spoil(network, hostile)))
            .collect();
        cases.push(to_s3().with(of_network));
        let handles = Handles {
            interface_id: Some(hostile.into()),
            instance_id: Some(hostile.into()),
            subnet_id: Some(hostile.into()),
            scaling_group: Some(hostile.into()),
            ecs_cluster: Some(hostile.into()),
            ecs_service: Some(hostile.into()),
            ecs_task: Some(hostile.into()),
            eks_cluster: Some(hostile.into()),
            lambda_function: Some(hostile.into()),
            security_groups: vec![hostile.into()],
        };
        for kind in [OwnerKind::Instance, OwnerKind::EcsTask, OwnerKind::EksNode, OwnerKind::EksPod] {
            let mut owned = case(Pattern::Leak).owned(kind, handles.clone());
            owned.scanned = 150;
            cases.push(owned);
        }
        for case in cases {
            let diagnosis = case.diagnosed();
            let misfits = diagnosis.gaps.iter().any(|gap| gap.what.contains("form that AWS gives"));
            assert!(misfits, "{hostile} is not named: {:?}", diagnosis.gaps);
            for command in commands_of(&diagnosis) {
                tried += 1;
                for argument in arguments_of(&command) {
                    let foreign = argument.contains("18555") || argument.contains("private.txt");
                    assert!(!foreign, "{argument:?} of {command}");
                }
            }
        }
    }
    assert!(tried > 200, "{tried}");
}

/// What `aws` is given where a shell runs this line.
fn arguments_of(line: &str) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let stub = folder.path().join("aws");
    std::fs::write(&stub, "#!/bin/sh\nprintf '%s\\0' \"$@\" >&2\n").expect("written");
    std::fs::set_permissions(&stub, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("allowed");
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let output = std::process::Command::new("sh").env_clear().env("PATH", path).args(["-c", line]).output();
    let printed = output.expect("sh runs").stderr;
    String::from_utf8_lossy(&printed).split('\0').map(str::to_owned).collect()
}

#[test]
fn not_even_a_region_reaches_the_shell() {
    let hostile = "eu-west-1'; touch /tmp/pwned; $(reboot) `id`";
    let mut unknown = case(Pattern::LongLived).region(Some(hostile));
    unknown.network.gateway.addresses.clear();
    let mut commands = 0;
    for diagnosis in [case(Pattern::LongLived).region(Some(hostile)).diagnosed(), unknown.diagnosed()] {
        let of_remedies = diagnosis.remedies.iter().flat_map(|remedy| &remedy.commands);
        let of_remedies = of_remedies.flat_map(|command| [command.run.as_str(), &command.verify]);
        let of_gaps = diagnosis.gaps.iter().filter_map(|gap| gap.fix.command());
        let of_gaps = of_gaps.filter(|command| command.starts_with("aws "));
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
        "set -f; PATH=/nonexistent; date() {{ :; }}; said() {{ printf '%s ' \"$1\" >&3; }}; aws() {{ said aws; }}; kubectl() {{ said kubectl; }}; touch() {{ said touch; }}; reboot() {{ said reboot; }}; id() {{ said id; }}; {command}"
    );
    let mut shell = std::process::Command::new("/bin/sh");
    let output = shell.args(["-c", &format!("exec 3>&1 >/dev/null; {script}")]).output().expect("sh runs");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn a_context_file_says_what_was_asked_and_what_was_not() {
    let network: Network = serde_json::from_str(
        r#"{
            "prefix_lists": [{"id": "pl-00000001", "name": "com.amazonaws.us-east-1.s3", "ranges": ["52.216.0.0/15"]}],
            "gateway_endpoints": [],
            "subnets": [{"id": "subnet-00000001", "zone": "us-east-1a", "ranges": ["10.0.1.0/24", "2001:db8::/64"]}],
            "route_tables": [{"id": "rtb-00000001", "main": true, "routes": [{"destination": "0.0.0.0/0", "target": "nat-1"}]}],
            "siblings": [{"id": "nat-0fedcba9876543210", "zone": "us-east-1b", "usable_addresses": 2}],
            "names": [{"name": "api.example.com", "addresses": ["203.0.113.10"], "source": "resolver-query-log"}],
            "quotas": {"elastic_ips": 5}
        }"#,
    )
    .expect("a context");
    let client: IpAddr = "10.0.1.9".parse().expect("valid");
    let subnet = network.subnet_of(client).expect("of the subnet");
    assert_eq!(network.route_table_of(subnet).map(|table| table.id.as_str()), Some("rtb-00000001"));
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
async fn each_remedy_is_offered_once_and_only_with_its_pattern() {
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
        let in_vain = matches!(found, Some(Pattern::RetryStorm | Pattern::Scan));
        for (id, allowed) in [
            ("add-nat-addresses", !in_vain),
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
                    .all(|c| !c.run.is_empty() && !c.verify.is_empty() && !c.undo.to_string().is_empty())
            );
        }
        offered.extend(diagnosis.remedies.into_iter().map(|remedy| remedy.id));
    }
    assert!(offered.len() >= 4, "hardly anything was looked at: {offered:?}");
}

/// With `UPDATE_DOCS` set, what the repository holds is written anew.
#[test]
fn remedies_in_docs_are_those_of_the_code() {
    let path = checkout().join("docs/remedies.md");
    let made = nat_triage::diagnosis::remedies_as_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).expect("writable");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, made, "docs/remedies.md is old: run UPDATE_DOCS=1 cargo test remedies_in_docs");
}
