//! Flow logs in S3 on the wire: the real programs against an emulator, and what S3 says when it refuses.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use insights_server::{InsightsServer, Store};
use nat_simulator::LogFormat;
use nat_triage::aws::{BucketObjects, Budget, Clients, SdkConfig};
use nat_triage::deadline::Deadline;
use nat_triage::evidence::bucket::{Cause, Object, Objects as _};
use nat_triage::network::{BucketPlace, Listing};
use serde_json::Value;
use tiny_http::{Header, Response, Server};

use crate::support::contract::assert_kept;
use crate::support::runtime_api::{Answered, RuntimeApi};
use crate::support::scene::{ACCOUNT, REGION, endpoints, event, staged, started};
use crate::wire::{made_again, to_topic_and_bucket};

const BUCKET: &str = "flow-logs";

#[test]
fn an_alarm_on_a_gateway_with_flow_logs_in_s3_is_diagnosed() {
    let format = LogFormat::v3_pkt();
    let (scene, simulation) = staged(&format);
    let flow_log = scene.fill(BUCKET, &simulation, &format);
    let insights = InsightsServer::start(Store::new());
    let url = insights.endpoint();

    let api = RuntimeApi::start();
    let _function = started(&api, &endpoints(&scene, &url), &to_topic_and_bucket(&scene));
    let event = event(&simulation, scene.id("gateway"));
    let Answered::Response(diagnosis) = api.invoke(&event, Duration::from_secs(240)) else {
        panic!("a flow log in S3 is no error")
    };
    assert_kept(&diagnosis, "from S3");
    let exhausted = simulation.truth().exhausted.expect("the leak exhausts its destination");
    assert_eq!(diagnosis["verdict"], "confirmed", "{diagnosis:#}");
    assert_eq!(diagnosis["destinations"][0]["address"], exhausted.address.to_string());
    assert_eq!(diagnosis["destinations"][0]["held"]["estimate"], 55_000);
    assert_eq!(diagnosis["coverage"]["source"], "s3");
    let why = diagnosis["coverage"]["flow_log"].as_str().expect("a reason");
    assert!(why.starts_with(&flow_log) && why.contains("read in place"), "{why}");
    assert!(!diagnosis["gaps"].to_string().contains("s3:"), "{}", diagnosis["gaps"]);
    let queries = insights.requests().iter().filter(|request| request.target.ends_with("StartQuery")).count();
    assert_eq!(queries, 0, "there is nothing to ask Logs Insights");
    // What was read is kept beside the report: the end of the alarm is compared with it.
    let kept = scene.kept();
    let bundle = format!("nat-triage/{}/bundle.json", diagnosis["id"].as_str().expect("text"));
    assert_eq!(made_again(kept[&bundle].as_str().expect("kept")), diagnosis);

    // The same by hand, and from the objects alone.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("event.json");
    std::fs::write(&path, event.to_string()).expect("written");
    let path = path.to_str().expect("UTF-8");
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nat-triage"));
        command.env_clear().args(args).stdin(Stdio::null()).envs(endpoints(&scene, &url)).envs(ACCOUNT);
        let output = command.output().expect("nat-triage runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"), told)
    };
    let kept = folder.path().join("kept");
    let kept = kept.to_str().expect("UTF-8");
    let (status, text, told) = run(&["triage", "--event", path, "--save-bundle", kept, "--format", "json"]);
    assert_eq!(status, Some(0), "{told}");
    let (_, again, told) = run(&["analyze", "--bundle", kept, "--format", "json"]);
    assert_eq!(again, text, "{told}");
    let by_hand: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(by_hand["destinations"], diagnosis["destinations"]);
    let place = format!("s3://{BUCKET}/AWSLogs/123456789012/");
    let analyze = ["analyze", "--flow-logs", &place, "--event", path, "--nat-ip", scene.id("address")];
    let (status, text, told) = run(&[&analyze[..], &["--format", "json"]].concat());
    assert_eq!(status, Some(0), "{told}");
    assert!(told.contains(&format!("from {place}")), "{told}");
    let from_objects: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(from_objects["destinations"][0]["held"], diagnosis["destinations"][0]["held"]);

    // Nothing came in of late: a check-up reads the bucket, and says so.
    let (status, text, told) = run(&["doctor", "--format", "json"]);
    assert_ne!(status, Some(0), "{told}");
    let found: Value = serde_json::from_str(&text).expect("JSON");
    let rows = found["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["check"] == "flow-log").expect("a row");
    assert_eq!(row["tonight"], "partial", "{row}");
    assert!(
        row["says"].as_str().is_some_and(|says| says.contains("there is none with a time stamp")),
        "{row}"
    );
}

