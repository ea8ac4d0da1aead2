//! The whole path on the wire: the real function, invoked through a runtime API, asks emulators of
//! AWS on loopback, and its diagnosis is read from a queue that is subscribed to the topic.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use insights_server::{Dialect, Fault, InsightsServer, LogGroup, LogGroupClass, Operation, QueryEnd, Times};
use nat_simulator::{LogFormat, Record, Simulation, View};
use nat_triage::continuation::MAX_CONTINUATIONS;
use serde_json::{Value, json};
use tiny_http::{Response, Server};

use crate::support::chat::assert_shown;
use crate::support::checkout;
use crate::support::contract::{assert_kept, assert_trouble, assert_warning};
use crate::support::incidents::{LOG_GROUP, add, an_hour_earlier, store};
use crate::support::runtime_api::{Answered, RuntimeApi};
use crate::support::scene::{
    ACCOUNT, ASKED, REGION, Scene, ended_before, endpoints, event, function, later, leak, staged,
    staged_trusting, started, stored,
};
use crate::support::subscriber::Subscriber;

/// The leak among emulators, with its records in Logs Insights.
fn staged_with_insights() -> (Scene, Simulation, InsightsServer) {
    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    let insights = InsightsServer::start(stored(&simulation, format));
    (scene, simulation, insights)
}

