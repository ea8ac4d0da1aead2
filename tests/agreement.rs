//! On the same records, Logs Insights and files lead to the same diagnosis.

use jiff::SignedDuration;
use nat_simulator::{Incident, LogFormat, Pattern, Record, Scale, View};
use nat_triage::contract::{DestinationReport, Diagnosis, Pattern as DiagnosedPattern};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::Attribution;
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::evidence::insights::LogsInsights;
use nat_triage::flow::reader::{Input, Inputs, Options};
use nat_triage::network::Known;
use nat_triage::triage::triage;

use crate::support::evaluator::Evaluator;
use crate::support::incidents::{file, incident, network, store};

/// Ports per address in these incidents: enough for every pattern, few enough to be quick.
const CAPACITY: u32 = 400;

/// What has to be the same. Of a fan-in, the order of the clients does not: none is remarkable.
#[derive(Debug, PartialEq)]
struct Answer {
    verdict: String,
    pattern: Option<String>,
    destination: Option<String>,
    clients: Vec<String>,
}

impl Answer {
    fn of(diagnosis: &Diagnosis) -> Self {
        let top = diagnosis.destinations.first();
        Self {
            verdict: format!("{:?}", diagnosis.verdict),
            pattern: diagnosis.pattern.map(|pattern| format!("{pattern:?}")),
            destination: top.map(|d| format!("{}:{}/{}", d.address, d.port, d.protocol)),
            clients: top
                .filter(|_| diagnosis.pattern != Some(DiagnosedPattern::FanIn))
                .map(|d| d.clients.iter().take(compared(d)).map(|c| c.address.to_string()).collect())
                .unwrap_or_default(),
        }
    }
}

/// How many of a destination's clients have to be the same: where the records do not join them with
/// it, the order of those that did about as much may differ.
fn compared(destination: &DestinationReport) -> usize {
    match destination.clients.first().map(|client| client.attribution) {
        Some(Attribution::DestinationPort) => 1,
        Some(Attribution::ClientInterface) => 3,
        _ => destination.clients.len(),
    }
}

async fn both(simulated: &Incident, format: LogFormat, whole_vpc: bool) -> (Diagnosis, Diagnosis) {
    let simulation = simulated.simulate();
    let facts = simulation.facts();
    let view =
        if whole_vpc { View::of_vpc(format.clone()) } else { View::of_gateway(simulated, format.clone()) };
    let records = simulation.records(&view);
    let limits = Limits { ports_per_address: facts.ports_per_address };
    let covers =
        if whole_vpc { facts.vpc_id.as_str() } else { facts.interface_id.as_deref().unwrap_or("nat-") };
    let known = Known(network(&facts, &format.header(), covers, 60));

    let insights = LogsInsights::new(Evaluator::new(store(&records)));
    let asked = triage(incident(&facts), &known, &insights, limits).await.expect("never fails").diagnosis;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("flow.log");
    std::fs::write(&path, file(&records, &format.header())).expect("written");
    let inputs = Inputs::open(&[Input::Path(path)]).expect("readable");
    let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
    let read = triage(incident(&facts), &known, &files, limits).await.expect("readable").diagnosis;
    (asked, read)
}

/// Compares the answers on one incident of a pattern, in formats that join clients with destinations
/// and in one that does not, on the gateway's own flow log and on the VPC's.
async fn both_agree_on(pattern: Pattern) {
    let simulated = Incident::random_of(0, Scale::Reduced { capacity: CAPACITY }, pattern, true);
    for (format, whole_vpc) in [
        (LogFormat::v2_default(), false),
        (LogFormat::v2_default(), true),
        (LogFormat::v3_pkt(), false),
        (LogFormat::v11(), true),
    ] {
        let (asked, read) = both(&simulated, format.clone(), whole_vpc).await;
        assert_eq!(
            Answer::of(&asked),
            Answer::of(&read),
            "{} whole VPC: {whole_vpc}\n{}\n{}",
            format.header(),
            nat_triage::report::text::text(&asked),
            nat_triage::report::text::text(&read),
        );
        assert_ne!(asked.destinations, [], "nothing was compared");
    }
}

#[tokio::test]
async fn both_sources_agree_on_long_lived_connections() {
    both_agree_on(Pattern::LongLived).await;
}

#[tokio::test]
async fn both_sources_agree_on_a_leak() {
    both_agree_on(Pattern::Leak).await;
}

#[tokio::test]
async fn both_sources_agree_on_churn() {
    both_agree_on(Pattern::Churn).await;
}

