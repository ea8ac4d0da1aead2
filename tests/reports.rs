//! What people and machines receive: every format of every sort of answer, and whatever a name holds.

use std::sync::LazyLock;

use insights_server::LogGroup;
use jiff::Timestamp;
use nat_simulator::{Incident as Simulated, LogFormat, Pattern, Record, Scale, View};
use nat_triage::contract::{Diagnosis, Stage, Verdict, When};
use nat_triage::diagnosis::Limits;
use nat_triage::evidence::Attribution;
use nat_triage::evidence::insights::LogsInsights;
use nat_triage::gap::Gap;
use nat_triage::incident::{Incident, TimeWindow};
use nat_triage::network::{
    Change, Changes, Handles, Known, Metric, NameSource, Network, Owner, OwnerKind, OwnerSource, PrefixList,
    Route, RouteTable, Subnet,
};
use nat_triage::report::message::LARGEST;
use nat_triage::report::{self, HttpsReaders, Message, Trouble};
use nat_triage::triage::Surveyed;
use nat_triage::words;
use serde_json::Value;

use crate::support::chat::assert_shown;
use crate::support::checkout;
use crate::support::contract::{assert_kept, assert_trouble};
use crate::support::evaluator::Evaluator;
use crate::support::incidents::{incident, network, query_log, store};

/// Ports per address, so that incidents are small.
const CAPACITY: u32 = 400;

const QUERY_LOG_GROUP: &str = "/dns/queries";

/// An incident as the function meets it: a whole VPC's flow log, the metrics, and what clients asked for.
struct Night {
    incident: Incident,
    network: Network,
    records: Vec<Record>,
    server: Option<String>,
    limits: Limits,
}

impl Night {
    fn of(pattern: Pattern) -> Self {
        Self::seeded(8, pattern, true)
    }

    fn seeded(seed: u64, pattern: Pattern, exhausts: bool) -> Self {
        Self::logged(seed, pattern, exhausts, LogFormat::v11())
    }

    fn logged(seed: u64, pattern: Pattern, exhausts: bool, format: LogFormat) -> Self {
        let simulated = Simulated::random_of(seed, Scale::Reduced { capacity: CAPACITY }, pattern, exhausts);
        let simulation = simulated.simulate();
        let (facts, truth) = (simulation.facts(), simulation.truth());
        let mut network = network(&facts, &format.header(), &facts.vpc_id, 60);
        network.metrics = vec![Metric {
            name: "ErrorPortAllocation".into(),
            statistic: "Sum".into(),
            value: facts.errors.iter().map(|(_, sum)| *sum as f64).sum(),
            baseline: Some(0.0),
            day_before: None,
            greatest_at: None,
        }];
        network.owners = truth
            .worst_client
            .iter()
            .map(|client| Owner {
                address: *client,
                kind: OwnerKind::Instance,
                name: "i-0a1b2c3d4e5f60718 checkout, of the Auto Scaling group checkout-blue".into(),
                zone: None,
                source: OwnerSource::Lookup,
                handles: Handles {
                    interface_id: Some("eni-0a1b2c3d4e5f60718".into()),
                    security_groups: vec!["sg-0a1b2c3d4e5f60718".into()],
                    instance_id: Some("i-0a1b2c3d4e5f60718".into()),
                    scaling_group: Some("checkout-blue".into()),
                    ..Handles::default()
                },
            })
            .collect();
        Self {
            incident: incident(&facts),
            network,
            records: simulation.records(&View::of_gateway(&simulated, format)),
            server: truth.exhausted.map(|destination| destination.address.to_string()),
            limits: Limits { ports_per_address: facts.ports_per_address },
        }
    }

    /// The destination as one of S3's addresses, to which no endpoint leads yet.
    fn of_s3(mut self) -> Self {
        let server = self.server.as_deref().expect("exhausted");
        let list = |name: &str, ranges: &str| PrefixList {
            id: "pl-6fa54006".into(),
            name: name.into(),
            ranges: vec![ranges.parse().expect("a range")],
        };
        let network = &mut self.network;
        network.prefix_lists = Some(vec![list("com.amazonaws.us-east-1.s3", &format!("{server}/32"))]);
        network.gateway_endpoints = Some(Vec::new());
        network.subnets = Some(vec![Subnet {
            id: "subnet-0a1b2c3d4e5f60718".into(),
            zone: Some("us-east-1a".into()),
            ranges: vec!["10.0.1.0/24".parse().expect("a range")],
        }]);
        network.route_tables = Some(vec![RouteTable {
            id: "rtb-0a1b2c3d4e5f60718".into(),
            main: true,
            subnet_ids: Vec::new(),
            routes: vec![Route {
                destination: "0.0.0.0/0".into(),
                target: network.gateway.id.as_ref().expect("known").to_string(),
            }],
        }]);
        self
    }

