//! There is never only one question: where one is refused, fails, is cut or is slow, a simpler one answers.

use std::cell::RefCell;
use std::fmt::Write as _;

use insights_server::{Dialect, LogGroup, LogGroupClass, Store};
use jiff::ToSpan as _;
use nat_simulator::{Incident as Simulated, LogFormat, Pattern, Scale, Simulation, View};
use nat_triage::contract::{DestinationReport, Diagnosis, Verdict};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::EvidenceSource;
use nat_triage::evidence::insights::{
    Agreement, Answer, Asked, Cause, LogsInsights, LogsQueries, Query, Recording, Rung, RungMemory,
    Unanswered, compare,
};
use nat_triage::incident::{Incident, TimeWindow};
use nat_triage::network::{Known, LogClass, Metric, Network};
use nat_triage::triage::{Triaged, triage};

use crate::support::evaluator::Evaluator;
use crate::support::incidents::{LOG_GROUP, incident, network, store};

/// Ports per address: enough for every pattern, few enough to be quick.
const CAPACITY: u32 = 400;

/// A simulated incident, with what the function would know of it.
pub(crate) struct Scene {
    pub(crate) simulation: Simulation,
    network: Network,
    pub(crate) store: Store,
}

impl Scene {
    pub(crate) fn of(pattern: Pattern, format: &LogFormat) -> Self {
        let simulated = (0..)
            .map(|seed| Simulated::random_of(seed, Scale::Reduced { capacity: CAPACITY }, pattern, true))
            .find(|simulated| simulated.simulate().facts().kind == nat_simulator::GatewayKind::Zonal)
            .expect("most are");
        let simulation = simulated.simulate();
        let facts = simulation.facts();
        let covers = facts.interface_id.clone().expect("a zonal one has one");
        let mut network = network(&facts, &format.header(), &covers, 60);
        network.metrics = metrics(&simulation);
        let store = store(&simulation.records(&View::of_gateway(&simulated, format.clone())));
        if *format == LogFormat::v2_default() {
            store.add_group(LogGroup { default_flow_logs: true, ..LogGroup::new(LOG_GROUP) });
        }
        Self { simulation, network, store }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { ports_per_address: self.simulation.facts().ports_per_address }
    }

    pub(crate) async fn diagnose(&self, queries: impl LogsQueries) -> Diagnosis {
        self.diagnose_with(&LogsInsights::new(queries)).await
    }

    pub(crate) async fn diagnose_with(
        &self,
        source: &impl EvidenceSource<Error: std::fmt::Debug>,
    ) -> Diagnosis {
        let known = Known(self.network.clone());
        triage(incident(&self.simulation.facts()), &known, source, self.limits())
            .await
            .expect("never fails")
            .diagnosis
    }

    /// One minute of it, as the function would look at it by itself.
    pub(crate) async fn look_at(&self, window: TimeWindow) -> Triaged {
        let known = Known(self.network.clone());
        let incident = incident(&self.simulation.facts());
        let incident = Incident { window: Some(window), exact_window: true, alarm: None, ..incident };
        let insights = LogsInsights::new(Evaluator::new(self.store.clone()));
        triage(incident, &known, &insights, self.limits()).await.expect("never fails")
    }

    /// What two questions and a count say of the minute in which most errors were counted.
    async fn compared(&self, queries: &impl LogsQueries, network: &Network) -> Agreement {
        let log = &network.flow_logs[0];
        let format = log.format.parse().expect("valid");
        let groups: Vec<String> = log.log_group.iter().cloned().collect();
        let start = network.metrics[0].greatest_at.expect("errors");
        let minute = TimeWindow::new(start, start + 60.seconds()).expect("a minute");
        let compared = compare(queries, &network.gateway, (log, &format), &groups, minute).await;
        compared.expect("answers").expect("records")
    }

    fn exhausted(&self) -> String {
        let triple = self.simulation.truth().exhausted.expect("full");
        format!("{}:{}", triple.address, triple.port)
    }
}

