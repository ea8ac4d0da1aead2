//! Every question that we can ask is one that a live account is documented or reported to take.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use insights_server::{Dialect, LogGroupClass, Query as Parsed};
use nat_triage::evidence::insights::{
    Backing, CONSTRUCTS, MAX_CHARACTERS, Purpose, Query, Question, Rung, Scope, is_discovered,
};
use nat_triage::evidence::{Steps, Viewpoint};
use nat_triage::flow::{Field, LogFormat};
use nat_triage::incident::TimeWindow;
use nat_triage::network::{GatewayKind, NatAddress, NatGateway, TrafficType};

const FORMATS: [&str; 7] = [
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}",
    "pkt-dstaddr pkt-srcaddr srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status tcp-flags interface-id",
    "srcaddr dstaddr srcport dstport protocol start end",
    "pkt-srcaddr pkt-dstaddr srcport dstport protocol start end log-status",
    "resource-id srcaddr dstaddr srcport dstport protocol start end action flow-direction tcp-flags",
    "interface-id srcaddr dstaddr srcport dstport protocol start end bytes packets next-hop-interface-id log-status",
    "ecs-service-name srcaddr dstaddr srcport dstport protocol tcp-flags start end action instance-tag",
];

/// One minute, a usual alarm's window, an hour, and half a day.
const WINDOWS: [&str; 5] = [
    "2026-11-18T02:00:00Z/2026-11-18T02:01:00Z",
    "2026-11-18T02:00:00Z/2026-11-18T02:05:00Z",
    "2026-11-18T02:00:00Z/2026-11-18T02:14:00Z",
    "2026-11-18T02:00:00Z/2026-11-18T03:00:00Z",
    "2026-11-18T02:00:00Z/2026-11-18T14:00:00Z",
];

const KINDS: [GatewayKind; 3] = [GatewayKind::Zonal, GatewayKind::Private, GatewayKind::Regional];

fn gateway(kind: GatewayKind, addresses: u8) -> NatGateway {
    let address = |host: u8| NatAddress {
        private: format!("10.100.200.{host}").parse().ok(),
        public: format!("198.51.100.{host}").parse().ok(),
        zone: None,
        usable: true,
    };
    NatGateway {
        id: "nat-0123456789abcdef0".parse().ok(),
        kind,
        addresses: (0..addresses).map(|nth| address(220 + nth)).collect(),
        interface_ids: vec!["eni-0123456789abcdef0".parse().expect("valid")],
        vpc_cidrs: vec!["10.0.0.0/16".parse().expect("valid"), "2600:1f18::/56".parse().expect("valid")],
        ..NatGateway::default()
    }
}

/// A question that can be asked, as the evaluator understands it.
struct Asked {
    rung: Rung,
    /// Which it is, for the message of a test that fails.
    what: String,
    query: Query,
    parsed: Parsed,
}

/// Every question that can be asked, each text once: format, window, kind of gateway, scope and rung.
static ASKED: LazyLock<Vec<Asked>> = LazyLock::new(|| {
    let mut texts = BTreeSet::new();
    let mut asked = Vec::new();
    for (format, kind) in FORMATS.into_iter().flat_map(|format| KINDS.map(|kind| (format, kind))) {
        let format: LogFormat = format.parse().expect("valid");
        for (nth, window) in WINDOWS.into_iter().enumerate() {
            let window: TimeWindow = window.parse().expect("valid");
            let gateway = gateway(kind, if nth % 2 == 0 { 1 } else { 8 });
            let viewpoint = Viewpoint::of(&gateway);
            for (scope, rung) in
                scopes(&gateway, &format).iter().flat_map(|s| Rung::ALL.map(|rung| (s, rung)))
            {
                // As many steps as the text has room for, as the ladder does it.
                let fitting = [30, 20, 12, 6, 3].into_iter().find_map(|most| {
                    let question = Question {
                        viewpoint: &viewpoint,
                        format: &format,
                        log_groups: &[],
                        fields_discovered: nth % 2 == 0,
                        stored_bytes: None,
                        window,
                        lead: 410,
                        steps: Steps::at_most(most, window),
                        worst: window.start().as_second(),
                        kept_from: None,
                        table: None,
                    };
                    question.query(rung, Purpose::HeldPorts, scope).ok()
                });
                let what = format!("{kind:?} {scope:?} {format} {window}");
                let query = fitting.unwrap_or_else(|| panic!("{rung:?} {what} does not fit"));
                if texts.insert(query.text.clone()) {
                    let parsed = Parsed::parse(&query.text)
                        .unwrap_or_else(|refused| panic!("{rung:?} {what}: {refused}\n{}", query.text));
                    asked.push(Asked { rung, what, query, parsed });
                }
            }
        }
    }
    asked
});