    /// The same, with what CloudTrail recorded before it.
    fn changed(mut self) -> Self {
        let window = self.incident.window.expect("known");
        let before = |minutes: i64| window.end() - jiff::SignedDuration::from_mins(minutes);
        let change = |minutes, source: &str, name: &str, on: &[&str]| Change {
            at: before(minutes),
            event_id: Some("a6e1634d-4fa3-4b99-be61-9524e513b911".into()),
            source: format!("{source}.amazonaws.com"),
            name: name.into(),
            user: Some("jane@example.com".into()),
            role: Some("deploy".into()),
            on: on.iter().map(ToString::to_string).collect(),
        };
        let gateway = self.network.gateway.id.as_ref().expect("known").to_string();
        let vpc = self.network.gateway.vpc_id.clone().expect("known");
        let mut changes = Changes::before(&self.incident, before(-2)).expect("has minutes");
        changes.add([
            change(40, "ec2", "RunInstances", &[&vpc, "i-0b1b2c3d4e5f60718"]),
            change(31, "ec2", "RunInstances", &[&vpc, "i-0c1b2c3d4e5f60718"]),
            change(25, "ec2", "ReplaceRoute", &["rtb-0a1b2c3d4e5f60718", "0.0.0.0/0", &gateway]),
            change(20, "autoscaling", "SetDesiredCapacity", &["checkout-blue"]),
            change(15, "lambda", "UpdateFunctionCode20150331v2", &["thumbnails"]),
        ]);
        changes.read_from = before(90);
        changes.asked_after = vec![gateway];
        self.network.changes = Some(changes);
        self
    }

    async fn surveyed(&self) -> Surveyed {
        Surveyed::new(self.incident.clone(), &Known(self.network.clone())).await
    }

    async fn diagnosis(&self) -> Diagnosis {
        let store = store(&self.records);
        let mut network = self.network.clone();
        if let Some(server) = &self.server {
            store.add_group(LogGroup::new(QUERY_LOG_GROUP));
            let at = self.incident.window.expect("known").start().as_second() - 600;
            let line = query_log("payments.example.com", &[server]);
            store.add_flow_log_lines(QUERY_LOG_GROUP, "vpc", [(at, line)]);
            network.resolver_log_groups = Some(vec![QUERY_LOG_GROUP.into()]);
        }
        let known = Known(network);
        let source = LogsInsights::new(Evaluator::new(store));
        let surveyed = Surveyed::new(self.incident.clone(), &known).await;
        surveyed.look(&known, &source, self.limits).await.expect("never fails").diagnosis
    }
}

/// Every sort of answer, by name; made once for all tests.
static ANSWERS: LazyLock<Vec<(&'static str, Diagnosis)>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // A runtime cannot be started within another one, which a test may have.
    std::thread::scope(|scope| scope.spawn(|| runtime.block_on(answers())).join().expect("no panic"))
});

/// One of them.
fn answer(name: &str) -> &'static Diagnosis {
    let (_, diagnosis) = ANSWERS.iter().find(|(answer, _)| *answer == name).expect("made");
    diagnosis
}

async fn answers() -> Vec<(&'static str, Diagnosis)> {
    // A gateway of four addresses, and clients that use IPv6.
    let mut answers = vec![("long-lived", Night::seeded(11, Pattern::LongLived, true).diagnosis().await)];
    for (name, pattern) in [
        ("leak", Pattern::Leak),
        ("churn", Pattern::Churn),
        ("retry-storm", Pattern::RetryStorm),
        ("fan-in", Pattern::FanIn),
        ("scan", Pattern::Scan),
    ] {
        answers.push((name, Night::of(pattern).diagnosis().await));
    }
    let mut unproven = Night::of(Pattern::LongLived);
    unproven.incident.errors_reported = None;
    unproven.incident.alarm = None;
    unproven.network.metrics.clear();
    answers.push(("likely", unproven.diagnosis().await));
    let mut quiet = Night::seeded(8, Pattern::LongLived, false);
    answers.push(("errors-unexplained", quiet.diagnosis().await));
    (quiet.incident.alarm, quiet.incident.errors_reported) = (None, None);
    quiet.network.metrics[0].value = 0.0;
    answers.push(("not-supported", quiet.diagnosis().await));
    let mut late = Night::of(Pattern::LongLived);
    let window = late.incident.window.expect("known");
    late.records.retain(|record| record.timestamp < window.start().as_second());
    answers.push(("cannot-tell", late.diagnosis().await));
    let mut blind = Night::of(Pattern::Leak);
    blind.network.flow_logs.clear();
    answers.push(("no-flow-log", blind.diagnosis().await));
    let early = Night::of(Pattern::Leak);
    let mut unread = early.surveyed().await.unread(early.limits);
    unread.stage = Stage::Provisional;
    answers.push(("provisional", unread));
    let mut so_far = late.diagnosis().await;
    so_far.stage = Stage::Provisional;
    answers.push(("provisional-with-records", so_far));
    // The format that flow logs have where nobody asked for another.
    let default = Night::logged(8, Pattern::Leak, true, LogFormat::v2_default());
    answers.push(("default-format", default.diagnosis().await));
    let mut skipped = Night::of(Pattern::LongLived);
    let some = skipped.records.len() / 2;
    let fields = skipped.records[some].line.split(' ').map(|_| "-").collect::<Vec<_>>().join(" ");
    skipped.records[some].line = skipdata(&skipped.records[some].line, &fields);
    answers.push(("skipdata", skipped.diagnosis().await));
    // Hours instead of minutes, over midnight.
    let mut hours = Night::of(Pattern::Leak);
    let end = hours.incident.window.expect("known").end();
    let start = Timestamp::from_second(end.as_second() - 14 * 3600).expect("valid");
    (hours.incident.window, hours.incident.exact_window) = (TimeWindow::new(start, end).ok(), true);
    answers.push(("hours", hours.diagnosis().await));
    answers.push(("changed", Night::of(Pattern::Leak).changed().diagnosis().await));
    answers.push(("s3", Night::of(Pattern::LongLived).of_s3().diagnosis().await));
    answers
}

