//! What was held an hour earlier stands beside what is held now: what is new, and what has grown.

use std::cell::RefCell;

use nat_simulator::{LogFormat, Pattern, Record, View};
use nat_triage::bundle::Bundle;
use nat_triage::contract::{ClientReport, Diagnosis};
use nat_triage::diagnosis::Growth;
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::evidence::insights::{
    Answer, Cause, LogsInsights, LogsQueries, Query, Recording, RungMemory, Unanswered,
};
use nat_triage::flow::reader::{Input, Inputs, Options};
use nat_triage::network::Known;
use nat_triage::report;
use nat_triage::triage::{Surveyed, Triaged, triage};

use crate::ladder::Scene;
use crate::support::evaluator::Evaluator;
use crate::support::incidents::{an_hour_earlier, file, incident, store};
use crate::support::prose;

const HOUR: i64 = 3_600;

/// A leak, and what the gateway did an hour before it.
struct Night {
    scene: Scene,
    format: LogFormat,
    /// What a client held is told by its own port, of those of one connection.
    now: Vec<Record>,
}

impl Night {
    fn new() -> Self {
        let format = LogFormat::v3_pkt();
        let scene = Scene::of(Pattern::Leak, &format);
        let view = View::of_gateway(scene.simulation.incident(), format.clone());
        let now = scene.simulation.records(&view);
        Self { scene, format, now }
    }

    /// The position of a field in a record.
    fn position(&self, field: &str) -> usize {
        self.format.header().split(' ').position(|name| name == field).expect("in the format")
    }

    /// The records of the night, and an hour earlier all of them to other destinations, and those to the full one that
    /// `kept` takes, of the client and its port.
    fn with_earlier(&self, kept: impl Fn(&str, u16) -> bool) -> Vec<Record> {
        let [from, to, from_port, to_port] =
            ["pkt-srcaddr", "pkt-dstaddr", "srcport", "dstport"].map(|field| self.position(field));
        let there = self.scene.simulation.truth().exhausted.expect("full").address.to_string();
        let is_kept = |record: &&Record| {
            let fields: Vec<&str> = record.line.split(' ').collect();
            let port = |at: usize| fields[at].parse().unwrap_or(0);
            if fields[to] == there {
                kept(fields[from], port(from_port))
            } else if fields[from] == there {
                kept(fields[to], port(to_port))
            } else {
                true
            }
        };
        let header = self.format.header();
        let earlier = self.now.iter().filter(is_kept).map(|record| an_hour_earlier(record, &header));
        self.now.iter().cloned().chain(earlier).collect()
    }

    async fn asked(&self, records: &[Record]) -> Diagnosis {
        self.asked_of(Evaluator::new(store(records))).await
    }

    async fn asked_of(&self, queries: impl LogsQueries) -> Diagnosis {
        let source = LogsInsights::new(queries).comparing(true);
        let known = Known(self.scene.network().clone());
        let facts = self.scene.simulation.facts();
        triage(incident(&facts), &known, &source, self.scene.limits()).await.expect("never fails").diagnosis
    }

    async fn read(&self, records: &[Record]) -> Diagnosis {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("flow.log");
        std::fs::write(&path, file(records, &self.format.header())).expect("written");
        let inputs = Inputs::open(&[Input::Path(path)]).expect("readable");
        let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
        let known = Known(self.scene.network().clone());
        let facts = self.scene.simulation.facts();
        triage(incident(&facts), &known, &files, self.scene.limits()).await.expect("readable").diagnosis
    }
}

fn greatest(diagnosis: &Diagnosis) -> &ClientReport {
    &diagnosis.destinations[0].clients[0]
}

fn growth(diagnosis: &Diagnosis) -> Option<Growth> {
    let holder = greatest(diagnosis);
    holder.held_earlier.map(|earlier| Growth::between(earlier, holder.held, diagnosis.verdict))
}

