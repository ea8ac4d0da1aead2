//! The API over real HTTP: the life of a query, paging, refusals and everything that can go wrong.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use insights_server::{
    Fault, InsightsServer, LogEvent, LogGroup, LogGroupClass, Operation, Pacing, QueryEnd, Store, Times,
};
use serde_json::{Value, json};

const GROUP: &str = "/vpc/flow";

fn store(events: i64) -> Store {
    let store = Store::new();
    store.add_group(LogGroup::new(GROUP));
    store.add_events(GROUP, "s", (0..events).map(|at| LogEvent::new(at, format!("message {at}"))));
    store
}

fn send(server: &InsightsServer, target: &str, content_type: &str, body: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(server.endpoint().trim_start_matches("http://"))?;
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-amz-target: {target}\r\n\
         content-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((head[9..12].parse().unwrap(), body.to_owned()))
}

fn call(server: &InsightsServer, operation: &str, body: Value) -> (u16, Value) {
    let target = format!("Logs_20140328.{operation}");
    let (status, body) = send(server, &target, "application/x-amz-json-1.1", &body.to_string()).unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

fn request(query: &str) -> Value {
    json!({ "logGroupName": GROUP, "startTime": 0, "endTime": 1_000, "queryString": query })
}

fn start(server: &InsightsServer, query: &str) -> String {
    let (status, body) = call(server, "StartQuery", request(query));
    assert_eq!(status, 200, "{body}");
    body["queryId"].as_str().unwrap().to_owned()
}

fn poll(server: &InsightsServer, id: &str) -> Value {
    let (status, body) = call(server, "GetQueryResults", json!({ "queryId": id }));
    assert_eq!(status, 200, "{body}");
    body
}

fn exception((status, body): (u16, Value)) -> (u16, String) {
    assert!(body["message"].is_string(), "{body}");
    (status, body["__type"].as_str().unwrap().to_owned())
}

fn refused(server: &InsightsServer, changes: Value) -> String {
    let mut body = request("fields @message");
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
        if value.is_null() {
            body.as_object_mut().unwrap().remove(name);
        }
    }
    let (status, kind) = exception(call(server, "StartQuery", body));
    assert_eq!(status, 400);
    kind
}

#[test]
fn a_query_is_scheduled_then_running_then_complete() {
    let server = InsightsServer::start(store(4));
    let id = start(&server, "fields @message | sort @message");
    assert_eq!(poll(&server, &id)["status"], "Scheduled");
    let running = poll(&server, &id);
    assert_eq!((&running["status"], running["results"].as_array().unwrap().len()), (&json!("Running"), 2));
    let complete = poll(&server, &id);
    assert_eq!(complete["status"], "Complete");
    assert_eq!(complete["queryLanguage"], "CWLI");
    let first = &complete["results"][0];
    assert_eq!(first[0], json!({ "field": "@message", "value": "message 0" }));
    assert_eq!(first[1]["field"], "@ptr");
    assert_eq!(
        complete["statistics"],
        json!({
            "recordsMatched": 4.0, "recordsScanned": 4.0, "estimatedRecordsSkipped": 0.0, "bytesScanned": 36.0,
            "estimatedBytesSkipped": 0.0, "logGroupsScanned": 1.0, "resultCount": 4.0,
        })
    );
    assert_eq!(poll(&server, &id)["status"], "Complete");
}

#[test]
fn a_query_can_be_paced() {
    let pacing = Pacing { scheduled_polls: 2, running_polls: 0 };
    let server = InsightsServer::start_paced(store(1), pacing);
    let id = start(&server, "fields @message");
    let statuses: Vec<_> = (0..3).map(|_| poll(&server, &id)["status"].clone()).collect();
    assert_eq!(statuses, ["Scheduled", "Scheduled", "Complete"]);
}

