//! Figures that never contradict one another, nor the truth: of simulated incidents of every pattern, read as files
//! and by every rung of the ladder, from a flow log that hides servers and from one that shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::OnceLock;

use nat_simulator::{
    GatewayKind, Incident as Simulated, LogFormat, MinuteMetrics, Pattern, Scale, Simulation, View,
};
use nat_triage::contract::{DestinationReport, Diagnosis, HeldPorts, TimelineStep, Verdict};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::Attribution;
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::evidence::insights::{LogsInsights, Rung};
use nat_triage::flow::reader::{Inputs, Options};
use nat_triage::network::{Known, Metric};
use nat_triage::triage::triage;

use crate::ladder::From;
use crate::support::incidents::{file, incident, network, store};

/// Notes what does not hold: one fault of a kind hides no other.
macro_rules! expect {
    ($faults:ident, $holds:expr, $($what:tt)*) => {
        let holds: bool = $holds;
        if !holds {
            $faults.push(format!($($what)*));
        }
    };
}

/// Ports per address: few, so that every incident is quick to read by every rung.
const CAPACITY: u32 = 200;

/// Ports 1024 to 65535.
const PORTS_OF_AN_ADDRESS: u32 = 64_512;

/// Which records there were, and who read them.
struct Read {
    what: String,
    simulation: &'static Simulation,
    /// Port numbers that the gateway's side of the records shows, by server and its port.
    used: BTreeMap<(IpAddr, u16), u32>,
    /// Addresses that show as one.
    folded: u32,
    rung: Option<Rung>,
    diagnosis: Diagnosis,
}

/// Every incident, read in every way.
fn every_reading() -> &'static [Read] {
    static READINGS: OnceLock<Vec<Read>> = OnceLock::new();
    READINGS.get_or_init(|| {
        let of = |patterns: &'static [Pattern]| {
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                let nothing = [Pattern::Leak].into_iter().filter(|p| patterns.contains(p));
                let nothing = nothing.map(|pattern| (pattern, false));
                let incidents = patterns.iter().map(|pattern| (*pattern, true)).chain(nothing);
                incidents
                    .flat_map(|(pattern, exhausts)| runtime.block_on(readings(pattern, exhausts)))
                    .collect::<Vec<_>>()
            }
        };
        let (some, others) = Pattern::ALL.split_at(3);
        let [some, others] = [some, others].map(|patterns| {
            let patterns: &'static [Pattern] = Vec::leak(patterns.to_vec());
            std::thread::spawn(of(patterns))
        });
        let mut readings = some.join().expect("no panic");
        readings.extend(others.join().expect("no panic"));
        readings
    })
}

/// One incident of a gateway in one zone.
async fn readings(pattern: Pattern, exhausts: bool) -> Vec<Read> {
    let simulated = (0..)
        .map(|seed| Simulated::random_of(seed, Scale::Reduced { capacity: CAPACITY }, pattern, exhausts))
        .find(|simulated| simulated.gateways[0].kind == GatewayKind::Zonal)
        .expect("most are");
    let simulation: &'static Simulation = Box::leak(Box::new(simulated.simulate()));
    let facts = simulation.facts();
    let limits = Limits { ports_per_address: facts.ports_per_address };
    let addresses = u32::try_from(facts.addresses.len()).expect("eight at the most");
    let mut readings = Vec::new();
    for (format, folded) in [(LogFormat::v2_default(), addresses), (LogFormat::recommended(), 1)] {
        let records = simulation.records(&View::of_gateway(&simulated, format.clone()));
        let covers = facts.interface_id.clone().expect("a zonal one has one");
        let mut network = network(&facts, &format.header(), &covers, 60);
        let asked = incident(&facts);
        let window = asked.window.expect("has one");
        network.metrics = metrics(simulation, window.start().as_second()..window.end().as_second());
        let known = Known(network);
        let text = file(&records, &format.header());
        let used = used(&text, &format.header(), &facts.addresses[0].private.clone().expect("zonal"));
        let name = |by: &str| {
            let fields = if folded == addresses { "the default format" } else { "the advised format" };
            format!("{pattern}, exhausts: {exhausts}, {addresses} addresses, {fields}, by {by}")
        };

        let inputs = Inputs::from_memory([("flow.log".to_owned(), text.into_bytes())]);
        let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
        let diagnosis = triage(asked.clone(), &known, &files, limits).await.expect("readable").diagnosis;
        let what = name("files");
        readings.push(Read { what, simulation, used: used.clone(), folded, rung: None, diagnosis });

        let store = store(&records);
        for rung in Rung::ALL {
            let from = From::rung(rung, &store);
            let insights = LogsInsights::new(&from);
            let diagnosis =
                triage(asked.clone(), &known, &insights, limits).await.expect("never fails").diagnosis;
            let what = name(&format!("{rung:?}"));
            let used = used.clone();
            readings.push(Read { what, simulation, used, folded, rung: Some(rung), diagnosis });
        }
    }
    readings
}

