//! What the records show is held against what CloudWatch counted in the same minutes, and no verdict stands on
//! what contradicts it. Each by the false answer that it once led to.

use std::fmt::Write as _;

use jiff::Timestamp;
use nat_triage::contract::{Diagnosis, Verdict};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::Attribution;
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::flow::reader::{Inputs, Options};
use nat_triage::incident::{Alarm, Incident, TimeWindow};
use nat_triage::network::{GatewayKind, Known, Metric, NatAddress, NatGateway, Network, Provenance};
use nat_triage::report;
use nat_triage::triage::triage;

/// Ports per address in these logs.
const PORTS: u32 = 400;

/// A full minute.
const START: i64 = 1_795_000_020;

const INTERFACE: &str = "eni-0aa11bb22cc33dd44";
const SERVER: (&str, u16) = ("203.0.113.70", 443);
const PRIMARY: &str = "10.0.0.220";

/// What a flow log shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// The default format: neither packet addresses nor TCP flags.
    V2,
    /// With both.
    V5,
}

const BOTH: [Format; 2] = [Format::V2, Format::V5];

/// A flow log of a gateway's interface.
struct Log {
    format: Format,
    text: String,
    next_port: u16,
}

/// One way of a flow.
struct Leg<'a> {
    from: (&'a str, u16),
    to: (&'a str, u16),
    /// The packets' own addresses.
    packet: (&'a str, &'a str),
    protocol: u8,
    packets: u64,
    times: (i64, i64),
    flags: u8,
    action: &'a str,
}

impl Log {
    /// With one connection long before, so that the records reach back as far as a port is held idle.
    fn new(format: Format) -> Self {
        let mut log = Self::without_before(format);
        log.connection(("10.0.1.250", 39_999), ("203.0.113.250", 8443), (-1_100, -1_000), 3);
        for minute in -17..12 {
            let at = minute * 60 + 5;
            log.connection(
                ("10.0.1.250", (40_100 + minute) as u16),
                ("203.0.113.250", 8443),
                (at, at + 1),
                3,
            );
        }
        log
    }

    fn without_before(format: Format) -> Self {
        let common = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
        let more = if format == Format::V5 { " pkt-srcaddr pkt-dstaddr tcp-flags" } else { "" };
        Self { format, text: format!("{common}{more}\n"), next_port: 1_024 }
    }

    fn leg(&mut self, leg: &Leg<'_>) {
        let Leg { from, to, packet, protocol, packets, times, flags, action } = leg;
        // Without packet addresses all addresses of the gateway show as its primary one.
        let folded = |address: &str| match self.format {
            Format::V2 if address.starts_with("10.0.0.") => PRIMARY.to_owned(),
            _ => address.to_owned(),
        };
        let (src, dst) = (folded(from.0), folded(to.0));
        let (start, end) = (START + times.0, START + times.1);
        let more = match self.format {
            Format::V2 => String::new(),
            Format::V5 => format!(" {} {} {flags}", packet.0, packet.1),
        };
        writeln!(
            self.text,
            "2 123456789012 {INTERFACE} {src} {dst} {} {} {protocol} {packets} 900 {start} {end} {action} OK{more}",
            from.1, to.1
        )
        .expect("written");
    }

    /// What a client sends to the gateway, and nothing more: `packets` that never left it.
    fn refused(&mut self, client: (&str, u16), server: (&str, u16), times: (i64, i64), packets: u64) {
        self.leg(&Leg {
            from: client,
            to: (PRIMARY, server.1),
            packet: (client.0, server.0),
            protocol: 6,
            packets,
            times,
            flags: 2,
            action: "ACCEPT",
        });
    }

    /// All four legs, on the gateway's primary address.
    fn connection(&mut self, client: (&str, u16), server: (&str, u16), times: (i64, i64), flags: u8) {
        self.next_port = self.next_port.checked_add(1).unwrap_or(1_024);
        self.translated(client, (PRIMARY, self.next_port), server, times, flags);
    }

    fn translated(
        &mut self,
        client: (&str, u16),
        nat: (&str, u16),
        server: (&str, u16),
        times: (i64, i64),
        flags: u8,
    ) {
        let leg = |from, to, packet, flags| Leg {
            from,
            to,
            packet,
            protocol: 6,
            packets: 5,
            times,
            flags,
            action: "ACCEPT",
        };
        self.leg(&leg(client, (nat.0, server.1), (client.0, server.0), flags));
        self.leg(&leg(nat, server, (nat.0, server.0), flags));
        self.leg(&leg(server, nat, (server.0, nat.0), flags | 18));
        self.leg(&leg((nat.0, server.1), client, (server.0, client.0), flags | 18));
    }

    /// Connections that stay open, of so many clients in turn.
    fn fill(&mut self, clients: &[&str], server: (&str, u16), ports: u32, times: (i64, i64)) {
        for n in 0..ports {
            let client = clients[n as usize % clients.len()];
            let own = 20_000 + (n as usize / clients.len()) as u16;
            self.connection((client, own), server, times, 2);
        }
    }
}

/// A gateway with so many addresses, 10.0.0.220 first.
fn gateway(addresses: u8) -> NatGateway {
    NatGateway {
        id: "nat-0a1b2c3d4e5f60718".parse().ok(),
        kind: GatewayKind::Zonal,
        addresses: (0..addresses)
            .map(|n| NatAddress {
                private: format!("10.0.0.{}", 220 + n).parse().ok(),
                public: format!("198.51.100.{}", 10 + n).parse().ok(),
                zone: None,
                usable: true,
            })
            .collect(),
        interface_ids: vec![INTERFACE.parse().expect("valid")],
        vpc_id: Some("vpc-0abc0abc0abc0abc0".into()),
        subnet_id: Some("subnet-0abc0abc0abc0abc0".into()),
        vpc_cidrs: vec!["10.0.0.0/16".parse().expect("valid")],
        provenance: Provenance::LookedUp,
        ..NatGateway::default()
    }
}

/// What CloudWatch is asked, and what it says.
#[derive(Clone, Default)]
struct Counted {
    /// The alarm's own minutes, from and to, in seconds.
    alarm: Option<(i64, i64)>,
    errors: Option<f64>,
    /// The metric, which may be late.
    errors_metric: Option<f64>,
    active: Option<f64>,
    attempts: Option<f64>,
}

impl Counted {
    fn alarm(from: i64, to: i64, errors: f64) -> Self {
        Self { alarm: Some((from, to)), errors: Some(errors), ..Self::default() }
    }

    fn active(self, active: f64) -> Self {
        Self { active: Some(active), ..self }
    }
}

async fn diagnosed(log: &Log, gateway: NatGateway, counted: &Counted) -> Diagnosis {
    let at = |second| Timestamp::from_second(START + second).expect("this century");
    let alarm = counted.alarm.map(|(_, end)| Alarm {
        name: "nat-port-allocation".into(),
        arn: None,
        account: Some("123456789012".into()),
        region: Some("eu-west-1".into()),
        state: "ALARM".into(),
        at: at(end + 65),
        metric_account: None,
        contributor: None,
        muted: None,
    });
    let window = counted.alarm.and_then(|(from, to)| TimeWindow::new(at(from), at(to)).ok());
    let incident = Incident {
        alarm,
        gateway: gateway.id.clone(),
        window,
        errors_reported: counted.errors,
        ..Incident::default()
    };
    let metric = |name: &str, statistic: &str, value: Option<f64>| {
        let of =
            |value| Metric { name: name.into(), statistic: statistic.into(), value, ..Metric::default() };
        value.map(of)
    };
    let metrics = [
        metric("ActiveConnectionCount", "Maximum", counted.active),
        metric("ConnectionAttemptCount", "Sum", counted.attempts),
        metric("ErrorPortAllocation", "Sum", counted.errors_metric),
    ];
    let network = Network { gateway, metrics: metrics.into_iter().flatten().collect(), ..Network::default() };
    let inputs = Inputs::from_memory([("a.log".to_owned(), log.text.as_bytes().to_vec())]);
    let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
    let limits = Limits { ports_per_address: PORTS };
    triage(incident, &Known(network), &files, limits).await.expect("readable").diagnosis
}

fn first(diagnosis: &Diagnosis) -> String {
    let top = diagnosis.destinations.first().expect("a destination");
    format!("{}:{}/{}", top.address, top.port, top.protocol)
}

fn clients(diagnosis: &Diagnosis) -> Vec<String> {
    diagnosis.destinations[0].clients.iter().map(|client| client.address.to_string()).collect()
}

fn gap<'a>(diagnosis: &'a Diagnosis, what: &str) -> &'a nat_triage::gap::Gap {
    let found = diagnosis.gaps.iter().find(|gap| gap.what.contains(what));
    found.unwrap_or_else(|| panic!("no gap on {what}: {:#?}", diagnosis.gaps))
}

