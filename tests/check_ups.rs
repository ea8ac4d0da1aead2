//! What the readers of the reports get of a check-up.

use nat_triage::doctor::{Bucket, Checkup, Facts, Topic, check_up};
use nat_triage::gap::Gap;
use nat_triage::report::{HttpsReaders, Message};
use serde_json::Value;

fn of(topic: Topic) -> Checkup {
    check_up(&Facts {
        at: "2026-11-23T07:00:00Z".parse().expect("valid"),
        region: Some("eu-west-1".into()),
        gateways: Ok(Vec::new()),
        passed_over: vec!["nat-0123456789abcdef0".into()],
        alarms: Ok(Vec::new()),
        invoked: Vec::new(),
        topic,
        bucket: Bucket::Refused(Gap::new(
            "whether reports can be kept",
            "s3:PutObject was denied: AccessDenied",
            "allow s3:PutObject on arn:aws:s3:::reports/nat-triage/* to the role or user that nat-triage runs as",
        )),
        next_invocation: None,
        event_bus: None,
    })
}

fn pending() -> Topic {
    Topic::Known {
        arn: "arn:aws:sns:eu-west-1:123456789012:nat-triage".into(),
        confirmed: 0,
        pending: 1,
        key: None,
    }
}

#[test]
fn a_check_up_says_what_is_wanting_and_what_mends_it() {
    let message = Message::of_checkup(&of(pending()), HttpsReaders::Chat);
    let body: Value = serde_json::from_str(&message.body).expect("JSON");
    let text = |key: &str| body[key].as_str().expect("text");
    let chat: Value = serde_json::from_str(text("https")).expect("JSON");
    let chat = chat["content"]["description"].as_str().expect("text");
    insta::assert_snapshot!(format!(
        "Subject: {}\n{:?}\n\n{}\n--- sms\n{}\n--- chat\n{chat}",
        message.subject,
        message.attributes,
        text("email"),
        text("sms"),
    ));
}

#[test]
fn programs_get_the_rows_of_a_check_up() {
    let checkup = of(pending());
    let message = Message::of_checkup(&checkup, HttpsReaders::Machines);
    let body: Value = serde_json::from_str(&message.body).expect("JSON");
    let rows: Value = serde_json::from_str(body["default"].as_str().expect("text")).expect("JSON");
    assert_eq!(rows, checkup.to_json());
    assert!(body.get("https").is_none(), "they get the text of machines");
}