/// What CloudWatch counted in these seconds.
fn metrics(simulation: &Simulation, seconds: std::ops::Range<i64>) -> Vec<Metric> {
    let from = seconds.start.div_euclid(60) * 60;
    let minutes = || simulation.metrics().iter().filter(|m| (from..seconds.end).contains(&m.minute));
    let metric = |name: &str, statistic: &str, of: fn(&MinuteMetrics) -> u64| {
        let values = minutes().map(of);
        let value = if statistic == "Sum" { values.sum() } else { values.max().unwrap_or(0) };
        let worst = minutes().max_by_key(|m| of(m)).and_then(|m| jiff::Timestamp::from_second(m.minute).ok());
        Metric {
            name: name.into(),
            statistic: statistic.into(),
            value: value as f64,
            greatest_at: worst.filter(|_| value > 0),
            ..Metric::default()
        }
    };
    vec![
        metric("ErrorPortAllocation", "Sum", |m| m.error_port_allocation),
        metric("ActiveConnectionCount", "Maximum", |m| m.active_connection_count),
        metric("ConnectionAttemptCount", "Sum", |m| m.connection_attempt_count),
    ]
}

/// The gateway's port numbers towards each server, read without the program's help: leg B goes from the gateway's
/// primary address to whoever is no client.
fn used(text: &str, header: &str, gateway: &str) -> BTreeMap<(IpAddr, u16), u32> {
    let fields: Vec<&str> = header.split(' ').collect();
    let column = |name: &str| fields.iter().position(|field| *field == name);
    let need = |name: &str| column(name).expect("every format here has it");
    let (src, dst, from, to) = (need("srcaddr"), need("dstaddr"), need("srcport"), need("dstport"));
    let own = column("pkt-srcaddr");
    let mut ports: BTreeMap<(IpAddr, u16), BTreeSet<(&str, &str)>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let values: Vec<&str> = line.split(' ').collect();
        if let (true, Ok(server), Ok(port)) =
            (values[src] == gateway, values[dst].parse(), values[to].parse())
        {
            ports
                .entry((server, port))
                .or_default()
                .insert((own.map_or("", |own| values[own]), values[from]));
        }
    }
    ports.into_iter().map(|(server, ports)| (server, u32::try_from(ports.len()).expect("few"))).collect()
}

impl Read {
    fn capacity(&self) -> u32 {
        self.diagnosis.nat_gateways[0].capacity_per_destination.expect("the gateway is known")
    }

    fn destinations(&self) -> impl Iterator<Item = (String, &DestinationReport)> {
        assert!(!self.diagnosis.destinations.is_empty(), "{}: nothing to look at", self.what);
        let name = |d: &DestinationReport| format!("{}: {}:{}/{}", self.what, d.address, d.port, d.protocol);
        self.diagnosis.destinations.iter().map(move |d| (name(d), d))
    }

    /// The steps of the minutes in question.
    fn asked<'d>(&self, of: &'d DestinationReport) -> impl Iterator<Item = &'d TimelineStep> {
        let (start, end) = (self.diagnosis.asked.start(), self.diagnosis.asked.end());
        of.timeline.iter().filter(move |step| step.at >= start && step.at < end)
    }

    /// Whether the records show every port that can have been held in the minutes in question: they begin as long
    /// before as an idle connection holds its port.
    fn reaches_back(&self) -> bool {
        let idle = i64::from(nat_simulator::IDLE_TIMEOUT_S);
        let coverage = &self.diagnosis.coverage;
        let from = self.diagnosis.asked.start().as_second() - idle;
        coverage.complete && coverage.logs_from.is_some_and(|logs_from| logs_from.as_second() <= from)
    }

    /// Ports truly held towards a destination, second by second.
    fn held(&self, of: &DestinationReport) -> Option<Vec<u32>> {
        let truth = self.simulation.truth();
        let triple = truth.destinations.iter().map(|d| d.triple).find(|triple| {
            IpAddr::V4(triple.address) == of.address
                && triple.port == of.port
                && triple.protocol.to_string() == of.protocol
        })?;
        self.simulation.held(triple)
    }
}

