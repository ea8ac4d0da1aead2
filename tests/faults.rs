//! Whatever one call does, the person gets one message that is true and says what is missing.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use insights_server::{Dialect, InsightsServer, Store};
use nat_simulator::LogFormat;
use nat_triage::evidence::insights::CONSTRUCTS;
use serde_json::{Value, json};

use crate::support::between::{Between, Beyond, Published, Wrong};
use crate::support::chat::assert_shown;
use crate::support::contract::assert_kept;
use crate::support::runtime_api::{Answered, RuntimeApi};
use crate::support::scene::{REGION, event, staged, started, stored};

/// Seconds that the function has. A third is kept back to publish, and look-ups have a third of the rest: enough
/// for two retries of the SDK, which wait 3 s at most.
const ALLOWED: u64 = 18;

/// Most bytes of a message (`PublishInput` in the SNS API).
const LARGEST: usize = 262_144;

/// Cases that are tried at the same time: they wait, mostly.
const AT_ONCE: usize = 8;

/// The calls without which nothing can be decided.
const DECIDING: [&str; 6] = [
    "ec2:DescribeNatGateways",
    "ec2:DescribeFlowLogs",
    "logs:StartQuery",
    "logs:GetQueryResults",
    "s3:ListBucket",
    "s3:GetObject",
];

const PUBLISH: &str = "sns:Publish";

/// What became of one alarm.
struct Outcome {
    answered: Answered,
    published: Vec<Published>,
    calls: Vec<String>,
}

impl Outcome {
    fn of(beyond: &Beyond, event: &Value, wrong: Option<(String, Wrong)>, allowed: u64) -> Self {
        let between = Between::start(beyond, wrong);
        let url = between.url();
        let api = RuntimeApi::start();
        let topic = format!("arn:aws:sns:{REGION}:123456789012:nat-triage");
        let _function = started(&api, &[("AWS_ENDPOINT_URL", &url)], &[("NAT_TRIAGE_TOPIC_ARN", &topic)]);
        let answered = api.invoke(event, Duration::from_secs(allowed));
        Self { answered, published: between.published(), calls: between.calls().into_keys().collect() }
    }

    fn diagnosis(&self) -> Option<&Value> {
        match &self.answered {
            Answered::Response(diagnosis) => Some(diagnosis),
            Answered::Error(_) => None,
        }
    }
}

/// How much a verdict claims.
fn claim(verdict: &str) -> u8 {
    match verdict {
        "confirmed" => 3,
        "likely" => 2,
        "cannot-tell" => 1,
        other => panic!("{other} was made of an incident by one fault"),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// The gaps that name this action.
fn gaps_of<'a>(diagnosis: &'a Value, action: &str) -> Vec<&'a Value> {
    let gaps = diagnosis["gaps"].as_array().expect("a list");
    gaps.iter().filter(|gap| text(gap, "why").contains(action)).collect()
}