/// The two lines that every report begins with.
fn lead(diagnosis: &Diagnosis) -> String {
    let text = report::text::text(diagnosis);
    let lead = text.split("\n\n").next().expect("a beginning");
    lead.replace('\n', " ")
}

// An address class is not a role.

fn with_private_server(format: Format) -> Log {
    let mut log = Log::new(format);
    let clients: Vec<String> = (10..30).map(|n| format!("10.0.1.{n}")).collect();
    let clients: Vec<&str> = clients.iter().map(String::as_str).collect();
    log.fill(&clients, ("10.200.0.9", 1521), PORTS, (0, 175));
    for n in 0..100 {
        log.refused((clients[n % 20], 50_000 + n as u16), ("10.200.0.9", 1521), (125, 128), 1);
    }
    log
}

#[tokio::test]
async fn a_private_server_behind_a_public_gateway_is_a_server() {
    for format in BOTH {
        let counted = Counted::alarm(120, 180, 100.0).active(402.0);
        let diagnosis = diagnosed(&with_private_server(format), gateway(1), &counted).await;
        assert_eq!(first(&diagnosis), "10.200.0.9:1521/tcp", "{format:?}");
        assert!(matches!(diagnosis.verdict, Verdict::Likely | Verdict::Confirmed), "{format:?}");
        assert_eq!(diagnosis.refused_attempts.found, 100, "{format:?}");
    }
}

