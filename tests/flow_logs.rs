//! Which flow log is asked, what can't be, and what the reader is told of it.

use insights_server::{LogGroup, LogGroupClass, Store};
use jiff::Timestamp;
use nat_simulator::{Facts, Incident, LogFormat, Pattern, Scale, Simulation, View};
use nat_triage::contract::{Diagnosis, Verdict};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::insights::LogsInsights;
use nat_triage::gap::Gap;
use nat_triage::network::{FlowLog, FlowLogDestination, Known, LogClass, Network, TrafficType};
use nat_triage::triage::triage;

use crate::support::evaluator::Evaluator;
use crate::support::incidents::{LOG_GROUP, incident, network, store};

/// A leak, its records in the gateway's own log streams, and what AWS would say of it.
struct World {
    simulation: Simulation,
    facts: Facts,
    network: Network,
    store: Store,
}

impl World {
    fn new() -> Self {
        let simulated = Incident::random_of(11, Scale::Reduced { capacity: 400 }, Pattern::Leak, true);
        let simulation = simulated.simulate();
        let facts = simulation.facts();
        let format = LogFormat::v3_pkt();
        let records = simulation.records(&View::of_gateway(&simulated, format.clone()));
        let network = network(&facts, &format.header(), &facts.vpc_id, 60);
        Self { simulation, network, store: store(&records), facts }
    }

    fn flow_log(&mut self) -> &mut FlowLog {
        &mut self.network.flow_logs[0]
    }

    /// A second flow log, which differs from the first as told.
    fn add(&mut self, change: impl FnOnce(&mut FlowLog)) {
        let mut log = self.network.flow_logs[0].clone();
        log.id = "fl-0fedcba9876543210".into();
        change(&mut log);
        self.network.flow_logs.push(log);
    }

    async fn diagnosis(&self) -> Diagnosis {
        let source = LogsInsights::new(Evaluator::new(self.store.clone()));
        let limits = Limits { ports_per_address: self.facts.ports_per_address };
        let known = Known(self.network.clone());
        triage(incident(&self.facts), &known, &source, limits).await.expect("never fails").diagnosis
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("this century")
    }
}

fn gap<'a>(diagnosis: &'a Diagnosis, why: &str) -> &'a Gap {
    let found = diagnosis.gaps.iter().find(|gap| gap.why.contains(why));
    found.unwrap_or_else(|| panic!("no gap says {why:?}: {:#?}", diagnosis.gaps))
}

#[tokio::test]
async fn minutes_before_the_log_group_was_made_are_not_asked_about() {
    let mut world = World::new();
    world.flow_log().kept_from = Some(World::second(world.facts.end + 3600));
    let diagnosis = world.diagnosis().await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell);
    assert!(diagnosis.queries.is_empty(), "nothing is scanned for nothing");
    let gap = gap(&diagnosis, "holds nothing from before");
    assert!(gap.why.contains(LOG_GROUP) && gap.fix.to_string().contains("analyze"), "{gap:?}");
}

#[tokio::test]
async fn a_window_before_the_log_group_is_clamped_and_said() {
    let mut world = World::new();
    // Two minutes into the alarm's window: the API refuses what ends before a group's creation.
    let made = World::second(world.facts.errors[0].0 + 120);
    world.flow_log().kept_from = Some(made);
    let created_ms = made.as_millisecond();
    world.store.add_group(LogGroup { created_ms, ..LogGroup::new(LOG_GROUP) });
    let diagnosis = world.diagnosis().await;
    assert_eq!(diagnosis.queries.len(), 1);
    let first = diagnosis.coverage.logs_until.expect("some records are there");
    assert!(first > made && !diagnosis.coverage.complete, "{:?}", diagnosis.coverage);
    assert_eq!(diagnosis.verdict, Verdict::CannotTell);
    let reach = gap(&diagnosis, "the records are of");
    assert!(reach.fix.to_string().contains("The log group holds nothing from before"), "{reach:?}");
}