/// What the gateway's metrics said: errors with their worst minute, and connections.
fn metrics(simulation: &Simulation) -> Vec<Metric> {
    let facts = simulation.facts();
    let errors = &facts.errors;
    let worst = errors.iter().max_by_key(|(_, sum)| *sum).expect("there were errors");
    let metric = |name: &str, statistic: &str, value: f64, at: Option<i64>| Metric {
        name: name.into(),
        statistic: statistic.into(),
        value,
        greatest_at: at.and_then(|at| jiff::Timestamp::from_second(at).ok()),
        ..Metric::default()
    };
    let sum: u64 = errors.iter().map(|(_, sum)| *sum).sum();
    vec![metric("ErrorPortAllocation", "Sum", sum as f64, Some(worst.0))]
}

fn answered(diagnosis: &Diagnosis) -> Option<Rung> {
    diagnosis.coverage.question.as_ref().map(|question| question.name)
}

fn first(diagnosis: &Diagnosis) -> String {
    diagnosis.destinations.first().map_or("nothing".into(), |d| format!("{}:{}", d.address, d.port))
}

/// Refuses the questions above a rung, as a service would that does not take them.
pub(crate) struct From {
    evaluator: Evaluator,
    rung: Rung,
    asked: RefCell<Vec<String>>,
}

impl From {
    pub(crate) fn rung(rung: Rung, store: &Store) -> Self {
        Self { evaluator: Evaluator::new(store.clone()), rung, asked: RefCell::default() }
    }

    /// Which rung a text is of, by what it needs.
    fn rung_of(text: &str) -> Rung {
        let uses = |what: &str| text.contains(what);
        match text.matches("| stats").count() {
            3 => Rung::EveryMinute,
            2 if uses("if(") => Rung::FirstAndLast,
            2 => Rung::WorstMinute,
            1 if uses("parse @message /") => Rung::DistinctPorts,
            1 => Rung::PlainFields,
            _ => Rung::Records,
        }
    }
}

impl LogsQueries for &From {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        self.asked.borrow_mut().push(query.text.clone());
        if From::rung_of(&query.text) < self.rung {
            return Err(refusal());
        }
        self.evaluator.run(query).await
    }
}

fn refusal() -> Unanswered {
    Unanswered {
        why: "Logs Insights does not take the query: MalformedQueryException".into(),
        fix: "report this as a bug".into(),
        cause: Cause::Refused,
    }
}

async fn every_rung_names_the_full_destination(pattern: Pattern, format: LogFormat) {
    let scene = Scene::of(pattern, &format);
    for rung in Rung::ALL {
        let from = From::rung(rung, &scene.store);
        let diagnosis = scene.diagnose(&from).await;
        let what = format!("{pattern:?} {rung:?}\n{}", nat_triage::report::text::text(&diagnosis));
        assert_eq!(answered(&diagnosis), Some(rung), "{what}");
        assert_ne!(diagnosis.verdict, Verdict::NotSupported, "{what}");
        if rung == Rung::PlainFields {
            // A busy destination uses as many ports as a full one within minutes: it may come first.
            assert_ne!(diagnosis.verdict, Verdict::Confirmed, "{what}");
        } else {
            assert_eq!(first(&diagnosis), scene.exhausted(), "{what}");
            assert!(matches!(diagnosis.verdict, Verdict::Confirmed | Verdict::Likely), "{what}");
        }
        if rung == Rung::DistinctPorts {
            assert_eq!(diagnosis.verdict, Verdict::Likely, "{what}");
        }
        let label = |d: &DestinationReport| format!("{}:{}", d.address, d.port);
        let full = diagnosis.destinations.iter().take(3).find(|d| label(d) == scene.exhausted());
        let capacity = diagnosis.nat_gateways[0].capacity_per_destination.expect("known");
        assert!(full.expect("listed").held.at_most * 20 >= capacity * 19, "{what}");
        let question = diagnosis.coverage.question.as_ref().expect("answered");
        assert_eq!(question.cannot_tell.is_some(), rung != Rung::EveryMinute);
        let told = diagnosis.gaps.iter().any(|gap| gap.why.contains("a simpler one was asked"));
        assert_eq!(told, rung != Rung::EveryMinute, "{what}");
    }
}