#[tokio::test]
async fn a_private_server_shows_at_its_clients_own_interface() {
    let mut log = with_private_server(Format::V2);
    for n in 0..PORTS {
        let (client, own) = (10 + n % 20, 20_000 + n / 20);
        for (src, dst, from, to) in [
            (format!("10.0.1.{client}"), "10.200.0.9".to_owned(), own, 1521),
            ("10.200.0.9".to_owned(), format!("10.0.1.{client}"), 1521, own),
        ] {
            writeln!(
                log.text,
                "2 123456789012 eni-0c{client:015x} {src} {dst} {from} {to} 6 5 900 {START} {} ACCEPT OK",
                START + 175
            )
            .expect("written");
        }
    }
    let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 100.0).active(402.0)).await;
    let clients = &diagnosis.destinations[0].clients;
    assert_eq!(first(&diagnosis), "10.200.0.9:1521/tcp");
    assert!(clients.iter().all(|client| client.attribution == Attribution::ClientInterface), "{clients:#?}");
    assert_eq!(diagnosis.destinations[0].clients_seen, 20);
}

#[tokio::test]
async fn where_the_greatest_holder_is_hidden_none_is_named_as_it() {
    let mut log = Log::new(Format::V5);
    log.fill(&["10.0.1.9"], SERVER, PORTS / 4, (0, 175));
    // Of these the clients' side was filtered out.
    let mut others = Log::without_before(Format::V5);
    others.next_port = 30_000;
    others.fill(&["10.0.1.10"], SERVER, PORTS * 3 / 4, (0, 175));
    let gateway_side = |line: &&str| line.contains(SERVER.0) && !line.contains(" 10.0.1.10 ");
    let kept: Vec<&str> = others.text.lines().skip(1).filter(gateway_side).collect();
    log.text.push_str(&kept.join("\n"));
    log.text.push('\n');
    let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 100.0)).await;
    assert_eq!(first(&diagnosis), "203.0.113.70:443/tcp");
    let lead = lead(&diagnosis);
    assert!(lead.contains("10.0.1.9 holds 25%. Who holds 75% does not show."), "{lead}");
    gap(&diagnosis, "who holds 75% of the ports");
}

#[tokio::test]
async fn an_ipv6_holder_beside_hidden_ones_fits_its_line() {
    let mut log = Log::new(Format::V5);
    log.fill(&["10.0.1.9"], SERVER, PORTS, (0, 175));
    let mut diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 100.0)).await;
    let client = &mut diagnosis.destinations[0].clients[0];
    client.address = "2001:db8:1234:5600:aaaa:bbbb:cccc:dddd".parse().expect("valid");
    client.share = 0.25;
    let text = report::text::text(&diagnosis);
    let second = text.lines().nth(1).expect("two lines");
    assert!(second.contains("25%; 75% not shown") && second.chars().count() <= 72, "{second}");
}

#[tokio::test]
async fn a_server_is_told_from_clients_without_the_ranges_of_the_vpc() {
    let gateway = NatGateway { vpc_cidrs: Vec::new(), ..gateway(1) };
    let diagnosis =
        diagnosed(&with_private_server(Format::V2), gateway, &Counted::alarm(120, 180, 100.0)).await;
    assert_eq!(first(&diagnosis), "10.200.0.9:1521/tcp");
}

#[tokio::test]
async fn active_connections_that_no_record_shows_are_no_all_clear() {
    for format in BOTH {
        let mut log = Log::new(format);
        log.fill(&["10.0.1.9"], SERVER, 20, (0, 175));
        let none = Counted { errors_metric: Some(0.0), ..Counted::default() };
        for counted in [Counted::alarm(120, 180, 50.0), none] {
            let diagnosis = diagnosed(&log, gateway(1), &counted.active(800.0)).await;
            assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
            assert!(gap(&diagnosis, "800 active connections").decides);
        }
    }
}