#[tokio::test]
async fn what_has_grown_is_told_with_both_figures() {
    let night = Night::new();
    let records = night.with_earlier(|_, port| port % 10 == 0);
    let diagnosis = night.asked(&records).await;
    let holder = greatest(&diagnosis);
    assert_eq!(growth(&diagnosis), Some(Growth::Grown), "{holder:?}");
    let (then, now) = (holder.held_earlier.expect("asked").estimate, holder.held.estimate);
    assert!((now / 14..now / 7).contains(&then), "{then} of {now}");
    let text = prose(&diagnosis);
    assert!(text.contains(&format!("UTC), {} held {then} (0 to", holder.address)), "{text}");
    assert!(text.contains(&format!("; an hour earlier: {then}")), "{text}");
}

#[tokio::test]
async fn who_held_nothing_an_hour_earlier_is_new() {
    let night = Night::new();
    let diagnosis = night.asked(&night.with_earlier(|_, _| false)).await;
    let holder = greatest(&diagnosis).address;
    assert_eq!(growth(&diagnosis), Some(Growth::New), "{:?} {:?}", diagnosis.earlier, diagnosis.gaps);
    let text = prose(&diagnosis);
    assert!(text.contains(&format!("UTC), {holder} held no port to")), "{text}");
    assert_eq!(diagnosis.destinations[0].held_earlier.expect("asked").at_most, 0);
    assert!(text.contains("; an hour earlier: none"), "{text}");
}

#[tokio::test]
async fn what_was_full_an_hour_earlier_is_not_new() {
    let night = Night::new();
    let diagnosis = night.asked(&night.with_earlier(|_, _| true)).await;
    assert_eq!(growth(&diagnosis), Some(Growth::ProbablyAlike));
    assert!(prose(&diagnosis).contains("Probably not new: an hour earlier ("));
}

#[tokio::test]
async fn files_and_logs_insights_agree_on_the_hour_before() {
    let night = Night::new();
    let records = night.with_earlier(|_, port| port % 4 == 0);
    let [asked, read] = [night.asked(&records).await, night.read(&records).await];
    assert_eq!(asked.earlier, read.earlier);
    let [by_query, by_file] = [&asked, &read].map(|all| all.destinations[0].held_earlier.expect("asked"));
    let apart = by_query.estimate.abs_diff(by_file.estimate);
    assert!(apart * 20 <= by_file.estimate, "{by_query:?} {by_file:?}");
    assert_eq!(growth(&asked), growth(&read));
}

#[tokio::test]
async fn files_without_the_hour_before_are_read_once() {
    let night = Night::new();
    let diagnosis = night.read(&night.now).await;
    assert_eq!((&diagnosis.earlier, greatest(&diagnosis).held_earlier), (&None, None));
    assert!(!diagnosis.gaps.iter().any(|gap| gap.what.contains("earlier")), "{:?}", diagnosis.gaps);
}

#[tokio::test]
async fn where_no_record_is_left_of_it_nothing_is_called_new() {
    let night = Night::new();
    let diagnosis = night.asked(&night.now).await;
    assert_eq!((&diagnosis.earlier, greatest(&diagnosis).held_earlier), (&None, None));
    let gap = diagnosis.gaps.iter().find(|gap| gap.what == "held ports an hour earlier").expect("said");
    assert!(gap.why.contains("do not hold all of those minutes"), "{gap:?}");
    assert!(!gap.decides);
}

/// Answers, but for questions that a diagnosis can do without.
struct Thrifty(Evaluator);

impl LogsQueries for Thrifty {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        self.0.run(query).await
    }

    async fn run_spare(&self, _: &Query) -> Result<Answer, Unanswered> {
        let why = "it would scan about 2 TB".into();
        Err(Unanswered { why, fix: "raise NAT_TRIAGE_MAX_SCAN_GIB".into(), cause: Cause::TooLarge })
    }
}