/// A record of the same time and interface that says that others were left out.
fn skipdata(line: &str, nothing: &str) -> String {
    let (given, mut fields): (Vec<&str>, Vec<&str>) =
        (line.split(' ').collect(), nothing.split(' ').collect());
    // version, account-id, interface-id, start, end; then log-status instead of OK.
    for kept in [0, 1, 2, 10, 11] {
        fields[kept] = given[kept];
    }
    fields[13] = "SKIPDATA";
    fields.join(" ")
}

/// All that can be made of a diagnosis, by name.
fn formats(diagnosis: &Diagnosis) -> Vec<(&'static str, String)> {
    let message = Message::of(
        diagnosis,
        Some("https://bucket.example/report.html?X-Amz-Signature=0a1b"),
        HttpsReaders::Chat,
    );
    let body: Value = serde_json::from_str(&message.body).expect("JSON");
    let mail = body["email"].as_str().expect("text");
    vec![
        ("mail", format!("Subject: {}\n\n{mail}", message.subject)),
        ("terminal", report::text::terminal(diagnosis)),
        ("sms", report::sms::sms(diagnosis)),
        ("chat", serde_json::to_string_pretty(&report::chat::chat(diagnosis, None)).expect("JSON")),
        ("markdown", report::markdown::markdown(diagnosis)),
        ("html", report::html::html(diagnosis)),
        ("json", report::json(diagnosis)),
    ]
}

/// Answers of which the whole JSON is kept; of the others a digest. The schema holds all to their shape.
const WHOLE_JSON: [&str; 2] = ["leak", "cannot-tell"];

/// What is kept of a text, so that a review reads it: of a page not its style and script, which are files.
fn kept(answer: &str, format: &str, text: &str) -> String {
    match format {
        "json" if !WHOLE_JSON.contains(&answer) => digest(&serde_json::from_str(text).expect("JSON")),
        "html" => without_style_and_script(text),
        _ => text.to_owned(),
    }
}

/// A page with the names of its style and script in their place; `tools/checks/pages` puts them back.
fn without_style_and_script(page: &str) -> String {
    ["style.css", "script.js"].iter().fold(page.to_owned(), |page, name| {
        let path = format!("src/report/html/{name}");
        let text = std::fs::read_to_string(checkout().join(&path)).expect("there");
        assert!(page.contains(&text), "the page has {path} in it");
        page.replace(&text, &format!("/* {path} */\n"))
    })
}

/// A diagnosis in a line for its verdict, and one for each destination, client, remedy and gap.
fn digest(json: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let client = |client: &Value| {
        let Value::Object(held) = &client["held"] else { panic!("{client}") };
        format!(
            "{}: {} to {} ports, share {}, {} refused, {}",
            text(&client["address"]),
            held["at_least"],
            held["at_most"],
            client["share"],
            client["refused"],
            text(&client["attribution"])
        )
    };
    let mut lines = vec![
        format!("{}, {}", text(&json["verdict"]), text(&json["pattern"])),
        text(&json["headline"]),
        format!(
            "{} destinations, {} gateways, {} metrics, {} links, {} queries; complete: {}, {} records",
            json["destinations_seen"],
            list(&json["nat_gateways"]).len(),
            list(&json["metrics"]).len(),
            list(&json["links"]).len(),
            list(&json["queries"]).len(),
            json["coverage"]["complete"],
            json["coverage"]["records_read"]
        ),
    ];
    for one in list(&json["destinations"]) {
        lines.push(format!(
            "destination {}:{}/{}: {} to {} ports, about {}, {} of capacity, {} refused, {} connections, {} clients, {} steps",
            text(&one["address"]),
            one["port"],
            text(&one["protocol"]),
            one["held"]["at_least"],
            one["held"]["at_most"],
            one["held"]["estimate"],
            one["utilization"],
            one["refused"],
            one["connections"],
            list(&one["clients"]).len(),
            list(&one["timeline"]).len()
        ));
    }
    lines.extend(
        list(&json["destinations"][0]["clients"]).iter().map(|one| format!("client {}", client(one))),
    );
    for remedy in list(&json["remedies"]) {
        lines.push(format!(
            "remedy {}: {}, {}, {} commands, {} hazards, ${} a month{}",
            text(&remedy["id"]),
            text(&remedy["when"]),
            text(&remedy["confidence"]),
            list(&remedy["commands"]).len(),
            list(&remedy["hazards"]).len(),
            remedy["monthly_cost_usd"],
            remedy["condition"]["unknown"]
                .as_str()
                .map_or(String::new(), |unknown| format!(", unknown: {unknown}"))
        ));
    }
    for gap in list(&json["gaps"]) {
        let decides = if gap["decides"] == true { " (decides)" } else { "" };
        lines.push(format!("gap{decides}: {}", text(&gap["what"])));
    }
    lines.join("\n")
}