#[tokio::test]
async fn attempts_that_no_record_shows_are_no_all_clear() {
    let mut log = Log::new(Format::V5);
    log.fill(&["10.0.1.9"], SERVER, 20, (0, 175));
    let well = Counted { attempts: Some(120.0), ..Counted::default() };
    assert_eq!(diagnosed(&log, gateway(1), &well).await.verdict, Verdict::NotSupported);
    let most_elsewhere = Counted { attempts: Some(90_000.0), ..Counted::default() };
    let diagnosis = diagnosed(&log, gateway(1), &most_elsewhere).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    assert!(gap(&diagnosis, "90,000 attempts").decides);
}

#[tokio::test]
async fn errors_that_nothing_explains_are_no_all_clear() {
    for format in BOTH {
        let mut log = Log::new(format);
        log.fill(&["10.0.1.9"], SERVER, 20, (0, 175));
        let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 5_000.0).active(25.0)).await;
        assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
        assert!(diagnosis.from_partial_input() && gap(&diagnosis, "5,000 counted errors").decides);
        for said in [lead(&diagnosis), diagnosis.headline.clone()] {
            assert!(said.contains("which destination") && !said.contains(" if "), "{said}");
        }
    }
}

#[tokio::test]
async fn an_alarm_is_believed_before_a_metric_that_is_late() {
    let mut log = Log::new(Format::V5);
    log.fill(&["10.0.1.9"], SERVER, 20, (0, 175));
    let counted = Counted { alarm: Some((120, 180)), errors_metric: Some(0.0), ..Counted::default() };
    let diagnosis = diagnosed(&log, gateway(1), &counted).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
}

#[tokio::test]
async fn connections_that_cloudwatch_did_not_count_are_not_confirmed() {
    let mut log = Log::new(Format::V5);
    log.fill(&["10.0.1.9"], SERVER, PORTS, (0, 175));
    for n in 0..100 {
        log.refused(("10.0.1.9", 50_000 + n), SERVER, (125, 128), 1);
    }
    let well = Counted::alarm(120, 180, 100.0).active(402.0);
    assert_eq!(diagnosed(&log, gateway(1), &well).await.verdict, Verdict::Confirmed);
    // The figure of some minutes before, that is.
    let late = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 100.0).active(12.0)).await;
    assert_eq!(late.verdict, Verdict::Likely, "{}", late.headline);
    assert_eq!(late.destinations[0].held.estimate, PORTS, "what is certain is not bounded by it");
    gap(&late, "CloudWatch counted fewer connections");
}

// The minutes that the alarm counted decide.

/// Two bursts: at 00:03 by .10 to .12, at 00:11 by .20 to .22, each over before the minute is.
fn two_bursts(format: Format, refused: [u16; 2]) -> Log {
    let mut log = Log::new(format);
    let bursts = [(180, "1", refused[0]), (660, "2", refused[1])];
    for (minute, tens, refused) in bursts {
        let clients: Vec<String> = (0..3).map(|n| format!("10.0.1.{tens}{n}")).collect();
        for n in 0..PORTS as u16 {
            let client = &clients[n as usize % 3];
            let own = 20_000 + n / 3;
            log.translated((client, own), (PRIMARY, 1_024 + n), SERVER, (minute + 8, minute + 20), 3);
        }
        for n in 0..refused {
            let client = &clients[n as usize % 3];
            log.refused((client, 50_000 + n), SERVER, (minute + 15, minute + 15), 1);
        }
    }
    log
}

#[tokio::test]
async fn of_two_bursts_the_one_that_the_alarm_counted_is_named() {
    for format in BOTH {
        let log = two_bursts(format, [90, 150]);
        let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(660, 720, 150.0).active(401.0)).await;
        assert!(matches!(diagnosis.verdict, Verdict::Confirmed | Verdict::Likely), "{}", diagnosis.headline);
        let mut named = clients(&diagnosis)[..3].to_vec();
        named.sort_unstable();
        assert_eq!(named, ["10.0.1.20", "10.0.1.21", "10.0.1.22"], "{format:?}");
        assert_eq!(diagnosis.refused_attempts.accounted, Some(1.0), "{format:?}");
        assert_eq!(diagnosis.destinations[0].refused, 150, "{format:?}");
        let shown: u64 = diagnosis.destinations[0].clients[..3].iter().map(|client| client.refused).sum();
        assert_eq!(shown, 150, "{format:?}");
    }
}