#[tokio::test]
async fn every_rung_names_a_leak_in_the_default_format() {
    every_rung_names_the_full_destination(Pattern::Leak, LogFormat::v2_default()).await;
}

#[tokio::test]
async fn every_rung_names_a_leak_with_packet_addresses() {
    every_rung_names_the_full_destination(Pattern::Leak, LogFormat::v3_pkt()).await;
}

#[tokio::test]
async fn every_rung_names_long_lived_connections() {
    every_rung_names_the_full_destination(Pattern::LongLived, LogFormat::v5()).await;
}

#[tokio::test]
async fn infrequent_access_begins_with_two_stats() {
    let mut scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let class = LogGroupClass::InfrequentAccess;
    scene.store.add_group(LogGroup { class, ..LogGroup::new(LOG_GROUP) });
    scene.network.flow_logs[0].log_class = Some(LogClass::InfrequentAccess);
    let from = From::rung(Rung::EveryMinute, &scene.store);
    let diagnosis = scene.diagnose(&from).await;
    assert_eq!(answered(&diagnosis), Some(Rung::FirstAndLast));
    assert_eq!(from.asked.borrow().len(), 1, "nothing was refused");
}

#[tokio::test]
async fn govcloud_and_china_begin_without_if() {
    for region in ["us-gov-west-1", "cn-north-1"] {
        let mut scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
        scene.network.region = Some(region.into());
        let evaluator = Evaluator::speaking(scene.store.clone(), Dialect::before_june_2026());
        let diagnosis = scene.diagnose(evaluator).await;
        assert_eq!(answered(&diagnosis), Some(Rung::WorstMinute), "{region}");
        assert_eq!(first(&diagnosis), scene.exhausted());
    }
}

#[tokio::test]
async fn fewer_steps_are_tried_before_a_simpler_question() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let few = Dialect { max_aggregates: Some(36), ..Dialect::default() };
    let diagnosis = scene.diagnose(Evaluator::speaking(scene.store.clone(), few)).await;
    assert_eq!(answered(&diagnosis), Some(Rung::EveryMinute));
    assert!(diagnosis.destinations[0].timeline.len() <= 6);
    assert_eq!(first(&diagnosis), scene.exhausted());
}

#[tokio::test]
async fn a_service_that_knows_one_stats_still_answers() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v2_default());
    let one = Dialect { max_stats: 1, has_if: false, ..Dialect::default() };
    let diagnosis = scene.diagnose(Evaluator::speaking(scene.store.clone(), one)).await;
    assert_eq!(answered(&diagnosis), Some(Rung::DistinctPorts));
    assert_eq!(first(&diagnosis), scene.exhausted());
}

#[tokio::test]
async fn a_question_that_takes_too_long_gives_way_to_one_about_less() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let slow = Dialect { max_seconds: Some(540), ..Dialect::default() };
    let diagnosis = scene.diagnose(Evaluator::speaking(scene.store.clone(), slow)).await;
    assert_eq!(answered(&diagnosis), Some(Rung::WorstMinute));
    assert_eq!(first(&diagnosis), scene.exhausted());
}

#[tokio::test]
async fn two_questions_and_a_count_agree_about_one_minute() {
    for pattern in [Pattern::Leak, Pattern::FanIn, Pattern::RetryStorm] {
        for format in [LogFormat::v2_default(), LogFormat::v3_pkt(), LogFormat::v5(), LogFormat::v11()] {
            let scene = Scene::of(pattern, &format);
            let evaluator = Evaluator::new(scene.store.clone());
            let agreement = scene.compared(&evaluator, &scene.network).await;
            assert!(agreement.counted > 0, "{pattern:?} {format:?}");
            assert!(!agreement.leaves_out(), "{pattern:?} {format:?}: {agreement:?}");
            assert!(!agreement.contradicts(), "{pattern:?} {format:?}: {agreement:?}");
            assert!(agreement.fullest.is_some_and(|fullest| fullest.held.hold > 0));
        }
    }
}