fn none(faults: &[String]) {
    let first = &faults[..faults.len().min(12)];
    assert!(faults.is_empty(), "{} faults, the first of them:\n{}", faults.len(), first.join("\n"));
}

fn in_order(held: &HeldPorts) -> bool {
    held.at_least <= held.estimate && held.estimate <= held.at_most
}

#[test]
fn ranges_are_in_order_and_within_capacity() {
    let mut faults = Vec::new();
    for read in every_reading() {
        let capacity = read.capacity();
        for (what, destination) in read.destinations() {
            let held = &destination.held;
            expect!(faults, in_order(held) && held.at_most <= capacity, "{what}: {held:?} of {capacity}");
            for step in &destination.timeline {
                let held = (step.held_at_least, step.held_estimate, step.held_at_most);
                expect!(
                    faults,
                    held.0 <= held.1 && held.1 <= held.2 && held.2 <= capacity,
                    "{what}: {step:?}"
                );
            }
        }
    }
    none(&faults);
}

#[test]
fn no_destination_holds_more_ports_than_it_ever_used() {
    let mut faults = Vec::new();
    for read in every_reading().iter().filter(|read| read.reaches_back()) {
        for (what, destination) in read.destinations().filter(|(_, d)| d.port != 0) {
            let used = read.used.get(&(destination.address, destination.port)).copied().unwrap_or(0);
            let most = used * read.folded;
            let within = destination.held.at_most <= most.max(destination.held.at_least);
            expect!(faults, within, "{what}: {:?}, {used} port numbers on {}", destination.held, read.folded);
            let chart = read.asked(destination).map(|step| step.held_at_most).max().unwrap_or(0);
            expect!(
                faults,
                chart <= most.max(destination.held.at_most),
                "{what}: {chart} in the chart, of {most}"
            );
        }
    }
    none(&faults);
}

#[test]
fn the_chart_reaches_what_the_first_line_says() {
    let mut faults = Vec::new();
    for read in every_reading() {
        for (what, destination) in read.destinations().filter(|(_, d)| !d.timeline.is_empty()) {
            let held = &destination.held;
            let of_chart = |of: fn(&TimelineStep) -> u32| read.asked(destination).map(of).max().unwrap_or(0);
            let estimate = of_chart(|step| step.held_estimate);
            expect!(faults, estimate == held.estimate, "{what}: {estimate} in the chart, {held:?}");
            let least = of_chart(|step| step.held_at_least);
            expect!(faults, least <= held.at_most, "{what}: certainly {least} in the chart, {held:?}");
            let most = of_chart(|step| step.held_at_most);
            expect!(faults, most <= held.at_most.max(held.estimate), "{what}: {most} in the chart, {held:?}");
        }
    }
    none(&faults);
}

#[test]
fn a_minute_with_many_refused_towards_a_destination_is_full() {
    let mut faults = Vec::new();
    let mut full = 0;
    for read in every_reading() {
        let sure = matches!(read.diagnosis.verdict, Verdict::Confirmed | Verdict::Likely);
        let first = read.destinations().next().filter(|_| sure);
        let Some((what, destination)) = first else { continue };
        let most = read.asked(destination).map(|step| step.refused).max().unwrap_or(0);
        for step in read.asked(destination).filter(|step| step.refused >= 20 && step.refused * 5 > most) {
            let share = f64::from(step.held_estimate) / f64::from(read.capacity());
            expect!(faults, share >= 0.9, "{what}: {step:?} of {}", read.capacity());
            full += 1;
        }
    }
    assert!(full > 20, "only {full} minutes had many refused");
    none(&faults);
}