/// An empty answer is no error, and no evidence: without what decides nothing is decided, and without the rest the
/// figures are the same, and nothing is said that only this call could tell.
fn assert_nothing_made_of_nothing(action: &str, diagnosis: &Value, healthy: &Value, case: &str) {
    let all = |pointer: &str| diagnosis.pointer(pointer).and_then(Value::as_array).expect("a list");
    if DECIDING.contains(&action) {
        assert_eq!(text(diagnosis, "verdict"), "cannot-tell", "{case}");
        let decides = |gap: &Value| gap["decides"] == Value::Bool(true) && !text(gap, "fix").is_empty();
        assert!(all("/gaps").iter().any(decides), "{case}: {}", diagnosis["gaps"]);
        return;
    }
    let figures = |diagnosis: &Value| {
        let of = |d: &Value| ["address", "port", "held", "refused"].map(|field| d[field].clone());
        let destinations = diagnosis["destinations"].as_array().expect("a list");
        destinations.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(figures(diagnosis), figures(healthy), "{case}");
    let name_sources = |pointer: &str, source: &str| {
        let named = all(pointer).iter().filter(|named| named["name_source"] == source);
        named.count()
    };
    match action {
        "cloudwatch:GetMetricData" => assert!(all("/metrics").is_empty(), "{case}: {}", diagnosis["metrics"]),
        "ec2:DescribeNetworkInterfaces" => {
            assert_eq!(name_sources("/destinations/0/clients", "lookup"), 0, "{case}");
        }
        "cloudtrail:LookupEvents" => assert_eq!(diagnosis["changes"]["listed"], json!([]), "{case}"),
        "ec2:DescribePrefixLists" => {
            let offered = all("/remedies").iter().map(|remedy| text(remedy, "id"));
            let unfounded: Vec<_> = offered.filter(|id| id.starts_with("gateway-endpoint")).collect();
            assert!(unfounded.is_empty(), "{case}: {unfounded:?}");
        }
        _ => {}
    }
}

/// One line of the table; panics where the person was not told the truth.
fn judged(action: &str, wrong: Wrong, outcome: &Outcome, healthy: &Value) -> String {
    let case = format!("{action} {wrong:?}");
    let Some(diagnosis) = outcome.diagnosis() else {
        assert_eq!(action, PUBLISH, "{case}: {:?}", outcome.answered);
        assert_ne!(wrong, Wrong::ThrottledForAWhile, "{case}");
        assert!(outcome.published.is_empty(), "{case}: a message that went out is no error");
        let Answered::Error(error) = &outcome.answered else { unreachable!("no diagnosis") };
        assert_eq!(text(error, "errorType"), "NotPublished", "{case}");
        let message = text(error, "errorMessage");
        assert!(message.contains("nat-triage") && message.contains("failed to publish"), "{case}: {message}");
        return format!("{case}: no message, and an error for Lambda");
    };
    let [published] = &outcome.published[..] else {
        assert!(
            action == PUBLISH && matches!(wrong, Wrong::Malformed | Wrong::Empty),
            "{case}: {} messages",
            outcome.published.len()
        );
        return format!("{case}: taken for sent, as SNS said so");
    };
    // What machines get: none of their protocols has a text of its own.
    let machines: Value = serde_json::from_str(text(&published.body, "default")).expect("JSON");
    for protocol in ["sqs", "lambda", "http", "firehose"] {
        assert!(published.body.get(protocol).is_none(), "{case}: {protocol}");
    }
    let sms = text(&published.body, "sms");
    assert!(sms.is_ascii() && sms.len() <= 140, "{case}: {sms}");
    assert_shown(&serde_json::from_str(text(&published.body, "https")).expect("JSON"));
    assert_eq!(machines, *diagnosis, "{case}: what is published is what is returned");
    assert_kept(&machines, &case);
    assert!(!published.subject.is_empty() && published.subject.len() < 100, "{case}");
    let size = published.subject.len() + published.body.to_string().len();
    assert!(size <= LARGEST, "{case}: {size} bytes");
    let people = text(&published.body, "email");
    assert!(people.contains(text(diagnosis, "headline").split_whitespace().next().expect("words")), "{case}");
    let verdict = text(diagnosis, "verdict");
    let attribute = |name: &str| published.attributes.get(name).map(String::as_str);
    assert_eq!(attribute("verdict"), Some(verdict), "{case}");
    assert_eq!(attribute("kind"), Some("diagnosis"), "{case}");
    assert_eq!(attribute("gateway"), diagnosis["nat_gateways"][0]["id"].as_str(), "{case}");
    let severity = if verdict == "cannot-tell" { "warning" } else { "critical" };
    assert_eq!(attribute("severity"), Some(severity), "{case}");
    assert!(claim(verdict) <= claim(text(healthy, "verdict")), "{case}: {verdict}");
    if !DECIDING.contains(&action) {
        assert_eq!(verdict, text(healthy, "verdict"), "{case}: nothing that decides was missing");
    }

    let gaps = gaps_of(diagnosis, action);
    match wrong {
        Wrong::ThrottledForAWhile => {
            assert_eq!(diagnosis["headline"], healthy["headline"], "{case}");
            assert!(gaps.is_empty(), "{case}: {gaps:?}");
        }
        Wrong::Empty => assert_nothing_made_of_nothing(action, diagnosis, healthy, &case),
        Wrong::Status(_) | Wrong::ManyRows => {
            assert!(!diagnosis["gaps"].as_array().expect("a list").is_empty(), "{case}");
        }
        _ => {
            assert!(!gaps.is_empty() || action == "logs:StopQuery", "{case}: {}", diagnosis["gaps"]);
            for gap in &gaps {
                assert!(!text(gap, "fix").is_empty(), "{case}");
                assert!(people.contains("WHAT WE COULD NOT SEE"), "{case}");
            }
        }
    }
    let of_query = matches!(wrong, Wrong::Status(_) | Wrong::ManyRows);
    let all = diagnosis["gaps"].as_array().expect("a list").iter();
    // The emulator says of every flow log that its delivery fails.
    let others = all.filter(|gap| of_query && !text(gap, "why").contains("Access error"));
    let unseen: Vec<&str> = gaps.iter().copied().chain(others).map(|gap| text(gap, "what")).collect();
    let unseen = if unseen.is_empty() { "nothing".to_owned() } else { unseen.join("; ") };
    let named = |gap: &str| gap.replace(text(&healthy["nat_gateways"][0], "id"), "the gateway");
    format!("{case}: one message, {verdict}; unseen by it: {}", named(&unseen))
}

/// What can go wrong with any call.
const USUAL: [Wrong; 8] = [
    Wrong::Denied,
    Wrong::ThrottledForAWhile,
    Wrong::ThrottledForEver,
    Wrong::ServerError,
    Wrong::Reset,
    Wrong::Slow,
    Wrong::Malformed,
    Wrong::Empty,
];

#[test]
#[expect(clippy::print_stdout, reason = "how many faults were tried, and what came of them")]
fn whatever_one_call_does_the_person_gets_one_true_message() {
    let (scene, simulation) = staged(&LogFormat::v3_pkt());
    let insights = InsightsServer::start(stored(&simulation, LogFormat::v3_pkt()));
    let beyond = Beyond::new(scene.ec2.url(), &insights.endpoint(), scene.rest.url());
    let event = event(&simulation, scene.id("gateway"));

    // Twice: the second time with every answer at hand.
    Outcome::of(&beyond, &event, None, 120);
    let well = Outcome::of(&beyond, &event, None, ALLOWED);
    let healthy = well.diagnosis().expect("a diagnosis").clone();
    assert_eq!(text(&healthy, "verdict"), "confirmed", "{healthy:#}");
    let change = &healthy["changes"]["listed"][0];
    assert_eq!((text(change, "event_name"), text(change, "relation")), ("ReplaceRoute", "gateway"));

    let mut cases: Vec<(String, Wrong)> =
        well.calls.iter().flat_map(|action| USUAL.map(|wrong| (action.clone(), wrong))).collect();
    for code in ["NotFound", "KMSAccessDenied", "KMSDisabled", "InvalidParameter"] {
        cases.push((PUBLISH.into(), Wrong::Code(code)));
    }
    for status in ["Failed", "Cancelled", "Timeout", "Unknown", "Scheduled", "Running"] {
        cases.push(("logs:GetQueryResults".into(), Wrong::Status(status)));
    }
    cases.push(("logs:GetQueryResults".into(), Wrong::ManyRows));
    for code in ["LimitExceededException", "MalformedQueryException", "ResourceNotFoundException"] {
        cases.push(("logs:StartQuery".into(), Wrong::Code(code)));
    }

    let (next, lines) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((action, wrong)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = Outcome::of(&beyond, &event, Some((action.clone(), *wrong)), ALLOWED);
                    let line = judged(action, *wrong, &outcome, &healthy);
                    lines.lock().expect("no case panicked").push(line);
                }
            });
        }
    });
    let mut lines = lines.into_inner().expect("no case panicked");
    lines.sort_unstable();
    let count = |words: &str| lines.iter().filter(|line| line.contains(words)).count();
    let mut table = String::new();
    writeln!(
        table,
        "{} faults of {} calls: {} times one message, {} times none and an error for Lambda, {} times taken for sent",
        cases.len(),
        well.calls.len(),
        count("one message"),
        count("no message"),
        count("taken for sent"),
    )
    .expect("written");
    for line in &lines {
        writeln!(table, "{line}").expect("written");
    }
    println!("{table}");
    insta::assert_snapshot!(table);
}