#[tokio::test]
async fn of_two_bursts_the_one_that_was_refused_more_is_named() {
    // An alarm on two datapoints out of fifteen is about both.
    let log = two_bursts(Format::V5, [150, 90]);
    let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(180, 720, 240.0)).await;
    assert!(clients(&diagnosis)[0].starts_with("10.0.1.1"), "{:?}", clients(&diagnosis));
    let log = two_bursts(Format::V5, [90, 150]);
    let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(180, 720, 240.0)).await;
    assert!(clients(&diagnosis)[0].starts_with("10.0.1.2"), "{:?}", clients(&diagnosis));
}

#[tokio::test]
async fn a_minute_shows_its_fullest_second_beside_what_was_refused() {
    for format in BOTH {
        let log = two_bursts(format, [90, 150]);
        let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(660, 720, 150.0).active(401.0)).await;
        let full: Vec<_> =
            diagnosis.destinations[0].timeline.iter().filter(|step| step.refused > 0).collect();
        assert!(!full.is_empty());
        for step in full {
            assert!(step.held_estimate >= PORTS * 19 / 20, "{format:?}: {step:?}");
            assert!(step.held_at_least <= step.held_estimate && step.held_estimate <= step.held_at_most);
        }
    }
}

#[tokio::test]
async fn records_cut_at_full_minutes_show_what_was_held_in_each() {
    for format in BOTH {
        let mut log = Log::new(format);
        for port in 0..200 {
            for minute in 1..6 {
                // One connection, of which each minute has a record.
                let (first, last) = (minute * 60, minute * 60 + 59);
                let nat = (PRIMARY, 2_000 + port);
                log.translated(("10.0.1.47", 20_000 + port), nat, SERVER, (first, last), 0);
            }
        }
        let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(60, 360, 5.0)).await;
        let steps = diagnosis.destinations[0].timeline.iter();
        let held: Vec<u32> =
            steps.skip_while(|step| step.held_at_most == 0).map(|s| s.held_estimate).collect();
        assert_eq!(held[held.len() - 5..], [200; 5], "{format:?}: {held:?}");
    }
}

#[tokio::test]
async fn no_more_is_said_to_be_refused_than_was_counted() {
    for format in BOTH {
        let log = two_bursts(format, [0, 888]);
        let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(660, 720, 150.0)).await;
        let refused = diagnosis.refused_attempts;
        assert!(refused.found <= 150 && refused.accounted <= Some(1.0), "{format:?}: {refused:?}");
        assert!(gap(&diagnosis, "more attempts never left").why.contains("150 errors"));
        let text = report::text::text(&diagnosis);
        assert!(!text.contains("592%"), "{text}");
    }
}

#[tokio::test]
async fn attempts_of_the_minute_before_are_not_the_alarms() {
    let mut log = Log::new(Format::V5);
    log.fill(&["10.0.1.9"], SERVER, PORTS, (0, 175));
    for n in 0..60 {
        // Three SYNs before the minute in question begins, and one in it.
        log.refused(("10.0.1.8", 50_000 + n), SERVER, (114, 121), 4);
    }
    let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 60.0)).await;
    assert_eq!(diagnosis.refused_attempts.found, 60);
    let steps = &diagnosis.destinations[0].timeline;
    let [before, asked] = [&steps[steps.len() - 2], &steps[steps.len() - 1]].map(|step| step.refused);
    assert_eq!((before, asked), (180, 60));
}

// Several addresses.

/// Eight addresses, of which the first is full, and which show as one in the default format.
fn one_full_of_eight(format: Format) -> Log {
    let mut log = Log::new(format);
    let clients = ["10.0.1.10", "10.0.1.11", "10.0.1.12", "10.0.1.13"];
    log.fill(&clients, SERVER, PORTS, (0, 175));
    // What a few connections on another address show.
    for n in 0..20 {
        log.translated(("10.0.1.14", 20_000 + n), ("10.0.0.221", 30_000 + n), SERVER, (0, 175), 2);
    }
    for n in 0..120 {
        log.refused((clients[n as usize % 4], 50_000 + n), SERVER, (125, 128), 1);
    }
    log
}

#[tokio::test]
async fn one_full_address_of_several_is_a_full_address() {
    for (format, verdict) in [(Format::V5, Verdict::Confirmed), (Format::V2, Verdict::Likely)] {
        let log = one_full_of_eight(format);
        let diagnosis = diagnosed(&log, gateway(8), &Counted::alarm(120, 180, 120.0).active(423.0)).await;
        assert_eq!(
            (diagnosis.verdict, first(&diagnosis)),
            (verdict, "203.0.113.70:443/tcp".into()),
            "{format:?}"
        );
        let full = diagnosis.destinations[0].full_address.expect("one is full");
        assert_eq!((full.held, full.of), (PORTS, PORTS));
        assert_eq!(full.address.is_some(), format == Format::V5);
        for said in [lead(&diagnosis), diagnosis.headline.clone(), report::sms::subject(&diagnosis)] {
            assert!(said.contains("400") && !said.contains("13%"), "{format:?}: {said}");
        }
    }
}