/// Where reports go, and where they are kept.
pub(crate) fn to_topic_and_bucket(scene: &Scene) -> [(&'static str, &str); 2] {
    [("NAT_TRIAGE_TOPIC_ARN", scene.id("topic")), ("NAT_TRIAGE_REPORT_BUCKET", scene.id("bucket"))]
}

#[test]
fn an_alarm_goes_in_and_a_diagnosis_comes_out_of_the_queue() {
    let (scene, simulation, insights) = staged_with_insights();
    let sums: Vec<u64> = simulation.facts().errors.iter().map(|(_, sum)| *sum).collect();

    let api = RuntimeApi::start();
    let _function = function(&api, &scene, &insights.endpoint(), scene.id("topic"));
    let event = event(&simulation, scene.id("gateway"));
    let (answered, envelope, published) = answered_and_published(&api, &scene, &event, 120);
    assert_eq!(published, answered, "what is published is what is returned");
    assert_kept(&published, "by the queue");
    assert_eq!(published["verdict"], "confirmed", "{published:#}");
    let truth = simulation.truth();
    let exhausted = truth.exhausted.expect("the leak exhausts its destination");
    assert_eq!(published["destinations"][0]["address"], exhausted.address.to_string());
    assert_eq!(published["destinations"][0]["name"], ASKED, "as clients call it");
    assert_eq!(published["nat_gateways"][0]["id"], scene.id("gateway"));
    assert_eq!(published["nat_gateways"][0]["capacity_per_destination"], 55_000);
    assert_eq!(published["destinations"][0]["held"]["estimate"], 55_000);
    assert_eq!(published["metrics"][0]["name"], "ErrorPortAllocation");
    assert_eq!(published["metrics"][0]["value"], sums.iter().sum::<u64>() as f64);
    let gaps = published["gaps"].to_string();
    for service in ["ec2:", "cloudwatch:", "servicequotas:", "route53resolver:", "logs:"] {
        assert!(!gaps.contains(service), "every look-up has an answer: {gaps}");
    }
    let subject = envelope["Subject"].as_str().expect("text");
    assert!(subject.len() < 100 && subject.contains(&exhausted.address.to_string()), "{subject}");

    // One scan, and of the gateway's own stream alone; one more for the names, and one for an hour earlier.
    let requests = insights.requests();
    let queries: Vec<String> = requests
        .iter()
        .filter(|request| request.target.ends_with("StartQuery"))
        .map(|request| request.body.to_string())
        // What each would scan is asked beside it, and scans nothing.
        .filter(|query| !query.contains("| estimate"))
        .collect();
    assert_eq!(queries.len(), 3, "{queries:?}");
    assert!(queries[1].contains("query_name"), "{queries:?}");
    assert!(queries[0].contains(&format!("{}-all", scene.id("interface"))), "{queries:?}");
    assert!(queries[0].contains(LOG_GROUP), "{queries:?}");
    let ends = |query: &str| {
        serde_json::from_str::<Value>(query).expect("JSON")["endTime"].as_i64().expect("a second")
    };
    assert_eq!(ends(&queries[0]) - ends(&queries[2]), 3_600, "{queries:?}");
    assert!(insights.stopped_queries().is_empty());

    // The same alarm once more: delivered twice, or retried.
    let Answered::Response(again) = api.invoke(&event, Duration::from_secs(120)) else {
        panic!("a duplicate delivery is not an error")
    };
    assert_eq!(again["reason"], "its report has gone out before", "{again}");
    assert_eq!(again["id"], answered["id"]);

    // Somebody asks about the same minutes without an alarm, of the only gateway there is, and asks once more.
    let facts = simulation.facts();
    let at = |second| jiff::Timestamp::from_second(second).expect("a time");
    let window = format!("{}/{}", at(facts.errors[0].0), at(facts.end));
    for asked in
        [json!({ "window": window, "nat_gateway_id": scene.id("gateway") }), json!({ "window": window })]
    {
        let (by_hand, _, published) = answered_and_published(&api, &scene, &asked, 120);
        assert_eq!(published, by_hand, "{asked}");
        assert_eq!(by_hand["destinations"][0]["address"], exhausted.address.to_string(), "{asked}");
        assert_eq!(by_hand["alarm"], Value::Null);
    }

    // One message that cannot be read spares the good one beside it, and is told of.
    let batch = json!({ "Records": [
        { "messageId": "1", "eventSource": "aws:sqs", "body": "nat-0a1b2c3d4e5f60718 is in ALARM" },
        { "messageId": "2", "eventSource": "aws:sqs", "body": event.to_string() },
        { "messageId": "3", "eventSource": "aws:sqs", "body": "Your budget has been exceeded." },
    ] });
    let Answered::Response(of_batch) = api.invoke(&batch, Duration::from_secs(60)) else {
        panic!("a batch was handed back for one message of it")
    };
    assert_eq!(of_batch[0]["reason"], "its report has gone out before", "{of_batch}");
    assert_eq!(
        (&of_batch[1]["ignored"], &of_batch[2]["unusable"]),
        (&json!(true), &json!(true)),
        "{of_batch}"
    );
    let told: Value =
        serde_json::from_str(scene.received()["Message"].as_str().expect("text")).expect("JSON");
    assert_eq!(told["event"], batch);

    // An event that nobody can read is not lost on the person either, and no retry would change it.
    let Answered::Response(unusable) = api.invoke(&json!({ "hello": "there" }), Duration::from_secs(30))
    else {
        panic!("an event that can't be understood was handed back to be retried")
    };
    assert_eq!(unusable["unusable"], true, "{unusable}");
    let told = scene.received();
    let told: Value = serde_json::from_str(told["Message"].as_str().expect("text")).expect("JSON");
    assert_trouble(&told, "an event that nobody can read");
    assert_eq!(
        (&told["schema"], &told["event"]["hello"]),
        (&json!("nat-triage.trouble.v1"), &json!("there"))
    );

    // By hand, with what it rests on kept; and once more from that, with no network at all.
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(path("event.json"), event.to_string()).expect("written");
    let url = insights.endpoint();
    let endpoints = endpoints(&scene, &url);
    let run = |args: &[&str], live: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nat-triage"));
        command.env_clear().args(args).stdin(Stdio::null());
        if live {
            command.envs(endpoints).envs(ACCOUNT).env("NAT_TRIAGE_TOPIC_ARN", scene.id("topic"));
        }
        let output = command.output().expect("nat-triage runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let (event, kept) = (path("event.json"), path("kept"));
    let live = run(&["triage", "--event", &event, "--save-bundle", &kept, "--format", "json"], true);
    assert_eq!(serde_json::from_str::<Value>(&live).expect("JSON")["verdict"], "confirmed");
    let again = run(&["analyze", "--bundle", &kept, "--format", "json"], false);
    assert!(live == again, "the same diagnosis, byte for byte");

    // Sent once more, it says that nothing has happened now.
    run(&["replay", &kept, "--publish"], true);
    let replayed = scene.received();
    let subject = replayed["Subject"].as_str().expect("text");
    assert!(subject.starts_with("REPLAY: NAT "), "{subject}");
    assert_eq!(replayed["MessageAttributes"]["severity"]["Value"], "info", "{replayed}");
    let diagnosis: Value = serde_json::from_str(replayed["Message"].as_str().expect("text")).expect("JSON");
    assert_kept(&diagnosis, "of a replay");
    assert_eq!(diagnosis["replay"], true);
}

#[test]
fn a_composite_alarm_is_answered_by_the_alarm_beneath_it() {
    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    // Which gateway it is, is to be shown, and not what its flow logs say.
    let insights = InsightsServer::start(insights_server::Store::new());
    let child = event(&simulation, scene.id("gateway"));
    let state = &child["alarmData"]["state"];
    let text = |key: &str| state[key].as_str().expect("text");
    let arn = scene.alarm("shop", text("reason"), text("reasonData"));
    let rule = json!({ "alarmRule": "ALARM(shop) OR ALARM(other)" });
    let mut composite = child.clone();
    composite["alarmData"]["alarmName"] = "evening".into();
    composite["alarmData"]["configuration"] = rule;
    let fired_for = json!({ "triggeringAlarms": [{ "arn": arn, "state": { "value": "ALARM" } }] });
    composite["alarmData"]["state"]["reasonData"] = fired_for.to_string().into();

    let api = RuntimeApi::start();
    let url = insights.endpoint();
    let function = function(&api, &scene, &url, scene.id("topic"));
    let (answered, _, published) = answered_and_published(&api, &scene, &composite, 120);
    assert_eq!(published, answered);
    assert_eq!(published["alarm"]["name"], "shop");
    assert_eq!(published["nat_gateways"][0]["id"], scene.id("gateway"));
    drop(function);

    // Where CloudWatch may not be asked, a person is told which alarm it may be, with the one command.
    let refusing =
        [&endpoints(&scene, &url)[..], &[("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:1")]].concat();
    composite["alarmData"]["alarmName"] = "nat-any".into();
    let api = RuntimeApi::start();
    let _function = started(&api, &refusing, &[("NAT_TRIAGE_TOPIC_ARN", scene.id("topic"))]);
    let (answered, _, told) = answered_and_published(&api, &scene, &composite, 60);
    assert_eq!(answered["unusable"], true, "{answered}");
    assert_trouble(&told, "a composite alarm");
    assert!(told["fix"].as_str().is_some_and(|fix| fix.contains("--alarm-names 'shop'")), "{told}");
}

#[test]
fn every_kind_of_subscriber_gets_its_own_text_and_a_link() {
    let format = LogFormat::v3_pkt();
    let subscriber = Subscriber::start();
    let (scene, simulation) = staged_trusting(&format, Some(&subscriber.certificate()));
    for protocol in ["http", "https"] {
        scene.subscribe(protocol, subscriber.url(protocol));
    }
    let insights = InsightsServer::start(stored(&simulation, format));
    let url = insights.endpoint();
    let settings = [&to_topic_and_bucket(&scene)[..], &[("NAT_TRIAGE_HTTPS", "chat")]].concat();
    let alarm = event(&simulation, scene.id("gateway"));
    let api = RuntimeApi::start();
    let function = started(&api, &endpoints(&scene, &url), &settings);
    let (answered, by_queue, published) = answered_and_published(&api, &scene, &alarm, 120);
    drop(function);
    let message = |envelope: &Value| -> Value {
        serde_json::from_str(envelope["Message"].as_str().expect("text")).expect("JSON")
    };

    // Machines: the contract, by whichever way.
    assert_eq!(published, answered);
    assert_kept(&published, "by the queue");
    let by_http = subscriber.received("http", 0);
    assert_eq!(message(&by_http), answered);
    // One message: all have its id and its subject.
    let by_https = subscriber.received("https", 0);
    for key in ["MessageId", "Subject"] {
        assert_eq!((&by_http[key], &by_https[key]), (&by_queue[key], &by_queue[key]), "{key}");
    }

    // Chat: what it shows, and the way to the page.
    let chat = message(&by_https);
    assert_shown(&chat);
    assert_eq!(chat["id"], answered["id"]);
    let description = chat["content"]["description"].as_str().expect("text");
    let link = description.split_whitespace().find(|word| word.contains("X-Amz-Signature=")).expect("a link");
    assert!(link.starts_with(scene.rest.url()) && link.contains("X-Amz-Expires=43200"), "{link}");
    let (kind, page) = scene.fetched(link);
    assert_eq!(kind, "text/html; charset=utf-8");
    assert!(page.starts_with("<!doctype html>"), "{page}");
    assert!(page.contains(answered["id"].as_str().expect("text")), "{page}");

    // Where machines are subscribed by HTTPS, they get what machines get.
    let settings = [("NAT_TRIAGE_TOPIC_ARN", scene.id("topic")), ("NAT_TRIAGE_HTTPS", "machines")];
    let api = RuntimeApi::start();
    let _function = started(&api, &endpoints(&scene, &url), &settings);
    let (answered, _, _) = answered_and_published(&api, &scene, &later(&alarm, 1), 120);
    assert_eq!(message(&subscriber.received("https", 1)), answered);
}

#[test]
fn a_bucket_that_never_answers_costs_only_the_link() {
    let (scene, simulation, insights) = staged_with_insights();
    // Takes connections, as far as the backlog goes, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port on loopback is free");
    let (url, s3) = (insights.endpoint(), format!("http://{}", silent.local_addr().expect("an address")));
    let endpoints = [&endpoints(&scene, &url)[..], &[("AWS_ENDPOINT_URL_S3", &s3)]].concat();
    let settings = to_topic_and_bucket(&scene);
    let api = RuntimeApi::start();
    let _function = started(&api, &endpoints, &settings);
    let (answered, _, published) =
        answered_and_published(&api, &scene, &event(&simulation, scene.id("gateway")), 90);
    assert_eq!(published["verdict"], "confirmed", "{published:#}");
    assert_eq!(published["destinations"], answered["destinations"]);
    let gaps = published["gaps"].to_string();
    assert!(gaps.contains("the report's page"), "it says why there is no link: {gaps}");
}

/// The diagnosis that the command line makes of a bundle.
pub(crate) fn made_again(bundle: &str) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("kept.json");
    std::fs::write(&path, bundle).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nat-triage"));
    command.env_clear().args(["analyze", "--format", "json", "--bundle"]).arg(&path).stdin(Stdio::null());
    let output = command.output().expect("nat-triage runs");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn with_a_bucket_no_other_process_reports_the_alarm_again() {
    let (scene, simulation, insights) = staged_with_insights();
    let url = insights.endpoint();
    let settings = [&to_topic_and_bucket(&scene)[..], &[("NAT_TRIAGE_NOTIFY_OK", "true")]].concat();
    let event = event(&simulation, scene.id("gateway"));
    let first = RuntimeApi::start();
    let function = started(&first, &endpoints(&scene, &url), &settings);
    let (answered, _, _) = answered_and_published(&first, &scene, &event, 120);
    drop(function);

    let second = RuntimeApi::start();
    let _function = started(&second, &endpoints(&scene, &url), &settings);
    let Answered::Response(again) = second.invoke(&event, Duration::from_secs(60)) else {
        panic!("a duplicate delivery is not an error")
    };
    assert_eq!(again["reason"], "its report has gone out before", "{again}");

    let kept = scene.kept();
    let id = answered["id"].as_str().expect("text");
    let all = kept.as_object().expect("by key").keys();
    let (episodes, keys): (Vec<&String>, Vec<&String>) =
        all.partition(|key| key.starts_with("nat-triage/episodes/"));
    assert_eq!(episodes.len(), 1, "{episodes:?}");
    // The mark is of the minutes that were asked about, too.
    let of_id = |key: &&String| key.starts_with(&format!("nat-triage/{id}/"));
    let names: Vec<&str> = keys.iter().filter_map(|key| key.rsplit('/').next()).collect();
    // The duplicate delivery got a lease, saw the mark, and gave it back.
    let expected = ["bundle.json", "lease-1.json", "lease-2.json", "sent-final.json", "report.html"];
    assert!(keys.iter().all(of_id) && names == expected, "{keys:?}");
    assert_eq!(made_again(kept[keys[0]].as_str().expect("text")), answered);

    let text = std::fs::read_to_string(checkout().join("events/alarm-ok.json")).expect("there");
    let over = serde_json::from_str(&text).expect("JSON");
    let (answered, envelope, _) = answered_and_published(&second, &scene, &over, 60);
    assert_eq!(answered["ended"], true, "{answered}");
    assert!(envelope["Subject"].as_str().is_some_and(|s| s.contains("is not known")), "{envelope}");
}

#[test]
fn a_linked_accounts_gateway_is_diagnosed_by_what_is_named() {
    let (scene, simulation, insights) = staged_with_insights();
    let format = LogFormat::v3_pkt().header();
    let group = format!("arn:aws:logs:{REGION}:123456789012:log-group:{LOG_GROUP}");
    let named = [
        ("NAT_TRIAGE_TOPIC_ARN", scene.id("topic")),
        ("NAT_TRIAGE_LOG_GROUPS", &group),
        ("NAT_TRIAGE_LOG_FORMAT", &format),
        ("NAT_TRIAGE_NAT_IPS", scene.id("address")),
    ];
    let url = insights.endpoint();
    let api = RuntimeApi::start();
    let _function = started(&api, &endpoints(&scene, &url), &named);
    // EC2 of this account knows no such gateway.
    let event = event(&simulation, "nat-0fedcba9876543210");
    let (answered, _, _) = answered_and_published(&api, &scene, &event, 120);
    assert_eq!(answered["verdict"], "confirmed", "{answered:#}");
    let exhausted = simulation.truth().exhausted.expect("full").address.to_string();
    assert_eq!(answered["destinations"][0]["address"], exhausted);
    let asked = insights.requests().into_iter().find(|request| request.target.ends_with("StartQuery"));
    assert_eq!(asked.expect("a query").body["logGroupIdentifiers"], json!([group]));
}

/// A service that takes events, or refuses them, and keeps what it got.
struct Bus {
    url: String,
    got: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Bus {
    fn answering(status: u16, body: &'static str) -> Self {
        let server = Server::http("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", server.server_addr().to_ip().expect("an address"));
        let got = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&got);
        // It ends with the test's process.
        thread::spawn(move || {
            for mut request in server.incoming_requests() {
                let target = request.headers().iter().find(|header| header.field.equiv("X-Amz-Target"));
                let target = target.map_or_else(String::new, |header| header.value.to_string());
                let mut text = String::new();
                request.as_reader().read_to_string(&mut text).expect("a body");
                kept.lock().expect("no panic").push((target, serde_json::from_str(&text).expect("JSON")));
                let answer = Response::from_string(body).with_status_code(status);
                let _ = request.respond(answer);
            }
        });
        Self { url, got }
    }

    fn got(&self) -> Vec<(String, Value)> {
        self.got.lock().expect("no panic").clone()
    }
}

#[test]
fn an_event_bus_gets_the_message_and_its_refusal_costs_none() {
    let (scene, simulation, insights) = staged_with_insights();
    let url = insights.endpoint();
    let settings = [("NAT_TRIAGE_TOPIC_ARN", scene.id("topic")), ("NAT_TRIAGE_EVENT_BUS", "default")];
    let event = event(&simulation, scene.id("gateway"));
    for (nth, (status, body)) in [
        (200, r#"{"FailedEntryCount":0,"Entries":[{"EventId":"11710aed-b79e-4468-a20b-bb3c0c3b4860"}]}"#),
        (200, r#"{"FailedEntryCount":1,"Entries":[{"ErrorCode":"InternalFailure","ErrorMessage":"no"}]}"#),
        (
            400,
            r#"{"__type":"AccessDeniedException","message":"not authorized to perform: events:PutEvents"}"#,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let bus = Bus::answering(status, body);
        let endpoints: Vec<(&str, &str)> = endpoints(&scene, &url)
            .into_iter()
            .chain([("AWS_ENDPOINT_URL_EVENTBRIDGE", bus.url.as_str())])
            .collect();
        let api = RuntimeApi::start();
        let _function = started(&api, &endpoints, &settings);
        let event = later(&event, i64::try_from(nth).expect("few"));
        let (answered, envelope, _) = answered_and_published(&api, &scene, &event, 120);
        let got = bus.got();
        let (target, put) = got.last().expect("it was asked");
        assert_eq!(target, "AWSEvents.PutEvents");
        let [entry] = &put["Entries"].as_array().expect("a list")[..] else { panic!("{put}") };
        assert_eq!((&entry["EventBusName"], &entry["Source"]), (&json!("default"), &json!("nat-triage")));
        assert_eq!(entry["DetailType"], "NAT Gateway Diagnosis");
        let detail: Value = serde_json::from_str(entry["Detail"].as_str().expect("text")).expect("JSON");
        assert_eq!((&detail["report"], &detail["summary"]), (&answered, &envelope["Subject"]));
        assert_eq!(detail["incident_id"], answered["id"]);
    }
}

/// The event of the alarm when it has gone back to OK.
fn over(fired: &Value, at: i64) -> Value {
    let mut event = fired.clone();
    let data = &mut event["alarmData"];
    data["previousState"] = data["state"].take();
    let at = jiff::Timestamp::from_second(at).expect("this century");
    let at = at.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string();
    data["state"] = json!({ "value": "OK", "timestamp": at });
    event
}

#[test]
fn the_end_of_an_alarm_is_told_with_what_is_held_then() {
    let (scene, simulation, insights) = staged_with_insights();
    let url = insights.endpoint();
    let settings = [&to_topic_and_bucket(&scene)[..], &[("NAT_TRIAGE_NOTIFY_OK", "true")]].concat();
    let event = event(&simulation, scene.id("gateway"));
    let api = RuntimeApi::start();
    let _function = started(&api, &endpoints(&scene, &url), &settings);
    let (reported, _, _) = answered_and_published(&api, &scene, &event, 120);

    let facts = simulation.facts();
    let (answered, envelope, published) = answered_and_published(&api, &scene, &over(&event, facts.end), 120);
    let recovery = &answered["recovery"][0];
    assert_eq!(recovery["relief"], "still-full", "{answered:#}");
    assert_eq!(recovery["incident_id"], reported["id"]);
    assert_eq!(recovery["destination"]["then"], reported["destinations"][0]["held"]);
    assert_eq!(recovery["refused_then"], reported["refused_attempts"]["counted"]);
    assert!(
        recovery["refused_in_all"]["errors"].as_f64() >= recovery["refused_then"].as_f64(),
        "{recovery:#}"
    );
    assert_eq!(published["recovery"], answered["recovery"]);
    let subject = envelope["Subject"].as_str().expect("text");
    assert!(subject.contains("errors stopped, but") && subject.ends_with("full"), "{subject}");

    // Long before, when few ports were held.
    let early = over(&later(&event, 1), facts.errors[0].0 - 240);
    let (answered, envelope, _) = answered_and_published(&api, &scene, &early, 120);
    assert_eq!(answered["recovery"][0]["relief"], "freed", "{answered:#}");
    let subject = envelope["Subject"].as_str().expect("text");
    assert!(subject.contains("recovered"), "{subject}");
}

#[test]
fn a_second_alarm_is_told_as_one_more_by_any_process() {
    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    let records = simulation.records(&View::of_vpc(format.clone()));
    let earlier: Vec<Record> =
        records.iter().map(|record| an_hour_earlier(record, &format.header())).collect();
    let store = stored(&simulation, format);
    add(&store, &earlier);
    let insights = InsightsServer::start(store);
    let url = insights.endpoint();
    let settings = [&to_topic_and_bucket(&scene)[..], &[("NAT_TRIAGE_NOTIFY_OK", "true")]].concat();
    let event = event(&simulation, scene.id("gateway"));
    let first = RuntimeApi::start();
    let function = started(&first, &endpoints(&scene, &url), &settings);
    let (reported, _, _) = answered_and_published(&first, &scene, &event, 120);
    assert_eq!(reported["again"], Value::Null);
    let top = &reported["destinations"][0];
    assert_eq!(top["held_earlier"]["estimate"], top["held"]["estimate"], "as full an hour earlier: {top:#}");
    let purposes = reported["queries"].to_string();
    assert!(purposes.contains("held ports an hour earlier"), "{purposes}");
    drop(function);

    let second = RuntimeApi::start();
    let _function = started(&second, &endpoints(&scene, &url), &settings);
    let ten_minutes_later = later(&event, 1);
    let (again, envelope, _) = answered_and_published(&second, &scene, &ten_minutes_later, 120);
    assert_eq!((&again["again"]["times"], &again["again"]["id"]), (&json!(2), &reported["id"]), "{again:#}");
    let subject = envelope["Subject"].as_str().expect("text");
    assert!(subject.starts_with("Again (2): NAT nat-"), "{subject}");
    let key = format!("nat-triage/{}/bundle.json", again["id"].as_str().expect("text"));
    assert_eq!(made_again(scene.kept()[&key].as_str().expect("text")), again);

    let over = over(&ten_minutes_later, simulation.facts().end);
    let (answered, _, _) = answered_and_published(&second, &scene, &over, 120);
    assert_eq!(answered["recovery"][0]["incident_id"], reported["id"], "the incident of the first alarm");
}

#[test]
fn of_two_processes_at_once_one_reports_the_alarm() {
    let (scene, simulation, insights) = staged_with_insights();
    let url = insights.endpoint();
    let settings = [
        &to_topic_and_bucket(&scene)[..],
        &[
            // That of the emulators.
            ("NAT_TRIAGE_REPORT_BUCKET_OWNER", "000000000000"),
        ],
    ]
    .concat();
    let event = event(&simulation, scene.id("gateway"));
    let apis = [RuntimeApi::start(), RuntimeApi::start()];
    let _functions = apis.each_ref().map(|api| started(api, &endpoints(&scene, &url), &settings));
    let mut reasons = thread::scope(|scope| {
        let event = &event;
        let asked = apis.map(|api| scope.spawn(move || api.invoke(event, Duration::from_secs(120))));
        asked.map(|answered| match answered.join().expect("answered") {
            Answered::Response(answer) => answer["reason"].as_str().map(str::to_owned),
            Answered::Error(error) => panic!("{error}"),
        })
    });
    reasons.sort_unstable();
    assert_eq!(reasons, [None, Some("its report has gone out before".to_owned())]);
}

/// The sample's alarm, about minutes that end now.
fn of_these_minutes(event: &Value) -> Value {
    let now = jiff::Timestamp::now();
    let time = |minutes: i64| {
        let at = now.checked_sub(jiff::SignedDuration::from_mins(minutes)).expect("this century");
        at.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string()
    };
    let reason = json!({
        "version": "1.0",
        "queryDate": time(0),
        "startDate": time(3),
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": [12.0],
        "threshold": 0.0,
        "evaluatedDatapoints": [{ "timestamp": time(3), "sampleCount": 1.0, "value": 12.0 }],
    });
    let mut event = event.clone();
    event["alarmData"]["state"]["reasonData"] = Value::String(reason.to_string());
    event["alarmData"]["state"]["timestamp"] = Value::String(time(0));
    event
}

#[test]
fn logs_later_than_lambda_allows_are_waited_for_by_itself_again() {
    const ALLOWED: Duration = Duration::from_secs(30);
    let (scene, simulation, insights) = staged_with_insights();
    let lambda = Server::http("127.0.0.1:0").expect("a port on loopback is free");
    let url = format!("http://{}", lambda.server_addr());
    let (invoked, invocations) = mpsc::channel();
    thread::spawn(move || {
        for mut request in lambda.incoming_requests() {
            let mut body = String::new();
            request.as_reader().read_to_string(&mut body).expect("text");
            let header = |name: &str| {
                let found =
                    request.headers().iter().find(|h| h.field.as_str().as_str().eq_ignore_ascii_case(name));
                found.map(|header| header.value.to_string())
            };
            invoked.send((request.url().to_owned(), header("x-amz-invocation-type"), body)).expect("heard");
            request.respond(Response::empty(202)).expect("answered");
        }
    });
    let endpoint = insights.endpoint();
    let endpoints =
        [&endpoints(&scene, &endpoint)[..], &[("AWS_ENDPOINT_URL_LAMBDA", url.as_str())]].concat();
    let settings = [("NAT_TRIAGE_TOPIC_ARN", scene.id("topic"))];
    let mut event = of_these_minutes(&event(&simulation, scene.id("gateway")));
    for round in 0..=MAX_CONTINUATIONS {
        // A process each: what one knows, the next one has from the event.
        let api = RuntimeApi::start();
        let _function = started(&api, &endpoints, &settings);
        let Answered::Response(answer) = api.invoke(&event, ALLOWED) else {
            panic!("no answer in round {round}")
        };
        assert_eq!(answer["verdict"], "cannot-tell", "{round}");
        if round == MAX_CONTINUATIONS {
            assert_eq!(answer["stage"], "final");
            assert!(invocations.try_recv().is_err(), "a last one comes");
            break;
        }
        assert_eq!(answer["stage"], "provisional", "{round}");
        let (path, kind, body) = invocations.recv_timeout(ALLOWED).expect("invoked");
        assert_eq!(path, "/2015-03-31/functions/nat-triage/invocations");
        assert_eq!(kind.as_deref(), Some("Event"));
        event = serde_json::from_str(&body).expect("JSON");
        assert_eq!(event["round"], round + 1);
    }
    let published = scene.received().to_string();
    assert!(published.contains("provisional"), "the person hears that more follows: {published}");
}

#[test]
fn a_bucket_of_another_account_gets_nothing() {
    const OWNER: &str = "210987654321";
    let (scene, simulation, insights) = staged_with_insights();
    // Denies everything, as S3 does where the owner is another, and keeps what was asked with which owner.
    let s3 = Server::http("127.0.0.1:0").expect("a port on loopback is free");
    let at = format!("http://{}", s3.server_addr().to_ip().expect("an address on loopback"));
    let (asked, owners) = mpsc::channel();
    thread::spawn(move || {
        for request in s3.incoming_requests() {
            let named = |header: &&tiny_http::Header| header.field.equiv("x-amz-expected-bucket-owner");
            let owner = request.headers().iter().find(named).map(|header| header.value.to_string());
            let _ = asked.send((format!("{} {}", request.method(), request.url()), owner));
            let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
            let _ = request.respond(Response::from_string(denied).with_status_code(403));
        }
    });
    let url = insights.endpoint();
    let endpoints = [&endpoints(&scene, &url)[..], &[("AWS_ENDPOINT_URL_S3", &at)]].concat();
    let settings = [&to_topic_and_bucket(&scene)[..], &[("NAT_TRIAGE_REPORT_BUCKET_OWNER", OWNER)]].concat();
    let api = RuntimeApi::start();
    let function = started(&api, &endpoints, &settings);
    let event = event(&simulation, scene.id("gateway"));
    let (_, _, published) = answered_and_published(&api, &scene, &event, 120);
    drop(function);
    assert_eq!(published["verdict"], "confirmed", "{published:#}");
    let asked: Vec<(String, Option<String>)> = owners.try_iter().collect();
    assert!(asked.len() >= 3, "{asked:?}");
    assert!(asked.iter().all(|(_, owner)| owner.as_deref() == Some(OWNER)), "{asked:?}");
}

#[test]
fn a_group_of_each_class_is_asked_what_it_takes() {
    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    let alarm = event(&simulation, scene.id("gateway"));
    let classes =
        [(LogGroupClass::Standard, "every-minute"), (LogGroupClass::InfrequentAccess, "first-and-last")];
    for (nth, (class, question)) in (0..).zip(classes) {
        let store = stored(&simulation, format.clone());
        store.add_group(LogGroup { class, ..LogGroup::new(LOG_GROUP) });
        let insights = InsightsServer::start(store);
        let api = RuntimeApi::start();
        let _function = function(&api, &scene, &insights.endpoint(), scene.id("topic"));
        let (answered, _, _) = answered_and_published(&api, &scene, &later(&alarm, nth), 120);
        assert_eq!(answered["coverage"]["question"]["name"], question, "{class:?}: {answered:#}");
        assert_eq!(answered["verdict"], "confirmed", "{class:?}: {answered:#}");
        let refused = answered["gaps"].to_string().contains("simpler one was asked");
        assert!(!refused, "{class:?}: {:#}", answered["gaps"]);
    }
}

#[test]
fn a_new_process_begins_with_the_question_that_was_answered() {
    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    let store = stored(&simulation, format);
    store.set_dialect(Dialect { max_stats: 1, ..Dialect::default() });
    let insights = InsightsServer::start(store);
    let url = insights.endpoint();
    let settings = to_topic_and_bucket(&scene);
    let event = event(&simulation, scene.id("gateway"));
    let mut questions = Vec::new();
    for nth in 0..2 {
        let api = RuntimeApi::start();
        let _function = started(&api, &endpoints(&scene, &url), &settings);
        let (answered, _, _) = answered_and_published(&api, &scene, &later(&event, nth), 120);
        assert_eq!(answered["coverage"]["question"]["name"], "distinct-ports", "{answered:#}");
        questions.push(answered["queries"].as_array().expect("a list").len());
    }
    let kept = scene.kept();
    assert!(kept.get("nat-triage/questions.json").is_some(), "{kept}");
    assert!(questions[1] < questions[0], "{questions:?}");
}

/// Invokes the function, which has so many seconds, and reads what it published.
fn answered_and_published(
    api: &RuntimeApi,
    scene: &Scene,
    event: &Value,
    seconds: u64,
) -> (Value, Value, Value) {
    let answered = match api.invoke(event, Duration::from_secs(seconds)) {
        Answered::Response(diagnosis) => diagnosis,
        Answered::Error(error) => panic!("{error}"),
    };
    let envelope = scene.received();
    let published = serde_json::from_str(envelope["Message"].as_str().expect("text")).expect("JSON");
    (answered, envelope, published)
}

/// One thing that goes wrong, and what the person then reads among the gaps.
struct Trouble {
    name: &'static str,
    operation: Operation,
    fault: Fault,
    seconds: u64,
    told: &'static [&'static str],
}

#[test]
fn whatever_goes_wrong_a_person_gets_one_message_about_it() {
    let format = LogFormat::v3_pkt();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let minute = i64::try_from(now).expect("this century") / 60 * 60 - 3600;
    let scene = Scene::set(&format, minute, &[120, 240]);
    let simulation = leak().simulate();
    let store = store(&[]);
    store.set_location(REGION, "123456789012");
    let insights = InsightsServer::start(store.clone());
    let api = RuntimeApi::start();
    let function = function(&api, &scene, &insights.endpoint(), scene.id("topic"));
    let known = event(&simulation, scene.id("gateway"));

    let troubles = [
        Trouble {
            name: "a forbidden query",
            operation: Operation::StartQuery,
            fault: Fault::AccessDenied,
            seconds: 30,
            told: &["logs:StartQuery", LOG_GROUP],
        },
        Trouble {
            name: "a query that fails",
            operation: Operation::StartQuery,
            fault: Fault::EndAs(QueryEnd::Failed),
            seconds: 30,
            told: &["failed to run it"],
        },
        Trouble {
            name: "a query that times out",
            operation: Operation::StartQuery,
            fault: Fault::EndAs(QueryEnd::Timeout),
            seconds: 30,
            told: &["60 minutes"],
        },
        Trouble {
            name: "a query that never starts",
            operation: Operation::StartQuery,
            fault: Fault::NeverStarts,
            seconds: 15,
            told: &["given up"],
        },
    ];
    for (nth, Trouble { name, operation, fault, seconds, told }) in (0..).zip(troubles) {
        store.faults().clear();
        store.faults().inject(operation, fault, Times::Always);
        let again = later(&known, nth);
        let (_, envelope, published) = answered_and_published(&api, &scene, &again, seconds);
        let gaps = published["gaps"].to_string();
        for word in told {
            assert!(gaps.contains(word), "{name}: {word}: {gaps}");
        }
        assert_eq!(published["verdict"], "cannot-tell", "{name}");
        assert_kept(&published, name);
        assert!(
            envelope["Subject"].as_str().is_some_and(|s| s.contains("cannot tell")),
            "{name}: {envelope}"
        );
    }
    // And the estimate of it.
    assert_eq!(insights.stopped_queries().len(), 2, "the query that never started was stopped");
    store.faults().clear();

    let unknown = event(&simulation, "nat-0123456789abcdef0");
    let (_, _, published) = answered_and_published(&api, &scene, &unknown, 30);
    let gaps = published["gaps"].to_string();
    assert!(gaps.contains("nat-0123456789abcdef0"), "an unknown gateway: {gaps}");
    assert!(gaps.contains("describe-nat-gateways"), "an unknown gateway: {gaps}");
    drop(function);

    // Another server, that has no log group at all.
    let gone = InsightsServer::start(insights_server::Store::new());
    let api = RuntimeApi::start();
    let function = self::function(&api, &scene, &gone.endpoint(), scene.id("topic"));
    let (_, _, published) = answered_and_published(&api, &scene, &known, 30);
    let gaps = published["gaps"].to_string();
    assert!(gaps.contains(LOG_GROUP) && gaps.contains("does not exist"), "a log group that is gone: {gaps}");
    drop(function);

    let topic = format!("{}-that-is-gone", scene.id("topic"));
    let api = RuntimeApi::start();
    let _function = self::function(&api, &scene, &gone.endpoint(), &topic);
    let Answered::Error(error) = api.invoke(&known, Duration::from_secs(30)) else {
        panic!("a report that did not go out was taken for one that did")
    };
    assert_eq!(error["errorType"], "NotPublished", "{error}");
    let message = error["errorMessage"].as_str().expect("text");
    assert!(message.contains(&topic) && message.contains("NotFound"), "{message}");
}

/// What `nat-triage doctor` says of the scene: its exit status, and the JSON.
fn examined(scene: &Scene, insights: &str, settings: &[(&str, &str)]) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_nat-triage"))
        .args(["doctor", "--format", "json"])
        .env_clear()
        .envs(endpoints(scene, insights))
        .envs(ACCOUNT)
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("nat-triage runs");
    let told = String::from_utf8_lossy(&output.stderr);
    (
        output.status.code(),
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {told}")),
    )
}

/// The rows of one check.
fn rows<'a>(found: &'a Value, check: &str) -> Vec<&'a Value> {
    found["rows"].as_array().expect("a list").iter().filter(|row| row["check"] == check).collect()
}

#[test]
fn a_check_up_tells_the_readers_once_and_then_of_changes() {
    let (scene, _, insights) = staged_with_insights();
    let url = insights.endpoint();
    let api = RuntimeApi::start();
    let _function = started(&api, &endpoints(&scene, &url), &to_topic_and_bucket(&scene));
    let event = json!({ "doctor": true, "tell": "changes" });
    let (answered, envelope, published) = answered_and_published(&api, &scene, &event, 120);
    assert_eq!(published, answered, "what is published is what is returned");
    let subject = envelope["Subject"].as_str().expect("text");
    assert!(
        subject.starts_with("nat-triage check-up") && subject.ends_with("would get no diagnosis"),
        "{subject}"
    );
    let Answered::Response(again) = api.invoke(&event, Duration::from_secs(120)) else { panic!("no answer") };
    let standing = |found: &Value| {
        let rows = found["rows"].as_array().expect("a list").iter();
        rows.map(|row| json!([row["about"], row["check"], row["tonight"]])).collect::<Vec<_>>()
    };
    assert_eq!(standing(&again), standing(&published), "nothing has changed but figures");
    // The next message is of another event.
    let event = json!({ "doctor": true, "tell": "always" });
    let (answered, _, published) = answered_and_published(&api, &scene, &event, 120);
    assert_eq!(published["at"], answered["at"], "the check-up in between told nobody");
}

#[test]
fn the_doctor_compares_what_questions_say_of_a_minute() {
    let format = LogFormat::v3_pkt();
    let (scene, _) = staged(&format);
    // The ten minutes that are read end 20 minutes ago.
    let insights = InsightsServer::start(stored(&ended_before(&scene, 15 * 60), format));
    let (_, found) = examined(&scene, &insights.endpoint(), &to_topic_and_bucket(&scene));
    for check in ["records", "agreement"] {
        let [row] = rows(&found, check)[..] else { panic!("{check}: {found:#}") };
        assert_eq!(row["tonight"], "full", "{row:#}");
    }
    let says = rows(&found, "agreement")[0]["says"].as_str().expect("text");
    assert!(says.contains("count(*) finds") && says.contains("question 2 sees"), "{says}");
    let [room] = rows(&found, "room")[..] else { panic!("{found:#}") };
    assert!(room["says"].as_str().is_some_and(|says| says.starts_with("1 address of the ")), "{room:#}");
}

#[test]
fn the_doctor_says_what_an_alarm_tonight_would_lack() {
    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    let store = stored(&simulation, format);
    let insights = InsightsServer::start(store.clone());
    let url = insights.endpoint();
    let settings = to_topic_and_bucket(&scene);

    // Nothing watches the gateway.
    let (status, found) = examined(&scene, &url, &settings);
    assert_eq!((status, &found["tonight"]), (Some(1), &json!("none")), "{found:#}");
    let [alarm] = rows(&found, "alarm")[..] else { panic!("{found:#}") };
    assert_eq!(alarm["says"], "no alarm watches it");
    let command = alarm["fix"].as_str().expect("a command");
    assert!(command.starts_with("aws cloudwatch put-metric-alarm") && command.contains(scene.id("gateway")));
    // All else is good: each question is taken, somebody reads the topic, the bucket takes an object.
    for check in ["questions", "look-ups", "topic", "bucket"] {
        let [row] = rows(&found, check)[..] else { panic!("{check}: {found:#}") };
        assert_eq!(row["tonight"], "full", "{row:#}");
    }
    assert!(scene.kept().get("nat-triage/doctor.json").is_some());
    // The format has pkt-* fields; the incident is over for longer than what is read.
    let [log] = rows(&found, "flow-log")[..] else { panic!("{found:#}") };
    assert!(log["says"].as_str().is_some_and(|says| says.contains(LOG_GROUP)), "{log:#}");
    let [records] = rows(&found, "records")[..] else { panic!("{found:#}") };
    assert_eq!(records["tonight"], "partial", "{records:#}");

    // A service that takes simpler questions only, asked by the function, with nowhere to publish.
    store.set_dialect(Dialect { max_stats: 1, has_if: false, ..Dialect::default() });
    let api = RuntimeApi::start();
    let _function = started(&api, &endpoints(&scene, &url), &[]);
    let Answered::Response(found) = api.invoke(&json!({ "doctor": true }), Duration::from_secs(60)) else {
        panic!("the function could not look")
    };
    assert_eq!(found["schema"], "nat-triage.doctor.v1");
    let [questions] = rows(&found, "questions")[..] else { panic!("{found:#}") };
    assert_eq!(questions["tonight"], "partial", "{questions:#}");
    let [topic] = rows(&found, "topic")[..] else { panic!("{found:#}") };
    assert_eq!(topic["tonight"], "none", "{topic:#}");
    for row in found["rows"].as_array().expect("a list") {
        assert!(
            row["tonight"] == "full" || row["fix"].is_string(),
            "what is wrong says how to mend it: {row:#}"
        );
    }

    // A bucket that is not there: the doctor says so, and the report says what follows.
    let elsewhere =
        [("NAT_TRIAGE_TOPIC_ARN", scene.id("topic")), ("NAT_TRIAGE_REPORT_BUCKET", "nat-triage-elsewhere")];
    let (_, found) = examined(&scene, &url, &elsewhere);
    let [bucket] = rows(&found, "bucket")[..] else { panic!("{found:#}") };
    assert_eq!(bucket["tonight"], "partial", "{bucket:#}");
    store.set_dialect(Dialect::default());
    let api = RuntimeApi::start();
    let _function = started(&api, &endpoints(&scene, &url), &elsewhere);
    let (answered, _, _) =
        answered_and_published(&api, &scene, &event(&simulation, scene.id("gateway")), 120);
    let gaps = answered["gaps"].as_array().expect("a list");
    let unread = gaps.iter().find(|gap| gap["what"] == "whether this alarm was reported before");
    assert!(unread.is_some_and(|gap| gap["why"].to_string().contains("s3:GetObject")), "{gaps:?}");
}

/// What `nat-triage watch` says of the scene: its exit status, and the JSON.
fn watched(scene: &Scene, insights: &str, args: &[&str]) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_nat-triage"))
        .args(["watch", "--format", "json"])
        .args(args)
        .env_clear()
        .envs(endpoints(scene, insights))
        .envs(ACCOUNT)
        .stdin(Stdio::null())
        .output()
        .expect("nat-triage runs");
    let told = String::from_utf8_lossy(&output.stderr);
    let found = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {told}"));
    (output.status.code(), found)
}