/// Seconds that the function has where it reads the records itself: here it is built without optimisation.
const ALLOWED_TO_READ: u64 = 120;

#[test]
fn whatever_s3_does_the_person_gets_one_true_message() {
    const BUCKET: &str = "flow-logs";

    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    let flow_log = scene.fill(BUCKET, &simulation, &format);
    let insights = InsightsServer::start(Store::new());
    let beyond = Beyond::new(scene.ec2.url(), &insights.endpoint(), scene.rest.url());
    let event = event(&simulation, scene.id("gateway"));

    let well = Outcome::of(&beyond, &event, None, ALLOWED_TO_READ);
    let healthy = well.diagnosis().expect("a diagnosis").clone();
    assert_eq!(text(&healthy, "verdict"), "confirmed", "{healthy:#}");
    let of_s3: Vec<&String> = well.calls.iter().filter(|action| action.starts_with("s3:")).collect();
    assert_eq!(of_s3, ["s3:GetObject", "s3:ListBucket"]);
    let mut lines = Vec::new();
    for action in of_s3 {
        for wrong in USUAL {
            let outcome = Outcome::of(&beyond, &event, Some((action.clone(), wrong)), ALLOWED_TO_READ);
            let line = judged(action, wrong, &outcome, &healthy);
            // How much the files hold, compressed, depends on the time of day that their records tell.
            let line = line
                .split_once(", of ")
                .map_or(line.clone(), |(line, _)| format!("{line}, of so much in all"));
            lines.push(line.replace(&flow_log, "the flow log"));
        }
    }
    insta::assert_snapshot!(lines.join("\n"));
}