#[tokio::test]
async fn an_infrequent_access_group_answers_at_a_price() {
    let mut world = World::new();
    world.flow_log().log_class = Some(LogClass::InfrequentAccess);
    world.store.add_group(LogGroup { class: LogGroupClass::InfrequentAccess, ..LogGroup::new(LOG_GROUP) });
    let diagnosis = world.diagnosis().await;
    assert_eq!(diagnosis.verdict, Verdict::Confirmed);
    assert!(gap(&diagnosis, "Infrequent Access").fix.to_string().contains("Standard"));

    world.add(|log| log.log_class = Some(LogClass::Standard));
    let diagnosis = world.diagnosis().await;
    let chosen = diagnosis.coverage.flow_log.expect("chosen");
    assert!(chosen.starts_with("fl-0fedcba9876543210") && chosen.contains("indexed"), "{chosen}");
}

#[tokio::test]
async fn a_flow_log_that_can_not_be_asked_says_what_would_make_it_so() {
    type Change = fn(&mut FlowLog);
    let cases: [(Change, &str, &str); 4] = [
        (
            |log| (log.destination, log.log_group) = (FlowLogDestination::S3, None),
            "not delivered to CloudWatch Logs",
            "analyze --flow-logs",
        ),
        (
            |log| (log.destination, log.log_group) = (FlowLogDestination::Firehose, None),
            "not delivered to CloudWatch Logs",
            "second flow log to a log group",
        ),
        (|log| log.traffic = TrafficType::Reject, "only rejected traffic", "traffic type ALL"),
        (|log| log.log_class = Some(LogClass::Delivery), "class Delivery", "Standard class"),
    ];
    for (change, why, fix) in cases {
        let mut world = World::new();
        change(world.flow_log());
        let alone = world.diagnosis().await;
        assert_eq!(alone.verdict, Verdict::CannotTell, "{why}");
        assert!(
            alone.queries.is_empty() && gap(&alone, why).fix.to_string().contains(fix),
            "{:?}",
            alone.gaps
        );
        assert!(alone.remedies.iter().any(|remedy| remedy.id == "enable-flow-logs"), "{why}");

        // Beside one that can be asked it does not matter.
        world.add(|log| *log = World::new().network.flow_logs.remove(0));
        let beside = world.diagnosis().await;
        assert_eq!(beside.verdict, Verdict::Confirmed, "{why}");
        assert!(beside.gaps.iter().all(|gap| !gap.why.contains(why)), "{:?}", beside.gaps);
    }
}

#[tokio::test]
async fn lines_of_another_format_with_as_many_fields_are_left_alone() {
    let mut world = World::new();
    let before = world.diagnosis().await;
    let stream = format!("{}-all", world.facts.interface_id.clone().expect("zonal"));
    let fields: Vec<String> = LogFormat::v3_pkt().header().split(' ').map(str::to_owned).collect();
    // The same fields the other way round: numbers stand where addresses do.
    let other: Vec<String> = fields.iter().rev().cloned().collect();
    let view = View::of_gateway(world.simulation.incident(), LogFormat::v3_pkt());
    let lines = world.simulation.records(&view).into_iter().map(|record| {
        let line: Vec<&str> = record.line.split(' ').rev().collect();
        (record.timestamp, line.join(" "))
    });
    world.store.add_flow_log_lines(LOG_GROUP, &stream, lines.collect::<Vec<_>>());
    world.add(|log| log.format = other.join(" "));
    let after = world.diagnosis().await;
    assert_eq!(after.destinations, before.destinations);
    assert_eq!(after.coverage.records_read, before.coverage.records_read);
}

#[tokio::test]
async fn formats_that_look_alike_in_one_group_are_told() {
    let mut world = World::new();
    let swapped = world.network.flow_logs[0].format.replace("srcport dstport", "dstport srcport");
    assert_ne!(swapped, world.network.flow_logs[0].format);
    world.add(|log| log.format = swapped.clone());
    let diagnosis = world.diagnosis().await;
    assert!(gap(&diagnosis, "lines of the same shape").fix.to_string().contains("log group of its own"));

    world.network.flow_logs[1].log_group = Some("/vpc/another".into());
    let apart = world.diagnosis().await;
    assert!(apart.gaps.iter().all(|gap| !gap.why.contains("same shape")), "{:?}", apart.gaps);
}