#[tokio::test]
async fn what_the_scan_limit_cannot_spare_is_a_gap_of_one_line() {
    let night = Night::new();
    let records = night.with_earlier(|_, port| port % 10 == 0);
    let whole = night.asked(&records).await;
    let spared = night.asked_of(Thrifty(Evaluator::new(store(&records)))).await;
    assert_eq!((spared.verdict, &spared.headline), (whole.verdict, &whole.headline));
    let gaps: Vec<_> = spared.gaps.iter().filter(|gap| !whole.gaps.contains(gap)).collect();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].why, "it would scan more than the limit on scanned bytes can spare");
    assert_eq!(spared.earlier, None);
}

/// Says of the minutes an hour earlier that twice as many records matched as its rows stand for.
struct Forgetful(Evaluator);

impl LogsQueries for Forgetful {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        self.0.run(query).await
    }

    async fn run_spare(&self, query: &Query) -> Result<Answer, Unanswered> {
        let answer = self.0.run(query).await?;
        Ok(Answer { records_matched: answer.records_matched.map(|matched| matched * 2), ..answer })
    }
}

#[tokio::test]
async fn an_answer_that_leaves_records_out_compares_nothing() {
    let night = Night::new();
    let records = night.with_earlier(|_, port| port % 10 == 0);
    let diagnosis = night.asked_of(Forgetful(Evaluator::new(store(&records)))).await;
    assert_eq!((&diagnosis.earlier, greatest(&diagnosis).held_earlier), (&None, None));
    let gap = diagnosis.gaps.iter().find(|gap| gap.what == "held ports an hour earlier").expect("said");
    assert!(gap.why.contains("the rows of its answer stand for"), "{gap:?}");
}

/// Counts the questions about the minutes an hour earlier.
struct Counting(Evaluator, RefCell<Vec<i64>>);

impl LogsQueries for &Counting {
    async fn run(&self, query: &Query) -> Result<Answer, Unanswered> {
        self.0.run(query).await
    }

    async fn run_spare(&self, query: &Query) -> Result<Answer, Unanswered> {
        self.1.borrow_mut().push(query.to);
        self.0.run(query).await
    }
}

#[tokio::test]
async fn a_second_look_does_not_ask_for_the_hour_before_again() {
    let night = Night::new();
    let counting =
        Counting(Evaluator::new(store(&night.with_earlier(|_, port| port % 10 == 0))), RefCell::default());
    let source = LogsInsights::new(&counting).comparing(true);
    let known = Known(night.scene.network().clone());
    let surveyed = Surveyed::new(incident(&night.scene.simulation.facts()), &known).await;
    for _ in 0..2 {
        let looked = surveyed.look(&known, &source, night.scene.limits()).await.expect("never fails");
        assert!(looked.diagnosis.earlier.is_some());
    }
    let facts = night.scene.simulation.facts();
    assert_eq!(counting.1.take(), [facts.end - HOUR - 1]);
}

async fn looked<Q: LogsQueries>(night: &Night, source: &LogsInsights<Q>) -> (Surveyed, Triaged) {
    let known = Known(night.scene.network().clone());
    let surveyed = Surveyed::new(incident(&night.scene.simulation.facts()), &known).await;
    let triaged = surveyed.look(&known, source, night.scene.limits()).await.expect("never fails");
    (surveyed, triaged)
}

#[tokio::test]
async fn a_bundle_gives_the_hour_before_again() {
    let night = Night::new();
    let recording = Recording::new(Evaluator::new(store(&night.with_earlier(|_, port| port % 10 == 0))));
    for compares in [true, false] {
        let (surveyed, triaged) = looked(&night, &LogsInsights::new(&recording).comparing(compares)).await;
        assert_eq!(triaged.compared, compares);
        let about = incident(&night.scene.simulation.facts());
        let bundle = Bundle::of(None, about, &surveyed, &triaged, recording.asked(), RungMemory::default());
        let again = bundle.diagnose(night.scene.limits()).await;
        assert_eq!(report::json(&again.diagnosis), report::json(&triaged.diagnosis));
    }
}

#[tokio::test]
async fn the_mail_of_a_grown_leak_reads_well() {
    let night = Night::new();
    let diagnosis = night.asked(&night.with_earlier(|_, port| port % 10 == 0)).await;
    insta::assert_snapshot!(report::text::text(&diagnosis));
}