/// What a service takes, slows or cuts, so that each rung of the ladder has to answer in its turn.
fn dialects() -> Vec<(&'static str, Dialect)> {
    let usual = Dialect::default();
    let without_patterns = CONSTRUCTS.iter().map(|construct| construct.name.to_owned());
    let without_patterns = without_patterns.filter(|name| name != "parse by a regular expression").collect();
    let nothing = ["filter", "in", "fields", "limit", "like a text"].map(str::to_owned).to_vec();
    vec![
        ("few aggregate functions", Dialect { max_aggregates: Some(36), ..usual.clone() }),
        ("two stats", Dialect { max_stats: 2, ..usual.clone() }),
        ("two stats, no if", Dialect::before_june_2026()),
        ("one stats", Dialect { max_stats: 1, has_if: false, ..usual.clone() }),
        ("no pattern", Dialect { max_stats: 1, constructs: Some(without_patterns), ..usual.clone() }),
        ("no stats", Dialect { constructs: Some(nothing), ..usual.clone() }),
        ("slow about more than nine minutes", Dialect { max_seconds: Some(540), ..usual.clone() }),
        ("groups missing", Dialect { max_groups: Some(30_000), ..usual.clone() }),
        ("records missing", Dialect { one_record_in: Some(2), ..usual }),
    ]
}

#[test]
fn whatever_logs_insights_takes_the_full_destination_is_named() {
    let (scene, simulation) = staged(&LogFormat::v3_pkt());
    let store = stored(&simulation, LogFormat::v3_pkt());
    let insights = InsightsServer::start(store.clone());
    let event = event(&simulation, scene.id("gateway"));
    let exhausted = simulation.truth().exhausted.expect("a leak");
    let mut table = String::new();
    for (name, dialect) in dialects() {
        store.set_dialect(dialect);
        // What stands between remembers answers: each service has its own.
        let beyond = Beyond::new(scene.ec2.url(), &insights.endpoint(), scene.rest.url());
        let outcome = Outcome::of(&beyond, &event, None, 60);
        let diagnosis = outcome.diagnosis().expect("a diagnosis");
        let [published] = &outcome.published[..] else { panic!("{name}: {}", outcome.published.len()) };
        let first = &diagnosis["destinations"][0];
        let named = first["address"] == exhausted.address.to_string() && first["port"] == exhausted.port;
        assert!(named, "{name}: {first}");
        let verdict = text(diagnosis, "verdict");
        assert_ne!(verdict, "not-supported", "{name}");
        assert!(text(&published.body, "email").contains(&exhausted.address.to_string()), "{name}");
        assert_kept(diagnosis, name);
        let question = &diagnosis["coverage"]["question"];
        writeln!(table, "{name}: {verdict}, by question {}", text(question, "name")).expect("written");
    }
    insta::assert_snapshot!(table);
}
