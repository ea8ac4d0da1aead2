//! Whatever comes in damaged or hostile, something harmless comes out: events, logs, contexts and bundles, changed in
//! ways that a fixed seed chooses.
//!
//! `NAT_TRIAGE_MUTATIONS` is how many changed inputs of each kind are tried [default: 120]; `make mutations` tries
//! very many.

use nat_simulator::{Incident as Simulated, LogFormat, Pattern, Scale, View};
use nat_triage::alarm::{Outcome, outcomes_from_event};
use nat_triage::bundle::Bundle;
use nat_triage::contract::Diagnosis;
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::evidence::insights::{LogsInsights, Recording, RungMemory};
use nat_triage::flow::reader::{Inputs, Options};
use nat_triage::incident::Incident;
use nat_triage::network::{
    GatewayEndpoint, Handles, HostName, InterfaceEndpoint, Known, NameSource, Network, Owner, OwnerKind,
    PrefixList, Route, RouteTable, Subnet,
};
use nat_triage::report::{self, HttpsReaders, Message};
use nat_triage::triage::{Surveyed, triage};
use nat_triage::words::is_unprintable;
use serde_json::Value;

use crate::in_bucket::Case;
use crate::support::checkout;
use crate::support::contract::assert_kept;
use crate::support::evaluator::Evaluator;
use crate::support::incidents::{file, incident, network, store};

/// Values that have hurt programs before.
const HOSTILE: [&str; 14] = [
    "--endpoint-url=http://127.0.0.1:18555",
    "file:///etc/passwd",
    "$(reboot)",
    "'; reboot; '",
    "\u{1b}]0;owned\u{7}",
    "\u{1b}]52;c;cm0=\u{7}",
    "\u{9b}2J\u{202e}",
    "https://evil.example www.evil.example",
    "<script>alert(1)</script>",
    "",
    "9999-12-31T23:59:59Z",
    "1969-01-01T00:00:00Z",
    "::ffff:203.0.113.10",
    "18446744073709551615",
];

const NUMBERS: [&str; 8] = ["0", "-1", "4294967296", "18446744073709551615", "1e308", "-0.0", "1.5", "null"];

/// Numbers that are the same in every run (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % most.max(1) as u64).expect("below a usize")
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// The text with one to four changes to its bytes.
fn damaged(text: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len());
        let until = (at + 1 + dice.below(40)).min(bytes.len());
        match dice.below(5) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => drop(bytes.drain(at..until)),
            2 => bytes.extend_from_within(at..until),
            3 => drop(bytes.splice(at..at, dice.of(&HOSTILE).bytes())),
            _ => drop(bytes.splice(at..until, dice.of(&NUMBERS).bytes())),
        }
        if bytes.is_empty() {
            return bytes;
        }
    }
    bytes
}

/// The JSON with one to three of its values replaced.
fn replaced(json: &Value, dice: &mut Dice) -> Value {
    let mut changed = json.clone();
    let mut places = Vec::new();
    leaves(json, &mut String::new(), &mut places);
    for _ in 0..=dice.below(3) {
        let place = &places[dice.below(places.len())];
        if let Some(value) = changed.pointer_mut(place) {
            *value = match dice.below(16) {
                // Mostly of the type that was there, as the rest is refused at once.
                3.. if value.is_string() => dice.of(&HOSTILE).into(),
                3.. if value.is_boolean() => true.into(),
                3.. => serde_json::from_str(dice.of(&NUMBERS)).expect("JSON"),
                0 => Value::Null,
                1 => dice.of(&HOSTILE).into(),
                _ => Value::Array(vec![value.clone(); 3]),
            };
        }
    }
    changed
}