#[tokio::test]
async fn rows_that_leave_records_out_disagree_with_the_count() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let losing = Losing { evaluator: Evaluator::new(scene.store.clone()), above: Rung::FirstAndLast };
    let agreement = scene.compared(&losing, &scene.network).await;
    assert!(agreement.leaves_out(), "{agreement:?}");
}

#[tokio::test]
async fn an_address_that_nobody_named_disagrees_with_the_count() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let mut network = scene.network.clone();
    network.gateway.addresses[0].private = Some("10.99.0.1".parse().expect("valid"));
    let evaluator = Evaluator::new(scene.store.clone());
    let agreement = scene.compared(&evaluator, &network).await;
    assert!(agreement.leaves_out(), "{agreement:?}");
}

/// Loses rows of the questions above a rung.
struct Losing {
    evaluator: Evaluator,
    above: Rung,
}

impl LogsQueries for Losing {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        let mut answer = self.evaluator.run(query).await?;
        if From::rung_of(&query.text) < self.above {
            let half = answer.rows.len() / 2;
            answer.rows.drain(..half);
        }
        Ok(answer)
    }
}

#[tokio::test]
async fn rows_that_do_not_account_for_the_records_are_not_believed() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let evaluator = Evaluator::new(scene.store.clone());
    let diagnosis = scene.diagnose(Losing { evaluator, above: Rung::WorstMinute }).await;
    assert_eq!(answered(&diagnosis), Some(Rung::WorstMinute));
    assert_eq!(first(&diagnosis), scene.exhausted());
}

#[tokio::test]
async fn where_every_answer_loses_rows_the_report_says_so() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let lossy = Dialect { one_record_in: Some(3), ..Dialect::default() };
    let diagnosis = scene.diagnose(Evaluator::speaking(scene.store.clone(), lossy)).await;
    assert_ne!(diagnosis.verdict, Verdict::NotSupported);
    assert!(!diagnosis.coverage.complete);
    let told = diagnosis.gaps.iter().any(|gap| gap.what == "records that the answer leaves out");
    assert!(told || answered(&diagnosis) == Some(Rung::Records), "{:#?}", diagnosis.gaps);
}

/// What goes wrong with the first question that is not refused.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Refused,
    Ended,
    Slow,
    RowsMissing,
}

/// Refuses the questions above a rung, and has a fault at the rung itself.
struct FaultAt {
    evaluator: Evaluator,
    rung: Rung,
    fault: Fault,
}

