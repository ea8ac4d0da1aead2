//! Logs that once led to a false answer stated with confidence, each by the mistake it showed.

use std::fmt::Write as _;

use jiff::Timestamp;
use nat_triage::contract::{Diagnosis, Pattern, Verdict};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::flow::reader::{Inputs, Options};
use nat_triage::incident::{Incident, NatGatewayId, TimeWindow};
use nat_triage::network::{GatewayKind, Known, NatAddress, NatGateway, Network, Provenance};
use nat_triage::report;
use nat_triage::triage::triage;

/// Ports per address in these logs.
const CAPACITY: u32 = 200;
const START: i64 = 1_795_000_020;
const FULL_FORMAT: &str = "srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status pkt-srcaddr pkt-dstaddr tcp-flags";

/// Flow-log text of a gateway at 10.0.0.220, in a format that shows everything.
struct Log {
    text: String,
    ports: u16,
}

impl Log {
    /// With a connection long before, so that the records reach back as far as a port is held idle.
    fn new() -> Self {
        let mut log = Self::without_before();
        log.connection(("10.0.2.2", 39_999), ("203.0.113.99", 443), (-400, -300), 1);
        log
    }

    fn without_before() -> Self {
        Self { text: format!("{FULL_FORMAT}\n"), ports: 1024 }
    }

    fn leg(&mut self, from: (&str, u16), to: (&str, u16), pkt: (&str, &str), times: (i64, i64), flags: u8) {
        let ((src, sport), (dst, dport), (pkt_src, pkt_dst), (start, end)) = (from, to, pkt, times);
        let (start, end) = (START + start, START + end);
        writeln!(
            self.text,
            "{src} {dst} {sport} {dport} 6 3 300 {start} {end} ACCEPT OK {pkt_src} {pkt_dst} {flags}"
        )
        .expect("written");
    }

    /// Outward legs alone: an attempt that the gateway refused, or that left it.
    fn attempt(&mut self, client: (&str, u16), server: (&str, u16), times: (i64, i64), left: bool) {
        self.outward(client, server, times, left, 2);
    }

    fn outward(
        &mut self,
        client: (&str, u16),
        server: (&str, u16),
        times: (i64, i64),
        left: bool,
        flags: u8,
    ) {
        self.leg(client, ("10.0.0.220", server.1), (client.0, server.0), times, flags);
        if left {
            self.ports += 1;
            self.leg(("10.0.0.220", self.ports), server, ("10.0.0.220", server.0), times, flags);
        }
    }

    /// All four legs.
    fn connection(&mut self, client: (&str, u16), server: (&str, u16), times: (i64, i64), flags: u8) {
        self.outward(client, server, times, true, flags | 2);
        let port = self.ports;
        self.leg(server, ("10.0.0.220", port), (server.0, "10.0.0.220"), times, flags | 2);
        self.leg(("10.0.0.220", server.1), client, (server.0, client.0), times, flags | 2);
    }

    async fn diagnosed(&self, seconds: (i64, i64), errors: Option<f64>) -> Diagnosis {
        let gateway = NatGateway::default().with_addresses(&["10.0.0.220".parse().expect("valid")]);
        diagnosed(&self.text, gateway, seconds, errors).await
    }
}

async fn diagnosed(text: &str, gateway: NatGateway, seconds: (i64, i64), errors: Option<f64>) -> Diagnosis {
    diagnosed_in(None, text, gateway, seconds, errors).await
}

async fn diagnosed_in(
    zone: Option<&str>,
    text: &str,
    gateway: NatGateway,
    seconds: (i64, i64),
    errors: Option<f64>,
) -> Diagnosis {
    let at = |second| Timestamp::from_second(START + second).expect("this century");
    let incident = Incident {
        alarm: None,
        gateway: None,
        zone: zone.map(ToOwned::to_owned),
        window: TimeWindow::new(at(seconds.0), at(seconds.1)).ok(),
        exact_window: true,
        zone_from_metrics: false,
        errors_reported: errors,
        one_of_several: false,
        without_errors: false,
    };
    let inputs = Inputs::from_memory([("a.log".to_owned(), text.as_bytes().to_vec())]);
    let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
    let known = Known(Network { gateway, ..Network::default() });
    let limits = Limits { ports_per_address: CAPACITY };
    triage(incident, &known, &files, limits).await.expect("readable").diagnosis
}

const SERVER: (&str, u16) = ("203.0.113.10", 443);

/// A destination of which all ports but one are held, and at the end given back.
fn nearly_full() -> Log {
    let mut log = Log::new();
    for n in 0..CAPACITY as u16 - 1 {
        log.connection(("10.0.1.9", 40_000 + n), SERVER, (0, 300), 1);
    }
    log
}

