//! What the README shows is what the program prints.

use crate::support::checkout;
use crate::support::cli::Cli;

#[test]
fn the_report_in_the_readme_is_the_one_that_the_sample_prints() {
    let ran = Cli::on_sample([]).run();
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