/// What S3 answers: status, headers, body.
type Said = (u16, Vec<(&'static str, String)>, Vec<u8>);

fn error(status: u16, code: &str, message: &str) -> Said {
    let body =
        format!("<Error><Code>{code}</Code><Message>{message}</Message><RequestId>r-1</RequestId></Error>");
    (status, vec![("content-type", "application/xml".into())], body.into_bytes())
}

/// S3 as it answers each request in turn, the last answer again and again; and who asked for which Region.
struct Bucket {
    url: String,
    signed_for: Arc<Mutex<Vec<String>>>,
}

impl Bucket {
    fn saying(answers: Vec<Said>) -> Self {
        let server = Server::http("127.0.0.1:0").expect("a port on loopback is free");
        let url = format!("http://{}", server.server_addr());
        let signed_for = Arc::<Mutex<Vec<String>>>::default();
        let keep = Arc::clone(&signed_for);
        thread::spawn(move || {
            for (number, request) in server.incoming_requests().enumerate() {
                let signature = request.headers().iter().find(|header| header.field.equiv("authorization"));
                let scope = signature.and_then(|header| {
                    let text = header.value.as_str();
                    text.split('/').nth(2).map(str::to_owned)
                });
                keep.lock().expect("no test panicked").push(scope.unwrap_or_default());
                let (status, headers, body) = answers[number.min(answers.len() - 1)].clone();
                let headers = headers.iter().map(|(name, value)| {
                    Header::from_bytes(name.as_bytes(), value.as_bytes()).expect("a header")
                });
                let response = headers.fold(Response::from_data(body), Response::with_header);
                // Whoever went away has no more need of it.
                let _ = request.respond(response.with_status_code(status));
            }
        });
        Self { url, signed_for }
    }

    fn objects(&self) -> BucketObjects {
        let keys = aws_sdk_s3::config::Credentials::new("test", "test", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .region(aws_config::Region::new(REGION))
            .credentials_provider(aws_sdk_s3::config::SharedCredentialsProvider::new(keys))
            .endpoint_url(&self.url)
            .build();
        BucketObjects::new(
            &Clients::new(&config),
            Budget::of_event(1.0),
            Deadline::after(Duration::from_secs(60)),
        )
    }
}

fn place() -> BucketPlace {
    "s3://flow-logs/vpc".parse().expect("a place")
}

fn listing() -> Listing {
    Listing { prefix: "vpc/".into(), after: None, up_to: None }
}

fn object(bytes: u64) -> Object {
    Object { key: "vpc/x.log.gz".into(), bytes, archived: false }
}

fn page() -> Said {
    let body = "<ListBucketResult><Contents><Key>vpc/a.log.gz</Key><Size>3</Size><StorageClass>STANDARD</StorageClass></Contents><Contents><Key>vpc/b.log.gz</Key><Size>5</Size><StorageClass>GLACIER</StorageClass></Contents></ListBucketResult>";
    (200, vec![("content-type", "application/xml".into())], body.as_bytes().to_vec())
}

#[tokio::test]
async fn a_bucket_of_another_region_is_asked_there() {
    let mut moved = error(301, "PermanentRedirect", "The bucket must be addressed elsewhere");
    moved.1.push(("x-amz-bucket-region", "us-west-2".into()));
    let wrong =
        "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting 'us-west-2'";
    for first in [moved, error(400, "AuthorizationHeaderMalformed", wrong)] {
        let bucket = Bucket::saying(vec![first, page()]);
        let objects = bucket.objects();
        let listed = objects.list(&place(), &listing(), 10).await.expect("listed");
        assert_eq!(listed.objects.iter().map(|object| object.archived).collect::<Vec<_>>(), [false, true]);
        assert_eq!(objects.elsewhere(&place()).as_deref(), Some("us-west-2"));
        assert_eq!(*bucket.signed_for.lock().expect("whole"), [REGION, "us-west-2"]);
    }
}

#[test]
fn at_a_terminal_a_refusal_names_the_place_and_what_to_do() {
    for (answer, to_do) in [
        (error(403, "AccessDenied", "Access Denied"), "allow s3:ListBucket on the bucket"),
        (error(404, "NoSuchBucket", "The specified bucket does not exist"), "check the bucket's name"),
    ] {
        let bucket = Bucket::saying(vec![answer]);
        let output = Command::new(env!("CARGO_BIN_EXE_nat-triage"))
            .env_clear()
            .args(["analyze", "--flow-logs", "s3://flow-logs/vpc/"])
            .args(["--window", "2026-11-18T02:00:00Z/2026-11-18T02:10:00Z"])
            .envs(ACCOUNT)
            .env("AWS_ENDPOINT_URL_S3", &bucket.url)
            .stdin(Stdio::null())
            .output()
            .expect("nat-triage runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("failed to read s3://flow-logs/vpc") && told.contains(to_do), "{told}");
    }
}

#[tokio::test]
async fn each_answer_of_s3_that_gives_nothing_has_its_cause() {
    let key = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d";
    let by_key = format!(
        "User: x is not authorized to perform: kms:Decrypt on resource: {key} because no policy allows it"
    );
    for (said, cause) in [
        (error(403, "AccessDenied", "Access Denied"), Cause::Denied),
        (error(403, "AccessDenied", &by_key), Cause::KeyDenied(Some(key.into()))),
        (
            error(403, "InvalidObjectState", "The operation is not valid for the object's storage class"),
            Cause::Archived,
        ),
        (error(404, "NoSuchBucket", "The specified bucket does not exist"), Cause::NoBucket),
        (error(503, "SlowDown", "Please reduce your request rate"), Cause::Other),
    ] {
        let bucket = Bucket::saying(vec![said]);
        let refused =
            bucket.objects().fetch(&place(), &object(3), Deadline::after(Duration::from_secs(30))).await;
        let refused = refused.expect_err("nothing was given");
        assert_eq!(refused.cause, cause, "{refused:?}");
        assert!(refused.why.starts_with("s3:GetObject") && !refused.fix.is_empty(), "{refused:?}");
    }
}

#[tokio::test]
async fn an_object_that_is_not_as_it_was_listed_is_not_used() {
    let body = |bytes: &[u8]| (200, Vec::new(), bytes.to_vec());
    for (given, listed) in [(&b"abcdef"[..], 3), (b"ab", 3)] {
        let bucket = Bucket::saying(vec![body(given)]);
        let by = Deadline::after(Duration::from_secs(30));
        let refused =
            bucket.objects().fetch(&place(), &object(listed), by).await.expect_err("another object");
        assert_eq!(refused.cause, Cause::Other, "{refused:?}");
    }
    let bucket = Bucket::saying(vec![error(503, "SlowDown", "slow"), body(b"abc")]);
    let objects = bucket.objects();
    let left = objects.left();
    let by = Deadline::after(Duration::from_secs(30));
    assert_eq!(objects.fetch(&place(), &object(3), by).await, Ok(b"abc".to_vec()));
    assert_eq!(objects.left(), left - 3, "its bytes count against what the event may scan");
}