#[test]
fn results_come_in_pages_until_there_is_no_token() {
    let server = InsightsServer::start_paced(store(25_000), Pacing { scheduled_polls: 0, running_polls: 0 });
    let id = start(&server, "fields @timestamp | sort @timestamp | limit 100000");
    let mut sizes = Vec::new();
    let mut token = Value::Null;
    loop {
        let body = match &token {
            Value::Null => json!({ "queryId": id }),
            token => json!({ "queryId": id, "nextToken": token, "maxItems": 9_000 }),
        };
        let (_, page) = call(&server, "GetQueryResults", body);
        sizes.push(page["results"].as_array().unwrap().len());
        token = page["nextToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(sizes, [10_000, 9_000, 6_000]);
    for bad in
        [json!({ "queryId": id, "maxItems": 10_001 }), json!({ "queryId": id, "nextToken": "other/5" })]
    {
        assert_eq!(
            exception(call(&server, "GetQueryResults", bad)),
            (400, "InvalidParameterException".into())
        );
    }
}

#[test]
fn a_malformed_query_says_where() {
    let server = InsightsServer::start(store(1));
    let (status, body) = call(&server, "StartQuery", request("fields nope"));
    assert_eq!((status, &body["__type"]), (400, &json!("MalformedQueryException")));
    let location = &body["queryCompileError"]["location"];
    assert_eq!(location, &json!({ "startCharOffset": 7, "endCharOffset": 11 }));
    assert!(body["queryCompileError"]["message"].as_str().unwrap().contains("`nope`"));
    assert!(body["message"].as_str().unwrap().contains("`nope`"));
}

#[test]
fn parameters_that_the_api_refuses() {
    let store = store(1);
    store.add_group(LogGroup { created_ms: 9_000_000_000, ..LogGroup::new("late") });
    let server = InsightsServer::start(store);
    let invalid = "InvalidParameterException";
    assert_eq!(refused(&server, json!({ "endTime": 1_700_000_000_000_i64 })), invalid);
    assert_eq!(refused(&server, json!({ "startTime": 2_000 })), invalid);
    assert_eq!(refused(&server, json!({ "startTime": -1 })), invalid);
    assert_eq!(refused(&server, json!({ "logGroupNames": [GROUP] })), invalid);
    assert_eq!(refused(&server, json!({ "logGroupName": null })), invalid);
    assert_eq!(refused(&server, json!({ "logGroupName": null, "logGroupNames": [] })), invalid);
    assert_eq!(refused(&server, json!({ "logGroupName": null, "logGroupNames": vec![GROUP; 51] })), invalid);
    let arn = format!("arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}:*");
    assert_eq!(refused(&server, json!({ "logGroupName": null, "logGroupIdentifiers": [arn] })), invalid);
    assert_eq!(refused(&server, json!({ "queryLanguage": "SQL" })), invalid);
    assert_eq!(refused(&server, json!({ "limit": 100_001 })), invalid);
    assert_eq!(refused(&server, json!({ "limit": 5, "queryString": "limit 5" })), invalid);
    assert_eq!(refused(&server, json!({ "logGroupName": "gone" })), "ResourceNotFoundException");
    assert_eq!(refused(&server, json!({ "logGroupName": "late" })), "MalformedQueryException");
    assert_eq!(refused(&server, json!({ "startTime": "0" })), "SerializationException");
    assert_eq!(refused(&server, json!({ "loggroupname": GROUP })), "SerializationException");
}

#[test]
fn a_group_can_be_given_in_three_ways() {
    let server = InsightsServer::start_paced(store(1), Pacing { scheduled_polls: 0, running_polls: 0 });
    let arn = format!("arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}");
    for (name, value) in [
        ("logGroupName", json!(GROUP)),
        ("logGroupNames", json!([GROUP])),
        ("logGroupIdentifiers", json!([GROUP])),
        ("logGroupIdentifiers", json!([arn])),
    ] {
        let mut body = request("fields @message, @log");
        body.as_object_mut().unwrap().remove("logGroupName");
        body[name] = value;
        let (status, started) = call(&server, "StartQuery", body);
        assert_eq!(status, 200, "{started}");
        let results = poll(&server, started["queryId"].as_str().unwrap());
        assert_eq!(results["results"][0][1]["value"], format!("123456789012:{GROUP}"));
    }
}

#[test]
fn the_requests_limit_takes_the_place_of_a_missing_one() {
    let server = InsightsServer::start_paced(store(9), Pacing { scheduled_polls: 0, running_polls: 0 });
    let mut body = request("fields @message");
    body["limit"] = 3.into();
    let (_, started) = call(&server, "StartQuery", body);
    assert_eq!(poll(&server, started["queryId"].as_str().unwrap())["results"].as_array().unwrap().len(), 3);
}

#[test]
fn a_stopped_query_is_cancelled_unless_it_has_ended() {
    let server = InsightsServer::start_paced(store(1), Pacing { scheduled_polls: 1, running_polls: 0 });
    let (running, ended) = (start(&server, "fields @message"), start(&server, "fields @message"));
    poll(&server, &ended);
    assert_eq!(poll(&server, &ended)["status"], "Complete");
    let stop = |id: &str| call(&server, "StopQuery", json!({ "queryId": id }));
    assert_eq!(stop(&running), (200, json!({ "success": true })));
    assert_eq!(poll(&server, &running)["status"], "Cancelled");
    assert_eq!(exception(stop(&ended)).1, "InvalidParameterException");
    assert_eq!(exception(stop("nobody")).1, "ResourceNotFoundException");
    assert_eq!(
        exception(call(&server, "GetQueryResults", json!({ "queryId": "x" }))).1,
        "ResourceNotFoundException"
    );
    assert_eq!(server.stopped_queries(), [running]);
}

#[test]
fn the_hundred_and_first_concurrent_query_is_refused() {
    let server = InsightsServer::start(store(1));
    let ids: Vec<_> = (0..100).map(|_| start(&server, "fields @message")).collect();
    assert_eq!(refused(&server, json!({})), "LimitExceededException");
    call(&server, "StopQuery", json!({ "queryId": ids[0] }));
    start(&server, "fields @message");
}

#[test]
fn faults_strike_the_calls_they_are_meant_for() {
    let store = store(1);
    let faults = store.faults().clone();
    let server = InsightsServer::start(store);
    for (fault, status, kind) in [
        (Fault::Throttle, 400, "ThrottlingException"),
        (Fault::LimitExceeded, 400, "LimitExceededException"),
        (Fault::AccessDenied, 400, "AccessDeniedException"),
        (Fault::ServerError, 500, "ServiceUnavailableException"),
    ] {
        faults.inject(Operation::StartQuery, fault, Times::Next(1));
        let answer = call(&server, "StartQuery", request("fields @message"));
        assert_eq!(exception(answer), (status, kind.to_owned()));
    }
    let id = start(&server, "fields @message");
    let get = || {
        let body = json!({ "queryId": id }).to_string();
        send(&server, "Logs_20140328.GetQueryResults", "application/x-amz-json-1.1", &body)
    };
    faults.inject(Operation::GetQueryResults, Fault::MalformedBody, Times::Next(1));
    assert!(serde_json::from_str::<Value>(&get().unwrap().1).is_err());
    faults.inject(Operation::GetQueryResults, Fault::ConnectionReset, Times::Next(1));
    assert_eq!(get().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    faults.inject(Operation::GetQueryResults, Fault::Delay(Duration::from_millis(50)), Times::Next(1));
    let asked = Instant::now();
    assert_eq!(get().unwrap().0, 200);
    assert!(asked.elapsed() >= Duration::from_millis(50));
    // None of these was a poll that counted.
    assert_eq!(poll(&server, &id)["status"], "Running");
}

#[test]
fn queries_can_be_made_to_end_badly_or_never_to_start() {
    let store = store(1);
    let faults = store.faults().clone();
    let server = InsightsServer::start(store);
    for (end, name) in [
        (QueryEnd::Failed, "Failed"),
        (QueryEnd::Cancelled, "Cancelled"),
        (QueryEnd::Timeout, "Timeout"),
        (QueryEnd::Unknown, "Unknown"),
    ] {
        faults.inject(Operation::StartQuery, Fault::EndAs(end), Times::Next(1));
        let id = start(&server, "fields @message");
        let statuses: Vec<_> = (0..3).map(|_| poll(&server, &id)["status"].clone()).collect();
        assert_eq!(statuses, ["Scheduled", "Running", name]);
    }
    faults.inject(Operation::StartQuery, Fault::NeverStarts, Times::Next(1));
    let id = start(&server, "fields @message");
    assert!((0..20).all(|_| poll(&server, &id)["status"] == "Scheduled"));
}

#[test]
fn every_request_is_recorded_whatever_became_of_it() {
    let server = InsightsServer::start(store(1));
    let id = start(&server, "fields @message");
    call(&server, "StartQuery", request("nonsense"));
    send(&server, "Logs_20140328.StopQuery", "text/plain", "{").unwrap();
    let requests = server.requests();
    assert_eq!(requests[0].body, request("fields @message"));
    assert_eq!(requests[1].body["queryString"], "nonsense");
    assert_eq!((requests[2].target.as_str(), &requests[2].body), ("Logs_20140328.StopQuery", &Value::Null));
    assert_eq!(poll(&server, &id)["status"], "Scheduled");
}

#[test]
fn anything_that_is_not_a_call_is_refused() {
    let server = InsightsServer::start(store(1));
    assert_eq!(exception(call(&server, "PutLogEvents", json!({}))).1, "UnknownOperationException");
    let (status, body) = send(&server, "Logs_20140328.StartQuery", "application/json", "{}").unwrap();
    assert_eq!(status, 400);
    assert!(body.contains("UnknownOperationException"));
    assert_eq!(exception(call(&server, "StartQuery", json!([]))).1, "SerializationException");
}

#[test]
fn log_groups_are_described_with_both_of_their_arns() {
    let store = store(0);
    store.set_location("eu-west-1", "111122223333");
    store.add_group(LogGroup {
        class: LogGroupClass::InfrequentAccess,
        created_ms: 5,
        ..LogGroup::new("/vpc/archive")
    });
    store.add_group(LogGroup::new("other"));
    let server = InsightsServer::start(store);
    let describe = |body| call(&server, "DescribeLogGroups", body).1;
    let answer = describe(json!({ "logGroupNamePrefix": "/vpc/" }));
    assert_eq!(
        answer["logGroups"][0],
        json!({
            "logGroupName": "/vpc/archive",
            "creationTime": 5,
            "arn": "arn:aws:logs:eu-west-1:111122223333:log-group:/vpc/archive:*",
            "logGroupArn": "arn:aws:logs:eu-west-1:111122223333:log-group:/vpc/archive",
            "logGroupClass": "INFREQUENT_ACCESS",
        })
    );
    assert_eq!(answer["logGroups"].as_array().unwrap().len(), 2);
    let arn = answer["logGroups"][0]["logGroupArn"].clone();
    let named = describe(json!({ "logGroupIdentifiers": [arn] }));
    assert_eq!(named["logGroups"][0], answer["logGroups"][0]);
    assert_eq!(named["logGroups"].as_array().map(Vec::len), Some(1));
    let first = describe(json!({ "limit": 2 }));
    let rest = describe(json!({ "limit": 2, "nextToken": first["nextToken"] }));
    assert_eq!(rest["logGroups"][0]["logGroupName"], "other");
    assert!(rest["nextToken"].is_null());
}

#[test]
fn the_server_is_gone_once_it_is_dropped() {
    let server = InsightsServer::start(store(1));
    let address = server.endpoint().trim_start_matches("http://").to_owned();
    drop(server);
    assert!(TcpStream::connect(address).is_err());
}