#[test]
fn a_destination_that_fills_up_is_told_of_before_it_is_full() {
    // Flags show which connections were never closed.
    let format = LogFormat::recommended();
    let (scene, _) = staged(&format);
    // The leak refuses its first connection within a minute from now.
    let ended = ended_before(&scene, 0).facts();
    let simulation = ended_before(&scene, ended.errors[0].0 - ended.end);
    let insights = InsightsServer::start(stored(&simulation, format));
    let url = insights.endpoint();
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let now = i64::try_from(seconds(SystemTime::now())).expect("this century");
    let known = simulation.metrics().iter().filter(|metrics| metrics.minute < now);
    let connections: Vec<u64> = known.map(|metrics| metrics.active_connection_count).collect();
    let queries = || insights.requests().iter().filter(|sent| sent.target.ends_with("StartQuery")).count();

    // Without a datapoint nobody knows, and with few connections nothing is asked.
    let (status, found) = watched(&scene, &url, &[]);
    assert_eq!((status, &found["gateways"][0]["state"]), (Some(2), &json!("unknown")), "{found:#}");
    scene.put_metric("ActiveConnectionCount", simulation.facts().start, &vec![100; connections.len()]);
    let (status, found) = watched(&scene, &url, &[]);
    assert_eq!((status, &found["gateways"][0]["state"]), (Some(0), &json!("quiet")), "{found:#}");
    assert_eq!(queries(), 0);

    scene.put_metric("ActiveConnectionCount", simulation.facts().start, &connections);
    let api = RuntimeApi::start();
    let settings = [&to_topic_and_bucket(&scene)[..], &[("NAT_TRIAGE_WATCH_PERCENT", "40")]].concat();
    let _function = started(&api, &endpoints(&scene, &url), &settings);
    let event = json!({ "watch": true });
    let Answered::Response(answered) = api.invoke(&event, Duration::from_secs(120)) else {
        panic!("the look failed")
    };
    assert_eq!(answered["told"].as_array().map(Vec::len), Some(1), "{answered:#}");
    let envelope = scene.received();
    let published: Value = serde_json::from_str(envelope["Message"].as_str().expect("text")).expect("JSON");
    assert_warning(&published, "by the queue");
    assert_eq!(answered["told"], json!([published]), "{answered:#}");
    let full = simulation.truth().exhausted.expect("in a minute");
    assert_eq!(published["destination"], full.to_string());
    assert!(published["utilization_by_now"].as_f64() >= Some(0.4), "{published:#}");
    let subject = envelope["Subject"].as_str().expect("text");
    assert!(subject.contains(&full.to_string()), "{subject}");

    // The next look tells nothing new, in another process too.
    let again = RuntimeApi::start();
    let _another = started(&again, &endpoints(&scene, &url), &settings);
    for api in [&api, &again] {
        let Answered::Response(found) = api.invoke(&event, Duration::from_secs(120)) else {
            panic!("the second look failed")
        };
        assert_eq!(
            (&found["told"], &found["gateways"][0]["state"]),
            (&json!([]), &json!("read")),
            "{found:#}"
        );
    }

    // A day that allows less than the next question scans ends watching, which its readers learn once.
    let short = RuntimeApi::start();
    let a_byte = [&settings[..], &[("NAT_TRIAGE_WATCH_GIB_PER_DAY", "0.000000001")]].concat();
    let _stopped = started(&short, &endpoints(&scene, &url), &a_byte);
    let (found, _, stopped) = answered_and_published(&short, &scene, &event, 60);
    assert_eq!(stopped["kind"], "watch-stopped", "{stopped:#}");
    assert_eq!(found["beyond_limit"][0]["gateway"], scene.id("gateway"), "{found:#}");

    let (weekly, _, published) = answered_and_published(&api, &scene, &json!({ "watch": "weekly" }), 60);
    assert_eq!((&weekly, &weekly["schema"]), (&published, &json!("nat-triage.fleet.v1")));
    let [of_gateway] = &weekly["gateways"].as_array().expect("a list")[..] else { panic!("{weekly:#}") };
    assert_eq!(of_gateway["this_week"]["connections"], json!(connections.iter().max()), "{weekly:#}");
    assert_eq!(of_gateway["without_endpoint"], json!(["S3", "DynamoDB"]), "{weekly:#}");

    let (status, found) = watched(&scene, &url, &["--nat-id", "nat-0fedcba9876543210"]);
    assert_eq!((status, found["gaps"].as_array().map(Vec::len)), (Some(2), Some(1)), "{found:#}");
}
