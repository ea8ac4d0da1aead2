//! What the README shows is what the program prints.

use crate::support::cli::{Cli, sample};
use crate::support::processes::checkout;

#[test]
fn the_report_in_the_readme_is_the_one_that_the_sample_prints() {
    let (flow_logs, event) = sample();
    let ran = Cli::new([
        "analyze",
        "--event",
        event.to_str().expect("UTF-8"),
        "--flow-logs",
        flow_logs.to_str().expect("UTF-8"),
    ])
    .run();
    insta::assert_snapshot!("sample_report", ran.stdout);
    let readme = std::fs::read_to_string(checkout().join("README.md")).expect("there");
    // The README shows the beginning: what a phone shows, and what to do.
    let shown = readme
        .split("```text\n")
        .nth(1)
        .and_then(|rest| rest.split("\n```").next())
        .expect("the README has a block of text");
    assert!(ran.stdout.starts_with(shown), "the README's report is not the sample's:\n{}", ran.stdout);
}