fn leaves(json: &Value, path: &mut String, places: &mut Vec<String>) {
    let mut within = |key: &str, value: &Value| {
        let length = path.len();
        path.push('/');
        path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        leaves(value, path, places);
        path.truncate(length);
    };
    match json {
        Value::Object(object) => object.iter().for_each(|(key, value)| within(key, value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(n, value)| within(&n.to_string(), value)),
        _ => places.push(path.clone()),
    }
}

fn tries() -> usize {
    let told = std::env::var("NAT_TRIAGE_MUTATIONS").ok();
    told.map_or(120, |text| text.parse().expect("NAT_TRIAGE_MUTATIONS is a number"))
}

/// Nothing that a reader's terminal, mail program or shell would act on, and the contract kept.
fn assert_harmless(diagnosis: &Diagnosis, case: &str) {
    assert_kept(&diagnosis.to_json(), case);
    let texts = [
        report::text::text(diagnosis),
        report::json(diagnosis),
        report::markdown::markdown(diagnosis),
        report::sms::sms(diagnosis),
        report::html::html(diagnosis),
        Message::of(diagnosis, None, HttpsReaders::Chat).body,
    ];
    for text in texts {
        let acts = text.chars().find(|c| *c != '\n' && is_unprintable(*c));
        assert_eq!(acts, None, "{case}: {text:?}");
    }
    assert!(!report::html::html(diagnosis).contains("<script>alert"), "{case}");
    let text = report::text::text(diagnosis);
    for line in text.lines().filter(|line| line.trim_start().starts_with("aws ")) {
        assert!(!line.contains("18555") && !line.contains("file://"), "{case}: {line}");
    }
    assert!(diagnosis.clients.iter().map(|client| client.share).sum::<f64>() < 1.000_01, "{case}");
}

/// A small incident: its alarm, its network with something of everything, its log.
struct Night {
    incident: Incident,
    network: Network,
    log: String,
    records: Vec<nat_simulator::Record>,
    limits: Limits,
}

fn night() -> Night {
    let scale = Scale::Reduced { capacity: 200 };
    let simulated = Simulated::random_of(0, scale, Pattern::Leak, true);
    let simulation = simulated.simulate();
    let facts = simulation.facts();
    let format = LogFormat::v3_pkt();
    let records = simulation.records(&View::of_gateway(&simulated, format.clone()));
    let covers = facts.interface_id.as_deref().unwrap_or("nat-");
    let mut network = network(&facts, &format.header(), covers, 60);
    let client = client_of(&records);
    network.region = Some(facts.region.clone());
    network.subnets = Some(vec![Subnet {
        id: "subnet-0a1b2c3d".into(),
        zone: Some("eu-west-1a".into()),
        ranges: vec!["10.0.0.0/8".parse().expect("a range")],
    }]);
    network.route_tables = Some(vec![RouteTable {
        id: "rtb-0a1b2c3d".into(),
        main: true,
        subnet_ids: vec!["subnet-0a1b2c3d".into()],
        routes: vec![Route { destination: "0.0.0.0/0".into(), target: facts.gateway_id.clone() }],
    }]);
    network.prefix_lists = Some(vec![PrefixList {
        id: "pl-0a1b2c3d".into(),
        name: format!("com.amazonaws.{}.s3", facts.region),
        ranges: vec!["203.0.113.0/24".parse().expect("a range"), "198.51.100.0/24".parse().expect("a range")],
    }]);
    network.gateway_endpoints = Some(vec![GatewayEndpoint::default()]);
    network.interface_endpoints = Some(vec![InterfaceEndpoint::default()]);
    network.names = vec![HostName {
        name: "api.example.com".into(),
        addresses: vec!["203.0.113.10".parse().expect("an address")],
        source: NameSource::ResolverQueryLog,
    }];
    network.owners = vec![Owner {
        address: client.parse().expect("an address"),
        kind: OwnerKind::Instance,
        name: "i-0a1b2c3d, tagged web".into(),
        zone: Some("eu-west-1a".into()),
        source: nat_triage::network::OwnerSource::Lookup,
        handles: Handles {
            instance_id: Some("i-0a1b2c3d".into()),
            scaling_group: Some("web".into()),
            security_groups: vec!["sg-0a1b2c3d".into()],
            ..Handles::default()
        },
    }];
    Night {
        incident: incident(&facts),
        network,
        log: file(&records, &format.header()),
        records,
        limits: Limits { ports_per_address: facts.ports_per_address },
    }
}

/// Some client of these records.
fn client_of(records: &[nat_simulator::Record]) -> &str {
    let cells = records.iter().flat_map(|record| record.line.split(' '));
    cells.into_iter().find(|cell| cell.starts_with("10.")).expect("a private address")
}

async fn read(log: Vec<u8>, incident: Incident, network: Network, limits: Limits) -> Option<Diagnosis> {
    let inputs = Inputs::from_memory([("a.log".to_owned(), log)]);
    let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
    Some(triage(incident, &Known(network), &files, limits).await.ok()?.diagnosis)
}

#[tokio::test]
async fn a_damaged_log_is_diagnosed_or_refused_and_nothing_else() {
    let night = night();
    let mut dice = Dice(1);
    let mut read_at_all = 0;
    for number in 0..tries() {
        let log = damaged(night.log.as_bytes(), &mut dice);
        let network = if number % 2 == 0 { night.network.clone() } else { Network::default() };
        let Some(diagnosis) = read(log, night.incident.clone(), network, night.limits).await else {
            continue;
        };
        assert_harmless(&diagnosis, &format!("log {number}"));
        read_at_all += 1;
    }
    assert!(read_at_all > tries() / 2, "{read_at_all}");
}

#[tokio::test]
async fn a_hostile_event_asks_for_something_harmless() {
    let night = night();
    let mut dice = Dice(2);
    let mut events: Vec<Value> = Vec::new();
    for entry in std::fs::read_dir(checkout().join("events")).expect("there").flatten() {
        if let Ok(text) = std::fs::read(entry.path()) {
            events.extend(serde_json::from_slice::<Value>(&text));
        }
    }
    events.sort_by_key(ToString::to_string);
    let mut diagnosed = 0;
    for number in 0..tries() * 4 {
        let event = &events[dice.below(events.len())];
        let event = if number % 3 == 0 {
            let text = damaged(event.to_string().as_bytes(), &mut dice);
            let Ok(event) = serde_json::from_slice(&text) else { continue };
            event
        } else {
            replaced(event, &mut dice)
        };
        for outcome in outcomes_from_event(&event).into_iter().map(Outcome::from_event_alone) {
            // A diagnosis takes longer than all the rest.
            if let Outcome::Incident(incident) = outcome
                && number % 8 == 1
            {
                let log = night.log.clone().into_bytes();
                let diagnosis =
                    read(log, incident, Network::default(), night.limits).await.expect("readable");
                assert_harmless(&diagnosis, &format!("event {number}"));
                diagnosed += 1;
            }
        }
    }
    assert!(diagnosed > 5, "{diagnosed}");
}

#[tokio::test]
async fn a_hostile_context_leads_to_nothing_harmful() {
    let night = night();
    let context = serde_json::to_value(&night.network).expect("JSON");
    let mut dice = Dice(3);
    let mut taken = 0;
    for number in 0..tries() {
        let Ok(network) = serde_json::from_value::<Network>(replaced(&context, &mut dice)) else { continue };
        let log = night.log.clone().into_bytes();
        let diagnosis = read(log, night.incident.clone(), network, night.limits).await.expect("readable");
        assert_harmless(&diagnosis, &format!("context {number}"));
        taken += 1;
    }
    assert!(taken > tries() / 8, "{taken}");
}

#[tokio::test]
async fn a_hostile_bundle_leads_to_nothing_harmful() {
    let night = night();
    let known = Known(night.network.clone());
    let recording = Recording::new(Evaluator::new(store(&night.records)));
    let source = LogsInsights::new(&recording);
    let surveyed = Surveyed::new(night.incident.clone(), &known).await;
    let triaged = surveyed.look(&known, &source, night.limits).await.expect("never fails");
    let memory = RungMemory::default();
    let bundle = Bundle::of(None, night.incident.clone(), &surveyed, &triaged, recording.asked(), memory);
    let taken = assert_no_mutation_harms(&bundle, night.limits, Dice(4)).await;
    assert!(taken > tries() / 8, "{taken}");
}

#[tokio::test]
async fn hostile_evidence_in_a_bundle_leads_to_nothing_harmful() {
    let case = Case::of(Pattern::Leak);
    let (_, bundle) = case.kept(&case.bucket()).await;
    let taken = assert_no_mutation_harms(&bundle, case.limits(), Dice(5)).await;
    // Most of it are numbers, which no text replaces.
    assert!(taken > tries() / 24, "{taken}");
}

/// Makes the diagnosis of mutated bundles; how many could be read.
async fn assert_no_mutation_harms(bundle: &Bundle, limits: Limits, mut dice: Dice) -> usize {
    let bundle: Value = serde_json::from_str(&bundle.to_json()).expect("JSON");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kept.json");
    let mut taken = 0;
    for number in 0..tries() {
        std::fs::write(&path, replaced(&bundle, &mut dice).to_string()).expect("written");
        let Ok(bundle) = Bundle::read(&path) else { continue };
        let triaged = bundle.diagnose(limits).await;
        assert_harmless(&triaged.diagnosis, &format!("bundle {number}"));
        taken += 1;
    }
    taken
}