fn format<'a>(formats: &'a [(&str, String)], name: &str) -> &'a str {
    &formats.iter().find(|(format, _)| *format == name).expect("made").1
}

#[test]
fn every_format_of_every_answer_is_as_it_was_read() {
    for (answer, diagnosis) in ANSWERS.iter() {
        for (format, text) in formats(diagnosis) {
            insta::with_settings!({
                snapshot_path => "snapshots/reports",
                prepend_module_to_snapshot => false,
                omit_expression => true,
            }, {
                insta::assert_snapshot!(format!("{answer}.{format}"), kept(answer, format, &text));
            });
        }
    }
}

#[test]
fn a_page_of_hostile_names_is_there_for_a_browser_to_look_at() {
    let page = report::html::html(&hostile(answer("leak"), &HOSTILE.join(" ")));
    insta::with_settings!({
        snapshot_path => "snapshots/reports",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("hostile.html", without_style_and_script(&page));
    });
}

#[test]
fn the_answers_are_of_every_verdict_and_pattern() {
    let verdicts = [Verdict::Confirmed, Verdict::Likely, Verdict::NotSupported, Verdict::CannotTell];
    for verdict in verdicts {
        assert!(ANSWERS.iter().any(|(_, diagnosis)| diagnosis.verdict == verdict), "{verdict:?}");
    }
    for (name, diagnosis) in ANSWERS.iter().take(6) {
        assert_eq!(diagnosis.verdict, Verdict::Confirmed, "{name}");
        let pattern = serde_json::to_value(diagnosis.pattern).expect("JSON");
        assert_eq!(pattern, *name, "{:?}", diagnosis.pattern_evidence);
    }
}

/// Whether a line of mail is one that is never broken: a command, a link, or what holds one.
fn unbroken(line: &str) -> bool {
    let held = line.trim_start_matches(' ');
    let labelled = ["Verify", "Undo"].iter().any(|what| held.starts_with(what));
    let held = held.split_once(": ").filter(|_| labelled).map_or(held, |(_, command)| command);
    ["aws ", "for n in ", "AWS_REGION=", "nat-triage ", "https://", "<https://"]
        .iter()
        .any(|start| held.starts_with(start))
}

#[test]
fn a_mail_fits_a_phone_and_begins_with_the_answer() {
    for (name, diagnosis) in ANSWERS.iter() {
        let text = report::text::text(diagnosis);
        for line in text.lines().filter(|line| !unbroken(line)) {
            assert!(line.chars().count() <= 72, "{name}: {line}");
            assert!(!line.trim_start().contains("  "), "{name}: columns in {line:?}");
        }
        let first: Vec<&str> = text.lines().take(3).collect();
        assert!(first[2].is_empty(), "{name}: the answer is two lines: {first:?}");
        if diagnosis.verdict == Verdict::Confirmed {
            let top = &diagnosis.destinations[0];
            assert!(first[0].contains(&top.address.to_string()), "{name}: {first:?}");
            assert!(first[0].contains("is full"), "{name}: {first:?}");
            assert!(first[1].ends_with("Confirmed."), "{name}: {first:?}");
        }
        let message = Message::of(diagnosis, None, HttpsReaders::Chat);
        assert!(message.subject.is_ascii() && message.subject.len() <= 99, "{name}: {}", message.subject);
        let sms = report::sms::sms(diagnosis);
        assert!(sms.is_ascii() && sms.len() <= 140, "{name}: {sms}");
    }
}

#[test]
fn a_name_by_the_owner_of_an_address_is_said_to_be_that() {
    let mut diagnosis = answer("leak").clone();
    diagnosis.destinations[0].name_source = Some(NameSource::ReverseDns);
    for (format, text) in formats(&diagnosis) {
        assert!(text.contains("(PTR payments.exam") || ["sms", "json"].contains(&format), "{format}: {text}");
    }
}

#[test]
fn what_is_refused_elsewhere_is_not_said_to_be_refused_here() {
    let mut diagnosis = answer("leak").clone();
    let here = diagnosis.destinations[0].refused;
    diagnosis.refused_attempts.found = here + 1_000_000;
    let text = report::text::text(&diagnosis).split_whitespace().collect::<Vec<_>>().join(" ");
    let (here, all) = (words::count(here), words::count(here + 1_000_000));
    assert!(text.contains(&format!("full, and {here} attempts to it refused; {all} in all")), "{text}");
}