fn scopes(gateway: &NatGateway, format: &LogFormat) -> Vec<Scope> {
    let server = "203.0.113.10".parse().expect("valid");
    let mut scopes = vec![
        Scope::Streams(gateway.interface_ids.clone(), TrafficType::All),
        Scope::Interfaces(Vec::new()),
        Scope::Clients(vec![server]),
    ];
    if format.has(Field::InterfaceId) {
        scopes.push(Scope::Interfaces(gateway.interface_ids.clone()));
    }
    if format.has(Field::ResourceId) {
        scopes.push(Scope::Gateway);
    }
    scopes
}

/// The names that a text defines: what stands behind `as`, and named groups.
fn defined(text: &str) -> Vec<String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_alphanumeric()).collect::<String>();
    let aliases = text.match_indices(" as ").map(|(at, found)| &text[at + found.len()..]);
    let groups = text.match_indices("(?<").map(|(at, found)| &text[at + found.len()..]);
    let mut names: Vec<String> = groups.map(name).collect();
    for alias in aliases {
        // A glob names all of its fields behind one `as`.
        let list = alias.split(" | ").next().unwrap_or_default().lines().next().unwrap_or_default();
        let of_glob = list.split(", ").take_while(|item| item.chars().all(|c| c.is_ascii_alphanumeric()));
        let of_glob: Vec<String> = of_glob.map(str::to_owned).collect();
        names.extend(if of_glob.len() > 1 { of_glob } else { vec![name(alias)] });
    }
    names
}

#[test]
fn every_question_fits_and_is_understood() {
    for Asked { rung, what, query, .. } in &*ASKED {
        assert!(query.text.chars().count() <= MAX_CHARACTERS, "{rung:?} {what}");
    }
    assert!(ASKED.len() > 700, "only {}", ASKED.len());
}

#[test]
fn no_question_defines_a_name_twice_or_a_discovered_one() {
    for Asked { rung, what, query, .. } in &*ASKED {
        let names = defined(&query.text);
        let once: BTreeSet<&String> = names.iter().collect();
        assert_eq!(names.len(), once.len(), "{rung:?} {what}: {names:?}");
        assert!(*rung == Rung::Records || !names.is_empty(), "{rung:?} {what}");
        let discovered = names.iter().find(|name| is_discovered(name));
        assert_eq!(discovered, None, "{rung:?} {what}");
    }
}

#[test]
fn every_construct_in_use_has_its_source_and_no_other() {
    let known: BTreeSet<&str> = CONSTRUCTS.iter().map(|construct| construct.name).collect();
    assert_eq!(known.len(), CONSTRUCTS.len(), "one is there twice");
    assert!(CONSTRUCTS.iter().all(|construct| !construct.source.is_empty()));
    let mut used: BTreeSet<&str> = ASKED.iter().flat_map(|asked| asked.parsed.constructs()).collect();
    let unknown: Vec<&&str> = used.iter().filter(|name| !known.contains(**name)).collect();
    assert_eq!(unknown, Vec::<&&str>::new());
    // What other questions use: the names of servers, and what a query would scan.
    used.extend(["ispresent", "like a text", "estimate"]);
    let unused: Vec<&&str> = known.iter().filter(|name| !used.contains(**name)).collect();
    assert_eq!(unused, Vec::<&&str>::new());
}

#[test]
fn each_rung_needs_less_than_the_one_above() {
    for Asked { rung, what, parsed, .. } in &*ASKED {
        let stats = match rung {
            Rung::EveryMinute => 3,
            Rung::FirstAndLast | Rung::WorstMinute => 2,
            Rung::DistinctPorts | Rung::PlainFields => 1,
            Rung::Records => 0,
        };
        assert_eq!(parsed.stats(), stats, "{rung:?} {what}");
        let uses = |name: &str| parsed.constructs().any(|used| used == name);
        assert_eq!(uses("if"), rung.needs_if(), "{rung:?} {what}");
        if *rung >= Rung::PlainFields {
            assert!(!uses("isIpv4InSubnet") && !uses("parse by a regular expression"), "{rung:?} {what}");
        }
    }
}

#[test]
fn two_stats_without_if_take_every_rung_but_the_first_two() {
    let dialect = Dialect::before_june_2026();
    for Asked { rung, what, parsed, .. } in &*ASKED {
        let taken = parsed.check_in(&dialect, LogGroupClass::Standard);
        assert_eq!(taken.is_ok(), !rung.needs_if(), "{rung:?} {what}");
        let infrequent = parsed.check_in(&Dialect::default(), LogGroupClass::InfrequentAccess);
        assert_eq!(infrequent.is_ok(), *rung != Rung::EveryMinute, "{rung:?} {what}");
    }
}

#[test]
fn the_document_lists_every_construct_with_its_source() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/logs-insights.md");
    let document = std::fs::read_to_string(path).expect("there");
    let listed: Vec<&str> = document.lines().filter(|line| line.starts_with("| `")).collect();
    let rows = CONSTRUCTS.iter().map(|construct| {
        let seen = if construct.backing == Backing::SeenLive { "yes" } else { "no" };
        format!("| `{}` | {seen} | {} |", construct.name, construct.source)
    });
    assert_eq!(listed, rows.collect::<Vec<_>>());
}