#[tokio::test]
async fn folded_addresses_hold_no_more_than_was_counted() {
    let log = one_full_of_eight(Format::V2);
    for active in [None, Some(423.0)] {
        let counted = Counted { active, ..Counted::alarm(120, 180, 120.0) };
        let diagnosis = diagnosed(&log, gateway(8), &counted).await;
        let top = &diagnosis.destinations[0];
        // Without the metric, clients' own ports say as much: 420 that got through, 120 that did not.
        let most = if active.is_some() { 423 } else { 540 };
        assert!(top.held.estimate <= most && top.held.at_most <= most, "{active:?}: {:?}", top.held);
        for client in &top.clients {
            assert!(u64::from(client.held.at_most) <= client.connections, "{client:?}");
        }
        assert_ne!(diagnosis.verdict, Verdict::Confirmed, "{}", diagnosis.headline);
    }
}

#[tokio::test]
async fn an_address_that_is_full_without_errors_is_no_shortage() {
    let mut log = Log::new(Format::V5);
    log.fill(&["10.0.1.10", "10.0.1.11"], SERVER, PORTS, (0, 175));
    log.translated(("10.0.1.14", 20_000), ("10.0.0.221", 30_000), SERVER, (0, 175), 2);
    let counted = Counted { errors: Some(0.0), ..Counted::default() };
    let diagnosis = diagnosed(&log, gateway(8), &counted).await;
    assert_eq!(diagnosis.destinations[0].full_address, None);
    assert_eq!(diagnosis.verdict, Verdict::NotSupported, "{}", diagnosis.headline);
}

// Evidence is used where it stands.

/// A thousand first packets that never came out, three in four of one client, and a destination that hardly holds
/// a port.
fn refused_by_an_empty_gateway(format: Format, servers: &[&str]) -> Log {
    let mut log = Log::new(format);
    for (n, server) in servers.iter().enumerate() {
        for turn in 0..(20 - n as u16) {
            let at = i64::from(turn) * 8;
            // In v2 two servers' connections from one port of a client would be one record.
            let own = 20_000 + 100 * n as u16 + turn;
            log.connection(("10.0.1.10", own), (server, 5432), (at, at + 1), 3);
        }
    }
    for n in 0..1_000 {
        let client = if n % 4 == 0 { "10.0.1.10" } else { "10.0.1.77" };
        log.refused(
            (client, 30_000 + n),
            (servers[0], 5432),
            (122 + i64::from(n % 50), 122 + i64::from(n % 50)),
            1,
        );
    }
    log
}

#[tokio::test]
async fn attempts_that_never_came_out_are_named_with_who_made_them() {
    for format in BOTH {
        for servers in [&["203.0.113.40"][..], &["203.0.113.40", "203.0.113.41"]] {
            let log = refused_by_an_empty_gateway(format, servers);
            let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 1_000.0)).await;
            assert_eq!(first(&diagnosis), "203.0.113.40:5432/tcp", "{format:?}");
            assert_eq!((diagnosis.refused_attempts.found, diagnosis.destinations[0].refused), (1_000, 1_000));
            assert_eq!(clients(&diagnosis)[0], "10.0.1.77", "{format:?}");
            assert_ne!(diagnosis.verdict, Verdict::Confirmed, "{}", diagnosis.headline);
            for said in [lead(&diagnosis), diagnosis.headline.clone(), report::sms::sms(&diagnosis)] {
                assert!(
                    said.contains("203.0.113.40:5432") && said.contains("10.0.1.77"),
                    "{format:?}: {said}"
                );
                assert!(said.contains("1,000") && said.contains("100%") | said.contains("75%"), "{said}");
            }
        }
    }
}

#[tokio::test]
async fn attempts_to_a_server_of_which_nothing_else_shows_are_named() {
    let mut log = Log::new(Format::V5);
    for n in 0..200 {
        log.refused(("10.0.1.77", 30_000 + n), ("203.0.113.40", 5432), (130, 130), 1);
    }
    let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 200.0)).await;
    assert_eq!(
        (first(&diagnosis), clients(&diagnosis)[0].as_str()),
        ("203.0.113.40:5432/tcp".into(), "10.0.1.77")
    );
    // The default format shows the port alone.
    let mut log = Log::new(Format::V2);
    for n in 0..200 {
        log.refused(("10.0.1.77", 30_000 + n), ("203.0.113.40", 5432), (130, 130), 1);
    }
    let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 200.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell);
    let gap = gap(&diagnosis, "which server on port 5432/tcp 200 attempts were to");
    assert!(gap.decides && gap.why.contains("10.0.1.77"), "{gap:?}");
    assert_eq!(diagnosis.refused_attempts.found, 200);
    for said in [lead(&diagnosis), diagnosis.headline.clone(), report::sms::sms(&diagnosis)] {
        assert!(
            said.contains("200 attempts") && said.contains("port 5432/tcp") && said.contains("10.0.1.77"),
            "{said}"
        );
        assert!(!said.contains("203.0.113.250"), "a server that has nothing to do with it: {said}");
    }
    assert!(lead(&diagnosis).contains("100% of errors"));
    assert!(report::sms::subject(&diagnosis).contains("port 5432/tcp"));
}

