//! Athena on the wire: the real function against an emulator that evaluates its SQL.

use std::process::{Command, Stdio};
use std::time::Duration;

use insights_server::{InsightsServer, Store};
use nat_simulator::LogFormat;
use nat_triage::evidence::athena::{Column, Table};
use serde_json::{Value, json};

use crate::support::athena::described;
use crate::support::between::{Between, Beyond, Wrong};
use crate::support::contract::assert_kept;
use crate::support::http::post;
use crate::support::processes::Emulator;
use crate::support::runtime_api::{Answered, RuntimeApi};
use crate::support::scene::{ACCOUNT, Scene, endpoints, event, staged, started};

const BUCKET: &str = "flow-logs";

/// How long the emulator may take to learn its table.
const PATIENCE: Duration = Duration::from_secs(30);

/// The table that AWS's user guide makes for a flow log without options.
fn table(format: &LogFormat) -> Table {
    let column = |name: &str| Column { name: name.to_owned(), kind: "string".to_owned() };
    let root = format!("s3://{BUCKET}/AWSLogs/");
    let parameters = [
        ("location", root.clone()),
        ("skip.header.line.count", "1".into()),
        ("serde.serialization.lib", "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe".into()),
        ("projection.enabled", "true".into()),
        ("projection.day.format", "yyyy/MM/dd".into()),
        ("storage.location.template", format!("{root}${{accid}}/vpcflowlogs/${{region}}/${{day}}")),
    ];
    Table {
        name: "vpc_flow_logs".into(),
        columns: format.header().split(' ').map(|field| column(&field.replace('-', "_"))).collect(),
        partition_keys: ["accid", "region", "day"].map(column).into(),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
    }
}

/// Gives the emulator its table, and its limit on what a query reads, or the call that it denies.
fn set_up(athena: &Emulator, scene: &Scene, format: &LogFormat, cutoff: Option<u64>, denied: Option<&str>) {
    set_up_with(athena, scene, format, &json!({ "cutoff": cutoff, "denied": denied }));
}