#[tokio::test]
async fn both_sources_agree_on_a_retry_storm() {
    both_agree_on(Pattern::RetryStorm).await;
}

#[tokio::test]
async fn both_sources_agree_on_fan_in() {
    both_agree_on(Pattern::FanIn).await;
}

#[tokio::test]
async fn both_sources_agree_on_a_scan() {
    both_agree_on(Pattern::Scan).await;
}

/// What Logs Insights tells of an incident's records when it is asked about all the time from so many days before.
async fn asked_about_days(days: i64, spoilt: impl Fn(&mut Vec<Record>)) -> Diagnosis {
    let scale = Scale::Reduced { capacity: CAPACITY };
    let simulated = Incident::random_of(0, scale, Pattern::LongLived, true);
    let simulation = simulated.simulate();
    let facts = simulation.facts();
    let format = LogFormat::v11();
    let mut records = simulation.records(&View::of_gateway(&simulated, format.clone()));
    spoilt(&mut records);
    let covers = facts.interface_id.as_deref().unwrap_or("nat-");
    let known = Known(network(&facts, &format.header(), covers, 60));
    let mut asked = incident(&facts);
    let window = asked.window.expect("known");
    asked.window = Some(window.begun_earlier(SignedDuration::from_hours(24 * days)));
    let insights = LogsInsights::new(Evaluator::new(store(&records)));
    let limits = Limits { ports_per_address: facts.ports_per_address };
    triage(asked, &known, &insights, limits).await.expect("never fails").diagnosis
}

#[tokio::test]
async fn a_window_of_weeks_makes_no_port_held_that_was_not() {
    let short = asked_about_days(0, |_| {}).await;
    let most = |diagnosis: &Diagnosis| {
        diagnosis.destinations.iter().map(|d| (d.address, d.port, d.held.at_most)).collect::<Vec<_>>()
    };
    for days in [1, 12, 40] {
        let long = asked_about_days(days, |_| {}).await;
        for destination in &long.destinations {
            let of_short =
                most(&short).into_iter().find(|d| (d.0, d.1) == (destination.address, destination.port));
            let held = of_short.map_or(0, |(.., most)| most);
            assert!(
                destination.held.at_least <= held,
                "{days} days: {} held {:?}, and within its minutes {held} at most",
                destination.address,
                destination.held
            );
        }
    }
}

#[tokio::test]
async fn a_record_with_a_far_end_covers_no_minutes_in_logs_insights() {
    let far = |records: &mut Vec<Record>| {
        let first = &records[0];
        let mut values: Vec<String> = first.line.split(' ').map(str::to_owned).collect();
        let place = LogFormat::v11().header().split(' ').position(|name| name == "end").expect("has one");
        values[place] = "4294967295".into();
        records[0] = Record { line: values.join(" "), ..first.clone() };
    };
    let diagnosis = asked_about_days(0, far).await;
    let until = diagnosis.coverage.logs_until.expect("records");
    assert!(until <= diagnosis.window.end() + SignedDuration::from_mins(11), "{until}");
}

#[tokio::test]
async fn a_zone_by_metrics_or_by_the_alarm_is_one_diagnosis() {
    let regional = (0..)
        .map(|seed| Incident::random_of(seed, Scale::Reduced { capacity: CAPACITY }, Pattern::Leak, true))
        .find(|simulated| simulated.simulate().facts().kind == nat_simulator::GatewayKind::Regional)
        .expect("one in five or so");
    let simulation = regional.simulate();
    let facts = simulation.facts();
    let format = LogFormat::v11();
    let insights =
        LogsInsights::new(Evaluator::new(store(&simulation.records(&View::of_vpc(format.clone())))));
    let limits = Limits { ports_per_address: facts.ports_per_address };
    let by_alarm = incident(&facts);
    let mut by_metrics = by_alarm.clone();
    let zone = by_metrics.zone.take();
    let mut told = network(&facts, &format.header(), &facts.vpc_id, 60);
    let untold = Known(told.clone());
    told.troubled_zone.clone_from(&zone);
    assert!(zone.is_some());

    let id = by_metrics.id();
    let named = triage(by_alarm, &untold, &insights, limits).await.expect("never fails").diagnosis;
    let found = triage(by_metrics, &Known(told), &insights, limits).await.expect("never fails").diagnosis;
    assert_eq!(found.id, id, "whatever is found out later, the alarm is the same");
    assert_eq!((found.verdict, found.destinations), (named.verdict, named.destinations));
}
