//! What was changed before an alarm, asked of an emulator of CloudTrail that records the calls it gets.

use std::process::{Command, Stdio};

use insights_server::InsightsServer;
use nat_simulator::LogFormat;
use serde_json::Value;

use crate::support::scene::{ACCOUNT, ended_before, endpoints, event, staged, stored};

#[test]
fn a_recorded_call_stands_in_the_report_and_in_its_bundle() {
    let format = LogFormat::v3_pkt();
    let (scene, _) = staged(&format);
    scene.change();
    // An incident that ends within the next minute: the emulator records calls as of now.
    let simulation = ended_before(&scene, -60);
    let insights = InsightsServer::start(stored(&simulation, format));
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(path("event.json"), event(&simulation, scene.id("gateway")).to_string()).expect("written");
    let url = insights.endpoint();
    let endpoints = endpoints(&scene, &url);
    let run = |args: &[&str], changes: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nat-triage"));
        command.env_clear().args(args).args(["--format", "json"]).stdin(Stdio::null());
        if let Some(changes) = changes {
            command.envs(endpoints).envs(ACCOUNT).env("NAT_TRIAGE_LOOK_UP_CHANGES", changes);
        }
        let output = command.output().expect("nat-triage runs");
        let (text, problems) = (String::from_utf8(output.stdout), String::from_utf8_lossy(&output.stderr));
        text.ok().filter(|text| !text.is_empty()).unwrap_or_else(|| panic!("{problems}"))
    };
    let (event, kept) = (path("event.json"), path("kept"));
    let live = run(&["triage", "--event", &event, "--save-bundle", &kept], Some("true"));
    let diagnosis: Value = serde_json::from_str(&live).expect("JSON");
    let changes = &diagnosis["changes"];
    let change = &changes["listed"][0];
    assert_eq!(change["event_name"], "CreateService", "{changes:#}");
    assert_eq!((&change["relation"], &change["kind"]), (&"vpc".into(), &"deployment".into()), "{changes:#}");
    let on = change["on"].as_array().expect("a list");
    assert!(on.contains(&scene.id("subnet").into()) && on.contains(&"checkout".into()), "{changes:#}");
    assert_eq!(changes["read_from"], changes["from"], "one page holds them all");
    assert_eq!(changes["may_be_late"], true);
    let again = run(&["analyze", "--bundle", &kept], None);
    assert!(live == again, "the same diagnosis, byte for byte");

    let unasked: Value =
        serde_json::from_str(&run(&["triage", "--event", &event], Some("false"))).expect("JSON");
    assert_eq!(unasked["changes"], Value::Null);
    assert!(!unasked["gaps"].to_string().contains("cloudtrail"), "{}", unasked["gaps"]);
}