impl LogsQueries for &FaultAt {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        let rung = From::rung_of(&query.text);
        if rung < self.rung {
            return Err(refusal());
        }
        let unanswered = |why: &str, cause| Unanswered { why: why.into(), fix: "ask again".into(), cause };
        match self.fault {
            _ if rung != self.rung => self.evaluator.run(query).await,
            Fault::Refused => Err(refusal()),
            Fault::Ended => Err(unanswered("the query failed", Cause::Ended)),
            Fault::Slow => {
                tokio::time::sleep(std::time::Duration::from_secs(300)).await;
                Err(unanswered("it still ran when there was no more time", Cause::OutOfTime))
            }
            Fault::RowsMissing => {
                let mut answer = self.evaluator.run(query).await?;
                answer.rows.truncate(answer.rows.len() / 2);
                Ok(answer)
            }
        }
    }

    async fn wait_before(&self, _: &Query) {
        tokio::time::sleep(std::time::Duration::from_secs(90)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_at_a_rung_the_person_gets_the_next_answer() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let mut table = String::new();
    for rung in Rung::ALL {
        for fault in [Fault::Refused, Fault::Ended, Fault::Slow, Fault::RowsMissing] {
            let queries = FaultAt { evaluator: Evaluator::new(scene.store.clone()), rung, fault };
            let diagnosis = scene.diagnose(&queries).await;
            let case = format!("{rung:?} {fault:?}");
            assert_ne!(diagnosis.verdict, Verdict::NotSupported, "{case}");
            let by = answered(&diagnosis);
            if by.is_some_and(|by| by <= Rung::DistinctPorts) {
                assert_eq!(first(&diagnosis), scene.exhausted(), "{case}");
            }
            assert!(by.is_some() || !diagnosis.gaps.is_empty(), "{case}");
            let by = by.map_or("none".into(), |by| format!("{by:?}"));
            let subject = nat_triage::report::sms::subject(&diagnosis);
            writeln!(table, "{case}: {:?} by {by}: {subject}", diagnosis.verdict).expect("written");
        }
    }
    insta::assert_snapshot!(table);
}

/// Answers every query in one way.
struct Always(Cause);

impl LogsQueries for Always {
    async fn run(&self, _: &Query) -> Result<Answer, Unanswered> {
        Err(Unanswered { why: "it did not work".into(), fix: "try".into(), cause: self.0.clone() })
    }
}

#[tokio::test]
async fn where_nothing_is_answered_the_first_reason_is_given_once() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    for cause in [Cause::Refused, Cause::Ended, Cause::Other, Cause::OutsideRetention, Cause::OutOfTime] {
        let diagnosis = scene.diagnose(Always(cause.clone())).await;
        assert_eq!(diagnosis.verdict, Verdict::CannotTell, "{cause:?}");
        let told = diagnosis.gaps.iter().filter(|gap| gap.why == "it did not work").count();
        assert_eq!((told, answered(&diagnosis)), (1, None), "{cause:?}: {:#?}", diagnosis.gaps);
    }
}

#[tokio::test]
async fn a_missing_log_group_does_not_cost_the_others() {
    let mut scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let mut gone = scene.network.flow_logs[0].clone();
    gone.id = "fl-0aaaaaaaaaaaaaaaa".into();
    gone.log_group = Some("/gone".into());
    scene.network.flow_logs.push(gone);
    let diagnosis = scene.diagnose(Evaluator::new(scene.store.clone())).await;
    assert_eq!(answered(&diagnosis), Some(Rung::EveryMinute));
    assert_eq!(first(&diagnosis), scene.exhausted());
    assert!(diagnosis.gaps.iter().any(|gap| gap.what == "records in the log group /gone"));
}

#[tokio::test]
async fn lines_of_another_form_are_found_in_the_stream_and_read() {
    // The flow log's format is told wrongly: its lines have a field more.
    let mut scene = Scene::of(Pattern::Leak, &LogFormat::v5());
    scene.network.flow_logs[0].format = LogFormat::v2_default().header();
    let diagnosis = scene.diagnose(Evaluator::new(scene.store.clone())).await;
    let told = diagnosis.gaps.iter().any(|gap| gap.why.contains("none is of the form"));
    assert!(told, "{:#?}", diagnosis.gaps);
    assert_ne!(diagnosis.verdict, Verdict::NotSupported);
}

#[tokio::test]
async fn a_stream_without_records_is_named_as_such() {
    let mut scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    scene.store = Store::new();
    scene.store.add_group(LogGroup::new(LOG_GROUP));
    let diagnosis = scene.diagnose(Evaluator::new(scene.store.clone())).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell);
    let told = diagnosis.gaps.iter().any(|gap| gap.why.contains("has no record of these minutes"));
    assert!(told, "{:#?}", diagnosis.gaps);
}

#[tokio::test]
async fn what_was_refused_once_is_not_asked_again() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let memory = RungMemory::default();
    let from = From::rung(Rung::WorstMinute, &scene.store);
    let mut asked = Vec::new();
    for _ in 0..2 {
        from.asked.borrow_mut().clear();
        let source = LogsInsights::new(&from).remembering(memory.clone());
        assert_eq!(answered(&scene.diagnose_with(&source).await), Some(Rung::WorstMinute));
        asked.push(from.asked.borrow().len());
    }
    assert!(asked[0] > 2 && asked[1] == 1, "{asked:?}");
}

