//! A short version of the measurement, so that a change that makes the diagnosis wrong fails a test.

use accuracy::Trial;
use nat_simulator::LogFormat;

#[tokio::test]
async fn in_a_format_that_shows_everything_the_first_incidents_are_diagnosed_right() {
    let mut exhausted = 0;
    for seed in 0..12 {
        let trial = Trial { seed, capacity: 400, format: LogFormat::v11(), whole_vpc: true };
        let score = trial.run().await.expect("readable");
        assert_ne!(score.destination, Some(false), "seed {seed}: {score:?}");
        assert_ne!(score.client, Some(false), "seed {seed}: {score:?}");
        assert!(!score.wrong_verdict, "seed {seed}: {score:?}");
        exhausted += u32::from(score.exhausted);
    }
    assert!(exhausted >= 6, "only {exhausted} of the incidents exhausted anything");
}