/// Gives the emulator its table, and what it is to do instead of answering.
fn set_up_with(athena: &Emulator, scene: &Scene, format: &LogFormat, instead: &Value) {
    let mut body = instead.clone();
    body["tables"] = json!([described("logs", &table(format))]);
    body["s3"] = json!(scene.rest.url());
    let answer = post(&format!("{}/tables", athena.url()), &[], &body.to_string(), PATIENCE);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// What the function answers where S3 gives it no object and Athena is set up.
fn answered(scene: &Scene, athena: &str, event: &Value, table: &str) -> Value {
    let insights = InsightsServer::start(Store::new());
    let url = insights.endpoint();
    let beyond = Beyond::new(scene.ec2.url(), &url, scene.rest.url());
    let s3 = Between::start(&beyond, Some(("s3:GetObject".into(), Wrong::Denied)));
    let s3 = s3.url();
    let mut endpoints = endpoints(scene, &url).to_vec();
    endpoints.extend([("AWS_ENDPOINT_URL_S3", s3.as_str()), ("AWS_ENDPOINT_URL_ATHENA", athena)]);
    let settings = [("NAT_TRIAGE_TOPIC_ARN", scene.id("topic")), ("NAT_TRIAGE_ATHENA_TABLE", table)];
    let api = RuntimeApi::start();
    let _function = started(&api, &endpoints, &settings);
    match api.invoke(event, Duration::from_secs(240)) {
        Answered::Response(diagnosis) => diagnosis,
        Answered::Error(error) => panic!("an answer of Athena's is no error: {error}"),
    }
}

#[test]
fn athena_reads_what_the_function_could_not() {
    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    let flow_log = scene.fill(BUCKET, &simulation, &format);
    let athena = Emulator::start("athena");
    set_up(&athena, &scene, &format, None, None);
    let event = event(&simulation, scene.id("gateway"));
    // By its name, and found by its location.
    for table in ["logs.vpc_flow_logs", "logs"] {
        let diagnosis = answered(&scene, athena.url(), &event, table);
        assert_kept(&diagnosis, "from Athena");
        let exhausted = simulation.truth().exhausted.expect("the leak exhausts its destination");
        assert_eq!(diagnosis["verdict"], "confirmed", "{diagnosis:#}");
        assert_eq!(diagnosis["coverage"]["source"], "athena", "{}", diagnosis["gaps"]);
        assert_eq!(diagnosis["destinations"][0]["address"], exhausted.address.to_string());
        assert_eq!(diagnosis["destinations"][0]["held"]["estimate"], 55_000);
        let why = diagnosis["coverage"]["flow_log"].as_str().expect("a reason");
        assert!(why.starts_with(&flow_log) && why.contains("S3 did not give"), "{why}");
        assert!(why.ends_with("asked of the table logs.vpc_flow_logs in Athena"), "{why}");
        assert!(!diagnosis["gaps"].to_string().contains("s3:"), "{}", diagnosis["gaps"]);
        let queries = diagnosis["queries"].as_array().expect("a list");
        let sql =
            queries.iter().find(|query| query["text"].to_string().contains("WITH q0")).expect("the SQL");
        assert!(sql["bytes_scanned"].as_u64().is_some_and(|bytes| bytes > 0), "{sql}");
        assert!(sql["cost_usd"].as_f64().is_some_and(|cost| (0.000_05..0.01).contains(&cost)), "{sql}");
    }
}

#[test]
fn what_athena_cannot_run_is_asked_more_simply() {
    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    scene.fill(BUCKET, &simulation, &format);
    let athena = Emulator::start("athena");
    let event = event(&simulation, scene.id("gateway"));
    let exhausted = simulation.truth().exhausted.expect("the leak exhausts its destination");
    for (instead, rung, why) in [
        (json!({ "refused": "ntLeg" }), "worst-minute", "Column 'ntLeg' cannot be resolved"),
        (json!({ "refused": "contains" }), "plain-fields", "Column 'contains' cannot be resolved"),
        (json!({ "exhausted": "ntMinute" }), "worst-minute", "exhausted resources at this scale factor"),
    ] {
        set_up_with(&athena, &scene, &format, &instead);
        let diagnosis = answered(&scene, athena.url(), &event, "logs.vpc_flow_logs");
        assert_kept(&diagnosis, rung);
        assert_eq!(diagnosis["coverage"]["source"], "athena", "{}", diagnosis["gaps"]);
        assert_eq!(diagnosis["coverage"]["question"]["name"], rung, "{}", diagnosis["gaps"]);
        assert_eq!(diagnosis["destinations"][0]["address"], exhausted.address.to_string());
        assert!(diagnosis["gaps"].to_string().contains(why), "{}", diagnosis["gaps"]);
    }
}

/// The row about Athena of a check-up where this table is set.
fn doctor_says(scene: &Scene, athena: &str, table: &str) -> Value {
    let insights = InsightsServer::start(Store::new());
    let url = insights.endpoint();
    let output = Command::new(env!("CARGO_BIN_EXE_nat-triage"))
        .args(["doctor", "--format", "json"])
        .env_clear()
        .envs(endpoints(scene, &url))
        .envs(ACCOUNT)
        .envs([("AWS_ENDPOINT_URL_ATHENA", athena), ("NAT_TRIAGE_ATHENA_TABLE", table)])
        .stdin(Stdio::null())
        .output()
        .expect("nat-triage runs");
    let told = String::from_utf8_lossy(&output.stderr);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {told}"));
    let mut rows = found["rows"].as_array().expect("a list").iter();
    rows.find(|row| row["check"] == "athena").unwrap_or_else(|| panic!("no row: {found:#}")).clone()
}

#[test]
fn the_doctor_tries_athena_and_says_what_mends_it() {
    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    scene.fill(BUCKET, &simulation, &format);
    let athena = Emulator::start("athena");
    let named = "logs.vpc_flow_logs";
    for (table, instead, tonight, says, fix) in [
        (
            named,
            json!({}),
            "full",
            "takes the statement about every minute with ends of connections, asked by EXPLAIN",
            None,
        ),
        (
            named,
            json!({ "refused": "ntLeg" }),
            "partial",
            "the ports of the worst minute, and no better one",
            Some("a bug of nat-triage"),
        ),
        (
            named,
            json!({ "refused": "EXPLAIN", "said": "No output location provided" }),
            "partial",
            "takes no statement",
            Some("aws athena update-work-group --work-group primary"),
        ),
        (
            "elsewhere",
            json!({}),
            "partial",
            "athena:ListTableMetadata",
            Some("aws athena list-databases --catalog-name AwsDataCatalog"),
        ),
        (
            "logs.other",
            json!({}),
            "partial",
            "the catalog has no table logs.other",
            Some("NAT_TRIAGE_ATHENA_TABLE"),
        ),
        (
            named,
            json!({ "denied": "StartQueryExecution" }),
            "partial",
            "athena:StartQueryExecution was denied",
            Some("allow athena:StartQueryExecution"),
        ),
    ] {
        set_up_with(&athena, &scene, &format, &instead);
        let row = doctor_says(&scene, athena.url(), table);
        assert_eq!(row["tonight"], tonight, "{row:#}");
        assert!(row["says"].as_str().is_some_and(|text| text.contains(says)), "{row:#}");
        let mends = fix.is_none_or(|fix| row["fix"].as_str().is_some_and(|text| text.contains(fix)));
        assert!(mends && row["fix"].is_string() == fix.is_some(), "{row:#}");
    }
}

#[test]
fn each_refusal_of_athena_is_a_gap_with_what_mends_it() {
    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    scene.fill(BUCKET, &simulation, &format);
    let athena = Emulator::start("athena");
    let event = event(&simulation, scene.id("gateway"));
    let named = "logs.vpc_flow_logs";
    for (table, cutoff, denied, why, fix) in [
        (named, Some(1), None, "Bytes scanned limit was exceeded", "BytesScannedCutoffPerQuery"),
        (
            "elsewhere.x",
            None,
            None,
            "athena:ListTableMetadata",
            "a database elsewhere in the Glue Data Catalog",
        ),
        (
            named,
            None,
            Some("ListTableMetadata"),
            "athena:ListTableMetadata was denied",
            "allow athena:ListTableMetadata",
        ),
        (
            named,
            None,
            Some("StartQueryExecution"),
            "athena:StartQueryExecution was denied",
            "allow athena:StartQueryExecution",
        ),
        (
            named,
            None,
            Some("GetQueryExecution"),
            "athena:GetQueryExecution was denied",
            "allow athena:GetQueryExecution",
        ),
        (
            named,
            None,
            Some("GetQueryResults"),
            "athena:GetQueryResults was denied",
            "allow athena:GetQueryResults",
        ),
        ("logs.other", None, None, "the catalog has no table logs.other", "NAT_TRIAGE_ATHENA_TABLE"),
    ] {
        set_up(&athena, &scene, &format, cutoff, denied);
        let diagnosis = answered(&scene, athena.url(), &event, table);
        assert_eq!(diagnosis["verdict"], "cannot-tell", "{table}");
        let gaps = diagnosis["gaps"].as_array().expect("a list");
        let told = |gap: &&Value| gap["why"].as_str().is_some_and(|text| text.contains(why));
        let gap = gaps.iter().find(told).unwrap_or_else(|| panic!("{why}: {gaps:#?}"));
        assert!(gap["fix"].as_str().is_some_and(|text| text.contains(fix)), "{gap}");
        // What kept S3 from being read in place is told as well.
        assert!(diagnosis["gaps"].to_string().contains("s3:GetObject"), "{gaps:#?}");
    }
}