#[tokio::test]
async fn attempts_in_what_looks_filtered_are_not_the_answer() {
    let mut log = Log::without_before(Format::V2);
    log.connection(("10.0.1.250", 39_999), SERVER, (-1_100, 170), 3);
    for n in 0..200 {
        log.refused(("10.0.1.77", 30_000 + n), ("203.0.113.40", 5432), (130, 130), 1);
    }
    let inferred = NatGateway { provenance: Provenance::Inferred, ..gateway(1) };
    let diagnosis = diagnosed(&log, inferred, &Counted::default()).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell);
    assert_eq!(diagnosis.refused_attempts.unplaced, None);
    assert!(!lead(&diagnosis).contains("5432"), "{}", lead(&diagnosis));
}

#[tokio::test]
async fn few_attempts_on_a_port_do_not_explain_many_errors() {
    let mut log = Log::new(Format::V2);
    for n in 0..200 {
        log.refused(("10.0.1.77", 30_000 + n), ("203.0.113.40", 5432), (130, 130), 1);
    }
    let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 90_000.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell);
    assert!(!lead(&diagnosis).contains("5432"), "{}", lead(&diagnosis));
}

#[tokio::test]
async fn attempts_many_times_the_errors_prove_nothing() {
    let mut log = Log::new(Format::V5);
    for n in 0..2_000 {
        log.refused(("10.0.1.77", 30_000 + n), ("203.0.113.40", 5432), (130, 130), 1);
    }
    let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 200.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    assert_eq!(first(&diagnosis), "203.0.113.40:5432/tcp");
    gap(&diagnosis, "why 1,800 more attempts never left");
}

#[tokio::test]
async fn a_destination_near_the_limit_and_refused_is_likely_full() {
    for format in BOTH {
        let mut log = Log::new(format);
        log.fill(&["10.0.1.10", "10.0.1.11"], SERVER, PORTS * 93 / 100, (0, 175));
        for n in 0..100 {
            log.refused(("10.0.1.10", 50_000 + n), SERVER, (125, 128), 1);
        }
        let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 100.0)).await;
        assert_eq!(diagnosis.verdict, Verdict::Likely, "{format:?}: {}", diagnosis.headline);
        let held = diagnosis.destinations[0].held;
        assert!(held.estimate >= PORTS * 9 / 10 && held.estimate <= held.at_most, "{format:?}: {held:?}");
    }
}

#[tokio::test]
async fn the_better_log_never_gives_the_poorer_answer() {
    let claim = |verdict| match verdict {
        Verdict::Confirmed => 2,
        Verdict::Likely => 1,
        Verdict::NotSupported | Verdict::CannotTell => 0,
    };
    let counted = Counted::alarm(120, 180, 100.0).active(402.0);
    let pairs = [
        BOTH.map(with_private_server),
        BOTH.map(one_full_of_eight),
        BOTH.map(|format| refused_by_an_empty_gateway(format, &["203.0.113.40"])),
    ];
    for (pair, addresses) in pairs.into_iter().zip([1, 8, 1]) {
        let [poor, good] = pair;
        let poor = diagnosed(&poor, gateway(addresses), &counted).await;
        let good = diagnosed(&good, gateway(addresses), &counted).await;
        assert!(claim(good.verdict) >= claim(poor.verdict), "{} / {}", good.headline, poor.headline);
        assert_eq!(first(&good), first(&poor));
        assert!(good.refused_attempts.found >= poor.refused_attempts.found);
    }
}