#[tokio::test]
async fn a_destination_near_its_limit_is_not_said_to_be_far_from_it() {
    let diagnosis = nearly_full().diagnosed((0, 301), Some(0.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::NotSupported);
    let near = diagnosis.near_without_errors().expect("near");
    assert_eq!(near.address.to_string(), SERVER.0);
    let texts = [
        report::text::text(&diagnosis),
        report::sms::sms(&diagnosis),
        report::sms::subject(&diagnosis),
        diagnosis.headline.clone(),
    ];
    for text in texts {
        assert!(!text.contains("near its limit of") && !text.contains("no destination near"), "{text}");
        assert!(text.contains("refused") && text.contains("199 of 200"), "{text}");
    }
}

#[tokio::test]
async fn a_full_gateway_and_a_metric_without_errors_contradict() {
    let mut log = nearly_full();
    log.connection(("10.0.1.9", 50_000), SERVER, (0, 300), 1);
    for n in 0..500 {
        log.attempt(("10.0.1.9", 51_000 + n), SERVER, (100, 100), false);
    }
    assert_eq!(log.diagnosed((0, 301), Some(500.0)).await.verdict, Verdict::Confirmed);
    let diagnosis = log.diagnosed((0, 301), Some(0.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    let gap = diagnosis.deciding_gaps().next().expect("one");
    assert_eq!(gap.what, "why CloudWatch counted no error");
}

#[tokio::test]
async fn refusals_at_many_destinations_contradict_no_errors() {
    let mut log = Log::new();
    let servers: Vec<String> = (10..16).map(|n| format!("203.0.113.{n}")).collect();
    for (index, server) in servers.iter().enumerate() {
        let client = format!("10.0.1.{}", index + 1);
        for n in 0..CAPACITY as u16 {
            log.connection((&client, 20_000 + n), (server, 443), (0, 300), 0);
        }
        for n in 0..30 {
            log.attempt((&client, 50_000 + n), (server, 443), (100, 100), false);
        }
    }
    let diagnosis = log.diagnosed((0, 301), Some(0.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    assert_eq!(diagnosis.refused_attempts.found, 6 * 30 * 3, "three packets each");
}

#[tokio::test]
async fn of_many_clients_alike_none_is_named_as_the_holder() {
    let mut log = Log::new();
    for n in 0..CAPACITY as u16 {
        let client = format!("10.0.1.{}", 1 + n % 20);
        log.connection((&client, 40_000 + n), SERVER, (0, 300), 0);
    }
    let diagnosis = log.diagnosed((0, 301), Some(1_000.0)).await;
    let first = diagnosis.destinations[0].clients[0].address.to_string();
    let lead = report::text::text(&diagnosis).lines().take(2).collect::<Vec<_>>().join(" ");
    for text in [lead, report::sms::sms(&diagnosis), diagnosis.headline.clone()] {
        assert!(!text.contains(&first), "{text}");
    }
}

#[tokio::test]
async fn logs_that_end_before_the_window_does_are_no_all_clear() {
    let mut log = Log::new();
    for n in 0..20 {
        log.connection(("10.0.1.9", 40_000 + n), SERVER, (0, 300), 0);
    }
    let early = log.diagnosed((0, 480), Some(1_000.0)).await;
    assert_eq!(early.verdict, Verdict::CannotTell);
    assert!(!early.coverage.complete && !early.gaps.is_empty());
    assert_eq!(log.diagnosed((0, 301), None).await.verdict, Verdict::NotSupported);
}

#[tokio::test]
async fn logs_with_a_hole_are_no_all_clear() {
    let mut log = Log::new();
    log.connection(("10.0.1.9", 40_000), SERVER, (0, 50), 1);
    log.connection(("10.0.1.9", 40_001), SERVER, (1_700, 1_790), 1);
    assert_eq!(log.diagnosed((0, 1_800), None).await.verdict, Verdict::CannotTell);
}

#[tokio::test]
async fn one_lost_packet_does_not_confirm_a_healthy_destination() {
    let mut log = Log::new();
    for n in 0..50 {
        log.connection(("10.0.1.9", 40_000 + n), SERVER, (0, 300), 0);
    }
    log.attempt(("10.0.1.9", 50_000), SERVER, (100, 100), false);
    let diagnosis = log.diagnosed((0, 301), Some(10_000.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    assert_eq!(log.diagnosed((0, 301), None).await.verdict, Verdict::NotSupported);
}

#[tokio::test]
async fn in_a_retry_storm_the_unanswered_client_is_named() {
    let mut log = Log::new();
    log.connection(("10.0.2.2", 40_000), SERVER, (0, 300), 0);
    for n in 0..199 {
        log.attempt(("10.0.1.9", 40_000 + n), SERVER, (i64::from(n), i64::from(n) + 1), true);
    }
    let diagnosis = log.diagnosed((0, 301), Some(500.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::Confirmed, "{}", diagnosis.headline);
    assert_eq!(diagnosis.pattern, Some(Pattern::RetryStorm));
    assert_eq!(diagnosis.destinations[0].clients[0].address.to_string(), "10.0.1.9");
}

#[tokio::test]
async fn a_port_taken_again_within_the_record_that_closed_it_is_held() {
    let mut log = Log::new();
    log.connection(("10.0.2.2", 40_000), ("203.0.113.20", 443), (0, 300), 0);
    for n in 0..100 {
        let client = ("10.0.1.9", 40_000 + n);
        log.connection(client, SERVER, (0, 50), 3);
        let port = log.ports;
        log.leg(("10.0.0.220", port), SERVER, ("10.0.0.220", SERVER.0), (60, 110), 0);
        log.leg(client, ("10.0.0.220", SERVER.1), (client.0, SERVER.0), (60, 110), 0);
    }
    let diagnosis = log.diagnosed((0, 301), None).await;
    assert_eq!(diagnosis.destinations[0].timeline[4].held_at_most, 100);
}

#[tokio::test]
async fn ports_taken_again_within_a_minute_are_not_held_at_once() {
    let mut log = Log::new();
    log.connection(("10.0.2.2", 40_000), ("203.0.113.20", 443), (0, 300), 0);
    let mut client_port = 10_000;
    for minute in 0..5 {
        for port in 1_024..1_224 {
            // Ten connections of a second each, one after the other, on every one of 200 ports.
            let times = (minute * 60 + 1, minute * 60 + 58);
            log.leg(("10.0.0.220", port), SERVER, ("10.0.0.220", SERVER.0), times, 3);
            log.leg(SERVER, ("10.0.0.220", port), (SERVER.0, "10.0.0.220"), times, 19);
            for turn in 0..10 {
                client_port += 1;
                let second = minute * 60 + turn * 6 + i64::from(port) % 6;
                let (client, times) = (("10.0.1.9", client_port), (second, second + 1));
                log.leg(client, ("10.0.0.220", SERVER.1), (client.0, SERVER.0), times, 3);
                log.leg(("10.0.0.220", SERVER.1), client, (SERVER.0, client.0), times, 19);
            }
        }
    }
    let diagnosis = log.diagnosed((0, 301), Some(100.0)).await;
    let held = diagnosis.destinations[0].held;
    assert!(held.at_least <= 40 && held.estimate <= 70, "{held:?}");
    assert_ne!(diagnosis.verdict, Verdict::Confirmed, "{}", diagnosis.headline);
}

#[tokio::test]
async fn two_flow_logs_do_not_double_what_was_refused() {
    let mut log = Log::new();
    for n in 0..200 {
        log.connection(("10.0.1.9", 20_000 + n), SERVER, (0, 300), 0);
    }
    for n in 0..50 {
        for _ in 0..2 {
            log.attempt(("10.0.1.9", 50_000 + n), SERVER, (100, 107), false);
        }
    }
    let diagnosis = log.diagnosed((0, 301), Some(150.0)).await;
    assert_eq!(diagnosis.refused_attempts.found, 150);
}

#[tokio::test]
async fn a_refused_attempt_shows_though_its_port_gets_through_later() {
    let mut log = Log::new();
    for n in 0..200 {
        log.connection(("10.0.1.9", 20_000 + n), SERVER, (0, 200), 0);
    }
    for n in 0..50 {
        log.attempt(("10.0.1.8", 50_000 + n), SERVER, (100, 107), false);
        log.connection(("10.0.1.8", 50_000 + n), SERVER, (250, 300), 1);
    }
    let diagnosis = log.diagnosed((0, 301), Some(150.0)).await;
    assert_eq!(diagnosis.refused_attempts.found, 150);
    assert_eq!(diagnosis.refused_attempts.accounted, Some(1.0));
}

#[tokio::test]
async fn an_elastic_ip_beside_its_private_address_adds_no_capacity() {
    let named = ["10.0.0.220", "198.51.100.7"].map(|ip| ip.parse().expect("valid"));
    let gateway = NatGateway::default().with_addresses(&named);
    assert_eq!((gateway.kind, gateway.capacity(None, CAPACITY)), (GatewayKind::Zonal, Some(CAPACITY)));
}

#[tokio::test]
async fn a_full_zone_is_not_hidden_behind_the_others() {
    let mut text =
        "resource-id srcaddr dstaddr srcport dstport protocol start end flow-direction tcp-flags\n"
            .to_owned();
    for n in 0..200 {
        for (src, sport) in [("10.0.1.9", 40_000 + n), ("198.51.100.1", 1_024 + n)] {
            let way = if src.starts_with("10.") { "ingress" } else { "egress" };
            writeln!(
                text,
                "nat-0123456789abcdef0 {src} 203.0.113.10 {sport} 443 6 {START} {} {way} 2",
                START + 300
            )
            .expect("written");
        }
    }
    let named = ["198.51.100.1", "198.51.100.2", "198.51.100.3"].map(|ip| ip.parse().expect("valid"));
    let gateway = NatGateway { id: "nat-0123456789abcdef0".parse().ok(), ..NatGateway::default() };
    let diagnosis = diagnosed(&text, gateway.with_addresses(&named), (0, 301), None).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
}

#[tokio::test]
async fn ports_of_another_zone_do_not_fill_the_alarmed_one() {
    let mut text =
        "resource-id srcaddr dstaddr srcport dstport protocol packets start end flow-direction tcp-flags\n"
            .to_owned();
    let mut leg = |(src, sport): (&str, u16), (dst, dport): (&str, u16), way: &str, flags: u8| {
        writeln!(
            text,
            "nat-0123456789abcdef0 {src} {dst} {sport} {dport} 6 5 {} {} {way} {flags}",
            START - 300,
            START + 300
        )
        .expect("written");
    };
    // A hundred connections in zone a, and two hundred, which fill it, in zone b.
    for (client, address, ports) in [("10.0.1.9", "198.51.100.1", 100), ("10.0.2.9", "198.51.100.2", 200)] {
        for n in 0..ports {
            leg((client, 40_000 + n), SERVER, "ingress", 2);
            leg((address, 1_024 + n), SERVER, "egress", 2);
            leg(SERVER, (address, 1_024 + n), "ingress", 18);
            leg(SERVER, (client, 40_000 + n), "egress", 18);
        }
    }
    let address = |public: &str, zone: &str| NatAddress {
        private: None,
        public: public.parse().ok(),
        zone: Some(zone.into()),
        usable: true,
    };
    let gateway = NatGateway {
        id: "nat-0123456789abcdef0".parse().ok(),
        kind: GatewayKind::Regional,
        addresses: vec![address("198.51.100.1", "eu-west-1a"), address("198.51.100.2", "eu-west-1b")],
        provenance: Provenance::LookedUp,
        ..NatGateway::default()
    };
    let unknown = diagnosed_in(Some("eu-west-1a"), &text, gateway.clone(), (0, 301), Some(30.0)).await;
    assert!(
        unknown.gaps.iter().any(|gap| gap.what == "which clients are in eu-west-1a"),
        "{:?}",
        unknown.gaps
    );
    // Without the zone, both together are short of what both together have, and one is full all the same: the errors
    // may be of either.
    let either = diagnosed_in(None, &text, gateway.clone(), (0, 301), Some(30.0)).await;
    assert_eq!(either.verdict, Verdict::CannotTell, "{}", either.headline);
    assert!(either.gaps.iter().any(|gap| gap.what == "which zone's addresses ran out"), "{:?}", either.gaps);
    let held = async |zone: &str| {
        let diagnosis = diagnosed_in(Some(zone), &text, gateway.clone(), (0, 301), Some(30.0)).await;
        (diagnosis.destinations[0].held.estimate, diagnosis.verdict)
    };
    assert_eq!(held("eu-west-1a").await, (100, Verdict::CannotTell), "errors that nothing explains");
    assert_eq!(held("eu-west-1b").await, (200, Verdict::Confirmed));
}

#[tokio::test]
async fn connections_that_only_the_server_ended_fill_the_gateway() {
    let mut log = Log::new();
    log.connection(("10.0.2.2", 40_000), ("203.0.113.20", 443), (0, 300), 0);
    for n in 0..200 {
        let (client, times) = (("10.0.1.9", 20_000 + n), (i64::from(n) / 2, i64::from(n) / 2 + 9));
        log.outward(client, SERVER, times, true, 2);
        let port = log.ports;
        log.leg(SERVER, ("10.0.0.220", port), (SERVER.0, "10.0.0.220"), times, 19);
        log.leg(("10.0.0.220", SERVER.1), client, (SERVER.0, client.0), times, 19);
    }
    let diagnosis = log.diagnosed((0, 301), Some(30.0)).await;
    assert_eq!(diagnosis.destinations[0].held.estimate, 200);
    assert_eq!(diagnosis.verdict, Verdict::Confirmed, "{}", diagnosis.headline);
    assert_eq!(diagnosis.pattern, Some(Pattern::Leak));
}

#[tokio::test]
async fn packets_that_come_in_unasked_hold_no_port() {
    let mut log = Log::new();
    log.connection(("10.0.1.9", 40_000), SERVER, (0, 300), 0);
    for port in 1_024..1_224 {
        let stranger = ("192.0.2.200", 51_413);
        log.leg(stranger, ("10.0.0.220", port), (stranger.0, "10.0.0.220"), (100, 100), 2);
    }
    let diagnosis = log.diagnosed((0, 301), Some(30.0)).await;
    assert_eq!(diagnosis.destinations.iter().filter(|d| d.held.at_most > 0).count(), 1);
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    // So few errors that chance may have made them keep nobody from saying so.
    for few in [Some(10.0), None] {
        assert_eq!(log.diagnosed((0, 301), few).await.verdict, Verdict::NotSupported);
    }
}

#[tokio::test]
async fn a_record_of_another_century_does_not_stretch_the_window() {
    let mut log = Log::without_before();
    log.connection(("10.0.1.9", 40_000), SERVER, (0, 300), 0);
    log.connection(("10.0.1.9", 40_001), SERVER, (0, 300), 0);
    log.connection(("10.0.1.9", 40_002), SERVER, (2_499_000_000, 2_499_000_010), 0);
    let inputs = Inputs::from_memory([("a.log".to_owned(), log.text.into_bytes())]);
    let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
    let diagnosis = triage(Incident::default(), &Known::default(), &files, Limits::default())
        .await
        .expect("readable")
        .diagnosis;
    assert_eq!(diagnosis.window.seconds(), 301);
    assert!(diagnosis.gaps.iter().any(|gap| gap.what.contains("records of another time")));
}

#[tokio::test]
async fn a_log_that_was_filtered_on_a_port_is_no_all_clear() {
    let calm = |port: u16| {
        let mut log = Log::without_before();
        for minute in (-420..300).step_by(60) {
            for server in ["203.0.113.20", "203.0.113.21"] {
                log.connection(("10.0.1.9", 40_000), (server, port), (minute, minute + 59), 1);
            }
        }
        log
    };
    let inferred = async |log: &Log| {
        let inputs = Inputs::from_memory([("a.log".to_owned(), log.text.clone().into_bytes())]);
        let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
        let triaged = triage(Incident::default(), &Known::default(), &files, Limits::default()).await;
        triaged.expect("readable").diagnosis
    };
    let mut filtered = calm(8443);
    // A leg of another connection, whose client's port happens to be that number.
    filtered.leg(("10.0.2.2", 8443), ("10.0.0.220", 443), ("10.0.2.2", "198.51.100.7"), (0, 50), 2);
    let diagnosis = inferred(&filtered).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    let gaps: Vec<&str> = diagnosis.gaps.iter().map(|gap| gap.what.as_str()).collect();
    assert!(gaps.contains(&"destinations on other ports than 8443"), "{gaps:?}");
    // HTTPS may well be all that there is.
    assert_eq!(inferred(&calm(443)).await.verdict, Verdict::NotSupported);
}

#[tokio::test]
async fn a_log_of_one_direction_shows_no_storm_and_no_scan() {
    let mut log = Log::new();
    for n in 0..CAPACITY as u16 {
        log.connection(("10.0.1.9", 20_000 + n), SERVER, (-100, 300), 0);
    }
    for n in 0..150_u16 {
        log.connection(("10.0.2.2", 30_000 + n), (&format!("198.51.100.{n}"), 443), (n.into(), 300), 1);
        log.attempt(("10.0.1.9", 50_000 + n), SERVER, (200, 207), false);
    }
    let whole = log.diagnosed((0, 301), Some(450.0)).await;
    assert_eq!(whole.verdict, Verdict::Confirmed, "{}", whole.headline);
    let out = |line: &&str| line.starts_with("srcaddr") || line.split(' ').nth(3) == Some("443");
    log.text = log.text.lines().filter(out).map(|line| format!("{line}\n")).collect();
    let one_way = log.diagnosed((0, 301), Some(450.0)).await;
    assert_ne!(one_way.pattern, Some(Pattern::RetryStorm), "{}", one_way.headline);
    assert_eq!((one_way.pattern == Some(Pattern::Scan), one_way.scan), (false, None));
    assert!(one_way.gaps.iter().any(|gap| gap.what == "whether anything was answered"), "{:?}", one_way.gaps);
}

#[tokio::test]
async fn a_record_with_a_far_end_covers_no_minutes_of_others() {
    let mut log = Log::new();
    log.connection(("10.0.1.9", 40_000), SERVER, (0, 4_000_000), 0);
    let holed = log.diagnosed((0, 720), None).await;
    assert_eq!(holed.verdict, Verdict::CannotTell, "{}", holed.headline);
    assert!(!holed.coverage.complete);
    let until = holed.coverage.logs_until.expect("records").as_second() - START;
    assert!(until <= 120, "a record speaks for its own interval, not for {until} s");
}

#[tokio::test]
async fn a_scan_of_very_many_destinations_is_called_one() {
    let mut log = Log::new();
    for n in 0..20_000_u16 {
        let server = format!("203.0.{}.{}", n / 250, n % 250);
        log.attempt(("10.0.1.9", 1_024 + n), (&server, 443), (i64::from(n % 300), i64::from(n % 300)), false);
    }
    log.connection(("10.0.1.8", 40_000), SERVER, (0, 300), 0);
    let diagnosis = log.diagnosed((0, 301), None).await;
    assert_eq!(diagnosis.pattern, Some(Pattern::Scan));
}

#[tokio::test]
async fn a_second_full_destination_is_named_before_what_to_do() {
    let mut log = Log::new();
    for n in 0..200 {
        log.connection(("10.0.1.9", 20_000 + n), SERVER, (0, 300), 0);
        log.connection(("10.0.1.8", 20_000 + n), ("203.0.113.20", 8443), (0, 300), 0);
    }
    for n in 0..50 {
        log.attempt(("10.0.1.9", 50_000 + n), SERVER, (100, 107), false);
    }
    let diagnosis = log.diagnosed((0, 301), Some(150.0)).await;
    let text = nat_triage::report::text::text(&diagnosis);
    let before = text.split("\nDo first").next().expect("a beginning");
    let before = before.split_whitespace().collect::<Vec<_>>().join(" ");
    let also = "Also full: 203.0.113.20:8443/tcp (100%, 100% held by 10.0.1.8). The clients and fixes below are those of 203.0.113.10:443/tcp.";
    assert!(before.ends_with(also), "{before}");
}

#[tokio::test]
async fn an_exact_count_is_said_as_one_figure() {
    let mut log = Log::new();
    for n in 0..185 {
        log.connection(("10.0.1.9", 20_000 + n), SERVER, (0, 300), 0);
    }
    let diagnosis = log.diagnosed((0, 301), None).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell);
    assert!(diagnosis.headline.contains("held 185 of 200 ports"), "{}", diagnosis.headline);
    assert!(diagnosis.gaps.iter().any(|gap| gap.why.contains("185 ports")), "{:?}", diagnosis.gaps);
}

#[tokio::test]
async fn a_burst_within_the_last_minute_names_whoever_made_it() {
    let mut log = Log::new();
    for n in 0..40 {
        log.connection(("10.0.1.8", 20_000 + n), SERVER, (0, 300), 0);
    }
    // After the last step began, and over before the window ends.
    for n in 0..160 {
        log.connection(("10.0.1.9", 20_000 + n), SERVER, (250, 280), 3);
    }
    for n in 0..50 {
        log.attempt(("10.0.1.9", 50_000 + n), SERVER, (270, 277), false);
    }
    let diagnosis = log.diagnosed((0, 301), Some(150.0)).await;
    let top = &diagnosis.destinations[0].clients[0];
    assert_eq!((top.address.to_string().as_str(), top.held.estimate), ("10.0.1.9", 160));
    assert!(diagnosis.headline.contains("80% of them held by 10.0.1.9"), "{}", diagnosis.headline);
}

/// So many connections all the while that ten seconds without any are no accident.
fn busy(until: i64) -> Log {
    let mut log = Log::new();
    for n in 0..30 {
        for minute in (-420..until).step_by(60) {
            log.connection(("10.0.2.2", 20_000 + n), ("203.0.113.20", 443), (minute, minute + 59), 1);
        }
    }
    log
}

#[tokio::test]
async fn an_alarm_whose_last_minute_has_not_arrived_is_no_all_clear() {
    assert_eq!(busy(300).diagnosed((240, 300), None).await.verdict, Verdict::NotSupported);
    let late = busy(240).diagnosed((240, 300), Some(5_000.0)).await;
    assert_eq!(late.verdict, Verdict::CannotTell, "{}", late.headline);
    assert!(late.gaps.iter().any(|gap| gap.what.contains("window")), "{:?}", late.gaps);
}

#[tokio::test]
async fn minutes_that_are_missing_in_between_are_no_all_clear() {
    let mut log = busy(60);
    for n in 0..30 {
        log.connection(("10.0.2.2", 20_000 + n), ("203.0.113.20", 443), (240, 300), 1);
    }
    let holed = log.diagnosed((0, 301), Some(5_000.0)).await;
    assert_eq!(holed.verdict, Verdict::CannotTell, "{}", holed.headline);
    assert!(
        holed.gaps.iter().any(|gap| gap.why.contains("no record tells of the gateway")),
        "{:?}",
        holed.gaps
    );
}

#[tokio::test]
async fn ports_used_before_the_records_begin_are_not_taken_for_free() {
    let mut log = Log::without_before();
    for n in 0..40 {
        log.connection(("10.0.1.8", 20_000 + n), SERVER, (0, 120), 0);
    }
    for n in 0..50 {
        log.attempt(("10.0.1.9", 50_000 + n), SERVER, (60, 67), false);
    }
    let diagnosis = log.diagnosed((0, 121), Some(150.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    assert_eq!(diagnosis.destinations[0].held.at_most, CAPACITY);
    let gaps: Vec<&str> = diagnosis.gaps.iter().map(|gap| gap.what.as_str()).collect();
    assert!(gaps.contains(&"ports that were last used before the records begin"), "{gaps:?}");
    assert!(gaps.contains(&"why 150 attempts never left the gateway"), "{gaps:?}");
}

#[tokio::test]
async fn more_addresses_are_no_fix_for_a_leak_by_many_clients() {
    let mut log = Log::new();
    log.connection(("10.0.2.2", 40_000), ("203.0.113.20", 443), (0, 300), 0);
    for n in 0..200 {
        let client = format!("10.0.1.{}", 10 + n % 40);
        log.connection((&client, 20_000 + n), SERVER, (i64::from(n), i64::from(n) + 2), 0);
    }
    let diagnosis = log.diagnosed((0, 301), Some(150.0)).await;
    assert_eq!(diagnosis.pattern, Some(Pattern::Leak), "{:?}", diagnosis.pattern_evidence);
    let more = diagnosis.remedies.iter().filter(|remedy| remedy.id == "add-nat-addresses");
    assert!(more.clone().all(|remedy| remedy.title.contains("as a stop-gap")), "{:?}", diagnosis.remedies);
}

#[tokio::test]
async fn somebody_elses_scan_did_not_fill_the_destination() {
    let mut log = Log::new();
    log.connection(("10.0.2.2", 40_000), ("203.0.113.20", 443), (0, 300), 0);
    for n in 0..200 {
        log.connection(("10.0.1.9", 20_000 + n), SERVER, (i64::from(n), i64::from(n) + 2), 0);
    }
    for n in 0..150 {
        let server = format!("192.0.2.{n}");
        log.attempt(("10.0.3.3", 20_000 + n), (&server, 443), (i64::from(n), i64::from(n) + 1), true);
    }
    let diagnosis = log.diagnosed((0, 301), Some(150.0)).await;
    assert_eq!(diagnosis.pattern, Some(Pattern::Leak), "{:?}", diagnosis.pattern_evidence);
}

#[tokio::test]
async fn errors_without_refusals_do_not_confirm_a_destination() {
    let mut log = Log::new();
    for n in 0..193 {
        log.connection(("10.0.1.9", 20_000 + n), SERVER, (0, 300), 0);
    }
    let diagnosis = log.diagnosed((0, 301), Some(3_000.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
}

#[tokio::test]
async fn what_a_network_rule_turned_away_the_gateway_did_not_refuse() {
    let mut log = Log::new();
    for n in 0..120 {
        log.connection(("10.0.1.9", 20_000 + n), SERVER, (0, 300), 0);
    }
    for n in 0..60 {
        log.attempt(("10.0.1.8", 50_000 + n), SERVER, (100, 107), true);
        let end = log.text.trim_end().rfind('\n').expect("lines") + 1;
        let left = log.text.split_off(end).replace(" ACCEPT ", " REJECT ");
        log.text.push_str(&left);
    }
    let diagnosis = log.diagnosed((0, 301), Some(150.0)).await;
    assert_eq!(diagnosis.refused_attempts.found, 0);
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    let gap = diagnosis.gaps.iter().find(|gap| gap.why.contains("REJECT")).expect("it is said");
    assert!(gap.what.contains("180 packets") && gap.why.contains("203.0.113.10:443/tcp"), "{gap:?}");
}

#[tokio::test]
async fn a_healthy_gateway_says_nothing_of_another_in_the_files() {
    let mut text = String::from(
        "interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status pkt-srcaddr pkt-dstaddr tcp-flags\n",
    );
    for (eni, nat, client, ports) in
        [("eni-1", "10.0.0.220", "10.0.1.9", 60), ("eni-2", "10.0.0.99", "10.0.2.9", 20)]
    {
        for n in 0..ports {
            let times = format!("6 3 300 {} {} ACCEPT OK", START - 400, START + 300);
            let (sport, port) = (20_000 + n, 1_024 + n);
            writeln!(text, "{eni} {client} {nat} {sport} 443 {times} {client} 203.0.113.10 2")
                .expect("written");
            writeln!(text, "{eni} {nat} 203.0.113.10 {port} 443 {times} {nat} 203.0.113.10 2")
                .expect("written");
            writeln!(text, "{eni} 203.0.113.10 {nat} 443 {port} {times} 203.0.113.10 {nat} 18")
                .expect("written");
            writeln!(text, "{eni} {nat} {client} 443 {sport} {times} 203.0.113.10 {client} 18")
                .expect("written");
        }
    }
    let text = text.replace("eni-1 ", "eni-0123456789abcdef0 ").replace("eni-2 ", "eni-0fedcba9876543210 ");
    let diagnosis = diagnosed(&text, NatGateway::default(), (0, 301), Some(100.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    assert!(
        diagnosis.gaps.iter().any(|gap| gap.why.contains("eni-0fedcba9876543210")),
        "{:?}",
        diagnosis.gaps
    );
}

/// The records of a log as those of one interface, without the line of its fields.
fn of_interface(log: &Log, interface: &str) -> String {
    log.text.lines().skip(1).map(|line| format!("{interface} {line}\n")).collect()
}

const INTERFACES: [&str; 2] = ["eni-0a0a0a0a0a0a0a0a0", "eni-0b0b0b0b0b0b0b0b0"];

/// Two gateways, each with room left: of both VPCs together as many ports are held as one gateway has.
fn two_half_full() -> String {
    let mut text = format!("interface-id {FULL_FORMAT}\n");
    for (gateway, (client, held, ports)) in
        [("10.0.1.9", 110, 1024), ("10.0.7.7", 95, 5000)].into_iter().enumerate()
    {
        let mut log = Log { ports, ..Log::new() };
        for n in 0..held {
            log.connection((client, 40_000 + n), SERVER, (0, 300), 0);
        }
        for n in 0..30 {
            log.attempt((client, 50_000 + n), SERVER, (100, 100), false);
        }
        text += &of_interface(&log, INTERFACES[gateway]);
    }
    text
}

#[tokio::test]
async fn gateways_of_two_vpcs_with_one_address_are_not_added_up() {
    let text = two_half_full();
    let named = NatGateway::default().with_addresses(&["10.0.0.220".parse().expect("valid")]);
    let diagnosis = diagnosed(&text, named.clone(), (0, 301), Some(90.0)).await;
    let top = &diagnosis.destinations[0];
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    assert_eq!((top.held.at_most, top.clients.len()), (110, 1), "{top:?}");
    let gap = diagnosis.deciding_gaps().next().expect("one");
    assert_eq!(gap.what, "which gateway is in question");
    assert!(gap.why.contains(INTERFACES[1]) && gap.fix.to_string().contains("--eni"), "{gap:?}");
    let mut one = named;
    one.interface_ids = vec![INTERFACES[1].parse().expect("valid")];
    let of_other = diagnosed(&text, one, (0, 301), Some(90.0)).await;
    assert_eq!(of_other.destinations[0].held.at_most, 95, "{}", of_other.headline);
    assert!(of_other.deciding_gaps().all(|gap| gap.what != "which gateway is in question"));
}

#[tokio::test]
async fn named_addresses_of_two_gateways_are_not_one_gateways() {
    let named = ["10.0.0.220", "10.0.9.220"].map(|ip| ip.parse().expect("valid"));
    let named = NatGateway::default().with_addresses(&named);
    let diagnosis = diagnosed(&a_full_one_beside_another(), named, (0, 301), Some(90.0)).await;
    let gateway = &diagnosis.nat_gateways[0];
    assert_eq!((gateway.addresses.len(), gateway.capacity_per_destination), (1, Some(CAPACITY)));
    assert_eq!(gateway.interface_ids, [INTERFACES[0]]);
    assert_eq!(diagnosis.deciding_gaps().next().expect("one").what, "which gateway is in question");
}

#[tokio::test]
async fn what_is_routed_on_after_a_gateway_is_no_second_gateway() {
    let mut log = nearly_full();
    log.connection(("10.0.1.9", 50_000), SERVER, (0, 300), 0);
    // A firewall's interface behind the gateway sees what it sends, and what comes back to it.
    let passes = |line: &&str| line.starts_with("10.0.0.220 203.") || line.starts_with("203.");
    let text = format!("interface-id {FULL_FORMAT}\n{}", of_interface(&log, INTERFACES[0]));
    let behind: String =
        log.text.lines().filter(passes).map(|line| format!("{} {line}\n", INTERFACES[1])).collect();
    let named = NatGateway::default().with_addresses(&["10.0.0.220".parse().expect("valid")]);
    let diagnosis = diagnosed(&(text + &behind), named, (0, 301), Some(100.0)).await;
    assert!(diagnosis.gaps.iter().all(|gap| gap.what != "which gateway is in question"));
    assert_eq!(diagnosis.nat_gateways[0].interface_ids, [INTERFACES[0]]);
}

#[tokio::test]
async fn refusals_elsewhere_do_not_confirm_a_destination() {
    let mut log = Log::new();
    for n in 0..196 {
        log.connection(("10.0.1.9", 40_000 + n), SERVER, (0, 300), 0);
    }
    let without = log.diagnosed((0, 301), Some(10_000.0)).await;
    assert_eq!(without.verdict, Verdict::CannotTell, "{}", without.headline);
    for n in 0..400 {
        log.attempt(("10.0.1.9", 50_000 + n), ("203.0.113.99", 8_443), (100, 100), false);
    }
    let diagnosis = log.diagnosed((0, 301), Some(10_000.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    let gaps: Vec<&str> = diagnosis.deciding_gaps().map(|gap| gap.what.as_str()).collect();
    assert!(gaps.contains(&"why 1,200 attempts never left the gateway"), "{gaps:?}");
}

/// A gateway that is full, and beside it one with little to do, each with an address of its own.
fn a_full_one_beside_another() -> String {
    let mut full = nearly_full();
    full.connection(("10.0.1.9", 50_000), SERVER, (0, 300), 0);
    for n in 0..30 {
        full.attempt(("10.0.1.9", 51_000 + n), SERVER, (100, 100), false);
    }
    let mut other = Log::new();
    for n in 0..20 {
        other.connection(("10.0.3.9", 40_000 + n), ("198.51.100.9", 80), (0, 300), 0);
    }
    other.text = other.text.replace("10.0.0.220", "10.0.9.220");
    let records = of_interface(&full, INTERFACES[0]) + &of_interface(&other, INTERFACES[1]);
    format!("interface-id {FULL_FORMAT}\n{records}")
}

#[tokio::test]
async fn of_several_gateways_in_the_records_none_has_the_alarms_id() {
    let text = a_full_one_beside_another();
    let id: NatGatewayId = "nat-0a1b2c3d4e5f60718".parse().expect("valid");
    let named = NatGateway { id: Some(id.clone()), ..NatGateway::default() };
    let diagnosis = diagnosed(&text, named, (0, 301), Some(90.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::Likely, "{}", diagnosis.headline);
    assert_eq!(diagnosis.nat_gateways[0].id, None);
    assert!(
        diagnosis.headline.starts_with("The NAT gateway at eni-0a0a0a0a0a0a0a0a0"),
        "{}",
        diagnosis.headline
    );
    let mail = report::text::text(&diagnosis);
    assert!(!mail.contains(id.as_str()), "{mail}");
    let first: Vec<&str> = mail.split("\n\n").take(2).collect();
    assert!(first.join(" ").replace('\n', " ").contains("The records show several gateways."), "{mail}");
}

/// A regional gateway's records without a direction: one address that fills a destination, by many clients.
fn regional_without_direction(id: &str) -> String {
    let mut text =
        "resource-id srcaddr dstaddr srcport dstport protocol packets bytes start end tcp-flags\n".to_owned();
    let mut line = |src: &str, dst: &str, ports: (u16, u16), times: (i64, i64)| {
        writeln!(
            text,
            "{id} {src} {dst} {} {} 6 3 300 {} {} 2",
            ports.0,
            ports.1,
            START + times.0,
            START + times.1
        )
        .expect("written");
    };
    let nat = "198.51.100.201";
    let mut connection = |client: &str, server: &str, (own, port): (u16, u16), times: (i64, i64)| {
        line(client, server, (own, 443), times);
        line(nat, server, (port, 443), times);
        line(server, nat, (443, port), times);
        line(server, client, (443, own), times);
    };
    for n in 0..CAPACITY as u16 {
        connection(&format!("10.0.1.{}", n % 40), SERVER.0, (40_000 + n, 1_024 + n), (0, 300));
    }
    for n in 0..30 {
        connection(&format!("10.0.1.{n}"), &format!("192.0.2.{n}"), (50_000 + n, 5_000 + n), (-400, 300));
    }
    text
}

#[tokio::test]
async fn a_full_server_is_no_address_of_a_regional_gateway() {
    let text = regional_without_direction("nat-0123456789abcdef0");
    let diagnosis = diagnosed(&text, NatGateway::default(), (0, 301), Some(100.0)).await;
    let gateway = &diagnosis.nat_gateways[0];
    assert_eq!(gateway.addresses, ["198.51.100.201".parse::<std::net::IpAddr>().expect("valid")]);
    let top = &diagnosis.destinations[0];
    assert_eq!(
        (top.address.to_string().as_str(), top.held.at_most),
        (SERVER.0, CAPACITY),
        "{}",
        diagnosis.headline
    );
    assert_eq!((diagnosis.pattern, top.clients.len() > 5), (Some(Pattern::FanIn), true), "{top:?}");
}

#[tokio::test]
async fn another_regional_gateway_is_no_doubt_of_one_that_was_named() {
    let other = regional_without_direction("nat-0fedcba9876543210");
    let other: String = other.lines().skip(1).take(400).map(|line| format!("{line}\n")).collect();
    let text = regional_without_direction("nat-0123456789abcdef0") + &other;
    let named = NatGateway { id: "nat-0123456789abcdef0".parse().ok(), ..NatGateway::default() };
    let diagnosis = diagnosed(&text, named, (0, 301), Some(100.0)).await;
    assert!(diagnosis.gaps.iter().all(|gap| gap.what != "which gateway is in question"));
    let diagnosis = diagnosed(&text, NatGateway::default(), (0, 301), Some(100.0)).await;
    assert_eq!(diagnosis.deciding_gaps().next().expect("one").what, "which gateway is in question");
}

#[tokio::test]
async fn commands_on_a_regional_gateways_metric_name_a_zone() {
    let text = regional_without_direction("nat-0123456789abcdef0");
    let diagnosis = diagnosed(&text, NatGateway::default(), (0, 301), Some(100.0)).await;
    let mail = report::text::text(&diagnosis);
    let dimensions: Vec<&str> = mail.split("--dimensions ").skip(1).collect();
    assert!(!dimensions.is_empty(), "{mail}");
    for dimensions in dimensions {
        assert!(dimensions.contains(" Name=AvailabilityZone,Value=AVAILABILITY_ZONE "), "{dimensions}");
    }
}

#[tokio::test]
async fn of_a_known_zone_only_its_addresses_are_in_question() {
    let text = regional_without_direction("nat-0123456789abcdef0");
    let named = ["198.51.100.201", "198.51.100.202"].map(|ip| ip.parse().expect("valid"));
    let gateway = NatGateway { id: "nat-0123456789abcdef0".parse().ok(), ..NatGateway::default() };
    let diagnosis =
        diagnosed_in(Some("eu-west-1a"), &text, gateway.with_addresses(&named), (0, 301), Some(100.0)).await;
    let gap = diagnosis.gaps.iter().find(|gap| gap.why.contains("ports for each zone apart")).expect("one");
    assert_eq!(gap.what, "which of the gateway's addresses are in eu-west-1a");
    assert!(gap.fix.to_string().contains("describe-nat-gateways"), "{gap:?}");
}

#[tokio::test]
async fn a_long_window_does_not_make_a_fast_leak_slow() {
    let mut log = Log::new();
    log.connection(("10.0.2.2", 39_998), ("203.0.113.99", 443), (-50_400, -50_300), 1);
    for n in 0..CAPACITY as u16 {
        let at = i64::from(n);
        log.connection(("10.0.1.9", 40_000 + n), SERVER, (at, at + 1), 0);
    }
    let diagnosis = log.diagnosed((-50_400, 301), Some(1_000.0)).await;
    assert_eq!(diagnosis.pattern, Some(Pattern::Leak), "{}", diagnosis.headline);
    let effects: Vec<&str> = diagnosis.remedies.iter().map(|remedy| remedy.effect.as_str()).collect();
    assert!(effects.iter().any(|effect| effect.contains("How long that lasts does not show")), "{effects:?}");
    assert!(effects.iter().all(|effect| !effect.contains("ports a minute")), "{effects:?}");
}

#[tokio::test]
async fn clients_by_ipv6_show_where_only_an_address_was_named() {
    let mut log = Log::new();
    let (client, mapped) = ("2600:1f18::5", "64:ff9b::203.0.113.10");
    for n in 0..CAPACITY as u16 {
        let own = 40_000 + n;
        log.leg((client, own), (mapped, 443), (client, mapped), (0, 300), 2);
        log.ports += 1;
        let port = log.ports;
        log.leg(("10.0.0.220", port), SERVER, ("10.0.0.220", SERVER.0), (0, 300), 2);
        log.leg(SERVER, ("10.0.0.220", port), (SERVER.0, "10.0.0.220"), (0, 300), 2);
        log.leg((mapped, 443), (client, own), (mapped, client), (0, 300), 2);
    }
    let text = format!("interface-id {FULL_FORMAT}\n{}", of_interface(&log, INTERFACES[0]));
    let named = NatGateway::default().with_addresses(&["10.0.0.220".parse().expect("valid")]);
    let diagnosis = diagnosed(&text, named, (0, 301), Some(100.0)).await;
    let clients = &diagnosis.destinations[0].clients;
    assert_eq!(
        clients.first().map(|client| client.address.to_string()).as_deref(),
        Some(client),
        "{}",
        diagnosis.headline
    );
}

/// The text of a log without one of its fields.
fn without_field(text: &str, field: &str) -> String {
    let place = text.lines().next().expect("a header").split(' ').position(|of| of == field).expect("has it");
    let without = |line: &str| {
        let kept = line.split(' ').enumerate().filter(|(column, _)| *column != place);
        kept.map(|(_, value)| value).collect::<Vec<_>>().join(" ") + "\n"
    };
    text.lines().map(without).collect()
}

/// A full destination, attempts that were refused, and the interface of each record.
fn full_with_refusals() -> String {
    let mut log = nearly_full();
    log.connection(("10.0.1.9", 50_000), SERVER, (0, 300), 0);
    for n in 0..200 {
        log.attempt(("10.0.1.9", 51_000 + n), SERVER, (100, 100), false);
    }
    format!("interface-id {FULL_FORMAT}\n{}", of_interface(&log, INTERFACES[0]))
}

#[tokio::test]
async fn a_format_without_packets_still_shows_what_was_refused() {
    let text = full_with_refusals();
    for field in ["packets", "bytes"] {
        let diagnosis =
            diagnosed(&without_field(&text, field), NatGateway::default(), (0, 301), Some(600.0)).await;
        let found = diagnosis.refused_attempts.found;
        assert_eq!(found, if field == "packets" { 200 } else { 600 }, "{}", diagnosis.headline);
        let said = format!("the format lacks {field}");
        assert!(diagnosis.gaps.iter().any(|gap| gap.why.starts_with(&said)), "{:?}", diagnosis.gaps);
    }
}

#[tokio::test]
async fn a_format_with_only_packet_addresses_gives_the_same_figures() {
    let text = full_with_refusals();
    let whole = diagnosed(&text, NatGateway::default(), (0, 301), Some(600.0)).await;
    assert_eq!(whole.verdict, Verdict::Confirmed, "{}", whole.headline);
    for field in ["srcaddr", "dstaddr"] {
        let diagnosis =
            diagnosed(&without_field(&text, field), NatGateway::default(), (0, 301), Some(600.0)).await;
        assert_eq!(diagnosis.verdict, whole.verdict, "{field}: {}", diagnosis.headline);
        assert_eq!(diagnosis.destinations[0], whole.destinations[0], "{field}");
    }
}

#[tokio::test]
async fn a_log_of_rejected_traffic_only_is_said_to_be_one() {
    let text = full_with_refusals().replace(" ACCEPT ", " REJECT ");
    let named = NatGateway::default().with_addresses(&["10.0.0.220".parse().expect("valid")]);
    for gateway in [NatGateway::default(), named] {
        let diagnosis = diagnosed(&text, gateway, (0, 301), Some(600.0)).await;
        assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
        let gap = diagnosis.deciding_gaps().find(|gap| gap.why.contains("every record says REJECT"));
        assert!(
            gap.is_some_and(|gap| gap.fix.to_string().contains("traffic type ALL")),
            "{:?}",
            diagnosis.gaps
        );
        assert!(diagnosis.gaps.iter().all(|gap| gap.what != "a NAT gateway"), "{:?}", diagnosis.gaps);
    }
}

#[tokio::test]
async fn what_could_not_be_seen_is_named_and_not_counted() {
    let mut log = Log::new();
    for n in 0..50 {
        log.connection(("10.0.1.9", 40_000 + n), SERVER, (0, 300), 0);
    }
    for n in 0..100 {
        log.attempt(("10.0.1.9", 50_000 + n), SERVER, (100, 100), false);
    }
    let mut diagnosis = log.diagnosed((0, 301), Some(300.0)).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{}", diagnosis.headline);
    let gap = diagnosis.deciding_gaps().next().expect("one").clone();
    let where_to = "They were towards 203.0.113.10:443/tcp by 10.0.1.9. That destination held at most 50 of 200 ports at once.";
    assert!(gap.why.contains(where_to), "{gap:?}");
    let sure = |diagnosis: &Diagnosis| report::text::text(diagnosis).replace('\n', " ");
    diagnosis.gaps = vec![gap.clone()];
    assert!(
        sure(&diagnosis).contains("Cannot tell: we could not see why 300 attempts never left the gateway. ")
    );
    diagnosis.gaps.extend([("b", true), ("c", true)].map(|(what, decides)| nat_triage::gap::Gap {
        what: what.into(),
        decides,
        ..gap.clone()
    }));
    let said = "We could not see these either: b; c.";
    assert!(sure(&diagnosis).contains(said), "{}", sure(&diagnosis));
    diagnosis.gaps.truncate(2);
    assert!(sure(&diagnosis).contains("We could not see b either."), "{}", sure(&diagnosis));
}