/// Takes so long over the first question that a simpler one is asked beside it.
struct Slow<'a>(&'a Evaluator);

impl LogsQueries for Slow<'_> {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        let minutes = if From::rung_of(&query.text) == Rung::EveryMinute { 5 } else { 1 };
        tokio::time::sleep(std::time::Duration::from_secs(minutes * 60)).await;
        self.0.run(query).await
    }

    async fn wait_before(&self, _: &Query) {
        tokio::time::sleep(std::time::Duration::from_secs(90)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_simpler_answer_is_at_hand_while_the_better_one_takes_long() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let evaluator = Evaluator::new(scene.store.clone());
    let source = LogsInsights::new(Slow(&evaluator));
    let facts = scene.simulation.facts();
    let (incident, mut network) = (incident(&facts), scene.network.clone());
    let mut looking = std::pin::pin!(source.collect(&incident, &mut network));
    let four_minutes = std::time::Duration::from_secs(240);
    assert!(tokio::time::timeout(four_minutes, &mut looking).await.is_err(), "still asked");
    let so_far = source.so_far().expect("answered beside");
    assert_eq!(so_far.coverage.question, Some(Rung::DistinctPorts));
    assert!(!so_far.destinations.is_empty());
    let evidence = looking.await.expect("never fails");
    assert_eq!(evidence.coverage.question, Some(Rung::EveryMinute));
    assert_eq!(evidence.queries.len(), 2, "what was asked beside is told");
    assert!(source.so_far().is_none());
}

/// Answers the better question while the one beside it never ends.
struct NeverBeside<'a>(&'a Evaluator);

impl LogsQueries for NeverBeside<'_> {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        if From::rung_of(&query.text) != Rung::EveryMinute {
            return std::future::pending().await;
        }
        tokio::time::sleep(std::time::Duration::from_secs(120)).await;
        self.0.run(query).await
    }

    async fn wait_before(&self, _: &Query) {
        tokio::time::sleep(std::time::Duration::from_secs(90)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_given_up_is_told_and_replayed() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let evaluator = Evaluator::new(scene.store.clone());
    let recording = Recording::new(NeverBeside(&evaluator));
    let live = scene.diagnose(&recording).await;
    assert_eq!(answered(&live), Some(Rung::EveryMinute));
    let given_up = live.queries.iter().find(|query| query.rung == Some(Rung::DistinctPorts));
    assert!(given_up.is_some_and(|query| query.cost_usd.is_none()), "{:#?}", live.queries);
    let replayed = scene.diagnose(&Replay(recording.asked())).await;
    assert_eq!(replayed.to_json(), live.to_json());
}

/// Answers as was recorded.
struct Replay(Vec<Asked>);

impl LogsQueries for &Replay {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        let asked = self.0.iter().find(|asked| asked.is(query)).expect("every question was recorded");
        asked.answer.clone()
    }

    async fn wait_before(&self, simpler: &Query) {
        if !self.0.iter().any(|asked| asked.is(simpler)) {
            std::future::pending().await
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_rung_is_replayed_to_the_byte() {
    let scene = Scene::of(Pattern::Leak, &LogFormat::v3_pkt());
    let evaluator = Evaluator::new(scene.store.clone());
    let recording = Recording::new(Slow(&evaluator));
    let live = scene.diagnose(&recording).await;
    let replayed = scene.diagnose(&Replay(recording.asked())).await;
    assert_eq!(replayed.to_json(), live.to_json(), "with a question beside");
    for rung in Rung::ALL {
        let from = From::rung(rung, &scene.store);
        let recording = Recording::new(&from);
        let live = scene.diagnose(&recording).await;
        let replayed = scene.diagnose(&Replay(recording.asked())).await;
        assert_eq!(replayed.to_json(), live.to_json(), "{rung:?}");
    }
}
