//! What the README shows is what the program prints and sends.

use nat_triage::contract::Diagnosis;
use nat_triage::report::{HttpsReaders, Message};

use crate::support::checkout;
use crate::support::cli::Cli;

#[test]
fn the_mail_in_the_readme_is_the_one_that_the_sample_makes() {
    let printed = Cli::on_sample([]).run().stdout;
    insta::assert_snapshot!("sample_report", printed);
    let json = Cli::on_sample(["--format", "json"]).run().stdout;
    let diagnosis: Diagnosis = serde_json::from_str(&json).expect("a diagnosis");
    let message = Message::of(&diagnosis, None, HttpsReaders::default());
    let body: serde_json::Value = serde_json::from_str(&message.body).expect("JSON");
    assert_eq!(body["email"], printed, "a terminal that is none gets the text of the mail");
    let mail = format!("Subject: {}\n\n{printed}", message.subject);
    let readme = std::fs::read_to_string(checkout().join("README.md")).expect("there");
    // The README shows the beginning: what a phone shows, and what to do.
    let shown = readme
        .split("```text\n")
        .nth(1)
        .and_then(|rest| rest.split("\n```").next())
        .expect("the README has a block of text");
    assert!(mail.starts_with(shown), "the README's mail is not the sample's:\n{mail}");
}