#[tokio::test]
async fn what_a_rule_rejected_is_said_to_be_that() {
    for format in BOTH {
        let mut log = Log::new(format);
        log.fill(&["10.0.1.9"], SERVER, 20, (0, 175));
        for n in 0..300 {
            log.leg(&Leg {
                from: ("10.0.1.66", 30_000 + n),
                to: (PRIMARY, 5432),
                packet: ("10.0.1.66", "203.0.113.40"),
                protocol: 6,
                packets: 1,
                times: (130, 130),
                flags: 2,
                action: "REJECT",
            });
        }
        let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 300.0)).await;
        assert_eq!(diagnosis.refused_attempts.found, 0, "{format:?}");
        let gap = gap(&diagnosis, "which rule turned 300 packets away");
        assert!(gap.why.contains("REJECT") && gap.why.contains("10.0.1.66"), "{}", gap.why);
        assert!(gap.why.contains("5432"), "{}", gap.why);
    }
}

// First lines, lists and tables name the same destination.

#[tokio::test]
async fn the_destination_in_doubt_is_first_in_every_list() {
    let mut log = Log::new(Format::V2);
    for n in 0..13 {
        let server = format!("203.0.113.{}", 20 + n);
        log.fill(&["10.0.1.9"], (&server, 443), 4 + n, (100, 175));
    }
    let icmp = |from, to, packets| Leg {
        from: (from, 0),
        to: (to, 0),
        packet: (from, to),
        protocol: 1,
        packets,
        times: (122, 175),
        flags: 0,
        action: "ACCEPT",
    };
    log.leg(&icmp("10.0.1.10", PRIMARY, 5_000));
    log.leg(&icmp(PRIMARY, "203.0.113.99", 5_000));
    log.leg(&icmp("203.0.113.99", PRIMARY, 5_000));
    let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 50.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    assert_eq!(first(&diagnosis), "203.0.113.99:0/icmp");
    let text = report::text::text(&diagnosis);
    let table = text.split("DESTINATIONS, FULLEST FIRST\n").nth(1).expect("a table");
    let says = [lead(&diagnosis), diagnosis.headline.clone(), report::sms::subject(&diagnosis)];
    for said in says.iter().map(String::as_str).chain([table.lines().next().expect("a line")]) {
        assert!(said.contains("203.0.113.99 icmp"), "{said}");
    }
    let of_it = gap(&diagnosis, "whether 203.0.113.99 icmp was full");
    assert!(!of_it.fix.to_string().contains("ActiveConnectionCount"), "it counts TCP: {}", of_it.fix);
}

// Without a named window the lead is demanded too.

#[tokio::test]
async fn a_minute_of_records_is_no_all_clear() {
    for format in BOTH {
        let mut log = Log::without_before(format);
        log.fill(&["10.0.1.9"], SERVER, 20, (0, 60));
        let diagnosis = diagnosed(&log, gateway(1), &Counted::default()).await;
        assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
        assert_eq!(diagnosis.destinations[0].held.at_most, PORTS);
        assert!(gap(&diagnosis, "last used before the records begin").decides);
    }
}

#[tokio::test]
async fn an_all_clear_without_a_window_is_about_what_shows() {
    let mut log = Log::without_before(Format::V5);
    log.fill(&["10.0.1.9"], SERVER, 20, (0, 600));
    let diagnosis = diagnosed(&log, gateway(1), &Counted::default()).await;
    assert_eq!(diagnosis.verdict, Verdict::NotSupported, "{}", diagnosis.headline);
    assert_eq!(diagnosis.window.start().as_second(), START + 350);
    gap(&diagnosis, "what was held from");
    let most = diagnosis.destinations[0].timeline.iter().map(|step| step.held_at_most).max();
    assert_eq!(most, Some(20));
}

#[tokio::test]
async fn more_than_the_capacity_is_given_no_part_of_it() {
    let mut log = Log::new(Format::V2);
    log.fill(&["10.0.1.9", "10.0.1.10"], SERVER, PORTS * 3, (0, 175));
    let inferred = NatGateway { provenance: Provenance::Inferred, ..gateway(1) };
    let diagnosis = diagnosed(&log, inferred, &Counted::default()).await;
    let lead = lead(&diagnosis);
    assert!(lead.contains("203.0.113.70:443, more than 100% of that"), "{lead}");
    gap(&diagnosis, "all of its addresses");
}

#[tokio::test]
async fn a_destination_holds_no_more_ports_than_it_used() {
    let mut log = Log::new(Format::V5);
    // Each of thirty ports ten times over.
    for turn in 0..10 {
        for n in 0..30 {
            let at = turn * 17;
            log.translated(("10.0.1.9", 20_000 + n), (PRIMARY, 2_000 + n), SERVER, (at, at + 9), 3);
        }
    }
    for n in 0..60 {
        log.refused(("10.0.1.9", 50_000 + n), SERVER, (125, 125), 1);
    }
    let diagnosis = diagnosed(&log, gateway(1), &Counted::alarm(120, 180, 60.0)).await;
    assert!(diagnosis.destinations[0].held.at_most <= 30, "{:?}", diagnosis.destinations[0].held);
}