#[test]
fn a_second_full_destination_is_named_with_who_holds_it() {
    let mut diagnosis = answer("leak").clone();
    let mut other = diagnosis.destinations[0].clone();
    other.port = 8443;
    other.held.at_least = 0;
    diagnosis.destinations.insert(1, other.clone());
    let prose = |diagnosis: &Diagnosis| {
        report::text::text(diagnosis).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let holder = other.clients[0].address;
    let (address, held_by) =
        (other.address, format!("{} held by {holder}", words::percent(other.clients[0].share)));
    let certain = format!(
        "Also full: {address}:8443/tcp (100%, {held_by}). The clients and fixes below are those of {address}:443/tcp."
    );
    assert!(prose(&diagnosis).contains(&certain), "{}", prose(&diagnosis));
    assert!(report::sms::sms(&diagnosis).ends_with("; 1 more full"), "{}", report::sms::sms(&diagnosis));
    // Where there is no room for both, who holds them comes first.
    diagnosis.nat_gateways[0].id = Some("nat-0123456789abcdef0".into());
    diagnosis.destinations[0].port = 65_535;
    for octet in ["203.113.113.110", "203.113.113.111"] {
        diagnosis.destinations[0].address = octet.parse().expect("valid");
    }
    diagnosis.nat_gateways[0].capacity_per_destination = Some(440_000);
    let subject = report::sms::subject(&diagnosis);
    assert!(subject.ends_with(&format!("held by {holder}")), "{subject}");
    diagnosis.destinations[1].refused = 0;
    assert!(prose(&diagnosis).contains(&format!("Also full: {address}:8443/tcp (100%, not certain")));
}

#[test]
fn where_we_cannot_tell_the_destination_in_doubt_is_named() {
    let mut diagnosis = answer("cannot-tell").clone();
    let mut doubtful = diagnosis.destinations[0].clone();
    doubtful.address = "192.0.2.77".parse().expect("valid");
    (doubtful.held.at_least, doubtful.held.estimate, doubtful.held.at_most) = (1, 1, CAPACITY);
    for destination in &mut diagnosis.destinations {
        destination.held.at_most = destination.held.estimate;
    }
    diagnosis.destinations.insert(0, doubtful);
    let lead = report::text::text(&diagnosis).lines().take(2).collect::<Vec<_>>().join(" ");
    for text in [lead, report::sms::sms(&diagnosis), report::sms::subject(&diagnosis)] {
        assert!(text.contains("192.0.2.77:443"), "{text}");
    }
}

#[test]
fn what_one_step_shows_is_said_once() {
    let mut diagnosis = answer("leak").clone();
    let fix = "supply credentials that are valid now";
    diagnosis.gaps =
        ["the gateway", "its metrics", "its flow logs"].map(|what| Gap::new(what, "denied", fix)).to_vec();
    for (format, text) in formats(&diagnosis) {
        let said = text.matches(fix).count();
        assert_eq!(
            said,
            if format == "sms" {
                0
            } else if format == "json" {
                3
            } else {
                1
            },
            "{format}"
        );
        let all = ["the gateway", "its metrics", "its flow logs"].iter().all(|what| text.contains(what));
        assert!(all || format == "sms", "{format}");
    }
}

#[test]
fn of_an_address_with_many_names_the_others_are_counted() {
    let mut diagnosis = answer("leak").clone();
    let said = |diagnosis: &Diagnosis| {
        report::text::text(diagnosis).lines().find(|line| line.starts_with("   Name: ")).map(str::to_owned)
    };
    for (names, more) in
        [(1, ""), (2, ", and 1 other name"), (4, ", and 3 other names"), (10, ", and 9 or more other names")]
    {
        diagnosis.destinations[0].names_asked_for = names;
        assert_eq!(said(&diagnosis), Some(format!("   Name: payments.example.com{more}")));
    }
}

#[test]
fn what_helps_later_is_never_the_first_thing_to_do() {
    for (name, diagnosis) in ANSWERS.iter() {
        let full = matches!(diagnosis.verdict, Verdict::Confirmed | Verdict::Likely);
        let first = diagnosis.remedies.first().filter(|_| full);
        assert!(first.is_none_or(|remedy| remedy.when == When::Now), "{name}: {first:?}");
        assert!(!full || first.is_some(), "{name}");
    }
}

#[test]
fn a_step_that_may_have_been_full_says_so() {
    let mut diagnosis = answer("cannot-tell").clone();
    let quiet = |diagnosis: &Diagnosis| report::text::text(diagnosis).contains(", at most 400");
    assert!(quiet(&diagnosis));
    for step in &mut diagnosis.destinations[0].timeline {
        step.held_at_most = step.held_estimate;
    }
    assert!(!quiet(&diagnosis));
}

#[test]
fn errors_that_nothing_explains_are_no_all_clear() {
    let [unexplained, clear] = [answer("errors-unexplained"), answer("not-supported")];
    assert_eq!(unexplained.verdict, Verdict::CannotTell);
    let text = report::text::text(unexplained);
    assert!(text.contains("counted errors were") && !text.contains("had ports left"), "{text}");
    let badge = |diagnosis: &Diagnosis| {
        let page = report::html::html(diagnosis);
        page.split("<header class=\"").nth(1).and_then(|after| after.split('"').next()).map(str::to_owned)
    };
    assert_eq!(badge(unexplained).as_deref(), Some("cannot-tell"));
    assert_eq!(badge(clear).as_deref(), Some("not-supported"));
    assert!(!report::text::text(clear).contains("Do first"));
}

#[tokio::test]
async fn a_tag_is_no_link_and_an_empty_one_is_no_name() {
    let mut night = Night::of(Pattern::Leak);
    night.network.owners[0].name = "KRAKEN https://evil.example/login".into();
    let mut diagnosis = night.diagnosis().await;
    let named = report::text::text(&diagnosis);
    assert!(named.contains("KRAKEN"), "{named}");
    for (format, text) in formats(&diagnosis).iter().filter(|(format, _)| *format != "json") {
        assert!(!text.contains("https://evil"), "{format}: {text}");
    }
    // A line of a file that is no flow log. In a page it is a text like any other.
    diagnosis.gaps.push(Gap::new("1 line", "first at line 3: https://evil.example/login", "look at it"));
    for (format, text) in formats(&diagnosis).iter().filter(|(format, _)| !["json", "html"].contains(format))
    {
        assert!(text.contains("first at line 3: https: //evil") || *format == "sms" || *format == "chat");
        assert!(!text.contains("https://evil"), "{format}: {text}");
    }
    night.network.owners[0].name = " \u{200b}\u{3164} ".into();
    let diagnosis = night.diagnosis().await;
    assert_eq!(diagnosis.destinations[0].clients[0].name, None);
    let title = &diagnosis.remedies[0].title;
    assert!(title.starts_with("Replace i-0a1b2c3d4e5f60718 by"), "{title}");
}

#[test]
fn the_json_of_every_answer_keeps_to_its_schema() {
    for (name, diagnosis) in ANSWERS.iter() {
        assert_kept(&diagnosis.to_json(), name);
    }
}

#[test]
fn a_chat_gets_one_thread_for_each_alarm_and_gateway() {
    for (_, diagnosis) in ANSWERS.iter() {
        assert_shown(&report::chat::chat(diagnosis, None));
    }
    let thread = |diagnosis: &Diagnosis| report::chat::chat(diagnosis, None)["metadata"]["threadId"].clone();
    let (one, mut other) = (answer("leak"), answer("leak").clone());
    other.id = "nt-another-night".into();
    assert_eq!(thread(one), thread(&other));
    other.nat_gateways[0].id = Some("nat-0fedcba9876543210".into());
    assert_ne!(thread(one), thread(&other));
}

/// What a name from outside may hold. Each has a word that has to be recognised.
const HOSTILE: [&str; 14] = [
    "KRAKEN' OR '1'='1",
    "KRAKEN\"><img src=x onerror=alert(1)>",
    "KRAKEN</script><script>alert(1)</script>",
    "KRAKEN</title></style><style>*{display:none}",
    "KRAKEN`reboot`",
    "KRAKEN$(reboot)",
    "KRAKEN\r\nSubject: other\r\n\r\nDo first: run rm -rf /",
    "KRAKEN\u{1b}[2J\u{7}\u{0}",
    "KRAKEN\u{202e}txt.exe\u{2066}",
    "KRAKEN [click](https://evil.example) ![x](https://evil.example)",
    "KRAKEN <!channel> <https://evil.example|click> @here @channel",
    "KRAKEN | | a | b |\n|---|",
    "KRAKEN ```\n# x\n```",
    "KRAKEN {{ secret }} {% x %} &lt; ${secret} %s ñ 😀",
];

fn hostile(diagnosis: &Diagnosis, text: &str) -> Diagnosis {
    let mut hostile = diagnosis.clone();
    let name = || Some(text.to_owned());
    if let Some(alarm) = &mut hostile.alarm {
        text.clone_into(&mut alarm.name);
        alarm.account = name();
    }
    for destination in &mut hostile.destinations {
        (destination.name, destination.service) = (name(), name());
        for client in &mut destination.clients {
            (client.name, client.kind, client.zone) = (name(), name(), name());
        }
    }
    for change in hostile.changes.iter_mut().flat_map(|changes| &mut changes.listed) {
        (change.user, change.role, change.event_id) = (name(), name(), name());
        change.on = vec![text.to_owned()];
        text.clone_into(&mut change.event_name);
    }
    hostile.coverage.flow_log = name();
    hostile.coverage.formats = vec![text.to_owned()];
    for gap in &mut hostile.gaps {
        *gap = Gap::new(text, text, text);
    }
    for query in &mut hostile.queries {
        query.log_groups = vec![text.to_owned()];
    }
    hostile
}

#[test]
fn whatever_a_name_holds_every_format_is_harmless() {
    let mut diagnosis = answer("changed").clone();
    diagnosis.gaps.push(Gap::new("what", "why", "fix"));
    let long = format!("KRAKEN{}", "x".repeat(1_000));
    let benign = formats(&hostile(&diagnosis, "KRAKEN"));
    let count = |text: &str, what: &str| text.matches(what).count();
    for value in HOSTILE.into_iter().chain([long.as_str()]) {
        let diagnosis = hostile(&diagnosis, value);
        let formats = formats(&diagnosis);
        for (format, text) in &formats {
            if *format != "sms" {
                assert!(text.contains("KRAKEN"), "{format} of {value:?}:\n{text}");
            }
            let control = |c: char| c.is_control() && c != '\n' && !(c == '\u{1b}' && *format == "terminal");
            assert!(!text.contains(control), "{format} of {value:?}:\n{text}");
            if *format != "json" {
                assert!(!text.contains(['\u{202e}', '\u{2066}']), "{format} of {value:?}");
            }
            // Whatever is in a name: only its own line grows, and no section begins.
            assert!(
                !text.contains("\nSubject: other") && !text.contains("\nDo first: run"),
                "{format}: {text}"
            );
            assert!(text.len() < 400_000, "{format} of {value:?}");
        }
        for format_of_people in ["mail", "terminal", "markdown", "html"] {
            let (text, usual) = (format(&formats, format_of_people), format(&benign, format_of_people));
            if *value != *long {
                assert!(text.lines().count() < usual.lines().count() + 60, "{value:?}\n{text}");
            }
        }
        assert_eq!(
            count(format(&formats, "terminal"), "\u{1b}["),
            count(format(&benign, "terminal"), "\u{1b}["),
            "{value:?} dresses the terminal"
        );
        let html = format(&formats, "html");
        for tag in ["<script", "<style", "</script", "<img", "<title", "<meta", "onerror=alert(1)>"] {
            assert_eq!(count(html, tag), count(format(&benign, "html"), tag), "{tag} by {value:?}");
        }
        let markdown = format(&formats, "markdown");
        assert!(!markdown.contains("](https://evil") && !markdown.contains("@here"), "{markdown}");
        assert_eq!(count(markdown, "\n```"), count(format(&benign, "markdown"), "\n```"), "{value:?}");
        let rows = |text: &str| text.lines().filter(|line| line.starts_with('|')).count();
        assert_eq!(rows(markdown), rows(format(&benign, "markdown")), "{value:?}");
        let chat: Value = serde_json::from_str(format(&formats, "chat")).expect("JSON");
        assert_shown(&chat);
        let shown = chat["content"].to_string();
        for active in ["<!channel>", "@here", "](https://evil", "<https://evil", "https://evil"] {
            assert!(!shown.contains(active), "{active} of {value:?}: {shown}");
        }
        // Machines get it as it is.
        let json: Value = serde_json::from_str(format(&formats, "json")).expect("JSON");
        assert_eq!(json["destinations"][0]["name"], *value);
        let message = Message::of(&diagnosis, None, HttpsReaders::Chat);
        assert!(message.size() <= LARGEST && message.subject.is_ascii() && message.subject.len() <= 99);
    }
}

/// Names that come in with the alarm, the tags, the DNS and the network, and not afterwards: they are in titles,
/// reasons, commands and links as well.
#[test]
fn the_longest_addresses_leave_the_answer_its_two_lines() {
    let mut long = answer("default-format").clone();
    let top = &mut long.destinations[0];
    top.address = [255, 255, 255, 255].into();
    top.port = 65_535;
    top.clients[0].address = "2600:1f18:1234:5600:aaaa:bbbb:cccc:dddd".parse().expect("an address");
    top.held.estimate = 123_456;
    for (capacity, verdict) in [
        (Some(440_000), Verdict::Confirmed),
        (Some(440_000), Verdict::Likely),
        (Some(440_000), Verdict::CannotTell),
        (None, Verdict::CannotTell),
    ] {
        for attribution in [Attribution::Connection, Attribution::DestinationPort] {
            for stage in [Stage::Provisional, Stage::Final] {
                long.nat_gateways[0].capacity_per_destination = capacity;
                long.destinations[0].clients[0].attribution = attribution;
                (long.verdict, long.stage) = (verdict, stage);
                let text = report::text::text(&long);
                let lines: Vec<&str> = text.lines().take(3).collect();
                assert!(lines[..2].iter().all(|line| (50..=72).contains(&line.chars().count())), "{lines:?}");
                assert_eq!(lines[2], "", "{lines:?}");
            }
        }
    }
}

#[tokio::test]
async fn whatever_the_world_calls_things_the_report_of_it_is_harmless() {
    let mut usual = Night::of(Pattern::Leak).of_s3();
    usual.network.gateway.vpc_id = Some("KRAKEN".into());
    usual.network.route_tables.as_mut().expect("known")[0].id = "KRAKEN".into();
    usual.network.flow_logs[0].id = "KRAKEN".into();
    let benign = formats(&usual.diagnosis().await);
    let count = |text: &str, what: &str| text.matches(what).count();
    for value in HOSTILE {
        let mut night = Night::of(Pattern::Leak).of_s3();
        night.incident.alarm.as_mut().expect("an alarm").name = value.into();
        let network = &mut night.network;
        network.owners[0].name = value.into();
        network.gateway.vpc_id = Some(value.into());
        network.route_tables.as_mut().expect("known")[0].id = value.into();
        network.metrics[0].name = value.into();
        network.flow_logs[0].id = value.into();
        for (format, text) in formats(&night.diagnosis().await) {
            if !["sms", "chat"].contains(&format) {
                assert!(text.contains("KRAKEN"), "{format} of {value:?}");
            }
            let control = |c: char| c.is_control() && c != '\n' && !(c == '\u{1b}' && format == "terminal");
            assert!(!text.contains(control), "{format} of {value:?}: {text}");
            if format != "json" {
                assert!(!text.contains(['\u{202e}', '\u{2066}']), "{format} of {value:?}");
            }
            assert!(!text.contains("\nSubject: other") && !text.contains("\nDo first: run"), "{format}");
            // What would act there: tags in a browser, sequences on a terminal.
            let active: &[&str] = match format {
                "html" => &["<script", "<style", "</script", "<img", "<title", "<meta"],
                "terminal" => &["\u{1b}["],
                _ => &[],
            };
            for what in active {
                assert_eq!(
                    count(&text, what),
                    count(self::format(&benign, format), what),
                    "{what}: {value:?}"
                );
            }
        }
    }
}

#[test]
fn whatever_an_event_holds_the_message_on_it_is_harmless() {
    let long = format!("KRAKEN{}", "x".repeat(1_000));
    let huge = "KRAKEN".repeat(100_000);
    for value in HOSTILE.into_iter().chain([long.as_str(), huge.as_str()]) {
        let event = serde_json::json!({ "alarmData": { "alarmName": value }, value: [value] });
        for trouble in [
            Trouble::unusable("nt-1", &event, value, None),
            Trouble::broken("nt-1", &event, &format!("it: {value}")),
        ] {
            let message = Message::of_trouble(&trouble, HttpsReaders::Chat);
            assert!(message.size() <= LARGEST, "{} bytes", message.size());
            assert!(message.subject.is_ascii() && message.subject.len() <= 99, "{}", message.subject);
            let body: Value = serde_json::from_str(&message.body).expect("JSON");
            let mail = body["email"].as_str().expect("text");
            assert!(mail.contains("KRAKEN") && !mail.contains("\nSubject: other"), "{mail}");
            assert!(!mail.contains(|c: char| c.is_control() && c != '\n'), "{mail}");
            assert!(!mail.contains(['\u{202e}', '\u{2066}']), "{mail}");
            let machines = Message::of_trouble(&trouble, HttpsReaders::Machines);
            let told: Value = serde_json::from_str(&machines.body).expect("JSON");
            let told = told["default"].as_str().expect("text");
            if value.len() < LARGEST / 10 {
                assert_trouble(&serde_json::from_str(told).expect("JSON"), value);
            } else {
                assert_eq!(told, mail, "what machines get of an event that fits no message");
            }
            let chat: Value = serde_json::from_str(body["https"].as_str().expect("text")).expect("JSON");
            assert_shown(&chat);
            for active in ["<!channel>", "@here", "](https://evil", "<https://evil"] {
                assert!(!chat["content"].to_string().contains(active), "{active} of {value:?}");
            }
        }
    }
}

#[test]
fn a_message_too_large_loses_rows_and_never_the_answer() {
    let mut large = answer("leak").clone();
    let mut top = large.destinations[0].clone();
    let client = top.clients[0].clone();
    top.clients = vec![client; 10];
    let step = top.timeline[0].clone();
    let minute = |n: i64| Timestamp::from_second(step.at.as_second() + n * 60).expect("valid");
    top.timeline =
        (0..240).map(|n| nat_triage::contract::TimelineStep { at: minute(n), ..step.clone() }).collect();
    large.destinations = vec![top; 10];
    let mut of_gaps = |n: usize, https| {
        let fix = |n: usize| format!("{n} {}", "x".repeat(900));
        large.gaps = (0..n).map(|n| Gap::new(format!("gap {n};"), "why", fix(n))).collect();
        let message = Message::of(&large, None, https);
        assert!(message.size() <= LARGEST, "{} bytes", message.size());
        let body: Value = serde_json::from_str(&message.body).expect("JSON");
        let text = |protocol: &str| body[protocol].as_str().expect("text").to_owned();
        let mail = text("email");
        for kept in report::text::text(&large).lines().take(2).chain(["WHAT TO DO"]) {
            assert!(mail.contains(kept), "{kept}: {mail}");
        }
        for remedy in &large.remedies {
            for command in &remedy.commands {
                assert!(mail.contains(command.run.as_str()), "{}", remedy.id);
            }
        }
        let gaps = (0..n).filter(|n| mail.contains(&format!("gap {n};"))).count();
        (text("default"), mail, gaps, large.clone())
    };

    // Rows of lists go, and the message says so.
    for https in [HttpsReaders::Chat, HttpsReaders::Machines] {
        let (machines, mail, gaps, large) = of_gaps(10, https);
        assert_eq!(gaps, 10);
        assert!(mail.contains("the full lists of destinations and clients"), "it says so");
        let kept: Value = serde_json::from_str(&machines).expect("JSON");
        assert_eq!(kept["headline"], large.headline);
        assert_eq!(kept["remedies"], serde_json::to_value(&large.remedies).expect("JSON"));
        assert_eq!(kept["gaps"].as_array().expect("a list").len(), 11);
        assert_eq!(kept["destinations"][0]["timeline"].as_array().expect("a list").len(), 240);
        assert_eq!(kept["destinations"][1]["timeline"].as_array().expect("a list").len(), 0);
    }
    // So many gaps that not even those of the contract fit beside those that people read.
    let (machines, mail, gaps, _) = of_gaps(200, HttpsReaders::Chat);
    assert_eq!((gaps, &machines), (200, &mail));
    // And so many that people cannot be told them all: better most of them than no message.
    let (machines, mail, gaps, _) = of_gaps(600, HttpsReaders::Chat);
    assert!((100..600).contains(&gaps), "{gaps}");
    assert!(mail.contains("cut off here") && machines == mail);
}