#[test]
fn every_step_of_the_chart_holds_the_truth() {
    let mut faults = Vec::new();
    let mut steps = 0;
    for read in every_reading().iter().filter(|read| read.rung.is_none_or(Rung::asks_every_minute)) {
        let start = read.simulation.facts().start;
        for (what, destination) in read.destinations() {
            let Some(held) = read.held(destination) else { continue };
            for (step, next) in destination.timeline.iter().zip(destination.timeline.iter().skip(1)) {
                let second =
                    |at: jiff::Timestamp| usize::try_from((at.as_second() - start).max(0)).unwrap_or(0);
                // Records have whole seconds: what is given back and taken within one shows twice.
                let (from, to) = (second(step.at).saturating_sub(1), second(next.at).min(held.len()));
                let truly = held.get(from..to).unwrap_or_default().iter().copied().max().unwrap_or(0);
                expect!(
                    faults,
                    truly + 1 + truly / 20 >= step.held_at_least,
                    "{what}: {step:?}, truly {truly}"
                );
                let inside = held.get(from + 1..to).unwrap_or_default().iter().copied().max().unwrap_or(0);
                expect!(faults, inside <= step.held_at_most, "{what}: {step:?}, truly {inside}");
                steps += 1;
            }
        }
    }
    assert!(steps > 1_000, "only {steps} steps");
    none(&faults);
}

#[test]
fn what_a_step_holds_was_held_or_opened_since_the_last() {
    let mut faults = Vec::new();
    for read in every_reading() {
        for (what, destination) in read.destinations().filter(|(_, d)| d.port != 0) {
            for pair in destination.timeline.windows(2) {
                let opened = destination.connections;
                let most = u64::from(pair[0].held_at_most) + opened;
                expect!(
                    faults,
                    u64::from(pair[1].held_at_least) <= most,
                    "{what}: {pair:?}, {opened} opened"
                );
            }
        }
    }
    none(&faults);
}

#[test]
fn no_client_holds_more_than_its_destination_or_an_address_has() {
    let mut faults = Vec::new();
    let mut clients = 0;
    for read in every_reading() {
        for (what, destination) in read.destinations() {
            for client in &destination.clients {
                let held = &client.held;
                let what = format!("{what}, {}: {held:?} of {:?}", client.address, destination.held);
                expect!(faults, in_order(held), "{what}");
                expect!(faults, held.at_most <= destination.held.at_most, "{what}");
                expect!(faults, held.estimate <= destination.held.estimate.max(1), "{what}");
                expect!(faults, held.at_most <= PORTS_OF_AN_ADDRESS, "{what}");
                let own = u32::try_from(client.connections).unwrap_or(u32::MAX);
                let by_own = client.attribution != Attribution::Connection || destination.port == 0;
                expect!(
                    faults,
                    by_own || held.at_most <= own.max(held.at_least),
                    "{what}, {own} ports of its own"
                );
                clients += 1;
            }
        }
        for client in &read.diagnosis.clients {
            expect!(faults, in_order(&client.held), "{}: {client:?}", read.what);
        }
    }
    assert!(clients > 500, "only {clients}");
    none(&faults);
}

#[test]
fn shares_sum_to_one_at_the_most() {
    let mut faults = Vec::new();
    for read in every_reading() {
        let of_all = [(format!("{}: overall", read.what), &read.diagnosis.clients)];
        let of_each = read.destinations().map(|(what, destination)| (what, &destination.clients));
        for (what, clients) in of_all.into_iter().chain(of_each) {
            let sum: f64 = clients.iter().map(|client| client.share).sum();
            // Each is rounded to four places.
            expect!(faults, sum <= 1.0 + 0.000_05 * clients.len() as f64, "{what}: {sum}");
            expect!(faults, clients.iter().all(|client| client.share >= 0.0), "{what}");
        }
    }
    none(&faults);
}

#[test]
fn no_more_are_refused_than_were_counted() {
    let mut faults = Vec::new();
    let mut found = 0;
    for read in every_reading() {
        let refused = &read.diagnosis.refused_attempts;
        found += refused.found;
        let counted = refused.counted.unwrap_or(0.0);
        let listed: u64 = read.diagnosis.destinations.iter().map(|d| d.refused).sum();
        let told = read.diagnosis.gaps.iter().any(|gap| gap.what.contains("never left the gateway"));
        let within = refused.found as f64 <= counted && listed <= refused.found;
        expect!(faults, within || told, "{}: {listed} listed, {refused:?}", read.what);
        for (what, destination) in read.destinations() {
            let in_chart: u64 = read.asked(destination).map(|step| step.refused).sum();
            let of_clients: u64 = destination.clients.iter().map(|client| client.refused).sum();
            // What is spread over steps and clients is rounded for each.
            let near = |count: u64, parts: usize| count <= destination.refused + parts as u64;
            expect!(faults, near(in_chart, destination.timeline.len()), "{what}: {in_chart} in the chart");
            expect!(faults, near(of_clients, destination.clients.len()), "{what}: {of_clients} of clients");
        }
    }
    assert!(found > 1_000, "only {found}");
    none(&faults);
}
