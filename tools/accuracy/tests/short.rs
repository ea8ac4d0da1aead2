//! A short version of the measurement, so that a change that makes the diagnosis wrong fails a test.

use std::sync::OnceLock;

use accuracy::{Case, Outcome, Score, Setup, Trial};

const SEEDS: u64 = 6;

/// All setups, tried once for all tests, on two threads.
fn scores(only: &[&str]) -> impl Iterator<Item = (String, &'static Score)> {
    static OUTCOMES: OnceLock<(Vec<Setup>, Vec<Outcome>)> = OnceLock::new();
    let (setups, outcomes) = OUTCOMES.get_or_init(|| {
        let setups = Setup::all();
        let run = |seeds: std::ops::Range<u64>| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let trials = seeds.map(|seed| Trial { case: Case::Random, seed, capacity: 400 });
            trials.map(|trial| runtime.block_on(trial.run(&setups)).expect("readable")).collect::<Vec<_>>()
        };
        let outcomes = std::thread::scope(|scope| {
            let first = scope.spawn(|| run(0..SEEDS / 2));
            let rest = run(SEEDS / 2..SEEDS);
            [first.join().expect("no panic"), rest].concat()
        });
        (setups, outcomes)
    });
    let wanted = |name: &str| only.is_empty() || only.contains(&name);
    let known = setups.iter().filter(|setup| wanted(setup.name)).count();
    assert!(only.is_empty() || known == only.len(), "{only:?}");
    let mut found = Vec::new();
    for outcome in outcomes {
        for (setup, score) in setups.iter().zip(&outcome.scores).filter(|(setup, _)| wanted(setup.name)) {
            let at = |score: &Score| format!("{}, seed {}: {}", setup.name, outcome.seed, score.line);
            found.extend(score.as_ref().map(|score| (at(score), score)));
        }
    }
    found.into_iter()
}

#[test]
fn what_every_kind_of_flow_log_shows_is_never_contradicted() {
    for (at, score) in scores(&[]) {
        assert!(!score.wrong_verdict, "{at}");
        assert!(!score.unexplained, "{at}");
        assert!(!score.false_all_clear, "{at}");
        assert!(!score.wrong_party, "{at}");
        assert_ne!(score.in_range, Some(false), "{at}");
    }
}

#[test]
fn what_shows_everything_names_destination_client_and_pattern() {
    let mut exhausted = 0;
    for (at, score) in scores(&[
        "v3, gateway",
        "advised, gateway",
        "v11, VPC",
        "v11, VPC, 600 s",
        "advised, gateway, Insights",
        "v11, VPC, two flow logs",
        "v11, VPC, SKIPDATA",
    ]) {
        assert_ne!(score.destination, Some(false), "{at}");
        assert_ne!(score.client, Some(false), "{at}");
        assert_ne!(score.pattern, Some(false), "{at}");
        exhausted += u32::from(score.destination.is_some());
    }
    assert!(exhausted >= 15, "only {exhausted} diagnoses were of something exhausted");
}

#[test]
fn the_default_format_still_names_the_destination() {
    for (at, score) in scores(&["v2, gateway", "v2, VPC", "v2, VPC, Insights"]) {
        assert_ne!(score.destination, Some(false), "{at}");
    }
}
